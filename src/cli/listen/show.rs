//! A webhook as a person reads it, and as a script does.
//!
//! Numbers are shown as they came: no value is parsed on the way.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cli::table::indent_json;

use super::receiver::{Received, Trust};

/// Lines of a body that are shown.
const LINES_MAX: usize = 40;

/// Characters of a value in a list of changes.
const VALUE_MAX: usize = 80;

/// What is read of an event's envelope; another body is shown as it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    patch: Vec<Change<'a>>,
    #[serde(default)]
    changed: Vec<String>,
    sequence: Option<u64>,
}

#[derive(Deserialize)]
struct Change<'a> {
    path: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// A block of a few lines: when, what, is it believed, and the change or the body; of a batch each event in its turn.
pub(crate) fn block(received: &Received) -> String {
    let batch = received.header("webhook-id").is_some_and(|id| id.starts_with("bat_"));
    match serde_json::from_slice::<Vec<&RawValue>>(&received.body) {
        Ok(events) if batch => batch_block(received, &events),
        _ => event_block(received),
    }
}

fn batch_block(received: &Received, events: &[&RawValue]) -> String {
    let time = received.at.to_utc().format("%H:%M:%S");
    let (trust, count) = (trust_words(&received.trust), events.len());
    let mut text = format!("{time}  a batch of {count}  {trust}\n  {}\n", particulars(received, None));
    for event in events {
        let envelope: Option<Envelope<'_>> = serde_json::from_str(event.get()).ok();
        let data: Option<Data<'_>> =
            envelope.as_ref().and_then(|envelope| serde_json::from_str(envelope.data.get()).ok());
        if let (Some(envelope), Some(data)) = (&envelope, &data) {
            let _ = writeln!(text, "  {}  key {}", envelope.kind, bare(data.key));
        }
        let shown = data.map_or_else(|| pretty(event), |data| change(&data));
        text.push_str(&indent(&indent(&shown)));
    }
    printable(&text)
}

fn event_block(received: &Received) -> String {
    let envelope: Option<Envelope<'_>> = serde_json::from_slice(&received.body).ok();
    let data: Option<Data<'_>> = envelope.as_ref().and_then(|envelope| serde_json::from_str(envelope.data.get()).ok());
    let mut text = received.at.to_utc().format("%H:%M:%S").to_string();
    if let Some(envelope) = &envelope {
        let _ = write!(text, "  {}", envelope.kind);
    }
    if let Some(data) = &data {
        let _ = write!(text, "  key {}", bare(data.key));
    }
    let _ = write!(text, "  {}\n  {}\n", trust_words(&received.trust), particulars(received, data.as_ref()));
    match (&envelope, &data) {
        (_, Some(data)) => text.push_str(&indent(&change(data))),
        (Some(envelope), None) => text.push_str(&indent(&pretty(envelope.data))),
        (None, None) => text.push_str(&indent(&body_text(&received.body))),
    }
    printable(&text)
}

fn trust_words(trust: &Trust) -> String {
    match trust {
        Trust::Verified => "verified".to_owned(),
        Trust::Unchecked => "not checked".to_owned(),
        Trust::Rejected(why) => format!("NOT VERIFIED: {why}"),
    }
}

fn particulars(received: &Received, data: Option<&Data<'_>>) -> String {
    let mut words = vec![received.header("webhook-id").unwrap_or("no webhook-id").to_owned()];
    words.extend(received.header("doorbell-attempt").map(|attempt| format!("attempt {attempt}")));
    words.extend(data.and_then(|data| data.sequence).map(|sequence| format!("sequence {sequence}")));
    words.push(format!("answered {}", received.answered.as_u16()));
    words.join(", ")
}

/// What changed; the whole item where there is nothing to compare.
fn change(data: &Data<'_>) -> String {
    match (data.before, data.after) {
        (Some(before), Some(_)) if !data.patch.is_empty() => {
            let lines: Vec<String> = data.patch.iter().map(|change| change_line(before, change)).collect();
            cut_lines(&lines.join("\n"))
        }
        (_, Some(item)) | (Some(item), None) => pretty(item),
        // A thin event: it says where, but not what.
        (None, None) => cut_lines(&data.changed.join("\n")),
    }
}

