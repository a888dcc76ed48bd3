//! Batches on the wire: one signed array, one id, the same bytes on every attempt, over kills too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::bridge::{ORDERS, config};
use crate::support::json::rows;
use crate::support::receiver::Hook;
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// Orders with this total, numbered from 1.
fn orders(count: usize, total: u32) -> String {
    let list: Vec<Value> = (1..=count).map(|id| json!({ "id": id, "total": total })).collect();
    json!({ "orders": list }).to_string()
}

/// The sequences of a batch's events.
fn sequences(hook: &Hook) -> Vec<u64> {
    let events = hook.json.as_array().expect("an array");
    events.iter().filter_map(|event| event["data"]["sequence"].as_u64()).collect()
}

/// One id, one body.
fn assert_same_bytes(hooks: &[Hook]) {
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for hook in hooks {
        assert_eq!(*bodies.entry(&hook.id).or_insert(&hook.body), &hook.body[..], "{} has other bytes", hook.id);
    }
}

#[test]
fn events_of_a_poll_go_in_one_signed_request_and_are_shown_with_it() {
    let receiver = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "batch = { max = 4, wait = '50ms' }");
    let daemon = bridge.run();
    vendor.step_json(&orders(6, 1));
    vendor.step_json(&orders(6, 2));
    let hooks = receiver.wait_for(2);
    assert_eq!(hooks.iter().map(|hook| sequences(hook).len()).collect::<BTreeSet<_>>(), BTreeSet::from([2, 4]));
    assert!(hooks.iter().all(|hook| hook.id.starts_with("bat_") && hook.id.len() == 30));
    assert_eq!(hooks[0].request.header("content-type"), Some("application/json"));
    daemon.sink_until("crm", "the end", |sink| sink["backlog"] == 0);
    let shown = daemon.cli(["deliveries"]).ok().stdout;
    assert!(hooks.iter().all(|hook| shown.contains(&format!("in the batch {}", hook.id))), "{shown}");
    let batch = &hooks[0];
    let members = daemon.cli(["event", &batch.id]).ok().stdout;
    assert!(members.starts_with(&format!("{}  a batch of {}", batch.id, sequences(batch).len())), "{members}");
    assert_eq!(members.matches("evt_").count(), sequences(batch).len(), "{members}");
    let replay = daemon.cli(["replay", &batch.id]);
    assert!(replay.code == Some(1) && replay.stderr.contains("replayed by the ids of its events"), "{replay:?}");
    let listed = daemon.cli(["deliveries", "--batch", &batch.id, "--json"]).ok().json();
    assert_eq!(rows(&listed).len(), sequences(batch).len());
    let none = daemon.cli(["event", "bat_none"]);
    assert!(none.code == Some(1) && none.stderr.contains("there is no batch `bat_none`"), "{none:?}");
    let hint = daemon.get(&format!("/api/v1/events/{}", batch.id)).text();
    assert!(hint.contains("/api/v1/deliveries?batch="), "{hint}");
    daemon.terminate();
}

#[test]
fn a_batch_that_was_replayed_is_one_of_as_many_events() {
    let (receiver, vendor) = (Receiver::start(), Vendor::in_lockstep());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "batch = { max = 4, wait = '1h' }");
    let daemon = bridge.run();
    vendor.step_json(&orders(4, 1));
    vendor.step_json(&orders(4, 2));
    receiver.wait_for(1);
    daemon.sink_until("crm", "the end", |sink| sink["backlog"] == 0);
    daemon.cli(["replay", "--sink", "crm", "--yes"]).ok();
    let attempts = receiver.wait_until("the replay", |hooks| hooks.len() == 2);
    assert_eq!(attempts[0].id, attempts[1].id);
    daemon.sink_until("crm", "the end", |sink| sink["backlog"] == 0);
    let shown = daemon.cli(["event", &attempts[0].id]).ok().stdout;
    assert!(shown.starts_with(&format!("{}  a batch of 4:", attempts[0].id)), "{shown}");
    assert_eq!(shown.matches("evt_").count(), 8, "two deliveries of each: {shown}");
}

#[test]
fn a_cloudevents_batch_has_a_content_type_of_its_own() {
    let receiver = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let sink = "format = 'cloudevents'\nbatch = { wait = '1ms' }";
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, sink);
    let _daemon = bridge.run();
    vendor.step_json(&orders(2, 1));
    vendor.step_json(&orders(2, 2));
    let hooks = receiver.wait_for(1);
    let expected = Some("application/cloudevents-batch+json; charset=UTF-8");
    assert_eq!(hooks[0].request.header("content-type"), expected);
    assert_eq!(hooks[0].json[1]["specversion"], "1.0");
}

#[test]
fn a_batch_whose_answer_never_came_because_of_a_kill_comes_again_as_it_was() {
    // The receiver has the request, and the daemon waits for an answer: that is when it is killed.
    let receiver = Receiver::scripted(|_| Reply::Hang);
    let vendor = Vendor::in_lockstep();
    let sink = "batch = { max = 3, wait = '1h' }\ntimeout = '10m'";
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, sink);
    let daemon = bridge.run();
    vendor.step_json(&orders(3, 1));
    vendor.step_json(&orders(3, 2));
    receiver.wait_until("the batch", |hooks| !hooks.is_empty());
    daemon.kill9();
    vendor.abandon();
    receiver.reply(Reply::status(204));
    let daemon = bridge.run();
    let delivered = receiver.wait_for(1).remove(0);
    daemon.sink_until("crm", "the end", |sink| sink["backlog"] == 0);
    let attempts = receiver.attempts();
    assert_eq!(attempts.len(), 2, "once more, and no more");
    assert_eq!((&attempts[0].id, &attempts[0].body), (&delivered.id, &delivered.body));
    assert_eq!(sequences(&delivered), [1, 2, 3]);
}

#[test]
fn a_daemon_that_is_killed_while_its_batches_fail_sends_the_same_again() {
    let receiver = Receiver::scripted(|_| Reply::Cut);
    let vendor = Vendor::in_lockstep();
    let ladder = ["'20ms'"; 30].join(", ");
    let sink = format!("batch = {{ max = 3, wait = '1ms' }}\nretry = [{ladder}]");
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, &sink);
    let daemon = bridge.run();
    vendor.step_json(&orders(7, 1));
    vendor.step_json(&orders(7, 2));
    receiver.wait_until("attempts", |hooks| hooks.len() >= 3);
    vendor.abandon();
    daemon.kill9();
    for _ in 0..4 {
        let before = receiver.attempts().len();
        let daemon = bridge.run();
        receiver.wait_until("more attempts", |hooks| hooks.len() > before);
        daemon.kill9();
    }
    // Without batches from now on: those that were sent go as they are.
    bridge.write(&config(&vendor, &receiver, ORDERS, &format!("retry = [{ladder}]")));
    receiver.reply(Reply::status(204));
    let daemon = bridge.run();
    daemon.sink_until("crm", "everything", |sink| sink["backlog"] == 0);
    let hooks = receiver.attempts();
    assert_same_bytes(&hooks);
    let arrived: BTreeSet<u64> = hooks
        .iter()
        .filter(|hook| hook.accepted)
        .flat_map(|hook| if hook.json.is_array() { sequences(hook) } else { vec![hook.sequence()] })
        .collect();
    assert_eq!(arrived, (1..=7).collect(), "every event arrived");
    assert_eq!(daemon.sink("crm")["dead"], 0);
}
