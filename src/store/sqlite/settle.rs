//! How attempts end: each is kept, its delivery moves on, the sink's state is written once for all of them, and the next
//! of each lane may go; all in one transaction.
//!
//! What an answer means is not decided here.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::delivery::{Answer, Attempt, Verdict};
use crate::core::names::Lane;
use crate::core::time::Timestamp;
use crate::store::sqlite::error::Result;
use crate::store::sqlite::sinks::{Moved, Open};
use crate::store::sqlite::writer::Durability;
use crate::store::sqlite::{batches, outbox, sinks};
use crate::store::{DeliveryTicket, Settled, Settlement, SinkState, StoreError};

/// Bytes that are kept of an answer's body.
const ANSWER_MAX: usize = 4096;

/// The first of a lane that has not ended.
pub(super) const FIRST_OF_LANE: &str = "SELECT id, state FROM delivery WHERE sink = ?1 AND lane = ?2 AND ended IS NULL \
             ORDER BY id LIMIT 1";

/// Where a delivery goes after an attempt.
struct Next<'a> {
    state: &'a str,
    due: Option<Timestamp>,
    ended: Option<Timestamp>,
    reason: Option<&'a str>,
}

/// A delivery whose attempt was kept.
struct Gone {
    /// The delivery has ended: its lane may go on.
    ended: Option<(Timestamp, Option<Lane>)>,
    moved: Moved,
}

/// When these have to be on the disk. A retry that nobody asked to wait would only be made once more, so a receiver that
/// is down does not keep the disk from those that are not; an answer that asks for patience is not forgotten.
pub(super) fn durability(group: &[Settlement]) -> Durability {
    let forgettable = |settlement: &Settlement| {
        matches!(settlement.verdict, Verdict::RetryAt(_)) && settlement.attempt.answer.retry_after().is_none()
    };
    if group.iter().all(forgettable) { Durability::WithTheNext } else { Durability::AtOnce }
}

/// Settles attempts of one sink: the state of each delivery first, then the sink's, which says whether what waits behind
/// them may go.
pub(super) fn settle(
    db: &Connection,
    epoch: i64,
    group: &[Settlement],
    state: &SinkState,
) -> Result<(Vec<Settled>, Option<SinkState>)> {
    let Some(Settlement { ticket: DeliveryTicket { sink: name, .. }, .. }) = group.last() else {
        return Ok((Vec::new(), None));
    };
    if group.iter().any(|settlement| settlement.ticket.sink != *name) {
        return Err(StoreError::Refused("settlements of several sinks at once".to_owned()));
    }
    let sink = sinks::find(db, name)?.map_or(0, |sink| sink.id);
    let mut state = SinkState { disabled: None, ..state.clone() };
    let (mut settled, mut moved, mut lanes) = (Vec::with_capacity(group.len()), Moved::default(), Vec::new());
    for (at, settlement) in group.iter().enumerate() {
        let gone = match one(db, epoch, sink, settlement) {
            Ok(gone) => gone,
            Err(error @ StoreError::LeaseLost(_)) => {
                settled.push(Err(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Verdict::SinkGone(reason) = &settlement.verdict {
            state.disabled.get_or_insert_with(|| reason.clone());
        }
        moved = moved.and(gone.moved);
        lanes.extend(gone.ended.map(|ended| (at, ended)));
        settled.push(Ok(None));
    }
    if settled.iter().all(Result::is_err) {
        return Ok((settled, None));
    }
    let state = sinks::write(db, name, &state, moved)?;
    let open = sinks::find(db, name)?.filter(|sink| sink.open);
    for (at, (ended, lane)) in lanes {
        settled[at] = Ok(promote(db, &group[at].ticket, lane, sink, open, ended)?);
    }
    Ok((settled, Some(state)))
}

/// Settles one attempt, but for the sink's state and the lane. It refuses before it writes.
fn one(db: &Connection, epoch: i64, sink: i64, settlement: &Settlement) -> Result<Gone> {
    let Settlement { ticket, attempt, verdict, .. } = settlement;
    if ticket.epoch != epoch {
        return Err(overtaken(ticket));
    }
    if let Some(batch) = ticket.batch {
        return Ok(Gone { ended: None, moved: batches::settle(db, sink, settlement, batch)? });
    }
    let (state, lane) = standing(db, ticket)?;
    let failure = failure(&attempt.answer);
    keep(db, ticket.id, attempt, failure.as_deref())?;
    let now = attempt.at.plus(attempt.took);
    let next = next(verdict, &state, ticket.parcel.seen_at, now, failure.as_deref());
    move_on(db, ticket.id, &next)?;
    let Some(ended) = next.ended else { return Ok(Gone { ended: None, moved: Moved::default() }) };
    if *verdict == Verdict::Delivered {
        outbox::note_told(db, sink, ticket)?;
    }
    let held = i64::from(state == "held");
    let moved = Moved { backlog: held - 1, held: -held, dead: i64::from(next.state == "dead") };
    Ok(Gone { ended: Some((ended, lane)), moved })
}

/// The state of the delivery and its lane, which may be another by now, if this ticket's claim on it stands.
pub(super) fn standing(db: &Connection, ticket: &DeliveryTicket) -> Result<(String, Option<Lane>)> {
    let found = db
        .prepare_cached(
            "SELECT state, lane FROM delivery WHERE id = ?1 AND epoch = ?2 AND attempts = ?3 AND state IN ('due', 'held')",
        )?
        .query_one(params![ticket.id, ticket.epoch, ticket.attempts], |row| {
            Ok((row.get(0)?, row.get::<_, Option<[u8; 16]>>(1)?.map(Lane)))
        })
        .optional()?;
    found.ok_or_else(|| overtaken(ticket))
}

fn overtaken(ticket: &DeliveryTicket) -> StoreError {
    StoreError::LeaseLost(format!("delivery {}", ticket.id))
}

fn next<'a>(
    verdict: &'a Verdict,
    state: &'a str,
    seen: Timestamp,
    now: Timestamp,
    failure: Option<&'a str>,
) -> Next<'a> {
    // A delivery that was held while it was on its way stays held; one that is due keeps the moment.
    let open = |due: Timestamp, reason: Option<&'a str>| Next {
        state,
        due: (state == "due").then_some(due),
        ended: None,
        reason,
    };
    match verdict {
        Verdict::Delivered => Next { state: "delivered", due: None, ended: Some(now), reason: None },
        Verdict::Dead(reason) => Next { state: "dead", due: None, ended: Some(now), reason: Some(reason) },
        Verdict::RetryAt(due) => open(*due, failure),
        Verdict::SinkGone(reason) => open(seen.min(now), Some(failure.unwrap_or(reason))),
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
fn promote(
    db: &Connection,
    ended: &DeliveryTicket,
    lane: Option<Lane>,
    sink: i64,
    open: Option<Open>,
    now: Timestamp,
) -> Result<Option<DeliveryTicket>> {
    let Some(lane) = lane else { return Ok(None) };
    let (Some(id), Some(open)) = (wake(db, sink, lane, now)?, open) else { return Ok(None) };
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
        attempt.trace.headers.as_json(),
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
    &text[..text.floor_char_boundary(ANSWER_MAX)]
}
