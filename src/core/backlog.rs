//! How much may wait for a sink, and what follows when it is more.
//!
//! Pure: it is told how much waits. Who pauses and who drops is the engine's business.

use std::time::Duration;

use crate::core::time::Timestamp;
use crate::core::units::show_duration;

/// Deliveries that may wait when the config says nothing.
pub const MAX_BACKLOG: u64 = 1_000_000;

/// What happens when more waits than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// The jobs that feed the sink are not polled until less waits again.
    Pause,
    /// The oldest that wait end as dead.
    DropOldest,
}

/// How much may wait for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deliveries that have not ended.
    pub max_backlog: u64,
    /// How long the oldest of them may have waited.
    pub max_age: Option<Duration>,
    /// What happens then.
    pub at_limit: AtLimit,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_backlog: MAX_BACKLOG, max_age: None, at_limit: AtLimit::Pause }
    }
}

/// What waits for a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Deliveries that have not ended, held ones too.
    pub count: u64,
    /// When the oldest of them was seen.
    pub oldest: Option<Timestamp>,
}

impl Limits {
    /// Why the sink is full, if it is. One that `was_full` is full until it is a tenth below its limits, so that its
    /// jobs don't start and stop with every delivery.
    pub fn full(&self, was_full: bool, waiting: Waiting, now: Timestamp) -> Option<String> {
        if waiting.count >= self.count_limit(was_full) {
            return Some(format!("{} deliveries wait, of at most `max_backlog` = {}", waiting.count, self.max_backlog));
        }
        let age = now.since(waiting.oldest?);
        let max = self.max_age?;
        let limit = if was_full { max.mul_f64(0.9) } else { max };
        (age > limit).then(|| format!("the oldest delivery has waited longer than `max_age` = {}", show_duration(max)))
    }

    /// From how many on a sink is full: its limit, or for one that is full already nine tenths of it.
    pub fn count_limit(&self, was_full: bool) -> u64 {
        if was_full { (self.max_backlog / 10 * 9 + self.max_backlog % 10 * 9 / 10).max(1) } else { self.max_backlog }
    }

    /// How many too many wait.
    pub fn excess(&self, waiting: Waiting) -> u64 {
        waiting.count.saturating_sub(self.max_backlog)
    }

    /// What was seen before this moment has waited too long.
    pub fn too_old(&self, now: Timestamp) -> Option<Timestamp> {
        let max = i64::try_from(self.max_age?.as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp(now.0.saturating_sub(max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn is_full(limits: Limits, was_full: bool, count: u64, age: u64) -> bool {
        let oldest = Some(Timestamp(NOW.0 - i64::try_from(age * 1000).expect("small")));
        limits.full(was_full, Waiting { count, oldest }, NOW).is_some()
    }

    #[test]
    fn a_sink_is_full_at_its_limit_and_until_a_tenth_below_it() {
        let limits = Limits { max_backlog: 100, ..Limits::default() };
        assert!(!is_full(limits, false, 99, 1));
        assert!(is_full(limits, false, 100, 1));
        assert!(is_full(limits, true, 90, 1));
        assert!(!is_full(limits, true, 89, 1));
        let one = Limits { max_backlog: 1, ..limits };
        assert!(is_full(one, true, 1, 1));
        assert!(!is_full(one, true, 0, 1));
    }

    #[test]
    fn age_counts_only_where_it_is_limited() {
        let limits = Limits { max_age: Some(Duration::from_secs(100)), ..Limits::default() };
        assert!(!is_full(Limits::default(), false, 1, 1_000_000));
        assert!(!is_full(limits, false, 1, 100));
        assert!(is_full(limits, false, 1, 101));
        assert!(is_full(limits, true, 1, 91));
        assert!(!is_full(limits, true, 1, 90));
        assert_eq!(limits.full(true, Waiting::default(), NOW), None);
        assert_eq!(limits.too_old(NOW), Some(Timestamp(NOW.0 - 100_000)));
    }

    #[test]
    fn the_excess_is_what_must_go() {
        let limits = Limits { max_backlog: 10, ..Limits::default() };
        assert_eq!(limits.excess(Waiting { count: 10, oldest: None }), 0);
        assert_eq!(limits.excess(Waiting { count: 13, oldest: None }), 3);
    }
}
