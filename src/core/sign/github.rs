//! As GitHub signs: `x-hub-signature-256: sha256=HEX`, the HMAC-SHA256 of the body.
//!
//! It says nothing of the time, so that a webhook can be played again by whoever has seen it. There is room for one
//! signature.

use super::key::{SigningKey, VerifyingKey};
use super::mac::{hex, mac, same};
use super::{Algorithm, Delivered, Rejection, believed};

pub(super) const HEADER: &str = "x-hub-signature-256";

pub(super) fn value(keys: &[SigningKey], body: &[u8]) -> String {
    let key = keys.iter().find_map(SigningKey::shared).unwrap_or_default();
    spell(key, body)
}

fn spell(key: &[u8], body: &[u8]) -> String {
    format!("sha256={}", hex(mac(Algorithm::HmacSha256, key, &[body]).as_ref()))
}

pub(super) fn verify(keys: &[VerifyingKey], delivered: &Delivered<'_>) -> Result<(), Rejection> {
    let signature = delivered.need(HEADER)?;
    if !signature.starts_with("sha256=") {
        return Err(Rejection::NoSignature(HEADER.to_owned(), "sha256="));
    }
    let mut keys = keys.iter().filter_map(VerifyingKey::shared);
    believed(keys.any(|key| same(&spell(key, delivered.body), signature)))
}
