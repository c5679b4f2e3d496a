use super::*;
use crate::client::Grant;
use crate::cutoff::Cutoff;
use crate::standing::key_print;
use crate::testing::{RESOURCE, START, World, before, later, secret_key};
use serde_json::json;

/// The key that the world's client asked with.
fn key() -> String {
    Uuid::from_u128(0x5ec).to_string()
}

/// A token that the world's client got a minute ago.
fn token(world: &World) -> OwnToken {
    OwnToken {
        id: Uuid::from_u128(0x1d),
        tenant: "acme".into(),
        client: world.client.guid,
        subject: None,
        key: Some(key_print(&key())),
        origin: None,
        earlier: vec![],
        origin_keys: vec![],
        audience: RESOURCE.into(),
        app_roles: vec!["orders.read".into()],
        issued: before(START, 60),
        expires: later(60),
        confirmation: None,
        actor: None,
    }
}

fn check(world: &World, token: &OwnToken) -> Result<(), Fallen> {
    standing_of_token(&world.directory(), token, START)
}

/// A second role of the same resource, with these app roles.
fn second_role(world: &mut World, app_roles: &[&str]) {
    let first = world.plan.roles.iter().find(|role| role.name == "devcenter").unwrap();
    let app_roles = app_roles.iter().map(|role| (*role).to_owned()).collect();
    world.plan.roles.push(Arc::new(Role { name: "second".into(), app_roles, ..Role::clone(first) }));
}

#[test]
fn it_stands_until_its_last_instant() {
    let world = World::new();
    let token = token(&world);
    assert_eq!(check(&world, &token), Ok(()));
    let at = |now| standing_of_token(&world.directory(), &token, now);
    assert_eq!(at(before(token.expires, 1)), Ok(()));
    assert_eq!(at(token.expires), Err(Fallen::Expired));
}

#[test]
fn it_falls_with_whatever_it_was_made_on() {
    type Undo = fn(&mut World);
    let cases: [(Undo, Fallen); 11] = [
        (|world| world.client.enabled = false, Fallen::Client),
        (|world| world.client.guid = Uuid::from_u128(1), Fallen::Client),
        (|world| world.client.tenant = "other".into(), Fallen::Client),
        (|world| world.keys[2].enabled = false, Fallen::Key),
        (|world| world.keys[2].expires = Some(START), Fallen::Key),
        (|world| world.keys[2].starts = Some(later(1)), Fallen::Key),
        (|world| world.keys[2].client = Uuid::from_u128(1), Fallen::Key),
        (|world| world.client.grants.retain(|grant| grant.role != "devcenter"), Fallen::Grant),
        (|world| Arc::make_mut(&mut world.plan.roles[2]).app_roles.clear(), Fallen::Grant),
        (|world| world.plan.roles.retain(|role| role.name != "devcenter"), Fallen::Role),
        (|world| world.plan.tenants.retain(|tenant| tenant.name != "acme"), Fallen::Tenant),
    ];
    let token = token(&World::new());
    for (undo, fallen) in cases {
        let mut world = World::new();
        undo(&mut world);
        assert_eq!(check(&world, &token), Err(fallen));
    }
}

#[test]
fn the_key_is_one_of_its_client_for_oauth() {
    let mut world = World::new();
    let other = Uuid::from_u128(0x00e4);
    world.keys.push(secret_key(other, Uuid::from_u128(1)));
    let mut token = token(&world);
    for key in [Some("AKIDworld".to_owned()), Some(other.to_string()), Some(Uuid::nil().to_string()), None] {
        token.key = key.as_deref().map(key_print);
        assert_eq!(check(&world, &token), Err(Fallen::Key), "{key:?}");
    }
    token.key = Some(key());
    assert_eq!(check(&world, &token), Err(Fallen::Key), "the id itself is no print");
}

#[test]
fn every_app_role_must_still_be_given() {
    let mut world = World::new();
    second_role(&mut world, &["orders.write"]);
    let mut token = token(&world);
    token.app_roles.push("orders.write".into());
    assert_eq!(check(&world, &token), Err(Fallen::Grant), "one of two is not granted");
    world.client.grants.push(Grant::of("second"));
    assert_eq!(check(&world, &token), Ok(()));
    token.app_roles = vec![];
    assert_eq!(check(&world, &token), Ok(()), "a resource without app roles");
    world.client.grants.clear();
    assert_eq!(check(&world, &token), Err(Fallen::Grant));
}

#[test]
fn it_speaks_for_a_client_that_could_have_had_it() {
    let mut world = World::new();
    let subject = Client { guid: Uuid::from_u128(0xb1), name: "subject".into(), ..world.client.clone() };
    let exchanged = OwnToken { subject: Some(subject.guid), ..token(&world) };
    assert_eq!(check(&world, &exchanged), Err(Fallen::Client));
    world.others.push(subject);
    assert_eq!(check(&world, &exchanged), Ok(()));
    world.others[0].grants.clear();
    assert_eq!(check(&world, &exchanged), Err(Fallen::Grant));
    world.others[0].grants = world.client.grants.clone();
    world.others[0].enabled = false;
    assert_eq!(check(&world, &exchanged), Err(Fallen::Client));
    world.others[0].enabled = true;
    world.client.grants.clear();
    assert_eq!(
        check(&world, &exchanged),
        Err(Fallen::Grant),
        "nor does the one that asked have it by another"
    );
}

