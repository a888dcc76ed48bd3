//! Sending again what has ended: what can be, and the rows that do it.
//!
//! What is replayed is looked for beside the writer; the writer only looks at the rows that it is given.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::core::names::{EventId, JobName, Key, SinkName};
use crate::core::operate::{DeliveryState, ReplayFilter, ReplayReport};
use crate::core::rerender::{Kept, Rerendered};
use crate::core::sink::Order;
use crate::core::time::Timestamp;
use crate::store::sqlite::deliveries::Conditions;
use crate::store::sqlite::error::{Result, count, int};
use crate::store::sqlite::{archive, batches, outbox, relane, sinks, upkeep};
use crate::store::{Renderable, ReplayCursor, Replayable, Retried};

/// The newest delivery of each event and sink, in the order of events.
const NEWEST: &str = "FROM delivery INDEXED BY delivery_event CROSS JOIN event ON event.id = delivery.event \
                      JOIN sink ON sink.id = delivery.sink WHERE delivery.replayed IS NULL AND delivery.id <= ?";

/// The same where only dead ones are sought, which are few.
const DEAD: &str = "FROM delivery INDEXED BY delivery_dead CROSS JOIN event ON event.id = delivery.event \
                    JOIN sink ON sink.id = delivery.sink WHERE delivery.state = 'dead' AND delivery.replayed IS NULL \
                    AND delivery.id <= ?";

/// What a replay would do.
pub(super) fn count_all(db: &Connection, filter: &ReplayFilter) -> Result<Replayable> {
    let upto: i64 = db.query_one("SELECT coalesce(max(id), 0) FROM delivery", [], |row| row.get(0))?;
    let from = ReplayCursor { last: (0, 0), upto };
    let mut report = ReplayReport { dry_run: true, ..ReplayReport::default() };
    let Some((source, conditions)) = source(db, filter)? else { return Ok(Replayable { report, from }) };
    let sql = format!(
        "SELECT sink.name, count(*) FILTER (WHERE delivery.ended IS NOT NULL AND delivery.sendable = 1), \
         count(*) FILTER (WHERE delivery.ended IS NULL), \
         count(*) FILTER (WHERE delivery.ended IS NOT NULL AND delivery.sendable = 0) {source}{} GROUP BY sink.name",
        conditions.as_str()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values(upto, conditions.values, [])))?;
    while let Some(row) = rows.next()? {
        let sendable = count(row.get(1)?);
        report.deliveries += sendable;
        report.on_their_way += count(row.get(2)?);
        report.unsendable += count(row.get(3)?);
        if sendable > 0 {
            report.sinks.insert(row.get(0)?, sendable);
        }
    }
    Ok(Replayable { report, from })
}

/// The next deliveries that a replay sends again: event and number. With `all` also those that could not be sent.
pub(super) fn next(
    db: &Connection,
    filter: &ReplayFilter,
    from: ReplayCursor,
    limit: usize,
    all: bool,
) -> Result<Vec<(i64, i64)>> {
    let Some((source, conditions)) = source(db, filter)? else { return Ok(Vec::new()) };
    let sendable = if all { "" } else { " AND delivery.sendable = 1" };
    let sql = format!(
        "SELECT delivery.event, delivery.id {source}{} AND delivery.ended IS NOT NULL{sendable} AND delivery.event >= ? AND (delivery.event, delivery.id) > (?, ?) \
         ORDER BY delivery.event, delivery.id LIMIT ?",
        conditions.as_str()
    );
    let (event, id) = from.last;
    let more = [event, event, id, int(limit as u64)].map(Value::from);
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values(from.upto, conditions.values, more)), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What a delivery is rendered from anew.
pub(super) fn renderable(db: &Connection, delivery: i64) -> Result<Renderable> {
    let kept = db
        .prepare_cached(
            "SELECT event.uid, job.name, event.key, event.body, sink.name \
             FROM delivery JOIN event ON event.id = delivery.event JOIN job ON job.id = event.job JOIN sink ON sink.id = delivery.sink WHERE delivery.id = ?1",
        )?
        .query_one([delivery], |row| {
            Ok(Kept {
                id: EventId::from(row.get_ref(0)?.as_str()?),
                job: JobName::from(row.get_ref(1)?.as_str()?),
                key: Key::from(row.get_ref(2)?.as_str()?),
                body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
                sink: SinkName::from(row.get_ref(4)?.as_str()?),
            })
        })?;
    Ok(Renderable { delivery, kept })
}

