//! What a person does to a bridge that runs, or does not: list, replay, retry, pause, resume.
//!
//! Each is tried through the commands, and through the API where a command does not reach.

use serde_json::Value;

use crate::support::bridge::{ORDERS, config};
use crate::support::json::{named, rows};
use crate::support::receiver::Hook;
use crate::support::signal::ask_until;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor, http};

/// Orders with these totals, numbered from 1.
fn totals(totals: &[u32]) -> String {
    let orders: Vec<String> =
        (1..).zip(totals).map(|(id, total)| format!(r#"{{"id":{id},"total":{total}}}"#)).collect();
    format!(r#"{{"orders":[{}]}}"#, orders.join(","))
}

fn world(receiver: &Receiver, sink: &str) -> (Vendor, Bridge) {
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, receiver, ORDERS, sink);
    (vendor, bridge)
}

fn post(daemon: &Daemon<'_>, target: &str) -> http::Answer {
    http::ask(daemon.addr, "POST", target, &[], b"").unwrap_or_else(|error| panic!("POST {target}: {error}"))
}

fn deliveries(daemon: &Daemon<'_>, args: &[&str]) -> Vec<Value> {
    rows(&daemon.cli(["deliveries", "--json", "--limit=1000"].iter().chain(args)).ok().json())
}

/// The sequences that each key got, in the order of arrival.
fn of_key(hooks: &[Hook], key: &str) -> Vec<u64> {
    hooks.iter().filter(|hook| hook.key() == key).map(Hook::sequence).collect()
}

fn is_replay(hook: &Hook) -> bool {
    hook.request.header("doorbell-replay") == Some("true")
}

/// A daemon that has delivered one update of each of these many orders.
fn delivered<'a>(vendor: &Vendor, bridge: &'a Bridge, receiver: &Receiver, orders: usize) -> (Daemon<'a>, Vec<Hook>) {
    let daemon = bridge.run();
    vendor.step_json(&totals(&vec![1; orders]));
    vendor.step_json(&totals(&vec![2; orders]));
    let hooks = receiver.wait_for(orders);
    daemon.sink_until("crm", "all to be settled", |sink| sink["backlog"] == 0);
    (daemon, hooks)
}

#[test]
fn a_sink_that_answered_410_is_resumed_and_what_was_held_arrives_in_order() {
    let receiver = Receiver::scripted(|_| Reply::status(410));
    let (vendor, bridge) = world(&receiver, "concurrency = 1");
    let daemon = bridge.run();
    let many = |total: u32| totals(&[total; 20]);
    vendor.step_json(&many(1));
    // Twenty keys, one attempt at a time: the others are in the daemon's hands when the first is answered.
    vendor.step_json(&many(2));
    daemon.sink_until("crm", "the sink to be disabled", |sink| sink["health"] == "disabled");
    vendor.step_json(&many(3));
    vendor.step_json(&many(4));
    daemon.sink_until("crm", "all to be held", |sink| sink["held"] == 60);
    assert_eq!(deliveries(&daemon, &["--state", "held"]).len(), 60);
    receiver.reply(Reply::status(204));
    let said = daemon.cli(["resume", "crm"]).ok().stdout;
    assert!(said.contains("410") && said.contains("60 deliveries"), "{said}");
    let hooks = receiver.wait_for(60);
    for key in 1..=20 {
        let sequences = of_key(&hooks, &key.to_string());
        assert!(sequences.len() == 3 && sequences.is_sorted(), "key {key}: {sequences:?}");
    }
    let sink = daemon.sink_until("crm", "all to be settled", |sink| sink["backlog"] == 0);
    assert_eq!((&sink["health"], &sink["held"], &sink["dead"]), (&"ok".into(), &0.into(), &0.into()), "{sink}");
}

#[test]
fn a_replay_is_the_same_webhook_again_and_says_so() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "");
    let (daemon, hooks) = delivered(&vendor, &bridge, &receiver, 3);
    assert!(!hooks.iter().any(is_replay));
    let id = hooks[1].id.as_str();
    let report = daemon.cli(["replay", id, "--json"]).ok().json();
    assert_eq!((&report["deliveries"], &report["sinks"]["crm"]), (&1.into(), &1.into()), "{report}");
    let again = receiver.wait_for(4).remove(3);
    assert!(is_replay(&again) && again.attempt == 1);
    assert_eq!((&again.id, &again.body), (&hooks[1].id, &hooks[1].body));
    daemon.sink_until("crm", "it to be settled", |sink| sink["backlog"] == 0);
    // The history stays: both deliveries, with an attempt each.
    let event = daemon.cli(["event", id, "--json"]).ok().json();
    assert_eq!((rows(&event["deliveries"]).len(), rows(&event["attempts"]).len()), (2, 2), "{event}");
    assert_eq!(event["deliveries"][1]["replay"], true, "{event}");
}

