use super::*;
use crate::cli::replay::difference::tests::{granted, policy, recorded, refused, soe, with};
use daypass_core::role::Lifetime;
use daypass_core::testing::{START, World, later};

fn tally(present: &World, proposed: &World, records: &[Record]) -> Tally {
    let (present, proposed) = (present.directory(), proposed.directory());
    let mut tally = Tally::new(START);
    for record in records {
        tally.take(&present, &proposed, record);
    }
    tally
}

#[test]
fn asks_that_change_alike_are_one_group_with_the_newest_as_example() {
    let world = World::new();
    let mut without = with(&world, "soe", |_| {});
    without.plan.roles.retain(|role| role.name != "soe");
    let one = |n: u128, seconds| Record {
        at: later(seconds),
        request: Some(Uuid::from_u128(n)),
        ..granted(&world, &soe())
    };
    let found = tally(&world, &without, &[one(1, 10), one(2, 30), one(3, 20)]);
    assert!(found.closes() && !found.is_empty());
    insta::assert_snapshot!(found.text(), @r"
    close:
    COUNT  TENANT  WHO  ASKED FOR     WOULD BE                  LAST                  EXAMPLE
    3      acme    app  the role soe  refused role_not_granted  2023-11-14T22:13:50Z  00000000-0000-0000-0000-000000000002

    3 asks: 3 close, 0 open, 0 narrower, 0 wider, 0 different, 0 the same
    looked back to 2023-11-14T22:13:20Z
    ");
    let document = found.document();
    assert_eq!((&document["asks"], &document["counts"]["close"]), (&json!(3), &json!(3)));
    assert_eq!(document["changes"][0]["client"], json!(world.client.guid));
}

#[test]
fn every_kind_has_its_place() {
    let world = World::new();
    let wide = with(&world, "soe", |role| policy(role, "soe:*", "*"));
    let asked = json!({ "role": { "named": "soe" }, "form": "tencent", "lifetime": 900 });
    let records = [granted(&world, &asked), granted(&world, &soe())];
    let found = tally(&world, &wide, &records);
    assert!(!found.closes());
    assert_eq!(
        (found.count(Kind::Wider), found.groups.len()),
        (2, 1),
        "how long it is to live is no other question"
    );
    let short = with(&world, "soe", |role| role.lifetime = Lifetime { default: 60, max: 900 });
    let found = tally(&world, &short, &records);
    assert_eq!((found.count(Kind::Narrower), found.same), (1, 1));
}

#[test]
fn only_asks_are_counted() {
    let world = World::new();
    let mut repeat = granted(&world, &soe());
    if let Event::Grant { repeat, .. } = &mut repeat.event {
        *repeat = true;
    }
    let change = recorded(&world, &json!({ "event": "change", "action": "a", "object": "b" }));
    let found = tally(&world, &world, &[repeat, change]);
    assert!(found.is_empty() && !found.closes());
    for dialect in ["verify", "forward-auth", "explain"] {
        let event = json!({ "event": "refusal", "reason": "not_yours", "detail": "no" });
        let question = Record { dialect: Some(dialect.into()), ..recorded(&world, &event) };
        let found = tally(&world, &world, &[question]);
        assert!(found.unknown.is_empty(), "a question is no ask: {}", found.text());
    }
    let before = recorded(&world, &json!({ "event": "refusal", "reason": "replayed", "detail": "no" }));
    let found = tally(&world, &world, &[before]);
    assert!(found.is_empty(), "it cannot be asked again");
    assert!(found.text().contains("1 asks cannot be asked again: "), "{}", found.text());
}

#[test]
fn what_has_changed_since_the_ask_is_said_and_is_no_change() {
    let world = World::new();
    // Refused then, and granted by both now: the client has got its grant since.
    let found = tally(&world, &world, &[refused(&world, &soe()), granted(&world, &soe())]);
    assert_eq!((found.same, found.drifted, found.groups.len()), (2, 1, 0));
    assert!(found.text().contains("1 asks were decided otherwise then"), "{}", found.text());
}

#[test]
fn visitors_are_named_by_how_they_were_known() {
    let world = World::new();
    let mut record =
        granted(&world, &json!({ "role": { "endpoint": "/getAuthorization" }, "form": "tencent" }));
    (record.client, record.via) = (None, Some("anonymous".into()));
    let wide = with(&world, "soe", |role| policy(role, "soe:*", "*"));
    let found = tally(&world, &wide, &[record]);
    let (group, _) = found.of(Kind::Wider).next().unwrap();
    assert_eq!(
        (group.who.as_str(), group.asked_for.as_str()),
        ("anonymous", "the role of the endpoint /getAuthorization")
    );
}
