//! An event on its way to one sink: what an answer means, how long to wait, and how it ends.
//!
//! Pure: the clock's reading and the dice come in as arguments.

use std::time::Duration;

use bytes::Bytes;

use crate::core::names::{EventId, JobName, Key, Lane, Scope, SinkName};
use crate::core::time::Timestamp;

/// A delivery as a poll commits it.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Who gets it.
    pub sink: SinkName,
    /// Deliveries with this lane go one after the other; `None`: no order.
    pub lane: Option<Lane>,
    /// The bytes to send; `None`: the event's own body.
    pub body: Option<Bytes>,
    /// Set for a delivery that can't be sent at all: it is born dead, with this reason.
    pub dead: Option<String>,
}

/// What of an event a delivery needs while it is on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The event's id, sent as `webhook-id` with every attempt.
    pub event: EventId,
    /// The event's type.
    pub kind: String,
    /// The job that saw the change.
    pub job: JobName,
    /// The ledger it belongs to.
    pub scope: Scope,
    /// The item's key.
    pub key: Key,
    /// The event's number in its job and scope.
    pub sequence: u64,
    /// When the poll saw the change.
    pub seen_at: Timestamp,
    /// What is sent, the same bytes on every attempt.
    pub body: Bytes,
}

/// The waits after failed attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder(pub Vec<Duration>);

/// How an attempt went. None of these is an error of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// The status.
        status: u16,
        /// What its `Retry-After` asks for, read against the answer's own `Date`, at most 24 h.
        retry_after: Option<Duration>,
        /// The first 4 KiB of the body, lossily as text.
        excerpt: String,
    },
    /// No answer: DNS, connect, TLS, timeout.
    Unreachable(crate::core::outcome::Failure),
    /// Our own guard refused the address: permanent.
    Forbidden(String),
}

/// One attempt, as it is kept.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it went.
    pub answer: Answer,
}

/// What happens next to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Not before this moment.
    RetryAt(Timestamp),
    /// Never again by itself; the reason.
    Dead(String),
    /// Kept until a person enables the sink again; the reason for which the sink is disabled.
    SinkGone(String),
}

impl Verdict {
    /// The word that the logs and the metrics use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::RetryAt(_) => "retry",
            Self::Dead(_) => "dead",
            Self::SinkGone(_) => "held",
        }
    }
}

/// How it went, in a few words for a log line: `status 503`, or the sentence of what went wrong.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { status, .. } => write!(f, "status {status}"),
            Self::Unreachable(failure) => failure.fmt(f),
            Self::Forbidden(reason) => f.write_str(reason),
        }
    }
}
