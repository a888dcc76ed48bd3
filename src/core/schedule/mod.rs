//! When a job is polled: every so often, or by the calendar of a place.
//!
//! A schedule answers with a date and knows nothing of what happened before: it neither waits nor remembers.

mod cron;
mod fields;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use crate::core::time::Timestamp;
use crate::core::units::show_duration;

pub use cron::Cron;

/// What [`Schedule::interval`] says of a cron that fires once more or never again.
const LAST_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// When a job is polled.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Every so often. Less than a millisecond counts as one.
    Every(Duration),
    /// Every so often, more often while something changes.
    Adaptive {
        /// The shortest time between two polls.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// By the calendar.
    Cron(Cron),
}

impl Schedule {
    /// The first moment after `after`, always strictly later; `None`: never again.
    ///
    /// `spread` (see [`spread_of`]) gives an `every` its phase: its moments are `k * every + spread % every` in
    /// milliseconds since 1970, so they stay where they are over restarts.
    pub fn next(&self, after: Timestamp, spread: u64) -> Option<Timestamp> {
        match self {
            Self::Every(every) => next_on_grid(after, *every, spread),
            // No sooner than the shortest wait, and spread over one more of it.
            Self::Adaptive { min, .. } => next_on_grid(Timestamp(after.plus(*min).0 - 1), *min, spread),
            Self::Cron(cron) => cron.next(after),
        }
    }

    /// The usual time between two polls around `now`: of one that adapts the longest, of a cron that between its next two.
    pub fn interval(&self, now: Timestamp) -> Duration {
        match self {
            Self::Every(every) | Self::Adaptive { max: every, .. } => *every,
            Self::Cron(cron) => {
                let next = cron.next(now);
                let after_next = next.and_then(|next| cron.next(next));
                next.zip(after_next).map_or(LAST_INTERVAL, |(next, after_next)| after_next.since(next))
            }
        }
    }

    /// Does a moment of this schedule lie after `last_poll`, and not after `now`?
    pub fn missed(&self, last_poll: Timestamp, now: Timestamp, spread: u64) -> bool {
        self.next(last_poll, spread).is_some_and(|next| next <= now)
    }
}

/// As a person says it: ``every 30s``, ``cron `0 9 * * mon-fri` in Europe/Berlin``.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => write!(f, "every {}", show_duration(*every)),
            Self::Adaptive { min, max } => write!(f, "every {} to {}", show_duration(*min), show_duration(*max)),
            Self::Cron(cron) => write!(f, "cron `{}` in {}", cron.as_str(), cron.timezone()),
        }
    }
}

/// The phase of a job within its interval, from its name: the same on every start and every machine.
pub fn spread_of(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes()[..8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn next_on_grid(after: Timestamp, every: Duration, spread: u64) -> Option<Timestamp> {
    let every = i128::try_from(every.as_millis()).unwrap_or(i128::MAX).clamp(1, i128::from(i64::MAX));
    let phase = i128::from(spread) % every;
    let rounds = (i128::from(after.0) - phase).div_euclid(every) + 1;
    i64::try_from(rounds * every + phase).ok().map(Timestamp)
}
