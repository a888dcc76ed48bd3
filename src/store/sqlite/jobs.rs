//! What is known of each job without asking the disk: its state, its claim, and what is not yet written.
//!
//! The file is the truth; this is a copy that only commits and notes change. It is kept narrow, because there may be
//! 100,000 jobs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::cursor::CursorState;
use crate::core::hold::Hold;
use crate::core::job::Fingerprints;
use crate::core::json::parse;
use crate::core::names::{Digest, JobName, JobUid, Scope};
use crate::core::time::Timestamp;
use crate::core::why::Observation;
use crate::store::sqlite::error::{Result, count, int, small};
use crate::store::{JobRecord, PollNote, PollTicket, ScopeState, Seal, StoreError};

/// One scope of a known job. A sorted `Vec` of these is a tenth of a map's size where there is only one.
#[derive(Clone, Debug)]
pub(super) struct KnownScope {
    pub(super) id: i64,
    pub(super) name: Scope,
    pub(super) state: ScopeState,
}

/// One job.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) uid: JobUid,
    pub(super) record: JobRecord,
    pub(super) scopes: Vec<KnownScope>,
    /// The number of the claim that stands; 0 for none.
    claim: u64,
    /// The record, or a seal, is newer than the file.
    dirty: bool,
}

impl Known {
    fn scope(&mut self, name: &Scope) -> Option<&mut KnownScope> {
        let at = self.scopes.binary_search_by(|scope| scope.name.cmp(name)).ok()?;
        self.scopes.get_mut(at)
    }

    /// Puts what its scopes come to into a record of it.
    fn add_up(&self, record: &mut JobRecord) {
        record.items = self.scopes.iter().map(|scope| scope.state.items).sum();
        record.hold = Hold::sum(self.scopes.iter().filter_map(|scope| scope.state.hold.as_deref())).map(Box::new);
    }

    fn ticket(&self, job: &JobName, claim: Claim) -> PollTicket {
        let scopes: BTreeMap<_, _> =
            self.scopes.iter().map(|scope| (scope.name.clone(), scope.state.clone())).collect();
        let mut record = self.record.clone();
        self.add_up(&mut record);
        PollTicket { job: job.clone(), uid: self.uid, record, scopes, lease: Box::new(Arc::new(claim)) }
    }
}

#[derive(Debug, Default)]
struct Table {
    jobs: HashMap<JobName, Known>,
    dirty: Vec<JobName>,
    /// What polls have seen and only noted, with the numbers of their scopes.
    observed: Vec<(i64, Observation)>,
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    table: Mutex<Table>,
    claims: AtomicU64,
}

/// What a claim on a job came to.
pub(super) enum Claimed {
    /// Not loaded.
    Unknown,
    /// Another claim stands.
    Busy,
    /// It stands.
    Ticket(Box<PollTicket>),
}

/// A claim that stands until its last holder, a ticket or a commit on its way, is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    jobs: Arc<Jobs>,
    pub(super) job: JobName,
    pub(super) id: i64,
    number: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.jobs.free(&self.job, self.number);
    }
}

impl Jobs {
    /// Claims a job that is known.
    pub(super) fn claim(self: &Arc<Self>, job: &JobName) -> Claimed {
        let mut table = self.lock();
        let Some(known) = table.jobs.get_mut(job) else { return Claimed::Unknown };
        if known.claim != 0 {
            return Claimed::Busy;
        }
        known.claim = self.claims.fetch_add(1, Ordering::Relaxed) + 1;
        let claim = Claim { jobs: Arc::clone(self), job: job.clone(), id: known.id, number: known.claim };
        Claimed::Ticket(Box::new(known.ticket(job, claim)))
    }

    /// The claim behind a ticket, if it is one of ours and stands.
    pub(super) fn standing(self: &Arc<Self>, ticket: &PollTicket) -> Result<Arc<Claim>> {
        let claim = ticket.lease.downcast_ref::<Arc<Claim>>();
        match claim {
            Some(claim) if Arc::ptr_eq(&claim.jobs, self) && self.holds(claim) => Ok(Arc::clone(claim)),
            _ => Err(StoreError::LeaseLost(ticket.job.to_string())),
        }
    }

    /// Does this claim stand?
    pub(super) fn holds(&self, claim: &Claim) -> bool {
        self.lock().jobs.get(&claim.job).is_some_and(|known| known.claim == claim.number)
    }

    fn free(&self, job: &JobName, number: u64) {
        if let Some(known) = self.lock().jobs.get_mut(job).filter(|known| known.claim == number) {
            known.claim = 0;
        }
    }

    /// Ends the claim on a job as a lease that runs out would.
    #[cfg(test)]
    pub(super) fn expire(&self, job: &JobName) {
        if let Some(known) = self.lock().jobs.get_mut(job) {
            known.claim = 0;
        }
    }

