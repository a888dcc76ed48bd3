//! The fetcher over HTTP: redirects inside the job's home origins, quick retries, conditional requests, limits.
//!
//! What an answer's body means is not its business.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use reqwest::Response;
use url::Url;

use crate::core::auth::Outgoing;
use crate::core::job::Access;
use crate::core::limits::{self, Advice};
use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::polite::Sign;
use crate::core::secret::Masked;
use crate::core::time::Timestamp;
use crate::net::auth::{Credentialer, Pledge};
use crate::net::body::{self, Body, Unread};
use crate::net::client::{Clients, Setting, connect_timeout_within};
use crate::net::guard;
use crate::net::headers::{self, text};
use crate::net::redact::Redactor;
use crate::net::trouble::{self, Phase, Target};
use crate::source::status::{self, too_large};
use crate::source::{Answer, Fetched, Fetcher, Request, render};

use self::live::LiveCredentials;

mod live;
#[cfg(test)]
mod tests;

/// Redirects that are followed for one request.
const REDIRECTS_MAX: usize = 10;

/// What is read of the body of an answer that carries nothing to read.
const EXCERPT_MAX: usize = 4096;

/// What is read of it where conditions are to be asked: an error's body is small.
const JUDGED_MAX: usize = 1024 * 1024;

/// The wait before the first quick retry; each next one is five times as long, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(200);

/// The longest wait inside one poll. A `Retry-After` that asks for more ends the retries.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What is asked for when the config names no `Accept`.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.5");

/// Asks vendors over HTTP.
///
/// Every try has the vendor's whole `timeout` for itself. Tried again are connections that fail, 429 and 5xx; not a
/// timeout, since the next try would take as long. A method that isn't idempotent (RFC 9110, section 9.2.2), such as
/// POST, is tried again only where the vendor can't have acted: the connection never stood, or it answered 429 or 503.
#[derive(Debug)]
pub struct HttpFetcher {
    clients: Clients,
    credentialer: Arc<Credentialer>,
    wall_clock: fn() -> Timestamp,
    spool: Option<PathBuf>,
}

impl HttpFetcher {
    /// A fetcher that has built nothing yet. The clock is for a `Retry-After` that is a date, in an answer without one,
    /// and for signatures.
    pub fn new(wall_clock: fn() -> Timestamp, credentialer: Arc<Credentialer>) -> Self {
        Self { clients: Clients::default(), credentialer, wall_clock, spool: None }
    }

    /// The same, which keeps large bodies in files without a name in this folder, not in memory.
    #[must_use]
    pub fn spooling_to(self, folder: PathBuf) -> Self {
        Self { spool: Some(folder), ..self }
    }
}

#[async_trait]
impl Fetcher for HttpFetcher {
    async fn fetch(&self, request: Request) -> Fetched {
        let begun = Instant::now();
        let (result, sent) = match Exchange::prepare(self, &request) {
            Ok(exchange) => (persist(&exchange).await, exchange.credentials.into_sent()),
            Err(failure) => (Err(failure), Vec::new()),
        };
        Fetched { result, took: begun.elapsed(), sent }
    }
}

async fn persist(exchange: &Exchange<'_>) -> Result<Answer, Failure> {
    let mut tries = 0;
    loop {
        let stumble = match exchange.attempt().await {
            Ok(answer) => return Ok(answer),
            Err(stumble) => stumble,
        };
        let Some(pause) = pause_before_retry(tries, exchange.request.access.retries, &stumble) else {
            return Err(stumble.failure);
        };
        tracing::debug!(reason = %stumble.failure, pause_ms = pause.as_millis(), "asking again");
        tokio::time::sleep(pause).await;
        tries += 1;
    }
}

/// Why a try failed, and whether another may help.
#[derive(Debug)]
struct Stumble {
    failure: Failure,
    again: bool,
}

impl From<Failure> for Stumble {
    fn from(failure: Failure) -> Self {
        Self { failure, again: false }
    }
}

