//! The file itself: is it there, is it ours, can we read it, and how a connection to it is set up.
//!
//! A file that is not a state of ours, or one that we can't read, is refused as it is: nothing is written to it, and
//! it is never created anew in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::OpenError;
use crate::store::sqlite::error::sentence;
use crate::store::sqlite::migrate;

/// "DBel": what SQLite's header says a file is for, at offset 68 (sqlite.org/fileformat2.html, section 1.3).
pub(super) const APPLICATION_ID: u32 = 0x4442_656c;

/// How long a connection waits for another program, such as `sqlite3`, that holds the write lock.
const BUSY: Duration = Duration::from_secs(5);

/// Up to this size the whole file is checked before it is used: about 50 ms. A larger one is checked as it is read.
const CHECKED_MAX: u64 = 8 << 20;

/// The WAL is cut back to this many bytes after a checkpoint, so that one large commit does not keep the disk.
const WAL_MAX: i64 = 16 << 20;

/// Pages kept in memory by the writer, in KiB, once it has touched them: the hot ends of the indices of a long queue.
const WRITER_CACHE: i64 = 16384;

/// Pages kept in memory by each reader, in KiB.
const READER_CACHE: i64 = 2048;

/// Where the state really is: symbolic links are followed, so that two names of one file have one lock.
pub(super) fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    if path.is_dir() {
        return refuse(path, "is a directory; name a file in it with `state = \"…\"` under [daemon]");
    }
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name() else { return refuse(path, "is no file name") };
    match parent.canonicalize() {
        Ok(parent) if parent.is_dir() => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            refuse(path, &format!("can't be reached: {error}"))
        }
        Ok(_) | Err(_) => Err(OpenError::Refused(format!(
            "the directory of the state `{}` does not exist; make it with `mkdir -p {}`",
            path.display(),
            parent.display()
        ))),
    }
}

/// Opens the state for its writer, creating it where there is no file (or an empty one), and brings it up to date.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let size = create(path)?;
    if size > 0 {
        look(path, size)?;
    } else if wal(path) {
        return refuse(
            path,
            "is missing or empty, but its log `-wal` is there; put the file back, or move the log away",
        );
    }
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| unreadable(path, &error))?;
    let fresh = accept(&db, path, size)?;
    let mode = prepare(&db, fresh).map_err(|error| unreadable(path, &error))?;
    if mode != "wal" {
        return refuse(path, "can't have a write-ahead log here; it must lie on a local file system");
    }
    migrate::run(&db).map_err(|error| unreadable(path, &error))?;
    Ok(db)
}

/// Opens the state for a reader: such a connection can't write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let open = || -> rusqlite::Result<Connection> {
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.pragma_update(None, "query_only", true)?;
        db.pragma_update(None, "cache_size", -READER_CACHE)?;
        Ok(db)
    };
    open().map_err(|error| unreadable(path, &error))
}

/// Makes an empty file that only its owner may read, where there is none; the size of what is there.
fn create(path: &Path) -> Result<u64, OpenError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    match opened.and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() => Ok(found.len()),
        Ok(_) => refuse(path, "is not a file"),
        Err(error) => refuse(
            path,
            &format!("can't be written: {error}; it must belong to the user that doorbell runs as: look with `ls -l`"),
        ),
    }
}

/// Reads the header without SQLite, which would recover, and so change, what may not be ours.
fn look(path: &Path, size: u64) -> Result<(), OpenError> {
    let mut header = Vec::with_capacity(100);
    if let Err(error) = File::open(path).and_then(|file| file.take(100).read_to_end(&mut header)) {
        return refuse(path, &format!("can't be read: {error}"));
    }
    let word = |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    if !header.starts_with(b"SQLite format 3\0") || header.len() < 100 {
        return refuse(path, &foreign("it does not begin like an SQLite file"));
    }
    // A database of one empty page is what a crash during the very first start leaves; there is nothing in it to lose.
    if word(68) != APPLICATION_ID && !(word(68) == 0 && size <= 4096) {
        return refuse(path, &foreign("it is an SQLite file of another program"));
    }
    newer(path, i64::from(word(60)))?;
    let page = match u64::from(word(16) >> 16) {
        1 => 65536,
        page => page,
    };
    // The page count stands only where it was written by the same change as the change counter (section 1.3.7).
    if word(24) == word(92) && size < page * u64::from(word(28)) && !wal(path) {
        return refuse(path, &damaged("it is shorter than it says it is"));
    }
    Ok(())
}

/// Is there a write-ahead log that holds anything?
fn wal(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(PathBuf::from(name)).is_ok_and(|found| found.len() > 0)
}

/// Looks through SQLite's eyes at a file whose header passed. True when there is nothing in it yet.
fn accept(db: &Connection, path: &Path, size: u64) -> Result<bool, OpenError> {
    let ask = || -> rusqlite::Result<(u32, i64, i64)> {
        Ok((
            db.pragma_query_value(None, "application_id", |row| row.get(0))?,
            db.pragma_query_value(None, "user_version", |row| row.get(0))?,
            db.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        ))
    };
    let (application, version, objects) = ask().map_err(|error| unreadable(path, &error))?;
    if application != APPLICATION_ID && (objects > 0 || version != 0) {
        return refuse(path, &foreign("it is an SQLite file of another program"));
    }
    newer(path, version)?;
    if (1..=CHECKED_MAX).contains(&size) {
        let found: String =
            db.query_one("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| unreadable(path, &error))?;
        if found != "ok" {
            return refuse(path, &damaged(found.lines().next().unwrap_or("quick_check failed")));
        }
    }
    Ok(objects == 0)
}

/// Opens a connection that changes nothing yet: not even the last one to close copies the log into the file.
fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Else whatever is bound to a statement may have it planned anew, each time, which costs more than running it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(96);
    Ok(db)
}

/// Sets up the accepted file. What it is for is written before the log is switched on, so that it always stands in
/// the header, where [`look`] finds it. Gives back the journal mode that SQLite could have.
fn prepare(db: &Connection, fresh: bool) -> rusqlite::Result<String> {
    if fresh {
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let mode = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // What a savepoint needs to roll back is bounded by the batch, and no file on disk is faster.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update_and_check(None, "journal_size_limit", WAL_MAX, |row| row.get::<_, i64>(0))?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(mode)
}

fn newer(path: &Path, version: i64) -> Result<(), OpenError> {
    if version <= migrate::VERSION {
        return Ok(());
    }
    refuse(
        path,
        &format!(
            "was written by a newer doorbell: its format is {version}, this one knows up to {}; run the newer version, \
             or go back to a backup that was made before the upgrade",
            migrate::VERSION
        ),
    )
}

fn foreign(why: &str) -> String {
    format!(
        "is not a state of doorbell: {why}; it is left as it is: name another file with `state = \"…\"` under [daemon], \
         or move it away"
    )
}

fn damaged(why: &str) -> String {
    format!(
        "is damaged: {why}; it is left as it is: put a backup in its place, or move it (and its -wal and -shm) away to \
         start anew, which forgets what was seen and what was not yet delivered"
    )
}

fn refuse<T>(path: &Path, what: &str) -> Result<T, OpenError> {
    Err(OpenError::Refused(format!("the state `{}` {what}", path.display())))
}

pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let what = match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => damaged(&error.to_string()),
        _ => format!("can't be opened: {}", sentence(error)),
    };
    OpenError::Refused(format!("the state `{}` {what}", path.display()))
}
