//! Who gets what another one got, and who does not.

use super::*;
use daypass_core::cutoff::{Cutoff, Scope};

#[tokio::test(start_paused = true)]
async fn subjects_have_credentials_of_their_own() {
    let bed = Bed::new();
    let node = bed.node(1);
    for (name, number) in [("alice", 1), ("bob", 2), ("alice", 1), ("bob", 2)] {
        let issued = bed.visitor(name).ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(super::number(&issued), number, "{name}");
        assert!(!issued.brokered.unwrap().shared);
    }
    assert_eq!(bed.plain().number(&node).await, 3, "nor does the client have theirs");
    assert_eq!(bed.cloud.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn unless_the_role_says_so_and_then_the_record_says_so() {
    let mut bed = Bed::new();
    bed.brokering().shared = true;
    let node = bed.node(1);
    for request in [bed.visitor("alice"), bed.visitor("bob")] {
        let issued = request.ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(number(&issued), 1);
        assert!(issued.brokered.unwrap().shared);
    }
    assert_eq!(bed.cloud.calls(), 1);
    assert_eq!(bed.session("another").number(&node).await, 2, "another session is asked for by that name");
}

#[tokio::test(start_paused = true)]
async fn visitors_whom_nobody_knows_are_one_and_the_record_says_so() {
    let bed = Bed::new();
    let node = bed.node(1);
    for _ in 0..2 {
        let stranger = bed.visits(Way::Anonymous, None);
        let issued = stranger.ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(number(&issued) == 1 && issued.brokered.unwrap().shared);
    }
    assert_eq!(bed.visitor("alice").number(&node).await, 2, "one who is known has another");
}

#[tokio::test(start_paused = true)]
async fn roles_that_say_the_same_share_nothing() {
    let mut bed = Bed::new();
    bed.brokering().shared = true;
    let mut twin = (*bed.world.plan.roles[0]).clone();
    twin.name = "twin".into();
    bed.world.plan.roles.push(Arc::new(twin));
    let mut grant = bed.world.client.grants[0].clone();
    grant.role = "twin".into();
    bed.world.client.grants.push(grant);
    let named = |name: &str| {
        let issue = Issue::new(RoleChoice::Named(name.into()), Form::Triple(TripleKind::Tencent));
        bed.place(&bed.request(&issue))
    };
    assert_ne!(named("soe"), named("twin"));
    assert_eq!(named("twin"), named("twin"));
}

/// What a request gets after this was taken back, everything up to this many seconds from the start.
async fn after_cut(bed: &mut Bed, node: &Cached, scope: Scope, seconds: u32) -> usize {
    bed.world.cutoffs = vec![Cutoff { scope, before: after(START, seconds) }];
    let number = bed.plain().number(node).await;
    bed.world.cutoffs.clear();
    number
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_is_not_handed_out() {
    let scopes = |bed: &Bed| {
        [
            Scope::All,
            Scope::Tenant("acme".into()),
            Scope::Client(bed.world.client.guid),
            Scope::Key("AKIDworld".into()),
            Scope::Role { tenant: "acme".into(), role: "soe".into() },
            Scope::Credential("AKIDcloud-1".into()),
        ]
    };
    for scope in scopes(&Bed::new()) {
        let mut bed = Bed::new();
        let nodes = [bed.node(1), bed.node(2)];
        seconds(10).await;
        for node in &nodes {
            assert_eq!(bed.plain().number(node).await, 1);
        }
        assert_eq!(after_cut(&mut bed, &nodes[0], scope.clone(), 9).await, 1, "{scope} before it was made");
        seconds(10).await;
        assert_eq!(after_cut(&mut bed, &nodes[0], scope.clone(), 10).await, 2, "{scope}");
        assert_eq!(
            after_cut(&mut bed, &nodes[1], scope.clone(), 10).await,
            2,
            "{scope}: from the other node"
        );
        assert_eq!(bed.cloud.calls(), 2, "{scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_one_falls_with_the_key_that_it_was_asked_for_with() {
    let mut bed = Bed::new();
    bed.brokering().shared = true;
    let node = bed.node(1);
    seconds(1).await;
    assert_eq!(bed.plain().number(&node).await, 1);
    assert_eq!(bed.visitor("alice").number(&node).await, 1);
    seconds(1).await;
    bed.world.cutoffs = vec![Cutoff { scope: Scope::Key("AKIDworld".into()), before: after(START, 1) }];
    assert_eq!(bed.visitor("alice").number(&node).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_cut_off_that_outruns_every_answer_ends_in_a_refusal() {
    let mut bed = Bed::new();
    bed.world.cutoffs = vec![Cutoff { scope: Scope::All, before: after(START, 60) }];
    let refusal = bed.plain().refusal(&bed.node(1)).await;
    assert_eq!(refusal.reason, Reason::UpstreamUnavailable);
    assert_eq!(bed.cloud.calls(), ATTEMPTS, "and not in a storm of calls");
}

/// The request with this number, or its retry.
async fn retry(bed: &Bed, node: &Cached, number: u8) -> usize {
    let request = bed.plain();
    let draw = Draw::for_test(number, START);
    let issued = node.issue(&request.directory, &request.authorized, &draw).await;
    super::number(&issued.unwrap_or_else(|refusal| panic!("{refusal:?}")))
}

#[tokio::test(start_paused = true)]
async fn a_retry_gets_the_same_although_it_was_renewed_between() {
    let bed = Bed::new();
    let node = bed.node(1);
    assert_eq!(bed.plain().number(&node).await, 1);
    seconds(1_200).await;
    assert_eq!(retry(&bed, &node, 7).await, 1);
    seconds(1).await;
    assert_eq!(bed.plain().number(&node).await, 2, "it was renewed");
    assert_eq!(retry(&bed, &node, 8).await, 2, "for another request too");
    for _ in 0..4 {
        seconds(1).await;
        assert_eq!(retry(&bed, &node, 7).await, 1);
    }
    seconds(2).await;
    assert_eq!(retry(&bed, &node, 7).await, 2, "no retry comes that late");
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_get_what_was_taken_back() {
    let mut bed = Bed::new();
    let node = bed.node(1);
    seconds(1).await;
    assert_eq!(retry(&bed, &node, 7).await, 1);
    seconds(1).await;
    bed.world.cutoffs = vec![Cutoff { scope: Scope::All, before: after(START, 1) }];
    assert_eq!(retry(&bed, &node, 7).await, 2);
    assert_eq!(retry(&bed, &node, 7).await, 2);
}

#[tokio::test(start_paused = true)]
async fn the_one_that_was_refused_is_replaced_once() {
    let bed = Bed::new();
    let nodes = [bed.node(1), bed.node(2)];
    for node in &nodes {
        assert_eq!(bed.plain().number(node).await, 1);
    }
    seconds(10).await;
    assert_eq!(bed.refused("token-0").number(&nodes[0]).await, 1, "another one was refused");
    assert_eq!(
        bed.refused("token-1").number(&nodes[0]).await,
        1,
        "it came ten seconds ago, and is too young"
    );
    sleep(Duration::from_millis(1)).await;
    let (first, second) = (bed.refused("token-1"), bed.refused("token-1"));
    let (first, second) = tokio::join!(first.number(&nodes[0]), second.number(&nodes[1]));
    assert_eq!((first, second, bed.cloud.calls()), (2, 2, 2), "one call for both nodes");
    seconds(20).await;
    for node in &nodes {
        assert_eq!(bed.refused("token-1").number(node).await, 2, "that is long done");
    }
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_a_new_token_kills_the_old_one_there_is_one_for_everyone() {
    let bed = Bed::of(one_live());
    let nodes = [bed.node(1), bed.node(2)];
    let mine = bed.request(&bearer());
    let other = bed.request(&Issue { session: Some("other".into()), ..bearer() });
    let (one, two) = tokio::join!(mine.ask(&nodes[0]), other.ask(&nodes[1]));
    let (one, two) = (one.ok().unwrap(), two.ok().unwrap());
    assert_eq!((number(&one), number(&two), bed.cloud.calls()), (1, 1, 1));
    assert!(one.brokered.unwrap().shared && two.brokered.unwrap().shared);
    assert_eq!(one.credential.id(), two.credential.id());
    assert_eq!(one.credential.kid(), None);

    seconds(11).await;
    let refused = bed.request(&Issue { refused: Some(print_of("token-1")), ..bearer() });
    assert_eq!(refused.number(&nodes[0]).await, 2);
    // The other node remembers the dead one; half a second later it looks.
    sleep(Duration::from_millis(501)).await;
    assert_eq!(other.number(&nodes[1]).await, 2);
    assert_eq!(bed.cloud.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_for_everyone_is_asked_for_ahead_and_served_while_the_service_fails() {
    let bed = Bed::of(one_live());
    let (node, request) = (bed.node(1), bed.request(&bearer()));
    assert_eq!(request.number(&node).await, 1);
    *bed.cloud.down.lock() = Some(down());
    // Requests that are further apart than a look at the store holds.
    seconds(1_201).await;
    for _ in 0..50 {
        assert_eq!(request.number(&node).await, 1);
        seconds(5).await;
    }
    assert!((3..30).contains(&bed.cloud.calls()), "{}", bed.cloud.calls());
    *bed.cloud.down.lock() = None;
    seconds(31).await;
    request.number(&node).await;
    seconds(1).await;
    assert!(request.number(&node).await > 1);
}

/// What a caller is given that says of every token that it was refused, each time so many seconds after the last.
async fn doubts(bed: &Bed, node: &Cached, every: u64, times: usize) -> usize {
    let mut last = bed.plain().number(node).await;
    for _ in 0..times {
        seconds(every).await;
        last = bed.refused(&format!("token-{last}")).number(node).await;
    }
    last
}

/// Attack: one caller has everybody's token renewed until the service gives no more that day.
#[tokio::test(start_paused = true)]
async fn whoever_refuses_every_token_does_not_use_up_the_calls_of_the_day() {
    let bed = Bed::new();
    bed.cloud.life.store(86_400, Ordering::SeqCst);
    for (number, seconds) in [(2, 11), (3, 21), (4, 41), (5, 81), (6, 161), (7, 321), (8, 601), (9, 601)] {
        // Nodes that remember nothing: the count is all nodes'.
        assert_eq!(doubts(&bed, &bed.node(1), seconds - 2, 1).await, number - 1, "too soon");
        assert_eq!(doubts(&bed, &bed.node(2), 2, 1).await, number);
    }
    doubts(&bed, &bed.node(3), 5, 2 * 60 * 60 / 5).await;
    assert!(bed.cloud.calls() <= 9 + 12, "{} calls after two hours more", bed.cloud.calls());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_lasted_ends_the_doubt() {
    let bed = Bed::new();
    bed.cloud.life.store(86_400, Ordering::SeqCst);
    let node = bed.node(1);
    assert_eq!(doubts(&bed, &node, 100, 2).await, 3);
    assert_eq!(doubts(&bed, &node, 3_600, 1).await, 4, "an hour later it is refused for the first time");
    assert_eq!(doubts(&bed, &node, 21, 1).await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_for_another_reason_carries_no_doubt() {
    let mut bed = Bed::new();
    let node = bed.node(1);
    assert_eq!(doubts(&bed, &node, 100, 2).await, 3);
    bed.world.cutoffs = vec![Cutoff { scope: Scope::All, before: bed.clock.now() }];
    seconds(1).await;
    assert_eq!(bed.plain().number(&node).await, 4);
    assert_eq!(doubts(&bed, &node, 11, 1).await, 5);
}

#[tokio::test(start_paused = true)]
async fn no_role_gives_the_token_that_everybody_has_for_longer_than_its_own_life() {
    let bed = Bed::of(one_live());
    bed.cloud.life.store(7_200, Ordering::SeqCst);
    let node = bed.node(1);
    let longest = bed.request(&bearer()).authorized.lifetime();
    let short = Issue { lifetime: Some(600), ..bearer() };
    for (issue, life) in [(bearer(), longest), (short, 600)] {
        seconds(100).await;
        let end = after(bed.clock.now(), life);
        let issued = bed.request(&issue).ask(&node).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!((number(&issued), issued.expires), (1, end), "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn that_the_cloud_fails_is_seen_where_only_the_store_was_asked() {
    let bed = Bed::of(one_live());
    let (node, request) = (bed.node(1), bed.request(&bearer()));
    assert_eq!(request.number(&node).await, 1);
    *bed.cloud.down.lock() = Some(down());
    seconds(1_201).await;
    assert_eq!(request.number(&node).await, 1);
    seconds(1).await;
    assert_eq!((request.number(&node).await, handed(&node, "stale")), (1, 1));
}