#[test]
fn a_replay_by_filter_takes_what_is_dead_and_a_dry_run_changes_nothing() {
    let receiver = Receiver::scripted(|hook| Reply::status(if hook.key() == "2" { 204 } else { 413 }));
    let (vendor, bridge) = world(&receiver, "");
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1, 1, 1]));
    vendor.step_json(&totals(&[2, 2, 2]));
    daemon.sink_until("crm", "two to be dead", |sink| sink["dead"] == 2 && sink["backlog"] == 0);
    let filter = ["replay", "--job", "orders", "--sink", "crm", "--state", "dead", "--since", "1h"];
    let with = |more: &[&'static str]| daemon.cli(filter.iter().chain(more));

    let dry = with(&["--dry-run"]).ok().stdout;
    assert!(dry.contains("2 deliveries (2 to crm)"), "{dry}");
    let unsure = with(&[]);
    assert_eq!(unsure.code, Some(2), "{unsure:?}");
    assert!(unsure.stderr.contains("2 deliveries") && unsure.stderr.contains("--yes"), "{unsure:?}");
    assert_eq!((receiver.attempts().len(), &daemon.sink("crm")["dead"]), (3, &Value::from(2)));
    assert_eq!(deliveries(&daemon, &[]).len(), 3);

    receiver.reply(Reply::status(204));
    with(&["--yes"]).ok();
    let hooks = receiver.wait_for(3);
    assert_eq!(hooks.iter().filter(|hook| is_replay(hook)).count(), 2, "{hooks:#?}");
    let sink = daemon.sink_until("crm", "all to be settled", |sink| sink["backlog"] == 0);
    assert_eq!(sink["dead"], 0, "{sink}");
    let none = with(&["--yes"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("nothing to replay"), "{none:?}");
    assert_eq!(deliveries(&daemon, &["--state", "delivered"]).len(), 3);
    assert_eq!(deliveries(&daemon, &[]).len(), 5, "what was dead is kept");
}

#[test]
fn a_replay_by_time_takes_only_what_was_seen_then() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "");
    let (daemon, _) = delivered(&vendor, &bridge, &receiver, 2);
    vendor.step_json(&totals(&[3, 2]));
    receiver.wait_for(3);
    daemon.sink_until("crm", "all to be settled", |sink| sink["backlog"] == 0);
    let newest = &deliveries(&daemon, &[])[0];
    let moment = newest["timestamp"].as_str().expect("a date");
    let count = |args: &[&str]| {
        daemon.cli(["replay", "--dry-run", "--json"].iter().chain(args)).ok().json()["deliveries"].clone()
    };
    assert_eq!(count(&["--since", moment]), 1);
    assert_eq!(count(&["--until", moment]), 2);
    assert_eq!(count(&["--job", "orders"]), 3);
}

#[test]
fn order_per_key_holds_for_replays_too() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "concurrency = 8");
    let daemon = bridge.run();
    for total in 1..=6 {
        vendor.step_json(&totals(&[total, total]));
    }
    receiver.wait_for(10);
    daemon.sink_until("crm", "all to be settled", |sink| sink["backlog"] == 0);
    daemon.cli(["replay", "--sink", "crm", "--yes"]).ok();
    let hooks = receiver.wait_for(20);
    for key in ["1", "2"] {
        let again = of_key(&hooks[10..], key);
        assert!(again.len() == 5 && again.is_sorted(), "{again:?}");
    }
}

