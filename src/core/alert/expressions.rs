//! A job's bell for its expressions: a `when`, `type` or payload that failed while an event was told.
//!
//! Each failure rings once, and is over when so many polls in a row told their events without one: what fails for one
//! item in a hundred would else ring and recover all day.

use std::collections::BTreeSet;

use crate::core::alert::{Bell, JobTurn, Trouble};
use crate::core::names::{JobName, Key};
use crate::core::time::Timestamp;

/// Failures that are told until all is well again: an item more may fail in a way of its own.
const FAILURES_MAX: usize = 8;

/// How the expressions of a job failed since they last all worked, and the bell that rings for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Expressions {
    /// Sentences; after a restart all that was rung is one.
    failures: BTreeSet<String>,
    /// When the first of those was seen.
    since: Timestamp,
    /// Polls in a row that told events without a failure.
    well: u32,
    pub(super) bell: Option<Bell>,
}

/// What is new after a poll that told events.
#[derive(Debug, PartialEq, Eq)]
pub enum Tried {
    /// These failures were not known; often there are none.
    Failed(Vec<String>),
    /// There were failures, and they are over.
    WorkAgain,
}

impl Expressions {
    /// As they were when the daemon ended.
    pub(super) fn ringing(bell: Bell) -> Self {
        Self { failures: BTreeSet::from([bell.reason.clone()]), since: bell.since, well: 0, bell: Some(bell) }
    }

    /// A poll that ended at `at` told events, with these failures; after `enough` polls without one they are over.
    pub(super) fn tried(&mut self, failures: &BTreeSet<String>, enough: u32, at: Timestamp) -> Tried {
        if failures.is_empty() && !self.failures.is_empty() {
            self.well = self.well.saturating_add(1);
            if self.well >= enough {
                self.failures.clear();
                return Tried::WorkAgain;
            }
        }
        if !failures.is_empty() {
            self.well = 0;
        }
        let mut news = Vec::new();
        for failure in failures {
            if self.failures.len() < FAILURES_MAX && !self.failures.iter().any(|known| known.contains(failure)) {
                if self.failures.is_empty() {
                    self.since = at;
                }
                self.failures.insert(failure.clone());
                news.push(failure.clone());
            }
        }
        Tried::Failed(news)
    }

    /// All failures, as one sentence.
    pub(super) fn reason(&self) -> Option<String> {
        self.failures.iter().cloned().reduce(|all, failure| format!("{all}; {failure}"))
    }

    /// What follows at `now`, if anything.
    pub(super) fn turn(&self, job: &JobName, now: Timestamp) -> Option<JobTurn> {
        let (reason, bell) = (self.reason(), self.bell.as_ref());
        match (reason, bell) {
            (None, bell) => bell.cloned().map(JobTurn::Recovered),
            (Some(reason), None) => {
                let (trouble, subject) = (Trouble::Expression, Key::from(job.as_str()));
                Some(JobTurn::Ring(Bell { trouble, subject, since: self.since, rang: now, rings: 1, reason }))
            }
            (Some(reason), Some(bell)) => {
                (reason.len() > bell.reason.len()).then(|| JobTurn::Ring(bell.again(now, reason)))
            }
        }
    }
}
