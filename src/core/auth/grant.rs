//! Tokens that an endpoint gives: what is asked for one, and when it is asked again.
//!
//! OAuth 2.0 (RFC 6749), assertions (RFC 7523), and log-ins of a vendor's own. What the endpoint answers is read in
//! `answer.rs`; asking is done in `net/auth`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Method, header};
use ring::rand::SecureRandom;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::credentials::Credentials;
use super::jwt::{Algorithm, Key};
use super::seal::Seal;
use crate::core::job::BodySpec;
use crate::core::json::{Json, Number, parse};
use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::path::JsonPath;
use crate::core::secret::{Masked, Secret};
use crate::core::template::{JsonTemplate, Text};
use crate::core::time::Timestamp;

/// How long before its end a token is fetched anew, at most.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// How long an assertion is good: it is used at once, and some vendors take no more than five minutes.
const ASSERTION_LIFE: Duration = Duration::from_secs(180);

/// The names that the templates of claims see.
pub const CLAIM_NAMES: &[&str] = &["timestamp"];

/// The name that the template of a session's `send` sees.
pub const SEND_NAMES: &[&str] = &["token"];

/// How tokens are come by. Requests with an equal `id` share one.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Of all that it is made of, secrets too. Kept in memory only.
    pub id: Digest,
    /// Who is asked.
    pub endpoint: Url,
    /// What is asked.
    pub kind: Kind,
}

/// What a token is asked for with.
#[derive(Clone, Debug)]
pub enum Kind {
    /// RFC 6749, sections 4.4 and 6.
    OAuth2(OAuth2),
    /// RFC 7523, section 2.1.
    JwtBearer(JwtBearer),
    /// The vendor's own way.
    Session(Session),
}

/// A client of an authorization server.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The client's id.
    pub client_id: String,
    /// What it shows; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// True: in the body; false: as basic authentication.
    pub in_body: bool,
    /// With it, the grant is `refresh_token`; without, `client_credentials`.
    pub refresh_token: Option<Secret>,
    /// More members of the form: scope, audience, and what the vendor wants beside.
    pub params: Vec<(String, Masked)>,
}

/// A client that signs an assertion of its own.
#[derive(Clone, Debug)]
pub struct JwtBearer {
    /// How it is signed.
    pub algorithm: Algorithm,
    /// With what.
    pub key: Key,
    /// What it claims, compiled with [`CLAIM_NAMES`].
    pub claims: JsonTemplate,
    /// More members of its header, such as `kid`.
    pub headers: JsonTemplate,
}

/// A log-in of a vendor's own.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its method.
    pub method: Method,
    /// Its headers.
    pub headers: Vec<(HeaderName, Text)>,
    /// Its body.
    pub body: Option<BodySpec>,
    /// Where its answer has the token.
    pub token: Found,
    /// Where requests carry it.
    pub send: Send,
    /// How long it is good; `None`: until a request is refused.
    pub ttl: Option<Duration>,
}

/// Where the answer to a log-in has the token.
#[derive(Clone, Debug)]
pub enum Found {
    /// In its body.
    Body(JsonPath),
    /// In a header.
    Header(HeaderName),
    /// In the cookie of this name.
    Cookie(String),
    /// It is all the cookies that are set.
    Cookies,
}

/// Where requests carry the token of a session.
#[derive(Clone, Debug)]
pub enum Send {
    /// In a header, compiled with [`SEND_NAMES`].
    Header(HeaderName, Text),
    /// In the query, compiled with [`SEND_NAMES`].
    Query(String, Text),
    /// As the cookies that it came as.
    Cookies,
}

/// A request for a token, or the log-in.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The method.
    pub method: Method,
    /// Its headers.
    pub headers: Vec<(HeaderName, Masked)>,
    /// Its body.
    pub body: Option<Masked>,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What requests carry.
    pub credentials: Vec<Credentials>,
    /// When it ends; `None`: nobody knows.
    pub ends: Option<Timestamp>,
    /// The refresh token that counts from now on.
    pub refresh: Option<Secret>,
}

impl Issued {
    /// When the next one is fetched: 60 s or a tenth of its life before the end, whichever is less.
    pub fn refresh_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.ends?;
        let ahead = (ends.since(now) / 10).min(AHEAD_MAX);
        Some(Timestamp(ends.0 - i64::try_from(ahead.as_millis()).unwrap_or(0)))
    }
}

