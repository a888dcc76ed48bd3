//! From a body to its items: each with its key and its own bytes, most of them without a tree.
//!
//! It tells an empty list from a wrong answer, and decides nothing about changes.

mod explain;
mod key;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;

use crate::core::blocks::{Blocks, Cut};
use crate::core::job::Job;
use crate::core::json::{self, Json, JsonError, Split};
use crate::core::names::{ByDigest, Digest, Key, KeyDigest};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::path::{JsonPath, Step};

pub(in crate::core) use explain::not_json;
pub(in crate::core) use key::of_element as element_key;

/// An item as it was read: its key and its bytes, no tree.
#[derive(Clone, Debug)]
pub struct Item {
    /// The key's text.
    pub key: Key,
    /// The digest of the key.
    pub key_digest: KeyDigest,
    /// The item's bytes: a slice of the body, or written anew where the query needed a tree.
    pub raw: Bytes,
    /// The digest of those bytes.
    pub raw_digest: Digest,
}

/// Reads a body's items, in the order of the body.
///
/// The whole body is checked to be JSON. Where no tree is needed, a name that stands twice in an object inside an item
/// is not seen here: [`json::parse`] sees it when the item is parsed.
///
/// # Errors
/// `NotJson`, `SelectorEmpty`, `KeyMissing` or `KeyTwice`, with a sentence that shows what was there instead.
pub fn extract(job: &Job, body: &Bytes) -> Result<Vec<Item>, Failure> {
    extract_counted(job, body).map(|(items, _)| items)
}

/// The same, and how many there are with those that repeat: what a page's length is.
///
/// # Errors
/// As [`extract`].
pub fn extract_counted(job: &Job, body: &Bytes) -> Result<(Vec<Item>, u64), Failure> {
    Selection::of(job).read(body)
}

/// What of a list is not known yet.
#[derive(Debug)]
pub struct Fresh {
    /// The keys of all items, sorted.
    pub keys: Vec<KeyDigest>,
    /// The items in blocks that are not known.
    pub items: Vec<Item>,
    /// What the list is recognised by from now on; `None` where it can't be cut.
    pub blocks: Option<Blocks>,
}

/// Reads a body's items but for those in blocks that are `known`, whose bytes are not looked at one by one.
///
/// # Errors
/// As [`extract`].
pub fn extract_fresh(job: &Job, body: &Bytes, known: &Blocks) -> Result<Fresh, Failure> {
    let selection = Selection::of(job);
    let spots = selection.spots(body)?;
    if let Some((spots, keys)) = spots.as_deref().and_then(|spots| Some((spots, distinct(spots)?))) {
        return Ok(fresh(body, spots, keys, known));
    }
    // It has items that repeat, or its query needs a tree.
    let (items, _) = selection.items(body, spots.as_deref())?;
    let mut keys: Vec<KeyDigest> = items.iter().map(|item| item.key_digest).collect();
    keys.sort_unstable();
    Ok(Fresh { keys, items, blocks: None })
}

