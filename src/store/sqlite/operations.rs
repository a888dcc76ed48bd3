//! The verbs of a person: each hands its work to the writer, and what is remembered in memory follows the commit.
//!
//! What can be replayed is sought beside the writer, so that nobody's commit waits for a walk through the past.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, Scope, SinkName};
use crate::core::operate::{DropFilter, DropReport, ReplayFilter};
use crate::core::rerender::Rerendered;
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::{SqliteStore, jobs, overflow, replay, sinks};
use crate::store::{Operations, Renderable, ReplayCursor, Replayable, Retried, SinkState, StoreError};

#[async_trait]
impl Operations for SqliteStore {
    async fn pause_job(&self, job: &JobName, paused: Option<Timestamp>) -> Result<bool> {
        let name = job.clone();
        // What is loaded after the commit would be right, but what is being loaded now may not be.
        self.load(vec![name.clone()]).await?;
        let (jobs, known) = (Arc::clone(&self.jobs), name.clone());
        let done = move |written: &Result<bool>| {
            if matches!(written, Ok(true)) {
                jobs.pause(&known, paused);
            }
        };
        self.writer.write(0, move |db| pause_job(db, &name, paused), done).await
    }

    async fn answer(&self, job: &JobName, answer: Answer) -> Result<Option<Hold>> {
        let name = job.clone();
        // As above: what is being loaded now may not be right afterwards.
        self.load(vec![name.clone()]).await?;
        let (jobs, known) = (Arc::clone(&self.jobs), name.clone());
        let done = move |written: &Result<Vec<(Scope, Hold)>>| {
            for (scope, hold) in written.iter().flatten() {
                jobs.answer(&known, scope, hold);
            }
        };
        let answered = self.writer.write(0, move |db| answer_holds(db, &name, answer), done).await?;
        Ok(Hold::sum(answered.iter().map(|(_, hold)| hold)))
    }

    async fn pause_sink(&self, sink: &SinkName, paused: Option<Timestamp>) -> Result<bool> {
        let (name, sinks, known) = (sink.clone(), Arc::clone(&self.sinks), sink.clone());
        let done = move |written: &Result<(bool, SinkState)>| {
            if let Ok((_, state)) = written {
                sinks.put(known, state.clone());
            }
        };
        let (news, _) = self.writer.write(0, move |db| pause_sink(db, &name, paused), done).await?;
        Ok(news)
    }

    async fn replayable(&self, filter: &ReplayFilter) -> Result<Replayable> {
        let filter = filter.clone();
        self.readers.read(move |db| replay::count_all(db, &filter)).await
    }

    async fn replay(
        &self,
        filter: &ReplayFilter,
        from: ReplayCursor,
        limit: usize,
        now: Timestamp,
    ) -> Result<(BTreeMap<SinkName, u64>, Option<ReplayCursor>)> {
        let filter = filter.clone();
        let found = self.readers.read(move |db| replay::next(db, &filter, from, limit, false)).await?;
        let next = found.last().filter(|_| found.len() >= limit).map(|last| ReplayCursor { last: *last, ..from });
        if found.is_empty() {
            return Ok((BTreeMap::new(), None));
        }
        let queued = self.writer.write(0, move |db| replay::again(db, &found, now), |_| {}).await?;
        Ok((queued, next))
    }

    async fn renderable(
        &self,
        filter: &ReplayFilter,
        from: ReplayCursor,
        limit: usize,
    ) -> Result<(Vec<Renderable>, Option<ReplayCursor>)> {
        let filter = filter.clone();
        let read = move |db: &Connection| {
            let found = replay::next(db, &filter, from, limit, true)?;
            let next = found.last().filter(|_| found.len() >= limit).map(|last| ReplayCursor { last: *last, ..from });
            let rows = found.iter().map(|(_, id)| replay::renderable(db, *id)).collect::<Result<_>>()?;
            Ok((rows, next))
        };
        self.readers.read(read).await
    }

    async fn replay_rendered(
        &self,
        rendered: Vec<(i64, Rerendered)>,
        now: Timestamp,
    ) -> Result<BTreeMap<SinkName, u64>> {
        self.writer.write(0, move |db| replay::again_as(db, &rendered, now), |_| {}).await
    }

    async fn droppable(&self, filter: &DropFilter) -> Result<DropReport> {
        let (filter, epoch) = (filter.clone(), self.epoch);
        self.readers.read(move |db| overflow::droppable(db, epoch, &filter)).await
    }

    async fn drop_held(&self, filter: &DropFilter, reason: &str, now: Timestamp) -> Result<BTreeMap<SinkName, u64>> {
        let (filter, reason, epoch) = (filter.clone(), reason.to_owned(), self.epoch);
        self.writer.write(0, move |db| overflow::drop_held(db, epoch, &filter, &reason, now), |_| {}).await
    }

    async fn retry(&self, delivery: i64, now: Timestamp) -> Result<Retried> {
        let epoch = self.epoch;
        self.writer.write(0, move |db| replay::retry(db, delivery, epoch, now), |_| {}).await
    }
}

fn known(db: &Connection, job: &JobName) -> Result<()> {
    match db.prepare_cached("SELECT 1 FROM job WHERE name = ?1")?.exists([job.as_str()])? {
        true => Ok(()),
        false => Err(StoreError::UnknownJob(job.clone())),
    }
}

fn pause_job(db: &Connection, job: &JobName, paused: Option<Timestamp>) -> Result<bool> {
    known(db, job)?;
    let changed = db
        .prepare_cached("UPDATE job SET paused = ?2 WHERE name = ?1 AND (paused IS NULL) <> (?2 IS NULL)")?
        .execute(params![job.as_str(), paused.map(|at| at.0)])?;
    Ok(changed == 1)
}

fn answer_holds(db: &Connection, job: &JobName, answer: Answer) -> Result<Vec<(Scope, Hold)>> {
    known(db, job)?;
    let held: Vec<(i64, Scope, Option<Box<Hold>>)> = db
        .prepare_cached(
            "SELECT id, text, hold FROM scope WHERE job = (SELECT id FROM job WHERE name = ?1) AND hold IS NOT NULL",
        )?
        .query_map([job.as_str()], |row| {
            Ok((row.get(0)?, Scope::from(row.get_ref(1)?.as_str()?), jobs::hold(row, 2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut answered = Vec::new();
    for (id, scope, hold) in held {
        let Some(hold) = hold.filter(|hold| hold.takes(answer)) else { continue };
        let hold = Hold { answer: Some(answer), ..*hold };
        db.prepare_cached("UPDATE scope SET hold = ?2 WHERE id = ?1")?
            .execute(params![id, jobs::hold_text(Some(&hold))])?;
        answered.push((scope, hold));
    }
    Ok(answered)
}

fn pause_sink(db: &Connection, sink: &SinkName, paused: Option<Timestamp>) -> Result<(bool, SinkState)> {
    let id = sinks::find_or_make(db, sink)?.id;
    let before = sinks::stored(db, id)?;
    let news = match paused {
        Some(at) => db
            .prepare_cached("UPDATE sink SET paused = ?2 WHERE id = ?1 AND paused IS NULL")?
            .execute(params![id, at.0])
            .map(|changed| changed == 1)?,
        None => {
            let resume = "UPDATE sink SET paused = NULL, probes = NULL, probe_at = NULL, resumes = resumes + 1, \
                          kept = (SELECT coalesce(max(id), 0) FROM delivery) WHERE id = ?1";
            db.prepare_cached(resume)?.execute([id])?;
            before.paused.is_some() || before.open.is_some()
        }
    };
    Ok((news, sinks::stored(db, id)?))
}
