//! What a person does to a running store: pause, resume, replay, retry. Each verb is one transaction.
//!
//! Nothing here is sent or polled: whoever calls a verb wakes the engine after it.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{DropFilter, DropReport, ReplayFilter, ReplayReport};
use crate::core::rerender::{Kept, Rerendered};
use crate::core::time::Timestamp;
use crate::store::StoreError;

/// What a replay would do, and where it begins.
#[derive(Clone, Debug, Default)]
pub struct Replayable {
    /// How many deliveries, to whom, and what is left out.
    pub report: ReplayReport,
    /// To be handed in to [`Operations::replay`].
    pub from: ReplayCursor,
}

/// Where a replay has come to: in the order of events, up to what there was when it was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayCursor {
    /// The event, and the delivery of it, that was the last.
    pub(in crate::store) last: (i64, i64),
    /// The last delivery of all when it began: what it makes itself comes after.
    pub(in crate::store) upto: i64,
}

/// A delivery that a replay may render anew.
#[derive(Clone, Debug)]
pub struct Renderable {
    /// The delivery.
    pub delivery: i64,
    /// What it is rendered from.
    pub kept: Kept,
}

/// What asking for one delivery to be sent now came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due now.
    Due(SinkName),
    /// It had ended: this delivery is its replay.
    Replay(SinkName, i64),
    /// There is no such delivery.
    Unknown,
    /// Not now; the sentence says why.
    Refused(String),
}

/// What a person does.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Keeps a job from being polled since a moment, or no longer; true when that is news. A pause of a job that is
    /// paused keeps its moment. It outlives restarts, and the job's absence from the config.
    async fn pause_job(&self, job: &JobName, paused: Option<Timestamp>) -> Result<bool, StoreError>;

    /// Answers what a job holds, for the job's next poll; what it holds then is what was held, and is `None` when there
    /// is nothing to answer: a baseline that is not whole can't be rejected. A later answer replaces an earlier one.
    async fn answer(&self, job: &JobName, answer: Answer) -> Result<Option<Hold>, StoreError>;

    /// Keeps a sink from being sent to since a moment, or no longer; true when that is news. What is not ended is held
    /// meanwhile, and goes in order afterwards. No longer also means at once: a breaker that is open is closed. It says nothing of a sink that is disabled: see
    /// [`Outbox::enable_sink`](crate::store::Outbox::enable_sink).
    async fn pause_sink(&self, sink: &SinkName, paused: Option<Timestamp>) -> Result<bool, StoreError>;

    /// What a replay would do.
    async fn replayable(&self, filter: &ReplayFilter) -> Result<Replayable, StoreError>;

    /// Queues up to `limit` deliveries again, in the order of their events, each as a new delivery behind what stands
    /// in its lane; the ones before keep their history. How many for each sink, and where to go on, when there may be
    /// more.
    async fn replay(
        &self,
        filter: &ReplayFilter,
        from: ReplayCursor,
        limit: usize,
        now: Timestamp,
    ) -> Result<(BTreeMap<SinkName, u64>, Option<ReplayCursor>), StoreError>;

    /// Up to `limit` deliveries that have ended, in the order of their events, to be rendered anew: also those that could
    /// not be sent. Where to go on, when there may be more.
    async fn renderable(
        &self,
        filter: &ReplayFilter,
        from: ReplayCursor,
        limit: usize,
    ) -> Result<(Vec<Renderable>, Option<ReplayCursor>), StoreError>;

    /// Queues deliveries again as [`Operations::replay`] does, but with new bodies. How many for each sink.
    async fn replay_rendered(
        &self,
        rendered: Vec<(i64, Rerendered)>,
        now: Timestamp,
    ) -> Result<BTreeMap<SinkName, u64>, StoreError>;

    /// What is held and can be dropped: nothing that is claimed.
    async fn droppable(&self, filter: &DropFilter) -> Result<DropReport, StoreError>;

    /// Ends some hundreds of held deliveries as dead, the oldest of each sink first, with this reason; their deaths are
    /// told to nobody, for it was a person's word. How many of each sink: call again until there is none.
    async fn drop_held(
        &self,
        filter: &DropFilter,
        reason: &str,
        now: Timestamp,
    ) -> Result<BTreeMap<SinkName, u64>, StoreError>;

    /// Makes one delivery due now when it waits for its moment, or replays it when it has ended.
    async fn retry(&self, delivery: i64, now: Timestamp) -> Result<Retried, StoreError>;
}
