//! What is known of each sink: a copy in memory for the dispatcher, and the row that also counts its deliveries.
//!
//! Whether a sink's deliveries are held is said by its row alone, so that disabling one with a million deliveries is
//! one small write.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::breaker::Open as BreakerOpen;
use crate::core::names::SinkName;
use crate::core::sink::Order;
use crate::core::time::Timestamp;
use crate::store::sqlite::error::{Result, count, int, small};
use crate::store::{Queue, SinkState};

/// Why the deliveries of a sink that a person paused are held.
pub(super) const PAUSED: &str = "the sink is paused";

/// Why the deliveries of a sink that left the config are held.
pub(super) const GONE: &str = "the sink is not in the config";

/// The states of all sinks, as they were last committed.
#[derive(Debug, Default)]
pub(super) struct Sinks(Mutex<HashMap<SinkName, SinkState>>);

impl Sinks {
    /// What is remembered of a sink; of one that is new, nothing.
    pub(super) fn get(&self, name: &SinkName) -> SinkState {
        self.lock().get(name).cloned().unwrap_or_default()
    }

    /// Takes over what was committed.
    pub(super) fn put(&self, name: SinkName, state: SinkState) {
        self.lock().insert(name, state);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SinkName, SinkState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink as a transaction sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) id: i64,
    /// In the config, not disabled and not paused: its deliveries may go.
    pub(super) open: bool,
    /// It has deliveries that are dead: lanes may have something to tell of them.
    pub(super) mourns: bool,
    /// The order that its lanes are made for, once it is known.
    pub(super) order: Option<Order>,
}

/// Finds a sink.
pub(super) fn find(db: &Connection, name: &SinkName) -> Result<Option<Open>> {
    let found = db
        .prepare_cached(
            "SELECT id, adopted = 1 AND disabled IS NULL AND paused IS NULL, dead > 0, lanes FROM sink WHERE name = ?1",
        )?
        .query_one([name.as_str()], |row| {
            let order = row.get_ref(3)?.as_str_or_null()?.and_then(Order::parse);
            Ok(Open { id: row.get(0)?, open: row.get(1)?, mourns: row.get(2)?, order })
        })
        .optional()?;
    Ok(found)
}

/// Finds a sink, or makes the row of one that the config does not have: its deliveries are held from the start.
pub(super) fn find_or_make(db: &Connection, name: &SinkName) -> Result<Open> {
    if let Some(found) = find(db, name)? {
        return Ok(found);
    }
    db.prepare_cached("INSERT INTO sink (name) VALUES (?1)")?.execute([name.as_str()])?;
    Ok(Open { id: db.last_insert_rowid(), open: false, mourns: false, order: None })
}

/// Counts deliveries that came or went.
pub(super) fn count_by(db: &Connection, id: i64, backlog: i64, held: i64, dead: i64) -> Result<()> {
    db.prepare_cached("UPDATE sink SET backlog = backlog + ?2, held = held + ?3, dead = dead + ?4 WHERE id = ?1")?
        .execute([id, backlog, held, dead])?;
    Ok(())
}

/// Counts them all anew, where too many have moved to follow each.
pub(super) fn recount(db: &Connection) -> Result<()> {
    db.execute_batch(
        "UPDATE sink SET \
         backlog = (SELECT count(*) FROM delivery WHERE sink = sink.id AND ended IS NULL \
                    AND state <> 'held'), \
         held = (SELECT count(*) FROM delivery WHERE sink = sink.id AND ended IS NULL \
                 AND state = 'held')",
    )?;
    Ok(())
}

/// How many deliveries of a sink came, or went where a number is below 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) backlog: i64,
    pub(super) held: i64,
    pub(super) dead: i64,
}

impl Moved {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { backlog: self.backlog + other.backlog, held: self.held + other.held, dead: self.dead + other.dead }
    }
}

/// Writes a sink's state, and counts what moved. It never enables a sink that is disabled, and neither
/// pauses nor resumes one. Gives back the state as it now is.
pub(super) fn write(db: &Connection, name: &SinkName, state: &SinkState, moved: Moved) -> Result<SinkState> {
    let written = db
        .prepare_cached(
            "UPDATE sink SET disabled = coalesce(disabled, ?2), \
             not_before = max(coalesce(not_before, ?3), coalesce(?3, not_before)), failures = ?4, failing_since = ?5, \
             last_success = ?6, last_failure = ?7, probes = iif(resumes = ?13, ?8, probes), \
             probe_at = iif(resumes = ?13, ?9, probe_at), backlog = backlog + ?10, \
             held = held + ?11, dead = dead + ?12 WHERE name = ?1 \
             RETURNING disabled, not_before, failures, failing_since, last_success, last_failure, paused, probes, \
             probe_at, resumes",
        )?
        .query_one(
            params![
                name.as_str(),
                state.disabled,
                state.not_before.map(|at| at.0),
                state.failures,
                state.failing_since.map(|at| at.0),
                state.last_success.map(|at| at.0),
                state.last_failure,
                state.open.map(|open| open.probes),
                state.open.map(|open| open.probe_at.0),
                moved.backlog,
                moved.held,
                moved.dead,
                int(state.resumes),
            ],
            |row| self::state(row, 0),
        )?;
    Ok(written)
}

