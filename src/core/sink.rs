//! A sink as the config means it: where webhooks go, and how.
//!
//! Only values that the config's lifting has checked; nothing here sends.

use std::time::Duration;

use crate::core::auth::Auth;
use crate::core::backlog::Limits;
use crate::core::batch::Batching;
use crate::core::delivery::Ladder;
use crate::core::formats::Form;
use crate::core::names::{JobUid, KeyDigest, Lane, Scope, SinkName};
use crate::core::secret::Masked;
use crate::core::sign::Signer;
use crate::core::template::Condition;
use crate::core::transport::Transport;
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
    /// What deliveries are signed with; `None`: they are not.
    pub signer: Option<Signer>,
    /// What its bodies are.
    pub form: Form,
    /// Do they leave out the item, and say only that it changed, and where?
    pub thin: bool,
    /// The credentials; their texts hold no expressions.
    pub auth: Option<Auth>,
    /// Which addresses are refused, whose certificates count, and which proxy is used.
    pub transport: Transport,
    /// Ask the receiver for its consent before the first delivery.
    pub handshake: bool,
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
    /// How its events go together; `None`: each goes alone.
    pub batching: Option<Batching>,
    /// How much may wait.
    pub limits: Limits,
}

/// A way from a job to a sink. Of several that lead to one sink, an event takes the first whose condition holds: it
/// goes to no sink twice.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it leads.
    pub sink: SinkName,
    /// Which of the job's events take it, beside what the sink itself says.
    pub when: Option<Condition>,
    /// What the bodies are; `None`: as the sink says.
    pub form: Option<Form>,
    /// Whether they leave out the item; `None`: as the sink says.
    pub thin: Option<bool>,
}

impl Route {
    /// The way to a sink that takes everything as the sink says.
    pub fn to(sink: SinkName) -> Self {
        Self { sink, when: None, form: None, thin: None }
    }

    /// What bodies are on this way, and whether they are thin.
    pub fn writing<'a>(&'a self, sink: &'a Sink) -> (&'a Form, bool) {
        (self.form.as_ref().unwrap_or(&sink.form), self.thin.unwrap_or(sink.thin))
    }
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

impl Order {
    /// Each with its word in the config.
    pub const WORDS: [(&str, Self); 3] = [("key", Self::Key), ("none", Self::None), ("job", Self::Job)];

    /// The order of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, order)| order)
    }

    /// The word of the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::None => "none",
            Self::Job => "job",
        }
    }

    /// The lane of a delivery of such an event: what is in one goes one after the other.
    pub fn lane(self, job: JobUid, scope: &Scope, key: KeyDigest) -> Option<Lane> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&job.0);
        hasher.update(scope.as_str().as_bytes());
        match self {
            Self::None => return None,
            Self::Job => {}
            Self::Key => {
                hasher.update(&[0]);
                hasher.update(&key.0);
            }
        }
        Some(Lane::from_hash(hasher.finalize()))
    }
}

/// A sink with nothing special, for tests.
#[cfg(test)]
pub(crate) fn plain(name: &str) -> std::sync::Arc<Sink> {
    std::sync::Arc::new(Sink {
        name: SinkName::from(name),
        url: "http://receiver.example/".parse().expect("a URL"),
        shown_url: "receiver.example".to_owned(),
        headers: Vec::new(),
        auth: None,
        transport: Transport::default(),
        handshake: false,
        signer: None,
        form: crate::core::formats::Form::default(),
        thin: false,
        when: None,
        timeout: Duration::from_secs(20),
        ladder: Ladder::default(),
        concurrency: 8,
        rate: None,
        order: Order::Key,
        batching: None,
        limits: Limits::default(),
    })
}
