//! The chain that a writer's records form, and the check that finds what was changed, moved or removed.

use super::Record;
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

/// The end of a chain, proved: without it, records cut off the end would not be missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The writer.
    pub writer: Uuid,
    /// The version of the ring key that the chain is made with.
    pub key_version: u32,
    /// The number of its last record.
    pub seq: u64,
    /// Over writer, number and the last record's MAC.
    pub mac: Mac,
}

impl Chain {
    /// A new chain under the ring's active record key. The writer id must be random: two processes that share
    /// one would write two histories under one name.
    pub fn begin(ring: &Ring, writer: Uuid) -> Option<Self> {
        let key_version = ring.active(Purpose::Record);
        let key = ring.mac(Purpose::Record, key_version)?.clone();
        Some(Self { writer, key, key_version, seq: 0, mac: [0; 32] })
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
        Ok(Link { writer: self.writer, seq, blob, mac })
    }

    /// The proof of where the chain ends now; stored in the same commit as the records.
    pub fn head(&self) -> ChainHead {
        let mac = head_mac(&self.key, self.writer, self.seq, &self.mac);
        ChainHead { writer: self.writer, key_version: self.key_version, seq: self.seq, mac }
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
}

/// Checks one writer's chain as it is read, in order.
pub struct Checker<'a> {
    head: &'a ChainHead,
    key: Option<&'a hmac::Key>,
    seq: u64,
    mac: Mac,
    faults: Vec<ChainFault>,
}

impl<'a> Checker<'a> {
    /// Begins with the chain's head.
    pub fn new(ring: &'a Ring, head: &'a ChainHead) -> Self {
        let key = ring.mac(Purpose::Record, head.key_version);
        Self { head, key, seq: 0, mac: [0; 32], faults: Vec::new() }
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
    }

    /// Ends: compares with the head.
    pub fn finish(mut self) -> Vec<ChainFault> {
        let writer = self.head.writer;
        if self.seq < self.head.seq {
            self.faults.push(ChainFault::Missing { writer, from: self.seq + 1, to: self.head.seq });
        }
        let proved =
            self.key.is_some_and(|key| same(&head_mac(key, writer, self.seq, &self.mac), &self.head.mac));
        if !proved && self.faults.is_empty() {
            self.faults.push(ChainFault::Head { writer });
        }
        self.faults
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
mod tests {
    use super::*;
    use crate::testing::{self, START};

    fn chain_of(n: u64) -> (Vec<Link>, ChainHead) {
        let mut chain = Chain::begin(&testing::ring(), Uuid::from_u128(7)).unwrap();
        let links = (0..n)
            .map(|i| Record::change(Uuid::from_u128(i.into()), START, None, "client.add", &i.to_string()))
            .map(|record| chain.link(&record).unwrap())
            .collect();
        (links, chain.head())
    }

    fn check(links: &[Link], head: &ChainHead) -> Vec<ChainFault> {
        let ring = testing::ring();
        let mut checker = Checker::new(&ring, head);
        for link in links {
            checker.take(link);
        }
        checker.finish()
    }

    #[test]
    fn an_untouched_chain_is_clean() {
        for n in [0, 1, 5] {
            let (links, head) = chain_of(n);
            assert_eq!(check(&links, &head), []);
        }
    }

    #[test]
    fn every_kind_of_tampering_shows() {
        let writer = Uuid::from_u128(7);
        let (links, head) = chain_of(5);

        let mut changed = links.clone();
        changed[2].blob[10] ^= 1;
        assert_eq!(check(&changed, &head), [ChainFault::Changed { writer, seq: 3 }]);

        let mut removed = links.clone();
        removed.remove(2);
        assert_eq!(check(&removed, &head), [ChainFault::Missing { writer, from: 3, to: 3 }]);

        assert_eq!(check(&links[..3], &head), [ChainFault::Missing { writer, from: 4, to: 5 }]);

        let mut swapped = links.clone();
        swapped.swap(1, 2);
        assert!(!check(&swapped, &head).is_empty());

        let cut_head = ChainHead { seq: 3, ..head.clone() };
        assert_eq!(check(&links[..3], &cut_head), [ChainFault::Head { writer }], "a head cannot be made up");

        let mut forged = links.clone();
        forged.push(Link { seq: 6, ..links[4].clone() });
        assert!(!check(&forged, &head).is_empty(), "nor a record");
    }
}
