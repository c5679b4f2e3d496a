//! What is said of a token, and to whom (RFC 7662).

use super::{Bench, CLIENT, Reply, SECRET, form, good_form, token_request};
use daypass_core::caller::Confirmation;
use daypass_core::client::{Client, Grant};
use daypass_core::clock::{SignedDuration, Timestamp};
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::pipeline::Success;
use daypass_core::role::{Profile, Role, TokenVersion};
use daypass_core::standing::key_print;
use daypass_core::testing::{ACME, RESOURCE, START, later, ring, secret_key};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// A client beside the world's, whose only secret is `secret of ` and its key's id.
pub(super) fn join(bench: &mut Bench, number: u128, name: &str, audiences: &[&str]) -> Uuid {
    let guid = Uuid::from_u128(number);
    let base = bench.world.client.clone();
    bench.world.others.push(Client {
        guid,
        object: Uuid::from_u128(number << 8),
        name: name.into(),
        grants: vec![],
        audiences: audiences.iter().map(|name| (*name).to_owned()).collect(),
        ..base
    });
    bench.world.keys.push(secret_key(key_of(guid), guid));
    guid
}

/// The id of a joined client's key.
fn key_of(client: Uuid) -> Uuid {
    Uuid::from_u128(client.as_u128() << 16)
}

/// The secret of a client of the bench.
pub(super) fn secret_of(client: Uuid) -> String {
    if client.to_string() == CLIENT { SECRET.to_owned() } else { format!("secret of {}", key_of(client)) }
}

/// Sends a form with this client's proof to one of the test tenant's paths.
pub(super) fn ask(bench: &Bench, path: &str, client: Uuid, fields: &[(&str, &str)]) -> Reply {
    let (id, secret) = (client.to_string(), secret_of(client));
    let fields = [&[("client_id", id.as_str()), ("client_secret", secret.as_str())], fields].concat();
    bench.send(token_request(&format!("/{ACME}/oauth2/v2.0/{path}"), &form(&fields), &[]))
}

fn introspect(bench: &Bench, client: Uuid, token: &str) -> Reply {
    ask(bench, "introspect", client, &[("token", token)])
}

/// A token of the world's client.
pub(super) fn token(bench: &Bench) -> String {
    let reply = bench.post(&good_form(), &[]);
    reply.json["access_token"].as_str().unwrap_or_else(|| panic!("{}", reply.text)).to_owned()
}

pub(super) fn owner() -> Uuid {
    CLIENT.parse().unwrap()
}

