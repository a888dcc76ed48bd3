//! How commands speak: problems to standard error, results to standard output, colour only for a person.
//!
//! A pipe that was closed (`doorbell events | head`) is no error.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Loaded, Lookup, Noting, Snapshot};

/// Says what is wrong, and what to type.
pub(super) fn problem(what: &str, hint: Option<&str>) {
    let mut out = io::stderr().lock();
    // There is nobody left to tell.
    let _ = writeln!(out, "error: {what}");
    if let Some(hint) = hint {
        let _ = writeln!(out, "  hint: {hint}");
    }
}

/// Writes a command's result.
pub(super) fn result(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Asks a person; `None` when there is none to be asked.
pub(super) fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    let mut out = io::stderr().lock();
    // When nobody can read the question, nobody answers it.
    let _ = write!(out, "{question} [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// True when results are read by a person who wants colour (`NO_COLOR` is honoured, see no-color.org).
pub(super) fn in_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A config without errors, and how its files looked when it was read.
pub(super) struct Read {
    pub(super) loaded: Loaded,
    pub(super) snapshot: Snapshot,
}

/// Loads the config, or says everything that is wrong with it.
pub(super) fn load(explicit: Option<&Path>) -> Option<Loaded> {
    read(explicit).map(|(_, read)| read.loaded)
}

/// The same, on another machine than this one.
pub(super) fn load_with(explicit: Option<&Path>, env: &dyn Lookup) -> Option<Loaded> {
    load_from(explicit, env).map(|(_, loaded)| loaded)
}

/// The same, with what is needed to read it again.
pub(super) fn read(explicit: Option<&Path>) -> Option<(PathBuf, Read)> {
    let noting = Noting::default();
    let (path, loaded) = load_from(explicit, &noting)?;
    Some((path, Read { loaded, snapshot: noting.seen() }))
}

fn load_from(explicit: Option<&Path>, env: &dyn Lookup) -> Option<(PathBuf, Loaded)> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = io::stderr().lock();
    // Below, there is nobody left to tell when writing fails.
    let path = match config::find(explicit) {
        Ok(path) => path,
        Err(problem) => {
            let _ = writeln!(out, "{}", problem.render(colour).trim_end());
            return None;
        }
    };
    match config::load(&path, env) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let _ = writeln!(out, "{}\n", warning.render(colour).trim_end());
            }
            Some((path, loaded))
        }
        Err(problems) => {
            let _ = writeln!(out, "{}", problems.render(colour).trim_end());
            None
        }
    }
}
