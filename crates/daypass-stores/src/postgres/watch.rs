//! Knowing the number of changes without asking for it.
//!
//! A connection of its own listens for notifications and looks twice a second in any case: some servers that speak
//! PostgreSQL's language know no notifications, and some poolers lose them. So whoever asks ten times a second is answered from
//! memory, and a change is known on every node within half a second, and mostly at once.

use super::address::Address;
use super::fault::{Fault, closed, column, late};
use super::schema;
use daypass_core::record::DEADLINE;
use daypass_core::store::StoreError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, Statement};

/// How often it is looked where nothing is said.
const POLL: Duration = Duration::from_millis(500);

/// How old what is known may be. Whatever is older than two looks that failed is not an answer any more.
const STALE: Duration = Duration::from_secs(DEADLINE.as_secs() + 1);

/// The channel of notifications; each database has its own of this name.
pub(super) const CHANNEL: &str = "daypass";

/// What is known of the number of changes.
#[derive(Clone)]
pub(super) struct Watch {
    known: Arc<Mutex<Known>>,
    /// The server answers again, as somebody else has found out.
    woken: Arc<Notify>,
}

struct Known {
    changes: i64,
    at: Instant,
    /// Why the last look failed.
    failed: Option<StoreError>,
    closed: bool,
}

impl Watch {
    /// With the number as it was just read.
    pub(super) fn new(changes: i64) -> Self {
        let at = Instant::now();
        let known = Arc::new(Mutex::new(Known { changes, at, failed: None, closed: false }));
        Self { known, woken: Arc::default() }
    }

    fn known<T>(&self, what: impl FnOnce(&mut Known) -> T) -> T {
        what(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number, if it is known well enough.
    pub(super) fn version(&self) -> Result<u64, StoreError> {
        self.known(|known| match &known.failed {
            _ if known.closed => Err(closed()),
            _ if known.at.elapsed() <= STALE => Ok(known.changes.cast_unsigned()),
            Some(failed) => Err(failed.clone()),
            None => Err(late()),
        })
    }

    pub(super) fn close(&self) {
        self.known(|known| known.closed = true);
    }

    /// The store has been seen to have had so many changes, in a transaction that began after `before` were known. Only a
    /// database that was put back to an earlier state has fewer.
    pub(super) fn seen(&self, before: i64, changes: i64) {
        self.known(|known| {
            known.changes = if changes < before { changes } else { changes.max(known.changes) };
            known.at = Instant::now();
            known.failed = None;
        });
    }

    /// What was known last, to be given to [`Self::seen`].
    pub(super) fn before(&self) -> i64 {
        self.known(|known| known.changes)
    }

    /// Looks at once, if it does not listen.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Looks until the runtime ends.
    pub(super) async fn follow(self, address: Address) {
        loop {
            if let Err(Fault { error, .. }) = self.listen(&address).await {
                tracing::warn!(%error, "changes of the store are not followed");
                self.known(|known| known.failed = Some(error));
            }
            tokio::select! {
                () = self.woken.notified() => (),
                () = sleep(POLL) => (),
            }
        }
    }

    /// Looks as long as the connection holds.
    async fn listen(&self, address: &Address) -> Result<(), Fault> {
        let (notices, mut noticed) = mpsc::channel(1);
        let (client, _driver) = within(address.dial(Some(notices))).await?;
        if let Err(error) = within(client.batch_execute("LISTEN daypass")).await {
            if client.is_closed() {
                return Err(error);
            }
            tracing::info!(reason = %error.error, "the server tells of no changes; it is asked twice a second");
        }
        let select = within(client.prepare("SELECT changes, oldest FROM meta, tail")).await?;
        loop {
            self.look(&client, &select).await?;
            tokio::select! {
                _ = noticed.recv() => (),
                () = sleep(POLL) => (),
            }
        }
    }

    async fn look(&self, client: &Client, select: &Statement) -> Result<(), Fault> {
        let before = self.before();
        let row = within(client.query_one(select, &[])).await?;
        // A node that cannot write any more is not ready either.
        schema::may_write(column(&row, 1)?)?;
        self.seen(before, column(&row, 0)?);
        Ok(())
    }
}

/// Within the deadline: a network that swallows everything answers nothing at all.
async fn within<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
    Ok(timeout(DEADLINE, answer).await.map_err(|_| late())??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_number_goes_back_only_where_the_database_does() {
        let watch = Watch::new(5);
        watch.seen(5, 7);
        assert_eq!(watch.version(), Ok(7));
        watch.seen(5, 6);
        assert_eq!(watch.version(), Ok(7), "an answer that was overtaken");
        watch.seen(7, 2);
        assert_eq!(watch.version(), Ok(2), "the database was put back");
        watch.close();
        assert!(watch.version().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_is_no_answer() {
        let watch = Watch::new(5);
        tokio::time::advance(STALE).await;
        assert_eq!(watch.version(), Ok(5));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(watch.version(), Err(late()));
        let reason = StoreError::Unavailable("no route".into());
        watch.known(|known| known.failed = Some(reason.clone()));
        assert_eq!(watch.version(), Err(reason));
        watch.seen(5, 5);
        assert_eq!(watch.version(), Ok(5));
    }
}
