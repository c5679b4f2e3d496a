//! Who gets the same credential again, and until when.

use super::*;
use crate::caller::{Caller, Outside, Proof, Visitor, Way};
use crate::client::{Client, KeyKind};
use crate::credential::Credential;
use crate::cutoff::{Cutoff, Scope};
use crate::dialect::{Issue, RoleChoice};
use crate::directory::Directory;
use crate::id::Draw;
use crate::identity::Subject;
use crate::policy::{Language, Template, VariableType, authorize};
use crate::provider::{KeySource, Provider};
use crate::role::{Lifetime, Role};
use crate::testing::{START, SeededEntropy, World, allow, before, later, ring, signing_key};
use crate::ticket::Pass;
use crate::triple::{self, Claims, TripleKind};
use proptest::prelude::*;

const LIFE: u32 = 1800;

/// The world, its page's role bound to `class`.
fn world() -> World {
    let mut world = World::new();
    let soe = Arc::make_mut(&mut world.plan.roles[0]);
    soe.variables = [("class".to_owned(), VariableType::Slug)].into();
    let policy = allow(Language::Cam, "cos:PutObject", "qcs::cos::uid/1:b-1/{class}/*");
    soe.policy = Some(Template::new(policy, &soe.variables).unwrap());
    world.keys.push(signing_key("TKworld", KeyKind::Ticket, world.client.guid));
    world
}

fn role(world: &mut World) -> &mut Role {
    Arc::make_mut(&mut world.plan.roles[0])
}

fn subject(name: &str) -> Subject {
    Subject { name: name.to_owned(), variables: [("class".to_owned(), "7b".to_owned())].into() }
}

fn visitor(world: &World, way: Way, subject: Option<Subject>) -> Visitor {
    Visitor { endpoint: world.plan.endpoints[0].clone(), way, subject, ticket: None }
}

fn caller(world: &World, visitor: Visitor) -> Caller {
    Caller::for_test(world.plan.tenants[0].clone(), Proof::Visitor(Box::new(visitor)))
}

fn plain() -> Issue {
    Issue::new(RoleChoice::Endpoint, Form::Triple(TripleKind::Tencent))
}

