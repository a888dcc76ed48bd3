//! What is done when more waits for a sink than may: the oldest end as dead, a few hundred at a time.
//!
//! Whether that is wanted is not decided here. What is claimed is let be: it may be on its way.

use std::collections::HashSet;

use rusqlite::{Connection, Row, params};

use crate::core::names::{Lane, SinkName};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::{batches, settle, sinks};

/// Deliveries that one transaction ends at most: others' commits wait for it some milliseconds.
const STEP: u64 = 500;

/// The oldest of a sink that have not ended, are not held and are not claimed.
pub(super) const OLDEST: &str = "SELECT delivery.id, delivery.lane, delivery.batch, delivery.state = 'held' FROM delivery \
     WHERE sink = ?1 AND state IN ('waiting', 'due', 'held') AND state <> 'held' AND epoch < ?2 \
     AND (batch IS NULL OR NOT EXISTS (SELECT 1 FROM delivery AS head WHERE head.batch = delivery.batch \
     AND head.epoch = ?2)) \
     AND (?3 IS NULL OR (SELECT at FROM event WHERE event.id = delivery.event) < ?3) ORDER BY id LIMIT ?4";

/// A delivery that is to end.
pub(super) struct Doomed {
    id: i64,
    lane: Option<[u8; 16]>,
    batch: Option<i64>,
    held: bool,
}

impl Doomed {
    /// From the first columns of a row: number, lane, batch, and whether its own state is `held`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
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
    end(db, found.id, &oldest, reason, now)
}

/// Ends deliveries of one sink as dead. What is left of their batches goes as if it had never been sent, and the next
/// of their lanes become due.
pub(super) fn end(db: &Connection, sink: i64, doomed: &[Doomed], reason: &str, now: Timestamp) -> Result<u64> {
    let mut end = db.prepare_cached(
        "UPDATE delivery SET state = 'dead', due = NULL, ended = ?2, reason = ?3, epoch = 0 WHERE id = ?1",
    )?;
    for one in doomed {
        end.execute(params![one.id, now.0, reason])?;
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
