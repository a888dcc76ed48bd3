//! One poll, from its claim to its commit: ask, recognise, extract, compare, decide, and write it all at once.
//!
//! It knows no schedule, and it decides nothing itself: that is `core`'s part.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::core::alert::{Notice, Rebaselined};
use crate::core::config::Config;
use crate::core::decide::{Decided, Decider, Phase, Start};
use crate::core::extract::{Item, extract};
use crate::core::job::{Job, ListKind};
use crate::core::json::Json;
use crate::core::ledger::Row;
use crate::core::names::{JobName, KeyDigest, Scope};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::rules::Rules;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::reading::{Reading, read};
use crate::engine::report::Trace;
use crate::source::{Gate, render_request};
use crate::store::{PollChanges, PollEnding, PollNote, PollTicket, ScopeState, Seal, StoreError};

/// Bytes of one poll's changes that are committed in one transaction; more is committed in chunks.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows of a baseline that are committed in one transaction: other jobs' commits wait no longer than for these.
const BASELINE_CHUNK_ROWS: usize = 5_000;

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
    pub(super) trace: Trace,
}

/// Makes polls.
pub(super) struct Poller {
    world: Arc<World>,
    sinks: BTreeMap<JobName, Vec<Arc<Sink>>>,
    dispatcher: Dispatcher,
    alarm: Alarm,
}

impl Poller {
    pub(super) fn new(world: Arc<World>, config: &Config, dispatcher: Dispatcher, alarm: Alarm) -> Self {
        let sinks_of = |job: &Arc<Job>| {
            let leads_to = |sink: &&Arc<Sink>| job.send_to.iter().any(|route| route.sink == sink.name);
            (job.name.clone(), config.sinks.iter().filter(leads_to).cloned().collect())
        };
        Self { world, sinks: config.jobs.iter().map(sinks_of).collect(), dispatcher, alarm }
    }

    /// Who is to know how polls end.
    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Why this job is not polled for now: more waits for one of its sinks than may.
    pub(super) fn blocked(&self, job: &JobName) -> Option<String> {
        let full = |sink: &Arc<Sink>| {
            self.dispatcher.full(&sink.name).map(|reason| format!("paused for the sink `{}`: {reason}", sink.name))
        };
        self.sinks.get(job)?.iter().find_map(full)
    }

    /// Makes one poll of a job that was claimed. An `Err` is our own failure: nothing was committed that is not whole.
    pub(super) async fn poll(
        &self,
        job: &Arc<Job>,
        ticket: PollTicket,
        mode: Mode,
        mut trace: Trace,
        gate: Arc<dyn Gate>,
    ) -> Result<Polled, StoreError> {
        let mut round = Round::new(self, job, &ticket, mode, gate);
        let reading = round.ask(&mut trace).await;
        // A change is seen when the answer is there, not when it was asked for.
        round.start.now = self.world.clock.now();
        let (outcome, tally) = match reading {
            Reading::Failed(failure) => {
                (round.note(ticket, PollOutcome::Failed(failure), None).await?, Tally::default())
            }
            Reading::Unchanged(seal) if round.state.missing == 0 => {
                (round.note(ticket, PollOutcome::Unchanged, seal).await?, Tally::default())
            }
            Reading::Unchanged(seal) => round.say_again(ticket, seal, &mut trace).await?,
            Reading::Fresh(body, seal) => round.take_in(ticket, body, seal, &mut trace).await?,
        };
        let at = self.world.clock.now();
        Ok(Polled { outcome, at, items: tally.items, events: tally.events, trace })
    }
}

/// How much a poll read and said.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    items: u64,
    events: u64,
}

/// One poll of one scope.
struct Round<'a> {
    poller: &'a Poller,
    world: &'a World,
    job: &'a Arc<Job>,
    mode: Mode,
    start: Start,
    state: ScopeState,
    gate: Arc<dyn Gate>,
}

impl<'a> Round<'a> {
    fn new(poller: &'a Poller, job: &'a Arc<Job>, ticket: &PollTicket, mode: Mode, gate: Arc<dyn Gate>) -> Self {
        let scope = Scope::default();
        let state = ticket.scopes.get(&scope).cloned().unwrap_or_default();
        let kept = ticket.fingerprints.as_ref();
        let old_rules = kept.filter(|kept| kept.rules != job.fingerprints.rules);
        let start = Start {
            job: job.clone(),
            sinks: poller.sinks.get(&job.name).cloned().unwrap_or_default(),
            uid: ticket.uid,
            sequence: state.sequence,
            phase: Phase::of(job, kept, state.baseline),
            old_rules: old_rules.and_then(|kept| Rules::from_text(&kept.rules)),
            now: poller.world.clock.now(),
            scope,
        };
        Self { poller, world: &poller.world, job, mode, start, state, gate }
    }

