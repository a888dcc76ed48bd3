//! The paths of the API, and what each answers: `/api/v1`, `/healthz`, `/readyz`, `/metrics`.
//!
//! Handlers translate between HTTP and the controls or the archive; they decide nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;

use crate::admin::gate::Gate;
use crate::admin::listen::Activity;
use crate::admin::names::unknown_name;
use crate::admin::nearest::unknown;
use crate::admin::problem::Problem;
use crate::admin::query::{Query, event_filter};
use crate::admin::{AdminState, metrics, operate, state, why};
use crate::core::batch;
use crate::core::json::{Json, parse};
use crate::core::names::{JobName, SinkName};
use crate::core::reload::{ConfigView, ReloadReport};
use crate::core::view::{
    EventDetail, EventView, JobView, Page, PollReport, PollWish, SinkView, TestReport, VendorView,
};

/// How long a read may take.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// How long an action may take: a poll of many pages, each with its own timeout.
const ACT_WITHIN: Duration = Duration::from_secs(600);

/// Bytes of a body that are read: more than all parameters together take.
const BODY_MAX: usize = 1024;

pub(super) type Answer<T> = Result<Body<T>, Problem>;
pub(super) type Shared = State<Arc<AdminState>>;
pub(super) type Name = Result<Path<String>, PathRejection>;

/// Every path, behind the gate.
pub(super) fn router(state: AdminState, gate: Gate) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/jobs", get(jobs))
        .route("/api/v1/jobs/{name}", get(job))
        .route("/api/v1/jobs/{name}/poll", post(poll))
        .route("/api/v1/sinks", get(sinks))
        .route("/api/v1/sinks/{name}", get(sink))
        .route("/api/v1/sinks/{name}/test", post(test))
        .route("/api/v1/vendors", get(vendors))
        .route("/api/v1/events", get(events))
        .route("/api/v1/events/{id}", get(event))
        .merge(operate::routes())
        .merge(state::routes())
        .merge(why::routes())
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::new(gate), pass))
        .with_state(Arc::new(state))
}

