//! The one thread that writes: it takes whatever is queued, commits it with one fsync, and then answers all.
//!
//! Each piece of work runs in a savepoint of its own, so that one that fails takes nothing of its neighbours with it;
//! but for the many small ones that check everything before they write, for a savepoint copies every page that changes.
//! The thread never waits for anything but its queue and the disk. Where a power cut would only take back what is done
//! again anyway, it does not wait for the disk either: the next commit brings that along.

use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::lock::Lock;
use crate::store::sqlite::log::Log;

/// Work that waits for the writer; who brings more waits until there is room.
const QUEUE: usize = 1024;

/// Most work in one transaction: it bounds how long the first of a batch waits for the last.
const BATCH: usize = 512;

/// Most bytes of bodies in one transaction, give or take its last piece of work.
const BATCH_BYTES: usize = 8 << 20;

/// When what was written has to be on the disk. The end of the process loses neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Before anyone hears that it is written.
    AtOnce,
    /// With whatever is next to be: a power cut before that takes it back, which only has something done again.
    WithTheNext,
}

/// Something to write.
trait Work: Send {
    /// About how many bytes it writes.
    fn weight(&self) -> usize;
    /// When it has to be on the disk.
    fn durability(&self) -> Durability;
    /// True when it refuses before its first write, so that it needs no savepoint.
    fn checks_first(&self) -> bool;
    /// Runs in the transaction; false: nothing of it may stay.
    fn run(&mut self, db: &Connection) -> bool;
    /// The transaction has ended: takes effect in memory, and answers.
    fn end(self: Box<Self>, committed: Result<()>);
}

enum Message {
    Work(Box<dyn Work>),
    Close(Close),
}

/// The end: the last work runs by itself; then the thread checkpoints, closes, frees the lock and answers.
struct Close {
    last: Box<dyn Work>,
    done: oneshot::Sender<()>,
}

/// A piece of work made of two closures: `run` in the transaction, `end` after it.
struct Task<T, R, E> {
    weight: usize,
    durability: Durability,
    checks_first: bool,
    run: Option<R>,
    end: E,
    result: Option<Result<T>>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T, R, E> Task<T, R, E> {
    /// Work in a savepoint, on the disk at once, for whose outcome nobody waits.
    fn new(weight: usize, run: R, end: E) -> Self {
        let durability = Durability::AtOnce;
        Self { weight, durability, checks_first: false, run: Some(run), end, result: None, reply: None }
    }
}

impl<T, R, E> Work for Task<T, R, E>
where
    T: Send,
    R: FnOnce(&Connection) -> Result<T> + Send,
    E: FnOnce(&Result<T>) + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn checks_first(&self) -> bool {
        self.checks_first
    }

    fn run(&mut self, db: &Connection) -> bool {
        let Some(run) = self.run.take() else { return false };
        let result = run(db);
        let kept = result.is_ok();
        self.result = Some(result);
        kept
    }

    fn end(self: Box<Self>, committed: Result<()>) {
        let result = match (self.result, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Ok(_)) | None, Err(error)) | (Some(Err(error)), _) => Err(error),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        (self.end)(&result);
        if let Some(reply) = self.reply {
            // Who asked may have gone; what was written stays written.
            drop(reply.send(result));
        }
    }
}

/// The door to the writer's thread. Dropping it ends the thread after the work that is queued.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which owns the connection and the lock from here on.
    pub(super) fn start(db: Connection, log: Log, lock: Lock) -> std::io::Result<Self> {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Thread { db: Some(db), log, lock: Some(lock), inbox }.work())?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Writes, and waits for the disk. `end` runs on the writer's thread once the outcome is certain, even when nobody
    /// waits for the answer any more.
    pub(super) async fn write<T, R, E>(&self, weight: usize, run: R, end: E) -> Result<T>
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T> + Send + 'static,
        E: FnOnce(&Result<T>) + Send + 'static,
    {
        self.wait_for(Task::new(weight, run, end)).await
    }

    /// Like [`Writer::write`], for small work that refuses before its first write. Should it fail after that, nothing
    /// of its whole batch is written, and everyone in it is told so.
    pub(super) async fn write_checked<T, R, E>(
        &self,
        weight: usize,
        durability: Durability,
        run: R,
        end: E,
    ) -> Result<T>
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T> + Send + 'static,
        E: FnOnce(&Result<T>) + Send + 'static,
    {
        self.wait_for(Task { durability, checks_first: true, ..Task::new(weight, run, end) }).await
    }

    /// Queues something whose loss does no harm, if there is room; does not wait.
    pub(super) fn try_write<R, E>(&self, run: R, end: E)
    where
        R: FnOnce(&Connection) -> Result<()> + Send + 'static,
        E: FnOnce(&Result<()>) + Send + 'static,
    {
        if let Some(queue) = &self.queue {
            drop(queue.try_send(Message::Work(Box::new(Task::new(0, run, end)))));
        }
    }

    /// Writes one last time, and ends the thread.
    pub(super) async fn close<R>(&self, last: R) -> Result<()>
    where
        R: FnOnce(&Connection) -> Result<()> + Send + 'static,
    {
        let (done, closed) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        let task = Task { reply: Some(reply), ..Task::new(0, last, |_: &Result<()>| {}) };
        self.send(Message::Close(Close { last: Box::new(task), done })).await?;
        let written = answer.await.map_err(|_| StoreError::Closed)?;
        // The sender is dropped, at the latest, when the thread ends.
        drop(closed.await);
        written
    }

    async fn wait_for<T, R, E>(&self, task: Task<T, R, E>) -> Result<T>
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T> + Send + 'static,
        E: FnOnce(&Result<T>) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Work(Box::new(Task { reply: Some(reply), ..task }))).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn send(&self, message: Message) -> Result<()> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(message).await.map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Thread {
    db: Option<Connection>,
    log: Log,
    lock: Option<Lock>,
    inbox: mpsc::Receiver<Message>,
}

