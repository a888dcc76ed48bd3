//! A plain path in an expression, such as `after.lines[0].sku`: resolved on the document itself, so that what it finds
//! keeps the vendor's digits.
//!
//! Not a JSONPath: it finds one value, and what is missing is null.

use std::fmt;

use super::Names;
use crate::core::json::Json;

/// One step from a value to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `.name` or `["name"]`
    Member(Box<str>),
    /// `[0]`; counted from the end when negative.
    Element(i64),
}

/// A top-level name, and steps from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: Box<str>,
    pub(super) steps: Box<[Step]>,
}

impl Place {
    /// What is there; null when nothing is.
    pub(super) fn find<'a>(&self, names: &Names<'a>) -> &'a Json {
        let root = names.iter().find(|(name, _)| **name == *self.name).map(|(_, value)| *value);
        self.steps
            .iter()
            .try_fold(root, |value, step| Some(value.and_then(|value| step.take(value))))
            .flatten()
            .unwrap_or(&Json::Null)
    }
}

impl Step {
    fn take<'a>(&self, value: &'a Json) -> Option<&'a Json> {
        match (self, value) {
            (Self::Member(name), Json::Object(members)) => {
                members.iter().find(|(member, _)| **member == **name).map(|(_, value)| value)
            }
            (Self::Element(at), Json::Array(elements)) => elements.get(position(*at, elements.len())?),
            _ => None,
        }
    }
}

/// Where the element `at` stands in a list of `length`, counted from the end when negative.
pub(super) fn position(at: i64, length: usize) -> Option<usize> {
    if at >= 0 { usize::try_from(at).ok() } else { length.checked_sub(usize::try_from(at.unsigned_abs()).ok()?) }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Member(name) => write!(f, ".{name}"),
            Step::Element(at) => write!(f, "[{at}]"),
        })
    }
}
