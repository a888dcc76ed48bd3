//! A vendor that is a recording: what was asked then gets the answer of then.
//!
//! Opens no connection, waits at no gate, and needs no token.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::recording::{Answered, Came, Exchange};
use crate::core::secret::Masked;
use crate::core::time::Timestamp;
use crate::net::headers::text;
use crate::net::trouble::Target;
use crate::source::recorder::asked;
use crate::source::{Answer, Body, Fetched, Fetcher, Request, status};

/// Answers from recordings.
pub struct RecordedFetcher {
    state: Mutex<State>,
    /// Told what time it is once an answer is there.
    tell: Box<dyn Fn(Timestamp) + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Of the poll that is replayed now, and whether each was used.
    exchanges: Vec<(Exchange, bool)>,
    /// What was asked and is not in the recording, as sentences.
    unknown: Vec<String>,
}

impl RecordedFetcher {
    /// A fetcher without a recording; `tell` sets the clock.
    pub fn new(tell: impl Fn(Timestamp) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), tell: Box::new(tell) }
    }

    /// Answers from these from now on.
    pub fn load(&self, exchanges: Vec<Exchange>) {
        self.lock().exchanges = exchanges.into_iter().map(|exchange| (exchange, false)).collect();
    }

    /// What was asked since the last call and is not in the recording.
    pub fn unknown(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().unknown)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Fetcher for RecordedFetcher {
    async fn fetch(&self, request: Request) -> Fetched {
        let found = self.lock().find(&request);
        let exchange = match found {
            Ok(exchange) => exchange,
            Err(sentence) => {
                let failure = Failure::new(FailureKind::Connect, sentence);
                return Fetched { result: Err(failure), took: Duration::ZERO, sent: Vec::new() };
            }
        };
        let took = Duration::from_millis(exchange.took_ms);
        (self.tell)(exchange.at.plus(took));
        let result = match exchange.result {
            Came::Answer(answered) => answer(&request, answered),
            Came::Failure(failure) => Err(failure),
        };
        Fetched { result, took, sent: Vec::new() }
    }
}

impl State {
    /// The next answer to this request; the last one, where all were used.
    fn find(&mut self, request: &Request) -> Result<Exchange, String> {
        let asked = asked(request);
        let same = |(exchange, _): &(Exchange, bool)| exchange.request.is_same(&asked);
        let fresh = self.exchanges.iter().position(|entry| same(entry) && !entry.1);
        if let Some(at) = fresh.or_else(|| self.exchanges.iter().rposition(same)) {
            self.exchanges[at].1 = true;
            return Ok(self.exchanges[at].0.clone());
        }
        let common = |other: &str| asked.shown().chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        let shown = self.exchanges.iter().map(|(exchange, _)| exchange.request.shown());
        let nearest = shown.max_by_key(|shown| common(shown));
        let rest = match nearest {
            Some(nearest) if nearest == asked.shown() => format!("`{nearest}` was asked with another body"),
            Some(nearest) => format!("the nearest that it holds is `{nearest}`"),
            None => "it holds none".to_owned(),
        };
        let sentence = format!("the recording holds no answer to `{}`; {rest}", asked.shown());
        self.unknown.push(sentence.clone());
        Err(sentence)
    }
}

/// The answer as the fetcher gave it, judged by the conditions of the config of now.
fn answer(request: &Request, answered: Answered) -> Result<Answer, Failure> {
    let damaged = |what: &str| Failure::new(FailureKind::Malformed, format!("the recording is damaged: {what}"));
    let body = match (answered.body, answered.body_base64) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(base64)) => STANDARD.decode(base64).map_err(|_| damaged("`body_base64` is no base64"))?,
        (None, None) => return Err(damaged("an answer has no body")),
    };
    let status = StatusCode::from_u16(answered.status).map_err(|_| damaged("a status is none"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &answered.headers {
        let name = name.parse::<HeaderName>().map_err(|_| damaged("a header's name is none"))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| damaged("a header's value is none"))?);
    }
    if let Some(sign) = request.signs.judge(status.as_u16(), &headers, Some(&body)) {
        let excerpt = std::str::from_utf8(&body).ok().and_then(status::excerpt);
        return Err(status::judged(&Target::of(request.url.shown()), status, &sign, None, excerpt.as_deref()));
    }
    Ok(Answer {
        status: status.as_u16(),
        etag: text(&headers, &ETAG),
        last_modified: text(&headers, &LAST_MODIFIED),
        url: Masked::open(answered.url),
        content_type: text(&headers, &CONTENT_TYPE),
        headers,
        digest: Digest::of(&body),
        body: Some(Body::Held(Bytes::from(body))),
    })
}