/// How long to wait before another try; `None` when there is none.
fn pause_before_retry(tries: u32, retries: u32, stumble: &Stumble) -> Option<Duration> {
    let asked = stumble.failure.retry_after.unwrap_or_default();
    if !stumble.again || tries >= retries || asked > PAUSE_MAX {
        return None;
    }
    let backoff = PAUSE.saturating_mul(5_u32.saturating_pow(tries)).min(PAUSE_MAX);
    Some(backoff.mul_f64(1.0 + fastrand::f64() / 2.0).max(asked))
}

/// A request, ready to be sent as often as it takes.
struct Exchange<'a> {
    request: &'a Request,
    clients: &'a Clients,
    credentials: LiveCredentials<'a>,
    client: reqwest::Client,
    connect_limit: Duration,
    url: Url,
    headers: HeaderMap,
    target: Target,
    wall_clock: fn() -> Timestamp,
    /// Where a large body goes; nowhere when it has to be looked at as a whole anyway.
    spool: Option<&'a Path>,
}

/// What one request on the wire comes to.
enum Step {
    /// The answer.
    End(Answer),
    /// A redirect.
    On(Hop),
    /// A 401, which other credentials may get around.
    Refused(Box<Refusal>),
}

/// A 401.
struct Refusal {
    stumble: Stumble,
    headers: HeaderMap,
}

/// One request on the wire: redirects change it.
struct Hop {
    method: Method,
    url: Url,
    with_body: bool,
}

impl<'a> Exchange<'a> {
    fn prepare(fetcher: &'a HttpFetcher, request: &'a Request) -> Result<Self, Failure> {
        let access = &request.access;
        let url = render::parse_url(&request.url)?;
        let connect_limit = access.connect_timeout.unwrap_or_else(|| connect_timeout_within(access.timeout));
        let setting = Setting::new(&access.transport, &url, connect_limit, true, 1);
        let client = fetcher.clients.get(&setting, &url)?;
        let target = Target::of(request.url.shown()).behind(setting.proxy.as_ref());
        let wall_clock = fetcher.wall_clock;
        let spool = fetcher.spool.as_deref().filter(|_| request.signs.is_empty());
        Ok(Self {
            request,
            clients: &fetcher.clients,
            credentials: LiveCredentials::new(&fetcher.credentialer, request),
            client,
            connect_limit,
            url,
            headers: headers_of(request)?,
            target,
            wall_clock,
            spool,
        })
    }

    /// One try: asks, follows redirects, and reads what is at their end. All of it shares one timeout, without the
    /// waits at the gate.
    async fn attempt(&self) -> Result<Answer, Stumble> {
        let mut hop =
            Hop { method: self.request.method.clone(), url: self.url.clone(), with_body: self.request.body.is_some() };
        let mut left = self.request.access.timeout;
        for _ in 0..=REDIRECTS_MAX {
            let mut pledge = self.credentials.prepare().await?;
            let mut step = self.pass(&mut left, &hop, &mut pledge).await?;
            if let Step::Refused(refusal) = &step
                && self.credentials.renew(&mut pledge, &hop.url, &refusal.headers).await?
            {
                step = self.pass(&mut left, &hop, &mut pledge).await?;
            }
            match step {
                Step::End(answer) => return Ok(answer),
                Step::On(next) => hop = next,
                Step::Refused(refusal) => return Err(refusal.stumble),
            }
        }
        let sentence =
            format!("`{}` was still redirected after {REDIRECTS_MAX} redirects; check `url`", self.target.place);
        Err(Failure::new(FailureKind::Redirect, sentence).into())
    }

    /// One request, once the gate lets it through.
    async fn pass(&self, left: &mut Duration, hop: &Hop, pledge: &mut Pledge) -> Result<Step, Stumble> {
        let _pass = self.request.gate.enter().await?;
        let begun = Instant::now();
        let step = self.step_within(*left, hop, pledge).await;
        *left = left.saturating_sub(begun.elapsed());
        step
    }

