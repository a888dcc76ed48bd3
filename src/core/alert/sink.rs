//! A sink's bells: it is disabled, or too much waits for it, or for too long.
//!
//! Each rings once and not again while it lasts; whoever disables a sink is not asked here.

use std::time::Duration;

use crate::core::alert::{Bell, Trouble};
use crate::core::backlog::{AtLimit, Limits, Waiting};
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
    pub waiting: Waiting,
    /// How many may, and how long.
    pub limits: Limits,
    /// Set: the oldest were dropped since this was last asked, with the reason.
    pub dropped: Option<String>,
}

impl SinkFacts {
    /// Why more waits than may, or did until it was dropped.
    fn too_much(&self, now: Timestamp) -> Option<String> {
        self.dropped.clone().or_else(|| self.limits.full(false, self.waiting, now))
    }

    /// Is half of what is allowed left? What was too old may have been dropped: then it must answer as well.
    fn has_room(&self, rang: Timestamp, now: Timestamp) -> bool {
        let Limits { max_backlog, max_age, at_limit } = self.limits;
        let is_young = |max: Duration| self.waiting.oldest.is_none_or(|oldest| now.since(oldest) <= max / 2);
        let drops_the_old = max_age.is_some() && at_limit == AtLimit::DropOldest;
        self.waiting.count <= max_backlog / 2
            && max_age.is_none_or(is_young)
            && (!drops_the_old || self.answered_since(rang))
    }

    fn answered_since(&self, moment: Timestamp) -> bool {
        self.last_success.is_some_and(|last| last > moment)
    }
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
            (facts.disabled.is_none() && facts.answered_since(bell.rang)).then(|| SinkTurn::Recovered(bell.clone()))
        }
        (Trouble::Backlog, None) => begins(now, facts.too_much(now)?),
        (Trouble::Backlog, Some(bell)) => facts.has_room(bell.rang, now).then(|| SinkTurn::Recovered(bell.clone())),
        _ => None,
    }
}
