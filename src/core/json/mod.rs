//! JSON documents that keep the vendor's digits: a value tree, a parser, a scanner that splits lists without
//! building trees, a canonical form, and a writer.
//!
//! No `f64` stands between the vendor's bytes and the webhook's.

mod canonical;
mod lex;
mod number;
mod parse;
mod pointer;
mod scan;
mod stream;
mod within;
mod write;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub(in crate::core) use canonical::Encoder;
pub use canonical::{canonical_digest, equal};
pub use number::Number;
pub use parse::{JsonError, parse};
pub use pointer::push_token;
pub(in crate::core) use pointer::{pointer_index, pointer_tokens};
pub use scan::{Split, pick, split, split_keyed};
pub use stream::Splitter;
pub(in crate::core) use write::push_string;

/// How deep arrays and objects may nest, in a body, a list or an item.
pub const DEPTH_MAX: usize = 128;

/// A JSON value (RFC 8259) whose numbers are kept as they were written and whose members keep their order.
///
/// `==` compares as written: members in order, numbers by spelling. [`equal`] compares by value.
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

impl Json {
    /// An object of these members, in this order. The names must differ.
    pub fn object<N: Into<String>, V: Into<Self>>(members: impl IntoIterator<Item = (N, V)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// An array of these elements.
    pub fn array<V: Into<Self>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }

    /// The member of an object with this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value of `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, where it is one.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members of an object, in their own order.
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it is, in words that fit into a sentence: `an object`, `null`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(Number::from(value))
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(Number::from(value))
    }
}

impl From<Number> for Json {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<Json>> for Json {
    fn from(elements: Vec<Json>) -> Self {
        Self::Array(elements)
    }
}

/// `None` is `null`.
impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
