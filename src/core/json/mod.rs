//! JSON documents that keep the vendor's digits: a value tree, a parser, a scanner that splits lists without
//! building trees, and a canonical form.
//!
//! No `f64` stands between the vendor's bytes and the webhook's.

mod canonical;
mod number;
mod parse;
mod scan;

pub use canonical::{canonical_digest, equal};
pub use number::Number;
pub use parse::{JsonError, parse};
pub use scan::{Split, split};

/// How deep arrays and objects may nest, in a body, a list or an item.
pub const DEPTH_MAX: usize = 128;

/// A JSON value (RFC 8259) whose numbers are kept as they were written and whose members keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, in its own spelling.
    Number(Number),
    /// A string, its escapes resolved.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object. No name occurs twice: the parser refuses such a document.
    Object(Vec<(String, Json)>),
}
