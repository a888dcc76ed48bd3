//! The ledger's promises: what is a change, what is a deletion, and what survives restarts and edits of the config.
//!
//! The vendor is in lockstep: each line that calls `step` is one poll, committed when the call returns.

use crate::support::bridge::{BY_HAND, ORDERS, config};
use crate::support::http::Request;
use crate::support::receiver::Hook;
use crate::support::signal::ask_at_once;
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// Orders with these ids, the last with this status.
fn list(ids: &[u32], status: &str) -> String {
    let rows: Vec<_> = ids
        .iter()
        .map(|id| {
            let status = if Some(id) == ids.last() { status } else { "paid" };
            format!(r#"{{"id":{id},"status":"{status}"}}"#)
        })
        .collect();
    format!(r#"{{"orders":[{}]}}"#, rows.join(","))
}

fn tagged(etag: &str, body: &str) -> Reply {
    Reply::json(body).with("etag", etag)
}

/// The number, the change, the key of each, in the order of their numbers.
fn story(hooks: &[Hook]) -> Vec<String> {
    let mut hooks: Vec<_> = hooks.iter().collect();
    hooks.sort_by_key(|hook| hook.sequence());
    hooks.iter().map(|hook| format!("{} {} {}", hook.sequence(), hook.change(), hook.key())).collect()
}

fn if_none_match(request: &Request) -> Option<&str> {
    request.header("if-none-match")
}

/// A vendor in lockstep, a receiver, and a folder with a job of these lines.
fn world(job: &str) -> (Vendor, Receiver, Bridge) {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    (vendor, receiver, bridge)
}

#[test]
fn s7_there_and_back_is_two_events() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let _daemon = bridge.run();
    for status in ["a", "b", "a"] {
        vendor.step_json(&list(&[1], status));
    }
    let hooks = receiver.wait_for(2);
    assert_eq!(story(&hooks), ["1 updated 1", "2 updated 1"]);
    assert_ne!(hooks[0].id, hooks[1].id);
    let mut hooks = hooks;
    hooks.sort_by_key(Hook::sequence);
    assert_eq!(hooks[1].data()["after"]["status"], "a");
}

#[test]
fn s4_an_item_that_is_missing_once_is_not_deleted() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let _daemon = bridge.run();
    for ids in [&[1, 2][..], &[2], &[1, 2], &[2], &[2]] {
        vendor.step_json(&list(ids, "paid"));
    }
    assert_eq!(story(&receiver.wait_for(1)), ["1 deleted 1"]);
}

#[test]
fn s4_the_same_answer_again_is_one_more_observation_of_what_is_missing() {
    let (vendor, receiver, bridge) = world(&format!("{ORDERS}deletes = {{ after = 3 }}"));
    let _daemon = bridge.run();
    vendor.step(tagged("\"1\"", &list(&[1, 2], "paid")));
    vendor.step(tagged("\"2\"", &list(&[2], "paid")));
    let request = vendor.step(Reply::status(304).with("etag", "\"2\""));
    assert_eq!(if_none_match(&request), Some("\"2\""));
    assert_eq!(receiver.attempts().len(), 0, "two observations are not three");
    vendor.step(tagged("\"2\"", &list(&[2], "paid")));
    assert_eq!(story(&receiver.wait_for(1)), ["1 deleted 1"]);
}

#[test]
fn s4_a_failed_poll_is_no_observation() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let _daemon = bridge.run();
    vendor.step_json(&list(&[1, 2], "paid"));
    vendor.step_json(&list(&[2], "paid"));
    vendor.step(Reply::status(500));
    vendor.step_json(&list(&[1, 2], "sent"));
    assert_eq!(story(&receiver.wait_for(1)), ["1 updated 2"]);
}

#[test]
fn s4_in_a_window_absence_means_nothing() {
    let (vendor, receiver, bridge) = world(&format!("{ORDERS}list = 'window'\ndeletes = {{ after = 1 }}"));
    let _daemon = bridge.run();
    for (ids, status) in [(&[1, 2][..], "paid"), (&[2], "paid"), (&[2, 3], "paid"), (&[1], "paid"), (&[1], "sent")] {
        vendor.step_json(&list(ids, status));
    }
    assert_eq!(story(&receiver.wait_for(2)), ["1 created 3", "2 updated 1"]);
}

