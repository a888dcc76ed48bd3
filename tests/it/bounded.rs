//! What must not grow: writes while nothing changes, memory and threads with the number of jobs, the state with its
//! age, and the bill of the vendor after downtime.
//!
//! Limits on one answer or one item are `bad_vendor.rs` and `delivering.rs`.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::bridge::{BY_HAND, ORDERS, config};
use crate::support::json::rows;
use crate::support::receiver::Hook;
use crate::support::signal::ask_until;
use crate::support::{Bridge, Receiver, Reply, Vendor};

const A_DAY_MS: u64 = 86_400_000;

fn order(status: &str) -> String {
    format!(r#"{{"orders":[{{"id":1,"status":"{status}"}},{{"id":2,"status":"paid"}}]}}"#)
}

/// Size and moment of the last change of the state and its log.
fn written(bridge: &Bridge) -> Vec<(u64, Option<SystemTime>)> {
    let about = |name: &str| fs::metadata(bridge.path().join(name)).expect("the state is there");
    ["doorbell.db", "doorbell.db-wal"].map(about).map(|file| (file.len(), file.modified().ok())).to_vec()
}

#[test]
fn unchanged_polls_write_nothing() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    let tagged = |status: &str| Reply::json(order(status)).with("etag", &format!("\"{status}\""));
    vendor.step(tagged("new"));
    vendor.step(tagged("paid"));
    receiver.wait_for(1);
    daemon.sink_until("crm", "the delivery to be settled", |sink| sink["backlog"] == 0);
    let before = written(&bridge);
    for poll in 0..20 {
        // Both ways of being unchanged: the vendor says so, and the bytes say so.
        vendor.step(if poll % 2 == 0 { Reply::status(304) } else { tagged("paid") });
    }
    assert_eq!(written(&bridge), before);
    let job = daemon.job("orders");
    assert_eq!(job["outcome"], "unchanged", "and yet it is known: {job}");
}

/// A config of so many jobs that poll a vendor once a day.
fn many_jobs(vendor: &Vendor, receiver: &Receiver, count: usize) -> String {
    let mut text = config(vendor, receiver, "every = '1d'", "");
    for number in 0..count {
        let table = format!("[job.n{number}]\nvendor = 'shop'\nurl = 'n/{number}'\nevery = '1d'\nsend_to = ['crm']\n");
        text.write_str(&table).expect("text can be written");
    }
    text
}

#[test]
fn twenty_thousand_jobs_need_neither_tasks_nor_threads_nor_connections_of_their_own() {
    const JOBS: usize = 20_000;
    // The vendor never answers: as many polls as may be in flight are.
    let (vendor, receiver) = (Vendor::scripted(|_| Reply::Hang), Receiver::start());
    let bridge = Bridge::with(&many_jobs(&vendor, &receiver, JOBS));
    let daemon = bridge.run();
    vendor.wait_until_asked(64);
    assert_eq!(daemon.get("/healthz").status, 200);
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("the daemon is alive").count();
    assert!(threads < 64, "{threads} threads");
    let (peak, files) = (daemon.peak_rss_kib(), format!("/proc/{}/fd", daemon.pid()));
    assert!(peak < 256 * 1024, "{peak} KiB for {JOBS} jobs");
    let files = fs::read_dir(files).expect("the daemon is alive").count();
    assert!(files < 200, "{files} open files");
    let jobs = daemon.cli(["status", "--json"]).ok().json();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(JOBS + 1));
    assert_eq!(vendor.count(), 64, "`concurrency` bounds the polls in flight");
    daemon.terminate();
}

/// Makes everything in a state that no daemon holds a day older.
fn age(bridge: &Bridge) {
    let db = Connection::open(bridge.state()).expect("the state is SQLite");
    let older = format!(
        "UPDATE event SET at = at - {A_DAY_MS}; UPDATE delivery SET ended = ended - {A_DAY_MS}; \
         UPDATE attempt SET at = at - {A_DAY_MS}; UPDATE item SET gone = gone - {A_DAY_MS}; \
         UPDATE job SET last_poll = last_poll - {A_DAY_MS}, last_success = last_success - {A_DAY_MS}"
    );
    db.execute_batch(&older).expect("the state can be written");
}

