//! A budget: so many requests in a window, never more, and not all at its beginning.
//!
//! Pure, and in whole numbers. Windows are those of the UTC calendar, so that a restart can't begin a new one.

use std::time::Duration;

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::core::time::Timestamp;
use crate::core::units::Rate;

/// A request, in the unit that credit is counted in.
const REQUEST: i64 = 1_000_000;

/// How much of a budget may be used at once: a tenth.
const BURST_SHARE: u32 = 10;

/// What of a budget was used, and what of it may be used by now.
///
/// What is left is spread evenly over what remains of the window: `credit` grows towards all of it, at most to a tenth of
/// the budget. A poll begins only with credit for a request. Once it has begun it goes on as long as anything is left,
/// and the credit may fall below nothing: else no poll with more pages than a tenth of the budget would ever be complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    quota: Rate,
    used: u64,
    /// In millionths of a request; what may be used by `at`.
    credit: i64,
    at: Timestamp,
    /// The beginning of the window that is counted.
    start: Timestamp,
    end: Timestamp,
}

/// What is kept of an [`Allowance`] over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// The beginning of the window.
    pub start: Timestamp,
    /// Requests in it.
    pub used: u64,
    /// Millionths of a request that could be used at `at`.
    pub credit: i64,
    /// When that was.
    pub at: Timestamp,
}

impl Allowance {
    /// An allowance of which nothing was used.
    pub fn full(quota: Rate, now: Timestamp) -> Self {
        let (start, end) = window(quota, now);
        Self { quota, used: 0, credit: burst(quota), at: now, start, end }
    }

    /// An allowance as it was left. What was used in a window that has not ended is used, whatever the quota is by now.
    pub fn left_with(quota: Rate, spent: Spent, now: Timestamp) -> Self {
        let (start, end) = window(quota, spent.start.max(spent.at));
        let credit = spent.credit.min(burst(quota));
        let mut allowance = Self { quota, used: spent.used, credit, at: spent.at, start, end };
        allowance.advance(now);
        allowance.credit = allowance.credit.max(0);
        allowance
    }

    /// What [`Allowance::left_with`] takes up again, as if `ahead` more requests had been made.
    pub fn spent(&self, ahead: u64) -> Spent {
        let cost = i64::try_from(ahead).unwrap_or(i64::MAX).saturating_mul(REQUEST);
        let used = self.used.saturating_add(ahead).min(self.count().max(self.used));
        Spent { start: self.start, used, credit: self.credit.saturating_sub(cost), at: self.at }
    }

    /// What it is an allowance of.
    pub fn quota(&self) -> Rate {
        self.quota
    }

    /// The same use, of another quota.
    #[must_use]
    pub fn of(&self, quota: Rate, now: Timestamp) -> Self {
        match quota == self.quota {
            true => self.clone(),
            false => Self::left_with(quota, self.spent(0), now),
        }
    }

    /// How many requests are left in the window at `now`.
    pub fn left(&self, now: Timestamp) -> u64 {
        self.advanced(now).unused()
    }

    /// When the window of `now` began.
    pub fn window_at(&self, now: Timestamp) -> Timestamp {
        self.advanced(now).start
    }

    /// How many polls could begin at `now`.
    pub fn available(&self, now: Timestamp) -> u64 {
        let then = self.advanced(now);
        u64::try_from(then.credit / REQUEST).unwrap_or(0).min(then.unused())
    }

