//! How an attempt ends: it is kept, its delivery moves on, the sink's state is written, and the next of its lane may
//! go; all in one transaction.
//!
//! What an answer means is not decided here.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::delivery::{Answer, Attempt, Verdict};
use crate::core::names::Lane;
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::sinks::Moved;
use crate::store::sqlite::{batches, outbox, sinks};
use crate::store::{DeliveryTicket, Settlement, SinkState, StoreError};

/// Bytes that are kept of an answer's body.
const ANSWER_MAX: usize = 4096;

/// The first of a lane that has not ended.
pub(super) const FIRST_OF_LANE: &str = "SELECT id, state FROM delivery WHERE sink = ?1 AND lane = ?2 AND state IN ('waiting', 'due', 'held') \
             ORDER BY id LIMIT 1";

/// A delivery that was attempted, as the file has it.
pub(super) struct Stored {
    pub(super) sink: i64,
    state: String,
    pub(super) seen: Timestamp,
}

/// Where a delivery goes after an attempt.
struct Next<'a> {
    state: &'a str,
    due: Option<Timestamp>,
    ended: Option<Timestamp>,
    reason: Option<&'a str>,
}

/// Settles an attempt.
pub(super) fn settle(db: &Connection, settlement: &Settlement) -> Result<(Option<DeliveryTicket>, SinkState)> {
    let Settlement { ticket, attempt, verdict, sink: state } = settlement;
    let mut state = state.clone();
    if let Some(batch) = ticket.batch {
        return Ok((None, batches::settle(db, settlement, batch)?));
    }
    let stored = standing(db, ticket)?;
    let failure = failure(&attempt.answer);
    keep(db, ticket.id, attempt, failure.as_deref())?;
    let now = attempt.at.plus(attempt.took);
    let next = next(verdict, &stored, now, failure.as_deref());
    move_on(db, ticket.id, &next)?;
    state.disabled = match verdict {
        Verdict::SinkGone(reason) => Some(reason.clone()),
        _ => None,
    };
    let moved = match (next.ended, stored.state == "held") {
        (None, _) => Moved::default(),
        (Some(_), held) => {
            Moved { backlog: -i64::from(!held), held: -i64::from(held), dead: i64::from(next.state == "dead") }
        }
    };
    let state = sinks::write(db, &ticket.sink, &state, moved)?;
    if next.ended.is_none() {
        return Ok((None, state));
    }
    if *verdict == Verdict::Delivered {
        outbox::note_told(db, stored.sink, ticket)?;
    }
    Ok((promote(db, ticket, stored.sink, now)?, state))
}

/// The delivery, if this ticket's claim on it stands.
pub(super) fn standing(db: &Connection, ticket: &DeliveryTicket) -> Result<Stored> {
    let found = db
        .prepare_cached(
            "SELECT delivery.sink, delivery.state, event.at FROM delivery JOIN event ON event.id = delivery.event \
             WHERE delivery.id = ?1 AND delivery.epoch = ?2 AND delivery.attempts = ?3 \
             AND delivery.state IN ('due', 'held')",
        )?
        .query_one(params![ticket.id, ticket.epoch, ticket.attempts], |row| {
            Ok(Stored { sink: row.get(0)?, state: row.get(1)?, seen: Timestamp(row.get(2)?) })
        })
        .optional()?;
    found.ok_or_else(|| StoreError::LeaseLost(format!("delivery {}", ticket.id)))
}

fn next<'a>(verdict: &'a Verdict, stored: &'a Stored, now: Timestamp, failure: Option<&'a str>) -> Next<'a> {
    // A delivery that was held while it was on its way stays held; one that is due keeps the moment.
    let open = |due: Timestamp, reason: Option<&'a str>| Next {
        state: &stored.state,
        due: (stored.state == "due").then_some(due),
        ended: None,
        reason,
    };
    match verdict {
        Verdict::Delivered => Next { state: "delivered", due: None, ended: Some(now), reason: None },
        Verdict::Dead(reason) => Next { state: "dead", due: None, ended: Some(now), reason: Some(reason) },
        Verdict::RetryAt(due) => open(*due, failure),
        Verdict::SinkGone(reason) => open(stored.seen.min(now), Some(failure.unwrap_or(reason))),
        // Only a batch can be.
        Verdict::Split => open(now, failure),
    }
}

