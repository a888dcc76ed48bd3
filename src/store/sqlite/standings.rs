//! What is remembered of all jobs and sinks, as a plan is made from it.
//!
//! Reads only.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use crate::core::alert::SYSTEM_JOB;
use crate::core::plan::{JobStanding, ReadUnder, SinkStanding, Standings};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::{Result, count};
use crate::store::sqlite::jobs;

const JOBS: &str = "SELECT job.id, job.name, job.removed IS NULL, job.last_poll, count(scope.id), \
                    coalesce(max(scope.baseline), 0), coalesce(sum(scope.items), 0), count(scope.mixed) > 0 \
                    FROM job LEFT JOIN scope ON scope.job = job.id WHERE job.name <> ?1 GROUP BY job.id ORDER BY job.name";

const PRINTS: &str = "SELECT job, request, selection, identity, rules, text FROM scope WHERE request IS NOT NULL \
                      ORDER BY job, text";

const WAITING: &str = "SELECT event.job, count(*) FROM delivery JOIN event ON event.id = delivery.event \
                       WHERE delivery.ended IS NULL GROUP BY event.job";

const SINKS: &str = "SELECT name, adopted, (SELECT count(*) FROM delivery WHERE delivery.sink = sink.id \
                     AND ended IS NULL) FROM sink ORDER BY name";

/// All of them.
pub(super) fn all(db: &Connection) -> Result<Standings> {
    let waiting: HashMap<i64, i64> = db
        .prepare_cached(WAITING)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut prints = prints(db)?;
    let mut select = db.prepare_cached(JOBS)?;
    let jobs = select.query_map([SYSTEM_JOB], |row| job(row, &waiting, &mut prints))?;
    let jobs = jobs.collect::<rusqlite::Result<_>>()?;
    let mut select = db.prepare_cached(SINKS)?;
    let sinks = select.query_map([], sink)?.collect::<rusqlite::Result<_>>()?;
    Ok(Standings { jobs, sinks })
}

/// What each job's scopes were read under. Most jobs have one entry, however many scopes they have.
fn prints(db: &Connection) -> Result<HashMap<i64, Vec<ReadUnder>>> {
    let mut all: HashMap<i64, Vec<ReadUnder>> = HashMap::new();
    let mut select = db.prepare_cached(PRINTS)?;
    for row in select.query_map([], |row| Ok((row.get(0)?, jobs::fingerprints(row, 1)?, row.get(5)?)))? {
        let (job, fingerprints, scope) = row?;
        let (Some(fingerprints), read) = (fingerprints, all.entry(job).or_default()) else { continue };
        match read.iter_mut().find(|read| read.fingerprints == fingerprints) {
            Some(read) => read.scopes.push(scope),
            None => read.push(ReadUnder { fingerprints, scopes: vec![scope] }),
        }
    }
    Ok(all)
}

fn job(
    row: &Row<'_>,
    waiting: &HashMap<i64, i64>,
    prints: &mut HashMap<i64, Vec<ReadUnder>>,
) -> rusqlite::Result<JobStanding> {
    let id: i64 = row.get(0)?;
    Ok(JobStanding {
        name: row.get(1)?,
        in_config: row.get(2)?,
        last_poll: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        read: prints.remove(&id).unwrap_or_default(),
        known: row.get::<_, i64>(4)? > 0,
        baseline: row.get(5)?,
        items: count(row.get(6)?),
        mixed: row.get(7)?,
        waiting: waiting.get(&id).copied().map_or(0, count),
    })
}

fn sink(row: &Row<'_>) -> rusqlite::Result<SinkStanding> {
    Ok(SinkStanding { name: row.get(0)?, in_config: row.get(1)?, waiting: count(row.get(2)?) })
}
