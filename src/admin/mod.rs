//! Looking in: the HTTP API, health and metrics, over a store and the controls that it is handed.
//!
//! It never names the engine: what the engine must do comes in as [`Controls`].

use async_trait::async_trait;

use crate::core::names::{JobName, SinkName};
use crate::core::view::{JobView, PollReport, SinkView, TestReport};

/// What the daemon can be asked to do or to tell. The composition root implements it over the engine.
#[async_trait]
pub trait Controls: Send + Sync {
    /// Every job of the config, in the order of their names.
    async fn jobs(&self) -> Result<Vec<JobView>, Refusal>;
    /// Every sink of the config, in the order of their names.
    async fn sinks(&self) -> Result<Vec<SinkView>, Refusal>;
    /// Polls a job now, within its vendor's limits; without `commit` nothing is kept.
    async fn poll(&self, job: &JobName, commit: bool) -> Result<PollReport, Refusal>;
    /// Sends a signed sample event through the real delivery path.
    async fn test(&self, sink: &SinkName) -> Result<TestReport, Refusal>;
}

/// Why the daemon did not do what it was asked: becomes problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing; the sentence names the nearest.
    NotFound(String),
    /// Not now: it is being polled, or disabled.
    Conflict(String),
    /// Our own failure.
    Internal(String),
}
