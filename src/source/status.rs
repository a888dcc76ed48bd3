//! Answers that carry nothing to read, in sentences for the person who must act.
//!
//! Decides nothing about when to ask again.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use crate::core::outcome::{Failure, FailureKind};
use crate::core::polite::Sign;
use crate::net::redact::one_line;
use crate::net::trouble::Target;

/// Characters of an answer's body that a sentence quotes.
const QUOTED_MAX: usize = 200;

/// The beginning of an answer's body, where it is text.
pub(super) fn excerpt(body: &str) -> Option<String> {
    one_line(body, QUOTED_MAX)
}

/// The failure that a status is.
pub(super) fn failure(
    target: &Target,
    status: StatusCode,
    limited: bool,
    retry_after: Option<Duration>,
    excerpt: Option<&str>,
) -> Failure {
    let code = status.as_u16();
    let wait = retry_after.map(|wait| format!("; it asks to wait {} s", wait.as_secs().max(1))).unwrap_or_default();
    let said = excerpt.map(|text| format!("; it said: {text}")).unwrap_or_default();
    // A 429 says what it is; a 403 needs to be told from a refused token.
    let disguised = limited && status == StatusCode::FORBIDDEN;
    let meaning = match excerpt {
        _ if disguised => meaning(StatusCode::TOO_MANY_REQUESTS),
        Some(said) if wants_certificate(status, said) => WANTS_CERTIFICATE,
        _ => meaning(status),
    };
    let kind = if disguised { FailureKind::Limited } else { FailureKind::Status };
    let sentence = format!("`{}` answered {code}: {meaning}{wait}{said}", target.place);
    Failure { status: Some(code), retry_after, ..Failure::new(kind, sentence) }
}

/// What nginx means by a page that it answers 400 with, after a handshake without a client certificate that it trusts.
const WANTS_CERTIFICATE: &str = "it wants a client certificate that it trusts; set the vendor's \
     `tls = { cert = \"…\", key = \"…\" }`, or check which one stands there";

fn wants_certificate(status: StatusCode, said: &str) -> bool {
    status == StatusCode::BAD_REQUEST
        && ["No required SSL certificate was sent", "The SSL certificate error"]
            .iter()
            .any(|words| said.contains(words))
}

/// The failure that an answer is by the config's own conditions.
pub(super) fn judged(
    target: &Target,
    status: StatusCode,
    sign: &Sign,
    retry_after: Option<Duration>,
    excerpt: Option<&str>,
) -> Failure {
    let code = status.as_u16();
    let (kind, meaning, wait) = match sign {
        Sign::Limited(condition) => {
            let wait = retry_after.map(|wait| format!("; it asks to wait {} s", wait.as_secs().max(1)));
            (FailureKind::Limited, format!("too many requests, since `limited_when` holds: `{condition}`"), wait)
        }
        Sign::Failed(condition) => {
            (FailureKind::Condition, format!("an error, since `fail_when` holds: `{condition}`"), None)
        }
        Sign::Broken(key, why) => (FailureKind::Condition, format!("`{key}` can't be decided: {why}"), None),
    };
    let wait = wait.unwrap_or_default();
    let said = excerpt.map(|text| format!("; it said: {text}")).unwrap_or_default();
    let sentence = format!("`{}` answered {code}: {meaning}{wait}{said}", target.place);
    let retry_after = retry_after.filter(|_| kind == FailureKind::Limited);
    Failure { status: Some(code), retry_after, ..Failure::new(kind, sentence) }
}

/// What a status means, and what to do.
fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        206 => "only a part, although the whole was asked for; a `range` header must not be set",
        304 => "not modified, although it was asked unconditionally; set `conditional = false` and tell the vendor",
        _ if status.is_redirection() => "a redirect that does not say where to; check `url`",
        400 => "it does not understand the request; check `url`, `query` and `body`",
        401 => "the credentials are missing or wrong; check `auth` and its token",
        403 => "the credentials may not read this; check `auth` and what its token is allowed",
        404 => "there is nothing at this address; check `url`",
        405 => "it does not take this method here; check `method` and `url`",
        406 => "it has no answer in the format that was asked for; check the header `accept`",
        407 => "a proxy in between wants credentials",
        410 => "this address is gone for good; check `url` against the vendor's documentation",
        429 => "too many requests; poll less often with a longer `every`, or set the vendor's `rate`",
        _ if status.is_client_error() => "it refuses the request; check `url`, `query`, `headers` and `body`",
        503 => "it is not available at the moment",
        _ if status.is_server_error() => "it has a problem of its own",
        _ => "a status that carries nothing to read",
    }
}

/// An answer that is larger than the config allows.
pub(super) fn too_large(target: &Target, status: u16, max: u64) -> Failure {
    let sentence = format!(
        "the answer of `{}` is larger than `max_body` ({}); raise it, or ask for less with a filter or a smaller page",
        target.place,
        spell_size(max)
    );
    Failure { status: Some(status), ..Failure::new(FailureKind::TooLarge, sentence) }
}

/// An answer that is still compressed: the client library takes the header away from those that it could read, and knows
/// their names in small letters only.
pub(super) fn encoded(target: &Target, status: u16, headers: &HeaderMap) -> Option<Failure> {
    const CODINGS: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"];
    let said = headers.get(header::CONTENT_ENCODING)?.to_str().ok()?;
    let is_coded = said.split(',').any(|word| CODINGS.contains(&word.trim().to_ascii_lowercase().as_str()));
    let sentence = format!(
        "`{}` answered in the encoding `{said}`, which can't be read; ask for it plain: \
         `headers = {{ Accept-Encoding = \"identity\" }}`",
        target.place
    );
    is_coded.then(|| Failure { status: Some(status), ..Failure::new(FailureKind::Malformed, sentence) })
}

/// A large answer could not be put on disk.
pub(super) fn unspooled(target: &Target, error: &std::io::Error) -> Failure {
    let sentence = format!(
        "the answer of `{}` is large, and it can't be kept on disk while it is read: {error}; is there room beside the \
         state?",
        target.place
    );
    Failure::new(FailureKind::Store, sentence)
}

/// A size as the config writes it.
fn spell_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_sentence_with_the_place_and_the_number() {
        let target = Target::of("https://a.example/orders?token=secret");
        for code in (100..200).chain(206..207).chain(300..600) {
            let status = StatusCode::from_u16(code).expect("a status");
            let failure = failure(&target, status, false, None, None);
            let beginning = format!("`https://a.example/orders` answered {code}: ");
            assert!(failure.sentence.len() > beginning.len() && failure.sentence.starts_with(&beginning));
            assert!(failure.kind == FailureKind::Status && failure.status == Some(code));
        }
    }

    #[test]
    fn a_sentence_quotes_the_vendor_and_its_wait() {
        let target = Target::of("https://a.example/");
        let wait = Some(Duration::from_secs(30));
        let failure = failure(&target, StatusCode::TOO_MANY_REQUESTS, true, wait, Some("slow down"));
        assert_eq!(
            failure.sentence,
            "`https://a.example/` answered 429: too many requests; poll less often with a longer `every`, or set \
             the vendor's `rate`; \
             it asks to wait 30 s; it said: slow down"
        );
        assert_eq!(failure.retry_after, wait);
    }

    #[test]
    fn sizes_read_as_written() {
        let spelled = [32 << 20, 64 << 10, 2 << 30, 1000].map(spell_size);
        assert_eq!(spelled, ["32 MiB", "64 KiB", "2 GiB", "1000 bytes"]);
    }
}
