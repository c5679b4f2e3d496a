//! The seal key (KEK), which wraps the ring at rest and nothing else, and the ones before and after it.
//!
//! A wrapped key names the seal key that it was wrapped by: the *id* of a seal key, four bytes derived from it, stands
//! where other sealed values have the version of theirs. So it is never found out by trial. As long as a store has had one
//! seal key, there is nothing to tell apart: then 0 stands there, which means the key that the store's [`SealRow`] speaks
//! of, and which programs of before seal keys had ids read as well.

use super::{RingRow, RingState};
use crate::clock::Timestamp;
use crate::id::Entropy;
use crate::seal::{self, Place, SealFault, SealKey};
use crate::secret::{Secret, same};
use aws_lc_rs::hmac;
use std::fmt;
use std::sync::Arc;

/// What a wrapped key says where there has been one seal key.
const UNNAMED: u32 = 0;
/// Keep the two values that are derived from a seal key apart from each other and from everything else.
const ID: &[u8] = b"daypass seal key id v1";
const CHECK: &[u8] = b"daypass seal key check v1";

/// The name of a seal key: derived from it, so that nobody has to choose one, and telling nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealId(u32);

impl SealId {
    /// The id of this number, as a store keeps it.
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number that a store keeps.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SealId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08x}", self.0)
    }
}

/// What a store says of the seal key that wraps its ring: enough to refuse a wrong one before anything is tried with it,
/// and nothing that helps to find the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealRow {
    /// Its id.
    pub id: SealId,
    /// The check value: HMAC-SHA-256 of a fixed label under the key.
    pub check: [u8; 32],
    /// From when the store has been wrapped by it.
    pub since: Timestamp,
}

/// Which of the configured seal keys one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealRole {
    /// The one that wraps.
    Key,
    /// The one before: what it wraps is to be wrapped again.
    Previous,
    /// The one to come: what another node has wrapped by it opens here.
    Next,
}

impl SealRole {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Previous => "previous",
            Self::Next => "next",
        }
    }
}

/// Why these seal keys are not the ones of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealMisfit {
    /// None of them is the one that wraps the store's ring.
    #[error(
        "the seal key is not the one that this store was made with or moved to: the store needs the seal key {wanted}, and \
         [seal] has {given}; nothing was changed. All nodes of a store have the same seal key: copy it from one that runs"
    )]
    Wrong {
        /// The one that the store speaks of.
        wanted: SealId,
        /// Those that were given.
        given: String,
    },
    /// A key of the ring is wrapped by one that was not given.
    #[error(
        "the key `{key}` of the ring is still wrapped by the seal key {wanted}, and [seal] has {given}; name that one as \
         `previous` until `daypass ring list` shows nothing under it; nothing was changed"
    )]
    Missing {
        /// The key of the ring.
        key: String,
        /// The seal key that wraps it.
        wanted: SealId,
        /// Those that were given.
        given: String,
    },
    /// The store is of a time before it said which its seal key is, and none of these opens its ring.
    #[error(
        "the seal key does not open the key `{0}` of the ring; start with the seal key the store was made with; nothing was \
         changed"
    )]
    Strange(String),
}

/// One seal key.
struct One {
    id: SealId,
    role: SealRole,
    check: [u8; 32],
    named: SealKey,
    unnamed: SealKey,
}

impl One {
    fn new(bytes: &[u8; 32], role: SealRole) -> Result<Self, SealFault> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derived = |label| hmac::sign(&key, label);
        let first = derived(ID).as_ref().first_chunk().copied().ok_or(SealFault::Broken)?;
        // One key in four thousand million would be called what no key is called.
        let id = u32::from_be_bytes(first).max(UNNAMED + 1);
        let check = derived(CHECK).as_ref().try_into().map_err(|_| SealFault::Broken)?;
        let (named, unnamed) = (SealKey::new(id, bytes)?, SealKey::new(UNNAMED, bytes)?);
        Ok(Self { id: SealId(id), role, check, named, unnamed })
    }

    fn is_of(&self, row: &SealRow) -> bool {
        self.id == row.id && same(&self.check, &row.check)
    }
}

