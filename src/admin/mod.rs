//! Looking in: the HTTP API, health and metrics, over an archive and the controls that it is handed.
//!
//! It never names the engine: what the engine must do comes in as [`Controls`].

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::core::hold::Answer;
use crate::core::names::{JobName, SinkName};
use crate::core::observe::Pulse;
use crate::core::operate::{
    AnswerReport, DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow, ReplayReport, RetryReport,
};
use crate::core::reload::{ConfigView, ReloadReport};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, PollReport, PollWish, SinkView, TestReport, VendorView};
use crate::store::Archive;

mod api;
mod gate;
mod health;
mod listen;
mod metrics;
mod names;
mod nearest;
mod operate;
mod problem;
mod query;
mod state;
mod views;
mod why;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use health::Readiness;
pub use listen::Listener;
pub use metrics::Metrics;
pub use names::unknown_name;
pub use nearest::nearest;
pub use views::{job_view, sink_view};
pub use why::explain;

/// How long answers that are under way may take once the daemon stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// What the daemon can be asked to do or to tell. The composition root implements it over the engine.
///
/// A caller that hangs up drops the future at any of its waits: what must not be cut in half runs in a task of the
/// engine's own.
#[async_trait]
pub trait Controls: Send + Sync {
    /// Every job of the config, in the order of their names.
    async fn jobs(&self) -> Result<Vec<JobView>, Refusal>;
    /// Every sink of the config, in the order of their names.
    async fn sinks(&self) -> Result<Vec<SinkView>, Refusal>;
    /// What is left of vendors' limits, in the order of their names.
    async fn vendors(&self) -> Result<Vec<VendorView>, Refusal>;
    /// Polls a job now, within its vendor's limits; without `commit` nothing is kept.
    async fn poll(&self, job: &JobName, wish: PollWish) -> Result<PollReport, Refusal>;
    /// Sends a signed sample event through the real delivery path.
    async fn test(&self, sink: &SinkName) -> Result<TestReport, Refusal>;
    /// Keeps a job from being polled on schedule, or no longer; over restarts.
    async fn pause_job(&self, job: &JobName, paused: bool) -> Result<PauseReport, Refusal>;
    /// Approves or rejects what a job holds.
    async fn answer(&self, job: &JobName, answer: Answer) -> Result<AnswerReport, Refusal>;
    /// Keeps a sink from being sent to, or no longer; over restarts. A resume enables one that is disabled.
    async fn pause_sink(&self, sink: &SinkName, paused: bool) -> Result<PauseReport, Refusal>;
    /// Sends what has ended once more, or only counts it.
    async fn replay(&self, filter: &ReplayFilter, how: ReplayHow) -> Result<ReplayReport, Refusal>;
    /// Ends what is held as dead, or only counts it.
    async fn drop_held(&self, filter: &DropFilter, dry_run: bool) -> Result<DropReport, Refusal>;
    /// Sends one delivery now: before its moment, or once more when it has ended.
    async fn retry(&self, delivery: i64) -> Result<RetryReport, Refusal>;
    /// Reads the config again; one with errors changes nothing.
    async fn reload(&self) -> Result<ReloadReport, Refusal>;
    /// Whether the config on disk is in force.
    fn config(&self) -> ConfigView;
}

/// Why the daemon did not do what it was asked: becomes problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing; the sentence names the nearest.
    NotFound(String),
    /// Not now: it is being polled, or disabled.
    Conflict(String),
    /// The daemon is starting or stopping; the same call may do later.
    Unavailable(String),
    /// Our own failure.
    Internal(String),
    /// The config on disk has errors; each of them as a terminal would show it.
    Invalid {
        /// How many, and the first.
        detail: String,
        /// All of them.
        errors: Vec<String>,
    },
}

/// The sentence.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(why) | Self::Conflict(why) | Self::Unavailable(why) | Self::Internal(why) => {
                f.write_str(why)
            }
            Self::Invalid { detail, .. } => f.write_str(detail),
        }
    }
}

/// All that the API is served from.
#[derive(Clone)]
pub struct AdminState {
    /// What the engine does and tells.
    pub controls: Arc<dyn Controls>,
    /// What the store remembers. A store coerces to it.
    pub archive: Arc<dyn Archive>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What `/healthz` judges.
    pub pulse: Arc<Pulse>,
    /// What `/readyz` tells.
    pub readiness: Arc<Readiness>,
    /// What time it is.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// When the daemon started.
    pub started: Timestamp,
    /// What a caller must show, unless the listener is loopback or a Unix socket.
    pub token: Option<Secret>,
}

/// Serves until `shutdown`; then accepts nothing more and gives what is under way 5 s.
///
/// # Errors
///
/// A TCP listener that others can reach and no token: it is refused rather than served open.
pub async fn serve(listener: Listener, state: AdminState, shutdown: CancellationToken) -> io::Result<()> {
    let gate = gate::Gate::new(listener.reach()?, state.token.as_ref())?;
    let app = api::router(state, gate).into_make_service_with_connect_info::<listen::Activity>();
    let drained = axum::serve(listen::Bounded::new(listener), app)
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    tokio::select! {
        ended = drained => ended,
        () = async { shutdown.cancelled().await; tokio::time::sleep(DRAIN_WITHIN).await } => Ok(()),
    }
}
