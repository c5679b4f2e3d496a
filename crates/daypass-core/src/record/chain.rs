//! The chain that a writer's records form, and the check that finds what was changed, moved or removed.
//!
//! Beside its MACs a chain grows a Merkle tree over its records' exact bytes ([`tree`]). The right edge of that tree
//! stands with the chain's end and is covered by the end's MAC. So whoever has the ring can sign what a chain holds,
//! a dead writer's too, without reading its records; and what was removed from the beginning, because it was kept
//! long enough, leaves such an edge behind, from which the rest is still proved.

use super::Record;
use super::tree::{self, Frontier};
use crate::ring::{Purpose, Ring};
use crate::secret::same;
use aws_lc_rs::hmac;
use serde::Serialize;
use uuid::Uuid;

/// The MAC of a record in its chain.
pub type Mac = [u8; 32];

/// A writer's chain, as it grows.
#[derive(Clone)]
pub struct Chain {
    writer: Uuid,
    key: hmac::Key,
    key_version: u32,
    seq: u64,
    mac: Mac,
    frontier: Frontier,
}

/// A record as it is stored: the document and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The writer it belongs to.
    pub writer: Uuid,
    /// Counts from 1 for each writer.
    pub seq: u64,
    /// The record's JSON: the bytes that the MAC covers.
    pub blob: Vec<u8>,
    /// Over the MAC before, the writer, the number and the document.
    pub mac: Mac,
}

/// A link with its place among those of all writers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Grows by one with every record of the store.
    pub position: i64,
    /// The latest time of a record up to here, in milliseconds: it never falls.
    pub latest: i64,
    /// The link.
    pub link: Link,
}

/// A place in a chain, proved: what stands before it is known by its tree, and what follows continues its MAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The MAC of the last record up to here; zeros where there is none.
    pub last: Mac,
    /// The tree of all records up to here.
    pub frontier: Frontier,
    /// Over both, the writer, and whether it is the end of the chain or the beginning of what is kept.
    pub proof: Mac,
}

/// The end of a chain, proved: without it, records cut off the end would not be missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The writer.
    pub writer: Uuid,
    /// The version of the ring key that the chain is made with.
    pub key_version: u32,
    /// The number of its last record.
    pub seq: u64,
    /// Over writer, number and the last record's MAC. What versions before the tree verify a chain by.
    pub mac: Mac,
    /// The end with its tree. None, or short of the end, where the writer is of a version before the tree: then the rest
    /// follows from the links.
    pub tip: Option<Point>,
    /// Where what is kept of the chain begins; none where nothing was removed.
    pub base: Option<Point>,
    /// How many of its records the last checkpoint covers that names it. A hint, proved by nothing.
    pub signed: u64,
    /// How many records the last checkpoint says to be removed that says so. A hint as well.
    pub based: u64,
}

/// Which place of a chain a [`Point`] is. Attack: an older end, shown as the beginning of what is kept, would make all
/// before it look as if it had been removed lawfully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Tip,
    Base,
}

impl Which {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Tip => b"daypass tip v2 ",
            Self::Base => b"daypass base v2",
        }
    }
}

impl Point {
    fn prove(key: &hmac::Key, which: Which, writer: Uuid, last: Mac, frontier: Frontier) -> Self {
        let proof = Self::proof(key, which, writer, &last, &frontier);
        Self { last, frontier, proof }
    }

    fn proof(key: &hmac::Key, which: Which, writer: Uuid, last: &Mac, frontier: &Frontier) -> Mac {
        tag(key, &[which.label(), writer.as_bytes(), last, &frontier.to_bytes()])
    }

    fn holds(&self, key: &hmac::Key, which: Which, writer: Uuid) -> bool {
        same(&Self::proof(key, which, writer, &self.last, &self.frontier), &self.proof)
    }

    /// The number of the last record up to here.
    pub fn seq(&self) -> u64 {
        self.frontier.size()
    }

    /// As it is stored: the MAC, the proof and the tree.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.last[..], &self.proof[..], &self.frontier.to_bytes()].concat()
    }

    /// Reads what [`Point::to_bytes`] wrote; none for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (last, rest) = bytes.split_first_chunk()?;
        let (proof, frontier) = rest.split_first_chunk()?;
        Some(Self { last: *last, proof: *proof, frontier: Frontier::from_bytes(frontier)? })
    }
}

