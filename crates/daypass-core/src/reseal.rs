//! Sealing anew what is kept under a `rest` key that works no more, and what is left under each old key of the ring.
//!
//! A key of ours that was replaced must be kept for as long as something stored needs it. What is sealed by it is opened and
//! sealed by the new one, a piece at a time; what is hashed by it waits for the next time that its secret is shown
//! ([`Rehash`]). Only when nothing is left is the old key destroyed.

use crate::client::{Key, Material};
use crate::clock::Timestamp;
use crate::contents::{Contents, Part};
use crate::directory::{open_material, seal_material};
use crate::id::Entropy;
use crate::people::Unpackable;
use crate::record::ChainHead;
use crate::ring::{Purpose, Ring, RingState};
use crate::root::RootRow;
use crate::seal::{self, SealFault};
use parking_lot::Mutex;
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How much is left under keys of the ring that work no more, by purpose and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left(BTreeMap<(Purpose, u32), usize>);

impl Left {
    /// Under the retiring keys of this ring. Where none is retiring that could have anything left, nothing is looked at.
    ///
    /// A disabled or ended signing key counts: it is sealed anew like any other, and may be enabled again. A hashed secret
    /// counts while it works or may begin to: of the others nobody will ever show us what they were made from.
    pub fn of(
        ring: &Ring,
        keys: impl IntoIterator<Item: Borrow<Key>>,
        roots: &[RootRow],
        now: Timestamp,
    ) -> Self {
        let stores = |purpose| matches!(purpose, Purpose::Rest | Purpose::Pepper | Purpose::Record);
        let old = ring.stages().iter().filter(|s| s.state == RingState::Retiring && stores(s.purpose));
        let mut left: BTreeMap<_, _> = old.map(|stage| ((stage.purpose, stage.version), 0)).collect();
        let mut count = |purpose, version: Option<u32>| {
            if let Some(found) = version.and_then(|version| left.get_mut(&(purpose, version))) {
                *found += 1;
            }
        };
        if ring.stages().iter().any(|s| s.state == RingState::Retiring && stores(s.purpose)) {
            for key in keys {
                let key = key.borrow();
                match &key.material {
                    Material::Sealed(sealed) => count(Purpose::Rest, seal::version_of(sealed)),
                    Material::Hashed { pepper, .. } if key.lasts(now) => {
                        count(Purpose::Pepper, Some(*pepper));
                    }
                    _ => {}
                }
            }
            for root in roots {
                count(Purpose::Rest, seal::version_of(&root.sealed));
            }
        }
        Self(left)
    }

    /// With the chains of records, each of which needs the key that it was made with for as long as it is checked.
    #[must_use]
    pub fn with_chains(mut self, heads: &[ChainHead]) -> Self {
        for head in heads {
            if let Some(found) = self.0.get_mut(&(Purpose::Record, head.key_version)) {
                *found += 1;
            }
        }
        self
    }

    /// How much is left under this key.
    pub fn under(&self, purpose: Purpose, version: u32) -> usize {
        self.0.get(&(purpose, version)).copied().unwrap_or_default()
    }

    /// Every retiring key that stored things may need, with how many do.
    pub fn all(&self) -> impl Iterator<Item = (Purpose, u32, usize)> {
        self.0.iter().map(|((purpose, version), count)| (*purpose, *version, *count))
    }
}

/// Some of what is to be sealed anew: as it is, and as it will be. The first of one belongs to the first of the other.
#[derive(Debug)]
pub struct Piece<T> {
    /// As it was read.
    pub old: Vec<T>,
    /// Sealed by the key that works now.
    pub new: Vec<T>,
    /// How many were to be sealed anew and do not open: they were changed, and stay as they are.
    pub closed: usize,
}

impl<T> Default for Piece<T> {
    fn default() -> Self {
        Self { old: Vec::new(), new: Vec::new(), closed: 0 }
    }
}

/// Whether something is sealed by a `rest` key before the one that works, and can be opened. Never the other way round: a
/// node that has not heard of the newest key must not take others' work back.
fn is_due(ring: &Ring, sealed: &[u8]) -> bool {
    let older = seal::version_of(sealed).filter(|version| *version < ring.active(Purpose::Rest));
    older.is_some_and(|version| ring.seal(Purpose::Rest, version).is_some())
}

