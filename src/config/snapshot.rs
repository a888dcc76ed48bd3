//! Which files a config was read from, and how they looked: by it a change is seen without reading them again.
//!
//! It knows no debouncing: when to look, and when a change has come to rest, is the caller's to say.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env::VarError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::lookup::{Lookup, SystemLookup};

/// How the files and folders of a config looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Look>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    Missing,
    /// A file that is replaced by renaming is another inode.
    File {
        device: u64,
        inode: u64,
        size: u64,
        changed: (i64, i64),
    },
    /// What is in it; an editor's hidden files come and go.
    Folder(Vec<String>),
}

impl Snapshot {
    /// How the same files and folders look now.
    #[must_use]
    pub fn again(&self) -> Self {
        let look = |(path, look): (&PathBuf, &Look)| {
            let now = if matches!(look, Look::Folder(_)) { folder(path) } else { file(path) };
            (path.clone(), now)
        };
        Self(self.0.iter().map(look).collect())
    }
}

fn file(path: &Path) -> Look {
    std::fs::metadata(path).map_or(Look::Missing, |meta| Look::File {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        changed: (meta.mtime(), meta.mtime_nsec()),
    })
}

fn folder(path: &Path) -> Look {
    let mut names = SystemLookup.list(path).unwrap_or_default();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Look::Folder(names)
}

/// The machine itself, and a note of each file and folder that was looked at: secrets and certificates too.
#[derive(Debug, Default)]
pub struct Noting(RefCell<Snapshot>);

impl Noting {
    /// What was looked at, as it looked just before it was read.
    pub fn seen(self) -> Snapshot {
        self.0.into_inner()
    }
}

impl Lookup for Noting {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        SystemLookup.variable(name)
    }

    fn read(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        // Looked at first: what changes while it is read is seen the next time.
        self.0.borrow_mut().0.entry(path.to_path_buf()).or_insert_with(|| file(path));
        SystemLookup.read(path, max)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.borrow_mut().0.entry(path.to_path_buf()).or_insert_with(|| folder(path));
        SystemLookup.list(path)
    }

    fn exists(&self, path: &Path) -> bool {
        SystemLookup.exists(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_read_is_seen_to_change() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (main, secret) = (dir.path().join("a.toml"), dir.path().join("secret"));
        std::fs::write(&main, "1")?;
        std::fs::create_dir(dir.path().join("conf.d"))?;
        let noting = Noting::default();
        noting.read(&main, 10)?;
        noting.list(&dir.path().join("conf.d"))?;
        assert!(noting.read(&secret, 10).is_err());
        let mut seen = noting.seen();
        assert_eq!(seen.again(), seen);
        let changes: [&dyn Fn() -> io::Result<()>; 4] = [
            &|| std::fs::write(&main, "22"),
            &|| std::fs::write(dir.path().join("b"), "33").and_then(|()| std::fs::rename(dir.path().join("b"), &main)),
            &|| std::fs::write(&secret, "x"),
            &|| std::fs::write(dir.path().join("conf.d/new.toml"), ""),
        ];
        for (index, change) in changes.iter().enumerate() {
            change()?;
            assert_ne!(seen.again(), seen, "change {index}");
            seen = seen.again();
        }
        std::fs::write(dir.path().join("conf.d/.new.toml.swp"), "")?;
        assert_eq!(seen.again(), seen);
        Ok(())
    }
}
