//! Where signed documents about what was taken back are hung out: each is made once for many who ask.

use crate::refusal::Refusal;
use crate::revoked::{Journal, Revoked};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// What is published of every tenant. It outlives the snapshots of the directory that it was made from.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<Uuid, Page>>);

/// A signed document.
#[derive(Debug, PartialEq, Eq)]
pub struct Published {
    /// As it is sent.
    pub body: String,
    /// What tells it from others: a value of `ETag`.
    pub tag: String,
    /// Its media type.
    pub media: &'static str,
}

/// One tenant's documents, as of one turn.
#[derive(Debug, Default)]
struct Page {
    /// The number of the snapshot, and the turn.
    edition: Option<(u64, i64)>,
    journal: Journal,
    /// Why there is no document in this edition. Attack: where there is too much to list, everybody who asks makes us find
    /// out again.
    refused: Option<Refusal>,
    whole: Option<Arc<Published>>,
    /// By the state since which they tell what changed. There are no more of them than states that are remembered: whoever
    /// makes up names of states makes nobody sign.
    changes: HashMap<String, Arc<Published>>,
}

/// Which snapshot asks, of which tenant, and in which turn.
#[derive(Clone, Copy, Debug)]
pub struct Edition {
    /// The tenant.
    pub tenant: Uuid,
    /// The number of the snapshot.
    pub number: u64,
    /// The turn: within one, everybody gets the same.
    pub turn: i64,
}

impl Board {
    /// The document for whoever has the list in this state, or has none. `list` says what is in the list now, with the name
    /// of its state, and `sign` makes the document: of the changes since a state, or of the whole. Who comes meanwhile
    /// waits.
    pub fn document(
        &self,
        edition: Edition,
        since: Option<&str>,
        list: impl FnOnce() -> Result<(Revoked, String), Refusal>,
        sign: impl FnOnce(Told<'_>) -> Result<Published, Refusal>,
    ) -> Result<Arc<Published>, Refusal> {
        let mut pages = self.0.lock();
        let page = pages.entry(edition.tenant).or_default();
        // A request that began with an earlier snapshot gets what the later one says.
        let number = page.edition.map_or(edition.number, |(number, _)| number.max(edition.number));
        if page.edition != Some((number, edition.turn)) && number == edition.number {
            (page.whole, page.changes) = (None, HashMap::new());
            page.edition = Some((number, edition.turn));
            page.refused = match list() {
                Ok((list, state)) => {
                    page.journal.advance(list, state);
                    None
                }
                Err(refusal) => Some(refusal),
            };
        }
        if let Some(refusal) = &page.refused {
            return Err(refusal.clone());
        }
        let changes = since.and_then(|since| Some((since, page.journal.since(since)?)));
        let kept = match &changes {
            Some((since, _)) => page.changes.get(*since),
            None => page.whole.as_ref(),
        };
        if let Some(kept) = kept {
            return Ok(kept.clone());
        }
        let made = Arc::new(sign(Told {
            list: page.journal.list(),
            state: page.journal.state(),
            since: changes.as_ref().map(|(since, changes)| (*since, changes)),
        })?);
        match changes {
            Some((since, _)) => _ = page.changes.insert(since.to_owned(), made.clone()),
            None => page.whole = Some(made.clone()),
        }
        Ok(made)
    }
}

/// What a document is to say.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The whole list.
    pub list: &'a Revoked,
    /// The name of its state.
    pub state: &'a str,
    /// Where its reader has an earlier state: that, and what changed since.
    pub since: Option<(&'a str, &'a crate::revoked::Changes)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;
    use crate::revoked::Named;
    use std::cell::Cell;

    const TENANT: Uuid = Uuid::from_u128(1);

    fn list(tokens: u128) -> Revoked {
        (0..tokens).map(|id| (Named::Token(Uuid::from_u128(id)), 10)).collect()
    }

    struct Bench {
        board: Board,
        signed: Cell<usize>,
    }

    impl Bench {
        fn new() -> Self {
            Self { board: Board::default(), signed: Cell::new(0) }
        }

