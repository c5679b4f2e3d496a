//! Where clients, keys, the ring, cut-offs and records are kept.
//!
//! There is one port, [`daypass_core::store::Store`], and one folder for each backend behind it. Nothing outside
//! a backend's folder asks which backend it talks to, and every backend passes the same suite
//! (`conformance`, behind the feature of that name).

use daypass_core::store::{Store, StoreError};
use daypass_core::transfer::Whole;
use std::sync::Arc;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod others;
mod pipe;
mod postgres;
mod sqlite;
mod stands;
mod steps;
mod sums;
mod waiting;

/// Opens the store at this address, making it if there is none: `sqlite:PATH` is one file (and the two that
/// SQLite keeps beside it), readable by its owner alone, in a folder that must exist; `postgres://USER@HOST/DATABASE` is a
/// database, in which its tables are made.
///
/// This is start-up work: it blocks on the disk or the network, and may take as long as reading a log that a crash left behind
/// or as another node that changes the tables.
pub fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::SqliteStore::open(path)?)),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::PostgresStore::open(url)?)),
        // Not the address itself: one that was meant for another server may carry a password.
        other => Err(StoreError::BadUrl(format!(
            "the store's address {}; supported are `sqlite:PATH`, such as \
             `sqlite:/var/lib/daypass/daypass.db`, and `postgres://USER@HOST/DATABASE`",
            match other {
                Some((scheme, _)) => format!("begins with `{scheme}:`, which this Daypass cannot open"),
                None => "has no kind in front".to_owned(),
            }
        ))),
    }
}

/// Whether an address is one that [`open`] understands, without opening anything: what is wrong with it is told where it is written.
pub fn understand(url: &str) -> Result<(), StoreError> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => postgres::understand(url),
        Some(("sqlite", _)) => Ok(()),
        _ => open(url).map(|_| ()),
    }
}

/// Whether there is a store at this address. What only looks must not leave an empty one behind.
pub fn exists(url: &str) -> Result<bool, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => sqlite::SqliteStore::exists(path),
        Some(("postgres" | "postgresql", _)) => postgres::PostgresStore::exists(url),
        _ => open(url).map(|_| true),
    }
}

/// Takes the store at this address with everybody else kept out, as [`open`] makes it if there is none: to fill it, or to move what
/// it holds. A conflict where another process has it open.
pub async fn whole(url: &str) -> Result<Box<dyn Whole>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            let path = path.to_owned();
            let open = tokio::task::spawn_blocking(move || sqlite::SqliteWhole::open(&path));
            let opened = open.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            Ok(Box::new(opened?))
        }
        Some(("postgres" | "postgresql", _)) => Ok(Box::new(postgres::PostgresWhole::open(url).await?)),
        _ => {
            Err(open(url).err().unwrap_or_else(|| StoreError::BadUrl("the store cannot be moved".to_owned())))
        }
    }
}

/// How far a store's tables are, and how far this program would bring them: nothing is made or changed by asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The steps that were taken; 0 where there is no store.
    pub found: i64,
    /// The steps that this program knows.
    pub known: i64,
}

/// Looks how far the tables of the store at this address are.
pub fn schema(url: &str) -> Result<Schema, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => sqlite::SqliteStore::schema(path),
        Some(("postgres" | "postgresql", _)) => postgres::PostgresStore::schema(url),
        _ => open(url).map(|_| Schema { found: 0, known: 0 }),
    }
}

/// How often transactions of this process were done again because the database took them back, by what they were for.
pub fn done_again() -> impl Iterator<Item = (&'static str, u64)> {
    postgres::done_again()
}

pub use postgres::Traffic;

/// How it went with the connections of this process to PostgreSQL, if it has any.
pub fn traffic() -> Traffic {
    postgres::traffic()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        open(url).err().unwrap().to_string()
    }

    #[test]
    fn an_address_that_is_not_a_store_is_refused_by_name() {
        let text = refusal("mysql://daypass:hunter2@db/daypass");
        assert!(text.contains("`mysql:`") && text.contains("`sqlite:PATH`"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(refusal("/var/lib/daypass.db").contains("has no kind in front"));
    }

    #[test]
    fn a_path_must_be_named_and_its_folder_be_there() {
        assert!(refusal("sqlite:").contains("names no file"));
        assert!(refusal("sqlite://host/daypass.db").contains("`sqlite:/host/daypass.db`"));
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nowhere/daypass.db");
        let text = refusal(&format!("sqlite:{}", missing.display()));
        assert!(text.contains("nowhere") && text.contains("does not exist"), "{text}");
    }
}
