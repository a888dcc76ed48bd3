//! What the state remembers of jobs and sinks, in the config or not: what `doorbell plan` holds a config against.
//!
//! It decides nothing: what would become of them is said where the other config is.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;

use crate::admin::AdminState;
use crate::admin::api::{Answer, Body, Named, Shared};
use crate::core::plan::{JobStanding, SinkStanding};

/// The paths of this file.
pub(super) fn routes() -> Router<Arc<AdminState>> {
    Router::new().route("/api/v1/state/jobs", get(jobs)).route("/api/v1/state/sinks", get(sinks))
}

async fn jobs(State(state): Shared, RawQuery(query): RawQuery) -> Answer<Named<JobStanding>> {
    let standings = state.archive.standings().await?;
    Named::page(standings.jobs, query.as_deref(), |job| &job.name).map(Body)
}

async fn sinks(State(state): Shared, RawQuery(query): RawQuery) -> Answer<Named<SinkStanding>> {
    let standings = state.archive.standings().await?;
    Named::page(standings.sinks, query.as_deref(), |sink| &sink.name).map(Body)
}
