//! What keeps the state well: its jobs and sinks are those of the config, and what is old goes.
//!
//! Nothing that a person could still want delivered is ever deleted.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::alert::SYSTEM_JOB;
use crate::core::config::Rename;
use crate::core::names::{JobName, KeyDigest, SinkName};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::{Result, count, int};
use crate::store::sqlite::ledger::Pen;
use crate::store::sqlite::{archive, batches, pages, rename, sinks, unfinished};

/// Why the deliveries of a job that left the config are held.
pub(super) const JOB_GONE: &str = "the job is not in the config";

/// Free pages that one step gives back to the file system: 16 MiB.
const VACUUM_PAGES: usize = 4096;

/// The names of a config.
pub(super) struct Names {
    pub(super) jobs: Vec<JobName>,
    pub(super) sinks: Vec<SinkName>,
    pub(super) renames: Vec<Rename>,
}

/// Makes the jobs and sinks of the file those of the config. Returns what was renamed.
pub(super) fn adopt(db: &Connection, names: &Names, now: Timestamp, seed: u64, epoch: i64) -> Result<Vec<Rename>> {
    let mut renamed = Vec::new();
    for one in &names.renames {
        if rename::rename(db, one)? {
            renamed.push(one.clone());
        }
    }
    adopt_sinks(db, &names.sinks)?;
    let known = listed(db)?;
    let mut make = db.prepare_cached("INSERT INTO job (uid, name) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")?;
    // A name can be used anew in one life of the file: the job that had it before may have another by now.
    let last: i64 = db.prepare_cached("SELECT coalesce(max(id), 0) FROM job")?.query_one([], |row| row.get(0))?;
    let uid = |job: &str| uid(seed, epoch, last, job);
    make.execute(params![uid(SYSTEM_JOB), SYSTEM_JOB])?;
    let stored: HashSet<&str> = known.iter().map(|job| job.name.as_str()).collect();
    let mut wanted = HashSet::with_capacity(names.jobs.len());
    for job in &names.jobs {
        if wanted.insert(job.as_str()) && !stored.contains(job.as_str()) {
            make.execute(params![uid(job.as_str()), job.as_str()])?;
        }
    }
    let (mut moved, mut freed) = (0, 0);
    for job in &known {
        match (wanted.contains(job.name.as_str()), job.removed) {
            (true, true) => freed += come_back(db, job.id, now)?,
            (false, false) => moved += leave(db, job.id, now)?,
            (true, false) | (false, true) => {}
        }
    }
    if freed > 0 {
        db.execute_batch("UPDATE sink SET kept = (SELECT coalesce(max(id), 0) FROM delivery)")?;
    }
    if moved + freed > 0 {
        sinks::recount(db)?;
    }
    Ok(renamed)
}

/// A job as the file has it.
struct Listed {
    id: i64,
    name: String,
    removed: bool,
}

