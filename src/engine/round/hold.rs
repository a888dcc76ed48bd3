//! What a round finds and may not say before a person has: what is gone from a list, confirmed by the vendor where the
//! job wants that, and more events than a poll may have.
//!
//! When something is held is decided in [`crate::core::hold`].

use futures_util::StreamExt;

use crate::core::decide::Phase;
use crate::core::diff::Change;
use crate::core::hold::{Hold, KEYS_SHOWN_MAX, Leave};
use crate::core::json::Json;
use crate::core::ledger::{Remembered, Row};
use crate::core::names::{Key, KeyDigest};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::time::Timestamp;
use crate::core::why::{Observation, Silence};
use crate::engine::poller::Mode;
use crate::engine::report::Trace;
use crate::engine::round::{Act, Ended, Last, Round, Tally};
use crate::source::{Fetched, Request, first_page};
use crate::store::{PollChanges, PollTicket, ScopeState, StoreError};

/// Confirmations that are asked for at once.
const CONFIRMS_AT_ONCE: usize = 4;

/// Confirmations that one poll asks for; the others wait for the next one.
const CONFIRMS_MAX: usize = 1_000;

/// Items of which it is noted that they are held: of a larger hold the others are only counted.
const HELD_NOTED_MAX: usize = 10_000;

/// How often the vendor is asked again, in milliseconds, for an item that is not in its list and that it still has.
const CONFIRM_AGAIN: i64 = 3_600_000;

/// Whether a poll goes on, or why not.
type Went = Result<Result<(), Failure>, StoreError>;

