//! watch and ignore
use crate::core::json::Json;
use crate::core::names::Digest;
use crate::core::path::JsonPath;
/// What counts as change.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// only these; empty: everything
    pub watch: Vec<JsonPath>,
    /// never these
    pub ignore: Vec<JsonPath>,
}
impl Rules {
    /// The digest of the canonical form of what counts in `item`.
    pub fn digest(&self, _item: &Json) -> Digest {
        todo!()
    }
    /// As one text, for the fingerprint; [`Rules::from_text`] reads it back.
    pub fn to_text(&self) -> String {
        todo!()
    }
    /// Reads back what `to_text` wrote; None when it can't.
    pub fn from_text(_text: &str) -> Option<Self> {
        todo!()
    }
}
