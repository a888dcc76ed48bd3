//! What answers are recognised by, so that one that is as it was costs no parsing.
//!
//! Values only: what may be recognised when is decided by who polls.

use crate::core::names::{Digest, KeyDigest};
use crate::core::page::Leaf;

/// What an answer can be recognised by. Kept only from complete polls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// Of the request that was rendered: a seal is void for any other.
    pub request: Digest,
    /// The answer's `ETag`, as sent.
    pub etag: Option<String>,
    /// The answer's `Last-Modified`, as sent.
    pub last_modified: Option<String>,
    /// Of the body's bytes, after decompression.
    pub body: Digest,
}

/// What a page of a list of several can be recognised by, and what is known of it without reading it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSeal {
    /// Of its answer.
    pub seal: Seal,
    /// What led to the next page.
    pub leaf: Leaf,
    /// The keys of its items.
    pub keys: Vec<KeyDigest>,
}

/// The seals of a scope's pages as they shall be after a complete poll; those of other requests are forgotten.
#[derive(Clone, Debug, Default)]
pub struct PageSeals {
    /// Requests whose seals stay as they are.
    pub keep: Vec<Digest>,
    /// Seals that are new.
    pub put: Vec<PageSeal>,
}
