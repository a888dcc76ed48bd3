//! body to items
use crate::core::job::Job;
use crate::core::names::{Digest, Key, KeyDigest};
use crate::core::outcome::Failure;
use bytes::Bytes;
/// An item as it was read: its key and its bytes, no tree.
#[derive(Clone, Debug)]
pub struct Item {
    /// key text
    pub key: Key,
    /// its digest
    pub key_digest: KeyDigest,
    /// the item's bytes (a slice of the body)
    pub raw: Bytes,
    /// their digest
    pub raw_digest: Digest,
}
/// Reads a body's items.
pub fn extract(_job: &Job, _body: &Bytes) -> Result<Vec<Item>, Failure> {
    todo!()
}
