//! From an answer to one JSON document, whatever the vendor speaks: json, ndjson, csv, xml, feeds, text.
//!
//! What comes out is read like any JSON body. Values stay as they were written: where a format has only text, nothing
//! is guessed into a number or a date. Nothing here finds items or asks what changed.

mod broken;
mod charset;
mod csv;
mod feed;
mod media;
mod ndjson;
mod pieces;
mod text;
mod xml;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::broken::Broken;
use self::media::Media;
pub use self::pieces::{Pieces, Take};
use crate::core::job::Job;
use crate::core::outcome::{Failure, FailureKind};

/// How deep elements of XML may nest. Each is at most two levels of JSON (an array of objects), which must stay below
/// [`crate::core::json::DEPTH_MAX`].
pub const XML_DEPTH_MAX: usize = 60;

/// The most different names (attributes, children) in one element of XML, and of columns in a row of CSV: far beyond
/// what a person names in a query, and what bounds the memory that a name costs beside its bytes.
pub const NAMES_MAX: usize = 10_000;

/// The most attributes of one element of XML: each is held against the others to see a name that stands twice.
pub const ATTRIBUTES_MAX: usize = 256;

/// How many times larger than the body the rows of a CSV may become by the names of their columns, once they are above
/// [`GROWTH_FREE`].
pub const GROWTH_MAX: usize = 8;

/// Bytes that rows of CSV may become whatever the size of the body.
pub const GROWTH_FREE: usize = 64 * 1024 * 1024;

/// What an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// What its Content-Type says, or what it looks like.
    #[default]
    Auto,
    /// JSON, as it is.
    Json,
    /// A JSON document on each line.
    Ndjson,
    /// Rows of text.
    Csv,
    /// XML.
    Xml,
    /// RSS, Atom or JSON Feed.
    Feed,
    /// One text.
    Text,
}

impl Format {
    /// The words of the config.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("auto", Self::Auto),
        ("json", Self::Json),
        ("ndjson", Self::Ndjson),
        ("csv", Self::Csv),
        ("xml", Self::Xml),
        ("feed", Self::Feed),
        ("text", Self::Text),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, format)| *format == self).map_or("auto", |(word, _)| word)
    }

    /// How a sentence calls it.
    fn spoken(self) -> &'static str {
        match self {
            Self::Auto | Self::Json => "JSON",
            Self::Ndjson => "NDJSON",
            Self::Csv => "CSV",
            Self::Xml => "XML",
            Self::Feed => "feed",
            Self::Text => "text",
        }
    }

    /// What to ask the vendor for, where the job names no `Accept`; `None` for what JSON's own default covers.
    pub fn accept(self) -> Option<&'static str> {
        match self {
            Self::Auto | Self::Json => None,
            Self::Ndjson => Some("application/x-ndjson, application/jsonl, */*;q=0.5"),
            Self::Csv => Some("text/csv, text/tab-separated-values;q=0.9, */*;q=0.5"),
            Self::Xml => Some("application/xml, text/xml;q=0.9, */*;q=0.5"),
            Self::Feed => Some("application/atom+xml, application/rss+xml, application/feed+json, */*;q=0.5"),
            Self::Text => Some("text/plain, */*;q=0.5"),
        }
    }
}

/// How a job's answers become documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentSpec {
    /// What they are.
    pub format: Format,
    /// How rows of CSV are read.
    pub csv: CsvSpec,
    /// Elements of XML that are an array however often they stand there, as they are written (with their prefix).
    pub arrays: Vec<String>,
}

impl DocumentSpec {
    /// What of it decides which items there are, for a job's fingerprint; nothing for JSON as it is by default.
    pub fn fingerprint(&self) -> Option<String> {
        (*self != Self::default()).then(|| format!("{} {:?} {:?}", self.format.as_str(), self.csv, self.arrays))
    }
}

/// How rows of CSV are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvSpec {
    /// What stands between fields: one ASCII character. `None`: a comma, or a tab where the vendor says that.
    pub delimiter: Option<u8>,
    /// Is the first row the columns' names? Without, a row is an array.
    pub header: bool,
}

impl Default for CsvSpec {
    fn default() -> Self {
        Self { delimiter: None, header: true }
    }
}

/// What an answer is, as far as its type and its first bytes tell.
pub fn format_of(content_type: Option<&str>, body: &[u8]) -> Format {
    Media::parse(content_type.unwrap_or_default()).format(body)
}

/// What stands between the fields of a CSV answer, as `delimiter` takes it; `None` where nothing needs to be said.
pub fn delimiter_of(content_type: Option<&str>, body: &[u8]) -> Option<&'static str> {
    let media = Media::parse(content_type.unwrap_or_default());
    let text = charset::decode(body, media.charset.as_deref()).ok()?;
    csv::delimiter(&text, media.is_tabbed())
}

/// Makes an answer one JSON document. JSON is passed on as it came, unchecked: whoever reads it checks it.
///
/// # Errors
/// [`FailureKind::Malformed`], with a sentence that says what is wrong and on which line.
pub fn to_json(job: &Job, content_type: Option<&str>, body: Bytes) -> Result<Bytes, Failure> {
    convert(&job.document, job.empty, content_type, body)
}

fn convert(spec: &DocumentSpec, empty: bool, content_type: Option<&str>, body: Bytes) -> Result<Bytes, Failure> {
    let media = Media::parse(content_type.unwrap_or_default());
    let format = match spec.format {
        Format::Auto => media.format(&body),
        told => told,
    };
    media.contradicts(format, &body).map_or(Ok(()), |what| Err(refused(format, &what)))?;
    let charset = media.charset.as_deref();
    let document = match format {
        Format::Auto | Format::Json => return charset::json(body, charset).map_err(|broken| explain(format, &broken)),
        Format::Ndjson => charset::decode(&body, charset).and_then(|text| ndjson::to_json(&text)),
        Format::Csv => {
            charset::decode(&body, charset).and_then(|text| csv::to_json(&text, &spec.csv, media.is_tabbed(), empty))
        }
        Format::Xml => charset::decode_xml(&body, charset).and_then(|text| xml::to_json(&text, &spec.arrays)),
        Format::Feed => charset::decode_xml(&body, charset).and_then(|text| feed::to_json(&text)),
        Format::Text => charset::decode(&body, charset).map(|text| text::to_json(&text)),
    };
    match document {
        Ok(document) => Ok(Bytes::from(document)),
        Err(broken) => Err(match media::html_in(&body) {
            Some(begins) => refused(format, &format!("it is HTML and begins with `{begins}`")),
            None => explain(format, &broken),
        }),
    }
}

/// The answer is not at all what it should be.
fn refused(format: Format, what: &str) -> Failure {
    let word = format.spoken();
    let hint = "is the URL that of the data, and are the credentials right?";
    Failure::new(FailureKind::Malformed, format!("the answer is no {word}: {what}; hint: {hint}"))
}

/// Something in the answer is not as its format has it.
fn explain(format: Format, broken: &Broken) -> Failure {
    Failure::new(FailureKind::Malformed, format!("the answer is no {} we can take: {broken}", format.spoken()))
}
