//! The same signed bytes, again: on this node, on another one, after a restart.

use super::*;

#[tokio::test]
async fn a_retry_gets_the_identical_credential_and_a_replay_nothing() {
    let bench = Bench::new();
    let first = bench.get(GOOD).await;
    bench.clock.advance(5_000);
    assert_eq!(bench.get(GOOD).await, first);
    bench.clock.advance(1);
    assert_eq!(bench.get(GOOD).await, "refused replayed");
    let [
        Event::Grant { repeat: false, .. },
        Event::Grant { repeat: true, .. },
        Event::Refusal { reason, .. },
    ] = &bench.events()[..]
    else {
        panic!("{:?}", bench.events())
    };
    assert_eq!(reason, "replayed");
    assert_ne!(bench.fresh(1).await, bench.fresh(2).await, "another signature is another request");
}

#[tokio::test]
async fn a_retry_that_reaches_another_node_gets_the_identical_credential() {
    let (here, there) = (Bench::new(), Bench::new());
    let first = here.get(GOOD).await;
    there.clock.advance(2_000);
    there.store.seen_elsewhere(START);
    assert_eq!(there.get(GOOD).await, first);
    assert!(matches!(there.events()[..], [Event::Grant { repeat: true, .. }]));

    let late = Bench::new();
    late.clock.advance(6_000);
    late.store.seen_elsewhere(START);
    assert_eq!(late.get(GOOD).await, "refused replayed");
}

#[tokio::test]
async fn what_the_store_said_once_holds_for_the_next_copy() {
    // Sent again after a restart: the store is asked about the first copy, and its answer counts for the second.
    let restarted = Bench::new();
    restarted.clock.advance(60_000);
    restarted.store.seen_elsewhere(START);
    assert_eq!(restarted.get(GOOD).await, "refused replayed");
    assert_eq!(restarted.get(GOOD).await, "refused replayed");

    // A retry does not begin its own five seconds.
    let there = Bench::new();
    there.clock.advance(4_000);
    there.store.seen_elsewhere(START);
    assert!(there.get(GOOD).await.starts_with("AKID"));
    there.clock.advance(1_001);
    assert_eq!(there.get(GOOD).await, "refused replayed");
}

#[tokio::test]
async fn a_copy_that_overtakes_the_first_asks_the_store_too() {
    let bench = Bench::new();
    bench.clock.advance(60_000);
    // A first sight that never came as far as the store, as if it were still waiting there.
    assert_eq!(bench.get(&format!("{GOOD}&who")).await, "None None");
    bench.store.seen_elsewhere(START);
    assert_eq!(bench.get(GOOD).await, "refused replayed");
}

#[tokio::test]
async fn a_question_may_not_be_replayed_either() {
    let bench = Bench::new();
    let who = format!("{GOOD}&who");
    assert_eq!(bench.get(&who).await, "None None");
    bench.clock.advance(5_001);
    assert_eq!(bench.get(&who).await, "refused replayed");
}

#[tokio::test]
async fn two_asks_under_one_unsigned_signature_have_two_ids() {
    let mut bench = Bench::new();
    bench.toy.weak = Some(crate::dialect::Weak::UnsignedPayload);
    let one = bench.get(&format!("{GOOD}&session=a")).await;
    let two = bench.get(&format!("{GOOD}&session=b")).await;
    assert_ne!(one.split(' ').next(), two.split(' ').next());
    assert_eq!(bench.store.all()[0].weak.as_deref(), Some("unsigned-payload"));
    bench.world.client.refuses.unsigned_payload = true;
    assert_eq!(bench.fresh(3).await, "refused weak_proof_refused");
}

#[tokio::test]
async fn a_nonce_is_good_for_one_request_and_its_retry() {
    let bench = Bench::new();
    let get = |n: u32, nonce: &str| format!("/?key=AKIDworld&sign=secret of AKIDworld|{n}&once={nonce}");
    let first = bench.get(&get(1, "a")).await;
    assert!(first.starts_with("AKID"));
    bench.clock.advance(4_000);
    assert_eq!(bench.get(&get(1, "a")).await, first, "its own retry");
    assert_eq!(bench.get(&get(2, "a")).await, "refused replayed", "another request under the same nonce");
    assert!(bench.get(&get(2, "b")).await.starts_with("AKID"));
    bench.clock.advance(2_000);
    assert_eq!(bench.get(&get(1, "a")).await, "refused replayed");
}

#[tokio::test]
async fn a_nonce_is_good_for_one_request_at_all_nodes_together() {
    let (here, there) = (Bench::new(), Bench::new());
    let get = |n: u32, nonce: &str| format!("/?key=AKIDworld&sign=secret of AKIDworld|{n}&once={nonce}");
    let first = here.get(&get(1, "a")).await;
    there.store.append(Entry { record: here.store.all().remove(0), mark: None }).await.unwrap();
    there.clock.advance(1_000);
    for _ in 0..2 {
        there.store.seen_elsewhere(START);
        let other = there.get(&get(2, "a")).await;
        assert_eq!(other, "refused replayed", "another request under the same nonce");
    }

    let retried = Bench::new();
    retried.store.append(Entry { record: here.store.all().remove(0), mark: None }).await.unwrap();
    retried.clock.advance(1_000);
    retried.store.seen_elsewhere(START);
    assert_eq!(retried.get(&get(1, "a")).await, first, "its own retry");
    assert_eq!(retried.get(&get(1, "a")).await, first);
    assert_eq!(retried.get(&get(2, "a")).await, "refused replayed");
}
