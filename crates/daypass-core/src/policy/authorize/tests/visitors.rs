//! Those who come without a key of their own, and those who name the role.

use super::*;
use crate::caller::Outside;
use crate::endpoint::{CallerRule, TicketRule};
use crate::identity::Subject;
use crate::provider::{KeySource, Provider};
use crate::role::Trust;
use crate::ticket::Pass;

/// A role whose policy has `{subject}` and `{class}` in it.
fn with_own_folder(world: &mut World) {
    change_role(world, "soe", |role| {
        role.variables = ["subject", "class"].map(|name| (name.to_owned(), VariableType::Slug)).into();
        let policy = allow(Language::Cam, "cos:PutObject", "qcs::cos:*:uid/1:b-1/{class}/{subject}/*");
        role.policy = Some(Template::new(policy, &role.variables).unwrap());
    });
}

fn subject(name: &str, class: &str) -> Subject {
    Subject { name: name.into(), variables: [("class".to_owned(), class.to_owned())].into() }
}

fn visitor(world: &World, subject: Subject, ticket: Option<(Pass, Arc<crate::client::Client>)>) -> Caller {
    let way = if ticket.is_some() { Way::Ticket } else { Way::Session };
    let visitor = Visitor { endpoint: world.plan.endpoints[0].clone(), way, subject: Some(subject), ticket };
    Caller::for_test(world.plan.tenants[0].clone(), Proof::Visitor(Box::new(visitor)))
}

fn ticket_of(world: &World, subject: Subject) -> Caller {
    let pass = Pass {
        id: "ticket-1".into(),
        client: world.client.guid,
        key: "TKworld".into(),
        endpoint: "/getAuthorization".into(),
        origin: "http://127.0.0.1:88".into(),
        subject: subject.clone(),
        number: 0,
        expires: START,
        begun: None,
    };
    visitor(world, subject, Some((pass, Arc::new(world.client.clone()))))
}

fn outside(world: &World, name: &str) -> Caller {
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
    let outside = Outside { provider: Arc::new(provider), subject: subject(name, "7b") };
    Caller::for_test(world.plan.tenants[0].clone(), Proof::Outside(Box::new(outside)))
}

fn get(world: &World, caller: &Caller, issue: &Issue) -> Result<Authorized, Refusal> {
    authorize(&world.directory(), caller, "/getAuthorization", issue)
}

fn reason(got: Result<Authorized, Refusal>) -> Option<Reason> {
    got.err().map(|refusal| refusal.reason)
}

#[test]
fn each_visitor_gets_a_policy_of_its_own() {
    let mut world = World::new();
    with_own_folder(&mut world);
    let of = |name| get(&world, &visitor(&world, subject(name, "7b"), None), &issue(RoleChoice::Endpoint));
    let authorized = of("ann").unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(resources(&authorized), ["qcs::cos:*:uid/1:b-1/7b/ann/*"]);
    assert_eq!((authorized.subject(), authorized.via()), (Some("ann"), Some("session")));
    assert_eq!(resources(&of("bob").unwrap_or_else(|r| panic!("{r:?}"))), ["qcs::cos:*:uid/1:b-1/7b/bob/*"]);
    for wider in ["*", "ann/../bob", "ann*", "a b", ""] {
        assert_eq!(reason(of(wider)), Some(Reason::VariableRefused), "{wider}");
    }
}

#[test]
fn what_the_protocol_says_never_fills_a_visitors_variables() {
    let mut world = World::new();
    with_own_folder(&mut world);
    let forged = [("subject".to_owned(), "bob".to_owned()), ("class".to_owned(), "8a".to_owned())];
    let issue = Issue { variables: forged.into(), ..issue(RoleChoice::Endpoint) };
    let authorized = get(&world, &visitor(&world, subject("ann", "7b"), None), &issue);
    let authorized = authorized.unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(resources(&authorized), ["qcs::cos:*:uid/1:b-1/7b/ann/*"]);
}

#[test]
fn a_missing_fact_about_a_visitor_is_named() {
    let mut world = World::new();
    with_own_folder(&mut world);
    let nameless = Subject { name: "ann".into(), variables: BTreeMap::new() };
    let refusal = get(&world, &visitor(&world, nameless, None), &issue(RoleChoice::Endpoint)).err().unwrap();
    assert_eq!((refusal.reason, refusal.parameter.as_deref()), (Reason::MissingParameter, Some("class")));
    assert!(refusal.detail.contains("the variable class"), "{}", refusal.detail);
}

#[test]
fn a_ticket_fetches_no_more_than_its_maker_may_have() {
    let mut world = World::new();
    with_own_folder(&mut world);
    let of = |world: &World, class| {
        get(world, &ticket_of(world, subject("ann", class)), &issue(RoleChoice::Endpoint))
    };
    assert_eq!(reason(of(&world, "7b")), Some(Reason::VariableRefused), "the grant binds nothing yet");
    let bind = |subject: &str, class: &str| {
        [("subject", subject), ("class", class)].map(|(k, v)| (k.to_owned(), vec![v.to_owned()])).into()
    };
    world.client.grants = vec![Grant { bind: bind("*", "7b"), ..Grant::of("soe") }];
    let authorized = of(&world, "7b").unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.client(), Some(world.client.guid));
    assert_eq!(authorized.key(), Some("TKworld"));
    assert_eq!(reason(of(&world, "8a")), Some(Reason::VariableRefused), "another class is not its own");
    world.client.grants.clear();
    assert_eq!(reason(of(&world, "7b")), Some(Reason::RoleNotGranted));
}

