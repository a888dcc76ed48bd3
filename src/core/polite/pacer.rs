//! When the next request may be made: a rate, a budget and what the vendor itself asked for, together.
//!
//! What a vendor asks for only ever postpones. Nothing here waits or writes.

use std::time::Duration;

use crate::core::bucket::Bucket;
use crate::core::limits::{Advice, Pace};
use crate::core::polite::{Allowance, Courtesy, Spent};
use crate::core::time::Timestamp;
use crate::core::units::Rate;

/// For how long a rate's tokens are written down ahead: a crash empties the bucket at most.
const AHEAD: Duration = Duration::from_secs(300);

/// The part of a budget that is written down ahead, and that a crash can lose: a hundredth.
const AHEAD_SHARE: u64 = 100;

/// A shorter wait that a vendor asks for is over before a restart is.
const KEEP_WAIT_MIN: Duration = Duration::from_secs(10);

/// What one owner's requests are held to.
#[derive(Clone, Debug)]
pub struct Pacer {
    rate: Option<(Rate, Bucket)>,
    budget: Option<Allowance>,
    /// The vendor wants to be left alone until then.
    not_before: Timestamp,
    /// The vendor is short of what it gives, and when that ends.
    pace: Option<(Duration, Timestamp)>,
    /// The last request.
    last: Timestamp,
    /// Requests that are written down as made and were not.
    ahead: u64,
    /// The budget's window that those belong to.
    ahead_in: Timestamp,
}

/// Which parts of a pacer a request is held to: a job's own keys replace its vendor's. What a vendor asks for always
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Its rate.
    pub rate: bool,
    /// Its budget.
    pub budget: bool,
}

/// What is kept of a pacer over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Millionths of a token of its rate, and when they were counted.
    pub rate: Option<(i64, Timestamp)>,
    /// What its budget was used for.
    pub budget: Option<Spent>,
    /// The vendor wants to be left alone until then.
    pub not_before: Option<Timestamp>,
}

/// When a request may be made, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready {
    /// When.
    pub at: Timestamp,
    /// What for.
    pub why: Why,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The rate.
    Rate,
    /// The budget.
    Budget,
    /// What the vendor asked for.
    Asked,
}

impl Pacer {
    /// One for a config, taking up what was kept.
    pub fn new(courtesy: &Courtesy, kept: Option<Kept>, now: Timestamp) -> Self {
        let kept = kept.unwrap_or_default();
        let bucket = |rate| match kept.rate {
            Some((millionths, at)) => Bucket::left(rate, millionths, at, now),
            None => Bucket::full(rate, now),
        };
        let allowance = |quota| match kept.budget {
            Some(spent) => Allowance::left_with(quota, spent, now),
            None => Allowance::full(quota, now),
        };
        Self {
            rate: courtesy.rate.map(|rate| (rate, bucket(rate))),
            budget: courtesy.budget.map(allowance),
            not_before: kept.not_before.unwrap_or(Timestamp(i64::MIN)),
            pace: None,
            last: Timestamp(i64::MIN),
            ahead: 0,
            ahead_in: Timestamp(i64::MIN),
        }
    }

    /// Makes it one for another config: what was used stays used.
    pub fn adapt(&mut self, courtesy: &Courtesy, now: Timestamp) {
        let same_rate = self.rate.as_ref().map(|(rate, _)| *rate) == courtesy.rate;
        if !same_rate {
            let remains = self.rate.as_ref().map(|(_, bucket)| bucket.remains());
            self.rate = courtesy.rate.map(|rate| match remains {
                Some((millionths, at)) => (rate, Bucket::left(rate, millionths, at, now)),
                None => (rate, Bucket::full(rate, now)),
            });
        }
        let budget = self.budget.take();
        self.budget = courtesy.budget.map(|quota| match budget {
            Some(allowance) => allowance.of(quota, now),
            None => Allowance::full(quota, now),
        });
        self.ahead = 0;
    }

    /// When a request may be made; `at` is `now` when it is one of these. `opening`: it begins a poll.
    pub fn ready(&self, parts: Parts, now: Timestamp, opening: bool) -> Ready {
        let rate = self.rate.as_ref().filter(|_| parts.rate).map(|(_, bucket)| bucket.ready_at(now));
        let budget = self.budget.as_ref().filter(|_| parts.budget).map(|budget| budget.ready_at(now, opening));
        let rate = Ready { at: rate.unwrap_or(now), why: Why::Rate };
        let budget = Ready { at: budget.unwrap_or(now), why: Why::Budget };
        let asked = Ready { at: self.asked_at(now), why: Why::Asked };
        rate.max(budget).max(asked)
    }

