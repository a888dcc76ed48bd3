//! Claimed deliveries that wait for others to go with them in one request, and when they have waited enough.
//!
//! Each kind gathers for itself: what is of another shape, or a replay, goes in another batch. It binds nothing itself.

use std::collections::VecDeque;

use crate::core::batch::{BATCH_BYTES_MAX, Batching, weight};
use crate::core::formats::Wire;
use crate::core::time::Timestamp;
use crate::store::{BatchRoom, DeliveryTicket};

/// Deliveries that arrive before batches may be twice as large again.
const ARRIVED: u32 = 16;

/// What may go together: the same shape, and all of them replays or none.
type Kind = (Wire, bool);

/// Deliveries of one sink that gather.
#[derive(Debug)]
pub(super) struct Gather {
    batching: Option<Batching>,
    kinds: Vec<(Kind, VecDeque<DeliveryTicket>)>,
    /// Bytes of a batch: less than may be, once the receiver has found one too large.
    bytes: usize,
    /// How many have arrived since that was last less or more.
    arrived: u32,
    /// The store could not bind them: not before this moment again.
    not_before: Option<Timestamp>,
}

impl Gather {
    pub(super) fn new(batching: Option<Batching>) -> Self {
        Self { batching, kinds: Vec::new(), bytes: BATCH_BYTES_MAX, arrived: 0, not_before: None }
    }

    /// Takes a delivery that goes with others; gives back one that goes alone.
    pub(super) fn admit(&mut self, ticket: DeliveryTicket) -> Option<DeliveryTicket> {
        if self.batching.is_none() || !ticket.is_loose() {
            return Some(ticket);
        }
        self.of_kind((ticket.parcel.wire, ticket.parcel.replay)).push_back(ticket);
        None
    }

    /// Gathers as the config now says.
    pub(super) fn follow(&mut self, batching: Option<Batching>) {
        self.batching = batching;
    }

    fn of_kind(&mut self, kind: Kind) -> &mut VecDeque<DeliveryTicket> {
        let at = self.kinds.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.kinds.push((kind, VecDeque::new()));
            self.kinds.len() - 1
        });
        &mut self.kinds[at].1
    }

    pub(super) fn len(&self) -> usize {
        self.kinds.iter().map(|(_, waiting)| waiting.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True while fewer wait than one batch holds.
    pub(super) fn wants_more(&self) -> bool {
        self.batching.is_some_and(|batching| self.len() < batching.max)
    }

    /// When the next batch goes, if nothing more comes; `None`: nothing waits.
    pub(super) fn ready_at(&self) -> Option<Timestamp> {
        let batching = self.batching?;
        let kinds = self.kinds.iter().filter(|(_, waiting)| !waiting.is_empty());
        let ready = kinds.map(|(_, waiting)| self.goes_at(waiting, batching)).min()?;
        Some(self.not_before.map_or(ready, |moment| ready.max(moment)))
    }

    fn goes_at(&self, waiting: &VecDeque<DeliveryTicket>, batching: Batching) -> Timestamp {
        let taken = self.fitting(waiting, batching.max);
        if taken == batching.max || taken < waiting.len() {
            return Timestamp(i64::MIN);
        }
        let oldest = waiting.iter().map(|ticket| ticket.parcel.seen_at).min();
        oldest.map_or(Timestamp(i64::MIN), |seen| seen.plus(batching.wait))
    }

    /// How many of them fit into one batch: at least one.
    fn fitting(&self, waiting: &VecDeque<DeliveryTicket>, most: usize) -> usize {
        let mut bytes = 1;
        let fits = |ticket: &&DeliveryTicket| {
            bytes += weight(ticket.parcel.body.len());
            bytes <= self.bytes
        };
        waiting.iter().take(most).take_while(fits).count().max(1)
    }

    /// The next batch, if one may go now. `probe`: one that does not wait, of one delivery.
    pub(super) fn next(&mut self, now: Timestamp, probe: bool) -> Option<Vec<DeliveryTicket>> {
        let batching = self.batching?;
        if self.not_before.is_some_and(|moment| moment > now) {
            return None;
        }
        let goes = |waiting: &VecDeque<DeliveryTicket>| {
            !waiting.is_empty() && (probe || self.goes_at(waiting, batching) <= now)
        };
        let at = self.kinds.iter().position(|(_, waiting)| goes(waiting))?;
        let count = if probe { 1 } else { self.fitting(&self.kinds[at].1, batching.max) };
        Some(self.kinds[at].1.drain(..count).collect())
    }

    /// How much a batch of these may hold in all.
    pub(super) fn room(&self, probe: bool) -> BatchRoom {
        let events = if probe { 1 } else { self.batching.map_or(1, |batching| batching.max) };
        BatchRoom { events, bytes: self.bytes }
    }

    /// They could not be bound: they wait again, until then.
    pub(super) fn put_back(&mut self, tickets: Vec<DeliveryTicket>, until: Timestamp) {
        self.not_before = Some(until);
        for ticket in tickets.into_iter().rev() {
            self.of_kind((ticket.parcel.wire, ticket.parcel.replay)).push_front(ticket);
        }
    }

    /// The receiver found a batch of so many bytes too large: later ones are half of it.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes / 2);
        self.arrived = 0;
    }

    /// One has arrived. After some of them larger batches are tried: it may have been one event that was too large.
    pub(super) fn grow(&mut self) {
        self.arrived += 1;
        if self.arrived >= ARRIVED {
            self.bytes = self.bytes.saturating_mul(2).min(BATCH_BYTES_MAX);
            self.arrived = 0;
        }
    }

    /// Everything, to be given back.
    pub(super) fn drain(&mut self) -> Vec<DeliveryTicket> {
        self.kinds.iter_mut().flat_map(|(_, waiting)| waiting.drain(..)).collect()
    }
}
