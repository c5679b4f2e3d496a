//! Forgetting what was taken back one by one, when nothing of it can live any more.
//!
//! Without this, the memory of every node and the time of every start would grow with each token that a client takes
//! back, for as long as the store lives.

use super::{App, change_at};
use daypass_core::revoked::MOST;
use daypass_core::store::{Change, StoreError};
use std::time::Duration;

/// How often it is asked whether there is something to forget.
const PRUNE: Duration = Duration::from_hours(1);

/// How many are forgotten in one change, so that no request waits long behind it for its record.
const AT_ONCE: usize = 2_000;

/// How many are looked for at once, which is a walk through all that there are.
const LOOKED_FOR: usize = 50 * AT_ONCE;

/// What is to be said where so many access tokens were taken back one by one: how many, if a feed cannot list them. APIs that
/// follow the feed will refuse tokens then, and only the operator can take back something wider in their place.
pub(super) fn unlisted(tokens: usize) -> (usize, String) {
    let what =
        format!("access tokens taken back one by one, and a revocation feed lists no more than {MOST}");
    (if tokens > MOST { tokens } else { 0 }, what)
}

impl App {
    /// Forgets for as long as the process lives.
    pub(super) async fn prune(&self) {
        let mut turn = tokio::time::interval(PRUNE);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            if let Err(error) = self.prune_once().await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "old cut-offs cannot be forgotten; trying again"
                );
            }
        }
    }

    /// Forgets the cut-offs of single credentials of which none can live any more, and gives their number. Those of one
    /// change have one record.
    pub(crate) async fn prune_once(&self) -> anyhow::Result<usize> {
        let mut pruned = 0;
        loop {
            let now = self.now();
            // Looked for in the memory of this node, where it costs nothing as long as there are none.
            let gone = self.directory().cutoffs().outlived(now, LOOKED_FOR);
            if gone.is_empty() {
                return Ok(pruned);
            }
            for some in gone.chunks(AT_ONCE) {
                let record = change_at(now, None, "cutoff.prune", &format!("{} credentials", some.len()));
                match self.opened.store.change(vec![Change::Uncut(some.to_vec())], record).await {
                    Ok(()) => pruned += some.len(),
                    // Another node has just done the same.
                    Err(StoreError::Conflict(_)) => return Ok(pruned),
                    Err(fault) => return Err(fault.into()),
                }
            }
            self.refresh().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Ambient, Opened};
    use daypass_core::clock::{Timestamp, after};
    use daypass_core::cutoff::{Cutoff, Scope};
    use daypass_core::limits::LONGEST_LIFE;
    use daypass_core::record::Event;
    use daypass_core::store::Store as _;
    use daypass_core::testing::{self, FixedClock, MemoryStore, START, SeededEntropy, World};
    use std::sync::Arc;
    use uuid::Uuid;

    async fn node(store: &Arc<MemoryStore>, clock: &Arc<FixedClock>) -> Arc<App> {
        let opened = Opened::for_test(store.clone(), testing::ring(), testing::kek());
        let ambient = Ambient { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(1)) };
        App::build(opened, World::new().plan, ambient).await.unwrap()
    }

    async fn begin(cutoffs: Vec<Cutoff>) -> (Arc<MemoryStore>, Arc<FixedClock>) {
        let store = Arc::new(MemoryStore::new());
        let mut changes = vec![Change::PutRing(testing::ring_rows())];
        changes.extend(cutoffs.into_iter().map(Change::Cut));
        store.change(changes, change_at(START, None, "test.begin", "world")).await.unwrap();
        (store, Arc::new(FixedClock::new(START)))
    }

    fn of_token(number: u128, before: Timestamp) -> Cutoff {
        Cutoff { scope: Scope::Credential(Uuid::from_u128(number).to_string()), before }
    }

    fn pruned(store: &MemoryStore) -> Vec<String> {
        let object = |event| match event {
            Event::Change { action, object } if action == "cutoff.prune" => Some(object),
            _ => None,
        };
        store.all().into_iter().filter_map(|record| object(record.event)).collect()
    }

    #[tokio::test]
    async fn what_nothing_can_outlive_is_forgotten_with_one_record() {
        let late = after(START, 100);
        let wide = Cutoff { scope: Scope::Key("AKIDworld".into()), before: START };
        let (store, clock) =
            begin(vec![of_token(1, START), of_token(2, START), of_token(3, late), wide.clone()]).await;
        let app = node(&store, &clock).await;
        assert_eq!(app.prune_once().await.unwrap(), 0);
        assert!(pruned(&store).is_empty(), "nothing to do is no change");

        // A day and a half and an hour later, and a little.
        clock.set(after(START, LONGEST_LIFE + 3600 + 1));
        assert_eq!(app.prune_once().await.unwrap(), 2);
        assert_eq!(store.cutoffs().await.unwrap(), [of_token(3, late), wide]);
        assert_eq!(pruned(&store), ["2 credentials"]);
        assert_eq!(app.prune_once().await.unwrap(), 0, "and this node knows of it");
    }

    #[tokio::test]
    async fn more_than_a_feed_lists_is_pointed_out() {
        assert_eq!(unlisted(MOST).0, 0);
        assert_eq!(unlisted(MOST + 1).0, MOST + 1);
        let (store, clock) = begin(vec![of_token(1, START), of_token(2, START)]).await;
        let app = node(&store, &clock).await;
        assert_eq!(app.directory().cutoffs().tokens(), 2);
        assert!(app.concerns().iter().all(|concern| concern.name != "revocations"), "{:?}", app.concerns());
    }

    #[tokio::test]
    async fn of_two_nodes_one_forgets() {
        let (store, clock) = begin(vec![of_token(1, START)]).await;
        let (one, other) = (node(&store, &clock).await, node(&store, &clock).await);
        clock.set(after(START, 2 * LONGEST_LIFE));
        assert_eq!(one.prune_once().await.unwrap(), 1);
        // The other has not heard of it yet.
        assert_eq!(other.prune_once().await.unwrap(), 0);
        assert_eq!(pruned(&store).len(), 1);
    }

    #[tokio::test]
    async fn many_are_forgotten_in_pieces() {
        let many = (0..AT_ONCE as u128 + 5).map(|number| of_token(number, START));
        let (store, clock) = begin(many.collect()).await;
        let app = node(&store, &clock).await;
        clock.set(after(START, 2 * LONGEST_LIFE));
        assert_eq!(app.prune_once().await.unwrap(), AT_ONCE + 5);
        assert_eq!(pruned(&store), ["2000 credentials", "5 credentials"]);
        assert!(store.cutoffs().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_no_reason_to_forget() {
        let (store, clock) = begin(vec![of_token(1, START)]).await;
        let app = node(&store, &clock).await;
        clock.set(after(START, 2 * LONGEST_LIFE));
        store.go_down();
        assert!(app.prune_once().await.is_err());
        store.come_back();
        assert_eq!(store.cutoffs().await.unwrap().len(), 1);
        assert_eq!(app.prune_once().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_change_is_in_force_when_the_look_at_the_store_returns() {
        let (store, clock) = begin(vec![]).await;
        let app = node(&store, &clock).await;
        app.refresh().await.unwrap();
        for number in 1..20 {
            let cutoff = of_token(number, START);
            let scope = cutoff.scope.clone();
            let record = change_at(START, None, "token.revoke", "x");
            store.change(vec![Change::Cut(cutoff)], record).await.unwrap();
            let (one, other) = tokio::join!(app.refresh(), app.refresh());
            assert!(one.is_ok() && other.is_ok());
            assert!(app.directory().cutoffs().cut(START, &scope));
        }
    }
}
