//! Listed items whose details could not be had, until they are: beside the ledger, whose rows stay what they were.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ledger::{Dirty, DirtyWrite, Remembered};
use crate::core::names::{Digest, Key, KeyDigest};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;

/// All of a scope.
pub(super) fn all(db: &Connection, scope: i64) -> Result<Vec<(KeyDigest, Dirty)>> {
    let mut statement = db.prepare_cached("SELECT key, version, since FROM dirty WHERE scope = ?1")?;
    let rows = statement.query_map([scope], |row| {
        let known = Dirty { version: Digest(row.get(1)?), since: Timestamp(row.get(2)?) };
        Ok((KeyDigest(row.get(0)?), known))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The listed items for `keys`, in their order.
pub(super) fn listed(db: &Connection, scope: i64, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
    let mut statement = db.prepare_cached("SELECT name, listed FROM dirty WHERE scope = ?1 AND key = ?2")?;
    let mut find = |key: &KeyDigest| {
        let found = statement.query_one(params![scope, key.0], |row| {
            let key = Key::from(row.get_ref(0)?.as_str()?);
            Ok(Remembered { key, body: Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?) })
        });
        Ok(found.optional()?)
    };
    keys.iter().map(&mut find).collect()
}

/// Writes which there are from now on; whether there is one, where there was one `before`.
pub(super) fn write(db: &Connection, scope: i64, writes: &[DirtyWrite], before: bool) -> Result<bool> {
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
    let mut left = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM dirty WHERE scope = ?1)")?;
    Ok(left.query_one([scope], |row| row.get(0))?)
}

/// Forgets all of a scope.
pub(super) fn forget(db: &Connection, scope: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM dirty WHERE scope = ?1")?.execute([scope])?;
    Ok(())
}