fn decide(directory: &Directory, caller: &Caller, path: &str, issue: &Issue) -> Authorized {
    authorize(directory, caller, path, issue).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// What is decided for a logged-in user of the page.
fn session(world: &World, name: &str) -> Authorized {
    let caller = caller(world, visitor(world, Way::Session, Some(subject(name))));
    decide(&world.directory(), &caller, "/getAuthorization", &plain())
}

/// What is decided for the holder of a ticket.
fn ticket(world: &World, key: &str, client: &Client) -> Authorized {
    let pass = Pass {
        id: "0123456789abcdef".into(),
        client: client.guid,
        key: key.into(),
        endpoint: "/getAuthorization".into(),
        origin: "http://127.0.0.1:88".into(),
        subject: subject("alice"),
        number: 0,
        expires: later(60),
        begun: None,
    };
    let mut visitor = visitor(world, Way::Ticket, Some(subject("alice")));
    visitor.ticket = Some((pass, Arc::new(client.clone())));
    decide(&world.directory(), &caller(world, visitor), "/getAuthorization", &plain())
}

/// A credential for what was decided, made at this time.
fn grant(authorized: &Authorized, at: Timestamp) -> Arc<Recorded<Granted>> {
    grant_from(authorized, at, None)
}

fn grant_from(authorized: &Authorized, at: Timestamp, brokered: Option<Brokered>) -> Arc<Recorded<Granted>> {
    let draw = Draw::fresh(&SeededEntropy::new(1), at);
    let claims = Claims::of(authorized, &draw).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let made = triple::make(&ring(), TripleKind::Tencent, &claims, &draw);
    Arc::new(Recorded::for_test(Granted {
        credential: Credential::Triple(made.unwrap_or_else(|refusal| panic!("{refusal:?}"))),
        issued: at,
        handed_out: START,
        expires: after(at, authorized.lifetime()),
        account: authorized.tenant().account.clone(),
        role: authorized.role().to_owned(),
        policy: authorized.shared_policy(),
        answer: BTreeMap::new(),
        variables: authorized.variables().clone(),
        product: None,
        correlation: None,
        tenant: authorized.tenant().guid,
        session: None,
        subject: authorized.subject().map(str::to_owned),
        source_identity: None,
        confirmation: None,
        exchanged: None,
        brokered,
    }))
}

fn kept(authorized: &Authorized) -> (Shelf, Arc<Recorded<Granted>>) {
    let shelf = Shelf::default();
    let granted = grant(authorized, START);
    shelf.keep(authorized, &granted, START);
    (shelf, granted)
}

#[test]
fn one_of_a_cloud_is_given_again_while_its_role_promises_and_no_longer() {
    let mut world = world();
    role(&mut world).brokering.min_remaining = Some(900);
    let alice = session(&world, "alice");
    let brokered = Brokered {
        issuer: "main".into(),
        key: "AKIDroot".into(),
        obtained: START,
        request: None,
        kept: false,
        shared: false,
    };
    for (brokered, spare) in [(None, LIFE / PART), (Some(brokered), 900)] {
        let shelf = Shelf::default();
        shelf.keep(&alice, &grant_from(&alice, START, brokered), START);
        assert!(found(&shelf, &alice, later(LIFE - spare)));
        assert!(!found(&shelf, &alice, later(LIFE - spare + 1)));
    }
}

fn found(shelf: &Shelf, authorized: &Authorized, now: Timestamp) -> bool {
    shelf.find(authorized, &Cutoffs::default(), now).is_some()
}

impl Shelf {
    /// How many are kept, and whether both tables agree.
    fn len(&self) -> usize {
        let kept = self.0.lock();
        assert_eq!(kept.entries.len(), kept.ends.len());
        for (end, whose) in &kept.ends {
            assert!(kept.entries[whose].end == *end);
        }
        kept.entries.len()
    }
}

#[test]
fn a_subject_gets_the_very_same_credential_again() {
    let world = world();
    let (shelf, granted) = kept(&session(&world, "alice"));
    let again = shelf.find(&session(&world, "alice"), &Cutoffs::default(), later(1)).unwrap();
    assert!(Arc::ptr_eq(&again, &granted));
    assert!(!found(&shelf, &session(&world, "bob"), later(1)));
    assert!(!found(&Shelf::default(), &session(&world, "alice"), later(1)));
}

#[test]
fn a_fifth_of_its_life_and_two_minutes_must_be_left() {
    for (life, last) in [(1800, 1440), (7200, 5760), (600, 480), (300, 180), (121, 1), (120, 0)] {
        let mut world = world();
        role(&mut world).lifetime = Lifetime { default: life, max: life };
        let authorized = session(&world, "alice");
        let (shelf, _) = kept(&authorized);
        assert!(found(&shelf, &authorized, START), "a life of {life}");
        assert!(found(&shelf, &authorized, later(last)), "a life of {life}");
        assert!(!found(&shelf, &authorized, later(last + 1)), "a life of {life}");
        assert!(!found(&shelf, &authorized, later(life)));
    }
}

#[test]
fn a_clock_that_was_set_does_not_lengthen_a_life() {
    let world = world();
    let authorized = session(&world, "alice");
    let (shelf, _) = kept(&authorized);
    assert!(found(&shelf, &authorized, before(START, 1)), "two requests of one second");
    assert!(!found(&shelf, &authorized, before(START, 2)), "set back");
    assert!(!found(&shelf, &authorized, before(START, 86_400)));
    assert!(!found(&shelf, &authorized, later(86_400)), "set ahead");
    // Ahead and back again: what was made under the wrong time is replaced by what is made now.
    let wrong = later(86_400);
    shelf.keep(&authorized, &grant(&authorized, wrong), wrong);
    assert!(!found(&shelf, &authorized, START));
    shelf.keep(&authorized, &grant(&authorized, START), START);
    assert!(found(&shelf, &authorized, START));
    assert_eq!(shelf.len(), 1);
}

#[test]
fn nobody_and_strangers_to_the_endpoint_keep_nothing() {
    let mut world = world();
    let directory = |world: &World| world.directory();
    role(&mut world).variables.clear();
    role(&mut world).policy =
        Some(Template::new(allow(Language::Cam, "soe:*", "*"), &BTreeMap::new()).unwrap());
    let anonymous = caller(&world, visitor(&world, Way::Anonymous, None));
    let anonymous = decide(&directory(&world), &anonymous, "/getAuthorization", &plain());
    let by_key = Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent));
    let by_key = decide(&directory(&world), &world.caller("AKIDworld"), "/", &by_key);
    role(&mut world).trusts = vec![crate::role::Trust {
        provider: "corp".into(),
        subjects: vec![crate::policy::Pattern::parse("*")],
    }];
    let provider = Provider {
        tenant: "acme".into(),
        name: "corp".into(),
        issuer: "https://login.example.com".into(),
        audiences: vec!["daypass".into()],
        keys: KeySource::Discovery,
        subject: "sub".into(),
        variables: BTreeMap::new(),
        quota: crate::provider::Quota::default(),
    };
    let outside = Outside { provider: Arc::new(provider), subject: subject("alice") };
    let outside = Caller::for_test(world.plan.tenants[0].clone(), Proof::Outside(Box::new(outside)));
    let named = Issue::new(RoleChoice::Named("soe".into()), Form::Triple(TripleKind::Tencent));
    let outside = decide(&directory(&world), &outside, "/", &named);
    assert_eq!(outside.subject(), Some("alice"));
    for authorized in [anonymous, by_key, outside] {
        let (shelf, _) = kept(&authorized);
        assert_eq!(shelf.len(), 0, "{:?}", authorized.via());
        assert!(!found(&shelf, &authorized, later(1)));
    }
}

