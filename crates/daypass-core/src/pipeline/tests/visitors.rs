//! Those who come to an endpoint by a session or a ticket.

use super::*;
use crate::cutoff::{Cutoff, Scope};
use crate::endpoint::{Carrier, TicketRule};
use crate::testing::signing_key;

const SESSION: &str = "/getAuthorization?cookie=sid-ann";

impl Bench {
    /// An endpoint that knows its callers in these ways, with these quotas.
    fn knowing(callers: Vec<CallerRule>, quota: Quota) -> Self {
        let mut bench = Self::new();
        let endpoint = Arc::make_mut(&mut bench.world.plan.endpoints[0]);
        (endpoint.callers, endpoint.quota) = (callers, quota);
        bench.world.keys.push(signing_key("TKworld", KeyKind::Ticket, bench.world.client.guid));
        bench
    }

    fn with_sessions(quota: Quota) -> Self {
        let carrier = Carrier::Cookie("sid".into());
        let rule = SessionRule { carrier, whoami: String::new(), timeout_ms: 1000, cache: 5 };
        Self::knowing(vec![CallerRule::Session(rule)], quota)
    }

    fn with_tickets(refreshes: u32) -> Self {
        let rule = TicketRule { refreshes, refresh_for: 3600 };
        Self::knowing(vec![CallerRule::Ticket(rule)], Quota::default())
    }

