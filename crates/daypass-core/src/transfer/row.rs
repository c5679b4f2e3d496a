//! The rows.

use super::{Blob, Document};
use crate::client::{Client, Key};
use crate::freeze;
use crate::record::{ChainHead, Link, Point};
use crate::ring::RingRow;
use crate::root::RootRow;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One row of one table. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Row {
    /// A key of Daypass's own, wrapped by the seal key.
    Ring(RingKey),
    /// What is said of the seal key: never the key.
    Seal {
        /// By what it is named.
        id: u32,
        /// What it is known by.
        checked: Blob,
        /// Since when.
        since: i64,
    },
    /// A client's document.
    Client(String),
    /// The document of a client's key.
    Key(String),
    /// The document of a key of ours at a cloud, sealed.
    Root(String),
    /// What was taken back.
    Cutoff {
        /// The scope, as JSON.
        scope: String,
        /// Whatever was issued until then.
        before: i64,
    },
    /// A place where nothing is issued.
    Freeze {
        /// The place, as JSON.
        place: String,
        /// Since when.
        since: i64,
    },
    /// When a key was last used.
    Use {
        /// The key's id.
        key: String,
        /// When.
        at: i64,
    },
    /// A single-use mark.
    Spent {
        /// The mark.
        mark: Blob,
        /// Until when it means something.
        until: i64,
    },
    /// What nodes hold together of a brokered credential.
    Held(HeldPlace),
    /// The latest time that was believed.
    Clock {
        /// That time.
        mark: i64,
    },
    /// A signed statement of what the chains of records held.
    Checkpoint {
        /// Counts from 1.
        number: i64,
        /// The statement: a compact JWS.
        document: String,
    },
    /// Up to which checkpoint a second place has got them all.
    Delivered {
        /// The place.
        place: String,
        /// The number.
        number: i64,
    },
    /// A writer of records, and the proved end of its chain.
    Writer(Writer),
    /// A record.
    Record(Box<RecordRow>),
}

/// A key of Daypass's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingKey {
    /// What it is for, by name.
    pub purpose: String,
    /// Counts from 1 for each purpose.
    pub version: u32,
    /// Where it is in its life, by name.
    pub state: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// From when it is in this state, in RFC 3339.
    pub since: String,
    /// The key, wrapped.
    pub sealed: Blob,
}

/// A place where nodes hold a brokered credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPlace {
    /// What is held.
    pub place: Blob,
    /// How many turns were taken.
    pub turn: i64,
    /// The node whose turn it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Uuid>,
    /// Until when nobody else takes a turn.
    pub until: i64,
    /// The credential, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Blob>,
    /// After this time the row means nothing.
    pub keep: i64,
}

/// A writer of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    /// By what records name it.
    pub number: i64,
    /// Its id.
    pub guid: Uuid,
    /// The version of the ring key that its chain is made with.
    pub key_version: u32,
    /// The number of its last record.
    pub seq: i64,
    /// The proof of its end.
    pub mac: Blob,
    /// Its end with its tree, as [`Point`] is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<Blob>,
    /// Where what is kept of it begins, as [`Point`] is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Blob>,
    /// How many of its records a checkpoint covers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub signed: i64,
    /// How many of its records a checkpoint says to be removed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub based: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRow {
    /// Its place among all records.
    pub position: i64,
    /// The number of its writer.
    pub writer: i64,
    /// Its number in the writer's chain.
    pub seq: i64,
    /// Its time.
    pub at: i64,
    /// The latest time of a record up to this one.
    pub latest: i64,
    /// The mark of the request that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Blob>,
    /// Its MAC in the chain.
    pub mac: Blob,
    /// The tenant's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its document: what the MAC covers.
    pub document: Document,
    /// Whoever read it has found that it is not what was written. What it was read from says so, and no row: what is wrong with
    /// a row itself, its chain tells wherever it stands.
    #[serde(skip)]
    pub damaged: bool,
}

macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident = $name:literal),* $(,)?) => {
        /// Which table a row belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Part {
            $($(#[$doc])* $part,)*
        }

        impl Part {
            /// Every part, in the order in which they are read and written: each behind those that it refers to. A new one may
            /// come between others, but none ever changes its place: what was written in the old order is still read.
            pub const ALL: &'static [Self] = &[$(Self::$part),*];

            /// What its rows are called.
            pub fn name(self) -> &'static str {
                match self { $(Self::$part => $name),* }
            }
        }
    };
}

parts! {
    /// Daypass's own keys.
    Ring = "ring keys",
    /// The seal key's check value.
    Seal = "seal keys",
    /// Clients.
    Client = "clients",
    /// Clients' keys.
    Key = "keys",
    /// Keys of ours at clouds.
    Root = "root keys",
    /// What was taken back.
    Cutoff = "cut-offs",
    /// Where nothing is issued.
    Freeze = "freezes",
    /// Last uses of keys.
    Use = "uses",
    /// Single-use marks.
    Spent = "single-use marks",
    /// Brokered credentials that are held.
    Held = "held credentials",
    /// The latest time that was believed.
    Clock = "clocks",
    /// Signed statements of what the chains held.
    Checkpoint = "checkpoints",
    /// What second places have got of them.
    Delivered = "second places",
    /// Writers of records.
    Writer = "writers",
    /// Records.
    Record = "records",
}

impl Row {
    /// Which table it belongs to.
    pub fn part(&self) -> Part {
        match self {
            Self::Ring(_) => Part::Ring,
            Self::Seal { .. } => Part::Seal,
            Self::Client(_) => Part::Client,
            Self::Key(_) => Part::Key,
            Self::Root(_) => Part::Root,
            Self::Cutoff { .. } => Part::Cutoff,
            Self::Freeze { .. } => Part::Freeze,
            Self::Use { .. } => Part::Use,
            Self::Spent { .. } => Part::Spent,
            Self::Held(_) => Part::Held,
            Self::Clock { .. } => Part::Clock,
            Self::Checkpoint { .. } => Part::Checkpoint,
            Self::Delivered { .. } => Part::Delivered,
            Self::Writer(_) => Part::Writer,
            Self::Record(_) => Part::Record,
        }
    }

    /// Whether a store that holds it can be read: its document says what the program understands. What proves a record is its
    /// chain, and what proves a key is its seal.
    pub fn understood(&self) -> Result<(), serde_json::Error> {
        match self {
            Self::Client(document) => serde_json::from_str::<Client>(document).map(drop),
            Self::Key(document) => serde_json::from_str::<Key>(document).map(drop),
            Self::Root(document) => serde_json::from_str::<RootRow>(document).map(drop),
            Self::Cutoff { scope, .. } => serde_json::from_str::<crate::cutoff::Scope>(scope).map(drop),
            Self::Freeze { place, .. } => serde_json::from_str::<freeze::Place>(place).map(drop),
            Self::Ring(_)
            | Self::Seal { .. }
            | Self::Clock { .. }
            | Self::Checkpoint { .. }
            | Self::Delivered { .. }
            | Self::Use { .. }
            | Self::Spent { .. }
            | Self::Held(_)
            | Self::Writer(_)
            | Self::Record(_) => Ok(()),
        }
    }
}

impl From<&RingRow> for RingKey {
    fn from(row: &RingRow) -> Self {
        Self {
            purpose: row.purpose.name().to_owned(),
            version: row.version,
            state: row.state.name().to_owned(),
            created: row.created.to_string(),
            since: row.since.to_string(),
            sealed: Blob(row.sealed.clone()),
        }
    }
}

impl RingKey {
    /// The key as the ring opens it; none where this version of the program does not know what it is.
    pub fn key(&self) -> Option<RingRow> {
        let state = serde_json::Value::from(self.state.as_str());
        Some(RingRow {
            purpose: crate::ring::Purpose::named(&self.purpose)?,
            version: self.version,
            state: serde_json::from_value(state).ok()?,
            created: self.created.parse().ok()?,
            since: self.since.parse().ok()?,
            sealed: self.sealed.0.clone(),
        })
    }
}

