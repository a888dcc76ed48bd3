//! Deliveries that go to their sink in one request: how they are bound together, sent again as they were, and settled
//! with one answer; all of a batch, or none of it.
//!
//! The first member stands for the others: it alone is due and is claimed, the others wait with it. Nothing stands
//! between two members in a lane, so a lane goes on only when its batch has ended. When is not decided here.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use crate::core::batch::{self, Bound, weight};
use crate::core::delivery::Verdict;
use crate::core::names::{EventId, Lane, SinkName};
use crate::core::skipped::{SKIPPED_MAX, Skipped};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::settle::{failure, keep, standing, wake};
use crate::store::sqlite::sinks::{self, Moved, Open};
use crate::store::sqlite::{outbox, upkeep};
use crate::store::{BatchRoom, DeliveryTicket, Settlement, StoreError};

/// The members of a batch that have not ended, in their order.
pub(super) const MEMBERS: &str = "SELECT delivery.id, delivery.lane, event.at, job.removed IS NOT NULL FROM delivery \
     JOIN event ON event.id = delivery.event JOIN job ON job.id = event.job \
     WHERE delivery.batch = ?1 AND delivery.ended IS NULL ORDER BY delivery.id";

/// What waits behind a delivery in its lane, in its order.
pub(super) const BEHIND_IT: &str = "SELECT delivery.id, delivery.state = 'waiting' AND delivery.attempts = 0 AND delivery.batch IS NULL, \
     delivery.wire, delivery.replay, length(coalesce(delivery.body, event.body)) FROM delivery \
     JOIN event ON event.id = delivery.event WHERE delivery.sink = ?1 AND delivery.lane = ?2 \
     AND delivery.ended IS NULL AND delivery.id > ?3 ORDER BY delivery.id LIMIT ?4";

/// A delivery that may go into a batch.
struct Loose {
    id: i64,
    lane: Option<[u8; 16]>,
    wire: Option<String>,
    replay: bool,
    bytes: usize,
}

/// Binds claimed deliveries together, and as many of those that wait behind them as there is room for. The ticket of
/// the batch, in place of theirs.
pub(super) fn bind(
    db: &Connection,
    epoch: i64,
    sink: &SinkName,
    ids: &[i64],
    room: BatchRoom,
) -> Result<DeliveryTicket> {
    let Some(found) = sinks::find(db, sink)?.filter(|sink| sink.open) else {
        return Err(StoreError::LeaseLost(format!("deliveries to {sink}")));
    };
    let mut members = ids.iter().map(|id| loose(db, epoch, *id)).collect::<Result<Vec<_>>>()?;
    let mut behind = Vec::new();
    for head in &members {
        behind.extend(behind_it(db, found.id, head, room.events)?);
    }
    behind.sort_unstable_by_key(|loose| loose.id);
    let mut bytes = 1 + members.iter().map(|loose| weight(loose.bytes)).sum::<usize>();
    for loose in behind {
        bytes = bytes.saturating_add(weight(loose.bytes));
        // The order of a lane is kept by taking none after the first that does not fit.
        if members.len() >= room.events || bytes > room.bytes {
            break;
        }
        members.push(loose);
    }
    members.sort_unstable_by_key(|loose| loose.id);
    let first = members.first().ok_or_else(|| StoreError::Refused("a batch of nothing".to_owned()))?.id;
    db.prepare_cached("INSERT INTO batch (uid) VALUES ('')")?.execute([])?;
    let batch = db.last_insert_rowid();
    let mut join = db.prepare_cached(
        "UPDATE delivery SET batch = ?2, state = iif(id = ?3, 'due', 'waiting'), due = iif(id = ?3, due, NULL), \
         epoch = iif(id = ?3, epoch, 0) WHERE id = ?1",
    )?;
    for member in &members {
        join.execute([member.id, batch, first])?;
    }
    let ticket = outbox::take(db, epoch, sink, found, first)?;
    db.prepare_cached("UPDATE batch SET uid = ?2 WHERE id = ?1")?.execute(params![batch, ticket.parcel.id()])?;
    Ok(ticket)
}

/// A delivery whose claim stands and which was never sent.
fn loose(db: &Connection, epoch: i64, id: i64) -> Result<Loose> {
    let mut statement = db.prepare_cached(
        "SELECT delivery.lane, delivery.wire, delivery.replay, length(coalesce(delivery.body, event.body)) \
         FROM delivery JOIN event ON event.id = delivery.event WHERE delivery.id = ?1 AND delivery.epoch = ?2 \
         AND delivery.state = 'due' AND delivery.attempts = 0 AND delivery.batch IS NULL",
    )?;
    let mut rows = statement.query([id, epoch])?;
    let Some(row) = rows.next()? else { return Err(StoreError::LeaseLost(format!("delivery {id}"))) };
    Ok(Loose {
        id,
        lane: row.get(0)?,
        wire: row.get(1)?,
        replay: row.get(2)?,
        bytes: usize::try_from(row.get::<_, i64>(3)?).unwrap_or(usize::MAX),
    })
}

