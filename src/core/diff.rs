//! What differs between two bodies of an item: where it counts, and as a patch.
//!
//! It does not decide whether a difference becomes an event.

mod align;
mod apply;
#[cfg(test)]
mod tests;
mod walk;

use crate::core::json::Json;
use crate::core::rules::{Numbers, Rules};
pub use apply::apply;

/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is new.
    Created,
    /// It differs from what was last reported.
    Updated,
    /// It is gone.
    Deleted,
    /// It was gone and came back.
    Restored,
}

impl Change {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted, Self::Restored].into_iter().find(|change| change.as_str() == text)
    }
}

/// One operation of a JSON Patch (RFC 6902). Its `path` is a JSON Pointer into the document as the operations before it
/// have left it.
#[derive(Clone, Debug, PartialEq)]
pub enum PatchOp {
    /// Puts a member into an object, or an element into an array before the one that is there.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Json,
    },
    /// Takes out what is there.
    Remove {
        /// Where.
        path: String,
    },
    /// Puts another value in the place of the one that is there.
    Replace {
        /// Where.
        path: String,
        /// What.
        value: Json,
    },
}

impl PatchOp {
    /// Where it works.
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Replace { path, .. } => path,
        }
    }

    /// The operation as RFC 6902 writes it.
    pub fn to_json(&self) -> Json {
        let (op, value) = match self {
            Self::Add { value, .. } => ("add", Some(value)),
            Self::Remove { .. } => ("remove", None),
            Self::Replace { value, .. } => ("replace", Some(value)),
        };
        let members = [("op", Json::from(op)), ("path", Json::from(self.path()))];
        Json::object(members.into_iter().chain(value.map(|value| ("value", value.clone()))))
    }

    /// Reads an operation that [`PatchOp::to_json`] wrote.
    pub fn from_json(json: &Json) -> Option<Self> {
        let path = json.get("path")?.as_str()?.to_owned();
        match json.get("op")?.as_str()? {
            "add" => Some(Self::Add { path, value: json.get("value")?.clone() }),
            "remove" => Some(Self::Remove { path }),
            "replace" => Some(Self::Replace { path, value: json.get("value")?.clone() }),
            _ => None,
        }
    }
}

/// What differs, as far as it counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// JSON Pointers of what counted as change, each once; empty just when the two are equal under the rules. An
    /// element of an array that is gone has the index it had, any other the index it has now.
    pub changed: Vec<String>,
    /// Turns `before` into something equal to `after` under the rules. It holds only what counts, save where what counts
    /// depends on what does not (a `watch` with a filter): then it may hold the rest too.
    pub patch: Vec<PatchOp>,
}

impl Difference {
    /// The patch as RFC 6902 writes it: an array of operations.
    pub fn patch_to_json(&self) -> Json {
        Json::array(self.patch.iter().map(PatchOp::to_json))
    }
}

/// Compares two bodies of an item under its job's rules. `before` is the one last reported: from there tolerances are
/// measured.
pub fn difference(before: &Json, after: &Json, rules: &Rules) -> Difference {
    let Some(difference) = seek(before, after, rules) else { return Difference::default() };
    if rules.is_empty() {
        return difference;
    }
    let mut patched = before.clone();
    let reached = apply(&mut patched, &difference.patch).is_ok() && seek(&patched, after, rules).is_none();
    if reached && !difference.changed.is_empty() {
        return difference;
    }
    // What the rules select hangs on what they leave out: only the whole difference is sure to reach `after`.
    let whole = self::difference(before, after, &Rules::default());
    let changed = if difference.changed.is_empty() { whole.changed } else { difference.changed };
    Difference { changed, patch: whole.patch }
}

/// What a walk finds; `None` where the two are equal under the rules.
fn seek(before: &Json, after: &Json, rules: &Rules) -> Option<Difference> {
    let (old, new) = (rules.lens(before), rules.lens(after));
    let same = |numbers| old.digest(before, numbers) == new.digest(after, numbers);
    if same(Numbers::Exact) {
        return None;
    }
    let difference = walk::walk((before, &old), (after, &new), rules.tolerates());
    let is_tolerated = rules.tolerates() && difference.patch.is_empty() && same(Numbers::Masked);
    (!is_tolerated).then_some(difference)
}
