//! Lists of several pages, as vendors of every style give them: what is read, when it ends, and what is made of a list
//! that was not read whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::bridge::config;
use crate::support::http::Request;
use crate::support::receiver::Hook;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const JOB: &str = "every = '366d'\nitems = '$.data[*]'\nkey = '$.id'\ndeletes = { after = 1 }\n";

/// The parameters of a request's query, as they stand there.
fn query(request: &Request) -> HashMap<String, String> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A number of a request's query, or what it is when there is none.
fn number(request: &Request, name: &str, absent: usize) -> usize {
    query(request).get(name).map_or(absent, |value| value.parse().expect("a number"))
}

fn rows(items: &[(usize, &str)]) -> String {
    let rows: Vec<String> = items.iter().map(|(id, status)| format!(r#"{{"id":{id},"status":"{status}"}}"#)).collect();
    rows.join(",")
}

/// A list that a test changes, and a vendor that gives it in pages of two.
#[derive(Clone, Default)]
struct Orders(Arc<Mutex<Vec<(usize, &'static str)>>>);

impl Orders {
    fn of(count: usize) -> Self {
        Self(Arc::new(Mutex::new((1..=count).map(|id| (id, "new")).collect())))
    }

    fn set(&self, id: usize, status: &'static str) {
        let mut orders = self.0.lock().expect("no panic");
        match orders.iter_mut().find(|(own, _)| *own == id) {
            Some(order) => order.1 = status,
            None => orders.push((id, status)),
        }
    }

    fn remove(&self, id: usize) {
        self.0.lock().expect("no panic").retain(|(own, _)| *own != id);
    }

    fn len(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    fn page(&self, from: usize) -> (String, usize) {
        let orders = self.0.lock().expect("no panic");
        let to = (from + 2).min(orders.len());
        (rows(&orders[from.min(to)..to]), to)
    }
}

/// A vendor of these orders that leads from page to page as `page` says: from the request's offset, the rows, the next
/// offset where there is one.
fn vendor(
    orders: &Orders,
    offset: impl Fn(&Request) -> usize + Send + 'static,
    page: impl Fn(&str, Option<usize>, &Request) -> Reply + Send + 'static,
) -> Vendor {
    let orders = orders.clone();
    Vendor::scripted(move |request| {
        let (rows, to) = orders.page(offset(request));
        page(&rows, (to < orders.len()).then_some(to), request)
    })
}

fn data(rows: &str, more: &str) -> String {
    format!(r#"{{"data":[{rows}]{more}}}"#)
}

/// A vendor whose pages are at `?from=N`, which a `Link` header says.
fn linked(orders: &Orders) -> Vendor {
    vendor(orders, |request| number(request, "from", 0), link_page)
}

fn link_page(rows: &str, next: Option<usize>, _: &Request) -> Reply {
    let reply = Reply::json(data(rows, ""));
    match next {
        Some(next) => reply.with("link", &format!("<?from={next}>; rel=\"next\", <?from=0>; rel=\"first\"")),
        None => reply,
    }
}

fn bridge(vendor: &Vendor, receiver: &Receiver, pages: &str) -> Bridge {
    Bridge::between(vendor, receiver, &format!("{JOB}pages = {{ {pages} }}"), "")
}

/// Polls once, and tells what the report says.
fn poll(bridge: &Bridge) -> Value {
    let done = bridge.cli(["poll", "orders", "--commit", "--json"]);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn outcome(report: &Value) -> &str {
    report["outcome"].as_str().unwrap_or_default()
}

fn changes(report: &Value) -> Vec<String> {
    let events = report["events"].as_array().cloned().unwrap_or_default();
    let mut told: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["change"].as_str().unwrap_or("?"), event["key"].as_str().unwrap_or("?")))
        .collect();
    told.sort();
    told
}

fn partial(report: &Value, why: &str) {
    assert_eq!(outcome(report), "partial", "{report:#}");
    assert!(report["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{report:#}");
}

/// A baseline, a change on every page, one more item and one less: the same story whatever the style.
fn story(vendor: &Vendor, orders: &Orders, pages: &str) {
    let receiver = Receiver::start();
    let bridge = bridge(vendor, &receiver, pages);
    let report = poll(&bridge);
    assert_eq!((outcome(&report), report["items"].as_u64()), ("complete", Some(5)), "{pages}: {report:#}");
    assert_eq!(outcome(&poll(&bridge)), "unchanged", "{pages}");
    orders.set(1, "paid");
    orders.set(4, "paid");
    orders.set(6, "new");
    orders.remove(3);
    let report = poll(&bridge);
    assert_eq!(outcome(&report), "complete", "{pages}: {report:#}");
    assert_eq!(changes(&report), ["created 6", "deleted 3", "updated 1", "updated 4"], "{pages}");
    assert_eq!(outcome(&poll(&bridge)), "unchanged", "{pages}");
    assert_eq!(receiver.wait_for(4).len(), 4);
}

#[test]
fn links_in_a_header_are_followed() {
    let orders = Orders::of(5);
    story(&linked(&orders), &orders, "style = 'link'");
}

#[test]
fn the_next_url_is_found_in_the_body_or_in_a_header() {
    let orders = Orders::of(5);
    let from = |request: &Request| number(request, "from", 0);
    let body = vendor(&orders, from, |rows, next, _| {
        let next = next.map_or("null".to_owned(), |next| format!("\"/orders?from={next}\""));
        Reply::json(data(rows, &format!(r#","paging":{{"next":{next}}}"#)))
    });
    story(&body, &orders, "style = 'next_url', at = '$.paging.next'");
    let orders = Orders::of(5);
    let header = vendor(&orders, from, |rows, next, _| {
        let reply = Reply::json(data(rows, ""));
        next.map_or(reply.clone(), |next| reply.with("Next-Page", &format!("?from={next}")))
    });
    story(&header, &orders, "style = 'next_url', at = 'header:Next-Page'");
}

#[test]
fn a_token_goes_into_the_query_a_header_or_the_body() {
    let page = |rows: &str, next: Option<usize>, _: &Request| {
        let next = next.map_or("null".to_owned(), |next| next.to_string());
        Reply::json(data(rows, &format!(r#","meta":{{"next":{next}}}"#)))
    };
    let orders = Orders::of(5);
    let query = vendor(&orders, |request| number(request, "cursor", 0), page);
    story(&query, &orders, "style = 'token', at = '$.meta.next', param = 'cursor'");

    let orders = Orders::of(5);
    let header = |request: &Request| request.header("x-after").map_or(0, |after| after.parse().expect("a number"));
    let header = vendor(&orders, header, page);
    story(&header, &orders, "style = 'token', at = '$.meta.next', param = 'X-After', into = 'header'");

    let orders = Orders::of(5);
    let body = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["query"], "{ orders }");
        body["vars"]["after"].as_u64().map_or(0, |after| usize::try_from(after).expect("small"))
    };
    let posted = vendor(&orders, body, page);
    let pages = "style = 'token', at = '$.meta.next', param = '/vars/after', into = 'body' }\n\
                 method = 'POST'\nbody = { query = '{ orders }'";
    story(&posted, &orders, pages);
}

#[test]
fn pages_and_offsets_are_counted() {
    let orders = Orders::of(5);
    let page = |rows: &str, _: Option<usize>, request: &Request| {
        assert_eq!(query(request)["per_page"], "2");
        Reply::json(data(rows, ""))
    };
    let paged = vendor(&orders, |request| (number(request, "page", 0) - 1) * 2, page);
    story(&paged, &orders, "style = 'page', param = 'page', size = 2, size_param = 'per_page'");
    let orders = Orders::of(5);
    let offset = vendor(&orders, |request| number(request, "offset", 99), page);
    story(&offset, &orders, "style = 'offset', param = 'offset', size = 2, size_param = 'per_page'");
    let orders = Orders::of(5);
    let unsized_ = vendor(&orders, |request| number(request, "p", 9) * 2, |rows, _, _| Reply::json(data(rows, "")));
    story(&unsized_, &orders, "style = 'page', param = 'p', start = 0");
}

#[test]
fn the_last_key_leads_on_while_there_is_more() {
    let orders = Orders::of(5);
    let list = orders.clone();
    let after = move |request: &Request| {
        let after = number(request, "starting_after", 0);
        let orders = list.0.lock().expect("no panic");
        orders.iter().position(|(id, _)| *id == after).map_or(0, |at| at + 1)
    };
    let stripe =
        vendor(&orders, after, |rows, next, _| Reply::json(data(rows, &format!(r#","has_more":{}"#, next.is_some()))));
    story(&stripe, &orders, "style = 'last_key', at = '$.id', param = 'starting_after', more = '$.has_more'");
}

/// A vendor, its receiver and its folder; the baseline of five orders was read.
fn paged(pages: &str) -> (Orders, Vendor, Receiver, Bridge) {
    let orders = Orders::of(5);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let bridge = bridge(&vendor, &receiver, pages);
    assert_eq!(outcome(&poll(&bridge)), "complete");
    (orders, vendor, receiver, bridge)
}

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
fn l4_a_link_to_another_host_is_not_followed_and_no_credential_leaves() {
    let orders = Orders::of(5);
    let (vendor, elsewhere, receiver) = (linked(&orders), Vendor::of(&data("", "")), Receiver::start());
    let pages = "style = 'link' }\nauth = { type = 'bearer', token = 'open-sesame'";
    let bridge = bridge(&vendor, &receiver, pages);
    let foreign = format!("<{}/orders?from=2>; rel=\"next\"", elsewhere.url());
    let list = orders.clone();
    vendor.script(move |request| match number(request, "from", 0) {
        0 => Reply::json(data(&list.page(0).0, "")).with("link", &foreign),
        from => link_page(&list.page(from).0, None, request),
    });
    partial(&poll(&bridge), "credentials don't go");
    assert_eq!(elsewhere.count(), 0);
    // The same host, once it is allowed.
    let host = elsewhere.url().replace("http://", "");
    let more = format!("{JOB}allow_hosts = ['{host}']\npages = {{ {pages} }}");
    bridge.write(&config(&vendor, &receiver, &more, ""));
    assert_eq!(outcome(&poll(&bridge)), "complete");
    assert_eq!(elsewhere.requests()[0].header("authorization"), Some("Bearer open-sesame"));
    // A redirect is judged alike.
    let location = format!("{}/moved", elsewhere.url());
    vendor.script(move |_| Reply::status(302).with("location", &location));
    assert_eq!(outcome(&poll(&bridge)), "complete", "an empty list, from the host that is allowed");
    assert_eq!(elsewhere.requests()[1].header("authorization"), Some("Bearer open-sesame"));
}

/// A vendor whose pages have ETags, and which answers 304; how often it answered 200.
fn tagged(orders: &Orders) -> (Vendor, Arc<Mutex<usize>>) {
    let read = Arc::new(Mutex::new(0));
    let (list, counting) = (orders.clone(), Arc::clone(&read));
    let vendor = Vendor::scripted(move |request| {
        let (rows, to) = list.page(number(request, "from", 0));
        let etag = format!("\"{:x}\"", rows.bytes().fold(to, |sum, byte| sum.wrapping_mul(31) + usize::from(byte)));
        let reply = match request.header("if-none-match") == Some(etag.as_str()) {
            true => Reply::status(304),
            false => {
                *counting.lock().expect("no panic") += 1;
                link_page(&rows, (to < list.len()).then_some(to), request)
            }
        };
        reply.with("etag", &etag)
    });
    (vendor, read)
}

#[test]
fn a_page_that_answers_304_is_known_and_only_what_changed_is_read() {
    let orders = Orders::of(9);
    let ((vendor, read), receiver) = (tagged(&orders), Receiver::start());
    let bridge = bridge(&vendor, &receiver, "style = 'link'");
    let took = |expected: usize| assert_eq!(std::mem::take(&mut *read.lock().expect("no panic")), expected);
    assert_eq!(outcome(&poll(&bridge)), "complete");
    took(5);
    assert_eq!(outcome(&poll(&bridge)), "unchanged");
    took(0);
    orders.set(5, "paid");
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["updated 5".to_owned()]));
    assert_eq!(report["requests"].as_array().map(Vec::len), Some(5), "each page is shown");
    took(1);
    orders.remove(9);
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", vec!["deleted 9".to_owned()]));
    assert_eq!(outcome(&poll(&bridge)), "unchanged");
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
fn s4_unchanged_pages_are_one_more_observation_of_what_is_missing() {
    let orders = Orders::of(5);
    let ((vendor, _), receiver) = (tagged(&orders), Receiver::start());
    let job = format!("{}pages = {{ style = 'link' }}", JOB.replace("after = 1", "after = 2"));
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    poll(&bridge);
    orders.remove(5);
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("complete", Vec::new()));
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report)), ("unchanged", vec!["deleted 5".to_owned()]));
}

#[test]
fn a_feed_is_read_until_it_holds_nothing_new_and_past_a_gap_all_the_same() {
    // The newest first, in pages of two; a page says where the next one begins.
    let orders = Orders::of(9);
    let newest_first = |orders: &Orders| {
        let list = orders.clone();
        move |request: &Request| {
            let mut all = list.0.lock().expect("no panic").clone();
            all.reverse();
            let from = number(request, "from", 0);
            let to = (from + 2).min(all.len());
            link_page(&rows(&all[from..to]), (to < all.len()).then_some(to), request)
        }
    };
    let (vendor, receiver) = (Vendor::scripted(newest_first(&orders)), Receiver::start());
    let job = format!("{JOB}list = 'window'\npages = {{ style = 'link', until = 'known' }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    assert_eq!((outcome(&poll(&bridge)), vendor.count()), ("complete", 5), "the baseline is the whole feed");
    (10..=12).for_each(|id| orders.set(id, "new"));
    let report = poll(&bridge);
    assert_eq!(changes(&report), ["created 10", "created 11", "created 12"]);
    assert_eq!(vendor.count(), 5 + 3, "two pages with news and one without");
    // A page fails behind one with news: what lies behind it is still read by the next poll.
    (13..=16).for_each(|id| orders.set(id, "new"));
    let read = newest_first(&orders);
    vendor.script(move |request| if number(request, "from", 0) == 2 { Reply::status(500) } else { read(request) });
    let report = poll(&bridge);
    partial(&report, "page 2: ");
    assert_eq!(changes(&report), ["created 15", "created 16"]);
    vendor.script(newest_first(&orders));
    assert_eq!(changes(&poll(&bridge)), ["created 13", "created 14"]);
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
