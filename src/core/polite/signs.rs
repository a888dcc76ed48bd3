//! What an answer is that its status does not tell: a rate limit in disguise, an error in a 200.
//!
//! A body is parsed only where a condition is there to be asked.

use std::borrow::Cow;

use http::HeaderMap;
use regex::Regex;

use crate::core::json::{Json, parse};
use crate::core::path::Complaint;
use crate::core::template::Condition;

/// The top-level names that `limited_when` and `fail_when` see.
const ANSWER_NAMES: &[&str] = &["status", "headers", "body"];

/// A header that an expression names in quotes.
const NAMED_HEADER: &str = r#"headers\s*(?:\[|\.get\()\s*(?:'[^']*'|"[^"]*")"#;

/// The conditions by which answers are told.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// The answer says that too much was asked.
    pub limited_when: Option<Condition>,
    /// The answer is an error.
    pub fail_when: Option<Condition>,
}

/// What an answer turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `limited_when` holds; as it is written.
    Limited(String),
    /// `fail_when` holds; as it is written.
    Failed(String),
    /// A condition can't be decided: it is named, and why.
    Broken(&'static str, String),
}

/// Compiles a condition over answers, in which headers may be named in any letters.
///
/// # Errors
/// As [`Condition::compile`].
pub fn compile(text: &str) -> Result<Condition, Complaint> {
    let small = |found: &regex::Captures<'_>| found[0].to_ascii_lowercase();
    let written = Regex::new(NAMED_HEADER).map_or(Cow::Borrowed(text), |named| named.replace_all(text, small));
    Condition::compile(&written, ANSWER_NAMES)
}

impl Signs {
    /// True when nothing is asked, so that no body needs to be read for it.
    pub fn is_empty(&self) -> bool {
        self.limited_when.is_none() && self.fail_when.is_none()
    }

    /// Judges an answer. `headers` are known by their names in small letters; several of one name are joined by commas.
    /// `body` is the document where it is JSON, else its text, and none where there is none.
    pub fn judge(&self, status: u16, headers: &HeaderMap, body: Option<&[u8]>) -> Option<Sign> {
        if self.is_empty() {
            return None;
        }
        let (status, headers, body) = (Json::from(i64::from(status)), named(headers), document(body));
        let names = [("status", &status), ("headers", &headers), ("body", &body)];
        let asked = [("limited_when", &self.limited_when), ("fail_when", &self.fail_when)];
        asked.into_iter().find_map(|(key, condition)| {
            let condition = condition.as_ref()?;
            match condition.holds(&names) {
                Ok(false) => None,
                Ok(true) if key == "limited_when" => Some(Sign::Limited(condition.source().to_owned())),
                Ok(true) => Some(Sign::Failed(condition.source().to_owned())),
                Err(why) => Some(Sign::Broken(key, why)),
            }
        })
    }
}

fn named(headers: &HeaderMap) -> Json {
    let joined = |name: &http::HeaderName| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        Json::from(values.collect::<Vec<_>>().join(", ").as_str())
    };
    Json::object(headers.keys().map(|name| (name.as_str(), joined(name))))
}

fn document(body: Option<&[u8]>) -> Json {
    let Some(bytes) = body.filter(|bytes| !bytes.is_empty()) else { return Json::Null };
    match (parse(bytes), std::str::from_utf8(bytes)) {
        (Ok(json), _) => json,
        (Err(_), Ok(text)) => Json::from(text),
        (Err(_), Err(_)) => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(limited: &str, fail: &str) -> Signs {
        let sign = |text: &str| match text {
            "" => None,
            text => Some(compile(text).unwrap()),
        };
        Signs { limited_when: sign(limited), fail_when: sign(fail) }
    }

    fn judged(signs: &Signs, status: u16, body: &str) -> Option<Sign> {
        let mut headers = HeaderMap::new();
        headers.insert("x-left", "0".parse().unwrap());
        headers.append("x-left", "1".parse().unwrap());
        signs.judge(status, &headers, Some(body.as_bytes()))
    }

    #[test]
    fn a_condition_sees_status_headers_and_body() {
        for (condition, body, holds) in [
            ("status == 403 and 'rate limit' in body.message", r#"{"message":"API rate limit exceeded"}"#, true),
            ("status == 403 and 'rate limit' in body.message", r#"{"message":"no"}"#, false),
            ("headers['x-left'] == '0, 1'", "", true),
            ("headers['x-right'] == '0'", "", false),
            ("headers['x-right'] is none", "", true),
            ("body is none", "", true),
            ("'slow down' in body", "please slow down", true),
            ("body.error.code == 17", r#"{"ok":true}"#, false),
            ("body[0].ok == false", r#"[{"ok":false}]"#, true),
        ] {
            let expected = holds.then(|| Sign::Limited(condition.to_owned()));
            assert_eq!(judged(&signs(condition, ""), 403, body), expected, "{condition}");
        }
    }

    #[test]
    fn headers_are_named_in_any_letters() {
        for condition in ["headers['X-Left'] == '0, 1'", "headers[ \"X-LEFT\" ] == '0, 1'"] {
            assert!(matches!(judged(&signs(condition, ""), 200, ""), Some(Sign::Limited(_))), "{condition}");
        }
        assert_eq!(judged(&signs("body['X-Left'] == 1", ""), 200, r#"{"x-left":1}"#), None);
    }

    #[test]
    fn a_limit_goes_before_a_failure_and_what_can_not_be_decided_is_said() {
        let both = signs("status == 200", "body.ok == false");
        assert_eq!(judged(&both, 200, "{}"), Some(Sign::Limited("status == 200".to_owned())));
        assert_eq!(judged(&both, 201, r#"{"ok":false}"#), Some(Sign::Failed("body.ok == false".to_owned())));
        assert_eq!(judged(&both, 201, r#"{"ok":true}"#), None);
        assert_eq!(judged(&Signs::default(), 200, "{}"), None);
        let broken = judged(&signs("", "body.n > 1"), 200, r#"{"n":"x"}"#);
        assert!(matches!(&broken, Some(Sign::Broken("fail_when", why)) if !why.is_empty()), "{broken:?}");
    }
}
