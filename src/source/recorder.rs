//! Recording what is asked and what comes back, without secrets.
//!
//! Sits above the fetcher: of quick retries and redirects only the end is seen, and of fetching a token nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use crate::core::recording::{Answered, Asked, Came, Exchange, Recording, VERSION};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::net::redact::Redactor;
use crate::source::{Answer, Body, Fetched, Request};

/// Bytes of answers that one recording holds: it is kept in memory, and sent over the API at most six times as large.
const RECORDED_MAX: usize = 10 * 1024 * 1024;

/// A secret of the config that is shorter can't be told from ordinary text.
const SHORTEST: usize = 4;

/// What stands for a secret.
const STARS: &str = "***";

/// Parts of a header's name that tell that it holds a secret.
const SECRET_NAMES: [&str; 8] = ["auth", "cookie", "token", "secret", "password", "session", "csrf", "api-key"];

/// Records one poll.
#[derive(Debug)]
pub struct Recorder {
    secrets: Vec<Secret>,
    exchanges: Vec<Exchange>,
    bytes: usize,
    refused: Option<String>,
}

impl Recorder {
    /// A recorder that leaves out these secrets, and those of each request.
    pub fn new(secrets: &[Secret]) -> Self {
        let secrets = secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST).cloned().collect();
        Self { secrets, exchanges: Vec::new(), bytes: 0, refused: None }
    }

    /// Takes down an exchange.
    pub fn note(&mut self, request: &Request, at: Timestamp, fetched: &Fetched) {
        if self.refused.is_some() {
            return;
        }
        let bytes = fetched.result.as_ref().ok().and_then(|answer| answer.body.as_ref()).map_or(0, Body::len);
        self.bytes = self.bytes.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        if self.bytes > RECORDED_MAX {
            let max = RECORDED_MAX / 1024 / 1024;
            return self.refuse(format!("its answers are larger than {max} MiB, the most that a recording holds"));
        }
        match self.exchange(request, at, fetched) {
            Some(exchange) => self.exchanges.push(exchange),
            None => self.refuse(
                "a secret in its request is shorter than 4 characters, so that it can't be found in the answer".into(),
            ),
        }
    }

    fn refuse(&mut self, why: String) {
        self.exchanges.clear();
        self.refused = Some(why);
    }

    fn exchange(&self, request: &Request, at: Timestamp, fetched: &Fetched) -> Option<Exchange> {
        let mut redactor = redactor(request);
        self.secrets.iter().for_each(|secret| redactor.hide_text(secret.expose()));
        let result = match &fetched.result {
            Ok(answer) => Came::Answer(answered(answer, &redactor)?),
            Err(failure) => {
                let mut failure = failure.clone();
                failure.sentence = redactor.clean(&failure.sentence, false)?;
                Came::Failure(failure)
            }
        };
        let took_ms = u64::try_from(fetched.took.as_millis()).unwrap_or(u64::MAX);
        Some(Exchange { at, took_ms, request: asked(request), result })
    }

    /// The recording.
    ///
    /// # Errors
    /// Why there is none.
    pub fn finish(self, job: &str, at: Timestamp) -> Result<Recording, String> {
        match self.refused {
            Some(why) => Err(why),
            None if self.exchanges.is_empty() => Err("nothing was asked".to_owned()),
            None => Ok(Recording {
                doorbell_recording: VERSION,
                doorbell: env!("CARGO_PKG_VERSION").to_owned(),
                job: job.to_owned(),
                at,
                exchanges: self.exchanges,
            }),
        }
    }
}

/// A request as a recording has it.
pub(super) fn asked(request: &Request) -> Asked {
    let header = |(name, value): &(http::HeaderName, crate::core::secret::Masked)| {
        let value = if value.hides() || names_a_secret(name.as_str()) { STARS } else { value.shown() };
        (name.to_string(), value.to_owned())
    };
    Asked {
        method: request.method.to_string(),
        url: request.url.shown().to_owned(),
        headers: request.headers.iter().map(header).collect(),
        body: request.body.as_ref().map(|body| body.shown().to_owned()),
    }
}

fn answered(answer: &Answer, redactor: &Redactor) -> Option<Answered> {
    let body = answer.body.as_ref().map_or(Ok(Bytes::new()), Body::bytes).ok()?;
    let (text, base64) = match std::str::from_utf8(&body) {
        Ok(text) => (Some(redactor.clean(text, false)?), None),
        Err(_) => (None, Some(STANDARD.encode(clean_bytes(&body, redactor)?))),
    };
    let url = redactor.clean(answer.url.shown(), false)?;
    Some(Answered {
        status: answer.status,
        url,
        headers: clean_headers(&answer.headers, redactor)?,
        body: text,
        body_base64: base64,
    })
}

/// Bytes that are no UTF-8, each as the character of its number, so that what is ASCII in them is found.
fn clean_bytes(body: &[u8], redactor: &Redactor) -> Option<Vec<u8>> {
    let text: String = body.iter().map(|byte| char::from(*byte)).collect();
    let clean = redactor.clean(&text, false)?;
    Some(clean.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect())
}

fn clean_headers(headers: &HeaderMap, redactor: &Redactor) -> Option<Vec<(String, String)>> {
    let clean = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = match names_a_secret(name.as_str()) {
            true => STARS.to_owned(),
            false => redactor.clean(&String::from_utf8_lossy(value.as_bytes()), false)?,
        };
        Some((name.to_string(), value))
    };
    headers.iter().map(clean).collect()
}

fn names_a_secret(name: &str) -> bool {
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// All that a request hides.
fn redactor(request: &Request) -> Redactor {
    let mut redactor = Redactor::default();
    let url = Url::parse(request.url.expose()).ok();
    let proxy = request.access.transport.proxy.as_ref().zip(url.as_ref());
    proxy.and_then(|(proxy, url)| proxy.server_for(url)).into_iter().for_each(|server| redactor.hide_proxy(server));
    redactor.hide(&request.url);
    request.headers.iter().for_each(|(_, value)| redactor.hide(value));
    request.body.iter().for_each(|body| redactor.hide(body));
    redactor
}
