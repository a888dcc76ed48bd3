//! What a person is shown: jobs, sinks, events and deliveries as the API and the commands print them.
//!
//! The field names are the JSON of `/api/v1` and of `--json`; changing one breaks somebody's script.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::hold::Hold;
use crate::core::outcome::FailureKind;
use crate::core::recording::Recording;
use crate::core::time::Timestamp;
use crate::core::trace::{Phases, SentHeaders};

/// A job, as `doorbell status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// `ok`, `failing`, `held` (something waits for a person), `new` (no complete poll yet), `polling`, `waiting` (for its vendor's rate or budget, or because the
    /// vendor asked to be left alone), `paused` (by a person, or for a sink whose backlog is at its limit), `disabled`.
    pub health: String,
    /// The outcome of the last poll: `complete`, `partial`, `unchanged`, `failed`.
    pub outcome: Option<String>,
    /// The sentence that goes with it; where there is none, how its expressions failed since they last all worked.
    pub reason: Option<String>,
    /// When it was last polled.
    pub last_poll: Option<Timestamp>,
    /// When a poll last ended as complete or unchanged.
    pub last_success: Option<Timestamp>,
    /// When it is polled next; none for a job that is disabled or has no next run.
    pub next_run: Option<Timestamp>,
    /// Failed polls in a row.
    pub failures: u32,
    /// Items in its ledger that are not gone.
    pub items: u64,
    /// Events it has emitted, ever.
    pub events: u64,
    /// Since when a person keeps it from being polled.
    pub paused: Option<Timestamp>,
    /// What of it waits for a person: see `doorbell approve`.
    #[serde(default)]
    pub held: Option<Hold>,
}

/// What is left of a vendor's limits, as `doorbell status` shows it; only vendors that have some, or ask for some, are
/// shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VendorView {
    /// Its name; `job.NAME` for a job that has limits of its own.
    pub name: String,
    /// The rate of the config.
    pub rate: Option<String>,
    /// The budget of the config.
    pub budget: Option<String>,
    /// The requests that are left of the budget in its window.
    pub budget_left: Option<u64>,
    /// What the next poll waits for, and until when.
    pub waits: Option<String>,
}

/// A sink, as `doorbell status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// Its URL, or its host when the URL holds a secret.
    pub url: String,
    /// `ok`, `waiting` (a Retry-After), `failing`, `full` (its backlog is at the limit), `paused`, `disabled`.
    pub health: String,
    /// Why, where it is not `ok`.
    pub reason: Option<String>,
    /// Deliveries that wait: due, retried later, or behind another of their key.
    pub backlog: u64,
    /// Deliveries that are held.
    pub held: u64,
    /// Deliveries that are dead.
    pub dead: u64,
    /// When the oldest of those that wait was seen.
    pub oldest: Option<Timestamp>,
    /// When it last answered 2xx.
    pub last_success: Option<Timestamp>,
    /// Nothing is sent before this moment.
    pub not_before: Option<Timestamp>,
    /// Since when a person keeps it from being sent to.
    pub paused: Option<Timestamp>,
    /// Its breaker is open: one delivery at a time tries it.
    #[serde(default)]
    pub breaker_open: bool,
}

/// An event in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventView {
    /// Its id, `webhook-id` on the wire.
    pub id: String,
    /// The job that saw it.
    pub job: String,
    /// The scope; absent for a job without `each`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<serde_json::Value>,
    /// The item's key.
    pub key: String,
    /// `created`, `updated`, `deleted`, `restored`.
    pub change: String,
    /// Its type on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its number in its job and scope.
    pub sequence: u64,
    /// When the poll saw the change.
    pub timestamp: Timestamp,
    /// How its deliveries stand, such as `delivered` or `1 delivered, 1 dead`.
    pub deliveries: Vec<DeliveryView>,
}

/// A delivery, in an event or in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryView {
    /// The delivery's number.
    pub id: i64,
    /// Whose it is.
    pub sink: String,
    /// `waiting` (behind another of its key), `due`, `delivered`, `dead`, `held`.
    pub state: String,
    /// Attempts made.
    pub attempts: u32,
    /// When the next attempt is due, where one is.
    pub due: Option<Timestamp>,
    /// Why it is dead or held, or how its last attempt failed.
    pub reason: Option<String>,
    /// True when a person asked for its event to be sent again.
    #[serde(default)]
    pub replay: bool,
    /// When it was replayed: another delivery of the same event to the same sink came after it.
    #[serde(default)]
    pub replayed: Option<Timestamp>,
    /// The batch that it went in, or goes in: its id is the `webhook-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

/// An event with all that is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub event: EventView,
    /// The body, as it was sent.
    pub body: Box<serde_json::value::RawValue>,
    /// The deliveries whose body is another, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<BodyView>,
    /// Every attempt of every delivery, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// A delivery's body that is not the event's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BodyView {
    /// The delivery's number; none for one that was not committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<i64>,
    /// Whose it is.
    pub sink: String,
    /// What it is sent as.
    pub content_type: String,
    /// The bytes; none where nothing could be written.
    pub body: Option<Box<serde_json::value::RawValue>>,
    /// Why nothing can be sent, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptView {
    /// The delivery it belongs to.
    pub delivery: i64,
    /// Whose it is.
    pub sink: String,
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// Milliseconds it took.
    pub took_ms: u64,
    /// The answer's status, where there was an answer.
    pub status: Option<u16>,
    /// Why it failed, where it did.
    pub reason: Option<String>,
    /// The first 4 KiB of the answer's body.
    pub answer: Option<String>,
    /// How long each phase took.
    #[serde(default)]
    pub timing: Option<TimingView>,
    /// The headers that were sent, secrets as `***`; several of one name are joined by commas.
    #[serde(default)]
    pub request_headers: BTreeMap<String, String>,
}