#[test]
fn a_paused_sink_gets_nothing_until_it_is_resumed_over_a_restart() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "");
    let (daemon, _) = delivered(&vendor, &bridge, &receiver, 2);
    let said = daemon.cli(["pause", "crm"]).ok().stdout;
    assert!(said.contains("sink crm: paused"), "{said}");
    vendor.step_json(&totals(&[3, 3]));
    let sink = daemon.sink_until("crm", "what came to be held", |sink| sink["held"] == 2);
    assert_eq!(sink["health"], "paused", "{sink}");
    daemon.terminate_with(&vendor);
    let daemon = bridge.run();
    vendor.step_json(&totals(&[4, 3]));
    let sink = daemon.sink_until("crm", "what came to be held", |sink| sink["held"] == 3);
    assert_eq!((&sink["health"], &sink["backlog"]), (&"paused".into(), &0.into()), "{sink}");
    assert!(daemon.cli(["status"]).ok().stdout.contains("paused by hand since"));
    assert!(daemon.cli(["pause", "crm"]).ok().stdout.contains("already"));
    assert_eq!(receiver.attempts().len(), 2);
    daemon.cli(["resume", "crm"]).ok();
    let hooks = receiver.wait_for(5);
    assert!(of_key(&hooks, "1").is_sorted());
    daemon.sink_until("crm", "the sink to be well", |sink| sink["health"] == "ok" && sink["backlog"] == 0);
}

#[test]
fn a_paused_job_is_polled_only_by_hand_over_a_restart() {
    let (vendor, receiver) = (Vendor::of(&totals(&[1])), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    vendor.wait_for_more(2);
    daemon.cli(["pause", "orders"]).ok();
    let job = daemon.job_until("orders", "the job to be paused", |job| job["health"] == "paused");
    assert!(job["next_run"].is_null() && job["paused"].is_string(), "{job}");
    daemon.terminate();

    let before = vendor.count();
    vendor.serve(&totals(&[2]));
    let daemon = bridge.run();
    assert_eq!(daemon.job("orders")["health"], "paused");
    let report = daemon.cli(["poll", "orders", "--commit", "--json"]).ok().json();
    assert_eq!(report["events_total"], 1, "{report}");
    receiver.wait_for(1);
    assert_eq!(daemon.job("orders")["health"], "paused");
    assert_eq!(vendor.count(), before + 1, "nobody else has polled");
    daemon.cli(["resume", "orders"]).ok();
    vendor.wait_for_more(3);
    daemon.job_until("orders", "the job to be well", |job| job["health"] == "ok");
}

#[test]
fn without_a_daemon_the_state_is_worked_on() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "");
    let (daemon, hooks) = delivered(&vendor, &bridge, &receiver, 2);
    daemon.terminate_with(&vendor);
    // No daemon listens at the config's port 0: the commands take the state.
    let text = bridge.cli(["deliveries"]).ok().stdout;
    assert!(text.contains(&hooks[0].id) && text.contains("delivered"), "{text}");
    let filter = ["replay", "--job", "orders"];
    assert!(bridge.cli(filter.iter().chain(&["--dry-run"])).ok().stdout.contains("2 deliveries"));
    let said = bridge.cli(filter.iter().chain(&["--yes"])).ok().stdout;
    assert!(said.contains("queued"), "{said}");
    assert!(bridge.cli(["pause", "orders"]).ok().stdout.contains("job orders: paused"));
    assert_eq!(named(&bridge.cli(["status", "--json"]).ok().json(), "jobs", "orders")["health"], "paused");
    assert!(bridge.cli(["pause", "crm"]).ok().stdout.contains("2 deliveries held"));
    assert_eq!(receiver.attempts().len(), 2);
    assert!(bridge.cli(["resume", "crm"]).ok().stdout.contains("2 deliveries to go"));

    let polls = vendor.count();
    let daemon = bridge.run();
    assert_eq!(receiver.wait_for(4).iter().filter(|hook| is_replay(hook)).count(), 2);
    assert_eq!((vendor.count(), &daemon.job("orders")["health"]), (polls, &Value::from("paused")));
}

