//! Transactions that write: each has a name, and one that the server took back because of another is done again.
//!
//! All that write records or change state lock one row first (`tail`), and so come one after the other. What is left to make
//! the server take one back is what we do not see: a server that judges by stricter rules, or other programs' locks.

use super::fault::Fault;
use deadpool_postgres::{GenericClient, Object};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often one transaction is done again before whoever waits is told.
const AGAIN: u32 = 4;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Everything that waits for the writer.
    Batch,
    /// A process begins its chain.
    Begin,
    /// The tables are made or brought up to date.
    Migrate,
}

impl Name {
    const ALL: [Self; 3] = [Self::Batch, Self::Begin, Self::Migrate];

    fn label(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Begin => "begin",
            Self::Migrate => "migrate",
        }
    }

    fn count(self) -> &'static AtomicU64 {
        static COUNTS: [AtomicU64; Name::ALL.len()] = [const { AtomicU64::new(0) }; Name::ALL.len()];
        let [batch, begin, migrate] = &COUNTS;
        match self {
            Self::Batch => batch,
            Self::Begin => begin,
            Self::Migrate => migrate,
        }
    }
}

/// How often transactions of this process were done again, by their names.
pub(crate) fn done_again() -> impl Iterator<Item = (&'static str, u64)> {
    Name::ALL.into_iter().map(|name| (name.label(), name.count().load(Ordering::Relaxed)))
}

/// Whether a transaction that failed like this is to be done again, for the so-many-th time. Counts it if so.
pub(super) fn again(name: Name, fault: &Fault, times: u32) -> bool {
    let again = fault.again && times < AGAIN;
    if again {
        name.count().fetch_add(1, Ordering::Relaxed);
        tracing::info!(transaction = name.label(), reason = %fault.error, "done again");
    }
    again
}

/// Does the work in a transaction of its own. After a failure nothing of it is there, unless the connection broke while it
/// was ended.
pub(super) async fn transact<T>(
    name: Name,
    client: &Object,
    mut work: impl AsyncFnMut(&Object) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut times = 0;
    loop {
        client.batch_execute("BEGIN").await?;
        let done = match work(client).await {
            Ok(value) => client.batch_execute("COMMIT").await.map(|()| value).map_err(Fault::from),
            Err(fault) => Err(fault),
        };
        let Err(fault) = done else { return done };
        // A connection that cannot even do this has no transaction any more.
        let _ = client.batch_execute("ROLLBACK").await;
        if !again(name, &fault, times) {
            return Err(fault);
        }
        times += 1;
    }
}
