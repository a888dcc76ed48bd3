//! Bodies that are too large to be held in memory: a file without a name, gone when nobody holds it.
//!
//! It knows nothing of what is in it, and it outlives no process.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes that are read of a body at once, when it is read from its beginning to its end.
pub const WINDOW: usize = 1024 * 1024;

/// A body on disk.
#[derive(Clone, Debug)]
pub struct Spool {
    file: Arc<File>,
    len: u64,
}

impl Spool {
    /// An empty one in this folder. The name is taken away at once: whatever happens, nothing is left behind.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".doorbell-{}-{:016x}.body", std::process::id(), fastrand::u64(..)));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self { file: Arc::new(file), len: 0 })
    }

    /// Puts more behind what is there.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True when there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let mut window = Vec::new();
        self.read_behind(&mut window, range)?;
        Ok(Bytes::from(window))
    }

    /// Adds the bytes of a range to a buffer.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn read_behind(&self, window: &mut Vec<u8>, range: Range<u64>) -> io::Result<()> {
        let kept = window.len();
        let more = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        window.resize(kept + more, 0);
        self.file.read_exact_at(&mut window[kept..], range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_and_no_name_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(folder.path()).unwrap();
        spool.push(b"one, ").unwrap();
        spool.push(b"two").unwrap();
        assert_eq!(spool.read(0..spool.len()).unwrap(), "one, two");
        assert_eq!(spool.clone().read(5..8).unwrap(), "two");
        assert!(spool.read(5..9).is_err(), "there is no more");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(Spool::create(Path::new("/nowhere/at/all")).is_err());
    }
}
