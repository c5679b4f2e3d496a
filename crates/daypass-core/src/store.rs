//! The port to whatever keeps clients, keys, the ring, cut-offs and records.

use crate::client::{Client, Key};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::cutoff::{Cutoff, Scope};
use crate::freeze::{Freeze, Place};
use crate::held::{Held, Turn, TurnEnd, Wish};
use crate::record::{Chain, ChainHead, Entry, Link, Record};
use crate::replay::Mark;
use crate::ring::RingRow;
use crate::root::RootRow;
use async_trait::async_trait;
use uuid::Uuid;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is full, or did not answer in time. Asking again may help.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// It was made by a newer version of Daypass.
    #[error(
        "the store has schema version {found}, and this version of Daypass knows {known} at most; use the newer one"
    )]
    Newer {
        /// The version in the store.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// What it holds cannot be right.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The change contradicts what is there, such as a second client of one name.
    #[error("{0}")]
    Conflict(String),
    /// The address names no store that this version of Daypass can open.
    #[error("{0}")]
    BadUrl(String),
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The record is durable.
    Appended,
    /// Another process recorded the same mark before, first at this time; nothing was written.
    Seen(Timestamp),
}

/// What became of a single-use mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It was unused, and is used from now on.
    Now,
    /// It had been used.
    Before,
}

/// One change of what a store holds.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds a client, or replaces the one with its guid.
    PutClient(Client),
    /// Adds a key, or replaces the one with its id.
    PutKey(Key),
    /// Adds ring keys. A conflict where one of the same purpose and version is there: of two processes that start on
    /// an empty store, only one may give it its keys.
    AddRing(Vec<RingRow>),
    /// Replaces ring keys by their purpose and version, or adds them.
    PutRing(Vec<RingRow>),
    /// Replaces ring keys by others. A conflict where one of the old ones is not there exactly as it is given: of two
    /// processes that rotate at once, the second did not decide on what is there now.
    SwapRing {
        /// What was decided on.
        old: Vec<RingRow>,
        /// What is there from now on.
        new: Vec<RingRow>,
    },
    /// Adds a cut-off; of two for one scope the later counts.
    Cut(Cutoff),
    /// Removes cut-offs that mean nothing any more. A conflict where one is not there exactly as it is given, to the
    /// millisecond: of two nodes that clear up at once, the second finds nothing to do, and a scope that was cut off
    /// again meanwhile stays so.
    Uncut(Vec<Cutoff>),
    /// Stops issuing at a place; one that is frozen already stays so from when it was.
    Freeze(Freeze),
    /// Goes on issuing at a place. A conflict where it is not frozen.
    Thaw(Place),
    /// Replaces the root keys of issuers by others, each in its slot. A conflict where one of the old ones is not there
    /// exactly as it is given, or one of the new ones would take a slot that is not given up: of two operators who rotate
    /// at once, the second did not decide on what is there now.
    SwapRoots {
        /// What was decided on.
        old: Vec<RootRow>,
        /// What is there from now on.
        new: Vec<RootRow>,
    },
}

/// Which records to read, newest last.
#[derive(Clone, Debug, Default)]
pub struct RecordQuery {
    /// Only those of this tenant.
    pub tenant: Option<String>,
    /// Only those at or after this time.
    pub since: Option<Timestamp>,
    /// Only those behind this position, as [`Stored::position`] gave it.
    pub after: Option<i64>,
    /// At most this many: the newest ones, or with `after` the next ones.
    pub limit: usize,
}

/// A record as it was read, with its place in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Grows with every record; a cursor for [`RecordQuery::after`].
    pub position: i64,
    /// The record.
    pub record: Record,
}

/// What keeps state. Two backends pass one conformance suite, and nothing outside their folders asks which it is.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins to write under this chain. Needed once before the first [`Store::change`] or [`Store::append`].
    async fn begin(&self, chain: Chain) -> Result<(), StoreError>;

    /// Every client.
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;
    /// Every key of every client.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;
    /// Every ring key.
    async fn ring(&self) -> Result<Vec<RingRow>, StoreError>;
    /// Every cut-off, however long it takes: there may be a million.
    async fn cutoffs(&self) -> Result<Vec<Cutoff>, StoreError>;
    /// The instant of the cut-off of one scope, if there is one: for whoever has no time to read all. Unlike all of them
    /// together, one row is proved by nothing: it is no reason to leave undone what it says is done.
    async fn cutoff(&self, scope: Scope) -> Result<Option<Timestamp>, StoreError>;
    /// Every place where nothing is issued.
    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError>;
    /// Every root key of every issuer.
    async fn roots(&self) -> Result<Vec<RootRow>, StoreError>;
    /// All of these as one state. What is as it is in `known` is not read again: the parts are the same in memory, and of
    /// cut-offs those are read that have changed. This is how a node starts and follows, so it takes the time that it takes
    /// and not [`crate::record::DEADLINE`]: a part that was too long to be read in time would never be in force.
    async fn contents(&self, known: &Contents) -> Result<Contents, StoreError>;
    /// A number that differs after every change by any process, and does not after an append. Cheap to ask ten
    /// times a second.
    async fn version(&self) -> Result<u64, StoreError>;

    /// Makes changes and writes their record, all or nothing, durable when it returns.
    async fn change(&self, changes: Vec<Change>, record: Record) -> Result<(), StoreError>;

    /// Writes a record, durable when it returns, within [`crate::record::DEADLINE`]. A mark that another process
    /// recorded within [`crate::replay::WINDOW`] is answered with [`Appended::Seen`]; marks of this process are
    /// the pipeline's own business.
    async fn append(&self, entry: Entry) -> Result<Appended, StoreError>;

    /// When each key was last used, as far as it was noted: those of keys that were never used are not there.
    async fn uses(&self) -> Result<Vec<(String, Timestamp)>, StoreError>;
    /// Notes when keys were last used, by their ids. An older time than the one that is there changes nothing, and
    /// [`Store::version`] stays: no decision depends on it, and every node would read everything again. It may come
    /// after the answer that it is about, and be lost with the process.
    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError>;

    /// Uses a single-use mark (the `jti` of an assertion, a ticket) that means nothing any more after `until`.
    async fn spend(&self, mark: Mark, until: Timestamp) -> Result<Spent, StoreError>;

    /// What nodes hold at this place, if they hold anything.
    async fn held(&self, place: Mark) -> Result<Option<Held>, StoreError>;
    /// Takes the next turn at a place, unless another node has it or had one that the asker does not know of. Like
    /// [`Store::spend`] and [`Store::end_turn`] it leaves [`Store::version`] as it is: no other decision depends on it.
    async fn take_turn(&self, wish: Wish) -> Result<Turn, StoreError>;
    /// Ends a turn with what came of it. Says false, and changes nothing, where another has begun since: what came is too
    /// late.
    async fn end_turn(&self, end: TurnEnd) -> Result<bool, StoreError>;

    /// Reads records.
    async fn records(&self, query: RecordQuery) -> Result<Vec<Stored>, StoreError>;
    /// The proved end of every writer's chain.
    async fn heads(&self) -> Result<Vec<ChainHead>, StoreError>;
    /// Up to `limit` links of a writer's chain behind number `after`, in order.
    async fn links(&self, writer: Uuid, after: u64, limit: usize) -> Result<Vec<Link>, StoreError>;

    /// Writes what is pending and closes; later calls fail.
    async fn close(&self) -> Result<(), StoreError>;
}
