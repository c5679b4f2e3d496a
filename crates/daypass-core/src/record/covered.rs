//! What checkpoints say, gathered and held against the chains, against their copies and against each other.

use super::chain::{ChainFault, ChainHead, Checker, Link};
use super::checkpoint::{Checkpoint, Fork, Kept, Span, claimed};
use super::tree::Hash;
use crate::clock::Timestamp;
use crate::jose::PublishedKey;
use crate::ring::Ring;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is wrong with checkpoints, or between one and its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum CheckpointFault {
    /// It is not what was signed.
    #[error("checkpoint {number} is forged: it should have {expected}")]
    Forged {
        /// The number under which it is kept.
        number: u64,
        /// What it should have.
        expected: &'static str,
    },
    /// Some are missing.
    #[error("checkpoints {from} to {to} are missing")]
    Gap {
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
    /// It is signed, and follows another one than the one before it.
    #[error("checkpoint {number} does not follow the one before it")]
    Unlinked {
        /// Its number.
        number: u64,
    },
    /// It is signed, and says less of a chain, or another total, than it must after those before it.
    #[error("checkpoint {number} contradicts those before it")]
    Contradiction {
        /// Its number.
        number: u64,
    },
    /// A whole chain is not there.
    #[error("the chain of writer {writer} is gone: checkpoint {number} covers its first {size} records")]
    ChainGone {
        /// The writer.
        writer: Uuid,
        /// How many records were there.
        size: u64,
        /// The checkpoint that says so.
        number: u64,
    },
    /// A chain ends before what was signed.
    #[error(
        "the chain of writer {writer} ends at {ends}: checkpoint {number} covers its first {size} records"
    )]
    Truncated {
        /// The writer.
        writer: Uuid,
        /// Where it ends.
        ends: u64,
        /// How many records were there.
        size: u64,
        /// The checkpoint that says so.
        number: u64,
    },
    /// A chain's records are not those that were signed.
    #[error("the first {size} records of writer {writer} are not those of checkpoint {number}")]
    OtherRecords {
        /// The writer.
        writer: Uuid,
        /// How many.
        size: u64,
        /// The checkpoint that says so.
        number: u64,
    },
    /// The store says of a chain that more or less of it was signed than any checkpoint says.
    #[error(
        "the store says that {told} records of writer {writer} were signed, and the checkpoints say it of {size}"
    )]
    Miscounted {
        /// The writer.
        writer: Uuid,
        /// How many the store says.
        told: u64,
        /// How many the checkpoints say.
        size: u64,
    },
    /// A copy is not what the store has under its number, and nobody has said why.
    #[error(
        "a copy of checkpoint {number} is not the one in the store: the store was put back to an earlier state"
    )]
    OtherHistory {
        /// Its number.
        number: u64,
    },
    /// A copy is newer than the store's last one.
    #[error(
        "there is a copy of checkpoint {number}, and the store's last one is {last}: the store was put back to an \
         earlier state"
    )]
    RolledBack {
        /// The number of the newest copy.
        number: u64,
        /// The number of the store's last one.
        last: u64,
    },
    /// The store itself has noted that a second place got one which it does not have.
    #[error("checkpoint {number} was handed to {place}, and the store's last one is {last}")]
    Lost {
        /// The place.
        place: String,
        /// What it got.
        number: u64,
        /// The number of the store's last one.
        last: u64,
    },
}

/// What a checkpoint says of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    number: u64,
    size: u64,
    root: Hash,
}

impl Claim {
    fn of(number: u64, span: &Span) -> Self {
        Self { number, size: span.size, root: span.root }
    }
}

/// A store's checkpoints, taken in order.
#[derive(Default)]
pub struct Covered {
    chains: BTreeMap<Uuid, Vec<Claim>>,
    cuts: BTreeMap<Uuid, Claim>,
    records: u64,
    last: Option<(u64, Hash)>,
    time: Option<Timestamp>,
    accepted: Vec<Fork>,
    digests: Vec<(u64, Hash)>,
    faults: Vec<CheckpointFault>,
}

