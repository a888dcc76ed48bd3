//! Sealed secrets, a row for each.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::Result;
use crate::store::{Secrets, Slot};

#[async_trait]
impl Secrets for SqliteStore {
    async fn sealed(&self, slot: Slot) -> Result<Option<Vec<u8>>> {
        self.readers
            .read(move |db| {
                let mut select = db.prepare_cached("SELECT sealed FROM secret WHERE slot = ?1")?;
                Ok(select.query_row([slot.as_slice()], |row| row.get(0)).optional()?)
            })
            .await
    }

    async fn keep_sealed(&self, slot: Slot, sealed: Vec<u8>) -> Result<()> {
        let bytes = sealed.len();
        self.writer
            .write(
                bytes,
                move |db| {
                    db.prepare_cached("INSERT OR REPLACE INTO secret (slot, sealed) VALUES (?1, ?2)")?
                        .execute(params![slot.as_slice(), sealed])?;
                    Ok(())
                },
                |_| {},
            )
            .await
    }
}
