//! What was seen of items and not said, and all that tells why: beside the events, which tell of themselves.
//!
//! It keeps few rows an item, so that no field that flickers can fill the file.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::diff::Change;
use crate::core::hold::Hold;
use crate::core::names::{JobName, Key, KeyDigest};
use crate::core::rules::Rules;
use crate::core::time::Timestamp;
use crate::core::why::{OBSERVATIONS_MAX, Observation, ObservationView, Seen, Silence, WhyItem};
use crate::store::sqlite::error::{Result, small};
use crate::store::sqlite::{archive, jobs, unfinished};

/// Keeps what was seen in one scope.
pub(super) fn write(db: &Connection, scope: i64, observations: &[Observation]) -> Result<()> {
    observations.iter().try_for_each(|seen| put(db, scope, seen))
}

/// Keeps what was only noted; each comes with its scope.
pub(super) fn write_noted(db: &Connection, noted: &[(i64, Observation)]) -> Result<()> {
    noted.iter().try_for_each(|(scope, seen)| put(db, *scope, seen))
}

fn put(db: &Connection, scope: i64, seen: &Observation) -> Result<()> {
    if seen.silence.stands() {
        db.prepare_cached("DELETE FROM observation WHERE scope = ?1 AND key = ?2 AND silence = ?3")?
            .execute(params![scope, seen.key.0, seen.silence.as_str()])?;
    }
    let pointers = serde_json::to_string(&seen.seen).unwrap_or_else(|_| "{}".to_owned());
    if seen.silence == Silence::Held && !holds_anew(db, scope, seen, &pointers)? {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO observation (scope, key, at, silence, change, seen, polls, of) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        scope,
        seen.key.0,
        seen.at.0,
        seen.silence.as_str(),
        seen.change.map(Change::as_str),
        pointers,
        seen.polls.map(|(polls, _)| polls),
        seen.polls.map(|(_, of)| of),
    ])?;
    db.prepare_cached(
        "DELETE FROM observation WHERE scope = ?1 AND key = ?2 AND at < \
         (SELECT at FROM observation WHERE scope = ?1 AND key = ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute(params![scope, seen.key.0, OBSERVATIONS_MAX as i64 - 1])?;
    Ok(())
}

/// False when this was seen of the item since its scope holds what it does: that a hold goes on is nothing new. What it
/// was before in the same hold is forgotten.
fn holds_anew(db: &Connection, scope: i64, seen: &Observation, pointers: &str) -> Result<bool> {
    let hold =
        db.prepare_cached("SELECT hold FROM scope WHERE id = ?1")?.query_one([scope], |row| jobs::hold(row, 0))?;
    let since = hold.map_or(seen.at, |hold| hold.since);
    let same = "scope = ?1 AND key = ?2 AND silence = 'held' AND at >= ?3";
    let known = db
        .prepare_cached(&format!("SELECT 1 FROM observation WHERE {same} AND change IS ?4 AND seen = ?5"))?
        .exists(params![scope, seen.key.0, since.0, seen.change.map(Change::as_str), pointers])?;
    if !known {
        db.prepare_cached(&format!("DELETE FROM observation WHERE {same}"))?
            .execute(params![scope, seen.key.0, since.0])?;
    }
    Ok(!known)
}

/// Forgets up to `limit` that are older than `before`.
pub(super) fn forget(db: &Connection, before: Timestamp, limit: i64) -> Result<u64> {
    let deleted = db
        .prepare_cached(
            "DELETE FROM observation WHERE (scope, key, at, silence) IN \
             (SELECT scope, key, at, silence FROM observation WHERE at < ?1 LIMIT ?2)",
        )?
        .execute([before.0, limit])?;
    Ok(deleted as u64)
}

/// All that is known of an item, in each scope that has it or had it.
pub(super) fn why(db: &Connection, job: &JobName, key: &Key) -> Result<Vec<WhyItem>> {
    let mut items = Vec::new();
    for scope in scopes(db, job)? {
        let mut observations: Vec<ObservationView> = events(db, scope.id, key, &scope.rules)?;
        observations.extend(silent(db, scope.id, key.digest())?.into_iter().map(ObservationView::from));
        let row = standing(db, scope.id, key.digest())?;
        if row.is_none() && observations.is_empty() {
            continue;
        }
        let absent = if waits(db, &scope, key.digest(), &observations)? { "waiting" } else { "forgotten" };
        let (state, missed, deleted) = row.unwrap_or((absent, 0, None));
        let text = scope.text;
        let item = WhyItem {
            scope: (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap_or_else(|_| text.into())),
            state: state.to_owned(),
            missed,
            deleted,
            baseline: scope.baselined,
            observations,
        };
        items.push(item.held_by(job.as_str(), scope.hold.as_deref()).in_order());
    }
    Ok(items)
}

