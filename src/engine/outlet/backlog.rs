//! How much waits for one sink, and what follows when it is more than may.
//!
//! The count here is an estimate that says when to look; what is done rests on what the store then says.

use std::time::Duration;

use crate::core::backlog::{AtLimit, Limits, Waiting};
use crate::core::time::Timestamp;
use crate::engine::bulletin::Turn;
use crate::store::Queue;

/// How often the store is asked while something waits: estimates drift.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often at most an age that is limited is looked at.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(100);

/// How often at most the log tells of what is dropped, while it goes on.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A moment that has always passed.
const SOON: Timestamp = Timestamp(i64::MIN);

/// The backlog of one sink.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: Limits,
    /// Deliveries that have not ended, about.
    count: u64,
    /// When the store is asked next, in any case.
    look_at: Option<Timestamp>,
    /// The store could not be asked: not before this moment again.
    not_before: Option<Timestamp>,
    /// Why the sink is full, while its jobs are paused.
    full: Option<String>,
    /// Dropped, and not yet told.
    dropped: u64,
    told_at: Option<Timestamp>,
    /// Some of it is held, or was: nothing is dropped until that has gone.
    kept: bool,
}

/// What has to be dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) most: u64,
    pub(super) before: Option<Timestamp>,
    pub(super) reason: String,
}

impl Backlog {
    /// That of a sink whose queue has not been looked at.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            count: 0,
            look_at: Some(SOON),
            not_before: None,
            full: None,
            dropped: 0,
            told_at: None,
            kept: false,
        }
    }

    /// Goes on under other limits.
    pub(super) fn take_over(&mut self, limits: Limits) {
        (self.limits, self.full) = (limits, None);
    }

    pub(super) fn came(&mut self, count: usize, now: Timestamp) {
        self.count = self.count.saturating_add(count as u64);
        self.look_at.get_or_insert(now.plus(self.every()));
    }

    pub(super) fn ended(&mut self, count: usize) {
        self.count = self.count.saturating_sub(count as u64);
    }

    /// Look at the next opportunity.
    pub(super) fn look_again(&mut self) {
        self.look_at = Some(SOON);
    }

    /// What happens at the limit now: what is held is a person's to drop, so its jobs are paused instead.
    fn at_limit(&self) -> AtLimit {
        if self.kept { AtLimit::Pause } else { self.limits.at_limit }
    }

    /// When the store has to be asked even if nothing happens.
    pub(super) fn look_at(&self) -> Option<Timestamp> {
        self.look_at
    }

    /// Is it time to ask the store?
    pub(super) fn wants_look(&self, now: Timestamp) -> bool {
        let crosses = match (self.at_limit(), &self.full) {
            (AtLimit::DropOldest, _) => self.count > self.limits.max_backlog,
            (AtLimit::Pause, None) => self.count >= self.limits.count_limit(false),
            (AtLimit::Pause, Some(_)) => self.count < self.limits.count_limit(true),
        };
        let may_look = self.not_before.is_none_or(|moment| moment <= now);
        may_look && (crosses || self.look_at.is_some_and(|moment| moment <= now))
    }

    /// How often the store is asked while something waits.
    fn every(&self) -> Duration {
        self.limits.max_age.map_or(LOOK_EVERY, |age| (age / 20).clamp(LOOK_EVERY_MIN, LOOK_EVERY))
    }

    /// Takes over what the store says.
    pub(super) fn looked(&mut self, queue: &Queue, now: Timestamp) -> Waiting {
        self.kept = queue.kept;
        self.count = match self.at_limit() {
            AtLimit::Pause => queue.backlog + queue.held,
            // What is held is a person's to drop.
            AtLimit::DropOldest => queue.backlog,
        };
        self.look_at = (self.count > 0 || self.dropped > 0).then(|| now.plus(self.every()));
        Waiting { count: self.count, oldest: queue.oldest }
    }

    /// Not now: the store could not be asked.
    pub(super) fn look_later(&mut self, at: Timestamp) {
        (self.look_at, self.not_before) = (Some(at), Some(at));
    }

    /// What must be dropped, for a sink that drops.
    pub(super) fn excess(&self, waiting: Waiting, now: Timestamp) -> Option<Excess> {
        if self.at_limit() != AtLimit::DropOldest {
            return None;
        }
        let over = self.limits.excess(waiting);
        if over > 0 {
            let reason = format!("dropped as the oldest: more than `max_backlog` = {} waited", self.limits.max_backlog);
            return Some(Excess { most: over, before: None, reason });
        }
        let reason = self.limits.full(false, Waiting { count: 0, ..waiting }, now)?;
        Some(Excess { most: u64::MAX, before: self.limits.too_old(now), reason: format!("dropped: {reason}") })
    }

    /// Counts what was dropped.
    pub(super) fn note_dropped(&mut self, count: u64) {
        self.dropped += count;
        self.count = self.count.saturating_sub(count);
    }

    /// What is to be told of drops: at once when it begins, and then now and again.
    pub(super) fn tell_dropped(&mut self, reason: &str, now: Timestamp) -> Option<Turn> {
        let early = self.told_at.is_some_and(|told| now.since(told) < TELL_EVERY);
        if self.dropped == 0 || early {
            return None;
        }
        self.told_at = Some(now);
        Some(Turn::Dropped { count: std::mem::take(&mut self.dropped), reason: reason.to_owned() })
    }

    /// Whether the sink is full now, for a sink that pauses; what is to be told when that has turned.
    pub(super) fn judge(&mut self, waiting: Waiting, now: Timestamp) -> Option<Turn> {
        let was_full = self.full.is_some();
        if self.at_limit() != AtLimit::Pause {
            self.full = None;
            return was_full.then_some(Turn::Relieved);
        }
        self.full = self.limits.full(was_full, waiting, now);
        match &self.full {
            Some(reason) if !was_full => Some(Turn::Full { reason: reason.clone() }),
            None if was_full => Some(Turn::Relieved),
            _ => None,
        }
    }

    /// Why the sink is full, while it is.
    pub(super) fn full(&self) -> Option<&str> {
        self.full.as_deref()
    }
}
