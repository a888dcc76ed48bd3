//! Standard Webhooks 1.0: `webhook-signature`, one `v1,` (HMAC-SHA256) or `v1a,` (ed25519) for each key.
//!
//! Which of the two a sink uses follows from its keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{SigningKey, VerifyingKey};
use super::{Delivered, Message, Rejection, believed, check_age};
use crate::core::time::Timestamp;

pub(super) const HEADER: &str = "webhook-signature";

/// The signatures over `ID.TIMESTAMP.BODY`, a blank between them.
pub(super) fn value(keys: &[SigningKey], message: &Message<'_>) -> String {
    let timestamp = message.timestamp.to_string();
    let sign = |key: &SigningKey| {
        let version = if key.public().is_some() { "v1a" } else { "v1" };
        format!("{version},{}", STANDARD.encode(key.sign(&parts(message.id, &timestamp, message.body))))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

fn parts<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

pub(super) fn verify(keys: &[VerifyingKey], delivered: &Delivered<'_>, now: Timestamp) -> Result<(), Rejection> {
    let id = delivered.need("webhook-id")?;
    let timestamp = delivered.need("webhook-timestamp")?;
    let signatures = delivered.need(HEADER)?;
    check_age("webhook-timestamp", timestamp, now)?;
    let claims = |version: &'static str| signatures.split(' ').filter_map(move |claim| claim.strip_prefix(version));
    let version = if keys.iter().any(|key| key.shared().is_some()) { "v1," } else { "v1a," };
    if claims(version).next().is_none() {
        return Err(Rejection::NoSignature(HEADER.to_owned(), version));
    }
    let parts = parts(id, timestamp, delivered.body);
    believed(keys.iter().any(|key| claims(version).any(|claim| key.fits(&parts, claim))))
}
