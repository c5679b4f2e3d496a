use super::*;
use daypass_core::policy::{Language, Template};
use daypass_core::role::Lifetime;
use daypass_core::testing::{RESOURCE, START, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A record of the world's client with this event.
pub(in crate::cli::replay) fn recorded(world: &World, event: &Value) -> Record {
    Record {
        event: serde_json::from_value(event.clone()).unwrap(),
        client: Some(world.client.guid),
        request: Some(Uuid::from_u128(0xa1)),
        ..Record::change(Uuid::from_u128(1), START, Some("acme".into()), "", "")
    }
}

/// A grant that was asked for so.
pub(in crate::cli::replay) fn granted(world: &World, asked: &Value) -> Record {
    recorded(world, &json!({ "event": "grant", "credential": "AKID1", "expires": START, "asked": asked }))
}

/// A refusal of what was asked for so.
pub(in crate::cli::replay) fn refused(world: &World, asked: &Value) -> Record {
    recorded(
        world,
        &json!({ "event": "refusal", "reason": "role_not_granted", "detail": "no", "asked": asked }),
    )
}

pub(in crate::cli::replay) fn soe() -> Value {
    json!({ "role": { "named": "soe" }, "form": "tencent" })
}

fn token() -> Value {
    json!({ "role": { "resource": RESOURCE } })
}

/// Changes a role of a world.
pub(in crate::cli::replay) fn with(world: &World, name: &str, change: impl Fn(&mut Role)) -> World {
    let mut other = World::new();
    (other.client, other.plan) = (world.client.clone(), world.plan.clone());
    for role in other.plan.roles.iter_mut().filter(|role| role.name == name) {
        change(Arc::make_mut(role));
    }
    other
}

pub(in crate::cli::replay) fn policy(role: &mut Role, action: &str, resource: &str) {
    role.policy = Some(Template::new(allow(Language::Cam, action, resource), &BTreeMap::new()).unwrap());
}

/// The kind and the respects, or `same granted`, `same refused`, `unknown WHY`.
fn told(present: &World, proposed: &World, record: &Record) -> String {
    match outcome(&present.directory(), &proposed.directory(), record) {
        Outcome::Same { granted: true } => "same granted".to_owned(),
        Outcome::Same { granted: false } => "same refused".to_owned(),
        Outcome::Differs(kind, what) => format!("{}: {what}", kind.name()),
        Outcome::Unknown(why) => format!("unknown {why}"),
    }
}

#[test]
fn nothing_changes_where_nothing_is_changed() {
    let world = World::new();
    assert_eq!(told(&world, &world, &granted(&world, &soe())), "same granted");
    assert_eq!(told(&world, &world, &granted(&world, &token())), "same granted");
    let none = json!({ "role": { "named": "none" }, "form": "tencent" });
    assert_eq!(told(&world, &world, &refused(&world, &none)), "same refused");
}

#[test]
fn what_opens_and_what_closes() {
    let world = World::new();
    let mut without = with(&world, "soe", |_| {});
    without.plan.roles.retain(|role| role.name != "soe");
    let record = granted(&world, &soe());
    assert_eq!(told(&world, &without, &record), "close: refused role_not_granted");
    assert_eq!(told(&without, &world, &record), "open: no longer refused role_not_granted");
    let mut nobody = with(&world, "soe", |_| {});
    nobody.plan.tenants.retain(|tenant| tenant.name != "acme");
    nobody.plan.roles.clear();
    nobody.plan.endpoints.clear();
    assert_eq!(told(&world, &nobody, &record), "close: refused because the tenant is not configured");
    let asked = json!({ "role": { "named": "soe" }, "form": "tencent", "lifetime": 3600 });
    let short = with(&world, "soe", |role| role.lifetime = Lifetime { default: 60, max: 60 });
    assert_eq!(told(&world, &short, &granted(&world, &asked)), "close: refused lifetime_too_long");
}

#[test]
fn less_and_more_are_told_apart() {
    let world = World::new();
    let record = granted(&world, &soe());
    let short = with(&world, "soe", |role| role.lifetime = Lifetime { default: 60, max: 60 });
    let wide = with(&world, "soe", |role| policy(role, "soe:*", "*"));
    let both = with(&wide, "soe", |role| role.lifetime = Lifetime { default: 60, max: 60 });
    let other = with(&world, "soe", |role| policy(role, "cos:GetObject", "*"));
    assert_eq!(told(&world, &short, &record), "narrower: it lives 60 seconds, not 1800");
    assert_eq!(told(&short, &world, &record), "wider: it lives 1800 seconds, not 60");
    assert_eq!(told(&world, &wide, &record), "wider: its policy is wider");
    assert_eq!(told(&wide, &world, &record), "narrower: its policy is narrower");
    assert_eq!(told(&world, &both, &record), "different: it lives 60 seconds, not 1800; its policy is wider");
    assert_eq!(told(&world, &other, &record), "different: its policy is another one");
}

#[test]
fn tokens_are_compared_by_their_app_roles_and_claims() {
    let world = World::new();
    let record = granted(&world, &token());
    let more = with(&world, "devcenter", |role| role.app_roles.push("orders.write".into()));
    assert_eq!(told(&world, &more, &record), "wider: with the app roles orders.write as well");
    assert_eq!(told(&more, &world, &record), "narrower: without the app roles orders.write");
    let rsa = with(&world, "devcenter", |role| role.algorithm = daypass_core::role::Algorithm::Rs256);
    assert_eq!(told(&world, &rsa, &record), "different: signed with another algorithm");
    let renamed = with(&world, "devcenter", |role| role.issuer = "elsewhere".into());
    assert_eq!(told(&world, &renamed, &record), "different: made by another issuer");
}

#[test]
fn an_address_that_is_gone_and_a_weak_proof_that_is_refused_close() {
    let world = World::new();
    let elsewhere = || with(&world, "soe", |_| {});
    let mut moved = elsewhere();
    moved.plan.tenants.iter_mut().for_each(|tenant| Arc::make_mut(tenant).guid = Uuid::from_u128(7));
    let at = |dialect: &str| Record { dialect: Some(dialect.into()), ..granted(&world, &token()) };
    assert!(
        told(&world, &moved, &at("entra")).starts_with("close: refused because the tenant has another guid")
    );
    assert_eq!(told(&world, &world, &at("entra")), "same granted");
    assert_eq!(told(&world, &moved, &granted(&world, &soe())), "same granted", "no address of an STS has it");
    let mut strict = elsewhere();
    strict.plan.refuses.md5 = true;
    for (weak, told_of_it) in
        [("md5", "close: refused weak_proof_refused"), ("unsigned-payload", "same granted")]
    {
        let record = Record { weak: Some(weak.into()), ..granted(&world, &soe()) };
        assert_eq!(told(&world, &strict, &record), told_of_it);
        assert!(told(&strict, &strict, &record).starts_with("same"));
    }
}

#[test]
fn credentials_that_say_something_else_of_their_origin_differ() {
    let world = World::new();
    let mut renamed = with(&world, "soe", |_| {});
    renamed.plan.public_url = "https://elsewhere.example.com".into();
    renamed.plan.tenants.iter_mut().for_each(|tenant| Arc::make_mut(tenant).account = "100000000002".into());
    assert_eq!(told(&world, &renamed, &granted(&world, &soe())), "different: of another account");
    assert!(told(&world, &renamed, &granted(&world, &token())).starts_with("different: with another `iss`"));
}

#[test]
fn what_a_record_does_not_hold_is_not_asked() {
    let world = World::new();
    let older = recorded(&world, &json!({ "event": "grant", "credential": "AKID1", "expires": START }));
    assert!(told(&world, &world, &older).starts_with("unknown an older version"));
    let exchange = json!({ "role": { "resource": RESOURCE }, "exchange": true });
    assert!(told(&world, &world, &granted(&world, &exchange)).starts_with("unknown it was an exchange"));
}