impl Chain {
    /// A new chain under the ring's active record key. The writer id must be random: two processes that share
    /// one would write two histories under one name.
    pub fn begin(ring: &Ring, writer: Uuid) -> Option<Self> {
        let key_version = ring.active(Purpose::Record);
        let key = ring.mac(Purpose::Record, key_version)?.clone();
        Some(Self { writer, key, key_version, seq: 0, mac: [0; 32], frontier: Frontier::new() })
    }

    /// The writer's id.
    pub fn writer(&self) -> Uuid {
        self.writer
    }

    /// Adds a record at the end. A batch that fails to commit must go back to a copy taken before it.
    pub fn link(&mut self, record: &Record) -> Result<Link, serde_json::Error> {
        let blob = serde_json::to_vec(record)?;
        let seq = self.seq + 1;
        let mac = link_mac(&self.key, &self.mac, self.writer, seq, &blob);
        (self.seq, self.mac) = (seq, mac);
        self.frontier.append(tree::leaf(&blob));
        Ok(Link { writer: self.writer, seq, blob, mac })
    }

    /// The proof of where the chain ends now; stored in the same commit as the records.
    pub fn head(&self) -> ChainHead {
        let tip = Point::prove(&self.key, Which::Tip, self.writer, self.mac, self.frontier.clone());
        ChainHead {
            writer: self.writer,
            key_version: self.key_version,
            seq: self.seq,
            mac: self.head_mac(),
            tip: Some(tip),
            base: None,
            signed: 0,
            based: 0,
        }
    }

    /// The MAC of the head alone: by what a store is asked whether the chain ends here.
    pub fn head_mac(&self) -> Mac {
        head_mac(&self.key, self.writer, self.seq, &self.mac)
    }
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum ChainFault {
    /// A record is not the one that was written, or not in its place.
    #[error("record {seq} of writer {writer} was changed, moved, or follows a removed one")]
    Changed {
        /// The writer.
        writer: Uuid,
        /// The record's number.
        seq: u64,
    },
    /// Records are missing.
    #[error("records {from} to {to} of writer {writer} are missing")]
    Missing {
        /// The writer.
        writer: Uuid,
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
    /// A chain has no head, or one that is not authentic.
    #[error("the end of the chain of writer {writer} is not proved")]
    Head {
        /// The writer.
        writer: Uuid,
    },
    /// Where what is kept of a chain begins is not what retention wrote.
    #[error("the beginning of what is kept of the chain of writer {writer} is not proved")]
    Base {
        /// The writer.
        writer: Uuid,
    },
}

impl ChainHead {
    /// The base where its proof holds, or where there is none the beginning of the chain. Nothing where it was forged.
    fn proved_base(&self, key: &hmac::Key) -> Option<Point> {
        match &self.base {
            None => Some(Point { last: [0; 32], frontier: Frontier::new(), proof: [0; 32] }),
            Some(base) => base.holds(key, Which::Base, self.writer).then(|| base.clone()),
        }
    }

    /// The tree of the whole chain where its end is proved without reading a record; nothing where it is not: where the
    /// writer is of a version before the tree, or something is wrong.
    pub fn proved(&self, ring: &Ring) -> Option<&Frontier> {
        let key = ring.mac(Purpose::Record, self.key_version)?;
        let tip = self.tip.as_ref().filter(|tip| tip.seq() == self.seq)?;
        let ends = same(&head_mac(key, self.writer, self.seq, &tip.last), &self.mac);
        (ends && tip.holds(key, Which::Tip, self.writer)).then_some(&tip.frontier)
    }

    /// Where what is kept begins, if it was removed what was before, and the proof of that holds.
    pub fn begins(&self, ring: &Ring) -> Option<&Point> {
        let key = ring.mac(Purpose::Record, self.key_version)?;
        self.base.as_ref().filter(|base| base.holds(key, Which::Base, self.writer))
    }

    /// The number of the first record that is kept, where records are.
    pub fn first(&self) -> u64 {
        self.base.as_ref().map_or(0, Point::seq) + 1
    }
}

/// Checks one writer's chain as it is read, in order.
pub struct Checker<'a> {
    head: &'a ChainHead,
    key: Option<&'a hmac::Key>,
    seq: u64,
    mac: Mac,
    frontier: Frontier,
    faults: Vec<ChainFault>,
}

impl<'a> Checker<'a> {
    /// Begins with the chain's head, at the first record that is kept.
    pub fn new(ring: &'a Ring, head: &'a ChainHead) -> Self {
        let key = ring.mac(Purpose::Record, head.key_version);
        let base = key.and_then(|key| head.proved_base(key));
        let faults = match base {
            None if head.base.is_some() => vec![ChainFault::Base { writer: head.writer }],
            _ => Vec::new(),
        };
        // A beginning that is not proved is still where the records begin: what follows is judged for itself.
        let begins = base.or_else(|| head.base.clone());
        let (mac, frontier) = begins.map_or(([0; 32], Frontier::new()), |base| (base.last, base.frontier));
        Self { head, key, seq: frontier.size(), mac, frontier, faults }
    }

