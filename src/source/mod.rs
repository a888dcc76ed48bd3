//! How we ask: from a rendered request to what came back. Failure is data, never an `Err`.
//!
//! This room decides nothing about items or events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::core::job::Access;
use crate::core::names::Digest;
use crate::core::outcome::Failure;
use crate::core::secret::Masked;

/// Asks a vendor. The engine gets one handed in; a simulation hands in its own.
#[async_trait]
pub trait Fetcher: Send + Sync {
    /// Makes one request (with its redirects inside the origin) and reads the whole answer.
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
    /// The body, with its content type where `headers` has none.
    pub body: Option<Masked>,
    /// `If-None-Match`.
    pub etag: Option<String>,
    /// `If-Modified-Since`.
    pub last_modified: Option<String>,
}

/// What came back, and how long it took.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// From the start to the last byte.
    pub took: Duration,
}

/// An answer that carries something to read: 304 or 2xx.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The answer's `ETag`, as sent.
    pub etag: Option<String>,
    /// The answer's `Last-Modified`, as sent.
    pub last_modified: Option<String>,
    /// The answer's `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// The body after decompression; `None` for 304.
    pub body: Option<Bytes>,
    /// The digest of the body, made while it was read.
    pub digest: Digest,
}