    async fn step_within(&self, left: Duration, hop: &Hop, pledge: &mut Pledge) -> Result<Step, Stumble> {
        let answered = AtomicBool::new(false);
        match tokio::time::timeout(left, self.step(hop, pledge, &answered)).await {
            Ok(result) => result,
            Err(_) => {
                let phase = if answered.load(Ordering::Relaxed) { Phase::Body } else { Phase::Answer };
                Err(self.target.too_slow(phase, self.request.access.timeout).into())
            }
        }
    }

    /// One request on the wire.
    async fn step(&self, hop: &Hop, pledge: &mut Pledge, answered: &AtomicBool) -> Result<Step, Stumble> {
        let response = self.send(hop, pledge).await?;
        let advice = limits::read(response.status().as_u16(), response.headers(), (self.wall_clock)());
        if advice != Advice::default() {
            self.request.gate.heed(advice).await;
        }
        if self.request.live.is_some() && response.status() == StatusCode::UNAUTHORIZED {
            answered.store(true, Ordering::Relaxed);
            let headers = response.headers().clone();
            let stumble = self.refuse(response, advice).await;
            // A rate limit in disguise is no refusal: it says so itself.
            return if stumble.failure.is_refusal() {
                Ok(Step::Refused(Box::new(Refusal { stumble, headers })))
            } else {
                Err(stumble)
            };
        }
        self.credentials.accepted(pledge);
        let Some(location) = location(&response) else {
            answered.store(true, Ordering::Relaxed);
            let fresh = limits::freshness(response.headers(), (self.wall_clock)());
            let answer = self.read(response, advice).await?;
            self.request.gate.note_fresh(fresh);
            return Ok(Step::End(answer));
        };
        let next = self.redirected(hop, response.status(), &location)?;
        // The body of a redirect is read so that its connection can be used again; what it says is of no interest.
        let _ = body::read_beginning(response, EXCERPT_MAX, 0).await;
        Ok(Step::On(next))
    }

    async fn send(&self, hop: &Hop, pledge: &mut Pledge) -> Result<Response, Stumble> {
        let client = self.client_for(&hop.url).await?;
        let body = self.request.body.as_ref().filter(|_| hop.with_body);
        let body = body.map_or(&[][..], |body| body.expose().as_bytes());
        let (mut url, mut headers) = (hop.url.clone(), self.headers.clone());
        let outgoing =
            Outgoing { method: &hop.method, url: &hop.url, headers: &self.headers, body, now: (self.wall_clock)() };
        self.credentials.put(pledge, &outgoing, &mut headers, &mut url)?;
        let mut builder = client.request(hop.method.clone(), url).headers(headers);
        if hop.with_body && self.request.body.is_some() {
            builder = builder.body(body.to_vec());
        }
        builder.send().await.map_err(|error| self.stumble(&error))
    }

    /// The client for a URL. One that is not at the job's own origins came from the vendor, and its address is judged.
    async fn client_for(&self, url: &Url) -> Result<reqwest::Client, Failure> {
        let Access { transport, homes, .. } = &*self.request.access;
        if url.origin() == self.url.origin() && homes.is_own(url) {
            return Ok(self.client.clone());
        }
        let mut setting = Setting::new(transport, url, self.connect_limit, true, 1);
        if !homes.is_own(url) {
            setting.policy = guard::judge_link(homes.own(), &setting, url).await?;
        }
        self.clients.get(&setting, url)
    }

