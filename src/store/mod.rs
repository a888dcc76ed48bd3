//! Memory that survives: what the rooms above ask of a store, in domain verbs that are one transaction each.
//!
//! No type of a database leaves its folder. A node acts only on tickets that a store gave it: a ticket carries a
//! lease's epoch, is consumed by the verb that ends it, and a verb whose ticket has been overtaken refuses with
//! [`StoreError::LeaseLost`] and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::core::alert::{Bell, DeadLetter, Notice, Ring};
use crate::core::breaker::Open;
use crate::core::cursor::CursorState;
use crate::core::delivery::{Attempt, Parcel, Verdict};
use crate::core::event::NewEvent;
use crate::core::hold::Hold;
use crate::core::job::Fingerprints;
use crate::core::ledger::{Dirty, DirtyWrite, Remembered, Row, RowWrite, SettleWrite};
use crate::core::names::{Digest, JobName, JobUid, Key, KeyDigest, Lane, Scope, SinkName};
use crate::core::operate::{DeliveryFilter, DeliveryRow};
use crate::core::outcome::PollOutcome;
use crate::core::plan::Standings;
use crate::core::time::Timestamp;
use crate::core::view::{EventDetail, EventFilter, EventView, Page};
use crate::core::why::{Observation, WhyItem};

#[cfg(test)]
mod conformance;
mod error;
mod operations;
mod paces;
mod record;
mod seals;
mod secrets;
pub mod sqlite;
mod upkeep;

pub use error::{OpenError, StoreError};
pub use operations::{Operations, Renderable, ReplayCursor, Replayable, Retried};
pub use paces::Paces;
pub use record::JobRecord;
pub use seals::{PageSeal, PageSeals, Seal};
pub use secrets::{Secrets, Slot};
pub use upkeep::Upkeep;

/// Everything that a daemon asks of a store.
///
/// Wait for a verb to its end: one whose future is dropped half-way may still happen, and the delivery tickets that it
/// would have handed over are lost until the daemon starts again.
pub trait Store: Polls + Outbox + Operations + Bells + Paces + Secrets + Archive + Upkeep {}

impl<T: Polls + Outbox + Operations + Bells + Paces + Secrets + Archive + Upkeep> Store for T {}

/// What is remembered of a job's scope, beside its items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeState {
    /// The sequence of the last event; 0 before the first.
    pub sequence: u64,
    /// True once a complete poll has been committed under these fingerprints.
    pub baseline: bool,
    /// Ledger rows that are not gone. Counted by the store: what a [`PollEnding`] says here is not read.
    pub items: u64,
    /// How many of those were missing from the last complete poll. Counted by the store, too.
    pub missing: u64,
    /// Items with a new value that has to persist before it is said. Counted by the store, too.
    pub settling: u64,
    /// True while there are items whose details could not be had. Set by the store.
    pub dirty: bool,
    /// What the last complete poll's answer can be recognised by, under its request fingerprint.
    pub seal: Option<Seal>,
    /// True when something was committed since the last complete poll: the ledger is ahead of what was sealed, so no
    /// seal counts, and what is known is not known without a gap. Set by the store with each part of a poll.
    pub gap: bool,
    /// Set when a part of this selection was read into a ledger of another, or it was forgotten, so that only a silent
    /// poll of all makes it whole, though the edit be taken back. Set by the store with each part of a new baseline.
    pub mixed: Option<Box<Digest>>,
    /// How often a new baseline was begun: rows that were last written before the latest are of another selection.
    /// Counted by the store.
    pub edition: u32,
    /// How far the job has read, where it has a cursor. Boxed: most jobs have none, and all are in memory.
    pub cursor: Option<Box<CursorState>>,
    /// The fingerprints that its ledger was read under; `None` before its first poll has ended.
    pub fingerprints: Option<Fingerprints>,
    /// What of it waits for a person. An answer that was given while a poll was under way outlives what that poll says
    /// here, unless it says that nothing waits any more.
    pub hold: Option<Box<Hold>>,
}