#[test]
fn s4_an_empty_list_is_empty_and_no_list_is_a_failure() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    vendor.step_json(&list(&[1], "paid"));
    vendor.step_json(r#"{"error":"maintenance"}"#);
    let job = daemon.job("orders");
    assert_eq!((job["outcome"].as_str(), job["items"].as_u64()), (Some("failed"), Some(1)), "{job}");
    vendor.step_json(r#"{"orders":[]}"#);
    vendor.step_json(r#"{"orders":[]}"#);
    assert_eq!(story(&receiver.wait_for(1)), ["1 deleted 1"]);
}

#[test]
fn s1_a_restart_goes_on_where_it_was() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    vendor.step_json(&list(&[1, 2], "paid"));
    vendor.step_json(&list(&[1, 2], "sent"));
    receiver.wait_for(1);
    daemon.kill9();
    vendor.abandon();
    let daemon = bridge.run();
    vendor.step_json(&list(&[1, 2], "sent"));
    vendor.step_json(&list(&[1, 2], "back"));
    assert_eq!(story(&receiver.wait_for(2)), ["1 updated 2", "2 updated 2"]);
    daemon.terminate();
}

#[test]
fn s1_a_change_during_downtime_is_seen_at_the_next_start() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    vendor.step_json(&list(&[1, 2], "paid"));
    daemon.kill9();
    vendor.abandon();
    let _daemon = bridge.run();
    vendor.step_json(&list(&[1, 2], "sent"));
    assert_eq!(story(&receiver.wait_for(1)), ["1 updated 2"]);
}

#[test]
fn s3_a_baseline_that_failed_at_first_is_still_silent() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let _daemon = bridge.run();
    vendor.step(Reply::body("text/html", "<html>starting up</html>"));
    vendor.step_json(&list(&[1, 2], "paid"));
    vendor.step_json(&list(&[1, 2], "sent"));
    assert_eq!(story(&receiver.wait_for(1)), ["1 updated 2"]);
}

#[test]
fn s3_a_baseline_that_was_killed_continues_silently() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    vendor.wait_pending();
    daemon.kill9();
    vendor.abandon();
    let _daemon = bridge.run();
    vendor.step_json(&list(&[1, 2], "paid"));
    vendor.step_json(&list(&[1, 2], "sent"));
    assert_eq!(story(&receiver.wait_for(1)), ["1 updated 2"]);
}

#[test]
fn validators_are_sent_back_as_they_came_and_follow_every_answer() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let _daemon = bridge.run();
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    let first = vendor.step(tagged("W/\"a b\"", &list(&[1], "paid")).with("last-modified", date));
    assert_eq!((if_none_match(&first), first.header("if-modified-since")), (None, None));
    // The same bytes under new validators: the new ones count, and the old ones are gone.
    let second = vendor.step(tagged("\"2\"", &list(&[1], "paid")));
    assert_eq!((if_none_match(&second), second.header("if-modified-since")), (Some("W/\"a b\""), Some(date)));
    // A 304 may bring new ones too (RFC 9111, section 4.3.4).
    let third = vendor.step(Reply::status(304).with("etag", "\"3\""));
    assert_eq!((if_none_match(&third), third.header("if-modified-since")), (Some("\"2\""), None));
    let fourth = vendor.step(tagged("\"4\"", &list(&[1], "sent")));
    assert_eq!(if_none_match(&fourth), Some("\"3\""));
    assert_eq!(story(&receiver.wait_for(1)), ["1 updated 1"]);
}

