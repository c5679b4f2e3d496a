use super::*;
use daypass_core::client::Grant;
use daypass_core::clock::after;
use daypass_core::record::Record;
use daypass_core::testing::{START, World};
use serde_json::json;

/// What is reported of a world in which this happened, looking back to a second after its client was added.
fn report(world: &World, records: &[Record], last: &HashMap<Uuid, Timestamp>) -> (String, Value) {
    let (directory, mut usage) = (world.directory(), Usage::default());
    for record in records {
        usage.take(&directory, record);
    }
    let clients: Vec<_> = [&world.client].into_iter().chain(&world.others).cloned().collect();
    let looked = Looked {
        since: after(START, 1),
        oldest: Some(START),
        records: u64::try_from(records.len()).unwrap(),
    };
    let report = Report::of(&clients, &directory, Some("acme"), &usage, last, looked);
    (report.text(), report.document())
}

fn granted(world: &World, role: &str, policy: &Value) -> Record {
    let mut record = Record::change(Uuid::from_u128(1), after(START, 5), Some("acme".into()), "", "");
    let asked = json!({ "role": { "named": role }, "form": "tencent", "policy": "issued" });
    record.event = serde_json::from_value(json!({
        "event": "grant", "credential": "c", "expires": START, "asked": asked, "policy": policy,
    }))
    .unwrap();
    (record.client, record.role) = (Some(world.client.guid), Some(role.into()));
    record
}

#[test]
fn what_nobody_needed_is_told_and_nothing_else() {
    let mut world = World::new();
    world.others.push(Client {
        guid: Uuid::from_u128(9),
        name: "retired".into(),
        grants: vec![Grant::of("soe")],
        ..world.client.clone()
    });
    let elsewhere = json!({ "language": "cam", "statements": [{
        "effect": "allow", "actions": ["soe:Other"], "resources": ["*"], "conditions": [],
    }] });
    let (text, document) = report(&world, &[granted(&world, "soe", &elsewhere)], &HashMap::new());
    insta::assert_snapshot!(text, @r"
    clients that did nothing:
    TENANT  CLIENT   LAST USE
    acme    retired  never

    grants that were not used:
    TENANT  CLIENT  ROLE
    acme    app     store-upload
    acme    app     devcenter

    roles that nobody got:
    TENANT  ROLE          REFUSED
    acme    store-upload  0
    acme    devcenter     0

    parts of roles that were in nothing:
    TENANT  ROLE  PART
    acme    soe   statement 1: allow soe:TransmitOralProcessWithInit on *

    1 records since 2023-11-14T22:13:21Z; 1 clients, 2 grants, 2 roles and 1 parts of roles were not needed
    what holders did with what they got is not recorded
    ");
    assert_eq!((&document["complete"], &document["parts"][0]["statement"]), (&json!(true), &json!(1)));
    assert_eq!(document["grants"][0]["client_name"], "app");
}

#[test]
fn a_client_that_only_asks_questions_is_used() {
    let world = World::new();
    let uses: HashMap<_, _> = [("AKIDworld".to_owned(), after(START, 60))].into();
    let last = last_uses(&world.keys, &uses);
    assert_eq!(last[&world.client.guid], after(START, 60));
    let (_, document) = report(&world, &[], &last);
    assert_eq!(document["clients"], json!([]));
    assert_eq!(document["grants"].as_array().unwrap().len(), 3);
    let before = [(world.client.guid, START)].into();
    let (text, document) = report(&world, &[], &before);
    assert_eq!(document["clients"][0]["last_use"], "2023-11-14T22:13:20Z", "{text}");
    assert_eq!(document["grants"], json!([]), "with the client go its grants");
}

#[test]
fn what_is_newer_or_disabled_or_elsewhere_is_not_judged() {
    let mut world = World::new();
    world.client.created = after(START, 2);
    world.others = vec![
        Client { guid: Uuid::from_u128(8), enabled: false, created: START, ..world.client.clone() },
        Client { guid: Uuid::from_u128(9), tenant: "other".into(), created: START, ..world.client.clone() },
    ];
    let (text, document) = report(&world, &[], &HashMap::new());
    assert_eq!((&document["clients"], &document["newer"]), (&json!([]), &json!(1)), "{text}");
    assert!(text.contains("1 clients and grants are newer"), "{text}");
}

#[test]
fn what_cannot_be_told_is_said() {
    let world = World::new();
    let role = world.plan.roles[0].policy.as_ref().unwrap().bind(&[].into()).unwrap();
    let mut whole = granted(&world, "soe", &json!(role));
    let text =
        serde_json::to_string(&whole.event).unwrap().replace("\"policy\":\"issued\"", "\"lifetime\":60");
    whole.event = serde_json::from_str(&text).unwrap();
    let exchange = json!({ "event": "grant", "credential": "c", "expires": START,
        "audience": daypass_core::testing::RESOURCE, "app_roles": ["orders.read"],
        "asked": { "role": { "resource": "x" }, "exchange": true } });
    let other = Uuid::from_u128(5);
    let exchange = Record {
        event: serde_json::from_value(exchange).unwrap(),
        client: Some(other),
        role: Some("devcenter".into()),
        ..whole.clone()
    };
    let (_, document) = report(&world, &[whole, exchange], &HashMap::new());
    let doubts: Vec<_> =
        document["cannot_be_told"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    assert_eq!(doubts, ["the grant of app on devcenter", "the statements of soe"]);
    assert_eq!(document["parts"], json!([]));
}

#[test]
fn records_that_begin_late_are_said_to() {
    let world = World::new();
    let looked = |oldest| Looked { since: START, oldest, records: 0 };
    let text = |oldest| {
        Report::of(&[], &world.directory(), None, &Usage::default(), &HashMap::new(), looked(oldest)).text()
    };
    assert!(text(Some(after(START, 5))).contains("the records begin only at 2023-11-14T22:13:25Z"));
    assert!(text(None).contains("the records begin only at now"));
    assert!(!text(Some(START)).contains("begin only"));
}
