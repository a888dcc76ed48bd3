//! What credentials come to in a request: a header, or a member of the query.
//!
//! Fetches no token. Nothing of what comes out may be shown, wherever it came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use http::header::AUTHORIZATION;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::core::auth::Auth;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Masked;
use crate::core::template::{Names, Text};

/// What is encoded in a query (WHATWG URL, "application/x-www-form-urlencoded percent-encode set", a blank as `%20`).
/// Stars stay as they are, so that the stars of a shown secret do.
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What credentials come to in a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// A header, instead of any other of its name.
    Header(HeaderName, Masked),
    /// One more member of the query.
    Query(String, Masked),
}

/// Renders credentials; `None` where a template yields none, and for those that are made as the request goes.
///
/// # Errors
/// [`FailureKind::Template`]: an expression failed, or a user name holds a colon.
pub fn render(auth: &Auth, names: &Names<'_>) -> Result<Option<Credentials>, Failure> {
    Ok(match auth {
        Auth::Bearer { token } => text(token, names, "auth.token")?.map(|token| bearer(&token)),
        Auth::Basic { username, password } => {
            let username = text(username, names, "auth.username")?;
            let password = text(password, names, "auth.password")?;
            Some(basic(username.as_ref(), password.as_ref())?)
        }
        Auth::ApiKeyHeader { name, value } => text(value, names, "auth.value")?
            .map(|value| Credentials::Header(name.clone(), hidden(value.expose().to_owned(), ""))),
        Auth::ApiKeyQuery { name, value } => text(value, names, "auth.value")?
            .map(|value| Credentials::Query(name.clone(), hidden(value.expose().to_owned(), ""))),
        Auth::Live(_) => None,
    })
}

fn text(text: &Text, names: &Names<'_>, place: &str) -> Result<Option<Masked>, Failure> {
    text.render(names).map_err(|why| broken(place, &why))
}

fn broken(place: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Template, format!("`{place}` can't be rendered: {why}"))
}

/// A token as RFC 6750, section 2.1, has it.
pub(super) fn bearer(token: &Masked) -> Credentials {
    Credentials::Header(AUTHORIZATION, hidden(format!("Bearer {}", token.expose()), "Bearer "))
}

/// RFC 7617, section 2.
fn basic(username: Option<&Masked>, password: Option<&Masked>) -> Result<Credentials, Failure> {
    let username = username.map_or("", Masked::expose);
    let password = password.map_or("", Masked::expose);
    if username.contains(':') {
        return Err(broken("auth.username", "a user name with a colon can't be sent with basic authentication"));
    }
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    Ok(Credentials::Header(AUTHORIZATION, hidden(format!("Basic {encoded}"), "Basic ")))
}

fn hidden(plain: String, open: &str) -> Masked {
    Masked::new(plain, format!("{open}***"))
}

/// The URL with one more member in its query, in both spellings; a fragment is dropped, since none is sent.
pub fn with_query(url: &Masked, name: &str, value: &Masked) -> Masked {
    let plain = append(url.expose(), name, value.expose());
    if url.hides() || value.hides() {
        Masked::new(plain, append(url.shown(), name, value.shown()))
    } else {
        Masked::open(plain)
    }
}

/// The URL without the parameters of this name, in both spellings.
pub fn without_query(url: &Masked, name: &str) -> Masked {
    let strip = |url: &str| {
        let url = url.split('#').next().unwrap_or_default();
        let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
        let other = |pair: &&str| {
            let own = pair.split('=').next().unwrap_or_default().replace('+', " ");
            percent_decode_str(&own).decode_utf8_lossy() != name
        };
        let kept: Vec<&str> = query.split('&').filter(other).collect();
        if kept.iter().all(|pair| pair.is_empty()) { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
    };
    let plain = strip(url.expose());
    if url.hides() { Masked::new(plain, strip(url.shown())) } else { Masked::open(plain) }
}

fn append(url: &str, name: &str, value: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{joint}{}={}", utf8_percent_encode(name, QUERY), utf8_percent_encode(value, QUERY))
}