    /// The number of a scope, where the job has it.
    pub(super) fn scope(&self, job: &JobName, scope: &Scope) -> Option<i64> {
        self.lock().jobs.get_mut(job)?.scope(scope).map(|scope| scope.id)
    }

    /// Which of `names` are not known yet.
    pub(super) fn unknown(&self, names: &[JobName]) -> Vec<JobName> {
        let table = self.lock();
        names.iter().filter(|name| !table.jobs.contains_key(*name)).cloned().collect()
    }

    /// Takes over what was loaded, except where something newer is known.
    pub(super) fn learn(&self, loaded: Vec<(JobName, Known)>) {
        let mut table = self.lock();
        for (name, known) in loaded {
            table.jobs.entry(name).or_insert(known);
        }
    }

    /// Forgets every job but those that `keep` names, those that are claimed and those that are not yet written.
    pub(super) fn forget(&self, keep: &std::collections::HashSet<&JobName>) {
        self.lock().jobs.retain(|name, known| keep.contains(name) || known.claim != 0 || known.dirty);
    }

    /// Forgets a job whose ledger was deleted, so that it is loaded anew should it come back.
    pub(super) fn evict(&self, job: &JobName) {
        self.lock().jobs.remove(job);
    }

    /// What a commit has made true. The job's events are counted here, over all parts of a poll.
    pub(super) fn committed(&self, job: &JobName, scope: KnownScope, ending: Option<Ended>, events: u64) {
        let mut table = self.lock();
        let Some(known) = table.jobs.get_mut(job) else { return };
        let events = known.record.events + events;
        if let Some(ended) = ending {
            known.record = JobRecord { paused: known.record.paused, hold: None, ..ended.record };
        }
        known.record.events = events;
        match known.scopes.binary_search_by(|other| other.name.cmp(&scope.name)) {
            Ok(at) => known.scopes[at] = scope,
            Err(at) => known.scopes.insert(at, scope),
        }
    }

    /// A person has paused or resumed a job that may be known.
    pub(super) fn pause(&self, job: &JobName, paused: Option<Timestamp>) {
        if let Some(known) = self.lock().jobs.get_mut(job) {
            known.record.paused = paused;
        }
    }

    /// A person has answered what a scope of a job holds.
    pub(super) fn answer(&self, job: &JobName, scope: &Scope, hold: &Hold) {
        if let Some(scope) = self.lock().jobs.get_mut(job).and_then(|known| known.scope(scope)) {
            scope.state.hold = Some(Box::new(hold.clone()));
        }
    }

    /// Keeps a note. True when it tells of a transition, which is worth a write of its own.
    pub(super) fn note(&self, claim: &Claim, note: PollNote) -> bool {
        let mut table = self.lock();
        let Some(known) = table.jobs.get_mut(&claim.job) else { return false };
        let record = known.record.after(&note.outcome, note.at);
        let turned = class(&record) != class(&known.record);
        known.record = record;
        let id = |known: &mut Known, scope: &Scope| known.scope(scope).map(|scope| scope.id);
        let observed: Vec<_> =
            note.observations.into_iter().filter_map(|(scope, seen)| Some((id(known, &scope)?, seen))).collect();
        for (scope, seal) in note.seals {
            if let Some(scope) = known.scope(&scope) {
                scope.state.seal = Some(seal);
            }
        }
        if !std::mem::replace(&mut known.dirty, true) {
            table.dirty.push(claim.job.clone());
        }
        for (scope, seen) in observed {
            table.observed.extend(seen.into_iter().map(|seen| (scope, seen)));
        }
        turned
    }

    /// Up to `limit` observations that were only noted; who can't write them gives them back.
    pub(super) fn take_observed(&self, limit: usize) -> Vec<(i64, Observation)> {
        let observed = &mut self.lock().observed;
        let taken = observed.len().min(limit);
        observed.drain(..taken).collect()
    }

    /// They could not be written after all.
    pub(super) fn give_back(&self, observed: Vec<(i64, Observation)>) {
        self.lock().observed.splice(..0, observed);
    }

    /// Up to `limit` jobs that are newer than the file, no longer marked so. Claimed ones stay marked unless `all`:
    /// a commit of theirs may be in the same transaction, and is newer still.
    pub(super) fn take_dirty(&self, limit: usize, all: bool) -> Vec<Dirty> {
        let mut table = self.lock();
        let mut taken = Vec::new();
        let mut kept = Vec::new();
        while taken.len() < limit
            && let Some(name) = table.dirty.pop()
        {
            match table.jobs.get_mut(&name) {
                Some(known) if known.claim == 0 || all => {
                    known.dirty = false;
                    let seals = known.scopes.iter().map(|scope| (scope.id, scope.state.seal.clone())).collect();
                    taken.push(Dirty { name, id: known.id, record: known.record.clone(), seals });
                }
                Some(_) => kept.push(name),
                None => {}
            }
        }
        table.dirty.append(&mut kept);
        taken
    }