    /// The seal that this poll's answer may be recognised by: none while everything has to be read.
    fn seal(&self) -> Option<&Seal> {
        let reads_all =
            self.mode == Mode::Look || self.start.phase != Phase::Watching || self.start.old_rules.is_some();
        self.state.seal.as_ref().filter(|_| !reads_all)
    }

    async fn ask(&self, trace: &mut Trace) -> Reading {
        let job_name = Json::from(self.job.name.as_str());
        let request = match render_request(&self.job.request, &[("job", &job_name)]) {
            Ok(request) => request.through(self.gate.clone()),
            Err(failure) => return Reading::Failed(failure),
        };
        let fingerprint = request.fingerprint();
        let seal = self.seal().filter(|seal| seal.request == fingerprint);
        let request = match seal.filter(|_| self.job.request.access.conditional) {
            Some(seal) => request.recalling(seal.etag.clone(), seal.last_modified.clone()),
            None => request,
        };
        let asked = trace.asking(&request);
        let fetched = self.world.fetcher.fetch(request).await;
        trace.answered(asked, &fetched);
        read(fetched, seal, fingerprint)
    }

    /// Ends a poll that commits nothing.
    async fn note(
        &self,
        ticket: PollTicket,
        outcome: PollOutcome,
        seal: Option<Seal>,
    ) -> Result<PollOutcome, StoreError> {
        if self.mode == Mode::Commit {
            let seal = seal.map(|seal| (self.start.scope.clone(), seal));
            let note = PollNote { outcome: outcome.clone(), at: self.world.clock.now(), seal };
            self.world.store.note_poll(ticket, note).await?;
        }
        Ok(outcome)
    }

    /// An unchanged poll while items are missing: it misses them once more.
    async fn say_again(
        &self,
        ticket: PollTicket,
        seal: Option<Seal>,
        trace: &mut Trace,
    ) -> Result<(PollOutcome, Tally), StoreError> {
        let mut decider = Decider::new(self.start.clone());
        let rows = self.world.store.still_missing(&ticket, &self.start.scope).await?;
        if let Err(failure) = self.miss(&ticket, &mut decider, rows).await? {
            return Ok((self.note(ticket, PollOutcome::Failed(failure), None).await?, Tally::default()));
        }
        let seal = seal.or_else(|| self.state.seal.clone());
        self.end(ticket, PollOutcome::Unchanged, decider.finish(), seal, 0, trace).await
    }

    /// A body that is not the last one: items, differences, events.
    async fn take_in(
        &self,
        ticket: PollTicket,
        body: Bytes,
        seal: Seal,
        trace: &mut Trace,
    ) -> Result<(PollOutcome, Tally), StoreError> {
        let weight = body.len();
        let job = self.job.clone();
        let items = match self.world.tasks.compute(weight, move || extract(&job, &body)).await {
            Ok(items) => items,
            Err(failure) => {
                return Ok((self.note(ticket, PollOutcome::Failed(failure), None).await?, Tally::default()));
            }
        };
        trace.read(&items);
        let read = items.len() as u64;
        match self.compare(&ticket, items, weight).await? {
            Ok(decided) => self.end(ticket, PollOutcome::Complete, decided, Some(seal), read, trace).await,
            Err(failure) => {
                let outcome = self.note(ticket, PollOutcome::Failed(failure), None).await?;
                Ok((outcome, Tally { items: read, events: 0 }))
            }
        }
    }

