//! How a poll ended, and why one failed: each failure is classified once, where it happens, and carried as data.
//!
//! Nothing here decides what follows; that is [`crate::core::decide`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What kind of failure it was: the machine-readable half of a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The name did not resolve.
    Dns,
    /// The connection was refused, reset or cut.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The exchange took longer than its timeout.
    Timeout,
    /// The answer's status is not one that carries a body to read.
    Status,
    /// The answer is larger than `max_body` after decompression.
    TooLarge,
    /// A redirect that leads to another origin, or too many of them.
    Redirect,
    /// The address is one that is never dialled.
    Address,
    /// The receiver did not give its consent to webhooks.
    Handshake,
    /// The answer is not JSON: HTML, truncated, invalid UTF-8, too deep, a name twice in an object.
    NotJson,
    /// The answer is not what the job's `format` or its Content-Type says: broken XML, a CSV row of another length,
    /// bytes that are none of its charset's.
    Malformed,
    /// `items` found nothing, and what it should be in is not there either.
    SelectorEmpty,
    /// An item has no key, or a null one, or one that is not a scalar.
    KeyMissing,
    /// Two different items on one page have the same key.
    KeyTwice,
    /// What leads to the next page is of the wrong type, or leads where the job may not go.
    Page,
    /// A template of the request failed to render.
    Template,
    /// The vendor's limits, its own or those of the config, allow no more requests for now.
    Limited,
    /// The answer is what `fail_when` says an error looks like.
    Condition,
    /// Our own state could not be read or written.
    Store,
}

impl FailureKind {
    /// The word that the API, the logs and the metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
            Self::Address => "address",
            Self::Handshake => "handshake",
            Self::NotJson => "not_json",
            Self::Malformed => "malformed",
            Self::SelectorEmpty => "selector_empty",
            Self::KeyMissing => "key_missing",
            Self::KeyTwice => "key_twice",
            Self::Page => "page",
            Self::Template => "template",
            Self::Limited => "limited",
            Self::Condition => "condition",
            Self::Store => "store",
        }
    }
}

/// Why a request, or what was made of its answer, is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind it was.
    pub kind: FailureKind,
    /// One sentence for the person who must act: what we did, what came, what to try. Holds no secret.
    pub sentence: String,
    /// The answer's status, where there was an answer.
    pub status: Option<u16>,
    /// What the answer's `Retry-After` asked for, at most 24 h.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// It was the endpoint of tokens that failed, and the status is its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tokenless: bool,
}

impl Failure {
    /// A failure with a kind and a sentence.
    pub fn new(kind: FailureKind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into(), status: None, retry_after: None, tokenless: false }
    }

    /// True for 401 and 403, unless it is a rate limit in disguise: trying again soon can't help, and may lock the
    /// account.
    pub fn is_refusal(&self) -> bool {
        self.kind != FailureKind::Limited && matches!(self.status, Some(401 | 403))
    }

    /// True when it is not about what was asked for: the vendor can't be reached, has had enough for now, or gives no
    /// token or refuses the credentials. Asking it for the next thing would be rude, and come to the same.
    pub fn is_of_vendor(&self) -> bool {
        use FailureKind::{Address, Connect, Dns, Limited, Timeout, Tls};
        self.is_refusal()
            || self.tokenless
            || self.status == Some(429)
            || matches!(self.kind, Dns | Connect | Tls | Timeout | Address | Limited)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// The one of four ends that every poll has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// Every page was read and every completeness check held.
    Complete,
    /// Something is missing, so absence means nothing; the sentence says what.
    Partial(String),
    /// The same answer as that of the last complete poll.
    Unchanged,
    /// No usable answer.
    Failed(Failure),
}

impl PollOutcome {
    /// The word that the API, the logs, the metrics and the state use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial(_) => "partial",
            Self::Unchanged => "unchanged",
            Self::Failed(_) => "failed",
        }
    }

    /// The sentence that goes with it, where there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Partial(reason) => Some(reason),
            Self::Failed(failure) => Some(&failure.sentence),
            Self::Complete | Self::Unchanged => None,
        }
    }
}
