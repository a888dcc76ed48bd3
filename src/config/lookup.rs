//! What a config may ask of the machine it is read on: variables, files and folders. Tests hand in a map.
//!
//! Knows nothing of TOML.

use std::env::VarError;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest config file that is read, in bytes: room for a few 100,000 jobs, and an end to `/dev/zero`.
pub(crate) const FILE_MAX: u64 = 256 * 1024 * 1024;

/// The largest file with a secret that is read, in bytes.
pub(crate) const SECRET_MAX: u64 = 64 * 1024;

/// Access to the machine a config is read on.
pub trait Lookup {
    /// An environment variable.
    ///
    /// # Errors
    /// When it is not set, or not Unicode.
    fn variable(&self, name: &str) -> Result<String, VarError>;

    /// A whole file, of at most `max` bytes.
    ///
    /// # Errors
    /// When it can't be read, or is larger.
    fn read(&self, path: &Path, max: u64) -> io::Result<Vec<u8>>;

    /// The names of the files in a folder, in any order; names that are not Unicode are left out.
    ///
    /// # Errors
    /// When the folder can't be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Is there a file of this name?
    fn exists(&self, path: &Path) -> bool;

    /// What stands in for what a reference such as `env:NAME` yields, where secrets are not to be read.
    fn stand_in(&self, _reference: &str) -> Option<String> {
        None
    }
}

/// The machine itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        // `std::env::var` panics on none of these, but no system has variables by such names.
        if name.is_empty() || name.contains(['=', '\0']) { Err(VarError::NotPresent) } else { std::env::var(name) }
    }

    fn read(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::other(format!("it is larger than {max} bytes")));
        }
        Ok(bytes)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.path().is_dir() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_reads_files_up_to_a_size_and_lists_no_folders() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "12345")?;
        std::fs::create_dir(folder.path().join("b.toml"))?;
        let machine = SystemLookup;
        assert_eq!(machine.read(&path, 5)?, b"12345");
        assert!(machine.read(&path, 4).is_err());
        assert_eq!(machine.list(folder.path())?, ["a.toml"]);
        assert!(machine.exists(&path) && !machine.exists(&folder.path().join("c")));
        assert_eq!(machine.variable("A=B"), Err(VarError::NotPresent));
        Ok(())
    }
}