/// The keys of items that all have different ones, sorted.
fn distinct(spots: &[Spot<'_>]) -> Option<Vec<KeyDigest>> {
    let mut keys: Vec<KeyDigest> = spots.iter().map(|spot| spot.key_digest).collect();
    keys.sort_unstable();
    keys.is_sorted_by(|one, next| one < next).then_some(keys)
}

fn fresh(body: &Bytes, spots: &[Spot<'_>], keys: Vec<KeyDigest>, known: &Blocks) -> Fresh {
    let cut = Cut::of(body, spots);
    let items = match &cut {
        Some(cut) => cut.fresh(known).flat_map(|range| &spots[range]).map(|spot| spot.item(body)).collect(),
        None => spots.iter().map(|spot| spot.item(body)).collect(),
    };
    Fresh { keys, items, blocks: cut.map(Cut::blocks) }
}

/// An item where it stands in a body. Of most items of a long list no more is needed.
#[derive(Debug)]
pub(in crate::core) struct Spot<'a> {
    pub(in crate::core) raw: &'a [u8],
    pub(in crate::core) key_digest: KeyDigest,
    key: Cow<'a, str>,
}

impl<'a> Spot<'a> {
    fn new(raw: &'a [u8], key: Cow<'a, str>) -> Self {
        Self { raw, key_digest: KeyDigest::of(key.as_bytes()), key }
    }

    fn item(&self, body: &Bytes) -> Item {
        let (key, raw) = (Key::from(&*self.key), body.slice_ref(self.raw));
        Item { key, key_digest: self.key_digest, raw, raw_digest: Digest::of(self.raw) }
    }
}

/// The key of the item at this position (from 0) of a list that is not held.
///
/// # Errors
/// It has none.
pub(in crate::core) fn key_at(job: &Job, raw: &[u8], at: usize) -> Result<Key, Failure> {
    key::of_raw(&job.key, raw, Place::Item(at))
}

/// Refuses two items that have the same key and differ; `at` is the position of the second one.
///
/// # Errors
/// `KeyTwice`.
pub(in crate::core) fn same(job: &Job, first: &Item, second: &Item, at: usize) -> Result<(), Failure> {
    Selection::of(job).same(first, second, at)
}

/// What of a job says which items there are.
struct Selection<'a> {
    items: Option<&'a JsonPath>,
    key: &'a [JsonPath],
    empty: bool,
}

impl<'a> Selection<'a> {
    fn of(job: &'a Job) -> Self {
        Self { items: job.items.as_ref(), key: &job.key, empty: job.empty }
    }

    /// The items, and how many there are with those that repeat.
    fn read(&self, body: &Bytes) -> Result<(Vec<Item>, u64), Failure> {
        self.items(body, self.spots(body)?.as_deref())
    }

