//! A JSON document on each line: an array of them, each as it was written. Empty lines are passed over.
//!
//! Builds no trees.

use std::ops::Range;

use super::broken::{Broken, quote};
use crate::core::json;

/// What may stand around a document on its line.
const BLANK: [char; 3] = [' ', '\t', '\r'];

pub(super) fn to_json(text: &str) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'[');
    for (at, line) in text.split('\n').enumerate() {
        let line = line.trim_matches(BLANK);
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

/// Reads the lines of a window that are whole, and hands the place of each document to `take`; `line` is the number of
/// the first one, and becomes that of the next. Returns how much was read.
pub(super) fn feed<E: From<Broken>>(
    text: &str,
    last: bool,
    line: &mut usize,
    take: &mut dyn FnMut(Range<usize>) -> Result<(), E>,
) -> Result<usize, E> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let (whole, next) = match rest.find('\n') {
            Some(end) => (&rest[..end], at + end + 1),
            None if last => (rest, text.len()),
            None => return Ok(at),
        };
        let document = whole.trim_matches(BLANK);
        if !document.is_empty() {
            check(document, *line)?;
            let start = at + whole.len() - whole.trim_start_matches(BLANK).len();
            take(start..start + document.len())?;
        }
        if next == text.len() && last {
            return Ok(next);
        }
        (at, *line) = (next, *line + 1);
    }
}

/// A line must be one document: two with a comma between them would else become two items.
fn check(line: &str, number: usize) -> Result<(), Broken> {
    let Err(error) = json::split(line.as_bytes(), &[]) else { return Ok(()) };
    Err(Broken::on_line(number, format!("{error} of `{}`", quote(line))))
}
