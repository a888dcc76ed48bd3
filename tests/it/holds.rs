//! What waits for a person: mass deletions, polls with too many events, baselines that are never whole; and deletions
//! that the vendor itself has to confirm.
//!
//! Polls are made by hand where their number counts, and by a daemon where it is about what a daemon does by itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::bridge::{BY_HAND, ORDERS, config};
use crate::support::http::Request;
use crate::support::pages::{changes, number, outcome, partial, poll};
use crate::support::signature::SECRET;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const AFTER_1: &str = "deletes = { after = 1 }";

/// A document of these orders, all with one status.
fn orders(ids: impl IntoIterator<Item = usize>, status: &str) -> String {
    let rows: Vec<String> = ids.into_iter().map(|id| format!(r#"{{"id":{id},"status":"{status}"}}"#)).collect();
    format!(r#"{{"orders":[{}]}}"#, rows.join(","))
}

/// A vendor with these orders, polled by hand; the baseline was read.
fn world(ids: RangeInclusive<usize>, job: &str) -> (Vendor, Receiver, Bridge) {
    let (vendor, receiver) = (Vendor::of(&orders(ids, "new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{BY_HAND}{job}"), "");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    (vendor, receiver, bridge)
}

fn job(bridge: &Bridge) -> Value {
    bridge.cli(["status", "--json"]).ok().json()["jobs"][0].clone()
}

/// How many deletions and events the last poll left waiting.
fn held(bridge: &Bridge) -> (u64, u64) {
    let held = &job(bridge)["held"];
    (held["deletions"].as_u64().unwrap_or(0), held["events"].as_u64().unwrap_or(0))
}

fn count(report: &Value) -> usize {
    changes(report).len()
}

#[test]
fn s4_a_mass_deletion_is_held_while_everything_else_goes_out() {
    let (vendor, _receiver, bridge) = world(1..=30, "deletes = { after = 2 }");
    vendor.serve(&orders((1..=18).chain([31]), "new"));
    assert_eq!(changes(&poll(&bridge)), ["created 31"], "missing once");
    let report = poll(&bridge);
    assert_eq!((outcome(&report), count(&report)), ("unchanged", 0));
    assert_eq!((report["held"]["deletions"].as_u64(), report["held"]["of"].as_u64()), (Some(12), Some(31)));
    vendor.serve(&orders((1..=18).chain([31, 32]), "paid"));
    let report = poll(&bridge);
    assert_eq!((outcome(&report), count(&report)), ("complete", 20), "additions and updates go out");
    assert_eq!(held(&bridge), (12, 0));
    let shown = bridge.cli(["status"]).ok().stdout;
    assert!(shown.contains("held") && shown.contains("12 deletions of 31 items"), "{shown}");
    assert!(shown.contains("`doorbell approve orders`"), "{shown}");
    assert_eq!(job(&bridge)["health"], "held");
    assert_eq!(job(&bridge)["items"], 32, "they are still in the ledger");
}

#[test]
fn s4_an_approval_survives_a_restart_and_releases_what_was_shown_once() {
    let (vendor, _receiver, bridge) = world(1..=30, AFTER_1);
    vendor.serve(&orders(1..=15, "new"));
    assert_eq!(count(&poll(&bridge)), 0);
    let report = bridge.cli(["approve", "orders", "--json"]).ok().json();
    assert_eq!((&report["held"]["deletions"], &report["held"]["answer"]), (&15.into(), &"approved".into()));
    assert_eq!(job(&bridge)["held"]["answer"], "approved");
    let report = poll(&bridge);
    assert_eq!((outcome(&report), count(&report)), ("unchanged", 15), "the same answer says again what was held");
    assert!(changes(&report).iter().all(|change| change.starts_with("deleted ")));
    assert_eq!(job(&bridge)["held"], Value::Null);
    vendor.serve(&orders(1..=3, "new"));
    assert_eq!(count(&poll(&bridge)), 0, "the approval is used up");
    assert_eq!(held(&bridge), (12, 0));
}

#[test]
fn s4_more_than_was_approved_is_held_again() {
    let (vendor, _receiver, bridge) = world(1..=30, AFTER_1);
    vendor.serve(&orders(1..=15, "new"));
    poll(&bridge);
    let since = job(&bridge)["held"]["since"].clone();
    bridge.cli(["approve", "orders"]).ok();
    vendor.serve(&orders(1..=14, "new"));
    assert_eq!(count(&poll(&bridge)), 0);
    let now = &job(&bridge)["held"];
    assert_eq!((&now["deletions"], &now["answer"]), (&16.into(), &Value::Null));
    assert_ne!(now["since"], since);
    bridge.cli(["approve", "orders"]).ok();
    vendor.serve(&orders(1..=16, "new"));
    assert_eq!(count(&poll(&bridge)), 14, "fewer than were approved");
}

#[test]
fn a_poll_that_fails_tells_what_is_held_as_any_other_does() {
    let (vendor, _receiver, bridge) = world(1..=30, AFTER_1);
    vendor.serve(&orders(1..=15, "new"));
    let held = poll(&bridge)["held"].clone();
    assert_eq!(held["deletions"], 15);
    vendor.reply(Reply::status(500));
    for commit in [None, Some("--commit")] {
        let poll = |json| bridge.cli(["poll", "orders"].into_iter().chain(commit).chain(json));
        let report = poll(Some("--json")).json();
        assert_eq!((outcome(&report), &report["held"]), ("failed", &held));
        let shown = poll(None).stdout;
        assert!(shown.contains("held: 15 deletions of 30 items"), "{shown}");
    }
}

#[test]
fn s4_what_comes_back_was_never_gone() {
    let (vendor, _receiver, bridge) = world(1..=30, AFTER_1);
    vendor.serve(&orders([], "new"));
    assert_eq!(count(&poll(&bridge)), 0);
    assert_eq!(held(&bridge), (30, 0));
    vendor.serve(&orders(1..=28, "new"));
    assert_eq!(changes(&poll(&bridge)), ["deleted 29", "deleted 30"], "two are no mass");
    assert_eq!(job(&bridge)["held"], Value::Null);
}

#[test]
fn s4_rejected_items_stay_until_they_have_been_missing_anew() {
    let (vendor, _receiver, bridge) = world(1..=30, "deletes = { after = 3 }");
    vendor.serve(&orders(1..=15, "new"));
    for _ in 0..3 {
        poll(&bridge);
    }
    assert_eq!(held(&bridge), (15, 0));
    let said = bridge.cli(["reject", "orders"]).ok().stdout;
    assert!(said.contains("rejected 15 deletions of 30 items"), "{said}");
    assert_ne!(job(&bridge)["health"], "held");
    for _ in 0..2 {
        assert_eq!(count(&poll(&bridge)), 0);
        assert_eq!(held(&bridge), (0, 0));
    }
    poll(&bridge);
    assert_eq!(held(&bridge), (15, 0), "three polls without them since the rejection");
    vendor.serve(&orders(1..=30, "new"));
    assert_eq!(count(&poll(&bridge)), 0, "seen again");
}

#[test]
fn s4_the_share_is_the_configs_and_ten_are_never_a_mass() {
    let (vendor, _receiver, bridge) = world(1..=30, "deletes = { after = 1, hold_above = '60%' }");
    vendor.serve(&orders(1..=12, "new"));
    assert_eq!(count(&poll(&bridge)), 18, "60% is not above 60%");
    vendor.serve(&orders(1..=2, "new"));
    assert_eq!(count(&poll(&bridge)), 10, "ten");
}

#[test]
fn a_poll_with_too_many_events_is_held_as_a_whole() {
    let (vendor, _receiver, bridge) = world(1..=30, "max_events = 20");
    vendor.serve(&orders(1..=30, "paid"));
    for _ in 0..2 {
        let report = poll(&bridge);
        assert_eq!((outcome(&report), count(&report)), ("complete", 0), "and not unchanged: it was not taken");
        assert_eq!(held(&bridge), (0, 30));
    }
    let asked = vendor.requests().last().expect("a request").header("if-none-match").map(str::to_owned);
    assert_eq!(asked, None);
    bridge.cli(["approve", "orders"]).ok();
    vendor.serve(&orders(1..=31, "paid"));
    assert_eq!(count(&poll(&bridge)), 0, "more than was approved");
    assert_eq!(held(&bridge), (0, 31));
    bridge.cli(["approve", "orders"]).ok();
    let report = poll(&bridge);
    assert_eq!(count(&report), 31);
    let sequences: Vec<_> = report["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["body"]["data"]["sequence"].as_u64())
        .collect();
    assert_eq!(sequences, (1..=31).map(Some).collect::<Vec<_>>(), "what was held took no number");
    vendor.serve(&orders(1..=31, "sent"));
    assert_eq!(count(&poll(&bridge)), 0, "the approval is used up");
    bridge.cli(["reject", "orders"]).ok();
    poll(&bridge);
    assert_eq!((job(&bridge)["health"].as_str(), held(&bridge)), (Some("ok"), (0, 31)), "held, and quiet");
    vendor.serve(&orders(1..=31, "paid"));
    assert_eq!(count(&poll(&bridge)), 0);
    assert_eq!(job(&bridge)["held"], Value::Null, "nothing differs any more");
}

#[test]
fn deletions_count_among_the_events_of_a_poll_and_an_approval_holds_for_both() {
    let (vendor, _receiver, bridge) = world(1..=60, "deletes = { after = 1 }\nmax_events = 20");
    vendor.serve(&orders(1..=41, "new"));
    assert_eq!(count(&poll(&bridge)), 0, "19 deletions are more than the share");
    bridge.cli(["approve", "orders"]).ok();
    assert_eq!(count(&poll(&bridge)), 19);
    vendor.serve(&orders(1..=25, "paid"));
    assert_eq!(count(&poll(&bridge)), 0);
    assert_eq!(held(&bridge), (16, 25));
    bridge.cli(["approve", "orders"]).ok();
    assert_eq!(count(&poll(&bridge)), 41);
    let first = Receiver::start();
    let emit = Bridge::between(&vendor, &first, &format!("{BY_HAND}first = 'emit'\nmax_events = 20"), "");
    assert_eq!(count(&poll(&emit)), 25, "a first poll that is to be told is not held");
}

#[test]
fn a_deletion_is_confirmed_by_the_vendor() {
    let statuses = Arc::new(Mutex::new(BTreeMap::from([(4, 404), (5, 410), (6, 200), (7, 500), (8, 403)])));
    let list = Arc::new(Mutex::new(orders(1..=8, "new")));
    let (status_of, listed) = (Arc::clone(&statuses), Arc::clone(&list));
    let vendor = Vendor::scripted(move |request| match request.path().strip_prefix("/orders/") {
        Some(id) => match status_of.lock().expect("no panic").get(&id.parse().unwrap_or(0)) {
            Some(200) => Reply::json("{}"),
            status => Reply::status(status.copied().unwrap_or(500)),
        },
        None => Reply::json(listed.lock().expect("no panic").clone()),
    });
    let receiver = Receiver::start();
    let job = format!(
        "{BY_HAND}auth = {{ type = 'bearer', token = 'secret-token' }}\nquery = {{ limit = 100 }}\n\
         deletes = {{ after = 1, confirm = 'orders/{{{{ key }}}}' }}"
    );
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    poll(&bridge);
    *list.lock().expect("no panic") = orders(1..=3, "new");
    let report = poll(&bridge);
    assert_eq!(
        (outcome(&report), changes(&report)),
        ("complete", vec!["deleted 4".to_owned(), "deleted 5".to_owned()])
    );
    let asked: Vec<_> =
        vendor.requests().into_iter().filter(|request| request.path().starts_with("/orders/")).collect();
    assert_eq!(asked.len(), 5, "one for each");
    assert!(asked.iter().all(|request| request.header("authorization") == Some("Bearer secret-token")));
    assert!(asked.iter().all(|request| !request.target.contains('?')), "the query of the list is not theirs");
    assert_eq!(report["requests"].as_array().map(Vec::len), Some(6), "they are shown");

    let before = vendor.count();
    poll(&bridge);
    assert_eq!(vendor.count() - before, 1 + 2, "who answered is not asked for at once again, who failed is");
    statuses.lock().expect("no panic").insert(7, 404);
    assert_eq!(changes(&poll(&bridge)), ["deleted 7"]);
    *list.lock().expect("no panic") = orders([1, 2, 3, 6, 8], "new");
    assert_eq!(count(&poll(&bridge)), 0, "they were never gone");
}

#[test]
fn a_mass_deletion_is_not_even_asked_for_before_it_is_approved() {
    let list = Arc::new(Mutex::new(orders(1..=20, "new")));
    let listed = Arc::clone(&list);
    let vendor = Vendor::scripted(move |request| match request.path() {
        "/orders" => Reply::json(listed.lock().expect("no panic").clone()),
        _ => Reply::status(404),
    });
    let receiver = Receiver::start();
    let job = format!("{BY_HAND}deletes = {{ after = 1, confirm = 'orders/{{{{ key }}}}' }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    poll(&bridge);
    *list.lock().expect("no panic") = orders(1..=5, "new");
    let before = vendor.count();
    assert_eq!((count(&poll(&bridge)), vendor.count() - before), (0, 1));
    bridge.cli(["approve", "orders"]).ok();
    assert_eq!((count(&poll(&bridge)), vendor.count() - before), (15, 1 + 1 + 15));
}

#[test]
fn a_baseline_that_is_never_whole_is_accepted_as_it_is() {
    let vendor = Vendor::scripted(|request| match request.target.contains("page=2") {
        true => Reply::status(500),
        false => Reply::json(orders(1..=10, "new")),
    });
    let receiver = Receiver::start();
    let job = format!("{BY_HAND}pages = {{ style = 'page', param = 'page', size = 10 }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    partial(&poll(&bridge), "page 2");
    let shown = bridge.cli(["status"]).ok().stdout;
    assert!(shown.contains("`doorbell approve orders` accepts it as it is"), "{shown}");
    let refused = bridge.cli(["reject", "orders"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    bridge.cli(["approve", "orders"]).ok();
    let report = poll(&bridge);
    partial(&report, "page 2");
    assert_eq!(count(&report), 0);
    vendor.script(|request| match request.target.contains("page=2") {
        true => Reply::status(500),
        false => Reply::json(orders(1..=10, "paid")),
    });
    let report = poll(&bridge);
    partial(&report, "page 2");
    assert_eq!(count(&report), 10, "now they are changes");
}

/// Fifteen orders on three pages, of which one may fail.
fn three_pages(failing: Option<u8>) -> impl Fn(&Request) -> Reply + Send + 'static {
    move |request| match number(request, "page", 1) {
        page if failing.is_some_and(|failing| page == usize::from(failing)) => Reply::status(500),
        page if page <= 3 => Reply::json(orders(page * 5 - 4..=page * 5, "new")),
        _ => Reply::json(orders([], "new")),
    }
}

#[test]
fn s5_what_an_edit_of_the_key_left_behind_is_gone_without_a_word_once_its_baseline_is_accepted() {
    let (vendor, receiver) = (Vendor::scripted(three_pages(None)), Receiver::start());
    let job = format!("{BY_HAND}{AFTER_1}\npages = {{ style = 'page', param = 'page', size = 5 }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    bridge.write(&config(&vendor, &receiver, &job.replace("'$.id'", "['$.id', '$.status']"), ""));
    vendor.script(three_pages(Some(3)));
    partial(&poll(&bridge), "page 3");
    bridge.cli(["approve", "orders"]).ok();
    vendor.script(three_pages(Some(2)));
    let report = poll(&bridge);
    partial(&report, "page 2");
    assert_eq!(count(&report), 0);
    assert_eq!(job_items(&bridge), 10, "the two pages that were read, be it by two polls");
    vendor.script(three_pages(None));
    let report = poll(&bridge);
    let told: Vec<String> = (11..=15).map(|id| format!("created [{id},\"new\"]")).collect();
    assert_eq!((outcome(&report), changes(&report)), ("complete", told), "what was not read before");
    assert_eq!((held(&bridge), job_items(&bridge)), ((0, 0), 15));
}

fn job_items(bridge: &Bridge) -> u64 {
    job(bridge)["items"].as_u64().expect("a number of items")
}

#[test]
fn l3_a_hold_rings_once_and_says_how_many_and_which() {
    let (vendor, crm, ops) = (Vendor::of(&orders(1..=30, "new")), Receiver::start(), Receiver::start());
    let ops_sink = format!("[sink.ops]\nurl = '{}'\nsecret = '{SECRET}'\nretry = []\n", ops.url());
    let text = config(&vendor, &crm, &format!("{ORDERS}{AFTER_1}"), "retry = []");
    let bridge = Bridge::with(&format!("{text}\n{ops_sink}\n[alerts]\nsend_to = ['ops']\n"));
    let daemon = bridge.run();
    daemon.job_until("orders", "a good poll", |job| job["health"] == "ok");
    vendor.serve(&orders(1..=10, "new"));
    let hooks = ops.wait_for(1);
    assert_eq!(hooks[0].json["type"], "doorbell.job.held");
    let data = hooks[0].data();
    assert_eq!((&data["job"], &data["deletions"], &data["events"]), (&"orders".into(), &20.into(), &0.into()));
    assert_eq!(data["keys"].as_array().map(Vec::len), Some(10), "some of them");
    assert!(data["reason"].as_str().is_some_and(|reason| reason.contains("doorbell approve orders")), "{data}");
    vendor.wait_for_more(3);
    daemon.terminate();
    let daemon = bridge.run();
    vendor.wait_for_more(3);
    assert_eq!(ops.attempts().len(), 1, "once, over restarts too");
    assert_eq!(crm.attempts().len(), 0);
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.contains("doorbell_job_held{job=\"orders\",what=\"deletions\"} 20"), "{metrics}");
    approve(&daemon, "approved 20 deletions of 30 items (`");
    assert_eq!(crm.wait_for(20).len(), 20);
    daemon.job_until("orders", "no hold", |job| job["held"].is_null());
    vendor.serve(&orders([], "new"));
    vendor.wait_for_more(2);
    assert_eq!(crm.wait_for(30).len(), 30, "ten are no mass");
    assert_eq!(ops.attempts().len(), 1, "that a hold is over is no event");
}

fn approve(daemon: &Daemon<'_>, says: &str) {
    let said = daemon.cli(["approve", "orders"]).ok().stdout;
    assert!(said.contains(says) && said.contains("it is polled now"), "{said}");
}

#[test]
fn an_approval_in_a_running_daemon_is_polled_at_once() {
    let (vendor, receiver, bridge) = world(1..=30, AFTER_1);
    vendor.serve(&orders(1..=15, "new"));
    poll(&bridge);
    let daemon = bridge.run();
    approve(&daemon, "approved 15 deletions");
    assert_eq!(receiver.wait_for(15).len(), 15, "the next scheduled poll is a year away");
}

#[test]
fn bad_input_is_a_sentence_and_changes_nothing() {
    let (vendor, _receiver, bridge) = world(1..=3, AFTER_1);
    for verb in ["approve", "reject"] {
        let nothing = bridge.cli([verb, "orders"]);
        assert_eq!(nothing.code, Some(1), "{nothing:?}");
        assert!(nothing.stderr.contains("the job `orders` holds nothing"), "{nothing:?}");
        let unknown = bridge.cli([verb, "ordrs"]);
        assert_eq!(unknown.code, Some(2), "{unknown:?}");
        assert!(unknown.stderr.contains("did you mean `orders`?"), "{unknown:?}");
    }
    let daemon = bridge.run();
    let nothing = daemon.cli(["approve", "orders"]);
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.stderr.contains("holds nothing"), "{nothing:?}");
    drop(vendor);
}
