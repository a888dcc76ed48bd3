//! The queue of deliveries: how one is put in, claimed, and given back. How an attempt ends is in `settle`.
//!
//! A delivery is claimed by writing the current epoch into it. A restart has a new epoch, so every claim of the one
//! before is void without a write.

use std::collections::HashMap;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::delivery::{NewDelivery, Parcel};
use crate::core::event::NewEvent;
use crate::core::formats::Wire;
use crate::core::names::{EventId, JobName, JobUid, Key, Lane, Scope, SinkName};
use crate::core::skipped::{SKIPPED_MAX, Skipped};
use crate::core::time::Timestamp;
use crate::store::sqlite::batches;
use crate::store::sqlite::error::{Result, count, small};
use crate::store::sqlite::sinks::{self, Open};
use crate::store::{DeliveryTicket, Room};

/// What may go now, of those with one number of attempts.
pub(super) const DUE: &str = "SELECT id, due FROM delivery WHERE sink = ?1 AND state = 'due' AND attempts = ?2 AND due <= ?3 AND epoch < ?4 \
             ORDER BY due, id LIMIT ?5";

/// The next number of attempts that occurs.
pub(super) const NEXT_ATTEMPTS: &str =
    "SELECT min(attempts) FROM delivery WHERE sink = ?1 AND state = 'due' AND attempts > ?2";

/// When the first of those with one number of attempts may go.
pub(super) const NEXT_DUE: &str = "SELECT due FROM delivery WHERE sink = ?1 AND state = 'due' AND attempts = ?2 AND epoch < ?3 \
                 ORDER BY due LIMIT 1";

/// Is there anything in a lane that has not ended?
pub(super) const BEHIND: &str = "SELECT 1 FROM delivery WHERE sink = ?1 AND lane = ?2 AND ended IS NULL LIMIT 1";

/// The latest dead of a lane before a delivery that no later one has told of. One that was
/// replayed is not skipped.
pub(super) const UNTOLD: &str = "SELECT event.uid FROM delivery JOIN event ON event.id = delivery.event \
     WHERE delivery.sink = ?1 AND delivery.lane = ?2 AND delivery.state = 'dead' AND delivery.told = 0 \
     AND delivery.lane IS NOT NULL AND delivery.replayed IS NULL AND delivery.id < ?3 ORDER BY delivery.id DESC LIMIT ?4";

/// How many those are.
const UNTOLD_COUNT: &str = "SELECT count(*) FROM delivery WHERE sink = ?1 AND lane = ?2 AND state = 'dead' AND told = 0 \
     AND lane IS NOT NULL AND replayed IS NULL AND id < ?3";

/// Bytes of bodies that are claimed at once, give or take the last: what is not claimed stays due.
const CLAIMED_BYTES_MAX: usize = 8 << 20;

/// The event that a delivery is made for.
pub(super) struct Origin<'a> {
    pub(super) id: i64,
    pub(super) job: &'a JobName,
    pub(super) scope: &'a Scope,
    pub(super) event: &'a NewEvent,
}

impl Origin<'_> {
    fn parcel(&self, delivery: &NewDelivery, skipped: Skipped) -> Parcel {
        Parcel {
            event: self.event.id.clone(),
            kind: self.event.kind.clone(),
            job: self.job.clone(),
            scope: self.scope.clone(),
            key: self.event.key.clone(),
            sequence: self.event.sequence,
            seen_at: self.event.at,
            body: delivery.body.as_ref().unwrap_or(&self.event.body).clone(),
            wire: delivery.wire,
            replay: false,
            skipped,
            batch: None,
        }
    }
}

/// Puts the deliveries of one commit into the queue, and claims those that can go at once.
pub(super) struct Enqueue<'db> {
    db: &'db Connection,
    epoch: i64,
    room: Room,
    sinks: HashMap<SinkName, (Open, Came)>,
    uids: HashMap<JobName, JobUid>,
    tickets: Vec<DeliveryTicket>,
}

/// How many deliveries of a sink came.
#[derive(Clone, Copy, Default)]
struct Came {
    backlog: i64,
    dead: i64,
}

impl<'db> Enqueue<'db> {
    pub(super) fn new(db: &'db Connection, epoch: i64, room: Room) -> Self {
        Self { db, epoch, room, sinks: HashMap::new(), uids: HashMap::new(), tickets: Vec::new() }
    }

