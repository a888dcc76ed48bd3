//! The canonical form: what two documents with the same value have in common, whatever their spelling.
//!
//! It is an encoding to be hashed, not a text to be read (and not RFC 8785, which would put floats in between).

use super::{Json, Number};
use crate::core::names::Digest;

/// The digest of a document's value: members by name, numbers by value, strings by their characters.
pub fn canonical_digest(json: &Json) -> Digest {
    let mut encoder = Encoder::default();
    encoder.value(json);
    encoder.finish()
}

/// Are two documents the same value? `1.0` is `1`, and the order of members does not count.
pub fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Null, Json::Null) => true,
        (Json::Bool(a), Json::Bool(b)) => a == b,
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Number(a), Json::Number(b)) => a == b || a.compare(b).is_eq(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && by_name(a).iter().zip(by_name(b)).all(|(a, b)| a.0 == b.0 && equal(&a.1, &b.1))
        }
        _ => false,
    }
}

/// An object's members, sorted by name.
fn by_name(members: &[(String, Json)]) -> Vec<&(String, Json)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    sorted
}

/// Streams an encoding in which no value is the beginning of another into a hash.
#[derive(Default)]
pub(in crate::core) struct Encoder {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

/// The hash works on whole kibibytes best; smaller pieces are gathered first.
const GATHER: usize = 4096;

impl Encoder {
    /// A whole value.
    pub(in crate::core) fn value(&mut self, json: &Json) {
        match json {
            Json::Null => self.put(b"n"),
            Json::Bool(true) => self.put(b"t"),
            Json::Bool(false) => self.put(b"f"),
            Json::Number(number) => self.number(number),
            Json::String(text) => {
                self.put(b"s");
                self.text(text);
            }
            Json::Array(elements) => {
                self.array(elements.len());
                for element in elements {
                    self.value(element);
                }
            }
            Json::Object(members) => {
                self.object(members.len());
                for (name, value) in by_name(members) {
                    self.text(name);
                    self.value(value);
                }
            }
        }
    }

    /// The beginning of an array of `count` elements; they follow.
    pub(in crate::core) fn array(&mut self, count: usize) {
        self.put(b"a");
        self.count(count);
    }

    /// The beginning of an object of `count` members; they follow, sorted by name, each name as [`Encoder::text`].
    pub(in crate::core) fn object(&mut self, count: usize) {
        self.put(b"o");
        self.count(count);
    }

    /// A name, or any other text, with its length.
    pub(in crate::core) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.put(text.as_bytes());
    }

    /// Some bytes without their length.
    pub(in crate::core) fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= GATHER {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// The digest of all that was put in.
    pub(in crate::core) fn finish(mut self) -> Digest {
        self.hasher.update(&self.buffer);
        Digest::from_hash(self.hasher.finalize())
    }

    /// One byte for a small count, which nearly all are.
    fn count(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(small) if small < u8::MAX => self.put(&[small]),
            _ => {
                self.put(&[u8::MAX]);
                self.put(&(count as u64).to_le_bytes());
            }
        }
    }

    fn number(&mut self, number: &Number) {
        let decimal = number.decimal();
        self.put(if decimal.negative { b"-" } else { b"+" });
        match i8::try_from(decimal.scale) {
            Ok(small) if small > i8::MIN => self.put(&small.to_le_bytes()),
            _ => {
                self.put(&i8::MIN.to_le_bytes());
                self.put(&decimal.scale.to_le_bytes());
            }
        }
        self.text(decimal.far);
        self.count(decimal.head.len() + decimal.tail.len());
        self.put(decimal.head.as_bytes());
        self.put(decimal.tail.as_bytes());
    }
}
