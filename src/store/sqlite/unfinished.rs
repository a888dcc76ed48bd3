//! What polls leave to the next one: new values that have to persist before they are said, and listed items whose details
//! could not be had. Both stand beside the ledger, whose rows stay what they were.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ledger::{Dirty, DirtyWrite, Remembered, SettleWrite};
use crate::core::names::{Digest, Key, KeyDigest};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::{Result, count, small};

/// Items with a new value, and in how many polls it was seen.
pub(super) fn settling(db: &Connection, scope: i64) -> Result<Vec<(KeyDigest, u32)>> {
    let mut statement = db.prepare_cached("SELECT key, polls FROM settling WHERE scope = ?1")?;
    let rows = statement.query_map([scope], |row| Ok((KeyDigest(row.get(0)?), small(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// True when the item has a new value.
pub(super) fn settles(db: &Connection, scope: i64, key: KeyDigest) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM settling WHERE scope = ?1 AND key = ?2")?.exists(params![scope, key.0])?)
}

/// The new values for `keys`, in their order.
pub(super) fn values(db: &Connection, scope: i64, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
    find(db, "SELECT name, body FROM settling WHERE scope = ?1 AND key = ?2", scope, keys)
}

/// Writes how new values stand; how many there are then, of `before`.
pub(super) fn settle(db: &Connection, scope: i64, writes: &[SettleWrite], before: u64) -> Result<u64> {
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
    let mut left = db.prepare_cached("SELECT count(*) FROM settling WHERE scope = ?1")?;
    Ok(count(left.query_one([scope], |row| row.get(0))?))
}

/// Items without their details, and how they are known.
pub(super) fn dirty(db: &Connection, scope: i64) -> Result<Vec<(KeyDigest, Dirty)>> {
    let mut statement = db.prepare_cached("SELECT key, version, since FROM dirty WHERE scope = ?1")?;
    let rows = statement.query_map([scope], |row| {
        let known = Dirty { version: Digest(row.get(1)?), since: Timestamp(row.get(2)?) };
        Ok((KeyDigest(row.get(0)?), known))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Those for `keys` as they were listed, in their order.
pub(super) fn listed(db: &Connection, scope: i64, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
    find(db, "SELECT name, listed FROM dirty WHERE scope = ?1 AND key = ?2", scope, keys)
}

/// Writes which lack their details; whether any does then, where one did `before`.
pub(super) fn soil(db: &Connection, scope: i64, writes: &[DirtyWrite], before: bool) -> Result<bool> {
    if writes.is_empty() {
        return Ok(before);
    }
    for DirtyWrite { key, listed } in writes {
        match listed {
            None => {
                db.prepare_cached("DELETE FROM dirty WHERE scope = ?1 AND key = ?2")?.execute(params![scope, key.0])?
            }
            Some((known, item)) => db
                .prepare_cached(
                    "INSERT OR REPLACE INTO dirty (scope, key, version, since, name, listed) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![scope, key.0, known.version.0, known.since.0, item.key.as_str(), &item.body[..]])?,
        };
    }
    Ok(db.prepare_cached("SELECT 1 FROM dirty WHERE scope = ?1")?.exists([scope])?)
}

/// Forgets all of a scope.
pub(super) fn forget(db: &Connection, scope: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM settling WHERE scope = ?1")?.execute([scope])?;
    db.prepare_cached("DELETE FROM dirty WHERE scope = ?1")?.execute([scope])?;
    Ok(())
}

/// Name and body for `keys`, in their order.
fn find(db: &Connection, one: &str, scope: i64, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
    let mut statement = db.prepare_cached(one)?;
    let mut find = |key: &KeyDigest| {
        let found = statement.query_one(params![scope, key.0], |row| {
            let key = Key::from(row.get_ref(0)?.as_str()?);
            Ok(Remembered { key, body: Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?) })
        });
        Ok(found.optional()?)
    };
    keys.iter().map(&mut find).collect()
}
