//! A sink's whole life over a clock of our own and a real store: outages, poison, rates, limits, and what is held.

mod batches;
mod patience;
mod person;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::core::alert::Alerts;
use crate::core::backlog::{AtLimit, Limits};
use crate::core::config::{Config, Daemon, Listen};
use crate::core::delivery::{Answer, Ladder, NewDelivery, Parcel};
use crate::core::diff::Change;
use crate::core::event::NewEvent;
use crate::core::formats::Wire;
use crate::core::job::plain as plain_job;
use crate::core::names::{EventId, JobName, Key, Lane, Scope, SinkName};
use crate::core::observe::{AttemptSeen, Observer, PollSeen, Pulse};
use crate::core::outcome::PollOutcome;
use crate::core::sink::{Sink, plain};
use crate::core::time::Timestamp;
use crate::core::trace::Trace;
use crate::core::units::parse_rate;
use crate::engine::Begin;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::clock::{Clock, Dice};
use crate::engine::dispatcher::Dispatcher;
use crate::engine::tasks::Tasks;
use crate::sink::{Sender, Sent};
use crate::source::{Fetched, Fetcher, Request};
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{PollChanges, PollEnding, Queue, ScopeState, SinkState, Store};

const BEGIN: Timestamp = Timestamp(1_795_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Time stands still until a test moves it.
struct HandClock(watch::Sender<i64>);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.borrow())
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let mut reading = self.0.subscribe();
        // The clock outlives who sleeps by it.
        let _ = reading.wait_for(|now| *now >= moment.0).await;
    }
}

struct Middle;

impl Dice for Middle {
    fn roll(&self) -> f64 {
        0.5
    }
}

struct NoVendor;

#[async_trait]
impl Fetcher for NoVendor {
    async fn fetch(&self, _request: Request) -> Fetched {
        std::future::pending().await
    }
}

/// Counts what is dropped.
#[derive(Default)]
struct Drops(std::sync::atomic::AtomicU64);

impl Observer for Drops {
    fn poll_ended(&self, _seen: &PollSeen) {}
    fn attempt_ended(&self, _seen: &AttemptSeen) {}
    fn dropped(&self, _sink: &SinkName, count: u64) {
        self.0.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    }
}

/// One attempt, as the receiver saw it.
#[derive(Clone, Debug)]
struct Seen {
    event: String,
    key: String,
    sequence: u64,
    attempt: u32,
    at: Timestamp,
    skipped: Vec<EventId>,
    status: u16,
    events: usize,
    body: Bytes,
}

type Script = Box<dyn FnMut(&Parcel, u32) -> u16 + Send>;

/// A receiver that answers from a script.
struct Receiver {
    allowed: Mutex<Option<u32>>,
    script: Mutex<Script>,
    asks: Mutex<Vec<Option<Duration>>>,
    seen: watch::Sender<Vec<Seen>>,
}

#[async_trait]
impl Sender for Receiver {
    fn allowed_rate(&self, _sink: &Sink) -> Option<u32> {
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, _sink: &Arc<Sink>, parcel: &Parcel, attempt: u32, now: Timestamp) -> Sent {
        let status = (self.script.lock().unwrap_or_else(PoisonError::into_inner))(parcel, attempt);
        self.seen.send_modify(|seen| {
            seen.push(Seen {
                event: parcel.id().to_owned(),
                key: parcel.key.to_string(),
                sequence: parcel.sequence,
                attempt,
                at: now,
                skipped: parcel.skipped.ids.clone(),
                status,
                events: parcel.events(),
                body: parcel.body.clone(),
            });
        });
        // Others that have begun get their turn too.
        tokio::task::yield_now().await;
        let retry_after = self.asks.lock().unwrap_or_else(PoisonError::into_inner).pop().flatten();
        let answer = Answer::Status { status, retry_after, excerpt: String::new() };
        Sent { answer, took: Duration::ZERO, trace: Trace::default() }
    }
}

/// A sink, its receiver, and the store between them and the test.
struct Life {
    world: Arc<World>,
    clock: Arc<HandClock>,
    receiver: Arc<Receiver>,
    drops: Arc<Drops>,
    dispatcher: Dispatcher,
    shutdown: CancellationToken,
    sequence: u64,
    _directory: tempfile::TempDir,
}