#[test]
fn a_name_belongs_to_whoever_knows_it() {
    let world = world();
    let alice = |way, path| {
        let caller = caller(&world, visitor(&world, way, Some(subject("alice"))));
        decide(&world.directory(), &caller, path, &plain())
    };
    let (shelf, _) = kept(&alice(Way::Session, "/getAuthorization"));
    assert!(found(&shelf, &alice(Way::Session, "/getAuthorization"), START));
    assert!(!found(&shelf, &alice(Way::Jwt, "/getAuthorization"), START));
    assert!(!found(&shelf, &alice(Way::Session, "/other"), START));
}

#[test]
fn a_name_belongs_to_one_tenant() {
    let mut world = world();
    let theirs = Role { tenant: "other".into(), ..(*world.plan.roles[0]).clone() };
    world.plan.roles.push(Arc::new(theirs));
    let of = |tenant: &str| {
        let tenant = world.plan.tenants.iter().find(|one| one.name == tenant).unwrap().clone();
        let visitor = visitor(&world, Way::Session, Some(subject("alice")));
        let caller = Caller::for_test(tenant, Proof::Visitor(Box::new(visitor)));
        decide(&world.directory(), &caller, "/getAuthorization", &plain())
    };
    let (shelf, _) = kept(&of("acme"));
    assert!(found(&shelf, &of("acme"), START));
    assert!(!found(&shelf, &of("other"), START), "at the same path, with the same role");
}

