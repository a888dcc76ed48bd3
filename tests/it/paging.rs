//! Lists of several pages, as vendors of every style give them: each tells the same story, and only what changed is read.
//!
//! What becomes of a list that was not read whole is in `partial`.

use serde_json::Value;

use crate::support::bridge::config;
use crate::support::http::Request;
use crate::support::pages::{
    JOB, Orders, bridge, changes, data, link_page, linked, number, outcome, partial, poll, query, rows, tagged, vendor,
};
use crate::support::{Bridge, Receiver, Reply, Vendor};

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
