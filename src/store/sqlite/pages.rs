//! What the pages of a list of several can be recognised by.
//!
//! Kept apart from the scope's own state, which is in memory: a list of many pages is read page by page, and so is this.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::names::{Digest, KeyDigest};
use crate::core::page::Leaf;
use crate::store::sqlite::error::Result;
use crate::store::{PageSeal, PageSeals, Seal, StoreError};

/// The seal of one request.
pub(super) fn find(db: &Connection, scope: i64, request: Digest) -> Result<Option<PageSeal>> {
    let mut statement =
        db.prepare_cached("SELECT etag, modified, body, leaf, keys FROM page WHERE scope = ?1 AND request = ?2")?;
    let found = statement.query_one(params![scope, request.0], |row| read(row, request)).optional()?;
    found.transpose()
}

fn read(row: &Row<'_>, request: Digest) -> rusqlite::Result<Result<PageSeal>> {
    let seal = Seal { request, etag: row.get(0)?, last_modified: row.get(1)?, body: Digest(row.get(2)?) };
    let keys = row.get_ref(4)?.as_blob()?.as_chunks::<16>().0.iter().map(|key| KeyDigest(*key)).collect();
    let leaf: serde_json::Result<Leaf> = serde_json::from_str(row.get_ref(3)?.as_str()?);
    Ok(leaf
        .map(|leaf| PageSeal { seal, leaf, keys })
        .map_err(|error| StoreError::Damaged(format!("what is known of a page can't be read: {error}"))))
}

/// Makes the seals of a scope what a complete poll says.
pub(super) fn replace(db: &Connection, scope: i64, seals: &PageSeals) -> Result<()> {
    let keep: HashSet<Digest> = seals.keep.iter().copied().collect();
    let known: Vec<[u8; 16]> = db
        .prepare_cached("SELECT request FROM page WHERE scope = ?1")?
        .query_map([scope], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut forget = db.prepare_cached("DELETE FROM page WHERE scope = ?1 AND request = ?2")?;
    for request in known.into_iter().filter(|request| !keep.contains(&Digest(*request))) {
        forget.execute(params![scope, request])?;
    }
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO page (scope, request, etag, modified, body, leaf, keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for PageSeal { seal, leaf, keys } in &seals.put {
        let leaf = serde_json::to_string(leaf)
            .map_err(|error| StoreError::Refused(format!("what leads on can't be written: {error}")))?;
        let keys: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
        put.execute(params![scope, seal.request.0, seal.etag, seal.last_modified, seal.body.0, leaf, keys])?;
    }
    Ok(())
}

/// Forgets the seals of every other scope of a job.
pub(super) fn forget_others(db: &Connection, job: i64, scope: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM page WHERE scope IN (SELECT id FROM scope WHERE job = ?1 AND id <> ?2)")?
        .execute(params![job, scope])?;
    Ok(())
}

/// Forgets the seals of a scope.
pub(super) fn forget(db: &Connection, scope: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM page WHERE scope = ?1")?.execute([scope])?;
    Ok(())
}
