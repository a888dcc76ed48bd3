//! System events: committed into a stream of their own, beside what rings and whose death has been told.
//!
//! They belong to the job `doorbell`, which no config has and nobody polls; what rings is not decided here.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::alert::{Bell, DeadLetter, Notice, Ring, SYSTEM_JOB, Trouble};
use crate::core::names::{EventId, JobName, JobUid, Key, Scope, SinkName};
use crate::core::time::Timestamp;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::{Result, count, int, small};
use crate::store::sqlite::outbox::{Enqueue, Origin};
use crate::store::{Bells, DeliveryTicket, Room, StoreError};

/// Deliveries whose death was not told.
pub(super) const UNTOLD: &str =
    "SELECT id FROM delivery WHERE state = 'dead' AND rang IS NOT ended ORDER BY id LIMIT ?1";

#[async_trait]
impl Bells for SqliteStore {
    async fn ringing(&self) -> Result<Vec<Bell>> {
        self.readers.read(ringing).await
    }

    async fn ring(&self, rings: Vec<Ring>, room: &Room) -> Result<Vec<DeliveryTicket>> {
        let (epoch, room) = (self.epoch, room.clone());
        self.writer.write(0, move |db| ring(db, epoch, &rings, room), |_| {}).await
    }

    async fn untold(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers.read(move |db| untold(db, limit)).await
    }
}

/// The stream of system events, as a transaction finds it.
struct Stream {
    job: i64,
    uid: JobUid,
    scope: i64,
    sequence: u64,
}

/// Puts a system event and its deliveries in, unless it is there.
pub(super) fn tell(db: &Connection, enqueue: &mut Enqueue<'_>, notice: &Notice) -> Result<()> {
    let stream = stream(db)?;
    let event = notice.event(stream.uid, stream.sequence + 1);
    let written = db
        .prepare_cached(
            "INSERT INTO event (id, uid, job, scope, key, change, sequence, at, kind, body) VALUES ( \
             (SELECT max(value, (SELECT coalesce(max(id), 0) FROM event)) + 1 FROM meta WHERE name = 'event'), \
             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (uid) DO NOTHING",
        )?
        .execute(params![
            event.id.as_str(),
            stream.job,
            stream.scope,
            event.key.as_str(),
            notice.kind.word(),
            int(event.sequence),
            event.at.0,
            event.kind,
            &event.body[..],
        ])?;
    if written == 0 {
        return Ok(());
    }
    let id = db.last_insert_rowid();
    db.prepare_cached("UPDATE scope SET sequence = ?2 WHERE id = ?1")?
        .execute(params![stream.scope, int(event.sequence)])?;
    let (job, scope) = (JobName::from(SYSTEM_JOB), Scope::default());
    let origin = Origin { id, job: &job, scope: &scope, event: &event };
    event.deliveries.iter().try_for_each(|delivery| enqueue.add(&origin, delivery))
}

fn stream(db: &Connection) -> Result<Stream> {
    let job: Option<(i64, [u8; 16])> = db
        .prepare_cached("SELECT id, uid FROM job WHERE name = ?1")?
        .query_one([SYSTEM_JOB], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (job, uid) = job.ok_or_else(|| StoreError::UnknownJob(JobName::from(SYSTEM_JOB)))?;
    let (scope, sequence) = db
        .prepare_cached(
            "INSERT INTO scope (job, text) VALUES (?1, '') ON CONFLICT (job, text) DO UPDATE SET text = '' \
             RETURNING id, sequence",
        )?
        .query_one([job], |row| Ok((row.get(0)?, count(row.get(1)?))))?;
    Ok(Stream { job, uid: JobUid(uid), scope, sequence })
}

fn ring(db: &Connection, epoch: i64, rings: &[Ring], room: Room) -> Result<Vec<DeliveryTicket>> {
    let mut enqueue = Enqueue::new(db, epoch, room);
    for ring in rings {
        if let Some(notice) = &ring.notice {
            tell(db, &mut enqueue, notice)?;
        }
        for (trouble, subject) in &ring.off {
            db.prepare_cached("DELETE FROM bell WHERE trouble = ?1 AND subject = ?2")?
                .execute([trouble.as_str(), subject.as_str()])?;
        }
        ring.on.iter().try_for_each(|bell| keep(db, bell))?;
        if let Some((delivery, ended)) = ring.told {
            db.prepare_cached("UPDATE delivery SET rang = ?2 WHERE id = ?1")?.execute([delivery, ended.0])?;
        }
    }
    enqueue.finish()
}

fn keep(db: &Connection, bell: &Bell) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO bell (trouble, subject, since, rang, rings, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (trouble, subject) DO UPDATE SET since = excluded.since, rang = excluded.rang, \
         rings = excluded.rings, reason = excluded.reason",
    )?
    .execute(params![
        bell.trouble.as_str(),
        bell.subject.as_str(),
        bell.since.0,
        bell.rang.0,
        bell.rings,
        bell.reason
    ])?;
    Ok(())
}

fn ringing(db: &Connection) -> Result<Vec<Bell>> {
    let mut statement = db.prepare_cached("SELECT trouble, subject, since, rang, rings, reason FROM bell")?;
    let rows = statement.query_map([], bell)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// `None`: a trouble that this version does not know, which a CHECK of the table rules out.
fn bell(row: &Row<'_>) -> rusqlite::Result<Option<Bell>> {
    let Some(trouble) = Trouble::parse(row.get_ref(0)?.as_str()?) else { return Ok(None) };
    Ok(Some(Bell {
        trouble,
        subject: Key::from(row.get_ref(1)?.as_str()?),
        since: Timestamp(row.get(2)?),
        rang: Timestamp(row.get(3)?),
        rings: small(row.get(4)?),
        reason: row.get(5)?,
    }))
}

fn untold(db: &Connection, limit: i64) -> Result<Vec<DeadLetter>> {
    let ids: Vec<i64> =
        db.prepare_cached(UNTOLD)?.query_map([limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut letter = db.prepare_cached(
        "SELECT delivery.ended, delivery.attempts, delivery.reason, sink.name, event.uid, event.kind, job.name, \
         event.key, event.at FROM delivery JOIN sink ON sink.id = delivery.sink \
         JOIN event ON event.id = delivery.event JOIN job ON job.id = event.job WHERE delivery.id = ?1",
    )?;
    let letters = ids.into_iter().map(|delivery| {
        letter.query_one([delivery], |row| {
            Ok(DeadLetter {
                delivery,
                ended: Timestamp(row.get(0)?),
                attempts: small(row.get(1)?),
                reason: row.get(2)?,
                sink: SinkName::from(row.get_ref(3)?.as_str()?),
                event: EventId::from(row.get_ref(4)?.as_str()?),
                kind: row.get(5)?,
                job: JobName::from(row.get_ref(6)?.as_str()?),
                key: Key::from(row.get_ref(7)?.as_str()?),
                seen_at: Timestamp(row.get(8)?),
            })
        })
    });
    Ok(letters.collect::<rusqlite::Result<_>>()?)
}
