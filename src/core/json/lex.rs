//! A cursor over JSON text (RFC 8259): white space, strings, numbers, and whole values that are checked and skipped.
//!
//! It builds nothing. It never recurses, so no body can overflow the stack.

use std::borrow::Cow;

use super::{DEPTH_MAX, JsonError};

/// How a sentence says that there should be more.
const ENDS: &str = "the text ends";

/// Bytes of the longest token that is refused when it is cut: an escape such as `\u00e9`.
const TOKEN_MAX: usize = 6;

/// A place in a JSON text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A string's inside: what stands between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Quoted<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Cursor<'a> {
    /// At the first byte after a byte order mark; refuses what is not UTF-8.
    pub(super) fn new(text: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(text).map_err(|error| JsonError {
            at: error.valid_up_to(),
            what: "the text is not UTF-8: it breaks off".to_owned(),
        })?;
        Ok(Self { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } })
    }

    /// At a byte of a text that goes on.
    pub(super) fn within(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// Where the next byte is that is not white space.
    pub(super) fn begins(&mut self) -> Option<usize> {
        self.space().map(|_| self.at)
    }

    /// Is nothing left, not even white space?
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Could it be no error, if more text followed?
    pub(super) fn breaks_off(&self, error: &JsonError) -> bool {
        error.what.contains(ENDS) || error.at + TOKEN_MAX > self.text.len()
    }

    /// Bytes from the start.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// Moves to the next byte that is not white space.
    #[inline]
    pub(super) fn space(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes the byte that [`Cursor::space`] has shown.
    #[inline]
    pub(super) fn take(&mut self) {
        self.at += 1;
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.space() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end")),
        }
    }

    /// What should have stood here.
    #[cold]
    pub(super) fn unexpected(&self, wanted: &str) -> JsonError {
        let what = match self.text[self.at..].chars().next() {
            Some(got) => format!("expected {wanted}, got `{}`", got.escape_debug()),
            None => format!("expected {wanted}, but {ENDS}"),
        };
        JsonError { at: self.at, what }
    }

    /// The cursor stands before a bracket that would nest too deep.
    #[cold]
    pub(super) fn too_deep(&self) -> JsonError {
        JsonError { at: self.at, what: format!("arrays and objects nest deeper than {DEPTH_MAX}") }
    }

    /// A member's name and its colon.
    pub(super) fn name(&mut self) -> Result<Quoted<'a>, JsonError> {
        if self.space() != Some(b'"') {
            return Err(self.unexpected("a member's name in double quotes"));
        }
        let name = self.string()?;
        if self.space() != Some(b':') {
            return Err(self.unexpected("a `:` after the member's name"));
        }
        self.take();
        Ok(name)
    }

    /// A string; the cursor stands on its opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Quoted<'a>, JsonError> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut escaped = false;
        loop {
            at = plain_end(bytes, at);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at = at;
                    at = self.escape_end()?;
                    escaped = true;
                }
                Some(_) => {
                    self.at = at;
                    return Err(self.unexpected("an escape such as `\\n` for a control character"));
                }
                None => {
                    let what = format!("{ENDS} inside a string that begins");
                    return Err(JsonError { at: self.at, what });
                }
            }
        }
        self.at = at + 1;
        Ok(Quoted { raw: &self.text[start..at], escaped })
    }

    /// The end of the escape that begins here.
    fn escape_end(&mut self) -> Result<usize, JsonError> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(self.at + 2),
            Some(b'u') => match bytes.get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(self.at + 6),
                _ => Err(JsonError { at: self.at, what: "`\\u` without four hexadecimal digits".to_owned() }),
            },
            _ => Err(JsonError { at: self.at, what: "a backslash that begins no escape of JSON".to_owned() }),
        }
    }

    /// A number; the cursor stands on its first byte.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        match number_end(self.text.as_bytes(), start) {
            Ok(end) => {
                self.at = end;
                Ok(&self.text[start..end])
            }
            Err(at) => {
                self.at = at;
                Err(self.unexpected("a digit of a number"))
            }
        }
    }

    /// `null`, `true` or `false`.
    #[inline]
    pub(super) fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// A whole value inside `depth` brackets: checks it and moves behind it.
    #[inline]
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.space() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => self.skip_nested(depth),
            _ => self.scalar(),
        }
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), JsonError> {
        let mut open = Open::at(depth);
        loop {
            match self.space() {
                Some(b'"') => drop(self.string()?),
                Some(b'{') => {
                    open.push(true).ok_or_else(|| self.too_deep())?;
                    self.take();
                    if self.space() != Some(b'}') {
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    open.push(false).ok_or_else(|| self.too_deep())?;
                    self.take();
                    if self.space() != Some(b']') {
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// A number or a word.
    #[inline]
    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.text.as_bytes().get(self.at) {
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// After a value: closes what ends here. True when all is closed, false when another value must follow.
    #[inline]
    fn close(&mut self, open: &mut Open) -> Result<bool, JsonError> {
        while let Some(object) = open.last() {
            match (self.space(), object) {
                (Some(b','), true) => {
                    self.take();
                    self.name()?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    self.take();
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.take();
                    open.pop();
                }
                (_, true) => return Err(self.unexpected("a `,` or `}`")),
                (_, false) => return Err(self.unexpected("a `,` or `]`")),
            }
        }
        Ok(true)
    }
}

/// The brackets that are open: a bit for each, set for an object.
pub(super) struct Open {
    objects: u128,
    count: usize,
    limit: usize,
}

// One bit for each bracket that may be open.
const _: () = assert!(DEPTH_MAX <= u128::BITS as usize);

impl Open {
    pub(super) fn at(depth: usize) -> Self {
        Self { objects: 0, count: 0, limit: DEPTH_MAX.saturating_sub(depth) }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) fn push(&mut self, object: bool) -> Option<()> {
        if self.count >= self.limit {
            return None;
        }
        self.objects = self.objects << 1 | u128::from(object);
        self.count += 1;
        Some(())
    }

    #[inline]
    pub(super) fn last(&self) -> Option<bool> {
        (self.count > 0).then_some(self.objects & 1 == 1)
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        self.objects >>= 1;
        self.count -= 1;
    }
}

impl<'a> Quoted<'a> {
    /// The text, its escapes resolved. Half of a surrogate pair, which no UTF-8 can hold (RFC 8259, section 8.2), becomes
    /// U+FFFD: a vendor that cut an emoji in two should not make every poll fail.
    pub(super) fn text(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// Is it this text?
    #[inline]
    pub(super) fn is(self, text: &str) -> bool {
        if self.escaped { unescape(self.raw) == text } else { self.raw == text }
    }
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let letter = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or("");
        match letter {
            b'b' => text.push('\u{8}'),
            b'f' => text.push('\u{c}'),
            b'n' => text.push('\n'),
            b'r' => text.push('\r'),
            b't' => text.push('\t'),
            b'u' => text.push(unescape_code(&mut rest)),
            other => text.push(char::from(other)),
        }
    }
    text.push_str(rest);
    text
}

/// The character of a `\u` whose digits come next, and of the second half of its pair.
fn unescape_code(rest: &mut &str) -> char {
    let unit = |text: &str| text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(first) = unit(rest) else { return char::REPLACEMENT_CHARACTER };
    *rest = &rest[4..];
    let second = rest.strip_prefix("\\u").and_then(unit);
    if let (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) = (first, second) {
        *rest = &rest[6..];
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The first quote, backslash or control character from `at` on.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let marks = special(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The high bit of each of eight bytes that is a quote, a backslash or a control character. Bytes after the first such
/// one may be marked wrongly (the subtractions borrow), so only the lowest mark counts.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (quote | backslash | below(word, 0x20)) & HIGH
}

/// The end of the number that begins at `at` (RFC 8259, section 6), or where a digit is missing.
#[inline]
pub(super) fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    let digits = |mut at: usize| {
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == start { Err(at) } else { Ok(at) }
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(at + 1 + sign)?;
    }
    Ok(at)
}
