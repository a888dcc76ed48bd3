//! What a round writes: transactions that are whole for their items, and what says "this was read" in the last one.
//!
//! It commits parts; how the poll ended is committed by [`crate::engine::poller`].

use crate::core::alert::{Notice, Rebaselined};
use crate::core::decide::{Decided, Phase};
use crate::core::names::{Digest, Scope};
use crate::core::outcome::PollOutcome;
use crate::core::plan::listed;
use crate::core::why::Observation;
use crate::engine::poller::Mode;
use crate::engine::report::Trace;
use crate::engine::round::detail::GROUP_MAX;
use crate::engine::round::{Act, Ended, Last, Round, Tally};
use crate::store::{PollChanges, PollTicket, ScopeState, Seal, StoreError};

/// Bytes of one poll's changes that are committed in one transaction; more is committed in chunks.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows of a baseline that are committed in one transaction: other jobs' commits wait no longer than for these.
const BASELINE_CHUNK_ROWS: usize = 5_000;

/// Bytes of a baseline that are committed in one transaction: items may be large.
const BASELINE_CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// Rows of which only the bytes last seen differ that are kept in memory between two pages. Without the others the next
/// poll compares a few items more.
const IDLE_ROWS_MAX: usize = 10_000;

impl Round<'_> {
    fn rows_max(&self) -> usize {
        match self.start.phase {
            Phase::Watching => usize::MAX,
            _ if self.job.detail.is_some() => GROUP_MAX,
            _ => BASELINE_CHUNK_ROWS,
        }
    }

    fn bytes_max(&self) -> usize {
        if self.start.phase == Phase::Watching { CHUNK_BYTES_MAX } else { BASELINE_CHUNK_BYTES }
    }

    /// Commits what was decided so far when it is much, so that memory does not grow with the list.
    pub(super) async fn relieve(&mut self, ticket: &mut PollTicket, trace: &mut Trace) -> Result<(), StoreError> {
        self.decider.forget_idle(IDLE_ROWS_MAX);
        if self.overflows() {
            self.put_aside();
            return Ok(());
        }
        let (rows, bytes) = self.decider.weight();
        if rows < self.rows_max() && bytes < self.bytes_max() {
            return Ok(());
        }
        let decided = self.decider.take();
        self.tell(&decided, trace);
        if self.mode == Mode::Look {
            return Ok(());
        }
        for chunk in chunks(self.start.scope.clone(), decided, self.rows_max(), self.bytes_max()) {
            self.commit_part(ticket, chunk).await?;
        }
        Ok(())
    }

    async fn commit_part(&mut self, ticket: &mut PollTicket, mut chunk: PollChanges) -> Result<(), StoreError> {
        self.parts = true;
        chunk.rebaseline = self.rebaseline();
        self.poller.commit_part(ticket, chunk).await
    }

    /// The selection whose new baseline this poll reads, where it does.
    fn rebaseline(&self) -> Option<Digest> {
        (self.start.phase == Phase::Rebaseline).then(|| self.job.fingerprints.list())
    }

    /// Ends the round with what was decided: in the poll's last transaction, or with nothing to write.
    pub(super) async fn end(
        mut self: Box<Self>,
        ticket: &mut PollTicket,
        outcome: PollOutcome,
        trace: &mut Trace,
    ) -> Result<Ended, StoreError> {
        if self.over {
            self.put_aside();
            let tally = Tally { items: self.seen.len(), events: self.events };
            return Ok(self.end_held(ticket, outcome, tally));
        }
        let accepted = self.accepts(&outcome);
        let hold = self.next_hold(&outcome);
        let held = self.say_held(hold.as_deref());
        let mut decided = self.decider.take();
        self.tell(&decided, trace);
        let tally = Tally { items: self.seen.len(), events: self.events };
        if self.mode == Mode::Look {
            return Ok(Ended { outcome, tally, act: Act::Nothing, hold, blocks: None });
        }
        let blocks = self.blocks.take().filter(|_| outcome == PollOutcome::Complete);
        if !accepted && hold == self.state.hold && self.is_idle(&outcome, &decided) {
            let seal = self.renewed.take().filter(|_| !matches!(outcome, PollOutcome::Partial(_)));
            decided.observations.extend(held);
            return Ok(Ended { outcome, tally, act: self.note_seen(seal, decided.observations), hold, blocks });
        }
        let mut chunks = chunks(self.start.scope.clone(), decided, self.rows_max(), self.bytes_max());
        let mut changes = chunks.pop().unwrap_or_default();
        changes.observations.extend(held);
        for chunk in chunks {
            self.commit_part(ticket, chunk).await?;
        }
        let mut last = self.last(ticket, &outcome, accepted, changes.events.len() as u64);
        last.scope.hold = hold.clone();
        changes.rebaseline = self.rebaseline();
        changes.closes = accepted && changes.rebaseline.is_some();
        if outcome == PollOutcome::Complete || accepted {
            changes.baselined = (self.start.phase != Phase::Watching).then_some(self.start.now);
            changes.notice = self.rebaselined(ticket, tally.items);
        }
        if outcome == PollOutcome::Complete {
            changes.pages = self.turner.is_some().then(|| std::mem::take(&mut self.seals));
        }
        last.changes = changes;
        Ok(Ended { outcome, tally, act: Act::Commit(Box::new(last)), hold, blocks })
    }

    /// Ends a round with what is worth no transaction.
    pub(super) fn note_seen(&self, seal: Option<Seal>, observations: Vec<Observation>) -> Act {
        let scope = &self.start.scope;
        let observations = Some(observations).filter(|some| !some.is_empty());
        Act::Note(
            seal.map(|seal| (scope.clone(), seal)),
            observations.map(|observations| (scope.clone(), observations)),
        )
    }

    /// True when there is nothing that is worth a transaction.
    fn is_idle(&self, outcome: &PollOutcome, decided: &Decided) -> bool {
        let settled = self.state.baseline && self.state.fingerprints.as_ref() == Some(&self.job.fingerprints);
        let moved = self.next_cursor(outcome) != self.state.cursor;
        let Decided { rows, remove, settle, dirty, .. } = decided;
        let is_empty = rows.is_empty() && remove.is_empty() && settle.is_empty() && dirty.is_empty();
        let nothing = is_empty && !self.parts && !moved;
        match outcome {
            // What stopped it may be what a 304 stood for: with a gap, the next poll asks for all of it.
            PollOutcome::Partial(_) => nothing && (self.state.gap || !self.relied),
            _ => nothing && settled && !self.state.gap && !self.sealed_anew,
        }
    }

    /// The scope as it shall be, and what its ledger is read under from now on. What a partial poll has read is neither
    /// a baseline (unless a person has accepted it) nor something to recognise an answer by, and it leaves the scope's old
    /// rules and selection in force.
    fn last(&self, ticket: &PollTicket, outcome: &PollOutcome, accepted: bool, events: u64) -> Last {
        let now = ticket.scopes.get(&self.start.scope).cloned().unwrap_or_default();
        let sequence = now.sequence + events;
        let own = Some(self.job.fingerprints.clone());
        let cursor = self.next_cursor(outcome);
        let scope = match outcome {
            PollOutcome::Partial(_) => {
                let baseline = accepted || (self.start.phase == Phase::Watching && self.state.baseline);
                let fingerprints = self.state.fingerprints.clone().filter(|_| !accepted).or(own);
                let mixed = self.rebaseline().filter(|_| !accepted).map(Box::new);
                ScopeState { sequence, baseline, gap: true, mixed, cursor, fingerprints, ..self.state.clone() }
            }
            _ => {
                let seal = self.renewed.clone().or_else(|| self.state.seal.clone());
                let fingerprints = own;
                let (gap, mixed) = (false, None);
                ScopeState { sequence, baseline: true, seal, gap, mixed, cursor, fingerprints, ..self.state.clone() }
            }
        };
        Last { changes: PollChanges::default(), scope }
    }

    /// Changes since the last poll are the one thing that a new baseline does not see, so a job that had one before
    /// says so: once, with the first of its scopes.
    fn rebaselined(&self, ticket: &PollTicket, items: u64) -> Option<Notice> {
        let kept = self.state.fingerprints.as_ref().filter(|_| self.start.phase != Phase::Watching)?;
        let now = &self.job.fingerprints;
        let is_done = |scope: &ScopeState| scope.baseline && scope.fingerprints.as_ref() == Some(now);
        if self.job.each.is_some() && ticket.scopes.values().any(is_done) {
            return None;
        }
        let edited = kept.edited(now);
        let why = match edited[..] {
            [] if ticket.record.last_success.is_none() && self.state.mixed.is_none() => return None,
            [] => "its last baseline was cut off, taken back or forgotten".to_owned(),
            _ => format!("its {} was edited", listed(&edited)),
        };
        let since = ticket.record.last_poll.unwrap_or(self.start.now);
        let news = Rebaselined { job: &self.job.name, why: &why, since, items };
        self.poller.alarm().rebaselined(&news, self.start.now)
    }

    fn tell(&mut self, decided: &Decided, trace: &mut Trace) {
        self.events += decided.events.len() as u64;
        trace.decided(decided, self.start.phase);
    }
}

