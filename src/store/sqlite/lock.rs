//! One process for one state: a lock file beside it that says who holds it.
//!
//! The file stays when the process ends: removing it would let two processes hold two files of one name. The kernel
//! frees the lock with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::core::time::Timestamp;
use crate::store::OpenError;

/// More than a lock file of ours ever holds.
const NOTE_MAX: u64 = 256;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock of the state at `state`, and writes down who has it since when.
pub(super) fn take(state: &Path, now: Timestamp) -> Result<Lock, OpenError> {
    let path = beside(state);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| unlockable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(held(state, &mut file))),
        Err(TryLockError::Error(error)) => return Err(unlockable(&path, &error)),
    }
    sign(&mut file, now).map_err(|error| unlockable(&path, &error))?;
    Ok(Lock { _file: file })
}

/// `doorbell.db` is locked by `doorbell.db.lock`.
fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn sign(file: &mut File, now: Timestamp) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {now}", std::process::id())
}

/// Who holds it. The holder writes its note just after it took the lock, so the note may not be there yet.
fn held(state: &Path, file: &mut File) -> String {
    let mut note = String::new();
    let read = file.take(NOTE_MAX).read_to_string(&mut note);
    let who = match note.trim().split_once(' ') {
        Some((pid, since)) if read.is_ok() => format!("process {pid} since {since}"),
        _ => "another process".to_owned(),
    };
    format!(
        "the state `{}` is in use by {who}, most likely a daemon of this config; end that one first, with \
         `systemctl stop doorbell` or Ctrl-C where it was started, or give this one a file of its own with \
         `state = \"…\"` under [daemon]",
        state.display()
    )
}

fn unlockable(path: &Path, error: &io::Error) -> OpenError {
    let path = path.display();
    OpenError::Refused(match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
            "can't write `{path}`: {error}; the state's directory must be writable for the user that doorbell runs as: \
             look with `ls -ld` and change it with `chown`"
        ),
        _ => format!("can't lock `{path}`: {error}; the state must lie on a local file system that has file locks"),
    })
}