    /// Begins at the chain's tip, for a chain that has grown since by a version before the tree; or where the chain begins.
    pub fn from_tip(ring: &'a Ring, head: &'a ChainHead) -> Self {
        let mut checker = Self::new(ring, head);
        if let (Some(key), Some(tip)) = (checker.key, &head.tip)
            && tip.seq() >= checker.seq
            && tip.seq() <= head.seq
            && tip.holds(key, Which::Tip, head.writer)
        {
            (checker.seq, checker.mac) = (tip.seq(), tip.last);
            checker.frontier.clone_from(&tip.frontier);
        }
        checker
    }

    /// The number of the last record that was taken; what comes next is behind it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The tree of all records up to the last that was taken.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many faults were found so far.
    pub fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Takes the next stored record of this writer.
    pub fn take(&mut self, link: &Link) {
        let (writer, expected) = (self.head.writer, self.seq + 1);
        if link.seq > expected {
            self.faults.push(ChainFault::Missing { writer, from: expected, to: link.seq - 1 });
        }
        let good = self
            .key
            .is_some_and(|key| same(&link_mac(key, &self.mac, writer, link.seq, &link.blob), &link.mac));
        // After a gap the MAC before is unknown, so the first record behind it can only be believed: its own fault
        // would be the gap's again.
        if !good && link.seq <= expected {
            self.faults.push(ChainFault::Changed { writer, seq: link.seq });
        }
        (self.seq, self.mac) = (link.seq, link.mac);
        self.frontier.append(tree::leaf(&link.blob));
    }

    /// Where what is kept begins from now on, if everything up to the last record that was taken is to be removed. None
    /// where something is wrong: what does not verify is evidence, and stays.
    pub fn base(&self) -> Option<Point> {
        let key = self.key.filter(|_| self.is_clean())?;
        Some(Point::prove(key, Which::Base, self.head.writer, self.mac, self.frontier.clone()))
    }

    /// The end with its tree, for a chain whose writer could not write it; none where something is wrong.
    pub fn tip(&self) -> Option<Point> {
        let key = self.key.filter(|_| self.is_clean() && self.seq == self.head.seq)?;
        let ends = same(&head_mac(key, self.head.writer, self.seq, &self.mac), &self.head.mac);
        ends.then(|| Point::prove(key, Which::Tip, self.head.writer, self.mac, self.frontier.clone()))
    }

    /// Ends: compares with the head.
    pub fn finish(mut self) -> Vec<ChainFault> {
        let writer = self.head.writer;
        if self.seq < self.head.seq {
            self.faults.push(ChainFault::Missing { writer, from: self.seq + 1, to: self.head.seq });
        }
        if !self.ends() && self.faults.is_empty() {
            self.faults.push(ChainFault::Head { writer });
        }
        self.faults
    }

    /// Whether the chain ends as its head says, and the tree that stands there is that of its records.
    fn ends(&self) -> bool {
        let Some(key) = self.key else { return false };
        let tip = match &self.head.tip {
            // Of a version before the tree, or with such a one's records behind it.
            None => true,
            Some(tip) if tip.seq() < self.seq => tip.holds(key, Which::Tip, self.head.writer),
            Some(tip) => {
                tip.frontier == self.frontier
                    && tip.last == self.mac
                    && tip.holds(key, Which::Tip, self.head.writer)
            }
        };
        tip && same(&head_mac(key, self.head.writer, self.seq, &self.mac), &self.head.mac)
    }
}

fn link_mac(key: &hmac::Key, before: &Mac, writer: Uuid, seq: u64, blob: &[u8]) -> Mac {
    tag(key, &[b"daypass record v1", before, writer.as_bytes(), &seq.to_be_bytes(), blob])
}

fn head_mac(key: &hmac::Key, writer: Uuid, seq: u64, last: &Mac) -> Mac {
    tag(key, &[b"daypass head v1", writer.as_bytes(), &seq.to_be_bytes(), last])
}

// Every part but the last has a fixed length, so their boundaries cannot be moved.
fn tag(key: &hmac::Key, parts: &[&[u8]]) -> Mac {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
