//! The port to whatever keeps clients, keys, the ring, cut-offs and records.

use crate::client::{Client, Key};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::cutoff::{Cutoff, Scope};
use crate::freeze::{Freeze, Place};
use crate::held::{Held, Turn, TurnEnd, Wish};
use crate::ration::Due;
use crate::record::checkpoint::Kept;
use crate::record::{Chain, ChainHead, Entry, Link, Placed, Point, Record};
use crate::replay::Mark;
use crate::ring::{RingRow, SealRow};
use crate::room::Room;
use crate::root::RootRow;
use crate::transfer::Pages;
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
    /// It is not in service: it has moved, or is being filled.
    #[error("{0}")]
    OutOfService(String),
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
    /// Adds a client, or replaces the one with its guid, whatever that has become: for what is new. What somebody has read and
    /// decided on is replaced by [`Change::SwapClient`].
    PutClient(Client),
    /// Replaces a client by what it has become. A conflict where the old one is not there exactly as it is given: of two
    /// operators who change it at once, the second did not decide on what is there now, and would undo what the first has done.
    SwapClient {
        /// What was decided on.
        old: Box<Client>,
        /// What is there from now on.
        new: Box<Client>,
    },
    /// Adds a key, or replaces the one with its id, whatever that has become: for what is new, as with clients.
    PutKey(Key),
    /// Changes nothing. A conflict where the keys of a client are not these ([`Key::is_as`]), in any order: it stands before
    /// what was decided on all of them, such as that no more than two of a kind work at once.
    ExpectKeys {
        /// The client, by its guid.
        client: Uuid,
        /// What was decided on.
        keys: Vec<Key>,
    },
    /// Replaces clients' keys by others of the same ids. A conflict where one of the old ones is not there exactly as it is
    /// given: what was only sealed or hashed anew must not undo what an operator has changed meanwhile.
    SwapKeys {
        /// What was decided on.
        old: Vec<Key>,
        /// What is there from now on.
        new: Vec<Key>,
    },
    /// Says which seal key wraps the ring from now on. A conflict where something else than the old one is said.
    SwapSeal {
        /// What was said; none in a store that has said nothing yet.
        old: Option<SealRow>,
        /// What is said from now on.
        new: SealRow,
    },
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
    /// Takes this for the latest time that was believed, though a later one is there: an operator has said that the later
    /// one was wrong.
    SetClock(Timestamp),
    /// Adds a cut-off; of two for one scope the later counts.
    Cut(Cutoff),
    /// Removes cut-offs that mean nothing any more. A conflict where one is not there exactly as it is given, to the
    /// millisecond: of two nodes that clear up at once, the second finds nothing to do, and a scope that was cut off
    /// again meanwhile stays so.
    Uncut(Vec<Cutoff>),
    /// Removes the oldest records of the store, up to a position, and moves the beginnings of their chains. A conflict where a
    /// chain does not begin where it is said to, or the records that go are not those between: of two nodes that remove at
    /// once, the second did not decide on what is there now.
    CutRecords {
        /// The position of the last record that goes.
        through: i64,
        /// The chains that the removed records belong to.
        cuts: Vec<Cut>,
    },
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

/// What is kept beside the chains so that they can be proved. It is no change and makes no record: it says nothing new, and a
/// record for each would make the chains grow for ever.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The next checkpoint, with how much it says of which chains. Refused where its number is not the next one: of two nodes
    /// that sign at once, one has made it.
    Checkpoint {
        /// As it is signed.
        kept: Kept,
        /// The chains that have grown, and to how many records.
        grown: Vec<(Uuid, u64)>,
        /// The chains that were cut, and how many records are gone.
        cut: Vec<(Uuid, u64)>,
    },
    /// The end of a chain with its tree, found from its links. Refused where the chain does not end there any more.
    Tip {
        /// The chain's writer.
        writer: Uuid,
        /// The end.
        tip: Point,
    },
    /// A second place has got every checkpoint up to this one. Of two nodes that say so, the higher number counts.
    Delivered {
        /// The place, as the configuration says it.
        place: String,
        /// The number of the checkpoint.
        number: u64,
    },
    /// Takes away the last checkpoints, which none of our keys has signed. Refused where what stands there from the first of them
    /// on is not exactly these.
    ///
    /// No second place counts as having got one of these numbers from then on: what it got under them was ours and has been
    /// written over, and what takes the numbers now it has not got.
    Discard {
        /// In the order of their numbers.
        forged: Vec<Kept>,
    },
}

