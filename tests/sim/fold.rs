//! A receiver that folds events, and what must be true of every event that it is given.
//!
//! What counts as change is said here once more, in its own words, so that it does not repeat a mistake.

use std::collections::{BTreeMap, BTreeSet};

use doorbell::core::view::{PollEventView, PollReport};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use crate::plan::{KEPT_BACK, Manner, Rules};

/// How far a price may move under [`Rules::tolerance`].
pub(crate) const TOLERANCE: i64 = 5;

pub(crate) type Checked = Result<(), TestCaseError>;

/// What a receiver holds of one scope: put on created, updated and restored, removed on deleted.
#[derive(Debug)]
pub(crate) struct Fold {
    account: u8,
    manner: Manner,
    held: BTreeMap<String, Value>,
    ids: BTreeSet<String>,
    sequence: u64,
    /// What each poll was shown of an item since its last event.
    sightings: BTreeMap<String, Vec<Sighting>>,
    /// All that some rules have left out since the receiver last knew everything.
    left_out: Rules,
    /// Bodies may be remembered that differ, where the rules leave it out, from what the receiver holds: the rules were
    /// edited, or the baseline took several polls.
    adopted: bool,
}

/// What one poll was shown of one item.
#[derive(Debug)]
struct Sighting {
    versions: Vec<Value>,
    /// The poll may have counted for nothing: something was held, and which part of it was is not in its report.
    maybe: bool,
}

/// What a poll was shown, by key, in the order in which it was shown.
pub(crate) type Served = BTreeMap<String, Vec<Value>>;

impl Fold {
    pub(crate) fn new(account: u8, manner: Manner, rules: Rules) -> Self {
        Self {
            account,
            manner,
            held: BTreeMap::new(),
            ids: BTreeSet::new(),
            sequence: 0,
            sightings: BTreeMap::new(),
            left_out: rules,
            adopted: false,
        }
    }

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

    /// How many items it holds.
    pub(crate) fn items(&self) -> u64 {
        self.held.len() as u64
    }

    /// Takes a poll's events, and holds each against what the poll was shown.
    pub(crate) fn take(&mut self, report: &PollReport, served: &Served) -> Checked {
        prop_assert_eq!(report.events.len() as u64, report.events_total);
        prop_assert!(report.events.is_empty() || report.outcome != "failed", "{:?}", report);
        let one_scope = self.manner.accounts == 1;
        let holds = report.held.as_ref().is_some_and(|held| held.events > 0);
        for event in &report.events {
            if event.change == "deleted" && one_scope {
                let whole = matches!(report.outcome.as_str(), "complete" | "unchanged");
                prop_assert!(whole, "deleted by a poll that is {}: {:?}", report.outcome, event);
            }
        }
        // A poll that is held for its events counts for nothing, unless it was but a part of one and has none of its own.
        self.sight(served, holds);
        self.take_all(&report.events, served)
    }

    /// A poll was shown these; `maybe`: it may have counted for nothing.
    pub(crate) fn sight(&mut self, served: &Served, maybe: bool) {
        for (key, versions) in served {
            let sighting = Sighting { versions: versions.clone(), maybe };
            self.sightings.entry(key.clone()).or_default().push(sighting);
        }
    }

    /// Takes those events that are of its scope.
    pub(crate) fn take_all(&mut self, events: &[PollEventView], served: &Served) -> Checked {
        for event in events {
            let body: Value = serde_json::from_str(event.body.get()).expect("an envelope");
            if body["data"]["scope"]["account"].as_u64().unwrap_or(0) == u64::from(self.account) {
                self.take_one(event, &body, served)?;
            }
        }
        Ok(())
    }

    fn take_one(&mut self, event: &PollEventView, body: &Value, served: &Served) -> Checked {
        let data = &body["data"];
        prop_assert!(self.ids.insert(event.id.clone()), "the id of {} was used before", body);
        self.sequence += 1;
        prop_assert_eq!(data["sequence"].as_u64(), Some(self.sequence), "{}", body);
        prop_assert_eq!(data["key"].as_str(), Some(event.key.as_str()));
        self.check_place(event, body)?;
        let (key, after) = (event.key.clone(), &data["after"]);
        if event.change == "deleted" {
            self.held.remove(&key);
            return Ok(());
        }
        let shown = served.get(&key).is_some_and(|versions| versions.contains(after));
        prop_assert!(shown, "{} was never shown", body);
        prop_assert!(self.has_settled(&key, after), "{} has not persisted: {:?}", body, self.sightings[&key]);
        let kept_back = self.manner.when && after["v"] == KEPT_BACK;
        prop_assert!(!kept_back, "`when` is not true of {}", body);
        self.sightings.remove(&key);
        self.held.insert(key, after.clone());
        Ok(())
    }

