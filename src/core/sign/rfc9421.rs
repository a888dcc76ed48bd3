//! HTTP Message Signatures (RFC 9421) with a Content-Digest (RFC 9530): `sig1`, `sig2`, … one for each key.
//!
//! It reads of structured fields (RFC 8941) what such headers are made of, and no parameters on components.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use url::Url;

use super::key::{SigningKey, VerifyingKey, thumbprint};
use super::mac::same;
use super::{Delivered, Message, Rejection, check_age};
use crate::core::time::Timestamp;

const DIGEST: &str = "content-digest";
const INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";

/// The headers that it sets, in the order of [`values`].
pub(super) const HEADERS: [&str; 3] = [DIGEST, INPUT, SIGNATURE];

/// What is signed, in this order; and what a signature must cover to be believed.
const COMPONENTS: [&str; 6] = ["@method", "@target-uri", "content-type", DIGEST, "webhook-id", "webhook-timestamp"];

/// The values of [`HEADERS`].
pub(super) fn values(keys: &[SigningKey], key_id: &str, message: &Message<'_>) -> [String; 3] {
    let digest = content_digest(message.body);
    let (target, timestamp) = (target_uri(message.url), message.timestamp.to_string());
    let values = [message.method, &target, message.content_type.trim(), &digest, message.id, &timestamp];
    let covered = COMPONENTS.map(|name| format!("\"{name}\"")).join(" ");
    let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
    for (number, key) in (1..).zip(keys) {
        let label = format!("sig{number}");
        let (key_id, algorithm) = match key.public() {
            Some(public) => (thumbprint(public), "ed25519"),
            None if number == 1 => (key_id.to_owned(), "hmac-sha256"),
            None => (format!("{key_id}-{number}"), "hmac-sha256"),
        };
        let params = format!("({covered});created={timestamp};keyid=\"{key_id}\";alg=\"{algorithm}\"");
        let base = base(COMPONENTS.into_iter().zip(values), &params);
        signatures.push(format!("{label}=:{}:", STANDARD.encode(key.sign(&[base.as_bytes()]))));
        inputs.push(format!("{label}={params}"));
    }
    [digest, inputs.join(", "), signatures.join(", ")]
}

/// `sha-256=:BASE64:` (RFC 9530, section 2).
pub(super) fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, body)))
}

/// Where a request goes (RFC 9421, section 2.2.2): no fragment, and no user, which becomes a header.
fn target_uri(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    // These fail on URLs without a host, which have no user either.
    let _ = (url.set_username(""), url.set_password(None));
    url.into()
}

/// The signature base (RFC 9421, section 2.5).
pub(super) fn base<'a>(components: impl IntoIterator<Item = (&'a str, &'a str)>, params: &str) -> String {
    let lines = components.into_iter().map(|(name, value)| format!("\"{name}\": {value}\n"));
    lines.collect::<String>() + "\"@signature-params\": " + params
}

pub(super) fn verify(keys: &[VerifyingKey], delivered: &Delivered<'_>, now: Timestamp) -> Result<(), Rejection> {
    let digests = members(delivered.need(DIGEST)?).ok_or(Rejection::Malformed(DIGEST))?;
    let inputs = members(delivered.need(INPUT)?).ok_or(Rejection::Malformed(INPUT))?;
    let signatures = members(delivered.need(SIGNATURE)?).ok_or(Rejection::Malformed(SIGNATURE))?;
    let ours = content_digest(delivered.body);
    if !digests.iter().any(|(name, value)| *name == "sha-256" && same(&ours, &format!("sha-256={value}"))) {
        return Err(Rejection::Digest);
    }
    // The last reason is told when none is good: of several signatures, each may be somebody else's.
    let mut verdict = Err(Rejection::NoSignature(SIGNATURE.to_owned(), "sig1=:…:"));
    for (label, input) in inputs {
        let Some((_, signature)) = signatures.iter().find(|(name, _)| *name == label) else { continue };
        verdict = verify_one(keys, delivered, input, signature, now);
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

fn verify_one(
    keys: &[VerifyingKey],
    delivered: &Delivered<'_>,
    input: &str,
    signature: &str,
    now: Timestamp,
) -> Result<(), Rejection> {
    let (names, params) = inner_list(input).ok_or(Rejection::Malformed(INPUT))?;
    if let Some(lacking) = COMPONENTS.into_iter().find(|name| !names.contains(name)) {
        return Err(Rejection::Uncovered(lacking));
    }
    check_age(INPUT, param(params, "created").ok_or(Rejection::Timestamp(INPUT))?, now)?;
    let signature = bytes(signature).ok_or(Rejection::Malformed(SIGNATURE))?;
    for url in delivered.urls() {
        let mut components = Vec::with_capacity(names.len());
        for name in &names {
            let value = match *name {
                "@method" => delivered.method,
                "@target-uri" => &url,
                header => delivered.need(header)?.trim(),
            };
            components.push((*name, value));
        }
        let base = base(components, input);
        let named = param(params, "alg").map(|algorithm| algorithm.trim_matches('"'));
        let of_kind = |key: &&VerifyingKey| {
            named.is_none_or(|named| named == if key.shared().is_some() { "hmac-sha256" } else { "ed25519" })
        };
        if keys.iter().filter(of_kind).any(|key| key.fits(&[base.as_bytes()], signature)) {
            return Ok(());
        }
    }
    Err(Rejection::Mismatch)
}

/// The members of a dictionary (RFC 8941, section 3.2), their values as they are written.
fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    split(text, ',').into_iter().map(|member| member.trim().split_once('=')).collect()
}

/// The names in an inner list of strings without parameters (RFC 8941, section 3.1.1), and what stands after it.
fn inner_list(text: &str) -> Option<(Vec<&str>, &str)> {
    let (list, params) = text.strip_prefix('(')?.split_once(')')?;
    let name = |item: &'_ str| item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::len);
    let items: Vec<&str> = list.split(' ').filter(|item| !item.is_empty()).collect();
    if items.iter().any(|item| name(item).is_none()) {
        return None;
    }
    Some((items.into_iter().map(|item| item.trim_matches('"')).collect(), params))
}

/// The value of a parameter (RFC 8941, section 3.1.2), as it is written.
fn param<'a>(params: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = split(params, ';').into_iter().filter_map(|param| param.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// What stands between the colons of a byte sequence (RFC 8941, section 3.3.5).
fn bytes(text: &str) -> Option<&str> {
    text.strip_prefix(':')?.strip_suffix(':')
}

/// Splits where `separator` stands outside of quotes and brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped, mut depth, mut from) = (false, false, 0_usize, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ if c == separator && !quoted && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}
