//! Several events in one request: how many, how long they gather, what their body is, and what makes a batch this one.
//!
//! Pure. Which deliveries go together is the store's to keep, and when they do is the engine's to say.

use std::time::Duration;

use bytes::Bytes;

use crate::core::delivery::{Answer, Parcel};
use crate::core::envelope::ENVELOPE_BYTES_MAX;
use crate::core::event::id_of;
use crate::core::names::{BatchId, Digest, EventId, SinkName};

/// Bytes of a batch: as many as one event may have, so that a receiver which takes every event takes every batch. An
/// event that is as large goes alone.
pub const BATCH_BYTES_MAX: usize = ENVELOPE_BYTES_MAX;

/// Events of a batch: fewer than an outlet keeps ready in memory.
pub const BATCH_EVENTS_MAX: u32 = 250;

/// How a sink's events go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Events of a batch at most; one that has so many goes at once.
    pub max: usize,
    /// How long the first of a batch waits for others, from the moment its change was seen.
    pub wait: Duration,
}

/// 100 events, or what has come within a second.
impl Default for Batching {
    fn default() -> Self {
        Self { max: 100, wait: Duration::from_secs(1) }
    }
}

/// Of a parcel that is a batch: its id, and how many events it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Sent as `webhook-id` with every attempt.
    pub id: BatchId,
    /// At least one.
    pub events: usize,
}

/// Is this what the id of a batch looks like? An event's never does.
pub fn is_id(text: &str) -> bool {
    text.starts_with("bat_")
}

/// The id of a batch: a hash of whom it goes to and of its events in their order. The same events make the same batch.
pub fn derive_id<'a>(sink: &SinkName, events: impl IntoIterator<Item = &'a EventId>) -> BatchId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(sink.as_str().as_bytes());
    for event in events {
        // No name and no id holds a line end.
        hasher.update(b"\n").update(event.as_str().as_bytes());
    }
    BatchId::from(id_of("bat", Digest::from_hash(hasher.finalize())).as_str())
}

/// A JSON array of bodies that are JSON, each as it is.
pub fn body<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = vec![b'['];
    for (at, body) in bodies.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(body);
    }
    out.push(b']');
    out.into()
}

/// How many bytes a body adds to a batch: its own, and a comma or a bracket.
pub fn weight(body: usize) -> usize {
    body.saturating_add(1)
}

/// True when the receiver may well take these events in smaller batches.
pub fn is_to_be_split(parcel: &Parcel, answer: &Answer) -> bool {
    let several = parcel.batch.as_ref().is_some_and(|batch| batch.events > 1);
    several && matches!(answer, Answer::Status { status: 413, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_array_of_the_bytes_as_they_are() {
        let bodies: [&[u8]; 2] = [b"{\"total\":1.10}", b"{ }"];
        assert_eq!(body(bodies), "[{\"total\":1.10},{ }]");
        assert_eq!(body(bodies).len(), 1 + bodies.iter().map(|body| weight(body.len())).sum::<usize>());
        assert_eq!(body([]), "[]");
    }

    #[test]
    fn an_id_stands_for_the_events_in_their_order_and_for_the_sink() {
        let [a, b] = ["evt_a", "evt_b"].map(EventId::from);
        let crm = SinkName::from("crm");
        let id = derive_id(&crm, [&a, &b]);
        assert_eq!((id.as_str().len(), id.as_str().starts_with("bat_")), (30, true), "{id}");
        assert_eq!(derive_id(&crm, [&a, &b]), id);
        assert_ne!(derive_id(&crm, [&b, &a]), id);
        assert_ne!(derive_id(&crm, [&a]), id);
        assert_ne!(derive_id(&SinkName::from("erp"), [&a, &b]), id);
    }
}