/// Proof that this node alone may poll this job until the lease ends.
///
/// Only a store makes one. A ticket that is dropped without being spent frees its job.
#[derive(Debug)]
#[must_use = "an unspent ticket polls nothing"]
pub struct PollTicket {
    /// The job.
    pub job: JobName,
    /// Its own id.
    pub uid: JobUid,
    /// How its polls have gone.
    pub record: JobRecord,
    /// What is remembered of each scope.
    pub scopes: BTreeMap<Scope, ScopeState>,
    /// The store's own proof.
    pub(in crate::store) lease: Lease,
}

/// A store's own proof of a claim: which claim it was, and the guard that frees it.
pub(in crate::store) type Lease = Box<dyn std::any::Any + Send + Sync>;

/// What a poll, or a part of one, writes in one transaction.
#[derive(Clone, Debug, Default)]
pub struct PollChanges {
    /// The scope they belong to.
    pub scope: Scope,
    /// Ledger rows as they shall be.
    pub rows: Vec<RowWrite>,
    /// Ledger rows that are forgotten without a trace: what a re-baseline no longer saw. Done before `rows`.
    pub remove: Vec<KeyDigest>,
    /// Of a poll under another request or selection: which. With a part of it the scope's baseline and seal are void
    /// until a poll ends, for its rows are no longer those of one selection.
    pub rebaseline: Option<Digest>,
    /// What its polls have read of this selection is all that there is: rows of another one are forgotten without a
    /// trace. Done after `rows`.
    pub closes: bool,
    /// Events in the order of their sequence, beginning at the scope's sequence + 1.
    pub events: Vec<NewEvent>,
    /// A system event that tells of this poll, in the stream of those.
    pub notice: Option<Notice>,
    /// The seals of the scope's pages, where a complete poll says what they are.
    pub pages: Option<PageSeals>,
    /// When a complete poll took the scope's items over without a word, where this one did.
    pub baselined: Option<Timestamp>,
    /// New values that have to persist, as they stand.
    pub settle: Vec<SettleWrite>,
    /// Items whose details could not be had, and those of which they were had after all.
    pub dirty: Vec<DirtyWrite>,
    /// What was seen and not said.
    pub observations: Vec<Observation>,
}

impl PollChanges {
    /// How many deliveries each sink gets that can be sent.
    pub fn deliveries(&self) -> Room {
        let mut counts = Room::new();
        let sendable =
            self.events.iter().flat_map(|event| &event.deliveries).filter(|delivery| delivery.dead.is_none());
        for delivery in sendable {
            *counts.entry(delivery.sink.clone()).or_default() += 1;
        }
        for sink in self.notice.iter().flat_map(Notice::sinks) {
            *counts.entry(sink.clone()).or_default() += 1;
        }
        counts
    }
}

/// How a poll ended, written with its last changes.
#[derive(Clone, Debug)]
pub struct PollEnding {
    /// The outcome.
    pub outcome: PollOutcome,
    /// When it ended.
    pub at: Timestamp,
    /// The state of its scope as it shall be. Its `sequence` must be that of the last event (or, without events, what
    /// it was): anything else is refused.
    pub scope: ScopeState,
}

/// How many deliveries of each sink the dispatcher has room for: a commit hands over at most as many tickets.
pub type Room = BTreeMap<SinkName, usize>;

/// Claims on jobs, the ledger, and the one transaction.
#[async_trait]
pub trait Polls: Send + Sync {
    /// Up to `limit` items that a job has now, as they were last reported, over all scopes whose baseline is complete;
    /// `None` while there is no such scope. Needs no claim: it is how one job's items are another's scopes.
    async fn live_items(&self, job: &JobName, limit: usize) -> Result<Option<Vec<Remembered>>, StoreError>;

    /// Claims a job. `None` while another claim on it stands. Reads nothing from disk for a job that was claimed
    /// before in this process.
    async fn claim_poll(&self, job: &JobName, now: Timestamp) -> Result<Option<PollTicket>, StoreError>;

    /// The ledger's narrow rows for items, given as their keys and the digests of their bytes now, in their order; gone
    /// items are rows too. Through one range read where that is cheaper than a look-up for each key.
    async fn rows(
        &self,
        ticket: &PollTicket,
        scope: &Scope,
        items: &[(KeyDigest, Digest)],
    ) -> Result<Found, StoreError>;

