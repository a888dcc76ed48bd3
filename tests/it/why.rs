//! Why there was a webhook for an item, or none: what `doorbell why` tells, and what it costs.
//!
//! The vendor is in lockstep: each line that calls `step` is one poll, committed when the call returns.

use serde_json::Value;

use crate::support::bridge::ORDERS;
use crate::support::signal::ask_until;
use crate::support::{Bridge, Daemon, Receiver, Vendor};

const RULES: &str = "ignore = ['$.seen']\ntolerance = { '$.price' = 1 }\non = ['updated', 'deleted']\n\
                     when = \"change != 'updated' or after.status != 'draft'\"\ndeletes = { after = 3 }\n";

fn list(orders: &[&str]) -> String {
    format!(r#"{{"orders":[{}]}}"#, orders.join(","))
}

fn world(job: &str) -> (Vendor, Receiver, Bridge) {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}{job}"), "");
    (vendor, receiver, bridge)
}

/// The observations of an item, as `--json` prints them.
fn why(daemon: &Daemon<'_>, key: &str) -> Vec<Value> {
    let told = daemon.cli(["why", "orders", key, "--json"]).ok().json();
    told["items"][0]["observations"].as_array().cloned().unwrap_or_default()
}

/// Each as its rule, or its change where it was said.
fn words(observations: &[Value]) -> Vec<&str> {
    observations.iter().map(|seen| seen["rule"].as_str().or(seen["change"].as_str()).unwrap_or("?")).collect()
}

