//! What counts as change in an item: `watch` and `ignore`.
//!
//! Tolerances and arrays without order are not here yet; the text form has room for them.

mod lens;
#[cfg(test)]
mod tests;

use crate::core::json::{Json, canonical_digest, parse};
use crate::core::names::Digest;
use crate::core::path::JsonPath;

pub(in crate::core) use lens::{Lens, Reach, child_of};

/// What counts as change. By default everything does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only what these find counts: each place with its value. Empty: the whole item.
    pub watch: Vec<JsonPath>,
    /// What these find never counts, watched or not.
    pub ignore: Vec<JsonPath>,
}

impl Rules {
    /// True when everything counts.
    pub fn is_empty(&self) -> bool {
        self.watch.is_empty() && self.ignore.is_empty()
    }

    /// The digest of the canonical form of what counts in `item`. Without rules it is the item's canonical digest.
    pub fn digest(&self, item: &Json) -> Digest {
        if self.is_empty() { canonical_digest(item) } else { self.lens(item).digest(item) }
    }

    /// As one text, for the fingerprint; [`Rules::from_text`] reads it back.
    pub fn to_text(&self) -> String {
        let paths = |paths: &[JsonPath]| Json::array(paths.iter().map(JsonPath::as_str));
        let lists = [("watch", &self.watch), ("ignore", &self.ignore)];
        Json::object(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, paths(list))))
            .to_string()
    }

    /// Reads back what [`Rules::to_text`] wrote; `None` for anything else, such as rules of a later version.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut rules = Self::default();
        for (name, list) in parse(text.as_bytes()).ok()?.as_object()? {
            let paths = list.as_array()?.iter().map(|path| JsonPath::parse(path.as_str()?).ok());
            let paths = paths.collect::<Option<Vec<_>>>()?;
            match name.as_str() {
                "watch" => rules.watch = paths,
                "ignore" => rules.ignore = paths,
                _ => return None,
            }
        }
        Some(rules)
    }

    /// What counts in this item, place by place.
    pub(in crate::core) fn lens<'a>(&self, item: &'a Json) -> Lens<'a> {
        let mut lens = if self.watch.is_empty() { Lens::Whole } else { Lens::Nothing };
        for way in self.watch.iter().flat_map(|path| path.ways(item)) {
            lens.watch(&way);
        }
        for way in self.ignore.iter().flat_map(|path| path.ways(item)) {
            lens.ignore(&way);
        }
        lens.tidy();
        lens
    }
}
