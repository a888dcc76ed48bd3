//! Why an item was told of, or was not: what the archive knows, or a sentence that names what there is.
//!
//! It reads; nothing is polled for it.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::routing::get;

use crate::admin::AdminState;
use crate::admin::api::{Answer, Body, Shared, no_parameters};
use crate::admin::names::unknown_name;
use crate::admin::nearest::unknown;
use crate::admin::problem::Problem;
use crate::core::names::{JobName, Key};
use crate::core::why::WhyView;
use crate::store::{Archive, StoreError};

/// Keys among which the nearest to one that is unknown is sought: some tens of milliseconds.
const KEYS_MAX: usize = 20_000;

pub(super) fn routes() -> Router<Arc<AdminState>> {
    Router::new().route("/api/v1/jobs/{name}/items/{key}/why", get(why))
}

async fn why(
    State(state): Shared,
    path: Result<Path<(String, String)>, PathRejection>,
    query: RawQuery,
) -> Answer<WhyView> {
    no_parameters(&query)?;
    let Path((job, key)) = path.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
    match explain(&*state.archive, &job, &key).await? {
        Ok(view) => Ok(Body(view)),
        Err(unknown) => Err(Problem::not_found(unknown)),
    }
}

/// What is known of an item; or, when there is no such job or key, a sentence with the nearest.
///
/// # Errors
///
/// The state can't be read.
pub async fn explain(archive: &dyn Archive, job: &str, key: &str) -> Result<Result<WhyView, String>, StoreError> {
    let name = JobName::from(job);
    let items = archive.why(&name, &Key::from(key)).await?;
    if !items.is_empty() {
        return Ok(Ok(WhyView { job: job.to_owned(), key: key.to_owned(), items }));
    }
    if let Some(unknown) = unknown_name(archive, Some(job), None).await? {
        return Ok(Err(unknown));
    }
    let keys = archive.keys(&name, KEYS_MAX).await?;
    let what = unknown("item", key, keys.iter().map(Key::as_str));
    Ok(Err(match (keys.is_empty(), what.ends_with('?')) {
        (true, _) => format!("{what}: the job `{job}` has read none yet"),
        (false, true) => what,
        (false, false) => format!("{what}: the job `{job}` never read it, or forgot it after `daemon.retention`"),
    }))
}
