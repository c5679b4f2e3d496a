//! How it goes with the connections of this process, for whoever watches it.

use super::fault::Fault;
use deadpool_postgres::{Object, Pool};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What is handed out sooner than this was at hand.
const AT_HAND: Duration = Duration::from_millis(1);

static WAITS: AtomicU64 = AtomicU64::new(0);
static WAITED_MICROS: AtomicU64 = AtomicU64::new(0);
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// What there is to tell of all pools of this process together, since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// How often a statement waited for a connection: all were in use, or there was none yet.
    pub waits: u64,
    /// How long it waited, altogether.
    pub waited: Duration,
    /// How many connections could not be made.
    pub failures: u64,
}

/// The numbers so far.
pub(crate) fn traffic() -> Traffic {
    Traffic {
        waits: WAITS.load(Ordering::Relaxed),
        waited: Duration::from_micros(WAITED_MICROS.load(Ordering::Relaxed)),
        failures: FAILURES.load(Ordering::Relaxed),
    }
}

/// A connection could not be made.
pub(super) fn failed() {
    FAILURES.fetch_add(1, Ordering::Relaxed);
}

/// A connection, as soon as there is one.
pub(super) async fn connection(pool: &Pool) -> Result<Object, Fault> {
    let waiting = Waiting(Instant::now());
    let connection = pool.get().await;
    drop(waiting);
    Ok(connection?)
}

/// Counts a wait when it ends, also where whoever waited has given up.
struct Waiting(Instant);

impl Drop for Waiting {
    fn drop(&mut self) {
        let waited = self.0.elapsed();
        if waited >= AT_HAND {
            WAITS.fetch_add(1, Ordering::Relaxed);
            WAITED_MICROS.fetch_add(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}
