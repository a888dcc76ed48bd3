//! numbers
/// A number in its own spelling.
#[derive(Clone, Debug, PartialEq)]
pub struct Number(Box<str>);
