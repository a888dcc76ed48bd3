//! What a poll means: from items and the ledger's rows to rows, events and deliveries.
//!
//! Pure: the same arguments give the same answer, so a poll that is repeated finds the same events under the same ids.
//! The ledger alone decides (promise S2); nothing here reads or writes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::core::announce::{Announcer, News};
use crate::core::diff::{Change, Difference, difference};
use crate::core::event::NewEvent;
use crate::core::extract::Item;
use crate::core::job::{Fingerprints, First, Job};
use crate::core::json::{Json, parse};
use crate::core::ledger::{Dirty, DirtyWrite, Remembered, Row, RowWrite, SettleWrite};
use crate::core::names::{Digest, JobUid, Key, KeyDigest, Scope};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::rules::Rules;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::why::{Noted, Observation, Seen, Silence};

/// What a poll says of the differences it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Each is a change to report.
    Watching,
    /// The first poll, or one that goes on after it was interrupted: nothing, unless `first = "emit"`.
    Baseline,
    /// The first polls after the job's request or selection changed, be it that and back: nothing.
    Rebaseline,
}

impl Phase {
    /// Which phase a job is in, by the fingerprints its ledger was read under, whether its baseline is complete, and
    /// whether a part of another selection is `mixed` into it.
    pub fn of(job: &Job, kept: Option<&Fingerprints>, baseline: bool, mixed: bool) -> Self {
        match kept {
            Some(kept) if mixed || !kept.edited(&job.fingerprints).is_empty() => Self::Rebaseline,
            Some(_) if baseline => Self::Watching,
            _ => Self::Baseline,
        }
    }
}

/// Where a poll starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The job.
    pub job: Arc<Job>,
    /// The sinks that the job's events go to, each once.
    pub sinks: Vec<Arc<Sink>>,
    /// The job's own id.
    pub uid: JobUid,
    /// The scope that is polled.
    pub scope: Scope,
    /// The sequence of the scope's last event.
    pub sequence: u64,
    /// What the poll says of differences.
    pub phase: Phase,
    /// The rules that the ledger was read under, where they are not the job's of now: they decide once more.
    pub old_rules: Option<Rules>,
    /// The poll's moment, which its events carry.
    pub now: Timestamp,
    /// Items with a new value that has to persist, and in how many polls in a row it was seen.
    pub settling: Arc<HashMap<KeyDigest, u32>>,
    /// Items whose details could not be had, and how they are known.
    pub dirty: Arc<HashMap<KeyDigest, Dirty>>,
    /// Of which items it was noted lately that nothing that counts differs; `None` where nothing is noted.
    pub noted: Option<Arc<Noted>>,
}

/// Items of one poll that are looked at closely though nothing that counts differs in them: a list of many that carry a
/// field which changes with every poll is gone through in several polls.
const CLOSER_LOOKS_MAX: u32 = 100;

/// An item that differs from its row, or has none.
#[derive(Debug)]
pub struct Differing {
    /// The item's key.
    pub key: Key,
    /// Its row, where it has one.
    pub row: Option<Row>,
    fresh: Row,
    tree: Json,
    /// It is equal under the rules, and looked at only to see what else differs.
    alike: bool,
    /// The new value that it had in the poll before, where that has to persist.
    pub pending: Option<Remembered>,
}

impl Differing {
    /// True for one that is not what it was, as far as digests tell.
    pub fn is_news(&self) -> bool {
        !self.alike
    }
}

/// What a poll has decided so far.
#[derive(Debug, Default)]
pub struct Decided {
    /// Ledger rows as they shall be.
    pub rows: Vec<RowWrite>,
    /// Rows of which only the bytes last seen differ. They are worth writing, but not worth a transaction.
    pub idle: Vec<RowWrite>,
    /// Ledger rows that are forgotten without a word: what a baseline did not find.
    pub remove: Vec<KeyDigest>,
    /// Events in the order of their sequence, each with the index in `rows` of its item's row.
    pub events: Vec<(usize, NewEvent)>,
    /// Differences that nothing is said of: equal under the rules, kept back by `on` or `when`, or a baseline's.
    pub silent: u64,
    /// Expressions that failed; nothing is lost by them, but someone should know.
    pub problems: Vec<String>,
    /// New values that have to persist, as they stand.
    pub settle: Vec<SettleWrite>,
    /// Items whose details could not be had, and those of which they were had after all.
    pub dirty: Vec<DirtyWrite>,
    /// What was seen and not said, for who asks why. Worth no transaction of its own.
    pub observations: Vec<Observation>,
}

/// Decides one poll of one scope, page by page.
pub struct Decider {
    start: Start,
    announcer: Announcer,
    decided: Decided,
    closer_looks: u32,
    /// Items whose new value this poll has counted.
    counted: HashSet<KeyDigest>,
}

