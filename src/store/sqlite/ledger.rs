//! The ledger's rows: one range read where many are asked for, look-ups in key order where few are.
//!
//! The narrow half and the body are separate tables, so that seeing that nothing changed reads no body.

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::core::ledger::{Remembered, Row, RowWrite};
use crate::core::names::{Digest, JobName, Key, KeyDigest};
use crate::core::time::Timestamp;
use crate::store::sqlite::error::{Result, count, int, small};
use crate::store::{Found, StoreError};

/// A range read of the whole scope costs less than look-ups when at least one row in so many is asked for: a row read
/// in order costs about a quarter of one that is sought.
const RANGE_SHARE: u64 = 4;

/// Plain bytes, the one encoding so far.
const PLAIN: i64 = 0;

const ONE: &str = "SELECT key, raw, canonical, revision, missed, gone FROM item WHERE scope = ?1 AND key = ?2";
const RANGE: &str = "SELECT key, raw, canonical, revision, missed, gone FROM item \
                     WHERE scope = ?1 AND key BETWEEN ?2 AND ?3 ORDER BY key";

/// Of so many items that differ, the bodies come along with the rows.
const ALONG_MAX: usize = 4;

/// What there is of items, given as their keys and the digests of their bytes. `live` is about how many the scope has.
pub(super) fn find(db: &Connection, scope: i64, items: &[(KeyDigest, Digest)], live: u64) -> Result<Found> {
    let keys: Vec<KeyDigest> = items.iter().map(|(key, _)| *key).collect();
    let rows = rows(db, scope, &keys, live)?;
    let differs = |((_, raw), row): &(&(KeyDigest, Digest), &Row)| row.raw != *raw;
    let found = items.iter().zip(&rows).filter_map(|(item, row)| Some((item, row.as_ref()?)));
    let differing: Vec<KeyDigest> = found.filter(differs).map(|(_, row)| row.key).take(ALONG_MAX + 1).collect();
    let along = if differing.len() > ALONG_MAX { &[] } else { &differing[..] };
    let bodies = remembered(db, scope, along)?;
    let remembered = along.iter().zip(bodies).filter_map(|(key, body)| Some((*key, body?))).collect();
    Ok(Found { rows, remembered })
}

/// The rows for `keys`, in their order. `items` is about how many the scope has.
fn rows(db: &Connection, scope: i64, keys: &[KeyDigest], items: u64) -> Result<Vec<Option<Row>>> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|at| keys[*at]);
    let mut found = vec![None; keys.len()];
    if keys.len() as u64 * RANGE_SHARE >= items {
        range(db, scope, keys, &order, &mut found)?;
    } else {
        let mut statement = db.prepare_cached(ONE)?;
        for at in order {
            found[at] = statement.query_one(params![scope, keys[at].0], row).optional()?;
        }
    }
    Ok(found)
}

/// One pass over the scope, beside one over the keys.
fn range(db: &Connection, scope: i64, keys: &[KeyDigest], order: &[usize], found: &mut [Option<Row>]) -> Result<()> {
    let (Some(first), Some(last)) = (order.first(), order.last()) else { return Ok(()) };
    let mut statement = db.prepare_cached(RANGE)?;
    let mut stored = statement.query(params![scope, keys[*first].0, keys[*last].0])?;
    let mut wanted = order.iter().peekable();
    while let Some(next) = stored.next()? {
        let key = KeyDigest(digest(next.get_ref(0)?)?);
        while wanted.next_if(|at| keys[**at] < key).is_some() {}
        while let Some(at) = wanted.next_if(|at| keys[**at] == key) {
            found[*at] = Some(row(next)?);
        }
    }
    Ok(())
}

/// Rows that are neither gone nor in `seen`, which is sorted.
pub(super) fn missing(db: &Connection, scope: i64, seen: &[KeyDigest]) -> Result<Vec<Row>> {
    let mut statement = db.prepare_cached(
        "SELECT key, raw, canonical, revision, missed, gone FROM item WHERE scope = ?1 AND gone IS NULL ORDER BY key",
    )?;
    let mut stored = statement.query([scope])?;
    let mut seen = seen.iter().peekable();
    let mut absent = Vec::new();
    while let Some(next) = stored.next()? {
        let key = KeyDigest(digest(next.get_ref(0)?)?);
        while seen.next_if(|known| **known < key).is_some() {}
        if seen.peek().is_none_or(|known| **known != key) {
            absent.push(row(next)?);
        }
    }
    Ok(absent)
}