impl Thread {
    fn work(mut self) {
        while let Some(message) = self.inbox.blocking_recv() {
            let (batch, close) = self.gather(message);
            if let Some(db) = &self.db {
                commit(db, batch);
                self.log.copy_if_long(db);
            }
            if let Some(Close { last, done }) = close {
                self.inbox.close();
                if let Some(db) = &self.db {
                    commit(db, vec![last]);
                }
                self.shut();
                _ = done.send(());
                return;
            }
        }
        self.shut();
    }

    /// Everything that is queued, up to a batch, and what closes it.
    fn gather(&mut self, first: Message) -> (Vec<Box<dyn Work>>, Option<Close>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Close(close) => return (batch, Some(close)),
                Message::Work(work) => {
                    bytes += work.weight();
                    batch.push(work);
                }
            }
            let full = batch.len() >= BATCH || bytes >= BATCH_BYTES;
            next = if full { None } else { self.inbox.try_recv().ok() };
        }
        (batch, None)
    }

    /// The log is copied into the file and the connection closed before another process may have the lock. Nothing is
    /// analysed: without statistics SQLite plans every statement as it was tested.
    fn shut(&mut self) {
        if let Some(db) = self.db.take() {
            drop(db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
            drop(db.close());
        }
        self.lock = None;
    }
}

/// One transaction for the whole batch. When it can't be committed nobody's work has happened.
fn commit(db: &Connection, mut batch: Vec<Box<dyn Work>>) {
    if batch.is_empty() {
        return;
    }
    let outcome = transact(db, &mut batch);
    if outcome.is_err() && !db.is_autocommit() {
        drop(db.execute_batch("ROLLBACK"));
    }
    for work in batch {
        work.end(outcome.clone());
    }
}

/// The log is synced as a whole, so a commit that waits for the disk makes those before it durable too.
fn transact(db: &Connection, batch: &mut [Box<dyn Work>]) -> Result<()> {
    if batch.iter().any(|work| work.durability() == Durability::AtOnce) {
        return write_all(db, batch);
    }
    // These are not kept as statements: SQLite carries them out when it reads them.
    db.execute_batch("PRAGMA synchronous = NORMAL")?;
    let written = write_all(db, batch);
    db.execute_batch("PRAGMA synchronous = FULL")?;
    written
}

fn write_all(db: &Connection, batch: &mut [Box<dyn Work>]) -> Result<()> {
    execute(db, "BEGIN IMMEDIATE").map_err(unwritable)?;
    if let [only] = batch {
        return alone(db, &mut **only);
    }
    for work in batch {
        match work.checks_first() {
            true => checked(db, &mut **work)?,
            false => guarded(db, &mut **work)?,
        }
    }
    execute(db, "COMMIT").map_err(unwritable)
}

/// Work that needs no savepoint.
fn checked(db: &Connection, work: &mut dyn Work) -> Result<()> {
    let before = db.total_changes();
    if work.run(db) || (db.total_changes() == before && !db.is_autocommit()) {
        return Ok(());
    }
    Err(broken_off())
}

/// Work in a savepoint.
fn guarded(db: &Connection, work: &mut dyn Work) -> Result<()> {
    execute(db, "SAVEPOINT work")?;
    if !work.run(db) {
        // A full disk may have ended the whole transaction already; then nothing of the batch has happened.
        if db.is_autocommit() {
            return Err(broken_off());
        }
        execute(db, "ROLLBACK TO work")?;
    }
    execute(db, "RELEASE work")
}

fn broken_off() -> StoreError {
    StoreError::Unwritable("the transaction was broken off; nothing is lost".to_owned())
}

/// Without neighbours to protect, a savepoint would only copy every page that changes.
fn alone(db: &Connection, work: &mut dyn Work) -> Result<()> {
    if work.run(db) {
        return execute(db, "COMMIT").map_err(unwritable);
    }
    // A full disk may have ended the transaction already.
    if db.is_autocommit() { Ok(()) } else { execute(db, "ROLLBACK") }
}

fn execute(db: &Connection, sql: &'static str) -> Result<()> {
    db.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// What keeps a transaction from beginning or ending is the disk's fault unless SQLite says that the file is damaged.
fn unwritable(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused(text) => StoreError::Unwritable(text),
        other => other,
    }
}
