//! What the engine tells of itself while it works, for metrics and health.
//!
//! An observer only counts; nothing that it does may change what the engine does.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::core::names::{JobName, SinkName};
use crate::core::time::Timestamp;

/// Told of what happens, when it has happened.
pub trait Observer: Send + Sync {
    /// A poll has ended.
    fn poll_ended(&self, seen: &PollSeen);
    /// An attempt has ended and is settled.
    fn attempt_ended(&self, seen: &AttemptSeen);
}

/// A poll, as metrics see it.
#[derive(Clone, Debug)]
pub struct PollSeen {
    /// Which job's.
    pub job: JobName,
    /// `complete`, `partial`, `unchanged` or `failed`.
    pub outcome: &'static str,
    /// When it ended.
    pub at: Timestamp,
    /// From its claim to its commit.
    pub took: Duration,
    /// Items read.
    pub items: u64,
    /// Events committed.
    pub events: u64,
}

/// An attempt, as metrics see it.
#[derive(Clone, Debug)]
pub struct AttemptSeen {
    /// Whose.
    pub sink: SinkName,
    /// `delivered`, `retry`, `dead` or `held`.
    pub verdict: &'static str,
    /// How long the exchange took.
    pub took: Duration,
    /// From the sight of the change to the end of the attempt.
    pub since_seen: Duration,
}

/// When parts of the daemon last made progress, for `/healthz` and the watchdog.
#[derive(Debug, Default)]
pub struct Pulse {
    scheduler: AtomicI64,
    store: AtomicI64,
}

impl Pulse {
    /// The scheduler went round.
    pub fn scheduler_beat(&self, now: Timestamp) {
        self.scheduler.store(now.0, Ordering::Relaxed);
    }

    /// The store's writer answered.
    pub fn store_beat(&self, now: Timestamp) {
        self.store.store(now.0, Ordering::Relaxed);
    }

    /// When the slower of the two last made progress; the epoch before both have.
    pub fn last_progress(&self) -> Timestamp {
        Timestamp(self.scheduler.load(Ordering::Relaxed).min(self.store.load(Ordering::Relaxed)))
    }
}
