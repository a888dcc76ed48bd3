//! Secrets that must survive a restart, such as a refresh token in place of the one in the config.
//!
//! They come sealed: a store can't read them, and says nothing of what they are.

use async_trait::async_trait;

use crate::store::StoreError;

/// Where one sealed secret is kept.
pub type Slot = [u8; 16];

/// Sealed secrets, each in its slot.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// What is kept there.
    async fn sealed(&self, slot: Slot) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a sealed secret in place of what was there. It is safe on disk when this ends.
    async fn keep_sealed(&self, slot: Slot, sealed: Vec<u8>) -> Result<(), StoreError>;
}