impl Decider {
    /// Begins.
    pub fn new(start: Start) -> Self {
        let announcer = Announcer::new(&start);
        Self { start, announcer, decided: Decided::default(), closer_looks: 0, counted: HashSet::new() }
    }

    /// Compares items with their rows, and returns those for which the body last reported is needed too. Items whose
    /// bytes are those last seen cost a comparison of two digests.
    pub fn examine(&mut self, items: &[Item], rows: &[Option<Row>]) -> Result<Vec<Differing>, Failure> {
        let mut differing = Vec::new();
        for (item, row) in items.iter().zip(rows) {
            let known = row.filter(|row| row.gone.is_none() && !self.reads_everything());
            match known {
                Some(row) if row.raw == item.raw_digest => self.seen_again(row),
                _ => differing.extend(self.examine_tree(item, *row, known)?),
            }
        }
        Ok(differing)
    }

    /// Decides items that differ; `remembered` are the bodies last reported, in the same order.
    pub fn decide(&mut self, differing: Vec<Differing>, remembered: Vec<Option<Remembered>>) -> Result<(), Failure> {
        for (item, remembered) in differing.into_iter().zip(remembered) {
            match (item.row, remembered) {
                (None, _) => self.created(&item),
                (Some(row), Some(remembered)) => self.known(&item, row, &remembered)?,
                (Some(_), None) => return Err(bodiless(&item.key)),
            }
        }
        Ok(())
    }