    /// A ticket for this user, made online by the world's client.
    async fn make(&self, subject: &str) -> String {
        let secret = format!("secret+of+{}", Uuid::from_u128(0x5ec));
        let guid = self.world.client.guid;
        let made =
            self.get(&format!("/?tenant=acme&client={guid}&secret={secret}&ticket-for={subject}")).await;
        made.strip_prefix("ticket ").unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    async fn show(&self, ticket: &str) -> String {
        self.get(&format!("/getAuthorization?ticket={ticket}&origin={ORIGIN}")).await
    }

    fn grants(&self) -> usize {
        self.events().iter().filter(|event| matches!(event, Event::Grant { .. })).count()
    }
}

/// The credential and the next ticket of an answer.
fn parts(answer: &str) -> (&str, Option<&str>) {
    let mut words = answer.splitn(4, ' ');
    let id = words.next().unwrap();
    (id, words.nth(2))
}

#[tokio::test]
async fn a_session_that_the_application_knows_is_recorded_with_its_subject() {
    let bench = Bench::with_sessions(Quota::default());
    assert!(bench.get(SESSION).await.starts_with("AKID"));
    let record = &bench.store.all()[0];
    assert_eq!((record.subject.as_deref(), record.via.as_deref()), (Some("ann"), Some("session")));
    assert_eq!((record.client, record.key.as_deref()), (None, None));
}

#[tokio::test]
async fn who_is_not_known_gets_nothing() {
    let bench = Bench::with_sessions(Quota::default());
    for (target, expected) in [
        ("/getAuthorization", "refused missing_proof"),
        ("/getAuthorization?cookie=other", "refused unknown_session"),
        ("/getAuthorization?cookie=down", "refused identity_unavailable"),
        ("/getAuthorization?ticket=x", "refused missing_proof"),
        ("/getAuthorization?cookie=sid-", "refused variable_refused"),
    ] {
        assert_eq!(bench.get(target).await, expected, "{target}");
    }
    assert!(bench.store.all().is_empty(), "they are strangers");
    let bench = Bench::with_tickets(1);
    assert_eq!(bench.get(SESSION).await, "refused missing_proof", "not in this way");
    assert_eq!(bench.application.0.load(Ordering::SeqCst), 0, "and nobody is asked");
}

#[tokio::test]
async fn a_subject_gets_its_credential_again_and_only_its_own() {
    let bench = Bench::with_sessions(Quota::default());
    let first = bench.get(SESSION).await;
    bench.clock.advance(60_000);
    assert_eq!(bench.get(SESSION).await, first);
    assert_ne!(bench.get("/getAuthorization?cookie=sid-bob").await, first);
    assert_eq!((bench.grants(), bench.issuer.made()), (2, 2), "what was given again is not recorded again");
    // The role gives half an hour; a fifth of it are six minutes.
    bench.clock.advance(23 * 60_000);
    assert_eq!(bench.get(SESSION).await, first);
    bench.clock.advance(1_000);
    assert_ne!(bench.get(SESSION).await, first);
}

#[tokio::test]
async fn a_credential_that_was_taken_back_is_not_given_again() {
    for scope in [
        Scope::Subject { tenant: "acme".into(), subject: "ann".into() },
        Scope::Role { tenant: "acme".into(), role: "soe".into() },
        Scope::Tenant("acme".into()),
    ] {
        let mut bench = Bench::with_sessions(Quota::default());
        let first = bench.get(SESSION).await;
        bench.clock.advance(1_000);
        bench.world.cutoffs.push(Cutoff { scope, before: later(1) });
        bench.clock.advance(1_000);
        let second = bench.get(SESSION).await;
        assert!(second.starts_with("AKID") && second != first);
        assert_eq!(bench.get(&Bench::who(&first)).await, "refused token_revoked");
        assert_eq!(bench.get(&Bench::who(&second)).await, r#"Some("soe") Some("ann")"#);
    }
}

#[tokio::test]
async fn what_is_given_again_is_not_counted() {
    let quota = Quota { subject: Some(1), address: Some(3), endpoint: Some(3) };
    let bench = Bench::with_sessions(quota);
    for _ in 0..20 {
        assert!(bench.get(SESSION).await.starts_with("AKID"));
    }
    assert!(bench.get("/getAuthorization?cookie=sid-bob").await.starts_with("AKID"));
    assert!(bench.get("/getAuthorization?cookie=sid-eve").await.starts_with("AKID"));
    assert_eq!(bench.get("/getAuthorization?cookie=sid-dan").await, "refused rate_limited");
    assert_eq!(bench.get(SESSION).await, "refused rate_limited", "the count comes before anyone is known");
    bench.clock.advance(60_000);
    assert!(bench.get(SESSION).await.starts_with("AKID"));
}

#[tokio::test]
async fn a_subject_has_a_quota_of_its_own() {
    let mut bench = Bench::with_sessions(Quota { subject: Some(1), ..Quota::default() });
    assert!(bench.get(SESSION).await.starts_with("AKID"));
    bench.clock.advance(1_000);
    let scope = Scope::Subject { tenant: "acme".into(), subject: "ann".into() };
    bench.world.cutoffs.push(Cutoff { scope, before: later(0) });
    assert_eq!(bench.get(SESSION).await, "refused rate_limited", "it would be a second one");
    assert!(bench.get("/getAuthorization?cookie=sid-bob").await.starts_with("AKID"));
}

#[tokio::test]
async fn strangers_use_up_nothing_that_belongs_to_all() {
    let bench = Bench::with_sessions(Quota { endpoint: Some(2), ..Quota::default() });
    for _ in 0..5 {
        assert_eq!(bench.get("/getAuthorization?cookie=guess").await, "refused unknown_session");
    }
    for name in ["ann", "bob"] {
        assert!(bench.get(&format!("/getAuthorization?cookie=sid-{name}")).await.starts_with("AKID"));
    }
    assert_eq!(bench.get("/getAuthorization?cookie=sid-eve").await, "refused rate_limited");
    assert!(bench.get(SESSION).await.starts_with("AKID"), "ann has hers already");
}

#[tokio::test]
async fn attempts_count_and_nobody_is_asked_for_more() {
    let bench = Bench::with_sessions(Quota { address: Some(2), ..Quota::default() });
    for expected in ["unknown_session", "unknown_session", "rate_limited", "rate_limited"] {
        assert_eq!(bench.get("/getAuthorization?cookie=guess").await, format!("refused {expected}"));
    }
    assert_eq!(bench.application.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_ticket_is_good_once_and_carries_on() {
    let bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    let first = bench.show(&ticket).await;
    let (id, next) = parts(&first);
    let second = bench.show(next.unwrap()).await;
    let (again, next) = parts(&second);
    assert_eq!(again, id, "the subject has a credential already");
    let third = bench.show(next.unwrap()).await;
    assert_eq!(parts(&third), (id, None), "two refreshes were given");
    let made = &bench.store.all()[0];
    assert!(matches!(&made.event, Event::Ticket { origin, .. } if origin == ORIGIN));
    assert_eq!((made.subject.as_deref(), made.client), (Some("ann"), Some(bench.world.client.guid)));
    let granted = &bench.store.all()[1];
    assert_eq!((granted.via.as_deref(), granted.client), (Some("ticket"), Some(bench.world.client.guid)));
}

/// Whoever shows a ticket would be refused if the key behind it ended: it is in use.
#[tokio::test]
async fn a_key_is_in_use_when_it_signs_and_when_its_tickets_are_shown() {
    let bench = Bench::with_tickets(2);
    let uses = bench.pipeline.uses();
    let key = Uuid::from_u128(0x5ec).to_string();
    assert_eq!(bench.get("/?tenant=acme&client=nobody&secret=guess&who").await, "refused unknown_client");
    assert_eq!(uses.due(), [], "whoever is refused has used nothing");
    let ticket = bench.make("ann").await;
    assert_eq!(uses.due(), [(key.clone(), START)]);
    uses.stored(&uses.due());
    bench.clock.advance(2000);
    assert!(bench.show(&ticket).await.starts_with("AKID"));
    assert_eq!(uses.rest(), [(key, later(2))]);
    assert_eq!(uses.due(), [], "and two seconds later is not worth a write");
}

#[tokio::test]
async fn a_second_use_is_refused_and_raises_an_alarm() {
    let bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    let first = bench.show(&ticket).await;
    assert_eq!(bench.show(&ticket).await, "refused ticket_spent");
    let refresh = parts(&first).1.unwrap().to_owned();
    assert!(bench.show(&refresh).await.starts_with("AKID"), "its own holder goes on");
    assert_eq!(bench.show(&refresh).await, "refused ticket_spent");
    let alarms = bench.store.all();
    let alarms: Vec<_> = alarms.iter().filter(|r| matches!(&r.event, Event::Alarm { .. })).collect();
    assert_eq!(alarms.len(), 2);
    assert!(alarms.iter().all(|record| record.subject.as_deref() == Some("ann")));
    assert_eq!(alarms[0].client, Some(bench.world.client.guid), "whose ticket it was");
}

#[tokio::test]
async fn of_two_at_once_one_gets_something() {
    let bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    let (one, two) = tokio::join!(bench.show(&ticket), bench.show(&ticket));
    let got = [one, two].iter().filter(|answer| answer.starts_with("AKID")).count();
    assert_eq!(got, 1);
}

#[tokio::test]
async fn a_ticket_that_ended_is_a_strangers() {
    let bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    bench.clock.advance(121_000);
    for _ in 0..3 {
        assert_eq!(bench.show(&ticket).await, "refused ticket_invalid");
    }
    assert_eq!(bench.store.all().len(), 1, "only the ticket's own record");
}

#[tokio::test]
async fn a_ticket_is_of_its_page_and_its_maker() {
    let mut bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    let elsewhere = format!("/getAuthorization?ticket={ticket}&origin=http://evil.example");
    assert_eq!(bench.get(&elsewhere).await, "refused ticket_invalid");
    assert_eq!(bench.get(&format!("/getAuthorization?ticket={ticket}")).await, "refused ticket_invalid");
    let granted = bench.show(&ticket).await;
    assert!(granted.starts_with("AKID"), "what was refused did not use it up: {granted}");
    let credential = granted.rsplit_once(' ').unwrap().0.to_owned();
    assert_eq!(bench.get(&Bench::who(&credential)).await, r#"Some("soe") Some("ann")"#);
    bench.world.client.enabled = false;
    assert_eq!(bench.get(&Bench::who(&credential)).await, "refused token_revoked");
    assert_eq!(bench.show(parts(&granted).1.unwrap()).await, "refused client_disabled");
}

#[tokio::test]
async fn a_store_that_is_down_uses_no_ticket_up() {
    let bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    bench.store.go_down();
    assert_eq!(bench.show(&ticket).await, "refused unavailable");
    bench.store.come_back();
    assert!(bench.show(&ticket).await.starts_with("AKID"));
}

#[tokio::test]
async fn a_credential_stands_as_long_as_the_way_it_was_made_in() {
    let mut bench = Bench::with_sessions(Quota::default());
    let granted = bench.get(SESSION).await;
    assert_eq!(bench.get(&Bench::who(&granted)).await, r#"Some("soe") Some("ann")"#);
    Arc::make_mut(&mut bench.world.plan.endpoints[0]).callers.clear();
    assert_eq!(bench.get(&Bench::who(&granted)).await, "refused token_revoked");
}

#[tokio::test]
async fn no_record_holds_a_session_or_a_ticket() {
    let bench = Bench::with_tickets(2);
    let ticket = bench.make("ann").await;
    let granted = bench.show(&ticket).await;
    let next = parts(&granted).1.unwrap();
    bench.show(&ticket).await;
    let records = serde_json::to_string(&bench.store.all()).unwrap();
    assert!(!records.contains(&ticket) && !records.contains(next));
    assert!(!records.contains(ticket.strip_prefix("dpt_").unwrap_or(&ticket)));
}
