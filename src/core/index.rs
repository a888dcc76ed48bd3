//! A list that is too large to be held: which items it has and where each stands, found in one pass, window by window.
//!
//! The pass checks all that is checked of a body that is held, so that a body which is refused has changed nothing. It
//! reads no files: whoever has the bytes hands them in.

use std::ops::Range;

use bytes::Bytes;
use http::HeaderMap;

use crate::core::cursor::Reach;
use crate::core::document::Pieces;
use crate::core::extract::{self, Item};
use crate::core::job::Job;
use crate::core::names::KeyDigest;
use crate::core::outcome::Failure;
use crate::core::page::{Leaf, Paging};

/// Bytes of a body that are handed out at once, when there are several items in them.
pub const BATCH_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// One item of a body that is not held.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: KeyDigest,
    start: u64,
    length: u32,
    /// Its position, from 0.
    at: u32,
}

impl Entry {
    fn range(&self) -> Range<u64> {
        self.start..self.start + u64::from(self.length)
    }
}

/// Reads a range of the body.
pub type Read<'a> = dyn FnMut(Range<u64>) -> Result<Bytes, Failure> + 'a;

/// Finds a body's items.
pub struct Indexer<'a> {
    job: &'a Job,
    headers: &'a HeaderMap,
    pieces: Pieces,
    entries: Vec<Entry>,
    reach: Reach,
    last: Option<Item>,
    /// Bytes before the window.
    base: u64,
}

impl<'a> Indexer<'a> {
    /// For a body that begins so; none when it has to be read as a whole.
    ///
    /// # Errors
    /// It is not what the job says it is.
    pub fn new(
        job: &'a Job,
        headers: &'a HeaderMap,
        content_type: Option<&str>,
        reach: Reach,
        beginning: &[u8],
    ) -> Result<Option<Self>, Failure> {
        let beside = paths_beside_items(job);
        let pieces = Pieces::new(job, content_type, beginning)?.filter(|_| beside);
        let of = |pieces| Self { job, headers, pieces, entries: Vec::new(), reach, last: None, base: 0 };
        Ok(pieces.map(of))
    }

    /// Reads on; returns how much was read: the next window begins with what was not. `last`: nothing comes behind it.
    ///
    /// # Errors
    /// As [`extract::extract`].
    pub fn feed(&mut self, window: &[u8], last: bool) -> Result<usize, Failure> {
        let Self { job, headers, entries, reach, last: kept, base, .. } = self;
        let by_item = job.cursor.as_ref().filter(|spec| spec.reads_items());
        let read = self.pieces.feed(window, last, &mut |range, raw| {
            let key = extract::key_at(job, raw, entries.len())?;
            let (length, at) = (narrow(range.len()), narrow(entries.len()));
            entries.push(Entry { key: key.digest(), start: *base + range.start as u64, length, at });
            if by_item.is_some() || job.pages.is_some() {
                let item = kept.insert(Item::new(key, Bytes::copy_from_slice(raw)));
                by_item.map_or(Ok(()), |spec| reach.read(spec, headers, raw, std::slice::from_ref(item)))?;
            }
            Ok(())
        })?;
        self.base += read as u64;
        Ok(read)
    }

    /// Ends the pass; `read` gives what was read once more. None when the list was not found, or when too much stands
    /// beside it: then the body has to be read as a whole.
    ///
    /// # Errors
    /// Two items have the same key and differ, or what leads to the next page is of the wrong type.
    pub fn finish(mut self, read: &mut Read<'_>) -> Result<Option<Index>, Failure> {
        let Some(rest) = self.pieces.rest() else { return Ok(None) };
        let count = self.entries.len() as u64;
        self.unique(read)?;
        let leaf = |pages| Leaf::read(pages, self.headers, &rest, self.last.as_slice(), count);
        let leaf = self.job.pages.as_ref().map(leaf).transpose()?.unwrap_or_default();
        if let Some(spec) = self.job.cursor.as_ref().filter(|spec| !spec.reads_items()) {
            self.reach.read(spec, self.headers, &rest, &[])?;
        }
        self.entries.shrink_to_fit();
        Ok(Some(Index { pieces: self.pieces, entries: self.entries, next: 0, leaf, reach: self.reach }))
    }

    /// One entry for each key; items that are equal may repeat.
    fn unique(&mut self, read: &mut Read<'_>) -> Result<(), Failure> {
        self.entries.sort_unstable_by_key(|entry| (entry.key, entry.start));
        let mut refused = None;
        let (job, pieces) = (self.job, &self.pieces);
        self.entries.dedup_by(|later, first| {
            if later.key != first.key || refused.is_some() {
                return false;
            }
            refused = same(job, pieces, first, later, read).err();
            true
        });
        self.entries.sort_unstable_by_key(|entry| entry.start);
        refused.map_or(Ok(()), Err)
    }
}

/// Do the paths that lead on look beside the items, not into them?
fn paths_beside_items(job: &Job) -> bool {
    let items = job.items.as_ref().and_then(|items| items.plain_steps());
    let list = items.and_then(|steps| steps.split_last()).map(|(_, list)| list);
    let paging = job.pages.iter().flat_map(Paging::body_paths);
    let mut paths = paging.chain(job.cursor.iter().filter_map(|spec| spec.body_path()));
    paths.all(|path| match (path.plain_steps(), list) {
        (Some(steps), Some(list)) => !steps.starts_with(list) && !list.starts_with(steps),
        _ => false,
    })
}

fn same(job: &Job, pieces: &Pieces, first: &Entry, later: &Entry, read: &mut Read<'_>) -> Result<(), Failure> {
    let (first, again) = (pieces.item(read(first.range())?), pieces.item(read(later.range())?));
    extract::same(job, &item(job, first, 0)?, &item(job, again, 0)?, later.at as usize)
}

/// A count that `max_body` keeps in bounds.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn item(job: &Job, raw: Bytes, at: usize) -> Result<Item, Failure> {
    Ok(Item::new(extract::key_at(job, &raw, at)?, raw))
}

/// Which items a body has, and where they stand.
pub struct Index {
    pieces: Pieces,
    entries: Vec<Entry>,
    /// The first one that was not handed out.
    next: usize,
    /// What counts for paging.
    pub leaf: Leaf,
    /// What was read of the cursor.
    pub reach: Reach,
}

impl Index {
    /// The keys, in the order of the body.
    pub fn keys(&self) -> Vec<KeyDigest> {
        self.entries.iter().map(|entry| entry.key).collect()
    }

    /// The next items, at most so many, in the order of the body; none at its end.
    ///
    /// # Errors
    /// When the body can't be read once more.
    pub fn batch(&mut self, job: &Job, most: usize, read: &mut Read<'_>) -> Result<Vec<Item>, Failure> {
        let rest = &self.entries[self.next..];
        let Some(first) = rest.first() else { return Ok(Vec::new()) };
        let near = |entry: &&Entry| entry.range().end - first.start <= BATCH_BYTES_MAX;
        let count = rest.iter().take(most).take_while(near).count().max(1);
        let batch = &rest[..count];
        let end = batch.last().unwrap_or(first).range().end;
        let bytes = read(first.start..end)?;
        let piece = |entry: &Entry| {
            let start = usize::try_from(entry.start - first.start).unwrap_or(usize::MAX);
            bytes.slice(start..start + entry.length as usize)
        };
        let of = |entry: &Entry| item(job, self.pieces.item(piece(entry)), entry.at as usize);
        let items = batch.iter().map(of).collect();
        self.next += count;
        items
    }
}
