//! The file that `init` writes: a new one, or one that is there and keeps every byte it has.
//!
//! It is written only when what it would hold passes `check`, and then at once: beside it, and moved into its place.

use std::collections::BTreeMap;
use std::env::VarError;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use super::Stop;
use crate::cli::{FAILED, USAGE, say};
use crate::config::{self, Loaded, Lookup, SystemLookup, schema};

/// Where a config is written when nothing is said.
const DEFAULT: &str = "doorbell.toml";

/// The schema that editors read, beside it.
const SCHEMA: &str = "doorbell.schema.json";

/// The largest file that is added to, in bytes: no person writes more by hand.
const FILE_MAX: u64 = 16 * 1024 * 1024;

pub(super) struct Target {
    /// `None` prints.
    path: Option<PathBuf>,
    /// What is there already.
    text: Option<String>,
    jobs: Vec<String>,
    sinks: Vec<String>,
    /// Vendors and their `base_url`, of the file itself.
    vendors: BTreeMap<String, Option<String>>,
}

impl Target {
    /// Reads what is there: it must be a config that passes, or nothing.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Stop> {
        let empty = |path| Self { path, text: None, jobs: Vec::new(), sinks: Vec::new(), vendors: BTreeMap::new() };
        let path = match path {
            Some(path) if path.as_os_str() == "-" => return Ok(empty(None)),
            Some(path) => path.to_path_buf(),
            None => PathBuf::from(DEFAULT),
        };
        if !path.exists() {
            return Ok(empty(Some(path)));
        }
        let bytes = SystemLookup.read(&path, FILE_MAX).map_err(|error| unreadable(&path, &error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable(&path, "it is not UTF-8"))?;
        let loaded = load(&path, &text, USAGE)?;
        let tree: toml::Table = text.parse().unwrap_or_default();
        let vendors = tree.get("vendor").and_then(toml::Value::as_table).into_iter().flatten();
        let base_url = |vendor: &toml::Value| vendor.get("base_url").and_then(|url| url.as_str().map(str::to_owned));
        Ok(Self {
            jobs: loaded.config.jobs.iter().map(|job| job.name.to_string()).collect(),
            sinks: loaded.config.sinks.iter().map(|sink| sink.name.to_string()).collect(),
            vendors: vendors.map(|(name, vendor)| (name.clone(), base_url(vendor))).collect(),
            path: Some(path),
            text: Some(text),
        })
    }

    pub(super) fn is_stdout(&self) -> bool {
        self.path.is_none()
    }

    /// Is there something to add to?
    pub(super) fn has_text(&self) -> bool {
        self.text.as_ref().is_some_and(|text| !text.trim().is_empty())
    }

    pub(super) fn shown(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
    }

    /// A sink that is there already.
    pub(super) fn sink(&self) -> Option<&str> {
        self.sinks.first().map(String::as_str)
    }

    /// Is this the name of no sink yet? Then it, else the next number that is free.
    pub(super) fn free_sink(&self, name: &str) -> String {
        free(name, |name| self.sinks.iter().any(|known| known == name))
    }

    /// The vendor with this prefix that is there, or a name for a new one.
    pub(super) fn vendor(&self, name: &str, base_url: &str) -> (String, bool) {
        let same = |url: &Option<String>| url.as_deref().map(|url| url.trim_end_matches('/')) == Some(base_url);
        match self.vendors.iter().find(|(_, url)| same(url)) {
            Some((name, _)) => (name.clone(), true),
            None => (free(name, |name| self.vendors.contains_key(name)), false),
        }
    }

    /// Is there no job of this name, and can there be one?
    pub(super) fn is_free(&self, name: &str) -> Result<(), Stop> {
        if self.jobs.iter().any(|known| known == name) {
            let other = free(name, |name| self.jobs.iter().any(|known| known == name));
            return Err(Stop::failed(
                format!("there is a job `{name}` already in {}", self.shown()),
                format!("give this one another name: `--name {other}`"),
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let problem = format!("`{}` can't be a job's name", name.escape_debug());
            return Err(Stop::usage(problem, "a name is at most 64 letters (a to z), digits, `_` and `-`"));
        }
        Ok(())
    }

    /// Writes the file with `addition` at its end, when the whole passes.
    pub(super) fn write(&self, addition: &str) -> Result<(), Stop> {
        let Some(path) = &self.path else {
            load(Path::new(DEFAULT), addition, FAILED)?;
            say::result(addition.trim_end());
            return Ok(());
        };
        let before = self.text.as_deref().unwrap_or_default();
        let gap = if before.is_empty() || before.ends_with("\n\n") {
            ""
        } else if before.ends_with('\n') {
            "\n"
        } else {
            "\n\n"
        };
        let text = match self.has_text() {
            true => format!("{before}{gap}{addition}"),
            false => format!("#:schema ./{SCHEMA}\n{addition}"),
        };
        load(path, &text, FAILED)?;
        if !self.has_text() {
            self.write_schema(path);
        }
        replace(path, &text).map_err(|error| {
            Stop::failed(format!("`{}` can't be written: {error}", path.display()), "name another file with `-o FILE`")
        })
    }

    /// Beside a new file, for editors. A config is whole without it, so that nothing is said when it can't be written.
    fn write_schema(&self, path: &Path) {
        let beside = path.with_file_name(SCHEMA);
        if !beside.exists() {
            let _ = fs::write(beside, format!("{:#}\n", schema::config()));
        }
    }
}

fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

fn unreadable(path: &Path, why: &str) -> Stop {
    Stop::failed(format!("`{}` can't be added to: {why}", path.display()), "name another file with `-o FILE`")
}

/// A text as the config it would be in that place.
pub(super) fn load(path: &Path, text: &str, code: u8) -> Result<Loaded, Stop> {
    config::load(path, &Overlay { path, text }).map_err(|problems| {
        let colour = io::stderr().is_terminal();
        // There is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{}", problems.render(colour).trim_end());
        Stop { code, said: None }
    })
}

/// Moves the new text into the place of the old one, so that a reader never sees half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = real.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let moved = fs::write(&beside, text)
        .and_then(|()| match fs::metadata(&real) {
            Ok(old) => fs::set_permissions(&beside, old.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&beside, &real));
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved
}

/// This machine, with one file as it is to be.
struct Overlay<'t> {
    path: &'t Path,
    text: &'t str,
}

impl Lookup for Overlay<'_> {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        SystemLookup.variable(name)
    }

    fn read(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        if path == self.path { Ok(self.text.as_bytes().to_vec()) } else { SystemLookup.read(path, max) }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        SystemLookup.list(folder)
    }

    fn exists(&self, path: &Path) -> bool {
        path == self.path || SystemLookup.exists(path)
    }
}
