//! As Stripe signs: `stripe-signature: t=TIMESTAMP,v1=HEX` over `TIMESTAMP.BODY`, a `v1` for each key.
//!
//! Stripe's secrets begin with `whsec_` and its libraries take them as the text they are. Ours with `whsec_` are base64.
//! So a secret with this prefix signs both ways, and either receiver finds its own.

use super::key::{SigningKey, VerifyingKey};
use super::mac::{hex, mac, same};
use super::{Algorithm, Delivered, Message, Rejection, Scheme, believed, check_age};
use crate::core::path::Complaint;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;

pub(super) const HEADER: &str = "stripe-signature";

/// The secret as text and, after `whsec_` and where it is some, as base64.
pub(super) fn keys(secret: &Secret) -> Result<Vec<SigningKey>, Complaint> {
    let text = SigningKey::raw(secret.expose().as_bytes());
    match SigningKey::parse(secret) {
        Ok(key) if key.public().is_some() => Err(Scheme::Stripe.wrong_kind()),
        Ok(key) if key.shared() == text.shared() => Ok(vec![text]),
        Ok(key) => Ok(vec![text, key]),
        Err(_) if secret.expose().len() > "whsec_".len() && secret.expose().starts_with("whsec_") => Ok(vec![text]),
        Err(complaint) => Err(complaint),
    }
}

pub(super) fn value(keys: &[SigningKey], message: &Message<'_>) -> String {
    let timestamp = message.timestamp.to_string();
    let shared = keys.iter().filter_map(SigningKey::shared);
    shared.fold(format!("t={timestamp}"), |value, key| format!("{value},v1={}", spell(key, &timestamp, message.body)))
}

fn spell(key: &[u8], timestamp: &str, body: &[u8]) -> String {
    hex(mac(Algorithm::HmacSha256, key, &[timestamp.as_bytes(), b".", body]).as_ref())
}

pub(super) fn verify(keys: &[VerifyingKey], delivered: &Delivered<'_>, now: Timestamp) -> Result<(), Rejection> {
    let value = delivered.need(HEADER)?;
    let parts = |name| value.split(',').filter_map(move |part| part.trim().strip_prefix(name));
    let timestamp = parts("t=").next().ok_or(Rejection::Timestamp(HEADER))?;
    check_age(HEADER, timestamp, now)?;
    if parts("v1=").next().is_none() {
        return Err(Rejection::NoSignature(HEADER.to_owned(), "v1="));
    }
    let mut keys = keys.iter().filter_map(VerifyingKey::shared);
    believed(keys.any(|key| {
        let ours = spell(key, timestamp, delivered.body);
        parts("v1=").any(|theirs| same(&ours, theirs))
    }))
}
