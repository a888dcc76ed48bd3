//! Looking back: lists and details for the API and the commands, read beside the writer.
//!
//! A delivery's state is shown as it is meant: everything of a sink that is disabled or not in the config is `held`.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde_json::value::RawValue;

use crate::core::alert::SYSTEM_JOB;
use crate::core::formats::Wire;
use crate::core::hold::Hold;
use crate::core::names::JobName;
use crate::core::time::Timestamp;
use crate::core::trace::{Phases, SentHeaders};
use crate::core::view::{
    AttemptView, BodyView, DeliveryView, EventDetail, EventFilter, EventView, Page, TimingView, by_name,
};
use crate::store::sqlite::error::{Result, count, int, small};
use crate::store::sqlite::{jobs, sinks};
use crate::store::{JobRecord, StoreError};

/// Rows of a page when nobody says how many.
pub(super) const PAGE: u32 = 100;

/// The most rows of a page.
pub(super) const PAGE_MAX: u32 = 1000;

/// Every job that has a state.
pub(super) fn jobs(db: &Connection) -> Result<Vec<(JobName, JobRecord)>> {
    let mut statement = db.prepare_cached(
        "SELECT name, failures, outcome, reason, last_poll, last_success, events, paused, \
         (SELECT coalesce(sum(items), 0) FROM scope WHERE scope.job = job.id), \
         (SELECT json_group_array(json(hold)) FROM scope WHERE scope.job = job.id AND hold IS NOT NULL) \
         FROM job WHERE name <> ?1 ORDER BY name",
    )?;
    let rows = statement.query_map([SYSTEM_JOB], |row| {
        let holds: Vec<Hold> = serde_json::from_str(row.get_ref(9)?.as_str()?).unwrap_or_default();
        let hold = Hold::sum(holds.iter()).map(Box::new);
        let record = JobRecord { items: count(row.get(8)?), hold, ..jobs::record(row, 1)? };
        Ok((JobName::from(row.get_ref(0)?.as_str()?), record))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const EVENT: &str = "SELECT event.id, event.uid, job.name, scope.text, event.key, event.change, event.kind, \
                     event.sequence, event.at FROM event JOIN job ON job.id = event.job \
                     JOIN scope ON scope.id = event.scope";

/// A page of events with their deliveries.
pub(super) fn events(db: &Connection, filter: &EventFilter) -> Result<Page<EventView>> {
    let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    let since = filter.since.map(|moment| first_since(db, moment)).transpose()?;
    let (sql, values) = select(filter, since, limit);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows: Vec<(i64, EventView)> =
        statement.query_map(params_from_iter(values), event_view)?.collect::<rusqlite::Result<_>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    for (id, event) in &mut rows {
        event.deliveries = deliveries(db, *id)?;
    }
    let next = rows.last().filter(|_| more).map(|(id, _)| *id);
    Ok(Page { data: rows.into_iter().map(|(_, event)| event).collect(), next })
}

/// The number of the first event that was seen at `moment` or later; one above all others where there is none. Numbers
/// grow with the moments, so it takes a look at about twenty events, and no index.
pub(super) fn first_since(db: &Connection, moment: Timestamp) -> Result<i64> {
    let mut last = db.prepare_cached("SELECT coalesce(max(id), 0) FROM event")?.query_one([], |row| row.get(0))?;
    let mut first: i64 = 1;
    let mut next = db.prepare_cached("SELECT id, at FROM event WHERE id >= ?1 ORDER BY id LIMIT 1")?;
    while first <= last {
        let middle = first + (last - first) / 2;
        let (id, at): (i64, i64) = next.query_one([middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        match at < moment.0 {
            true => first = id + 1,
            false => last = middle - 1,
        }
    }
    Ok(first)
}

/// The statement for a filter: only the conditions that it has, so that the right index is used. `since` is the number
/// of the first event of that time.
fn select(filter: &EventFilter, since: Option<i64>, limit: usize) -> (String, Vec<Value>) {
    let beyond = if filter.oldest_first { "event.id > ?" } else { "event.id < ?" };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    // The index of keys begins with the job.
    let key =
        if filter.job.is_some() { "event.key = ?" } else { "event.job IN (SELECT id FROM job) AND event.key = ?" };
    let conditions = [
        ("event.job = (SELECT id FROM job WHERE name = ?)", text(&filter.job)),
        (key, text(&filter.key)),
        ("event.change = ?", text(&filter.change)),
        ("event.id >= ?", since.map(Value::from)),
        ("event.at >= ?", filter.since.map(|since| Value::from(since.0))),
        (beyond, filter.after.map(Value::from)),
    ];
    let mut sql = EVENT.to_owned();
    let mut values = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(if values.is_empty() { " WHERE " } else { " AND " });
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(if filter.oldest_first { " ORDER BY event.id LIMIT ?" } else { " ORDER BY event.id DESC LIMIT ?" });
    // One more than the page holds, to know whether there is another.
    values.push(Value::from(int(limit as u64 + 1)));
    (sql, values)
}

fn event_view(row: &Row<'_>) -> rusqlite::Result<(i64, EventView)> {
    let scope = row.get_ref(3)?.as_str()?;
    let view = EventView {
        id: row.get(1)?,
        job: row.get(2)?,
        scope: (!scope.is_empty())
            .then(|| serde_json::from_str(scope).unwrap_or_else(|_| serde_json::Value::String(scope.to_owned()))),
        key: row.get(4)?,
        change: row.get(5)?,
        kind: row.get(6)?,
        sequence: count(row.get(7)?),
        timestamp: Timestamp(row.get(8)?),
        deliveries: Vec::new(),
    };
    Ok((row.get(0)?, view))
}

fn deliveries(db: &Connection, event: i64) -> Result<Vec<DeliveryView>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM delivery JOIN sink ON sink.id = delivery.sink \
         WHERE delivery.event = ?1 ORDER BY delivery.id"
    ))?;
    let rows = statement.query_map([event], delivery_view)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What [`delivery_view`] reads, from the first column on.
pub(super) const DELIVERY: &str = "delivery.id, sink.name, delivery.state, delivery.attempts, delivery.due, delivery.reason, \
     sink.disabled, sink.adopted, sink.paused IS NOT NULL, delivery.replay, delivery.replayed, \
     (SELECT uid FROM batch WHERE batch.id = delivery.batch)";

/// A delivery as it is meant.
pub(super) fn delivery_view(row: &Row<'_>) -> rusqlite::Result<DeliveryView> {
    let view = DeliveryView {
        id: row.get(0)?,
        sink: row.get(1)?,
        state: row.get(2)?,
        attempts: small(row.get(3)?),
        due: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        reason: row.get(5)?,
        replay: row.get(9)?,
        replayed: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        batch: row.get(11)?,
    };
    let (adopted, paused): (bool, bool) = (row.get(7)?, row.get(8)?);
    let by_hand = match (adopted, paused) {
        (false, _) => Some(sinks::GONE),
        (true, true) => Some(sinks::PAUSED),
        (true, false) => None,
    };
    let held = row.get::<_, Option<String>>(6)?.or_else(|| by_hand.map(str::to_owned));
    Ok(match held {
        Some(reason) if matches!(view.state.as_str(), "due" | "waiting") => {
            DeliveryView { state: "held".to_owned(), due: None, reason: Some(reason), ..view }
        }
        _ => view,
    })
}

/// One event, by its id or by the beginning of it that no other has.
pub(super) fn event(db: &Connection, id: &str) -> Result<Option<EventDetail>> {
    match resolve(db, id)? {
        Some(id) => detail(db, id),
        None => Ok(None),
    }
}

/// One event, by its number.
pub(super) fn detail(db: &Connection, id: i64) -> Result<Option<EventDetail>> {
    let sql = format!("{EVENT} WHERE event.id = ?1");
    let Some((_, event)) = db.prepare_cached(&sql)?.query_one([id], event_view).optional()? else { return Ok(None) };
    let body: Vec<u8> = db.prepare_cached("SELECT body FROM event WHERE id = ?1")?.query_one([id], |row| row.get(0))?;
    let event = EventView { deliveries: deliveries(db, id)?, ..event };
    Ok(Some(EventDetail { event, body: raw(body)?, bodies: bodies(db, id)?, attempts: attempts(db, id)? }))
}

/// The number of the one event whose id begins so.
pub(super) fn resolve(db: &Connection, id: &str) -> Result<Option<i64>> {
    let exact: Option<i64> =
        db.prepare_cached("SELECT id FROM event WHERE uid = ?1")?.query_one([id], |row| row.get(0)).optional()?;
    if exact.is_some() || id.is_empty() {
        return Ok(exact);
    }
    let found: Vec<i64> = db
        .prepare_cached("SELECT id FROM event WHERE uid >= ?1 AND uid < ?2 LIMIT 2")?
        .query_map([id, &format!("{id}\u{10FFFF}")], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(<[i64; 1]>::try_from(found).ok().map(|[only]| only))
}

/// The bodies of an event's deliveries that are not its own.
fn bodies(db: &Connection, event: i64) -> Result<Vec<BodyView>> {
    let mut statement = db.prepare_cached(
        "SELECT delivery.id, sink.name, delivery.wire, delivery.body, delivery.reason FROM delivery \
         JOIN sink ON sink.id = delivery.sink WHERE delivery.event = ?1 AND delivery.body IS NOT NULL \
         ORDER BY delivery.id",
    )?;
    let rows = statement.query_map([event], |row| {
        let bytes: Vec<u8> = row.get(3)?;
        let view = BodyView {
            delivery: Some(row.get(0)?),
            sink: row.get(1)?,
            content_type: Wire::of_word(row.get_ref(2)?.as_str_or_null()?).content_type().to_owned(),
            body: None,
            reason: row.get::<_, Option<String>>(4)?.filter(|_| bytes.is_empty()),
        };
        Ok((view, bytes))
    })?;
    rows.map(|row| {
        let (view, bytes) = row?;
        let body = if bytes.is_empty() { None } else { Some(raw(bytes)?) };
        Ok(BodyView { body, ..view })
    })
    .collect()
}

fn raw(body: Vec<u8>) -> Result<Box<RawValue>> {
    let damaged = |_| StoreError::Damaged("the body of an event is not JSON".to_owned());
    let text =
        String::from_utf8(body).map_err(|_| StoreError::Damaged("the body of an event is not text".to_owned()))?;
    RawValue::from_string(text).map_err(damaged)
}

fn attempts(db: &Connection, event: i64) -> Result<Vec<AttemptView>> {
    let mut statement = db.prepare_cached(
        "SELECT attempt.delivery, sink.name, attempt.number, attempt.at, attempt.took_ms, attempt.status, \
         attempt.reason, attempt.answer, attempt.phases, attempt.headers FROM delivery JOIN attempt ON attempt.delivery = delivery.id \
         JOIN sink ON sink.id = delivery.sink WHERE delivery.event = ?1 \
         ORDER BY attempt.at, attempt.delivery, attempt.number",
    )?;
    let rows = statement.query_map([event], |row| {
        Ok(AttemptView {
            delivery: row.get(0)?,
            sink: row.get(1)?,
            number: small(row.get(2)?),
            at: Timestamp(row.get(3)?),
            took_ms: count(row.get(4)?),
            status: row.get(5)?,
            reason: row.get(6)?,
            answer: row.get(7)?,
            timing: read::<Phases>(row, 8)?.map(TimingView::from),
            request_headers: row
                .get::<_, Option<String>>(9)?
                .map(|json| by_name(&SentHeaders::of_json(json.into_bytes())))
                .unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A value that was kept as JSON; one that can't be read any more is left out.
fn read<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