#[test]
fn a_ticket_is_made_by_whom_it_would_be_served_to() {
    let mut world = World::new();
    let ask = TicketAsk {
        endpoint: "/getAuthorization".into(),
        subject: subject("ann", "7b"),
        origin: "http://127.0.0.1:88".into(),
    };
    let make = |world: &World, ask: &TicketAsk| {
        authorize_ticket(&world.directory(), &world.caller("AKIDworld"), ask).err().map(|r| r.reason)
    };
    assert_eq!(make(&world, &ask), Some(Reason::RoleNotGranted), "the endpoint takes no tickets");
    let rule = CallerRule::Ticket(TicketRule { refreshes: 1, refresh_for: 60 });
    Arc::make_mut(&mut world.plan.endpoints[0]).callers = vec![rule];
    assert_eq!(make(&world, &ask), None);
    let elsewhere = TicketAsk { endpoint: "/router/rest".into(), ..ask.clone() };
    assert_eq!(make(&world, &elsewhere), Some(Reason::RoleNotGranted));
    Arc::make_mut(&mut world.plan.endpoints[0]).tenant = "other".into();
    assert_eq!(
        make(&world, &ask),
        Some(Reason::RoleNotGranted),
        "another tenant's endpoint, with a role of that name"
    );
    Arc::make_mut(&mut world.plan.endpoints[0]).tenant = "acme".into();
    with_own_folder(&mut world);
    assert_eq!(make(&world, &ask), Some(Reason::VariableRefused));
    world.client.grants.clear();
    assert_eq!(make(&world, &ask), Some(Reason::RoleNotGranted));
}

#[test]
fn a_client_names_a_role_that_it_was_granted() {
    let world = World::new();
    let of = |name: &str| ask(&world, &issue(RoleChoice::Named(name.into())));
    assert_eq!(of("soe").map(|a| a.role().to_owned()), Ok("soe".to_owned()));
    assert_eq!(of("nothing").err(), of("another-tenants").err());
    assert_eq!(of("nothing").err().map(|r| r.reason), Some(Reason::RoleNotGranted));
}

#[test]
fn an_outside_subject_names_a_role_that_trusts_it() {
    let mut world = World::new();
    let of = |world: &World, name: &str, role: &str| {
        get(world, &outside(world, name), &issue(RoleChoice::Named(role.into())))
    };
    assert_eq!(reason(of(&world, "repo:acme/web", "soe")), Some(Reason::NoTrust));
    let trust =
        |provider: &str| Trust { provider: provider.into(), subjects: vec![Pattern::parse("repo:acme/*")] };
    change_role(&mut world, "soe", |role| role.trusts = vec![trust("other")]);
    assert_eq!(reason(of(&world, "repo:acme/web", "soe")), Some(Reason::NoTrust), "of another provider");
    change_role(&mut world, "soe", |role| role.trusts.push(trust("corp")));
    let authorized = of(&world, "repo:acme/web", "soe").unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.via(), Some("web-identity:corp"));
    assert_eq!((authorized.client(), authorized.subject()), (None, Some("repo:acme/web")));
    let (other, nowhere) = (of(&world, "repo:evil/web", "soe"), of(&world, "repo:acme/web", "nothing"));
    assert_eq!(other.as_ref().err(), nowhere.as_ref().err(), "a role that is not there answers the same");
    assert_eq!(reason(other), Some(Reason::NoTrust));
}

#[test]
fn an_external_id_is_asked_of_every_client_in_every_way() {
    let mut world = World::new();
    change_role(&mut world, "soe", |role| role.external_id = Some("customer-7".into()));
    for choice in [RoleChoice::Default, RoleChoice::Named("soe".into())] {
        for (sent, expected) in [
            (None, Some(Reason::ExternalIdMismatch)),
            (Some("customer-8"), Some(Reason::ExternalIdMismatch)),
            (Some(""), Some(Reason::ExternalIdMismatch)),
            (Some("customer-7"), None),
        ] {
            let issue = Issue { external_id: sent.map(str::to_owned), ..issue(choice.clone()) };
            let got = ask(&world, &issue).err();
            assert_eq!(got.as_ref().map(|r| r.reason), expected, "{choice:?} {sent:?}");
            assert!(!format!("{got:?}").contains("customer"), "the right one is told to nobody");
        }
    }
}

#[test]
fn whom_a_role_trusts_needs_no_external_id() {
    let mut world = World::new();
    change_role(&mut world, "soe", |role| {
        role.external_id = Some("customer-7".into());
        role.trusts = vec![Trust { provider: "corp".into(), subjects: vec![Pattern::parse("repo:acme/*")] }];
    });
    let got = get(&world, &outside(&world, "repo:acme/app"), &issue(RoleChoice::Named("soe".into())));
    assert_eq!(reason(got), None, "the protocol has no place for one");
}

#[test]
fn a_refusal_says_what_the_role_gives_instead() {
    let mut world = World::new();
    change_role(&mut world, "soe", |role| {
        let mut policy = allow(Language::Cam, "cos:Get*", "qcs::cos:*:uid/1:a-1/*");
        let second = allow(Language::Cam, "cos:PutObject", "qcs::cos:*:uid/1:b-1/*");
        policy.statements.extend(second.statements);
        role.policy = Some(Template::new(policy, &BTreeMap::new()).unwrap());
    });
    let said = |action, resource| {
        let asked = allow(Language::Cam, action, resource);
        let refusal = refused(&world, &Issue { policy: Some(asked), ..issue(RoleChoice::Default) });
        assert_eq!(refusal.reason, Reason::PolicyTooWide);
        refusal.detail.rsplit_once(": ").unwrap().1.to_owned() + &refusal.detail
    };
    assert!(said("cos:GetObject", "*").contains("it gives this action on qcs::cos:*:uid/1:a-1/*"));
    assert!(said("cos:DeleteObject", "*").contains("it gives cos:Get*, cos:PutObject"));
}