    /// Counts rows that a complete list does not hold once more, and returns those that are now deleted.
    pub fn miss(&mut self, rows: Vec<Row>) -> Vec<Row> {
        if self.is_silent() {
            self.decided.remove.extend(rows.iter().map(|row| row.key));
            return Vec::new();
        }
        let (gone, missing): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| row.missed + 1 >= self.start.job.deletes.after);
        for row in missing {
            let polls = Some((row.missed + 1, self.start.job.deletes.after));
            self.observe(Observation { polls, ..self.observed(row.key, Silence::Missing, Seen::default()) });
            self.keep(Row { missed: row.missed + 1, ..row });
        }
        gone
    }

    /// Decides rows that are deleted; `remembered` are the bodies last reported, in the same order.
    pub fn delete(&mut self, rows: Vec<Row>, remembered: Vec<Option<Remembered>>) -> Result<(), Failure> {
        for (row, remembered) in rows.into_iter().zip(remembered) {
            let remembered = remembered.ok_or_else(|| bodiless(&Key::from("?")))?;
            let before = reread(&remembered)?;
            let gone = Row { missed: 0, gone: Some(self.start.now), ..row };
            self.keep(gone);
            self.announce(&News {
                change: Change::Deleted,
                key: &remembered.key,
                before: Some((&before, &remembered.body)),
                after: None,
                difference: &self.difference_to_nothing(&before),
            });
        }
        Ok(())
    }

    /// Keeps rows that are not deleted after all, each as missed so often.
    pub fn spare(&mut self, rows: impl IntoIterator<Item = Row>, missed: u32) {
        for row in rows.into_iter().filter(|row| row.missed != missed) {
            self.keep(Row { missed, ..row });
        }
    }

    /// Counts rows as missing anew: a person has said that they are not deleted.
    pub fn reject(&mut self, rows: Vec<Row>) {
        for row in &rows {
            let gone = Observation::gone(row.key, self.start.now, Silence::Rejected);
            self.observe(gone);
        }
        // This poll counts as the first without them.
        self.spare(rows, 1);
    }

    /// The moment at which what follows was seen.
    pub fn seen_at(&mut self, now: Timestamp) {
        self.start.now = now;
        self.announcer.seen_at(now);
    }

    /// Everything that was decided since the last time this was asked. What follows goes on from there.
    pub fn take(&mut self) -> Decided {
        std::mem::take(&mut self.decided)
    }

    /// What was decided of these items and not taken yet: an item that comes again is held against this, not against
    /// its row.
    pub fn pending(&self, keys: &HashSet<KeyDigest>) -> HashMap<KeyDigest, &RowWrite> {
        let writes = self.decided.idle.iter().chain(&self.decided.rows);
        writes.filter(|write| keys.contains(&write.row.key)).map(|write| (write.row.key, write)).collect()
    }

    /// Events that were decided and not taken yet.
    pub fn events(&self) -> u64 {
        self.decided.events.len() as u64
    }

    /// Rows that were decided and not taken yet, and about how many bytes of memory they take with their events.
    pub fn weight(&self) -> (usize, usize) {
        let Decided { rows, idle, events, .. } = &self.decided;
        let bodies: usize = rows.iter().filter_map(|write| Some(write.remembered.as_ref()?.body.len())).sum();
        let events: usize = events.iter().map(|(_, event)| event.weight()).sum();
        let pending = self.decided.settle.iter().map(|write| write.remembered.as_ref().map_or(0, |it| it.body.len()));
        let settling = pending.map(|bytes| bytes + size_of::<SettleWrite>()).sum::<usize>();
        let listed = self.decided.dirty.iter().filter_map(|write| Some(write.listed.as_ref()?.1.body.len()));
        let dirty = listed.map(|bytes| bytes + size_of::<DirtyWrite>()).sum::<usize>();
        let observations: usize = self.decided.observations.iter().map(Observation::weight).sum();
        let beside = bodies + events + observations + settling + dirty;
        (rows.len(), (rows.len() + idle.len()) * size_of::<RowWrite>() + beside)
    }

    /// Forgets rows of which only the bytes last seen differ, beyond so many.
    pub fn forget_idle(&mut self, keep: usize) {
        self.decided.idle.truncate(keep);
    }

    /// True when equal bytes don't mean that there is nothing to do.
    pub fn reads_everything(&self) -> bool {
        self.start.phase == Phase::Rebaseline || self.start.old_rules.is_some()
    }

    fn seen_again(&mut self, row: Row) {
        self.unsettle(row.key);
        if row.missed > 0 {
            self.keep(Row { missed: 0, ..row });
        }
    }

    /// Builds the item's tree; `None` when it is equal to its row under the rules.
    fn examine_tree(
        &mut self,
        item: &Item,
        row: Option<Row>,
        known: Option<Row>,
    ) -> Result<Option<Differing>, Failure> {
        let tree = parse(&item.raw).map_err(|error| unreadable(&item.key, &error.to_string()))?;
        let canonical = self.start.job.rules.digest(&tree);
        let base = row.unwrap_or_else(|| self.first_row(item.key_digest));
        let fresh = Row { raw: item.raw_digest, canonical, missed: 0, gone: None, ..base };
        let equal = known.filter(|row| row.canonical == canonical);
        if let Some(row) = equal.filter(|row| !self.looks_closer(row.key)) {
            self.unsettle(row.key);
            self.say_nothing(row, fresh);
            return Ok(None);
        }
        Ok(Some(Differing { key: item.key.clone(), row, fresh, tree, alike: equal.is_some(), pending: None }))
    }

    /// A row that is new starts its revision at the scope's current sequence, so that no id is used twice.
    fn first_row(&self, key: KeyDigest) -> Row {
        let nothing = Digest::default();
        Row { key, raw: nothing, canonical: nothing, revision: self.start.sequence, missed: 0, gone: None }
    }

    fn created(&mut self, item: &Differing) {
        if !self.has_settled(item) {
            return;
        }
        let body = Bytes::from(item.tree.to_bytes());
        self.remember(item, item.fresh, &body);
        if self.is_silent() {
            self.decided.silent += 1;
            return;
        }
        self.announce(&News {
            change: Change::Created,
            key: &item.key,
            before: None,
            after: Some((&item.tree, &body)),
            difference: &difference(&Json::Null, &item.tree, &Rules::default()),
        });
    }

    /// An item that has a row and differs from it: changed, back again, or equal once its body is looked at.
    fn known(&mut self, item: &Differing, row: Row, remembered: &Remembered) -> Result<(), Failure> {
        let before = reread(remembered)?;
        let rules = self.start.old_rules.as_ref().unwrap_or(&self.start.job.rules);
        let difference = difference(&before, &item.tree, rules);
        let is_back = row.gone.is_some();
        if self.is_silent() || (!is_back && difference.changed.is_empty()) {
            self.unsettle(row.key);
            self.adopt(item, row, &before);
            return Ok(());
        }
        if !self.has_settled(item) {
            return Ok(());
        }
        let body = Bytes::from(item.tree.to_bytes());
        self.remember(item, item.fresh, &body);
        self.announce(&News {
            change: if is_back { Change::Restored } else { Change::Updated },
            key: &item.key,
            before: Some((&before, &remembered.body)),
            after: Some((&item.tree, &body)),
            difference: &difference,
        });
        Ok(())
    }

    /// Takes an item's body over without a word: under new rules, or as a baseline's (which may have begun in an
    /// earlier poll, when the item was another). An item that is equal under rules that stay keeps the body last
    /// reported, so that what its rules tolerate adds up and is seen.
    fn adopt(&mut self, item: &Differing, row: Row, before: &Json) {
        let seen = |rules| Seen::between(before, &item.tree, Vec::new(), rules);
        match self.is_silent() || self.reads_everything() || row.gone.is_some() {
            true => {
                if !self.is_silent() && row.raw != item.fresh.raw && self.looks_closer(row.key) {
                    let seen = seen(self.start.old_rules.as_ref().unwrap_or(&self.start.job.rules));
                    self.observe(self.observed(row.key, Silence::Edited, seen));
                }
                let body = Bytes::from(item.tree.to_bytes());
                self.remember(item, item.fresh, &body);
                self.decided.silent += u64::from(row.raw != item.fresh.raw);
            }
            // The digest stays that of the body last reported, from which tolerances are measured.
            false => {
                if item.alike || self.looks_closer(row.key) {
                    self.observe(self.observed(row.key, Silence::Ignored, seen(&self.start.job.rules)));
                }
                self.say_nothing(row, Row { canonical: row.canonical, ..item.fresh });
            }
        }
    }

    /// True when nothing is said of what differs.
    pub fn is_silent(&self) -> bool {
        match self.start.phase {
            Phase::Watching => false,
            Phase::Baseline => self.start.job.first == First::Silent,
            Phase::Rebaseline => true,
        }
    }

    /// All that counted in a body that is gone: the whole of it.
    fn difference_to_nothing(&self, before: &Json) -> Difference {
        difference(before, &Json::Null, &Rules::default())
    }

    /// Tells a change of the item whose row was kept last. An event takes the row's next revision; what is kept back
    /// takes none, so that no revision of a scope is ever above its sequence, from which new rows start.
    fn announce(&mut self, news: &News<'_>) {
        let Some((at, write)) = self.decided.rows.iter_mut().enumerate().next_back() else { return };
        let told = Row { revision: write.row.revision + 1, ..write.row };
        match self.announcer.announce(news, &told, &mut self.decided.problems) {
            Ok(event) => {
                write.row = told;
                self.decided.events.push((at, event));
            }
            Err(silence) => {
                self.decided.silent += 1;
                let changed = news.difference.changed.clone();
                let seen = match (news.before, news.after) {
                    (Some((before, _)), Some((after, _))) => {
                        Seen::between(before, after, changed, &self.start.job.rules)
                    }
                    _ => Seen { changed, ..Seen::default() },
                };
                let observed = self.observed(told.key, silence, seen);
                self.observe(Observation { change: Some(news.change), ..observed });
            }
        }
    }

    /// True when it is time to see what else differs in an item in which nothing that counts does.
    fn looks_closer(&mut self, key: KeyDigest) -> bool {
        let Some(noted) = self.start.noted.as_ref().filter(|_| self.closer_looks < CLOSER_LOOKS_MAX) else {
            return false;
        };
        let is_due = noted.is_due(self.start.uid, &self.start.scope, key, self.start.now);
        self.closer_looks += u32::from(is_due);
        is_due
    }

    fn observed(&self, key: KeyDigest, silence: Silence, seen: Seen) -> Observation {
        Observation { key, at: self.start.now, silence, change: None, seen, polls: None }
    }

    /// Keeps what was seen; bytes that differ in nothing but their spelling are nothing.
    fn observe(&mut self, observation: Observation) {
        if matches!(observation.silence, Silence::Missing | Silence::Settle | Silence::Detail)
            || observation.change.is_some()
            || !observation.seen.is_empty()
        {
            self.decided.observations.push(observation);
        }
    }

    fn keep(&mut self, row: Row) {
        self.decided.rows.push(RowWrite { row, remembered: None });
    }

    /// An item that is equal under the rules: its row is rewritten for its new bytes, or because it is back in the list.
    fn say_nothing(&mut self, was: Row, row: Row) {
        self.decided.silent += 1;
        // A detail that was read costs more than a transaction.
        match was.is_missing() || self.start.job.detail.is_some() {
            true => self.keep(row),
            false => self.decided.idle.push(RowWrite { row, remembered: None }),
        }
    }

    fn remember(&mut self, item: &Differing, row: Row, body: &Bytes) {
        let remembered = Some(Remembered { key: item.key.clone(), body: body.clone() });
        self.decided.rows.push(RowWrite { row, remembered });
    }
}

fn reread(remembered: &Remembered) -> Result<Json, Failure> {
    parse(&remembered.body).map_err(|error| {
        let key = &remembered.key;
        Failure::new(FailureKind::Store, format!("the state's body of the item `{key}` can't be read: {error}"))
    })
}

fn bodiless(key: &Key) -> Failure {
    Failure::new(FailureKind::Store, format!("the state holds no body for the item `{key}`: it is damaged"))
}

fn unreadable(key: &Key, why: &str) -> Failure {
    Failure::new(FailureKind::NotJson, format!("the item `{key}` can't be read: {why}"))
}

mod dirty;
mod settle;
#[cfg(test)]
mod tests;
