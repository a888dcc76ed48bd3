//! The numbered steps from an empty file to today's shape. A step that was ever released is never edited.

use rusqlite::{Connection, TransactionBehavior};

/// Step n brings a file from format n - 1 to format n.
const STEPS: [&str; 1] = [include_str!("migrations/0001_first.sql")];

/// The format that this version writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Takes the steps that the file has not seen, each in a transaction with its number.
pub(super) fn run(db: &Connection) -> rusqlite::Result<()> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, step) in (1..).zip(STEPS).filter(|(number, _)| *number > found) {
        let transaction = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
