//! A list that a test changes, the vendors that give it in pages, and polls of it that are made one at a time.
//!
//! It knows no style but links in a header: the others are made of [`vendor`] where they are tested.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::http::Request;
use super::{Bridge, Receiver, Reply, Vendor};

pub(crate) const JOB: &str = "every = '366d'\nitems = '$.data[*]'\nkey = '$.id'\ndeletes = { after = 1 }\n";

/// The parameters of a request's query, as they stand there.
pub(crate) fn query(request: &Request) -> HashMap<String, String> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A number of a request's query, or what it is when there is none.
pub(crate) fn number(request: &Request, name: &str, absent: usize) -> usize {
    query(request).get(name).map_or(absent, |value| value.parse().expect("a number"))
}

pub(crate) fn rows(items: &[(usize, &str)]) -> String {
    let rows: Vec<String> = items.iter().map(|(id, status)| format!(r#"{{"id":{id},"status":"{status}"}}"#)).collect();
    rows.join(",")
}

/// A list that a test changes, and a vendor that gives it in pages of two.
#[derive(Clone, Default)]
pub(crate) struct Orders(pub(crate) Arc<Mutex<Vec<(usize, &'static str)>>>);

impl Orders {
    pub(crate) fn of(count: usize) -> Self {
        Self(Arc::new(Mutex::new((1..=count).map(|id| (id, "new")).collect())))
    }

    pub(crate) fn set(&self, id: usize, status: &'static str) {
        let mut orders = self.0.lock().expect("no panic");
        match orders.iter_mut().find(|(own, _)| *own == id) {
            Some(order) => order.1 = status,
            None => orders.push((id, status)),
        }
    }

    pub(crate) fn remove(&self, id: usize) {
        self.0.lock().expect("no panic").retain(|(own, _)| *own != id);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    pub(crate) fn page(&self, from: usize) -> (String, usize) {
        let orders = self.0.lock().expect("no panic");
        let to = (from + 2).min(orders.len());
        (rows(&orders[from.min(to)..to]), to)
    }
}

/// A vendor of these orders that leads from page to page as `page` says: from the request's offset, the rows, the next
/// offset where there is one.
pub(crate) fn vendor(
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

pub(crate) fn data(rows: &str, more: &str) -> String {
    format!(r#"{{"data":[{rows}]{more}}}"#)
}

/// A vendor whose pages are at `?from=N`, which a `Link` header says.
pub(crate) fn linked(orders: &Orders) -> Vendor {
    vendor(orders, |request| number(request, "from", 0), link_page)
}

pub(crate) fn link_page(rows: &str, next: Option<usize>, _: &Request) -> Reply {
    let reply = Reply::json(data(rows, ""));
    match next {
        Some(next) => reply.with("link", &format!("<?from={next}>; rel=\"next\", <?from=0>; rel=\"first\"")),
        None => reply,
    }
}

pub(crate) fn bridge(vendor: &Vendor, receiver: &Receiver, pages: &str) -> Bridge {
    Bridge::between(vendor, receiver, &format!("{JOB}pages = {{ {pages} }}"), "")
}

/// Polls once, and tells what the report says.
pub(crate) fn poll(bridge: &Bridge) -> Value {
    let done = bridge.cli(["poll", "orders", "--commit", "--json"]);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

pub(crate) fn outcome(report: &Value) -> &str {
    report["outcome"].as_str().unwrap_or_default()
}

pub(crate) fn changes(report: &Value) -> Vec<String> {
    let events = report["events"].as_array().cloned().unwrap_or_default();
    let mut told: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["change"].as_str().unwrap_or("?"), event["key"].as_str().unwrap_or("?")))
        .collect();
    told.sort();
    told
}

pub(crate) fn partial(report: &Value, why: &str) {
    assert_eq!(outcome(report), "partial", "{report:#}");
    assert!(report["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{report:#}");
}

/// A vendor, its receiver and its folder; the baseline of five orders was read.
pub(crate) fn paged(pages: &str) -> (Orders, Vendor, Receiver, Bridge) {
    let orders = Orders::of(5);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let bridge = bridge(&vendor, &receiver, pages);
    assert_eq!(outcome(&poll(&bridge)), "complete");
    (orders, vendor, receiver, bridge)
}

/// A vendor whose pages have ETags, and which answers 304; how often it answered 200.
pub(crate) fn tagged(orders: &Orders) -> (Vendor, Arc<Mutex<usize>>) {
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
