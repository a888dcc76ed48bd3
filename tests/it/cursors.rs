//! Polls that ask only for what came after the last one: nothing is lost by it, and nothing is told twice.
//!
//! The vendor keeps items with a time of change, and answers those at or after the one that it is asked for.

use std::sync::{Arc, Mutex};

use crate::support::http::Request;
use crate::support::pages::{changes, outcome, partial, poll, query};
use crate::support::{Bridge, Receiver, Reply, Vendor};

const JOB: &str = "every = '366d'\nitems = '$.data[*]'\nkey = '$.id'\ndeletes = { after = 2 }\n\
                   query = { since = '{{ cursor }}' }\n";

/// Items by id, each with the time of its last change as it is written.
type Items = Arc<Mutex<Vec<(u32, String)>>>;

fn put(items: &Items, id: u32, time: &str) {
    let mut items = items.lock().expect("no panic");
    items.retain(|(own, _)| *own != id);
    items.push((id, time.to_owned()));
}

/// The items at or after the request's `since`, the oldest first.
fn since(items: &Items, request: &Request) -> Vec<(u32, String)> {
    let since = query(request).get("since").cloned().unwrap_or_default();
    let since = since.replace("%3A", ":").replace("%2B", "+");
    let mut found: Vec<_> =
        items.lock().expect("no panic").iter().filter(|(_, time)| *time >= since).cloned().collect();
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

fn body(items: &[(u32, String)]) -> String {
    let rows: Vec<String> = items.iter().map(|(id, time)| format!(r#"{{"id":{id},"at":"{time}"}}"#)).collect();
    format!(r#"{{"data":[{}]}}"#, rows.join(","))
}

fn vendor(items: &Items) -> Vendor {
    let items = Arc::clone(items);
    Vendor::scripted(move |request| Reply::json(body(&since(&items, request))))
}

/// What the last request asked for.
fn asked(vendor: &Vendor) -> String {
    let request = vendor.requests().pop().expect("a request");
    query(&request).get("since").map_or_else(String::new, |since| since.replace("%3A", ":"))
}

fn world(cursor: &str) -> (Items, Vendor, Receiver, Bridge) {
    let items = Items::default();
    put(&items, 1, "2026-01-01T10:00:00Z");
    put(&items, 2, "2026-01-01T10:01:00Z");
    let (vendor, receiver) = (vendor(&items), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}cursor = {{ {cursor} }}"), "");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    (items, vendor, receiver, bridge)
}

/// Polls, and tells what is new.
fn found(bridge: &Bridge) -> Vec<String> {
    let report = poll(bridge);
    assert!(matches!(outcome(&report), "complete" | "unchanged"), "{report:#}");
    changes(&report)
}

#[test]
fn s2_a_cursor_asks_for_what_is_new_and_its_overlap_repeats_nothing() {
    let (items, vendor, _receiver, bridge) = world("at = '$.at', overlap = '5m'");
    assert_eq!(asked(&vendor), "", "nothing is known: the parameter is left out");
    assert_eq!(found(&bridge), Vec::<String>::new());
    assert_eq!(asked(&vendor), "2026-01-01T09:56:00Z");
    put(&items, 3, "2026-01-01T10:05:00Z");
    put(&items, 1, "2026-01-01T10:05:00Z");
    assert_eq!(found(&bridge), ["created 3", "updated 1"]);
    // A late item, older than what was read; and one more within the same minute.
    put(&items, 4, "2026-01-01T10:02:00Z");
    put(&items, 5, "2026-01-01T10:05:00Z");
    assert_eq!(found(&bridge), ["created 4", "created 5"]);
    assert_eq!(asked(&vendor), "2026-01-01T10:00:00Z");
    assert_eq!(found(&bridge), Vec::<String>::new());
}

#[test]
fn the_first_poll_asks_with_the_start_and_the_spelling_is_kept() {
    let items = Items::default();
    put(&items, 1, "2026-03-01T10:00:00.120+02:00");
    let (vendor, receiver) = (vendor(&items), Receiver::start());
    let job = format!("{JOB}cursor = {{ at = '$.at', start = '2026-01-01', overlap = '1m' }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    found(&bridge);
    assert_eq!(asked(&vendor), "2026-01-01");
    found(&bridge);
    assert_eq!(asked(&vendor), "2026-03-01T09:59:00.120%2B02:00");
}

#[test]
fn s4_only_full_polls_see_deletions_and_one_that_misses_something_makes_the_next_one_full() {
    let (items, vendor, _receiver, bridge) = world("at = '$.at'");
    items.lock().expect("no panic").retain(|(id, _)| *id != 1);
    assert_eq!(found(&bridge), Vec::<String>::new());
    assert_eq!(found(&bridge), Vec::<String>::new());
    assert_eq!(asked(&vendor), "2026-01-01T10:01:00Z", "absence from these means nothing");
    let config = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("at = '$.at' }", "at = '$.at', full_every = '1h' }"));
    assert_eq!(found(&bridge), Vec::<String>::new(), "missing once");
    assert_eq!(asked(&vendor), "");
    assert_eq!(found(&bridge), ["deleted 1"]);
    assert_eq!(asked(&vendor), "");
    found(&bridge);
    assert_eq!(asked(&vendor), "2026-01-01T10:01:00Z", "the next full poll is an hour away");
}

#[test]
fn a_cursor_that_the_answer_names_is_handed_back_as_it_is() {
    let state = Arc::new(Mutex::new(0));
    let counting = Arc::clone(&state);
    let vendor = Vendor::scripted(move |_| {
        let mut count = counting.lock().expect("no panic");
        *count += 1;
        Reply::json(format!(r#"{{"data":[{{"id":{count}}}],"sync":"t/{count}=="}}"#))
    });
    let receiver = Receiver::start();
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}cursor = {{ from = '$.sync' }}"), "");
    found(&bridge);
    assert_eq!(found(&bridge), ["created 2"]);
    assert_eq!(asked(&vendor), "t%2F1%3D%3D");
    assert_eq!(found(&bridge), ["created 3"]);
    assert_eq!(asked(&vendor), "t%2F2%3D%3D");
}

/// The vendor in pages of two, the page at this offset broken.
fn paged(vendor: &Vendor, items: &Items, broken: usize) {
    let items = Arc::clone(items);
    vendor.script(move |request| {
        let found = since(&items, request);
        let from = query(request).get("offset").map_or(0, |offset| offset.parse().expect("a number"));
        if from == broken {
            return Reply::status(500);
        }
        let to = (from + 2).min(found.len());
        Reply::json(body(&found[from.min(to)..to]))
    });
}

#[test]
fn s2_a_partial_poll_moves_the_cursor_over_what_was_read_and_no_further() {
    let pages = "at = '$.at' }\npages = { style = 'offset', param = 'offset', size = 2";
    let items = Items::default();
    put(&items, 1, "10");
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    paged(&vendor, &items, 99);
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}cursor = {{ {pages} }}"), "");
    found(&bridge);
    // Equal times on the edge of the page that fails: 13 stands on both of its sides.
    for (id, time) in [(2, "11"), (3, "12"), (4, "13"), (5, "13"), (6, "13"), (7, "14")] {
        put(&items, id, time);
    }
    paged(&vendor, &items, 4);
    let report = poll(&bridge);
    partial(&report, "page 3: ");
    assert_eq!(changes(&report), ["created 2", "created 3", "created 4"]);
    paged(&vendor, &items, 99);
    assert_eq!(found(&bridge), ["created 5", "created 6", "created 7"]);
    let first: Vec<String> =
        vendor.requests().iter().filter_map(|request| query(request).get("since").cloned()).collect();
    assert!(first.contains(&"12".to_owned()), "it went on before the time that may not be whole: {first:?}");
}

#[test]
fn s1_the_cursor_of_a_poll_that_was_killed_did_not_move() {
    let (items, vendor, receiver, bridge) = world("at = '$.at'");
    put(&items, 3, "2026-01-01T10:05:00Z");
    let config = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("366d", "50ms"));
    vendor.reply(Reply::Hang);
    let before = vendor.count();
    let daemon = bridge.run();
    vendor.wait_until_asked(before + 1);
    daemon.kill9();
    let list = Arc::clone(&items);
    vendor.script(move |request| Reply::json(body(&since(&list, request))));
    let _daemon = bridge.run();
    assert_eq!(receiver.wait_for(1)[0].key(), "3");
}

#[test]
fn an_overlap_that_fits_no_value_is_said() {
    let vendor = Vendor::of(r#"{"data":[{"id":1,"at":"opaque"}]}"#);
    let receiver = Receiver::start();
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}cursor = {{ at = '$.at', overlap = '5m' }}"), "");
    partial(&poll(&bridge), "`cursor.overlap`");
    // It is asked for again and again, so that it heals once there is a time.
    vendor.serve(r#"{"data":[{"id":1,"at":"2026-01-01T00:00:00Z"}]}"#);
    assert_eq!(outcome(&poll(&bridge)), "complete");
}

#[test]
fn an_item_without_a_time_does_not_keep_a_job_from_asking() {
    let (items, vendor, _receiver, bridge) = world("at = '$.at', overlap = '1m'");
    put(&items, 3, "pending");
    assert_eq!(found(&bridge), ["created 3"]);
    assert_eq!(asked(&vendor), "2026-01-01T10:00:00Z");
    put(&items, 4, "2026-01-01T10:05:00Z");
    assert_eq!(found(&bridge), ["created 4"]);
    found(&bridge);
    assert_eq!(asked(&vendor), "2026-01-01T10:04:00Z");
}

#[test]
fn a_cursor_that_the_vendor_knows_no_more_is_let_go_and_nothing_is_missed() {
    let known = Arc::new(Mutex::new("s1"));
    let answers = Arc::clone(&known);
    let vendor = Vendor::scripted(move |request| {
        let (asked, known) =
            (query(request).get("since").cloned().unwrap_or_default(), *answers.lock().expect("no panic"));
        match asked.as_str() {
            "" if known == "s1" => Reply::json(r#"{"data":[{"id":1}],"sync":"s1"}"#),
            "" => Reply::json(r#"{"data":[{"id":1},{"id":2}],"sync":"s2"}"#),
            old if old == known => Reply::json(format!(r#"{{"data":[],"sync":"{known}"}}"#)),
            _ => Reply::status(410),
        }
    });
    let receiver = Receiver::start();
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}cursor = {{ from = '$.sync' }}"), "");
    found(&bridge);
    found(&bridge);
    assert_eq!(asked(&vendor), "s1");
    *known.lock().expect("no panic") = "s2";
    assert_eq!(found(&bridge), ["created 2"]);
    found(&bridge);
    assert_eq!(asked(&vendor), "s2");
}
