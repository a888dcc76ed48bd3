//! A token bucket: how many requests may begin now, and when the next one may.
//!
//! Pure: it is told what time it is. Whole numbers only, so that no rounding ever lets a request too many through.

use std::time::Duration;

use crate::core::time::Timestamp;
use crate::core::units::Rate;

/// A calendar month has no fixed length; the longest keeps the promise in every month.
const MONTH: Duration = Duration::from_secs(31 * 86_400);

const MILLION: i128 = 1_000_000;

/// Lets through what a [`Rate`] allows, and a burst of one second's worth (at least one) after a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Credit that a millisecond brings: the rate's count.
    gain: u64,
    /// Credit that a request costs: the rate's window in milliseconds.
    cost: u64,
    /// The most credit that is kept.
    capacity: u64,
    credit: u64,
    /// Up to when the credit is counted.
    at: Timestamp,
}

impl Bucket {
    /// A bucket that is full at `now`.
    pub fn full(rate: Rate, now: Timestamp) -> Self {
        let window = rate.per.length().unwrap_or(MONTH);
        let gain = u64::from(rate.count);
        let cost = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let capacity = cost.max(gain.saturating_mul(1000));
        Self { gain, cost, capacity, credit: capacity, at: now }
    }

    /// A bucket as it was left at `at` with so many millionths of a token, which may be less than none: then it is
    /// empty. The rate may be another one by now.
    pub fn left(rate: Rate, millionths: i64, at: Timestamp, now: Timestamp) -> Self {
        let full = Self::full(rate, now);
        let then = i128::from(millionths) * i128::from(full.cost) / MILLION;
        let since = i128::try_from(now.since(at).as_millis()).unwrap_or(i128::MAX);
        let credit = since.saturating_mul(i128::from(full.gain)).saturating_add(then);
        let credit = u64::try_from(credit.clamp(0, i128::from(full.capacity))).unwrap_or(full.capacity);
        Self { credit, ..full }
    }

    /// What [`Bucket::left`] takes up again: millionths of a token, and when they were counted.
    pub fn remains(&self) -> (i64, Timestamp) {
        let millionths = i128::from(self.credit) * MILLION / i128::from(self.cost);
        (i64::try_from(millionths).unwrap_or(i64::MAX), self.at)
    }

    /// The tokens that there are at `now`.
    pub fn available(&self, now: Timestamp) -> u64 {
        let mut then = self.clone();
        then.advance(now);
        then.credit / then.cost
    }