fn change_line(before: &RawValue, change: &Change<'_>) -> String {
    let path = if change.path.is_empty() { "/" } else { &change.path };
    match (at(before, &change.path), change.value) {
        (Some(old), Some(new)) => format!("{path}  {} → {}", short(old), short(new)),
        (None, Some(new)) => format!("{path}  + {}", short(new)),
        (Some(old), None) => format!("{path}  - {}", short(old)),
        (None, None) => path.to_owned(),
    }
}

/// The value at a JSON Pointer (RFC 6901).
fn at<'a>(document: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    pointer.split('/').skip(1).try_fold(document, |value, step| {
        let name = step.replace("~1", "/").replace("~0", "~");
        if value.get().starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            elements.get(name.parse::<usize>().ok()?).copied()
        } else {
            let members: HashMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
            members.get(&name).copied()
        }
    })
}

/// A key's text, without the quotes of a string.
fn bare(key: &RawValue) -> String {
    serde_json::from_str::<String>(key.get()).unwrap_or_else(|_| key.get().to_owned())
}

fn short(value: &RawValue) -> String {
    let text = value.get();
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn body_text(body: &[u8]) -> String {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => pretty(json),
        Err(_) => cut_lines(&String::from_utf8_lossy(body)),
    }
}

/// JSON over several lines, its values spelled as they came.
fn pretty(json: &RawValue) -> String {
    cut_lines(&indent_json(json.get()))
}

fn cut_lines(text: &str) -> String {
    let count = text.lines().count();
    if count <= LINES_MAX {
        return text.to_owned();
    }
    let kept: Vec<&str> = text.lines().take(LINES_MAX).collect();
    format!("{}\n… {} more lines", kept.join("\n"), count - LINES_MAX)
}

fn indent(text: &str) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "  {line}");
        out
    })
}

