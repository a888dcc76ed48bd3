//! diff
use crate::core::json::Json;
use crate::core::rules::Rules;
/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// new
    Created,
    /// differs
    Updated,
    /// gone
    Deleted,
    /// came back
    Restored,
}
impl Change {
    /// as on the wire
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }
    /// from the wire
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted, Self::Restored].into_iter().find(|change| change.as_str() == text)
    }
}
/// One operation of an RFC 6902 patch.
#[derive(Clone, Debug, PartialEq)]
pub enum PatchOp {
    /// add
    Add { path: String, value: Json },
    /// remove
    Remove { path: String },
    /// replace
    Replace { path: String, value: Json },
}
/// What differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// JSON Pointers of what counted as change
    pub changed: Vec<String>,
    /// turns before into something equal to after under the rules
    pub patch: Vec<PatchOp>,
}
/// Compares.
pub fn difference(_before: &Json, _after: &Json, _rules: &Rules) -> Difference {
    todo!()
}
