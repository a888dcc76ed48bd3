//! Small tables and times that a person reads at a glance.
//!
//! It prints where it is told to, never to a stream of its own, and lets nothing through that would steer a terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Style};

use crate::core::time::Timestamp;

/// Blanks between two columns.
const GAP: usize = 2;

/// A column is never cut to less than this.
const COLUMN_MIN: usize = 8;

/// Where a command prints, and how.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    width: Option<usize>,
}

impl<'a> Screen<'a> {
    /// No colours, no width: a pipe, a file, a test.
    pub(super) fn plain(out: &'a mut dyn Write) -> Self {
        Self { out, colour: false, width: None }
    }

    /// What `out` is when standard output is a terminal (colours unless `NO_COLOR` is set, cut to its width), or a pipe.
    pub(super) fn standard(out: &'a mut dyn Write) -> Self {
        if !io::stdout().is_terminal() {
            return Self::plain(out);
        }
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        Self { out, colour, width: width.or_else(terminal_width) }
    }

    /// Prints one line; control characters in it are shown, not sent.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", clean(text))
    }

    /// Prints text of several lines, each as [`Screen::line`] does.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub(super) fn lines(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Prints a value as JSON: on one line for a stream of them, else indented.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub(super) fn json(&mut self, value: &impl serde::Serialize, one_line: bool) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        let text = harmless_json(&text);
        match one_line {
            true => writeln!(self.out, "{text}")?,
            false => writeln!(self.out, "{}", indent_json(&text))?,
        }
        self.out.flush()
    }

    /// Prints a table, its columns aligned and, on a terminal, cut so that each row stays on its line.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        let widths = table.widths(self.width);
        let header: Vec<Cell> = table.columns.iter().map(|name| Cell::new(*name).toned(Tone::Header)).collect();
        self.row(&header, &widths)?;
        for (cells, note) in &table.rows {
            self.row(cells, &widths)?;
            if let Some(note) = note {
                self.line(&format!("  {note}"))?;
            }
        }
        self.out.flush()
    }

    fn row(&mut self, cells: &[Cell], widths: &[usize]) -> io::Result<()> {
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let text = cut(&cell.text, *width);
            let pad = match at + 1 == cells.len() {
                true => 0,
                false => width.saturating_sub(columns(&text)) + GAP,
            };
            line.push_str(&self.toned(&text, cell.tone));
            line.extend(std::iter::repeat_n(' ', pad));
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    fn toned<'t>(&self, text: &'t str, tone: Tone) -> Cow<'t, str> {
        match tone.style().filter(|_| self.colour) {
            Some(style) => Cow::Owned(format!("{style}{text}{style:#}")),
            None => Cow::Borrowed(text),
        }
    }
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// What a cell says beyond its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    Plain,
    /// It is a column's name.
    Header,
    /// All is well.
    Good,
    /// It mends itself, or waits.
    Warn,
    /// Somebody must act.
    Bad,
    /// Of less interest.
    Dim,
}

impl Tone {
    fn style(self) -> Option<Style> {
        match self {
            Self::Plain => None,
            Self::Header => Some(Style::new().bold()),
            Self::Good => Some(AnsiColor::Green.on_default()),
            Self::Warn => Some(AnsiColor::Yellow.on_default()),
            Self::Bad => Some(AnsiColor::Red.on_default()),
            Self::Dim => Some(Style::new().dimmed()),
        }
    }

    /// The tone of a word for health or state, as the API uses them.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "ok" | "delivered" | "complete" => Self::Good,
            "waiting" | "new" | "polling" | "paused" | "full" | "due" | "held" | "partial" => Self::Warn,
            "failing" | "failed" | "dead" => Self::Bad,
            "disabled" => Self::Dim,
            _ => Self::Plain,
        }
    }
}

