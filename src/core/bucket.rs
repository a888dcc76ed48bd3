//! A token bucket: how many requests may begin now, and when the next one may.
//!
//! Pure: it is told what time it is. Whole numbers only, so that no rounding ever lets a request too many through.

use std::time::Duration;

use crate::core::time::Timestamp;
use crate::core::units::Rate;

/// A calendar month has no fixed length; the longest keeps the promise in every month.
const MONTH: Duration = Duration::from_secs(31 * 86_400);

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
