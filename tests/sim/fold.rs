//! A receiver that folds events, and what must be true of every event that it is given.
//!
//! What counts as change is said here once more, in its own words, so that it does not repeat a mistake.

use std::collections::{BTreeMap, BTreeSet};

use doorbell::core::view::{PollEventView, PollReport};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use crate::plan::Rules;

/// How far a price may move under [`Rules::tolerance`].
pub(crate) const TOLERANCE: i64 = 5;

pub(crate) type Checked = Result<(), TestCaseError>;

/// What a receiver holds: put on created, updated and restored, removed on deleted.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    held: BTreeMap<String, Value>,
    ids: BTreeSet<String>,
    sequence: u64,
    /// All that some rules have left out since the receiver last knew everything.
    left_out: Rules,
    /// Bodies may be remembered that differ, where the rules leave it out, from what the receiver holds: the rules were
    /// edited, or the baseline took several polls.
    adopted: bool,
}

/// What a poll was shown, by key, in the order in which it was shown.
pub(crate) type Served = BTreeMap<String, Vec<Value>>;

impl Fold {
    /// A silent baseline was read whole: it is what the receiver starts from. `at_once`: no poll before has read a part
    /// of it, of which bodies that are equal under the rules are kept.
    pub(crate) fn begin(&mut self, served: &Served, rules: Rules, at_once: bool) {
        let last = |(key, versions): (&String, &Vec<Value>)| (key.clone(), versions[versions.len() - 1].clone());
        self.held = served.iter().map(last).collect();
        self.left_out = rules;
        self.adopted = !at_once;
    }

    /// The config has other rules from now on.
    pub(crate) fn revise(&mut self, rules: Rules) {
        self.left_out = self.left_out.or(rules);
        self.adopted = true;
    }

    /// Takes a poll's events, and holds each against what the poll was shown.
    pub(crate) fn take(&mut self, report: &PollReport, served: &Served) -> Checked {
        prop_assert_eq!(report.events.len() as u64, report.events_total);
        prop_assert!(report.events.is_empty() || report.outcome != "failed", "{:?}", report);
        for event in &report.events {
            if event.change == "deleted" {
                let whole = matches!(report.outcome.as_str(), "complete" | "unchanged");
                prop_assert!(whole, "deleted by a poll that is {}: {:?}", report.outcome, event);
            }
            self.take_one(event, served)?;
        }
        Ok(())
    }

    fn take_one(&mut self, event: &PollEventView, served: &Served) -> Checked {
        let body: Value = serde_json::from_str(event.body.get()).expect("an envelope");
        let data = &body["data"];
        prop_assert!(self.ids.insert(event.id.clone()), "the id of {} was used before", body);
        self.sequence += 1;
        prop_assert_eq!(data["sequence"].as_u64(), Some(self.sequence), "{}", body);
        prop_assert_eq!(data["key"].as_str(), Some(event.key.as_str()));
        let (before, after) = (&data["before"], &data["after"]);
        let held = self.held.get(&event.key);
        match event.change.as_str() {
            "created" => prop_assert!(held.is_none() && before.is_null(), "{} is held: {:?}", body, held),
            "restored" => prop_assert!(held.is_none() && !before.is_null(), "{} is held: {:?}", body, held),
            "updated" => {
                let changed = data["changed"].as_array().is_some_and(|changed| !changed.is_empty());
                prop_assert!(changed, "nothing changed: {}", body);
                prop_assert!(before != after, "no difference: {}", body);
            }
            _ => prop_assert!(after.is_null(), "{}", body),
        }
        if matches!(event.change.as_str(), "updated" | "deleted") {
            prop_assert!(held.is_some(), "{} is not held", body);
            prop_assert!(self.adopted || held == Some(before), "{} is held as {:?}", body, held);
        }
        if event.change == "deleted" {
            self.held.remove(&event.key);
            return Ok(());
        }
        let shown = served.get(&event.key).is_some_and(|versions| versions.contains(after));
        prop_assert!(shown, "{} was never shown", body);
        self.held.insert(event.key.clone(), after.clone());
        Ok(())
    }

    /// It holds all that the vendor holds, and perhaps more.
    pub(crate) fn check_there(&self, vendor: &BTreeMap<String, Value>) -> Checked {
        for (key, now) in vendor {
            let held = self.held.get(key).map(|held| self.counted(held));
            prop_assert_eq!(held, Some(self.counted(now)), "what counts in {}", key);
        }
        Ok(())
    }

    /// It holds what the vendor holds, but for what the rules leave out.
    pub(crate) fn check(&self, vendor: &BTreeMap<String, Value>) -> Checked {
        let keys = |held: &BTreeMap<String, Value>| held.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(keys(&self.held), keys(vendor));
        for (key, now) in vendor {
            let held = &self.held[key];
            prop_assert_eq!(self.counted(held), self.counted(now), "what counts in {}", key);
            let price = |item: &Value| item["price"].as_i64().expect("a price");
            let drift = (price(held) - price(now)).abs();
            // Each edit of the rules may take over a price that is a little off.
            let may = if self.left_out.tolerance { TOLERANCE } else { 0 };
            prop_assert!(drift <= may || (self.adopted && may > 0), "a drift of {} in {}", drift, key);
        }
        Ok(())
    }

    /// It holds what the vendor holds, to the letter.
    pub(crate) fn check_all(&self, vendor: &BTreeMap<String, Value>) -> Checked {
        prop_assert_eq!(&self.held, vendor);
        Ok(())
    }

    /// The ids of its events in the order of their sequence.
    pub(crate) fn events(&self) -> usize {
        self.ids.len()
    }

    fn counted(&self, item: &Value) -> Value {
        let mut item = item.clone();
        let rules = self.left_out;
        let members = item.as_object_mut().expect("an item");
        members.remove("price");
        if rules.ignore || rules.watch {
            members.remove("noise");
        }
        if rules.watch {
            members.remove("at");
        }
        for (name, is_free) in [("tags", rules.unordered), ("lines", rules.arrays)] {
            if let Some(Value::Array(elements)) = members.get_mut(name).filter(|_| is_free) {
                elements.sort_by_key(ToString::to_string);
            }
        }
        item
    }
}

impl Rules {
    /// What these rules leave out, or those.
    fn or(self, other: Self) -> Self {
        Self {
            ignore: self.ignore | other.ignore,
            watch: self.watch | other.watch,
            tolerance: self.tolerance | other.tolerance,
            unordered: self.unordered | other.unordered,
            arrays: self.arrays | other.arrays,
        }
    }
}
