//! A poll of several scopes: a round over each, one after the other, under one claim and through one gate. Each commits
//! its own end; how the poll ended comes last.
//!
//! Which scopes there are, and what their ends come to, is decided in [`crate::core::each`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use crate::core::each::{
    Combination, Each, SCOPES_MAX, SOURCE_ITEMS_MAX, ScopeEnd, Values, combinations, sum, values_of, waits,
};
use crate::core::hold::Hold;
use crate::core::job::Job;
use crate::core::names::{JobName, Scope};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::engine::poller::{Mode, Poller};
use crate::engine::report::Trace;
use crate::engine::round::{Act, Last, Round, Tally};
use crate::source::Gate;
use crate::store::{PollChanges, PollTicket, ScopeState, StoreError};

/// The scopes of a poll, or how it ends without any.
enum Places {
    /// In the order in which they are asked for, and what else is to be said.
    All(Vec<Combination>, Option<String>),
    Ended(PollOutcome),
}

impl Poller {
    /// Makes a poll of a job with `each`.
    pub(super) async fn poll_each(
        &self,
        job: &Arc<Job>,
        each: &Each,
        mut ticket: PollTicket,
        mode: Mode,
        trace: &mut Trace,
        gate: Arc<dyn Gate>,
    ) -> Result<(PollOutcome, Tally, Option<Box<Hold>>), StoreError> {
        let (mut tally, mut holds) = (Tally::default(), Vec::new());
        let held = ticket.record.hold.clone();
        let (mut places, remark) = match self.places(each).await? {
            Places::All(places, remark) => (places, remark),
            Places::Ended(outcome) => {
                if mode == Mode::Commit {
                    self.note(ticket, &outcome, Vec::new(), Vec::new()).await?;
                }
                return Ok((outcome, tally, held));
            }
        };
        if mode == Mode::Commit {
            self.let_go_of_those_away(&mut ticket, &places).await?;
        }
        self.begin_where_left(&job.name, &mut places);
        let (mut ended, mut seals, mut observed): (Vec<ScopeEnd>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting = places.into_iter();
        let mut answered = None;
        for place in waiting.by_ref() {
            trace.enter(place.shown());
            let round = Round::new(self, job, &place, &ticket, mode, trace.records(), gate.clone());
            let round = round.run(&mut ticket, trace).await?;
            tally.items += round.tally.items;
            tally.events += round.tally.events;
            holds.extend(round.hold);
            match round.act {
                Act::Nothing => {}
                Act::Note(seal, seen) => {
                    seals.extend(seal);
                    observed.extend(seen);
                }
                Act::Commit(last) => self.commit_scope(&mut ticket, *last).await?,
            }
            round.blocks.into_iter().for_each(|blocks| self.blocks.put(ticket.uid, &place.scope, blocks));
            let stops = match &round.outcome {
                // Credentials that were good for one scope are refused for what is asked, not for what they are.
                PollOutcome::Failed(failure) if failure.is_refusal() => answered.is_none(),
                PollOutcome::Failed(failure) => failure.is_of_vendor(),
                _ => {
                    answered.get_or_insert_with(|| place.scope.clone());
                    false
                }
            };
            ended.push((place, round.outcome));
            if stops {
                break;
            }
        }
        // Of scopes that were not asked for, what is held stays.
        let left = waiting.as_slice().iter().filter_map(|place| ticket.scopes.get(&place.scope)?.hold.as_deref());
        let hold = Hold::sum(holds.iter().map(|hold| &**hold).chain(left)).map(Box::new);
        self.leave(&job.name, waiting.as_slice().first().map(|place| place.scope.clone()).or(answered));
        let outcome = sum(ended, waiting.len(), remark);
        if mode == Mode::Commit {
            self.note(ticket, &outcome, seals, observed).await?;
        }
        Ok((outcome, tally, hold))
    }

    /// What waits of a scope that is asked for no more waits for nobody: should it come back, a poll finds it again.
    async fn let_go_of_those_away(&self, ticket: &mut PollTicket, places: &[Combination]) -> Result<(), StoreError> {
        let here: BTreeSet<&Scope> = places.iter().map(|place| &place.scope).collect();
        let waits = |(scope, state): &(&Scope, &ScopeState)| state.hold.is_some() && !here.contains(scope);
        let away: Vec<_> =
            ticket.scopes.iter().filter(waits).map(|(scope, state)| (scope.clone(), state.clone())).collect();
        for (scope, state) in away {
            let changes = PollChanges { scope, ..PollChanges::default() };
            self.commit_scope(ticket, Last { changes, scope: ScopeState { hold: None, ..state } }).await?;
        }
        Ok(())
    }

    /// The scopes there are now.
    async fn places(&self, each: &Each) -> Result<Places, StoreError> {
        let (mut all, mut remark) = (Vec::with_capacity(each.0.len()), None);
        let mut read = BTreeMap::new();
        for (name, values) in &each.0 {
            let values = match values {
                Values::List(list) => list.clone(),
                Values::Items { job, at } => {
                    if !read.contains_key(job) {
                        let Some(items) = self.world.store.live_items(job, SOURCE_ITEMS_MAX + 1).await? else {
                            return Ok(Places::Ended(PollOutcome::Partial(waits(name, job))));
                        };
                        read.insert(job, items);
                    }
                    match values_of(job, at, read.get(job).map(Vec::as_slice).unwrap_or_default()) {
                        Ok((values, without)) => {
                            remark = remark.or(without.map(|without| format!("`each.{name}`: {without}")));
                            values
                        }
                        Err(failure) => return Ok(Places::Ended(PollOutcome::Failed(failure))),
                    }
                }
            };
            all.push((name.as_str(), values));
        }
        Ok(match combinations(&all) {
            Ok(places) => Places::All(places, remark),
            Err(sentence) => {
                let sentence = format!("{sentence}; split the job, or take values out (the most is {SCOPES_MAX})");
                Places::Ended(PollOutcome::Failed(Failure::new(FailureKind::SelectorEmpty, sentence)))
            }
        })
    }

    /// A poll that was cut short goes on where it was, else the last scopes would never be asked for; one that was not
    /// begins with a scope that had an answer.
    fn begin_where_left(&self, job: &JobName, places: &mut [Combination]) {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let at = left.get(job).and_then(|scope| places.iter().position(|place| place.scope == *scope));
        places.rotate_left(at.unwrap_or(0));
    }

    fn leave(&self, job: &JobName, next: Option<Scope>) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match next {
            Some(next) => left.insert(job.clone(), next),
            None => left.remove(job),
        };
    }
}
