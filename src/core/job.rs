//! A job as the config means it: what to poll, when, and how to see a change.
//!
//! Only values that the config's lifting has checked; nothing here reads TOML.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::auth::Auth;
use crate::core::cursor::CursorSpec;
use crate::core::detail::Detail;
use crate::core::diff::Change;
use crate::core::document::DocumentSpec;
use crate::core::each::Each;
use crate::core::hold::HoldLimits;
use crate::core::homes::Homes;
use crate::core::names::{Digest, JobName, VendorName};
use crate::core::page::Paging;
use crate::core::path::JsonPath;
use crate::core::polite::{Courtesy, Signs};
use crate::core::rules::Rules;
use crate::core::schedule::Schedule;
use crate::core::sink::Route;
use crate::core::template::{Condition, Template, Text};
use crate::core::transport::Transport;
use crate::core::units::Share;

/// What to poll, when, and how to see a change.
#[derive(Debug)]
pub struct Job {
    /// Its table's name, which is its identity.
    pub name: JobName,
    /// The vendor it shares access with, where it names one.
    pub vendor: Option<VendorName>,
    /// Limits of its own, in place of its vendor's.
    pub courtesy: Courtesy,
    /// False: kept in the config, not polled.
    pub enabled: bool,
    /// How to ask.
    pub request: RequestSpec,
    /// How a list of several pages is read; `None`: one answer holds all of it.
    pub pages: Option<Paging>,
    /// How fetching is made incremental.
    pub cursor: Option<CursorSpec>,
    /// The request that makes a listed item whole. Boxed: most jobs have none.
    pub detail: Option<Box<Detail>>,
    /// The scopes that it is polled over; `None`: it is one.
    pub each: Option<Each>,
    /// When to ask.
    pub schedule: Schedule,
    /// May an answer that says how long it stays fresh postpone the next poll?
    pub respect_cache: bool,
    /// What the answers are.
    pub document: DocumentSpec,
    /// Where the items are; `None`: the document is the one item.
    pub items: Option<JsonPath>,
    /// Where an item's key is, relative to the item; several make a composite key. Empty only when `items` is `None`.
    pub key: Vec<JsonPath>,
    /// What absence means.
    pub list: ListKind,
    /// May `items` find nothing at all?
    pub empty: bool,
    /// What counts as change.
    pub rules: Rules,
    /// What the first poll says.
    pub first: First,
    /// Which changes become events.
    pub on: Changes,
    /// Which of those become events.
    pub when: Option<Condition>,
    /// Polls in a row that must see a new value before it is an event. At least 1.
    pub settle: u32,
    /// When an item that is missing counts as deleted.
    pub deletes: Deletes,
    /// Events of one poll; a poll with more is held.
    pub max_events: u64,
    /// The event's type; `None`: `JOB.CHANGE`.
    pub event_type: Option<Template>,
    /// Who gets the events, and as what.
    pub send_to: Vec<Route>,
    /// The name that it had before, whose state it takes over.
    pub rename: Option<JobName>,
    /// What of the config the job's state depends on.
    pub fingerprints: Fingerprints,
}

/// When an item that is missing counts as deleted.
#[derive(Clone, Debug)]
pub struct Deletes {
    /// Complete polls without it. At least 1.
    pub after: u32,
    /// More than this share of the items at once is held.
    pub hold_above: Share,
    /// What must say 404 or 410 first.
    pub confirm: Option<RequestSpec>,
}

impl Default for Deletes {
    fn default() -> Self {
        Self { after: 2, hold_above: Share::percent(20), confirm: None }
    }
}

impl Job {
    /// May its ledger of this name be polled?
    pub fn may_have(&self, scope: &str) -> bool {
        self.each.as_ref().map_or(scope.is_empty(), |each| each.may_have(scope))
    }

    /// Events of one poll, when nothing is said.
    pub const MAX_EVENTS: u64 = 1000;

    /// Above what its polls are held.
    pub fn hold_limits(&self) -> HoldLimits {
        HoldLimits { share: self.deletes.hold_above, events: self.max_events }
    }
}

/// How to ask for the first (or only) page.
#[derive(Clone, Debug)]
pub struct RequestSpec {
    /// The method, upper case.
    pub method: http::Method,
    /// The whole URL, `base_url` and `url` joined; its templates are those of `url`.
    pub url: Text,
    /// Added to the URL's query, in the order of their names.
    pub query: Vec<(String, Text)>,
    /// Sent as they are rendered, in the order of their names.
    pub headers: Vec<(http::HeaderName, Text)>,
    /// What is sent.
    pub body: Option<BodySpec>,
    /// The credentials.
    pub auth: Option<Auth>,
    /// How to connect and what to put up with.
    pub access: Arc<Access>,
    /// What answers are told by beside their status.
    pub signs: Arc<Signs>,
}

