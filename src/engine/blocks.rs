//! What the lists of the last complete polls are recognised by, block by block.
//!
//! In memory only: after a restart a list is held against the ledger once as a whole. What a block is, is
//! [`crate::core::blocks`]'s business.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::core::blocks::Blocks;
use crate::core::names::{JobUid, Scope};

/// Blocks of all lists together: a mebibyte. When there would be more, those of before are forgotten.
const BLOCKS_MAX: usize = 64 * 1024;

/// The blocks of each scope whose ledger is what its last list was.
#[derive(Debug, Default)]
pub(super) struct KnownBlocks(Mutex<HashMap<(JobUid, Scope), Blocks>>);

impl KnownBlocks {
    /// Takes those of a scope out: its ledger may change from here on.
    pub(super) fn take(&self, uid: JobUid, scope: &Scope) -> Option<Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(uid, scope.clone()))
    }

    /// Its ledger is what this list is.
    pub(super) fn put(&self, uid: JobUid, scope: &Scope, blocks: Blocks) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(Blocks::len).sum::<usize>() + blocks.len() > BLOCKS_MAX {
            known.clear();
        }
        if blocks.len() <= BLOCKS_MAX {
            known.insert((uid, scope.clone()), blocks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::names::Digest;

    #[test]
    fn what_is_taken_is_gone_and_what_would_be_too_much_forgets_the_rest() {
        let (known, uid) = (KnownBlocks::default(), |number| JobUid([number; 16]));
        let (whole, some) = (Scope::default(), Blocks::from_iter([Digest([1; 16])]));
        known.put(uid(1), &whole, some.clone());
        known.put(uid(2), &whole, some.clone());
        assert_eq!((known.take(uid(1), &whole), known.take(uid(1), &whole)), (Some(some), None));
        let many = Blocks::from_iter((0..BLOCKS_MAX as u128).map(|number| Digest(number.to_be_bytes())));
        known.put(uid(3), &whole, many.clone());
        assert_eq!((known.take(uid(2), &whole), known.take(uid(3), &whole)), (None, Some(many)));
    }
}
