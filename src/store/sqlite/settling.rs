//! New values that have to persist before they are said: beside the ledger, whose rows stay what they were.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ledger::{Remembered, SettleWrite};
use crate::core::names::{Key, KeyDigest};
use crate::store::sqlite::error::{Result, count, small};

/// Items with such a value, and in how many polls it was seen.
pub(super) fn all(db: &Connection, scope: i64) -> Result<Vec<(KeyDigest, u32)>> {
    let mut statement = db.prepare_cached("SELECT key, polls FROM settling WHERE scope = ?1")?;
    let rows = statement.query_map([scope], |row| Ok((KeyDigest(row.get(0)?), small(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// True when the item has such a value.
pub(super) fn has(db: &Connection, scope: i64, key: KeyDigest) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM settling WHERE scope = ?1 AND key = ?2")?.exists(params![scope, key.0])?)
}

/// The values for `keys`, in their order.
pub(super) fn pending(db: &Connection, scope: i64, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
    let mut statement = db.prepare_cached("SELECT name, body FROM settling WHERE scope = ?1 AND key = ?2")?;
    let mut find = |key: &KeyDigest| {
        let found = statement.query_one(params![scope, key.0], |row| {
            let key = Key::from(row.get_ref(0)?.as_str()?);
            Ok(Remembered { key, body: Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?) })
        });
        Ok(found.optional()?)
    };
    keys.iter().map(&mut find).collect()
}

/// Writes how values stand; how many there are then, of `before`.
pub(super) fn write(db: &Connection, scope: i64, writes: &[SettleWrite], before: u64) -> Result<u64> {
    if writes.is_empty() {
        return Ok(before);
    }
    for SettleWrite { key, polls, remembered } in writes {
        match (polls, remembered) {
            (0, _) => db
                .prepare_cached("DELETE FROM settling WHERE scope = ?1 AND key = ?2")?
                .execute(params![scope, key.0])?,
            (polls, None) => db
                .prepare_cached("UPDATE settling SET polls = ?3 WHERE scope = ?1 AND key = ?2")?
                .execute(params![scope, key.0, polls])?,
            (polls, Some(value)) => db
                .prepare_cached(
                    "INSERT OR REPLACE INTO settling (scope, key, polls, name, body) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![scope, key.0, polls, value.key.as_str(), &value.body[..]])?,
        };
    }
    let left = db.prepare_cached("SELECT count(*) FROM settling WHERE scope = ?1")?;
    let mut left = left;
    Ok(count(left.query_one([scope], |row| row.get(0))?))
}

/// Forgets all of a scope.
pub(super) fn forget(db: &Connection, scope: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM settling WHERE scope = ?1")?.execute([scope])?;
    Ok(())
}