    /// Rows that are neither gone nor in `seen` (sorted): what is missing from a list that was read whole.
    async fn missing(&self, ticket: &PollTicket, scope: &Scope, seen: Vec<KeyDigest>) -> Result<Vec<Row>, StoreError>;

    /// Rows that are not gone and whose `missed` is above 0: what a poll that is unchanged misses once more.
    async fn still_missing(&self, ticket: &PollTicket, scope: &Scope) -> Result<Vec<Row>, StoreError>;

    /// Items with a new value that has to persist, and in how many polls in a row it was seen.
    async fn settling(&self, ticket: &PollTicket, scope: &Scope) -> Result<Vec<(KeyDigest, u32)>, StoreError>;

    /// Those values for `keys`, in their order.
    async fn pending(
        &self,
        ticket: &PollTicket,
        scope: &Scope,
        keys: &[KeyDigest],
    ) -> Result<Vec<Option<Remembered>>, StoreError>;

    /// Items whose details could not be had, and how they are known.
    async fn dirty(&self, ticket: &PollTicket, scope: &Scope) -> Result<Vec<(KeyDigest, Dirty)>, StoreError>;

    /// Those listed items for `keys`, in their order.
    async fn listed(
        &self,
        ticket: &PollTicket,
        scope: &Scope,
        keys: &[KeyDigest],
    ) -> Result<Vec<Option<Remembered>>, StoreError>;

    /// What a request of this fingerprint was answered with in the last complete poll, where it was a page of several.
    async fn page(&self, ticket: &PollTicket, scope: &Scope, request: Digest) -> Result<Option<PageSeal>, StoreError>;

    /// Keys and bodies for `keys`, in their order.
    async fn remembered(
        &self,
        ticket: &PollTicket,
        scope: &Scope,
        keys: &[KeyDigest],
    ) -> Result<Vec<Option<Remembered>>, StoreError>;

    /// Commits a part of a poll that is whole for its items: rows, events, deliveries. What says "this was read"
    /// stays as it is, and the scope has a gap until a poll ends. Returns tickets for the deliveries that can go at once,
    /// as far as there is room.
    async fn commit_part(
        &self,
        ticket: &mut PollTicket,
        changes: PollChanges,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>, StoreError>;

    /// Commits the last part of one scope of a poll that goes on with others, and the scope's state as it shall be.
    async fn commit_scope(
        &self,
        ticket: &mut PollTicket,
        changes: PollChanges,
        state: ScopeState,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>, StoreError>;

    /// Commits the last part of a poll and how it ended: rows, events, deliveries, seal, outcome, fingerprints.
    async fn commit_poll(
        &self,
        ticket: PollTicket,
        changes: PollChanges,
        ending: PollEnding,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>, StoreError>;

    /// Ends a poll that changes nothing but its job's record and, where a server renewed them, the validators of its
    /// seal. Kept in memory and written with the next commit or [`Upkeep::flush`]: an unchanged poll costs no write.
    async fn note_poll(&self, ticket: PollTicket, note: PollNote) -> Result<(), StoreError>;
}

/// What the ledger has of some items.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Their rows, in the order in which they were asked for.
    pub rows: Vec<Option<Row>>,
    /// Keys and bodies of those that differ, where they are few: what is mostly asked for next, from the same look.
    pub remembered: BTreeMap<KeyDigest, Remembered>,
}

/// How a poll ended that commits nothing.
#[derive(Clone, Debug)]
pub struct PollNote {
    /// Unchanged or failed, or another one that found nothing to commit.
    pub outcome: PollOutcome,
    /// When it ended.
    pub at: Timestamp,
    /// New validators for the seals of scopes.
    pub seals: Vec<(Scope, Seal)>,
    /// What was seen in scopes and not said.
    pub observations: Vec<(Scope, Vec<Observation>)>,
}

/// Proof that this node alone may attempt this delivery.
#[derive(Debug)]
#[must_use = "an unspent ticket keeps its delivery waiting until the daemon starts again"]
pub struct DeliveryTicket {
    /// The delivery's number; grows in commit order.
    pub id: i64,
    /// Who gets it.
    pub sink: SinkName,
    /// What is sent.
    pub parcel: Parcel,
    /// Attempts made before.
    pub attempts: u32,
    /// The order it stands in.
    pub lane: Option<Lane>,
    /// The batch that it is, where it is one.
    pub(in crate::store) batch: Option<i64>,
    /// The claim's epoch.
    pub(in crate::store) epoch: i64,
}

impl DeliveryTicket {
    /// True for what was never sent and may go together with others.
    pub fn is_loose(&self) -> bool {
        self.attempts == 0 && self.batch.is_none() && self.parcel.wire.can_be_batched()
    }
}

/// How much a batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchRoom {
    /// Events.
    pub events: usize,
    /// Bytes of its body.
    pub bytes: usize,
}

/// What is remembered of a sink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkState {
    /// Set: disabled, with the reason.
    pub disabled: Option<String>,
    /// Nothing is sent before this moment (`Retry-After`).
    pub not_before: Option<Timestamp>,
    /// Failed attempts in a row, over all its deliveries.
    pub failures: u32,
    /// When the first of those was made.
    pub failing_since: Option<Timestamp>,
    /// When it last answered 2xx.
    pub last_success: Option<Timestamp>,
    /// The sentence of its last failed attempt.
    pub last_failure: Option<String>,
    /// Since when a person keeps it from being sent to. Only [`Operations::pause_sink`] changes it.
    pub paused: Option<Timestamp>,
    /// Set while its breaker is open.
    pub open: Option<Open>,
    /// How often a person has resumed or enabled it. A settlement that knows of fewer leaves the breaker as it is.
    pub resumes: u64,
}

