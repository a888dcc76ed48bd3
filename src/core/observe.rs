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
    /// Deliveries of a sink were ended as dead because too many waited.
    fn dropped(&self, _sink: &SinkName, _count: u64) {}
    /// The store has committed a transaction, and it is safe on disk.
    fn committed(&self, _took: Duration) {}
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
    /// `delivered`, `retry`, `dead`, `held` or `split`.
    pub verdict: &'static str,
    /// How long the exchange took.
    pub took: Duration,
    /// From the sight of the change to the end of the attempt.
    pub since_seen: Duration,
    /// A person asked for it to be sent again: how long ago the change was says nothing then.
    pub replay: bool,
}

/// How long the scheduler and the store may show no progress: both beat every few seconds when idle, and no commit
/// takes longer than this on a disk that works.
pub const PROGRESS_WITHIN: Duration = Duration::from_secs(30);

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

    /// When the scheduler last went round; the epoch before it has.
    pub fn scheduler(&self) -> Timestamp {
        Timestamp(self.scheduler.load(Ordering::Relaxed))
    }

    /// When the store's writer last answered; the epoch before it has.
    pub fn store(&self) -> Timestamp {
        Timestamp(self.store.load(Ordering::Relaxed))
    }

    /// When the slower of the two last made progress; the epoch before both have.
    pub fn last_progress(&self) -> Timestamp {
        self.scheduler().min(self.store())
    }

    /// Does the daemon make progress? Before the first beat its start counts as one.
    ///
    /// # Errors
    ///
    /// Which part is stuck, and for how long.
    pub fn alive(&self, started: Timestamp, now: Timestamp) -> Result<(), String> {
        for (part, beat) in [("the scheduler", self.scheduler()), ("the state's writer", self.store())] {
            let still = now.since(beat.max(started));
            if still > PROGRESS_WITHIN {
                return Err(format!("{part} has made no progress for {} s", still.as_secs()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_part_is_named() {
        let pulse = Pulse::default();
        let at = |seconds: i64| Timestamp(seconds * 1000);
        assert_eq!(pulse.alive(at(100), at(130)), Ok(()));
        assert_eq!(pulse.alive(at(100), at(131)), Err("the scheduler has made no progress for 31 s".to_owned()));
        pulse.scheduler_beat(at(131));
        let stuck = pulse.alive(at(100), at(131)).unwrap_err();
        assert!(stuck.starts_with("the state's writer"), "{stuck}");
        pulse.store_beat(at(131));
        assert_eq!(pulse.alive(at(100), at(131)), Ok(()));
    }

    #[test]
    fn a_clock_that_steps_back_is_no_wedge() {
        let pulse = Pulse::default();
        pulse.scheduler_beat(Timestamp(1_000_000));
        pulse.store_beat(Timestamp(1_000_000));
        assert_eq!(pulse.alive(Timestamp(900_000), Timestamp(0)), Ok(()));
    }
}