    /// When a request may be made: `now`, or the first moment after it. `opening`: it begins a poll.
    pub fn ready_at(&self, now: Timestamp, opening: bool) -> Timestamp {
        let mut then = self.advanced(now);
        if then.unused() == 0 {
            then.advance(then.end);
        }
        if !opening || then.credit >= REQUEST {
            return then.at.max(now);
        }
        // What is left comes in evenly up to the window's end, so this is the share of that time until there is one.
        let (missing, coming) = (i128::from(REQUEST - then.credit), then.coming());
        let rest = i128::from(then.end.0.saturating_sub(then.at.0));
        let wait = (missing * rest + coming - 1).div_euclid(coming.max(1));
        let ready = Timestamp(then.at.0.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)));
        ready.min(then.end).max(now)
    }

    /// Makes a request, if one is left in the window at `now`.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.advance(now);
        if self.unused() == 0 {
            return false;
        }
        self.used += 1;
        self.credit = self.credit.saturating_sub(REQUEST);
        true
    }

    fn count(&self) -> u64 {
        u64::from(self.quota.count)
    }

    fn unused(&self) -> u64 {
        self.count().saturating_sub(self.used)
    }

    /// What is left and not in the credit yet.
    fn coming(&self) -> i128 {
        i128::from(self.unused()) * i128::from(REQUEST) - i128::from(self.credit)
    }

    fn advanced(&self, now: Timestamp) -> Self {
        let mut then = self.clone();
        then.advance(now);
        then
    }

    /// Counts what has come in since. A clock that steps back brings nothing: a window is only ever followed by a later
    /// one.
    fn advance(&mut self, now: Timestamp) {
        if now >= self.end {
            self.accrue(self.end);
            let (start, end) = window(self.quota, now);
            (self.start, self.end) = (start, end);
            self.used = 0;
            if start > self.at {
                // A whole window went by in which nothing was asked.
                self.credit = burst(self.quota);
            }
            self.at = start;
        }
        self.accrue(now);
    }

    fn accrue(&mut self, now: Timestamp) {
        let rest = i128::from(self.end.0.saturating_sub(self.at.0));
        let elapsed = i128::from(now.0.saturating_sub(self.at.0)).clamp(0, rest.max(0));
        if elapsed == 0 {
            return;
        }
        let gain = self.coming().max(0) * elapsed / rest;
        let credit = i128::from(self.credit) + gain;
        self.credit = i64::try_from(credit).unwrap_or(i64::MAX).min(burst(self.quota));
        self.at = self.at.max(now);
    }
}

/// A tenth of the budget, at least one request.
fn burst(quota: Rate) -> i64 {
    i64::from((quota.count / BURST_SHARE).max(1)) * REQUEST
}

/// The window that `now` lies in: of a fixed length since 1970, or the calendar month; all in UTC.
fn window(quota: Rate, now: Timestamp) -> (Timestamp, Timestamp) {
    match quota.per.length() {
        Some(length) => {
            let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
            let start = now.0.div_euclid(length) * length;
            (Timestamp(start), Timestamp(start).plus(Duration::from_millis(length.unsigned_abs())))
        }
        None => month(now),
    }
}

