//! Signatures of webhooks: one door for all schemes, to sign an attempt with and to verify what a receiver got.
//!
//! Each scheme has a file of its own, which says what is signed and which headers carry it. Nothing here sends, and
//! nothing asks a clock: the time comes in with the message.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use url::Url;

use crate::core::path::Complaint;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;

mod custom;
mod github;
mod key;
mod mac;
mod rfc9421;
mod slack;
mod standard;
mod stripe;
#[cfg(test)]
mod tests;

pub use custom::{Custom, MESSAGE_NAMES, VALUE_NAMES};
pub use key::SigningKey;
use key::{VerifyingKey, complaint};
pub use mac::{Algorithm, Encoding};
pub(in crate::core) use mac::{hex, mac};

/// How far a webhook's timestamp may be from the receiver's clock (Standard Webhooks, "Verifying timestamps").
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How deliveries are signed.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// Standard Webhooks 1.0, `v1`: HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
    Standard,
    /// Standard Webhooks 1.0, `v1a`: ed25519 over the same.
    StandardEd25519,
    /// As GitHub signs: HMAC-SHA256 over the body.
    Github,
    /// As Stripe signs: HMAC-SHA256 over `TIMESTAMP.BODY`.
    Stripe,
    /// As Slack signs: HMAC-SHA256 over `v0:TIMESTAMP:BODY`.
    Slack,
    /// HTTP Message Signatures (RFC 9421), with HMAC-SHA256 or ed25519 as the key is.
    Rfc9421 {
        /// The `keyid` of the first key, where that is a shared secret; the second has `-2` after it, and so on. A thumbprint
        /// (RFC 7638), as ed25519 keys have it, would help to guess a weak secret (RFC 7638, section 7).
        key_id: String,
    },
    /// A scheme of the user's own.
    Custom(Box<Custom>),
}

/// What kind of key a scheme takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shared,
    Pair,
    Either,
}

impl Scheme {
    /// The words for the schemes that need no table.
    pub const WORDS: [&'static str; 6] = ["standard", "standard-ed25519", "github", "stripe", "slack", "rfc9421"];

    /// The scheme of one of [`Scheme::WORDS`]; `key_id` goes into `rfc9421`.
    pub fn named(word: &str, key_id: &str) -> Option<Self> {
        Some(match word {
            "standard" => Self::Standard,
            "standard-ed25519" => Self::StandardEd25519,
            "github" => Self::Github,
            "stripe" => Self::Stripe,
            "slack" => Self::Slack,
            "rfc9421" => Self::Rfc9421 { key_id: key_id.to_owned() },
            _ => return None,
        })
    }

    /// As a person writes it in `sign`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::StandardEd25519 => "standard-ed25519",
            Self::Github => "github",
            Self::Stripe => "stripe",
            Self::Slack => "slack",
            Self::Rfc9421 { .. } => "rfc9421",
            Self::Custom(_) => "{ header = … }",
        }
    }

    /// Can its headers carry a signature of each of several secrets?
    pub fn takes_several(&self) -> bool {
        !matches!(self, Self::Github | Self::Slack | Self::Custom(_))
    }

    /// Do its receivers take a secret as the text it is, so that `whsec_` is a part of it for them?
    pub fn reads_secrets_as_text(&self) -> bool {
        matches!(self, Self::Github | Self::Slack)
    }

    /// The headers that it sets.
    pub fn header_names(&self) -> Vec<HeaderName> {
        let names: &[&'static str] = match self {
            Self::Standard | Self::StandardEd25519 => &[standard::HEADER],
            Self::Github => &[github::HEADER],
            Self::Stripe => &[stripe::HEADER],
            Self::Slack => &[slack::HEADER, slack::TIME_HEADER],
            Self::Rfc9421 { .. } => &rfc9421::HEADERS,
            Self::Custom(custom) => return vec![custom.header.clone()],
        };
        names.iter().map(|name| HeaderName::from_static(name)).collect()
    }

    /// The keys that a secret stands for: one, or two for Stripe, whose libraries take `whsec_…` as the text it is.
    ///
    /// # Errors
    /// As for [`SigningKey::parse`], and a key of a kind that the scheme does not sign with.
    pub fn keys(&self, secret: &Secret) -> Result<Vec<SigningKey>, Complaint> {
        if matches!(self, Self::Stripe) {
            return stripe::keys(secret);
        }
        let key = SigningKey::parse(secret)?;
        let fits = match self.kind() {
            Kind::Shared => key.public().is_none(),
            Kind::Pair => key.public().is_some(),
            Kind::Either => true,
        };
        if fits { Ok(vec![key]) } else { Err(self.wrong_kind()) }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Standard | Self::Github | Self::Stripe | Self::Slack | Self::Custom(_) => Kind::Shared,
            Self::StandardEd25519 => Kind::Pair,
            Self::Rfc9421 { .. } => Kind::Either,
        }
    }

    fn wrong_kind(&self) -> Complaint {
        if self.kind() == Kind::Pair {
            return complaint(
                "`standard-ed25519` signs with an ed25519 key, and this secret is none",
                "`openssl genpkey -algorithm ed25519 -outform DER | tail -c 32 | base64` makes one; put `whsk_` before it",
            );
        }
        let problem = format!("the secret is an ed25519 key (`whsk_`), and `{}` signs with a shared one", self.name());
        let hint = match self {
            Self::Standard => "write `sign = \"standard-ed25519\"`, or use a shared secret: `whsec_` and base64",
            _ => "use a shared secret; `standard-ed25519` and `rfc9421` take ed25519 keys",
        };
        complaint(&problem, hint)
    }
}