/// An attempt that has ended, and what follows from it.
#[derive(Debug)]
pub struct Settlement {
    /// The delivery.
    pub ticket: DeliveryTicket,
    /// The attempt, to be kept.
    pub attempt: Attempt,
    /// What happens next to the delivery.
    pub verdict: Verdict,
}

/// What follows a settled attempt: the ticket of the next of its order, or [`StoreError::LeaseLost`].
pub type Settled = Result<Option<DeliveryTicket>, StoreError>;

/// The queue of deliveries.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Claims up to `limit` deliveries of a sink that are due at `now`: those with the fewest attempts first, then
    /// those that have been due the longest (first attempts are due from when their event was seen), then by number.
    /// Never one that waits behind another of its lane, and none of a sink that is disabled, paused or not in the
    /// config. Where their bodies are large it may be fewer; what is left is due as before.
    async fn claim_deliveries(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeliveryTicket>, StoreError>;

    /// Claims up to `limit` deliveries of a sink that were attempted before and are due at `now`: those that have been
    /// due the longest first. So that retries get their share while first attempts never run out.
    async fn claim_retries(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeliveryTicket>, StoreError>;

    /// Binds claimed deliveries of one sink, all [loose](DeliveryTicket::is_loose), of one kind and none a stranger to
    /// its place in the queue, together with what waits behind them in their lanes as far as there is room: from now on
    /// they go in one request, the same on every attempt, until all have ended with one answer. The ticket of the batch
    /// stands for theirs. After an error theirs stand.
    async fn bind(&self, tickets: &[DeliveryTicket], room: BatchRoom) -> Result<DeliveryTicket, StoreError>;

    /// When the next unclaimed delivery of a sink falls due; `None` when it has none, or when all it has is held. May
    /// lie in the past. The sink's own `not_before` is not part of it.
    async fn next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>, StoreError>;

    /// Settles attempts of one sink, in their order: keeps each, moves its delivery on, and writes the sink's state as it
    /// is by now. When a delivery has ended, the next of its lane becomes due and comes back as a ticket.
    /// `Verdict::SinkGone` disables the sink, which holds the delivery and every other of the sink that has not ended. The
    /// attempt is numbered by the store. When a batch has ended, or is split, what may go next is due and is not claimed.
    ///
    /// `sink` overwrites what was remembered, except that it neither enables nor disables, pauses nor resumes: attempts in
    /// flight know less than the one that was answered 410, and less than the person who enabled the sink since. Only the
    /// verdict, [`Outbox::enable_sink`] and [`Operations::pause_sink`] do. Nor does an earlier `not_before` replace a later
    /// one.
    ///
    /// A settlement whose claim has been overtaken changes nothing, and says so in its place; the others stand. After an
    /// error nothing is written, and the same settlements may be handed in again, with the sink as it is then: others may
    /// have been written meanwhile.
    async fn settle(&self, ended: Arc<Vec<Settlement>>, sink: SinkState) -> Result<Vec<Settled>, StoreError>;

    /// Gives a claim back without an attempt (at shutdown, or when the sink was disabled meanwhile).
    async fn release(&self, tickets: Vec<DeliveryTicket>) -> Result<(), StoreError>;

    /// Ends the oldest deliveries of a sink that have not ended, are not held and are not claimed as dead, with this reason: at most
    /// `most` of them, and only what was seen before `before` where that is given. The next of their lanes become due.
    /// Returns how many. One call ends at most some hundreds, so that others' commits don't wait long: call again.
    async fn drop_oldest(
        &self,
        sink: &SinkName,
        most: u64,
        before: Option<Timestamp>,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// How many deliveries of a sink stand where, even while it is disabled; one that is unknown has none. `oldest` is
    /// that of all which have not ended, held ones too.
    async fn queue(&self, sink: &SinkName) -> Result<Queue, StoreError>;

    /// What is remembered of a sink.
    async fn sink_state(&self, sink: &SinkName) -> Result<SinkState, StoreError>;

    /// Nothing is sent to a sink before `until`: its receiver has asked for that, otherwise than by a delivery. A later
    /// moment that it has asked for stands.
    async fn postpone_sink(&self, sink: &SinkName, until: Timestamp) -> Result<(), StoreError>;

    /// Enables a disabled sink and forgets its failures: what was held is due again at once, in order. A moment that
    /// the receiver asked to be left alone until stands.
    async fn enable_sink(&self, sink: &SinkName, now: Timestamp) -> Result<(), StoreError>;
}

/// System events, and which troubles have been told.
#[async_trait]
pub trait Bells: Send + Sync {
    /// Every bell that rings.
    async fn ringing(&self) -> Result<Vec<Bell>, StoreError>;

    /// Commits rings in their order and in one transaction: each one's system event with its deliveries, numbered in
    /// the stream of those, and what rings from then on. An event whose id is there already is not told again. Returns
    /// tickets for the deliveries that can go at once, as far as there is room.
    async fn ring(&self, rings: Vec<Ring>, room: &Room) -> Result<Vec<DeliveryTicket>, StoreError>;

    /// Up to `limit` deliveries that are dead and whose death was not told, the oldest first. One that was replayed
    /// and died again is among them again.
    async fn untold(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;
}

/// Looking back: reads for the API and the commands.
#[async_trait]
pub trait Archive: Send + Sync {
    /// How each job that has a state has gone.
    async fn jobs(&self) -> Result<Vec<(JobName, JobRecord)>, StoreError>;
    /// Each sink's state and queue.
    async fn sinks(&self) -> Result<Vec<(SinkName, SinkState, Queue)>, StoreError>;
    /// What is remembered of all jobs and sinks, for a plan.
    async fn standings(&self) -> Result<Standings, StoreError>;
    /// Events by filter, each with its deliveries.
    async fn events(&self, filter: &EventFilter) -> Result<Page<EventView>, StoreError>;
    /// One event with its body, deliveries and attempts.
    async fn event(&self, id: &str) -> Result<Option<EventDetail>, StoreError>;
    /// What was last seen of an item, said or not, in each scope that has it or had it: at most
    /// [`OBSERVATIONS_MAX`](crate::core::why::OBSERVATIONS_MAX) a scope, the newest first, with what polls have only
    /// noted. Nothing for a key that no item and no event has.
    async fn why(&self, job: &JobName, key: &Key) -> Result<Vec<WhyItem>, StoreError>;
    /// Up to `limit` keys of a job's items.
    async fn keys(&self, job: &JobName, limit: usize) -> Result<Vec<Key>, StoreError>;
    /// Deliveries by filter, the newest first.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>, StoreError>;
}

/// How many deliveries of a sink stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Due, retried later, or behind another of their lane.
    pub backlog: u64,
    /// Held.
    pub held: u64,
    /// Dead, and not replayed since.
    pub dead: u64,
    /// When the oldest of the backlog was seen.
    pub oldest: Option<Timestamp>,
    /// True while some of it is held, or was: only a person drops that. Said by [`Outbox::queue`] alone.
    pub kept: bool,
}
