//! One poll, from its claim to its end: a round over its list, and then how it ended, all in one transaction. A poll of
//! several scopes is made in [`crate::engine::scopes`].
//!
//! It knows no schedule, and it decides nothing itself: that is `core`'s part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::core::each::Combination;
use crate::core::hold::Hold;
use crate::core::job::Job;
use crate::core::names::{JobName, Scope, SinkName};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::sink::{Route, Sink};
use crate::core::time::Timestamp;
use crate::core::why::{Noted, Observation};
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::blocks::KnownBlocks;
use crate::engine::current::Current;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::report::Trace;
use crate::engine::round::{Act, Last, Round, Tally};
use crate::source::Gate;
use crate::store::{PollChanges, PollEnding, PollNote, PollTicket, Seal, StoreError};

/// Whether a poll is made for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Commit what it finds.
    Commit,
    /// Only look: nothing is kept.
    Look,
}

/// How a poll ended.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) outcome: PollOutcome,
    pub(super) at: Timestamp,
    pub(super) items: u64,
    pub(super) events: u64,
    /// What waits for a person after it.
    pub(super) hold: Option<Box<Hold>>,
    pub(super) trace: Trace,
}

/// Makes polls.
pub(super) struct Poller {
    pub(super) world: Arc<World>,
    current: Current,
    dispatcher: Dispatcher,
    alarm: Alarm,
    pub(super) noted: Arc<Noted>,
    pub(super) blocks: KnownBlocks,
    /// Of jobs with scopes, the one that the next poll begins with.
    pub(super) left: Mutex<BTreeMap<JobName, Scope>>,
}

impl Poller {
    pub(super) fn new(world: Arc<World>, current: Current, dispatcher: Dispatcher, alarm: Alarm) -> Self {
        Self {
            world,
            current,
            dispatcher,
            alarm,
            noted: Arc::default(),
            blocks: KnownBlocks::default(),
            left: Mutex::default(),
        }
    }

    /// Who is to know how polls end.
    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Why this job is not polled for now: more waits for one of its sinks than may.
    pub(super) fn blocked(&self, job: &Job) -> Option<String> {
        let full = |route: &Route| {
            self.dispatcher.full(&route.sink).map(|reason| format!("paused for the sink `{}`: {reason}", route.sink))
        };
        job.send_to.iter().find_map(full)
    }

    /// Makes one poll of a job that was claimed. An `Err` is our own failure: nothing was committed that is not whole.
    pub(super) async fn poll(
        &self,
        job: &Arc<Job>,
        mut ticket: PollTicket,
        mode: Mode,
        mut trace: Trace,
        gate: Arc<dyn Gate>,
    ) -> Result<Polled, StoreError> {
        let (outcome, tally, hold) = match &job.each {
            Some(each) => Box::pin(self.poll_each(job, each, ticket, mode, &mut trace, gate)).await?,
            None => {
                let (whole, uid) = (Combination::default(), ticket.uid);
                let ended = Round::new(self, job, &whole, &ticket, mode, trace.records(), gate)
                    .run(&mut ticket, &mut trace)
                    .await?;
                self.end(ticket, ended.act, &ended.outcome).await?;
                ended.blocks.into_iter().for_each(|blocks| self.blocks.put(uid, &whole.scope, blocks));
                (ended.outcome, ended.tally, ended.hold)
            }
        };
        trace.held(hold.as_deref());
        let at = self.world.clock.now();
        let Tally { items, events } = tally;
        Ok(Polled { outcome, at, items, events, hold, trace })
    }

    /// Ends a poll of one scope.
    async fn end(&self, ticket: PollTicket, act: Act, outcome: &PollOutcome) -> Result<(), StoreError> {
        match act {
            Act::Nothing => Ok(()),
            Act::Note(seal, seen) => {
                self.note(ticket, outcome, seal.into_iter().collect(), seen.into_iter().collect()).await
            }
            Act::Commit(last) => {
                let ending = PollEnding { outcome: outcome.clone(), at: self.world.clock.now(), scope: last.scope };
                self.commit(ticket, last.changes, ending).await
            }
        }
    }

    /// Ends a poll that has nothing more to commit.
    pub(super) async fn note(
        &self,
        ticket: PollTicket,
        outcome: &PollOutcome,
        seals: Vec<(Scope, Seal)>,
        observations: Vec<(Scope, Vec<Observation>)>,
    ) -> Result<(), StoreError> {
        let note = PollNote { outcome: outcome.clone(), at: self.world.clock.now(), seals, observations };
        self.world.store.note_poll(ticket, note).await
    }

    /// The sinks that a job's events go to, each once, as the config in force has them. One that has left it since the
    /// poll began gets nothing.
    pub(super) fn sinks_of(&self, job: &Job) -> Vec<Arc<Sink>> {
        let names: BTreeSet<&SinkName> = job.send_to.iter().map(|route| &route.sink).collect();
        let config = self.current.get();
        names.into_iter().filter_map(|name| config.sink(name).cloned()).collect()
    }

    /// Commits a part of a poll, and hands its deliveries over.
    pub(super) async fn commit_part(&self, ticket: &mut PollTicket, part: PollChanges) -> Result<(), StoreError> {
        let expected = part.deliveries();
        let room = self.dispatcher.room();
        let began = self.world.clock.now();
        let tickets = self.world.store.commit_part(ticket, part, &room).await?;
        self.world.observer.committed(self.world.clock.now().since(began));
        self.dispatcher.hand_over(tickets, &expected).await;
        Ok(())
    }

    /// Commits the end of one scope of several, and hands its deliveries over.
    pub(super) async fn commit_scope(&self, ticket: &mut PollTicket, last: Last) -> Result<(), StoreError> {
        let expected = last.changes.deliveries();
        let room = self.dispatcher.room();
        let began = self.world.clock.now();
        let tickets = self.world.store.commit_scope(ticket, last.changes, last.scope, &room).await?;
        self.world.observer.committed(self.world.clock.now().since(began));
        self.dispatcher.hand_over(tickets, &expected).await;
        Ok(())
    }

    async fn commit(&self, ticket: PollTicket, last: PollChanges, ending: PollEnding) -> Result<(), StoreError> {
        let expected = last.deliveries();
        let room = self.dispatcher.room();
        let began = self.world.clock.now();
        let tickets = self.world.store.commit_poll(ticket, last, ending, &room).await?;
        self.world.observer.committed(self.world.clock.now().since(began));
        self.dispatcher.hand_over(tickets, &expected).await;
        Ok(())
    }
}

/// A failure of our own state, as an outcome that can be shown.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    Failure::new(FailureKind::Store, error.to_string())
}