/// Where what is kept of a chain begins from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The chain's writer.
    pub writer: Uuid,
    /// How many of its records were gone before.
    pub before: u64,
    /// The place behind the last record that goes.
    pub base: Point,
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
    /// Begins to write under this chain. Needed before the first [`Store::change`] or [`Store::append`]. Once more, with a
    /// chain of another writer id, ends the one before: what is written from then on belongs to the new one.
    async fn begin(&self, chain: Chain) -> Result<(), StoreError>;

    /// Every client.
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;
    /// Every key of every client.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;
    /// Every ring key.
    async fn ring(&self) -> Result<Vec<RingRow>, StoreError>;
    /// Which seal key wraps the ring; none in a store that is new, or that an older version has made. Like the ring's own
    /// rows it is read without anything being believed of it.
    async fn seal(&self) -> Result<Option<SealRow>, StoreError>;
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

    /// Notes what a node has counted so far of a day: a process's own number, and all of each count and not what has come
    /// since, so that the same again changes nothing and a smaller one neither. Gives what all other nodes have counted of
    /// the same. Days before the last one are forgotten. Like [`Store::note_uses`] it leaves [`Store::version`] as it is.
    async fn note_counts(&self, node: Uuid, due: Due) -> Result<Vec<(Mark, u64)>, StoreError>;
    /// What all nodes but this one have counted of a day, however long it takes: this is how a node starts.
    async fn counts(&self, day: i64, but: Uuid) -> Result<Vec<(Mark, u64)>, StoreError>;

    /// Uses a single-use mark (the `jti` of an assertion, a ticket) that means nothing any more after `until`.
    async fn spend(&self, mark: Mark, until: Timestamp) -> Result<Spent, StoreError>;

    /// The latest time that was believed ([`crate::clock::Steady`]), none in a store that nobody has noted one in.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Notes a time that is believed, durable when it returns, and gives the latest one that is there now: an earlier one changes
    /// nothing. [`Store::version`] stays as it is. It is a real write by the way that records take, and so says as well
    /// whether a record could be written.
    async fn note_clock(&self, now: Timestamp) -> Result<Timestamp, StoreError>;

    /// What is left of the disk that it writes to; none where that is the business of another machine. A reserve that had to be
    /// given up is made again here where there is room for it.
    async fn room(&self) -> Result<Option<Room>, StoreError> {
        Ok(None)
    }
    /// From now on keeps so many bytes of the disk in reserve for changes, or a good part of a small disk where no number is
    /// given; and refuses what adds records for requests while less than [`Room::least`] is left. It says how many are kept.
    async fn keep_free(&self, bytes: Option<u64>) -> Result<u64, StoreError> {
        let _ = bytes;
        Ok(0)
    }

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

    /// One state of all of it, to be read row by row for as long as that takes, while everybody else goes on.
    async fn snapshot(&self) -> Result<Box<dyn Pages>, StoreError>;

    /// Up to `limit` links of all chains behind a position, in order; [`i64::MIN`] is before all.
    async fn placed(&self, after: i64, limit: usize) -> Result<Vec<Placed>, StoreError>;

    /// Up to `limit` checkpoints behind number `after`, in order.
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<Kept>, StoreError>;
    /// The newest checkpoint.
    async fn last_checkpoint(&self) -> Result<Option<Kept>, StoreError>;
    /// Which second place has got every checkpoint up to which.
    async fn delivered(&self) -> Result<Vec<(String, u64)>, StoreError>;
    /// Keeps what proves the chains, durable when it returns. Says false, and changes nothing, where it comes too late.
    /// Like [`Store::spend`] it leaves [`Store::version`] as it is.
    async fn prove(&self, proof: Proof) -> Result<bool, StoreError>;

    /// Writes what is pending and closes; later calls fail.
    async fn close(&self) -> Result<(), StoreError>;
}
