//! The order of a sink was edited: what has not ended takes its place in the new one.
//!
//! A lane of the old order and one of the new know nothing of each other; left alone, what is new would overtake what
//! waits. What a batch holds stays together, and where its members stand behind something it goes nevertheless.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::names::{JobUid, Key, Lane, Scope, SinkName};
use crate::core::sink::Order;
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;

/// Deliveries that are looked at together: memory does not grow with the backlog.
const SOME: i64 = 1_000;

/// What a delivery that has not ended stands behind in its lane.
const AHEAD: &str = "(SELECT 1 FROM delivery AS ahead WHERE ahead.sink = delivery.sink AND ahead.lane = delivery.lane \
     AND ahead.ended IS NULL AND ahead.lane IS NOT NULL AND ahead.id < delivery.id)";

/// Follows the order of each sink.
pub(super) fn keep_orders(db: &Connection, orders: &[(SinkName, Order)], now: Timestamp) -> Result<()> {
    for (name, order) in orders {
        let found: Option<(i64, Option<String>)> = db
            .prepare_cached("SELECT id, lanes FROM sink WHERE name = ?1")?
            .query_one([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((sink, lanes)) = found else { continue };
        if lanes.as_deref() == Some(order.as_str()) {
            continue;
        }
        db.prepare_cached("UPDATE sink SET lanes = ?2 WHERE id = ?1")?.execute(params![sink, order.as_str()])?;
        if lanes.is_some() {
            relane(db, sink, *order)?;
            line_up(db, sink, now)?;
        }
    }
    Ok(())
}

fn relane(db: &Connection, sink: i64, order: Order) -> Result<()> {
    let mut select = db.prepare_cached(
        "SELECT delivery.id, job.uid, scope.text, event.key FROM delivery JOIN event ON event.id = delivery.event \
         JOIN job ON job.id = event.job JOIN scope ON scope.id = event.scope \
         WHERE delivery.sink = ?1 AND delivery.ended IS NULL AND delivery.id > ?2 ORDER BY delivery.id LIMIT ?3",
    )?;
    let mut update = db.prepare_cached("UPDATE delivery SET lane = ?2 WHERE id = ?1")?;
    let mut last = 0;
    loop {
        let rows =
            select.query_map(params![sink, last, SOME], |row| Ok((row.get::<_, i64>(0)?, lane(order, row, 1)?)))?;
        let some: Vec<(i64, Option<Lane>)> = rows.collect::<rusqlite::Result<_>>()?;
        for (id, lane) in &some {
            update.execute(params![id, lane.map(|lane| lane.0)])?;
        }
        match some.last() {
            Some((id, _)) => last = *id,
            None => return Ok(()),
        }
    }
}

/// The lane of an event, given as the uid of its job, its scope and its key in three columns.
pub(super) fn lane(order: Order, row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Lane>> {
    let (uid, scope, key): (_, String, String) = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
    Ok(order.lane(JobUid(uid), &Scope::from(scope.as_str()), Key::from(key.as_str()).digest()))
}

/// The first of each lane is due, the others wait behind it.
fn line_up(db: &Connection, sink: i64, now: Timestamp) -> Result<()> {
    db.prepare_cached(&format!(
        "UPDATE delivery SET state = 'waiting', due = NULL, epoch = 0 \
         WHERE sink = ?1 AND state = 'due' AND lane IS NOT NULL AND batch IS NULL AND EXISTS {AHEAD}"
    ))?
    .execute([sink])?;
    db.prepare_cached(&format!(
        "UPDATE delivery SET state = 'due', \
         due = iif(replay, ?2, (SELECT min(event.at, ?2) FROM event WHERE event.id = delivery.event)) \
         WHERE sink = ?1 AND state = 'waiting' AND batch IS NULL AND NOT EXISTS {AHEAD}"
    ))?
    .execute(params![sink, now.0])?;
    Ok(())
}
