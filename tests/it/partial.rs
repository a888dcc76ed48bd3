//! Lists that were not read whole: what is said of them, what counts of what was read, and what is not concluded from it.
//!
//! Each poll is made by hand, so that what it found is known when it ends.

use crate::support::bridge::config;
use crate::support::http::Request;
use crate::support::pages::{
    JOB, Orders, bridge, changes, data, link_page, linked, number, outcome, paged, partial, poll, rows, tagged,
};
use crate::support::receiver::Hook;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

#[test]
fn s4_a_page_that_fails_makes_the_poll_partial_and_deletes_nothing() {
    let (orders, vendor, receiver, bridge) = paged("style = 'link'");
    orders.set(1, "paid");
    orders.remove(5);
    let list = orders.clone();
    vendor.script(move |request| match number(request, "from", 0) {
        2 => Reply::status(500),
        from => link_page(&list.page(from).0, Some(from + 2), request),
    });
    let report = poll(&bridge);
    partial(&report, "page 2: ");
    assert_eq!(changes(&report), ["updated 1"]);
    let list = orders.clone();
    vendor.script(move |request| {
        let (rows, to) = list.page(number(request, "from", 0));
        link_page(&rows, (to < list.len()).then_some(to), request)
    });
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["deleted 5".to_owned()]));
    vendor.reply(Reply::status(500));
    assert_eq!(outcome(&poll(&bridge)), "failed", "the first page failed: nothing was read");
    drop(receiver);
}

#[test]
fn s4_a_list_in_a_circle_is_partial() {
    let (orders, vendor, _receiver, bridge) = paged("style = 'link'");
    orders.set(1, "paid");
    let list = orders.clone();
    vendor.script(move |request| {
        let from = number(request, "from", 0);
        link_page(&list.page(from).0, Some(if from == 2 { 0 } else { 2 }), request)
    });
    // `?from=0` is another URL than the first page's, and so it is read; the circle ends at the second time round.
    let asked = vendor.count();
    let report = poll(&bridge);
    partial(&report, "in a circle");
    assert_eq!(changes(&report), ["updated 1"]);
    assert_eq!(vendor.count() - asked, 3);
}

#[test]
fn s4_the_cap_is_partial_and_for_a_window_complete() {
    let (orders, vendor, receiver, bridge) = paged("style = 'link'");
    let capped = |list: &str| format!("{JOB}list = '{list}'\npages = {{ style = 'link', max = 2 }}");
    orders.set(3, "paid");
    bridge.write(&config(&vendor, &receiver, &capped("complete"), ""));
    let report = poll(&bridge);
    partial(&report, "`pages.max` (2)");
    assert_eq!(changes(&report), ["updated 3"]);
    orders.set(3, "sent");
    bridge.write(&config(&vendor, &receiver, &capped("window"), ""));
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["updated 3".to_owned()]));
}

#[test]
fn s4_a_total_that_does_not_match_is_partial() {
    let orders = Orders::of(5);
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    let tell = |orders: &Orders, total: usize| {
        let list = orders.clone();
        vendor.script(move |request| {
            let (rows, to) = list.page(number(request, "from", 0));
            let body = data(&rows, &format!(r#","meta":{{"total":{total}}}"#));
            let reply = Reply::json(body);
            if to < list.len() { reply.with("link", &format!("<?from={to}>; rel=next")) } else { reply }
        });
    };
    tell(&orders, 5);
    let bridge = bridge(&vendor, &receiver, "style = 'link', total = '$.meta.total'");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    orders.remove(5);
    tell(&orders, 5);
    let report = poll(&bridge);
    partial(&report, "has 5 items, and 4 different ones were read");
    assert_eq!(changes(&report), Vec::<String>::new());
    tell(&orders, 4);
    assert_eq!(changes(&poll(&bridge)), ["deleted 5"]);
}

#[test]
fn s4_an_item_on_two_pages_counts_once_when_it_is_equal_and_makes_the_poll_partial_when_not() {
    let (_orders, vendor, _receiver, bridge) = paged("style = 'link'");
    let twice = |second: &'static str| {
        move |request: &Request| match number(request, "from", 0) {
            0 => link_page(&rows(&[(1, "new"), (2, "new"), (3, "paid")]), Some(2), request),
            _ => link_page(&rows(&[(3, second), (4, "new"), (5, "new")]), None, request),
        }
    };
    vendor.script(twice("paid"));
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["updated 3".to_owned()]));
    vendor.script(twice("sent"));
    let report = poll(&bridge);
    partial(&report, "the item `3` stood on two pages");
    let event = report["events"].as_array().and_then(|events| events.last()).expect("an event");
    assert_eq!(event["body"]["data"]["after"]["status"], "sent", "the later one counts");
    vendor.script(twice("sent"));
    partial(&poll(&bridge), "the item `3`");
}

