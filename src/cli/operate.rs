//! What a person does to deliveries, jobs and sinks, as the daemon's API and the commands without a daemon both do it.
//!
//! It refuses what names nothing; how it is asked for and told is in the files of the commands.

use crate::admin::{Refusal, unknown_name};
use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{
    AnswerReport, DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow, ReplayReport, RetryReport,
};
use crate::engine::Handle;
use crate::store::{Archive, Retried, StoreError};

/// Says which name of a replay's filter is none.
///
/// # Errors
///
/// There is no such event, job or sink; or the state can't be read.
pub(super) async fn known(archive: &dyn Archive, filter: &ReplayFilter) -> Result<(), Refusal> {
    if let Some(id) = &filter.event
        && archive.event(id).await.map_err(internal)?.is_none()
    {
        return Err(Refusal::NotFound(format!("there is no event `{id}`; it may be older than `daemon.retention`")));
    }
    known_names(archive, filter.job.as_deref(), filter.sink.as_deref()).await
}

/// Says which of these names is none.
///
/// # Errors
///
/// There is no such job or sink; or the state can't be read.
pub(super) async fn known_names(archive: &dyn Archive, job: Option<&str>, sink: Option<&str>) -> Result<(), Refusal> {
    let unknown = unknown_name(archive, job, sink).await.map_err(internal)?;
    unknown.map_or(Ok(()), |sentence| Err(Refusal::NotFound(sentence)))
}

pub(super) async fn replay(
    handle: &Handle,
    archive: &dyn Archive,
    filter: &ReplayFilter,
    how: ReplayHow,
) -> Result<ReplayReport, Refusal> {
    known(archive, filter).await?;
    handle.replay(filter, how).await.ok_or_else(stopping)?.map_err(internal)
}

pub(super) async fn drop_held(
    handle: &Handle,
    archive: &dyn Archive,
    filter: &DropFilter,
    dry_run: bool,
) -> Result<DropReport, Refusal> {
    known_names(archive, filter.job.as_deref(), filter.sink.as_deref()).await?;
    handle.drop_held(filter, dry_run).await.ok_or_else(stopping)?.map_err(internal)
}

pub(super) async fn retry(handle: &Handle, delivery: i64) -> Result<RetryReport, Refusal> {
    match handle.retry(delivery).await.ok_or_else(stopping)?.map_err(internal)? {
        Retried::Due(sink) => Ok(RetryReport { delivery, sink: sink.to_string(), replay: false }),
        Retried::Replay(sink, delivery) => Ok(RetryReport { delivery, sink: sink.to_string(), replay: true }),
        Retried::Unknown => Err(Refusal::NotFound(format!("there is no delivery `{delivery}`"))),
        Retried::Refused(why) => Err(Refusal::Conflict(why)),
    }
}

pub(super) async fn pause_job(handle: &Handle, job: &JobName, paused: bool) -> Result<PauseReport, Refusal> {
    handle.pause_job(job, paused).await.ok_or_else(stopping)?.map_err(internal)
}

pub(super) async fn answer(handle: &Handle, job: &JobName, answer: Answer) -> Result<AnswerReport, Refusal> {
    let held = handle.answer(job, answer).await.ok_or_else(stopping)?.map_err(internal)?;
    answered(job.as_str(), answer, held)
}

/// What an answer came to.
///
/// # Errors
///
/// There is nothing that can be answered so.
pub(super) fn answered(job: &str, answer: Answer, held: Option<Hold>) -> Result<AnswerReport, Refusal> {
    match held {
        Some(held) => Ok(AnswerReport { job: job.to_owned(), held }),
        None => {
            let word = if answer == Answer::Approved { "approve" } else { "reject" };
            Err(Refusal::Conflict(format!("the job `{job}` holds nothing: there is nothing to {word}")))
        }
    }
}

pub(super) async fn pause_sink(handle: &Handle, sink: &SinkName, paused: bool) -> Result<PauseReport, Refusal> {
    handle.pause_sink(sink, paused).await.ok_or_else(stopping)?.map_err(internal)
}

/// Our own failure, or the end of the daemon.
pub(super) fn internal(error: StoreError) -> Refusal {
    match error {
        StoreError::Closed => stopping(),
        StoreError::TwoPasts { .. } => Refusal::Conflict(error.to_string()),
        error => Refusal::Internal(error.to_string()),
    }
}

/// The engine has stopped.
pub(super) fn stopping() -> Refusal {
    Refusal::Unavailable("the daemon is stopping".to_owned())
}
