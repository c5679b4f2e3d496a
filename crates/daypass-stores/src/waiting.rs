//! What waits to be written, whichever the backend: one commit answers all of it.

use daypass_core::clock::Timestamp;
use daypass_core::held::{Turn, TurnEnd, Wish};
use daypass_core::ration::Due;
use daypass_core::record::{Entry, Record};
use daypass_core::replay::Mark;
use daypass_core::store::{Appended, Change, Proof, Spent, StoreError};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Where an answer goes.
pub(crate) type Ticket<T> = oneshot::Sender<Result<T, StoreError>>;

/// The wait for a commit, for whoever follows requests. Where nobody does it costs nothing.
pub(crate) fn wait() -> tracing::Span {
    tracing::debug_span!(target: "daypass::traces", "store", otel.name = "store.commit")
}

/// What goes into a commit together with whatever else waits.
pub(crate) enum Write {
    Append(Box<Entry>, Pending<Appended>),
    Change(Vec<Change>, Box<Record>, Pending<()>),
    Spend(Mark, Timestamp, Pending<Spent>),
    Uses(Vec<(String, Timestamp)>, Pending<()>),
    Counts(Uuid, Due, Pending<Vec<(Mark, u64)>>),
    Clock(Timestamp, Pending<Timestamp>),
    TakeTurn(Wish, Pending<Turn>),
    EndTurn(TurnEnd, Pending<bool>),
    Prove(Box<Proof>, Pending<bool>),
}

/// An answer that may be given once the commit is durable.
pub(crate) struct Pending<T> {
    ticket: Ticket<T>,
    /// The answer, once it was found.
    pub(crate) result: Option<Result<T, StoreError>>,
}

impl<T> Pending<T> {
    pub(crate) fn new(ticket: Ticket<T>) -> Self {
        Self { ticket, result: None }
    }

    /// Nobody waits any more: the caller gave up or went away, and has been given nothing.
    pub(crate) fn abandoned(&self) -> bool {
        self.ticket.is_closed()
    }

    /// Gives the answer; whoever does not wait for it any more does not mind.
    pub(crate) fn send(self, failed: Option<&StoreError>) {
        if let Some(result) = failed.map(|error| Err(error.clone())).or(self.result) {
            let _ = self.ticket.send(result);
        }
    }
}

impl Write {
    /// Whether it adds to the store for a request, and so has to stand back where room is left for operators alone.
    pub(crate) fn stands_back(&self) -> bool {
        matches!(
            self,
            Self::Append(..) | Self::Spend(..) | Self::Uses(..) | Self::Counts(..) | Self::TakeTurn(..)
        )
    }

    /// Whether it is worth the reserve: what an operator does, and what keeps the records provable.
    pub(crate) fn worth_the_reserve(&self) -> bool {
        !self.stands_back() && !matches!(self, Self::Clock(..) | Self::EndTurn(..))
    }

    /// Gives the answer that was found, or the failure of the whole commit.
    pub(crate) fn send(self, failed: Option<&StoreError>) {
        match self {
            Self::Append(_, pending) => pending.send(failed),
            Self::Change(_, _, pending) | Self::Uses(_, pending) => pending.send(failed),
            Self::Spend(_, _, pending) => pending.send(failed),
            Self::Counts(_, _, pending) => pending.send(failed),
            Self::Clock(_, pending) => pending.send(failed),
            Self::TakeTurn(_, pending) => pending.send(failed),
            Self::EndTurn(_, pending) | Self::Prove(_, pending) => pending.send(failed),
        }
    }
}
