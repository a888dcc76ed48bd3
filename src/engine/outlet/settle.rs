//! How an outlet settles attempts: whatever has ended while the store was writing is settled together.
//!
//! An attempt that ends alone is settled at once. What an answer means is not decided here.

use std::sync::Arc;

use crate::core::batch;
use crate::core::delivery::{Attempt, Verdict, hold_sink};
use crate::engine::bulletin::{Turn, tell};
use crate::engine::outlet::{Outlet, STORE_RETRY, Step, Tried};
use crate::sink::Sent;
use crate::store::{Settled, Settlement, StoreError};

/// Attempts that have ended and wait for their commit; above it no new attempt begins.
const UNSETTLED_MAX: usize = 1024;

/// Settlements of one piece of work: it bounds how long others wait for the store.
const GROUP_MAX: usize = 256;

/// Groups at once: while one is on its way to the disk, the next is ready, or the store would wait for us in between.
const GROUPS_MAX: usize = 2;

/// Settlements that are written together.
pub(super) type Group = Arc<Vec<Settlement>>;

/// Attempts that have ended and are not settled.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    ended: Vec<Settlement>,
    /// Groups that are being written, and how many settlements they hold.
    groups: usize,
    writing: usize,
}

impl Unsettled {
    /// May another attempt begin?
    pub(super) fn takes_more(&self) -> bool {
        self.ended.len() + self.writing < UNSETTLED_MAX
    }

    fn next_group(&mut self) -> Option<Group> {
        if self.ended.is_empty() || self.groups >= GROUPS_MAX {
            return None;
        }
        let rest = self.ended.split_off(self.ended.len().min(GROUP_MAX));
        let group = std::mem::replace(&mut self.ended, rest);
        self.groups += 1;
        self.writing += group.len();
        Some(Arc::new(group))
    }

    fn written(&mut self, group: &Group) {
        self.groups -= 1;
        self.writing -= group.len();
    }
}

impl Outlet {
    /// Begins to write what has ended, as far as the store has room: what ends later goes together.
    pub(super) fn write_ended(&mut self) {
        while let Some(group) = self.unsettled.next_group() {
            self.write(group);
        }
    }

    /// Writes a group with the sink's state as it is now: a group that is tried again does not bring back an older one.
    pub(super) fn write(&mut self, group: Group) {
        let (world, sink) = (self.world.clone(), self.state.clone());
        self.work.push(Box::pin(async move {
            let written = world.store.settle(group.clone(), sink).await;
            Step::Settled(group, written)
        }));
    }

    pub(super) fn settle(&mut self, tried: Tried, sent: Sent) {
        let Tried { ticket, began, probe } = tried;
        self.sill.set_took(sent.took);
        let now = self.world.clock.now();
        let number = ticket.attempts + 1;
        let verdict = if batch::is_to_be_split(&ticket.parcel, &sent.answer) {
            // It says nothing of the sink but what it takes.
            self.state.not_before = self.state.not_before.max(hold_sink(&sent.answer, now));
            Verdict::Split
        } else {
            self.note_answer(ticket.id, &sent.answer, probe, now);
            self.judge(number, &sent.answer, now)
        };
        if let Verdict::SinkGone(reason) = &verdict
            && self.state.disabled.is_none()
        {
            tell(&self.sink.name, &Turn::Disabled { reason: reason.clone() });
            self.state.disabled = Some(reason.clone());
        }
        self.observe(&ticket, &verdict, &sent, now);
        let attempt = Attempt { number, at: began, took: sent.took, answer: sent.answer, trace: sent.trace };
        self.unsettled.ended.push(Settlement { ticket, attempt, verdict });
    }

    /// A group has been written, or could not be.
    pub(super) fn settled(&mut self, group: Group, written: Result<Vec<Settled>, StoreError>) {
        let settled = match written {
            Ok(settled) => settled,
            Err(error) => return self.settle_again(group, &error),
        };
        self.unsettled.written(&group);
        for (settlement, settled) in group.iter().zip(settled) {
            match settled {
                Ok(next) => {
                    if matches!(settlement.verdict, Verdict::Delivered | Verdict::Dead(_)) {
                        self.backlog.ended(settlement.ticket.parcel.events());
                    }
                    self.note_batch(settlement);
                    self.enqueue(next);
                    self.note_due(&settlement.verdict);
                    self.alarm.settled(&settlement.verdict);
                }
                Err(error) => self.tell_dropped(&error),
            }
        }
    }

    /// A retry counts from its commit on: the store, asked before, would not have known it.
    fn note_due(&mut self, verdict: &Verdict) {
        if let Verdict::RetryAt(due) = verdict {
            self.next_due = Some(self.next_due.map_or(*due, |next| next.min(*due)));
        }
    }

    /// The receiver may have them, so they must not be sent again because our disk is full: the settlements are kept and
    /// tried until they are written.
    fn settle_again(&mut self, group: Group, error: &StoreError) {
        if matches!(error, StoreError::Closed) {
            self.unsettled.written(&group);
            self.tell_dropped(error);
            return;
        }
        tracing::error!(sink = %self.sink.name, %error, "settlements can't be written; trying again");
        let world = self.world.clone();
        self.work.push(Box::pin(async move {
            world.clock.sleep_until(world.clock.now().plus(STORE_RETRY)).await;
            Step::Unwritten(group)
        }));
    }

    fn tell_dropped(&self, error: &StoreError) {
        tracing::warn!(sink = %self.sink.name, %error, "a settlement was dropped");
    }
}
