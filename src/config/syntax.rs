//! Parses TOML, notes what is not TOML with a hint, and keeps the rest, so that the other problems show up too.
//!
//! Knows no key of the config.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use toml::de::DeTable;

use crate::config::mask;
use crate::config::problem::{Place, Problem};
use crate::config::reader::Reader;
use crate::config::source::SourceFile;

/// A file's tree, as far as it is TOML; one problem for each line that is not.
pub(crate) fn parse<'f>(file: &'f Arc<SourceFile>, reader: &mut Reader<'_>) -> DeTable<'f> {
    let (tree, errors) = DeTable::parse_recoverable(file.text());
    let tree = tree.into_inner();
    file.hide(mask::literal_secrets(&tree, file.text()), !errors.is_empty());
    let mut lines = HashSet::new();
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    // The first complaint about a line is the cause, the others follow from it.
    errors.sort_by_key(|(span, _)| span.start);
    for (span, message) in errors {
        let place = Place { file: Arc::clone(file), span };
        if lines.insert(file.position(place.span.start).0) {
            reader.note(Problem::error(place, format!("not TOML: {message}")).maybe_hint(hint(message)));
        }
    }
    tree
}

/// What to type, for the slips that happen.
fn hint(message: &str) -> Option<String> {
    let hint = match message {
        m if m.starts_with("string values must be quoted") => "put the value in quotes: `name = \"value\"`",
        m if m.starts_with("duplicate key") => {
            "a name may stand once in a table, and a table once in a file: take one out"
        }
        m if m.starts_with("invalid basic string") => "close the string with `\"` on the same line",
        m if m.starts_with("invalid literal string") => "close the string with `'` on the same line",
        m if m.starts_with("invalid multi-line") => "close the string with the three quotes it began with",
        m if m.starts_with("missing escaped value") => "write a backslash as `\\\\`, or use single quotes: 'a\\b'",
        m if m.starts_with("key with no value") => "write `name = value`",
        m if m.starts_with("unclosed table") => "close the header: `[job.name]`",
        m if m.starts_with("unclosed array") => "close the list with `]`",
        m if m.starts_with("unclosed inline table") => "close the table with `}`",
        m if m.starts_with("missing comma") || m.starts_with("extra assignment") => {
            "put a comma between the two, or close what is open before it with `]` or `}`"
        }
        m if m.starts_with("invalid boolean") => "write `true` or `false`, in lower case",
        m if m.starts_with("invalid unquoted key") => "a name is letters, digits, `_` and `-`; others go in quotes",
        m if m.starts_with("unexpected leading zero") => "write the number without the zero, or in quotes",
        m if m.starts_with("cannot recurse") => "nest less deep",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Drops what only follows from a file not being TOML: what seems to be missing, and what stands in the same line.
pub(crate) fn drop_consequences(problems: &mut Vec<Problem>) {
    let line = |problem: &Problem| -> Option<(PathBuf, usize)> {
        Some((problem.file()?.to_path_buf(), problem.position()?.0))
    };
    let mut seen = HashSet::new();
    problems.retain(|problem| {
        let syntax = problem.message().starts_with("not TOML");
        let first = line(problem).is_none_or(|line| if syntax { seen.insert(line) } else { !seen.contains(&line) });
        syntax || (first && !problem.is_absence())
    });
}
