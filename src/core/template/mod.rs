//! Jinja in a config: text with `{{ expressions }}`, bare conditions, and JSON whose strings are templates.
//!
//! All is compiled when the config is loaded; an unknown name is a complaint then. What is missing in a document is
//! none, and never an error; text against a number in order is one. A plain path puts out the document's own digits.
//! Evaluation is bounded in steps and in size. Nothing here reads a clock, a file or the environment.

mod block;
mod compile;
mod engine;
mod filters;
mod lower;
mod ops;
mod place;
mod program;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod value;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::core::json::Json;
use crate::core::path::Complaint;
use crate::core::secret::Secret;

use compile::Piece;
use source::Source;

pub use text::Text;
pub use tree::JsonTemplate;

/// Bytes that one template may render to: four times the largest event.
const OUTPUT_MAX: usize = 4 << 20;

/// Everything but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The values a template sees: top-level name to document.
pub type Names<'a> = [(&'a str, &'a Json)];

/// A part of a text before it is compiled.
#[derive(Clone, Debug)]
pub enum Part {
    /// As written; may hold template syntax.
    Plain(String),
    /// What a `${…}` yielded.
    Secret {
        /// The value.
        value: Secret,
        /// What stood in the braces, such as `env:TOKEN`.
        reference: String,
    },
}

/// What is rendered: what is sent, or what may be shown of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sent,
    Shown,
}

/// A text with `{{ expressions }}` and without secrets.
#[derive(Clone, Debug)]
pub struct Template(Text);

impl Template {
    /// Compiles; `names` are the top-level names there are.
    pub fn compile(source: &str, names: &[&str]) -> Result<Self, Complaint> {
        Text::compile(&[Part::Plain(source.to_owned())], names).map(Self)
    }

    /// Renders to text; nothing where one whole expression yields none. The error is a sentence.
    pub fn render(&self, names: &Names<'_>) -> Result<String, String> {
        Ok(self.0.value(names, Side::Sent)?.map_or_else(String::new, |value| value::show(&value)))
    }

    /// Renders to a value: a template that is one whole expression keeps its type (and, when it is a plain path, the
    /// vendor's digits); any other is a string. The error is a sentence.
    pub fn value(&self, names: &Names<'_>) -> Result<Json, String> {
        Ok(self.0.value(names, Side::Sent)?.unwrap_or(Json::Null))
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        self.0.source()
    }
}

/// A bare expression that decides.
#[derive(Clone, Debug)]
pub struct Condition {
    test: Piece,
    source: Box<str>,
}

impl Condition {
    /// Compiles; `names` are the top-level names there are.
    pub fn compile(source: &str, names: &[&str]) -> Result<Self, Complaint> {
        Self::compile_parts(&[Part::Plain(source.to_owned())], names)
    }

    /// Compiles an expression in whose quoted texts secrets may stand.
    pub fn compile_parts(parts: &[Part], names: &[&str]) -> Result<Self, Complaint> {
        let source = Source::new(parts)?;
        if source.text.trim_start().starts_with("{{") || source.text.trim_start().starts_with("{%") {
            return Err(Complaint {
                problem: format!("`{}` is a template, not a bare expression", source.excerpt()),
                hint: Some("write it without `{{` and `}}`, as in \"after.status == 'paid'\"".to_owned()),
                span: None,
            });
        }
        Ok(Self { test: compile::condition(&source, names)?, source: source.written().into() })
    }

    /// Decides: true unless the expression yields none, false, zero or something empty. The error is a sentence.
    pub fn holds(&self, names: &Names<'_>) -> Result<bool, String> {
        match &self.test {
            Piece::Place(place) => Ok(ops::is_true(place.find(names))),
            Piece::Program(program) => program.run(names, Side::Sent).map(|value| value.is_true()),
            Piece::Raw(_) | Piece::Secret(_) => Ok(false),
        }
    }

    /// As it was written, secrets as their references.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// One segment of a path, or one value of a query.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}