impl Grant {
    /// The header that its token stands in; `None` where that is none, or the cookies.
    pub fn header(&self) -> Option<HeaderName> {
        match &self.kind {
            Kind::OAuth2(_) | Kind::JwtBearer(_) => Some(header::AUTHORIZATION),
            Kind::Session(Session { send: Send::Header(name, _), .. }) => Some(name.clone()),
            Kind::Session(Session { send: Send::Cookies, .. }) => Some(header::COOKIE),
            Kind::Session(Session { send: Send::Query(..), .. }) => None,
        }
    }

    /// The refresh token of the config.
    pub fn configured_refresh(&self) -> Option<&Secret> {
        match &self.kind {
            Kind::OAuth2(client) => client.refresh_token.as_ref(),
            Kind::JwtBearer(_) | Kind::Session(_) => None,
        }
    }

    /// Where a refresh token that was rotated is kept. Another one in the config has another place, so that it wins.
    pub fn seal(&self) -> Option<Seal> {
        let Kind::OAuth2(client) = &self.kind else { return None };
        let context = format!("{}\n{}", self.endpoint, client.client_id);
        client.refresh_token.as_ref().map(|secret| Seal::new(secret, &context))
    }

    /// The request for a token. `refresh` is the refresh token that counts now, `id` one that no other request has.
    ///
    /// # Errors
    /// [`FailureKind::Template`]: an expression failed, or there is no randomness.
    pub fn request(
        &self,
        refresh: Option<&Secret>,
        now: Timestamp,
        id: &str,
        rng: &dyn SecureRandom,
    ) -> Result<TokenRequest, Failure> {
        match &self.kind {
            Kind::OAuth2(client) => Ok(client.request(refresh)),
            Kind::JwtBearer(client) => client.request(&self.endpoint, now, id, rng),
            Kind::Session(session) => session.request(),
        }
    }
}

impl OAuth2 {
    fn request(&self, refresh: Option<&Secret>) -> TokenRequest {
        let mut form: Vec<(&str, Masked)> = Vec::new();
        match refresh {
            Some(token) => {
                form.push(("grant_type", Masked::open("refresh_token")));
                form.push(("refresh_token", hidden(token.expose())));
            }
            None => form.push(("grant_type", Masked::open("client_credentials"))),
        }
        form.extend(self.params.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut headers = Vec::new();
        match &self.client_secret {
            Some(secret) if !self.in_body => headers.push((header::AUTHORIZATION, self.basic(secret))),
            secret => {
                form.push(("client_id", Masked::open(self.client_id.as_str())));
                form.extend(secret.iter().map(|secret| ("client_secret", hidden(secret.expose()))));
            }
        }
        form_request(headers, &form)
    }

    /// RFC 6749, section 2.3.1: both are form-encoded first.
    fn basic(&self, secret: &Secret) -> Masked {
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let encoded = STANDARD.encode(format!("{}:{}", encode(&self.client_id), encode(secret.expose())));
        Masked::new(format!("Basic {encoded}"), "Basic ***".to_owned())
    }
}

impl JwtBearer {
    fn request(
        &self,
        endpoint: &Url,
        now: Timestamp,
        id: &str,
        rng: &dyn SecureRandom,
    ) -> Result<TokenRequest, Failure> {
        let failed = |what: &str, why: &str| {
            Failure::new(FailureKind::Template, format!("`auth.{what}` can't be rendered: {why}"))
        };
        let seconds = |at: Timestamp| Number::parse(&at.unix_seconds().to_string()).map_or(Json::Null, Json::Number);
        let names = [("timestamp", &seconds(now))];
        let own = [
            ("aud", Json::String(endpoint.to_string())),
            ("iat", seconds(now)),
            ("exp", seconds(now.plus(ASSERTION_LIFE))),
            ("jti", Json::String(id.to_owned())),
        ];
        let claims = self.claims.render(&names).map_err(|why| failed("claims", &why))?;
        let headers = self.headers.render(&names).map_err(|why| failed("headers", &why))?;
        let fixed = [("alg", Json::String(self.algorithm.as_str().to_owned())), ("typ", Json::String("JWT".into()))];
        let (header, claims) = (completed(&headers, fixed), completed(&claims, own));
        let token = self.key.token(&header, &claims, rng);
        let token = token.ok_or_else(|| failed("key", "this machine gives no randomness to sign with"))?;
        let grant = Masked::open("urn:ietf:params:oauth:grant-type:jwt-bearer");
        Ok(form_request(Vec::new(), &[("grant_type", grant), ("assertion", hidden(&token))]))
    }
}

impl Session {
    fn request(&self) -> Result<TokenRequest, Failure> {
        let failed = |what: &str, why: &str| {
            Failure::new(FailureKind::Template, format!("`auth.{what}` can't be rendered: {why}"))
        };
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, text) in &self.headers {
            let value = text.render(&[]).map_err(|why| failed(&format!("headers.{name}"), &why))?;
            headers.extend(value.map(|value| (name.clone(), value)));
        }
        let body = match &self.body {
            None => None,
            Some(BodySpec::Text(text)) => text.render(&[]).map_err(|why| failed("body", &why))?,
            Some(BodySpec::Json(json)) => Some(json.render(&[]).map_err(|why| failed("body", &why))?),
        };
        if let (Some(spec), Some(body)) = (&self.body, &body)
            && !headers.iter().any(|(name, _)| *name == header::CONTENT_TYPE)
        {
            headers.push((header::CONTENT_TYPE, Masked::open(spec.content_type(body.expose()))));
        }
        Ok(TokenRequest { method: self.method.clone(), headers, body: body.map(|body| hidden(body.expose())) })
    }
}

