//! Items whose details could not be had: they stay what they were, and are known as dirty until they were had.

use std::time::Duration;

use crate::core::decide::Decider;
use crate::core::extract::Item;
use crate::core::ledger::{Dirty, DirtyWrite, Remembered};
use crate::core::names::KeyDigest;
use crate::core::why::{Seen, Silence};

/// How long an item that is not listed any more is asked for though the vendor says that it is gone: a vendor's list may
/// be ahead of what it answers for each item.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60 * 60);

impl Decider {
    /// The detail of a listed item could not be read.
    pub fn soil(&mut self, listed: Item) {
        self.observe(self.observed(listed.key_digest, Silence::Detail, Seen::default()));
        self.postpone(listed);
    }

    /// The detail of a listed item was not asked for: the item is remembered for the next poll.
    pub fn postpone(&mut self, listed: Item) {
        let Item { key, key_digest, raw, raw_digest } = listed;
        let known = self.start.dirty.get(&key_digest);
        if known.is_none_or(|known| known.version != raw_digest) {
            let since = known.map_or(self.start.now, |known| known.since);
            let listed = Some((Dirty { version: raw_digest, since }, Remembered { key, body: raw }));
            self.decided.dirty.push(DirtyWrite { key: key_digest, listed });
        }
    }

    /// True for a dirty item of which the vendor has said for long enough that it is gone.
    pub fn gives_up(&self, key: KeyDigest) -> bool {
        self.start.dirty.get(&key).is_some_and(|known| self.start.now.since(known.since) >= GIVEN_UP_AFTER)
    }

    /// The detail of an item was read, or is not needed any more.
    pub fn clean(&mut self, key: KeyDigest) {
        if self.start.dirty.contains_key(&key) {
            self.decided.dirty.push(DirtyWrite { key, listed: None });
        }
    }
}
