//! The names and ids of things, each a type of its own so that one can't be handed in for another.
//!
//! Nothing here looks anything up.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it is written in the config.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A job's name: its table in the config, `[job.NAME]`. It is the job's identity.
    JobName
}
name! {
    /// A sink's name: its table in the config, `[sink.NAME]`.
    SinkName
}
name! {
    /// A vendor's name: its table in the config, `[vendor.NAME]`.
    VendorName
}
name! {
    /// The scope of a ledger: empty for a job without `each`, else the combination's values as a compact JSON object.
    Scope
}
name! {
    /// An item's key as text: a number by its value, text as it is, a composite key as a compact JSON array.
    Key
}
name! {
    /// An event's id on the wire (`webhook-id`): `evt_` and 26 characters of lower-case base32.
    EventId
}
name! {
    /// A batch's id on the wire (`webhook-id`): `bat_` and 26 characters of lower-case base32.
    BatchId
}

impl Default for Scope {
    fn default() -> Self {
        Self::from("")
    }
}

impl Scope {
    /// True for the one scope of a job without `each`.
    pub fn is_whole_job(&self) -> bool {
        self.0.is_empty()
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first 128 bits of the BLAKE3 hash of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self::from_hash(blake3::hash(bytes))
            }

            /// The first 128 bits of a BLAKE3 hash.
            pub fn from_hash(hash: blake3::Hash) -> Self {
                let mut digest = [0; 16];
                digest.copy_from_slice(&hash.as_bytes()[..16]);
                Self(digest)
            }
        }
    };
}

digest! {
    /// 128 bits that stand for some bytes: a body, an item, its canonical form, a part of the config.
    Digest
}

/// Hexadecimal.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number.to_be_bytes()))
    }
}
digest! {
    /// 128 bits that stand for an item's [`Key`] in the ledger.
    KeyDigest
}
digest! {
    /// What must be sent in order: deliveries of one sink with equal lanes go one after the other.
    Lane
}

/// Hashes digests, which are dice already: only a seed that nobody knows is mixed in, so that nobody can choose keys that
/// meet in one place.
#[derive(Clone, Debug)]
pub struct ByDigest(u64);

impl Default for ByDigest {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for ByDigest {
    type Hasher = DigestHasher;

    fn build_hasher(&self) -> DigestHasher {
        DigestHasher { seed: self.0, state: 0 }
    }
}

/// See [`ByDigest`].
#[derive(Clone, Debug)]
pub struct DigestHasher {
    seed: u64,
    state: u64,
}

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let product = u128::from(self.state ^ u64::from_le_bytes(word) ^ self.seed) * u128::from(self.seed);
            self.state = (product >> 64) as u64 ^ product as u64;
        }
    }

    /// The length of a digest, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

/// A job's own random id, made when the job is first seen; it outlives renames, removals and re-baselines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobUid(pub [u8; 16]);

impl Key {
    /// The digest under which the ledger keeps this key.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.as_str().as_bytes())
    }
}
