//! The one transaction of a poll: rows, events, deliveries, and how it ended.
//!
//! It checks what makes it this poll's turn (the claim stands, the scope's sequence is what the poll read) and leaves
//! every decision to who called.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::core::event::NewEvent;
use crate::core::hold::Hold;
use crate::core::why::Observation;
use crate::store::sqlite::bells;
use crate::store::sqlite::error::{Result, int};
use crate::store::sqlite::jobs::{self, Claim, Ended, Jobs, KnownScope};
use crate::store::sqlite::ledger::Pen;
use crate::store::sqlite::outbox::{self, Enqueue, Origin};
use crate::store::sqlite::{observations, pages, unfinished, upkeep};
use crate::store::{DeliveryTicket, JobRecord, PollChanges, PollEnding, Room, ScopeState, StoreError};

/// What a commit needs, owned, so that it goes on when nobody waits for it any more.
pub(super) struct Commit {
    pub(super) claim: Arc<Claim>,
    pub(super) epoch: i64,
    pub(super) changes: PollChanges,
    pub(super) end: End,
    pub(super) room: Room,
    /// The scope as the poll read it, and its number, where there is one already.
    pub(super) before: ScopeState,
    pub(super) scope: Option<i64>,
    /// The job's record as the poll read it.
    pub(super) record: JobRecord,
}

/// What ends with a commit.
pub(super) enum End {
    /// Nothing: it is a part.
    Part,
    /// One scope of several.
    Scope(ScopeState),
    /// The poll, and the scope that it ended with.
    Poll(PollEnding),
}

impl End {
    /// The state of the scope as it shall be.
    fn scope(&self) -> Option<&ScopeState> {
        match self {
            Self::Part => None,
            Self::Scope(state) => Some(state),
            Self::Poll(ending) => Some(&ending.scope),
        }
    }
}

/// What it came to.
pub(super) struct Committed {
    pub(super) tickets: Vec<DeliveryTicket>,
    pub(super) scope: KnownScope,
    pub(super) ended: Option<Ended>,
    pub(super) events: u64,
}

impl Commit {
    /// About how many bytes it writes.
    pub(super) fn weight(&self) -> usize {
        let rows = self.changes.rows.iter().map(|row| 200 + row.remembered.as_ref().map_or(0, |it| it.body.len()));
        let events = self.changes.events.iter().map(|event| 600 + event.weight());
        let pages = self.changes.pages.iter().flat_map(|seals| &seals.put).map(|page| 200 + 16 * page.keys.len());
        let observations = self.changes.observations.iter().map(Observation::weight);
        rows.sum::<usize>() + events.sum::<usize>() + pages.sum::<usize>() + observations.sum::<usize>()
    }

    /// Writes everything, or nothing.
    pub(super) fn run(mut self, db: &Connection, jobs: &Jobs) -> Result<Committed> {
        if !jobs.holds(&self.claim) {
            return Err(self.overtaken());
        }
        let sequence = self.sequence()?;
        let id = match self.scope {
            Some(id) => id,
            None => self.new_scope(db)?,
        };
        let state = ScopeState { sequence, edition: self.edition(), ..self.state() };
        let (items, missing) = self.write_rows(db, id, state.edition)?;
        let settling = unfinished::settle(db, id, &self.changes.settle, self.before.settling)?;
        let dirty = unfinished::soil(db, id, &self.changes.dirty, self.before.dirty)?;
        let hold = self.answered(db, id, state.hold.clone())?;
        let state = ScopeState { items, missing, settling, dirty, hold, ..state };
        if !jobs::write_scope(db, id, self.before.sequence, &state)? {
            return Err(self.overtaken());
        }
        if let Some(seals) = &self.changes.pages {
            pages::replace(db, id, seals)?;
        }
        if let Some(at) = self.changes.baselined {
            db.prepare_cached("UPDATE scope SET baselined = ?2 WHERE id = ?1")?.execute([id, at.0])?;
        }
        observations::write(db, id, &self.changes.observations)?;
        let events = self.changes.events.len() as u64;
        let mut tickets = self.write_events(db, id)?;
        let (ended, gone) = self.end(db, events)?;
        if gone && events > 0 {
            upkeep::hold_gone(db, self.claim.id)?;
            let ids: Vec<i64> = tickets.drain(..).map(|ticket| ticket.id).collect();
            outbox::release(db, self.epoch, &ids)?;
        }
        let scope = KnownScope { id, name: self.changes.scope, state };
        Ok(Committed { tickets, scope, ended, events })
    }

    fn overtaken(&self) -> StoreError {
        StoreError::LeaseLost(self.claim.job.to_string())
    }