impl Covered {
    /// Takes the next stored one.
    pub fn take<'k>(&mut self, kept: &Kept, keys: impl Iterator<Item = &'k PublishedKey>) {
        let expected = self.number() + 1;
        let number = kept.number;
        if number > expected {
            self.faults.push(CheckpointFault::Gap { from: expected, to: number - 1 });
        }
        let digest = kept.digest();
        self.digests.push((number, digest));
        let before = self.last.replace((number, digest));
        match kept.open(keys) {
            Err(expected) => self.faults.push(CheckpointFault::Forged { number, expected }),
            Ok(checkpoint) => {
                // Behind a gap there is nothing to follow.
                let follows = number > expected || checkpoint.previous == before.map(|(_, digest)| digest);
                if !follows {
                    self.faults.push(CheckpointFault::Unlinked { number });
                }
                self.believe(&checkpoint, number > expected);
            }
        }
    }

    fn believe(&mut self, checkpoint: &Checkpoint, behind_gap: bool) {
        let number = checkpoint.number;
        let mut good = true;
        for span in &checkpoint.grown {
            let claims = self.chains.entry(span.writer).or_default();
            let before = claims.last().map_or(0, |claim| claim.size);
            good &= span.size > before;
            self.records += span.size.saturating_sub(before);
            claims.push(Claim::of(number, span));
        }
        for span in &checkpoint.cut {
            let before = self.cuts.insert(span.writer, Claim::of(number, span));
            good &= before.is_none_or(|before| before.size < span.size);
        }
        let totals = (checkpoint.chains, checkpoint.records) == (self.chains.len() as u64, self.records);
        // What those that are missing said would be missed in every one behind them.
        if !(good && (totals || behind_gap || self.has_gap())) {
            self.faults.push(CheckpointFault::Contradiction { number });
        }
        self.accepted.extend(checkpoint.accepts);
        self.time = Some(checkpoint.time);
    }

    fn has_gap(&self) -> bool {
        let lacking = |fault: &CheckpointFault| {
            matches!(fault, CheckpointFault::Gap { .. } | CheckpointFault::Forged { .. })
        };
        self.faults.iter().any(lacking)
    }

    /// The number of the last one; 0 where there is none.
    pub fn number(&self) -> u64 {
        self.last.map_or(0, |(number, _)| number)
    }

    /// When the last one was made.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// How many records of a chain were signed.
    pub fn signed(&self, writer: Uuid) -> u64 {
        self.chains.get(&writer).and_then(|claims| claims.last()).map_or(0, |claim| claim.size)
    }

    /// How many records of a chain are signed to be removed.
    pub fn cut(&self, writer: Uuid) -> u64 {
        self.cuts.get(&writer).map_or(0, |claim| claim.size)
    }

    /// The chains of which something was signed.
    pub fn writers(&self) -> impl Iterator<Item = Uuid> {
        self.chains.keys().copied()
    }

    /// What the heads say of the checkpoints. It proves nothing, and the next checkpoint is made by it: a chain that is said
    /// to be signed for ever would never be signed again. The heads must not be older than the checkpoints.
    pub fn counted(&mut self, heads: &[ChainHead]) {
        for head in heads {
            let (writer, told, size) = (head.writer, head.signed, self.signed(head.writer));
            if told != size {
                self.faults.push(CheckpointFault::Miscounted { writer, told, size });
            }
        }
    }

    /// Begins to check a chain, its checkpoints included.
    pub fn witness<'a>(&'a self, ring: &'a Ring, head: &'a ChainHead) -> Witness<'a> {
        let claims = self.chains.get(&head.writer).map(Vec::as_slice).unwrap_or_default();
        let cut = self.cuts.get(&head.writer);
        let mut witness =
            Witness { checker: Checker::new(ring, head), head, claims, cut, faults: Vec::new() };
        witness.look();
        witness
    }

    /// Every copy of a second place, which must be what the store has, unless an operator has accepted that it is not.
    /// Gives how many are the same.
    pub fn compare<'c>(&mut self, copies: impl IntoIterator<Item = &'c Kept, IntoIter: Clone>) -> usize {
        let (mut same, mut newest) = (0, None);
        let copies = copies.into_iter();
        let given_up = given_up(&self.accepted, copies.clone());
        for copy in copies {
            let digest = copy.digest();
            let known = self.digests.binary_search_by_key(&copy.number, |(number, _)| *number);
            let known = known.ok().and_then(|at| self.digests.get(at)).map(|(_, digest)| *digest);
            if known == Some(digest) {
                same += 1;
            } else if given_up.contains(&digest) {
                // Of a history whose end an operator has named.
            } else if copy.number > self.number() {
                newest = newest.max(Some(copy.number));
            } else if known.is_some() {
                self.faults.push(CheckpointFault::OtherHistory { number: copy.number });
            }
        }
        let last = self.number();
        self.faults.extend(newest.map(|number| CheckpointFault::RolledBack { number, last }));
        same
    }

    /// What the store has noted to have handed out.
    pub fn handed_out(&mut self, delivered: &[(String, u64)]) {
        let last = self.number();
        for (place, number) in delivered.iter().filter(|(_, number)| *number > last) {
            self.faults.push(CheckpointFault::Lost { place: place.clone(), number: *number, last });
        }
    }

    /// Ends: what is wrong with the checkpoints, and the chains that they name and the store does not have.
    pub fn finish(mut self, heads: &[ChainHead]) -> Vec<CheckpointFault> {
        for (writer, claims) in &self.chains {
            if let Some(claim) = claims.last()
                && heads.iter().all(|head| head.writer != *writer)
            {
                let (writer, size, number) = (*writer, claim.size, claim.number);
                self.faults.push(CheckpointFault::ChainGone { writer, size, number });
            }
        }
        self.faults
    }
}

