//! Rates and daily quotas of tenants, clients, subjects, networks and endpoints, and who is not shut out by whom.

use super::*;
use crate::endpoint::{Carrier, TicketRule};
use crate::quota::{Limit, Per, Rate};
use crate::testing::signing_key;
use std::net::IpAddr;

/// So many at once, and one more each hour.
fn rate(burst: u32) -> Limit {
    Limit { rate: Rate::new(1, Per::Hour, Some(burst)).ok(), daily: None }
}

fn daily(count: u64) -> Limit {
    Limit { rate: None, daily: Some(count) }
}

impl Bench {
    /// A right request from this address, different from all others.
    async fn ask_from(&self, source: &str, query: &str, n: u32) -> Result<Success, Refusal> {
        let directory = self.world.directory();
        let mut request = request("GET", &format!("{GOOD}|{n}{query}"), &[], b"");
        request.head_mut().source = source.parse::<IpAddr>().unwrap();
        self.pipeline.answer(&self.toy, &directory, request).await.summary.result
    }

    /// How many of so many right requests get something; all others must be refused for want of a ration.
    async fn gets(&self, tries: u32, query: &str) -> u32 {
        let mut granted = 0;
        for n in 0..tries {
            match self.ask_from("192.0.2.1", query, n + 1000 * self.toy_seen()).await {
                Ok(Success::Granted) => granted += 1,
                Err(refusal) => assert_eq!(refusal.reason, Reason::RateLimited, "{refusal}"),
                Ok(other) => panic!("{other:?}"),
            }
        }
        granted
    }

    /// Grows with every verified request, so that no two rounds send the same.
    fn toy_seen(&self) -> u32 {
        u32::try_from(self.toy.verified.load(Ordering::SeqCst)).unwrap()
    }

    fn limit(&mut self, set: impl FnOnce(&mut crate::quota::Bounds)) {
        set(&mut self.world.plan.limits);
    }

    fn refusals(&self) -> usize {
        self.events().iter().filter(|event| matches!(event, Event::Refusal { .. })).count()
    }
}

#[tokio::test]
async fn without_a_limit_nothing_is_counted() {
    let bench = Bench::new();
    assert_eq!(bench.gets(50, "").await, 50);
    assert!(bench.pipeline.rations().refused().all(|(.., count)| count == 0));
    assert_eq!(bench.pipeline.rations().due(START), None);
}

#[tokio::test]
async fn each_kind_has_its_rate_and_its_day() {
    type Set = fn(&mut crate::quota::Bounds, Limit);
    let kinds: [(&str, Set); 4] = [
        ("tenant", |bounds, limit| bounds.tenant = limit),
        ("client", |bounds, limit| bounds.client = limit),
        ("network", |bounds, limit| bounds.network = limit),
        ("endpoint", |bounds, limit| bounds.endpoint = limit),
    ];
    for (kind, set) in kinds {
        for (way, limit) in [("rate", rate(3)), ("daily", daily(3))] {
            let mut bench = Bench::new();
            bench.limit(|bounds| set(bounds, limit));
            assert_eq!(bench.gets(10, "").await, 3, "{kind} {way}");
            let refused = bench.pipeline.rations().refused().find(|(of, by, _)| (*of, *by) == (kind, way));
            assert_eq!(refused, Some((kind, way, 7)));
            // START is 22:13:20: 6400 seconds are left of the day.
            let refusal = bench.ask_from("192.0.2.1", "", 99).await.unwrap_err();
            let wait = if way == "rate" { 3600 } else { 6400 };
            assert_eq!(refusal.retry_after, Some(wait), "{kind} {way}");
            assert!(refusal.detail.contains(kind), "{refusal}");
            bench.clock.advance(i64::from(wait) * 1000);
            assert!(bench.gets(5, "").await >= 1, "{kind} {way}");
        }
    }
}

/// A client's own word comes before its tenant's, that before the service's, each part by itself.
#[tokio::test]
async fn the_nearest_word_counts() {
    let mut bench = Bench::new();
    bench.limit(|bounds| bounds.client = Limit { daily: Some(4), ..rate(9) });
    Arc::make_mut(&mut bench.world.plan.tenants[0]).limits.client = rate(6);
    assert_eq!(bench.gets(20, "").await, 4, "the day of the service");
    let mut bench = Bench::new();
    bench.limit(|bounds| bounds.client = rate(9));
    Arc::make_mut(&mut bench.world.plan.tenants[0]).limits.client = rate(6);
    assert_eq!(bench.gets(20, "").await, 6, "the rate of the tenant");
    let mut bench = Bench::new();
    Arc::make_mut(&mut bench.world.plan.tenants[0]).limits.client = rate(6);
    bench.world.client.limit = rate(8);
    assert_eq!(bench.gets(20, "").await, 8, "the client's own, which an operator gave it");
}

