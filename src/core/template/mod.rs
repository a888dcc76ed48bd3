//! templates
use crate::core::json::Json;
use crate::core::path::Complaint;
use crate::core::secret::{Masked, Secret};
/// The values a template sees: top-level name to document.
pub type Names<'a> = [(&'a str, &'a Json)];
/// A text with `{{ expressions }}`.
#[derive(Clone, Debug)]
pub struct Template {}
impl Template {
    /// Compiles; `names` are the top-level names there are.
    pub fn compile(_source: &str, _names: &[&str]) -> Result<Self, Complaint> {
        todo!()
    }
    /// Renders to text.
    pub fn render(&self, _names: &Names<'_>) -> Result<String, String> {
        todo!()
    }
    /// Renders to a value: a template that is one whole expression keeps its type (and, when it is a plain path, the vendor's digits); any other is a string.
    pub fn value(&self, _names: &Names<'_>) -> Result<Json, String> {
        todo!()
    }
}
/// A bare expression that decides.
#[derive(Clone, Debug)]
pub struct Condition {}
impl Condition {
    /// Compiles.
    pub fn compile(_source: &str, _names: &[&str]) -> Result<Self, Complaint> {
        todo!()
    }
    /// Decides; the error is a sentence.
    pub fn holds(&self, _names: &Names<'_>) -> Result<bool, String> {
        todo!()
    }
}
/// A template in which secrets stand too. The template is compiled before the secrets are put in.
#[derive(Clone, Debug)]
pub struct Text {}
/// A part of a text before it is compiled.
#[derive(Clone, Debug)]
pub enum Part {
    /// as written, may hold template syntax
    Plain(String),
    /// what a `${…}` yielded
    Secret(Secret),
}
impl Text {
    /// Compiles.
    pub fn compile(_parts: &[Part], _names: &[&str]) -> Result<Self, Complaint> {
        todo!()
    }
    /// Renders as text. `None` when the text is one whole expression that yields none: the member is left out.
    pub fn render(&self, _names: &Names<'_>) -> Result<Option<Masked>, String> {
        todo!()
    }
    /// Renders as (part of) a URL: what an expression yields is percent-encoded as one segment or value.
    pub fn render_url(&self, _names: &Names<'_>) -> Result<Masked, String> {
        todo!()
    }
}
/// A JSON tree whose strings are templates.
#[derive(Clone, Debug)]
pub enum JsonTemplate {
    /// a string
    Text(Text),
    /// any other scalar
    Literal(Json),
    /// array
    Array(Vec<JsonTemplate>),
    /// object
    Object(Vec<(String, JsonTemplate)>),
}
impl JsonTemplate {
    /// Renders; members that are one whole expression yielding none are left out.
    pub fn render(&self, _names: &Names<'_>) -> Result<Masked, String> {
        todo!()
    }
}
