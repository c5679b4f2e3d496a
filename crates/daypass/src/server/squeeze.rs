//! Room for whoever comes, when nearly all connections are taken by those who do nothing with theirs.
//!
//! Attack, or thousands of clients with large pools: idle connections up to the bound, and neither a new client nor a probe
//! gets in until one of them runs into its time. So while few places are left, as many of the idle ones have to go as are
//! wanted. A client finds a connection closed that it has not used, which every client has to be able to bear.

use super::connection::Work;
use std::time::Duration;
use tokio::sync::watch;
use tokio::sync::{Semaphore, TryAcquireError};

/// How many places are kept free, of all.
pub(super) const FREE: usize = 500;
/// How often it is looked whether they are.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How long a connection must have rested to be one that goes. Whoever has just come has not had the time to ask.
const IDLE: Duration = Duration::from_secs(1);

/// Who has to go.
pub(super) struct Squeeze {
    /// How many still have to.
    wanted: Semaphore,
    calls: watch::Sender<()>,
}

impl Default for Squeeze {
    fn default() -> Self {
        Self { wanted: Semaphore::new(0), calls: watch::Sender::new(()) }
    }
}

impl Squeeze {
    /// Calls for as many places as are missing, where so many are free.
    pub(super) fn look(&self, free: usize) {
        let missing = FREE.saturating_sub(free);
        // Those whom nobody has followed yet were counted before.
        let called = self.wanted.available_permits();
        if missing > called {
            self.wanted.add_permits(missing - called);
        } else {
            self.wanted.forget_permits(called - missing);
        }
        if missing > 0 {
            let _ = self.calls.send(());
        }
    }

    /// Resolves when a connection has to go, which it never has while it is at work.
    pub(super) async fn leaves(&self, work: &Work) {
        let mut calls = self.calls.subscribe();
        loop {
            if calls.changed().await.is_err() {
                return std::future::pending().await;
            }
            if work.has_rested(IDLE) {
                match self.wanted.try_acquire() {
                    Ok(wanted) => return wanted.forget(),
                    Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::sleep;

    fn connection(squeeze: &Arc<Squeeze>, work: &Arc<Work>) -> JoinHandle<()> {
        let (squeeze, work) = (squeeze.clone(), work.clone());
        tokio::spawn(async move { squeeze.leaves(&work).await })
    }

    async fn gone(connections: &[JoinHandle<()>]) -> usize {
        for _ in 0..20 {
            yield_now().await;
        }
        connections.iter().filter(|one| one.is_finished()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_idle_ones_go_as_are_wanted() {
        let squeeze = Arc::new(Squeeze::default());
        let all: Vec<_> = (0..10).map(|_| connection(&squeeze, &Arc::default())).collect();
        assert_eq!(gone(&all).await, 0);
        squeeze.look(FREE - 5);
        assert_eq!(gone(&all).await, 0, "they have just come");
        sleep(IDLE).await;
        squeeze.look(FREE);
        assert_eq!(gone(&all).await, 0, "there is room");
        squeeze.look(FREE - 3);
        assert_eq!(gone(&all).await, 3);
        squeeze.look(FREE - 2);
        squeeze.look(FREE - 2);
        assert_eq!(gone(&all).await, 5, "who is called twice is wanted once");
        squeeze.look(0);
        assert_eq!(gone(&all).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_at_work_stays() {
        let (squeeze, work) = (Arc::new(Squeeze::default()), Arc::new(Work::default()));
        let one = [connection(&squeeze, &work)];
        let running = work.begin();
        sleep(IDLE * 10).await;
        squeeze.look(0);
        assert_eq!(gone(&one).await, 0);
        drop(running);
        squeeze.look(0);
        assert_eq!(gone(&one).await, 0, "it has not rested yet");
        sleep(IDLE).await;
        squeeze.look(0);
        assert_eq!(gone(&one).await, 1);
    }
}
