//! What an answer is, by its Content-Type (RFC 9110, section 8.3) and, where that says little, by its first bytes.

use super::Format;
use super::broken::quote;

/// Bytes that are looked at to see what a body is.
const LOOK_MAX: usize = 512;

/// A Content-Type, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Media {
    /// `type/subtype` in lower case; empty where there is none.
    essence: String,
    /// Its `charset`.
    pub(super) charset: Option<String>,
}

impl Media {
    pub(super) fn parse(content_type: &str) -> Self {
        let mut parts = content_type.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            let value = value.trim().trim_matches('"').trim();
            (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then(|| value.to_owned())
        });
        Self { essence, charset }
    }

    /// Are its fields set apart by tabs?
    pub(super) fn is_tabbed(&self) -> bool {
        self.essence == "text/tab-separated-values"
    }

    /// What an answer of this type is. Where the type says nothing of use, its first bytes do; in doubt it is JSON, so
    /// that an error page is told as what it is.
    pub(super) fn format(&self, body: &[u8]) -> Format {
        let first = first_byte(body);
        match self.named() {
            // No XML begins so, and JSON under a wrong name is common.
            Some(Format::Xml | Format::Text) if matches!(first, Some(b'{' | b'[')) => Format::Json,
            Some(format) => format,
            None if beginning(body).starts_with("<?xml") => Format::Xml,
            None => Format::Json,
        }
    }

    /// What the type names.
    fn named(&self) -> Option<Format> {
        match self.essence.as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "text/x-ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "text/jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/json-lines"
            | "application/stream+json" => Some(Format::Ndjson),
            "text/csv"
            | "application/csv"
            | "text/x-csv"
            | "application/x-csv"
            | "text/comma-separated-values"
            | "text/tab-separated-values" => Some(Format::Csv),
            "application/rss+xml" | "application/atom+xml" | "application/feed+json" => Some(Format::Feed),
            "application/xhtml+xml" => None,
            "application/xml" | "text/xml" => Some(Format::Xml),
            "text/plain" => Some(Format::Text),
            other if other.ends_with("+xml") => Some(Format::Xml),
            _ => None,
        }
    }

    /// What an answer is instead of what the job says it is, where it can't be both. An error in JSON or HTML would
    /// else be read as the header of a CSV without rows: an empty list.
    pub(super) fn contradicts(&self, told: Format, body: &[u8]) -> Option<String> {
        if !matches!(told, Format::Csv | Format::Ndjson) {
            return None;
        }
        if let Some(begins) = html_in(body) {
            return Some(format!("it is HTML and begins with `{begins}`"));
        }
        let is_json = self.essence == "application/json" || self.essence.ends_with("+json");
        let begins = beginning(body);
        let object = told == Format::Csv && is_json && begins.starts_with(['{', '[']);
        let xml = begins.starts_with("<?xml");
        (object || xml)
            .then(|| format!("its Content-Type is `{}` and it begins with `{}`", self.essence, quote(&begins)))
    }
}

/// The beginning of a body that is HTML, fit for a sentence.
pub(super) fn html_in(body: &[u8]) -> Option<String> {
    let begins = beginning(body);
    let lower = begins.to_ascii_lowercase();
    let is_html = lower.starts_with("<!doctype html") || (lower.starts_with('<') && lower.contains("<html"));
    is_html.then(|| quote(&begins))
}

/// The beginning of a body as text, without white space and a byte order mark before it.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(LOOK_MAX)]);
    text.trim_start_matches('\u{feff}').trim_start().to_owned()
}

fn first_byte(body: &[u8]) -> Option<u8> {
    beginning(body).bytes().next()
}