#[test]
fn a_wrong_type_is_said_and_nothing_is_lost() {
    let orders = Orders::of(5);
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    let list = orders.clone();
    let script = move |wrong_at: usize| {
        let list = list.clone();
        move |request: &Request| {
            let from = number(request, "from", 0);
            let (rows, to) = list.page(from);
            let next = match to < list.len() {
                _ if from == wrong_at => "{\"href\":1}".to_owned(),
                true => format!("\"?from={to}\""),
                false => "null".to_owned(),
            };
            Reply::json(data(&rows, &format!(r#","next":{next}"#)))
        }
    };
    vendor.script(script(99));
    let bridge = bridge(&vendor, &receiver, "style = 'next_url', at = '$.next'");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    orders.set(1, "paid");
    orders.remove(5);
    vendor.script(script(2));
    let report = poll(&bridge);
    partial(&report, "page 2: `pages.at = \"$.next\"` should find the URL of the next page, and there is an object");
    assert_eq!(changes(&report), ["updated 1"]);
    vendor.script(script(0));
    assert_eq!(outcome(&poll(&bridge)), "failed");
    vendor.script(script(99));
    assert_eq!(changes(&poll(&bridge)), ["deleted 5"]);
}

#[test]
fn s7_what_a_partial_poll_saw_is_not_taken_for_what_the_last_complete_one_saw() {
    let orders = Orders::of(6);
    let ((vendor, _), receiver) = (tagged(&orders), Receiver::start());
    let bridge = bridge(&vendor, &receiver, "style = 'link', max = 3");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    orders.set(2, "paid");
    orders.set(7, "new");
    let report = poll(&bridge);
    partial(&report, "`pages.max`");
    assert_eq!(changes(&report), ["updated 2"]);
    // Back to the bytes of the last complete poll: a 304 here would hide the way back.
    orders.set(2, "new");
    orders.remove(7);
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["updated 2".to_owned()]));
}

#[test]
fn s3_a_baseline_that_was_cut_off_goes_on_silently() {
    let orders = Orders::of(5);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let bridge = bridge(&vendor, &receiver, "style = 'link'");
    let list = orders.clone();
    vendor.script(move |request| match number(request, "from", 0) {
        0 => link_page(&list.page(0).0, Some(2), request),
        _ => Reply::Cut,
    });
    let report = poll(&bridge);
    partial(&report, "page 2: ");
    assert_eq!(report["baseline"], true);
    orders.set(1, "paid");
    let list = orders.clone();
    vendor.script(move |request| {
        let (rows, to) = list.page(number(request, "from", 0));
        link_page(&rows, (to < list.len()).then_some(to), request)
    });
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", Vec::new()), "{report:#}");
    orders.set(2, "paid");
    assert_eq!(changes(&poll(&bridge)), ["updated 2"]);
}

#[test]
fn a_partial_poll_is_shown_with_its_reason_and_does_not_back_off() {
    let orders = Orders::of(5);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let job = "every = '50ms'\nitems = '$.data[*]'\nkey = '$.id'\npages = { style = 'link', max = 2 }";
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    let daemon: Daemon<'_> = bridge.run();
    vendor.wait_for_more(12);
    let job = daemon.job("orders");
    assert_eq!((job["outcome"].as_str(), job["failures"].as_u64()), (Some("partial"), Some(0)), "{job:#}");
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("`pages.max` (2)")), "{job:#}");
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.lines().any(|line| line.starts_with("doorbell_polls_total") && line.contains("partial")));
    let status = daemon.cli(["status"]);
    assert!(status.output().contains("`pages.max` (2)"), "{status:#?}");
    assert!(receiver.attempts().is_empty(), "a baseline that is never complete emits nothing");
    daemon.terminate();
}