/// Splits what was decided into transactions, each whole for its items: a row goes with its event.
fn chunks(scope: Scope, decided: Decided, rows_max: usize, bytes_max: usize) -> Vec<PollChanges> {
    let mut events = decided.events.into_iter().peekable();
    let mut done = Vec::new();
    // Idle rows come first: an item that came twice may have changed after it was idle, and the later row counts.
    let first = PollChanges {
        scope: scope.clone(),
        remove: decided.remove,
        rows: decided.idle,
        settle: decided.settle,
        dirty: decided.dirty,
        observations: decided.observations,
        ..PollChanges::default()
    };
    let mut chunk = first;
    let mut bytes = 0;
    for (at, row) in decided.rows.into_iter().enumerate() {
        bytes += row.remembered.as_ref().map_or(0, |remembered| remembered.body.len());
        chunk.rows.push(row);
        if let Some((_, event)) = events.next_if(|(of, _)| *of == at) {
            bytes += event.weight();
            chunk.events.push(event);
        }
        if chunk.rows.len() >= rows_max || bytes >= bytes_max {
            let next = PollChanges { scope: scope.clone(), ..PollChanges::default() };
            done.push(std::mem::replace(&mut chunk, next));
            bytes = 0;
        }
    }
    done.push(chunk);
    done
}
