//! A JSON document on each line: an array of them, each as it was written. Empty lines are passed over.
//!
//! Builds no trees.

use super::broken::{Broken, quote};
use crate::core::json;

pub(super) fn to_json(text: &str) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'[');
    for (at, line) in text.split('\n').enumerate() {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() {
            continue;
        }
        check(line, at + 1)?;
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(line.as_bytes());
    }
    out.push(b']');
    Ok(out)
}

/// A line must be one document: two with a comma between them would else become two items.
fn check(line: &str, number: usize) -> Result<(), Broken> {
    let Err(error) = json::split(line.as_bytes(), &[]) else { return Ok(()) };
    Err(Broken::on_line(number, format!("{error} of `{}`", quote(line))))
}
