//! Asking a receiver for its consent before the first delivery, so that nobody can have us flood a stranger:
//! CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", section 4.
//!
//! A consent counts until the daemon ends. There is no callback: who wants to think about it says no, and is asked again
//! with the next attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::OnceCell;
use url::Url;

use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::net::redact::one_line;
use crate::net::trouble::Target;
use crate::net::{body, headers};

/// Who we say that we are, unless the sink has a header of this name: any DNS expression will do (section 4.1.1).
const ORIGIN: &str = "doorbell";

/// In which header that stands.
pub(super) const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");

/// Whom the receiver takes webhooks from (section 4.2.1).
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");

/// How many a minute (section 4.2.2).
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Consents that are kept. A config has a handful of sinks; many reloads may bring more.
const CONSENTS_MAX: usize = 1024;

/// Bytes that are read of the answer's body.
const BODY_MAX: usize = 4096;

/// What a receiver has consented to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Consent {
    /// Webhooks a minute; `None`: as many as we like.
    pub(super) per_minute: Option<u32>,
}

/// The consents of all receivers.
#[derive(Debug, Default)]
pub(super) struct Consents(Mutex<HashMap<Digest, Arc<OnceCell<Consent>>>>);

impl Consents {
    /// The consent of a sink's receiver. Of several attempts one asks, with `ask`, and the others wait for it.
    ///
    /// # Errors
    /// Why there is none. The next attempt asks again.
    pub(super) async fn of<F>(&self, sink: &Sink, ask: impl FnOnce() -> F) -> Result<Consent, Failure>
    where
        F: Future<Output = Result<Consent, Failure>>,
    {
        let cell = self.cell(sink);
        cell.get_or_try_init(ask).await.copied()
    }

    /// The consent of a sink's receiver, if it has been given.
    pub(super) fn given(&self, sink: &Sink) -> Option<Consent> {
        self.cell(sink).get().copied()
    }

    fn cell(&self, sink: &Sink) -> Arc<OnceCell<Consent>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() >= CONSENTS_MAX {
            cells.clear();
        }
        let receiver = Digest::of(format!("{}\n{}\n{}", sink.name, origin(sink), sink.url).as_bytes());
        Arc::clone(cells.entry(receiver).or_default())
    }
}

/// Who we say that we are.
fn origin(sink: &Sink) -> &str {
    let own = sink.headers.iter().find(|(name, _)| *name == REQUEST_ORIGIN);
    own.map_or(ORIGIN, |(_, value)| value.expose())
}

/// Asks for consent, with the `sent` headers of every request to this receiver. It may come with a `Retry-After`.
///
/// # Errors
/// There was no answer, or it was no.
pub(super) async fn ask(
    client: &reqwest::Client,
    sink: &Sink,
    url: &Url,
    mut sent: HeaderMap,
    target: &Target,
    explain: impl Fn(reqwest::Error) -> Failure,
    now: Timestamp,
) -> Result<(Consent, Option<Duration>), Failure> {
    if !sent.contains_key(&REQUEST_ORIGIN) {
        sent.insert(REQUEST_ORIGIN, HeaderValue::from_static(ORIGIN));
    }
    let response = client.request(Method::OPTIONS, url.clone()).headers(sent).send().await.map_err(explain)?;
    let consent = read(response.status().as_u16(), response.headers(), origin(sink), target, now);
    let wait = headers::retry_after(response.headers(), now);
    // Read, so that the delivery goes over the same connection; what it says is of no interest.
    let _ = body::read_beginning(response, BODY_MAX, 0).await;
    let consent = consent?;
    tracing::info!(sink = %sink.name, per_minute = consent.per_minute, "the receiver consents to webhooks");
    Ok((consent, wait))
}

/// What an answer says. Its status says nothing: a receiver that knows nothing of this may well answer 200.
fn read(status: u16, answer: &HeaderMap, origin: &str, target: &Target, now: Timestamp) -> Result<Consent, Failure> {
    let place = &target.place;
    let sentence = match headers::text(answer, &ALLOWED_ORIGIN) {
        Some(allowed) if allowed.split(',').any(|one| names_us(one.trim(), origin)) => {
            let rate = headers::text(answer, &ALLOWED_RATE);
            let per_minute = rate.and_then(|rate| rate.trim().parse().ok()).filter(|rate| *rate > 0);
            return Ok(Consent { per_minute });
        }
        Some(allowed) => {
            let allowed = one_line(&allowed, 100).unwrap_or_default();
            format!(
                "`{place}` consents to webhooks from `{allowed}`, and not from `{origin}`; if you are the former, write \
                 `headers = {{ WebHook-Request-Origin = \"{allowed}\" }}`"
            )
        }
        None => format!(
            "`{place}` did not consent to webhooks: it answered OPTIONS with {status} and without \
             `WebHook-Allowed-Origin`; if it asks for no handshake, take `handshake` out"
        ),
    };
    let retry_after = headers::retry_after(answer, now);
    Err(Failure { status: Some(status), retry_after, ..Failure::new(FailureKind::Handshake, sentence) })
}

/// Does it name everybody, or us?
fn names_us(allowed: &str, origin: &str) -> bool {
    allowed == "*" || allowed.eq_ignore_ascii_case(origin.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, headers: &[(&str, &str)]) -> Result<Consent, Failure> {
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            sent.insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        read(status, &sent, "doorbell", &Target::of("https://crm.example/hooks"), Timestamp(0))
    }

    #[test]
    fn a_consent_names_us_or_everybody_and_perhaps_a_rate() {
        for (origin, rate, per_minute) in [
            ("doorbell", Some("120"), Some(120)),
            ("DoorBell", None, None),
            ("eventemitter.example, doorbell", None, None),
            ("*", Some("*"), None),
            ("*", Some("0"), None),
        ] {
            let mut headers = vec![("WebHook-Allowed-Origin", origin)];
            headers.extend(rate.map(|rate| ("WebHook-Allowed-Rate", rate)));
            assert_eq!(answered(200, &headers), Ok(Consent { per_minute }), "{origin} {rate:?}");
        }
    }

    #[test]
    fn anything_else_is_no_whatever_its_status() {
        let silent = answered(200, &[("Allow", "POST")]).expect_err("a refusal");
        assert!(silent.sentence.contains("did not consent") && silent.kind == FailureKind::Handshake, "{silent}");
        let other = answered(200, &[("WebHook-Allowed-Origin", "eventemitter.example")]).expect_err("a refusal");
        assert!(other.sentence.contains("from `eventemitter.example`, and not from `doorbell`"), "{other}");
        let busy = answered(429, &[("Retry-After", "7")]).expect_err("a refusal");
        assert_eq!((busy.status, busy.retry_after), (Some(429), Some(Duration::from_secs(7))));
    }
}