    fn asked_at(&self, now: Timestamp) -> Timestamp {
        let paced = self.pace.filter(|(_, until)| *until > now).map(|(every, until)| self.last.plus(every).min(until));
        paced.unwrap_or(now).max(self.not_before).max(now)
    }

    /// How many polls could begin at `now`.
    pub fn available(&self, parts: Parts, now: Timestamp) -> u64 {
        let rate = self.rate.as_ref().filter(|_| parts.rate).map_or(u64::MAX, |(_, bucket)| bucket.available(now));
        let budget = self.budget.as_ref().filter(|_| parts.budget).map_or(u64::MAX, |budget| budget.available(now));
        let asked = match self.pace.is_some_and(|(_, until)| until > now) {
            _ if self.asked_at(now) > now => 0,
            true => 1,
            false => u64::MAX,
        };
        rate.min(budget).min(asked)
    }

    /// What must be kept before the next request can be made: as if a block of requests had been made already. `None`
    /// while there are some of the last block. Tell [`Pacer::kept_ahead`] when it is kept.
    pub fn to_keep(&self, now: Timestamp) -> Option<(u64, Kept)> {
        let block = self.block(now)?;
        let window = self.window(now);
        (self.ahead == 0 || self.ahead_in != window).then(|| (block, self.kept(block, now)))
    }

    /// A block of requests is kept.
    pub fn kept_ahead(&mut self, block: u64, now: Timestamp) {
        self.ahead = block;
        self.ahead_in = self.window(now);
    }

    /// How many requests are written down at once; `None` where nothing is counted.
    fn block(&self, now: Timestamp) -> Option<u64> {
        let rate = self.rate.as_ref().map(|(rate, _)| {
            let window = rate.per.length().unwrap_or(Duration::MAX).as_millis();
            u64::try_from(u128::from(rate.count) * AHEAD.as_millis() / window).unwrap_or(u64::MAX).max(1)
        });
        let budget = self.budget.as_ref().map(|budget| {
            let share = u64::from(budget.quota().count).div_ceil(AHEAD_SHARE);
            share.min(budget.left(now)).max(1)
        });
        rate.into_iter().chain(budget).min()
    }

    fn window(&self, now: Timestamp) -> Timestamp {
        self.budget.as_ref().map_or(Timestamp(i64::MIN), |budget| budget.window_at(now))
    }

    /// What is kept, as if `ahead` more requests had been made.
    pub fn kept(&self, ahead: u64, now: Timestamp) -> Kept {
        let tokens = i64::try_from(ahead).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Kept {
            rate: self.rate.as_ref().map(|(_, bucket)| {
                let (millionths, at) = bucket.remains();
                (millionths.saturating_sub(tokens), at)
            }),
            budget: self.budget.as_ref().map(|budget| budget.spent(ahead)),
            not_before: Some(self.not_before).filter(|moment| *moment > now),
        }
    }

    /// What is kept, with the rest of the last block as used.
    pub fn kept_now(&self, now: Timestamp) -> Kept {
        self.kept(self.ahead, now)
    }

    /// True when what is kept is not what is.
    pub fn is_ahead(&self) -> bool {
        self.ahead > 0
    }

    /// Makes a request, if it may be made at `now`.
    pub fn take(&mut self, parts: Parts, now: Timestamp, opening: bool) -> bool {
        if self.ready(parts, now, opening).at > now {
            return false;
        }
        if let Some((_, bucket)) = self.rate.as_mut().filter(|_| parts.rate) {
            bucket.take(now);
        }
        if let Some(budget) = self.budget.as_mut().filter(|_| parts.budget) {
            budget.take(now);
        }
        self.last = now;
        self.ahead = self.ahead.saturating_sub(1);
        true
    }

    /// Heeds what the vendor asks for; true when that should be kept. It only ever postpones.
    pub fn heed(&mut self, advice: &Advice, now: Timestamp) -> bool {
        let until = advice.wait.map_or(Timestamp(i64::MIN), |wait| now.plus(wait));
        let longer = until > self.not_before;
        self.not_before = self.not_before.max(until);
        if let Some(Pace { every, lasting }) = advice.pace {
            self.pace = Some((every, now.plus(lasting)));
        }
        longer && advice.wait.is_some_and(|wait| wait >= KEEP_WAIT_MIN)
    }

