//! The ways to read: threads that each have a connection that can't write, and one more connection for light reads,
//! which are done at once by whoever asks: two threads that wake each other cost more than a few rows.
//!
//! They wait for no writer and no writer waits for them; each sees what was committed before it began.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::sqlite::error::Result;
use crate::store::sqlite::file;
use crate::store::{OpenError, StoreError};

/// Reads that run at once: polls and the API mustn't wait for one another, and there are few cores.
const THREADS: usize = 3;

/// Reads that wait for a thread; who brings more waits until there is room.
const QUEUE: usize = 256;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The door to the readers' threads.
pub(super) struct Readers {
    queue: Mutex<Option<mpsc::Sender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// For light reads; none once closed.
    light: Mutex<Option<Connection>>,
    /// Yields nothing until every thread has closed its connection.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Readers {
    /// Opens the connections and starts the threads.
    pub(super) fn start(path: &Path) -> std::result::Result<Self, OpenError> {
        let (queue, inbox) = mpsc::channel::<Read>(QUEUE);
        let (alive, ended) = mpsc::channel(1);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::with_capacity(THREADS);
        for number in 0..THREADS {
            let db = file::open_reader(path)?;
            let (inbox, alive) = (Arc::clone(&inbox), alive.clone());
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    work(&db, &inbox);
                    drop(db);
                    drop(alive);
                })
                .map_err(|error| OpenError::Refused(format!("can't start a thread: {error}")))?;
            threads.push(thread);
        }
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            threads: Mutex::new(threads),
            light: Mutex::new(Some(file::open_reader(path)?)),
            ended: tokio::sync::Mutex::new(ended),
        })
    }

    /// Reads on one of the threads, in one snapshot.
    pub(super) async fn read<T, R>(&self, read: R) -> Result<T>
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let queue = lock(&self.queue).clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let work: Read = Box::new(move |db| drop(reply.send(snapshot(db, read))));
        queue.send(work).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads a few rows: at once where the connection for it is free, else on one of the threads.
    pub(super) async fn read_light<T, R>(&self, read: R) -> Result<T>
    where
        T: Send + 'static,
        R: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        if let Ok(light) = self.light.try_lock()
            && let Some(db) = &*light
        {
            return snapshot(db, read);
        }
        self.read(read).await
    }

    /// Ends the threads after the reads that are queued.
    pub(super) async fn close(&self) {
        *lock(&self.queue) = None;
        *lock(&self.light) = None;
        // The channel is only ever closed, when the last thread ends.
        self.ended.lock().await.recv().await;
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        *lock(&self.queue) = None;
        for thread in lock(&self.threads).drain(..) {
            drop(thread.join());
        }
    }
}

/// Threads take turns at the queue: the one that holds it waits for the next read, and lets go before it runs it.
fn work(db: &Connection, inbox: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        let next = lock(inbox).blocking_recv();
        match next {
            Some(read) => read(db),
            None => return,
        }
    }
}

/// Several statements must see one state of the file.
fn snapshot<T>(db: &Connection, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    if !db.is_autocommit() {
        // The snapshot before this one did not end well; this one must not see its old state.
        db.execute_batch("ROLLBACK")?;
    }
    db.prepare_cached("BEGIN")?.execute([])?;
    let result = read(db);
    let ended = db.prepare_cached("COMMIT")?.execute([]);
    let value = result?;
    ended?;
    Ok(value)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