#[test]
fn s1_a_kill_between_pages_loses_nothing_and_says_nothing_twice() {
    let orders = Orders::of(9);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let job = format!("{}pages = {{ style = 'link' }}", JOB.replace("366d", "50ms"));
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    poll(&bridge);
    [1, 5, 9].into_iter().for_each(|id| orders.set(id, "paid"));
    let list = orders.clone();
    vendor.script(move |request| match number(request, "from", 0) {
        6 => Reply::Hang,
        from => link_page(&list.page(from).0, Some(from + 2), request),
    });
    let asked = vendor.count();
    let daemon = bridge.run();
    vendor.wait_until_asked(asked + 4);
    daemon.kill9();
    let list = orders.clone();
    vendor.script(move |request| {
        let (rows, to) = list.page(number(request, "from", 0));
        link_page(&rows, (to < list.len()).then_some(to), request)
    });
    let _daemon = bridge.run();
    let hooks = receiver.wait_for(3);
    let mut keys: Vec<&str> = hooks.iter().map(Hook::key).collect();
    keys.sort();
    assert_eq!(keys, ["1", "5", "9"]);
}

/// A vendor of so many orders in pages of a thousand, the first of which was paid in the meantime or not.
fn thousands(
    vendor: &Vendor,
    orders: usize,
    first: &'static str,
    at_page: impl Fn(usize) -> Option<Reply> + Send + 'static,
) {
    vendor.script(move |request| {
        let from = number(request, "from", 0);
        let status = |id: usize| if id == 0 { first } else { "new" };
        let rows: Vec<String> =
            (from..from + 1_000).map(|id| format!(r#"{{"id":{id},"status":"{}"}}"#, status(id))).collect();
        let next = (from + 1_000 < orders).then_some(from + 1_000);
        at_page(from / 1_000 + 1).unwrap_or_else(|| link_page(&rows.join(","), next, request))
    });
}

#[test]
fn s3_a_baseline_of_50_000_items_that_is_interrupted_goes_on_silently() {
    const ITEMS: usize = 50_000;
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    let job = format!("{}pages = {{ style = 'link' }}", JOB.replace("366d", "500ms"));
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    // A page that fails.
    thousands(&vendor, ITEMS, "new", |page| (page == 31).then(|| Reply::status(500)));
    let report = poll(&bridge);
    partial(&report, "page 31: ");
    assert_eq!(
        (&report["baseline"], &report["items"], &report["events_total"]),
        (&true.into(), &30_000.into(), &0.into())
    );
    // A daemon that is killed in the middle, when a part of what it read is written and a part is not.
    thousands(&vendor, ITEMS, "paid", |page| (page == 43).then_some(Reply::Hang));
    let asked = vendor.count();
    let daemon = bridge.run();
    vendor.wait_until_asked(asked + 43);
    daemon.kill9();
    thousands(&vendor, ITEMS, "paid", |_| None);
    let daemon = bridge.run();
    let job = daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    assert_eq!((job["items"].as_u64(), job["events"].as_u64()), (Some(ITEMS as u64), Some(0)), "{job:#}");
    daemon.terminate();
    // From here on it is a baseline like any other.
    thousands(&vendor, ITEMS, "sent", |_| None);
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["updated 0".to_owned()]));
    assert_eq!(receiver.wait_for(1)[0].data()["before"]["status"], "paid");
    assert_eq!(receiver.attempts().len(), 1, "nothing but what changed after it");
}

#[test]
fn a_vendor_that_takes_no_notice_of_the_page_is_asked_twice_and_not_a_thousand_times() {
    let (vendor, receiver) = (Vendor::of(r#"{"data":[{"id":1},{"id":2}]}"#), Receiver::start());
    let bridge = bridge(&vendor, &receiver, "style = 'page', param = 'page'");
    partial(&poll(&bridge), "page 2 holds the same items as one before it");
    assert_eq!(vendor.count(), 2);
}

#[test]
fn s4_an_empty_page_that_leads_on_deletes_nothing_of_what_comes_behind_it() {
    let full = |id: usize, next: &str| Reply::json(format!(r#"{{"data":[{{"id":{id}}}],"next":{next}}}"#));
    let (vendor, receiver) = (Vendor::of("{}"), Receiver::start());
    vendor.script(move |request| match number(request, "t", 0) {
        2 => full(2, "null"),
        at => full(at, &(at + 1).to_string()),
    });
    let bridge = bridge(&vendor, &receiver, "style = 'token', at = '$.next', param = 't'");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    vendor.script(move |request| match number(request, "t", 0) {
        1 => Reply::json(r#"{"data":[],"next":2}"#),
        2 => full(2, "null"),
        at => full(at, &(at + 1).to_string()),
    });
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["deleted 1".to_owned()]));
    // One that leads to itself has nothing behind it.
    vendor.script(move |request| match number(request, "t", 0) {
        0 => full(0, "1"),
        _ => Reply::json(r#"{"data":[],"next":1}"#),
    });
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["deleted 2".to_owned()]));
}
