//! What is kept of an attempt beside its answer: how long each phase took, and which headers were sent.
//!
//! Holds no secret: whoever fills it has taken them out.

use serde::{Deserialize, Serialize};

/// The most bytes of names and values that are kept of a request's headers.
const HEADERS_MAX: usize = 8 * 1024;

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

/// The headers of a request, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SentHeaders(Vec<(String, String)>);

impl SentHeaders {
    /// Keeps headers up to 8 KiB; a value that would go beyond is cut, and what follows is left out.
    pub fn new(headers: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut room = HEADERS_MAX;
        let mut kept = Vec::new();
        for (name, mut value) in headers {
            let Some(left) = room.checked_sub(name.len()) else { break };
            if value.len() > left {
                let end = (0..=left).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
                value.truncate(end);
                value.push('…');
            }
            room = left.saturating_sub(value.len());
            kept.push((name, value));
        }
        Self(kept)
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// True when none were sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_bounded() {
        let long = |name: &str| (name.to_owned(), "ä".repeat(3000));
        let kept = SentHeaders::new([long("a"), long("b"), long("c")]);
        let lengths: Vec<_> = kept.iter().map(|(name, value)| (name.to_owned(), value.len())).collect();
        assert_eq!(lengths[0], ("a".to_owned(), 6000));
        assert!(kept.iter().nth(1).is_some_and(|(_, value)| value.ends_with('…')));
        assert!(lengths.iter().map(|(_, length)| length).sum::<usize>() <= HEADERS_MAX + 3);
    }

    #[test]
    fn phases_that_were_not_are_not_written() {
        let phases = Phases { connect: Some(120), total: 900, ..Phases::default() };
        let text = serde_json::to_string(&phases).expect("JSON");
        assert_eq!(text, r#"{"connect":120,"total":900}"#);
        assert_eq!(serde_json::from_str::<Phases>(&text).expect("phases"), phases);
    }
}
