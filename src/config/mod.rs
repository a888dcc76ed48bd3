//! From text to [`Config`]: every key read, every reference resolved, every template compiled, or every problem at once.
//!
//! The way of a file: [`files`] reads it and what it includes, [`reader`] takes values out of its tables, [`lift`] makes
//! core values of them, [`problem`] prints what is wrong. This room reads its own files and secrets, and does no other I/O;
//! it polls nothing and sends nothing. Which keys there are, and which come later, stands in [`keys`].

mod files;
pub mod keys;
mod lift;
mod lookup;
mod mask;
mod prints;
mod problem;
mod reader;
pub mod schema;
mod secrets;
mod snapshot;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use lookup::{Lookup, SystemLookup};
pub use prints::Prints;
pub use problem::{Place, Problem, Problems, Severity};
pub use snapshot::{Noting, Snapshot};
pub use source::SourceFile;

use crate::core::config::{Config, Daemon};
use crate::core::sign::Scheme;
use reader::Reader;

/// Where a config is looked for when neither `-c` nor `$DOORBELL_CONFIG` names one, in this order.
const PLACES: [&str; 2] = ["doorbell.toml", "/etc/doorbell/doorbell.toml"];

/// A config without errors, and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// What is legal and perhaps not meant.
    pub warnings: Vec<Problem>,
    /// The files it was read from, the main one first.
    pub files: Vec<PathBuf>,
    /// By which an edited job or sink is told from one that is as it was.
    pub prints: Prints,
}

/// The config to use: `-c FILE`, `$DOORBELL_CONFIG`, `./doorbell.toml`, `/etc/doorbell/doorbell.toml`, in this order.
/// A file that is named is taken as it is; [`load`] says so when it is not there.
///
/// # Errors
/// When none is named and none is found.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, Problem> {
    find_with(explicit, &SystemLookup)
}

/// As [`find`], on another machine than this one.
///
/// # Errors
/// As [`find`].
pub fn find_with(explicit: Option<&Path>, env: &dyn Lookup) -> Result<PathBuf, Problem> {
    if let Some(path) = explicit {
        return Ok(path.to_path_buf());
    }
    if let Ok(path) = env.variable("DOORBELL_CONFIG")
        && !path.is_empty()
    {
        return Ok(PathBuf::from(path));
    }
    PLACES.iter().map(PathBuf::from).find(|path| env.exists(path)).ok_or_else(|| {
        Problem::nowhere(format!("there is no config: neither `{}` nor `{}` exists", PLACES[0], PLACES[1]))
            .hint("name one with `-c FILE` or `DOORBELL_CONFIG=FILE`")
    })
}

/// Reads a config and what it includes, whole.
///
/// # Errors
/// Every problem of every file at once. What a `${…}` yields, and what looks like a literal secret, is in none of them.
pub fn load(path: &Path, env: &dyn Lookup) -> Result<Loaded, Problems> {
    let mut reader = Reader::new(env);
    let lifted = load_with(path, env, &mut reader);
    let mut problems = reader.problems;
    problems.sort_by_key(|problem| {
        let order = |files: &[PathBuf]| files.iter().position(|file| Some(file.as_path()) == problem.file());
        (lifted.as_ref().ok().and_then(|lifted| order(&lifted.names)), problem.place().map(|place| place.span.start))
    });
    let errors = problems.iter().any(|problem| problem.severity() == Severity::Error);
    match lifted.map(|lifted| (lifted.config, lifted.files)) {
        Ok((Some((config, prints)), files)) if !errors => Ok(Loaded { config, warnings: problems, files, prints }),
        _ => Err(Problems::new(path.to_path_buf(), problems)),
    }
}

/// Reads a signature scheme as `sign` of a sink has it: a name, or an inline table.
///
/// # Errors
/// What is wrong with it; it then is shown as the file `sign`.
pub fn scheme(text: &str, env: &dyn Lookup) -> Result<Scheme, Problems> {
    let table = text.trim_start().starts_with('{');
    let value = if table { text.to_owned() } else { toml::Value::String(text.to_owned()).to_string() };
    let file = Arc::new(SourceFile::new(PathBuf::from("sign"), format!("sign = {value}\n")));
    let mut reader = Reader::new(env);
    let tree = syntax::parse(&file, &mut reader);
    let field = tree.get_key_value("sign").map(|(_, value)| reader::Field { name: "sign", file: &file, value });
    let scheme = field.and_then(|field| lift::sign::scheme(&field, "", &mut reader));
    let broken = reader.problems.iter().any(|problem| problem.severity() == Severity::Error);
    scheme.filter(|_| !broken).ok_or_else(|| Problems::new(PathBuf::from("sign"), reader.problems))
}

/// The `[daemon]` of a config alone, for commands that only need to know where the daemon is: the secrets of jobs and
/// sinks are not read, and nothing is said of what may be wrong with them. `None` when it can't be read.
pub fn daemon(path: &Path, env: &dyn Lookup) -> Option<Daemon> {
    let mut reader = Reader::new(env);
    let file = files::read(path, env).ok()?;
    let tree = syntax::parse(&file, &mut reader);
    let daemon = lift::daemon_alone(&lift::Parsed { file: &file, tree }, env, &mut reader);
    daemon.filter(|_| reader.problems.iter().all(|problem| problem.severity() != Severity::Error))
}

/// Does a header or parameter of this name hold a secret, as far as its name tells?
pub fn names_a_secret(name: &str) -> bool {
    mask::hides_header(name)
}

/// What came of some files: no config when there were errors.
struct Lifted {
    config: Option<(Config, Prints)>,
    files: Vec<PathBuf>,
    /// The same files by the names that may be shown.
    names: Vec<PathBuf>,
}

/// Reads and lifts; `Err` when the main file can't be read at all. All problems are in the reader.
fn load_with(path: &Path, env: &dyn Lookup, reader: &mut Reader<'_>) -> Result<Lifted, ()> {
    let main = files::read(path, env).map_err(|problem| reader.note(problem))?;
    let main_tree = syntax::parse(&main, reader);
    let included = files::included(&main, &main_tree, env, reader);
    let mut parsed = vec![lift::Parsed { file: &main, tree: main_tree }];
    for file in &included {
        let tree = syntax::parse(file, reader);
        parsed.push(lift::Parsed { file, tree });
    }
    let broken = reader.problems.iter().any(|problem| problem.severity() == Severity::Error);
    let config = lift::config(&parsed, env, reader);
    if broken {
        syntax::drop_consequences(&mut reader.problems);
    }
    let files = parsed.iter().map(|parsed| parsed.file.path().to_path_buf()).collect();
    let names = parsed.iter().map(|parsed| parsed.file.name().to_path_buf()).collect();
    Ok(Lifted { config, files, names })
}