fn month(now: Timestamp) -> (Timestamp, Timestamp) {
    let today: NaiveDate = now.to_utc().date_naive();
    let first = today.checked_sub_days(Days::new(u64::from(today.day0()))).unwrap_or(today);
    let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
    let midnight = |date: NaiveDate| Timestamp(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis());
    (midnight(first), midnight(next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::units::{Per, parse_rate};

    const DAY: i64 = 86_400_000;

    /// Noon of a day in February.
    const NOON: Timestamp = Timestamp(20_500 * DAY + DAY / 2);

    fn quota(text: &str) -> Rate {
        parse_rate(text).expect("a rate")
    }

    fn fresh(text: &str) -> Allowance {
        Allowance::full(quota(text), NOON)
    }

    fn begin(allowance: &mut Allowance, now: Timestamp) -> u32 {
        (0..).take_while(|_| allowance.ready_at(now, true) <= now && allowance.take(now)).count() as u32
    }

    #[test]
    fn a_tenth_may_be_used_at_once_and_at_least_one() {
        for (text, burst) in [("10000/d", 1000), ("20/d", 2), ("5/d", 1), ("1/mo", 1), ("50000/mo", 5000)] {
            assert_eq!(begin(&mut fresh(text), NOON), burst, "{text}");
        }
    }

    #[test]
    fn what_is_left_is_spread_over_what_remains_of_the_window() {
        let mut allowance = fresh("13/d");
        assert_eq!(begin(&mut allowance, NOON), 1);
        // Twelve are left for twelve hours.
        assert_eq!(allowance.ready_at(NOON, true), Timestamp(NOON.0 + 3_600_000));
        let later = NOON.plus(Duration::from_secs(6 * 3600));
        assert_eq!(begin(&mut allowance, later), 1, "what was not used is no burst");
        assert_eq!(allowance.ready_at(later, true).0 - later.0, 6 * 3_600_000 / 11 + 1);
    }

    #[test]
    fn a_poll_that_has_begun_goes_on_while_anything_is_left() {
        let mut allowance = fresh("10/d");
        assert!((0..10).all(|_| allowance.ready_at(NOON, false) == NOON && allowance.take(NOON)));
        assert!(!allowance.take(NOON));
        assert_eq!(allowance.ready_at(NOON, false), Timestamp(NOON.0 + DAY / 2), "the next window");
        let midnight = Timestamp(NOON.0 + DAY / 2);
        assert_eq!(allowance.ready_at(NOON, true).0 - midnight.0, DAY / 10, "and no burst at its beginning");
    }

    #[test]
    fn a_month_is_that_of_the_calendar_in_utc() {
        let at = |text| Timestamp::parse(text).expect("a date");
        let now = at("2028-02-10T03:04:05Z");
        let mut allowance = Allowance::full(quota("2/mo"), now);
        assert!(allowance.take(now) && allowance.take(now) && !allowance.take(now));
        assert_eq!(allowance.ready_at(now, false), at("2028-03-01T00:00:00Z"));
        assert_eq!(allowance.window_at(at("2028-12-31T23:59:59Z")), at("2028-12-01T00:00:00Z"));
    }

    #[test]
    fn what_was_used_stays_used_when_it_is_taken_up_again() {
        let mut before = fresh("100/d");
        (0..30).for_each(|_| assert!(before.take(NOON)));
        let after = Allowance::left_with(quota("100/d"), before.spent(0), NOON);
        assert_eq!((after.left(NOON), after.available(NOON)), (70, 0));
        let crashed = Allowance::left_with(quota("100/d"), before.spent(5), NOON);
        assert_eq!(crashed.left(NOON), 65);
        let smaller = before.of(quota("20/d"), NOON);
        assert_eq!(smaller.left(NOON), 0, "a smaller budget is spent");
        assert_eq!(before.of(quota("200/d"), NOON).left(NOON), 170);
        let tomorrow = Timestamp(NOON.0 + DAY);
        assert_eq!(Allowance::left_with(quota("100/d"), before.spent(5), tomorrow).left(tomorrow), 100);
    }

    #[test]
    fn a_clock_that_steps_back_begins_no_window() {
        let mut allowance = fresh("3/d");
        (0..3).for_each(|_| assert!(allowance.take(NOON)));
        let yesterday = Timestamp(NOON.0 - DAY);
        assert!(!allowance.take(yesterday));
        assert_eq!(allowance.left(yesterday), 0);
    }

    fn quotas() -> impl Strategy<Value = Rate> {
        let per = prop_oneof![Just(Per::Minute), Just(Per::Hour), Just(Per::Day), Just(Per::Month)];
        (1..500_u32, per).prop_map(|(count, per)| Rate { count, per })
    }

    proptest! {
        #[test]
        fn no_window_ever_gets_more_than_the_budget_over_crashes_too(
            quota in quotas(), steps in prop::collection::vec((0..2_000_000_u64, 0..80_u32, 0..20_u64), 1..60)
        ) {
            let mut now = NOON;
            let mut allowance = Allowance::full(quota, now);
            let mut made: std::collections::BTreeMap<Timestamp, u64> = std::collections::BTreeMap::new();
            for (pause, tries, ahead) in steps {
                now = now.plus(Duration::from_millis(pause));
                for _ in 0..tries {
                    if allowance.take(now) {
                        *made.entry(window(quota, now).0).or_default() += 1;
                    }
                }
                allowance = Allowance::left_with(quota, allowance.spent(ahead), now);
            }
            prop_assert!(made.values().all(|made| *made <= u64::from(quota.count)));
        }

        #[test]
        fn who_begins_whenever_it_is_ready_never_waits_in_vain(quota in quotas(), polls in 1..100_usize) {
            let mut allowance = Allowance::full(quota, NOON);
            let mut now = NOON;
            for _ in 0..polls {
                now = allowance.ready_at(now, true);
                prop_assert!(allowance.ready_at(now, true) == now && allowance.take(now));
            }
        }
    }
}
