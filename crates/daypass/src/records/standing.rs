//! What a node knows of the proofs of the records: for `/readyz`, metrics and the log.

use super::age;
use super::retention::Removed;
use super::rollback::Behind;
use super::sign::Signed;
use daypass_core::clock::Timestamp;
use daypass_core::record::checkpoint::Kept;
use std::collections::BTreeMap;

/// How long a second place may miss a checkpoint before somebody should look, in seconds.
pub(crate) const LATE: u64 = 600;

/// What is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The number of the newest checkpoint; 0 where there is none.
    pub(crate) number: u64,
    /// When this node last made sure that everything was signed.
    pub(crate) signed: Option<Timestamp>,
    /// How many chains cannot be signed, because their records do not lead to their ends.
    pub(crate) unproved: usize,
    /// The last checkpoint of the store is not signed by us, so that none can be made.
    pub(crate) forged: bool,
    /// Old records stay, because they do not verify.
    pub(crate) stuck: bool,
    /// How many records this node has removed.
    pub(crate) removed: u64,
    /// The second places, by name.
    pub(crate) places: BTreeMap<String, PlaceStanding>,
    /// A file holds what the store does not, and nobody has accepted it: the newest such checkpoint.
    pub(crate) behind: Option<Behind>,
}

/// What is known of a second place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlaceStanding {
    /// `file`, `syslog` or `http`.
    pub(crate) kind: &'static str,
    /// The last checkpoint that it has.
    pub(crate) reached: u64,
    /// When the first that it misses was made.
    pub(crate) missing_since: Option<Timestamp>,
}

impl Standing {
    /// Takes in what signing came to.
    pub(super) fn signed(&mut self, signed: &Signed, now: Timestamp) {
        self.number = signed.last.as_ref().map_or(0, |last: &Kept| last.number);
        self.signed = Some(now);
        self.forged = false;
        if signed.unproved.len() != self.unproved {
            for writer in &signed.unproved {
                tracing::error!(%writer, "a chain of records does not verify and is not signed; see `daypass audit verify`");
            }
        }
        self.unproved = signed.unproved.len();
    }

    /// Takes in what was removed.
    pub(super) fn removed(&mut self, removed: &Removed) {
        self.removed = self.removed.saturating_add(removed.records);
        self.stuck = removed.stuck;
    }

    /// For how long the place that is furthest behind has missed a checkpoint, in seconds.
    pub(crate) fn late(place: &PlaceStanding, now: Timestamp) -> u64 {
        place.missing_since.map_or(0, |since| age(since, now))
    }

    /// What an operator should look at, by name, each with how many.
    pub(crate) fn concerns(&self, now: Timestamp) -> [(&'static str, usize, String); 5] {
        let late = self.places.values().filter(|place| Self::late(place, now) > LATE).count();
        let (behind, stuck) = (usize::from(self.behind.is_some()), usize::from(self.stuck));
        let minutes = LATE / 60;
        [
            (
                "rollback",
                behind,
                "second places that hold checkpoints which this store does not have: it was put back to an earlier state".to_owned(),
            ),
            ("second_places", late, format!("second places that have missed checkpoints for more than {minutes} minutes")),
            ("chains", self.unproved, "chains of records that do not verify".to_owned()),
            (
                "checkpoints",
                usize::from(self.forged),
                "checkpoints of the store that are forged: none can be made".to_owned(),
            ),
            ("retention", stuck, "stores whose old records stay because they do not verify".to_owned()),
        ]
    }
}