        /// What a reader gets while there are so many tokens in the list, whose number is the state's name.
        fn get(&self, number: u64, turn: i64, tokens: u128, since: Option<&str>) -> String {
            let sign = |told: Told<'_>| {
                self.signed.set(self.signed.get() + 1);
                let what = match told.since {
                    Some((since, changes)) => format!("{} since {since}", changes.len()),
                    None => format!("{} in all", told.list.len()),
                };
                Ok(Published { body: format!("{}: {what}", told.state), tag: String::new(), media: "" })
            };
            let list = || Ok((list(tokens), tokens.to_string()));
            let edition = Edition { tenant: TENANT, number, turn };
            self.board.document(edition, since, list, sign).unwrap().body.clone()
        }
    }

    #[test]
    fn one_signature_serves_all_who_ask_the_same() {
        let bench = Bench::new();
        for _ in 0..3 {
            assert_eq!(bench.get(0, 7, 5, None), "5: 5 in all");
            assert_eq!(bench.get(0, 7, 5, Some("5")), "5: 0 since 5");
            assert_eq!(bench.get(0, 7, 5, Some("made up")), "5: 5 in all");
        }
        assert_eq!(bench.signed.get(), 2);
        bench.get(0, 8, 5, None);
        assert_eq!(bench.signed.get(), 3, "a new turn is a new document");
    }

    #[test]
    fn a_new_snapshot_tells_what_changed_since_the_earlier_ones() {
        let bench = Bench::new();
        bench.get(0, 7, 5, None);
        assert_eq!(bench.get(1, 7, 6, Some("5")), "6: 1 since 5");
        assert_eq!(bench.get(2, 8, 8, Some("5")), "8: 3 since 5");
        assert_eq!(bench.get(2, 8, 8, Some("6")), "8: 2 since 6");
    }

    #[test]
    fn a_request_that_began_with_an_earlier_snapshot_takes_nothing_back() {
        let bench = Bench::new();
        bench.get(1, 7, 6, None);
        assert_eq!(bench.get(0, 7, 5, None), "6: 6 in all");
        assert_eq!(bench.get(1, 7, 6, Some("5")), "6: 6 in all", "and it is no state that was published");
        assert_eq!(bench.signed.get(), 1);
    }

    #[test]
    fn that_there_is_too_much_is_found_out_once() {
        let board = Board::default();
        let edition = |number, turn| Edition { tenant: TENANT, number, turn };
        let looked = Cell::new(0);
        let ask = |number, turn, full: bool| {
            let list = || {
                looked.set(looked.get() + 1);
                if full {
                    Err(Refusal::new(Reason::Unavailable, "too long"))
                } else {
                    Ok((list(1), "1".to_owned()))
                }
            };
            let sign = |_: Told<'_>| Ok(Published { body: String::new(), tag: String::new(), media: "" });
            board
                .document(edition(number, turn), None, list, sign)
                .map(|_| ())
                .map_err(|refusal| refusal.reason)
        };
        for _ in 0..3 {
            assert_eq!(ask(0, 7, true), Err(Reason::Unavailable));
        }
        assert_eq!(looked.get(), 1);
        assert_eq!(ask(0, 8, true), Err(Reason::Unavailable));
        assert_eq!(
            (ask(1, 8, false), looked.get()),
            (Ok(()), 3),
            "a later snapshot, or the next turn, looks again"
        );
    }

    #[test]
    fn what_cannot_be_signed_is_not_kept() {
        let board = Board::default();
        let edition = Edition { tenant: TENANT, number: 0, turn: 7 };
        let fault = || Refusal::new(Reason::Unavailable, "too long");
        let publish = |_: Told<'_>| Ok(Published { body: String::new(), tag: String::new(), media: "" });
        let full = || Ok((list(1), "1".to_owned()));
        assert!(board.document(edition, None, full, |_| Err(fault())).is_err());
        assert!(board.document(edition, None, full, publish).is_ok());
    }
}
