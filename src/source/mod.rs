//! How we ask: from a rendered request to what came back. Failure is data, never an `Err`.
//!
//! This room decides nothing about items or events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::core::auth::Live;
use crate::core::job::Access;
use crate::core::names::Digest;
use crate::core::outcome::Failure;
use crate::core::polite::Signs;
use crate::core::secret::Masked;

mod fetcher;
mod gate;
mod paging;
mod recorded;
mod recorder;
mod render;
mod status;

pub use self::fetcher::HttpFetcher;
pub use self::gate::{Gate, Pass, open_gate};
pub use self::paging::{first_page, next_page, page_fingerprint};
pub use self::recorded::RecordedFetcher;
pub use self::recorder::Recorder;
pub use crate::net::body::Body;
pub use crate::net::spool::{Spool, WINDOW};

/// Asks a vendor. The engine gets one handed in; a simulation hands in its own.
#[async_trait]
pub trait Fetcher: Send + Sync {
    /// Makes one request and reads the whole answer, within the vendor's timeout and `max_body`. Follows redirects
    /// inside the origin, and tries again quickly as often as `retries` allows.
    async fn fetch(&self, request: Request) -> Fetched;
}

/// One request, rendered.
#[derive(Clone, Debug)]
pub struct Request {
    /// How to connect and what to put up with.
    pub access: Arc<Access>,
    /// The method.
    pub method: http::Method,
    /// The URL.
    pub url: Masked,
    /// Headers, credentials among them.
    pub headers: Vec<(http::HeaderName, Masked)>,
    /// Credentials that are made as it goes.
    pub live: Option<Live>,
    /// The body, with its content type where `headers` has none.
    pub body: Option<Masked>,
    /// `If-None-Match`.
    pub etag: Option<String>,
    /// `If-Modified-Since`.
    pub last_modified: Option<String>,
    /// What answers are told by beside their status.
    pub signs: Arc<Signs>,
    /// Where to ask before each request that goes over the wire, retries and redirects among them.
    pub gate: Arc<dyn Gate>,
    /// Somebody wants to know now: that a token could not be had a while ago is no answer.
    pub insists: bool,
}

impl Request {
    /// What of the request decides what is asked for: method, URL and body, without credentials and with every secret
    /// as `***`, so that a rotated token changes nothing. Validators are good for requests with an equal one only.
    pub fn fingerprint(&self) -> Digest {
        let body = self.body.as_ref().map_or("", Masked::shown);
        let mut hasher = blake3::Hasher::new();
        for part in [self.method.as_str(), self.url.shown(), body] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Digest::from_hash(hasher.finalize())
    }

    /// The request, made conditional with the validators of an answer to an equal one.
    #[must_use]
    pub fn recalling(self, etag: Option<String>, last_modified: Option<String>) -> Self {
        Self { etag, last_modified, ..self }
    }

    /// The request, made for somebody who waits for it.
    #[must_use]
    pub fn insisting(self, insists: bool) -> Self {
        Self { insists, ..self }
    }

    /// The request, to be made through this gate.
    #[must_use]
    pub fn through(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate, ..self }
    }
}

/// What came back, and how long it took.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// From the start to the last byte.
    pub took: Duration,
    /// Credentials that were made as it went, so that nobody keeps them of what came back.
    pub sent: Vec<Masked>,
}

/// An answer that carries something to read: 304 or 2xx.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The answer's `ETag`, as sent; on a 304 without one, the one that was asked with.
    pub etag: Option<String>,
    /// The answer's `Last-Modified`, as sent; on a 304 without one, the one that was asked with.
    pub last_modified: Option<String>,
    /// Where it came from: redirects may have led there.
    pub url: Masked,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// The answer's `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// The body after decompression; `None` for 304.
    pub body: Option<Body>,
    /// The digest of the body, made while it was read; zero for 304.
    pub digest: Digest,
}