    /// Queues one delivery: behind its lane, due, or born dead.
    pub(super) fn add(&mut self, origin: &Origin<'_>, delivery: &NewDelivery) -> Result<()> {
        let sink = self.sink(&delivery.sink)?;
        let lane = self.lane(origin, delivery, sink)?;
        if let Some(reason) = &delivery.dead {
            self.came(&delivery.sink).dead += 1;
            self.mourn(&delivery.sink);
            return self.insert(origin, delivery, (sink.id, lane), &New::Dead(reason)).map(drop);
        }
        self.came(&delivery.sink).backlog += 1;
        if self.stands_behind(sink.id, lane)? {
            return self.insert(origin, delivery, (sink.id, lane), &New::Waiting).map(drop);
        }
        let claim = sink.open && self.take_room(&delivery.sink);
        let epoch = if claim { self.epoch } else { 0 };
        let id = self.insert(origin, delivery, (sink.id, lane), &New::Due(epoch))?;
        if claim {
            self.tickets.push(DeliveryTicket {
                id,
                sink: delivery.sink.clone(),
                parcel: origin.parcel(delivery, skipped(self.db, sink, lane, id)?),
                attempts: 0,
                lane,
                batch: None,
                epoch,
            });
        }
        Ok(())
    }

    /// Writes the counts; the tickets of what can go at once.
    pub(super) fn finish(self) -> Result<Vec<DeliveryTicket>> {
        for (sink, came) in self.sinks.values() {
            sinks::count_by(self.db, sink.id, came.backlog, 0, came.dead)?;
        }
        Ok(self.tickets)
    }

    fn sink(&mut self, name: &SinkName) -> Result<Open> {
        if let Some((sink, _)) = self.sinks.get(name) {
            return Ok(*sink);
        }
        let sink = sinks::find_or_make(self.db, name)?;
        self.sinks.insert(name.clone(), (sink, Came::default()));
        Ok(sink)
    }

    /// The lane of the order that its sink has by now: the poll may have begun before that was edited.
    fn lane(&mut self, origin: &Origin<'_>, delivery: &NewDelivery, sink: Open) -> Result<Option<Lane>> {
        let Some(order) = sink.order else { return Ok(delivery.lane) };
        Ok(order.lane(self.uid(origin.job)?, origin.scope, origin.event.key.digest()))
    }

    fn uid(&mut self, job: &JobName) -> Result<JobUid> {
        if let Some(uid) = self.uids.get(job) {
            return Ok(*uid);
        }
        let uid = self
            .db
            .prepare_cached("SELECT uid FROM job WHERE name = ?1")?
            .query_one([job.as_str()], |row| row.get(0).map(JobUid))?;
        self.uids.insert(job.clone(), uid);
        Ok(uid)
    }

    fn came(&mut self, name: &SinkName) -> &mut Came {
        // Never made anew: `sink` has put it in.
        &mut self
            .sinks
            .entry(name.clone())
            .or_insert((Open { id: 0, open: false, mourns: false, order: None }, Came::default()))
            .1
    }

    /// From now on this sink has something to tell of its dead.
    fn mourn(&mut self, name: &SinkName) {
        if let Some((sink, _)) = self.sinks.get_mut(name) {
            sink.mourns = true;
        }
    }

    fn take_room(&mut self, name: &SinkName) -> bool {
        match self.room.get_mut(name) {
            Some(room) if *room > 0 => {
                *room -= 1;
                true
            }
            _ => false,
        }
    }

    fn stands_behind(&self, sink: i64, lane: Option<Lane>) -> Result<bool> {
        let Some(lane) = lane else { return Ok(false) };
        Ok(self.db.prepare_cached(BEHIND)?.exists(params![sink, lane.0])?)
    }

