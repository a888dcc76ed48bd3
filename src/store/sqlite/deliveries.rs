//! Listing deliveries by state, sink, job and time, the newest first, without reading more of the queue than a page.
//!
//! It only reads. Which states a sink's deliveries are in is the sink's to say: of one that may not be sent to, all that
//! has not ended is held.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::core::operate::{DeliveryFilter, DeliveryRow, DeliveryState};
use crate::core::time::Timestamp;
use crate::core::view::Page;
use crate::store::sqlite::archive::{DELIVERY, PAGE, PAGE_MAX, delivery_view};
use crate::store::sqlite::error::{Result, count, int};

/// Conditions with a value each, joined by AND.
#[derive(Default)]
pub(super) struct Conditions {
    sql: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition with one `?`, where there is a value for it.
    pub(super) fn with(mut self, condition: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
        self
    }

    /// To stand behind another condition.
    pub(super) fn as_str(&self) -> &str {
        &self.sql
    }
}

/// A page of deliveries.
pub(super) fn list(db: &Connection, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>> {
    let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    // One more than the page holds, to know whether there is another.
    let mut ids = newest(db, filter, limit + 1)?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().copied().filter(|_| more);
    // One that was pruned meanwhile is left out.
    let data = ids.into_iter().filter_map(|id| row(db, id).transpose()).collect::<Result<_>>()?;
    Ok(Page { data, next })
}

fn newest(db: &Connection, filter: &DeliveryFilter, limit: usize) -> Result<Vec<i64>> {
    if filter.states.is_empty() {
        let sink = filter.sink.clone();
        let conditions = common(filter).with("delivery.sink = (SELECT id FROM sink WHERE name = ?)", sink);
        return ids(db, "", "1", &conditions, limit);
    }
    let mut found = Vec::new();
    let mut states = filter.states.clone();
    states.sort_unstable();
    states.dedup();
    for state in states {
        match state {
            DeliveryState::Delivered => found.extend(delivered(db, filter, limit)?),
            _ => {
                for sink in doors(db, filter.sink.as_deref())? {
                    found.extend(of_sink(db, filter, state, &sink, limit)?);
                }
            }
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(limit);
    Ok(found)
}

/// There is no index for these, for they are most of all: the table is walked from its end.
fn delivered(db: &Connection, filter: &DeliveryFilter, limit: usize) -> Result<Vec<i64>> {
    let conditions = common(filter).with("delivery.sink = (SELECT id FROM sink WHERE name = ?)", filter.sink.clone());
    ids(db, "", "delivery.state = 'delivered'", &conditions, limit)
}

/// A sink, and whether its deliveries may go.
pub(super) struct Door {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) open: bool,
}

/// All of them, or that of this name.
pub(super) fn doors(db: &Connection, name: Option<&str>) -> Result<Vec<Door>> {
    let mut statement = db.prepare_cached(
        "SELECT id, name, adopted = 1 AND disabled IS NULL AND paused IS NULL FROM sink \
         WHERE ?1 IS NULL OR name = ?1",
    )?;
    let rows = statement.query_map([name], |row| Ok(Door { id: row.get(0)?, name: row.get(1)?, open: row.get(2)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Of one sink: an index that holds only these, in their order.
fn of_sink(
    db: &Connection,
    filter: &DeliveryFilter,
    state: DeliveryState,
    sink: &Door,
    limit: usize,
) -> Result<Vec<i64>> {
    const OPEN: &str = "delivery.ended IS NULL";
    let (index, condition) = match (state, sink.open) {
        (DeliveryState::Dead, _) => {
            (" INDEXED BY delivery_dead", "delivery.state = 'dead' AND delivery.replayed IS NULL".to_owned())
        }
        (DeliveryState::Held, false) => (" INDEXED BY delivery_open", OPEN.to_owned()),
        (_, false) => return Ok(Vec::new()),
        (state, true) => (" INDEXED BY delivery_open", format!("{OPEN} AND delivery.state = '{}'", state.as_str())),
    };
    ids(db, index, &condition, &common(filter).with("delivery.sink = ?", Some(sink.id)), limit)
}

/// What every state is filtered by.
fn common(filter: &DeliveryFilter) -> Conditions {
    Conditions::default()
        .with("event.job = (SELECT id FROM job WHERE name = ?)", filter.job.clone())
        .with("event.at >= ?", filter.since.map(|at| at.0))
        .with("event.at < ?", filter.until.map(|at| at.0))
        .with("delivery.batch IN (SELECT id FROM batch WHERE uid = ?)", filter.batch.clone())
        .with("delivery.id < ?", filter.after)
}

fn ids(db: &Connection, index: &str, condition: &str, more: &Conditions, limit: usize) -> Result<Vec<i64>> {
    let sql = format!(
        "SELECT delivery.id FROM delivery{index} CROSS JOIN event ON event.id = delivery.event \
         WHERE {condition}{} ORDER BY delivery.id DESC LIMIT ?",
        more.as_str()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = more.values.iter().cloned().chain([Value::from(int(limit as u64))]);
    let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn row(db: &Connection, id: i64) -> Result<Option<DeliveryRow>> {
    let sql = format!(
        "SELECT {DELIVERY}, event.uid, job.name, event.key, event.kind, event.sequence, event.at FROM delivery \
         JOIN sink ON sink.id = delivery.sink JOIN event ON event.id = delivery.event \
         JOIN job ON job.id = event.job WHERE delivery.id = ?1"
    );
    Ok(db.prepare_cached(&sql)?.query_one([id], shown).optional()?)
}

fn shown(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        delivery: delivery_view(row)?,
        event: row.get(12)?,
        job: row.get(13)?,
        key: row.get(14)?,
        kind: row.get(15)?,
        sequence: count(row.get(16)?),
        timestamp: Timestamp(row.get(17)?),
    })
}
