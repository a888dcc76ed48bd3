//! The breaker of a sink: when failures in a row mean that the receiver is down, and what that spares its deliveries.
//!
//! Pure. Which delivery is the probe, and when the clock is looked at, is the engine's business.

use std::time::Duration;

use crate::core::delivery::{Answer, Ladder, Verdict, judge, later, stretched};
use crate::core::time::Timestamp;

#[cfg(test)]
mod tests;

/// Failed attempts in a row after which the breaker opens.
pub const OPENS_AFTER: u32 = 5;

/// How long a sink may do nothing but fail before it is disabled.
pub const FAILING_MAX: Duration = Duration::from_secs(5 * 86_400);

/// How a sink has failed lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failed attempts in a row, over all deliveries.
    pub failures: u32,
    /// When the first of those ended.
    pub failing_since: Option<Timestamp>,
    /// Set while it is open.
    pub open: Option<Open>,
}

/// An open breaker: only a probe goes, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Probes that have failed.
    pub probes: u32,
    /// When the next one may go.
    pub probe_at: Timestamp,
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// 2xx.
    Success,
    /// A failed attempt that began while the breaker was closed, even if it is open by now: it does not move the
    /// breaker's ladder.
    Failure,
    /// The probe has failed.
    ProbeFailure,
}

/// Whose the failures in a row are.
///
/// Those of one delivery say little of the sink: it may be that one which the receiver can't take. So whatever comes
/// then and was never tried is a probe that need not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suspects {
    /// There are none.
    #[default]
    Nobody,
    /// All are this delivery's.
    One(i64),
    /// Several deliveries have failed, or nobody knows.
    Several,
}

impl Suspects {
    /// Who is suspected once the attempt of this delivery has been heard.
    #[must_use]
    pub fn after(self, heard: Heard, delivery: i64) -> Self {
        match (heard, self) {
            (Heard::Success, _) => Self::Nobody,
            (_, Self::Nobody) => Self::One(delivery),
            (_, Self::One(known)) if known == delivery => self,
            (_, Self::One(_) | Self::Several) => Self::Several,
        }
    }
}

impl Breaker {
    /// The breaker once the attempt has been heard at `now`. `jitter`, from 0 to 1, is how much of the 20 % is added to
    /// the wait for the next probe.
    #[must_use]
    pub fn after(self, heard: Heard, ladder: &Ladder, now: Timestamp, jitter: f64) -> Self {
        if heard == Heard::Success {
            return Self::default();
        }
        let failures = self.failures.saturating_add(1);
        let probe = |probes: u32| Open { probes, probe_at: later(now, stretched(rung(ladder, probes), jitter)) };
        let open = match (self.open, heard) {
            (Some(open), Heard::ProbeFailure) => Some(probe(open.probes.saturating_add(1))),
            (Some(open), _) => Some(open),
            (None, _) if failures >= OPENS_AFTER => Some(probe(0)),
            (None, _) => None,
        };
        Self { failures, failing_since: self.failing_since.or(Some(now)), open }
    }

    /// True when the sink has only failed for so long that it is disabled: what waits is then held for a person.
    pub fn is_outlived(&self, now: Timestamp) -> bool {
        self.open.is_some() && self.failing_since.is_some_and(|since| now.since(since) >= FAILING_MAX)
    }
}

/// The wait before the probe after so many that failed; the last step stands for all later ones. A sink without
/// retries still needs probes: they follow the default ladder.
fn rung(ladder: &Ladder, probes: u32) -> Duration {
    let default = Ladder::default();
    let steps = if ladder.0.is_empty() { &default.0 } else { &ladder.0 };
    let at = usize::try_from(probes).unwrap_or(usize::MAX).min(steps.len().saturating_sub(1));
    steps.get(at).copied().unwrap_or_default()
}

/// What an answer means for a delivery, as [`judge`] says, but that a delivery whose ladder is spent does not die while
/// its sink is down: it goes on `spared_until` then.
pub fn judge_sparing(
    ladder: &Ladder,
    attempt_number: u32,
    answer: &Answer,
    now: Timestamp,
    jitter: f64,
    spared_until: Option<Timestamp>,
) -> Verdict {
    match (judge(ladder, attempt_number, answer, now, jitter), spared_until) {
        (Verdict::Dead(_), Some(until)) if !answer.is_final() => {
            Verdict::RetryAt(until.max(later(now, answer.retry_after().unwrap_or_default())))
        }
        (verdict, _) => verdict,
    }
}