/// Whoever has used up its own takes nothing of what it shares, and a share that is used up costs nobody his own.
#[tokio::test]
async fn nobody_uses_up_what_it_does_not_get() {
    let mut bench = Bench::new();
    let other = crate::client::Client {
        guid: Uuid::from_u128(77),
        name: "second".into(),
        ..bench.world.client.clone()
    };
    bench.world.keys.push(signing_key("AKIDsecond", KeyKind::Tencent, other.guid));
    bench.world.others.push(other);
    bench.limit(|bounds| {
        bounds.client = Limit { daily: Some(3), ..rate(3) };
        bounds.tenant = Limit { daily: Some(5), ..rate(5) };
    });
    assert_eq!(bench.gets(50, "").await, 3, "its own");
    let second = |n: u32| format!("/?key=AKIDsecond&sign=secret+of+AKIDsecond|{n}").replace('+', "%20");
    let mut got = 0;
    for n in 0..50 {
        got += u32::from(bench.get(&second(n).replace("%20", " ")).await.starts_with("AKID"));
    }
    assert_eq!(got, 2, "what the first has left of the tenant's, however often it asked");
    let rations = bench.pipeline.rations();
    let refused = |of: &str| rations.refused().filter(|(kind, ..)| *kind == of).map(|(.., n)| n).sum::<u64>();
    assert_eq!((refused("client"), refused("tenant")), (47, 48));
}