#[test]
fn validators_outlive_a_restart() {
    let (vendor, _receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    vendor.step(tagged("\"1\"", &list(&[1], "paid")));
    daemon.kill9();
    vendor.abandon();
    let _daemon = bridge.run();
    assert_eq!(if_none_match(&vendor.step(Reply::status(304))), Some("\"1\""));
}

#[test]
fn a_failed_answers_validators_are_not_kept() {
    let (vendor, _receiver, bridge) = world(ORDERS);
    let _daemon = bridge.run();
    vendor.step(tagged("\"1\"", &list(&[1], "paid")));
    vendor.step(tagged("\"broken\"", r#"{"orders":[{"id":"#));
    assert_eq!(if_none_match(&vendor.step_json(&list(&[1], "paid"))), Some("\"1\""));
}

#[test]
fn conditional_false_sends_no_validators() {
    let (vendor, _receiver, bridge) = world(&format!("{ORDERS}conditional = false"));
    let _daemon = bridge.run();
    for _ in 0..3 {
        let reply = tagged("\"1\"", &list(&[1], "paid")).with("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT");
        let request = vendor.step(reply);
        assert_eq!((if_none_match(&request), request.header("if-modified-since")), (None, None));
    }
}

/// Runs a job, edits it, restarts, and shows the new document: the validators that were sent, and what was said.
fn after_edit(old: &str, new: &str, before: &str, after: &str) -> (Option<String>, Vec<String>) {
    let (vendor, receiver, bridge) = world(old);
    let daemon = bridge.run();
    vendor.step(tagged("\"1\"", before));
    daemon.terminate_with(&vendor);
    bridge.write(&config(&vendor, &receiver, new, ""));
    let _daemon = bridge.run();
    let request = vendor.step(tagged("\"2\"", after));
    let sentinel = after.replace("]}", ",{\"id\":\"sentinel\",\"status\":\"new\"}]}");
    vendor.step(tagged("\"3\"", &sentinel));
    let hooks = receiver.wait_until("the sentinel", |hooks| hooks.iter().any(|hook| hook.key() == "sentinel"));
    (if_none_match(&request).map(str::to_owned), story(&hooks))
}

const SENTINEL: &str = "1 created sentinel";

#[test]
fn s5_another_request_drops_validators_and_takes_a_silent_baseline() {
    let new = format!("{ORDERS}query = {{ status = 'open' }}");
    let (etag, said) = after_edit(ORDERS, &new, &list(&[1, 2], "paid"), &list(&[2, 3], "sent"));
    assert_eq!((etag, said), (None, vec![SENTINEL.to_owned()]));
}

#[test]
fn s5_another_selection_takes_a_silent_baseline() {
    let document = |status: &str| {
        format!(r#"{{"old":[{{"id":1,"status":"{status}"}}],"orders":[{{"id":8,"status":"{status}"}}]}}"#)
    };
    let old = ORDERS.replace("$.orders", "$.old");
    let (etag, said) = after_edit(&old, ORDERS, &document("paid"), &document("sent"));
    assert_eq!((etag, said), (None, vec![SENTINEL.to_owned()]));
}

#[test]
fn s5_other_rules_invent_nothing_and_lose_nothing() {
    let new = format!("{ORDERS}watch = ['$.status']");
    let (_, said) = after_edit(ORDERS, &new, &list(&[1, 2], "paid"), &list(&[1, 2], "sent"));
    assert_eq!(said, ["1 updated 2".to_owned(), "2 created sentinel".to_owned()]);
    let (_, said) = after_edit(&new, ORDERS, &list(&[1, 2], "paid"), &list(&[1, 2], "paid"));
    assert_eq!(said, [SENTINEL.to_owned()]);
}

#[test]
fn s5_what_is_not_identity_or_selection_keeps_everything() {
    let new = format!("{}on = ['created', 'updated']\ntimeout = '9s'", ORDERS.replace("50ms", "60ms"));
    let (etag, said) = after_edit(ORDERS, &new, &list(&[1, 2], "paid"), &list(&[1, 2], "sent"));
    assert_eq!(etag.as_deref(), Some("\"1\""));
    assert_eq!(said, ["1 updated 2".to_owned(), "2 created sentinel".to_owned()]);
}

#[test]
fn s4_a_deletion_after_one_poll_where_the_job_says_so() {
    let (vendor, receiver, bridge) = world(&format!("{ORDERS}deletes = {{ after = 1 }}"));
    let _daemon = bridge.run();
    for ids in [&[1, 2][..], &[2], &[1, 2], &[2]] {
        vendor.step_json(&list(ids, "paid"));
    }
    let hooks = receiver.wait_for(3);
    assert_eq!(story(&hooks), ["1 deleted 1", "2 restored 1", "3 deleted 1"]);
    assert_ne!(hooks[0].id, hooks[2].id);
}

#[test]
fn s4_a_dry_poll_is_no_observation() {
    let (vendor, receiver) = (Vendor::of(&list(&[1, 2], "paid")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    let poll = |args: &[&str]| daemon.cli([&["poll", "orders", "--json"], args].concat()).ok().json();
    vendor.serve(&list(&[2], "paid"));
    poll(&["--commit"]);
    let looks = [poll(&[]), poll(&[])];
    assert!(looks.iter().all(|look| look["events"][0]["change"] == "deleted"), "it is what a real one would say");
    vendor.serve(&list(&[1, 2], "paid"));
    assert_eq!(poll(&["--commit"])["events"], serde_json::json!([]));
    assert_eq!(receiver.attempts().len(), 0);
}

#[test]
fn s4_a_query_that_finds_nothing_at_all_is_a_failure_unless_the_job_says_so() {
    let lines = |orders: &str| format!(r#"{{"orders":[{orders}]}}"#);
    let one = lines(r#"{"lines":[{"id":1,"status":"paid"},{"id":2,"status":"paid"}]}"#);
    let job = "every = '50ms'\nitems = '$.orders[*].lines[*]'\nkey = '$.id'\ndeletes = { after = 1 }\n";
    for (empty, outcome, items) in [("", "failed", 2), ("empty = true", "complete", 0)] {
        let (vendor, _receiver, bridge) = world(&format!("{job}{empty}"));
        let daemon = bridge.run();
        vendor.step_json(&one);
        vendor.step_json(&lines(""));
        let job = daemon.job("orders");
        assert_eq!((&job["outcome"], &job["items"]), (&outcome.into(), &items.into()), "`{empty}`: {job}");
    }
}

#[test]
fn s4_an_array_itself_may_be_empty_but_not_missing() {
    let job = "every = '50ms'\nitems = '$[*]'\nkey = '$.id'\ndeletes = { after = 1 }\n";
    let (vendor, receiver, bridge) = world(job);
    let daemon = bridge.run();
    vendor.step_json(r#"[{"id":1}]"#);
    vendor.step_json(r#"{"error":"maintenance"}"#);
    assert_eq!(daemon.job("orders")["outcome"], "failed");
    vendor.step_json("[]");
    assert_eq!(story(&receiver.wait_for(1)), ["1 deleted 1"]);
}

#[test]
fn s5_an_item_that_a_silent_baseline_forgot_comes_back_under_a_new_id() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    vendor.step_json(&list(&[2, 1], "paid"));
    vendor.step_json(&list(&[2, 1], "sent"));
    daemon.terminate_with(&vendor);
    // Another selection and back: of the baseline that follows, nothing is said.
    for (items, ids) in [("$.nothing[*]", &[][..]), ("$.orders[*]", &[2])] {
        bridge.write(&config(&vendor, &receiver, &ORDERS.replace("$.orders[*]", items), ""));
        let daemon = bridge.run();
        vendor.step_json(&list(ids, "paid").replace("[]", "[],\"nothing\":[]"));
        daemon.terminate_with(&vendor);
    }
    let _daemon = bridge.run();
    vendor.step_json(&list(&[2, 1], "sent"));
    let hooks = receiver.wait_for(2);
    assert_eq!(story(&hooks), ["1 updated 1", "2 created 1"]);
    assert_ne!(hooks[0].id, hooks[1].id);
    assert_eq!(hooks[0].data()["after"], hooks[1].data()["after"]);
}

/// Is there a part of a baseline, and not the whole?
fn is_between_chunks(bridge: &Bridge) -> Option<bool> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(bridge.state(), flags).ok()?;
    let items: i64 = db.query_one("SELECT count(*) FROM item", [], |row| row.get(0)).ok()?;
    let baseline = db.query_one("SELECT baseline FROM scope", [], |row| row.get::<_, bool>(0)).ok()?;
    (items > 0).then_some(!baseline)
}

#[test]
fn s3_a_baseline_that_was_killed_between_its_chunks_goes_on_silently() {
    const ITEMS: u32 = 30_000;
    let ids: Vec<u32> = (1..=ITEMS).collect();
    let document = |first: &str, without_the_second: bool| {
        let rows = ids.iter().filter(|id| !without_the_second || **id != 2);
        let rows: Vec<_> =
            rows.map(|id| format!(r#"{{"id":{id},"status":"{}"}}"#, if *id == 1 { first } else { "paid" })).collect();
        format!(r#"{{"orders":[{}]}}"#, rows.join(","))
    };
    // The moment between two chunks is short: it is tried until it has been met.
    for _ in 0..20 {
        let (vendor, receiver) = (Vendor::of(&document("paid", false)), Receiver::start());
        let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
        let daemon = bridge.run();
        ask_at_once("a part of the baseline", || is_between_chunks(&bridge));
        daemon.kill9();
        if is_between_chunks(&bridge) != Some(true) {
            continue;
        }
        vendor.serve(&document("sent", true));
        let daemon = bridge.run();
        daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
        let commit = || daemon.cli(["poll", "orders", "--commit"]).ok();
        vendor.serve(&document("paid", true));
        commit();
        vendor.serve(&document("paid", false));
        commit();
        let hooks = receiver.wait_for(2);
        assert_eq!(story(&hooks), ["1 updated 1", "2 created 2"]);
        assert_eq!(hooks[0].data()["before"]["status"], "sent", "the baseline is what the poll saw that completed it");
        return;
    }
    panic!("the moment between two chunks was never met");
}
