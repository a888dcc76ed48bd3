//! What is kept of an attempt beside its answer: how long each phase took, and which headers were sent.
//!
//! Holds no secret: whoever fills it has taken them out.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::core::json::push_string;

/// The most bytes of names and values that are kept of a request's headers.
const HEADERS_MAX: usize = 8 * 1024;

/// Bytes that the usual headers take.
const USUAL: usize = 512;

/// What is kept of an attempt beside its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// How long each phase took.
    pub phases: Phases,
    /// The headers that were sent, in their order, secrets as `***`.
    pub headers: SentHeaders,
}

/// How long each phase of an attempt took, in microseconds, one after the other. `None`: there was no such phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Resolving the name; none on a connection that was kept, and for an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<u64>,
    /// Until the connection stands, by a proxy where there is one; none on a connection that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<u64>,
    /// The TLS handshake; none on a connection that was kept, and without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<u64>,
    /// From there to the status and headers of the answer; none when none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<u64>,
    /// The whole attempt, to the last byte of the answer that was read.
    pub total: u64,
}

/// The headers of a request, bounded: a JSON array of pairs, as they are kept with every attempt and seldom read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentHeaders(Vec<u8>);

impl SentHeaders {
    /// Keeps headers up to 8 KiB; a value that would go beyond is cut, and what follows is left out.
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> Self {
        let mut room = HEADERS_MAX;
        let mut kept = Vec::with_capacity(USUAL);
        for (name, value) in headers {
            let Some(left) = room.checked_sub(name.len()) else { break };
            let value = match value.floor_char_boundary(left) {
                end if end == value.len() => value,
                end => Cow::Owned(format!("{}…", &value[..end])),
            };
            room = left.saturating_sub(value.len());
            kept.push(if kept.is_empty() { b'[' } else { b',' });
            kept.push(b'[');
            push_string(name, &mut kept);
            kept.push(b',');
            push_string(&value, &mut kept);
            kept.push(b']');
        }
        if !kept.is_empty() {
            kept.push(b']');
        }
        Self(kept)
    }

    /// Those that were kept as JSON.
    pub fn of_json(json: Vec<u8>) -> Self {
        Self(json)
    }

    /// As JSON; `None` when none were sent.
    pub fn as_json(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().filter(|json| !json.is_empty())
    }

    /// Name and value of each. What can't be read any more is left out.
    pub fn pairs(&self) -> Vec<(String, String)> {
        serde_json::from_slice(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_bounded() {
        let long = |name: &'static str| (name, Cow::from("ä".repeat(3000)));
        let kept = SentHeaders::new([long("a"), long("b"), long("c")]).pairs();
        let lengths: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.len())).collect();
        assert_eq!(lengths[0], ("a", 6000));
        assert!(kept[1].1.ends_with('…'));
        assert!(lengths.iter().map(|(_, length)| length).sum::<usize>() <= HEADERS_MAX + 3);
    }

    #[test]
    fn headers_are_kept_as_json_whatever_they_hold() {
        let sent = SentHeaders::new([("x", Cow::from("a \"b\" \\ \t \u{1}")), ("x", Cow::from("ä"))]);
        assert_eq!(sent.as_json(), Some(r#"[["x","a \"b\" \\ \t \u0001"],["x","ä"]]"#));
        let again = SentHeaders::of_json(sent.as_json().expect("JSON").as_bytes().to_vec());
        let pair = |value: &str| ("x".to_owned(), value.to_owned());
        assert_eq!(again.pairs(), [pair("a \"b\" \\ \t \u{1}"), pair("ä")]);
        assert_eq!((SentHeaders::default().as_json(), SentHeaders::default().pairs()), (None, vec![]));
    }

    #[test]
    fn phases_that_were_not_are_not_written() {
        let phases = Phases { connect: Some(120), total: 900, ..Phases::default() };
        let text = serde_json::to_string(&phases).expect("JSON");
        assert_eq!(text, r#"{"connect":120,"total":900}"#);
        assert_eq!(serde_json::from_str::<Phases>(&text).expect("phases"), phases);
    }
}
