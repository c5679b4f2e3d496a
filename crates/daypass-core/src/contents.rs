//! What a store holds apart from records, as one state, in parts that later states share as long as they stay the same.
//!
//! A node holds all of it in memory and looks ten times a second whether it has changed. What it then reads must depend on
//! what has changed and not on what is there: with a million cut-offs, reading all of them for one more would take longer
//! than a revocation may.

use crate::cutoff::Cutoffs;
use crate::freeze::Freeze;
use crate::people::{Clients, Keys};
use crate::ring::RingRow;
use crate::root::RootRow;
use std::sync::Arc;

/// By what a store knows a state of a part again: the same stamp, the same part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Counts on with every change of the part, where the store counts them.
    pub number: u64,
    /// Over everything in the part, where the store keeps one.
    pub digest: [u8; 32],
}

/// One part, with the stamp that it was read at; none where it was never read from a store.
#[derive(Debug, Default)]
pub struct Part<T> {
    stamp: Option<Stamp>,
    held: Arc<T>,
}

// By hand, because what is held need not be copied.
impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { stamp: self.stamp, held: self.held.clone() }
    }
}

impl<T> Part<T> {
    /// A part as it was read at this stamp.
    pub fn new(stamp: Stamp, held: T) -> Self {
        Self { stamp: Some(stamp), held: Arc::new(held) }
    }

    /// A part that comes from no store.
    pub fn unstamped(held: T) -> Self {
        Self { stamp: None, held: Arc::new(held) }
    }

    /// What it holds.
    pub fn held(&self) -> &Arc<T> {
        &self.held
    }

    /// The stamp that it was read at.
    pub fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// The part at this stamp: this one if it is that, or else what is read.
    pub fn at<E>(&self, stamp: Stamp, read: impl FnOnce() -> Result<T, E>) -> Result<Self, E> {
        if self.stamp == Some(stamp) { Ok(self.clone()) } else { Ok(Self::new(stamp, read()?)) }
    }

    /// The same at another stamp: what was counted on since was no change of this part.
    #[must_use]
    pub fn stamped(&self, stamp: Stamp) -> Self {
        Self { stamp: Some(stamp), held: self.held.clone() }
    }

    /// Whether both are one and the same in memory. Two that were read apart are not, whatever they hold.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.held, &other.held)
    }
}

/// Everything but the records. The default is what somebody has who has read nothing yet.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The store's [`crate::store::Store::version`] of this state.
    pub version: u64,
    /// Every client.
    pub clients: Part<Clients>,
    /// Every key of every client.
    pub keys: Part<Keys>,
    /// Every ring key.
    pub ring: Part<Vec<RingRow>>,
    /// Every cut-off.
    pub cutoffs: Part<Cutoffs>,
    /// Every place where nothing is issued.
    pub freezes: Part<Vec<Freeze>>,
    /// Every root key of every issuer.
    pub roots: Part<Vec<RootRow>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_when_its_stamp_is_another() {
        let stamp = |number| Stamp { number, digest: [0; 32] };
        let never = || -> Result<Vec<u8>, ()> { panic!("it is known") };
        let part = Part::new(stamp(1), vec![1]);
        assert!(part.at(stamp(1), never).unwrap().is(&part));
        let next = part.at(stamp(2), || Ok::<_, ()>(vec![2])).unwrap();
        assert_eq!((next.held().as_slice(), next.stamp()), ([2].as_slice(), Some(stamp(2))));
        assert!(part.at(Stamp { digest: [1; 32], ..stamp(1) }, || Err::<Vec<u8>, _>(())).is_err());
        let unstamped = Part::unstamped(vec![1]);
        assert!(!unstamped.at(Stamp::default(), || Ok::<_, ()>(vec![1])).unwrap().is(&unstamped));
    }
}
