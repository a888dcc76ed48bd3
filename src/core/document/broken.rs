//! What is wrong with an answer, and where: the half of the sentence that a format knows.

use std::fmt;

/// Characters of the vendor's that a sentence quotes in one piece.
const QUOTE_MAX: usize = 60;

/// What is wrong with a text, on which line, and what to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// From 1; `None` where it is the whole of it.
    line: Option<usize>,
    what: String,
    hint: Option<String>,
}

impl Broken {
    /// Something is wrong on this line, counted from 1.
    pub(super) fn on_line(line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into(), hint: None }
    }

    /// Something is wrong at this byte of the text.
    pub(super) fn at(text: &[u8], at: usize, what: impl Into<String>) -> Self {
        Self::on_line(line_of(text, at), what)
    }

    /// The text as a whole is wrong.
    pub(super) fn whole(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into(), hint: None }
    }

    /// What to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "on line {line}, ")?;
        }
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; hint: {hint}"))
    }
}

/// The line of a byte, from 1.
pub(super) fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

/// A few characters of the vendor's, fit for one line.
pub(super) fn quote(text: &str) -> String {
    let mut letters = text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars).skip(1);
    let short: String = letters.by_ref().take(QUOTE_MAX).filter(|letter| !letter.is_control()).collect();
    if letters.next().is_some() { format!("{short}…") } else { short }
}
