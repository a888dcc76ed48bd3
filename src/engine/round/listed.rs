//! What a page holds, some items at a time: of a body in memory, or of one on disk that is read window by window.
//!
//! It asks the ledger nothing: see [`super::compare`].

use std::sync::Arc;

use bytes::Bytes;

use crate::core::blocks::Blocks;
use crate::core::cursor::Reach;
use crate::core::document::to_json;
use crate::core::extract::{Fresh, Item, extract_counted, extract_fresh};
use crate::core::index::{Index, Indexer};
use crate::core::job::Job;
use crate::core::names::KeyDigest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::page::Leaf;
use crate::engine::round::Round;
use crate::engine::tasks::Tasks;
use crate::source::{Answer, Body, Spool, WINDOW};

/// Items that are held against the ledger at once: of so many there may be trees in memory, not of a whole page's.
pub(super) const COMPARED_MAX: usize = 5_000;

/// A page that was read as far as its keys.
pub(super) struct Listed {
    pub(super) keys: Vec<KeyDigest>,
    pub(super) leaf: Leaf,
    pub(super) reach: Reach,
    pub(super) items: Items,
    /// Items that are not among those, for they are what they were.
    pub(super) passed: u64,
    /// What the list is recognised by from now on.
    pub(super) blocks: Option<Blocks>,
}

/// A page's items, which come some at a time.
pub(super) enum Items {
    /// From memory.
    Held(std::vec::IntoIter<Item>),
    /// From disk.
    Spooled(Box<(Index, Spool)>),
    /// Lent to a thread.
    Away,
}

impl Items {
    /// The next ones; none at the end.
    pub(super) async fn next(&mut self, job: &Arc<Job>, tasks: &Tasks) -> Result<Vec<Item>, Failure> {
        match std::mem::replace(self, Self::Away) {
            Self::Held(mut items) => {
                let some = items.by_ref().take(COMPARED_MAX).collect();
                *self = Self::Held(items);
                Ok(some)
            }
            Self::Spooled(mut spooled) => {
                let job = job.clone();
                let work = move || {
                    let (index, spool) = &mut *spooled;
                    let some = index.batch(&job, COMPARED_MAX, &mut |range| spool.read(range).map_err(unreadable));
                    (spooled, some)
                };
                let (spooled, some) = tasks.compute(WINDOW, work).await;
                *self = Self::Spooled(spooled);
                some
            }
            Self::Away => Ok(Vec::new()),
        }
    }
}

impl Round<'_> {
    /// Reads what an answer holds; in blocks, where those that are `known` are given.
    pub(super) async fn list(&self, answer: Answer, known: Option<Blocks>) -> Result<Listed, Failure> {
        let (job, reach) = (self.job.clone(), self.reach.clone());
        let weight = answer.body.as_ref().map_or(0, |body| usize::try_from(body.len()).unwrap_or(usize::MAX));
        self.world.tasks.compute(weight, move || list(&job, &answer, reach, known)).await
    }
}

fn list(job: &Job, answer: &Answer, reach: Reach, known: Option<Blocks>) -> Result<Listed, Failure> {
    if let Some(Body::Spooled(spool)) = &answer.body
        && let Some(index) = index(job, answer, spool, reach.clone())?
    {
        let (keys, leaf, reach) = (index.keys(), index.leaf.clone(), index.reach.clone());
        let items = Items::Spooled(Box::new((index, spool.clone())));
        return Ok(Listed { keys, leaf, reach, items, passed: 0, blocks: None });
    }
    match known {
        Some(known) => in_blocks(job, answer, reach, &known),
        None => held(job, answer, reach),
    }
}

/// Reads a body as a whole, but for the items of blocks that are known.
fn in_blocks(job: &Job, answer: &Answer, reach: Reach, known: &Blocks) -> Result<Listed, Failure> {
    let body = to_json(job, answer.content_type.as_deref(), bytes(answer)?)?;
    let Fresh { keys, items, blocks } = extract_fresh(job, &body, known)?;
    let passed = (keys.len() - items.len()) as u64;
    Ok(Listed { keys, leaf: Leaf::default(), reach, items: Items::Held(items.into_iter()), passed, blocks })
}

fn bytes(answer: &Answer) -> Result<Bytes, Failure> {
    Ok(answer.body.as_ref().map(Body::bytes).transpose().map_err(unreadable)?.unwrap_or_default())
}

/// Reads a body as a whole.
fn held(job: &Job, answer: &Answer, mut reach: Reach) -> Result<Listed, Failure> {
    let body = to_json(job, answer.content_type.as_deref(), bytes(answer)?)?;
    let (items, count) = extract_counted(job, &body)?;
    let leaf = job.pages.as_ref().map(|pages| Leaf::read(pages, &answer.headers, &body, &items, count)).transpose()?;
    if let Some(spec) = &job.cursor {
        reach.read(spec, &answer.headers, &body, &items)?;
    }
    let keys = items.iter().map(|item| item.key_digest).collect();
    let items = Items::Held(items.into_iter());
    Ok(Listed { keys, leaf: leaf.unwrap_or_default(), reach, items, passed: 0, blocks: None })
}

/// Finds the items of a body on disk, with one window of it in memory. None when it has to be read as a whole.
fn index(job: &Job, answer: &Answer, spool: &Spool, reach: Reach) -> Result<Option<Index>, Failure> {
    let mut window = Vec::with_capacity(WINDOW);
    let (mut at, mut step) = (0, WINDOW as u64);
    let mut indexer = None;
    while at < spool.len() {
        let end = spool.len().min(at + step);
        spool.read_behind(&mut window, at..end).map_err(unreadable)?;
        at = end;
        let indexer = match &mut indexer {
            Some(indexer) => indexer,
            None => match Indexer::new(job, &answer.headers, answer.content_type.as_deref(), reach.clone(), &window)? {
                Some(new) => indexer.insert(new),
                None => return Ok(None),
            },
        };
        let read = indexer.feed(&window, at == spool.len())?;
        window.drain(..read);
        // An item that is larger than the window is not tried anew for each small piece of it.
        step = (WINDOW as u64).max(window.len() as u64);
    }
    match indexer {
        Some(indexer) => indexer.finish(&mut |range| spool.read(range).map_err(unreadable)),
        None => Ok(None),
    }
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(FailureKind::Store, format!("the answer can't be read back from disk: {error}"))
}
