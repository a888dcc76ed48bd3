//! The sender over HTTP: one POST with the event's bytes, signed, within the sink's timeout.
//!
//! Follows no redirect and tries nothing again: what an answer means is decided in `core`.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::{Position, Url};

use crate::core::auth::credentials::{self, Credentials};
use crate::core::auth::{Auth, Live, Outgoing};
use crate::core::delivery::{Answer, OWN_HEADERS, Parcel};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Masked;
use crate::core::sign::Message;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::trace::{SentHeaders, Trace};
use crate::net::auth::{Credentialer, Pledge, Way, put};
use crate::net::body;
use crate::net::client::{Clients, Setting, USER_AGENT, connect_timeout_within};
use crate::net::guard;
use crate::net::headers;
use crate::net::phases::Stopwatch;
use crate::net::redact::Redactor;
use crate::net::trouble::{Phase, Target};
use crate::sink::handshake::{self, Consents};
use crate::sink::{Sender, Sent};

#[cfg(test)]
mod tests;

/// Bytes of an answer that are read; a connection on which more would come is closed.
const READ_MAX: usize = 64 * 1024;

/// Bytes of an answer that are kept.
const KEEP_MAX: usize = 4 * 1024;

/// Sends webhooks over HTTP.
#[derive(Debug)]
pub struct HttpSender {
    clients: Clients,
    consents: Consents,
    credentialer: Arc<Credentialer>,
}

impl HttpSender {
    /// A sender that has built nothing yet.
    pub fn new(credentialer: Arc<Credentialer>) -> Self {
        Self { clients: Clients::default(), consents: Consents::default(), credentialer }
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, sink: &Arc<Sink>, parcel: &Parcel, attempt: u32, now: Timestamp) -> Sent {
        let errand = Errand { sink, parcel, attempt, now };
        match sink.auth.as_ref().and_then(Auth::live) {
            None => self.once(&errand, &mut Pledge::default()).await.0,
            // Few sinks have them, and every attempt would carry the room for it.
            Some(live) => Box::pin(self.send_live(&errand, live)).await,
        }
    }

    fn allowed_rate(&self, sink: &Sink) -> Option<u32> {
        self.consents.given(sink)?.per_minute
    }

    fn has_consent(&self, sink: &Sink) -> bool {
        !sink.handshake || self.consents.given(sink).is_some()
    }
}

/// What is to be sent.
struct Errand<'a> {
    sink: &'a Sink,
    parcel: &'a Parcel,
    attempt: u32,
    now: Timestamp,
}

/// There is nothing to let us in with.
fn unsent(failure: Failure, watch: &Stopwatch) -> Sent {
    let (took, phases) = watch.stop();
    Sent { answer: unreached(failure), took, trace: Trace { phases, ..Trace::default() } }
}

fn unreached(failure: Failure) -> Answer {
    match failure.kind {
        FailureKind::Address => Answer::Forbidden(failure.sentence),
        _ => Answer::Unreachable(failure),
    }
}

impl HttpSender {
    /// With credentials that are fetched, and once more with new ones after a 401.
    async fn send_live(&self, errand: &Errand<'_>, live: &Live) -> Sent {
        let watch = Stopwatch::start();
        let sink = errand.sink;
        let way = Way { transport: sink.transport.clone(), turnstile: None, insists: false };
        let mut pledge = match self.credentialer.prepare(live, &way).await {
            Ok(pledge) => pledge,
            Err(failure) => return unsent(failure, &watch),
        };
        let (sent, refusal) = self.once(errand, &mut pledge).await;
        let Some(refusal) = refusal else { return sent };
        match self.credentialer.renew(live, &mut pledge, &sink.url, &refusal, &way).await {
            Ok(true) => self.once(errand, &mut pledge).await.0,
            Ok(false) => sent,
            Err(failure) => unsent(failure, &watch),
        }
    }

    /// One request, and the headers of a 401.
    async fn once(&self, errand: &Errand<'_>, pledge: &mut Pledge) -> (Sent, Option<HeaderMap>) {
        let watch = Stopwatch::start();
        let prepared = Prepared::new(errand, &self.credentialer, pledge);
        let headers = prepared.as_ref().map(Prepared::shown_headers).unwrap_or_default();
        let (answer, refusal) = match prepared {
            Ok(prepared) => self.attempt(prepared, &watch, errand.now).await,
            Err(failure) => (Answer::Unreachable(failure), None),
        };
        if refusal.is_none() && matches!(answer, Answer::Status { .. }) {
            self.credentialer.accepted(pledge);
        }
        let (took, phases) = watch.stop();
        (Sent { answer, took, trace: Trace { phases, headers } }, refusal)
    }