#[test]
fn each_silence_has_its_reason_and_each_event_its_deliveries() {
    let (vendor, receiver, bridge) = world(RULES);
    let daemon = bridge.run();
    let first = r#"{"id":1,"status":"new","price":10,"seen":1}"#;
    let other = r#"{"id":2}"#;
    vendor.step_json(&list(&[first]));
    vendor.step_json(&list(&[r#"{"id":1,"status":"new","price":10.5,"seen":2}"#, other]));
    vendor.step_json(&list(&[r#"{"id":1,"status":"draft","price":10,"seen":3}"#, other]));
    vendor.step_json(&list(&[r#"{"id":1,"status":"paid","price":10,"seen":4}"#]));
    receiver.wait_for(1);
    vendor.step_json(&list(&[r#"{"id":1,"status":"paid","price":10,"seen":4}"#]));

    let seen = ask_until("the delivery has ended", || {
        let seen = why(&daemon, "1");
        (seen[0]["deliveries"][0]["state"] == "delivered").then_some(seen)
    });
    assert_eq!(words(&seen), ["updated", "when", "ignored", "first"], "{seen:#?}");
    let told = |at: usize, what: &str| seen[at][what].to_string();
    assert_eq!((told(0, "changed"), told(0, "ignored")), (r#"["/status"]"#.into(), r#"["/seen"]"#.into()));
    assert_eq!(seen[0]["attempts"][0]["status"], 204);
    assert_eq!(seen[0]["event"], receiver.attempts()[0].id);
    assert_eq!((told(1, "changed"), told(1, "change")), (r#"["/status"]"#.into(), r#""updated""#.into()));
    assert_eq!((told(2, "ignored"), told(2, "tolerated")), (r#"["/seen"]"#.into(), r#"["/price"]"#.into()));

    assert_eq!(words(&why(&daemon, "2")), ["missing", "missing", "on"]);
    let shown = daemon.cli(["why", "orders", "2"]).ok();
    for part in ["missing from the last 2 complete poll(s)", "`on` does not name `created`", "after 3 it counts as"] {
        assert!(shown.stdout.contains(part), "{part}: {shown:#?}");
    }
}

#[test]
fn a_field_that_changes_with_every_poll_has_one_row_and_writes_nothing() {
    let (vendor, _receiver, bridge) = world("ignore = ['$.seen']");
    let daemon = bridge.run();
    let order = |seen: u32| list(&[&format!(r#"{{"id":1,"seen":{seen}}}"#)]);
    vendor.step_json(&order(0));
    vendor.step_json(&order(1));
    assert_eq!(words(&why(&daemon, "1")), ["ignored", "first"]);
    let written = || std::fs::read(bridge.path().join("doorbell.db-wal")).expect("a log of writes");
    let before = written();
    for seen in 2..40 {
        vendor.step_json(&order(seen));
    }
    assert!(written() == before, "polls that say nothing were written");
    assert_eq!(words(&why(&daemon, "1")), ["ignored", "first"]);
}

#[test]
fn the_state_tells_the_same_when_no_daemon_runs_and_a_flickering_item_has_twenty_rows() {
    let (vendor, receiver, bridge) = world("when = 'after.v > 100'");
    let daemon = bridge.run();
    for value in 0..30 {
        vendor.step_json(&list(&[&format!(r#"{{"id":"a/b","v":{value}}}"#)]));
    }
    let running = why(&daemon, "a/b");
    assert_eq!((running.len(), words(&running)[19]), (20, "when"));
    daemon.terminate_with(&vendor);
    let told = bridge.cli(["why", "orders", "a/b", "--json"]).ok().json();
    assert_eq!(told["items"][0]["observations"].as_array(), Some(&running));
    assert!(receiver.attempts().is_empty());
}

#[test]
fn an_item_or_a_job_that_is_not_there_is_told_with_the_nearest() {
    let (vendor, _receiver, bridge) = world("");
    let daemon = bridge.run();
    vendor.step_json(&list(&[r#"{"id":"ORD-7001"}"#]));
    for (job, key, sentence) in [
        ("orders", "ORD-7010", "there is no item `ORD-7010`; did you mean `ORD-7001`?"),
        ("orders", "nothing alike", "the job `orders` never read it, or forgot it after `daemon.retention`"),
        ("ordres", "ORD-7001", "there is no job `ordres`; did you mean `orders`?"),
    ] {
        let done = daemon.cli(["why", job, key]);
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert!(done.stderr.contains(sentence) && done.stdout.is_empty(), "{done:#?}");
    }
    let answer = daemon.get("/api/v1/jobs/orders/items/ORD-7001/why");
    assert_eq!((answer.status, answer.json()["items"][0]["state"].as_str()), (200, Some("present")));
    assert_eq!(daemon.get("/api/v1/jobs/orders/items/x/why").status, 404);
}

/// A list of so many orders with one status.
fn orders(ids: std::ops::RangeInclusive<u32>, status: &str) -> String {
    let rows: Vec<String> = ids.map(|id| format!(r#"{{"id":{id},"status":"{status}","seen":"{status}"}}"#)).collect();
    format!(r#"{{"orders":[{}]}}"#, rows.join(","))
}

fn told(daemon: &Daemon<'_>, key: &str) -> String {
    daemon.cli(["why", "orders", key]).ok().stdout
}

#[test]
fn a_deletion_that_is_held_says_so_once_and_what_to_type() {
    let (vendor, _receiver, bridge) = world("deletes = { after = 2 }");
    let daemon = bridge.run();
    vendor.step_json(&orders(1..=30, "new"));
    vendor.step_json(&orders(1..=15, "new"));
    vendor.step_json(&orders(1..=15, "new"));
    let seen = why(&daemon, "20");
    assert_eq!(words(&seen), ["held", "missing", "first"], "{seen:#?}");
    assert_eq!((seen[0]["change"].as_str(), seen[0]["changed"].to_string()), (Some("deleted"), r#"[""]"#.to_owned()));
    let shown = told(&daemon, "20");
    for part in ["silent (held): deleted", "15 deletions", "`doorbell approve orders`", "`doorbell reject orders`"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(seen[0]["reason"].as_str().is_some_and(|reason| reason.contains("doorbell approve orders")), "{seen:#?}");
    assert_eq!(words(&why(&daemon, "3")), ["first"], "it is in the list");

    for _ in 0..30 {
        vendor.step_json(&orders(1..=15, "new"));
    }
    assert_eq!(why(&daemon, "20"), seen, "a hold that goes on is one row");
    vendor.step_json(&orders(1..=14, "new"));
    vendor.step_json(&orders(1..=14, "new"));
    assert_eq!(words(&why(&daemon, "15")), ["held", "missing", "first"], "it came to the hold later");
    assert_eq!(why(&daemon, "20")[0]["timestamp"], seen[0]["timestamp"]);

    daemon.cli(["reject", "orders"]).ok();
    // The first is a poll that had begun before.
    for _ in 0..3 {
        vendor.step_json(&orders(1..=14, "new"));
    }
    assert_eq!(words(&why(&daemon, "20"))[..3], ["held", "rejected", "held"], "it was missing anew");
    let shown = told(&daemon, "20");
    assert_eq!(shown.matches("doorbell approve orders").count(), 1, "only the hold of now can be answered: {shown}");
    daemon.cli(["approve", "orders"]).ok();
    vendor.step_json(&orders(1..=14, "new"));
    vendor.step_json(&orders(1..=14, "new"));
    let seen = why(&daemon, "20");
    assert_eq!(words(&seen)[..2], ["deleted", "held"], "{seen:#?}");
    assert!(!told(&daemon, "20").contains("doorbell approve"), "nothing is held any more");
}

#[test]
fn an_event_of_a_poll_that_is_held_says_so_and_what_differed() {
    let (vendor, receiver, bridge) = world("max_events = 12\nignore = ['$.seen']");
    let daemon = bridge.run();
    vendor.step_json(&orders(1..=15, "new"));
    for _ in 0..5 {
        vendor.step_json(&orders(1..=16, "paid"));
    }
    let seen = why(&daemon, "7");
    assert_eq!(words(&seen), ["held", "first"], "{seen:#?}");
    let row = &seen[0];
    assert_eq!((&row["change"], row["changed"].to_string()), (&"updated".into(), r#"["/status"]"#.to_owned()));
    assert_eq!(row["ignored"].to_string(), r#"["/seen"]"#);
    let shown = told(&daemon, "16");
    for part in ["orders 16: new, and waiting", "silent (held): created", "16 events", "`doorbell approve orders`"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    daemon.terminate_with(&vendor);

    let told = bridge.cli(["why", "orders", "7", "--json"]).ok().json();
    assert_eq!(told["items"][0]["observations"].as_array(), Some(&seen), "the state says the same");
    let daemon = bridge.run();
    for _ in 0..3 {
        vendor.step_json(&orders(1..=16, "paid"));
    }
    assert_eq!(why(&daemon, "7"), seen, "over a restart, too");
    daemon.cli(["approve", "orders"]).ok();
    vendor.step_json(&orders(1..=16, "paid"));
    vendor.step_json(&orders(1..=16, "paid"));
    receiver.wait_for(16);
    assert_eq!(words(&why(&daemon, "7")), ["updated", "held", "first"]);
}

#[test]
fn an_item_of_a_baseline_that_is_not_whole_says_that_nothing_is_said_before_it_is() {
    let page = "pages = { style = 'next_url', at = '$.next' }";
    let (vendor, _receiver, bridge) = world(page);
    let daemon = bridge.run();
    let first = r#"{"orders":[{"id":1}],"next":"orders?page=2"}"#;
    for _ in 0..3 {
        vendor.step_json(first);
        vendor.step(crate::support::Reply::status(500));
    }
    let seen = why(&daemon, "1");
    assert_eq!(words(&seen), ["held"], "{seen:#?}");
    assert!(told(&daemon, "1").contains("`doorbell approve orders` accepts it as it is"), "{seen:#?}");
    daemon.cli(["approve", "orders"]).ok();
    for _ in 0..2 {
        vendor.step_json(first);
        vendor.step(crate::support::Reply::status(500));
    }
    assert_eq!(words(&why(&daemon, "1")), ["first"], "it was accepted");
}