/// An attempt that is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The event's id, `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`, in Unix seconds.
    pub timestamp: i64,
    /// The request's method.
    pub method: &'a str,
    /// Where it goes.
    pub url: &'a Url,
    /// `content-type`.
    pub content_type: &'a str,
    /// The bytes that are sent.
    pub body: &'a [u8],
}

/// What a sink signs with: a scheme and keys that fit it.
#[derive(Clone, Debug)]
pub struct Signer {
    scheme: Scheme,
    keys: Vec<SigningKey>,
}

impl Signer {
    /// Signs with each of `secrets`.
    ///
    /// # Errors
    /// As for [`Scheme::keys`]; no secret at all; more than one where the scheme has room for one signature.
    pub fn new(scheme: Scheme, secrets: &[Secret]) -> Result<Self, Complaint> {
        if secrets.is_empty() {
            return Err(complaint("there is no secret to sign with", "add `secret = \"${env:SINK_SECRET}\"`"));
        }
        if secrets.len() > 1 && !scheme.takes_several() {
            let problem = format!(
                "`sign = {}` has room for one signature, and there are {} secrets",
                scheme.shown(),
                secrets.len()
            );
            return Err(complaint(&problem, "keep the secret that the receiver checks with"));
        }
        let mut keys = Vec::with_capacity(secrets.len());
        for secret in secrets {
            keys.extend(scheme.keys(secret)?);
        }
        Ok(Self { scheme, keys })
    }

    /// The headers that carry the signature of an attempt. Nothing in them is secret.
    ///
    /// # Errors
    /// A sentence, when the template of a custom scheme fails. The others never do.
    pub fn headers(&self, message: &Message<'_>) -> Result<Vec<(HeaderName, String)>, String> {
        let fixed = |name, value| Ok(vec![(HeaderName::from_static(name), value)]);
        match &self.scheme {
            Scheme::Standard | Scheme::StandardEd25519 => fixed(standard::HEADER, standard::value(&self.keys, message)),
            Scheme::Github => fixed(github::HEADER, github::value(&self.keys, message.body)),
            Scheme::Stripe => fixed(stripe::HEADER, stripe::value(&self.keys, message)),
            Scheme::Slack => {
                let signature = (HeaderName::from_static(slack::HEADER), slack::value(&self.keys, message));
                let time = (HeaderName::from_static(slack::TIME_HEADER), message.timestamp.to_string());
                Ok(vec![signature, time])
            }
            Scheme::Rfc9421 { key_id } => {
                let values = rfc9421::values(&self.keys, key_id, message);
                Ok(rfc9421::HEADERS.map(HeaderName::from_static).into_iter().zip(values).collect())
            }
            Scheme::Custom(custom) => {
                custom.value(&self.keys, message).map(|value| vec![(custom.header.clone(), value)])
            }
        }
    }

    /// How it signs.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// What receivers verify with, as `whpk_…`: the public halves of its ed25519 keys.
    pub fn public_keys(&self) -> Vec<String> {
        self.keys.iter().filter_map(SigningKey::public).map(key::spell_public).collect()
    }
}

