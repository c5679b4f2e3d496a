//! What PostgreSQL's errors mean to whoever asked.

use daypass_core::store::StoreError;
use deadpool_postgres::PoolError;
use std::error::Error as _;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Error, Row};

/// A failure inside this backend.
#[derive(Debug)]
pub(super) struct Fault {
    /// What the caller is told.
    pub(super) error: StoreError,
    /// The server took the transaction back because of another one: the same again may well succeed.
    pub(super) again: bool,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self { error, again: false }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Some(code) = error.code() else {
            return StoreError::Unavailable(text(&error)).into();
        };
        let again = *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED;
        let text = text(&error);
        let error = match code.code().get(..2).unwrap_or_default() {
            // Not ours to mend, but not what we wrote either: somebody took a right away.
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Unavailable(text),
            // A statement of ours does not fit the tables, or the server found its own pages broken.
            "42" | "XX" => StoreError::Damaged(text),
            // A constraint, or a text that PostgreSQL cannot hold.
            "23" | "22" => StoreError::Conflict(text),
            _ => StoreError::Unavailable(text),
        };
        Self { error, again }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => closed().into(),
            PoolError::Timeout(_) => late().into(),
            other => StoreError::Unavailable(other.to_string()).into(),
        }
    }
}

/// What the server said, or else what the driver did with its cause: by itself it says "db error" or "error connecting".
fn text(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        let todo = todo(said.code());
        return format!("{} (PostgreSQL {}){todo}", said.message(), said.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// What an operator can do about an answer that no transaction of ours has caused.
fn todo(code: &SqlState) -> &'static str {
    match code.code() {
        "3D000" => "; make that database, or mend its name in `[store] url`",
        "28000" | "28P01" => "; mend the user or the password of `[store]`, or what pg_hba.conf lets in",
        "42501" => {
            "; grant the role of `[store] url` CREATE on the database, and what stands in the schema `daypass`"
        }
        "53300" => "; raise the server's max_connections, or lower `connections` in `[store] url`",
        _ => "",
    }
}

/// A value that the store holds and that cannot be right.
pub(super) fn damaged(what: impl std::fmt::Display) -> Fault {
    StoreError::Damaged(what.to_string()).into()
}

/// A value of a row. One of another type is not what this program wrote.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Fault> {
    row.try_get(at).map_err(|error| damaged(text(&error)))
}

/// Bytes of a fixed number, as marks, MACs and digests are.
pub(super) fn bytes<const N: usize>(row: &Row, at: usize) -> Result<[u8; N], Fault> {
    let found: &[u8] = column(row, at)?;
    found.try_into().map_err(|_| damaged(format_args!("{} bytes stand where {N} were written", found.len())))
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

pub(super) fn late() -> StoreError {
    StoreError::Unavailable(format!("no answer within {} s", daypass_core::record::DEADLINE.as_secs()))
}
