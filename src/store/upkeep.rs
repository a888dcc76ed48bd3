//! What keeps a store well: it follows the config, forgets what is old, and writes what was kept in memory.
//!
//! What a sink or a person still waits for is never forgotten.

use async_trait::async_trait;

use crate::core::config::Rename;
use crate::core::names::{JobName, SinkName};
use crate::core::sink::Order;
use crate::core::time::Timestamp;
use crate::store::StoreError;

/// What keeps a store well.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Makes the store's jobs and sinks those of the config: new ones get a row (a job also its uid), deliveries of
    /// sinks and jobs that are gone are held, and those of sinks and jobs that came back are due again. A job that was
    /// renamed takes over all that is remembered under its former name, once; [`StoreError::TwoPasts`] when both names
    /// have a state, and then nothing changed. A claim on a job that is renamed is void.
    async fn adopt_renamed(
        &self,
        jobs: &[JobName],
        sinks: &[SinkName],
        renames: &[Rename],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// [`Upkeep::adopt_renamed`] where nothing was renamed.
    async fn adopt(&self, jobs: &[JobName], sinks: &[SinkName], now: Timestamp) -> Result<(), StoreError> {
        self.adopt_renamed(jobs, sinks, &[], now).await
    }
    /// Follows the order of each sink. Where it was edited, what has not ended takes its place in the new order: by number,
    /// the first of each lane due and the others behind it. A batch stays what it is.
    async fn keep_orders(&self, orders: &[(SinkName, Order)], now: Timestamp) -> Result<(), StoreError>;
    /// Deletes what is older than `before`, at most `limit` rows of each kind: ended events with their deliveries and
    /// attempts, observations, ledger rows of items that are gone, the ledger of jobs that left the config. An event's age counts
    /// from the end of its last delivery; a job keeps its uid and its sequences for ever. Returns how many; call again
    /// until it is 0.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
    /// Writes what [`Polls::note_poll`](crate::store::Polls::note_poll) kept in memory.
    async fn flush(&self) -> Result<(), StoreError>;
    /// Goes once round through the writer: proof of life.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Flushes, checkpoints and closes; every later verb fails with [`StoreError::Closed`].
    async fn close(&self) -> Result<(), StoreError>;
}
