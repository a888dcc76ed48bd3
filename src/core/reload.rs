//! What reading the config again came to, as a person is told of it.
//!
//! Plain values with the field names of `/api/v1`; nothing here reads a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::config::Daemon;
use crate::core::names::Digest;
use crate::core::time::Timestamp;

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The jobs by what became of them.
    pub jobs: Edits,
    /// The sinks.
    pub sinks: Edits,
    /// Settings that were edited and take a restart: what they were is still in force.
    pub restart: Vec<String>,
    /// What is legal in the config and perhaps not meant.
    pub warnings: Vec<String>,
}

/// Names by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    /// New.
    pub added: Vec<String>,
    /// No longer in the config: their deliveries are held.
    pub removed: Vec<String>,
    /// Edited, or with another secret.
    pub changed: Vec<String>,
    /// How many are as they were.
    pub unchanged: u64,
}

impl Edits {
    /// What became of what had these digests.
    pub fn between(before: &BTreeMap<String, Digest>, after: &BTreeMap<String, Digest>) -> Self {
        let mut edits = Self::default();
        for (name, digest) in after {
            match before.get(name) {
                None => edits.added.push(name.clone()),
                Some(known) if known == digest => edits.unchanged += 1,
                Some(_) => edits.changed.push(name.clone()),
            }
        }
        edits.removed = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
        edits
    }

    fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn sentence(&self, what: &str) -> String {
        let (added, removed, changed) = (self.added.len(), self.removed.len(), self.changed.len());
        let parts = [(added, "added"), (removed, "removed"), (changed, "changed")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        format!("{what}: {}", if parts.is_empty() { "as they were".to_owned() } else { parts.join(", ") })
    }
}

impl ReloadReport {
    /// True when the config says what it said before.
    pub fn is_none(&self) -> bool {
        self.jobs.is_none() && self.sinks.is_none() && self.restart.is_empty()
    }

    /// `jobs: 1 added, 2 changed; sinks: as they were`.
    pub fn sentence(&self) -> String {
        format!("{}; {}", self.jobs.sentence("jobs"), self.sinks.sentence("sinks"))
    }
}

/// The config of a daemon, and whether the one on disk is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigView {
    /// When the config that is in force was read.
    pub loaded: Option<Timestamp>,
    /// Why the one that was read last is not in force; null when it is.
    pub problem: Option<String>,
    /// Since when that is so.
    pub since: Option<Timestamp>,
    /// Settings that were edited and take a restart.
    pub restart: Vec<String>,
}

/// What of `[daemon]` was edited and takes a restart.
pub fn restart(before: &Daemon, after: &Daemon) -> Vec<String> {
    let edited = [
        ("daemon.state", before.state != after.state),
        ("daemon.listen", before.listen != after.listen),
        ("daemon.token", before.token != after.token),
    ];
    edited.into_iter().filter(|(_, edited)| *edited).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_told_apart_and_counted() {
        let prints = |pairs: &[(&str, u8)]| {
            pairs.iter().map(|(name, byte)| ((*name).to_owned(), Digest([*byte; 16]))).collect::<BTreeMap<_, _>>()
        };
        let before = prints(&[("a", 1), ("b", 1), ("c", 1)]);
        let after = prints(&[("a", 1), ("b", 2), ("d", 1)]);
        let jobs = Edits::between(&before, &after);
        let names = |name: &str| vec![name.to_owned()];
        assert_eq!(jobs, Edits { added: names("d"), removed: names("c"), changed: names("b"), unchanged: 1 });
        let report = ReloadReport { jobs, ..ReloadReport::default() };
        assert_eq!(report.sentence(), "jobs: 1 added, 1 removed, 1 changed; sinks: as they were");
        assert!(!report.is_none() && ReloadReport::default().is_none());
    }
}