impl Scheme {
    /// As it stands in a config.
    fn shown(&self) -> String {
        match self {
            Self::Custom(_) => self.name().to_owned(),
            _ => format!("\"{}\"", self.name()),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A webhook as a receiver got it.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Its path and query.
    pub target: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body's bytes.
    pub body: &'a [u8],
}

impl Delivered<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn need(&self, name: &str) -> Result<&str, Rejection> {
        self.find(name).ok_or_else(|| Rejection::Missing(name.to_owned()))
    }

    /// What the sender may have called this place: a proxy may have taken TLS off.
    fn urls(&self) -> [String; 2] {
        let host = self.find("host").unwrap_or_default();
        ["http", "https"].map(|scheme| format!("{scheme}://{host}{}", self.target))
    }
}

/// What a receiver checks webhooks with.
#[derive(Clone, Debug)]
pub struct Verifier {
    scheme: Scheme,
    keys: Vec<VerifyingKey>,
}

/// Why a webhook was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header that is needed is not there.
    #[error("the header `{0}` is missing")]
    Missing(String),
    /// A header's timestamp is not Unix seconds.
    #[error("the header `{0}` holds no whole number of seconds")]
    Timestamp(&'static str),
    /// The timestamp is too far from the receiver's clock.
    #[error("it was signed {0} s {1}, which is more than {max} s", max = TOLERANCE.as_secs())]
    Skew(u64, &'static str),
    /// A header holds no signature of the kind that is known here.
    #[error("the header `{0}` holds no `{1}` signature")]
    NoSignature(String, &'static str),
    /// A header can't be read.
    #[error("the header `{0}` is not of the form that RFC 9421 gives it")]
    Malformed(&'static str),
    /// The signature says nothing of something that it should.
    #[error("the signature does not cover `{0}`")]
    Uncovered(&'static str),
    /// The body is not the one that was signed.
    #[error("the body does not fit the header `content-digest`")]
    Digest,
    /// A custom scheme's template fails on this webhook.
    #[error("what should have been signed can't be told: {0}")]
    Template(String),
    /// No signature fits any secret.
    #[error("the signature does not fit: another secret, or the body was changed on its way")]
    Mismatch,
}

impl Verifier {
    /// Checks after a scheme, against any of `secrets`. It takes the public half of an ed25519 key (`whpk_`) too, and a
    /// shared secret in each way that senders read it: as text and as base64.
    ///
    /// # Errors
    /// As for [`Scheme::keys`].
    pub fn new(scheme: Scheme, secrets: &[Secret]) -> Result<Self, Complaint> {
        let mut keys = Vec::with_capacity(secrets.len());
        for secret in secrets {
            keys.extend(key::verifying(&scheme, secret)?);
        }
        Ok(Self { scheme, keys })
    }

    /// Believes a webhook or says why not, at `now`.
    ///
    /// # Errors
    /// The first reason found; whether a signature fits is compared in constant time.
    pub fn verify(&self, delivered: &Delivered<'_>, now: Timestamp) -> Result<(), Rejection> {
        match &self.scheme {
            Scheme::Standard | Scheme::StandardEd25519 => standard::verify(&self.keys, delivered, now),
            Scheme::Github => github::verify(&self.keys, delivered),
            Scheme::Stripe => stripe::verify(&self.keys, delivered, now),
            Scheme::Slack => slack::verify(&self.keys, delivered, now),
            Scheme::Rfc9421 { .. } => rfc9421::verify(&self.keys, delivered, now),
            Scheme::Custom(custom) => custom.verify(&self.keys, delivered, now),
        }
    }
}

/// Refuses what was signed longer than [`TOLERANCE`] before or after `now`; `header` is where `timestamp` stood.
fn check_age(header: &'static str, timestamp: &str, now: Timestamp) -> Result<(), Rejection> {
    let signed: i64 = timestamp.parse().map_err(|_| Rejection::Timestamp(header))?;
    let now = now.unix_seconds();
    let skew = signed.abs_diff(now);
    let way = if signed > now { "in the future" } else { "ago" };
    if skew > TOLERANCE.as_secs() { Err(Rejection::Skew(skew, way)) } else { Ok(()) }
}

/// Does a signature fit? Says so in words of a rejection.
fn believed(fits: bool) -> Result<(), Rejection> {
    if fits { Ok(()) } else { Err(Rejection::Mismatch) }
}