fn values<const N: usize>(upto: i64, filter: Vec<Value>, more: [Value; N]) -> impl Iterator<Item = Value> {
    [Value::from(upto)].into_iter().chain(filter).chain(more)
}

/// Where to look, and for what; `None` when the filter names an event that is not there.
fn source(db: &Connection, filter: &ReplayFilter) -> Result<Option<(&'static str, Conditions)>> {
    let event = match &filter.event {
        Some(id) => match archive::resolve(db, id)? {
            Some(event) => Some(event),
            None => return Ok(None),
        },
        None => None,
    };
    // Several states are both of them: all that has ended.
    let only = filter.states.first().copied().filter(|first| filter.states.iter().all(|state| state == first));
    let rare = only == Some(DeliveryState::Dead) && event.is_none();
    let conditions = Conditions::default()
        .with("delivery.event = ?", event)
        .with("event.job = (SELECT id FROM job WHERE name = ?)", filter.job.clone())
        .with("sink.name = ?", filter.sink.clone())
        .with("delivery.state = ?", only.map(|state| state.as_str().to_owned()))
        .with("event.at >= ?", filter.since.map(|at| at.0))
        .with("event.at < ?", filter.until.map(|at| at.0));
    Ok(Some((if rare { DEAD } else { NEWEST }, conditions)))
}

/// A delivery that has ended.
struct Ended {
    sink: i64,
    name: String,
    lane: Option<[u8; 16]>,
    dead: bool,
    job_gone: bool,
    sendable: bool,
}

/// Queues deliveries again, those that have ended and were not replayed meanwhile. How many for each sink.
pub(super) fn again(db: &Connection, found: &[(i64, i64)], now: Timestamp) -> Result<BTreeMap<SinkName, u64>> {
    let mut queued = BTreeMap::new();
    for (_, id) in found {
        if let Some(ended) = ended(db, *id)?.filter(|ended| ended.sendable) {
            once_more(db, *id, &ended, None, now)?;
            *queued.entry(SinkName::from(ended.name.as_str())).or_default() += 1;
        }
    }
    Ok(queued)
}

/// The same with new bodies: nothing is too dead for that.
pub(super) fn again_as(
    db: &Connection,
    rendered: &[(i64, Rerendered)],
    now: Timestamp,
) -> Result<BTreeMap<SinkName, u64>> {
    let mut queued = BTreeMap::new();
    for (id, body) in rendered {
        if let Some(ended) = ended(db, *id)? {
            once_more(db, *id, &ended, Some(body), now)?;
            *queued.entry(SinkName::from(ended.name.as_str())).or_default() += 1;
        }
    }
    Ok(queued)
}

