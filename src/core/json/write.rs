//! Trees to bytes: compact, members in their order, numbers in their spelling.
//!
//! It does not pretty-print.

use std::fmt;

use super::{Json, lex};

/// Where the pieces of a text go.
trait Out {
    fn put(&mut self, text: &str) -> fmt::Result;
}

impl Out for Vec<u8> {
    fn put(&mut self, text: &str) -> fmt::Result {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Out for fmt::Formatter<'_> {
    fn put(&mut self, text: &str) -> fmt::Result {
        self.write_str(text)
    }
}

/// Counts bytes.
impl Out for usize {
    fn put(&mut self, text: &str) -> fmt::Result {
        *self += text.len();
        Ok(())
    }
}

impl Json {
    /// Appends the document as compact JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        // A `Vec` takes everything.
        let _ = value(self, out);
    }

    /// The document as compact JSON text.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// How many bytes [`Json::write`] would append.
    pub fn written_len(&self) -> usize {
        let mut count = 0;
        // A counter takes everything.
        let _ = value(self, &mut count);
        count
    }
}

/// Appends a text as a JSON string.
pub(in crate::core) fn push_string(text: &str, out: &mut Vec<u8>) {
    // A `Vec` takes everything.
    let _ = string(text, out);
}

/// Compact JSON text.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        value(self, f)
    }
}

fn value(json: &Json, out: &mut impl Out) -> fmt::Result {
    match json {
        Json::Null => out.put("null"),
        Json::Bool(true) => out.put("true"),
        Json::Bool(false) => out.put("false"),
        Json::Number(number) => out.put(number.as_str()),
        Json::String(text) => string(text, out),
        Json::Array(elements) => array(elements, out),
        Json::Object(members) => object(members, out),
    }
}

fn array(elements: &[Json], out: &mut impl Out) -> fmt::Result {
    out.put("[")?;
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.put(",")?;
        }
        value(element, out)?;
    }
    out.put("]")
}

fn object(members: &[(String, Json)], out: &mut impl Out) -> fmt::Result {
    out.put("{")?;
    for (at, (name, member)) in members.iter().enumerate() {
        if at > 0 {
            out.put(",")?;
        }
        string(name, out)?;
        out.put(":")?;
        value(member, out)?;
    }
    out.put("}")
}

fn string(text: &str, out: &mut impl Out) -> fmt::Result {
    out.put("\"")?;
    let mut rest = text;
    loop {
        let end = lex::plain_end(rest.as_bytes(), 0);
        out.put(&rest[..end])?;
        let Some(&byte) = rest.as_bytes().get(end) else { break };
        match byte {
            b'"' => out.put("\\\"")?,
            b'\\' => out.put("\\\\")?,
            b'\n' => out.put("\\n")?,
            b'\r' => out.put("\\r")?,
            b'\t' => out.put("\\t")?,
            control => out.put(&format!("\\u{control:04x}"))?,
        }
        rest = &rest[end + 1..];
    }
    out.put("\"")
}
