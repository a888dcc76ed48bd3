//! The calls by which a person operates: deliveries listed, replayed and retried, jobs and sinks paused and resumed.
//!
//! They read what is asked and hand it on; what it means is the controls' and the archive's to say.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};

use crate::admin::AdminState;
use crate::admin::api::{Answer as Answered, Body, Name, Shared, no_parameters, text};
use crate::admin::names::unknown_name;
use crate::admin::problem::Problem;
use crate::admin::query::Query;
use crate::core::hold::Answer;
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{
    AnswerReport, DeliveryFilter, DeliveryRow, DeliveryState, DropFilter, DropReport, PauseReport, ReplayFilter,
    ReplayHow, ReplayReport, RetryReport,
};
use crate::core::time::Timestamp;
use crate::core::view::Page;

const DATE: &str = "an RFC 3339 date such as `2026-11-20T15:04:05Z`";

/// The paths of this file.
pub(super) fn routes() -> Router<Arc<AdminState>> {
    Router::new()
        .route("/api/v1/deliveries", get(deliveries))
        .route("/api/v1/deliveries/{id}/retry", post(retry))
        .route("/api/v1/events/{id}/replay", post(replay_event))
        .route("/api/v1/replay", post(replay))
        .route("/api/v1/drop", post(drop_held))
        .route("/api/v1/jobs/{name}/pause", post(pause_job))
        .route("/api/v1/jobs/{name}/resume", post(resume_job))
        .route("/api/v1/jobs/{name}/approve", post(approve))
        .route("/api/v1/jobs/{name}/reject", post(reject))
        .route("/api/v1/sinks/{name}/pause", post(pause_sink))
        .route("/api/v1/sinks/{name}/resume", post(resume_sink))
}

async fn deliveries(State(state): Shared, RawQuery(query): RawQuery) -> Answered<Page<DeliveryRow>> {
    let filter = delivery_filter(query.as_deref())?;
    let page = state.archive.deliveries(&filter).await?;
    if page.data.is_empty()
        && let Some(unknown) = unknown_name(&*state.archive, filter.job.as_deref(), filter.sink.as_deref()).await?
    {
        return Err(Problem::not_found(unknown));
    }
    Ok(Body(page))
}

fn delivery_filter(query: Option<&str>) -> Result<DeliveryFilter, Problem> {
    let mut query = Query::parse(query, &["sink", "job", "state", "since", "until", "batch", "after", "limit"])?;
    Ok(DeliveryFilter {
        sink: query.take("sink"),
        job: query.take("job"),
        states: states(&mut query, "`waiting`, `due`, `held`, `delivered` or `dead`, or some of them with commas")?,
        since: query.read("since", DATE, Timestamp::parse)?,
        until: query.read("until", DATE, Timestamp::parse)?,
        batch: query.take("batch"),
        after: query.read("after", "the `next` of the page before", |text| text.parse().ok())?,
        limit: Some(query.limit()?),
    })
}

fn states(query: &mut Query, what: &str) -> Result<Vec<DeliveryState>, Problem> {
    Ok(query.read("state", what, DeliveryState::parse_list)?.unwrap_or_default())
}

async fn replay(State(state): Shared, RawQuery(query): RawQuery) -> Answered<ReplayReport> {
    let known = ["sink", "job", "state", "since", "until", "dry_run", "render"];
    let mut query = Query::parse(query.as_deref(), &known)?;
    let how = how(&mut query)?;
    let filter = ReplayFilter {
        event: None,
        job: query.take("job"),
        sink: query.take("sink"),
        states: states(&mut query, "`delivered` or `dead`")?,
        since: query.read("since", DATE, Timestamp::parse)?,
        until: query.read("until", DATE, Timestamp::parse)?,
    };
    filter.check().map_err(Problem::bad_request)?;
    Ok(Body(state.controls.replay(&filter, how).await?))
}

fn how(query: &mut Query) -> Result<ReplayHow, Problem> {
    Ok(ReplayHow { dry_run: query.flag("dry_run")?, render: query.flag("render")? })
}

async fn drop_held(State(state): Shared, RawQuery(query): RawQuery) -> Answered<DropReport> {
    let mut query = Query::parse(query.as_deref(), &["sink", "job", "since", "until", "dry_run"])?;
    let dry_run = query.flag("dry_run")?;
    let filter = DropFilter {
        sink: query.take("sink"),
        job: query.take("job"),
        since: query.read("since", DATE, Timestamp::parse)?,
        until: query.read("until", DATE, Timestamp::parse)?,
    };
    filter.check().map_err(Problem::bad_request)?;
    Ok(Body(state.controls.drop_held(&filter, dry_run).await?))
}

async fn replay_event(State(state): Shared, id: Name, RawQuery(query): RawQuery) -> Answered<ReplayReport> {
    let mut query = Query::parse(query.as_deref(), &["sink", "dry_run", "render"])?;
    let how = how(&mut query)?;
    let filter = ReplayFilter { event: Some(text(id)?), sink: query.take("sink"), ..ReplayFilter::default() };
    Ok(Body(state.controls.replay(&filter, how).await?))
}

async fn retry(State(state): Shared, id: Name, query: RawQuery) -> Answered<RetryReport> {
    no_parameters(&query)?;
    let id = text(id)?;
    match id.parse() {
        Ok(number) => Ok(Body(state.controls.retry(number).await?)),
        Err(_) => Err(Problem::not_found(format!("there is no delivery `{}`: its id is a number", id.escape_debug()))),
    }
}

async fn pause_job(state: Shared, name: Name, query: RawQuery) -> Answered<PauseReport> {
    set_job(state, name, query, true).await
}

async fn resume_job(state: Shared, name: Name, query: RawQuery) -> Answered<PauseReport> {
    set_job(state, name, query, false).await
}

async fn approve(state: Shared, name: Name, query: RawQuery) -> Answered<AnswerReport> {
    answer(state, name, query, Answer::Approved).await
}

async fn reject(state: Shared, name: Name, query: RawQuery) -> Answered<AnswerReport> {
    answer(state, name, query, Answer::Rejected).await
}

async fn answer(State(state): Shared, name: Name, query: RawQuery, answer: Answer) -> Answered<AnswerReport> {
    no_parameters(&query)?;
    Ok(Body(state.controls.answer(&JobName::from(&*text(name)?), answer).await?))
}

async fn pause_sink(state: Shared, name: Name, query: RawQuery) -> Answered<PauseReport> {
    set_sink(state, name, query, true).await
}

async fn resume_sink(state: Shared, name: Name, query: RawQuery) -> Answered<PauseReport> {
    set_sink(state, name, query, false).await
}

async fn set_job(State(state): Shared, name: Name, query: RawQuery, paused: bool) -> Answered<PauseReport> {
    no_parameters(&query)?;
    Ok(Body(state.controls.pause_job(&JobName::from(&*text(name)?), paused).await?))
}

async fn set_sink(State(state): Shared, name: Name, query: RawQuery, paused: bool) -> Answered<PauseReport> {
    no_parameters(&query)?;
    Ok(Body(state.controls.pause_sink(&SinkName::from(&*text(name)?), paused).await?))
}