/// What may go in one batch with a delivery from behind it: of its kind, without a gap.
fn behind_it(db: &Connection, sink: i64, head: &Loose, most: usize) -> Result<Vec<Loose>> {
    let Some(lane) = head.lane else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(BEHIND_IT)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![sink, lane, head.id, most])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let next = Loose {
            id: row.get(0)?,
            lane: head.lane,
            wire: row.get(2)?,
            replay: row.get(3)?,
            bytes: usize::try_from(row.get::<_, i64>(4)?).unwrap_or(usize::MAX),
        };
        if !row.get::<_, bool>(1)? || next.wire != head.wire || next.replay != head.replay {
            break;
        }
        found.push(next);
    }
    Ok(found)
}

/// Makes the ticket of a batch's first member that of the whole batch.
pub(super) fn whole(db: &Connection, sink: Open, mut ticket: DeliveryTicket, batch: i64) -> Result<DeliveryTicket> {
    let mut statement = db.prepare_cached(
        "SELECT delivery.id, delivery.lane, event.uid, coalesce(delivery.body, event.body) FROM delivery \
         JOIN event ON event.id = delivery.event WHERE delivery.batch = ?1 AND delivery.ended IS NULL \
         ORDER BY delivery.id",
    )?;
    let (mut events, mut bodies): (Vec<EventId>, Vec<Vec<u8>>) = Default::default();
    let mut lanes: HashSet<[u8; 16]> = HashSet::new();
    let mut skipped: Vec<Skipped> = Vec::new();
    let mut rows = statement.query([batch])?;
    while let Some(row) = rows.next()? {
        events.push(EventId::from(row.get::<_, String>(2)?.as_str()));
        bodies.push(row.get(3)?);
        if let Some(lane) = row.get::<_, Option<[u8; 16]>>(1)?
            && lanes.insert(lane)
        {
            skipped.push(outbox::skipped(db, sink, Some(Lane(lane)), row.get(0)?)?);
        }
    }
    ticket.batch = Some(batch);
    ticket.parcel.skipped = together(skipped);
    ticket.parcel.body = batch::body(bodies.iter().map(Vec::as_slice));
    ticket.parcel.batch = Some(Bound { id: batch::derive_id(&ticket.sink, &events), events: events.len() });
    Ok(ticket)
}

/// What died before any of several deliveries.
fn together(all: Vec<Skipped>) -> Skipped {
    let mut more: u64 = all.iter().map(|skipped| skipped.more).sum();
    let mut ids: Vec<EventId> = all.into_iter().flat_map(|skipped| skipped.ids).collect();
    let beyond = ids.len().saturating_sub(SKIPPED_MAX);
    more += beyond as u64;
    ids.drain(..beyond);
    Skipped { ids, more }
}

/// A member of a batch that has not ended.
struct Member {
    id: i64,
    lane: Option<[u8; 16]>,
    seen: Timestamp,
    job_gone: bool,
}