/// The checkpoints of histories that were given up: those that an operator has named, and those before them, as far as the
/// copies lead without a gap. All of these copies must have been proved.
///
/// Attack: to give up everything of a smaller number would let whoever puts the store back a second time go unseen until
/// the new history is as long as the old one was.
pub fn given_up<'c>(accepted: &[Fork], copies: impl Iterator<Item = &'c Kept>) -> BTreeSet<Hash> {
    if accepted.is_empty() {
        return BTreeSet::new();
    }
    let before: BTreeMap<Hash, Option<Hash>> =
        copies.map(|copy| (copy.digest(), claimed(&copy.jws).and_then(|copy| copy.previous))).collect();
    let mut given_up = BTreeSet::new();
    for fork in accepted {
        let mut at = Some(fork.digest);
        while let Some(digest) = at
            && given_up.insert(digest)
        {
            at = before.get(&digest).copied().flatten();
        }
    }
    given_up
}

/// Checks one writer's chain as it is read, in order, and at each checkpoint whether it is what was signed.
pub struct Witness<'a> {
    checker: Checker<'a>,
    head: &'a ChainHead,
    /// What is still to be compared, smallest first.
    claims: &'a [Claim],
    cut: Option<&'a Claim>,
    faults: Vec<CheckpointFault>,
}

impl Witness<'_> {
    /// Takes the next stored record of this writer.
    pub fn take(&mut self, link: &Link) {
        self.checker.take(link);
        self.look();
    }

    /// Compares with every checkpoint that covers just this many records.
    fn look(&mut self) {
        let tree = self.checker.frontier();
        while let Some((claim, rest)) = self.claims.split_first()
            && claim.size <= self.checker.seq()
        {
            self.claims = rest;
            // Of what was removed before, there is no tree left but the last; the checkpoints prove each other.
            if claim.size == self.checker.seq() && claim.root != tree.root() && self.checker.is_clean() {
                self.faults.push(other(self.head.writer, claim));
            }
        }
        if let Some(cut) = self.cut.take_if(|cut| cut.size <= self.checker.seq())
            && cut.size == self.checker.seq()
            && cut.root != tree.root()
            && self.checker.is_clean()
        {
            self.faults.push(other(self.head.writer, cut));
        }
    }

    /// Ends: what is wrong with the chain, and between it and its checkpoints.
    pub fn finish(mut self) -> (Vec<ChainFault>, Vec<CheckpointFault>) {
        let writer = self.head.writer;
        if let Some(claim) = self.claims.last().filter(|claim| claim.size > self.head.seq) {
            let (ends, Claim { size, number, .. }) = (self.head.seq, *claim);
            self.faults.push(CheckpointFault::Truncated { writer, ends, size, number });
        }
        (self.checker.finish(), self.faults)
    }
}

fn other(writer: Uuid, claim: &Claim) -> CheckpointFault {
    let Claim { size, number, .. } = *claim;
    CheckpointFault::OtherRecords { writer, size, number }
}

#[cfg(test)]
mod tests;