fn crm() -> SinkName {
    SinkName::from("crm")
}

fn sink() -> Sink {
    Sink { concurrency: 4, ..Arc::into_inner(plain("crm")).expect("nobody else has it") }
}

impl Life {
    async fn begin(sink: Sink, script: impl FnMut(&Parcel, u32) -> u16 + Send + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options { path: directory.path().join("doorbell.db"), uid_seed: 7, now: BEGIN };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&options).expect("a store"));
        store.adopt(&[JobName::from("orders")], &[crm()], BEGIN).await.expect("adopted");
        let clock = Arc::new(HandClock(watch::Sender::new(BEGIN.0)));
        let receiver = Arc::new(Receiver {
            allowed: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            asks: Mutex::default(),
            seen: watch::Sender::default(),
        });
        let drops = Arc::new(Drops::default());
        let world = Arc::new(World {
            clock: clock.clone(),
            dice: Arc::new(Middle),
            fetcher: Arc::new(NoVendor),
            sender: receiver.clone(),
            store,
            observer: drops.clone(),
            pulse: Arc::new(Pulse::default()),
            tasks: Tasks::default(),
        });
        let daemon = Daemon {
            state: options.path,
            listen: Listen::Off,
            token: None,
            concurrency: 1,
            reload: Default::default(),
            retention: 30 * DAY,
        };
        let (alerts, sinks) = (Alerts::default(), vec![Arc::new(sink)]);
        let config = Config { daemon, alerts, jobs: Vec::new(), vendors: Vec::new(), sinks, secrets: Vec::new() };
        let shutdown = CancellationToken::new();
        let alarm = Alarm::new(&config, Begin::OnSchedule, &BTreeMap::new(), &[], BEGIN);
        let dispatcher = Dispatcher::start(&world, &config, &alarm, &shutdown).await.expect("started");
        Self { world, clock, receiver, drops, dispatcher, shutdown, sequence: 0, _directory: directory }
    }

    /// A poll commits one event of each of these keys.
    async fn poll(&mut self, keys: impl IntoIterator<Item = &str>) {
        let events: Vec<NewEvent> = keys.into_iter().map(|key| self.event(key)).collect();
        let now = self.clock.now();
        let ticket = self.world.store.claim_poll(&JobName::from("orders"), now).await.expect("no error").expect("free");
        let changes = PollChanges { events, ..PollChanges::default() };
        let ending = PollEnding {
            outcome: PollOutcome::Complete,
            at: now,
            fingerprints: plain_job("orders").fingerprints,
            scope: ScopeState { sequence: self.sequence, baseline: true, ..ScopeState::default() },
        };
        let (expected, room) = (changes.deliveries(), self.dispatcher.room());
        let tickets = self.world.store.commit_poll(ticket, changes, ending, &room).await.expect("committed");
        self.dispatcher.hand_over(tickets, &expected).await;
    }

    fn event(&mut self, key: &str) -> NewEvent {
        self.sequence += 1;
        let lane = Some(Lane(Key::from(key).digest().0));
        NewEvent {
            id: EventId::from(format!("evt_{}", self.sequence).as_str()),
            key: Key::from(key),
            change: Change::Updated,
            sequence: self.sequence,
            at: self.clock.now(),
            kind: "orders.updated".to_owned(),
            body: Bytes::from_static(b"{}"),
            deliveries: vec![NewDelivery { sink: crm(), lane, body: None, wire: Wire::Json, dead: None }],
        }
    }

    fn script(&self, script: impl FnMut(&Parcel, u32) -> u16 + Send + 'static) {
        *self.receiver.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    fn seen(&self) -> Vec<Seen> {
        self.receiver.seen.borrow().clone()
    }

    /// Waits for so many attempts, while time stands still.
    async fn attempts(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.receiver.seen.subscribe();
        let waited = tokio::time::timeout(MINUTE, seen.wait_for(|seen| seen.len() >= count)).await;
        assert!(waited.is_ok(), "{count} attempts: {:#?}", self.seen());
        self.seen()
    }

    /// Moves time on in steps until the store says what is wanted.
    async fn until(&self, step: Duration, mut wanted: impl FnMut(&SinkState, &Queue) -> bool) -> (SinkState, Queue) {
        for _ in 0..20_000 {
            let state = self.world.store.sink_state(&crm()).await.expect("a state");
            let queue = self.world.store.queue(&crm()).await.expect("a queue");
            if wanted(&state, &queue) {
                return (state, queue);
            }
            self.clock.0.send_modify(|now| *now += i64::try_from(step.as_millis()).expect("small"));
            // The outlet's turn; how far it comes in it is left open, and so must every assertion here.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it never came: {:#?}", self.seen());
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.world.tasks.wait().await;
    }
}

/// That of each key the sequences that were accepted only grow, each once.
fn assert_in_order(seen: &[Seen]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for one in seen.iter().filter(|one| one.status == 200) {
        let before = last.insert(&one.key, one.sequence).unwrap_or(0);
        assert!(one.sequence > before, "{one:?} after {before}");
    }
}

#[tokio::test]
async fn an_open_breaker_sends_one_probe_at_a_time_and_costs_the_others_nothing() {
    let mut life = Life::begin(sink(), |_, _| 503).await;
    let keys: Vec<String> = (0..30).map(|key| key.to_string()).collect();
    life.poll(keys.iter().map(String::as_str)).await;
    life.until(Duration::ZERO, |state, _| state.open.is_some()).await;
    life.until(10 * MINUTE, |state, _| state.open.is_some_and(|open| open.probes >= 4)).await;
    let seen = life.seen();
    // Five open it; three may have been on their way beside the fifth.
    let (first, probes) = seen.split_at(seen.iter().take_while(|one| one.at == BEGIN).count());
    assert!((5..=8).contains(&first.len()), "{first:#?}");
    let ladder = Ladder::default().0;
    for (pair, wait) in seen[first.len() - 1..].windows(2).zip(&ladder) {
        assert!(pair[1].at.since(pair[0].at) >= *wait, "{pair:?}");
    }
    assert!(probes.iter().all(|one| one.attempt == 1), "the fewest attempts first: {probes:#?}");
    let events: BTreeSet<_> = seen.iter().map(|one| &one.event).collect();
    assert_eq!(events.len(), seen.len(), "every attempt is of another delivery");
    life.end().await;
}

#[tokio::test]
async fn a_long_outage_kills_nothing_and_any_2xx_lets_everything_go() {
    let mut life = Life::begin(Sink { ladder: Ladder(vec![MINUTE, MINUTE]), ..sink() }, |_, _| 500).await;
    for _ in 0..3 {
        life.poll(["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    }
    life.until(Duration::ZERO, |state, _| state.open.is_some()).await;
    life.until(10 * MINUTE, |state, _| state.failures > 100).await;
    let (_, queue) = life.until(MINUTE, |_, _| true).await;
    assert_eq!((queue.backlog, queue.dead), (24, 0), "a spent ladder is no death while the sink is down");
    life.script(|_, _| 200);
    let (state, queue) = life.until(MINUTE, |_, queue| queue.backlog == 0).await;
    assert_eq!((queue.dead, state.open, state.failures), (0, None, 0));
    assert_eq!(life.seen().iter().filter(|one| one.status == 200).count(), 24);
    assert_in_order(&life.seen());
    life.end().await;
}

#[tokio::test]
async fn five_days_of_failure_disable_the_sink_and_what_is_held_goes_on_in_order() {
    let mut life = Life::begin(sink(), |_, _| 503).await;
    for _ in 0..20 {
        life.poll(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]).await;
    }
    let (state, queue) = life.until(60 * MINUTE, |state, _| state.disabled.is_some()).await;
    let reason = state.disabled.expect("disabled");
    assert_eq!(reason, "it has only failed for 5d, the last time: the receiver answered 503");
    assert!(life.clock.now().since(BEGIN) >= 5 * DAY);
    assert_eq!((queue.backlog + queue.held, queue.dead), (200, 0), "nothing is lost");
    let before = life.seen().len();
    life.poll(["a", "k"]).await;
    for _ in 0..10 {
        life.until(DAY, |_, _| true).await;
    }
    assert_eq!(life.seen().len(), before, "a disabled sink is left alone");
    life.script(|_, _| 200);
    life.world.store.enable_sink(&crm(), life.clock.now()).await.expect("enabled");
    life.dispatcher.wake(&crm()).await;
    life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    assert_eq!(life.seen().iter().filter(|one| one.status == 200).count(), 202);
    assert_in_order(&life.seen());
    life.end().await;
}

#[tokio::test]
async fn ten_thousand_held_deliveries_are_drained_in_order() {
    let mut life = Life::begin(sink(), |_, _| 410).await;
    let keys: Vec<String> = (0..500).map(|key| key.to_string()).collect();
    for _ in 0..20 {
        life.poll(keys.iter().map(String::as_str)).await;
    }
    let (_, queue) = life.until(Duration::ZERO, |state, _| state.disabled.is_some()).await;
    assert_eq!((queue.backlog + queue.held, queue.dead), (10_000, 0));
    life.script(|_, _| 200);
    life.world.store.enable_sink(&crm(), life.clock.now()).await.expect("enabled");
    life.dispatcher.wake(&crm()).await;
    life.until(Duration::from_millis(1), |_, queue| queue.backlog == 0).await;
    let seen = life.seen();
    assert_eq!(seen.iter().filter(|one| one.status == 200).count(), 10_000);
    assert_in_order(&seen);
    life.end().await;
}

#[tokio::test]
async fn a_poison_event_starves_nobody_and_nobody_starves_it() {
    let mut life = Life::begin(sink(), |parcel, _| if parcel.key.as_str() == "poison" { 500 } else { 200 }).await;
    life.poll(["poison"]).await;
    for round in 0..200 {
        let (one, two) = (format!("a{round}"), format!("b{round}"));
        life.poll([one.as_str(), two.as_str(), "c"]).await;
        life.until(60 * MINUTE, |_, queue| queue.backlog <= 1).await;
        if life.world.store.queue(&crm()).await.expect("a queue").dead > 0 {
            break;
        }
    }
    let (state, queue) = life.until(MINUTE, |_, queue| queue.dead == 1).await;
    assert_eq!((queue.backlog, state.disabled), (0, None));
    let seen = life.seen();
    assert!(seen.iter().filter(|one| one.key != "poison").all(|one| one.attempt == 1));
    assert_eq!(seen.iter().filter(|one| one.key == "poison").count(), 10, "its whole ladder");
    life.end().await;
}

#[tokio::test]
async fn the_next_of_a_key_says_which_events_died_before_it_until_that_has_arrived() {
    let mut life = Life::begin(sink(), |parcel, attempt| match (parcel.sequence, attempt) {
        (1 | 2, _) => 413,
        (3, 1) => 500,
        _ => 200,
    })
    .await;
    for _ in 0..3 {
        life.poll(["a"]).await;
    }
    life.poll(["b"]).await;
    life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    life.poll(["a"]).await;
    let seen = life.attempts(6).await;
    let told = |sequence| seen.iter().filter(move |one| one.sequence == sequence).map(|one| one.skipped.clone());
    let dead: Vec<EventId> = vec!["evt_1".into(), "evt_2".into()];
    assert_eq!(told(2).collect::<Vec<_>>(), [vec![EventId::from("evt_1")]]);
    assert_eq!(told(3).collect::<Vec<_>>(), [dead.clone(), dead], "the same on every attempt");
    assert_eq!(told(4).collect::<Vec<_>>(), [vec![]], "another key");
    assert_eq!(told(5).collect::<Vec<_>>(), [vec![]], "it has been told");
    life.end().await;
}

#[tokio::test]
async fn a_rate_is_kept_and_used() {
    let rate = parse_rate("5/s").expect("a rate");
    let mut life = Life::begin(Sink { rate: Some(rate), ..sink() }, |_, _| 200).await;
    let keys: Vec<String> = (0..40).map(|key| key.to_string()).collect();
    life.poll(keys.iter().map(String::as_str)).await;
    life.until(Duration::from_millis(50), |_, queue| queue.backlog == 0).await;
    let seen = life.seen();
    for from in 0..seen.len() {
        for to in from..seen.len() {
            let span = seen[to].at.since(seen[from].at).as_millis() as usize;
            assert!(to - from < 5 + 1 + span * 5 / 1000, "{} in {span} ms", to - from + 1);
        }
    }
    life.end().await;
}

#[tokio::test]
async fn a_full_sink_pauses_its_jobs_until_a_tenth_below_the_limit() {
    let limits = Limits { max_backlog: 20, ..Limits::default() };
    let mut life = Life::begin(Sink { limits, concurrency: 1, ..sink() }, |_, _| 503).await;
    let keys: Vec<String> = (0..19).map(|key| key.to_string()).collect();
    life.poll(keys.iter().map(String::as_str)).await;
    life.attempts(5).await;
    assert_eq!(life.dispatcher.full(&crm()), None);
    life.poll(["more"]).await;
    life.until(Duration::from_millis(1), |_, _| life.dispatcher.full(&crm()).is_some()).await;
    assert_eq!(life.dispatcher.full(&crm()).as_deref(), Some("20 deliveries wait, of at most `max_backlog` = 20"));
    let mut left = 2;
    life.script(move |_, _| {
        left -= 1;
        if left >= 0 { 200 } else { 503 }
    });
    life.until(MINUTE, |_, queue| queue.backlog <= 18).await;
    assert!(life.dispatcher.full(&crm()).is_some(), "not yet");
    life.script(|_, _| 200);
    life.until(MINUTE, |_, queue| queue.backlog == 0).await;
    life.until(Duration::from_millis(1), |_, _| life.dispatcher.full(&crm()).is_none()).await;
    life.end().await;
}

#[tokio::test]
async fn a_sink_that_drops_ends_the_oldest_as_dead_and_counts_them() {
    let limits = Limits { max_backlog: 10, at_limit: AtLimit::DropOldest, ..Limits::default() };
    let mut life = Life::begin(Sink { limits, ..sink() }, |_, _| 503).await;
    life.poll(["a", "b", "c", "d", "e", "f"]).await;
    // Nothing is on its way any more: that would be let be.
    life.until(Duration::ZERO, |state, _| state.open.is_some() && state.failures == 6).await;
    for _ in 0..4 {
        life.poll(["a", "b", "c", "d", "e", "f"]).await;
    }
    // The drops are counted once they are committed.
    let counted = || life.drops.0.load(std::sync::atomic::Ordering::Relaxed);
    let (_, queue) = life.until(Duration::from_millis(1), |_, queue| queue.backlog <= 10 && counted() >= 20).await;
    assert_eq!((queue.backlog, queue.dead, counted()), (10, 20, 20));
    let first = life.world.store.event("evt_1").await.expect("a store").expect("it is kept").event.deliveries.remove(0);
    assert_eq!(first.state, "dead");
    assert_eq!(first.reason.as_deref(), Some("dropped as the oldest: more than `max_backlog` = 10 waited"));
    life.script(|_, _| 200);
    life.until(MINUTE, |_, queue| queue.backlog == 0).await;
    let seen = life.seen();
    let accepted: BTreeSet<u64> = seen.iter().filter(|one| one.status == 200).map(|one| one.sequence).collect();
    assert_eq!(accepted, (21..=30).collect(), "the latest are those that come");
    assert!(seen.iter().any(|one| one.status == 200 && one.skipped.contains(&"evt_1".into())), "and it is said");
    assert_in_order(&seen);
    life.end().await;
}

#[tokio::test]
async fn without_an_order_nothing_waits_for_another_key_or_attempt() {
    assert_eq!(Scope::default(), Scope::from(""));
    let mut life = Life::begin(sink(), |parcel, _| if parcel.sequence == 1 { 500 } else { 200 }).await;
    let mut events: Vec<NewEvent> = (0..3).map(|_| life.event("a")).collect();
    events.iter_mut().for_each(|event| event.deliveries[0].lane = None);
    let now = life.clock.now();
    let ticket = life.world.store.claim_poll(&JobName::from("orders"), now).await.expect("no error").expect("free");
    let ending = PollEnding {
        outcome: PollOutcome::Complete,
        at: now,
        fingerprints: plain_job("orders").fingerprints,
        scope: ScopeState { sequence: 3, baseline: true, ..ScopeState::default() },
    };
    let changes = PollChanges { events, ..PollChanges::default() };
    let expected = changes.deliveries();
    let tickets =
        life.world.store.commit_poll(ticket, changes, ending, &life.dispatcher.room()).await.expect("committed");
    life.dispatcher.hand_over(tickets, &expected).await;
    let seen = life.attempts(3).await;
    assert_eq!(seen.iter().filter(|one| one.status == 200).count(), 2, "while the first waits for its retry");
    life.end().await;
}