    /// One attempt. An answer that isn't complete in time is no answer, even when its status has come: a receiver
    /// that is cut off may not have done its work.
    async fn attempt(&self, prepared: Prepared<'_>, watch: &Stopwatch, now: Timestamp) -> (Answer, Option<HeaderMap>) {
        let (target, sink) = (prepared.target.clone(), prepared.sink);
        let asked = OnceLock::new();
        let exchange = watch.around(self.exchange(sink, prepared, watch, now, &asked));
        let result = tokio::time::timeout(sink.timeout, exchange).await.unwrap_or_else(|_| {
            let phase = if watch.has_answer() { Phase::Body } else { Phase::Answer };
            Err(target.too_slow(phase, sink.timeout))
        });
        result.unwrap_or_else(|failure| {
            // Whoever breaks off after its headers has asked nevertheless.
            let retry_after = failure.retry_after.max(asked.get().copied());
            (unreached(Failure { retry_after, ..failure }), None)
        })
    }

    async fn exchange(
        &self,
        sink: &Sink,
        mut prepared: Prepared<'_>,
        watch: &Stopwatch,
        now: Timestamp,
        asked: &OnceLock<Duration>,
    ) -> Result<(Answer, Option<HeaderMap>), Failure> {
        let begun = Instant::now();
        let headers = std::mem::take(&mut prepared.headers);
        let Prepared { url, setting, target, .. } = &prepared;
        let explain = |error: reqwest::Error| target.explain(&error, setting.connect_timeout);
        guard::admit(setting, url).await?;
        let client = self.clients.get(setting, url)?;
        if sink.handshake {
            let sent = prepared.common_headers.clone();
            let client = &client;
            let ask = || async move {
                let (consent, wait) = handshake::ask(client, sink, url, sent, target, explain, now).await?;
                note(asked, wait);
                Ok(consent)
            };
            Box::pin(self.consents.of(sink, ask)).await?;
            if asked.get().is_some() {
                let sentence = format!("`{}` consents to webhooks, and asks to be left alone first", target.place);
                return Err(Failure::new(FailureKind::Handshake, sentence));
            }
        }
        let request = client.post(url.clone()).headers(headers).body(prepared.parcel.body.clone());
        let response = request.send().await.map_err(explain)?;
        watch.answered();
        let status = response.status().as_u16();
        let refusal = (status == 401).then(|| response.headers().clone());
        let retry_after = headers::retry_after(response.headers(), now.plus(begun.elapsed()));
        note(asked, retry_after);
        let beginning = body::read_beginning(response, READ_MAX, KEEP_MAX).await.map_err(explain)?;
        let excerpt = match beginning.bytes.is_empty() {
            true => String::new(),
            false => {
                let text = String::from_utf8_lossy(&beginning.bytes);
                prepared.redactor().clean(&text, beginning.cut).unwrap_or_default()
            }
        };
        Ok((Answer::Status { status, retry_after, excerpt }, refusal))
    }
}

/// Notes how long the receiver asks to be left alone, once its headers are there.
fn note(asked: &OnceLock<Duration>, wait: Option<Duration>) {
    if let Some(wait) = wait {
        let _ = asked.set(wait);
    }
}

/// An attempt before it is made.
struct Prepared<'a> {
    sink: &'a Sink,
    parcel: &'a Parcel,
    url: Url,
    /// All headers that are sent, credentials among them.
    headers: HeaderMap,
    /// The headers of every request to this receiver, where it is asked for its consent: the sink's own, and the
    /// credentials.
    common_headers: HeaderMap,
    /// What the credentials came to: headers, or what is added to the URL.
    auth: Vec<Credentials>,
    setting: Setting,
    target: Target,
}

impl<'a> Prepared<'a> {
    fn new(errand: &Errand<'a>, credentialer: &Credentialer, pledge: &mut Pledge) -> Result<Self, Failure> {
        let Errand { sink, parcel, attempt, now } = *errand;
        let mut make = |method: Method, headers: &HeaderMap, body: &[u8]| match &sink.auth {
            None => Ok(Vec::new()),
            Some(Auth::Live(live)) => {
                let request = Outgoing { method: &method, url: &sink.url, headers, body, now };
                credentialer.make(live, pledge, &request)
            }
            Some(auth) => credentials::render(auth, &[]).map(Vec::from_iter),
        };
        let (mut url, mut common_headers) = (sink.url.clone(), HeaderMap::new());
        if sink.handshake {
            append_own(&mut common_headers, sink)?;
            let auth = make(Method::OPTIONS, &common_headers, &[])?;
            put(&auth, &mut common_headers, &mut url.clone())?;
        }
        let mut headers = headers_of(sink, parcel, attempt, now)?;
        let auth = make(Method::POST, &headers, &parcel.body)?;
        put(&auth, &mut HeaderMap::new(), &mut url)?;
        sign(&mut headers, sink, &url, parcel, now)?;
        put(&auth, &mut headers, &mut url)?;
        let setting =
            Setting::new(&sink.transport, &url, connect_timeout_within(sink.timeout), false, sink.concurrency);
        let target = Target::of(&sink.shown_url).behind(setting.proxy.as_ref());
        Ok(Self { sink, parcel, url, headers, common_headers, auth, setting, target })
    }

