//! What a vendor's limits look like to whoever asks it: a gate before every request on the wire.
//!
//! The limits themselves are kept by the engine; nothing here counts.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::core::limits::Advice;
use crate::core::outcome::Failure;

/// Stands before a vendor.
#[async_trait]
pub trait Gate: fmt::Debug + Send + Sync {
    /// Waits until one request may go over the wire: ask once for each, retries and redirects and those for tokens among
    /// them, and hold the pass until the answer is read. This wait is no part of the request's timeout.
    ///
    /// # Errors
    ///
    /// It would have to wait for too long; the failure says for what, and until when.
    async fn enter(&self) -> Result<Pass, Failure>;

    /// Tells what the vendor asked for. Everyone at this vendor is held to it.
    async fn heed(&self, advice: Advice);

    /// Tells for how long the vendor says that its answer stays fresh.
    fn note_fresh(&self, _lasting: Duration) {}
}

/// Leave to make one request. Dropping it makes room for another.
#[derive(Default)]
#[must_use = "the request's place is given away when this is dropped"]
pub struct Pass {
    _place: Option<Box<dyn Any + Send + Sync>>,
}

impl Pass {
    /// A pass that holds something until it is dropped.
    pub fn holding(place: impl Any + Send + Sync) -> Self {
        Self { _place: Some(Box::new(place)) }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

/// A gate that stands open: for requests that no vendor's limits are known for.
pub fn open_gate() -> Arc<dyn Gate> {
    Arc::new(Open)
}

#[derive(Debug)]
struct Open;

#[async_trait]
impl Gate for Open {
    async fn enter(&self) -> Result<Pass, Failure> {
        Ok(Pass::default())
    }

    async fn heed(&self, _advice: Advice) {}
}
