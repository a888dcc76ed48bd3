//! Rows of text (RFC 4180): objects by the names in the first row, or arrays where there is no such row.
//!
//! Strict where a slip would shift or lose data: each row has as many fields as the first, a quote that is opened is
//! closed, and nothing follows it. Lenient elsewhere: any line end, quotes inside a field that does not begin with
//! one, empty lines. Values stay text, their white space with them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::broken::{Broken, quote};
use super::{CsvSpec, GROWTH_FREE, GROWTH_MAX, NAMES_MAX};
use crate::core::json;

/// What else may stand between fields, for a hint.
const OTHER_DELIMITERS: [(char, &str); 4] = [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")];

/// All rows as one array.
pub(super) fn to_json(text: &str, spec: &CsvSpec, tabbed: bool, empty: bool) -> Result<Vec<u8>, Broken> {
    let delimiter = spec.delimiter.unwrap_or(if tabbed { b'\t' } else { b',' });
    let mut rows = Rows { text, at: 0, line: 1, delimiter, unclosed: false };
    let mut fields = Vec::new();
    let names = match spec.header {
        true => header(&mut rows, &mut fields, spec, empty)?,
        false => None,
    };
    let most = GROWTH_FREE.max(text.len().saturating_mul(GROWTH_MAX));
    let mut width = names.as_ref().map(Vec::len);
    let mut out = Vec::with_capacity(text.len());
    out.push(b'[');
    while let Some(line) = rows.next(&mut fields)? {
        let width = *width.get_or_insert(fields.len());
        if fields.len() != width {
            return Err(uneven(line, &fields, width, spec.header));
        }
        if out.len() > 1 {
            out.push(b',');
        }
        push_row(names.as_deref(), &fields, &mut out);
        if out.len() > most {
            return Err(too_large(line, most));
        }
    }
    out.push(b']');
    Ok(out)
}

/// What is handed each row: its place in the window, and the row as JSON.
type TakeRow<'a, E> = dyn FnMut(Range<usize>, &[u8]) -> Result<(), E> + 'a;

/// The rows of a text that comes in windows.
pub(super) struct Table {
    spec: CsvSpec,
    delimiter: u8,
    empty: bool,
    /// The columns, once the header was read.
    names: Option<Vec<Vec<u8>>>,
    begun: bool,
    width: Option<usize>,
    line: usize,
}

impl Table {
    pub(super) fn new(spec: &CsvSpec, tabbed: bool, empty: bool) -> Self {
        let delimiter = spec.delimiter.unwrap_or(if tabbed { b'\t' } else { b',' });
        Self { spec: *spec, delimiter, empty, names: None, begun: !spec.header, width: None, line: 1 }
    }

    /// Reads the rows that are whole, and hands each one's place to `take` with the row as JSON. Returns how much was
    /// read.
    pub(super) fn feed<E: From<Broken>>(
        &mut self,
        text: &str,
        last: bool,
        take: &mut TakeRow<'_, E>,
    ) -> Result<usize, E> {
        let (mut fields, mut row) = (Vec::new(), Vec::new());
        let mut rows = self.rows(text);
        loop {
            let (start, line) = (rows.at, rows.line);
            let next = match rows.next(&mut fields) {
                Err(broken) if last || !rows.unclosed => return Err(broken.into()),
                // What ends with the window may go on behind it.
                next if !last && (next.is_err() || rows.at >= text.len()) => {
                    self.line = line;
                    return Ok(start);
                }
                next => next?,
            };
            if !self.begun {
                let mut again = Rows { at: start, line, ..self.rows(text) };
                self.names = header(&mut again, &mut fields, &self.spec, self.empty)?;
                self.width = self.names.as_ref().map(Vec::len);
                self.begun = true;
            } else if let Some(line) = next {
                let width = *self.width.get_or_insert(fields.len());
                if fields.len() != width {
                    return Err(uneven(line, &fields, width, self.spec.header).into());
                }
                row.clear();
                push_row(self.names.as_deref(), &fields, &mut row);
                take(start..rows.at, &row)?;
            }
            if next.is_none() {
                return Ok(text.len());
            }
        }
    }

    /// A row by its text alone.
    pub(super) fn row(&self, text: &str) -> Vec<u8> {
        let (mut fields, mut row) = (Vec::new(), Vec::new());
        // It was read before: there is nothing left to refuse.
        if let Ok(Some(_)) = self.rows(text).next(&mut fields) {
            push_row(self.names.as_deref(), &fields, &mut row);
        }
        row
    }

    fn rows<'a>(&self, text: &'a str) -> Rows<'a> {
        Rows { text, at: 0, line: self.line, delimiter: self.delimiter, unclosed: false }
    }
}

/// The names of the columns, each as the beginning of a JSON member; `None` when there is no row at all and none is
/// asked for.
fn header<'a>(
    rows: &mut Rows<'a>,
    fields: &mut Vec<Cow<'a, str>>,
    spec: &CsvSpec,
    empty: bool,
) -> Result<Option<Vec<Vec<u8>>>, Broken> {
    if rows.next(fields)?.is_none() {
        return if empty { Ok(None) } else { Err(headless()) };
    }
    if let (Some((column, typed)), None) = (misread(fields), spec.delimiter) {
        return Err(Broken::on_line(1, format!("the header is one column, `{}`", quote(column)))
            .hint(format!("`csv = {{ delimiter = \"{typed}\" }}`")));
    }
    let mut seen = HashSet::new();
    let member = |(at, name): (usize, &Cow<'_, str>)| {
        let mut out = Vec::new();
        json::push_string(&unique(at, name.trim(), &mut seen), &mut out);
        out.push(b':');
        out
    };
    Ok(Some(fields.iter().enumerate().map(member).collect()))
}

