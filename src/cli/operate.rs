//! What a person does to deliveries, jobs and sinks, as the daemon's API and the commands without a daemon both do it.
//!
//! It refuses what names nothing; how it is asked for and told is in the files of the commands.

use crate::admin::{Refusal, unknown_name};
use crate::core::batch;
use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{
    AnswerReport, DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow, ReplayReport, RetryReport,
};
use crate::core::time::Timestamp;
use crate::engine::Handle;
use crate::store::{Archive, Retried, Store, StoreError};

/// Says which name of a replay's filter is none.
///
/// # Errors
///
/// There is no such event, job or sink; or the state can't be read.
async fn known(archive: &dyn Archive, filter: &ReplayFilter) -> Result<(), Refusal> {
    known_event(archive, filter.event.as_deref()).await?;
    known_names(archive, filter.job.as_deref(), filter.sink.as_deref()).await
}

/// Says that there is no such event.
///
/// # Errors
///
/// There is none, or it is the id of a batch; or the state can't be read.
pub(super) async fn known_event(archive: &dyn Archive, id: Option<&str>) -> Result<(), Refusal> {
    let Some(id) = id else { return Ok(()) };
    let why = match archive.event(id).await.map_err(internal)? {
        Some(_) => return Ok(()),
        None if batch::is_id(id) => format!(
            "`{id}` is the id of a batch, which is replayed by the ids of its events: `doorbell event {id}` lists them"
        ),
        None => format!("there is no event `{id}`; it may be older than `daemon.retention`"),
    };
    Err(Refusal::NotFound(why))
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

/// Says until when a sink's receiver wants to be left alone (`Retry-After`): nothing may be sent there, not by hand either.
///
/// # Errors
///
/// That moment is still to come; or the state can't be read.
pub(super) async fn may_ask(store: &dyn Store, sink: &SinkName, now: Timestamp) -> Result<(), Refusal> {
    let state = store.sink_state(sink).await.map_err(internal)?;
    match state.not_before.filter(|until| *until > now) {
        None => Ok(()),
        Some(until) => Err(Refusal::Conflict(format!(
            "the receiver of the sink `{sink}` has asked to be left alone until {until} (`Retry-After`), so nothing was sent"
        ))),
    }
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
