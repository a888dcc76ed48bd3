//! Why nothing was said of an item: what is kept of observations that were silent.
//!
//! An event needs nothing of this, since it is kept itself. What a person is shown of both is in `view`.

mod noted;
#[cfg(test)]
mod tests;
mod view;

use serde::{Deserialize, Serialize};

use crate::core::diff::{Change, difference};
use crate::core::event::NewEvent;
use crate::core::json::{Json, parse};
use crate::core::names::KeyDigest;
use crate::core::rules::Rules;
use crate::core::time::Timestamp;

pub use noted::Noted;
pub use view::{ObservationView, WhyItem, WhyView};

/// Observations of one item that are kept, and shown: more would be history, and not a reason.
pub const OBSERVATIONS_MAX: usize = 20;

/// Pointers of one kind that an observation names: as many as a person reads.
pub const POINTERS_MAX: usize = 50;

/// The rule that kept an observation silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// `on` does not name such a change.
    On,
    /// `when` was not true.
    When,
    /// A new value that has not persisted for long enough.
    Settle,
    /// Its detail could not be read.
    Detail,
    /// The item is missing, but not for long enough.
    Missing,
    /// Nothing that counts differs.
    Ignored,
    /// The rules were edited: it was equal under the old ones.
    Edited,
    /// It waits for a person, with the rest of what its poll found.
    Held,
    /// A person has said no.
    Rejected,
}

impl Silence {
    const ALL: [Self; 9] = [
        Self::On,
        Self::When,
        Self::Settle,
        Self::Detail,
        Self::Missing,
        Self::Ignored,
        Self::Edited,
        Self::Held,
        Self::Rejected,
    ];

    /// The word of the API and of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::When => "when",
            Self::Settle => "settle",
            Self::Detail => "detail",
            Self::Missing => "missing",
            Self::Ignored => "ignored",
            Self::Edited => "edited",
            Self::Held => "held",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|silence| silence.as_str() == text)
    }

    /// True for what may be so again in every poll: only the last such observation of an item is kept.
    pub fn stands(self) -> bool {
        matches!(self, Self::Ignored | Self::Settle | Self::Detail)
    }
}

/// What differed in an item: JSON Pointers, at most [`POINTERS_MAX`] of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// What counted.
    #[serde(default)]
    pub changed: Vec<String>,
    /// What did not: ignored, not watched, or only in another order.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// What moved by no more than is tolerated.
    #[serde(default)]
    pub tolerated: Vec<String>,
}

impl Seen {
    /// What differs between two bodies beside `changed`, which is what counted.
    pub fn between(before: &Json, after: &Json, mut changed: Vec<String>, rules: &Rules) -> Self {
        let (mut tolerated, mut ignored) = (Vec::new(), Vec::new());
        if rules.tolerates() {
            let exact = Rules { tolerance: Vec::new(), ..rules.clone() };
            tolerated = difference(before, after, &exact).changed;
            tolerated.retain(|pointer| !touches(pointer, &changed));
        }
        if !rules.is_empty() {
            ignored = difference(before, after, &Rules::default()).changed;
            ignored.retain(|pointer| !touches(pointer, &changed) && !touches(pointer, &tolerated));
        }
        [&mut changed, &mut ignored, &mut tolerated].into_iter().for_each(|list| list.truncate(POINTERS_MAX));
        Self { changed, ignored, tolerated }
    }

    /// What an event's body tells of it, under the rules of now.
    pub fn of_event(body: &[u8], rules: &Rules) -> Self {
        let Ok(envelope) = parse(body) else { return Self::default() };
        let text = |json: &Json| json.as_str().map(str::to_owned);
        let changed = envelope.pointer("/data/changed").and_then(Json::as_array).unwrap_or_default();
        let changed: Vec<String> = changed.iter().filter_map(text).collect();
        match (envelope.pointer("/data/before"), envelope.pointer("/data/after")) {
            (Some(before), Some(after)) if *before != Json::Null && *after != Json::Null => {
                Self::between(before, after, changed, rules)
            }
            _ => Self { changed, ..Self::default() },
        }
    }

    /// True when nothing differed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.ignored.is_empty() && self.tolerated.is_empty()
    }
}

/// True when one of `pointers` is this place, lies in it, or holds it.
fn touches(pointer: &str, pointers: &[String]) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    pointers.iter().any(|other| within(pointer, other) || within(other, pointer))
}

/// Something that was seen of an item, and not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The item.
    pub key: KeyDigest,
    /// When it was seen.
    pub at: Timestamp,
    /// Why it was not said.
    pub silence: Silence,
    /// What it would have been.
    pub change: Option<Change>,
    /// What differed.
    pub seen: Seen,
    /// For what has to be seen in several polls: in how many it was, and of how many.
    pub polls: Option<(u32, u32)>,
}

impl Observation {
    /// A deletion that was not said.
    pub fn gone(key: KeyDigest, at: Timestamp, silence: Silence) -> Self {
        let seen = Seen { changed: vec![String::new()], ..Seen::default() };
        Self { key, at, silence, change: Some(Change::Deleted), seen, polls: None }
    }

    /// An event that waits for a person.
    pub fn held(event: &NewEvent, rules: &Rules) -> Self {
        let seen = Seen::of_event(&event.body, rules);
        let (key, change) = (event.key.digest(), Some(event.change));
        Self { key, at: event.at, silence: Silence::Held, change, seen, polls: None }
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let Seen { changed, ignored, tolerated } = &self.seen;
        let pointers = [changed, ignored, tolerated].into_iter().flatten();
        size_of::<Self>() + pointers.map(|pointer| size_of::<String>() + pointer.len()).sum::<usize>()
    }

    /// Why it was not said, as a sentence.
    pub fn reason(&self) -> String {
        let change = self.change.map_or("it", Change::as_str);
        match (self.silence, self.polls) {
            (Silence::On, _) => format!("`on` does not name `{change}`"),
            (Silence::When, _) => "`when` was not true of it".to_owned(),
            (Silence::Settle, polls) => {
                let (polls, of) = polls.unwrap_or((1, 1));
                format!("seen in {polls} poll(s) so far: after {of} in a row it counts (`settle`)")
            }
            (Silence::Detail, _) => {
                "the request for its `detail` failed: it is made again by the next poll, whose reason says why"
                    .to_owned()
            }
            (Silence::Missing, Some((polls, after))) => {
                format!("missing from {polls} complete poll(s): after {after} it counts as deleted (`deletes.after`)")
            }
            (Silence::Missing, None) => "missing, but not for long enough".to_owned(),
            (Silence::Ignored, _) => match (self.seen.ignored.is_empty(), self.seen.tolerated.is_empty()) {
                (false, true) => "only what the rules leave out differs".to_owned(),
                (true, false) => "it moved by no more than `tolerance` allows".to_owned(),
                _ => "only what the rules leave out or tolerate differs".to_owned(),
            },
            (Silence::Edited, _) => {
                "the rules were edited: it was equal under those before, and counts from here on".to_owned()
            }
            (Silence::Held, _) => "it was held with the rest of what its poll found".to_owned(),
            (Silence::Rejected, _) => {
                "a person has rejected it (`doorbell reject`): it has to be missing anew (`deletes.after`)".to_owned()
            }
        }
    }
}