/// The one column of a header that holds what may stand between fields, and how that is typed.
fn misread<'f>(fields: &'f [Cow<'_, str>]) -> Option<(&'f str, &'static str)> {
    let [one] = fields else { return None };
    OTHER_DELIMITERS.iter().find(|(delimiter, _)| one.contains(*delimiter)).map(|(_, typed)| (&**one, *typed))
}

/// What stands between fields, as it is typed, where it is not what it would be taken for.
pub(super) fn delimiter(text: &str, tabbed: bool) -> Option<&'static str> {
    let mut fields = Vec::new();
    let delimiter = if tabbed { b'\t' } else { b',' };
    Rows { text, at: 0, line: 1, delimiter, unclosed: false }.next(&mut fields).ok()??;
    misread(&fields).map(|(_, typed)| typed)
}

/// A column's name: `column_3` where it has none, `name_2` where it is not the first of that name.
fn unique(at: usize, name: &str, seen: &mut HashSet<String>) -> String {
    let plain = if name.is_empty() { format!("column_{}", at + 1) } else { name.to_owned() };
    let mut own = plain.clone();
    let mut count = 1;
    while !seen.insert(own.clone()) {
        count += 1;
        own = format!("{plain}_{count}");
    }
    own
}

fn push_row(names: Option<&[Vec<u8>]>, fields: &[Cow<'_, str>], out: &mut Vec<u8>) {
    let (open, close) = if names.is_some() { (b'{', b'}') } else { (b'[', b']') };
    out.push(open);
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(name) = names.and_then(|names| names.get(at)) {
            out.extend_from_slice(name);
        }
        json::push_string(field, out);
    }
    out.push(close);
}

fn headless() -> Broken {
    Broken::whole("it is empty, and not even the names of the columns are there")
        .hint("`empty = true` if that means an empty list")
}

fn uneven(line: usize, fields: &[Cow<'_, str>], width: usize, header: bool) -> Broken {
    let first = if header { "the header has" } else { "the rows before have" };
    let noun = if fields.len() == 1 { "field" } else { "fields" };
    let begins = quote(&fields.join(" "));
    Broken::on_line(line, format!("the row has {} {noun}, {first} {width}; it holds `{begins}`", fields.len()))
}

fn too_large(line: usize, most: usize) -> Broken {
    let mib = most / (1024 * 1024);
    Broken::on_line(line, format!("the rows have become more than {mib} MiB of JSON by the names of their columns"))
        .hint("`csv = { header = false }` makes each row an array, without the names")
}

/// A text of rows, read from the first to the last.
struct Rows<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    delimiter: u8,
    /// It ends inside a field in quotes.
    unclosed: bool,
}

impl<'a> Rows<'a> {
    /// The next row's fields, and the line it begins on; `None` at the end.
    fn next(&mut self, fields: &mut Vec<Cow<'a, str>>) -> Result<Option<usize>, Broken> {
        while self.at < self.text.len() {
            let line = self.line;
            fields.clear();
            let quoted = self.peek() == Some(b'"');
            while self.field(fields)? {}
            let is_blank = !quoted && matches!(fields.as_slice(), [field] if field.is_empty());
            if !is_blank {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads one field and what ends it; true when another follows in this row.
    fn field(&mut self, fields: &mut Vec<Cow<'a, str>>) -> Result<bool, Broken> {
        if fields.len() >= NAMES_MAX {
            return Err(Broken::on_line(self.line, format!("the row has more than {NAMES_MAX} fields")));
        }
        let field = if self.peek() == Some(b'"') { self.quoted()? } else { self.bare() };
        fields.push(field);
        match self.peek() {
            Some(byte) if byte == self.delimiter => {
                self.at += 1;
                return Ok(true);
            }
            Some(b'\r') => self.at += if self.text.as_bytes().get(self.at + 1) == Some(&b'\n') { 2 } else { 1 },
            Some(_) => self.at += 1,
            None => {}
        }
        self.line += 1;
        Ok(false)
    }

    /// A field up to the next delimiter or line end.
    fn bare(&mut self) -> Cow<'a, str> {
        let start = self.at;
        let ends = |byte: &u8| *byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        Cow::Borrowed(&self.text[start..self.at])
    }

    /// A field in quotes, in which two quotes are one.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Broken> {
        let opened = self.line;
        self.at += 1;
        let mut field = Cow::Borrowed("");
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else {
                self.unclosed = true;
                return Err(Broken::on_line(opened, "a quote is opened and never closed: is the answer cut off?"));
            };
            let piece = &rest[..end];
            self.line += piece.bytes().filter(|byte| *byte == b'\n').count();
            if field.is_empty() {
                field = Cow::Borrowed(piece);
            } else {
                field.to_mut().push_str(piece);
            }
            self.at += end + 1;
            match self.peek() {
                Some(b'"') => {
                    field.to_mut().push('"');
                    self.at += 1;
                }
                None | Some(b'\n' | b'\r') => return Ok(field),
                Some(byte) if byte == self.delimiter => return Ok(field),
                Some(_) => return Err(self.after_quote(&field)),
            }
        }
    }

    fn after_quote(&self, field: &str) -> Broken {
        let rest = quote(self.text[self.at..].lines().next().unwrap_or_default());
        let message =
            format!("after the field `\"{}\"` comes `{rest}` where a delimiter or the row's end should", quote(field));
        Broken::on_line(self.line, message).hint("a quote inside a field is written twice")
    }
}