    /// The headers as they may be shown.
    fn shown_headers(&self) -> SentHeaders {
        let known = self.sink.headers.iter().map(|(name, value)| (name, value));
        let auth = self.auth.iter().filter_map(|auth| match auth {
            Credentials::Header(name, value) => Some((name, value)),
            Credentials::Query(..) => None,
        });
        let known: Vec<_> = auth.chain(known).collect();
        SentHeaders::new(self.headers.iter().map(|(name, value)| {
            let hides = |(known, masked): &&(&HeaderName, &Masked)| {
                *known == name && masked.expose().as_bytes() == value.as_bytes()
            };
            let shown = match known.iter().find(hides) {
                Some((_, masked)) => masked.shown().into(),
                None if value.is_sensitive() => "***".into(),
                None => String::from_utf8_lossy(value.as_bytes()),
            };
            (name.as_str(), shown)
        }))
    }

    /// What the receiver may send back and nobody may read: hidden headers and credentials, and of a URL that is shown
    /// by its host only what stands behind the host.
    fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        let sink = self.sink;
        sink.headers.iter().for_each(|(_, value)| redactor.hide(value));
        for Credentials::Header(_, value) | Credentials::Query(_, value) in &self.auth {
            redactor.hide(value);
        }
        self.setting.proxy.iter().for_each(|proxy| redactor.hide_proxy(proxy));
        redactor.hide_userinfo(&sink.url);
        let tail = &sink.url[Position::BeforePath..];
        if tail != "/" && !sink.shown_url.ends_with(tail) {
            let long = |part: &&str| part.len() >= 6;
            sink.url.path().split('/').filter(long).for_each(|part| redactor.hide_text(part));
            sink.url.query().into_iter().filter(long).for_each(|query| redactor.hide_text(query));
            let members = sink.url.query().into_iter().flat_map(|query| query.split('&'));
            let values = members.filter_map(|member| Some(member.split_once('=')?.1));
            let read = sink.url.query_pairs().map(|(_, value)| value);
            values
                .map(Into::into)
                .chain(read)
                .filter(|value| long(&value.as_ref()))
                .for_each(|value| redactor.hide_text(&value));
        }
        redactor
    }
}

/// Adds the sink's own headers, those apart that every attempt sets itself.
fn append_own(sent: &mut HeaderMap, sink: &Sink) -> Result<(), Failure> {
    for (name, value) in sink.headers.iter().filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str())) {
        sent.append(name.clone(), headers::value(name, value)?);
    }
    Ok(())
}

/// The headers of an attempt but for its signature. The sink's own come first, so that none of them stands for one of ours.
fn headers_of(sink: &Sink, parcel: &Parcel, attempt: u32, now: Timestamp) -> Result<HeaderMap, Failure> {
    let mut sent = HeaderMap::with_capacity(sink.headers.len() + 6);
    append_own(&mut sent, sink)?;
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static(parcel.content_type()));
    for (name, value) in parcel.wire.headers(parcel) {
        insert(&mut sent, name, &value)?;
    }
    for (name, value) in parcel.skipped.headers() {
        insert(&mut sent, name, &value)?;
    }
    sent.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    sent.insert("webhook-timestamp", HeaderValue::from(now.unix_seconds()));
    sent.insert("doorbell-attempt", HeaderValue::from(attempt));
    if parcel.replay {
        sent.insert("doorbell-replay", HeaderValue::from_static("true"));
    }
    insert(&mut sent, "webhook-id", parcel.id())?;
    Ok(sent)
}

/// Adds the signature over what is sent, to the URL that is asked: a scheme may sign other headers, so they are there.
fn sign(sent: &mut HeaderMap, sink: &Sink, url: &Url, parcel: &Parcel, now: Timestamp) -> Result<(), Failure> {
    let Some(signer) = &sink.signer else { return Ok(()) };
    let content_type = headers::text(sent, &header::CONTENT_TYPE).unwrap_or_default();
    let message = Message {
        id: parcel.id(),
        timestamp: now.unix_seconds(),
        method: "POST",
        url,
        content_type: &content_type,
        body: &parcel.body,
    };
    let failed = |why| Failure::new(FailureKind::Template, format!("the webhook can't be signed: {why}"));
    for (name, value) in signer.headers(&message).map_err(failed)? {
        let value = headers::value(&name, &Masked::open(value))?;
        sent.insert(name, value);
    }
    Ok(())
}

fn insert(sent: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Failure> {
    let name = HeaderName::from_static(name);
    let value = headers::value(&name, &Masked::open(value))?;
    sent.insert(name, value);
    Ok(())
}