/// Nothing that came may steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// One line of JSON.
pub(crate) fn line(received: &Received) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        at: crate::core::time::Timestamp,
        id: Option<&'a str>,
        attempt: Option<u32>,
        /// `null` without a secret.
        verified: Option<bool>,
        reason: Option<String>,
        status: u16,
        body: Body<'a>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Body<'a> {
        Json(&'a RawValue),
        Text(String),
    }
    let (verified, reason) = match &received.trust {
        Trust::Verified => (Some(true), None),
        Trust::Unchecked => (None, None),
        Trust::Rejected(why) => (Some(false), Some(why.to_string())),
    };
    // White space between the tokens may hold line ends, and this is one line.
    let body = match serde_json::from_slice::<&RawValue>(&received.body) {
        Ok(json) if !json.get().contains(['\n', '\r']) => Body::Json(json),
        _ => Body::Text(String::from_utf8_lossy(&received.body).into_owned()),
    };
    let line = Line {
        at: received.at,
        id: received.header("webhook-id"),
        attempt: received.header("doorbell-attempt").and_then(|text| text.parse().ok()),
        verified,
        reason,
        status: received.answered.as_u16(),
        body,
    };
    serde_json::to_string(&line).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;
    use crate::core::sign::Rejection;
    use crate::core::time::Timestamp;

    fn received(body: &str, trust: Trust) -> Received {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
        headers.insert("doorbell-attempt", HeaderValue::from_static("2"));
        let body = Bytes::copy_from_slice(body.as_bytes());
        Received { at: Timestamp(1_700_000_000_000), headers, body, trust, answered: StatusCode::OK }
    }

    #[test]
    fn a_batch_is_shown_event_by_event() {
        let event = |key: &str| {
            format!(r#"{{"type":"orders.created","data":{{"key":"{key}","after":{{"v":1.10}},"sequence":1}}}}"#)
        };
        let mut received = received(&format!("[{},{}]", event("1"), event("2")), Trust::Verified);
        received.headers.insert("webhook-id", HeaderValue::from_static("bat_1"));
        let text = block(&received);
        assert!(text.starts_with("22:13:20  a batch of 2  verified\n  bat_1, attempt 2, answered 200\n"), "{text}");
        assert_eq!(text.matches("orders.created  key").count(), 2, "{text}");
        assert!(text.contains("\"v\": 1.10"), "{text}");
    }

    #[test]
    fn an_update_is_shown_by_what_changed_with_the_vendors_digits() {
        let body = r#"{"type":"orders.updated","timestamp":"t","data":{"job":"orders","key":"12","change":"updated",
            "before":{"total":10.10,"a/b":[1,{"x":null}]},"after":{"total":10.20,"new":9007199254740993},
            "changed":[],"patch":[{"op":"replace","path":"/total","value":10.20},{"op":"remove","path":"/a~1b/1/x"},
            {"op":"add","path":"/new","value":9007199254740993},{"op":"replace","path":"/a~1b/0","value":null}],"sequence":42}}"#;
        assert_eq!(
            block(&received(body, Trust::Verified)),
            "22:13:20  orders.updated  key 12  verified\n  \
               evt_1, attempt 2, sequence 42, answered 200\n  \
               /total  10.10 → 10.20\n  \
               /a~1b/1/x  - null\n  \
               /new  + 9007199254740993\n  \
               /a~1b/0  - 1\n"
        );
    }

    #[test]
    fn a_new_item_is_shown_whole() {
        let body = r#"{"type":"o.created","data":{"key":["a",1],"before":null,"after":{"id":1.0,"t":[ ],"s":"a{\"b"},"sequence":1}}"#;
        let shown = block(&received(body, Trust::Unchecked));
        assert_eq!(
            shown,
            "22:13:20  o.created  key [\"a\",1]  not checked\n  evt_1, attempt 2, sequence 1, answered 200\n  \
             {\n    \"id\": 1.0,\n    \"t\": [],\n    \"s\": \"a{\\\"b\"\n  }\n"
        );
    }

    #[test]
    fn a_thin_event_is_shown_by_where_it_changed() {
        let body = r#"{"type":"o.updated","data":{"key":"1","changed":["/a","/b/0"],"sequence":2}}"#;
        let shown = block(&received(body, Trust::Verified));
        assert!(shown.ends_with("sequence 2, answered 200\n  /a\n  /b/0\n"), "{shown}");
    }

    #[test]
    fn any_body_is_shown_and_none_steers_the_terminal() {
        for (body, expected) in [
            ("hello\nyou", "  hello\n  you\n"),
            ("[1.50]", "  [\n    1.50\n  ]\n"),
            ("{\"type\":\"x\",\"data\":7}", "  7\n"),
            ("\u{1b}[2J", "  \u{fffd}[2J\n"),
            ("\"\u{9b}2J\"", "  \"\u{fffd}2J\"\n"),
            ("", ""),
        ] {
            let shown = block(&received(body, Trust::Rejected(Rejection::Mismatch)));
            assert!(shown.ends_with(&format!("answered 200\n{expected}")), "{shown:?}");
            assert!(shown.contains("NOT VERIFIED: the signature does not fit"));
        }
    }

    #[test]
    fn a_long_body_is_cut() {
        let shown = block(&received(&"x\n".repeat(1000), Trust::Unchecked));
        assert!(shown.ends_with("  … 960 more lines\n"));
        assert!(shown.lines().count() < 50);
    }

    #[test]
    fn a_line_is_one_json_object_with_the_body_as_it_came() {
        assert_eq!(
            line(&received("{\"a\":1.10}", Trust::Verified)),
            r#"{"at":"2023-11-14T22:13:20.000Z","id":"evt_1","attempt":2,"verified":true,"reason":null,"status":200,"body":{"a":1.10}}"#
        );
        let shown = line(&received("{\n}", Trust::Rejected(Rejection::Mismatch)));
        assert!(shown.contains(r#""verified":false"#) && shown.ends_with(r#""body":"{\n}"}"#), "{shown}");
    }
}
