//! What could make fetching incremental: a time of the last change in every item.
//!
//! Which parameter of the vendor takes it is not in an answer, so this only makes a suggestion.

use super::{Finding, bare, leaves};
use crate::core::json::Json;
use crate::core::path::JsonPath;

/// Names of the time of the last change, the best first.
const NAMES: &[&str] = &[
    "updatedat",
    "modifiedat",
    "lastmodified",
    "lastmodifieddate",
    "lastmodifiedat",
    "systemmodstamp",
    "updated",
    "modified",
    "modifieddate",
    "updateddate",
    "lastupdated",
    "lastupdatedat",
    "updatedtime",
    "modifiedtime",
    "lasteditedtime",
    "hslastmodifieddate",
    "changedat",
    "updatedon",
    "datemodified",
];

pub(super) fn find(items: &[&Json]) -> Option<Finding> {
    let leaves = leaves(items.first()?);
    let rank = |name: &str| NAMES.iter().position(|known| *known == bare(name));
    let mut named: Vec<_> = leaves.iter().filter_map(|leaf| Some((rank(leaf.name)?, leaf))).collect();
    named.sort_by_key(|(rank, leaf)| (leaf.depth, *rank));
    let everywhere = |path: &str| {
        let Ok(path) = JsonPath::parse(path) else { return false };
        items.iter().all(|item| path.select(item).first().is_some_and(|value| is_time(value)))
    };
    let (_, leaf) = named.into_iter().find(|(_, leaf)| everywhere(&leaf.path))?;
    let why = format!("a time of the last change in every item, such as {}", leaf.value);
    Some(Finding { path: leaf.path.clone(), why })
}

/// Does it look like a moment: a date, or seconds or milliseconds since 1970?
fn is_time(value: &Json) -> bool {
    match value {
        Json::String(text) => {
            let shape: String = text.chars().take(10).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            shape == "0000-00-00" || text.parse::<u64>().is_ok_and(is_since_1970)
        }
        Json::Number(number) => number.as_u64().is_some_and(is_since_1970),
        _ => false,
    }
}

/// From 2001 on, in seconds or milliseconds.
fn is_since_1970(number: u64) -> bool {
    (1_000_000_000..100_000_000_000_000).contains(&number)
}
