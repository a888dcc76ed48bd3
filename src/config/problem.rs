//! What is wrong with a config: where, what we got, why not, and what to type instead; printed as rustc prints it.
//!
//! Decides nothing: whoever finds a problem words it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::config::source::SourceFile;

/// A part of a config file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The part, in bytes of the file.
    pub span: Range<usize>,
}

impl Place {
    fn snippet(&self) -> Snippet<'static, Annotation<'static>> {
        let shown = self.file.shown(&self.span);
        Snippet::source(shown.text)
            .path(self.file.name().display().to_string())
            .line_start(shown.number)
            .annotation(AnnotationKind::Primary.span(shown.span))
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The config can't be used.
    Error,
    /// It can, but perhaps not as meant.
    Warning,
}

/// One thing that is wrong with a config.
#[derive(Clone, Debug)]
pub struct Problem {
    severity: Severity,
    place: Option<Place>,
    message: String,
    hint: Option<String>,
    also: Option<Box<(Place, String)>>,
    absence: bool,
}

impl Problem {
    /// Something that makes the config unusable.
    pub(crate) fn error(place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Some(place), message.into())
    }

    /// Something that is legal and probably not meant.
    pub(crate) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Some(place), message.into())
    }

    /// An error that stands in no file: one that can't be read, for example.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, None, message.into())
    }

    fn new(severity: Severity, place: Option<Place>, message: String) -> Self {
        Self { severity, place, message, hint: None, also: None, absence: false }
    }

    /// Adds what to type.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to type, where that is known.
    #[must_use]
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Adds a second place and what it is.
    #[must_use]
    pub(crate) fn also(mut self, place: Place, what: impl Into<String>) -> Self {
        self.also = Some(Box::new((place, what.into())));
        self
    }

    /// Marks it as something that is missing: not worth saying of a file that could not be read to its end.
    #[must_use]
    pub(crate) fn of_absence(mut self) -> Self {
        self.absence = true;
        self
    }

    /// Is it about something missing?
    pub(crate) fn is_absence(&self) -> bool {
        self.absence
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Where it is; `None` when it stands in no file.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The file it is in, by the name that may be shown.
    pub fn file(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.file.name())
    }

    /// Its line and column, both from 1, in characters.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| place.file.position(place.span.start))
    }

    /// What we got, in backticks, and why not.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to type.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The problem with the line it is about, as a terminal shows it; with colours when asked.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = Group::with_title(title).elements(self.place.as_ref().map(Place::snippet));
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let mut report = vec![group];
        if let Some((place, what)) = self.also.as_deref() {
            report.push(Group::with_title(Level::NOTE.secondary_title(what.as_str())).element(place.snippet()));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&report)
    }
}

/// One line, for a log: `doorbell.toml:3:9: what is wrong; what to type`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some((line, column))) = (self.file(), self.position()) {
            write!(f, "{}:{line}:{column}: ", file.display())?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// Every problem of a config, in the order of its files and lines: at least one error, and the warnings.
#[derive(Clone, Debug)]
pub struct Problems {
    all: Vec<Problem>,
    main: PathBuf,
}

impl Problems {
    /// Takes problems in; `main` is the file that was asked for.
    pub(crate) fn new(main: PathBuf, all: Vec<Problem>) -> Self {
        Self { all, main }
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.all.iter()
    }

    /// All of them as a terminal shows them, with a line at the end that counts them.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for problem in &self.all {
            text.push_str(&problem.render(color));
            text.push_str("\n\n");
        }
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// How many there are, and in which files: `3 problems in doorbell.toml`.
    pub fn summary(&self) -> String {
        let warnings = self.all.iter().filter(|problem| problem.severity == Severity::Warning).count();
        let errors = self.all.len() - warnings;
        let mut text = counted(errors, "problem");
        if warnings > 0 {
            text = format!("{text} and {}", counted(warnings, "warning"));
        }
        let mut files: Vec<&Path> = Vec::new();
        for file in self.all.iter().filter_map(Problem::file) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        match files.as_slice() {
            [] => format!("{text} with {}", self.main.display()),
            [file] => format!("{text} in {}", file.display()),
            files => format!("{text} in {} files", files.len()),
        }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Problems {}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