    /// The sequence after the last event; refuses one with a gap.
    fn sequence(&self) -> Result<u64> {
        let mut last = self.before.sequence;
        for event in &self.changes.events {
            if event.sequence != last + 1 {
                return Err(gap(event.sequence, last + 1));
            }
            last = event.sequence;
        }
        match self.end.scope() {
            Some(scope) if scope.sequence != last => Err(gap(scope.sequence, last)),
            _ => Ok(last),
        }
    }

    /// The state of the scope but for what the store counts.
    fn state(&self) -> ScopeState {
        match self.end.scope() {
            Some(scope) => scope.clone(),
            None if self.changes.rebaseline.is_some() => {
                let mixed = self.changes.rebaseline.map(Box::new);
                ScopeState { baseline: false, mixed, seal: None, gap: true, ..self.before.clone() }
            }
            None => ScopeState { gap: true, ..self.before.clone() },
        }
    }

    /// The edition that its rows are of: a new one with the first rows of another selection.
    fn edition(&self) -> u32 {
        let begins = self.changes.rebaseline.is_some_and(|list| self.before.mixed.as_deref() != Some(&list));
        self.before.edition + u32::from(begins)
    }

    /// What waits for a person after this poll: an answer that was given since the poll began stands.
    fn answered(&self, db: &Connection, scope: i64, hold: Option<Box<Hold>>) -> Result<Option<Box<Hold>>> {
        if hold.is_none() || self.before.hold.is_none() {
            return Ok(hold);
        }
        let stored = db
            .prepare_cached("SELECT hold FROM scope WHERE id = ?1")?
            .query_one([scope], |row| jobs::hold(row, 0))?
            .filter(|stored| stored.answer != self.before.hold.as_ref().and_then(|before| before.answer));
        Ok(stored.or(hold))
    }

    fn new_scope(&self, db: &Connection) -> Result<i64> {
        db.prepare_cached("INSERT INTO scope (job, text) VALUES (?1, ?2)")?
            .execute(params![self.claim.id, self.changes.scope.as_str()])?;
        Ok(db.last_insert_rowid())
    }

    /// In the order of their keys, so that neighbours on disk are written together.
    fn write_rows(&mut self, db: &Connection, scope: i64, edition: u32) -> Result<(u64, u64)> {
        let mut pen = Pen::new(db, scope, edition)?;
        self.changes.remove.sort_unstable();
        for key in &self.changes.remove {
            pen.remove(*key)?;
        }
        self.changes.rows.sort_by_key(|write| write.row.key);
        for write in &self.changes.rows {
            pen.write(write)?;
        }
        if self.changes.closes {
            pen.remove_older()?;
        }
        Ok(pen.tally.apply(self.before.items, self.before.missing))
    }

    fn write_events(&mut self, db: &Connection, scope: i64) -> Result<Vec<DeliveryTicket>> {
        let mut enqueue = Enqueue::new(db, self.epoch, std::mem::take(&mut self.room));
        for event in std::mem::take(&mut self.changes.events) {
            let id = self.write_event(db, scope, &event)?;
            let origin = Origin { id, job: &self.claim.job, scope: &self.changes.scope, event: &event };
            for delivery in &event.deliveries {
                enqueue.add(&origin, delivery)?;
            }
        }
        if let Some(notice) = self.changes.notice.take() {
            bells::tell(db, &mut enqueue, &notice)?;
        }
        enqueue.finish()
    }

    fn write_event(&self, db: &Connection, scope: i64, event: &NewEvent) -> Result<i64> {
        db.prepare_cached(
            "INSERT INTO event (id, uid, job, scope, key, change, sequence, at, kind, body) VALUES ( \
             (SELECT max(value, (SELECT coalesce(max(id), 0) FROM event)) + 1 FROM meta WHERE name = 'event'), \
             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            event.id.as_str(),
            self.claim.id,
            scope,
            event.key.as_str(),
            event.change.as_str(),
            int(event.sequence),
            event.at.0,
            event.kind,
            &event.body[..],
        ])?;
        Ok(db.last_insert_rowid())
    }

    /// The job's row: its events, and how the poll ended. True when the job has left the config.
    fn end(&self, db: &Connection, events: u64) -> Result<(Option<Ended>, bool)> {
        let record = match &self.end {
            End::Poll(ending) => self.record.after(&ending.outcome, ending.at),
            End::Part | End::Scope(_) if events == 0 => return Ok((None, false)),
            End::Part | End::Scope(_) => return Ok((None, jobs::count_events(db, self.claim.id, events)?)),
        };
        let gone = jobs::end_poll(db, self.claim.id, &record, events)?;
        Ok((Some(Ended { record }), gone))
    }
}

fn gap(got: u64, expected: u64) -> StoreError {
    StoreError::Refused(format!("the sequence `{got}` where `{expected}` comes next"))
}
