//! A sink as the config means it: where webhooks go, and how.
//!
//! Only values that the config's lifting has checked; nothing here sends.

use std::time::Duration;

use crate::core::backlog::Limits;
use crate::core::delivery::Ladder;
use crate::core::names::SinkName;
use crate::core::secret::Masked;
use crate::core::sign::SigningKey;
use crate::core::template::Condition;
use crate::core::units::Rate;

/// Where webhooks go, and how.
#[derive(Debug)]
pub struct Sink {
    /// Its table's name.
    pub name: SinkName,
    /// The receiver.
    pub url: url::Url,
    /// The receiver as it may be shown: its host only, when the URL holds a secret.
    pub shown_url: String,
    /// Headers of the user's own.
    pub headers: Vec<(http::HeaderName, Masked)>,
    /// Keys to sign with, each giving a signature; empty: unsigned.
    pub keys: Vec<SigningKey>,
    /// Which events it gets.
    pub when: Option<Condition>,
    /// Everything from DNS to the last byte of the answer.
    pub timeout: Duration,
    /// How long to wait after each failed attempt.
    pub ladder: Ladder,
    /// Attempts in flight at once.
    pub concurrency: usize,
    /// How many attempts may begin in what time.
    pub rate: Option<Rate>,
    /// What is sent in order.
    pub order: Order,
    /// How much may wait.
    pub limits: Limits,
}

/// What a sink gets in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Events of one job, scope and key.
    Key,
    /// Nothing.
    None,
    /// All events of a job and scope.
    Job,
}