fn counted(bridge: &Bridge, table: &str) -> i64 {
    let db = Connection::open(bridge.state()).expect("the state is SQLite");
    db.query_one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("the table is there")
}

#[test]
fn retention_prunes_what_has_ended_and_nothing_else() {
    let receiver = Receiver::scripted(|hook| match hook.key() {
        "3" => Reply::status(500),
        _ => Reply::status(204),
    });
    let vendor = Vendor::of(&order("new"));
    let job = format!("{BY_HAND}deletes = {{ after = 1 }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "retry = ['1h']");
    let poll = |body: &str| {
        vendor.serve(body);
        bridge.cli(["poll", "orders", "--commit"]).ok();
    };
    poll(&order("new"));
    poll(&order("paid"));
    poll(r#"{"orders":[{"id":1,"status":"paid"},{"id":3,"status":"new"}]}"#);
    assert_eq!((counted(&bridge, "event"), counted(&bridge, "attempt"), counted(&bridge, "item")), (3, 3, 3));
    age(&bridge);

    let kept = fs::read_to_string(bridge.path().join("doorbell.toml")).expect("the config is there");
    bridge.write(&kept.replace("[daemon]", "[daemon]\nretention = '1m'"));
    let daemon = bridge.run();
    let left = ask_until("the old events to be pruned", || {
        Some(rows(&daemon.cli(["events", "--json"]).ok().json())).filter(|events| events.len() == 1)
    });
    assert_eq!((&left[0]["key"], &left[0]["change"]), (&"3".into(), &"created".into()), "it has not been delivered");
    ask_until("the item that is gone to be pruned", || (counted(&bridge, "item") == 2).then_some(()));
    assert_eq!(counted(&bridge, "attempt"), 1);

    // The sequence goes on, and an item that was forgotten is new when it comes back.
    vendor.serve(&order("paid"));
    let report = daemon.cli(["poll", "orders", "--commit", "--json"]).ok().json();
    let mut story: Vec<_> = report["events"].as_array().expect("a list").iter().map(told).collect();
    story.sort();
    assert_eq!(story, ["created 2", "deleted 3"]);
    let sequences = report["events"].as_array().expect("a list").iter().map(|event| &event["body"]["data"]["sequence"]);
    assert_eq!(sequences.filter_map(Value::as_u64).max(), Some(5));
}

fn told(event: &Value) -> String {
    format!("{} {}", event["change"].as_str().unwrap_or_default(), event["key"].as_str().unwrap_or_default())
}

/// Runs the daemon until the vendor has been asked so many times.
fn run_for_requests(bridge: &Bridge, vendor: &Vendor, requests: usize) {
    let daemon = bridge.run();
    vendor.wait_for_more(requests);
    daemon.job_until("orders", "its poll to end", |job| job["outcome"].is_string() && job["health"] != "polling");
    daemon.terminate();
}

#[test]
fn l1_downtime_is_followed_by_one_poll_and_a_restart_by_none() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let other = format!("[job.other]\nvendor = 'shop'\nurl = 'other'\nsend_to = ['crm']\n{ORDERS}");
    let often = "every = '1m'\nitems = '$.orders[*]'\nkey = '$.id'\n";
    let bridge = Bridge::with(&(config(&vendor, &receiver, often, "") + &other));
    let polled = |vendor: &Vendor| vendor.requests().iter().filter(|request| request.path() == "/orders").count();

    // A day of downtime is 1,440 polls of `orders` that were missed.
    run_for_requests(&bridge, &vendor, 3);
    age(&bridge);
    let before = polled(&vendor);
    run_for_requests(&bridge, &vendor, 5);
    let after = polled(&vendor) - before;
    assert!((1..=2).contains(&after), "one catch-up (and at most the next minute's poll), not {after}");

    let rarely = often.replace("1m", "366d");
    bridge.write(&(config(&vendor, &receiver, &rarely, "") + &other));
    let before = polled(&vendor);
    run_for_requests(&bridge, &vendor, 5);
    assert_eq!(polled(&vendor), before, "it was polled a moment ago, and its next time is far");
}

#[test]
fn a_flood_of_changes_waits_in_the_store_and_not_in_memory() {
    const ITEMS: usize = 3_000;
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::scripted(|_| Reply::Hang));
    let bridge = Bridge::between(
        &vendor,
        &receiver,
        &format!("{ORDERS}max_events = {ITEMS}"),
        "concurrency = 2\ntimeout = '10m'",
    );
    let daemon = bridge.run();
    let note = "x".repeat(2_000);
    let list = |total: usize| {
        let rows: Vec<_> = (0..ITEMS).map(|id| format!(r#"{{"id":{id},"total":{total},"note":"{note}"}}"#)).collect();
        format!(r#"{{"orders":[{}]}}"#, rows.join(","))
    };
    vendor.step_json(&list(0));
    for total in 1..=3 {
        vendor.step_json(&list(total));
    }
    let sink = daemon.sink("crm");
    assert_eq!(sink["backlog"], 3 * ITEMS, "{sink}");
    // 9,000 bodies of 6 KB are 54 MB; a poll of this size needs some ten times its 6 MB.
    assert!(daemon.peak_rss_kib() < 200 * 1024, "{} KiB", daemon.peak_rss_kib());
    daemon.kill9();
    vendor.abandon();
    receiver.reply(Reply::status(204));
    let _daemon = bridge.run();
    let hooks =
        receiver.wait_until("all of them", |hooks| hooks.iter().filter(|hook| hook.accepted).count() == 3 * ITEMS);
    let mut sequences: Vec<_> = hooks.iter().filter(|hook| hook.accepted).map(Hook::sequence).collect();
    sequences.sort_unstable();
    assert!(sequences.into_iter().eq(1..=3 * ITEMS as u64), "each once");
}

#[test]
fn a_second_poll_waits_until_the_first_has_ended() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    let daemon = bridge.run();
    vendor.wait_pending();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| daemon.cli(["poll", "orders", "--commit", "--json"]).ok().json());
        // Nothing tells when the command has been heard: it has time to, and the test is right when it has not.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(vendor.count(), 1, "a job never overlaps itself");
        vendor.step_json(&order("new"));
        vendor.serve(&order("paid"));
        vendor.run_free();
        let report = asked.join().expect("the command ends");
        assert_eq!((&report["outcome"], &report["baseline"]), (&"complete".into(), &false.into()), "{report}");
        assert_eq!(report["events"].as_array().map(Vec::len), Some(1), "{report}");
    });
    assert_eq!(receiver.wait_for(1)[0].sequence(), 1);
}

#[test]
fn l2_an_answer_of_many_items_costs_memory_for_its_bytes_and_not_for_all_its_trees() {
    const ITEMS: usize = 100_000;
    let mut body = String::from("{\"orders\":[");
    for id in 0..ITEMS {
        let comma = if id == 0 { "" } else { "," };
        write!(body, "{comma}{{\"id\":{id},\"status\":\"new\",\"name\":\"customer {id}\",\"note\":\"{:x<140}\"}}", "")
            .expect("text can be written");
    }
    body.push_str("]}");
    assert!(body.len() > 18 * 1024 * 1024);
    let (vendor, receiver) = (Vendor::of(&body), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    // Trees of all items at once come to twice as much.
    let peak = daemon.peak_rss_kib() / 1024;
    assert!(peak < 115, "{peak} MiB for an answer of {} MiB", body.len() / (1024 * 1024));
    vendor.serve(&body.replace("\"id\":77777,\"status\":\"new\"", "\"id\":77777,\"status\":\"paid\""));
    daemon.cli(["poll", "orders", "--commit"]).ok();
    let hooks = receiver.wait_for(1);
    assert_eq!((hooks[0].change(), hooks[0].key(), hooks[0].sequence()), ("updated", "77777", 1));
}
