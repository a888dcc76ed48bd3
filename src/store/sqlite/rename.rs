//! A job takes over what is remembered under its former name: its row stays what it is, and only its name changes.
//!
//! So its uid, ledger, sequences, events, cursors and deliveries need no word here.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::config::Rename;
use crate::store::StoreError;
use crate::store::sqlite::error::Result;

/// Renames a job; false when there is nothing to rename.
pub(super) fn rename(db: &Connection, rename: &Rename) -> Result<bool> {
    let (old, new) = (rename.old.as_str(), rename.new.as_str());
    let Some((old_id, true)) = find(db, old)? else { return Ok(false) };
    match find(db, new)? {
        Some((_, true)) => {
            return Err(StoreError::TwoPasts { old: rename.old.clone(), new: rename.new.clone() });
        }
        // It was never read: what stands there is only its name.
        Some((id, false)) => drop(db.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([id])?),
        None => {}
    }
    db.prepare_cached("UPDATE job SET name = ?2 WHERE id = ?1")?.execute(params![old_id, new])?;
    // A job's troubles, and what it has used of limits of its own, go by its name.
    db.prepare_cached("DELETE FROM bell WHERE trouble IN ('failing', 'stale') AND subject = ?1")?.execute([new])?;
    db.prepare_cached("UPDATE bell SET subject = ?2 WHERE trouble IN ('failing', 'stale') AND subject = ?1")?
        .execute([old, new])?;
    db.prepare_cached("DELETE FROM pace WHERE kind = 'job' AND name = ?1")?.execute([new])?;
    db.prepare_cached("UPDATE pace SET name = ?2 WHERE kind = 'job' AND name = ?1")?.execute([old, new])?;
    Ok(true)
}

/// A job's number, and whether a poll has committed something.
fn find(db: &Connection, name: &str) -> Result<Option<(i64, bool)>> {
    let mut select =
        db.prepare_cached("SELECT id, EXISTS (SELECT 1 FROM scope WHERE scope.job = job.id) FROM job WHERE name = ?1")?;
    Ok(select.query_one([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
