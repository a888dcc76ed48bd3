//! Bytes to a tree: strict RFC 8259, with a cap on depth and no name twice in an object.
//!
//! It guesses nothing: what is not JSON is an error that says where and why.

use std::collections::HashSet;

use super::lex::Cursor;
use super::{DEPTH_MAX, Json, Number};

/// Why some bytes are not a document we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// What is wrong there; ` at byte N` completes the sentence.
    pub what: String,
}

/// Parses one document. A byte order mark before it is passed over; half of an escaped surrogate pair becomes U+FFFD.
///
/// # Errors
/// What is not UTF-8, not JSON, cut off, followed by something else, nested deeper than [`DEPTH_MAX`], or has an object
/// in which a name stands twice.
pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
    let mut cursor = Cursor::new(text)?;
    if cursor.space().is_none() {
        return Err(JsonError { at: cursor.at(), what: "expected a value, but there is no text".to_owned() });
    }
    let json = value(&mut cursor, 0)?;
    cursor.end()?;
    Ok(json)
}

/// A value inside `depth` brackets.
fn value(cursor: &mut Cursor<'_>, depth: usize) -> Result<Json, JsonError> {
    match cursor.space() {
        Some(b'{') => object(cursor, depth),
        Some(b'[') => array(cursor, depth),
        Some(b'"') => Ok(Json::String(cursor.string()?.text().into_owned())),
        Some(b'-' | b'0'..=b'9') => Ok(Json::Number(Number::trusted(cursor.number()?))),
        Some(b't') => cursor.word("true").map(|()| Json::Bool(true)),
        Some(b'f') => cursor.word("false").map(|()| Json::Bool(false)),
        Some(b'n') => cursor.word("null").map(|()| Json::Null),
        _ => Err(cursor.unexpected("a value")),
    }
}

fn array(cursor: &mut Cursor<'_>, depth: usize) -> Result<Json, JsonError> {
    if depth >= DEPTH_MAX {
        return Err(cursor.too_deep());
    }
    cursor.take();
    let mut elements = Vec::new();
    if cursor.space() == Some(b']') {
        cursor.take();
        return Ok(Json::Array(elements));
    }
    loop {
        elements.push(value(cursor, depth + 1)?);
        match cursor.space() {
            Some(b',') => cursor.take(),
            Some(b']') => break,
            _ => return Err(cursor.unexpected("a `,` or `]`")),
        }
    }
    cursor.take();
    Ok(Json::Array(elements))
}

fn object(cursor: &mut Cursor<'_>, depth: usize) -> Result<Json, JsonError> {
    if depth >= DEPTH_MAX {
        return Err(cursor.too_deep());
    }
    let start = cursor.at();
    cursor.take();
    let mut members = Vec::new();
    if cursor.space() == Some(b'}') {
        cursor.take();
        return Ok(Json::Object(members));
    }
    loop {
        let name = cursor.name()?.text().into_owned();
        members.push((name, value(cursor, depth + 1)?));
        match cursor.space() {
            Some(b',') => cursor.take(),
            Some(b'}') => break,
            _ => return Err(cursor.unexpected("a `,` or `}`")),
        }
    }
    cursor.take();
    match twice(&members) {
        Some(name) => Err(name_twice(name, start)),
        None => Ok(Json::Object(members)),
    }
}

/// The error for a name that stands twice in the object that begins at `at`.
pub(super) fn name_twice(name: &str, at: usize) -> JsonError {
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    JsonError { at, what: format!("the member `{name}` stands twice in the object that begins") }
}

/// The first name that stands twice.
fn twice(members: &[(String, Json)]) -> Option<&str> {
    /// Up to here comparing each with each is faster than hashing.
    const FEW: usize = 12;
    if members.len() <= FEW {
        let repeated = |(at, (name, _)): (usize, &(String, Json))| members[..at].iter().any(|(other, _)| other == name);
        return (0..members.len()).find(|&at| repeated((at, &members[at]))).map(|at| members[at].0.as_str());
    }
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
}
