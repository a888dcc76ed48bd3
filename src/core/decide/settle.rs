//! `settle`: a new value counts once it has been seen in so many polls in a row.
//!
//! Until then the item's row stays what it was, so each poll finds the difference again; only the value is remembered
//! beside it, and how often it was seen.

use bytes::Bytes;

use crate::core::decide::{Decider, Differing};
use crate::core::diff::difference;
use crate::core::json::parse;
use crate::core::ledger::{Remembered, Row, SettleWrite};
use crate::core::names::KeyDigest;
use crate::core::why::{Observation, Seen, Silence};

impl Decider {
    /// True when a value that differs may be said. Otherwise it is counted, and waits. What is decided by rules that
    /// were just edited does not wait: the next poll would not find the difference again (promise S5).
    pub(super) fn has_settled(&mut self, item: &Differing) -> bool {
        let (key, needed) = (item.fresh.key, self.start.job.settle);
        if needed <= 1 || self.is_silent() || self.start.old_rules.is_some() {
            self.unsettle(key);
            return true;
        }
        if !self.counted.insert(key) {
            return false;
        }
        let rules = &self.start.job.rules;
        let is_same = |pending: &Remembered| {
            parse(&pending.body).is_ok_and(|pending| difference(&pending, &item.tree, rules).changed.is_empty())
        };
        let seen = self.start.settling.get(&key).filter(|_| item.pending.as_ref().is_some_and(is_same));
        let polls = seen.map_or(1, |polls| polls + 1);
        if polls >= needed {
            self.unsettle(key);
            return true;
        }
        let body = || Remembered { key: item.key.clone(), body: Bytes::from(item.tree.to_bytes()) };
        let remembered = (polls == 1).then(body);
        self.decided.settle.push(SettleWrite { key, polls, remembered });
        self.decided.silent += 1;
        if let Some(row) = item.row.filter(Row::is_missing) {
            self.keep(Row { missed: 0, ..row });
        }
        let polls = Some((polls, needed));
        self.observe(Observation { polls, ..self.observed(key, Silence::Settle, Seen::default()) });
        false
    }

    /// Forgets the new value of an item that has none any more, or whose value was said.
    pub(super) fn unsettle(&mut self, key: KeyDigest) {
        if self.start.settling.contains_key(&key) {
            self.decided.settle.push(SettleWrite { key, polls: 0, remembered: None });
        }
    }

    /// Forgets the new values of items that a complete list does not hold.
    pub fn unsettle_unseen(&mut self, seen: impl Fn(KeyDigest) -> bool) {
        let start = self.start.clone();
        start.settling.keys().filter(|key| !seen(**key)).for_each(|key| self.unsettle(*key));
    }

    /// True when this poll has counted a new value of this item.
    pub fn has_counted(&self, key: KeyDigest) -> bool {
        self.counted.contains(&key)
    }
}
