//! As Slack signs: `x-slack-signature: v0=HEX` over `v0:TIMESTAMP:BODY`, and the time in a header of its own.
//!
//! There is room for one signature.

use super::key::{SigningKey, VerifyingKey};
use super::mac::{hex, mac, same};
use super::{Algorithm, Delivered, Message, Rejection, believed, check_age};
use crate::core::time::Timestamp;

pub(super) const HEADER: &str = "x-slack-signature";
pub(super) const TIME_HEADER: &str = "x-slack-request-timestamp";

pub(super) fn value(keys: &[SigningKey], message: &Message<'_>) -> String {
    let key = keys.iter().find_map(SigningKey::shared).unwrap_or_default();
    spell(key, &message.timestamp.to_string(), message.body)
}

fn spell(key: &[u8], timestamp: &str, body: &[u8]) -> String {
    let parts = [b"v0:", timestamp.as_bytes(), b":", body];
    format!("v0={}", hex(mac(Algorithm::HmacSha256, key, &parts).as_ref()))
}

pub(super) fn verify(keys: &[VerifyingKey], delivered: &Delivered<'_>, now: Timestamp) -> Result<(), Rejection> {
    let timestamp = delivered.need(TIME_HEADER)?;
    let signature = delivered.need(HEADER)?;
    check_age(TIME_HEADER, timestamp, now)?;
    if !signature.starts_with("v0=") {
        return Err(Rejection::NoSignature(HEADER.to_owned(), "v0="));
    }
    let mut keys = keys.iter().filter_map(VerifyingKey::shared);
    believed(keys.any(|key| same(&spell(key, timestamp, delivered.body), signature)))
}
