//! Rows on their way from where a backend reads them to whoever asked: a page at a time, and never more than a few waiting.

use async_trait::async_trait;
use daypass_core::store::StoreError;
use daypass_core::transfer::{PAGE, Pages, Row};
use tokio::sync::mpsc;

/// Every table that rows come from, in both backends, each behind those that refer to it.
pub(crate) const TABLES: &[&str] = &[
    "records",
    "writers",
    "held",
    "spent",
    "uses",
    "freezes",
    "cutoffs",
    "roots",
    "keys",
    "clients",
    "seal",
    "ring",
    "clock",
    "checkpoints",
    "delivered",
];

/// How many pages wait.
const WAITING: usize = 2;

/// The end that is read.
///
/// An empty page is the end. That nothing more comes is not: whoever reads may have stopped in the middle, and what he gave would
/// pass for all there is.
pub(crate) struct Piped(mpsc::Receiver<Result<Vec<Row>, StoreError>>);

#[async_trait]
impl Pages for Piped {
    async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        match self.0.recv().await {
            Some(Ok(page)) => Ok(Some(page).filter(|page| !page.is_empty())),
            Some(Err(error)) => Err(error),
            None => Err(StoreError::Unavailable("reading it was broken off".into())),
        }
    }
}

/// The end that is written.
pub(crate) struct Pager {
    to: mpsc::Sender<Result<Vec<Row>, StoreError>>,
    page: Vec<Row>,
}

/// Both ends.
pub(crate) fn pipe() -> (Pager, Piped) {
    let (to, from) = mpsc::channel(WAITING);
    (Pager { to, page: Vec::new() }, Piped(from))
}

fn nobody() -> StoreError {
    StoreError::Unavailable("nobody reads it any more".into())
}

impl Pager {
    /// Takes a row, and gives the page before it where that is full or of another part.
    fn turn(&mut self, row: Row) -> Option<Vec<Row>> {
        let full = self.page.len() >= PAGE || self.page.last().is_some_and(|last| last.part() != row.part());
        let page = full.then(|| std::mem::take(&mut self.page));
        self.page.push(row);
        page
    }

    /// Hands on a row, from a thread that may wait.
    pub(crate) fn push(&mut self, row: Row) -> Result<(), StoreError> {
        match self.turn(row) {
            Some(page) => self.to.blocking_send(Ok(page)).map_err(|_| nobody()),
            None => Ok(()),
        }
    }

    /// Hands on a row.
    pub(crate) async fn send(&mut self, row: Row) -> Result<(), StoreError> {
        match self.turn(row) {
            Some(page) => self.to.send(Ok(page)).await.map_err(|_| nobody()),
            None => Ok(()),
        }
    }

    /// Ends: with what came of reading.
    pub(crate) async fn finish(mut self, read: Result<(), StoreError>) {
        // Whoever has gone away does not want to know.
        let last = std::mem::take(&mut self.page);
        if read.is_ok() && !last.is_empty() {
            let _ = self.to.send(Ok(last)).await;
        }
        let _ = self.to.send(read.map(|()| Vec::new())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: usize) -> Row {
        Row::Use { key: n.to_string(), at: 0 }
    }

    #[tokio::test]
    async fn pages_are_of_one_part_and_of_a_bounded_length() {
        let (mut pager, mut piped) = pipe();
        let writing = tokio::spawn(async move {
            pager.send(Row::Client("{}".into())).await.unwrap();
            for n in 0..=PAGE {
                pager.send(row(n)).await.unwrap();
            }
            pager.finish(Ok(())).await;
        });
        let mut lengths = Vec::new();
        while let Some(page) = piped.next().await.unwrap() {
            lengths.push(page.len());
        }
        assert_eq!(lengths, [1, PAGE, 1]);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_broken_off_is_not_taken_for_the_end() {
        let (mut pager, mut piped) = pipe();
        pager.send(row(0)).await.unwrap();
        drop(pager);
        assert!(matches!(piped.next().await, Err(StoreError::Unavailable(_))));

        let (mut pager, mut piped) = pipe();
        pager.send(row(0)).await.unwrap();
        pager.finish(Err(StoreError::Damaged("a page".into()))).await;
        assert_eq!(
            piped.next().await,
            Err(StoreError::Damaged("a page".into())),
            "not even what was read before"
        );

        let (mut pager, piped) = pipe();
        drop(piped);
        pager.send(Row::Client("{}".into())).await.unwrap();
        assert!(pager.send(row(0)).await.is_err());
    }
}
