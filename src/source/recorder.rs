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

/// Why there is no recording: see [`SHORTEST`].
const TOO_SHORT: &str = "a secret in its request is shorter than 4 characters, so that it can't be found in the answer";

/// Why there is no recording.
const INSEPARABLE: &str =
    "a secret stands in an answer in such a way that it can't be taken out without breaking the JSON";

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
            Ok(exchange) => self.exchanges.push(exchange),
            Err(why) => self.refuse(why.to_owned()),
        }
    }

    fn refuse(&mut self, why: String) {
        self.exchanges.clear();
        self.refused = Some(why);
    }

    fn exchange(&self, request: &Request, at: Timestamp, fetched: &Fetched) -> Result<Exchange, &'static str> {
        let mut redactor = redactor(request);
        self.secrets.iter().for_each(|secret| redactor.hide_text(secret.expose()));
        fetched.sent.iter().for_each(|credentials| redactor.hide(credentials));
        let result = match &fetched.result {
            Ok(answer) => Came::Answer(answered(answer, &redactor)?),
            Err(failure) => {
                let mut failure = failure.clone();
                failure.sentence = redactor.clean(&failure.sentence, false).ok_or(TOO_SHORT)?;
                Came::Failure(failure)
            }
        };
        let took_ms = u64::try_from(fetched.took.as_millis()).unwrap_or(u64::MAX);
        let mut asked = asked(request);
        // A link that the vendor gave may hold a secret that the config put into the request before.
        asked.url = redactor.clean_url(&asked.url).ok_or(TOO_SHORT)?;
        asked.body = asked.body.map(|body| clean_text(&body, &redactor)).transpose()?;
        Ok(Exchange { at, took_ms, request: asked, result })
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

fn answered(answer: &Answer, redactor: &Redactor) -> Result<Answered, &'static str> {
    let body = answer.body.as_ref().map_or(Ok(Bytes::new()), Body::bytes);
    let body = body.map_err(|_| "an answer can't be read back from disk")?;
    let (text, base64) = match std::str::from_utf8(&body) {
        Ok(text) => (Some(clean_text(text, redactor)?), None),
        Err(_) => (None, Some(STANDARD.encode(clean_bytes(&body, redactor).ok_or(TOO_SHORT)?))),
    };
    Ok(Answered {
        status: answer.status,
        url: redactor.clean_url(answer.url.shown()).ok_or(TOO_SHORT)?,
        headers: clean_headers(&answer.headers, redactor).ok_or(TOO_SHORT)?,
        body: text,
        body_base64: base64,
    })
}

/// A text without secrets; JSON stays JSON, or a replay would read something that was never sent.
fn clean_text(text: &str, redactor: &Redactor) -> Result<String, &'static str> {
    let clean = redactor.clean(text, false).ok_or(TOO_SHORT)?;
    if clean == text || !is_json(text) || is_json(&clean) {
        return Ok(clean);
    }
    redactor.clean_json(text).filter(|clean| is_json(clean)).ok_or(INSEPARABLE)
}

/// True for one JSON value, and for several (`ndjson`).
fn is_json(text: &str) -> bool {
    serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>().all(|value| value.is_ok())
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
