//! Refresh tokens that were rotated, kept in the state: what joins the way out with the store.
//!
//! Reads none of them: they come sealed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::net::auth::{SlotName, Vault};
use crate::store::Store;

/// Keeps in the state.
pub(super) struct StateVault(pub(super) Arc<dyn Store>);

impl fmt::Debug for StateVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateVault")
    }
}

#[async_trait]
impl Vault for StateVault {
    async fn load(&self, slot: SlotName) -> Result<Option<Vec<u8>>, String> {
        self.0.sealed(slot).await.map_err(|error| error.to_string())
    }

    async fn save(&self, slot: SlotName, sealed: Vec<u8>) -> Result<(), String> {
        self.0.keep_sealed(slot, sealed).await.map_err(|error| error.to_string())
    }
}
