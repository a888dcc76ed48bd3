//! Doorbell's events about itself: which trouble rings, when it rings again, and when it is over (promise L3).
//!
//! Pure decisions over what is known of a job, a sink or a delivery. Who is told of polls and attempts, and how a ring
//! is committed and sent, is the business of the engine and the store.

use std::time::Duration;

use crate::core::names::{Key, SinkName};
use crate::core::time::Timestamp;

mod expressions;
mod job;
mod notice;
mod sink;
#[cfg(test)]
mod tests;

pub use expressions::Tried;
pub use job::{JobTurn, JobWatch, Past};
pub use notice::{DeadLetter, Kind, Notice, Rebaselined, Telling};
pub use sink::{SinkFacts, SinkTurn, sink_turn};

/// The job that Doorbell's own events count as. No job of a config may have this name.
pub const SYSTEM_JOB: &str = "doorbell";

/// A job rings as stale at the earliest after this long, however short its interval: slower than a person looks.
const STALE_MIN: Duration = Duration::from_secs(60);

/// What `[alerts]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Who is told. Nobody: it is only logged.
    pub send_to: Vec<SinkName>,
    /// Failed polls in a row before a job rings as failing. At least 1.
    pub after: u32,
    /// How often a job that is failing or stale rings again.
    pub remind: Duration,
    /// Intervals without a complete poll before a job rings as stale. At least 1.
    pub stale: u32,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { send_to: Vec::new(), after: 3, remind: Duration::from_secs(6 * 3600), stale: 3 }
    }
}

impl Alerts {
    /// Is anybody told?
    pub fn is_on(&self) -> bool {
        !self.send_to.is_empty()
    }
}

/// What can be wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// A job's polls fail.
    Failing,
    /// A job has had no complete poll for too long.
    Stale,
    /// What a job found waits for a person.
    Held,
    /// A sink is disabled.
    Disabled,
    /// Too much waits for a sink.
    Backlog,
    /// An expression of a job failed while an event was told.
    Expression,
}

impl Trouble {
    /// The word that the state keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Stale => "stale",
            Self::Held => "held",
            Self::Disabled => "disabled",
            Self::Backlog => "backlog",
            Self::Expression => "expression",
        }
    }

    /// The trouble of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Failing, Self::Stale, Self::Held, Self::Disabled, Self::Backlog, Self::Expression]
            .into_iter()
            .find(|it| it.as_str() == word)
    }

    /// Is it one of a job? Else it is one of a sink.
    pub fn is_of_a_job(self) -> bool {
        matches!(self, Self::Failing | Self::Stale | Self::Held | Self::Expression)
    }
}

/// A bell that rings: it was told, and it is not over. Kept by the store, so that a restart does not ring again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bell {
    /// What is wrong.
    pub trouble: Trouble,
    /// The job or the sink.
    pub subject: Key,
    /// Since when.
    pub since: Timestamp,
    /// When it last rang.
    pub rang: Timestamp,
    /// How often it rang, the first time included.
    pub rings: u32,
    /// Why, in a sentence.
    pub reason: String,
}

impl Bell {
    /// The same bell, when it rings once more.
    fn again(&self, now: Timestamp, reason: String) -> Self {
        Self { rang: now, rings: self.rings.saturating_add(1), reason, ..self.clone() }
    }
}

/// What one ring writes in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// The system event; none where something only has to be remembered.
    pub notice: Option<Notice>,
    /// What rings from now on.
    pub on: Option<Bell>,
    /// What rings no longer. Done before `on`.
    pub off: Vec<(Trouble, Key)>,
    /// A delivery whose death is told with this, and when it died.
    pub told: Option<(i64, Timestamp)>,
}
