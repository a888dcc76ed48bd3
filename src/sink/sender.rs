//! The sender over HTTP: one POST with the event's bytes, signed, within the sink's timeout.
//!
//! Follows no redirect and tries nothing again: what an answer means is decided in `core`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Position;

use crate::core::delivery::{Answer, OWN_HEADERS, Parcel};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Masked;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::net::body;
use crate::net::client::{Clients, Setting, USER_AGENT, connect_timeout_within, idle_for};
use crate::net::guard::Policy;
use crate::net::headers;
use crate::net::redact::Redactor;
use crate::net::trouble::{Phase, Target};
use crate::sink::{Sender, Sent};

#[cfg(test)]
mod tests;

/// Bytes of an answer that are read; a connection on which more would come is closed.
const READ_MAX: usize = 64 * 1024;

/// Bytes of an answer that are kept.
const KEEP_MAX: usize = 4 * 1024;

/// Sends webhooks over HTTP.
#[derive(Debug, Default)]
pub struct HttpSender {
    clients: Clients,
}

impl HttpSender {
    /// A sender that has built nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, sink: &Arc<Sink>, parcel: &Parcel, attempt: u32, now: Timestamp) -> Sent {
        let begun = Instant::now();
        let answer = self.attempt(sink, parcel, attempt, now).await;
        Sent { answer, took: begun.elapsed() }
    }
}

impl HttpSender {
    /// One attempt. An answer that isn't complete in time is no answer, even when its status has come: a receiver
    /// that is cut off may not have done its work.
    async fn attempt(&self, sink: &Sink, parcel: &Parcel, attempt: u32, now: Timestamp) -> Answer {
        if let Err(refused) = Policy::NoMetadata.admit_url(&sink.url) {
            return Answer::Forbidden(refused.to_string());
        }
        let answered = AtomicBool::new(false);
        let exchange = self.exchange(sink, parcel, attempt, now, &answered);
        let result = tokio::time::timeout(sink.timeout, exchange).await.unwrap_or_else(|_| {
            let phase = if answered.load(Ordering::Relaxed) { Phase::Body } else { Phase::Answer };
            Err(Target::of(&sink.shown_url).too_slow(phase, sink.timeout))
        });
        match result {
            Ok(answer) => answer,
            Err(failure) if failure.kind == FailureKind::Address => Answer::Forbidden(failure.sentence),
            Err(failure) => Answer::Unreachable(failure),
        }
    }

    async fn exchange(
        &self,
        sink: &Sink,
        parcel: &Parcel,
        attempt: u32,
        now: Timestamp,
        answered: &AtomicBool,
    ) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let connect_limit = connect_timeout_within(sink.timeout);
        let explain = |error: reqwest::Error| Target::of(&sink.shown_url).explain(&error, connect_limit);
        let setting = Setting {
            connect_timeout: connect_limit,
            policy: Policy::NoMetadata,
            decompress: false,
            idle: idle_for(sink.concurrency),
        };
        let client = self.clients.get(&setting, &sink.url)?;
        let sent = headers_of(sink, parcel, attempt, now)?;
        let request = client.post(sink.url.clone()).headers(sent).body(parcel.body.clone());
        let response = request.send().await.map_err(explain)?;
        answered.store(true, Ordering::Relaxed);
        let status = response.status().as_u16();
        let retry_after = headers::retry_after(response.headers(), now.plus(begun.elapsed()));
        let beginning = body::read_beginning(response, READ_MAX, KEEP_MAX).await.map_err(explain)?;
        let text = String::from_utf8_lossy(&beginning.bytes);
        let excerpt = redactor(sink).clean(&text, beginning.cut).unwrap_or_default();
        Ok(Answer::Status { status, retry_after, excerpt })
    }
}

/// The headers of an attempt. The sink's own come first, so that none of them stands for one of ours.
fn headers_of(sink: &Sink, parcel: &Parcel, attempt: u32, now: Timestamp) -> Result<HeaderMap, Failure> {
    let mut sent = HeaderMap::with_capacity(sink.headers.len() + 6);
    for (name, value) in sink.headers.iter().filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str())) {
        sent.append(name.clone(), headers::value(name, value)?);
    }
    let id = parcel.event.as_str();
    let seconds = now.unix_seconds();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    sent.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    sent.insert("webhook-timestamp", HeaderValue::from(seconds));
    sent.insert("doorbell-attempt", HeaderValue::from(attempt));
    insert(&mut sent, "webhook-id", id)?;
    for (name, value) in parcel.skipped.headers() {
        insert(&mut sent, name, &value)?;
    }
    if !sink.keys.is_empty() {
        let signatures: Vec<String> = sink.keys.iter().map(|key| key.sign(id, seconds, &parcel.body)).collect();
        insert(&mut sent, "webhook-signature", &signatures.join(" "))?;
    }
    Ok(sent)
}

fn insert(sent: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Failure> {
    let name = HeaderName::from_static(name);
    let value = headers::value(&name, &Masked::open(value))?;
    sent.insert(name, value);
    Ok(())
}

/// What the receiver may send back and nobody may read: hidden headers, and of a URL that is shown by its host only
/// what stands behind the host.
fn redactor(sink: &Sink) -> Redactor {
    let mut redactor = Redactor::default();
    sink.headers.iter().for_each(|(_, value)| redactor.hide(value));
    let tail = &sink.url[Position::BeforePath..];
    if tail != "/" && !sink.shown_url.ends_with(tail) {
        let long = |part: &&str| part.len() >= 6;
        sink.url.path().split('/').filter(long).for_each(|part| redactor.hide_text(part));
        sink.url.query().into_iter().filter(long).for_each(|query| redactor.hide_text(query));
        sink.url
            .query_pairs()
            .filter(|(_, value)| long(&value.as_ref()))
            .for_each(|(_, value)| redactor.hide_text(&value));
        sink.url.password().into_iter().filter(long).for_each(|password| redactor.hide_text(password));
    }
    redactor
}
