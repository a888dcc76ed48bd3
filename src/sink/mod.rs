//! How we tell: from a delivery to how its attempt went. Failure is data, never an `Err`.
//!
//! This room decides nothing about retries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::core::delivery::{Answer, Parcel};
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::trace::Trace;

mod handshake;
mod sender;

pub use self::sender::HttpSender;

/// Sends webhooks. The engine gets one handed in; a simulation hands in its own.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Makes one attempt, signed as of `now`, and ends within the sink's timeout.
    async fn send(&self, sink: &Arc<Sink>, parcel: &Parcel, attempt: u32, now: Timestamp) -> Sent;

    /// How many deliveries a minute the receiver has consented to; `None` when it named no rate, or was not asked.
    fn allowed_rate(&self, _sink: &Sink) -> Option<u32> {
        None
    }

    /// Has the receiver consented to deliveries, or need not be asked? Until then one attempt at a time asks.
    fn has_consent(&self, _sink: &Sink) -> bool {
        true
    }
}

/// How an attempt went, and how long it took.
#[derive(Clone, Debug)]
pub struct Sent {
    /// How it went.
    pub answer: Answer,
    /// From DNS to the last byte of the answer that was read.
    pub took: Duration,
    /// What else is kept of it.
    pub trace: Trace,
}
