//! JSONPath (RFC 9535): compiled at load, pure to run.
//!
//! The grammar is that of the `jsonpath-rust` crate. Evaluation is our own, because a filter must not see floats
//! (two 64-bit ids are not equal because their floats are). A query never changes a document.

mod compile;
mod eval;
mod lint;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::core::json::{Json, push_token};
use compile::{Segment, Selector};

/// How long a query may be, in bytes: far beyond what a person writes, far below what makes a parser slow.
pub const PATH_MAX: usize = 2048;

/// One step of a query that needs no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.name`
    Member(String),
    /// `[0]`
    Index(usize),
    /// `[*]`
    All,
}

/// A compiled query. Clones share what was compiled.
#[derive(Clone, Debug)]
pub struct JsonPath(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: Box<str>,
    segments: Vec<Segment>,
    plain: Option<Vec<Step>>,
    container: Option<JsonPath>,
}

/// Equal as written.
impl PartialEq for JsonPath {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for JsonPath {}

/// One step to a place in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::core) enum Token<'a> {
    /// To an element of an array.
    Index(usize),
    /// To a member of an object.
    Name(&'a str),
}

impl JsonPath {
    /// Compiles a query.
    ///
    /// # Errors
    /// What is not a query of RFC 9535, and what is one but can never find anything: the complaint says what to type.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        lint::check(text)?;
        let segments = compile::compile(text)?;
        let container = match segments.split_last() {
            Some((Segment::Child(last), rest))
                if matches!(last.as_slice(), [Selector::Wildcard | Selector::Filter(_)]) =>
            {
                let text = text[..lint::last_segment(text)].trim_end();
                Some(Self::of(text, rest.to_vec(), None))
            }
            _ => None,
        };
        Ok(Self::of(text, segments, container))
    }

    fn of(text: &str, segments: Vec<Segment>, container: Option<Self>) -> Self {
        Self(Arc::new(Compiled { text: text.into(), plain: plain(&segments), segments, container }))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The steps, for a query of plain names, non-negative indexes and a `[*]` at most at its end.
    pub fn plain_steps(&self) -> Option<&[Step]> {
        self.0.plain.as_deref()
    }

    /// What the query finds, in document order.
    pub fn select<'a>(&self, document: &'a Json) -> Vec<&'a Json> {
        eval::select(&self.0.segments, document)
    }

    /// Where it finds it: JSON Pointers (RFC 6901).
    pub fn locate(&self, document: &Json) -> Vec<String> {
        self.ways(document).iter().map(|way| pointer(way)).collect()
    }

    /// Where it finds it, step by step.
    pub(in crate::core) fn ways<'a>(&self, document: &'a Json) -> Vec<Vec<Token<'a>>> {
        eval::locate(&self.0.segments, document)
    }

    /// The query without its last segment, where that is `[*]` or a filter.
    pub fn container(&self) -> Option<&Self> {
        self.0.container.as_ref()
    }
}

/// A way as a JSON Pointer.
fn pointer(way: &[Token<'_>]) -> String {
    let mut pointer = String::new();
    for token in way {
        match token {
            Token::Name(name) => push_token(&mut pointer, name),
            Token::Index(index) => push_token(&mut pointer, &index.to_string()),
        }
    }
    pointer
}

fn plain(segments: &[Segment]) -> Option<Vec<Step>> {
    let step = |(at, segment): (usize, &Segment)| match segment {
        Segment::Child(selectors) => match selectors.as_slice() {
            [Selector::Name(name)] => Some(Step::Member(name.clone())),
            [Selector::Index(index)] => Some(Step::Index(usize::try_from(*index).ok()?)),
            [Selector::Wildcard] if at + 1 == segments.len() => Some(Step::All),
            _ => None,
        },
        Segment::Descendant(_) => None,
    };
    segments.iter().enumerate().map(step).collect()
}

/// What is wrong with a piece of the config, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What we got and why not: lower case, the user's words in backticks, no full stop.
    pub problem: String,
    /// What to type.
    pub hint: Option<String>,
    /// Which part of the text, in bytes, where that is known.
    pub span: Option<Range<usize>>,
}

impl Complaint {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None, span: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}
