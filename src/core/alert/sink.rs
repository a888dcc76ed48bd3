//! A sink's bells: it is disabled, or too much waits for it.
//!
//! Each rings once and not again while it lasts; whoever disables a sink is not asked here.

use crate::core::alert::{Bell, Trouble};
use crate::core::names::{Key, SinkName};
use crate::core::time::Timestamp;

/// What is known of a sink.
#[derive(Clone, Debug, Default)]
pub struct SinkFacts {
    /// Set: disabled, with the reason.
    pub disabled: Option<String>,
    /// When its failures began.
    pub failing_since: Option<Timestamp>,
    /// When it last answered 2xx.
    pub last_success: Option<Timestamp>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Deliveries that wait or are held.
    pub waiting: u64,
    /// How many may.
    pub max_backlog: u64,
}

/// What follows from what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTurn {
    /// It rings; the bell as it is then.
    Ring(Bell),
    /// It is over; the bell that rang.
    Recovered(Bell),
}

/// What follows for one kind of trouble, if anything; `bell` is the one that rings.
///
/// A disabled sink has recovered when it was enabled and has answered 2xx since: until then nobody knows. A backlog is
/// over when half of what is allowed is left, so that it does not ring with every delivery that comes and goes.
pub fn sink_turn(
    trouble: Trouble,
    sink: &SinkName,
    facts: &SinkFacts,
    bell: Option<&Bell>,
    now: Timestamp,
) -> Option<SinkTurn> {
    let begins = |since: Timestamp, reason: String| {
        let subject = Key::from(sink.as_str());
        Some(SinkTurn::Ring(Bell { trouble, subject, since, rang: now, rings: 1, reason }))
    };
    match (trouble, bell) {
        (Trouble::Disabled, None) => begins(facts.failing_since.unwrap_or(now), facts.disabled.clone()?),
        (Trouble::Disabled, Some(bell)) => {
            let answers = facts.last_success.is_some_and(|last| last > bell.rang);
            (facts.disabled.is_none() && answers).then(|| SinkTurn::Recovered(bell.clone()))
        }
        (Trouble::Backlog, None) if facts.waiting >= facts.max_backlog => {
            begins(now, format!("{} deliveries wait, and {} may", facts.waiting, facts.max_backlog))
        }
        (Trouble::Backlog, Some(bell)) if facts.waiting <= facts.max_backlog / 2 => {
            Some(SinkTurn::Recovered(bell.clone()))
        }
        _ => None,
    }
}
