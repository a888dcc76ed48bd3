//! What tells an item apart from the others: unique in the list, there in every item, and the same the next time.
//!
//! A name that sounds like an identity goes before one that happens to be unique today.

use std::collections::HashSet;

use super::{Leaf, Puzzle, Wish, bare, leaves};
use crate::core::json::Json;
use crate::core::path::JsonPath;

/// Names that sound like an identity, the best first.
const NAMES: &[&str] = &[
    "id", "uuid", "guid", "gid", "uid", "key", "number", "code", "sku", "slug", "handle", "isbn", "ean", "email",
    "name", "href", "url", "self",
];

/// The rank of a field that is called `something_id`: after those that are the identity, before a mere name.
const SOME_ID: usize = 6;

/// The rank of what only says which kind of thing it is: a part of an identity, at the most.
const KIND: usize = 99;

/// The rank of any other text: it is unique by chance, perhaps.
const BY_CHANCE: usize = 100;

/// Fewer items than this, and chance is not to be told from rule.
const CHANCE_ITEMS_MIN: usize = 3;

/// Characters that a key may have: longer text is content.
const CHARS_MAX: usize = 200;

/// What tells items apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFinding {
    /// One path, or those of a composite key.
    pub paths: Vec<String>,
    /// The reason.
    pub why: String,
}

impl KeyFinding {
    /// The key of an item, where it has one.
    pub(super) fn of(&self, item: &Json) -> Option<Vec<String>> {
        let part = |path: &String| text(*JsonPath::parse(path).ok()?.select(item).first()?);
        self.paths.iter().map(part).collect()
    }
}

pub(super) fn find(list: &str, items: &[&Json], others: &[&Json], wish: &Wish) -> Result<KeyFinding, Puzzle> {
    let mut candidates = candidates(list, items);
    if !wish.key.is_empty() {
        let key = KeyFinding {
            paths: wish.key.iter().map(|path| path.as_str().to_owned()).collect(),
            why: "you said so".to_owned(),
        };
        return if is_unique(&key, items) { Ok(key) } else { Err(puzzle(list, items, &candidates)) };
    }
    candidates.sort_by_key(|candidate| candidate.rank);
    let count = items.len();
    let enough = |rank: usize| rank < KIND || (rank > KIND && count >= CHANCE_ITEMS_MIN);
    for candidate in candidates.iter().filter(|candidate| enough(candidate.rank)) {
        let why = match candidate.rank < KIND {
            true => format!("in each of the {count} items, never twice, and the same in the second fetch"),
            false => format!("the {count} items differ in it, perhaps by chance: check whether it is their identity"),
        };
        let key = KeyFinding { paths: vec![candidate.path.clone()], why };
        if is_unique(&key, items) && stays(&key, items, others) {
            return Ok(key);
        }
    }
    composite(&candidates, items, others).ok_or_else(|| puzzle(list, items, &candidates))
}

struct Candidate {
    path: String,
    rank: usize,
}

/// Fields that every item has, with how much each sounds like an identity.
fn candidates(list: &str, items: &[&Json]) -> Vec<Candidate> {
    let singular = singular(list);
    let Some(first) = items.first() else { return Vec::new() };
    let everywhere = |leaf: &Leaf<'_>| {
        let Ok(path) = JsonPath::parse(&leaf.path) else { return false };
        items.iter().all(|item| path.select(item).first().is_some_and(|value| text(value).is_some()))
    };
    let found = leaves(first).into_iter().filter(|leaf| everywhere(leaf));
    found.map(|leaf| Candidate { rank: rank(&leaf, &singular), path: leaf.path }).collect()
}

/// `$.data.orders[*]` is a list of `order`.
fn singular(list: &str) -> String {
    let name = list.trim_end_matches("[*]").rsplit(['.', '\'']).find(|part| !part.is_empty()).unwrap_or_default();
    let name = bare(name);
    match name.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => name.strip_suffix('s').unwrap_or(&name).to_owned(),
    }
}

fn rank(leaf: &Leaf<'_>, singular: &str) -> usize {
    let name = bare(leaf.name);
    let nested = 10 * (leaf.depth - 1);
    if !singular.is_empty() && name == format!("{singular}id") {
        return nested + 1;
    }
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return nested + at + usize::from(at >= SOME_ID);
    }
    let ends = leaf.name.ends_with("_id") || leaf.name.ends_with("Id") || leaf.name.ends_with("ID");
    if ends {
        return nested + SOME_ID;
    }
    if ["type", "kind", "object"].contains(&name.as_str()) {
        return KIND;
    }
    BY_CHANCE + nested
}

/// The text of a key, where the value can be one.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() && text.chars().count() <= CHARS_MAX => Some(text.clone()),
        Json::Number(number) if number.as_i128().is_some() => Some(number.plain()),
        _ => None,
    }
}

fn is_unique(key: &KeyFinding, items: &[&Json]) -> bool {
    let mut seen = HashSet::new();
    items.iter().all(|item| key.of(item).is_some_and(|key| seen.insert(key)))
}

/// Does the second fetch know the items by the same keys? Some may have come and gone meanwhile.
fn stays(key: &KeyFinding, items: &[&Json], others: &[&Json]) -> bool {
    let before: HashSet<_> = items.iter().filter_map(|item| key.of(item)).collect();
    let known = others.iter().filter(|item| key.of(item).is_some_and(|key| before.contains(&key))).count();
    known * 2 >= others.len()
}

/// Two fields that sound like identities, and are one together.
fn composite(candidates: &[Candidate], items: &[&Json], others: &[&Json]) -> Option<KeyFinding> {
    let likely: Vec<_> = candidates.iter().filter(|candidate| candidate.rank < BY_CHANCE).take(8).collect();
    let pairs = likely.iter().enumerate().flat_map(|(at, one)| likely[at + 1..].iter().map(move |two| (one, two)));
    let mut keys = pairs.map(|(one, two)| KeyFinding {
        paths: vec![one.path.clone(), two.path.clone()],
        why: "neither is unique alone, and both together are".to_owned(),
    });
    keys.find(|key| is_unique(key, items) && stays(key, items, others))
}

fn puzzle(list: &str, items: &[&Json], candidates: &[Candidate]) -> Puzzle {
    let fields = candidates.iter().take(5).map(|candidate| candidate.path.clone()).collect();
    Puzzle::NoKey { items: list.to_owned(), count: items.len(), fields }
}