    /// The same, once it is known where they stand.
    fn items(&self, body: &Bytes, spots: Option<&[Spot<'_>]>) -> Result<(Vec<Item>, u64), Failure> {
        let items: Vec<Item> = match (spots, self.items) {
            (Some(spots), _) => spots.iter().map(|spot| spot.item(body)).collect(),
            (None, Some(query)) => self.select(query, body)?,
            (None, None) => Vec::new(),
        };
        let count = items.len() as u64;
        Ok((self.unique(items)?, count))
    }

    /// Where the items stand in the body; `None` when the query needs a tree.
    fn spots<'b>(&self, body: &'b Bytes) -> Result<Option<Vec<Spot<'b>>>, Failure> {
        let spots = match self.items.map(|query| (query, query.plain_steps())) {
            None => self.split(None, &[], body),
            Some((query, Some(steps))) => self.split(Some(query), steps, body),
            Some((_, None)) => return Ok(None),
        };
        spots.map(Some).map_err(|failure| explain::members_for_items(failure, self.items, body))
    }

    /// The items of a list, each with its key, in one pass over the body. `None` where something is wrong, which is then
    /// told with its place in the item.
    fn list<'b>(&self, steps: &[Step], body: &'b Bytes) -> Option<Vec<Spot<'b>>> {
        let (mut spots, mut wrong) = (Vec::new(), false);
        let there = json::split_keyed(body, steps, key::only_steps(self.key)?, |raw, key| {
            let made =
                || key::of_raw(self.key, raw, self.place(spots.len())).ok().map(|key| Cow::Owned(key.to_string()));
            match key.and_then(|key| key::of_value(key).map(Cow::Borrowed).or_else(made)) {
                Some(key) => spots.push(Spot::new(raw, key)),
                None => wrong = true,
            }
        });
        (there.ok()? && !wrong).then_some(spots)
    }

    /// The items of a query that needs no tree.
    fn split<'b>(&self, query: Option<&JsonPath>, steps: &[Step], body: &'b Bytes) -> Result<Vec<Spot<'b>>, Failure> {
        let is_list = query.is_some_and(|query| !explain::must_be_array(query) || begins_array(body));
        if let Some(spots) = is_list.then(|| self.list(steps, body)).flatten() {
            return Ok(spots);
        }
        let found = json::split(body, steps).map_err(|error| explain::not_json(body, &error))?;
        let raws = match (found, query) {
            (Split::Items(_), Some(query)) if explain::must_be_array(query) && !begins_array(body) => {
                return Err(self.nothing(query, &parse(body)?));
            }
            (Split::NotThere, Some(query)) => return self.not_there(query, &parse(body)?).map(|()| Vec::new()),
            (Split::Items(raws), _) => raws,
            (Split::NotThere, None) => Vec::new(),
        };
        let spot = |(at, raw): (usize, &'b [u8])| {
            let key = key::of_raw(self.key, raw, self.place(at))?;
            Ok(Spot::new(raw, Cow::Owned(key.to_string())))
        };
        raws.into_iter().enumerate().map(spot).collect()
    }

    /// The items of a query that needs a tree.
    fn select(&self, query: &JsonPath, body: &Bytes) -> Result<Vec<Item>, Failure> {
        let tree = parse(body)?;
        let nodes = query.select(&tree);
        let holds = |node: &&Json| matches!(node, Json::Array(_) | Json::Object(_));
        let there = match query.container() {
            Some(container) => container.select(&tree).iter().any(holds),
            None => !nodes.is_empty(),
        };
        if !there {
            return self.not_there(query, &tree).map(|()| Vec::new());
        }
        let item = |(at, node): (usize, &Json)| {
            Ok(Item::new(key::of_tree(self.key, node, self.place(at))?, Bytes::from(node.to_bytes())))
        };
        nodes.into_iter().enumerate().map(item).collect()
    }

    /// The query leads nowhere: an empty list where the job allows it and nothing (or null) stands in its place.
    fn not_there(&self, query: &JsonPath, tree: &Json) -> Result<(), Failure> {
        let absent = match query.container() {
            Some(container) if container.plain_steps() == Some(&[]) => false,
            Some(container) => container.select(tree).iter().all(|node| node.is_null()),
            None => true,
        };
        if self.empty && absent { Ok(()) } else { Err(self.nothing(query, tree)) }
    }

    fn nothing(&self, query: &JsonPath, tree: &Json) -> Failure {
        Failure::new(FailureKind::SelectorEmpty, explain::nothing_found(query, tree, self.empty))
    }

    /// One item for each key; items that are equal may repeat.
    fn unique(&self, items: Vec<Item>) -> Result<Vec<Item>, Failure> {
        let mut seen: HashMap<KeyDigest, usize, _> =
            HashMap::with_capacity_and_hasher(items.len(), ByDigest::default());
        let mut unique: Vec<Item> = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match seen.entry(item.key_digest) {
                Entry::Vacant(entry) => {
                    entry.insert(unique.len());
                    unique.push(item);
                }
                Entry::Occupied(entry) => self.same(&unique[*entry.get()], &item, at)?,
            }
        }
        Ok(unique)
    }

    /// Refuses two items that have the same key and differ.
    fn same(&self, first: &Item, second: &Item, at: usize) -> Result<(), Failure> {
        if first.raw == second.raw {
            return Ok(());
        }
        let (a, b) = (parse(&first.raw)?, parse(&second.raw)?);
        if json::equal(&a, &b) {
            return Ok(());
        }
        Err(Failure::new(FailureKind::KeyTwice, explain::key_twice(self.key, &first.key, at, &a, &b)))
    }

    /// How a sentence calls the item at this position.
    fn place(&self, at: usize) -> Place {
        if self.items.is_some() { Place::Item(at) } else { Place::Document }
    }
}

/// How a sentence calls an item.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The answer as a whole.
    Document,
    /// An item of a list, by its position from 0.
    Item(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document => f.write_str("the answer"),
            Self::Item(at) => write!(f, "the item at position {at} (counting from 0)"),
        }
    }
}

impl Item {
    /// An item of these bytes.
    pub fn new(key: Key, raw: Bytes) -> Self {
        Self { key_digest: key.digest(), key, raw_digest: Digest::of(&raw), raw }
    }
}

fn parse(text: &[u8]) -> Result<Json, Failure> {
    json::parse(text).map_err(|error: JsonError| explain::not_json(text, &error))
}

/// Is the first thing in a body that is JSON an array?
fn begins_array(body: &[u8]) -> bool {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    body.trim_ascii_start().first() == Some(&b'[')
}
