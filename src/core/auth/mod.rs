//! Who we are to the other side: what a request carries to be let in, and how that is made.
//!
//! Pure: tokens are fetched, kept and shared in `net/auth`; the time and the dice come in as arguments.

use http::{HeaderMap, HeaderName, Method, header};
use std::sync::Arc;
use url::Url;

use crate::core::template::Text;
use crate::core::time::Timestamp;

pub mod answer;
pub mod credentials;
pub mod digest;
pub mod grant;
pub mod hmac;
pub mod jwt;
pub mod seal;
pub mod sigv4;

/// The credentials of a request.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `authorization: Bearer TOKEN`.
    Bearer {
        /// Sent as it is.
        token: Text,
    },
    /// `authorization: Basic BASE64` (RFC 7617).
    Basic {
        /// Without a colon.
        username: Text,
        /// Anything.
        password: Text,
    },
    /// A header of the vendor's own.
    ApiKeyHeader {
        /// The header.
        name: HeaderName,
        /// What it says.
        value: Text,
    },
    /// A query parameter of the vendor's own.
    ApiKeyQuery {
        /// The parameter.
        name: String,
        /// What it says.
        value: Text,
    },
    /// Made anew as each request goes.
    Live(Live),
}

/// Credentials that are made as a request goes: a token that was fetched before, or an answer to its very bytes.
#[derive(Clone, Debug)]
pub enum Live {
    /// A token of an endpoint of its own.
    Token(Arc<grant::Grant>),
    /// An answer to a challenge (RFC 7616).
    Digest(Arc<digest::Account>),
    /// A signature as AWS wants it.
    SigV4(Arc<sigv4::Keys>),
    /// A signature of the vendor's own.
    Hmac(Arc<hmac::Recipe>),
}

impl Auth {
    /// The headers that they stand in, as far as that is known before they are made.
    pub fn headers(&self) -> Vec<HeaderName> {
        match self {
            Self::ApiKeyHeader { name, .. } => vec![name.clone()],
            Self::ApiKeyQuery { .. } => Vec::new(),
            Self::Live(Live::Hmac(recipe)) => recipe.header_names(),
            Self::Live(Live::Token(grant)) => grant.header().into_iter().collect(),
            Self::Live(Live::SigV4(keys)) => keys.header_names(),
            Self::Bearer { .. } | Self::Basic { .. } | Self::Live(Live::Digest(_)) => vec![header::AUTHORIZATION],
        }
    }

    /// The templates that see what the request sees, by their names in the config.
    pub fn texts(&self) -> Vec<(&'static str, &Text)> {
        match self {
            Self::Bearer { token } => vec![("token", token)],
            Self::Basic { username, password } => vec![("username", username), ("password", password)],
            Self::ApiKeyHeader { value, .. } | Self::ApiKeyQuery { value, .. } => vec![("value", value)],
            Self::Live(_) => Vec::new(),
        }
    }

    /// What is made as a request goes.
    pub fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            _ => None,
        }
    }
}

/// A request as it goes, for those that sign it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// Where it goes.
    pub url: &'a Url,
    /// All its headers but for the credentials.
    pub headers: &'a HeaderMap,
    /// Its body; empty where it has none.
    pub body: &'a [u8],
    /// When it goes.
    pub now: Timestamp,
}

impl Outgoing<'_> {
    /// Host, with the port where it isn't the scheme's own: what the header `host` says.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The request's target: path and query (RFC 9112, section 3.2.1).
    pub fn target(&self) -> &str {
        let end = self.url.as_str().find('#').unwrap_or(self.url.as_str().len());
        self.url.as_str()[..end].get(self.url[..url::Position::BeforePath].len()..).unwrap_or("/")
    }
}