/// Rows that are not gone and were missing.
pub(super) fn still_missing(db: &Connection, scope: i64) -> Result<Vec<Row>> {
    let mut statement = db.prepare_cached(
        "SELECT key, raw, canonical, revision, missed, gone FROM item \
         WHERE scope = ?1 AND missed > 0 AND gone IS NULL ORDER BY key",
    )?;
    let rows = statement.query_map([scope], row)?.collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}

/// Keys and bodies for `keys`, in their order.
pub(super) fn remembered(db: &Connection, scope: i64, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
    let mut statement = db.prepare_cached(
        "SELECT body.key, body.encoding, body.bytes FROM item JOIN body ON body.id = item.body \
         WHERE item.scope = ?1 AND item.key = ?2",
    )?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let mut stored = statement.query(params![scope, key.0])?;
        found.push(match stored.next()? {
            Some(next) => Some(body(next)?),
            None => None,
        });
    }
    Ok(found)
}

/// Items of a job's scopes whose baseline is complete; `None` when there is no such scope.
pub(super) fn live_items(db: &Connection, job: &JobName, limit: usize) -> Result<Option<Vec<Remembered>>> {
    let scopes: Vec<i64> = db
        .prepare_cached(
            "SELECT scope.id FROM scope JOIN job ON job.id = scope.job WHERE job.name = ?1 AND scope.baseline = 1 \
             ORDER BY scope.text",
        )?
        .query_map([job.as_str()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut statement = db.prepare_cached(
        "SELECT body.key, body.encoding, body.bytes FROM item JOIN body ON body.id = item.body \
         WHERE item.scope = ?1 AND item.gone IS NULL ORDER BY item.key LIMIT ?2",
    )?;
    let mut items = Vec::new();
    for scope in &scopes {
        let mut stored = statement.query(params![scope, int((limit - items.len()) as u64)])?;
        while let Some(next) = stored.next()? {
            items.push(body(next)?);
        }
    }
    Ok((!scopes.is_empty()).then_some(items))
}

/// Up to `limit` keys of a job's items.
pub(super) fn keys(db: &Connection, job: &JobName, limit: usize) -> Result<Vec<Key>> {
    let mut statement = db.prepare_cached(
        "SELECT body.key FROM job JOIN scope ON scope.job = job.id JOIN item ON item.scope = scope.id \
         JOIN body ON body.id = item.body WHERE job.name = ?1 LIMIT ?2",
    )?;
    let keys = statement
        .query_map(params![job.as_str(), int(limit as u64)], |row| Ok(Key::from(row.get_ref(0)?.as_str()?)))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

fn body(row: &rusqlite::Row<'_>) -> Result<Remembered> {
    let encoding: i64 = row.get(1)?;
    if encoding != PLAIN {
        return Err(StoreError::Damaged(format!("a body has the encoding {encoding}, which this version can't read")));
    }
    let key = Key::from(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
    Ok(Remembered { key, body: Bytes::copy_from_slice(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?) })
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        key: KeyDigest(digest(row.get_ref(0)?)?),
        raw: Digest(digest(row.get_ref(1)?)?),
        canonical: Digest(digest(row.get_ref(2)?)?),
        revision: count(row.get(3)?),
        missed: small(row.get(4)?),
        gone: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}

/// Sixteen bytes by reference: no copy on the heap for each of 20,000 rows.
fn digest(value: ValueRef<'_>) -> rusqlite::Result<[u8; 16]> {
    let bytes = value.as_blob()?;
    bytes.try_into().map_err(|_| {
        rusqlite::types::FromSqlError::InvalidBlobSize { expected_size: 16, blob_size: bytes.len() }.into()
    })
}

/// How a scope's counts change with what is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    items: i64,
    missing: i64,
}

impl Tally {
    fn count(&mut self, gone: bool, missed: bool, by: i64) {
        if !gone {
            self.items += by;
            self.missing += if missed { by } else { 0 };
        }
    }

    /// The counts as they are now.
    pub(super) fn apply(self, items: u64, missing: u64) -> (u64, u64) {
        (items.saturating_add_signed(self.items), missing.saturating_add_signed(self.missing))
    }
}

/// The statements that write rows, prepared once for many.
pub(super) struct Pen<'db> {
    find: CachedStatement<'db>,
    put: CachedStatement<'db>,
    drop: CachedStatement<'db>,
    body_new: CachedStatement<'db>,
    body_put: CachedStatement<'db>,
    body_drop: CachedStatement<'db>,
    db: &'db Connection,
    scope: i64,
    edition: u32,
    pub(super) tally: Tally,
}

/// What of a stored row matters when it is replaced.
struct Before {
    body: Option<i64>,
    gone: bool,
    missed: bool,
}

impl<'db> Pen<'db> {
    pub(super) fn new(db: &'db Connection, scope: i64, edition: u32) -> Result<Self> {
        Ok(Self {
            find: db
                .prepare_cached("SELECT body, gone IS NOT NULL, missed > 0 FROM item WHERE scope = ?1 AND key = ?2")?,
            put: db.prepare_cached(
                "INSERT INTO item (scope, key, raw, canonical, revision, missed, edition, gone, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (scope, key) DO UPDATE SET raw = excluded.raw, \
                 canonical = excluded.canonical, revision = excluded.revision, missed = excluded.missed, \
                 edition = excluded.edition, gone = excluded.gone, body = excluded.body",
            )?,
            drop: db.prepare_cached("DELETE FROM item WHERE scope = ?1 AND key = ?2")?,
            body_new: db.prepare_cached("INSERT INTO body (key, encoding, bytes) VALUES (?1, 0, ?2)")?,
            body_put: db.prepare_cached("UPDATE body SET key = ?2, encoding = 0, bytes = ?3 WHERE id = ?1")?,
            body_drop: db.prepare_cached("DELETE FROM body WHERE id = ?1")?,
            db,
            scope,
            edition,
            tally: Tally::default(),
        })
    }

    /// Writes a row as it shall be.
    pub(super) fn write(&mut self, write: &RowWrite) -> Result<()> {
        let row = &write.row;
        let before = self.before(row.key)?;
        let kept = before.and_then(|before| before.body);
        let body = match (&write.remembered, kept) {
            (None, kept) => kept,
            (Some(new), Some(id)) => {
                self.body_put.execute(params![id, new.key.as_str(), &new.body[..]])?;
                Some(id)
            }
            (Some(new), None) => {
                self.body_new.execute(params![new.key.as_str(), &new.body[..]])?;
                Some(self.db.last_insert_rowid())
            }
        };
        self.put.execute(params![
            self.scope,
            row.key.0,
            row.raw.0,
            row.canonical.0,
            int(row.revision),
            row.missed,
            self.edition,
            row.gone.map(|at| at.0),
            body,
        ])?;
        self.tally.count(row.gone.is_some(), row.missed > 0, 1);
        Ok(())
    }

    /// Forgets a row with its body.
    pub(super) fn remove(&mut self, key: KeyDigest) -> Result<()> {
        let Some(before) = self.before(key)? else { return Ok(()) };
        if let Some(id) = before.body {
            self.body_drop.execute([id])?;
        }
        self.drop.execute(params![self.scope, key.0])?;
        Ok(())
    }

    /// Forgets rows of another selection. Those that are gone stay: no id is used twice while they are there.
    pub(super) fn remove_older(&mut self) -> Result<()> {
        let older = "SELECT key FROM item WHERE scope = ?1 AND edition < ?2 AND gone IS NULL";
        let keys: Vec<[u8; 16]> = self
            .db
            .prepare_cached(older)?
            .query_map(params![self.scope, self.edition], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        keys.into_iter().try_for_each(|key| self.remove(KeyDigest(key)))
    }

    /// The row as it is, taken out of the tally.
    fn before(&mut self, key: KeyDigest) -> Result<Option<Before>> {
        let found = self
            .find
            .query_one(params![self.scope, key.0], |row| {
                Ok(Before { body: row.get(0)?, gone: row.get(1)?, missed: row.get(2)? })
            })
            .optional()?;
        if let Some(before) = &found {
            self.tally.count(before.gone, before.missed, -1);
        }
        Ok(found)
    }
}