/// The claims of a token, believed.
pub(super) fn claims(token: &str) -> Value {
    use base64::Engine;
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A token of ours that nobody would have made.
fn signed(claims: &Value) -> String {
    let ring = ring();
    let signer = ring.signer(daypass_core::role::Algorithm::Es256).unwrap();
    signer.sign("JWT", claims).unwrap()
}

fn is_inactive(reply: &Reply) -> bool {
    let there = reply.text.contains("active\":true");
    assert_eq!(reply.result, Ok(Success::Facts));
    assert_eq!(reply.parts.status, 200);
    assert_ne!(there, reply.text == r#"{"active":false}"#, "all or nothing: {}", reply.text);
    !there
}

fn oauth_role(bench: &mut Bench) -> &mut Role {
    Arc::make_mut(bench.world.plan.roles.iter_mut().find(|role| role.audience.is_some()).unwrap())
}

#[test]
fn its_owner_is_told_what_a_token_is() {
    let bench = Bench::signing();
    let reply = introspect(&bench, owner(), &token(&bench));
    insta::assert_snapshot!(reply.whole(), @r#"
    200 OK
    cache-control: no-store, no-cache
    pragma: no-cache
    expires: -1
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    content-type: application/json; charset=utf-8
    x-ms-request-id: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd

    {"active":true,"scope":"orders.read","roles":["orders.read"],"client_id":"0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11","token_type":"Bearer","exp":1700003600,"iat":1700000000,"nbf":1699999700,"sub":"00000000-0000-0000-0000-000000000b0b","aud":"d6b7c858-55fa-4d04-85a6-131af690abd4","iss":"http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0","tid":"387c56a8-cf86-45de-b9f5-b4de88cac054","idtyp":"app","jti":"4f3db63f-6b00-1732-aa43-1b12e3658fe0"}
    "#);
    assert_eq!(bench.store.all().len(), 1, "the grant; a question is not recorded");
}

#[test]
fn each_set_of_claims_is_told_in_the_same_words() {
    let told = |change: fn(&mut Role), scope: &str| {
        let mut bench = Bench::signing();
        change(oauth_role(&mut bench));
        let form = super::form_with("scope", Some(scope));
        let token = bench.post(&form, &[]).json["access_token"].as_str().unwrap().to_owned();
        let mut said = introspect(&bench, owner(), &token).json;
        for own in ["jti", "iat", "nbf", "exp", "tid", "idtyp"] {
            said.as_object_mut().unwrap().remove(own);
        }
        said.to_string()
    };
    let v1 = |role: &mut Role| {
        role.version = TokenVersion::V1;
        role.identifiers = vec!["api://orders".into()];
    };
    insta::assert_snapshot!(told(|_| (), &format!("{RESOURCE}/.default")), @r#"{"active":true,"aud":"d6b7c858-55fa-4d04-85a6-131af690abd4","client_id":"0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11","iss":"http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0","roles":["orders.read"],"scope":"orders.read","sub":"00000000-0000-0000-0000-000000000b0b","token_type":"Bearer"}"#);
    insta::assert_snapshot!(told(v1, "api://orders/.default"), @r#"{"active":true,"aud":"api://orders","client_id":"0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11","iss":"http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/","roles":["orders.read"],"scope":"orders.read","sub":"00000000-0000-0000-0000-000000000b0b","token_type":"Bearer"}"#);
    insta::assert_snapshot!(told(|role| role.profile = Profile::Rfc9068, &format!("{RESOURCE}/.default")), @r#"{"active":true,"aud":"d6b7c858-55fa-4d04-85a6-131af690abd4","client_id":"0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11","iss":"http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0","roles":["orders.read"],"scope":"orders.read","sub":"0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11","token_type":"Bearer"}"#);
}

fn cut_off(bench: &mut Bench, scope: Scope) {
    bench.world.cutoffs.push(Cutoff { scope, before: START });
}

/// A name for what becomes of a token, or of what it was made on.
type State = (&'static str, fn(&mut Bench));

const STATES: [State; 16] = [
    ("live", |_| ()),
    ("another client disabled", |bench| bench.world.others[2].enabled = false),
    ("its key disabled", |bench| bench.world.keys[4].enabled = false),
    ("its key at its end", |bench| bench.world.keys[4].expires = Some(START)),
    ("no grant", |bench| bench.world.client.grants.retain(|grant| grant.role != "devcenter")),
    ("app role taken out of the role", |bench| oauth_role(bench).app_roles = vec!["other".into()]),
    ("role gone", |bench| bench.world.plan.roles.retain(|role| role.name != "devcenter")),
    ("tenant cut off", |bench| cut_off(bench, Scope::Tenant("acme".into()))),
    ("client cut off", |bench| cut_off(bench, Scope::Client(owner()))),
    ("key cut off", |bench| cut_off(bench, Scope::Key(Uuid::from_u128(0x5ec2).to_string()))),
    ("another key cut off", |bench| cut_off(bench, Scope::Key("AKIDworld".into()))),
    ("role cut off", |bench| cut_off(bench, Scope::Role { tenant: "acme".into(), role: "devcenter".into() })),
    ("another role cut off", |bench| {
        cut_off(bench, Scope::Role { tenant: "acme".into(), role: "soe".into() });
    }),
    ("subject cut off", |bench| {
        let subject = bench.world.client.object.to_string();
        cut_off(bench, Scope::Subject { tenant: "acme".into(), subject });
    }),
    ("an hour later", |bench| bench.clock.set(later(3600))),
    ("a second before", |bench| bench.clock.set(later(3599))),
];

/// Who asks × what became of the token.
#[test]
fn who_is_told_what() {
    let mut lines = Vec::new();
    for (name, change) in STATES {
        let mut bench = Bench::signing();
        let api = join(&mut bench, 0xa1, "api", &[RESOURCE]);
        let other = join(&mut bench, 0xa2, "other-api", &["api://elsewhere"]);
        join(&mut bench, 0xa3, "bystander", &[RESOURCE]);
        let token = token(&bench);
        change(&mut bench);
        // By its other secret, because the one that it got the token with may be gone.
        let (id, secret) = (owner().to_string(), format!("secret of {}", Uuid::from_u128(0x5ec)));
        let fields = [("client_id", id.as_str()), ("client_secret", &secret), ("token", &token)];
        let by_owner =
            bench.send(token_request(&format!("/{ACME}/oauth2/v2.0/introspect"), &form(&fields), &[]));
        let told: Vec<_> = [by_owner, introspect(&bench, api, &token), introspect(&bench, other, &token)]
            .iter()
            .map(|reply| if is_inactive(reply) { "inactive" } else { "told" })
            .collect();
        lines.push(format!("{name:<36} owner {:<9} api {:<9} stranger {}", told[0], told[1], told[2]));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    live                                 owner told      api told      stranger inactive
    another client disabled              owner told      api told      stranger inactive
    its key disabled                     owner inactive  api inactive  stranger inactive
    its key at its end                   owner inactive  api inactive  stranger inactive
    no grant                             owner inactive  api inactive  stranger inactive
    app role taken out of the role       owner inactive  api inactive  stranger inactive
    role gone                            owner inactive  api inactive  stranger inactive
    tenant cut off                       owner inactive  api inactive  stranger inactive
    client cut off                       owner inactive  api inactive  stranger inactive
    key cut off                          owner inactive  api inactive  stranger inactive
    another key cut off                  owner told      api told      stranger inactive
    role cut off                         owner inactive  api inactive  stranger inactive
    another role cut off                 owner told      api told      stranger inactive
    subject cut off                      owner inactive  api inactive  stranger inactive
    an hour later                        owner inactive  api inactive  stranger inactive
    a second before                      owner told      api told      stranger inactive
    ");
}

#[test]
fn a_disabled_client_is_told_nothing_and_its_tokens_are_nothing() {
    let mut bench = Bench::signing();
    let api = join(&mut bench, 0xa1, "api", &[RESOURCE]);
    let token = token(&bench);
    bench.world.client.enabled = false;
    assert_eq!(introspect(&bench, owner(), &token).gist(), (400, "unauthorized_client", 7_000_112));
    assert!(is_inactive(&introspect(&bench, api, &token)));
}

#[test]
fn every_name_of_a_resource_makes_its_api() {
    for (audiences, told) in [
        (vec!["api://orders"], true),
        (vec!["API://ORDERS"], true),
        (vec!["elsewhere", RESOURCE], true),
        (vec!["api://order"], false),
        (vec!["*"], false),
        (vec![""], false),
        (vec![], false),
    ] {
        let mut bench = Bench::signing();
        oauth_role(&mut bench).identifiers = vec!["api://orders".into()];
        let api = join(&mut bench, 0xa1, "api", &audiences);
        let token = token(&bench);
        assert_eq!(!is_inactive(&introspect(&bench, api, &token)), told, "{audiences:?}");
    }
}

#[test]
fn a_tenant_knows_its_own_tokens_alone() {
    let mut bench = Bench::signing();
    let token = token(&bench);
    let other = join(&mut bench, 0xa1, "api", &[RESOURCE]);
    bench.world.others[0].tenant = "other".into();
    let tenant = bench.world.plan.tenants[1].guid;
    let (id, secret) = (other.to_string(), secret_of(other));
    let fields = [("client_id", id.as_str()), ("client_secret", &secret), ("token", &token)];
    let reply = bench.send(token_request(&format!("/{tenant}/oauth2/v2.0/introspect"), &form(&fields), &[]));
    assert!(is_inactive(&reply));
}

#[test]
fn what_the_claims_must_be() {
    let bench = Bench::signing();
    let good = claims(&token(&bench));
    let active = |claims: &Value| !is_inactive(&introspect(&bench, owner(), &signed(claims)));
    assert!(active(&good));
    let now = START.as_second();
    let changes: [(&str, Value, bool); 27] = [
        ("iss", json!("http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/"), false),
        ("iss", json!("http://127.0.0.1:5050/387C56A8-CF86-45DE-B9F5-B4DE88CAC054/v2.0"), false),
        ("iss", json!("http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0/"), false),
        ("iss", json!("https://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0"), false),
        ("iss", Value::Null, false),
        ("tid", json!(Uuid::from_u128(0x07e4)), false),
        ("tid", Value::Null, false),
        ("ver", json!("1.0"), false),
        ("ver", json!("3.0"), false),
        ("ver", json!(2), false),
        ("exp", json!(now), false),
        ("exp", json!(now + 1), true),
        ("exp", Value::Null, false),
        ("exp", json!("4000000000"), false),
        ("nbf", json!(now + 1), false),
        ("nbf", json!(now), true),
        ("nbf", json!("soon"), false),
        ("iat", Value::Null, false),
        ("azp", json!(Uuid::from_u128(9)), false),
        ("azp", Value::Null, false),
        ("aud", json!([RESOURCE]), false),
        ("aud", json!("api://elsewhere"), false),
        ("roles", json!("orders.read"), false),
        ("roles", json!(["orders.read", "orders.write"]), false),
        ("uti", json!("x"), false),
        ("cnf", json!({"jwk": {}}), false),
        ("cnf", json!({"jkt": "a", "x5t#S256": "b"}), false),
    ];
    for (name, value, counts) in changes {
        let mut claims = good.clone();
        match &value {
            Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
            value => claims[name] = value.clone(),
        }
        assert_eq!(active(&claims), counts, "{name} = {value}");
    }
}

#[test]
fn the_key_that_asked_is_known_by_its_print() {
    let bench = Bench::signing();
    let good = claims(&token(&bench));
    let id = Uuid::from_u128(0x5ec2).to_string();
    assert_eq!(good["rh"], format!("1.{}", key_print(&id)));
    for (rh, counts) in [
        (json!(good["rh"]), true),
        (json!(format!("1.{}", key_print("AKIDworld"))), false),
        (json!(format!("2.{}", key_print(&id))), false),
        (json!(format!("1.{}.x", key_print(&id))), false),
        (json!("1"), false),
        (json!(1), false),
        (Value::Null, false),
    ] {
        let mut claims = good.clone();
        claims["rh"] = rh.clone();
        assert_eq!(!is_inactive(&introspect(&bench, owner(), &signed(&claims))), counts, "{rh}");
    }
    let mut claims = good;
    claims.as_object_mut().unwrap().remove("rh");
    assert!(is_inactive(&introspect(&bench, owner(), &signed(&claims))), "no key, no authority");
}

#[test]
fn an_exchanged_token_falls_with_everyone_behind_it() {
    let (first, second) = (Uuid::from_u128(0xf1), Uuid::from_u128(0xf2));
    let build = || {
        let mut bench = Bench::signing();
        for (number, name) in [(0xb1, "subject"), (0xb2, "middle")] {
            join(&mut bench, number, name, &[]);
        }
        bench.world.others.iter_mut().for_each(|client| client.grants = vec![Grant::of("devcenter")]);
        let mut claims = claims(&token(&bench));
        let object = bench.world.others[0].object;
        claims["sub"] = json!(object);
        claims["oid"] = json!(object);
        claims["rh"] = json!(format!("{}.{second}.{first}", claims["rh"].as_str().unwrap()));
        claims["act"] = json!({
            "sub": bench.world.client.object, "client_id": owner(),
            "act": {"sub": bench.world.others[1].object, "client_id": bench.world.others[1].guid},
        });
        (bench, signed(&claims))
    };
    let (bench, token) = build();
    let told = introspect(&bench, owner(), &token).json;
    assert_eq!((&told["client_id"], &told["sub"]), (&json!(owner()), &json!(bench.world.others[0].object)));
    assert_eq!(told["act"]["act"]["client_id"], json!(bench.world.others[1].guid));

    for scope in [
        Scope::Credential(first.to_string()),
        Scope::Credential(second.to_string()),
        Scope::Client(Uuid::from_u128(0xb1)),
        Scope::Client(Uuid::from_u128(0xb2)),
        Scope::Client(owner()),
        Scope::Subject { tenant: "acme".into(), subject: Uuid::from_u128(0xb1 << 8).to_string() },
    ] {
        let (mut bench, token) = build();
        cut_off(&mut bench, scope.clone());
        assert!(is_inactive(&introspect(&bench, owner(), &token)), "{scope}");
    }
    let changes: [fn(&mut Bench); 3] = [
        |bench| bench.world.others[0].enabled = false,
        |bench| bench.world.others[1].enabled = false,
        |bench| bench.world.others[0].grants.clear(),
    ];
    for change in changes {
        let (mut bench, token) = build();
        change(&mut bench);
        assert!(is_inactive(&introspect(&bench, owner(), &token)));
    }
}

#[test]
fn a_cut_off_takes_the_whole_second_with_it() {
    let millis = |at: Timestamp, millis| at.checked_add(SignedDuration::from_millis(millis)).unwrap();
    for (issued, cut, counts) in
        [(0, 0, false), (300, 500, false), (700, 500, false), (999, 0, false), (1000, 999, true)]
    {
        let mut bench = Bench::signing();
        bench.clock.set(millis(START, issued));
        let token = token(&bench);
        bench.world.cutoffs = vec![Cutoff { scope: Scope::Client(owner()), before: millis(START, cut) }];
        bench.clock.set(later(2));
        assert_eq!(!is_inactive(&introspect(&bench, owner(), &token)), counts, "{issued} {cut}");
    }
}

#[test]
fn what_a_token_is_bound_to_is_told() {
    let bench = Bench::signing();
    let mut claims = claims(&token(&bench));
    for (bound, token_type) in
        [(Confirmation::Certificate("YQ".into()), "Bearer"), (Confirmation::Key("Yg".into()), "DPoP")]
    {
        let cnf = json!({ bound.member(): bound.value() });
        claims["cnf"] = cnf.clone();
        let told = introspect(&bench, owner(), &signed(&claims)).json;
        assert_eq!((&told["cnf"], &told["token_type"]), (&cnf, &json!(token_type)));
    }
}

#[test]
fn what_is_no_token_is_inactive_and_no_token_at_all_is_a_mistake() {
    let bench = Bench::signing();
    let live = token(&bench);
    for junk in
        ["x", "a.b.c", "null", &format!("{live} "), &format!("{live}="), "AKIDAQAAAAEAAAAAAAAAAAAAAAAAAAAA"]
    {
        assert!(is_inactive(&introspect(&bench, owner(), junk)), "{junk}");
    }
    let long = "a".repeat(20_000);
    assert!(is_inactive(&introspect(&bench, owner(), &long)));
    for fields in [&[][..], &[("token", "")]] {
        let reply = ask(&bench, "introspect", owner(), fields);
        assert_eq!(reply.gist(), (400, "invalid_request", 900_144));
        assert!(reply.text.contains("'token'"), "{}", reply.text);
    }
    let twice = ask(&bench, "introspect", owner(), &[("token", &live), ("token", &live)]);
    assert_eq!(twice.parts.status, 400);
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let fields = [("token", live.as_str()), ("token_type_hint", hint)];
        assert!(!is_inactive(&ask(&bench, "introspect", owner(), &fields)), "{hint}");
    }
}

#[test]
fn whoever_asks_must_be_known() {
    let bench = Bench::signing();
    let token = token(&bench);
    let send = |fields: &[(&str, &str)], headers: &[(&str, &str)]| {
        bench.send(token_request(&format!("/{ACME}/oauth2/v2.0/introspect"), &form(fields), headers))
    };
    let fields = [("client_id", CLIENT), ("token", &token)];
    assert_eq!(send(&fields, &[]).gist(), (401, "invalid_client", 7_000_216));
    let wrong = [("client_id", CLIENT), ("client_secret", "guess"), ("token", token.as_str())];
    assert_eq!(send(&wrong, &[]).gist(), (401, "invalid_client", 7_000_215));
    let bearer = format!("Bearer {token}");
    assert_eq!(send(&[("token", &token)], &[("authorization", &bearer)]).parts.status.as_u16() / 100, 4);
    let get = bench.get(&format!("/{ACME}/oauth2/v2.0/introspect?token={token}"));
    assert_eq!(get.gist(), (400, "invalid_request", 900_561));
    assert!(!get.text.contains(&token));
}

#[test]
fn who_does_not_authenticate_is_told_so() {
    let bench = Bench::new();
    let token = token(&bench);
    for path in ["introspect", "revoke"] {
        let url = format!("/{ACME}/oauth2/v2.0/{path}");
        for fields in [vec![("token", &*token)], vec![("token", &token), ("client_id", CLIENT)]] {
            let reply = bench.send(token_request(&url, &form(&fields), &[]));
            assert_eq!(reply.gist(), (401, "invalid_client", 7_000_216), "{path} {fields:?}");
        }
    }
    let mut put = token_request(&format!("/{ACME}/oauth2/v2.0/introspect"), &form(&[("token", &token)]), &[]);
    put.head_mut().method = http::Method::PUT;
    assert_eq!(bench.send(put).gist(), (400, "invalid_request", 900_561), "POST and nothing like it");
    let fields = [("grant_type", "client_credentials")];
    let reply = bench.send(token_request(&format!("/{ACME}/oauth2/v2.0/token"), &form(&fields), &[]));
    assert_eq!(reply.gist(), (400, "invalid_request", 900_144), "as Entra has it");
}