/// Seals signing keys of clients anew, at most so many.
pub fn keys(
    ring: &Ring,
    all: impl IntoIterator<Item: Borrow<Key>>,
    most: usize,
    entropy: &dyn Entropy,
) -> Result<Piece<Key>, SealFault> {
    let mut piece = Piece::default();
    for key in all {
        let key = key.borrow();
        let Material::Sealed(sealed) = &key.material else { continue };
        if piece.new.len() == most {
            break;
        }
        if !is_due(ring, sealed) {
            continue;
        }
        let Ok(plain) = open_material(ring, &key.id, sealed) else {
            piece.closed += 1;
            continue;
        };
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let material = Material::Sealed(seal_material(ring, &key.id, plain.expose(), nonce)?);
        piece.old.push(key.clone());
        piece.new.push(Key { material, ..key.clone() });
    }
    Ok(piece)
}

/// Seals root keys anew: there are never more than two for each issuer.
pub fn roots(ring: &Ring, all: &[RootRow], entropy: &dyn Entropy) -> Result<Piece<RootRow>, SealFault> {
    let mut piece = Piece::default();
    for row in all.iter().filter(|row| is_due(ring, &row.sealed)) {
        match row.resealed(ring, entropy) {
            Ok(new) => {
                piece.old.push(row.clone());
                piece.new.push(new);
            }
            Err(SealFault::DoesNotOpen) => piece.closed += 1,
            Err(fault) => return Err(fault),
        }
    }
    Ok(piece)
}

/// What a node whose seal key is behind goes on with: of what others have sealed by a `rest` key that it cannot open, the
/// sealed form that it has read before. Everything else of a key is as it is now: one that was disabled is disabled.
pub fn keep_what_opens(ring: &Ring, before: &Contents, now: Contents) -> Result<Contents, Unpackable> {
    let closed = |sealed: &[u8]| {
        seal::version_of(sealed).is_none_or(|version| ring.seal(Purpose::Rest, version).is_none())
    };
    let stays = |key: &Key| matches!(&key.material, Material::Sealed(sealed) if closed(sealed));
    let kept = |key: Key| {
        let earlier = before.keys.held().get(&key.id).filter(|earlier| earlier.client == key.client)?;
        Some((key.id.clone(), Some(Key { material: earlier.material.clone(), ..key })))
    };
    let kept: Vec<_> = now.keys.held().iter().filter(stays).filter_map(kept).collect();
    let place = |row: &RootRow| (row.issuer.clone(), row.slot, row.id.clone());
    let root = |row: &RootRow| {
        let earlier =
            before.roots.held().iter().find(|earlier| closed(&row.sealed) && place(earlier) == place(row));
        let sealed = earlier.map_or_else(|| row.sealed.clone(), |earlier| earlier.sealed.clone());
        RootRow { sealed, ..row.clone() }
    };
    // Without its stamp, so that the whole is read again at the next change, and what opens by then is taken.
    let keys = if kept.is_empty() { now.keys } else { Part::unstamped(now.keys.held().with(kept)?) };
    let roots = again(&now.roots, now.roots.held().iter().map(root).collect());
    Ok(Contents { keys, roots, ..now })
}

/// A part as it was read, holding something else.
fn again<T>(part: &Part<T>, held: T) -> Part<T> {
    match part.stamp() {
        Some(stamp) => Part::new(stamp, held),
        None => Part::unstamped(held),
    }
}

/// How many secrets wait at most to be hashed anew. More than a second brings; those beyond are shown again.
const WAITING: usize = 4096;

/// Secrets that were shown and found right under an old pepper, hashed by the one that works now. They wait here until they
/// are written: the answer does not.
#[derive(Default)]
pub struct Rehash(Mutex<HashMap<String, (Arc<Key>, Key)>>);

impl Rehash {
    /// Notes that a key is hashed anew. `hash` is made with the pepper of this version.
    pub(crate) fn note(&self, key: &Arc<Key>, pepper: u32, hash: Vec<u8>) {
        let mut waiting = self.0.lock();
        if waiting.len() < WAITING && !waiting.contains_key(&key.id) {
            let new = Key { material: Material::Hashed { pepper, hash }, ..(**key).clone() };
            waiting.insert(key.id.clone(), (key.clone(), new));
        }
    }

    /// What waits, which then waits no more. What cannot be written is noted again when its secret is shown again.
    pub fn take(&self) -> Piece<Key> {
        let waiting = std::mem::take(&mut *self.0.lock());
        let mut piece = Piece::default();
        for (old, new) in waiting.into_values() {
            piece.old.push((*old).clone());
            piece.new.push(new);
        }
        piece
    }
}

#[cfg(test)]
mod tests;
