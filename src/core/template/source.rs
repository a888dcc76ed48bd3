//! A text before it is compiled: what was written, and where secrets go.
//!
//! Each secret is one character of a private plane while the text is parsed. No rendered text is ever searched for
//! these characters, so that no document can forge one.

use std::ops::Range;

use super::Part;
use crate::core::path::Complaint;
use crate::core::secret::Secret;

/// The first of the characters that stand for secrets: plane 15, private use.
const FIRST: u32 = 0xF_0000;

/// More secrets than one text can need.
const SECRETS_MAX: usize = 1000;

/// How much of a text a complaint quotes.
const EXCERPT: usize = 60;

/// A text, each secret in it one character.
pub(super) struct Source {
    /// What is parsed.
    pub(super) text: String,
    /// The secrets, in the order of their characters, and their references.
    pub(super) secrets: Vec<(Secret, Box<str>)>,
}

impl Source {
    pub(super) fn new(parts: &[Part]) -> Result<Self, Complaint> {
        let mut source = Self { text: String::new(), secrets: Vec::new() };
        let secrets = parts.iter().filter(|part| matches!(part, Part::Secret { .. })).count();
        for part in parts {
            match part {
                Part::Plain(text) => source.push(text, secrets)?,
                Part::Secret { value, reference } => {
                    let sign = stand_in(source.secrets.len()).ok_or_else(|| Complaint {
                        problem: format!("more than {SECRETS_MAX} secrets in one text"),
                        hint: Some("split the text up".to_owned()),
                        span: None,
                    })?;
                    source.text.push(sign);
                    source.secrets.push((value.clone(), reference.as_str().into()));
                }
            }
        }
        Ok(source)
    }

    fn push(&mut self, text: &str, secrets: usize) -> Result<(), Complaint> {
        if let Some(sign) = text.chars().find(|sign| secret_at(*sign).is_some_and(|secret| secret < secrets)) {
            return Err(Complaint {
                problem: format!("the text holds the private character U+{:X} and a secret", u32::from(sign)),
                hint: Some("leave the character out".to_owned()),
                span: None,
            });
        }
        self.text.push_str(text);
        Ok(())
    }

    /// As it was written: each secret as its reference, `${env:TOKEN}`.
    pub(super) fn written(&self) -> String {
        self.show(&self.text)
    }

    /// A part of the text as it was written.
    pub(super) fn show(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for piece in self.split(text) {
            match piece {
                Ok(text) => shown.push_str(text),
                Err(secret) => {
                    shown.push_str("${");
                    shown.push_str(&self.secrets[secret].1);
                    shown.push('}');
                }
            }
        }
        shown
    }

    /// The beginning of what was written, on one line.
    pub(super) fn excerpt(&self) -> String {
        excerpt(&self.written())
    }

    /// Does `text`, a part of this one, hold a secret?
    pub(super) fn hides_in(&self, text: &str) -> bool {
        self.split(text).iter().any(Result::is_err)
    }

    /// `text`, a part of this one, cut at its secrets: text as `Ok`, the number of a secret as `Err`.
    pub(super) fn split<'t>(&self, text: &'t str) -> Vec<Result<&'t str, usize>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for (at, sign) in text.char_indices() {
            if let Some(secret) = secret_at(sign).filter(|secret| *secret < self.secrets.len()) {
                pieces.push(Ok(&text[from..at]));
                pieces.push(Err(secret));
                from = at + sign.len_utf8();
            }
        }
        pieces.push(Ok(&text[from..]));
        pieces.retain(|piece| *piece != Ok(""));
        pieces
    }

    /// Bytes of what is parsed as bytes of what was written.
    pub(super) fn span(&self, range: Range<usize>) -> Range<usize> {
        let written = |at: usize| self.show(&self.text[..self.text.floor_char_boundary(at)]).len();
        written(range.start)..written(range.end).max(written(range.start))
    }
}

/// The beginning of a text, on one line.
pub(super) fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn stand_in(secret: usize) -> Option<char> {
    let number = u32::try_from(secret).ok().filter(|_| secret < SECRETS_MAX)?;
    char::from_u32(FIRST + number)
}

fn secret_at(sign: char) -> Option<usize> {
    let number = u32::from(sign).checked_sub(FIRST)? as usize;
    (number < SECRETS_MAX).then_some(number)
}
