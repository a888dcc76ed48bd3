//! `RateLimit` and `RateLimit-Policy` as the IETF's draft writes them: lists and dictionaries of RFC 9651.
//!
//! Reads both of the draft's shapes, and only what is needed of them. What is malformed says nothing.

use std::time::Duration;

use super::{Quota, WAIT_MAX};

/// A member of a list: its name, and its parameters that are whole numbers.
struct Member<'a> {
    name: &'a str,
    numbers: Vec<(&'a str, u64)>,
}

impl Member<'_> {
    fn get(&self, name: &str) -> Option<u64> {
        self.numbers.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }
}

/// What is left, by the draft's `"default";r=50;t=30` (with the policy `"default";q=100;w=60`), or by its older
/// `limit=100, remaining=50, reset=30`.
pub(super) fn quotas(limits: &str, policies: &str) -> Vec<Quota> {
    let (limits, policies) = (members(limits), members(policies));
    let older = |name: &str| limits.iter().find_map(|member| (member.name == name).then(|| member.get(name))?);
    if let Some(remaining) = older("remaining") {
        return vec![Quota { limit: older("limit"), remaining: Some(remaining), reset: older("reset").and_then(wait) }];
    }
    let quota = |member: &Member<'_>| {
        let policy = policies.iter().find(|policy| policy.name == member.name);
        let remaining = member.get("r")?;
        // Without a `t`, all of it is there again within the policy's window.
        let reset = member.get("t").or_else(|| policy?.get("w"));
        Some(Quota {
            limit: policy.and_then(|policy| policy.get("q")),
            remaining: Some(remaining),
            reset: reset.and_then(wait),
        })
    };
    limits.iter().filter_map(quota).collect()
}

fn wait(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds).min(WAIT_MAX))
}

/// The members of a list or a dictionary. One of a dictionary has itself as its first parameter.
fn members(text: &str) -> Vec<Member<'_>> {
    split(text, b',').into_iter().filter_map(member).collect()
}

fn member(text: &str) -> Option<Member<'_>> {
    let mut parts = split(text, b';').into_iter();
    let name = parts.next()?.trim();
    let mut numbers: Vec<(&str, u64)> = parts.filter_map(pair).collect();
    let name = match pair(name) {
        Some((key, number)) => {
            numbers.insert(0, (key, number));
            key
        }
        None => name.trim_matches('"'),
    };
    (!name.is_empty()).then_some(Member { name, numbers })
}

fn pair(text: &str) -> Option<(&str, u64)> {
    let (key, value) = text.split_once('=')?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '*');
    let key = key.trim();
    let good = !key.is_empty() && key.chars().all(plain);
    // A number beyond 64 bits is far more than any cap.
    let value = value.trim();
    let number = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty();
    (good && number).then(|| (key, value.parse().unwrap_or(u64::MAX)))
}

/// Splits outside of quoted strings (RFC 9651, section 3.3.3).
fn split(text: &str, at: u8) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == at && !quoted => {
                parts.push(&text[from..index]);
                from = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}