    /// They could not be written after all.
    pub(super) fn mark_dirty(&self, names: Vec<JobName>) {
        let mut table = self.lock();
        for name in names {
            if let Some(known) = table.jobs.get_mut(&name)
                && !std::mem::replace(&mut known.dirty, true)
            {
                table.dirty.push(name);
            }
        }
    }

    /// The records of jobs, where they are known here: whole ones, since what was read from the file may be older.
    pub(super) fn overlay(&self, rows: &mut [(JobName, JobRecord)]) {
        let table = self.lock();
        for (name, record) in rows {
            if let Some(known) = table.jobs.get(name) {
                *record = known.record.clone();
                known.add_up(record);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a transition is between: good polls are alike, and so are two failures with different sentences.
fn class(record: &JobRecord) -> Option<&str> {
    record.outcome.as_deref().map(|outcome| if outcome == "unchanged" { "complete" } else { outcome })
}

/// How a poll's last commit ended it.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) record: JobRecord,
}

/// What of a job is newer than the file.
#[derive(Debug)]
pub(super) struct Dirty {
    pub(super) name: JobName,
    id: i64,
    record: JobRecord,
    seals: Vec<(i64, Option<Seal>)>,
}

/// Writes what notes have changed.
pub(super) fn write_dirty(db: &Connection, dirty: &[Dirty]) -> Result<()> {
    for job in dirty {
        end_poll(db, job.id, &job.record, 0)?;
        for (scope, seal) in &job.seals {
            db.prepare_cached(
                "UPDATE scope SET seal_request = ?2, seal_etag = ?3, seal_modified = ?4, seal_body = ?5 WHERE id = ?1",
            )?
            .execute(params![
                scope,
                seal.as_ref().map(|seal| seal.request.0),
                seal.as_ref().and_then(|seal| seal.etag.as_deref()),
                seal.as_ref().and_then(|seal| seal.last_modified.as_deref()),
                seal.as_ref().map(|seal| seal.body.0),
            ])?;
        }
    }
    Ok(())
}

/// Counts events of a job whose poll goes on. True when the job has left the config.
pub(super) fn count_events(db: &Connection, job: i64, events: u64) -> Result<bool> {
    Ok(db
        .prepare_cached("UPDATE job SET events = events + ?2 WHERE id = ?1 RETURNING removed IS NOT NULL")?
        .query_one(params![job, int(events)], |row| row.get(0))?)
}

/// Writes how a poll ended, and counts its last events. True when the job has left the config.
pub(super) fn end_poll(db: &Connection, job: i64, record: &JobRecord, events: u64) -> Result<bool> {
    Ok(db
        .prepare_cached(
            "UPDATE job SET failures = ?2, outcome = ?3, reason = ?4, last_poll = ?5, last_success = ?6, \
             events = events + ?7 WHERE id = ?1 RETURNING removed IS NOT NULL",
        )?
        .query_one(
            params![
                job,
                record.failures,
                record.outcome,
                record.reason,
                record.last_poll.map(|at| at.0),
                record.last_success.map(|at| at.0),
                int(events),
            ],
            |row| row.get(0),
        )?)
}

const JOB: &str = "SELECT id, uid, failures, outcome, reason, last_poll, last_success, events, paused FROM job \
                   WHERE name = ?1";

/// Loads a job from the file; `None` when it isn't there.
pub(super) fn load(db: &Connection, name: &JobName) -> Result<Option<Known>> {
    let Some(mut known) = db.prepare_cached(JOB)?.query_one([name.as_str()], known).optional()? else {
        return Ok(None);
    };
    known.scopes = db
        .prepare_cached(
            "SELECT id, text, sequence, baseline, items, missing, seal_request, seal_etag, seal_modified, seal_body, \
             gap, cursor_print, cursor_value, cursor_full, hold, request, selection, identity, rules, \
             (SELECT count(*) FROM settling WHERE settling.scope = scope.id), mixed, \
             EXISTS (SELECT 1 FROM dirty WHERE dirty.scope = scope.id), edition FROM scope WHERE job = ?1 ORDER BY text",
        )?
        .query_map([known.id], scope)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(known))
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        id: row.get(0)?,
        uid: JobUid(row.get(1)?),
        record: record(row, 2)?,
        scopes: Vec::new(),
        claim: 0,
        dirty: false,
    })
}

