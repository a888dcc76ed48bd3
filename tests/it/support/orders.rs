//! A vendor that lists orders and has each at an address of its own, and polls of it that are made one at a time.
//!
//! A poll is a process of its own: what one leaves behind, the next one finds in the state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::bridge::BY_HAND;
use super::http::Request;
use super::pages::{changes, outcome, partial, poll};
use super::{Bridge, Receiver, Reply, Vendor};

pub(crate) const DETAIL: &str = "detail = { url = 'orders/{{ item.id }}' }\ndeletes = { after = 1 }\n";
pub(crate) const BY_VERSION: &str =
    "detail = { url = 'orders/{{ item.id }}', version = '$.at' }\ndeletes = { after = 1 }\n";

/// Orders as the list has them, and as the requests for each answer.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) listed: Vec<(u32, String)>,
    pub(crate) details: BTreeMap<u32, Reply>,
}

/// A vendor that lists orders at `/orders` and has each at `/orders/ID`.
#[derive(Clone, Default)]
pub(crate) struct Shop(pub(crate) Arc<Mutex<Orders>>);

impl Shop {
    pub(crate) fn of(ids: std::ops::RangeInclusive<u32>) -> Self {
        let shop = Self::default();
        ids.for_each(|id| shop.put(id, 1, "new"));
        shop
    }

    /// The order in this version, with this status.
    pub(crate) fn put(&self, id: u32, version: u32, status: &str) {
        self.list(id, &format!(r#"{{"id":{id},"at":{version}}}"#));
        self.answer(id, Reply::json(format!(r#"{{"status":"{status}","total":{id}.10}}"#)));
    }

    /// Puts an item into the list, in its place where it is there.
    pub(crate) fn list(&self, id: u32, item: &str) {
        let listed = &mut self.0.lock().expect("no panic").listed;
        match listed.iter_mut().find(|(own, _)| *own == id) {
            Some((_, old)) => *old = item.to_owned(),
            None => listed.push((id, item.to_owned())),
        }
    }

    pub(crate) fn remove(&self, id: u32) {
        self.0.lock().expect("no panic").listed.retain(|(own, _)| *own != id);
    }

    /// What the request for this one is answered with.
    pub(crate) fn answer(&self, id: u32, reply: Reply) {
        self.0.lock().expect("no panic").details.insert(id, reply);
    }

    pub(crate) fn body(&self) -> String {
        let listed = &self.0.lock().expect("no panic").listed;
        let items: Vec<&str> = listed.iter().map(|(_, item)| item.as_str()).collect();
        format!(r#"{{"orders":[{}]}}"#, items.join(","))
    }

    pub(crate) fn reply(&self, request: &Request) -> Reply {
        match id(request) {
            None => Reply::json(self.body()),
            Some(id) => self.0.lock().expect("no panic").details.get(&id).cloned().unwrap_or(Reply::status(404)),
        }
    }

    pub(crate) fn vendor(&self) -> Vendor {
        let shop = self.clone();
        Vendor::scripted(move |request| shop.reply(request))
    }
}

/// The id of the order that a request asks for.
pub(crate) fn id(request: &Request) -> Option<u32> {
    request.path().strip_prefix("/orders/")?.parse().ok()
}

/// The orders that were asked for, after so many requests.
pub(crate) fn asked(vendor: &Vendor, from: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = vendor.requests()[from..].iter().filter_map(id).collect();
    ids.sort_unstable();
    ids
}

pub(crate) struct World {
    pub(crate) shop: Shop,
    pub(crate) vendor: Vendor,
    pub(crate) receiver: Receiver,
    pub(crate) bridge: Bridge,
}

impl World {
    pub(crate) fn new(ids: std::ops::RangeInclusive<u32>, job: &str) -> Self {
        let shop = Shop::of(ids);
        let (vendor, receiver) = (shop.vendor(), Receiver::start());
        let bridge = Bridge::between(&vendor, &receiver, &format!("{BY_HAND}{job}"), "");
        Self { shop, vendor, receiver, bridge }
    }

    /// The same, with its baseline read.
    pub(crate) fn watching(ids: std::ops::RangeInclusive<u32>, job: &str) -> Self {
        let world = Self::new(ids, job);
        let report = poll(&world.bridge);
        assert_eq!((outcome(&report), changes(&report).len()), ("complete", 0), "{report:#}");
        world
    }

    /// Polls; what the poll says, and which details it asked for.
    pub(crate) fn poll(&self) -> (Value, Vec<u32>) {
        let from = self.vendor.count();
        let report = poll(&self.bridge);
        (report, asked(&self.vendor, from))
    }

    /// Polls, and says what is new and which details were asked for.
    #[track_caller]
    pub(crate) fn sees(&self, told: &[&str], details: &[u32]) {
        let (report, ids) = self.poll();
        assert!(matches!(outcome(&report), "complete" | "unchanged"), "{report:#}");
        assert_eq!((changes(&report), ids), (told.iter().map(|it| (*it).to_owned()).collect(), details.to_vec()));
    }

    /// The same of a poll that lacks details, and says why in these words.
    #[track_caller]
    pub(crate) fn lacks(&self, told: &[&str], details: &[u32], why: &str) {
        let (report, ids) = self.poll();
        partial(&report, why);
        assert_eq!((changes(&report), ids), (told.iter().map(|it| (*it).to_owned()).collect(), details.to_vec()));
    }
}
