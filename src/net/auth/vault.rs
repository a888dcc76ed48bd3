//! Where refresh tokens are kept that an endpoint has rotated: the one of the config is then worth nothing any more.
//!
//! What is kept is sealed; whoever keeps it can't read it.

use std::fmt;

use async_trait::async_trait;

/// Where something is kept.
pub type SlotName = [u8; 16];

/// Keeps sealed bytes.
#[async_trait]
pub trait Vault: fmt::Debug + Send + Sync {
    /// What is kept there.
    ///
    /// # Errors
    /// Why it can't be read, in a sentence.
    async fn load(&self, slot: SlotName) -> Result<Option<Vec<u8>>, String>;

    /// Keeps these bytes there, instead of what was. They are safe on disk when this ends.
    ///
    /// # Errors
    /// Why they can't be kept, in a sentence.
    async fn save(&self, slot: SlotName, sealed: Vec<u8>) -> Result<(), String>;
}

/// Keeps nothing, so that no refresh token is used whose successor would be lost.
#[derive(Clone, Copy, Debug)]
pub struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn load(&self, _: SlotName) -> Result<Option<Vec<u8>>, String> {
        Err("a refresh token is used by the daemon only, which keeps its successor: start it, and ask again".to_owned())
    }

    async fn save(&self, _: SlotName, _: Vec<u8>) -> Result<(), String> {
        Err("nothing is kept here".to_owned())
    }
}