/// What a scope's ledger was read under, from column `at` on.
pub(super) fn fingerprints(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Fingerprints>> {
    let parts = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?, row.get(at + 3)?);
    let (Some(request), Some(selection), Some(identity), Some(rules)) = parts else { return Ok(None) };
    let (request, selection, identity) = (Digest(request), Digest(selection), Digest(identity));
    Ok(Some(Fingerprints { request, selection, identity, rules }))
}

/// A job's record, from column `at` on.
pub(super) fn record(row: &Row<'_>, at: usize) -> rusqlite::Result<JobRecord> {
    Ok(JobRecord {
        failures: small(row.get(at)?),
        outcome: row.get(at + 1)?,
        reason: row.get(at + 2)?,
        last_poll: row.get::<_, Option<i64>>(at + 3)?.map(Timestamp),
        last_success: row.get::<_, Option<i64>>(at + 4)?.map(Timestamp),
        items: 0,
        events: count(row.get(at + 5)?),
        paused: row.get::<_, Option<i64>>(at + 6)?.map(Timestamp),
        hold: None,
    })
}

fn scope(row: &Row<'_>) -> rusqlite::Result<KnownScope> {
    let seal = match (row.get(6)?, row.get(9)?) {
        (Some(request), Some(body)) => {
            Some(Seal { request: Digest(request), etag: row.get(7)?, last_modified: row.get(8)?, body: Digest(body) })
        }
        _ => None,
    };
    let state = ScopeState {
        sequence: count(row.get(2)?),
        baseline: row.get(3)?,
        items: count(row.get(4)?),
        missing: count(row.get(5)?),
        seal,
        gap: row.get(10)?,
        cursor: cursor(row)?,
        hold: hold(row, 14)?,
        fingerprints: fingerprints(row, 15)?,
        settling: count(row.get(19)?),
        mixed: row.get::<_, Option<_>>(20)?.map(|list| Box::new(Digest(list))),
        dirty: row.get(21)?,
        edition: small(row.get(22)?),
    };
    Ok(KnownScope { id: row.get(0)?, name: Scope::from(row.get_ref(1)?.as_str()?), state })
}

/// How far a job has read; a value that is no JSON is as good as none, and all is read again.
fn cursor(row: &Row<'_>) -> rusqlite::Result<Option<Box<CursorState>>> {
    let (Some(print), Some(value)) = (row.get(11)?, row.get::<_, Option<String>>(12)?) else { return Ok(None) };
    let full = row.get::<_, Option<i64>>(13)?.map(Timestamp);
    Ok(parse(value.as_bytes()).ok().map(|value| Box::new(CursorState { print: Digest(print), value, full })))
}

/// What waits for a person, from column `at`; what is no such JSON is as good as none, and the next poll finds it again.
pub(super) fn hold(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Box<Hold>>> {
    let text: Option<String> = row.get(at)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// As it is written.
pub(super) fn hold_text(hold: Option<&Hold>) -> Option<String> {
    hold.and_then(|hold| serde_json::to_string(hold).ok())
}

/// Writes the whole state of a scope, if its sequence is still `expected`.
pub(super) fn write_scope(db: &Connection, id: i64, expected: u64, state: &ScopeState) -> Result<bool> {
    let (seal, cursor, prints) = (state.seal.as_ref(), state.cursor.as_ref(), state.fingerprints.as_ref());
    let changed = db
        .prepare_cached(
            "UPDATE scope SET sequence = ?3, baseline = ?4, items = ?5, missing = ?6, seal_request = ?7, \
             seal_etag = ?8, seal_modified = ?9, seal_body = ?10, gap = ?11, \
             cursor_print = ?12, cursor_value = ?13, cursor_full = ?14, hold = ?15, request = ?16, selection = ?17, \
             identity = ?18, rules = ?19, mixed = ?20, edition = ?21 WHERE id = ?1 AND sequence = ?2",
        )?
        .execute(params![
            id,
            int(expected),
            int(state.sequence),
            state.baseline,
            int(state.items),
            int(state.missing),
            seal.map(|seal| seal.request.0),
            seal.and_then(|seal| seal.etag.as_deref()),
            seal.and_then(|seal| seal.last_modified.as_deref()),
            seal.map(|seal| seal.body.0),
            state.gap,
            cursor.map(|cursor| cursor.print.0),
            cursor.map(|cursor| cursor.value.to_string()),
            cursor.and_then(|cursor| cursor.full).map(|at| at.0),
            hold_text(state.hold.as_deref()),
            prints.map(|prints| prints.request.0),
            prints.map(|prints| prints.selection.0),
            prints.map(|prints| prints.identity.0),
            prints.map(|prints| prints.rules.as_str()),
            state.mixed.as_ref().map(|list| list.0),
            state.edition,
        ])?;
    Ok(changed == 1)
}
