//! What counts as change in an item: `watch`, `ignore`, `tolerance`, `arrays` and `unordered`.
//!
//! It says what counts, not what differs: that is [`crate::core::diff`]'s part.

mod lens;
#[cfg(test)]
mod tests;
mod tolerance;

use crate::core::json::{Json, canonical_digest, parse};
use crate::core::names::Digest;
use crate::core::path::JsonPath;

pub(in crate::core) use lens::{Lens, Numbers, Order, Reach, child_of};
pub use tolerance::Tolerance;

/// What counts as change. By default everything does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only what these find counts: each place with its value. Empty: the whole item.
    pub watch: Vec<JsonPath>,
    /// What these find never counts, watched or not.
    pub ignore: Vec<JsonPath>,
    /// How far the numbers that these find may move. Where two find the same number, one that covers a step is enough.
    pub tolerance: Vec<(JsonPath, Tolerance)>,
    /// Arrays whose elements are told apart by a key, which is found from the element; their order does not count. One
    /// in which an element has no key, or two have the same, is compared in its order.
    pub arrays: Vec<(JsonPath, JsonPath)>,
    /// Arrays whose order does not count.
    pub unordered: Vec<JsonPath>,
}

impl Rules {
    /// True when everything counts.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when what differs may still be equal, so that digests alone don't tell.
    pub fn tolerates(&self) -> bool {
        !self.tolerance.is_empty()
    }

    /// The digest of the canonical form of what counts in `item`. Without rules it is the item's canonical digest. Items
    /// with equal digests are equal under the rules; the reverse holds only where nothing is tolerated.
    pub fn digest(&self, item: &Json) -> Digest {
        if self.is_empty() { canonical_digest(item) } else { self.lens(item).digest(item, Numbers::Exact) }
    }

    /// As one text, for the fingerprint; [`Rules::from_text`] reads it back.
    pub fn to_text(&self) -> String {
        let list = |paths: &[JsonPath]| Json::array(paths.iter().map(JsonPath::as_str));
        let mut members = Vec::new();
        let mut put = |name, some: bool, value: Json| members.extend(some.then_some((name, value)));
        put("watch", !self.watch.is_empty(), list(&self.watch));
        put("ignore", !self.ignore.is_empty(), list(&self.ignore));
        let tolerance = self.tolerance.iter().map(|(path, tolerance)| (path.as_str(), tolerance.to_json()));
        put("tolerance", self.tolerates(), Json::object(tolerance));
        let arrays = self.arrays.iter().map(|(path, key)| (path.as_str(), key.as_str()));
        put("arrays", !self.arrays.is_empty(), Json::object(arrays));
        put("unordered", !self.unordered.is_empty(), list(&self.unordered));
        Json::object(members).to_string()
    }

    /// Reads back what [`Rules::to_text`] wrote; `None` for anything else, such as rules of a later version.
    pub fn from_text(text: &str) -> Option<Self> {
        let path = |json: &Json| JsonPath::parse(json.as_str()?).ok();
        let list = |json: &Json| json.as_array()?.iter().map(path).collect::<Option<Vec<_>>>();
        let name = |name: &String| JsonPath::parse(name).ok();
        let mut rules = Self::default();
        for (key, value) in parse(text.as_bytes()).ok()?.as_object()? {
            match key.as_str() {
                "watch" => rules.watch = list(value)?,
                "ignore" => rules.ignore = list(value)?,
                "unordered" => rules.unordered = list(value)?,
                "tolerance" => {
                    let pair = |(at, value): &(String, Json)| Some((name(at)?, Tolerance::from_json(value)?));
                    rules.tolerance = value.as_object()?.iter().map(pair).collect::<Option<_>>()?;
                }
                "arrays" => {
                    let pair = |(at, value): &(String, Json)| Some((name(at)?, path(value)?));
                    rules.arrays = value.as_object()?.iter().map(pair).collect::<Option<_>>()?;
                }
                _ => return None,
            }
        }
        Some(rules)
    }

    /// What counts in this item, place by place, and how.
    pub(in crate::core) fn lens<'a>(&'a self, item: &'a Json) -> Lens<'a> {
        let mut lens = if self.watch.is_empty() { Lens::Whole } else { Lens::Nothing };
        for way in self.watch.iter().flat_map(|path| path.ways(item)) {
            lens.watch(&way);
        }
        for way in self.ignore.iter().flat_map(|path| path.ways(item)) {
            lens.ignore(&way);
        }
        lens.tidy();
        for (way, key) in
            self.arrays.iter().flat_map(|(path, key)| path.ways(item).into_iter().map(move |way| (way, key)))
        {
            lens.key(&way, item, key);
        }
        for way in self.unordered.iter().flat_map(|path| path.ways(item)) {
            lens.unorder(&way);
        }
        let tolerances =
            self.tolerance.iter().flat_map(|(path, by)| path.ways(item).into_iter().map(move |way| (way, by)));
        for (way, by) in tolerances {
            lens.tolerate(&way, by);
        }
        lens.tidy();
        lens
    }
}
