//! What a poll found and does not say before a person has: a mass deletion, more events than a poll should have, and a
//! baseline that is never read whole (promise S4).
//!
//! Pure decisions: what is held is not in the ledger, so that each poll finds it again; an answer is a ceiling on what
//! the next poll may let go.

use serde::{Deserialize, Serialize};

use crate::core::time::Timestamp;
use crate::core::units::Share;

/// So many deletions at once are never held: a share of a short list is soon reached.
const DELETIONS_FREE: u64 = 10;

/// Keys that are shown of what is held.
pub const KEYS_SHOWN_MAX: usize = 10;

/// Characters of a key that are shown.
const KEY_CHARS_MAX: usize = 100;

/// What of a job waits for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Items that are gone, and of which nothing is said.
    pub deletions: u64,
    /// Of so many items.
    pub of: u64,
    /// Events of a poll that was not committed; deletions above are not among them.
    pub events: u64,
    /// True while no poll has read the baseline whole, and one has read a part of it.
    pub baseline: bool,
    /// The keys of some of the items.
    pub keys: Vec<String>,
    /// The moment of the first poll that was held.
    pub since: Timestamp,
    /// What a person has said to it; used up by the next poll that can.
    pub answer: Option<Answer>,
}

/// What a person says to what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// So much may go, and no more.
    Approved,
    /// It may not.
    Rejected,
}

impl Answer {
    /// The word that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl Hold {
    /// Is there something that a person should hear of? A baseline that is not whole rings as a failing job.
    pub fn rings(&self) -> bool {
        self.answer.is_none() && self.deletions + self.events > 0
    }

    /// Can it be answered so? A baseline goes on by itself: there is nothing in it to reject.
    pub fn takes(&self, answer: Answer) -> bool {
        answer == Answer::Approved || self.deletions + self.events > 0
    }

    /// What all scopes of a job hold, as one; `None` when none holds anything.
    pub fn sum<'a>(holds: impl Iterator<Item = &'a Self>) -> Option<Self> {
        holds.cloned().reduce(|sum, hold| {
            let keys = sum.keys.into_iter().chain(hold.keys).take(KEYS_SHOWN_MAX).collect();
            Self {
                deletions: sum.deletions + hold.deletions,
                of: sum.of + hold.of,
                events: sum.events + hold.events,
                baseline: sum.baseline || hold.baseline,
                keys,
                since: sum.since.min(hold.since),
                answer: sum.answer.filter(|answer| hold.answer == Some(*answer)),
            }
        })
    }

    /// What is held, for a person: `12 deletions of 20 items, such as `3`, `4``.
    pub fn what(&self) -> String {
        let some = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let mut parts = Vec::new();
        if self.deletions > 0 {
            parts.push(format!("{} of {}", some(self.deletions, "deletion"), some(self.of, "item")));
        }
        if self.events > 0 {
            parts.push(some(self.events, "event"));
        }
        if self.baseline && parts.is_empty() {
            return "a baseline that was not read whole".to_owned();
        }
        let such = match self.keys.is_empty() {
            true => String::new(),
            false => format!(" (`{}`{})", self.keys.join("`, `"), if self.shows_all() { "" } else { ", …" }),
        };
        format!("{}{such}", parts.join(" and "))
    }

    fn shows_all(&self) -> bool {
        self.keys.len() as u64 >= self.deletions + self.events
    }

    /// What is held and what to type, for a person.
    pub fn sentence(&self, job: &str) -> String {
        let what = self.what();
        match self.answer {
            Some(Answer::Approved) => format!("approved, and released by the next poll that finds no more: {what}"),
            Some(Answer::Rejected) => format!("rejected, and kept back until more is found: {what}"),
            None if self.rings() => {
                format!("held: {what}; `doorbell approve {job}` releases it, `doorbell reject {job}` keeps it back")
            }
            None => format!("{what}; `doorbell approve {job}` accepts it as it is"),
        }
    }

    fn kinds(&self) -> (bool, bool, bool) {
        (self.deletions > 0, self.events > 0, self.baseline)
    }

    fn note(&mut self, keys: impl IntoIterator<Item = impl AsRef<str>>) {
        let room = KEYS_SHOWN_MAX.saturating_sub(self.keys.len());
        self.keys.extend(keys.into_iter().take(room).map(|key| key.as_ref().chars().take(KEY_CHARS_MAX).collect()));
    }
}

/// What follows for deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// They go out.
    Go,
    /// They wait for a person.
    Wait,
    /// A person has said no: they count anew.
    Never,
}

