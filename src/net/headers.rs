//! Headers that are sent and read in the same way to vendors and to receivers.
//!
//! Which headers are sent is decided by whoever asks.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::core::delivery::parse_retry_after;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Masked;
use crate::core::time::Timestamp;

/// A header's value, if it can be sent (RFC 9110, section 5.5).
///
/// # Errors
/// [`FailureKind::Template`] for a value with a line end or another control character.
pub fn value(name: &HeaderName, value: &Masked) -> Result<HeaderValue, Failure> {
    let Ok(mut sent) = HeaderValue::from_bytes(value.expose().as_bytes()) else {
        let sentence = format!(
            "the header `{name}` can't be sent: its value holds a line end or another control character; \
             a secret that is read from a file may end with one"
        );
        return Err(Failure::new(FailureKind::Template, sentence));
    };
    sent.set_sensitive(value.hides());
    Ok(sent)
}

/// A header as text; `None` when it is not there, or no text.
pub fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// What an answer's `Retry-After` asks for: a date is read against the answer's own `Date`, or against `now` where
/// there is none.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = text(headers, &header::RETRY_AFTER)?;
    parse_retry_after(&asked, text(headers, &header::DATE).as_deref(), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_can_not_be_split() {
        for bad in ["a\r\nx: y", "a\n", "\0"] {
            let failure = value(&header::ACCEPT, &Masked::open(bad)).expect_err("a refusal");
            assert!(failure.kind == FailureKind::Template && failure.sentence.contains("`accept`"));
        }
        assert!(value(&header::ACCEPT, &Masked::open("grün\t1")).is_ok());
    }

    #[test]
    fn a_retry_after_is_read_against_the_answers_own_date() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"));
        let now = Timestamp(1_700_000_000_000);
        assert_eq!(retry_after(&headers, now), None);
        headers.insert(header::DATE, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:00 GMT"));
        assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(59)));
    }
}