/// Keeps a sink from being sent to until then.
pub(super) fn postpone(db: &Connection, name: &SinkName, until: Timestamp) -> Result<SinkState> {
    let sink = find_or_make(db, name)?;
    db.prepare_cached("UPDATE sink SET not_before = max(coalesce(not_before, ?2), ?2) WHERE id = ?1")?
        .execute([sink.id, until.0])?;
    stored(db, sink.id)
}

/// Enables a sink: what waits for a later attempt, after failures that are forgotten, may go at once.
pub(super) fn enable(db: &Connection, name: &SinkName, now: Timestamp) -> Result<SinkState> {
    let sink = find_or_make(db, name)?;
    db.prepare_cached(
        "UPDATE sink SET disabled = NULL, failures = 0, failing_since = NULL, last_failure = NULL, probes = NULL, \
         probe_at = NULL, resumes = resumes + 1, kept = (SELECT coalesce(max(id), 0) FROM delivery) WHERE id = ?1",
    )?
    .execute([sink.id])?;
    db.prepare_cached("UPDATE delivery SET due = ?2 WHERE sink = ?1 AND state = 'due' AND due > ?2")?
        .execute([sink.id, now.0])?;
    stored(db, sink.id)
}

/// What the file remembers of a sink.
pub(super) fn stored(db: &Connection, id: i64) -> Result<SinkState> {
    let state = db
        .prepare_cached(
            "SELECT disabled, not_before, failures, failing_since, last_success, last_failure, paused, probes, probe_at, resumes \
             FROM sink WHERE id = ?1",
        )?
        .query_one([id], |row| state(row, 0))?;
    Ok(state)
}

/// Every sink of the config, and every other that still has deliveries which can be asked for.
pub(super) fn all(db: &Connection) -> Result<Vec<(SinkName, SinkState, Queue)>> {
    let mut statement = db.prepare_cached(
        "SELECT name, adopted, backlog, held, dead, \
         (SELECT event.at FROM delivery JOIN event ON event.id = delivery.event WHERE delivery.id = \
          (SELECT min(id) FROM delivery WHERE sink = sink.id AND ended IS NULL)), \
         disabled, not_before, failures, failing_since, last_success, last_failure, paused, probes, probe_at, resumes \
         FROM sink WHERE adopted = 1 OR backlog > 0 OR held > 0 OR dead > 0 ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        let mut state = state(row, 6)?;
        let adopted: bool = row.get(1)?;
        if !adopted && state.disabled.is_none() {
            state.disabled = Some(GONE.to_owned());
        }
        let (backlog, held) = (count(row.get(2)?), count(row.get(3)?));
        let open = state.disabled.is_none() && state.paused.is_none();
        let queue = Queue {
            backlog: if open { backlog } else { 0 },
            held: if open { held } else { held + backlog },
            dead: count(row.get(4)?),
            oldest: row.get::<_, Option<i64>>(5)?.filter(|_| open && backlog > 0).map(Timestamp),
            kept: false,
        };
        Ok((SinkName::from(row.get_ref(0)?.as_str()?), state, queue))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many deliveries of one sink stand where; `oldest` is that of all which have not ended, held ones too.
pub(super) fn queue(db: &Connection, name: &SinkName) -> Result<Queue> {
    let found = db
        .prepare_cached(
            "SELECT backlog, held, dead, \
             (SELECT event.at FROM delivery JOIN event ON event.id = delivery.event WHERE delivery.id = \
              (SELECT min(id) FROM delivery WHERE sink = sink.id AND ended IS NULL)), \
             adopted = 0 OR disabled IS NOT NULL OR paused IS NOT NULL OR coalesce((SELECT min(id) FROM delivery \
              WHERE sink = sink.id AND ended IS NULL AND state <> 'held') <= kept, 0) \
             FROM sink WHERE name = ?1",
        )?
        .query_one([name.as_str()], |row| {
            Ok(Queue {
                backlog: count(row.get(0)?),
                held: count(row.get(1)?),
                dead: count(row.get(2)?),
                oldest: row.get::<_, Option<i64>>(3)?.map(Timestamp),
                kept: row.get(4)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// The states of all sinks, for the copy in memory.
pub(super) fn load(db: &Connection) -> Result<Sinks> {
    let mut statement = db.prepare(
        "SELECT name, disabled, not_before, failures, failing_since, last_success, last_failure, paused, probes, probe_at, resumes \
         FROM sink",
    )?;
    let states = statement
        .query_map([], |row| Ok((SinkName::from(row.get_ref(0)?.as_str()?), state(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Sinks(Mutex::new(states)))
}

fn state(row: &Row<'_>, at: usize) -> rusqlite::Result<SinkState> {
    let moment =
        |at: usize| -> rusqlite::Result<Option<Timestamp>> { Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp)) };
    Ok(SinkState {
        disabled: row.get(at)?,
        not_before: moment(at + 1)?,
        failures: small(row.get(at + 2)?),
        failing_since: moment(at + 3)?,
        last_success: moment(at + 4)?,
        last_failure: row.get(at + 5)?,
        paused: moment(at + 6)?,
        open: match (row.get::<_, Option<i64>>(at + 7)?, moment(at + 8)?) {
            (Some(probes), Some(probe_at)) => Some(BreakerOpen { probes: small(probes), probe_at }),
            _ => None,
        },
        resumes: count(row.get(at + 9)?),
    })
}