/// Above what a job's polls are held.
#[derive(Clone, Copy, Debug)]
pub struct HoldLimits {
    /// Of the items: that many deletions at once, if they are more than ten.
    pub share: Share,
    /// Events of one poll.
    pub events: u64,
}

/// Holds back what one poll finds.
#[derive(Clone, Debug)]
pub struct Holding {
    limits: HoldLimits,
    /// What was held before this poll.
    kept: Option<Box<Hold>>,
    /// Items before this poll.
    items: u64,
    found: Hold,
    /// All deletions were judged.
    judged: bool,
}

impl Holding {
    /// Begins a poll of a scope that held `kept` and has so many items.
    pub fn new(limits: HoldLimits, kept: Option<Box<Hold>>, items: u64) -> Self {
        Self { limits, kept, items, found: Hold::default(), judged: false }
    }

    fn answered(&self, answer: Answer) -> Option<&Hold> {
        self.kept.as_deref().filter(|kept| kept.answer == Some(answer))
    }

    /// May so many deletions go out at once? What was held is judged by the items that there were then.
    pub fn deletions(&mut self, count: u64) -> Leave {
        self.judged = true;
        let held = self.kept.as_ref().filter(|kept| kept.deletions > 0);
        let of = held.map_or(self.items, |kept| kept.of.min(self.items));
        let is_mass = count > DELETIONS_FREE && self.limits.share.is_exceeded(count, of);
        let approved = self.answered(Answer::Approved).map_or(0, |kept| kept.deletions);
        match is_mass && count > approved {
            false => Leave::Go,
            true if self.answered(Answer::Rejected).is_some_and(|kept| kept.deletions > 0) => Leave::Never,
            true => Leave::Wait,
        }
    }

    /// Of these deletions, too many to go out by themselves, a person has said that they may.
    pub fn is_approved(&self, count: u64) -> bool {
        self.answered(Answer::Approved).is_some_and(|kept| count <= kept.deletions)
    }

    /// They wait.
    pub fn hold_deletions(&mut self, count: u64, keys: impl IntoIterator<Item = impl AsRef<str>>) {
        let before = self.kept.as_ref().filter(|kept| kept.deletions > 0);
        self.found.deletions = count;
        self.found.of = before.map_or(self.items, |kept| kept.of.min(self.items));
        self.found.note(keys);
    }

    /// So many events may this poll have.
    pub fn events_max(&self) -> u64 {
        let approved = self.answered(Answer::Approved).map_or(0, |kept| kept.events);
        self.limits.events.max(approved)
    }

    /// They wait.
    pub fn hold_events(&mut self, count: u64, keys: impl IntoIterator<Item = impl AsRef<str>>) {
        self.found.events += count;
        self.found.note(keys);
    }

    /// True when a poll that was not read whole may say nothing: what it found is a part of what is held.
    pub fn holds_parts(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.events > 0 && kept.answer != Some(Answer::Approved))
    }

    /// A baseline was not read whole; true when a person has accepted it as it is.
    pub fn accepts_baseline(&mut self) -> bool {
        let accepted = self.answered(Answer::Approved).is_some_and(|kept| kept.baseline);
        self.found.baseline = !accepted;
        accepted
    }

    /// What is held after this poll. `whole`: the poll was read whole, so that events which it did not find are none.
    pub fn end(&self, whole: bool, now: Timestamp) -> Option<Box<Hold>> {
        let mut found = self.found.clone();
        if let Some(kept) = &self.kept {
            if !whole && kept.events > 0 {
                // A part of it says nothing new of the whole.
                return Some(kept.clone());
            }
            if !self.judged && kept.deletions > 0 {
                (found.deletions, found.of) = (kept.deletions, kept.of);
                found.note(&kept.keys);
                found.answer = kept.answer;
            }
        }
        if found.kinds() == Hold::default().kinds() {
            return None;
        }
        Some(Box::new(self.dated(found, now)))
    }

    /// What goes on being held is held since the poll that found it first.
    fn dated(&self, found: Hold, now: Timestamp) -> Hold {
        match self.kept.as_deref().filter(|kept| kept.kinds() == found.kinds()) {
            Some(kept) if kept.answer.is_none() => Hold { since: kept.since, ..found },
            Some(kept) if found.answer.is_some() => Hold { since: kept.since, ..found },
            Some(kept) if kept.answer == Some(Answer::Rejected) && found.events <= kept.events => kept.clone(),
            _ => Hold { since: now, answer: None, ..found },
        }
    }
}

#[cfg(test)]
mod tests;