fn ended(db: &Connection, id: i64) -> Result<Option<Ended>> {
    let found = db
        .prepare_cached(
            "SELECT delivery.sink, sink.name, delivery.lane, delivery.state = 'dead', \
             job.removed IS NOT NULL, delivery.sendable, sink.lanes, job.uid, scope.text, event.key \
             FROM delivery JOIN sink ON sink.id = delivery.sink \
             JOIN event ON event.id = delivery.event JOIN job ON job.id = event.job JOIN scope ON scope.id = event.scope \
             WHERE delivery.id = ?1 AND delivery.ended IS NOT NULL AND delivery.replayed IS NULL",
        )?
        .query_one([id], |row| {
            // It may have ended under another order.
            let lane = match row.get_ref(6)?.as_str_or_null()?.and_then(Order::parse) {
                Some(order) => relane::lane(order, row, 7)?.map(|lane| lane.0),
                None => row.get(2)?,
            };
            Ok(Ended {
                sink: row.get(0)?,
                name: row.get(1)?,
                lane,
                dead: row.get(3)?,
                job_gone: row.get(4)?,
                sendable: row.get(5)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// A new delivery of the same bytes, or of new ones, behind what stands in its lane; its number.
fn once_more(db: &Connection, id: i64, ended: &Ended, rendered: Option<&Rerendered>, now: Timestamp) -> Result<i64> {
    let behind = match ended.lane {
        Some(lane) => db.prepare_cached(outbox::BEHIND)?.exists(params![ended.sink, lane])?,
        None => false,
    };
    let (state, due, reason) = match (ended.job_gone, behind) {
        (true, _) => ("held", None, Some(upkeep::JOB_GONE)),
        (false, true) => ("waiting", None, None),
        (false, false) => ("due", Some(now.0), None),
    };
    db.prepare_cached("UPDATE delivery SET replayed = ?2 WHERE id = ?1")?.execute([id, now.0])?;
    db.prepare_cached(
        "INSERT INTO delivery (id, event, sink, lane, state, due, reason, body, wire, replay) \
         SELECT (SELECT max(value, (SELECT coalesce(max(id), 0) FROM delivery)) + 1 FROM meta \
         WHERE name = 'delivery'), event, sink, ?8, ?2, ?3, ?4, iif(?5, ?6, body), iif(?5, ?7, wire), 1 FROM delivery WHERE id = ?1",
    )?
    .execute(params![
        id,
        state,
        due,
        reason,
        rendered.is_some(),
        rendered.and_then(|new| new.body.as_deref()),
        rendered.and_then(|new| new.wire.word()),
        ended.lane,
    ])?;
    let new = db.last_insert_rowid();
    let held = i64::from(ended.job_gone);
    sinks::count_by(db, ended.sink, 1 - held, held, -i64::from(ended.dead))?;
    Ok(new)
}

/// A delivery that someone wants to be sent now.
struct Asked {
    state: String,
    claimed: bool,
    sink: String,
    sendable: bool,
    replayed: bool,
    open: bool,
}

/// Makes one delivery due now, with its batch where it is in one, or replays it.
pub(super) fn retry(db: &Connection, id: i64, epoch: i64, now: Timestamp) -> Result<Retried> {
    let id = batches::head(db, id)?;
    let found = db
        .prepare_cached(
            "SELECT delivery.state, delivery.epoch, sink.name, delivery.sendable, delivery.replayed IS NOT NULL, \
             sink.adopted = 1 AND sink.disabled IS NULL AND sink.paused IS NULL \
             FROM delivery JOIN sink ON sink.id = delivery.sink WHERE delivery.id = ?1",
        )?
        .query_one([id], |row| {
            Ok(Asked {
                state: row.get(0)?,
                claimed: row.get::<_, i64>(1)? == epoch,
                sink: row.get(2)?,
                sendable: row.get(3)?,
                replayed: row.get(4)?,
                open: row.get(5)?,
            })
        })
        .optional()?;
    let Some(asked) = found else { return Ok(Retried::Unknown) };
    let sink = SinkName::from(asked.sink.as_str());
    let refused = |why: &str| Ok(Retried::Refused(format!("delivery {id} {why}")));
    match asked.state.as_str() {
        _ if asked.replayed => refused("was replayed already; retry the newest of its event"),
        _ if !asked.sendable => refused("could never be sent; a replay with `render` writes it anew"),
        "due" | "waiting" if !asked.open => refused(&format!("is held: `doorbell resume {sink}` lets it go")),
        "due" if asked.claimed => refused("is on its way"),
        "due" => {
            db.prepare_cached("UPDATE delivery SET due = min(due, ?2) WHERE id = ?1")?.execute([id, now.0])?;
            Ok(Retried::Due(sink))
        }
        "waiting" => refused("waits behind another of its key, which goes first"),
        "held" => refused("is held because its job is not in the config"),
        _ => match ended(db, id)? {
            Some(ended) => Ok(Retried::Replay(sink, once_more(db, id, &ended, None, now)?)),
            None => Ok(Retried::Unknown),
        },
    }
}
