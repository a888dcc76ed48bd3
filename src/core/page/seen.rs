//! The keys that a poll has seen, in 16 bytes each.
//!
//! A set would take twice that. It forgets nothing and has no order of its own but that of the digests.

use crate::core::names::KeyDigest;

/// Keys in sorted runs, each at least twice as long as the next: a look-up searches a handful of them.
#[derive(Debug, Default)]
pub struct Seen {
    runs: Vec<Vec<KeyDigest>>,
}

impl Seen {
    /// Was this key seen?
    pub fn contains(&self, key: KeyDigest) -> bool {
        self.runs.iter().any(|run| run.binary_search(&key).is_ok())
    }

    /// How many different keys were seen.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.len() as u64).sum()
    }

    /// True before the first key.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a page's keys.
    pub fn add(&mut self, keys: impl IntoIterator<Item = KeyDigest>) {
        let mut run: Vec<KeyDigest> = keys.into_iter().collect();
        run.retain(|key| !self.contains(*key));
        run.sort_unstable();
        run.dedup();
        if run.is_empty() {
            return;
        }
        while let Some(mut longer) = self.runs.pop_if(|last| last.len() < 2 * run.len()) {
            longer.reserve_exact(run.len());
            longer.append(&mut run);
            longer.sort_unstable();
            run = longer;
        }
        self.runs.push(run);
    }

    /// Takes all of them out, sorted.
    pub fn take_sorted(&mut self) -> Vec<KeyDigest> {
        let Some(mut all) = (!self.runs.is_empty()).then(|| self.runs.remove(0)) else { return Vec::new() };
        all.reserve_exact(self.runs.iter().map(Vec::len).sum());
        self.runs.drain(..).for_each(|mut run| all.append(&mut run));
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(pages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let key = |byte: &u8| KeyDigest::of(&[*byte]);
            let (mut seen, mut model) = (Seen::default(), BTreeSet::new());
            for page in &pages {
                seen.add(page.iter().map(key));
                model.extend(page.iter().map(key));
                prop_assert_eq!(seen.len(), model.len() as u64);
                prop_assert!(seen.runs.len() <= 8, "a handful of runs");
            }
            for byte in 0..=u8::MAX {
                prop_assert_eq!(seen.contains(key(&byte)), model.contains(&key(&byte)));
            }
            prop_assert_eq!(seen.take_sorted(), model.into_iter().collect::<Vec<_>>());
        }
    }
}