#[test]
fn what_is_decided_otherwise_today_is_made_anew() {
    type Undo = fn(&mut World);
    let changes: [Undo; 11] = [
        |world| role(world).lifetime.default = LIFE - 1,
        |world| {
            let policy = allow(Language::Cam, "cos:GetObject", "qcs::cos::uid/1:b-1/{class}/*");
            role(world).policy = Some(Template::new(policy, &role(world).variables.clone()).unwrap());
        },
        |world| {
            Arc::make_mut(&mut world.plan.tenants[0]).boundary =
                Some(allow(Language::Cam, "cos:PutObject", "qcs::cos::uid/1:b-1/7b/photos/*"));
        },
        |world| {
            let mut other = (*world.plan.roles[0]).clone();
            other.name = "other".into();
            world.plan.roles.push(Arc::new(other));
            Arc::make_mut(&mut world.plan.endpoints[0]).role = Some("other".into());
        },
        |world| role(world).issuer = "tencent".into(),
        |world| role(world).audience = Some("api://orders".into()),
        |world| role(world).app_roles = vec!["orders.read".into()],
        // Not in the policy, but in the record and in the answers of some protocols.
        |world| _ = role(world).variables.insert("subject".into(), VariableType::Slug),
        |world| _ = role(world).answer.insert("end_point_public".into(), "https://o.example".into()),
        |world| Arc::make_mut(&mut world.plan.tenants[0]).account = "100000000009".into(),
        |world| Arc::make_mut(&mut world.plan.tenants[0]).guid = Uuid::from_u128(9),
    ];
    let (shelf, _) = kept(&session(&world(), "alice"));
    for (number, change) in changes.into_iter().enumerate() {
        let mut world = world();
        change(&mut world);
        assert!(!found(&shelf, &session(&world, "alice"), START), "change {number}");
    }
    assert!(found(&shelf, &session(&world(), "alice"), START));
}

#[test]
fn what_is_asked_otherwise_today_is_made_anew() {
    let world = world();
    let (shelf, _) = kept(&session(&world, "alice"));
    let ask = |issue: Issue, class: &str| {
        let mut who = subject("alice");
        who.variables.insert("class".into(), class.into());
        let caller = caller(&world, visitor(&world, Way::Session, Some(who)));
        decide(&world.directory(), &caller, "/getAuthorization", &issue)
    };
    assert!(found(&shelf, &ask(plain(), "7b"), START));
    assert!(!found(&shelf, &ask(plain(), "7c"), START), "the variables");
    for issue in [
        Issue { kind: SessionKind::Assumed, ..plain() },
        Issue { lifetime: Some(900), ..plain() },
        Issue { tags: [("k".to_owned(), "v".to_owned())].into(), ..plain() },
        Issue { session: Some("lesson".into()), ..plain() },
        Issue { source_identity: Some("bob".into()), ..plain() },
        Issue {
            policy: Some(allow(Language::Cam, "cos:PutObject", "qcs::cos::uid/1:b-1/7b/photos/*")),
            ..plain()
        },
    ] {
        assert!(!found(&shelf, &ask(issue.clone(), "7b"), START), "{issue:?}");
    }
}

#[test]
fn the_key_and_the_client_behind_a_ticket_count() {
    let mut world = world();
    world.client.grants[0].bind = [("class".to_owned(), vec!["*".to_owned()])].into();
    let own = ticket(&world, "TKworld", &world.client);
    let (shelf, _) = kept(&own);
    assert!(found(&shelf, &own, START));
    assert!(!found(&shelf, &ticket(&world, "TKnew", &world.client), START), "after a rotation");
    let other = Client { guid: Uuid::from_u128(7), ..world.client.clone() };
    assert!(!found(&shelf, &ticket(&world, "TKworld", &other), START));
}

