//! What a config comes to, and what is said of a bad one. No file and no variable of this machine is read.

mod cases;
mod details;
mod documents;
mod formats;
mod keys;
mod paging;
mod renames;
mod scopes;
mod transport;
mod values;

use std::collections::BTreeMap;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Loaded, Lookup, Problems, load};

/// A machine made of maps.
#[derive(Default)]
pub(crate) struct Machine {
    variables: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Machine {
    fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(PathBuf::from(path), text.as_ref().to_vec());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(Path::new("doorbell.toml"), self)
    }
}

impl Lookup for Machine {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.variables.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let bytes = self.files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > max { Err(io::Error::other("too large")) } else { Ok(bytes) }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        let names: Vec<String> =
            self.files.keys().filter(inside).filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }
}

/// A machine with this config and nothing else.
pub(crate) fn with(config: &str) -> Machine {
    Machine::default().file("doorbell.toml", config)
}

/// What loads, or the problems as they are printed.
pub(crate) fn loaded(machine: &Machine) -> Loaded {
    machine.load().unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is printed of a config that does not load.
pub(crate) fn printed(machine: &Machine) -> String {
    machine.load().map_or_else(|problems| problems.render(false), |_| String::new())
}