    /// The budget, and what is left of it at `now`.
    pub fn budget(&self, now: Timestamp) -> Option<(Rate, u64)> {
        self.budget.as_ref().map(|budget| (budget.quota(), budget.left(now)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::units::parse_rate;

    const NOW: Timestamp = Timestamp(20_500 * 86_400_000);
    const ALL: Parts = Parts { rate: true, budget: true };

    fn courtesy(rate: Option<&str>, budget: Option<&str>) -> Courtesy {
        let parse = |text: &str| parse_rate(text).expect("a rate");
        Courtesy { rate: rate.map(parse), budget: budget.map(parse), concurrency: None }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn waiting(wait: u64) -> Advice {
        Advice { wait: Some(seconds(wait)), ..Advice::default() }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_and_never_shortened() {
        let mut pacer = Pacer::new(&courtesy(None, None), None, NOW);
        assert!(pacer.heed(&waiting(60), NOW));
        assert!(!pacer.heed(&waiting(30), NOW), "a shorter one is no news");
        let ready = pacer.ready(ALL, NOW, true);
        assert_eq!(ready, Ready { at: NOW.plus(seconds(60)), why: Why::Asked });
        assert_eq!(pacer.available(ALL, NOW), 0);
        let after = Pacer::new(&courtesy(None, None), Some(pacer.kept(0, NOW)), NOW);
        assert_eq!(after.ready(ALL, NOW, true), ready);
        assert_eq!(pacer.ready(ALL, NOW.plus(seconds(60)), true).at, NOW.plus(seconds(60)));
    }

    #[test]
    fn a_block_is_written_down_once_and_in_each_window() {
        let mut pacer = Pacer::new(&courtesy(None, Some("1000/d")), None, NOW);
        let (block, kept) = pacer.to_keep(NOW).expect("nothing is written yet");
        assert_eq!((block, kept.budget.expect("a budget").used), (10, 10));
        pacer.kept_ahead(block, NOW);
        for _ in 0..10 {
            assert!(pacer.to_keep(NOW).is_none() && pacer.take(ALL, NOW, true));
        }
        assert!(pacer.to_keep(NOW).is_some());
        pacer.kept_ahead(10, NOW);
        assert!(pacer.to_keep(NOW.plus(seconds(86_400))).is_some(), "a new window counts for itself");
        let mut spent = Pacer::new(&courtesy(None, Some("3/d")), None, NOW);
        (0..3).for_each(|_| assert!(spent.take(ALL, NOW, false)));
        assert_eq!(spent.kept(5, NOW).budget.expect("a budget").used, 3, "there is no more to use than there is");
    }

    #[test]
    fn a_rate_alone_is_written_down_every_five_minutes_and_a_slow_one_each_time() {
        let block = |rate| Pacer::new(&courtesy(Some(rate), None), None, NOW).to_keep(NOW).expect("a rate").0;
        assert_eq!((block("4/s"), block("60/m"), block("1/m"), block("5/d"), block("1/mo")), (1200, 300, 5, 1, 1));
    }

    #[test]
    fn a_job_with_a_rate_of_its_own_is_not_held_to_its_vendors() {
        let mut pacer = Pacer::new(&courtesy(Some("1/h"), Some("100/d")), None, NOW);
        assert!(pacer.take(ALL, NOW, true) && !pacer.take(ALL, NOW, true));
        assert!(pacer.take(Parts { rate: false, budget: true }, NOW, true), "but to its budget");
        assert_eq!(pacer.budget(NOW), Some((parse_rate("100/d").expect("a rate"), 98)));
    }

    #[test]
    fn another_config_keeps_what_was_used() {
        let mut pacer = Pacer::new(&courtesy(Some("2/s"), Some("100/d")), None, NOW);
        assert!(pacer.take(ALL, NOW, true) && pacer.take(ALL, NOW, true));
        pacer.adapt(&courtesy(Some("4/s"), Some("50/d")), NOW);
        assert_eq!(pacer.available(ALL, NOW), 0, "an empty bucket stays empty");
        assert_eq!(pacer.budget(NOW).expect("a budget").1, 48);
        pacer.adapt(&courtesy(None, None), NOW);
        assert_eq!((pacer.available(ALL, NOW), pacer.budget(NOW)), (u64::MAX, None));
    }

    proptest! {
        #[test]
        fn advice_never_makes_anything_faster(
            steps in prop::collection::vec((0..40_000_u64, 0..100_u64, 0..100_u64, 0..100_u64), 1..50)
        ) {
            let allowed = courtesy(Some("30/m"), Some("200/h"));
            let (mut plain, mut advised) = (Pacer::new(&allowed, None, NOW), Pacer::new(&allowed, None, NOW));
            let mut now = NOW;
            for (pause, wait, every, lasting) in steps {
                now = now.plus(Duration::from_millis(pause));
                let advice = Advice {
                    wait: (wait % 3 == 0).then(|| seconds(wait)),
                    pace: (every % 3 == 0).then(|| Pace { every: seconds(every), lasting: seconds(lasting) }),
                    limited: false,
                };
                advised.heed(&advice, now);
                prop_assert!(advised.ready(ALL, now, true).at >= plain.ready(ALL, now, true).at);
                if advised.take(ALL, now, true) {
                    prop_assert!(plain.take(ALL, now, true));
                }
            }
        }
    }
}