impl Round<'_> {
    /// Counts rows as missing once more, and decides those that are deleted by that: all of them, none, or those that
    /// the vendor confirms.
    pub(super) async fn miss(&mut self, ticket: &PollTicket, rows: Vec<Row>, trace: &mut Trace) -> Went {
        let gone = self.decider.miss(rows);
        let (there, fresh): (Vec<Row>, Vec<Row>) = gone.into_iter().partition(|row| self.is_there(row));
        match self.holding.deletions(fresh.len() as u64) {
            Leave::Go => {}
            Leave::Wait => return self.hold_deletions(ticket, &fresh).await.map(Ok),
            Leave::Never => {
                self.decider.reject(fresh);
                return Ok(Ok(()));
            }
        }
        let mut gone = fresh;
        gone.extend(there.into_iter().filter(|row| self.is_due_again(ticket, row)));
        let told = self.job.on.contains(Change::Deleted) && !self.holding.is_approved(gone.len() as u64);
        if self.over || (told && self.events + self.decider.events() + gone.len() as u64 > self.holding.events_max()) {
            self.put_aside();
            let keys = self.keys(ticket, &gone).await?;
            self.holding.hold_events(if told { gone.len() as u64 } else { 0 }, keys.iter().map(Key::as_str));
            self.note_gone(&gone);
            return Ok(Ok(()));
        }
        if self.job.deletes.confirm.is_some() {
            gone = self.confirmed(ticket, gone, trace).await?;
            if self.holding.deletions(gone.len() as u64) != Leave::Go {
                return self.hold_deletions(ticket, &gone).await.map(Ok);
            }
        }
        let keys: Vec<KeyDigest> = gone.iter().map(|row| row.key).collect();
        let bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?;
        Ok(self.decider.delete(gone, bodies))
    }

    /// They stay in the ledger as missing, so that the next poll finds them again.
    async fn hold_deletions(&mut self, ticket: &PollTicket, rows: &[Row]) -> Result<(), StoreError> {
        let keys = self.keys(ticket, rows).await?;
        self.holding.hold_deletions(rows.len() as u64, keys.iter().map(Key::as_str));
        self.note_gone(rows);
        self.decider.spare(rows.iter().copied(), self.job.deletes.after);
        Ok(())
    }

    async fn keys(&self, ticket: &PollTicket, rows: &[Row]) -> Result<Vec<Key>, StoreError> {
        let keys: Vec<KeyDigest> = rows.iter().take(KEYS_SHOWN_MAX).map(|row| row.key).collect();
        let bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?;
        Ok(bodies.into_iter().flatten().map(|remembered| remembered.key).collect())
    }

    /// The vendor was asked for it, and has it: its row says so by having missed once more than counts.
    fn is_there(&self, row: &Row) -> bool {
        self.job.deletes.confirm.is_some() && row.missed > self.job.deletes.after
    }

    /// Such an item is asked for again once in a while, each at a moment of its own.
    fn is_due_again(&self, ticket: &PollTicket, row: &Row) -> bool {
        let shift = i64::from(u32::from_le_bytes([row.key.0[0], row.key.0[1], row.key.0[2], 0])) % CONFIRM_AGAIN;
        let turn = |moment: Timestamp| (moment.0 + shift).div_euclid(CONFIRM_AGAIN);
        ticket.record.last_success.is_none_or(|last| turn(last) != turn(self.start.now))
    }

    /// Of rows that may be deleted, those of which the vendor says so.
    async fn confirmed(
        &mut self,
        ticket: &PollTicket,
        rows: Vec<Row>,
        trace: &mut Trace,
    ) -> Result<Vec<Row>, StoreError> {
        let (asked, later) = rows.split_at(rows.len().min(CONFIRMS_MAX));
        let keys: Vec<KeyDigest> = asked.iter().map(|row| row.key).collect();
        let bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?;
        let requests: Vec<Option<Request>> = bodies.iter().map(|body| self.confirmation(body.as_ref()?)).collect();
        let now = self.world.clock.now();
        let notes: Vec<_> = requests.iter().map(|request| trace.asking(request.as_ref()?, now)).collect();
        let fetcher = &self.world.fetcher;
        let answers = futures_util::stream::iter(requests).map(|request| async move {
            match request {
                Some(request) => Some(fetcher.fetch(request).await),
                None => None,
            }
        });
        let answers: Vec<Option<Fetched>> = answers.buffered(CONFIRMS_AT_ONCE).collect().await;
        let after = self.job.deletes.after;
        // What is missing keeps a job with a cursor from using it: a full poll finds such an item by itself.
        let there = if self.job.cursor.is_some() { 0 } else { after + 1 };
        let mut gone = Vec::new();
        for ((row, answer), note) in asked.iter().zip(answers).zip(notes) {
            if let Some(fetched) = &answer {
                trace.answered(note, fetched);
            }
            match answer.map(|fetched| fetched.result) {
                Some(Err(failure)) if says_gone(&failure) => gone.push(*row),
                Some(Ok(_)) => self.decider.spare([*row], there),
                // Nothing was learned: it stays missing, and is asked for again by the next poll.
                Some(Err(_)) | None => self.decider.spare([*row], after),
            }
        }
        self.decider.spare(later.iter().copied(), after);
        Ok(gone)
    }

    /// The request that confirms that an item is gone; `None` where it can't be made.
    fn confirmation(&self, item: &Remembered) -> Option<Request> {
        let spec = self.job.deletes.confirm.as_ref()?;
        let (job, key) = (Json::from(self.job.name.as_str()), Json::from(item.key.as_str()));
        let mut names = vec![("job", &job), ("key", &key), ("cursor", &Json::Null)];
        names.extend(self.place.values.iter().map(|(name, value)| (name.as_str(), value)));
        match first_page(spec, None, &names) {
            Ok(request) => Some(request.through(self.gate.clone())),
            Err(failure) => {
                tracing::warn!(job = %self.job.name, key = %item.key, reason = %failure, "`confirm` can't be asked");
                None
            }
        }
    }

    /// True when the poll has more events than it may.
    pub(super) fn overflows(&self) -> bool {
        let is_watching = self.start.phase == Phase::Watching;
        is_watching && (self.over || self.events + self.decider.events() > self.holding.events_max())
    }

    /// Forgets what was decided but for how much it was: the poll is held, and what follows is only counted.
    pub(super) fn put_aside(&mut self) {
        let decided = self.decider.take();
        self.over = true;
        let keys = decided.events.iter().map(|(_, event)| event.key.as_str());
        self.holding.hold_events(decided.events.len() as u64, keys);
        let rules = &self.job.rules;
        self.note_held(decided.events.iter().map(|(_, event)| Observation::held(event, rules)));
    }

    fn note_gone(&mut self, rows: &[Row]) {
        let now = self.start.now;
        self.note_held(rows.iter().map(|row| Observation::gone(row.key, now, Silence::Held)));
    }

    fn note_held(&mut self, held: impl Iterator<Item = Observation>) {
        if self.mode == Mode::Commit {
            let room = HELD_NOTED_MAX.saturating_sub(self.held.len());
            self.held.extend(held.take(room));
        }
    }

    /// What is to be written of the items that are held, for who asks why: nothing while a hold only goes on.
    pub(super) fn say_held(&mut self, hold: Option<&Hold>) -> Vec<Observation> {
        let held = std::mem::take(&mut self.held);
        let goes_on = self.state.hold.as_deref() == hold;
        let is_news = self.mode == Mode::Commit && self.poller.noted.is_news(self.start.uid, &self.start.scope, &held);
        if is_news || !goes_on { held } else { Vec::new() }
    }

    /// A poll that was not read whole is a part of one that is held, and says nothing by itself.
    pub(super) fn hold_part(&mut self, outcome: &PollOutcome) {
        if matches!(outcome, PollOutcome::Partial(_)) && self.holding.holds_parts() && self.decider.events() > 0 {
            self.put_aside();
        }
    }

    /// What waits for a person after a poll that ends so.
    pub(super) fn next_hold(&self, outcome: &PollOutcome) -> Option<Box<Hold>> {
        self.holding.end(!matches!(outcome, PollOutcome::Partial(_)), self.start.now)
    }

    /// A poll that reads the baseline only in part; true when a person has accepted it as it is.
    pub(super) fn accepts(&mut self, outcome: &PollOutcome) -> bool {
        let is_part = matches!(outcome, PollOutcome::Partial(_)) && self.start.phase != Phase::Watching;
        is_part && self.holding.accepts_baseline()
    }

    /// Ends a round that is held: nothing of it is written but that it is.
    pub(super) fn end_held(&mut self, ticket: &PollTicket, outcome: PollOutcome, tally: Tally) -> Ended {
        let hold = self.next_hold(&outcome);
        let observations = self.say_held(hold.as_deref());
        let now = ticket.scopes.get(&self.start.scope).cloned().unwrap_or_default();
        let act = match &now.fingerprints {
            _ if self.mode == Mode::Look => Act::Nothing,
            Some(_) if hold != now.hold => {
                let scope = ScopeState { hold: hold.clone(), ..now };
                let scope_name = self.start.scope.clone();
                let changes = PollChanges { scope: scope_name, observations, ..PollChanges::default() };
                Act::Commit(Box::new(Last { changes, scope }))
            }
            _ => self.note_seen(None, observations),
        };
        Ended { outcome, tally, act, hold, blocks: None }
    }
}

/// 404 or 410 of what was asked for, and no rate limit in disguise.
pub(super) fn says_gone(failure: &Failure) -> bool {
    failure.kind == FailureKind::Status && !failure.tokenless && matches!(failure.status, Some(404 | 410))
}
