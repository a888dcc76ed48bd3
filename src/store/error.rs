//! Why a store could not do what was asked, in sentences for the person who must act.
//!
//! No type of a database is in here.

use crate::core::names::JobName;
use crate::core::plan::two_pasts;

/// Why a verb did nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another claim has overtaken this one: drop the result, the other will find the same.
    #[error("the claim on `{0}` was overtaken")]
    LeaseLost(String),
    /// There is no such job in the state.
    #[error("the state knows no job `{0}`")]
    UnknownJob(JobName),
    /// What was asked breaks a rule of the state, such as a sequence with a gap: a fault of ours. Nothing changed.
    #[error("the state refused a write: {0}")]
    Refused(String),
    /// A job can't take over the state of its former name, for it has one of its own. Nothing changed.
    #[error("{}", two_pasts(old.as_str(), new.as_str()))]
    TwoPasts {
        /// The name before.
        old: JobName,
        /// The name now.
        new: JobName,
    },
    /// The store is closed or its writer has ended.
    #[error("the state is closed")]
    Closed,
    /// The disk is full, or the file can't be written. Nothing changed; trying again may work.
    #[error("the state can't be written: {0}")]
    Unwritable(String),
    /// Something is wrong with the file.
    #[error("the state is damaged: {0}")]
    Damaged(String),
}

/// Why a state can't be opened. Each is a sentence with what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it: exit code 75.
    #[error("{0}")]
    Locked(String),
    /// Corrupt, newer, not ours, unwritable.
    #[error("{0}")]
    Refused(String),
}