/// A cell: clean text and a tone.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text of any origin.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()).into_owned(), tone: Tone::Plain }
    }

    /// A word for health or state, in its tone.
    pub(super) fn word(text: &str) -> Self {
        Self::new(text).toned(Tone::of(text))
    }

    /// With another tone.
    #[must_use]
    pub(super) fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// Columns and rows; a row may have a note beneath it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<(Vec<Cell>, Option<String>)>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, cells: Vec<Cell>, note: Option<String>) {
        self.rows.push((cells, note));
    }

    /// Each column's width: what it holds, or, where the whole would not fit, the widest ones cut until it does.
    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| columns(name)).collect();
        for (cells, _) in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(columns(&cell.text));
            }
        }
        let gaps = GAP * widths.len().saturating_sub(1);
        while limit.is_some_and(|limit| widths.iter().sum::<usize>() + gaps > limit) {
            match widths.iter_mut().max() {
                Some(widest) if *widest > COLUMN_MIN => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text without what would steer a terminal: control characters (C0, DEL, C1) and bidirectional overrides are shown
/// as their escapes.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match steers(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// JSON text of the same value without what would steer a terminal. What JSON itself lets stand (DEL, C1, overrides)
/// can only be inside strings, where an escape means the same (RFC 8259, section 7).
fn harmless_json(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| steers(c) && !matches!(c, '\n' | '\r' | '\t');
    if !text.chars().any(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match harmful(c) {
            // All of them are below U+10000: one escape each.
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// How many columns a text takes: wide East Asian characters and emoji two, combining marks none.
fn columns(text: &str) -> usize {
    text.chars().map(column).sum()
}

fn column(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text, or its beginning and an ellipsis.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut taken = 0;
    let beginning = text.chars().take_while(|c| {
        taken += column(*c);
        taken < width
    });
    Cow::Owned(beginning.chain(['…']).collect())
}

/// An item's key; a document that is one item has none.
pub(super) fn shown_key(key: &str) -> &str {
    if key.is_empty() { "(document)" } else { key }
}

/// How long ago, in the largest unit that says enough: `now`, `12 s ago`, `3 min ago`, `5 h ago`, `9 d ago`.
pub(super) fn ago(moment: Timestamp, now: Timestamp) -> String {
    match now.since(moment).as_secs() {
        0 => "now".to_owned(),
        _ => format!("{} ago", rough(now.since(moment))),
    }
}

/// How soon: `now`, `in 18 s`, `in 4 h`.
pub(super) fn until(moment: Timestamp, now: Timestamp) -> String {
    match moment.since(now).as_millis() {
        0 => "now".to_owned(),
        _ => format!("in {}", rough(moment.since(now))),
    }
}

/// A duration in its largest unit, rounded down; from 2 units on, so that 90 s are not `1 min`.
fn rough(wait: Duration) -> String {
    let seconds = wait.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// Indents JSON text without reading its values, so that numbers keep their digits.
pub(super) fn indent_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if quoted {
            out.push(c);
            quoted = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                out.push(c);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    /// Deeper than this, indenting only costs memory: a body of brackets alone would grow by its square.
    const DEPTH_MAX: usize = 64;
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(DEPTH_MAX)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(table: &Table, width: Option<usize>, colour: bool) -> String {
        let mut out = Vec::new();
        Screen { out: &mut out, colour, width }.table(table).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn table(rows: &[(&str, &str, Option<&str>)]) -> Table {
        let mut table = Table::new(&["NAME", "HEALTH"]);
        for (name, health, note) in rows {
            table.push(vec![Cell::new(name), Cell::word(health)], note.map(str::to_owned));
        }
        table
    }

    #[test]
    fn columns_are_aligned_and_notes_stand_beneath() {
        let table = table(&[("orders", "ok", None), ("日本", "failing", Some("it answered 503"))]);
        let expected = "NAME    HEALTH\norders  ok\n日本    failing\n  it answered 503\n";
        assert_eq!(printed(&table, None, false), expected);
    }

    #[test]
    fn a_row_is_cut_to_the_terminal() {
        let table = table(&[("a-very-long-name-of-a-job", "failing", None)]);
        assert_eq!(printed(&table, Some(20), false), "NAME         HEALTH\na-very-lon…  failing\n");
    }

    #[test]
    fn colours_are_only_for_terminals() {
        let table = table(&[("orders", "ok", None)]);
        assert!(printed(&table, None, true).contains("\u{1b}[32mok\u{1b}[0m"));
        assert!(!printed(&table, None, false).contains('\u{1b}'));
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{9b}c\u{202e}d"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d");
        assert_eq!(clean("a\nb"), "a\\nb");
        let table = table(&[("\u{1b}[31m", "ok", Some("\u{7}"))]);
        assert!(!printed(&table, None, false).chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn json_cannot_steer_the_terminal_and_means_the_same() {
        let value = "\u{1b}[2J\u{7f}\u{9b}1m\u{202e}\n";
        let mut out = Vec::new();
        Screen::plain(&mut out).json(&value, true).unwrap();
        assert!(!String::from_utf8(out.clone()).unwrap().trim_end().chars().any(steers));
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
    }

    #[test]
    fn times_are_said_in_their_largest_unit() {
        let now = Timestamp(1_000_000_000_000);
        let at = |seconds: i64| Timestamp(now.0 + seconds * 1000);
        for (seconds, past, future) in [
            (0, "now", "now"),
            (12, "12 s ago", "in 12 s"),
            (119, "119 s ago", "in 119 s"),
            (180, "3 min ago", "in 3 min"),
            (4 * 3600, "4 h ago", "in 4 h"),
            (9 * 86400, "9 d ago", "in 9 d"),
        ] {
            assert_eq!((&*ago(at(-seconds), now), &*until(at(seconds), now)), (past, future));
        }
        assert_eq!(ago(at(5), now), "now");
        assert_eq!(until(at(-5), now), "now");
    }

    #[test]
    fn json_is_indented_and_keeps_its_digits() {
        let text = r#"{"a":[1.10,9007199254740993,{}],"b":"x:{\"y\\","c":[ ]}"#;
        let expected =
            "{\n  \"a\": [\n    1.10,\n    9007199254740993,\n    {}\n  ],\n  \"b\": \"x:{\\\"y\\\\\",\n  \"c\": []\n}";
        assert_eq!(indent_json(text), expected);
    }

    proptest! {
        #[test]
        fn indenting_any_text_ends_and_indenting_json_changes_nothing(text in ".*", key in ".*", value in any::<i64>()) {
            indent_json(&text);
            let json = serde_json::json!({ key: [value, text, { "a": [] }] });
            let indented = indent_json(&json.to_string());
            prop_assert_eq!(indented.clone(), serde_json::to_string_pretty(&json).unwrap());
        }

        #[test]
        fn a_cut_text_fits(text in ".*", width in 1_usize..40) {
            prop_assert!(columns(&cut(&text, width)) <= width);
        }
    }
}
