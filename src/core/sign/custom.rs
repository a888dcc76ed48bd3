//! A scheme of the user's own: one header, an HMAC, and a template that says what it is made over.
//!
//! There is room for one signature. Whether a receiver can tell an old webhook from a new one depends on the message:
//! only one that holds `timestamp` is checked for its age.

use http::HeaderName;

use super::key::{SigningKey, VerifyingKey};
use super::mac::{Algorithm, Encoding, mac, same};
use super::{Delivered, Message, Rejection, believed, check_age};
use crate::core::json::Json;
use crate::core::template::{Template, Text};
use crate::core::time::Timestamp;

/// The names that the message's template sees.
pub const MESSAGE_NAMES: &[&str] = &["id", "timestamp", "method", "url", "body"];

/// The names that the header's template sees.
pub const VALUE_NAMES: &[&str] = &["signature", "id", "timestamp"];

/// A scheme of the user's own.
#[derive(Clone, Debug)]
pub struct Custom {
    /// What carries the signature.
    pub header: HeaderName,
    /// How it is made.
    pub algorithm: Algorithm,
    /// How it is spelled.
    pub encoding: Encoding,
    /// What it is made over, compiled with [`MESSAGE_NAMES`].
    pub message: Text,
    /// Does the message hold the time, so that the age of a webhook can be checked?
    pub timed: bool,
    /// The header's value, compiled with [`VALUE_NAMES`].
    pub value: Template,
}

/// What is known of a webhook on either side.
struct Facts<'a> {
    id: &'a str,
    timestamp: &'a str,
    method: &'a str,
    url: &'a str,
    body: &'a [u8],
}

impl Custom {
    pub(super) fn value(&self, keys: &[SigningKey], message: &Message<'_>) -> Result<String, String> {
        let facts = Facts {
            id: message.id,
            timestamp: &message.timestamp.to_string(),
            method: message.method,
            url: message.url.as_str(),
            body: message.body,
        };
        let key = keys.iter().find_map(SigningKey::shared).unwrap_or_default();
        self.spell(key, &facts)
    }

    fn spell(&self, key: &[u8], facts: &Facts<'_>) -> Result<String, String> {
        let body = std::str::from_utf8(facts.body)
            .map_err(|_| "`message` can't be rendered: the body is not UTF-8 text".to_owned())?;
        let (id, timestamp) = (text(facts.id), text(facts.timestamp));
        let (method, url, body) = (text(facts.method), text(facts.url), text(body));
        let names = [("id", &id), ("timestamp", &timestamp), ("method", &method), ("url", &url), ("body", &body)];
        let message = self.message.render(&names).map_err(|why| format!("`message` can't be rendered: {why}"))?;
        let message = message.as_ref().map_or("", |message| message.expose());
        let signature = text(&self.encoding.spell(mac(self.algorithm, key, &[message.as_bytes()]).as_ref()));
        let names = [("signature", &signature), ("id", &id), ("timestamp", &timestamp)];
        self.value.render(&names).map_err(|why| format!("`value` can't be rendered: {why}"))
    }

    pub(super) fn verify(
        &self,
        keys: &[VerifyingKey],
        delivered: &Delivered<'_>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let theirs = delivered.need(self.header.as_str())?;
        let timestamp = delivered.find("webhook-timestamp");
        if self.timed {
            check_age(
                "webhook-timestamp",
                timestamp.ok_or_else(|| Rejection::Missing("webhook-timestamp".into()))?,
                now,
            )?;
        }
        let (id, method) = (delivered.find("webhook-id").unwrap_or_default(), delivered.method);
        let timestamp = timestamp.unwrap_or_default();
        let mut fits = false;
        for url in delivered.urls() {
            let facts = Facts { id, timestamp, method, url: &url, body: delivered.body };
            for key in keys.iter().filter_map(VerifyingKey::shared) {
                fits |= same(&self.spell(key, &facts).map_err(Rejection::Template)?, theirs);
            }
        }
        believed(fits)
    }
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}