/// The seal keys of this process: one that wraps, and while it is being replaced the one before or after it as well.
#[derive(Clone)]
pub struct Kek {
    /// The one that wraps stands first.
    keys: Vec<Arc<One>>,
    /// Which one is meant where a wrapped key names none.
    unnamed: SealId,
    /// What is wrapped from now on names its seal key: there are, or were, several.
    names: bool,
}

impl Kek {
    /// The seal key of these bytes, alone.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, SealFault> {
        let one = One::new(bytes, SealRole::Key)?;
        Ok(Self { unnamed: one.id, keys: vec![Arc::new(one)], names: false })
    }

    /// With one more. One that is there already, under whatever role, changes nothing.
    pub fn with(mut self, role: SealRole, bytes: &[u8; 32]) -> Result<Self, SealFault> {
        let one = One::new(bytes, role)?;
        if self.get(one.id).is_none() {
            self.keys.push(Arc::new(one));
            self.names = true;
        }
        Ok(self)
    }

    fn get(&self, id: SealId) -> Option<&One> {
        self.keys.iter().find(|one| one.id == id).map(|one| &**one)
    }

    fn wrapping(&self) -> Result<&One, SealFault> {
        // There is always one: `new` puts it there.
        self.keys.first().map(|one| &**one).ok_or(SealFault::Broken)
    }

    /// The id of the one that wraps.
    pub fn id(&self) -> SealId {
        self.keys.first().map_or(self.unnamed, |one| one.id)
    }

    /// Which of those that were given has this id.
    pub fn role(&self, id: SealId) -> Option<SealRole> {
        self.get(id).map(|one| one.role)
    }

    /// What a store is to say of the one that wraps.
    pub fn row(&self, since: Timestamp) -> Result<SealRow, SealFault> {
        let one = self.wrapping()?;
        Ok(SealRow { id: one.id, check: one.check, since })
    }

    /// The ids with what they are, for people.
    fn given(&self) -> String {
        let names: Vec<_> =
            self.keys.iter().map(|one| format!("{} as `{}`", one.id, one.role.name())).collect();
        names.join(", ")
    }

    /// The seal key that wraps a key of the ring; none for a key that is destroyed.
    pub fn wraps(&self, row: &RingRow) -> Option<SealId> {
        match seal::version_of(&row.sealed)? {
            UNNAMED => Some(self.unnamed),
            id => Some(SealId(id)),
        }
    }

    /// These seal keys for a store that holds this ring and says this of its seal key, or why they are not the ones.
    /// Which key is meant where none is named is found out here, once, and by opening only if it is one of several.
    pub fn fit(&self, said: Option<&SealRow>, rows: &[RingRow]) -> Result<Self, SealMisfit> {
        let mut fitting = self.clone();
        fitting.unnamed = match said {
            Some(said) => {
                let known = self.keys.iter().find(|one| one.is_of(said));
                let wrong = || SealMisfit::Wrong { wanted: said.id, given: self.given() };
                let known = known.ok_or_else(wrong)?.id;
                // Another process may have added a key in the very moment that the others were wrapped again.
                if self.keys.len() > 1 { self.recognized(known, rows)? } else { known }
            }
            None => self.recognized(self.id(), rows)?,
        };
        let missing = |row: &RingRow| {
            let wanted = fitting.wraps(row).filter(|id| self.get(*id).is_none())?;
            Some(SealMisfit::Missing { key: row.stage().name(), wanted, given: self.given() })
        };
        match rows.iter().find_map(missing) {
            Some(misfit) => Err(misfit),
            None => Ok(fitting.beside(rows)),
        }
    }

    /// Which one has wrapped what names none; this one, where there is no such thing.
    fn recognized(&self, otherwise: SealId, rows: &[RingRow]) -> Result<SealId, SealMisfit> {
        let unnamed = |row: &&RingRow| seal::version_of(&row.sealed) == Some(UNNAMED);
        let Some(row) = rows.iter().find(unnamed) else { return Ok(otherwise) };
        let opens = |one: &&Arc<One>| row.at(|place| one.unnamed.open_at(place, &row.sealed)).is_ok();
        let found = self.keys.iter().find(opens);
        found.map(|one| one.id).ok_or_else(|| SealMisfit::Strange(row.stage().name()))
    }

    /// These seal keys beside a ring of which another node may have wrapped a part by the one to come: then this node wraps
    /// by it too, or what it adds would have to be wrapped again by the other. And where any names its seal key, all do.
    #[must_use]
    pub fn beside(&self, rows: &[RingRow]) -> Self {
        let moved =
            rows.iter().filter_map(|row| self.wraps(row)).find(|id| self.role(*id) == Some(SealRole::Next));
        let mut keys = self.keys.clone();
        // False sorts first, and the others keep their order.
        keys.sort_by_key(|one| Some(one.id) != moved && !(moved.is_none() && one.role == SealRole::Key));
        let named = |row: &RingRow| seal::version_of(&row.sealed).is_some_and(|id| id != UNNAMED);
        Self { keys, unnamed: self.unnamed, names: self.names || rows.iter().any(named) }
    }

    /// Whether a wrapped key is to be wrapped again: it is under the one before.
    pub fn outlived(&self, row: &RingRow) -> bool {
        self.wraps(row).is_some_and(|id| self.role(id) == Some(SealRole::Previous))
    }

    pub(super) fn open(&self, place: Place<'_>, row: &RingRow) -> Result<Secret, SealFault> {
        let id = self.wraps(row).ok_or(SealFault::DoesNotOpen)?;
        let one = self.get(id).ok_or(SealFault::DoesNotOpen)?;
        let unnamed = seal::version_of(&row.sealed) == Some(UNNAMED);
        if unnamed { &one.unnamed } else { &one.named }.open_at(place, &row.sealed)
    }

    pub(super) fn seal(
        &self,
        place: Place<'_>,
        entropy: &dyn Entropy,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealFault> {
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let one = self.wrapping()?;
        let names = self.names || one.id != self.unnamed;
        if names { &one.named } else { &one.unnamed }.seal_at(place, nonce, plain)
    }
}