    /// It is a change of what the receiver holds, as far as that was told all.
    fn check_place(&self, event: &PollEventView, body: &Value) -> Checked {
        let data = &body["data"];
        let (before, after, on) = (&data["before"], &data["after"], self.manner.on);
        let held = self.held.get(&event.key);
        prop_assert!(on.names().contains(&event.change.as_str()), "`on` does not name it: {}", body);
        let was_told_gone = held.is_none() || !on.deleted;
        let was_told_there = held.is_some() || !on.created || !on.restored || self.manner.when;
        match event.change.as_str() {
            "created" => prop_assert!(was_told_gone && before.is_null(), "{} is held: {:?}", body, held),
            "restored" => prop_assert!(was_told_gone && !before.is_null(), "{} is held: {:?}", body, held),
            "updated" => {
                let changed = data["changed"].as_array().is_some_and(|changed| !changed.is_empty());
                prop_assert!(changed, "nothing changed: {}", body);
                prop_assert!(before != after, "no difference: {}", body);
            }
            _ => prop_assert!(after.is_null(), "{}", body),
        }
        if matches!(event.change.as_str(), "updated" | "deleted") {
            prop_assert!(was_told_there, "{} is not held", body);
            let is_known = self.adopted || !self.manner.says_all() || held == Some(before);
            prop_assert!(is_known, "{} is held as {:?}", body, held);
        }
        Ok(())
    }

    /// A value was seen in as many polls as it must be; in a row, where no poll saw two.
    fn has_settled(&self, key: &str, after: &Value) -> bool {
        let (needed, after) = (self.manner.settle as usize, self.counted(after));
        let has = |seen: &&Sighting| seen.versions.iter().any(|version| self.counted(version) == after);
        let sightings = self.sightings.get(key).map_or(&[][..], Vec::as_slice);
        let in_a_row = sightings.iter().rev().take_while(|seen| has(seen) || seen.maybe || seen.versions.len() > 1);
        needed <= 1 || in_a_row.filter(has).count() >= needed
    }

    /// It holds all that the vendor holds, and perhaps more.
    pub(crate) fn check_there(&self, vendor: &BTreeMap<String, Value>) -> Checked {
        for (key, now) in vendor {
            let held = self.held.get(key).map(|held| self.counted(held));
            prop_assert_eq!(held, Some(self.counted(now)), "what counts in {}", key);
        }
        Ok(())
    }

    /// It holds what the vendor holds, but for what the rules leave out and what the job does not say.
    pub(crate) fn check(&self, vendor: &BTreeMap<String, Value>) -> Checked {
        let Manner { on, when, .. } = self.manner;
        let may_stay = !on.deleted;
        let extra = self.held.keys().find(|key| !vendor.contains_key(*key));
        prop_assert!(may_stay || extra.is_none(), "{:?} is gone", extra);
        for (key, now) in vendor {
            if when && now["v"] == KEPT_BACK {
                continue;
            }
            let is_told = on.created && on.restored && (!when || on.updated);
            let Some(held) = self.held.get(key) else {
                prop_assert!(!is_told, "{} is not held", key);
                continue;
            };
            if !on.updated || !(on.deleted || on.restored) {
                continue;
            }
            prop_assert_eq!(self.counted(held), self.counted(now), "what counts in {}", key);
            let price = |item: &Value| item["price"].as_i64().expect("a price");
            let drift = (price(held) - price(now)).abs();
            // Each edit of the rules may take over a price that is a little off.
            let may = if self.left_out.tolerance { TOLERANCE } else { 0 };
            prop_assert!(drift <= may || (self.adopted && may > 0), "a drift of {} in {}", drift, key);
        }
        Ok(())
    }

    /// It holds what the vendor holds, to the letter, where all of it was edited in a way that every job tells.
    pub(crate) fn check_all(&self, vendor: &BTreeMap<String, Value>) -> Checked {
        let on = self.manner.on;
        match (on.updated, on.deleted) {
            (true, true) => prop_assert_eq!(&self.held, vendor),
            (true, false) => {
                let missing = vendor.iter().find(|(key, now)| self.held.get(*key) != Some(now));
                prop_assert!(missing.is_none(), "{:?} is not held so", missing);
            }
            (false, _) => self.check(vendor)?,
        }
        Ok(())
    }

    /// How many events it has had.
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