    /// Takes a token, if there is one at `now`.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.advance(now);
        let Some(rest) = self.credit.checked_sub(self.cost) else { return false };
        self.credit = rest;
        true
    }

    /// When there is a token: `now`, or the first moment after it.
    pub fn ready_at(&self, now: Timestamp) -> Timestamp {
        let mut then = self.clone();
        then.advance(now);
        let missing = then.cost.saturating_sub(then.credit);
        now.plus(Duration::from_millis(missing.div_ceil(then.gain.max(1))))
    }

    /// Counts what has come in since. A clock that steps back brings nothing, and takes nothing away.
    fn advance(&mut self, now: Timestamp) {
        let elapsed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.credit = self.credit.saturating_add(elapsed.saturating_mul(self.gain)).min(self.capacity);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::units::{Per, parse_rate};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn bucket(rate: &str) -> Bucket {
        Bucket::full(parse_rate(rate).expect("a rate"), NOW)
    }

    /// How many tokens there are at once.
    fn drain(bucket: &mut Bucket, now: Timestamp) -> u32 {
        (0..).take_while(|_| bucket.take(now)).count() as u32
    }

    #[test]
    fn the_burst_is_one_seconds_worth_and_at_least_one() {
        for (rate, burst) in [("50/s", 50), ("1/s", 1), ("600/m", 10), ("30/m", 1), ("5/d", 1), ("1/mo", 1)] {
            let mut bucket = bucket(rate);
            assert_eq!(drain(&mut bucket, NOW), burst, "{rate}");
            assert_eq!(drain(&mut bucket, NOW.plus(Duration::from_secs(400 * 86_400))), burst, "{rate} after a year");
        }
    }

    #[test]
    fn the_next_token_comes_when_it_says() {
        let mut bucket = bucket("3/s");
        drain(&mut bucket, NOW);
        assert_eq!(bucket.ready_at(NOW), NOW.plus(Duration::from_millis(334)));
        assert!(!bucket.take(NOW.plus(Duration::from_millis(333))));
        assert!(bucket.take(NOW.plus(Duration::from_millis(334))));
    }

    #[test]
    fn a_clock_that_steps_back_stalls_nothing() {
        let mut bucket = bucket("1/s");
        assert!(bucket.take(NOW));
        let back = Timestamp(NOW.0 - 3_600_000);
        assert!(!bucket.take(back));
        assert_eq!(bucket.ready_at(back), back.plus(Duration::from_secs(1)));
    }

    #[test]
    fn a_bucket_that_is_taken_up_again_holds_what_it_held() {
        let mut before = bucket("4/s");
        before.take(NOW);
        let (millionths, at) = before.remains();
        assert_eq!((millionths, at), (3_000_000, NOW));
        let rate = |text| parse_rate(text).expect("a rate");
        let available = |rate, millionths, later: u64| {
            let now = NOW.plus(Duration::from_millis(later));
            Bucket::left(rate, millionths, at, now).available(now)
        };
        assert_eq!(available(rate("4/s"), millionths, 0), 3);
        assert_eq!(available(rate("4/s"), millionths, 250), 4);
        assert_eq!(available(rate("4/s"), millionths, 60_000), 4, "never more than the burst");
        assert_eq!(available(rate("4/s"), -50_000_000, 100), 0, "a crash leaves it empty, not in debt");
        assert_eq!(Bucket::left(rate("4/s"), -50_000_000, at, NOW).ready_at(NOW), NOW.plus(Duration::from_millis(250)));
        assert_eq!(available(rate("1/h"), 500_000, 0), 0);
        assert_eq!(available(rate("1/h"), 500_000, 1_800_000), 1);
    }

    fn rates() -> impl Strategy<Value = Rate> {
        let per = prop_oneof![Just(Per::Second), Just(Per::Minute), Just(Per::Hour), Just(Per::Day)];
        (1..10_000_u32, per).prop_map(|(count, per)| Rate { count, per })
    }

    proptest! {
        #[test]
        fn no_span_ever_gets_more_than_the_burst_and_the_rate(
            rate in rates(), pauses in prop::collection::vec((0..5_000_u64, 1..50_u32), 1..60)
        ) {
            let mut bucket = Bucket::full(rate, NOW);
            let window = rate.per.length().expect("fixed").as_millis() as u64;
            let burst = (u64::from(rate.count) * 1000 / window).max(1);
            let mut taken: Vec<(Timestamp, u64)> = Vec::new();
            let mut now = NOW;
            for (pause, tries) in pauses {
                now = now.plus(Duration::from_millis(pause));
                let got = (0..tries).filter(|_| bucket.take(now)).count() as u64;
                taken.push((now, got));
                for from in 0..taken.len() {
                    let sum: u64 = taken[from..].iter().map(|(_, got)| got).sum();
                    let span = now.since(taken[from].0).as_millis() as u64;
                    prop_assert!(sum <= burst + 1 + span * u64::from(rate.count) / window);
                }
            }
        }

        #[test]
        fn who_takes_whenever_it_is_ready_gets_the_whole_rate(rate in rates(), tokens in 1..200_u64) {
            let mut bucket = Bucket::full(rate, NOW);
            let mut now = NOW;
            for _ in 0..tokens {
                let ready = bucket.ready_at(now);
                prop_assert!(ready == now || !bucket.clone().take(Timestamp(ready.0 - 1)), "not a moment too late");
                now = ready;
                prop_assert!(bucket.take(now));
            }
            let window = rate.per.length().expect("fixed").as_millis() as u64;
            let fair = tokens * window / u64::from(rate.count) + tokens;
            prop_assert!(now.since(NOW).as_millis() as u64 <= fair);
        }
    }
}