fn listed(db: &Connection) -> Result<Vec<Listed>> {
    let mut statement = db.prepare_cached("SELECT id, name, removed IS NOT NULL FROM job WHERE name <> ?1")?;
    let rows = statement
        .query_map([SYSTEM_JOB], |row| Ok(Listed { id: row.get(0)?, name: row.get(1)?, removed: row.get(2)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn adopt_sinks(db: &Connection, names: &[SinkName]) -> Result<()> {
    let before: Vec<String> = db
        .prepare_cached("SELECT name FROM sink WHERE adopted = 1")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut put = db.prepare_cached(
        "INSERT INTO sink (name, adopted) VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET adopted = 1, \
         kept = iif(adopted, kept, (SELECT coalesce(max(id), 0) FROM delivery))",
    )?;
    for name in names {
        put.execute([name.as_str()])?;
    }
    let wanted: HashSet<&str> = names.iter().map(SinkName::as_str).collect();
    let mut leave = db.prepare_cached("UPDATE sink SET adopted = 0 WHERE name = ?1")?;
    for name in before.iter().filter(|name| !wanted.contains(name.as_str())) {
        leave.execute([name])?;
    }
    Ok(())
}

/// A job's own id: a hash of what no other job has. The seed is what a stranger can't guess.
fn uid(seed: u64, epoch: i64, last: i64, job: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&epoch.to_le_bytes());
    hasher.update(&last.to_le_bytes());
    hasher.update(job.as_bytes());
    crate::core::names::Digest::from_hash(hasher.finalize()).0
}

/// Holds the deliveries of a job that left the config. One that is on its way may still end, and a batch stays what it
/// is.
fn leave(db: &Connection, job: i64, now: Timestamp) -> Result<usize> {
    db.prepare_cached("UPDATE job SET removed = ?2 WHERE id = ?1")?.execute([job, now.0])?;
    hold(db, job)
}

/// Holds what a poll has committed whose job left the config while it was on its way.
pub(super) fn hold_gone(db: &Connection, job: i64) -> Result<()> {
    if hold(db, job)? > 0 {
        sinks::recount(db)?;
    }
    Ok(())
}

fn hold(db: &Connection, job: i64) -> Result<usize> {
    Ok(db
        .prepare_cached(
            "UPDATE delivery SET state = 'held', due = NULL, reason = ?2 \
             WHERE state IN ('waiting', 'due') AND batch IS NULL AND event IN (SELECT id FROM event WHERE job = ?1)",
        )?
        .execute(params![job, JOB_GONE])?)
}

/// Frees them again, in the order of their lanes.
fn come_back(db: &Connection, job: i64, now: Timestamp) -> Result<usize> {
    db.prepare_cached("UPDATE job SET removed = NULL WHERE id = ?1")?.execute([job])?;
    let freed = db
        .prepare_cached(
            "UPDATE delivery SET state = 'due', due = ?2, reason = NULL \
             WHERE state = 'held' AND event IN (SELECT id FROM event WHERE job = ?1)",
        )?
        .execute([job, now.0])?;
    db.prepare_cached(
        "UPDATE delivery SET state = 'waiting', due = NULL, epoch = 0 \
         WHERE state = 'due' AND lane IS NOT NULL AND event IN (SELECT id FROM event WHERE job = ?1) AND EXISTS \
         (SELECT 1 FROM delivery AS ahead WHERE ahead.sink = delivery.sink AND ahead.lane = delivery.lane \
          AND ahead.ended IS NULL AND ahead.lane IS NOT NULL AND ahead.id < delivery.id)",
    )?
    .execute([job])?;
    Ok(freed)
}

/// Up to `limit` events after the number `after` that are older than `before` and have ended.
pub(super) fn old_events(db: &Connection, before: Timestamp, limit: i64, after: i64) -> Result<Vec<i64>> {
    let end = archive::first_since(db, before)?;
    let mut statement = db.prepare_cached(
        "SELECT id FROM event WHERE id > ?1 AND id < ?2 AND at < ?3 AND NOT EXISTS \
         (SELECT 1 FROM delivery WHERE event = event.id AND (ended IS NULL OR ended >= ?3)) ORDER BY id LIMIT ?4",
    )?;
    let rows = statement.query_map([after, end, before.0, limit], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes events with their deliveries and attempts, unless they have become wanted again meanwhile.
pub(super) fn delete_events(db: &Connection, events: &[i64]) -> Result<u64> {
    if !events.is_empty() {
        keep_numbers(db)?;
    }
    let mut dead = db.prepare_cached(
        "UPDATE sink SET dead = dead - (SELECT count(*) FROM delivery WHERE event = ?1 AND sink = sink.id \
         AND state = 'dead' AND replayed IS NULL) WHERE id IN (SELECT sink FROM delivery WHERE event = ?1 AND state = 'dead')",
    )?;
    let mut open = db.prepare_cached("SELECT 1 FROM delivery WHERE event = ?1 AND ended IS NULL")?;
    let mut delete = db.prepare_cached("DELETE FROM event WHERE id = ?1")?;
    let mut deleted = 0;
    for event in events {
        if !open.exists([event])? {
            dead.execute([event])?;
            let batches = batches::of_event(db, *event)?;
            deleted += delete.execute([event])? as u64;
            batches.into_iter().try_for_each(|batch| batches::forget(db, batch))?;
        }
    }
    Ok(deleted)
}

/// Writes down which numbers were given, before the rows that bear them may go.
fn keep_numbers(db: &Connection) -> Result<()> {
    db.prepare_cached(
        "UPDATE meta SET value = max(value, CASE name WHEN 'event' THEN (SELECT coalesce(max(id), 0) FROM event) \
         ELSE (SELECT coalesce(max(id), 0) FROM delivery) END) WHERE name IN ('event', 'delivery')",
    )?
    .execute([])?;
    Ok(())
}

/// Deletes up to `limit` ledger rows of items that are gone since before `before`.
pub(super) fn delete_gone(db: &Connection, before: Timestamp, limit: i64) -> Result<u64> {
    let mut statement =
        db.prepare_cached("SELECT scope, key, body FROM item WHERE gone IS NOT NULL AND gone < ?1 LIMIT ?2")?;
    let rows: Vec<(i64, [u8; 16], Option<i64>)> = statement
        .query_map([before.0, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut item = db.prepare_cached("DELETE FROM item WHERE scope = ?1 AND key = ?2")?;
    let mut body = db.prepare_cached("DELETE FROM body WHERE id = ?1")?;
    for (scope, key, id) in &rows {
        item.execute(params![scope, key])?;
        if let Some(id) = id {
            body.execute([id])?;
        }
    }
    Ok(rows.len() as u64)
}

/// Deletes up to `limit` ledger rows of one job that left the config before `before`: should it ever come back, it
/// begins with a silent baseline.
pub(super) fn delete_ledger(db: &Connection, before: Timestamp, limit: i64) -> Result<Option<(JobName, u64)>> {
    let found: Option<(i64, i64, i64, String)> = db
        .prepare_cached(
            "SELECT scope.id, scope.items, scope.missing, job.name FROM job JOIN scope ON scope.job = job.id \
             WHERE job.removed IS NOT NULL AND job.removed < ?1 \
             AND EXISTS (SELECT 1 FROM item WHERE item.scope = scope.id) LIMIT 1",
        )?
        .query_one([before.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((scope, items, missing, name)) = found else { return Ok(None) };
    let keys: Vec<[u8; 16]> = db
        .prepare_cached("SELECT key FROM item WHERE scope = ?1 LIMIT ?2")?
        .query_map([scope, limit], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut pen = Pen::new(db, scope, 0)?;
    for key in &keys {
        pen.remove(KeyDigest(*key))?;
    }
    let (items, missing) = pen.tally.apply(count(items), count(missing));
    db.prepare_cached(
        "UPDATE scope SET baseline = 0, mixed = zeroblob(16), items = ?2, missing = ?3, seal_request = NULL, seal_etag = NULL, \
         seal_modified = NULL, seal_body = NULL, hold = NULL WHERE id = ?1",
    )?
    .execute([scope, int(items), int(missing)])?;
    pages::forget(db, scope)?;
    unfinished::forget(db, scope)?;
    Ok(Some((JobName::from(name.as_str()), keys.len() as u64)))
}

/// Gives free pages back to the file system.
pub(super) fn shrink(db: &Connection) -> Result<()> {
    let mut statement = db.prepare("PRAGMA incremental_vacuum")?;
    let mut freed = statement.query([])?;
    let mut steps = 0;
    while steps < VACUUM_PAGES && freed.next()?.is_some() {
        steps += 1;
    }
    Ok(())
}
