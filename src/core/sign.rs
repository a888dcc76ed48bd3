//! Signatures of webhooks after Standard Webhooks 1.0: keys that sign, and the verifier of a receiver.
//!
//! Only the symmetric scheme `v1` (HMAC-SHA256). Which headers carry a signature is the sink room's business.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::core::path::Complaint;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;

#[cfg(test)]
mod tests;

/// How far a webhook's timestamp may be from the receiver's clock (Standard Webhooks, "Verifying timestamps").
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What marks a secret that is base64.
const PREFIX: &str = "whsec_";

/// Base64 of the usual alphabet, its padding there or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key to sign with. Printing it shows `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Arc<[u8]>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl SigningKey {
    /// Reads a secret: `whsec_` + base64 is decoded, anything else is taken as raw bytes.
    ///
    /// # Errors
    /// What can't be meant: an empty secret, one pasted with its version (`v1,whsec_…`), `whsec_` before what is not
    /// base64, and `whsk_`, the key of a scheme that is not built yet. The complaint never shows the secret.
    pub fn parse(secret: &Secret) -> Result<Self, Complaint> {
        let text = secret.expose();
        if text.is_empty() {
            return Err(complaint(
                "the secret is empty",
                "`openssl rand -base64 32` makes one; put `whsec_` before it",
            ));
        }
        if let Some((version, _)) = text.split_once(',').filter(|(_, rest)| is_prefixed(rest)) {
            let problem = format!("the secret begins with `{},`, which belongs to a signature", shown_version(version));
            return Err(complaint(&problem, "leave that out, so that the secret begins with `whsec_`"));
        }
        if text.starts_with("whsk_") {
            let problem = "a secret with `whsk_` is an ed25519 key, and this version doesn't have standard-ed25519 yet";
            return Err(complaint(problem, "use a symmetric secret: `whsec_` and base64, or any text"));
        }
        match text.strip_prefix(PREFIX) {
            Some(encoded) => Self::decode(encoded),
            None => Ok(Self::raw(text.as_bytes())),
        }
    }

    /// A key that is just these bytes.
    pub fn raw(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    fn decode(encoded: &str) -> Result<Self, Complaint> {
        match LENIENT.decode(encoded) {
            Ok(bytes) if !bytes.is_empty() => Ok(Self::raw(&bytes)),
            Ok(_) => Err(complaint(
                "the secret is `whsec_` and nothing after it",
                "copy all of it: `whsec_` is followed by base64",
            )),
            Err(_) => Err(complaint(
                "the secret begins with `whsec_`, but what follows is not base64",
                "copy all of it, without blanks or line ends; a secret that is not base64 stands without `whsec_`",
            )),
        }
    }

    /// `v1,BASE64`, the HMAC-SHA256 over `ID.TIMESTAMP.BODY`; `timestamp` in Unix seconds.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(id, &timestamp.to_string(), body)))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length (RFC 2104, section 2)")
        };
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn is_prefixed(text: &str) -> bool {
    [PREFIX, "whsk_"].iter().any(|prefix| text.starts_with(prefix))
}

/// What stood before the comma, unless it is long enough to be somebody's secret.
fn shown_version(version: &str) -> &str {
    if version.len() <= 3 { version } else { "…" }
}

fn complaint(problem: &str, hint: &str) -> Complaint {
    Complaint { problem: problem.to_owned(), hint: Some(hint.to_owned()), span: None }
}

/// What a receiver checks webhooks with.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Vec<SigningKey>,
}

/// Why a webhook was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header that is needed is not there.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// The timestamp is not Unix seconds.
    #[error("the header `webhook-timestamp` is not a whole number of seconds")]
    Timestamp,
    /// The timestamp is too far from the receiver's clock.
    #[error("it was signed {0} s {1}, which is more than {max} s", max = TOLERANCE.as_secs())]
    Skew(u64, &'static str),
    /// There is no signature of a version that is known here.
    #[error("the header `webhook-signature` holds no `v1,` signature")]
    NoSignature,
    /// No signature fits any secret.
    #[error("the signature does not fit: another secret, or the body was changed on its way")]
    Mismatch,
}

impl Verifier {
    /// Checks against any of `secrets`. A secret without `whsec_` that happens to be base64 counts as text and as
    /// base64, since senders differ there.
    ///
    /// # Errors
    /// As for [`SigningKey::parse`].
    pub fn new(secrets: &[Secret]) -> Result<Self, Complaint> {
        let mut keys = Vec::with_capacity(secrets.len());
        for secret in secrets {
            keys.push(SigningKey::parse(secret)?);
            if !secret.expose().starts_with(PREFIX) {
                keys.extend(SigningKey::decode(secret.expose()).ok());
            }
        }
        Ok(Self { keys })
    }

    /// Believes a webhook or says why not: `id`, `timestamp` and `signature` are its headers `webhook-…`.
    ///
    /// # Errors
    /// The first reason found; whether a signature fits is compared in constant time.
    pub fn verify(
        &self,
        id: Option<&str>,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let id = id.ok_or(Rejection::Missing("webhook-id"))?;
        let timestamp = timestamp.ok_or(Rejection::Missing("webhook-timestamp"))?;
        let signature = signature.ok_or(Rejection::Missing("webhook-signature"))?;
        check_age(timestamp, now)?;
        let claims: Vec<&str> = signature.split(' ').filter_map(|claim| claim.strip_prefix("v1,")).collect();
        if claims.is_empty() {
            return Err(Rejection::NoSignature);
        }
        let fits = self.keys.iter().any(|key| {
            let mac = key.mac(id, timestamp, body);
            claims.iter().any(|claim| STANDARD.decode(claim).is_ok_and(|bytes| bool::from(bytes.ct_eq(&mac))))
        });
        if fits { Ok(()) } else { Err(Rejection::Mismatch) }
    }
}

fn check_age(timestamp: &str, now: Timestamp) -> Result<(), Rejection> {
    let signed: i64 = timestamp.parse().map_err(|_| Rejection::Timestamp)?;
    let now = now.unix_seconds();
    let skew = signed.abs_diff(now);
    let way = if signed > now { "in the future" } else { "ago" };
    if skew > TOLERANCE.as_secs() { Err(Rejection::Skew(skew, way)) } else { Ok(()) }
}
