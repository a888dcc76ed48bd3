//! A long list in blocks: those that are what they were need not be held against the ledger item by item.
//!
//! Where a block ends is for the keys to say, so that an item that comes or goes changes its own block and no other.
//! Pure: what is remembered of which list, and for how long, is the engine's business.

use std::ops::Range;

use bytes::Bytes;

use crate::core::extract::Spot;
use crate::core::names::{Digest, KeyDigest};

/// One key in so many, in the mean, is the last of its block.
const MEAN: u8 = 32;

/// Items of a block at most.
const ITEMS_MAX: usize = 256;

/// What the blocks of a list are recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks(Box<[Digest]>);

impl FromIterator<Digest> for Blocks {
    fn from_iter<I: IntoIterator<Item = Digest>>(blocks: I) -> Self {
        let mut blocks: Vec<Digest> = blocks.into_iter().collect();
        blocks.sort_unstable();
        Self(blocks.into())
    }
}

impl Blocks {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True of an empty list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, block: &Digest) -> bool {
        self.0.binary_search(block).is_ok()
    }
}

/// A list that was cut into blocks: the items of each, and what it is recognised by.
#[derive(Debug)]
pub(in crate::core) struct Cut(Vec<(Range<usize>, Digest)>);

impl Cut {
    /// Cuts the items of a body. `None` when they are not parts of it, or not in its order.
    pub(in crate::core) fn of(body: &Bytes, items: &[Spot<'_>]) -> Option<Self> {
        let mut blocks = Vec::with_capacity(items.len() / usize::from(MEAN) + 1);
        let (mut from, mut places) = (0, Vec::new());
        for (at, item) in items.iter().enumerate() {
            let end = at + 1;
            if ends_block(item.key_digest) || end - from == ITEMS_MAX || end == items.len() {
                blocks.push((from..end, digest(body, &items[from..end], &mut places)?));
                from = end;
            }
        }
        Some(Self(blocks))
    }

    /// Where the items are that are in none of the `known` blocks.
    pub(in crate::core) fn fresh(&self, known: &Blocks) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().filter(|(_, block)| !known.has(block)).map(|(range, _)| range.clone())
    }

    /// What the list is recognised by from now on.
    pub(in crate::core) fn blocks(self) -> Blocks {
        self.0.into_iter().map(|(_, block)| block).collect()
    }
}

fn ends_block(key: KeyDigest) -> bool {
    key.0[0].is_multiple_of(MEAN)
}

/// Of all bytes from the first item to the last, in one go, and of where each item stands in them. The `places` are room
/// that is used again.
fn digest(body: &Bytes, items: &[Spot<'_>], places: &mut Vec<u8>) -> Option<Digest> {
    let first = place(body, items.first()?.raw)?.start;
    let mut last = first;
    places.clear();
    for item in items {
        let Range { start, end } = place(body, item.raw)?;
        for length in [start.checked_sub(last)?, end - start] {
            places.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
        }
        last = end;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(body.get(first..last)?).update(places);
    Some(Digest::from_hash(hasher.finalize()))
}

/// Where a part of a body stands in it.
fn place(body: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= body.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::extract::{Fresh, extract_fresh};
    use crate::core::job::{Job, plain};
    use crate::core::path::JsonPath;

    fn list(items: impl Iterator<Item = (u32, u32)>) -> Bytes {
        let items: Vec<String> = items.map(|(id, value)| format!("{{\"id\": {id}, \"value\": {value}}}")).collect();
        Bytes::from(format!("[{}]", items.join(", ")))
    }

    fn read(body: &Bytes, known: &Blocks) -> Fresh {
        let job = Job {
            items: Some(JsonPath::parse("$[*]").expect("a path")),
            key: vec![JsonPath::parse("$.id").expect("a path")],
            ..plain("orders")
        };
        extract_fresh(&job, body, known).expect("a list")
    }

    fn ids(fresh: &Fresh) -> Vec<&str> {
        fresh.items.iter().map(|item| item.key.as_str()).collect()
    }

    #[test]
    fn of_a_list_that_is_what_it_was_nothing_is_fresh() {
        let body = list((0..1000).map(|id| (id, 0)));
        let first = read(&body, &Blocks::default());
        assert_eq!((first.items.len(), first.keys.len()), (1000, 1000));
        let blocks = first.blocks.expect("blocks");
        assert!((15..65).contains(&blocks.len()), "{}", blocks.len());
        let again = read(&Bytes::copy_from_slice(&body), &blocks);
        assert_eq!((again.items.len(), again.keys == first.keys), (0, true));
        assert_eq!(again.blocks, Some(blocks));
    }

    #[test]
    fn an_item_that_changes_comes_or_goes_touches_its_own_block_only() {
        let blocks = read(&list((0..1000).map(|id| (id, 0))), &Blocks::default()).blocks.expect("blocks");
        let changed = read(&list((0..1000).map(|id| (id, u32::from(id == 500)))), &blocks);
        assert!(ids(&changed).contains(&"500") && changed.items.len() < 200, "{}", changed.items.len());
        let came = read(
            &list((0..1000).flat_map(|id| [(id, 0), (id + 9000, 0)]).filter(|it| it.0 < 1000 || it.0 == 9300)),
            &blocks,
        );
        assert!(ids(&came).contains(&"9300") && came.items.len() < 200, "{}", came.items.len());
        let went = read(&list((0..1000).filter(|id| *id != 300).map(|id| (id, 0))), &blocks);
        assert!(went.items.len() < 200 && went.keys.len() == 999, "{}", went.items.len());
    }

    #[test]
    fn what_stands_between_items_counts_too() {
        let blocks = read(&list((0..3).map(|id| (id, 0))), &Blocks::default()).blocks.expect("blocks");
        let spaced = String::from_utf8_lossy(&list((0..3).map(|id| (id, 0)))).replace(", {", ",  {");
        let read = read(&Bytes::from(spaced), &blocks);
        assert!(read.items.iter().all(|item| item.raw_digest == Digest::of(&item.raw)));
    }
}
