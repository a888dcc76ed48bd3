//! An event on its way to one sink: what an answer means, how long to wait, and how it ends.
//!
//! Pure: the clock's reading and the dice come in as arguments.

use std::time::Duration;

use bytes::Bytes;

use crate::core::batch::Bound;
use crate::core::formats::Wire;
use crate::core::names::{EventId, JobName, Key, Lane, Scope, SinkName};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::skipped::{SKIPPED, SKIPPED_MORE, Skipped};
use crate::core::time::Timestamp;
use crate::core::trace::Trace;

mod retry_after;
#[cfg(test)]
mod tests;

pub use retry_after::{RETRY_AFTER_MAX, parse_http_date, parse_retry_after};

/// The headers that every attempt sets itself: a sink's own headers of these names are not sent.
pub const OWN_HEADERS: [&str; 11] = [
    "content-type",
    "content-length",
    "transfer-encoding",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "doorbell-attempt",
    "doorbell-replay",
    SKIPPED,
    SKIPPED_MORE,
];

/// The greatest part of a wait that jitter adds to it. It never takes anything away.
const JITTER: f64 = 0.2;

/// A delivery as a poll commits it.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Who gets it.
    pub sink: SinkName,
    /// Deliveries with this lane go one after the other; `None`: no order. A store that follows the orders of sinks makes
    /// it anew, for a poll may end after an edit of the order.
    pub lane: Option<Lane>,
    /// The bytes to send; `None`: the event's own body. Empty where nothing could be written.
    pub body: Option<Bytes>,
    /// What they are sent with.
    pub wire: Wire,
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
    /// What they are sent with.
    pub wire: Wire,
    /// A person asked for it to be sent again: said in the header `doorbell-replay`.
    pub replay: bool,
    /// The events of its lane that died before it.
    pub skipped: Skipped,
    /// Set for a batch: the body is that of all its events. What else is said here is said of the first of them.
    pub batch: Option<Bound>,
}

impl Parcel {
    /// `webhook-id`: the event's, or the batch's.
    pub fn id(&self) -> &str {
        self.batch.as_ref().map_or(self.event.as_str(), |batch| batch.id.as_str())
    }

    /// How many events it holds.
    pub fn events(&self) -> usize {
        self.batch.as_ref().map_or(1, |batch| batch.events)
    }

    /// `content-type`.
    pub fn content_type(&self) -> &'static str {
        if self.batch.is_some() { self.wire.batch_content_type() } else { self.wire.content_type() }
    }
}

/// The waits after failed attempts: the first after the first. When they are spent, the delivery is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder(pub Vec<Duration>);

/// 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h (Standard Webhooks, "Retries").
impl Default for Ladder {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let waits = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self(waits.map(Duration::from_secs).to_vec())
    }
}

impl Ladder {
    /// The wait after the failed attempt of this number (1 for the first); `None` when the ladder is spent.
    fn wait_after(&self, attempt_number: u32) -> Option<Duration> {
        let rung = usize::try_from(attempt_number.saturating_sub(1)).ok()?;
        self.0.get(rung).copied()
    }
}

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
    Unreachable(Failure),
    /// Our own guard refused the address: permanent.
    Forbidden(String),
}

impl Answer {
    /// Did the receiver take it?
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Status { status: 200..=299, .. })
    }

    /// How it went, for a person: `the receiver answered 503`, or why there was no answer.
    pub fn sentence(&self) -> String {
        match self {
            Self::Status { status: status @ 300..=399, .. } => {
                format!(
                    "the receiver answered {status}: redirects of webhooks are never followed, so `url` must be the last one"
                )
            }
            Self::Status { status, .. } => format!("the receiver answered {status}"),
            Self::Unreachable(failure) => failure.sentence.clone(),
            Self::Forbidden(reason) => reason.clone(),
        }
    }

    /// What its `Retry-After` asks for, at most 24 h.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after.map(|wait| wait.min(RETRY_AFTER_MAX)),
            Self::Unreachable(failure) => failure.retry_after.map(|wait| wait.min(RETRY_AFTER_MAX)),
            Self::Forbidden(_) => None,
        }
    }

    /// Why trying again can't help, where it can't.
    pub(in crate::core) fn is_final(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 413 | 415),
            Self::Unreachable(failure) => failure.kind == FailureKind::Address,
            Self::Forbidden(_) => true,
        }
    }
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
    /// What is kept beside the answer.
    pub trace: Trace,
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
    /// Of a batch: its events go again at once, in others.
    Split,
}

impl Verdict {
    /// The word that the logs and the metrics use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::RetryAt(_) => "retry",
            Self::Dead(_) => "dead",
            Self::SinkGone(_) => "held",
            Self::Split => "split",
        }
    }
}

/// What an answer means for the delivery whose attempt of this number (1 for the first) got it at `now`.
///
/// `jitter`, from 0 to 1, is how much of the 20 % is added to the ladder's wait; anything else counts as the nearer
/// of the two. The next attempt is never earlier than the answer's `Retry-After` asks.
pub fn judge(ladder: &Ladder, attempt_number: u32, answer: &Answer, now: Timestamp, jitter: f64) -> Verdict {
    if answer.is_success() {
        return Verdict::Delivered;
    }
    if matches!(answer, Answer::Status { status: 410, .. }) {
        return Verdict::SinkGone("the receiver answered 410: it wants no webhooks any more".to_owned());
    }
    if answer.is_final() {
        return Verdict::Dead(format!("{}; trying again can't help", answer.sentence()));
    }
    let Some(rung) = ladder.wait_after(attempt_number) else {
        return Verdict::Dead(format!("attempt {attempt_number} was the last: {}", answer.sentence()));
    };
    let wait = stretched(rung, jitter).max(answer.retry_after().unwrap_or_default());
    Verdict::RetryAt(later(now, wait))
}

/// Until when the whole sink is left alone, because its answer (of any status) carried a `Retry-After`.
pub fn hold_sink(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    answer.retry_after().map(|wait| later(now, wait))
}

pub(in crate::core) fn stretched(wait: Duration, jitter: f64) -> Duration {
    let share = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    wait.saturating_add(wait.mul_f64(share * JITTER))
}

/// `now` and `wait`, rounded up to a whole millisecond: a timestamp may not say less than was asked.
pub(in crate::core) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let whole = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let rest = if whole < wait { Duration::from_millis(1) } else { Duration::ZERO };
    now.plus(whole.saturating_add(rest))
}
