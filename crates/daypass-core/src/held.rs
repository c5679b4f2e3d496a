//! What nodes hold together of a brokered credential, and whose turn it is to ask for the next one.
//!
//! A cloud is asked by one node at a time for one thing. Whoever asks has a *turn*: a number that grows by one each time,
//! so that a late answer to an old question never takes the place of a newer one.

use crate::clock::{Timestamp, after};
use crate::replay::Mark;
use std::sync::Arc;
use uuid::Uuid;

/// Nobody is kept from a turn for longer than this many seconds: the longest deadline of a cloud and the longest pause after
/// a failure are shorter. A row that says more was written by a clock that ran ahead, and must not stop all other nodes until
/// theirs have come that far.
pub const LONGEST: u32 = 600;

/// A credential that nodes share, or the place for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many turns were taken.
    pub turn: u64,
    /// The node that is asking now.
    pub holder: Option<Uuid>,
    /// Until when nobody else takes a turn: for a holder, until it is taken for dead; without one, the pause after a
    /// failure.
    pub until: Timestamp,
    /// The credential, sealed for this place.
    pub sealed: Option<Arc<[u8]>>,
    /// After this time the row means nothing and may go.
    pub keep: Timestamp,
}

impl Held {
    /// Whether nobody else may take a turn now.
    pub fn blocks(&self, now: Timestamp) -> bool {
        now < self.until && self.until <= after(now, LONGEST)
    }
}

/// A wish to ask.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// What is asked for.
    pub place: Mark,
    /// The turn that the node knows of; 0 where it knows none.
    pub seen: u64,
    /// The node.
    pub holder: Uuid,
    /// The present.
    pub now: Timestamp,
    /// When it may be taken for dead.
    pub until: Timestamp,
}

/// What becomes of a wish to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is this node's turn, of this number.
    Mine(u64),
    /// Another node asks, or a pause is kept.
    Busy(Held),
    /// Another node had a turn since: look at what it got first.
    Moved(Held),
}

/// The end of a turn.
#[derive(Clone, Debug)]
pub struct TurnEnd {
    /// What was asked for.
    pub place: Mark,
    /// The number of the turn.
    pub turn: u64,
    /// The node.
    pub holder: Uuid,
    /// What came, sealed; none for a failure, which leaves what is there.
    pub sealed: Option<Arc<[u8]>>,
    /// Until when nobody takes another turn: the pause after a failure.
    pub until: Timestamp,
    /// After this time the row means nothing and may go.
    pub keep: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, later};

    #[test]
    fn a_row_blocks_until_its_time_and_not_for_an_absurd_one() {
        let row = |until| Held { turn: 1, holder: None, until, sealed: None, keep: until };
        assert!(row(later(1)).blocks(START));
        assert!(!row(START).blocks(START));
        assert!(row(later(LONGEST)).blocks(START));
        assert!(!row(later(LONGEST + 1)).blocks(START), "of a clock that ran ahead");
    }
}
