//! When the write-ahead log is copied into the file: between two commits, so that nobody's commit waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// Pages of the log after which it is copied into the file: a page that many commits touch is then copied once.
const PAGES: i32 = 4000;

/// How long the log has become.
pub(super) struct Log(Arc<AtomicI32>);

impl Log {
    /// Takes the copying over from SQLite, which would do it inside the commit that makes the log too long.
    pub(super) fn watch(db: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let noted = Arc::clone(&pages);
        db.wal_hook(Some(move |_: &mut Wal, pages| {
            noted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self(pages))
    }

    /// Copies it if it is long. Where a reader keeps it from that, the next commit tries again.
    pub(super) fn copy_if_long(&self, db: &Connection) {
        if self.0.load(Ordering::Relaxed) >= PAGES {
            drop(db.execute_batch("PRAGMA wal_checkpoint(PASSIVE)"));
        }
    }
}