/// True for an item without a row that is new, and that is held or has to persist before it is said.
fn waits(db: &Connection, scope: &ScopeRow, key: KeyDigest, observations: &[ObservationView]) -> Result<bool> {
    let since = scope.hold.as_ref().map(|hold| hold.since);
    let is_held = |seen: &ObservationView| {
        seen.rule.as_deref() == Some(Silence::Held.as_str()) && since.is_some_and(|since| seen.timestamp >= since)
    };
    Ok(observations.iter().any(is_held) || unfinished::settles(db, scope.id, key)?)
}

struct ScopeRow {
    id: i64,
    text: String,
    baselined: Option<Timestamp>,
    /// Those that its items were last compared under.
    rules: Rules,
    hold: Option<Box<Hold>>,
}

fn scopes(db: &Connection, job: &JobName) -> Result<Vec<ScopeRow>> {
    let mut statement = db.prepare_cached(
        "SELECT scope.id, scope.text, scope.baselined, scope.rules, scope.hold FROM job JOIN scope ON scope.job = job.id \
         WHERE job.name = ?1 ORDER BY scope.text",
    )?;
    let rows = statement.query_map([job.as_str()], |row| {
        let baselined: Option<i64> = row.get(2)?;
        let rules: Option<String> = row.get(3)?;
        let rules = rules.and_then(|text| Rules::from_text(&text)).unwrap_or_default();
        let (id, text, hold) = (row.get(0)?, row.get(1)?, jobs::hold(row, 4)?);
        Ok(ScopeRow { id, text, baselined: baselined.map(Timestamp), rules, hold })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How an item stands: the word, the complete polls that missed it, and when it was deleted.
fn standing(db: &Connection, scope: i64, key: KeyDigest) -> Result<Option<(&'static str, u32, Option<Timestamp>)>> {
    let row = db
        .prepare_cached("SELECT missed, gone FROM item WHERE scope = ?1 AND key = ?2")?
        .query_one(params![scope, key.0], |row| Ok((small(row.get(0)?), row.get::<_, Option<i64>>(1)?)))
        .optional()?;
    Ok(row.map(|(missed, gone)| match (missed, gone) {
        (_, Some(at)) => ("deleted", 0, Some(Timestamp(at))),
        (0, None) => ("present", 0, None),
        (missed, None) => ("missing", missed, None),
    }))
}

fn silent(db: &Connection, scope: i64, key: KeyDigest) -> Result<Vec<Observation>> {
    let mut statement = db.prepare_cached(
        "SELECT at, silence, change, seen, polls, of FROM observation WHERE scope = ?1 AND key = ?2 ORDER BY at DESC",
    )?;
    let rows = statement.query_map(params![scope, key.0], |row| observation(row, key))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn observation(row: &Row<'_>, key: KeyDigest) -> rusqlite::Result<Observation> {
    let word = row.get_ref(1)?.as_str()?;
    let silence = Silence::parse(word).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, format!("`{word}` is no silence").into())
    })?;
    let polls: (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
    Ok(Observation {
        key,
        at: Timestamp(row.get(0)?),
        silence,
        change: row.get_ref(2)?.as_str_or_null()?.and_then(Change::parse),
        seen: serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default(),
        polls: polls.0.zip(polls.1).map(|(polls, of)| (small(polls), small(of))),
    })
}

/// The item's last events in one scope, with all that became of them.
fn events(db: &Connection, scope: i64, key: &Key, rules: &Rules) -> Result<Vec<ObservationView>> {
    let numbers: Vec<i64> = db
        .prepare_cached(
            "SELECT id FROM event WHERE job = (SELECT job FROM scope WHERE id = ?1) AND key = ?2 AND scope = ?1 \
             ORDER BY id DESC LIMIT ?3",
        )?
        .query_map(params![scope, key.as_str(), OBSERVATIONS_MAX as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut views = Vec::new();
    for id in numbers {
        if let Some(detail) = archive::detail(db, id)? {
            let seen = Seen::of_event(detail.body.get().as_bytes(), rules);
            views.push(ObservationView::of_event(detail, seen));
        }
    }
    Ok(views)
}
