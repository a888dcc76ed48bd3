//! A vendor in memory: it lists its items in any style, is edited while it is read, and has bad days.
//!
//! It knows nothing of Doorbell but how it is asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use doorbell::core::names::Digest;
use doorbell::core::outcome::{Failure, FailureKind};
use doorbell::source::{Answer, Body, Fetched, Fetcher, Request};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

use crate::plan::{Edit, Fault, Order, Plan, Style};

/// How far back the time of a late item lies; the cursor's overlap is larger.
const LATE: i64 = 7;

/// The time between two edits.
const TICK: i64 = 5;

/// Asked for pages, a vendor that runs in circles would never end.
const REQUESTS_MAX: usize = 100;

#[derive(Clone, Debug)]
struct Item {
    value: u8,
    noise: u32,
    price: i32,
    shuffled: bool,
    at: i64,
    /// The moment of its last edit, which no other edit has.
    edited: i64,
}

/// The vendor, and what it was asked in the poll that goes on.
pub(crate) struct Vendor {
    plan: Plan,
    inner: Mutex<Inner>,
    /// Told when a request is never going to be answered.
    pub(crate) dying: Notify,
}

#[derive(Default)]
struct Inner {
    items: BTreeMap<u8, Item>,
    now: i64,
    requests: usize,
    /// Whose list was asked for last.
    asked: u8,
    faults: Vec<(usize, Fault)>,
    served: HashMap<(u8, String), Vec<Value>>,
    /// What each item was when its detail was last shown.
    shown: HashMap<String, Value>,
}

impl Vendor {
    pub(crate) fn new(plan: &Plan) -> Self {
        let inner = Inner { now: 100, ..Inner::default() };
        Self { plan: plan.clone(), inner: Mutex::new(inner), dying: Notify::new() }
    }

    pub(crate) fn edit(&self, edits: &[Edit]) {
        let mut inner = self.inner();
        edits.iter().for_each(|edit| inner.edit(edit, &self.plan));
    }

    /// Whose item this is, and its own number there.
    fn place(&self, id: u8) -> (u8, u8) {
        let accounts = self.plan.manner.accounts;
        (id % accounts, id / accounts)
    }

    /// Every item becomes another, by what every config watches.
    pub(crate) fn edit_all(&self) {
        let mut inner = self.inner();
        let ids: Vec<(u8, u8)> = inner.items.iter().map(|(id, item)| (*id, item.value + 10)).collect();
        ids.into_iter().for_each(|(id, value)| inner.edit(&Edit::Put { id, value, late: false }, &self.plan));
    }

    /// Before a poll: what happens to its requests.
    pub(crate) fn prepare(&self, faults: &[(usize, Fault)]) {
        // Of requests that were on their way together, more than one may have killed the daemon.
        let _ = self.dying.notified().now_or_never();
        let mut inner = self.inner();
        inner.requests = 0;
        inner.faults = faults.to_vec();
        inner.served.clear();
    }

    /// What an account holds, by the member that is the key.
    pub(crate) fn holds(&self, account: u8, key: &str) -> BTreeMap<String, Value> {
        let inner = self.inner();
        let own = inner.items.iter().filter(|(id, _)| self.place(**id).0 == account);
        own.map(|(id, item)| self.render(*id, item)).map(|item| (key_of(&item, key), item)).collect()
    }

    /// The versions of each item of an account that the last poll was shown, in their order.
    pub(crate) fn served(&self, account: u8, key: &str) -> BTreeMap<String, Vec<Value>> {
        let inner = self.inner();
        let own = inner.served.iter().filter(|((of, _), versions)| *of == account && !versions.is_empty());
        own.map(|(_, versions)| (key_of(&versions[0], key), versions.clone())).collect()
    }