    /// Where a redirect leads, if it may be followed.
    fn redirected(&self, from: &Hop, status: StatusCode, location: &str) -> Result<Hop, Failure> {
        let Ok(mut url) = from.url.join(location) else {
            return Err(self.redirect_failure(status, "to an address that is no URL"));
        };
        let leaves = url.origin() != from.url.origin();
        if leaves && !self.request.access.homes.admits(&url) {
            return Err(self.redirect_failure(status, &self.elsewhere(&from.url, &url)));
        }
        // Same origin, same credentials: those of the URL go along. Neither call can fail on a URL with a host.
        if !leaves {
            let _ = url.set_username(from.url.username());
            let _ = url.set_password(from.url.password());
        }
        // RFC 9110, section 15.4: 303 always turns into GET; for 301 and 302 a POST does, by custom.
        let turns = status == StatusCode::SEE_OTHER
            || (matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND) && from.method == Method::POST);
        let method = if turns && from.method != Method::HEAD { Method::GET } else { from.method.clone() };
        Ok(Hop { method, url, with_body: from.with_body && !turns })
    }

    /// Another origin, without its query and without what the request hides.
    fn elsewhere(&self, from: &Url, to: &Url) -> String {
        let place = self.redactor().clean(&trouble::place_of(to.as_str()), false);
        let place = place.unwrap_or_else(|| to.origin().ascii_serialization());
        let upgrade = from.scheme() == "http" && to.scheme() == "https" && from.host() == to.host();
        let hint = if upgrade { "write `https://` in the URL" } else { "if that is where the API is, ask it there" };
        format!("to another origin, `{place}`, and is not followed there; {hint}")
    }

    fn redirect_failure(&self, status: StatusCode, rest: &str) -> Failure {
        let sentence = format!("`{}` is redirected ({}) {rest}", self.target.place, status.as_u16());
        Failure { status: Some(status.as_u16()), ..Failure::new(FailureKind::Redirect, sentence) }
    }

    /// Reads an answer that is no redirect.
    async fn read(&self, response: Response, advice: Advice) -> Result<Answer, Stumble> {
        match response.status() {
            StatusCode::NOT_MODIFIED if self.is_conditional() => {
                self.judge(response.status(), response.headers(), None).await?;
                Ok(self.not_modified(&response))
            }
            StatusCode::PARTIAL_CONTENT => Err(self.refuse(response, advice).await),
            status if status.is_success() => self.read_body(response).await,
            _ => Err(self.refuse(response, advice).await),
        }
    }

    fn is_conditional(&self) -> bool {
        let request = self.request;
        request.access.conditional && (request.etag.is_some() || request.last_modified.is_some())
    }

    fn not_modified(&self, response: &Response) -> Answer {
        let headers = response.headers();
        Answer {
            status: StatusCode::NOT_MODIFIED.as_u16(),
            url: place_of(response),
            headers: headers.clone(),
            etag: headers::etag(headers, (self.wall_clock)()).or_else(|| self.request.etag.clone()),
            last_modified: headers::last_modified(headers, (self.wall_clock)())
                .or_else(|| self.request.last_modified.clone()),
            content_type: text(headers, &header::CONTENT_TYPE),
            body: None,
            digest: Digest::default(),
        }
    }

    async fn read_body(&self, mut response: Response) -> Result<Answer, Stumble> {
        let (url, code, headers) = (place_of(&response), response.status(), std::mem::take(response.headers_mut()));
        let status = code.as_u16();
        if let Some(failure) = status::encoded(&self.target, status, &headers) {
            return Err(failure.into());
        }
        let etag = headers::etag(&headers, (self.wall_clock)());
        let last_modified = headers::last_modified(&headers, (self.wall_clock)());
        let content_type = text(&headers, &header::CONTENT_TYPE);
        let max = self.request.access.max_body;
        let whole = body::read_whole(response, max, self.spool).await.map_err(|unread| match unread {
            Unread::TooLarge => too_large(&self.target, status, max).into(),
            Unread::Broken(error) => self.stumble(&error),
            Unread::Disk(error) => status::unspooled(&self.target, &error).into(),
        })?;
        if let Body::Held(bytes) = &whole.body {
            self.judge(code, &headers, Some(bytes)).await?;
        }
        let body = Some(whole.body);
        Ok(Answer { status, etag, last_modified, url, headers, content_type, body, digest: whole.digest })
    }

    /// An answer whose status says that there is nothing to read.
    async fn refuse(&self, response: Response, advice: Advice) -> Stumble {
        let status = response.status();
        let retry_after = headers::retry_after(response.headers(), (self.wall_clock)()).max(advice.wait);
        let headers = response.headers().clone();
        let read_max = if self.request.signs.is_empty() { EXCERPT_MAX } else { JUDGED_MAX };
        // That it can't be read is no failure: the status counts.
        let body = body::read_beginning(response, read_max, read_max).await.unwrap_or_default();
        if let Err(stumble) = self.judge(status, &headers, Some(&body.bytes)).await {
            return stumble;
        }
        let excerpt = self.excerpt(&body.bytes, body.cut);
        let failure = status::failure(&self.target, status, advice.limited, retry_after, excerpt.as_deref());
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        let again = unavailable || advice.limited || (status.is_server_error() && self.request.method.is_idempotent());
        Stumble { failure, again }
    }

    /// What the config's own conditions say of an answer. One that is limited is as good as a 429.
    async fn judge(&self, status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Result<(), Stumble> {
        let Some(sign) = self.request.signs.judge(status.as_u16(), headers, body) else { return Ok(()) };
        let excerpt = body.and_then(|body| self.excerpt(body, false));
        let again = matches!(sign, Sign::Limited(_));
        let advice = limits::read_limited(headers, (self.wall_clock)());
        if again {
            self.request.gate.heed(advice).await;
        }
        let failure = status::judged(&self.target, status, &sign, advice.wait, excerpt.as_deref());
        Err(Stumble { failure, again })
    }

    /// What the vendor said, without what the request hid.
    fn excerpt(&self, body: &[u8], cut: bool) -> Option<String> {
        let kept = &body[..body.len().min(EXCERPT_MAX)];
        let text = String::from_utf8_lossy(kept);
        status::excerpt(&self.redactor().clean(&text, cut || kept.len() < body.len())?)
    }

    fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        let proxy = self.request.access.transport.proxy.as_ref().and_then(|proxy| proxy.server_for(&self.url));
        proxy.into_iter().for_each(|proxy| redactor.hide_proxy(proxy));
        redactor.hide(&self.request.url);
        self.request.headers.iter().for_each(|(_, value)| redactor.hide(value));
        self.request.body.iter().for_each(|body| redactor.hide(body));
        self.credentials.hide(&mut redactor);
        redactor
    }

    fn stumble(&self, error: &reqwest::Error) -> Stumble {
        let failure = self.target.explain(error, self.connect_limit);
        let broken = matches!(failure.kind, FailureKind::Connect | FailureKind::Dns);
        Stumble { failure, again: broken && (error.is_connect() || self.request.method.is_idempotent()) }
    }
}

/// Where an answer came from; its query is not shown, for credentials may stand there.
fn place_of(response: &Response) -> Masked {
    let url = response.url().as_str();
    Masked::new(url.to_owned(), trouble::place_of(url).into_owned())
}

/// Where an answer leads, when it is a redirect that says so.
fn location(response: &Response) -> Option<String> {
    match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => {
            let value = response.headers().get(header::LOCATION)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        }
        _ => None,
    }
}

/// The request's headers, with the validators.
fn headers_of(request: &Request) -> Result<HeaderMap, Failure> {
    let mut sent = HeaderMap::with_capacity(request.headers.len() + 4);
    for (name, value) in &request.headers {
        sent.append(name.clone(), headers::value(name, value)?);
    }
    sent.entry(header::ACCEPT).or_insert(ACCEPT);
    if request.access.conditional {
        insert(&mut sent, header::IF_NONE_MATCH, request.etag.as_deref());
        insert(&mut sent, header::IF_MODIFIED_SINCE, request.last_modified.as_deref());
    }
    Ok(sent)
}

/// Sets a header to what a vendor once sent; what can't be sent back is left out, and the answer comes whole.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}