    /// Holds a complete list's items against the ledger.
    async fn compare(
        &self,
        ticket: &PollTicket,
        items: Vec<Item>,
        weight: usize,
    ) -> Result<Result<Decided, Failure>, StoreError> {
        let mut seen: Vec<KeyDigest> = items.iter().map(|item| item.key_digest).collect();
        let rows = self.world.store.rows(ticket, &self.start.scope, &seen).await?;
        let live = rows.iter().flatten().filter(|row| row.is_live()).count() as u64;

        let mut decider = Decider::new(self.start.clone());
        let examined = self.world.tasks.compute(weight, move || {
            let differing = decider.examine(&items, &rows);
            (decider, differing)
        });
        let (mut decider, differing) = match examined.await {
            (decider, Ok(differing)) => (decider, differing),
            (_, Err(failure)) => return Ok(Err(failure)),
        };

        let keys: Vec<KeyDigest> = differing.iter().filter_map(|item| item.row.map(|row| row.key)).collect();
        let mut bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?.into_iter();
        let remembered = differing.iter().map(|item| item.row.and_then(|_| bodies.next().flatten())).collect();
        let decided = self.world.tasks.compute(weight, move || {
            let verdict = decider.decide(differing, remembered);
            (decider, verdict)
        });
        let mut decider = match decided.await {
            (decider, Ok(())) => decider,
            (_, Err(failure)) => return Ok(Err(failure)),
        };

        if self.job.list == ListKind::Complete && live != self.state.items {
            seen.sort_unstable();
            let missing = self.world.store.missing(ticket, &self.start.scope, seen).await?;
            if let Err(failure) = self.miss(ticket, &mut decider, missing).await? {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(decider.finish()))
    }

    async fn miss(
        &self,
        ticket: &PollTicket,
        decider: &mut Decider,
        rows: Vec<Row>,
    ) -> Result<Result<(), Failure>, StoreError> {
        let gone = decider.miss(rows);
        let keys: Vec<KeyDigest> = gone.iter().map(|row| row.key).collect();
        let bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?;
        Ok(decider.delete(gone, bodies))
    }

    /// Ends a poll with what was decided: one transaction, or nothing to write.
    async fn end(
        &self,
        ticket: PollTicket,
        outcome: PollOutcome,
        decided: Decided,
        seal: Option<Seal>,
        items: u64,
        trace: &mut Trace,
    ) -> Result<(PollOutcome, Tally), StoreError> {
        self.report_problems(&decided);
        trace.decided(&decided, self.start.phase);
        let tally = Tally { items, events: decided.events.len() as u64 };
        if self.mode == Mode::Look {
            return Ok((outcome, tally));
        }
        if self.is_idle(&ticket, &decided) {
            return Ok((self.note(ticket, outcome, seal).await?, tally));
        }
        self.commit(ticket, &outcome, decided, seal, items).await?;
        Ok((outcome, tally))
    }

    /// True when there is nothing that is worth a transaction.
    fn is_idle(&self, ticket: &PollTicket, decided: &Decided) -> bool {
        let settled = self.state.baseline && ticket.fingerprints.as_ref() == Some(&self.job.fingerprints);
        settled && decided.rows.is_empty() && decided.remove.is_empty()
    }

    async fn commit(
        &self,
        mut ticket: PollTicket,
        outcome: &PollOutcome,
        decided: Decided,
        seal: Option<Seal>,
        items: u64,
    ) -> Result<(), StoreError> {
        let is_baseline = self.start.phase != Phase::Watching;
        let rows_max = if is_baseline { BASELINE_CHUNK_ROWS } else { usize::MAX };
        let sequence = self.start.sequence + decided.events.len() as u64;
        let mut chunks = chunks(self.start.scope.clone(), decided, rows_max, CHUNK_BYTES_MAX);
        let mut last = chunks.pop().unwrap_or_default();
        last.notice = self.rebaselined(&ticket, items);
        for mut chunk in chunks {
            chunk.rebaseline = self.start.phase == Phase::Rebaseline;
            let expected = chunk.deliveries();
            let room = self.poller.dispatcher.room();
            let began = self.world.clock.now();
            let tickets = self.world.store.commit_part(&mut ticket, chunk, &room).await?;
            self.world.observer.committed(self.world.clock.now().since(began));
            self.poller.dispatcher.hand_over(tickets, &expected).await;
        }
        let ending = PollEnding {
            outcome: outcome.clone(),
            at: self.world.clock.now(),
            fingerprints: self.job.fingerprints.clone(),
            scope: ScopeState { sequence, baseline: true, seal, ..self.state.clone() },
        };
        let expected = last.deliveries();
        let room = self.poller.dispatcher.room();
        let began = self.world.clock.now();
        let tickets = self.world.store.commit_poll(ticket, last, ending, &room).await?;
        self.world.observer.committed(self.world.clock.now().since(began));
        self.poller.dispatcher.hand_over(tickets, &expected).await;
        Ok(())
    }

    /// Changes since the last poll are the one thing that a new baseline does not see, so a job that had one before
    /// says so.
    fn rebaselined(&self, ticket: &PollTicket, items: u64) -> Option<Notice> {
        let kept = ticket.fingerprints.as_ref().filter(|_| self.start.phase != Phase::Watching)?;
        let now = &self.job.fingerprints;
        let why = match (kept.request != now.request, kept.selection != now.selection) {
            (true, true) => "its request and selection were edited",
            (true, false) => "its request was edited",
            (false, true) => "its selection was edited",
            (false, false) => "its last baseline was cut off or forgotten",
        };
        let since = ticket.record.last_poll.unwrap_or(self.start.now);
        let news = Rebaselined { job: &self.job.name, why, since, items };
        self.poller.alarm.rebaselined(&news, self.start.now)
    }

    fn report_problems(&self, decided: &Decided) {
        if let Some(problem) = decided.problems.first() {
            let more = decided.problems.len() - 1;
            tracing::warn!(job = %self.job.name, problem, more, "an expression failed");
        }
    }
}

/// A failure of our own state, as an outcome that can be shown.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    Failure::new(FailureKind::Store, error.to_string())
}

/// Splits what was decided into transactions, each whole for its items: a row goes with its event.
fn chunks(scope: Scope, decided: Decided, rows_max: usize, bytes_max: usize) -> Vec<PollChanges> {
    let mut events = decided.events.into_iter().peekable();
    let mut done = Vec::new();
    let mut chunk = PollChanges { scope: scope.clone(), remove: decided.remove, ..PollChanges::default() };
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
    chunk.rows.extend(decided.idle);
    done.push(chunk);
    done
}
