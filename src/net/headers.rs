//! Headers that are sent and read in the same way to vendors and to receivers.
//!
//! Which headers are sent is decided by whoever asks.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::core::delivery::{parse_http_date, parse_retry_after};
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
/// there is none. Of several the longest counts.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let date = text(headers, &header::DATE);
    let asked = headers.get_all(header::RETRY_AFTER).iter().filter_map(|asked| asked.to_str().ok());
    asked.filter_map(|asked| parse_retry_after(asked, date.as_deref(), now)).max()
}

/// The answer's `Last-Modified`, where it can be relied on: it is at least a second older than the answer. A younger one
/// stands for every body of its second, so that a change later in the same second would be answered 304 (RFC 9110,
/// section 8.8.2.2).
pub fn last_modified(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let written = text(headers, &header::LAST_MODIFIED)?;
    let modified = parse_http_date(&written, now)?;
    (answered(headers, now).since(modified) >= Duration::from_secs(1)).then_some(written)
}

/// The answer's `ETag`, where it can be relied on. nginx makes its own of a file's time, in whole seconds, and its size
/// (`"6566f3a0-2c"`), strong as it looks: in the answer's own second it stands for every body of that size, as a
/// [`last_modified`] does.
pub fn etag(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let written = text(headers, &header::ETAG)?;
    let second = answered(headers, now).unix_seconds();
    let is_young = made_of_time(&written).is_some_and(|at| (second..=second + 1).contains(&at));
    (!is_young).then_some(written)
}

/// The seconds that nginx's kind of `ETag` begins with.
fn made_of_time(etag: &str) -> Option<i64> {
    let tag = etag.strip_prefix("W/").unwrap_or(etag).strip_prefix('"')?.strip_suffix('"')?;
    let (time, size) = tag.split_once('-')?;
    i64::from_str_radix(size, 16).ok()?;
    i64::from_str_radix(time, 16).ok()
}

/// When an answer was made: by its own `Date`, or by our clock.
fn answered(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    text(headers, &header::DATE).and_then(|date| parse_http_date(&date, now)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_modified_of_the_answers_own_second_is_not_relied_on() {
        let kept = |modified: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LAST_MODIFIED, HeaderValue::from_str(modified).expect("text"));
            if let Some(date) = date {
                headers.insert(header::DATE, HeaderValue::from_str(date).expect("text"));
            }
            last_modified(&headers, Timestamp(1_000_000_000_000)).is_some()
        };
        let date = Some("Sun, 09 Sep 2001 01:46:40 GMT");
        assert!(!kept("Sun, 09 Sep 2001 01:46:40 GMT", date), "the same second");
        assert!(kept("Sun, 09 Sep 2001 01:46:39 GMT", date));
        assert!(kept("Sun, 09 Sep 2001 01:46:39 GMT", None), "our clock where the answer has no date");
        assert!(!kept("Sun, 09 Sep 2001 01:46:41 GMT", date), "a clock that runs ahead");
        assert!(!kept("yesterday", date));
    }

    #[test]
    fn an_etag_of_whole_seconds_is_not_relied_on_within_its_own() {
        // 1 000 000 000 s, which is when the answer was made.
        let kept = |tag: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ETAG, HeaderValue::from_str(tag).expect("text"));
            headers.insert(header::DATE, HeaderValue::from_static("Sun, 09 Sep 2001 01:46:40 GMT"));
            etag(&headers, Timestamp(0)).is_some()
        };
        assert!(!kept("\"3b9aca00-2c\"") && !kept("W/\"3b9aca00-2c\""), "nginx's, of this second");
        assert!(!kept("\"3b9aca01-2c\""), "its clock is ahead by one");
        assert!(kept("\"3b9ac9ff-2c\""), "a second older");
        assert!(kept("\"3b9aca00\"") && kept("\"3b9aca00-zz\"") && kept("\"v1\"") && kept("3b9aca00-2c"));
    }

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