impl Writer {
    /// The writer of this number whose chain ends here.
    pub fn of(number: i64, head: &ChainHead) -> Self {
        Self {
            number,
            guid: head.writer,
            key_version: head.key_version,
            seq: i64::try_from(head.seq).unwrap_or(i64::MAX),
            mac: Blob(head.mac.to_vec()),
            tip: head.tip.as_ref().map(|point| Blob(point.to_bytes())),
            base: head.base.as_ref().map(|point| Blob(point.to_bytes())),
            signed: i64::try_from(head.signed).unwrap_or(i64::MAX),
            based: i64::try_from(head.based).unwrap_or(i64::MAX),
        }
    }

    /// The end of its chain; none where that cannot be one.
    pub fn head(&self) -> Option<ChainHead> {
        let point = |stored: &Option<Blob>| match stored {
            Some(bytes) => Point::from_bytes(&bytes.0).map(Some),
            None => Some(None),
        };
        Some(ChainHead {
            writer: self.guid,
            key_version: self.key_version,
            seq: u64::try_from(self.seq).ok()?,
            mac: self.mac.array()?,
            tip: point(&self.tip)?,
            base: point(&self.base)?,
            signed: u64::try_from(self.signed).ok()?,
            based: u64::try_from(self.based).ok()?,
        })
    }
}

impl RecordRow {
    /// The link of this writer's chain; none where that cannot be one.
    pub fn link(&self, writer: Uuid) -> Option<Link> {
        let seq = u64::try_from(self.seq).ok()?;
        Some(Link { writer, seq, blob: self.document.bytes().to_vec(), mac: self.mac.array()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ring_rows;

    #[test]
    fn every_part_is_in_the_order_once() {
        assert!(Part::ALL.is_sorted());
        assert_eq!(Part::ALL.iter().filter(|part| **part == Part::Record).count(), 1);
        assert_eq!(Part::ALL.last(), Some(&Part::Record), "records come last: there are the most of them");
    }

    #[test]
    fn a_ring_key_comes_back_as_it_was() {
        for row in ring_rows() {
            assert_eq!(RingKey::from(&row).key(), Some(row));
        }
        let unknown = RingKey { purpose: "tea".into(), ..RingKey::from(&ring_rows()[0]) };
        assert_eq!(unknown.key(), None);
    }

    #[test]
    fn a_writer_comes_back_as_it_was() {
        let chain = crate::record::Chain::begin(&crate::testing::ring(), Uuid::from_u128(9)).unwrap();
        let head = chain.head();
        let writer = Writer::of(3, &head);
        assert_eq!((writer.number, writer.head()), (3, Some(head)));
        assert_eq!(Writer { tip: Some(Blob(vec![1])), ..writer.clone() }.head(), None);
        assert_eq!(Writer { seq: -1, ..writer }.head(), None);
    }

    #[test]
    fn a_row_is_one_line_of_json_and_nothing_unknown_is_dropped() {
        let row = Row::Cutoff { scope: r#""all""#.into(), before: -5 };
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(json, r#"{"cutoff":{"scope":"\"all\"","before":-5}}"#);
        assert_eq!(serde_json::from_str::<Row>(&json).unwrap(), row);
        for unknown in
            [r#"{"cutoff":{"scope":"","before":1,"by":"me"}}"#, r#"{"tea":{}}"#, r#"{"client":{}}"#]
        {
            assert!(serde_json::from_str::<Row>(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn what_no_store_could_read_is_not_understood() {
        for bad in [
            Row::Client("{}".into()),
            Row::Key("x".into()),
            Row::Root("[]".into()),
            Row::Cutoff { scope: "everything".into(), before: 0 },
            Row::Freeze { place: "here".into(), since: 0 },
        ] {
            assert!(bad.understood().is_err(), "{bad:?}");
        }
        assert!(Row::Cutoff { scope: r#"{"tenant":"acme"}"#.into(), before: 0 }.understood().is_ok());
    }
}