    fn insert(
        &self,
        origin: &Origin<'_>,
        delivery: &NewDelivery,
        (sink, lane): (i64, Option<Lane>),
        new: &New<'_>,
    ) -> Result<i64> {
        let at = origin.event.at.0;
        let (state, due, epoch, ended, reason) = match new {
            New::Waiting => ("waiting", None, 0, None, None),
            New::Due(epoch) => ("due", Some(at), *epoch, None, None),
            New::Dead(reason) => ("dead", None, 0, Some(at), Some(*reason)),
        };
        self.db
            .prepare_cached(
                "INSERT INTO delivery (id, event, sink, lane, state, due, epoch, ended, reason, body, wire, sendable) \
                 VALUES ((SELECT max(value, (SELECT coalesce(max(id), 0) FROM delivery)) + 1 FROM meta \
                 WHERE name = 'delivery'), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?8 IS NULL)",
            )?
            .execute(params![
                origin.id,
                sink,
                lane.map(|lane| lane.0),
                state,
                due,
                epoch,
                ended,
                reason,
                delivery.body.as_deref(),
                delivery.wire.word(),
            ])?;
        Ok(self.db.last_insert_rowid())
    }
}

/// How a delivery comes into the queue.
enum New<'a> {
    Waiting,
    /// With the epoch of its claim, or 0.
    Due(i64),
    Dead(&'a str),
}

