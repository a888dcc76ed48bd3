//! What is done when more waits for a sink than may: the oldest end as dead, a few hundred at a time.
//!
//! Whether that is wanted is not decided here. What is claimed is let be: it may be on its way.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use crate::core::names::{Lane, SinkName};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::{settle, sinks};

/// Deliveries that one transaction ends at most: others' commits wait for it some milliseconds.
const STEP: u64 = 500;

/// The oldest of a sink that have not ended and are not claimed.
pub(super) const OLDEST: &str = "SELECT delivery.id, delivery.lane, delivery.state = 'held' FROM delivery \
     WHERE sink = ?1 AND state IN ('waiting', 'due', 'held') AND epoch < ?2 \
     AND (?3 IS NULL OR (SELECT at FROM event WHERE event.id = delivery.event) < ?3) ORDER BY id LIMIT ?4";

/// Ends them; how many there were.
pub(super) fn drop_oldest(
    db: &Connection,
    epoch: i64,
    sink: &SinkName,
    most: u64,
    before: Option<Timestamp>,
    reason: &str,
    now: Timestamp,
) -> Result<u64> {
    let Some(found) = sinks::find(db, sink)? else { return Ok(0) };
    let limit = i64::try_from(most.min(STEP)).unwrap_or(i64::MAX);
    let oldest: Vec<(i64, Option<[u8; 16]>, bool)> = db
        .prepare_cached(OLDEST)?
        .query_map(params![found.id, epoch, before.map(|at| at.0), limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut end = db.prepare_cached(
        "UPDATE delivery SET state = 'dead', due = NULL, ended = ?2, reason = ?3, epoch = 0 WHERE id = ?1",
    )?;
    let mut lanes = HashSet::new();
    let (mut waited, mut held) = (0, 0);
    for (id, lane, was_held) in oldest {
        end.execute(params![id, now.0, reason])?;
        lanes.extend(lane);
        held += i64::from(was_held);
        waited += i64::from(!was_held);
    }
    for lane in lanes {
        settle::wake(db, found.id, Lane(lane), now)?;
    }
    sinks::count_by(db, found.id, -waited, -held, waited + held)?;
    Ok(u64::try_from(waited + held).unwrap_or(0))
}
