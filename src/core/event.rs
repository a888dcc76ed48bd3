//! An observed change of one item, and its id.
//!
//! How it looks on the wire is in this file's `render`; who gets it is [`crate::core::delivery`].

use bytes::Bytes;

use crate::core::delivery::NewDelivery;
use crate::core::names::{Digest, EventId, JobUid, Key, KeyDigest, Scope};
use crate::core::time::Timestamp;

pub use crate::core::diff::Change;

/// An event that a poll commits, rendered, with its deliveries.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Derived, so that a repeated poll gives the same one.
    pub id: EventId,
    /// The item's key.
    pub key: Key,
    /// What happened to it.
    pub change: Change,
    /// Grows by one per job and scope, in commit order, without gaps.
    pub sequence: u64,
    /// When the poll saw it.
    pub at: Timestamp,
    /// The event's type on the wire, such as `orders.updated`.
    pub kind: String,
    /// The envelope's bytes (`spec`: format `standard`).
    pub body: Bytes,
    /// One for each sink that gets it.
    pub deliveries: Vec<NewDelivery>,
}

impl NewEvent {
    /// Bytes of its bodies.
    pub fn weight(&self) -> usize {
        let own = self.deliveries.iter().filter_map(|delivery| delivery.body.as_ref());
        self.body.len() + own.map(Bytes::len).sum::<usize>()
    }
}

/// The id of an event: a hash of what makes it this one and no other.
///
/// `after` is the digest of the new body, or of nothing for a deletion.
pub fn derive_id(job: JobUid, scope: &Scope, key: KeyDigest, revision: u64, after: Digest) -> EventId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&job.0);
    hasher.update(&(scope.as_str().len() as u64).to_le_bytes());
    hasher.update(scope.as_str().as_bytes());
    hasher.update(&key.0);
    hasher.update(&revision.to_le_bytes());
    hasher.update(&after.0);
    EventId::from(id_of("evt", Digest::from_hash(hasher.finalize())).as_str())
}

/// An id on the wire: what it is of, and the hash.
pub(in crate::core) fn id_of(prefix: &str, digest: Digest) -> String {
    format!("{prefix}_{}", base32(&digest.0))
}

/// RFC 4648 base32, section 6, in lower case and without padding: 16 bytes give 26 characters.
fn base32(bytes: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = u128::from_be_bytes(*bytes);
    (0..26)
        .map(|place| {
            let shift = 123 - 5 * place;
            let five = if shift >= 0 { bits >> shift } else { bits << -shift };
            char::from(ALPHABET[(five & 31) as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_26_characters_of_base32() {
        assert_eq!(base32(&[0; 16]), "a".repeat(26));
        // Checked with Python's base64.b32encode(bytes(range(16))).
        assert_eq!(base32(&std::array::from_fn(|at| at as u8)), "aaaqeayeaudaocajbifqydiob4");
        assert_eq!(base32(&[255; 16]), "7777777777777777777777777".to_owned() + "4");
    }
}
