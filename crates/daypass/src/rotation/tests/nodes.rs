//! Several processes on one store.

use super::{AUTOMATIC, ROTATION, node, order, steps};
use crate::app::Opened;
use crate::config::SealKeys;
use crate::rotation::{NotTaken, take};
use daypass_core::ring::{Refused, RingState, Rules, Step};
use daypass_core::store::{Change, Store as _, StoreError};
use daypass_core::testing::{FixedClock, MemoryStore, START, World, kek, later, ring, ring_rows};
use std::collections::BTreeSet;
use std::sync::Arc;

fn key() -> SealKeys {
    SealKeys::alone([7; 32])
}

fn url(folder: &tempfile::TempDir) -> String {
    format!("sqlite:{}", folder.path().join("a.db").display())
}

/// A node on the store, begun to write.
async fn open(folder: &tempfile::TempDir) -> Opened {
    let opened = Opened::open(&url(folder), &key()).await.unwrap();
    opened.begin().await.unwrap();
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_rotate_at_once_take_every_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new();
    world.plan.rotation = ROTATION;
    let first = open(&folder).await;
    // The first keys are as old as the present; the nodes' clock begins there.
    let begun = first.store.ring().await.unwrap()[0].created;
    let clock = Arc::new(FixedClock::new(begun));
    let store = first.store.clone();
    let nodes = [node(first, &world, &clock, 1).await, node(open(&folder).await, &world, &clock, 2).await];
    // Long enough for two turns and for the first keys to die, in steps of half an hour.
    for _ in 0..44 {
        clock.advance(1_800_000);
        loop {
            let (one, other) = tokio::join!(nodes[0].rotate_once(), nodes[1].rotate_once());
            let taken = one.unwrap().into_iter().chain(other.unwrap()).count();
            for node in &nodes {
                node.hear().await.unwrap();
            }
            if taken == 0 {
                break;
            }
            // A process that starts now, as after a kill between two steps, finds a ring that works.
            let after = Opened::open(&url(&folder), &key()).await.unwrap();
            after.store.close().await.unwrap();
        }
    }
    let steps = steps(&*store).await;
    let once: BTreeSet<_> = steps.iter().collect();
    assert_eq!(once.len(), steps.len(), "no step was taken twice: {steps:?}");
    let rows = store.ring().await.unwrap();
    for purpose in AUTOMATIC {
        let name = purpose.name();
        let state = |version| {
            let row = rows.iter().find(|row| row.purpose == purpose && row.version == version);
            row.map(|row| row.state)
        };
        assert_eq!(state(1), Some(RingState::Gone), "{name}");
        assert!(
            matches!(state(3), Some(RingState::Active | RingState::Retiring | RingState::Gone)),
            "{name}"
        );
        for step in ["ring.prepare", "ring.activate"] {
            assert!(steps.contains(&format!("{step} {name}/3")), "{steps:?}");
        }
        assert!(steps.contains(&format!("ring.retire {name}/1")), "{steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_at_once_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&folder).await, open(&folder).await);
    let rules = Rules::of(&World::new().plan);
    let now = one.store.ring().await.unwrap()[0].created;
    for purpose in AUTOMATIC {
        for (step, forced) in [(Step::Prepare, false), (Step::Activate, true), (Step::Retire, true)] {
            let mut order = order(step, purpose);
            order.force = forced;
            let both = tokio::join!(take(&one, order, &rules, now), take(&other, order, &rules, now));
            let (taken, refused): (Vec<_>, Vec<_>) = [both.0, both.1].into_iter().partition(Result::is_ok);
            assert_eq!((taken.len(), refused.len()), (1, 1), "{order:?}");
            let expected = matches!(
                refused[0],
                Err(NotTaken::Store(StoreError::Conflict(_))
                    | NotTaken::Refused(Refused::AlreadyPrepared(_) | Refused::None(..)))
            );
            assert!(expected, "{order:?}: {refused:?}");
        }
    }
    let steps = steps(&*one.store).await;
    assert_eq!(
        steps.iter().filter(|step| step.contains("/2") || step.ends_with("/1 forced")).count(),
        3 * AUTOMATIC.len()
    );
    assert!(steps.contains(&"ring.activate triple/2 forced".to_owned()), "{steps:?}");
}

#[tokio::test]
async fn a_step_whose_record_cannot_be_written_is_not_taken() {
    let store = Arc::new(MemoryStore::new());
    let record = crate::app::change_at(START, None, "test.begin", "ring");
    store.change(vec![Change::PutRing(ring_rows())], record).await.unwrap();
    let opened = Opened::for_test(store.clone(), ring(), kek());
    let rules = Rules::of(&World::new().plan);
    let prepare = order(Step::Prepare, AUTOMATIC[0]);
    store.go_down();
    let failed = take(&opened, prepare, &rules, START).await.unwrap_err();
    assert!(matches!(failed, NotTaken::Store(StoreError::Unavailable(_))), "{failed}");
    store.come_back();
    assert_eq!(store.ring().await.unwrap(), ring_rows());
    assert_eq!(steps(&*store).await, [""; 0]);
    take(&opened, prepare, &rules, later(1)).await.unwrap();
    assert_eq!(steps(&*store).await, ["ring.prepare token-seal/2"]);
}