fn move_on(db: &Connection, id: i64, next: &Next<'_>) -> Result<()> {
    db.prepare_cached(
        "UPDATE delivery SET state = ?2, due = ?3, ended = ?4, reason = ?5, attempts = attempts + 1, epoch = 0 \
         WHERE id = ?1",
    )?
    .execute(params![id, next.state, next.due.map(|at| at.0), next.ended.map(|at| at.0), next.reason])?;
    Ok(())
}

/// The next of the lane becomes due, and its ticket is made if the sink may be sent to.
fn promote(db: &Connection, ended: &DeliveryTicket, sink: i64, now: Timestamp) -> Result<Option<DeliveryTicket>> {
    let Some(lane) = ended.lane else { return Ok(None) };
    let Some(id) = wake(db, sink, lane, now)? else { return Ok(None) };
    let Some(open) = sinks::find(db, &ended.sink)?.filter(|sink| sink.open) else { return Ok(None) };
    outbox::take(db, ended.epoch, &ended.sink, open, id).map(Some)
}

/// Makes the first of a lane due, if it waits. It has been due, for the order of the queue, since it was seen; a
/// replay stands behind what is new.
pub(super) fn wake(db: &Connection, sink: i64, lane: Lane, now: Timestamp) -> Result<Option<i64>> {
    let first = db
        .prepare_cached(FIRST_OF_LANE)?
        .query_one(params![sink, lane.0], |row| Ok((row.get::<_, i64>(0)?, row.get_ref(1)?.as_str()? == "waiting")))
        .optional()?;
    let Some((id, true)) = first else { return Ok(None) };
    db.prepare_cached(
        "UPDATE delivery SET state = 'due', \
         due = iif(replay, ?2, (SELECT min(event.at, ?2) FROM event WHERE event.id = delivery.event)) WHERE id = ?1",
    )?
    .execute([id, now.0])?;
    Ok(Some(id))
}

/// Keeps an attempt, numbered after those of its delivery: a batch that was taken apart leaves some behind.
pub(super) fn keep(db: &Connection, delivery: i64, attempt: &Attempt, failure: Option<&str>) -> Result<()> {
    let (status, kind, answer) = match &attempt.answer {
        Answer::Status { status, excerpt, .. } => (Some(*status), None, Some(cut(excerpt))),
        Answer::Unreachable(failure) => (failure.status, Some(failure.kind.as_str()), None),
        Answer::Forbidden(_) => (None, Some("address"), None),
    };
    db.prepare_cached(
        "INSERT INTO attempt (delivery, number, at, took_ms, status, kind, reason, answer, phases, headers) \
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE delivery = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        delivery,
        attempt.at.0,
        i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX),
        status,
        kind,
        failure,
        answer,
        json(&attempt.trace.phases),
        json(&attempt.trace.headers).filter(|_| !attempt.trace.headers.is_empty()),
    ])?;
    Ok(())
}

/// A value as JSON. What can't be written is not kept: it is for looking at only.
fn json(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

/// How the attempt failed, where it did.
pub(super) fn failure(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Status { status: 200..=299, .. } => None,
        Answer::Status { status, .. } => Some(format!("the receiver answered {status}")),
        Answer::Unreachable(failure) => Some(failure.sentence.clone()),
        Answer::Forbidden(sentence) => Some(sentence.clone()),
    }
}

/// The first bytes of a text, cut between two characters.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(ANSWER_MAX)).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}
