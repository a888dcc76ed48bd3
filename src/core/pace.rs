//! When a job is polled next, after a good poll or a bad one.
//!
//! Pure: the clock's reading and the dice come in as arguments. Nothing here waits.

use std::time::Duration;

use crate::core::outcome::Failure;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;

/// The shortest wait after a failed poll, whatever `every` says.
pub const BACK_OFF_MIN: Duration = Duration::from_secs(1);

/// The longest wait after a failed poll, for jobs whose interval is shorter.
pub const BACK_OFF_CEILING: Duration = Duration::from_secs(15 * 60);

/// The wait after `failures` failed polls in a row: the interval times 2^n, at least [`BACK_OFF_MIN`], at most the
/// greater of the interval and [`BACK_OFF_CEILING`], give or take a tenth. A refusal (401, 403) starts at the ceiling.
/// `dice` is in `0.0..1.0`.
pub fn back_off(interval: Duration, failures: u32, failure: &Failure, dice: f64) -> Duration {
    let ceiling = interval.max(BACK_OFF_CEILING);
    let wait = match failure.is_refusal() {
        true => ceiling,
        false => interval.saturating_mul(2_u32.saturating_pow(failures)).clamp(BACK_OFF_MIN, ceiling),
    };
    let spread = wait.mul_f64(0.9 + 0.2 * dice);
    spread.max(failure.retry_after.unwrap_or_default())
}

/// When to poll after a poll that ended at `now`: the schedule's next moment, or after a failure the end of the
/// back-off. A calendar's firings are never moved, only passed over. `None`: never again.
pub fn next_due(
    schedule: &Schedule,
    spread: u64,
    now: Timestamp,
    failed: Option<(&Failure, u32)>,
    dice: f64,
) -> Option<Timestamp> {
    let Some((failure, failures)) = failed else { return schedule.next(now, spread) };
    let interval = schedule.interval(now);
    let wait = back_off(interval, failures, failure, dice);
    match schedule {
        Schedule::Every(_) => Some(now.plus(wait)),
        Schedule::Cron(_) => {
            let skipped = wait.saturating_sub(interval).max(failure.retry_after.unwrap_or_default());
            schedule.next(now.plus(skipped), spread)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::outcome::FailureKind;

    fn failure(status: Option<u16>) -> Failure {
        Failure { status, ..Failure::new(FailureKind::Status, "no") }
    }

    /// The wait in milliseconds with dice that land in the middle.
    fn wait(interval_ms: u64, failures: u32, status: Option<u16>) -> u128 {
        back_off(Duration::from_millis(interval_ms), failures, &failure(status), 0.5).as_millis()
    }

    #[test]
    fn the_wait_doubles_with_each_failure_between_a_second_and_a_quarter_of_an_hour() {
        assert_eq!(wait(50, 1, None), 1_000);
        assert_eq!(wait(30_000, 1, None), 60_000);
        assert_eq!(wait(30_000, 3, None), 240_000);
        assert_eq!(wait(30_000, 40, None), 900_000);
        assert_eq!(wait(7_200_000, 1, None), 7_200_000, "a slow job keeps its interval");
    }

    #[test]
    fn a_refused_token_waits_at_the_ceiling_from_the_first_time() {
        assert_eq!(wait(30_000, 1, Some(401)), 900_000);
        assert_eq!(wait(30_000, 1, Some(403)), 900_000);
    }

    #[test]
    fn a_403_that_is_a_rate_limit_is_no_refusal() {
        let limited = Failure { kind: FailureKind::Limited, ..failure(Some(403)) };
        assert_eq!(back_off(Duration::from_secs(30), 1, &limited, 0.5), Duration::from_secs(60));
    }

    #[test]
    fn the_dice_move_the_wait_by_a_tenth_at_most() {
        let every = Duration::from_secs(30);
        assert_eq!(back_off(every, 1, &failure(None), 0.0), Duration::from_secs(54));
        assert!(back_off(every, 1, &failure(None), 0.999) <= Duration::from_secs(66));
    }

    #[test]
    fn a_retry_after_is_never_undercut() {
        let asked = Failure { retry_after: Some(Duration::from_secs(7200)), ..failure(Some(429)) };
        assert_eq!(back_off(Duration::from_secs(1), 1, &asked, 0.0), Duration::from_secs(7200));
    }

    #[test]
    fn a_failed_poll_of_a_steady_job_waits_from_its_end() {
        let every = Schedule::Every(Duration::from_secs(30));
        let due = next_due(&every, 7, Timestamp(1_000_000), Some((&failure(None), 1)), 0.5);
        assert_eq!(due, Some(Timestamp(1_060_000)));
    }
}