/// How long each phase of an attempt took, in milliseconds, one after the other; none where there was no such phase.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TimingView {
    /// Resolving the name.
    pub dns_ms: Option<f64>,
    /// Until the connection stands.
    pub connect_ms: Option<f64>,
    /// The TLS handshake.
    pub tls_ms: Option<f64>,
    /// From there to the status and headers of the answer.
    pub first_byte_ms: Option<f64>,
    /// The whole attempt.
    pub total_ms: f64,
}

impl From<Phases> for TimingView {
    fn from(phases: Phases) -> Self {
        // No phase is longer than a day, which a float holds to the microsecond.
        let millis = |micros: u64| micros as f64 / 1000.0;
        Self {
            dns_ms: phases.dns.map(millis),
            connect_ms: phases.connect.map(millis),
            tls_ms: phases.tls.map(millis),
            first_byte_ms: phases.first_byte.map(millis),
            total_ms: millis(phases.total),
        }
    }
}

/// Headers by their names.
pub fn by_name(headers: &SentHeaders) -> BTreeMap<String, String> {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.pairs() {
        let joined = named.entry(name).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&value);
    }
    named
}

/// Which events to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EventFilter {
    /// Of this job only.
    pub job: Option<String>,
    /// Of this key only.
    pub key: Option<String>,
    /// Of this kind of change only.
    pub change: Option<String>,
    /// Seen at this moment or later.
    pub since: Option<Timestamp>,
    /// Newest first (the default), or oldest first when false.
    #[serde(default)]
    pub oldest_first: bool,
    /// Go on after this event: the `next` of the page before.
    pub after: Option<i64>,
    /// At most this many; the store caps it at 1000.
    pub limit: Option<u32>,
}

/// The words that a filter by change may be: what happens to items, and what system events tell.
pub const CHANGES: [&str; 12] = [
    "created",
    "updated",
    "deleted",
    "restored",
    "failing",
    "recovered",
    "stale",
    "held",
    "rebaselined",
    "disabled",
    "backlog",
    "dead",
];

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Hand this in as `after` for the next page; none on the last.
    pub next: Option<i64>,
}

/// What `doorbell poll JOB` tells: a poll that was made, and what it committed or would have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PollReport {
    /// The job.
    pub job: String,
    /// Was it committed?
    pub committed: bool,
    /// The requests that were made, secrets as `***`.
    pub requests: Vec<RequestView>,
    /// `complete`, `partial`, `unchanged`, `failed`.
    pub outcome: String,
    /// The sentence that goes with it.
    pub reason: Option<String>,
    /// The failure's kind, for a failed poll.
    pub failure: Option<FailureKind>,
    /// True when this is (a part of) the baseline, of which nothing is said.
    pub baseline: bool,
    /// Items read.
    pub items: u64,
    /// Differences that the rules, `on`, `when` or the baseline kept silent.
    pub silent: u64,
    /// What waits for a person after it.
    #[serde(default)]
    pub held: Option<Hold>,
    /// The first of the items read, as examples: key and body.
    pub sample: Vec<ItemView>,
    /// The events, with the webhooks' bodies; the first 1,000 of them.
    pub events: Vec<PollEventView>,
    /// How many events there are.
    pub events_total: u64,
    /// Milliseconds it took.
    pub took_ms: u64,
    /// What was asked and what came back, where it was to be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// Why it was not recorded, where it was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// How a poll that someone asks for is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollWish {
    /// For real: what it finds is kept and sent.
    pub commit: bool,
    /// All is asked for, past cursors and validators, and what came back is in the report.
    pub record: bool,
}

/// A request that a poll made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestView {
    /// The scope that it was for; absent for a job without `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The URL, secrets as `***`.
    pub url: String,
    /// The answer's status, where there was an answer.
    pub status: Option<u16>,
    /// True when there was no token for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_token: bool,
    /// What the endpoint of tokens answered then, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_status: Option<u16>,
    /// Bytes of the answer's body, after decompression.
    pub bytes: u64,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// An item that a poll read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemView {
    /// Its key.
    pub key: String,
    /// Its body, in the vendor's spelling.
    pub body: Box<serde_json::value::RawValue>,
}

/// An event that a poll committed, or would have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PollEventView {
    /// Its id.
    pub id: String,
    /// The item's key.
    pub key: String,
    /// `created`, `updated`, `deleted`, `restored`.
    pub change: String,
    /// The sinks that get it.
    pub sinks: Vec<String>,
    /// The webhook's body in the format `standard`.
    pub body: Box<serde_json::value::RawValue>,
    /// The webhooks whose body is another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<BodyView>,
}

/// What `doorbell test SINK` tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestReport {
    /// The sink.
    pub sink: String,
    /// Did it answer 2xx?
    pub delivered: bool,
    /// The `webhook-id` that was sent.
    pub id: String,
    /// The attempt.
    pub attempt: AttemptView,
}