/// Claims what is due: for each number of attempts that occurs, fewest first, one range of the index.
pub(super) fn claim(
    db: &Connection,
    epoch: i64,
    sink: &SinkName,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DeliveryTicket>> {
    let Some(found) = sinks::find(db, sink)?.filter(|sink| sink.open) else { return Ok(Vec::new()) };
    let mut ids: Vec<i64> = Vec::new();
    let mut above = -1;
    while ids.len() < limit
        && let Some(attempts) = next_attempts(db, found.id, above)?
    {
        let room = i64::try_from(limit - ids.len()).unwrap_or(i64::MAX);
        let mut statement = db.prepare_cached(DUE)?;
        for id in statement.query_map([found.id, attempts, now.0, epoch, room], |row| row.get(0))? {
            ids.push(id?);
        }
        above = attempts;
    }
    take_all(db, epoch, sink, found, ids)
}

/// Claims what was attempted before: of each number of attempts that occurs those that have been due the longest, and
/// of all of those again the same.
pub(super) fn claim_retries(
    db: &Connection,
    epoch: i64,
    sink: &SinkName,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DeliveryTicket>> {
    let Some(found) = sinks::find(db, sink)?.filter(|sink| sink.open) else { return Ok(Vec::new()) };
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut due: Vec<(i64, i64)> = Vec::new();
    let mut above = 0;
    while let Some(attempts) = next_attempts(db, found.id, above)? {
        let mut statement = db.prepare_cached(DUE)?;
        for row in
            statement.query_map([found.id, attempts, now.0, epoch, most], |row| Ok((row.get(1)?, row.get(0)?)))?
        {
            due.push(row?);
        }
        above = attempts;
    }
    due.sort_unstable();
    take_all(db, epoch, sink, found, due.into_iter().take(limit).map(|(_, id)| id))
}

/// Claims these in their order, until they are many bytes.
fn take_all(
    db: &Connection,
    epoch: i64,
    sink: &SinkName,
    found: Open,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<DeliveryTicket>> {
    let (mut tickets, mut bytes) = (Vec::new(), 0);
    for id in ids {
        if bytes >= CLAIMED_BYTES_MAX {
            break;
        }
        let ticket = take(db, epoch, sink, found, id)?;
        bytes += ticket.parcel.body.len();
        tickets.push(ticket);
    }
    Ok(tickets)
}

/// The least number of attempts above `above` that a due delivery of the sink has.
fn next_attempts(db: &Connection, sink: i64, above: i64) -> Result<Option<i64>> {
    Ok(db.prepare_cached(NEXT_ATTEMPTS)?.query_one([sink, above], |row| row.get(0))?)
}

/// Claims one delivery that is due, and makes its ticket: that of its batch, where it stands for one.
pub(super) fn take(db: &Connection, epoch: i64, sink: &SinkName, found: Open, id: i64) -> Result<DeliveryTicket> {
    db.prepare_cached("UPDATE delivery SET epoch = ?2 WHERE id = ?1")?.execute([id, epoch])?;
    let mut ticket = db
        .prepare_cached(
            "SELECT delivery.attempts, delivery.lane, event.uid, event.kind, job.name, scope.text, event.key, \
             event.sequence, event.at, coalesce(delivery.body, event.body), delivery.wire, delivery.replay, \
             delivery.batch FROM delivery JOIN event ON event.id = delivery.event JOIN job ON job.id = event.job \
             JOIN scope ON scope.id = event.scope WHERE delivery.id = ?1",
        )?
        .query_one([id], |row| {
            Ok(DeliveryTicket {
                id,
                sink: sink.clone(),
                parcel: parcel(row)?,
                attempts: small(row.get(0)?),
                lane: row.get::<_, Option<[u8; 16]>>(1)?.map(Lane),
                batch: row.get(12)?,
                epoch,
            })
        })?;
    match ticket.batch {
        Some(batch) => batches::whole(db, found, ticket, batch),
        None => {
            ticket.parcel.skipped = skipped(db, found, ticket.lane, id)?;
            Ok(ticket)
        }
    }
}

/// The dead of a lane that stand before a delivery and that no later one has told of.
pub(super) fn skipped(db: &Connection, sink: Open, lane: Option<Lane>, id: i64) -> Result<Skipped> {
    let Some(lane) = lane.filter(|_| sink.mourns) else { return Ok(Skipped::default()) };
    let mut statement = db.prepare_cached(UNTOLD)?;
    let rows = statement.query_map(params![sink.id, lane.0, id, SKIPPED_MAX as i64], |row| {
        Ok(EventId::from(row.get_ref(0)?.as_str()?))
    })?;
    let mut ids: Vec<EventId> = rows.collect::<rusqlite::Result<_>>()?;
    ids.reverse();
    let more = match ids.len() < SKIPPED_MAX {
        true => 0,
        false => {
            let all = db.prepare_cached(UNTOLD_COUNT)?.query_one(params![sink.id, lane.0, id], |row| row.get(0))?;
            count(all).saturating_sub(ids.len() as u64)
        }
    };
    Ok(Skipped { ids, more })
}

/// A delivery that was delivered has told of the dead before it: no later one says it again.
pub(super) fn note_told(db: &Connection, sink: i64, ticket: &DeliveryTicket) -> Result<()> {
    if let (Some(lane), false) = (ticket.lane, ticket.parcel.skipped.is_empty()) {
        db.prepare_cached(
            "UPDATE delivery SET told = 1 WHERE sink = ?1 AND lane = ?2 AND state = 'dead' AND told = 0 AND id < ?3",
        )?
        .execute(params![sink, lane.0, ticket.id])?;
    }
    Ok(())
}

fn parcel(row: &Row<'_>) -> rusqlite::Result<Parcel> {
    Ok(Parcel {
        event: EventId::from(row.get_ref(2)?.as_str()?),
        kind: row.get(3)?,
        job: JobName::from(row.get_ref(4)?.as_str()?),
        scope: Scope::from(row.get_ref(5)?.as_str()?),
        key: Key::from(row.get_ref(6)?.as_str()?),
        sequence: count(row.get(7)?),
        seen_at: Timestamp(row.get(8)?),
        body: Bytes::from(row.get::<_, Vec<u8>>(9)?),
        wire: Wire::of_word(row.get_ref(10)?.as_str_or_null()?),
        replay: row.get(11)?,
        skipped: Skipped::default(),
        batch: None,
    })
}

/// When the next delivery that is not claimed falls due.
pub(super) fn next_due(db: &Connection, epoch: i64, sink: &SinkName) -> Result<Option<Timestamp>> {
    let Some(found) = sinks::find(db, sink)?.filter(|sink| sink.open) else { return Ok(None) };
    let mut next: Option<i64> = None;
    let mut above = -1;
    while let Some(attempts) = next_attempts(db, found.id, above)? {
        let due = db
            .prepare_cached(NEXT_DUE)?
            .query_one([found.id, attempts, epoch], |row| row.get::<_, i64>(0))
            .optional()?;
        next = next.into_iter().chain(due).min();
        above = attempts;
    }
    Ok(next.map(Timestamp))
}

/// Gives claims back.
pub(super) fn release(db: &Connection, epoch: i64, ids: &[i64]) -> Result<()> {
    let mut statement = db.prepare_cached("UPDATE delivery SET epoch = 0 WHERE id = ?1 AND epoch = ?2")?;
    for id in ids {
        statement.execute([*id, epoch])?;
    }
    Ok(())
}
