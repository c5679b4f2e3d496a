//! How long what a grant gives may live.

use super::*;

/// The world, whose client has these caps on the default role, and on two grants of the upload role: of the store 8005 and
/// of any.
fn capped(soe: Option<u32>, hema: Option<u32>, any: Option<u32>) -> World {
    let mut world = World::new();
    world.client.grants[0].lifetime = soe;
    world.client.grants[1].lifetime = hema;
    world.client.grants[1].bind.insert("poi_id".into(), vec!["8005".into()]);
    let mut other = world.client.grants[1].clone();
    other.lifetime = any;
    other.bind.insert("poi_id".into(), vec!["*".into()]);
    world.client.grants.push(other);
    world
}

fn lifetime(world: &World, issue: &Issue) -> u32 {
    ask(world, issue).unwrap_or_else(|refusal| panic!("{refusal:?}")).lifetime()
}

fn asking(issue: Issue, seconds: u32) -> Issue {
    Issue { lifetime: Some(seconds), ..issue }
}

#[test]
fn the_cap_of_a_grant_bounds_what_is_usual_and_what_may_be_asked_for() {
    let default = || issue(RoleChoice::Default);
    let world = capped(Some(600), None, None);
    assert_eq!(lifetime(&world, &default()), 600, "the role would give 1800");
    assert_eq!(lifetime(&world, &asking(default(), 600)), 600);
    let refusal = refused(&world, &asking(default(), 601));
    assert_eq!(refusal.reason, Reason::LifetimeTooLong);
    assert!(refusal.detail.contains("at most 600 seconds"), "{}", refusal.detail);
    let named = issue(RoleChoice::Named("soe".into()));
    assert_eq!(lifetime(&world, &named), 600, "in whatever way it is asked for");
    let wide = capped(Some(3600), None, None);
    assert_eq!(lifetime(&wide, &default()), 1800, "a cap lengthens nothing");
    assert_eq!(refused(&wide, &asking(default(), 7200)).reason, Reason::LifetimeTooLong);
    let beyond = capped(Some(u32::MAX), None, None);
    assert_eq!(
        refused(&beyond, &asking(default(), 7201)).reason,
        Reason::LifetimeTooLong,
        "nor does a long one"
    );
}

#[test]
fn only_grants_that_allow_the_values_count() {
    let hema = || upload(&[("tenant_code", "hema"), ("poi_id", "8005")]);
    let other = || upload(&[("tenant_code", "hema"), ("poi_id", "9999")]);
    let world = capped(None, Some(900), Some(60));
    assert_eq!(lifetime(&world, &hema()), 900, "either would do, and the longer one allows it");
    assert_eq!(lifetime(&world, &other()), 60);
    let world = capped(None, Some(900), None);
    assert_eq!(lifetime(&world, &hema()), 3600);
    let world = capped(None, None, Some(60));
    assert_eq!(lifetime(&world, &hema()), 3600);
    assert_eq!(refused(&world, &asking(other(), 61)).reason, Reason::LifetimeTooLong);
}

#[test]
fn a_visitor_of_an_endpoint_has_no_grant_to_be_capped_by() {
    let world = capped(Some(1), None, None);
    let visitor = Visitor {
        endpoint: world.plan.endpoints[0].clone(),
        way: Way::Anonymous,
        subject: None,
        ticket: None,
    };
    let caller = Caller::for_test(world.plan.tenants[0].clone(), Proof::Visitor(Box::new(visitor)));
    let given = authorize(&world.directory(), &caller, "/", &issue(RoleChoice::Endpoint));
    assert_eq!(given.unwrap_or_else(|refusal| panic!("{refusal:?}")).lifetime(), 1800);
}