#[test]
fn a_cut_off_of_any_of_its_scopes_takes_it_back() {
    let build = || {
        let mut world = World::new();
        second_role(&mut world, &["orders.read"]);
        for (number, name) in [(0xb1, "subject"), (0xb2, "middle")] {
            let (guid, object) = (Uuid::from_u128(number), Uuid::from_u128(number << 8));
            world.others.push(Client { guid, object, name: name.into(), ..world.client.clone() });
        }
        let actor = json!({"client_id": world.client.guid, "act": {"client_id": world.others[1].guid}});
        let token = OwnToken {
            subject: Some(world.others[0].guid),
            origin: Some(Uuid::from_u128(0xf1)),
            earlier: vec![Uuid::from_u128(0xf2), Uuid::from_u128(0xf3)],
            actor: Some(actor),
            ..token(&world)
        };
        (world, token)
    };
    let (world, token) = build();
    assert_eq!(check(&world, &token), Ok(()));
    let role = |role: &str| Scope::Role { tenant: "acme".into(), role: role.into() };
    let subject =
        |number: u128| Scope::Subject { tenant: "acme".into(), subject: Uuid::from_u128(number).to_string() };
    let mut every = vec![
        Scope::All,
        Scope::Tenant("acme".into()),
        Scope::Key(key()),
        role("devcenter"),
        // It gives the same app role, so that the token may have been made in it.
        role("second"),
        subject(0xb1 << 8),
    ];
    every.extend([world.client.guid, Uuid::from_u128(0xb1), Uuid::from_u128(0xb2)].map(Scope::Client));
    every.extend([0x1d, 0xf1, 0xf2, 0xf3].map(|id| Scope::Credential(Uuid::from_u128(id).to_string())));
    for scope in every {
        let (mut world, token) = build();
        world.cutoffs = vec![Cutoff { scope: scope.clone(), before: before(token.issued, 1) }];
        assert_eq!(check(&world, &token), Ok(()), "{scope} before it was made");
        world.cutoffs = vec![Cutoff { scope: scope.clone(), before: token.issued }];
        assert_eq!(check(&world, &token), Err(Fallen::Cut(scope)));
    }
    for scope in [
        Scope::Tenant("other".into()),
        Scope::Key("AKIDworld".into()),
        Scope::Client(Uuid::from_u128(0xb3)),
        role("soe"),
        subject(0xb0b),
        Scope::Credential(key()),
    ] {
        let (mut world, token) = build();
        world.cutoffs = vec![Cutoff { scope: scope.clone(), before: START }];
        assert_eq!(check(&world, &token), Ok(()), "{scope}");
    }
}

#[test]
fn a_role_that_gives_none_of_its_app_roles_does_not_take_it_along() {
    let mut world = World::new();
    second_role(&mut world, &["orders.write"]);
    world.client.grants.push(Grant::of("second"));
    let scope = Scope::Role { tenant: "acme".into(), role: "second".into() };
    world.cutoffs = vec![Cutoff { scope, before: START }];
    assert_eq!(check(&world, &token(&world)), Ok(()));
    let whole = OwnToken { app_roles: vec![], ..token(&world) };
    assert!(matches!(check(&world, &whole), Err(Fallen::Cut(_))), "whichever role it was");
}

#[test]
fn a_client_that_it_went_through_is_enabled() {
    let mut world = World::new();
    let middle = Client { guid: Uuid::from_u128(0xb2), name: "middle".into(), ..world.client.clone() };
    let actor = json!({"client_id": world.client.guid, "act": {"client_id": middle.guid}});
    let exchanged = OwnToken { actor: Some(actor), ..token(&world) };
    assert_eq!(check(&world, &exchanged), Err(Fallen::Client));
    world.others.push(middle);
    assert_eq!(check(&world, &exchanged), Ok(()));
    world.others[0].enabled = false;
    assert_eq!(check(&world, &exchanged), Err(Fallen::Client));
}

#[test]
fn it_falls_with_each_key_that_a_token_before_it_was_asked_for_with() {
    let mut world = World::new();
    let subject = Client { guid: Uuid::from_u128(0xb1), name: "subject".into(), ..world.client.clone() };
    let secret = Uuid::from_u128(0x5ec2);
    world.keys.push(secret_key(secret, subject.guid));
    let exchanged = OwnToken {
        subject: Some(subject.guid),
        origin: Some(Uuid::from_u128(0xf1)),
        origin_keys: vec![key_print(&secret.to_string())],
        ..token(&world)
    };
    world.others.push(subject);
    assert_eq!(check(&world, &exchanged), Ok(()));
    let scope = Scope::Key(secret.to_string());
    world.cutoffs = vec![Cutoff { scope: scope.clone(), before: exchanged.issued }];
    assert_eq!(check(&world, &exchanged), Err(Fallen::Cut(scope)));
    world.cutoffs.clear();
    world.keys.last_mut().unwrap().enabled = false;
    assert_eq!(check(&world, &exchanged), Err(Fallen::Key));
}