    /// Whose list was asked for last.
    pub(crate) fn last_asked(&self) -> u8 {
        self.inner().asked
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn render(&self, id: u8, item: &Item) -> Value {
        let (_, id) = self.place(id);
        let mut tags = vec![json!("a"), json!("b")];
        let mut lines = vec![json!({ "sku": "x", "n": item.value }), json!({ "sku": "y", "n": 1 })];
        if item.shuffled {
            tags.reverse();
            lines.reverse();
        }
        let mut body = json!({
            "id": id, "name": format!("n{id}"), "v": item.value, "noise": item.noise, "price": item.price,
            "tags": tags, "lines": lines,
        });
        if self.plan.cursor {
            body["at"] = json!(item.at);
        }
        body
    }

    /// What the list holds of an item, where it does not hold all of it.
    fn summary(&self, id: u8, item: &Item) -> Value {
        let mut summary = json!({ "id": id, "name": format!("n{id}"), "edited": item.edited });
        if self.plan.cursor {
            summary["at"] = json!(item.at);
        }
        summary
    }

    /// The list of an account from a time on, in the vendor's order.
    fn list(&self, inner: &Inner, account: u8, since: i64) -> Vec<Value> {
        let is_asked_for = |(id, item): &(u8, &Item)| item.at >= since && self.place(*id).0 == account;
        let mut found: Vec<(u8, &Item)> =
            inner.items.iter().map(|(id, item)| (*id, item)).filter(is_asked_for).collect();
        match self.plan.order {
            Order::Id => {}
            Order::Oldest => found.sort_by_key(|(id, item)| (item.at, *id)),
            Order::Newest => found.sort_by_key(|(id, item)| (-item.at, *id)),
        }
        let listed = |(id, item)| if self.plan.detail { self.summary(id, item) } else { self.render(id, item) };
        found.into_iter().map(listed).collect()
    }

    /// One item, or none where there is none.
    fn detail(&self, request: &Request, id: u8) -> Result<Answer, Failure> {
        let mut inner = self.inner();
        let Some(item) = inner.items.get(&id).map(|item| self.render(id, item)) else {
            return Err(Failure { status: Some(404), ..Failure::new(FailureKind::Status, "there is no such item") });
        };
        inner.served.entry((0, item["name"].to_string())).or_default().push(item.clone());
        inner.shown.insert(item["name"].to_string(), item.clone());
        let body = Bytes::from(item.to_string());
        Ok(Answer {
            status: 200,
            etag: None,
            last_modified: None,
            url: request.url.clone(),
            headers: HeaderMap::new(),
            content_type: Some("application/json".to_owned()),
            digest: Digest::of(&body),
            body: Some(Body::Held(body)),
        })
    }

    fn answer(&self, request: &Request, again: Option<bool>, empty: bool) -> Answer {
        let mut inner = self.inner();
        let url = Url::parse(request.url.expose()).expect("a URL");
        let asked = |name: &str| {
            url.query_pairs().find(|(own, _)| own == name).and_then(|(_, value)| value.parse::<i64>().ok())
        };
        let account = account_of(request);
        let mut list = self.list(&inner, account, asked("since").unwrap_or(i64::MIN));
        if empty {
            list.clear();
        }
        let size = if self.plan.style == Style::Single { usize::MAX } else { self.plan.size };
        let from = match self.plan.style {
            Style::Single => 0,
            Style::Page => (asked("page").unwrap_or(1) as usize - 1) * size,
            Style::LastKey => {
                let after = asked("after").unwrap_or(-1);
                list.iter().take_while(|item| item["id"].as_i64().is_some_and(|id| id <= after)).count()
            }
            _ => asked("from").unwrap_or(0) as usize,
        };
        let mut page: Vec<Value> = list.iter().skip(from).take(size).cloned().collect();
        if let Some((stale, first)) = again.zip(list.first()).filter(|_| from > 0) {
            let mut first = first.clone();
            if stale {
                first["v"] = json!(77);
            }
            page.insert(0, first);
        }
        for item in &page {
            let name = item["name"].to_string();
            // Of what is not asked for again, that which it was then stands.
            let seen = if self.plan.detail { inner.shown.get(&name).cloned() } else { Some(item.clone()) };
            inner.served.entry((account, name)).or_default().extend(seen);
        }
        let next = (from.saturating_add(size) < list.len()).then_some(from.saturating_add(size));
        self.written(request, &url, page, list.len(), next)
    }

    fn written(&self, request: &Request, url: &Url, page: Vec<Value>, total: usize, next: Option<usize>) -> Answer {
        let link = next.map(|next| {
            let mut link = url.clone();
            let kept: Vec<(String, String)> =
                url.query_pairs().into_owned().filter(|(name, _)| name != "from").collect();
            link.query_pairs_mut().clear().extend_pairs(kept).append_pair("from", &next.to_string());
            link.to_string()
        });
        let mut body = json!({ "data": page });
        if self.plan.total {
            body["total"] = json!(total);
        }
        let mut headers = HeaderMap::new();
        match self.plan.style {
            Style::Token => body["next"] = json!(next),
            Style::NextUrl => body["next"] = json!(link),
            Style::Link => {
                let link =
                    link.map(|link| HeaderValue::from_str(&format!("<{link}>; rel=\"next\"")).expect("a header"));
                headers.extend(link.map(|link| (http::header::LINK, link)));
            }
            _ => {}
        }
        let body = Bytes::from(body.to_string());
        let digest = Digest::of(&body);
        let etag = self.plan.etags.then(|| format!("\"{digest:?}\""));
        let is_known = etag.is_some() && etag == request.etag;
        Answer {
            status: if is_known { 304 } else { 200 },
            etag,
            last_modified: None,
            url: request.url.clone(),
            headers,
            content_type: Some("application/json".to_owned()),
            body: (!is_known).then_some(Body::Held(body)),
            digest: if is_known { Digest::default() } else { digest },
        }
    }

    /// What happens to the next request.
    fn faults(&self) -> Vec<Fault> {
        let mut inner = self.inner();
        let number = inner.requests;
        inner.requests += 1;
        assert!(number < REQUESTS_MAX, "the poll does not end");
        let found: Vec<Fault> =
            inner.faults.iter().filter(|(at, _)| *at == number).map(|(_, fault)| fault.clone()).collect();
        for fault in &found {
            if let Fault::Edited(edit) = fault {
                inner.edit(edit, &self.plan);
            }
        }
        found
    }

    async fn reply(&self, request: &Request) -> Result<Answer, Failure> {
        let (mut again, mut empty) = (None, false);
        let one = One::of(request);
        self.inner().asked = account_of(request);
        for fault in self.faults() {
            match fault {
                Fault::Refused => return Err(Failure::new(FailureKind::Connect, "refused")),
                Fault::Garbage => {
                    let body = Bytes::from_static(b"{\"data\":[");
                    let answer = self.answer(request, None, true);
                    return Ok(Answer {
                        status: 200,
                        digest: Digest::of(&body),
                        body: Some(Body::Held(body)),
                        ..answer
                    });
                }
                Fault::Death => {
                    self.dying.notify_one();
                    std::future::pending::<()>().await;
                }
                Fault::Empty => empty = true,
                Fault::Again { stale } => again = Some(stale),
                Fault::Edited(_) => {}
            }
        }
        match one {
            Some(One::Confirm(key)) => self.confirm(request, &key),
            Some(One::Detail(id)) => self.detail(request, id),
            None => Ok(self.answer(request, again, empty)),
        }
    }

    /// Says whether it has an item.
    fn confirm(&self, request: &Request, key: &str) -> Result<Answer, Failure> {
        let has = ["id", "name"].into_iter().any(|member| self.holds(0, member).contains_key(key));
        match has {
            true => Ok(self.answer(request, None, true)),
            false => Err(Failure { status: Some(404), ..Failure::new(FailureKind::Status, "there is no such item") }),
        }
    }
}

#[async_trait]
impl Fetcher for Vendor {
    async fn fetch(&self, request: Request) -> Fetched {
        Fetched { result: self.reply(&request).await, took: Duration::ZERO, sent: Vec::new() }
    }
}

impl Inner {
    fn edit(&mut self, edit: &Edit, plan: &Plan) {
        self.now += TICK;
        let now = self.now;
        match *edit {
            Edit::Put { id, value, late } => {
                let new = Item { value, noise: 0, price: 50, shuffled: false, at: now - LATE, edited: now };
                let item = self.items.entry(id).or_insert(new);
                item.value = value;
                item.edited = now;
                item.at = if late { item.at.max(now - LATE) } else { now };
            }
            Edit::Remove { id } => drop(self.items.remove(&id)),
            Edit::Noise { id } => self.touch(id, |item| item.noise += 1),
            Edit::Price { id, by } => self.touch(id, |item| item.price += i32::from(by)),
            Edit::Shuffle { id } => self.touch(id, |item| item.shuffled = !item.shuffled),
            Edit::Fill { value } => {
                let all = plan.ids * plan.manner.accounts;
                (0..all).for_each(|id| self.edit(&Edit::Put { id, value, late: false }, plan));
            }
            Edit::Sweep { account, kept } => {
                let accounts = plan.manner.accounts;
                self.items.retain(|id, _| id % accounts != account || id / accounts < kept);
            }
        }
    }

    fn touch(&mut self, id: u8, change: impl FnOnce(&mut Item)) {
        let now = self.now;
        if let Some(item) = self.items.get_mut(&id) {
            change(item);
            (item.at, item.edited) = (now, now);
        }
    }
}

fn key_of(item: &Value, key: &str) -> String {
    item[key].as_str().map_or_else(|| item[key].to_string(), str::to_owned)
}

/// The one item that is asked for.
enum One {
    /// Is it there?
    Confirm(String),
    /// What is it?
    Detail(u8),
}

impl One {
    fn of(request: &Request) -> Option<Self> {
        let url = Url::parse(request.url.expose()).expect("a URL");
        let detail = url.path().strip_prefix("/details/").map(|id| Self::Detail(id.parse().expect("an id")));
        detail.or_else(|| url.path().strip_prefix("/orders/").map(|key| Self::Confirm(key.to_owned())))
    }
}

/// Whose list is asked for.
fn account_of(request: &Request) -> u8 {
    let url = Url::parse(request.url.expose()).expect("a URL");
    url.query_pairs().find(|(name, _)| name == "account").and_then(|(_, account)| account.parse().ok()).unwrap_or(0)
}