#[test]
fn a_pause_before_the_first_run_holds_from_the_start() {
    let (vendor, receiver) = (Vendor::of(&totals(&[1])), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    bridge.cli(["pause", "orders"]).ok();
    let daemon = bridge.run();
    assert_eq!(daemon.job("orders")["health"], "paused");
    assert_eq!(vendor.count(), 0);
}

#[test]
fn a_name_that_is_none_or_two_is_told() {
    let (vendor, receiver) = (Vendor::of(&totals(&[1])), Receiver::start());
    let text = config(&vendor, &receiver, ORDERS, "");
    let bridge = Bridge::with(&text.replace("[sink.crm]", "[sink.orders]").replace("'crm'", "'orders'"));
    let daemon = bridge.run();
    let two = daemon.cli(["pause", "orders"]);
    assert_eq!(two.code, Some(2), "{two:?}");
    assert!(two.stderr.contains("--job") && two.stderr.contains("--sink"), "{two:?}");
    assert!(daemon.cli(["pause", "orders", "--sink"]).ok().stdout.contains("sink orders"));
    assert!(daemon.cli(["resume", "--sink", "orders"]).ok().stdout.contains("sink orders"));
    for args in [&["pause", "ordres"][..], &["replay", "--job", "ordres", "--yes"], &["deliveries", "--sink", "ordres"]]
    {
        let done = daemon.cli(args);
        assert!(matches!(done.code, Some(1 | 2)), "{done:?}");
        assert!(done.stderr.contains("did you mean `orders`?"), "{done:?}");
    }
    for (args, code) in [(&["replay"][..], 2), (&["replay", "--state", "held"], 2), (&["replay", "evt_none"], 1)] {
        assert_eq!(daemon.cli(args).code, Some(code), "{args:?}");
    }
}

#[test]
fn the_api_lists_retries_replays_and_pauses() {
    let receiver = Receiver::scripted(|hook| Reply::status(if hook.key() == "1" { 503 } else { 204 }));
    let (vendor, bridge) = world(&receiver, "retry = ['1h', '1h']");
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1, 1]));
    vendor.step_json(&totals(&[2, 2]));
    let find = |query: &str| rows(&daemon.get(&format!("/api/v1/deliveries{query}")).json());
    let late = ask_until("the failed attempt", || find("?state=due").pop().filter(|row| row["attempts"] == 1));
    ask_until("the other to be delivered", || find("?state=delivered").pop());
    let page = daemon.get("/api/v1/deliveries?limit=1").json();
    let next = page["next"].as_i64().expect("there is another page");
    assert_eq!(find(&format!("?limit=1&after={next}")).len(), 1);

    // An hour's wait is cut short.
    receiver.reply(Reply::status(204));
    let retried = post(&daemon, &format!("/api/v1/deliveries/{}/retry", late["id"])).json();
    assert_eq!((&retried["delivery"], &retried["replay"]), (&late["id"], &Value::from(false)), "{retried}");
    let hooks = receiver.wait_for(2);
    assert_eq!((hooks[1].key(), hooks[1].attempt), ("1", 2));

    let replayed = post(&daemon, &format!("/api/v1/events/{}/replay?sink=crm", hooks[1].id)).json();
    assert_eq!(replayed["deliveries"], 1, "{replayed}");
    assert!(is_replay(&receiver.wait_for(3)[2]));
    daemon.sink_until("crm", "all to be settled", |sink| sink["backlog"] == 0);
    assert_eq!(post(&daemon, "/api/v1/replay?job=orders&dry_run=true").json()["deliveries"], 2);
    assert_eq!(post(&daemon, "/api/v1/sinks/crm/pause").json()["changed"], true);
    assert_eq!(post(&daemon, "/api/v1/sinks/crm/resume").json()["paused"], false);
    assert_eq!(post(&daemon, "/api/v1/jobs/orders/pause").json()["kind"], "job");
    assert_eq!(post(&daemon, "/api/v1/jobs/orders/resume").json()["changed"], true);
    for (target, status, words) in [
        ("/api/v1/replay", 400, "say what to replay"),
        ("/api/v1/replay?state=held", 400, "can't be replayed"),
        ("/api/v1/replay?sink=crn", 404, "did you mean `crm`?"),
        ("/api/v1/events/evt_none/replay", 404, "no event"),
        ("/api/v1/deliveries/99999/retry", 404, "no delivery"),
        ("/api/v1/jobs/ordes/pause", 404, "did you mean `orders`?"),
        ("/api/v1/sinks/crn/resume", 404, "did you mean `crm`?"),
    ] {
        let answer = post(&daemon, target);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/problem+json")),
            "{target}"
        );
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(words), "{target}: {detail}");
    }
    let foreign = http::ask(daemon.addr, "POST", "/api/v1/sinks/crm/pause", &[("origin", "http://evil.example")], b"");
    assert_eq!(foreign.expect("an answer").status, 403);
    assert_eq!(daemon.sink("crm")["health"], "ok");
}

