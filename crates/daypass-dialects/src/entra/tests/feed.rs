//! The revocation feed.

use daypass_core::client::Client;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::dialect::{Context, Dialect};
use daypass_core::directory::Directory;
use daypass_core::jose::own_claims;
use daypass_core::request::Response;
use daypass_core::secret::Secret;
use daypass_core::standing::key_print;
use daypass_core::testing::{ACME, RESOURCE, START, World, before, request};
use serde_json::{Value, json};
use uuid::Uuid;

fn get(directory: &Directory, headers: &[(&str, &str)]) -> Response {
    get_since(directory, "", headers)
}

fn get_since(directory: &Directory, query: &str, headers: &[(&str, &str)]) -> Response {
    let head = request("GET", &format!("/{ACME}/v2.0/revocations{query}"), headers, b"").head;
    super::Entra.open(Context { directory, now: START }, &head).unwrap()
}

/// The header and the claims of a feed.
fn read(response: &Response) -> (Value, Value) {
    let part = |part: &str| -> Value {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let text = std::str::from_utf8(response.body()).unwrap();
    let mut parts = text.split('.');
    let header = part(parts.next().unwrap());
    (header, part(parts.next().unwrap()))
}

fn revoked(world: &World) -> Value {
    read(&get(&world.directory(), &[])).1["revoked"].clone()
}

fn of(scope: Scope) -> Cutoff {
    Cutoff { scope, before: START }
}

#[test]
fn it_is_signed_short_lived_and_no_access_token() {
    let directory = World::new().directory();
    let response = get(&directory, &[]);
    assert_eq!(response.headers()["content-type"], "application/daypass-revocations+jwt");
    assert_eq!(response.headers()["cache-control"], "public, max-age=2");
    let (header, claims) = read(&response);
    let signer =
        directory.ring().published().map(|(key, _)| key).find(|key| key.jwk()["alg"] == "ES256").unwrap();
    assert_eq!(header, json!({"typ": "daypass-revocations+jwt", "alg": "ES256", "kid": signer.kid()}));
    let at = START.as_second().div_euclid(60) * 60;
    // SHA-256 of `{}`, in base64url.
    let state = "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o";
    let iss = format!("http://127.0.0.1:5050/{ACME}/v2.0");
    assert_eq!(claims, json!({"iss": iss, "iat": at, "exp": at + 300, "state": state, "revoked": {}}));
    let text = std::str::from_utf8(response.body()).unwrap();
    let own = own_claims(directory.ring(), &Secret::new(text)).ok();
    let context = Context { directory: &directory, now: START };
    assert!(own.is_none_or(|claims| super::Entra.own_token(context, &claims).is_none()));
}

#[test]
fn it_speaks_in_the_words_of_tokens_and_of_this_tenant_alone() {
    let mut world = World::new();
    let guid = world.client.guid;
    let (other, foreign) = (Uuid::from_u128(0xb1), Uuid::from_u128(0xb2));
    world.others.push(Client {
        guid: other,
        object: Uuid::from_u128(0xb10),
        name: "b".into(),
        ..world.client.clone()
    });
    world.others.push(Client {
        guid: foreign,
        tenant: "other".into(),
        name: "c".into(),
        ..world.client.clone()
    });
    let key = world.keys.iter().find(|key| key.kind.is_oauth()).unwrap().id.clone();
    let tenant = || "acme".to_owned();
    let gone = Uuid::from_u128(0x1d).to_string();
    world.cutoffs = vec![
        of(Scope::Client(guid)),
        of(Scope::Client(foreign)),
        of(Scope::Subject { tenant: tenant(), subject: Uuid::from_u128(0xb10).to_string() }),
        of(Scope::Subject { tenant: tenant(), subject: "ann@example.com".into() }),
        of(Scope::Subject { tenant: "other".into(), subject: Uuid::from_u128(0xb10).to_string() }),
        of(Scope::Key(key.clone())),
        of(Scope::Key("AKIDworld".into())),
        of(Scope::Role { tenant: tenant(), role: "devcenter".into() }),
        of(Scope::Role { tenant: tenant(), role: "soe".into() }),
        of(Scope::Role { tenant: "other".into(), role: "devcenter".into() }),
        of(Scope::Credential(gone.clone())),
        of(Scope::Credential("AKIDtemporary".into())),
        of(Scope::Tenant("other".into())),
    ];
    let at = START.as_second();
    let list = revoked(&world);
    let object = world.client.object.to_string();
    let subjects = json!({
        guid.to_string(): at, object: at, other.to_string(): at, Uuid::from_u128(0xb10).to_string(): at,
    });
    assert_eq!(
        list,
        json!({
            "tokens": {gone: at},
            "clients": {guid.to_string(): at},
            "subjects": subjects,
            "keys": {key_print(&key): at},
            "roles": [{"aud": list["roles"][0]["aud"], "roles": ["orders.read"], "before": at}],
        })
    );
    assert_eq!(list["roles"][0]["aud"][0], RESOURCE);
    for name in ["ann", "AKID", &foreign.to_string(), &key] {
        assert!(!list.to_string().contains(name), "{name}: {list}");
    }
    world.cutoffs = vec![of(Scope::Tenant(tenant())), Cutoff { scope: Scope::All, before: before(START, 9) }];
    assert_eq!(revoked(&world), json!({"all": at}), "the later counts");
}

#[test]
fn what_nothing_can_live_under_is_left_out() {
    let mut world = World::new();
    let long_ago = before(START, daypass_core::limits::LONGEST_LIFE + 2 * 3600);
    world.cutoffs = vec![Cutoff { scope: Scope::Client(world.client.guid), before: long_ago }];
    assert_eq!(revoked(&world), json!({}));
}

#[test]
fn who_has_it_is_not_sent_it_again_and_a_change_is_sent_at_once() {
    let mut world = World::new();
    let directory = world.directory();
    let first = get(&directory, &[]);
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(get(&directory, &[]).body(), first.body(), "one signature serves all");
    let strong = tag.trim_start_matches("W/").to_owned();
    for known in [tag.as_str(), &strong, "*", &format!("\"x\", {tag}")] {
        let again = get(&directory, &[("if-none-match", known)]);
        assert_eq!((again.status().as_u16(), again.body().len()), (304, 0), "{known}");
        assert_eq!(again.headers()["etag"], tag.as_str());
    }
    let elsewhere = world.directory();
    assert_eq!(get(&elsewhere, &[("if-none-match", &tag)]).status(), 304, "whichever node is asked");
    world.cutoffs = vec![of(Scope::All)];
    let changed = get(&world.directory(), &[("if-none-match", &tag)]);
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"], tag.as_str());
}

#[test]
fn more_than_it_can_list_is_no_feed() {
    let mut world = World::new();
    let single = |number: u128| of(Scope::Credential(Uuid::from_u128(number).to_string()));
    world.cutoffs = (0..=50_000).map(single).collect();
    let directory = world.directory();
    let head = request("GET", &format!("/{ACME}/v2.0/revocations"), &[], b"").head;
    let opened = super::Entra.open(Context { directory: &directory, now: START }, &head);
    assert!(opened.is_none(), "it is refused, and counted, as what cannot be had now");
    world.cutoffs.pop();
    assert_eq!(read(&get(&world.directory(), &[])).1["revoked"]["tokens"].as_object().unwrap().len(), 50_000);
}

fn single(numbers: std::ops::Range<u128>) -> Vec<Cutoff> {
    numbers.map(|number| of(Scope::Credential(Uuid::from_u128(number).to_string()))).collect()
}

fn since(directory: &Directory, state: &Value) -> (Value, Value) {
    read(&get_since(directory, &format!("?since={}", state.as_str().unwrap()), &[]))
}

#[test]
fn whoever_has_a_state_is_told_what_changed_since() {
    let mut world = World::new();
    world.cutoffs = single(0..9);
    let first = world.directory();
    let (_, whole) = read(&get(&first, &[]));
    let (header, same) = since(&first, &whole["state"]);
    assert_eq!(header["typ"], "daypass-revocations-delta+jwt", "nobody takes it for the whole");
    assert_eq!((&same["since"], &same["state"]), (&whole["state"], &whole["state"]));
    assert_eq!((&same["revoked"], &same["gone"]), (&json!({}), &json!({})));

    world.cutoffs = single(2..11);
    world.cutoffs.push(of(Scope::Role { tenant: "acme".into(), role: "devcenter".into() }));
    let second = world.directory().after(&first);
    let response = get_since(&second, &format!("?since={}", whole["state"].as_str().unwrap()), &[]);
    assert_eq!(response.headers()["content-type"], "application/daypass-revocations-delta+jwt");
    let (_, changes) = read(&response);
    let id = |number| Uuid::from_u128(number).to_string();
    let at = START.as_second();
    assert_eq!(changes["revoked"]["tokens"], json!({id(9): at, id(10): at}));
    assert_eq!(changes["revoked"]["roles"].as_array().unwrap().len(), 1);
    assert_eq!(changes["gone"], json!({"tokens": {id(0): true, id(1): true}}));
    assert_eq!(changes["since"], whole["state"]);
    assert_eq!(changes["state"], read(&get(&second, &[])).1["state"]);
    assert_eq!((&changes["iss"], &changes["exp"]), (&whole["iss"], &whole["exp"]));
}

#[test]
fn of_a_state_that_is_not_remembered_the_whole_is_told() {
    let mut world = World::new();
    world.cutoffs = single(0..9);
    let directory = world.directory();
    let (_, whole) = read(&get(&directory, &[]));
    for query in ["?since=", "?since=made%20up", "?since=%ff", "?other=x", "?"] {
        assert_eq!(read(&get_since(&directory, query, &[])).0["typ"], "daypass-revocations+jwt", "{query}");
    }
    let elsewhere = world.directory();
    assert_eq!(
        since(&elsewhere, &whole["state"]).0["typ"],
        "daypass-revocations-delta+jwt",
        "it has the same"
    );
    world.cutoffs = single(0..10);
    let elsewhere = world.directory();
    let (header, claims) = since(&elsewhere, &whole["state"]);
    assert_eq!(
        (&header["typ"], claims.get("since")),
        (&json!("daypass-revocations+jwt"), None),
        "it never had it"
    );
}

#[test]
fn a_tag_is_of_what_is_known_however_it_came() {
    let mut world = World::new();
    world.cutoffs = single(0..9);
    let directory = world.directory();
    let whole = get(&directory, &[]);
    let (tag, state) = (whole.headers()["etag"].to_str().unwrap(), read(&whole).1["state"].clone());
    let query = format!("?since={}", state.as_str().unwrap());
    assert_eq!(get_since(&directory, &query, &[]).headers()["etag"], tag);
    let again = get_since(&directory, &query, &[("if-none-match", tag)]);
    assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
    world.cutoffs = single(0..10);
    let changed = get_since(&world.directory().after(&directory), &query, &[("if-none-match", tag)]);
    assert_eq!(changed.status(), 200);
    assert_eq!(read(&changed).1["revoked"]["tokens"].as_object().unwrap().len(), 1);
}

#[test]
fn names_of_states_that_are_made_up_make_nobody_sign() {
    let mut world = World::new();
    world.cutoffs = single(0..9);
    let directory = world.directory();
    let first = get(&directory, &[]);
    for number in 0..50 {
        assert_eq!(get_since(&directory, &format!("?since={number}"), &[]).body(), first.body());
    }
}
