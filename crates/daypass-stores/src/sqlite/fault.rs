//! What SQLite's errors mean to whoever asked.

use daypass_core::store::StoreError;
use rusqlite::ErrorCode;

/// A failure inside this backend.
#[derive(Debug)]
pub(super) struct Fault {
    /// What the caller is told.
    pub(super) error: StoreError,
    /// The disk itself failed to read, write or sync. What the kernel holds of the file may differ from the disk.
    pub(super) disk: bool,
    /// The disk is full.
    pub(super) full: bool,
    /// A write was refused, and SQLite does not say why: by a disk that fails, or by a quota that is used up
    /// ([`Reserve::judge`](super::reserve::Reserve::judge)).
    pub(super) refused: bool,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self { error, disk: false, full: false, refused: false }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            // A column of the wrong type, a missing row, a statement that does not fit the tables: the file is
            // not what this program wrote.
            return StoreError::Damaged(text).into();
        };
        // The log's index is a file as well, and has an error of its own for a disk that is full.
        let full = failure.code == ErrorCode::DiskFull
            || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
        let disk = failure.code == ErrorCode::SystemIoFailure && !full;
        let error = match failure.code {
            // A read past the end of the file: it was cut off. Any other I/O error is the disk's.
            _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ => StoreError::Damaged(text),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch => {
                StoreError::Damaged(text)
            }
            ErrorCode::ConstraintViolation => StoreError::Conflict(text),
            // SQLITE_ERROR: a statement that this program prepared does not fit the tables.
            ErrorCode::Unknown => StoreError::Damaged(text),
            _ => StoreError::Unavailable(text),
        };
        let refused = failure.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE;
        Self { error, disk, full, refused }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        StoreError::Unavailable(error.to_string()).into()
    }
}

/// A value that the store holds and that cannot be right.
pub(super) fn damaged(what: impl std::fmt::Display) -> Fault {
    StoreError::Damaged(what.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, ffi};

    #[test]
    fn each_kind_of_error_has_its_meaning() {
        let fault = |code| Fault::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(fault(ffi::SQLITE_CORRUPT).error, StoreError::Damaged(_)));
        assert!(matches!(fault(ffi::SQLITE_NOTADB).error, StoreError::Damaged(_)));
        assert!(matches!(fault(ffi::SQLITE_IOERR_SHORT_READ).error, StoreError::Damaged(_)));
        assert!(matches!(
            fault(ffi::SQLITE_FULL),
            Fault { error: StoreError::Unavailable(_), disk: false, full: true, refused: false }
        ));
        assert!(matches!(
            fault(ffi::SQLITE_BUSY),
            Fault { error: StoreError::Unavailable(_), disk: false, full: false, refused: false }
        ));
        assert!(matches!(
            fault(ffi::SQLITE_IOERR_FSYNC),
            Fault { error: StoreError::Unavailable(_), disk: true, full: false, refused: false }
        ));
        assert!(matches!(
            fault(ffi::SQLITE_IOERR_WRITE),
            Fault { error: StoreError::Unavailable(_), disk: true, full: false, refused: true }
        ));
    }

    #[test]
    fn a_missing_table_is_damage() {
        let error = Connection::open_in_memory().unwrap().prepare("SELECT 1 FROM clients").err().unwrap();
        assert!(matches!(Fault::from(error).error, StoreError::Damaged(text) if text.contains("clients")));
    }
}
