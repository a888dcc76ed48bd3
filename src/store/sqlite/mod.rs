//! The store in one SQLite file: for one daemon, with nothing to install.
//!
//! One thread writes, a few read, and the rooms above only wait for them, under any runtime. What each statement does
//! is told in the files below; this one says which thread does what, and decides nothing about polls or deliveries.

mod archive;
mod batches;
mod bells;
mod commit;
mod deliveries;
mod error;
mod file;
mod jobs;
mod ledger;
mod lock;
mod log;
mod migrate;
mod observations;
mod operations;
mod outbox;
mod overflow;
mod paces;
mod pages;
mod readers;
mod relane;
mod rename;
mod replay;
mod secrets;
mod settle;
mod sinks;
mod standings;
#[cfg(test)]
mod tests;
mod unfinished;
mod upkeep;
mod verbs;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::core::names::JobName;
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::jobs::Jobs;
use crate::store::sqlite::log::Log;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::sinks::Sinks;
use crate::store::sqlite::writer::Writer;
use crate::store::{OpenError, PollTicket};

/// What a store is opened with: it asks no clock and rolls no dice.
#[derive(Clone, Debug)]
pub struct Options {
    /// The state file. Beside it lie `-wal` and `-shm`, which are part of it, and `.lock`.
    pub path: PathBuf,
    /// What the uids of new jobs are made from: random bits in a daemon, a fixed number in a simulation.
    pub uid_seed: u64,
    /// The moment of opening, for the lock's note.
    pub now: Timestamp,
}

/// The state in one SQLite file.
///
/// It ends with [`Upkeep::close`](crate::store::Upkeep::close). When it is dropped without, what polls only noted is
/// forgotten, as in a crash; what was committed stays. Dropping waits for its threads.
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
    epoch: i64,
    uid_seed: u64,
    jobs: Arc<Jobs>,
    sinks: Arc<Sinks>,
    /// Where the search for old events has come to.
    pruned: Mutex<i64>,
}

/// Rows that are read at once, without a thread of the store's: some tens of microseconds.
const LIGHT_ROWS: usize = 64;

impl SqliteStore {
    /// Opens the state, or creates it where there is no file, and voids every claim of the process before.
    ///
    /// Blocks for as long as the disk takes.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] when another process has it. [`OpenError::Refused`] when the file is damaged, newer, not
    /// ours or can't be written; it is then left as it was.
    pub fn open(options: &Options) -> std::result::Result<Self, OpenError> {
        let path = file::locate(&options.path)?;
        let lock = lock::take(&path, options.now)?;
        let mut db = file::open_writer(&path)?;
        let mut begin =
            || -> Result<(Log, i64, Sinks)> { Ok((Log::watch(&mut db)?, next_epoch(&db)?, sinks::load(&db)?)) };
        let (log, epoch, sinks) = begin().map_err(|error| {
            OpenError::Refused(format!("the state `{}` can't be used: {error}", options.path.display()))
        })?;
        let readers = Readers::start(&path)?;
        let writer = Writer::start(db, log, lock)
            .map_err(|error| OpenError::Refused(format!("can't start the store's thread: {error}")))?;
        Ok(Self {
            readers,
            writer,
            epoch,
            uid_seed: options.uid_seed,
            jobs: Arc::default(),
            sinks: Arc::new(sinks),
            pruned: Mutex::new(0),
        })
    }

    /// Reads something of a scope, about so many `rows`, that the ticket's job has; `None` when it has no such scope.
    async fn read_scope<T, R>(
        &self,
        ticket: &PollTicket,
        scope: &crate::core::names::Scope,
        rows: usize,
        read: R,
    ) -> Result<Option<T>>
    where
        T: Send + 'static,
        R: FnOnce(&Connection, i64) -> Result<T> + Send + 'static,
    {
        match self.jobs.scope(&ticket.job, scope) {
            Some(id) if rows <= LIGHT_ROWS => self.readers.read_light(move |db| read(db, id)).await.map(Some),
            Some(id) => self.readers.read(move |db| read(db, id)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Loads jobs that are not known yet; those that the file does not have are left out.
    async fn load(&self, names: Vec<JobName>) -> Result<()> {
        let jobs = Arc::clone(&self.jobs);
        self.readers
            .read(move |db| {
                let mut loaded = Vec::with_capacity(names.len());
                for name in names {
                    if let Some(known) = jobs::load(db, &name)? {
                        loaded.push((name, known));
                    }
                }
                jobs.learn(loaded);
                Ok(())
            })
            .await
    }

    /// The part of a flush that both verbs share: what to write, and what to remember when it can't be written.
    fn notes(
        &self,
        limit: usize,
    ) -> (impl FnOnce(&Connection) -> Result<usize> + Send + use<>, impl FnOnce() + Send + use<>) {
        let taken = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let (jobs, kept) = (Arc::clone(&self.jobs), Arc::clone(&taken));
        let run = move |db: &Connection| {
            let (dirty, observed) = (jobs.take_dirty(limit, false), jobs.take_observed(limit));
            let count = dirty.len().max(observed.len());
            let names = dirty.iter().map(|job| job.name.clone()).collect();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = (names, observed);
            jobs::write_dirty(db, &dirty)?;
            observations::write_noted(db, &kept.1)?;
            Ok(count)
        };
        let jobs = Arc::clone(&self.jobs);
        let undo = move || {
            let (names, observed) = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
            jobs.mark_dirty(names);
            jobs.give_back(observed);
        };
        (run, undo)
    }
}

/// A new epoch voids every claim on a delivery that the process before had.
fn next_epoch(db: &Connection) -> Result<i64> {
    Ok(db.query_one("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value", [], |row| row.get(0))?)
}
