//! What the log says of polls: one wide line for each that changed something, failed first, or came right again.
//!
//! A poll that finds nothing new, or fails as it did before, says nothing above `debug`.

use std::time::Duration;

use crate::core::job::Job;
use crate::core::outcome::PollOutcome;
use crate::engine::poller::Polled;

/// Writes the line of a poll; `failures` is the number of failed polls in a row before it.
pub(super) fn polled(job: &Job, polled: &Polled, failures: u32, took: Duration) {
    let (job, outcome) = (&job.name, polled.outcome.as_str());
    let (items, events, took_ms) = (polled.items, polled.events, took.as_millis() as u64);
    match &polled.outcome {
        PollOutcome::Failed(failure) => {
            let (kind, reason, failures) = (failure.kind.as_str(), &failure.sentence, failures + 1);
            match failures {
                1 => tracing::warn!(%job, outcome, kind, %reason, failures, took_ms, "poll failed"),
                _ => tracing::debug!(%job, outcome, kind, %reason, failures, took_ms, "poll failed again"),
            }
        }
        PollOutcome::Partial(reason) => {
            tracing::warn!(%job, outcome, reason, items, events, took_ms, "poll is partial");
        }
        PollOutcome::Complete | PollOutcome::Unchanged if failures > 0 => {
            tracing::info!(%job, outcome, items, events, failures, took_ms, "poll recovered");
        }
        PollOutcome::Complete | PollOutcome::Unchanged if events > 0 => {
            tracing::info!(%job, outcome, items, events, took_ms, "poll found changes");
        }
        PollOutcome::Complete | PollOutcome::Unchanged => {
            tracing::debug!(%job, outcome, items, events, took_ms, "poll");
        }
    }
}