#[test]
fn what_was_taken_back_is_not_given_again() {
    let mut world = world();
    world.client.grants[0].bind = [("class".to_owned(), vec!["*".to_owned()])].into();
    let authorized = ticket(&world, "TKworld", &world.client);
    let (shelf, granted) = kept(&authorized);
    for scope in [
        Scope::Tenant("acme".into()),
        Scope::Client(world.client.guid),
        Scope::Key("TKworld".into()),
        Scope::Role { tenant: "acme".into(), role: "soe".into() },
        Scope::Subject { tenant: "acme".into(), subject: "alice".into() },
        Scope::Credential(granted.get().credential.id()),
    ] {
        let cut = |at| Cutoffs::new([Cutoff { scope: scope.clone(), before: at }]);
        assert!(shelf.find(&authorized, &cut(START), later(1)).is_none(), "{scope}");
        assert!(shelf.find(&authorized, &cut(before(START, 1)), later(1)).is_some(), "{scope}");
    }
    let other = Scope::Subject { tenant: "acme".into(), subject: "bob".into() };
    let other = Cutoffs::new([Cutoff { scope: other, before: START }]);
    assert!(shelf.find(&authorized, &other, later(1)).is_some());
}

#[test]
fn the_latest_replaces_the_one_before() {
    let world = world();
    let authorized = session(&world, "alice");
    let (shelf, first) = kept(&authorized);
    let second = grant(&authorized, later(900));
    shelf.keep(&authorized, &second, later(900));
    let got = shelf.find(&authorized, &Cutoffs::default(), later(901)).unwrap();
    assert!(Arc::ptr_eq(&got, &second) && !Arc::ptr_eq(&got, &first));
    assert_eq!(Arc::strong_count(&first), 1, "the older one's secret is gone with its last answer");
    assert_eq!(shelf.len(), 1);
}

/// Keeps an entry under a name, without deciding anything.
fn put(
    kept: &mut Kept,
    template: (&Authorized, &Arc<Recorded<Granted>>),
    name: String,
    until: u32,
    now: u32,
) {
    let (authorized, granted) = template;
    let whose = Whose { subject: name, ..Whose::of(authorized).unwrap() };
    kept.put(Arc::new(whose), What::of(authorized), granted.clone(), later(until), later(now));
}

#[test]
fn the_shelf_is_bounded_and_those_that_end_first_go_first() {
    let authorized = session(&world(), "alice");
    let (shelf, granted) = kept(&authorized);
    {
        let mut kept = shelf.0.lock();
        for (number, until) in (0..MOST - 1).zip(2000_u32..) {
            put(&mut kept, (&authorized, &granted), number.to_string(), until, 0);
        }
    }
    assert_eq!(shelf.len(), MOST);
    assert!(found(&shelf, &authorized, START), "it ends first, and there was room");
    put(&mut shelf.0.lock(), (&authorized, &granted), "one more".into(), 1500, 0);
    assert_eq!(shelf.len(), MOST);
    assert!(!found(&shelf, &authorized, START));
    // Another of the same subject takes no room from anyone.
    put(&mut shelf.0.lock(), (&authorized, &granted), "one more".into(), 9999, 0);
    assert_eq!(shelf.len(), MOST);
    // A time later some have run out; they go two at a time.
    put(&mut shelf.0.lock(), (&authorized, &granted), "later".into(), 9999, 3000);
    assert_eq!(shelf.len(), MOST - 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is kept and whenever: the tables agree, and nothing is given past its time.
    #[test]
    fn tables_agree_and_nothing_is_given_past_its_time(
        steps in prop::collection::vec((0_usize..4, -400_i64..900), 1..30),
    ) {
        let world = world();
        let subjects: Vec<_> = ["a", "b", "c", "d"].map(|name| session(&world, name)).into();
        let shelf = Shelf::default();
        let mut now = START;
        for (who, wait) in steps {
            now += crate::clock::SignedDuration::from_secs(wait);
            match shelf.find(&subjects[who], &Cutoffs::default(), now) {
                Some(granted) => {
                    let left = granted.get().expires.duration_since(now).as_secs();
                    prop_assert!((i64::from(LIFE / PART)..=i64::from(LIFE + AHEAD)).contains(&left), "{left}");
                }
                None => shelf.keep(&subjects[who], &grant(&subjects[who], now), now),
            }
            prop_assert!(shelf.len() <= subjects.len());
        }
    }
}