#[test]
fn a_sink_that_is_paused_while_it_retries_is_left_alone() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let (vendor, bridge) = world(&receiver, "retry = ['20ms', '20ms', '20ms', '20ms', '20ms', '20ms', '24h']");
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1]));
    vendor.step_json(&totals(&[2]));
    receiver.wait_until("an attempt", |hooks| !hooks.is_empty());
    daemon.cli(["pause", "crm"]).ok();
    // What is on its way ends; nothing follows, though its moment comes: every poll takes longer than a retry's wait.
    let polls = |count: u32| (0..count).for_each(|_| drop(vendor.step_json(&totals(&[2]))));
    polls(3);
    let attempts = receiver.attempts().len();
    polls(6);
    assert_eq!(receiver.attempts().len(), attempts);
    assert_eq!(deliveries(&daemon, &["--state", "held"]).len(), 1);
    receiver.reply(Reply::status(204));
    daemon.cli(["resume", "crm"]).ok();
    assert!(receiver.wait_for(1)[0].attempt > 1);
}

#[test]
fn what_is_held_is_dropped_by_a_persons_word_only() {
    let receiver = Receiver::scripted(|_| Reply::status(410));
    let (vendor, bridge) = world(&receiver, "");
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1, 1, 1]));
    vendor.step_json(&totals(&[2, 2, 2]));
    daemon.sink_until("crm", "all to be held", |sink| sink["health"] == "disabled" && sink["held"] == 3);
    let unsure = daemon.cli(["drop", "--sink", "crm"]);
    assert_eq!(unsure.code, Some(2), "{unsure:?}");
    assert!(unsure.stderr.contains("3 deliveries (3 to crm)") && unsure.stderr.contains("--yes"), "{unsure:?}");
    let dry = daemon.cli(["drop", "--sink", "crm", "--job", "orders", "--dry-run"]).ok().stdout;
    assert!(dry.contains("held: 3 deliveries (3 to crm): would be dropped"), "{dry}");
    for (args, why) in [
        (&["drop", "--yes"][..], "--sink"),
        (&["drop", "--sink", "cmr", "--yes"], "did you mean `crm`?"),
        (&["drop", "--sink", "crm", "--until", "1h", "--yes"], "nothing to drop"),
    ] {
        let done = daemon.cli(args);
        assert!(done.code != Some(0) && done.stderr.contains(why), "{done:?}");
    }
    assert_eq!(daemon.sink("crm")["held"], 3, "so far nothing was");
    let report = daemon.cli(["drop", "--sink", "crm", "--yes", "--json"]).ok().json();
    assert_eq!((&report["deliveries"], &report["sinks"]["crm"]), (&3.into(), &3.into()), "{report}");
    let dead = deliveries(&daemon, &["--state", "dead"]);
    assert!(dead.len() == 3 && dead.iter().all(|row| row["reason"] == "dropped by hand"), "{dead:#?}");
    receiver.reply(Reply::status(204));
    daemon.cli(["resume", "crm"]).ok();
    daemon.cli(["replay", "--sink", "crm", "--state", "dead", "--yes"]).ok();
    assert!(receiver.wait_for(3).iter().all(is_replay), "what was dropped goes only when it is replayed");
    let answer = post(&daemon, "/api/v1/drop?sink=crm").text();
    assert!(answer.contains(r#""deliveries":0"#), "{answer}");
}

#[test]
fn events_are_asked_for_by_names_and_words_that_are_there() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "");
    let (daemon, _) = delivered(&vendor, &bridge, &receiver, 1);
    let said = daemon.cli(["events", "--job", "ordres"]);
    assert!(said.code == Some(1) && said.stderr.contains("did you mean `orders`?"), "{said:?}");
    for filter in [["--job", "doorbell"], ["--change", "failing"], ["--change", "dead"]] {
        assert_eq!(daemon.cli(["events"].iter().chain(&filter)).ok().stdout, "No events.\n");
    }
    daemon.terminate_with(&vendor);
    let said = bridge.cli(["events", "--job", "ordres"]);
    assert!(said.code == Some(1) && said.stderr.contains("did you mean `orders`?"), "{said:?}");
    assert_eq!(bridge.cli(["events", "--job", "doorbell"]).ok().stdout, "No events.\n");
}

#[test]
fn a_document_that_is_one_item_is_shown_as_such() {
    let receiver = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, "every = '50ms'", "");
    let daemon = bridge.run();
    vendor.step_json(r#"{"status":"up"}"#);
    vendor.step_json(r#"{"status":"down"}"#);
    let id = receiver.wait_for(1).remove(0).id;
    for args in [&["events"][..], &["deliveries"], &["event", &id]] {
        let said = daemon.cli(args).ok().stdout;
        assert!(said.contains("(document)"), "{said}");
    }
}
