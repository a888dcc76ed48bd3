//! Names that a filter may hold: those that the state knows, also of jobs and sinks that have left the config.
//!
//! It only tells; a filter with a name that is known and has nothing is simply empty.

use crate::admin::nearest::unknown;
use crate::core::alert::SYSTEM_JOB;
use crate::store::{Archive, StoreError};

/// The sentence for the first of these names that the state does not know, with the nearest that it does.
///
/// # Errors
///
/// The state can't be read.
pub async fn unknown_name(
    archive: &dyn Archive,
    job: Option<&str>,
    sink: Option<&str>,
) -> Result<Option<String>, StoreError> {
    if let Some(job) = job {
        let jobs = archive.jobs().await?;
        // Doorbell's own events have a job of theirs, which no list shows.
        if job != SYSTEM_JOB && !jobs.iter().any(|(known, _)| known.as_str() == job) {
            return Ok(Some(unknown("job", job, jobs.iter().map(|(known, _)| known.as_str()))));
        }
    }
    if let Some(sink) = sink {
        let sinks = archive.sinks().await?;
        if !sinks.iter().any(|(known, ..)| known.as_str() == sink) {
            return Ok(Some(unknown("sink", sink, sinks.iter().map(|(known, ..)| known.as_str()))));
        }
    }
    Ok(None)
}
