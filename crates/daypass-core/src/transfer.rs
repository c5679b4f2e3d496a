//! Everything that a store holds, row by row, in a form that belongs to no backend: what a backup is made of, and what moves from
//! one store to another.
//!
//! A row is what the tables say and not what it means: documents are the exact text that was written, so that nothing is lost of
//! what a newer version of the program put there, and what is sealed stays sealed. Rows come part by part, in the order of
//! [`Part::ALL`], and within a part in the order of its key, byte by byte. So the same contents are the same rows in the same order
//! whichever backend they come from, and two stores that say the same have the same [`Census`].

mod blob;
mod census;
mod damage;
mod document;
mod proof;
mod row;

pub use blob::Blob;
pub use census::{Census, Count};
pub use damage::Damage;
pub use document::Document;
pub use proof::{Opens, Proved, Unproved, inspect, prove};
pub use row::{HeldPlace, Part, RecordRow, RingKey, Row, Writer};

use crate::clock::Timestamp;
use crate::store::StoreError;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far the form of rows has come. Whoever adds a kind of row or a field to one counts it up: what was written by a newer
/// program is refused by its number before anything of it is read.
///
/// The second form has documents of records that are no text any more. Rows with which nothing is wrong are the same in both.
pub const VERSION: u32 = 2;

/// The form of rows among which no record is damaged: older programs read them as well.
pub const SOUND: u32 = 1;

/// How many rows a page has at most.
pub const PAGE: usize = 1000;

/// One state of a store, read once from its first row to its last.
#[async_trait]
pub trait Pages: Send {
    /// The next rows, all of one part; none behind the last. However long it takes: what is moved in part is of no use.
    async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError>;
}

/// Whether a store is in service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Standing {
    /// It is.
    #[default]
    Open,
    /// It was filled from another store, which may still be the one in service.
    ///
    /// Attack or accident: two stores that both serve hand out credentials that the other cannot take back, and both spend
    /// what may be spent once.
    Arriving {
        /// Which move it is.
        id: Uuid,
    },
    /// What it held has moved to another store, which is the one in service.
    Moved {
        /// Which move it was.
        id: Uuid,
        /// The other store's address. It never holds a password.
        to: String,
        /// When.
        at: Timestamp,
    },
}

impl Standing {
    /// Refuses whoever would serve from a store that is not in service.
    pub fn in_service(&self) -> Result<(), StoreError> {
        Err(StoreError::OutOfService(match self {
            Self::Open => return Ok(()),
            Self::Arriving { .. } => {
                "a move into this store has not come to its end; give the same `daypass migrate` again"
                    .to_owned()
            }
            Self::Moved { to, at, .. } => format!(
                "what this store held has moved to `{to}` at {}; serve from there, or go back to this one, which loses what was \
                 written there since: `daypass migrate --undo`",
                crate::clock::rfc3339(*at)
            ),
        }))
    }
}

/// A store that nobody else uses or begins to use for as long as this is there. Dropped without [`Whole::commit`], it is as it was.
#[async_trait]
pub trait Whole: Send {
    /// Whether it was in service.
    fn standing(&self) -> &Standing;
    /// Reads all of it, from the first row.
    async fn rows(&mut self) -> Result<Box<dyn Pages>, StoreError>;
    /// Makes it ready to be filled: takes away what an earlier move has left. A conflict where it holds anything else.
    async fn clear(&mut self) -> Result<(), StoreError>;
    /// Adds rows, which are all of one part and not there yet; a part after those that it refers to.
    async fn put(&mut self, rows: Vec<Row>) -> Result<(), StoreError>;
    /// Makes all of it durable in one, with what the store is from now on, and lets the others in.
    async fn commit(self: Box<Self>, standing: Standing) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    #[test]
    fn only_an_open_store_is_in_service() {
        assert_eq!(Standing::default().in_service(), Ok(()));
        let id = Uuid::from_u128(7);
        let arriving = Standing::Arriving { id }.in_service().unwrap_err().to_string();
        assert!(arriving.contains("daypass migrate"), "{arriving}");
        let to = "postgres://daypass@db/daypass".to_owned();
        let moved = Standing::Moved { id, to, at: START };
        let text = moved.in_service().unwrap_err().to_string();
        assert!(text.contains("postgres://daypass@db/daypass") && text.contains("2023-11-14"), "{text}");
        let json = serde_json::to_string(&moved).unwrap();
        assert_eq!(serde_json::from_str::<Standing>(&json).unwrap(), moved);
    }
}