fn members(db: &Connection, batch: i64) -> Result<Vec<Member>> {
    let mut statement = db.prepare_cached(MEMBERS)?;
    let rows = statement.query_map([batch], |row| {
        Ok(Member { id: row.get(0)?, lane: row.get(1)?, seen: Timestamp(row.get(2)?), job_gone: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Settles an attempt of a batch: what follows for one follows for all. Lanes that may go on are due, and not claimed.
/// How many deliveries have moved.
pub(super) fn settle(db: &Connection, sink: i64, settlement: &Settlement, batch: i64) -> Result<Moved> {
    let Settlement { ticket, attempt, verdict, .. } = settlement;
    standing(db, ticket)?;
    let members = members(db, batch)?;
    let failure = failure(&attempt.answer);
    for member in &members {
        keep(db, member.id, attempt, failure.as_deref())?;
    }
    let now = attempt.at.plus(attempt.took);
    let count = i64::try_from(members.len()).unwrap_or(i64::MAX);
    let moved = match verdict {
        Verdict::Delivered => {
            tell(db, sink, ticket, &members)?;
            end(db, batch, "delivered", None, now)?;
            Moved { backlog: -count, ..Moved::default() }
        }
        Verdict::Dead(reason) => {
            end(db, batch, "dead", Some(reason), now)?;
            Moved { backlog: -count, dead: count, ..Moved::default() }
        }
        Verdict::RetryAt(due) => again(db, batch, *due, failure.as_deref())?,
        Verdict::SinkGone(reason) => {
            again(db, batch, ticket.parcel.seen_at.min(now), Some(failure.as_deref().unwrap_or(reason)))?
        }
        Verdict::Split => {
            let held = unbind(db, batch, now)?;
            Moved { backlog: -held, held, ..Moved::default() }
        }
    };
    if matches!(verdict, Verdict::Delivered | Verdict::Dead(_)) {
        for lane in lanes(&members) {
            wake(db, sink, Lane(lane), now)?;
        }
    }
    Ok(moved)
}

fn lanes(members: &[Member]) -> HashSet<[u8; 16]> {
    members.iter().filter_map(|member| member.lane).collect()
}

/// A batch that was delivered has told of the dead before it.
fn tell(db: &Connection, sink: i64, ticket: &DeliveryTicket, members: &[Member]) -> Result<()> {
    if ticket.parcel.skipped.is_empty() {
        return Ok(());
    }
    let mut told = db.prepare_cached(
        "UPDATE delivery SET told = 1 WHERE sink = ?1 AND lane = ?2 AND state = 'dead' AND told = 0 AND id < ?3",
    )?;
    for lane in lanes(members) {
        told.execute(params![sink, lane, ticket.id])?;
    }
    Ok(())
}

fn end(db: &Connection, batch: i64, state: &str, reason: Option<&str>, now: Timestamp) -> Result<()> {
    db.prepare_cached(
        "UPDATE delivery SET state = ?2, due = NULL, ended = ?3, reason = ?4, attempts = attempts + 1, epoch = 0 \
         WHERE batch = ?1 AND ended IS NULL",
    )?
    .execute(params![batch, state, now.0, reason])?;
    Ok(())
}

fn again(db: &Connection, batch: i64, due: Timestamp, reason: Option<&str>) -> Result<Moved> {
    db.prepare_cached(
        "UPDATE delivery SET due = iif(state = 'due', ?2, NULL), reason = ?3, attempts = attempts + 1, epoch = 0 \
         WHERE batch = ?1 AND ended IS NULL",
    )?
    .execute(params![batch, due.0, reason])?;
    Ok(Moved::default())
}

/// Takes a batch apart: what has not ended goes as if it had never been sent, in another batch or alone. How many of
/// those are held, because their job is gone.
pub(super) fn unbind(db: &Connection, batch: i64, now: Timestamp) -> Result<i64> {
    let mut part = db.prepare_cached(
        "UPDATE delivery SET batch = NULL, attempts = 0, epoch = 0, state = ?2, due = ?3, reason = ?4 WHERE id = ?1",
    )?;
    let mut first: HashMap<[u8; 16], i64> = HashMap::new();
    let mut held = 0;
    for member in members(db, batch)? {
        let is_first = member.lane.is_none_or(|lane| *first.entry(lane).or_insert(member.id) == member.id);
        let (state, due, reason) = match (member.job_gone, is_first) {
            (true, _) => ("held", None, Some(upkeep::JOB_GONE)),
            (false, true) => ("due", Some(member.seen.min(now).0), None),
            (false, false) => ("waiting", None, None),
        };
        held += i64::from(member.job_gone);
        part.execute(params![member.id, state, due, reason])?;
    }
    forget(db, batch)?;
    Ok(held)
}

/// The member that stands for the batch of a delivery; itself where it is in none.
pub(super) fn head(db: &Connection, delivery: i64) -> Result<i64> {
    Ok(db
        .prepare_cached(
            "SELECT coalesce((SELECT min(member.id) FROM delivery AS member WHERE member.batch = delivery.batch \
             AND member.ended IS NULL), delivery.id) FROM delivery WHERE delivery.id = ?1 \
             UNION ALL SELECT ?1 LIMIT 1",
        )?
        .query_one([delivery], |row| row.get(0))?)
}

/// The batches of an event's deliveries.
pub(super) fn of_event(db: &Connection, event: i64) -> Result<Vec<i64>> {
    let mut statement =
        db.prepare_cached("SELECT DISTINCT batch FROM delivery WHERE event = ?1 AND batch IS NOT NULL")?;
    let rows = statement.query_map([event], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes a batch that has no members any more.
pub(super) fn forget(db: &Connection, batch: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM batch WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE batch = ?1)")?
        .execute([batch])?;
    Ok(())
}