fn hidden(text: &str) -> Masked {
    Masked::new(text.to_owned(), "***".to_owned())
}

/// A rendered object with the members that it lacks, as JSON.
fn completed<const N: usize>(rendered: &Masked, members: [(&str, Json); N]) -> String {
    let mut object = match parse(rendered.expose().as_bytes()) {
        Ok(Json::Object(members)) => members,
        _ => Vec::new(),
    };
    for (name, value) in members {
        if !object.iter().any(|(own, _)| own == name) {
            object.push((name.to_owned(), value));
        }
    }
    Json::Object(object).to_string()
}

/// A POST of a form, of whose members each secret is hidden.
fn form_request(mut headers: Vec<(HeaderName, Masked)>, form: &[(&str, Masked)]) -> TokenRequest {
    let spell = |shown: bool| {
        let mut serializer = Serializer::new(String::new());
        for (name, value) in form {
            serializer.append_pair(name, if shown { value.shown() } else { value.expose() });
        }
        serializer.finish()
    };
    headers.push((header::CONTENT_TYPE, Masked::open("application/x-www-form-urlencoded")));
    TokenRequest { method: Method::POST, headers, body: Some(Masked::new(spell(false), spell(true))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(in_body: bool) -> OAuth2 {
        OAuth2 {
            client_id: "a:b".to_owned(),
            client_secret: Some(Secret::new("s%c r")),
            in_body,
            refresh_token: None,
            params: vec![("scope".to_owned(), Masked::open("read write"))],
        }
    }

    #[test]
    fn a_client_shows_itself_in_the_header_or_in_the_body() {
        let request = client(false).request(None);
        let basic = STANDARD.encode("a%3Ab:s%25c+r");
        assert_eq!(request.headers[0].1.expose(), format!("Basic {basic}"));
        let body = |request: &TokenRequest| request.body.clone().expect("a body");
        assert_eq!(body(&request).expose(), "grant_type=client_credentials&scope=read+write");
        let request = client(true).request(Some(&Secret::new("r1")));
        assert_eq!(
            body(&request).expose(),
            "grant_type=refresh_token&refresh_token=r1&scope=read+write&client_id=a%3Ab&client_secret=s%25c+r"
        );
        assert!(!body(&request).shown().contains("r1") && !body(&request).shown().contains("s%25c"));
    }

    #[test]
    fn a_token_is_fetched_ahead_by_a_minute_or_a_tenth_of_its_life() {
        let at = |life: i64| {
            let issued = Issued { credentials: vec![], ends: Some(Timestamp(life * 1000)), refresh: None };
            issued.refresh_at(Timestamp(0)).map(|at| at.0)
        };
        assert_eq!((at(3600), at(600), at(100), at(0)), (Some(3_540_000), Some(540_000), Some(90_000), Some(0)));
    }
}
