//! How far vendors' limits are used up: what a restart must not give back.
//!
//! Decides nothing about when to ask; that is [`crate::core::polite`].

use async_trait::async_trait;

use crate::core::polite::{Kept, Owner};
use crate::store::StoreError;

/// What vendors' limits were used for.
#[async_trait]
pub trait Paces: Send + Sync {
    /// All that is kept.
    async fn paces(&self) -> Result<Vec<(Owner, Kept)>, StoreError>;

    /// Keeps these in place of what was kept of their owners; those of others stay. It is safe on disk when this ends.
    async fn keep_paces(&self, paces: Vec<(Owner, Kept)>) -> Result<(), StoreError>;
}
