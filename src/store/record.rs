//! How a job's polls have gone, over all of its scopes.
//!
//! What follows from it is decided in [`crate::core::pace`].

use crate::core::hold::Hold;
use crate::core::outcome::PollOutcome;
use crate::core::time::Timestamp;

/// How a job's polls have gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobRecord {
    /// Failed polls in a row.
    pub failures: u32,
    /// The last poll's outcome: `complete`, `partial`, `unchanged`, `failed`.
    pub outcome: Option<String>,
    /// The sentence that goes with it.
    pub reason: Option<String>,
    /// When it was last polled.
    pub last_poll: Option<Timestamp>,
    /// When a poll last ended as complete or unchanged.
    pub last_success: Option<Timestamp>,
    /// Ledger rows that are not gone, over all scopes.
    pub items: u64,
    /// Events emitted, ever, over all scopes.
    pub events: u64,
    /// Since when a person keeps it from being polled. Only [`crate::store::Operations::pause_job`] changes it.
    pub paused: Option<Timestamp>,
    /// What of it waits for a person, over all scopes.
    pub hold: Option<Box<Hold>>,
}

impl JobRecord {
    /// The record after one more poll, which every store keeps alike. A partial poll has read something, so it is none
    /// that failed.
    #[must_use]
    pub fn after(&self, outcome: &PollOutcome, at: Timestamp) -> Self {
        let mut next = self.clone();
        match outcome {
            PollOutcome::Complete | PollOutcome::Unchanged => {
                next.failures = 0;
                next.last_success = Some(at);
            }
            PollOutcome::Partial(_) => next.failures = 0,
            PollOutcome::Failed(_) => next.failures = self.failures.saturating_add(1),
        }
        next.outcome = Some(outcome.as_str().to_owned());
        next.reason = outcome.reason().map(str::to_owned);
        next.last_poll = Some(at);
        next
    }
}
