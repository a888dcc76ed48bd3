//! A config file as text: where things are in it, and which of its lines may be shown how.
//!
//! Reads nothing from disk, and never hands out a line with a literal secret in it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::config::mask;

/// A config file: its path and its text.
pub struct SourceFile {
    path: PathBuf,
    shown: PathBuf,
    text: String,
    lines: OnceLock<Vec<usize>>,
    masks: OnceLock<Masks>,
}

/// What must not be shown of a file.
#[derive(Default)]
struct Masks {
    ranges: Vec<Range<usize>>,
    broken: bool,
}

/// A line as it may be shown, and a part of it to point at.
pub(crate) struct ShownLine {
    /// 1 for the first.
    pub(crate) number: usize,
    /// Its text, each literal secret as asterisks.
    pub(crate) text: String,
    /// The part to point at, in bytes of `text`.
    pub(crate) span: Range<usize>,
}

impl SourceFile {
    /// A file that has been read.
    pub(crate) fn new(path: PathBuf, text: String) -> Self {
        Self { shown: path.clone(), path, text, lines: OnceLock::new(), masks: OnceLock::new() }
    }

    /// The same file under the name by which it may be shown, where its own was made with a secret.
    #[must_use]
    pub(crate) fn shown_as(mut self, shown: PathBuf) -> Self {
        self.shown = shown;
        self
    }

    /// Where it was read from: for opening it, not for showing.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name as it may be shown.
    pub fn name(&self) -> &Path {
        &self.shown
    }

    /// What it holds, secrets included: for parsing, not for showing.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Says what must not be shown, once the file has been parsed; `broken` when it is not quite TOML, so that
    /// `ranges` can't be trusted to be all.
    pub(crate) fn hide(&self, ranges: Vec<Range<usize>>, broken: bool) {
        // A second call finds it set and changes nothing: the first one saw the same text.
        let _ = self.masks.set(Masks { ranges, broken });
    }

    /// Is there a literal secret in this part?
    pub(crate) fn hides(&self, span: &Range<usize>) -> bool {
        let overlaps = |range: &Range<usize>| range.start < span.end && span.start < range.end;
        self.masks.get().is_none_or(|masks| masks.ranges.iter().any(overlaps))
    }

    /// The line and the column of a byte, both from 1; the column counts characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let (index, start) = self.line_at(at);
        let end = self.text.floor_char_boundary(at);
        (index + 1, self.text[start..end.max(start)].chars().count() + 1)
    }

    /// The line in which `span` begins, fit to be printed, and what of `span` stands in it.
    pub(crate) fn shown(&self, span: &Range<usize>) -> ShownLine {
        let (index, start) = self.line_at(span.start);
        let line = self.line_text(index);
        let end = start + line.len();
        let from = self.text.floor_char_boundary(span.start.min(end)) - start;
        let to = self.text.floor_char_boundary(span.end.clamp(span.start.min(end), end)) - start;
        let hidden = self.hidden_in(index, start..end);
        let (text, span) = mask::cover(line, &hidden, from..to.max(from));
        ShownLine { number: index + 1, text, span }
    }

    /// What must not be shown of one line, in bytes from its start.
    fn hidden_in(&self, index: usize, line: Range<usize>) -> Vec<Range<usize>> {
        let Some(masks) = self.masks.get() else { return std::iter::once(0..line.len()).collect() };
        let inside = |range: &Range<usize>| {
            let (from, to) = (range.start.max(line.start), range.end.min(line.end));
            (from < to).then(|| from - line.start..to - line.start)
        };
        let mut hidden: Vec<_> = masks.ranges.iter().filter_map(inside).collect();
        if masks.broken {
            let before: Vec<&str> =
                (index.saturating_sub(mask::LOOK_BACK)..=index).map(|i| self.line_text(i)).collect();
            hidden.extend(mask::by_line(&before));
        }
        hidden
    }

    /// The text of a line without its end, by its index from 0.
    fn line_text(&self, index: usize) -> &str {
        let lines = self.line_starts();
        let start = lines.get(index).copied().unwrap_or(self.text.len());
        let end = lines.get(index + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// The index from 0 and the first byte of the line in which a byte stands.
    fn line_at(&self, at: usize) -> (usize, usize) {
        let lines = self.line_starts();
        let index = lines.partition_point(|start| *start <= at).saturating_sub(1);
        (index, lines.get(index).copied().unwrap_or(0))
    }

    fn line_starts(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let after_breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(after_breaks).collect()
        })
    }
}

/// Its path only: the text may hold secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.shown.display())
    }
}
