//! Ending what has not been delivered, a few hundred at a time: the oldest, when more waits for a sink than may, and what
//! is held, when a person says so.
//!
//! Whether that is wanted is not decided here. What is claimed is let be: it may be on its way.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::core::names::{Lane, SinkName};
use crate::core::operate::{DropFilter, DropReport};
use crate::core::time::Timestamp;
use crate::store::sqlite::deliveries::{Conditions, Door};
use crate::store::sqlite::error::{Result, count, int};
use crate::store::sqlite::{batches, deliveries, settle, sinks};

/// Deliveries that one transaction ends at most: others' commits wait for it some milliseconds.
const STEP: u64 = 500;

/// The oldest of a sink that have not ended, are not held and are not claimed.
pub(super) const OLDEST: &str = "SELECT delivery.id, delivery.lane, delivery.batch, delivery.state = 'held' FROM delivery \
     WHERE sink = ?1 AND ended IS NULL AND state <> 'held' AND epoch < ?2 \
     AND (batch IS NULL OR NOT EXISTS (SELECT 1 FROM delivery AS head WHERE head.batch = delivery.batch \
     AND head.epoch = ?2)) \
     AND (?3 IS NULL OR (SELECT at FROM event WHERE event.id = delivery.event) < ?3) ORDER BY id LIMIT ?4";

/// A delivery that is to end.
struct Doomed {
    id: i64,
    lane: Option<[u8; 16]>,
    batch: Option<i64>,
    held: bool,
}

impl Doomed {
    /// From the first columns of a row: number, lane, batch, and whether its own state is `held`.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, lane: row.get(1)?, batch: row.get(2)?, held: row.get(3)? })
    }
}

/// Ends the oldest; how many there were. What is held, by its sink or by itself, is a person's to drop.
pub(super) fn drop_oldest(
    db: &Connection,
    epoch: i64,
    sink: &SinkName,
    most: u64,
    before: Option<Timestamp>,
    reason: &str,
    now: Timestamp,
) -> Result<u64> {
    let Some(found) = sinks::find(db, sink)?.filter(|sink| sink.open) else { return Ok(0) };
    let limit = i64::try_from(most.min(STEP)).unwrap_or(i64::MAX);
    let oldest: Vec<Doomed> = db
        .prepare_cached(OLDEST)?
        .query_map(params![found.id, epoch, before.map(|at| at.0), limit], Doomed::read)?
        .collect::<rusqlite::Result<_>>()?;
    end(db, found.id, &oldest, &End { reason, rings: true, now })
}

/// How deliveries are ended.
struct End<'a> {
    reason: &'a str,
    /// Whether someone is told.
    rings: bool,
    now: Timestamp,
}

/// Nobody has begun to send it, alone or with the batch that it is in.
const FREE: &str = "delivery.epoch < ? AND (delivery.batch IS NULL OR NOT EXISTS (SELECT 1 FROM delivery AS head \
     WHERE head.batch = delivery.batch AND head.epoch = ?))";

/// What is held of one sink.
struct Held {
    sink: Door,
    sql: String,
    values: Vec<Value>,
}

fn held(db: &Connection, filter: &DropFilter) -> Result<Vec<Held>> {
    let of_sink = |sink: Door| {
        let conditions = Conditions::default()
            .with("delivery.sink = ?", Some(sink.id))
            .with("delivery.state = ?", sink.open.then(|| "held".to_owned()))
            .with("event.job = (SELECT id FROM job WHERE name = ?)", filter.job.clone())
            .with("event.at >= ?", filter.since.map(|at| at.0))
            .with("event.at < ?", filter.until.map(|at| at.0));
        let sql = format!(
            "FROM delivery INDEXED BY delivery_open CROSS JOIN event ON event.id = delivery.event \
             WHERE delivery.ended IS NULL{}",
            conditions.as_str()
        );
        Held { sink, sql, values: conditions.values }
    };
    Ok(deliveries::doors(db, filter.sink.as_deref())?.into_iter().map(of_sink).collect())
}

/// What a person could drop.
pub(super) fn droppable(db: &Connection, epoch: i64, filter: &DropFilter) -> Result<DropReport> {
    let mut report = DropReport { dry_run: true, ..DropReport::default() };
    for Held { sink, sql, values } in held(db, filter)? {
        let sql = format!("SELECT count(*) FILTER (WHERE {FREE}), count(*) {sql}");
        let values = [epoch, epoch].map(Value::from).into_iter().chain(values);
        let (free, all): (i64, i64) =
            db.prepare_cached(&sql)?.query_one(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        report.deliveries += count(free);
        report.on_their_way += count(all - free);
        if free > 0 {
            report.sinks.insert(sink.name, count(free));
        }
    }
    Ok(report)
}

/// Ends what is held, because a person says so; some hundreds in all.
pub(super) fn drop_held(
    db: &Connection,
    epoch: i64,
    filter: &DropFilter,
    reason: &str,
    now: Timestamp,
) -> Result<BTreeMap<SinkName, u64>> {
    let (mut dropped, mut left) = (BTreeMap::new(), int(STEP));
    for Held { sink, sql, values } in held(db, filter)? {
        let sql = format!(
            "SELECT delivery.id, delivery.lane, delivery.batch, delivery.state = 'held' {sql} AND {FREE} \
             ORDER BY delivery.id LIMIT ?"
        );
        let values = values.into_iter().chain([epoch, epoch, left].map(Value::from));
        let doomed: Vec<Doomed> = db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), Doomed::read)?
            .collect::<rusqlite::Result<_>>()?;
        if !doomed.is_empty() {
            left -= int(doomed.len() as u64);
            let ended = end(db, sink.id, &doomed, &End { reason, rings: false, now })?;
            dropped.insert(SinkName::from(sink.name.as_str()), ended);
        }
    }
    Ok(dropped)
}

/// Ends deliveries of one sink as dead. What is left of their batches goes as if it had never been sent, and the next
/// of their lanes become due.
fn end(db: &Connection, sink: i64, doomed: &[Doomed], how: &End<'_>) -> Result<u64> {
    let End { reason, rings, now } = *how;
    let mut end = db.prepare_cached(
        "UPDATE delivery SET state = 'dead', due = NULL, ended = ?2, reason = ?3, epoch = 0, \
         rang = iif(?4, rang, ?2) WHERE id = ?1",
    )?;
    for one in doomed {
        end.execute(params![one.id, now.0, reason, rings])?;
    }
    let mut moved = 0;
    for batch in doomed.iter().filter_map(|one| one.batch).collect::<HashSet<_>>() {
        moved += batches::unbind(db, batch, now)?;
    }
    for lane in doomed.iter().filter_map(|one| one.lane).collect::<HashSet<_>>() {
        settle::wake(db, sink, Lane(lane), now)?;
    }
    let all = i64::try_from(doomed.len()).unwrap_or(i64::MAX);
    let held = i64::try_from(doomed.iter().filter(|one| one.held).count()).unwrap_or(i64::MAX);
    sinks::count_by(db, sink, held - all - moved, moved - held, all)?;
    Ok(doomed.len() as u64)
}
