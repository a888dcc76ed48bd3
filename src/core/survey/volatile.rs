//! What differs between two fetches that are a moment apart, and would be an event on every poll.
//!
//! A field that differs in one item of many is a change, and none of this.

use std::collections::{BTreeMap, HashMap};

use super::key::KeyFinding;
use super::{bare, step};
use crate::core::json::{Json, equal};

/// Findings that are told: more than these, and it is not a field that flickers but the answer.
const TOLD_MAX: usize = 12;

/// How deep is compared.
const DEPTH_MAX: usize = 16;

/// Words of names that flicker by their nature.
const WORDS: &[&str] = &[
    "time",
    "timestamp",
    "now",
    "generat",
    "requestid",
    "traceid",
    "nonce",
    "etag",
    "took",
    "elapsed",
    "duration",
    "servedat",
    "fetchedat",
    "age",
    "ttl",
    "token",
    "signature",
    "expires",
    "cursor",
    "uptime",
    "random",
    "cache",
];

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volatile {
    /// Where it is in an item.
    pub path: String,
    /// The reason.
    pub why: String,
    /// Should it be ignored without asking? Otherwise it may be the very thing that is polled for.
    pub sure: bool,
}

pub(super) fn of_document(first: &Json, again: &Json) -> Vec<Volatile> {
    let mut differing = BTreeMap::new();
    differ(first, again, "$", 0, &mut differing);
    let told = differing.into_keys().filter(|path| path != "$").map(|path| Volatile {
        sure: flickers(&path),
        why: "it differs between two fetches a moment apart".to_owned(),
        path,
    });
    told.take(TOLD_MAX).collect()
}

pub(super) fn of_items(items: &[&Json], others: &[&Json], key: &KeyFinding) -> Vec<Volatile> {
    let by_key: HashMap<_, _> = others.iter().filter_map(|item| Some((key.of(item)?, *item))).collect();
    let mut matched = 0;
    let mut differing: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let Some(other) = key.of(item).and_then(|key| by_key.get(&key)) else { continue };
        matched += 1;
        let mut of_this = BTreeMap::new();
        differ(item, other, "$", 0, &mut of_this);
        of_this.into_keys().for_each(|path| *differing.entry(path).or_default() += 1);
    }
    let often = differing.into_iter().filter(|(path, count)| path != "$" && count * 2 > matched);
    let told = often.map(|(path, count)| Volatile {
        sure: matched > 1 || flickers(&path),
        why: format!("it differs in {count} of {matched} items between two fetches a moment apart"),
        path,
    });
    told.take(TOLD_MAX).collect()
}

/// Does its name say that it flickers?
fn flickers(path: &str) -> bool {
    let last = path.rsplit(['.', '\'']).find(|part| !part.is_empty() && *part != "]").unwrap_or_default();
    let name = bare(last);
    WORDS.iter().any(|word| name == *word || name.ends_with(word) || name.starts_with(word))
}

/// The paths at which two values differ; elements of arrays go by their place, and are named as any.
fn differ(one: &Json, two: &Json, path: &str, depth: usize, found: &mut BTreeMap<String, ()>) {
    match (one, two) {
        (Json::Object(members), Json::Object(_)) if depth < DEPTH_MAX => {
            for (name, value) in members {
                let path = format!("{path}{}", step(name));
                match two.get(name) {
                    Some(other) => differ(value, other, &path, depth + 1, found),
                    None => drop(found.insert(path, ())),
                }
            }
        }
        (Json::Array(left), Json::Array(right)) if depth < DEPTH_MAX && left.len() == right.len() => {
            let path = format!("{path}[*]");
            left.iter().zip(right).for_each(|(one, two)| differ(one, two, &path, depth + 1, found));
        }
        _ if equal(one, two) => {}
        _ => drop(found.insert(path.to_owned(), ())),
    }
}