/// A request's body.
#[derive(Clone, Debug)]
pub enum BodySpec {
    /// Sent as it is rendered.
    Text(Text),
    /// A table of the config, each string a template: JSON by construction.
    Json(crate::core::template::JsonTemplate),
}

impl BodySpec {
    /// What a body is said to be where no header says it. A table is JSON. Of a string it is said that it is JSON when it
    /// is; else that it is text.
    pub fn content_type(&self, body: &str) -> &'static str {
        let is_json = matches!(self, Self::Json(_)) || serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
        if is_json { "application/json" } else { "text/plain; charset=utf-8" }
    }
}

/// How to connect to a vendor, and what to put up with. Jobs with equal settings share a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The whole exchange, body included.
    pub timeout: Duration,
    /// Until the connection stands.
    pub connect_timeout: Option<Duration>,
    /// Bytes of an answer's body after decompression.
    pub max_body: u64,
    /// Quick retries inside one poll.
    pub retries: u32,
    /// Send `If-None-Match` and `If-Modified-Since`.
    pub conditional: bool,
    /// Whose certificates count, and which proxy is used.
    pub transport: Transport,
    /// Where requests and credentials may go.
    pub homes: Homes,
}

/// What an item's absence from the list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// It is gone.
    Complete,
    /// Nothing: the list is a moving window or a filtered feed.
    Window,
}

/// What the first poll says of the items it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Nothing: they are the baseline.
    Silent,
    /// Each is an event.
    Emit,
}

/// A set of [`Change`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes(u8);

impl Changes {
    /// Every kind of change.
    pub const ALL: Self = Self(0b1111);

    /// No change at all; add with [`Changes::with`].
    pub const NONE: Self = Self(0);

    /// The set with `change` in it.
    #[must_use]
    pub fn with(self, change: Change) -> Self {
        Self(self.0 | 1 << change as u8)
    }

    /// Is `change` in it?
    pub fn contains(self, change: Change) -> bool {
        self.0 & (1 << change as u8) != 0
    }
}

/// Digests of the parts of a job's config that its state depends on, of the spelling before secrets are put in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// Method, URL, query and body, and the same of `detail`. A change drops validators and re-baselines silently.
    pub request: Digest,
    /// `format`, `csv`, `array` and `items`. A change drops validators and re-baselines silently.
    pub selection: Digest,
    /// `key`. A change re-baselines silently.
    pub identity: Digest,
    /// `watch` and `ignore` as written, kept whole so that the old rules can be applied once more.
    pub rules: String,
}

impl Fingerprints {
    /// All that makes a list what it is, as one.
    pub fn list(&self) -> Digest {
        Digest::of(&[self.request.0, self.selection.0, self.identity.0].concat())
    }

    /// The parts of which an edit makes another list of what was remembered, so that the job re-baselines.
    pub fn edited(&self, now: &Self) -> Vec<&'static str> {
        let parts = [
            ("request", self.request != now.request),
            ("selection", self.selection != now.selection),
            ("identity", self.identity != now.identity),
        ];
        parts.into_iter().filter(|(_, edited)| *edited).map(|(name, _)| name).collect()
    }
}

/// A job with nothing special, for tests: the document at one address, every half minute.
#[cfg(test)]
pub(crate) fn plain(name: &str) -> Job {
    use crate::core::template::Part;

    let access = Access {
        timeout: Duration::from_secs(30),
        connect_timeout: None,
        max_body: 1 << 20,
        retries: 0,
        conditional: true,
        transport: Transport::default(),
        homes: Homes::default(),
    };
    let url = Part::Plain("http://shop.example/orders".to_owned());
    let request = RequestSpec {
        method: http::Method::GET,
        url: Text::compile(&[url], &["job"]).expect("a URL"),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        auth: None,
        access: Arc::new(access),
        signs: Arc::default(),
    };
    let (rules, digest) = (Rules::default(), |byte| Digest([byte; 16]));
    Job {
        name: JobName::from(name),
        vendor: None,
        courtesy: Courtesy::default(),
        enabled: true,
        request,
        pages: None,
        cursor: None,
        detail: None,
        each: None,
        schedule: Schedule::Every(Duration::from_secs(30)),
        respect_cache: false,
        document: crate::core::document::DocumentSpec::default(),
        items: None,
        key: Vec::new(),
        list: ListKind::Complete,
        empty: false,
        fingerprints: Fingerprints {
            request: digest(1),
            selection: digest(2),
            identity: digest(3),
            rules: rules.to_text(),
        },
        rules,
        first: First::Silent,
        on: Changes::ALL,
        when: None,
        settle: 1,
        deletes: Deletes::default(),
        max_events: Job::MAX_EVENTS,
        event_type: None,
        send_to: Vec::new(),
        rename: None,
    }
}
