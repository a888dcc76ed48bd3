//! S8, D1 and D2 under SIGKILL: the daemon is killed at random moments while the vendor changes and the receiver fails.
//!
//! The dice are seeded: a failure prints the seed, and `DOORBELL_CRASH_SEED` plays it again (the kernel's scheduling
//! aside). `DOORBELL_CRASH_KILLS` makes it longer: `make crash`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::bridge::ORDERS;
use crate::support::json::rows;
use crate::support::receiver::Hook;
use crate::support::signal::Signal;
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// What the issue asks for.
const KILLS: u64 = 50;

/// Keys that the vendor has at most.
const KEYS: u64 = 12;

/// The vendor's orders, by key.
type Orders = BTreeMap<String, Value>;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// A vendor whose orders change before about every second answer, until it is told to rest.
fn restless_vendor(orders: &Arc<Signal<(Orders, bool)>>, mut dice: Rng) -> Vendor {
    let orders = Arc::clone(orders);
    Vendor::scripted(move |_| {
        let list = orders.change(|(orders, resting)| {
            if !*resting && dice.bool() {
                change(orders, &mut dice);
            }
            orders.values().cloned().collect::<Vec<_>>()
        });
        let body = json!({ "orders": list }).to_string();
        let etag = format!("\"{}\"", blake3::hash(body.as_bytes()).to_hex());
        Reply::json(body).with("etag", &etag)
    })
}

/// Adds, changes or removes a few orders.
fn change(orders: &mut Orders, dice: &mut Rng) {
    for _ in 0..dice.u64(1..4) {
        let key = dice.u64(1..=KEYS).to_string();
        if dice.u8(0..3) == 0 {
            orders.remove(&key);
        } else {
            // Few values, so that orders go back to what they were (S7).
            orders.insert(key.clone(), json!({ "id": key, "total": dice.u8(0..3), "note": "x".repeat(200) }));
        }
    }
}

/// A receiver that fails about every fifth attempt, in one way or another, until it is told to be well.
fn moody_receiver(mut dice: Rng) -> Receiver {
    Receiver::scripted(move |_| match dice.u8(0..20) {
        0 => Reply::status(500),
        1 => Reply::status(429).with("retry-after", "0"),
        2 => Reply::Cut,
        3 => Reply::status(302).with("location", "http://127.0.0.1:9/"),
        _ => Reply::status(204),
    })
}

/// What a receiver holds that folds the events by key in the order of their sequence.
fn fold(hooks: &[Hook]) -> Orders {
    let by_sequence: BTreeMap<u64, &Hook> =
        hooks.iter().filter(|hook| hook.accepted).map(|hook| (hook.sequence(), hook)).collect();
    let mut held = Orders::new();
    for hook in by_sequence.values() {
        match hook.change() {
            "deleted" => drop(held.remove(hook.key())),
            _ => drop(held.insert(hook.key().to_owned(), hook.data()["after"].clone())),
        }
    }
    held
}

/// The sequences that arrived are 1 to the greatest, without gaps; the greatest.
fn greatest_without_gaps(hooks: &[Hook]) -> Result<u64, String> {
    let mut sequences: Vec<_> = hooks.iter().filter(|hook| hook.accepted).map(Hook::sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    let missing = (1..).zip(&sequences).find(|(wanted, there)| wanted != *there);
    missing.map_or(Ok(sequences.len() as u64), |(wanted, _)| Err(format!("event {wanted} never arrived")))
}

/// One id, one body, one sequence; and one sequence, one id.
fn ids_never_change(hooks: &[Hook]) {
    let (mut bodies, mut ids) = (HashMap::new(), HashMap::new());
    for hook in hooks {
        let body = bodies.entry(&hook.id).or_insert(&hook.body);
        assert!(*body == &hook.body, "{} was sent with other bytes", hook.id);
        let id = ids.entry(hook.sequence()).or_insert(&hook.id);
        assert_eq!(*id, &hook.id, "two ids for event {}", hook.sequence());
    }
}

/// D4, over all lives of the daemon: once an event of a key has been accepted, none before it is attempted.
fn keys_are_in_order(hooks: &[Hook]) {
    let mut greatest: HashMap<&str, u64> = HashMap::new();
    for hook in hooks {
        let greatest = greatest.entry(hook.key()).or_default();
        assert!(hook.sequence() >= *greatest, "event {} of key {} came after {greatest}", hook.sequence(), hook.key());
        *greatest = (*greatest).max(hook.sequence());
    }
}

#[test]
fn s8_d2_a_daemon_that_is_killed_again_and_again_loses_nothing() {
    let seed = number("DOORBELL_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = number("DOORBELL_CRASH_KILLS").unwrap_or(KILLS).max(KILLS);
    let _seed = Announced(seed);
    let mut dice = Rng::with_seed(seed);

    let orders = Arc::new(Signal::new((Orders::new(), false)));
    let vendor = restless_vendor(&orders, dice.fork());
    let receiver = moody_receiver(dice.fork());
    let job = format!("{ORDERS}first = 'emit'");
    // No delivery may die of a bad mood: 30 waits are as many as a ladder has.
    let ladder = ["'50ms'"; 30].join(", ");
    let bridge = Bridge::between(&vendor, &receiver, &job, &format!("retry = [{ladder}]\ntimeout = '5s'"));

    for life in 0..kills {
        // The moment is what is random here, so nothing could signal it. Every third life ends around its start.
        if life % 3 == 2 {
            bridge.run_for(Duration::from_micros(dice.u64(0..100_000)));
        } else {
            let daemon = bridge.run();
            std::thread::sleep(Duration::from_micros(dice.u64(0..600_000)));
            daemon.kill9();
        }
    }

    orders.change(|(_, resting)| *resting = true);
    receiver.reply(Reply::status(204));
    let daemon = bridge.run();
    let wanted = orders.lock().0.clone();
    let hooks = receiver.wait_until("the receiver to hold what the vendor holds", |hooks| {
        fold(hooks) == wanted && greatest_without_gaps(hooks).is_ok()
    });
    daemon.sink_until("crm", "every delivery to end", |sink| sink["backlog"] == 0);

    ids_never_change(&hooks);
    keys_are_in_order(&hooks);
    let arrived = greatest_without_gaps(&hooks).unwrap_or_else(|gap| panic!("{gap}"));
    assert_eq!(daemon.job("orders")["events"], arrived, "every event that was committed arrived");
    assert!(arrived > kills, "only {arrived} events in {kills} lives: the test tests nothing");
    assert_eq!(daemon.sink("crm")["dead"], 0);
    let newest = rows(&daemon.cli(["events", "--json"]).ok().json());
    assert_eq!(newest.iter().filter_map(|event| event["sequence"].as_u64()).max(), Some(arrived));
    daemon.terminate();
}

/// Prints the seed when the test fails.
struct Announced(u64);

impl Drop for Announced {
    #[expect(clippy::print_stderr, reason = "who repeats a failure needs its seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed: DOORBELL_CRASH_SEED={}", self.0);
        }
    }
}