#[tokio::test]
async fn a_day_of_the_tenant_that_is_over_takes_nothing_of_the_clients() {
    let mut bench = Bench::new();
    bench.limit(|bounds| {
        bounds.client = daily(5);
        bounds.tenant = daily(2);
    });
    assert_eq!(bench.gets(4, "").await, 2);
    let due = bench.pipeline.rations().due(START).unwrap();
    assert_eq!(due.counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn what_is_refused_or_fails_counts_for_no_day() {
    let mut bench = Bench::new();
    bench.limit(|bounds| bounds.client = daily(2));
    for n in 0..5 {
        let refusal = bench.ask_from("192.0.2.1", "&life=9999999", n).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::LifetimeTooLong);
    }
    bench.store.go_down();
    for n in 10..15 {
        assert_eq!(bench.ask_from("192.0.2.1", "", n).await.unwrap_err().reason, Reason::Unavailable);
    }
    bench.store.come_back();
    assert_eq!(bench.gets(9, "").await, 2, "two were made, and those count");
}

/// A client that was cut off sends the same bytes again, and is answered with the same credential: that is one.
#[tokio::test]
async fn a_retry_counts_once() {
    let mut bench = Bench::new();
    bench.limit(|bounds| bounds.client = daily(2));
    for _ in 0..5 {
        assert!(bench.ask_from("192.0.2.1", "", 1).await.is_ok());
    }
    bench.store.seen_elsewhere(START);
    assert_eq!(
        bench.ask_from("192.0.2.1", "", 2).await,
        Ok(Success::Repeated),
        "another node has counted it"
    );
    assert_eq!(bench.gets(5, "").await, 1);
}

#[tokio::test]
async fn questions_count_in_nothing() {
    let mut bench = Bench::new();
    bench.limit(|bounds| {
        bounds.client = Limit { daily: Some(1), ..rate(1) };
        bounds.tenant = rate(1);
    });
    for n in 0..20 {
        assert_eq!(bench.ask_from("192.0.2.1", "&who", n).await, Ok(Success::Facts));
    }
    assert_eq!(bench.gets(3, "").await, 1);
}

/// Attack: a client in a loop, far above its rate, would fill the disk with records of being told so.
#[tokio::test]
async fn one_refusal_in_a_minute_is_recorded_and_the_others_are_counted() {
    let mut bench = Bench::new();
    bench.limit(|bounds| bounds.client = rate(1));
    assert_eq!(bench.gets(100, "").await, 1);
    assert_eq!(bench.refusals(), 1);
    let record = bench.store.all().pop().unwrap();
    assert_eq!(record.client, Some(bench.world.client.guid), "with who it was");
    bench.pipeline.record_strangers().await;
    let counted = bench.events().into_iter().find_map(|event| match event {
        Event::Strangers { reason, count, .. } => Some((reason, count)),
        _ => None,
    });
    assert_eq!(counted, Some(("rate_limited".to_owned(), 98)), "none is forgotten");
    bench.clock.advance(60_000);
    assert_eq!(bench.gets(10, "").await, 0);
    assert_eq!(bench.refusals(), 2, "a minute later it is news again");
}

#[tokio::test]
async fn networks_and_tenants_have_theirs_apart() {
    let mut bench = Bench::new();
    bench.limit(|bounds| bounds.network = rate(2));
    for (source, expected) in
        [("192.0.2.1", true), ("192.0.2.200", true), ("192.0.2.3", false), ("192.0.3.1", true)]
    {
        let n = bench.toy_seen();
        assert_eq!(bench.ask_from(source, "", n).await.is_ok(), expected, "{source}");
    }
}

fn with(rule: CallerRule) -> Bench {
    let mut bench = Bench::new();
    Arc::make_mut(&mut bench.world.plan.endpoints[0]).callers = vec![rule];
    bench.world.keys.push(signing_key("TKworld", KeyKind::Ticket, bench.world.client.guid));
    bench
}

fn sessions() -> Bench {
    let carrier = Carrier::Cookie("sid".into());
    with(CallerRule::Session(SessionRule { carrier, whoami: String::new(), timeout_ms: 1000, cache: 5 }))
}

async fn session(bench: &Bench, sid: &str) -> String {
    let answer = bench.get(&format!("/getAuthorization?cookie={sid}")).await;
    if answer.starts_with("AKID") { "granted".to_owned() } else { answer }
}

#[tokio::test]
async fn a_subject_has_a_day_at_its_endpoint() {
    let mut bench = sessions();
    bench.limit(|bounds| bounds.subject = daily(2));
    let fresh = async |bench: &mut Bench, sid: &str| {
        bench.clock.advance(1000);
        let scope = Scope::All;
        bench.world.cutoffs = vec![Cutoff { scope, before: bench.clock.now() }];
        bench.clock.advance(1);
        session(bench, sid).await
    };
    for expected in ["granted", "granted", "refused rate_limited", "refused rate_limited"] {
        assert_eq!(fresh(&mut bench, "sid-ann").await, expected);
    }
    assert_eq!(fresh(&mut bench, "sid-bob").await, "granted");
    for _ in 0..5 {
        assert_eq!(session(&bench, "sid-bob").await, "granted", "what it has already counts for no day");
    }
    assert_eq!(fresh(&mut bench, "sid-bob").await, "granted");
    assert_eq!(fresh(&mut bench, "sid-bob").await, "refused rate_limited");
}

/// A stranger behind the same address makes up sessions as fast as it can: the application is spared, and whoever has been
/// at work today is not shut out.
#[tokio::test]
async fn made_up_sessions_shut_out_nobody_who_was_here() {
    let mut bench = sessions();
    bench.limit(|bounds| bounds.network = Limit { rate: Some(Rate::per_minute(10)), daily: None });
    assert_eq!(session(&bench, "sid-ann").await, "granted");
    for n in 0..100 {
        let expected = if n < 10 { "refused unknown_session" } else { "refused rate_limited" };
        assert_eq!(session(&bench, "guess").await, expected, "{n}");
    }
    assert_eq!(bench.application.0.load(Ordering::SeqCst), 11, "nobody is asked for more");
    for _ in 0..20 {
        assert_eq!(session(&bench, "sid-ann").await, "granted");
    }
    assert_eq!(session(&bench, "sid-new").await, "refused rate_limited", "who was never here waits");
    bench.clock.advance(6_000);
    assert_eq!(session(&bench, "sid-new").await, "granted", "for some seconds");
}

/// Nor do made-up tickets: a ticket is looked at before anything is counted.
#[tokio::test]
async fn made_up_tickets_shut_out_no_right_one() {
    let mut bench = with(CallerRule::Ticket(TicketRule { refreshes: 0, refresh_for: 3600 }));
    bench.limit(|bounds| bounds.network = Limit { rate: Some(Rate::per_minute(5)), daily: None });
    let secret = format!("secret+of+{}", Uuid::from_u128(0x5ec));
    let guid = bench.world.client.guid;
    let made = bench.get(&format!("/?tenant=acme&client={guid}&secret={secret}&ticket-for=ann")).await;
    let ticket = made.strip_prefix("ticket ").unwrap_or_else(|| panic!("{made}")).to_owned();
    for n in 0..50 {
        let expected = if n < 5 { "refused ticket_invalid" } else { "refused rate_limited" };
        let shown = bench.get(&format!("/getAuthorization?ticket=made-up&origin={ORIGIN}")).await;
        assert_eq!(shown, expected, "{n}");
    }
    let right = bench.get(&format!("/getAuthorization?ticket={ticket}&origin={ORIGIN}")).await;
    assert!(right.starts_with("AKID"), "{right}");
}

/// Whoever is told to come again with a ticket can: it is not spent.
#[tokio::test]
async fn a_ticket_that_comes_too_fast_is_not_spent() {
    let mut bench = with(CallerRule::Ticket(TicketRule { refreshes: 0, refresh_for: 3600 }));
    bench.limit(|bounds| bounds.network = Limit { rate: Some(Rate::per_minute(1)), daily: None });
    let secret = format!("secret+of+{}", Uuid::from_u128(0x5ec));
    let guid = bench.world.client.guid;
    let mut tickets = Vec::new();
    for name in ["ann", "bob"] {
        bench.clock.advance(60_000);
        let made = bench.get(&format!("/?tenant=acme&client={guid}&secret={secret}&ticket-for={name}")).await;
        tickets.push(made.strip_prefix("ticket ").unwrap_or_else(|| panic!("{made}")).to_owned());
    }
    let show =
        async |ticket: &str| bench.get(&format!("/getAuthorization?ticket={ticket}&origin={ORIGIN}")).await;
    assert!(show(&tickets[0]).await.starts_with("AKID"));
    assert_eq!(show(&tickets[1]).await, "refused rate_limited");
    bench.clock.advance(60_000);
    assert!(show(&tickets[1]).await.starts_with("AKID"));
}