/// Around every call: the gate, a time limit, and headers for browsers.
async fn pass(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(activity): ConnectInfo<Activity>,
    call: Request,
    next: Next,
) -> Response {
    let _working = activity.begin();
    let mut response = match gate.admit(call.method(), call.uri(), call.headers()) {
        Ok(()) if call.method() == Method::POST => within(ACT_WITHIN, act(call, next)).await,
        Ok(()) => within(READ_WITHIN, next.run(call)).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// An action takes its parameters in the query, and those of a body as if they stood there: a caller who is not heard may
/// be obeyed in what was not meant.
async fn act(call: Request, next: Next) -> Response {
    let (mut head, body) = call.into_parts();
    let is_small = body.size_hint().lower() <= BODY_MAX as u64;
    let body = if is_small { axum::body::to_bytes(body, BODY_MAX).await.ok() } else { None };
    let Some(uri) = body.and_then(|body| with_parameters(&head.uri, &body)) else {
        let detail = "the body is no JSON object of parameters such as `{\"sink\": \"NAME\", \"dry_run\": true}`, so \
                      nothing was done; they may stand in the query too: `?sink=NAME&dry_run=true`";
        return Problem::bad_request(detail).into_response();
    };
    head.uri = uri;
    next.run(Request::from_parts(head, axum::body::Body::empty())).await
}

/// The call with the parameters of its body in its query; `None` when the body is something else.
fn with_parameters(uri: &Uri, body: &[u8]) -> Option<Uri> {
    if body.trim_ascii().is_empty() {
        return Some(uri.clone());
    }
    let Ok(Json::Object(members)) = parse(body) else { return None };
    let mut query = url::form_urlencoded::Serializer::new(uri.query().unwrap_or_default().to_owned());
    for (name, value) in &members {
        match value {
            Json::Null => continue,
            Json::Array(_) | Json::Object(_) => return None,
            Json::String(text) => query.append_pair(name, text),
            Json::Bool(_) | Json::Number(_) => query.append_pair(name, &value.to_string()),
        };
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    Uri::try_from(format!("{}{mark}{query}", uri.path())).ok()
}

async fn within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(limit, answer).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("this took longer than {} s and was given up", limit.as_secs());
            Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).into_response()
        }
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// A page of a list that is ordered by name.
#[derive(Serialize)]
pub(super) struct Named<T> {
    data: Vec<T>,
    /// Hand this in as `after` for the next page; none on the last.
    next: Option<String>,
}

impl<T> Named<T> {
    pub(super) fn page(rows: Vec<T>, query: Option<&str>, name: impl Fn(&T) -> &str) -> Result<Self, Problem> {
        let mut query = Query::parse(query, &["after", "limit"])?;
        let limit = query.limit()? as usize;
        let after = query.take("after");
        let mut left = rows.into_iter().filter(|row| after.as_deref().is_none_or(|after| name(row) > after));
        let data: Vec<T> = left.by_ref().take(limit).collect();
        let next = left.next().and(data.last()).map(|row| name(row).to_owned());
        Ok(Self { data, next })
    }
}

pub(super) fn text(path: Name) -> Result<String, Problem> {
    path.map(|Path(name)| name).map_err(|_| Problem::bad_request("the path is not UTF-8"))
}

pub(super) fn no_parameters(RawQuery(query): &RawQuery) -> Result<(), Problem> {
    Query::parse(query.as_deref(), &[]).map(drop)
}

async fn jobs(State(state): Shared, RawQuery(query): RawQuery) -> Answer<Named<JobView>> {
    Named::page(state.controls.jobs().await?, query.as_deref(), |job| &job.name).map(Body)
}

async fn vendors(State(state): Shared, RawQuery(query): RawQuery) -> Answer<Named<VendorView>> {
    Named::page(state.controls.vendors().await?, query.as_deref(), |vendor| &vendor.name).map(Body)
}

async fn job(State(state): Shared, name: Name, query: RawQuery) -> Answer<JobView> {
    no_parameters(&query)?;
    let name = text(name)?;
    let jobs = state.controls.jobs().await?;
    match jobs.iter().find(|job| job.name == name) {
        Some(job) => Ok(Body(job.clone())),
        None => Err(Problem::not_found(unknown("job", &name, jobs.iter().map(|job| &*job.name)))),
    }
}

async fn poll(State(state): Shared, name: Name, RawQuery(query): RawQuery) -> Answer<PollReport> {
    let mut query = Query::parse(query.as_deref(), &["commit", "record"])?;
    let wish = PollWish { commit: query.flag("commit")?, record: query.flag("record")? };
    let name = JobName::from(&*text(name)?);
    Ok(Body(state.controls.poll(&name, wish).await?))
}

async fn sinks(State(state): Shared, RawQuery(query): RawQuery) -> Answer<Named<SinkView>> {
    Named::page(state.controls.sinks().await?, query.as_deref(), |sink| &sink.name).map(Body)
}

async fn sink(State(state): Shared, name: Name, query: RawQuery) -> Answer<SinkView> {
    no_parameters(&query)?;
    let name = text(name)?;
    let sinks = state.controls.sinks().await?;
    match sinks.iter().find(|sink| sink.name == name) {
        Some(sink) => Ok(Body(sink.clone())),
        None => Err(Problem::not_found(unknown("sink", &name, sinks.iter().map(|sink| &*sink.name)))),
    }
}

async fn test(State(state): Shared, name: Name, query: RawQuery) -> Answer<TestReport> {
    no_parameters(&query)?;
    let name = SinkName::from(&*text(name)?);
    Ok(Body(state.controls.test(&name).await?))
}

async fn events(State(state): Shared, RawQuery(query): RawQuery) -> Answer<Page<EventView>> {
    let filter = event_filter(query.as_deref())?;
    let page = state.archive.events(&filter).await?;
    if page.data.is_empty()
        && let Some(unknown) = unknown_name(&*state.archive, filter.job.as_deref(), None).await?
    {
        return Err(Problem::not_found(unknown));
    }
    Ok(Body(page))
}

async fn event(State(state): Shared, id: Name, query: RawQuery) -> Answer<EventDetail> {
    no_parameters(&query)?;
    let id = text(id)?;
    match state.archive.event(&id).await? {
        Some(event) => Ok(Body(event)),
        None if batch::is_id(&id) => {
            let list = format!("`{id}` is the id of a batch: `/api/v1/deliveries?batch={id}` lists what is in it");
            Err(Problem::not_found(list))
        }
        None => Err(Problem::not_found(format!("there is no event `{id}`; it may be older than `daemon.retention`"))),
    }
}

/// The daemon as a whole.
#[derive(Serialize)]
struct Status {
    version: &'static str,
    /// `starting`, `ready` or `draining`.
    state: &'static str,
    /// What is stuck, where something is.
    stuck: Option<String>,
    started: String,
    now: String,
    /// Whether the config on disk is in force.
    config: ConfigView,
}

async fn reload(State(state): Shared, query: RawQuery) -> Answer<ReloadReport> {
    no_parameters(&query)?;
    Ok(Body(state.controls.reload().await?))
}

async fn status(State(state): Shared, query: RawQuery) -> Answer<Status> {
    no_parameters(&query)?;
    let now = (state.now)();
    Ok(Body(Status {
        version: env!("CARGO_PKG_VERSION"),
        state: state.readiness.as_str(),
        stuck: state.pulse.alive(state.started, now).err(),
        started: state.started.to_string(),
        now: now.to_string(),
        config: state.controls.config(),
    }))
}

async fn healthz(State(state): Shared) -> Result<&'static str, Problem> {
    state
        .pulse
        .alive(state.started, (state.now)())
        .map(|()| "ok\n")
        .map_err(|reason| Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason))
}

async fn readyz(State(state): Shared) -> Result<&'static str, Problem> {
    match state.readiness.is_ready() {
        true => Ok("ready\n"),
        false => {
            let detail = format!("the daemon is {}", state.readiness.as_str());
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
        }
    }
}

async fn scrape(State(state): Shared) -> Result<Response, Problem> {
    let jobs = match state.metrics.shows_jobs() {
        true => state.controls.jobs().await?,
        false => Vec::new(),
    };
    let sinks = state.controls.sinks().await?;
    let vendors = state.controls.vendors().await?;
    let text = state.metrics.encode(&jobs, &sinks, &vendors, (state.now)());
    Ok(([(header::CONTENT_TYPE, metrics::OPENMETRICS)], text).into_response())
}

async fn no_such_path(call: Request) -> Problem {
    Problem::not_found(format!("there is nothing at `{}`; see docs/api.md for what there is", call.uri().path()))
}

async fn wrong_method(call: Request) -> Problem {
    let detail = format!("`{}` is not for `{}`", call.uri().path(), call.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
