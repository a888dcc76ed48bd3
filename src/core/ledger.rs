//! What is remembered of an item, and what a poll writes about it.
//!
//! Values only: where they are kept is the store's business.

use bytes::Bytes;

use crate::core::names::{Digest, Key, KeyDigest};
use crate::core::time::Timestamp;

/// The narrow half of a ledger row: all that is needed to see that an item did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The digest of the item's key.
    pub key: KeyDigest,
    /// The digest of the item's bytes as the vendor last sent them.
    pub raw: Digest,
    /// The digest of the canonical form, under the job's rules, of the body last reported.
    pub canonical: Digest,
    /// Grows by one with each reported change of this item.
    pub revision: u64,
    /// Complete polls in a row in which the item was missing.
    pub missed: u32,
    /// When the item was reported (or silently taken) as deleted; it is remembered for the retention.
    pub gone: Option<Timestamp>,
}

/// The wide half of a ledger row, read only for items that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The key's text.
    pub key: Key,
    /// The body last reported, in the vendor's spelling.
    pub body: Bytes,
}

/// What a poll writes about one item: the whole row as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWrite {
    /// The narrow half.
    pub row: Row,
    /// The wide half, where it changes; `None` keeps what is there (or nothing, for a row that is new).
    pub remembered: Option<Remembered>,
}

/// A new value of an item that has not persisted for long enough (`settle`): how that stands from now on. Its row stays
/// what it was, and an item that was never reported has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleWrite {
    /// The item.
    pub key: KeyDigest,
    /// Polls in a row that saw the value; 0 forgets it.
    pub polls: u32,
    /// The value, where it is another; `None` keeps what is there.
    pub remembered: Option<Remembered>,
}

/// A listed item whose detail could not be had, so that it is asked for again by the next poll, listed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyWrite {
    /// The item.
    pub key: KeyDigest,
    /// How it is known, and the listed item; `None` forgets it.
    pub listed: Option<(Dirty, Remembered)>,
}

/// How a dirty item is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The digest of what says that it is another.
    pub version: Digest,
    /// The poll since which its detail is lacking.
    pub since: Timestamp,
}

impl Row {
    /// True for an item that the vendor has, as far as is known.
    pub fn is_live(&self) -> bool {
        self.gone.is_none()
    }

    /// True for a live item that the last complete list did not hold.
    pub fn is_missing(&self) -> bool {
        self.is_live() && self.missed > 0
    }
}
