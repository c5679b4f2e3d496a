//! What nodes hold together of a brokered credential, and whose turn it is to ask for the next one.
//!
//! A cloud is asked by one node at a time for one thing. Whoever asks has a *turn*: a number that grows by one each time,
//! so that a late answer to an old question never takes the place of a newer one.

use crate::clock::Timestamp;
use crate::replay::Mark;
use std::sync::Arc;
use uuid::Uuid;

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
