//! What failures do: they are shared, they are not repeated at once, and they end by themselves.

use super::*;
use daypass_core::record::Record;
use daypass_core::root::{RootRow, RootState, Slot};
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::ring;

fn busy(seconds: u32) -> Fault {
    Fault { retry_after: Some(seconds), ..Fault::new(FaultKind::Busy, "too many requests") }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_by_all_who_wait_and_kept_for_a_while_by_all_nodes() {
    let bed = Bed::new();
    bed.cloud.faults.lock().push_back(down());
    let (node, request) = (bed.node(1), bed.plain());
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (node, request) = (node.clone(), request.clone());
            tokio::spawn(async move { request.refusal(&node).await })
        })
        .collect();
    for task in tasks {
        let refusal = task.await.unwrap();
        assert_eq!((refusal.reason, refusal.retry_after), (Reason::UpstreamUnavailable, Some(1)));
        assert!(refusal.cause.unwrap().contains("issuer cloud: down: a test took it down"));
    }
    assert_eq!((bed.cloud.calls(), called(&node, "down")), (1, 1));
    // The pause is at least a tenth of a second.
    sleep(Duration::from_millis(99)).await;
    let other = bed.node(2);
    for node in [&node, &other, &other] {
        assert_eq!(bed.plain().refusal(node).await.reason, Reason::UpstreamUnavailable);
    }
    assert_eq!((bed.cloud.calls(), called(&other, "down")), (1, 0), "nobody asks in the pause");
    sleep(Duration::from_millis(152)).await;
    assert_eq!(bed.plain().number(&other).await, 2);
    assert_eq!(bed.plain().number(&node).await, 2, "and it is over for both");
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_start_again_after_a_success() {
    let bed = Bed::new();
    let node = bed.node(1);
    *bed.cloud.down.lock() = Some(down());
    *bed.cloud.latency.lock() = Duration::ZERO;
    while bed.cloud.calls() < 12 {
        bed.plain().refusal(&node).await;
        sleep(Duration::from_millis(10)).await;
    }
    let times: Vec<_> = bed.cloud.calls.lock().iter().map(|(at, _)| at.as_millisecond()).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (n, gap) in gaps.iter().enumerate() {
        let bound = (250_i64 << n).min(30_000);
        assert!((100..=bound + 10).contains(gap), "pause {n} of at most {bound}: {gap}");
    }
    assert!(gaps.iter().any(|gap| *gap > 5_000), "{gaps:?}");
    *bed.cloud.down.lock() = None;
    seconds(31).await;
    bed.plain().number(&node).await;
    bed.clock.jump(3_600_000);
    bed.cloud.faults.lock().push_back(down());
    bed.plain().refusal(&node).await;
    sleep(Duration::from_millis(251)).await;
    bed.plain().number(&node).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_asks_for_is_kept_to_by_all_nodes_and_for_the_whole_root_key() {
    let bed = Bed::new();
    let nodes = [bed.node(1), bed.node(2)];
    bed.cloud.faults.lock().push_back(busy(7));
    let refusal = bed.plain().refusal(&nodes[0]).await;
    assert_eq!((refusal.reason, refusal.retry_after), (Reason::UpstreamUnavailable, Some(8)));
    let elsewhere = bed.session("other").refusal(&nodes[0]).await;
    assert_eq!(elsewhere.reason, Reason::UpstreamUnavailable, "it counts by key, not by what was asked");
    assert!(elsewhere.cause.unwrap().contains("budget"));
    sleep(Duration::from_millis(7_050)).await;
    for node in &nodes {
        bed.plain().refusal(node).await;
    }
    assert_eq!(bed.cloud.calls(), 1);
    sleep(Duration::from_millis(250)).await;
    assert_eq!(bed.plain().number(&nodes[1]).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_mad_retry_after_is_not_believed() {
    let bed = Bed::new();
    let node = bed.node(1);
    bed.cloud.faults.lock().push_back(busy(86_400));
    assert_eq!(bed.plain().refusal(&node).await.retry_after, Some(301));
    seconds(301).await;
    assert_eq!(bed.plain().number(&node).await, 2);
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_a_root_key_holds_for_everything_that_is_asked_with_it() {
    let budget = Budget { per_second: 2, burst: 2 };
    let bed = Bed::of(Upstream { budget, ..upstream() });
    let (node, began) = (bed.node(1), Instant::now());
    let tasks: Vec<_> = (0..10)
        .map(|n| {
            let (node, request) = (node.clone(), bed.session(&n.to_string()));
            tokio::spawn(async move { request.ask(&node).await.map(|issued| number(&issued)) })
        })
        .collect();
    let mut given = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => given += 1,
            Err(refusal) => {
                assert_eq!((refusal.reason, refusal.retry_after), (Reason::UpstreamUnavailable, Some(2)));
            }
        }
    }
    assert_eq!((given, bed.cloud.calls(), called(&node, "budget")), (4, 4, 6));
    assert_eq!(began.elapsed(), Duration::from_secs(1) + LATENCY, "the last of them waited a second");
    seconds(2).await;
    bed.session("9").number(&node).await;
}

#[tokio::test(start_paused = true)]
async fn issuers_of_one_root_key_can_share_its_budget() {
    let budget = Budget { per_second: 1, burst: 1 };
    let bed = Bed::of(Upstream { budget, ..upstream() });
    let budgets = Budgets::default();
    let issuer = |n: u64| {
        let entropy = Arc::new(SeededEntropy::new(n));
        let (cloud, store, clock) = (bed.cloud.clone(), bed.store.clone(), bed.clock.clone());
        let tally = Arc::new(Tally::new("cloud"));
        Cached::sharing(budgets.clone(), cloud, store, clock, entropy, Uuid::from_u128(1), tally)
    };
    let (one, two) = (issuer(1), issuer(2));
    let began = Instant::now();
    let (a, b) = (bed.session("a"), bed.session("b"));
    tokio::join!(a.number(&one), b.number(&two));
    assert_eq!(began.elapsed(), Duration::from_secs(1) + LATENCY);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_needed_is_given_back() {
    let budget = Budget { per_second: 1, burst: 1 };
    let bed = Bed::of(Upstream { budget, ..upstream() });
    let (one, two) = (bed.node(1), bed.node(2));
    let request = bed.plain();
    tokio::join!(request.number(&one), request.number(&two));
    assert_eq!((called(&one, "ok"), called(&two, "ok")), (1, 0));
    let began = Instant::now();
    bed.session("other").number(&two).await;
    assert_eq!(began.elapsed(), LATENCY, "the node that only waited has its call left");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_is_given_up() {
    let bed = Bed::new();
    let (node, began) = (bed.node(1), Instant::now());
    *bed.cloud.latency.lock() = Duration::from_hours(1);
    let refusal = bed.plain().refusal(&node).await;
    assert_eq!(refusal.reason, Reason::UpstreamUnavailable);
    assert_eq!((began.elapsed(), called(&node, "late")), (Duration::from_millis(5_500), 1));
    *bed.cloud.latency.lock() = LATENCY;
    seconds(1).await;
    assert_eq!(bed.plain().number(&node).await, 2, "it recovers by itself");
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_told_counted_and_passes() {
    for kind in FaultKind::ALL.iter().copied() {
        let bed = Bed::new();
        let node = bed.node(1);
        let fault = Fault { code: Some("Vendor.Code".into()), ..Fault::new(kind, "in words") };
        bed.cloud.faults.lock().push_back(fault);
        let refusal = bed.plain().refusal(&node).await;
        let reason = if kind.passes() { Reason::UpstreamUnavailable } else { Reason::UpstreamRefused };
        assert_eq!(refusal.reason, reason, "{kind:?}");
        assert!(!refusal.detail.contains("in words") && !refusal.detail.contains("Vendor.Code"));
        let cause = refusal.cause.unwrap();
        assert!(cause.contains(kind.label()) && cause.contains("Vendor.Code"), "{cause}");
        assert_eq!(called(&node, kind.label()), 1, "{kind:?}");
        sleep(Duration::from_millis(251)).await;
        assert_eq!(bed.plain().number(&node).await, 2, "{kind:?}: no restart is needed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_root_key_comes_from_the_store_and_its_lack_is_told() {
    let mut bed = Bed::of(Upstream { root: RootSource::Stored, ..upstream() });
    let node = bed.node(1);
    let refusal = bed.plain().refusal(&node).await;
    assert_eq!((refusal.reason, bed.cloud.calls()), (Reason::UpstreamRefused, 0));
    assert_eq!(called(&node, "no_key"), 1);

    let key = root_key("AKIDstored");
    let entropy = SeededEntropy::new(5);
    let row = RootRow::stage(&ring(), &entropy, "cloud", Slot::A, &key, None, START).unwrap();
    let row = RootRow { state: RootState::Active, ..row };
    let rooted = |request: Request, world: &World, row: RootRow| Request {
        directory: Arc::new(world.directory().rooted(vec![row])),
        ..request
    };
    let request = rooted(bed.plain(), &bed.world, row.clone());
    let issued = request.ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(issued.brokered.as_ref().unwrap().key, "AKIDstored");
    assert_eq!(bed.cloud.calls.lock()[0].1, "AKIDstored");

    // Moved to another slot it does not open; what is kept is served all the same.
    let broken = RootRow { slot: Slot::B, ..row };
    let request = rooted(bed.plain(), &bed.world, broken.clone());
    assert_eq!(request.number(&node).await, 1);
    bed.world.client.name = "renamed".into();
    let request = rooted(bed.session("other"), &bed.world, broken);
    assert_eq!(request.refusal(&node).await.reason, Reason::UpstreamRefused);
}

/// A root key that makes the calls, as the store has it.
fn active(key: &RootKey) -> RootRow {
    let row = RootRow::stage(&ring(), &SeededEntropy::new(5), "cloud", Slot::A, key, None, START).unwrap();
    RootRow { state: RootState::Active, ..row }
}

/// A bed whose node knows one root key while the store has another one already, or still the same.
async fn replaced(known: &RootKey, by: &RootKey, budget: Budget) -> (Bed, Request) {
    let bed = Bed::of(Upstream { root: RootSource::Stored, budget, ..upstream() });
    let swap = Change::SwapRoots { old: vec![], new: vec![active(by)] };
    let record = Record::change(Uuid::from_u128(1), START, None, "root.promote", "cloud");
    bed.store.change(vec![swap], record).await.unwrap();
    let request = bed.plain();
    let directory = Arc::new(bed.world.directory().rooted(vec![active(known)]));
    (bed, Request { directory, ..request })
}

fn refused_keys(bed: &Bed, count: usize) {
    let fault = Fault::new(FaultKind::KeyRefused, "the key is disabled");
    bed.cloud.faults.lock().extend(std::iter::repeat_n(fault, count));
}

fn keys_used(bed: &Bed) -> Vec<String> {
    bed.cloud.calls.lock().iter().map(|(_, key)| key.clone()).collect()
}

/// The old key is ended at the cloud while this node has not heard of the new one: nobody is refused for that.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_with_a_replaced_root_key_is_made_with_its_successor() {
    let (old, new) = (root_key("AKIDold"), root_key("AKIDnew"));
    let (bed, request) = replaced(&old, &new, upstream().budget).await;
    refused_keys(&bed, 1);
    let node = bed.node(1);
    let issued = request.ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(issued.brokered.as_ref().unwrap().key, "AKIDnew", "the record says whose call it was");
    assert_eq!(keys_used(&bed), ["AKIDold", "AKIDnew"]);
    assert_eq!(called(&node, "key_refused"), 1);
    // What was got so is kept like anything else.
    assert_eq!(request.number(&bed.node(2)).await, 2);
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_the_same_id_is_another_root_key() {
    let proof = RootProof::Secret(Arc::new(Secret::new("the next secret")));
    let new = RootKey { id: "client".into(), proof };
    let (bed, request) = replaced(&root_key("client"), &new, upstream().budget).await;
    refused_keys(&bed, 1);
    assert_eq!(request.number(&bed.node(1)).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_root_key_that_is_refused_and_not_replaced_is_not_asked_with_again() {
    let key = root_key("AKIDroot");
    let (bed, request) = replaced(&key, &key, upstream().budget).await;
    refused_keys(&bed, 1);
    assert_eq!(request.refusal(&bed.node(1)).await.reason, Reason::UpstreamRefused);
    assert_eq!(keys_used(&bed), ["AKIDroot"]);

    // The successor is refused as well: twice is enough.
    let (bed, request) = replaced(&key, &root_key("AKIDnew"), upstream().budget).await;
    refused_keys(&bed, 3);
    assert_eq!(request.refusal(&bed.node(1)).await.reason, Reason::UpstreamRefused);
    assert_eq!(keys_used(&bed), ["AKIDroot", "AKIDnew"]);

    // Another fault is no reason to look for another key.
    let (bed, request) = replaced(&key, &root_key("AKIDnew"), upstream().budget).await;
    bed.cloud.faults.lock().push_back(down());
    assert_eq!(request.refusal(&bed.node(1)).await.reason, Reason::UpstreamUnavailable);
    assert_eq!(keys_used(&bed), ["AKIDroot"]);
}

/// Attack: a cloud that refuses every key must not be asked twice as often as the budget of a key allows.
#[tokio::test(start_paused = true)]
async fn a_successor_has_a_budget_of_its_own_and_no_more() {
    let budget = Budget { per_second: 1, burst: 1 };
    let (bed, request) = replaced(&root_key("AKIDold"), &root_key("AKIDnew"), budget).await;
    let node = bed.node(1);
    let (call, _) = node.0.budgets.take("AKIDnew", budget, Duration::ZERO, bed.clock.now()).unwrap();
    call.spend();
    refused_keys(&bed, 1);
    assert_eq!(request.refusal(&node).await.reason, Reason::UpstreamRefused);
    assert_eq!(keys_used(&bed), ["AKIDold"]);
}
