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

/// The interval of a schedule that adapts, after a good poll: half of it when something changed, a quarter more when
/// nothing did. It begins with the shortest.
pub fn adapted(schedule: &Schedule, interval: Option<Duration>, changed: bool) -> Option<Duration> {
    let Schedule::Adaptive { min, max } = schedule else { return None };
    let interval = interval.unwrap_or(*min);
    Some(if changed { interval / 2 } else { interval.saturating_mul(5) / 4 }.clamp(*min, *max))
}

/// The moment of the next poll, postponed while the last answer is fresh: only to the longest interval after `now`, and
/// never one by the calendar.
pub fn postponed(
    due: Option<Timestamp>,
    schedule: &Schedule,
    now: Timestamp,
    fresh_until: Option<Timestamp>,
) -> Option<Timestamp> {
    let longest = match schedule {
        Schedule::Every(every) | Schedule::Adaptive { max: every, .. } => now.plus(*every),
        Schedule::Cron(_) => return due,
    };
    let fresh_until = fresh_until.unwrap_or(now).min(longest);
    due.map(|due| due.max(fresh_until))
}

/// When to poll after a poll that ended at `now`: the schedule's next moment, or after a failure the end of the
/// back-off. A calendar's firings are never moved, only passed over. `interval` is that of a schedule that adapts: its
/// polls keep no phase, and up to a tenth is added. `None`: never again.
pub fn next_due(
    schedule: &Schedule,
    interval: Option<Duration>,
    spread: u64,
    now: Timestamp,
    failed: Option<(&Failure, u32)>,
    dice: f64,
) -> Option<Timestamp> {
    let Some((failure, failures)) = failed else {
        return match (schedule, interval) {
            (Schedule::Adaptive { max, .. }, Some(interval)) => {
                Some(now.plus(interval.mul_f64(1.0 + dice / 10.0).min(*max)))
            }
            _ => schedule.next(now, spread),
        };
    };
    let interval = interval.unwrap_or_else(|| schedule.interval(now));
    let wait = back_off(interval, failures, failure, dice);
    match schedule {
        Schedule::Every(_) | Schedule::Adaptive { .. } => Some(now.plus(wait)),
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
        let due = next_due(&every, None, 7, Timestamp(1_000_000), Some((&failure(None), 1)), 0.5);
        assert_eq!(due, Some(Timestamp(1_060_000)));
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_interval_that_adapts_shortens_with_changes_and_lengthens_when_it_is_quiet() {
        let schedule = Schedule::Adaptive { min: 10 * SECOND, max: 60 * SECOND };
        let mut interval = None;
        let mut seen = Vec::new();
        for changed in [false, false, false, false, false, false, false, false, false, true, true, true, true] {
            interval = adapted(&schedule, interval, changed);
            seen.push(interval.unwrap().as_secs());
        }
        assert_eq!(seen, [12, 15, 19, 24, 30, 38, 47, 59, 60, 30, 15, 10, 10]);
        assert_eq!(adapted(&Schedule::Every(SECOND), None, true), None);
        for dice in [0.0, 0.5, 0.999] {
            let due =
                |interval: u32| next_due(&schedule, Some(interval * SECOND), 7, Timestamp(0), None, dice).unwrap().0;
            assert!((10_000..11_000).contains(&due(10)) && due(60) == 60_000);
        }
        let failed = next_due(&schedule, Some(20 * SECOND), 7, Timestamp(0), Some((&failure(None), 1)), 0.5);
        assert_eq!(failed, Some(Timestamp(40_000)), "it backs off from where it is");
    }

    #[test]
    fn a_fresh_answer_postpones_the_next_poll_and_never_beyond_the_interval() {
        let at = |seconds: i64| Some(Timestamp(seconds * 1000));
        let every = Schedule::Every(30 * SECOND);
        let adaptive = Schedule::Adaptive { min: SECOND, max: 60 * SECOND };
        let now = Timestamp(0);
        assert_eq!(postponed(at(3), &every, now, at(20)), at(20));
        assert_eq!(postponed(at(3), &every, now, at(9000)), at(30));
        assert_eq!(postponed(at(3), &every, now, None), at(3));
        assert_eq!(postponed(at(25), &every, now, at(20)), at(25), "nothing is polled sooner");
        assert_eq!(postponed(at(3), &adaptive, now, at(9000)), at(60));
        assert_eq!(postponed(None, &every, now, at(20)), None);
    }
}
