use super::*;
use daypass_core::testing::{RESOURCE, START, World};
use serde_json::{Value, json};

fn record(world: &World, role: Option<&str>, event: &Value) -> Record {
    Record {
        event: serde_json::from_value(event.clone()).unwrap(),
        client: Some(world.client.guid),
        role: role.map(str::to_owned),
        ..Record::change(Uuid::from_u128(1), START, Some("acme".into()), "", "")
    }
}

fn grant(more: &Value) -> Value {
    let mut event = json!({ "event": "grant", "credential": "c", "expires": START });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn usage(world: &World, records: &[Record]) -> Usage {
    let directory = world.directory();
    let mut usage = Usage::default();
    for record in records {
        usage.take(&directory, record);
    }
    usage
}

fn role(world: &World, name: &str) -> Role {
    (**world.plan.roles.iter().find(|role| role.name == name).unwrap()).clone()
}

#[test]
fn a_grant_uses_the_role_and_the_grant_of_its_client() {
    let world = World::new();
    let found = usage(&world, &[record(&world, Some("soe"), &grant(&json!({})))]);
    assert!(found.knows(&world.client));
    assert!(found.role(&role(&world, "soe")) && found.grant_of(&world.client, &role(&world, "soe")));
    assert!(!found.role(&role(&world, "store-upload")));
    let other = Client { guid: Uuid::from_u128(9), ..world.client.clone() };
    assert!(!found.knows(&other) && !found.grant_of(&other, &role(&world, "soe")));
    let again = record(&world, Some("soe"), &grant(&json!({ "repeat": true })));
    assert!(!usage(&world, &[again]).role(&role(&world, "soe")), "a copy for a retry is none of its own");
}

#[test]
fn a_token_uses_every_role_whose_app_roles_it_has() {
    let mut world = World::new();
    let second =
        Role { name: "writer".into(), app_roles: vec!["orders.write".into()], ..role(&world, "devcenter") };
    world.plan.roles.push(second.clone().into());
    let token = |app_roles: &[&str]| {
        let event = grant(&json!({ "audience": RESOURCE, "app_roles": app_roles }));
        usage(&world, &[record(&world, Some("devcenter"), &event)])
    };
    let both = token(&["orders.read", "orders.write"]);
    assert!(both.role(&second) && both.grant_of(&world.client, &second));
    let one = token(&["orders.read"]);
    assert!(!one.role(&second) && !one.grant_of(&world.client, &second));
    assert!(one.app_role(&second, "orders.read") && !one.app_role(&second, "orders.write"));
}

#[test]
fn refusals_are_counted_for_the_role_that_was_meant() {
    let world = World::new();
    let product = json!({ "path": "/router/rest", "product_code": "oss", "scene_code": "app-upload", "usage_scene": "upload" });
    let refusals = [
        json!("default"),
        json!({ "named": "soe" }),
        json!({ "endpoint": "/getAuthorization" }),
        json!({ "endpoint": "/nowhere" }),
        json!({ "product": product }),
        json!({ "resource": RESOURCE }),
    ];
    let refusal = |role: &Value| {
        let event = json!({ "event": "refusal", "reason": "x", "detail": "x", "asked": { "role": role } });
        record(&world, None, &event)
    };
    let found = usage(&world, &refusals.iter().map(refusal).collect::<Vec<_>>());
    assert_eq!(found.refused(&role(&world, "soe")), 3);
    assert_eq!(found.refused(&role(&world, "store-upload")), 1);
    assert!(!found.role(&role(&world, "soe")), "whoever is refused has got nothing");
}

#[test]
fn changes_and_exchanges_are_remembered() {
    let world = World::new();
    let change = json!({ "event": "change", "action": "client.grant", "object": "app soe devcenter" });
    let exchange = grant(
        &json!({ "audience": RESOURCE, "asked": { "role": { "resource": RESOURCE }, "exchange": true } }),
    );
    let found = usage(&world, &[record(&world, None, &change), record(&world, Some("devcenter"), &exchange)]);
    assert!(found.is_new(&world.client, &Grant::of("soe")));
    assert!(!found.is_new(&world.client, &Grant::of("store-upload")));
    let namesake = Client { tenant: "other".into(), ..world.client.clone() };
    assert!(!found.is_new(&namesake, &Grant::of("soe")));
    assert!(found.exchanged(&role(&world, "devcenter")) && !found.exchanged(&role(&world, "soe")));
}
