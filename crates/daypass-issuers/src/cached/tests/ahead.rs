//! How fresh what is handed out is: never too old, renewed ahead of need, and served while the cloud fails.

use super::*;

/// Seconds of life that must be left, and at which the next one is asked for.
const LEAST: u64 = 300;
const AHEAD: u64 = 600;
const LIFE_S: u64 = 1_800;

/// Waits until this many seconds have passed since the first credential was asked for.
async fn seconds_from_start(bed: &Bed, seconds: u64) {
    let passed = bed.clock.began.elapsed();
    sleep(Duration::from_secs(seconds).checked_sub(passed).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_out_with_less_life_than_its_role_promises() {
    let bed = Bed::new();
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    *bed.cloud.down.lock() = Some(down());
    // The credential began when it was asked for, one call's time ago.
    seconds_from_start(&bed, LIFE_S - LEAST).await;
    let issued = bed.plain().ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let left = issued.expires.as_millisecond() - bed.clock.now().as_millisecond();
    assert_eq!((number(&issued), left), (1, 300_000), "to the last millisecond");
    sleep(Duration::from_millis(1)).await;
    let refusal = bed.plain().refusal(&node).await;
    assert_eq!(refusal.reason, Reason::UpstreamUnavailable);
    let other = bed.plain().refusal(&bed.node(2)).await;
    assert_eq!(other.reason, Reason::UpstreamUnavailable, "nor from the store");
}

#[tokio::test(start_paused = true)]
async fn a_role_may_promise_more_or_less() {
    for (promised, wait, fresh) in
        [(60, 1_739, false), (60, 1_741, true), (900, 899, false), (900, 901, true)]
    {
        let mut bed = Bed::new();
        bed.brokering().min_remaining = Some(promised);
        let node = bed.node(1);
        bed.plain().number(&node).await;
        bed.clock.jump(wait * 1000);
        let issued = bed.plain().ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(number(&issued) == 2, fresh, "{promised} {wait}");
        assert!(issued.expires >= after(bed.clock.now(), promised));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_too_short_is_no_answer() {
    let bed = Bed::new();
    let node = bed.node(1);
    // A tenth of a second of its life is over when it comes.
    bed.cloud.life.store(300, Ordering::SeqCst);
    let refusal = bed.plain().refusal(&node).await;
    assert_eq!(refusal.reason, Reason::UpstreamUnavailable);
    assert!(refusal.cause.unwrap().contains("wrong: it ends at"), "the log says what it was");
    assert_eq!((called(&node, "wrong"), called(&node, "ok"), node.tally().last_success()), (1, 0, None));
    seconds(1).await;
    bed.cloud.life.store(301, Ordering::SeqCst);
    assert_eq!(bed.plain().number(&node).await, 2, "it recovers by itself");
}

#[tokio::test(start_paused = true)]
async fn the_next_one_is_asked_for_ahead_and_nobody_waits_for_it() {
    let bed = Bed::new();
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    seconds_from_start(&bed, LIFE_S - AHEAD).await;
    assert_eq!(bed.plain().number(&node).await, 1);
    seconds(1).await;
    assert_eq!(bed.cloud.calls(), 1, "not before two reserves of life are left");
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(bed.plain().number(&node).await, 1);
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waits");
    sleep(LATENCY * 2).await;
    assert_eq!(bed.cloud.calls(), 2, "one question for fifty requests");
    assert_eq!(bed.plain().number(&node).await, 2);
    assert_eq!(bed.plain().number(&bed.node(2)).await, 2);
    assert_eq!((handed(&node, "stale"), bed.cloud.calls()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_that_ask_ahead_one_does() {
    let bed = Bed::new();
    let nodes = [bed.node(1), bed.node(2)];
    for node in &nodes {
        assert_eq!(bed.plain().number(node).await, 1);
    }
    seconds(LIFE_S - AHEAD + 1).await;
    for node in &nodes {
        assert_eq!(bed.plain().number(node).await, 1);
    }
    sleep(LATENCY + Duration::from_millis(50)).await;
    for node in &nodes {
        assert_eq!(bed.plain().number(node).await, 2);
    }
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_reserve_does_not_make_every_request_ask() {
    let mut bed = Bed::new();
    bed.brokering().min_remaining = Some(1_200);
    let node = bed.node(1);
    for _ in 0..29 {
        assert_eq!(bed.plain().number(&node).await, 1);
        seconds(10).await;
    }
    assert_eq!(bed.cloud.calls(), 1, "not before half of its usable life is over");
    seconds(20).await;
    bed.plain().number(&node).await;
    sleep(LATENCY * 2).await;
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_valid_one_is_served_while_the_cloud_fails_and_it_recovers_by_itself() {
    let bed = Bed::new();
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    *bed.cloud.down.lock() = Some(down());
    seconds(LIFE_S - AHEAD + 1).await;
    for _ in 0..290 {
        assert_eq!(bed.plain().number(&node).await, 1);
        seconds(1).await;
    }
    let calls = bed.cloud.calls();
    assert!((10..40).contains(&calls), "{calls} calls: it is asked again, and ever more seldom");
    assert_eq!(handed(&node, "stale") + handed(&node, "kept"), 290);
    assert!(handed(&node, "stale") >= 288);
    *bed.cloud.down.lock() = None;
    let mut fresh = 1;
    for _ in 0..60 {
        seconds(1).await;
        fresh = bed.plain().number(&node).await;
        if fresh != 1 {
            break;
        }
    }
    assert!(fresh > 1, "no restart is needed");
    let stale = handed(&node, "stale");
    bed.plain().number(&node).await;
    assert_eq!(handed(&node, "stale"), stale, "and the trouble is forgotten");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_ahead_beyond_the_budget() {
    let bed = Bed::of(Upstream { budget: Budget { per_second: 1, burst: 1 }, ..upstream() });
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    seconds(LIFE_S - AHEAD + 1).await;
    bed.session("other").number(&node).await;
    assert_eq!(bed.plain().number(&node).await, 1);
    sleep(LATENCY * 2).await;
    assert_eq!(bed.cloud.calls(), 2, "the other one's call was the only one");
    seconds(1).await;
    assert_eq!(bed.plain().number(&node).await, 1);
    sleep(LATENCY * 2).await;
    assert_eq!(bed.plain().number(&node).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_late_old_answer_does_not_replace_a_newer_one() {
    let bed = Bed::new();
    let (slow, quick) = (bed.node(1), bed.node(2));
    // While the first node's question is under way it is suspended for so long that it is taken for dead, and the second
    // asks and is answered.
    let (clock, request, other) = (bed.clock.clone(), bed.plain(), quick.clone());
    *bed.cloud.hook.lock() = Some(Box::pin(async move {
        clock.jump(10_000);
        assert_eq!(request.number(&other).await, 2);
    }));
    assert_eq!(bed.plain().number(&slow).await, 2, "its own answer, the first, is thrown away");
    for node in [&slow, &quick, &bed.node(3)] {
        assert_eq!(bed.plain().number(node).await, 2);
    }
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_makes_nothing_live_longer() {
    let bed = Bed::new();
    bed.clock.jump(3_600_000);
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    bed.clock.jump(-3_600_000);
    assert_eq!(bed.plain().number(&node).await, 2, "one from the future says nothing of its life");
    assert_eq!(bed.plain().number(&node).await, 2);
}

#[tokio::test(start_paused = true)]
async fn everything_ends_with_the_kept_one_and_begins_anew() {
    let bed = Bed::new();
    let nodes = [bed.node(1), bed.node(2)];
    assert_eq!(bed.plain().number(&nodes[0]).await, 1);
    assert_eq!(bed.plain().number(&nodes[1]).await, 1);
    seconds(LIFE_S * 3).await;
    assert_eq!(bed.plain().number(&nodes[0]).await, 2);
    assert_eq!(bed.plain().number(&nodes[1]).await, 2, "the other node takes it up");
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_does_not_hide_what_another_node_got() {
    let bed = Bed::new();
    let (slow, quick) = (bed.node(1), bed.node(2));
    let (clock, request, other, cloud) = (bed.clock.clone(), bed.plain(), quick.clone(), bed.cloud.clone());
    *bed.cloud.hook.lock() = Some(Box::pin(async move {
        clock.jump(10_000);
        assert_eq!(request.number(&other).await, 2);
        cloud.faults.lock().push_back(Fault { retry_after: Some(60), ..down() });
    }));
    assert_eq!(bed.plain().number(&slow).await, 2, "its own answer, a failure, is thrown away");
    assert_eq!(bed.plain().number(&slow).await, 2, "and no pause is kept for it");
    assert_eq!(bed.cloud.calls(), 2);
}