/// A ring whose keys were wrapped again.
#[derive(Debug)]
pub struct Wrapped {
    /// The rows that were decided on.
    pub old: Vec<RingRow>,
    /// The same keys, wrapped by the seal key that wraps now.
    pub new: Vec<RingRow>,
    /// What the store says from then on.
    pub seal: SealRow,
}

/// Wraps again what the seal key before wraps, all of it at once: a ring has some tens of keys. None where nothing is to be
/// done. A node that only knows the key to come leaves everything as it is; so two nodes never take turns at undoing each
/// other's work.
pub fn wrap_again(
    kek: &Kek,
    said: Option<&SealRow>,
    rows: &[RingRow],
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<Option<Wrapped>, SealFault> {
    let kek = kek.beside(rows);
    let outlived = |said: &SealRow| kek.role(said.id) == Some(SealRole::Previous);
    let mut wrapped = Wrapped { old: Vec::new(), new: Vec::new(), seal: kek.row(now)? };
    for row in rows.iter().filter(|row| kek.outlived(row)) {
        let plain = row.open(&kek)?;
        let mut new = row.clone();
        new.seal(&kek, entropy, plain.expose())?;
        wrapped.old.push(row.clone());
        wrapped.new.push(new);
    }
    let nothing = wrapped.new.is_empty() && !said.is_none_or(outlived);
    Ok((!nothing).then_some(wrapped))
}

/// Under which seal keys the keys of a ring are, and how many under each. Those that are destroyed are under none.
pub fn wrapped_by(kek: &Kek, rows: &[RingRow]) -> Vec<(SealId, usize)> {
    let mut counts: Vec<(SealId, usize)> = kek.keys.iter().map(|one| (one.id, 0)).collect();
    let there = rows.iter().filter(|row| row.state != RingState::Gone || !row.sealed.is_empty());
    for id in there.filter_map(|row| kek.wraps(row)) {
        match counts.iter_mut().find(|(known, _)| *known == id) {
            Some((_, count)) => *count += 1,
            None => counts.push((id, 1)),
        }
    }
    counts
}

#[cfg(test)]
mod tests;
