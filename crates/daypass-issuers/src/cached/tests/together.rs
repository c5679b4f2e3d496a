//! One question at a time for one thing, on all nodes together.

use super::*;
use daypass_core::held::Wish;

/// This many at once on each of these nodes, and how long the last of them waited.
async fn crowd(bed: &Bed, nodes: &[Arc<Cached>], each: usize) -> (Vec<usize>, Duration) {
    let (request, began) = (bed.plain(), Instant::now());
    let tasks: Vec<_> = (0..each)
        .flat_map(|_| nodes.iter().cloned())
        .map(|node| {
            let request = request.clone();
            tokio::spawn(async move { request.number(&node).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    (numbers, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_thousand_cold_askers_are_one_call_and_all_are_answered_when_it_is() {
    let bed = Bed::new();
    let node = bed.node(1);
    let (numbers, took) = crowd(&bed, std::slice::from_ref(&node), 1_000).await;
    assert_eq!(numbers, [1; 1_000]);
    assert_eq!(bed.cloud.calls(), 1);
    assert!(took < LATENCY + Duration::from_millis(10), "{took:?}");
    assert_eq!((handed(&node, "fresh"), handed(&node, "waited"), handed(&node, "kept")), (1, 999, 0));
    assert_eq!((called(&node, "ok"), node.tally().seconds().count), (1, 1));
    let (numbers, took) = crowd(&bed, std::slice::from_ref(&node), 10).await;
    assert_eq!((numbers, took), (vec![1; 10], Duration::ZERO), "from memory");
    assert_eq!((bed.cloud.calls(), handed(&node, "kept")), (1, 10));
}

#[tokio::test(start_paused = true)]
async fn nodes_are_one_call_together_and_wait_hardly_longer() {
    let bed = Bed::new();
    let nodes = [bed.node(1), bed.node(2), bed.node(3)];
    let (numbers, took) = crowd(&bed, &nodes, 300).await;
    assert_eq!(numbers, [1; 900]);
    assert_eq!((bed.cloud.calls(), bed.cloud.most.load(Ordering::SeqCst)), (1, 1));
    assert!(took <= LATENCY + Duration::from_millis(50), "{took:?}");
    let calls: Vec<_> = nodes.iter().map(|node| called(node, "ok")).collect();
    assert_eq!(calls.iter().sum::<u64>(), 1, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_later_takes_what_is_there() {
    let bed = Bed::new();
    assert_eq!(bed.plain().number(&bed.node(1)).await, 1);
    let (other, began) = (bed.node(2), Instant::now());
    let issued = bed.plain().ask(&other).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!((number(&issued), began.elapsed()), (1, Duration::ZERO));
    let brokered = issued.brokered.unwrap();
    assert!(brokered.kept && !brokered.shared);
    assert_eq!((brokered.issuer.as_str(), brokered.key.as_str()), ("cloud", "AKIDroot"));
    assert_eq!((bed.cloud.calls(), handed(&other, "kept")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_fresh_one_is_true() {
    let bed = Bed::new();
    seconds(7).await;
    let issued = bed.plain().ask(&bed.node(1)).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let asked = after(START, 7);
    assert_eq!((issued.issued, issued.expires), (asked, after(asked, LIFE)));
    let brokered = issued.brokered.unwrap();
    assert_eq!(brokered.obtained, asked + SignedDuration::from_millis(100));
    assert!(!brokered.kept && !brokered.shared);
    assert_eq!(bed.cloud.calls.lock()[0], (asked, "AKIDroot".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn different_things_are_asked_for_at_the_same_time() {
    let bed = Bed::new();
    let (node, began) = (bed.node(1), Instant::now());
    let (one, two) = (bed.session("one"), bed.session("two"));
    let (one, two) = tokio::join!(one.number(&node), two.number(&node));
    assert_ne!(one, two);
    assert_eq!((bed.cloud.most.load(Ordering::SeqCst), began.elapsed()), (2, LATENCY));
}

#[tokio::test(start_paused = true)]
async fn the_first_asker_may_go_away() {
    let bed = Bed::new();
    let (node, request) = (bed.node(1), bed.plain());
    let asking =
        |node: Arc<Cached>, request: Request| tokio::spawn(async move { request.number(&node).await });
    let first = asking(node.clone(), request.clone());
    sleep(LATENCY / 2).await;
    let second = asking(node.clone(), request);
    sleep(LATENCY / 4).await;
    first.abort();
    assert_eq!(second.await.unwrap(), 1);
    assert_eq!(bed.cloud.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_has_died_is_waited_for_until_its_time_and_no_longer() {
    let bed = Bed::new();
    let request = bed.plain();
    let (place, now) = (bed.place(&request), bed.clock.now());
    let wish = Wish { place, seen: 0, holder: Uuid::from_u128(99), now, until: after(now, 7) };
    bed.store.take_turn(wish).await.unwrap();
    let (nodes, began) = ([bed.node(1), bed.node(2)], Instant::now());
    let (one, two) = tokio::join!(request.number(&nodes[0]), request.number(&nodes[1]));
    assert_eq!((one, two, bed.cloud.calls()), (1, 1, 1));
    let took = began.elapsed();
    let bounds = Duration::from_secs(7)..Duration::from_millis(7_450);
    assert!(bounds.contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_dies_of_a_bug_is_asked_anew_at_once() {
    let bed = Bed::new();
    let (node, began) = (bed.node(1), Instant::now());
    *bed.cloud.hook.lock() = Some(Box::pin(async { panic!("as a bug would") }));
    assert_eq!(bed.plain().refusal(&node).await.reason, Reason::Internal);
    assert_eq!(bed.plain().number(&node).await, 2);
    assert_eq!(began.elapsed(), LATENCY * 2, "its own turn need not run out");
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_clock_that_ran_ahead_stops_nobody() {
    let bed = Bed::new();
    let request = bed.plain();
    let now = after(bed.clock.now(), 86_400);
    let wish =
        Wish { place: bed.place(&request), seen: 0, holder: Uuid::from_u128(99), now, until: after(now, 7) };
    bed.store.take_turn(wish).await.unwrap();
    let began = Instant::now();
    assert_eq!(request.number(&bed.node(1)).await, 1);
    assert_eq!(began.elapsed(), LATENCY);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_nobody_asks_and_what_is_kept_is_still_given() {
    let bed = Bed::new();
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    bed.store.go_down();
    assert_eq!(bed.plain().number(&node).await, 1);
    let refusal = bed.session("other").refusal(&node).await;
    assert_eq!((refusal.reason, refusal.retry_after), (Reason::Unavailable, Some(1)));
    assert_eq!(bed.cloud.calls(), 1);
    bed.store.come_back();
    assert_eq!(bed.session("other").number(&node).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_came_while_the_store_went_down_is_given_and_kept_by_this_node() {
    let bed = Bed::new();
    let (node, store) = (bed.node(1), bed.store.clone());
    *bed.cloud.hook.lock() = Some(Box::pin(async move { store.go_down() }));
    assert_eq!(bed.plain().number(&node).await, 1);
    assert_eq!(bed.plain().number(&node).await, 1);
    // After its turn another node may have asked anew, and then nobody knows which one is the newest.
    let (store, clock) = (bed.store.clone(), bed.clock.clone());
    bed.store.come_back();
    *bed.cloud.hook.lock() = Some(Box::pin(async move {
        store.go_down();
        clock.jump(7_000);
    }));
    assert_eq!(bed.session("other").refusal(&node).await.reason, Reason::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_would_refuse_is_refused_before_it_is_asked() {
    let bed = Bed::new();
    assert_eq!(bed.session("too long").refusal(&bed.node(1)).await.reason, Reason::PolicyTooLong);
    assert_eq!(bed.cloud.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_bound_is_not_given_as_bound() {
    let bed = Bed::new();
    let caller = bed.world.caller("AKIDworld").bound_for_test(Confirmation::Key("print".into()));
    let refusal = bed.decide(&caller, "/", &bearer()).refusal(&bed.node(1)).await;
    assert_eq!((refusal.reason, bed.cloud.calls()), (Reason::DpopInvalid, 0));
}

#[tokio::test(start_paused = true)]
async fn a_life_that_is_all_reserve_is_refused_before_the_cloud_is_asked() {
    let mut bed = Bed::new();
    bed.brokering().min_remaining = Some(600);
    let issue = Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent));
    let ask = |seconds| bed.request(&Issue { lifetime: Some(seconds), ..issue.clone() });
    let node = bed.node(1);
    let refusal = ask(600).refusal(&node).await;
    assert_eq!(refusal.reason, Reason::InvalidParameter);
    assert!(refusal.detail.contains("less than 600 seconds of life left"), "{}", refusal.detail);
    assert_eq!(bed.cloud.calls(), 0);
    assert_eq!(ask(900).number(&node).await, 1);
}
