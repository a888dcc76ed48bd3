//! Asking an endpoint for a token: one request, no redirect, little time, little room.
//!
//! What an answer means is read in `core/auth/answer.rs`.

use std::time::Duration;

use http::HeaderMap;
use http::header::{self, HeaderValue};
use ring::rand::SystemRandom;

use crate::core::auth::answer::{Answer, skew};
use crate::core::auth::grant::{Grant, Issued, Kind, TokenRequest};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::{Masked, Secret};
use crate::core::time::Timestamp;
use crate::core::transport::Transport;
use crate::net::body::{self, Unread};
use crate::net::client::{Clients, Setting, connect_timeout_within};
use crate::net::redact::{Redactor, one_line};
use crate::net::trouble::{Phase, Target};
use crate::net::{guard, headers};

/// For the whole exchange. An endpoint of tokens does little, and everybody waits for it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The largest answer, in bytes: the largest tokens there are have some 50 KiB, and may come as three of a kind.
const BODY_MAX: u64 = 256 * 1024;

/// Characters of an answer that are quoted.
const QUOTED_MAX: usize = 200;

/// Connections that are kept: there is one request at a time.
const CONNECTIONS: usize = 1;

/// Asks for a token; `refresh` is the refresh token that counts now.
///
/// # Errors
/// Why there is none: with the status of the answer, where there was one, and with what its `Retry-After` asked for.
pub(super) async fn ask(
    clients: &Clients,
    grant: &Grant,
    refresh: Option<&Secret>,
    transport: &Transport,
    clock: fn() -> Timestamp,
) -> Result<Issued, Failure> {
    let id = format!("{:032x}", fastrand::u128(..));
    let request = grant.request(refresh, clock(), &id, &SystemRandom::new())?;
    let connect_timeout = connect_timeout_within(TIMEOUT);
    let setting = Setting::new(transport, &grant.endpoint, connect_timeout, true, CONNECTIONS);
    let target = Target::of(grant.endpoint.as_str()).behind(setting.proxy.as_ref());
    let exchange = Exchange { clients, grant, request: &request, setting, target, clock };
    let result = tokio::time::timeout(TIMEOUT, exchange.run()).await;
    result.unwrap_or_else(|_| Err(exchange.explained(exchange.target.too_slow(Phase::Answer, TIMEOUT))))
}

struct Exchange<'a> {
    clients: &'a Clients,
    grant: &'a Grant,
    request: &'a TokenRequest,
    setting: Setting,
    target: Target,
    clock: fn() -> Timestamp,
}

impl Exchange<'_> {
    async fn run(&self) -> Result<Issued, Failure> {
        let (url, setting) = (&self.grant.endpoint, &self.setting);
        guard::admit(setting, url).await.map_err(|failure| self.explained(failure))?;
        let client = self.clients.get(setting, url)?;
        let mut builder = client.request(self.request.method.clone(), url.clone()).headers(self.headers()?);
        if let Some(body) = &self.request.body {
            builder = builder.body(body.expose().to_owned());
        }
        let broken = |error: reqwest::Error| self.explained(self.target.explain(&error, setting.connect_timeout));
        let response = builder.send().await.map_err(broken)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let whole = body::read_whole(response, BODY_MAX, None).await;
        match whole.and_then(|whole| whole.body.bytes().map_err(Unread::Disk)) {
            Ok(bytes) => self.read(status, &headers, &bytes),
            Err(Unread::Broken(error)) => Err(broken(error)),
            Err(Unread::Disk(error)) => {
                Err(self.failure(status, &headers, &format!("answered, but that can't be read again: {error}")))
            }
            Err(Unread::TooLarge) => {
                let why = format!("answered {status} with more than {} KiB, which is no token", BODY_MAX / 1024);
                Err(self.failure(status, &headers, &why))
            }
        }
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut sent = HeaderMap::with_capacity(self.request.headers.len() + 1);
        for (name, value) in &self.request.headers {
            sent.append(name.clone(), headers::value(name, value)?);
        }
        sent.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        Ok(sent)
    }

    fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Issued, Failure> {
        let quoted = self.redactor().clean(&String::from_utf8_lossy(body), false);
        let quoted = quoted.and_then(|text| one_line(&text, QUOTED_MAX));
        let answer = Answer { status, headers, body, quoted: quoted.as_deref() };
        self.grant.read(&answer, (self.clock)()).map_err(|why| self.failure(status, headers, &why))
    }

    /// What was sent, and may come back.
    fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        self.request.headers.iter().for_each(|(_, value)| redactor.hide(value));
        self.request.body.iter().for_each(|body: &Masked| redactor.hide(body));
        self.setting.proxy.iter().for_each(|proxy| redactor.hide_proxy(proxy));
        redactor
    }

    /// An answer that is no token. `why` is the end of the sentence.
    fn failure(&self, status: u16, answer: &HeaderMap, why: &str) -> Failure {
        let now = (self.clock)();
        // A clock that is wrong is what an assertion fails for most often.
        let signs_time = matches!(self.grant.kind, Kind::JwtBearer(_));
        let skew = skew(answer, now).filter(|_| signs_time).unwrap_or_default();
        let kind = if (200..300).contains(&status) { FailureKind::NotJson } else { FailureKind::Status };
        let sentence = format!("there is no token: `{}` {why}{skew}", self.target.place);
        Failure { status: Some(status), retry_after: headers::retry_after(answer, now), ..Failure::new(kind, sentence) }
    }

    /// A failure of the way there, which says what it was for.
    fn explained(&self, failure: Failure) -> Failure {
        Failure { sentence: format!("there is no token: {}", failure.sentence), ..failure }
    }
}
