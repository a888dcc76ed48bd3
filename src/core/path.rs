//! JSONPath (RFC 9535): compiled at load, pure to run.
use crate::core::json::Json;
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
/// A compiled query.
#[derive(Clone, Debug)]
pub struct JsonPath {
    text: String,
}
impl JsonPath {
    /// Compiles; the error is a sentence and a hint.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let _ = text;
        todo!()
    }
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The steps, for a query of plain names, non-negative indexes and a `[*]` at most at its end.
    pub fn plain_steps(&self) -> Option<&[Step]> {
        todo!()
    }
    /// What the query finds, in document order.
    pub fn select<'a>(&self, _document: &'a Json) -> Vec<&'a Json> {
        todo!()
    }
    /// Where it finds it: JSON Pointers (RFC 6901).
    pub fn locate(&self, _document: &Json) -> Vec<String> {
        todo!()
    }
    /// The query without its last segment, where that is `[*]` or a filter.
    pub fn container(&self) -> Option<&JsonPath> {
        todo!()
    }
}
/// What is wrong with a piece of the config, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What we got and why not: lower case, the user's words in backticks, no full stop.
    pub problem: String,
    /// What to type.
    pub hint: Option<String>,
    /// Which part of the text, in bytes, where that is known.
    pub span: Option<std::ops::Range<usize>>,
}
