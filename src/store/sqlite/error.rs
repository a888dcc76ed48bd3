//! What SQLite's errors mean to the rooms above. No sentence of SQLite's carries a value of a row.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// What a verb of the SQLite store gives back.
pub(super) type Result<T> = std::result::Result<T, StoreError>;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = sentence(&error);
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory,
            ) => Self::Unwritable(text),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => Self::Refused(text),
            _ => Self::Damaged(text),
        }
    }
}

/// SQLite's words, with ours where a person must act.
pub(super) fn sentence(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space, nothing is lost".to_owned(),
        Some(ErrorCode::ReadOnly) => "the file is read-only for this user".to_owned(),
        Some(ErrorCode::DatabaseBusy) => "another program keeps it busy; end that program's transaction".to_owned(),
        _ => error.to_string(),
    }
}

/// A count as SQLite keeps it.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as SQLite gave it: never negative, because a CHECK of its column says so.
pub(super) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A small count as SQLite gave it.
pub(super) fn small(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}
