//! Tokens given in exchange for others (RFC 8693), through the whole pipeline and with real signatures.

mod carried;

use super::{Bench, CLIENT, Reply, SECRET, form, good_form};
use crate::entra::{sign, wire};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::client::{Client, Material};
use daypass_core::credential::{Bearer, Credential};
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::dialect::Form;
use daypass_core::directory::{Directory, hash_secret};
use daypass_core::id::Draw;
use daypass_core::issuer::{Issued, Issuer};
use daypass_core::pipeline::{Pipeline, Success};
use daypass_core::policy::Authorized;
use daypass_core::record::Event;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::ring::Purpose;
use daypass_core::standing::{Fallen, standing};
use daypass_core::testing::{self, ACME, NoIdentity, RESOURCE, START, SeededEntropy, later};
use daypass_core::triple::{self, Claims};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const API: &str = "00000000-0000-0000-0000-00000000a91a";
const STRANGER: &str = "00000000-0000-0000-0000-00000000057a";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const TENCENT: &str = "urn:daypass:params:oauth:token-type:tencent";
const ALIBABA: &str = "urn:daypass:params:oauth:token-type:alibaba";

/// Makes what the issuer of the finished program makes, without its lanes.
struct Signing;

#[async_trait]
impl Issuer for Signing {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let ring = directory.ring();
        if let Form::Triple(kind) = authorized.form() {
            let triple = triple::make(ring, kind, &Claims::of(authorized, draw)?, draw)?;
            return Ok(Issued::ours(Credential::Triple(triple), authorized, draw));
        }
        let id = Uuid::from_bytes(draw.bytes("uti"));
        let claims = wire::AccessToken::new(&directory.plan().public_url, authorized, draw.at(), id)?;
        let token = sign::access_token(ring, authorized.algorithm(), &claims)?;
        let bearer = Bearer { token, id, kid: Some("kid".into()) };
        Ok(Issued::ours(Credential::Bearer(bearer), authorized, draw))
    }
}

/// The test world with two more clients: the API of the resource, and one that has nothing to do with it. All three have
/// the same grants and secret.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let issuers = [("local".to_owned(), Arc::new(Signing) as Arc<dyn Issuer>)].into();
    let entropy = Arc::new(SeededEntropy::new(3));
    bench.pipeline =
        Pipeline::new(bench.clock.clone(), entropy, bench.store.clone(), issuers, Arc::new(NoIdentity));
    for (name, guid, audiences) in
        [("orders", API, vec![RESOURCE.to_owned()]), ("stranger", STRANGER, vec![])]
    {
        let guid: Uuid = guid.parse().unwrap();
        let object = Uuid::from_u128(guid.as_u128() + 1);
        bench.world.others.push(Client {
            guid,
            object,
            name: name.into(),
            audiences,
            ..bench.world.client.clone()
        });
        let pepper = testing::ring().active(Purpose::Pepper);
        let hash = hash_secret(&testing::ring(), pepper, guid, SECRET.as_bytes()).unwrap();
        let mut key = testing::secret_key(Uuid::from_u128(guid.as_u128() + 2), guid);
        key.material = Material::Hashed { pepper, hash };
        bench.world.keys.push(key);
    }
    bench
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A token of the test world's client.
fn token(bench: &Bench) -> String {
    text(&bench.post(&good_form(), &[]).json["access_token"])
}

/// The form of an exchange of this token by this client.
fn exchange<'a>(client: &'a str, token: &'a str, more: &[(&'a str, &'a str)]) -> String {
    let mut pairs = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", client),
        ("client_secret", SECRET),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    pairs.extend(more);
    form(&pairs)
}

fn default() -> String {
    format!("{RESOURCE}/.default")
}

/// What a token says.
fn claims(token: &Value) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(text(token).split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn why(reply: &Reply) -> (u16, &str, Reason) {
    let reason = reply.result.as_ref().expect_err("it should have been refused").reason;
    (reply.parts.status.as_u16(), reply.json["error"].as_str().unwrap(), reason)
}

#[test]
fn the_api_that_received_a_token_gets_one_for_its_sender() {
    let bench = bench();
    let first = token(&bench);
    let reply = bench.post(&exchange(API, &first, &[("scope", &default())]), &[]);
    assert_eq!(reply.result, Ok(Success::Granted), "{}", reply.text);
    let mut answer = reply.json.clone();
    let second = claims(&answer["access_token"]);
    answer["access_token"] = "…".into();
    assert_eq!(
        answer,
        json!({
            "access_token": "…",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3599,
            "scope": format!("{RESOURCE}/orders.read"),
        })
    );
    assert_eq!(reply.header("cache-control"), "no-store, no-cache");
    let (subject, api) = (&bench.world.client, &bench.world.others[0]);
    assert_eq!(second["sub"], json!(subject.object));
    assert_eq!(second["oid"], json!(subject.object));
    assert_eq!(second["azp"], json!(API));
    assert_eq!(second["act"], json!({"sub": api.object, "client_id": API}));
    assert_eq!(second["roles"], json!(["orders.read"]));
    let records = bench.store.all();
    let Event::Grant { origin, .. } = &records[1].event else { panic!("no grant") };
    let uti: Uuid = text(&claims(&json!(first))["uti"]).parse().unwrap();
    assert_eq!(*origin, Some(uti));
    assert_eq!(records[1].client, Some(api.guid));
    assert_eq!(records[1].subject, Some(subject.guid.to_string()));
    assert_eq!(records[1].role.as_deref(), Some("devcenter"));
}

#[test]
fn a_token_becomes_a_temporary_key_that_falls_with_it() {
    let bench = bench();
    let first = token(&bench);
    let wanted = [("requested_token_type", TENCENT), ("audience", "role:soe")];
    let reply = bench.post(&exchange(API, &first, &wanted), &[]);
    assert_eq!(reply.result, Ok(Success::Granted), "{}", reply.text);
    let answer = &reply.json;
    assert_eq!(answer["issued_token_type"], TENCENT);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("N_A"), &json!(1799)));
    assert_eq!(answer["expiration"], "2023-11-14T22:43:20Z");
    let credentials = &answer["credentials"];
    assert_eq!(credentials["Token"], answer["access_token"]);
    assert_eq!(credentials.as_object().unwrap().len(), 3);
    let id = text(&credentials["TmpSecretId"]);
    let opened =
        triple::open(&testing::ring(), &id, &text(&credentials["Token"])).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(opened.secret.expose_str(), credentials["TmpSecretKey"]);

    let (subject, api) = (bench.world.client.guid, bench.world.others[0].guid);
    let uti: Uuid = text(&claims(&json!(first))["uti"]).parse().unwrap();
    assert_eq!((opened.claims.client, opened.claims.behalf), (Some(api), Some(subject)));
    assert_eq!(opened.claims.origins, [uti]);
    assert_eq!(opened.claims.subject, Some(subject.to_string()));

    let judged = |bench: &Bench| standing(&bench.world.directory(), &opened.claims.grounds(&id), later(1));
    assert_eq!(judged(&bench), Ok(()));
    let falls = |change: &dyn Fn(&mut Bench)| {
        let mut bench = self::bench();
        change(&mut bench);
        judged(&bench).unwrap_err()
    };
    let cut = |scope: Scope| Cutoff { scope, before: START };
    for scope in [Scope::Credential(uti.to_string()), Scope::Client(subject), Scope::Client(api)] {
        assert_eq!(
            falls(&|bench| bench.world.cutoffs = vec![cut(scope.clone())]),
            Fallen::Cut(scope.clone())
        );
    }
    assert_eq!(falls(&|bench| bench.world.client.enabled = false), Fallen::Client);
    assert_eq!(falls(&|bench| bench.world.client.grants.retain(|grant| grant.role != "soe")), Fallen::Grant);
    assert_eq!(falls(&|bench| bench.world.others[0].grants.clear()), Fallen::Grant);
    let without = |client: Uuid| falls(&|bench| bench.world.keys.retain(|key| key.client != client));
    assert_eq!((without(api), without(subject)), (Fallen::Key, Fallen::Key), "of the last and of the first");
}

#[test]
fn a_client_changes_its_own_token_into_a_key_of_the_other_vendor() {
    let bench = bench();
    let first = token(&bench);
    let audience = "role:store-upload?poi_id=8005";
    let reply = bench
        .post(&exchange(CLIENT, &first, &[("requested_token_type", ALIBABA), ("audience", audience)]), &[]);
    assert_eq!(reply.result, Ok(Success::Granted), "{}", reply.text);
    let credentials = &reply.json["credentials"];
    let id = text(&credentials["AccessKeyId"]);
    let opened = triple::open(&testing::ring(), &id, &text(&credentials["SecurityToken"]))
        .unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(opened.secret.expose_str(), credentials["AccessKeySecret"]);
    assert_eq!((opened.claims.client, opened.claims.behalf), (Some(bench.world.client.guid), None));
    let resources: Vec<_> =
        opened.claims.policy.statements.iter().flat_map(|s| &s.resources).map(ToString::to_string).collect();
    assert_eq!(resources, ["acs:oss:*:*:bucket/hema/8005/*"], "the only tenant_code need not be named");
}

#[test]
fn a_jwt_is_called_what_it_was_asked_for_as() {
    let bench = bench();
    let first = token(&bench);
    for more in [
        vec![("requested_token_type", JWT), ("scope", "orders.read"), ("audience", RESOURCE)],
        vec![("requested_token_type", JWT), ("subject_token_type", JWT), ("audience", RESOURCE)],
    ] {
        let reply = bench.post(&exchange(API, &first, &more), &[]);
        assert_eq!(reply.json["issued_token_type"], JWT, "{}", reply.text);
        assert_eq!(reply.json["scope"], format!("{RESOURCE}/orders.read"));
    }
}

/// Exchanges of this token that ask for something wrong.
fn mistakes(first: &str) -> Vec<(&'static str, String)> {
    let scope = default();
    let good = || vec![("scope", scope.as_str())];
    let key = |audience| vec![("requested_token_type", TENCENT), ("audience", audience)];
    vec![
        ("no subject_token", exchange(API, "", &good())),
        ("no subject_token_type", exchange(API, first, &[("subject_token_type", ""), ("scope", &scope)])),
        (
            "another type",
            exchange(
                API,
                first,
                &[("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), ("scope", &scope)],
            ),
        ),
        ("an actor_token", exchange(API, first, &[("actor_token", first), ("scope", &scope)])),
        (
            "another wish",
            exchange(
                API,
                first,
                &[
                    ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
                    ("scope", &scope),
                ],
            ),
        ),
        ("no target", exchange(API, first, &[])),
        ("two targets", exchange(API, first, &[("scope", &scope), ("resource", "api://other")])),
        ("no resource of ours", exchange(API, first, &[("scope", "api://nowhere/.default")])),
        (
            "no role of the resource",
            exchange(API, first, &[("scope", "orders.burn"), ("audience", RESOURCE)]),
        ),
        ("a key for no role", exchange(API, first, &[("requested_token_type", TENCENT)])),
        ("a key for a resource", exchange(API, first, &key(RESOURCE))),
        ("a key for a scope", exchange(API, first, &[("requested_token_type", TENCENT), ("scope", &scope)])),
        (
            "a key for a role and a resource",
            exchange(API, first, &[key("role:store-upload"), vec![("resource", RESOURCE)]].concat()),
        ),
        ("a key for no role of ours", exchange(API, first, &key("role:nothing"))),
        ("a key of the wrong vendor", exchange(API, first, &key("role:store-upload?poi_id=8005"))),
        (
            "a key with many values",
            exchange(API, first, &[("requested_token_type", ALIBABA), ("audience", "role:store-upload")]),
        ),
        (
            "a key with another's value",
            exchange(
                API,
                first,
                &[("requested_token_type", ALIBABA), ("audience", "role:store-upload?poi_id=1")],
            ),
        ),
        ("no token of ours", exchange(API, "a.b.c", &good())),
        ("nothing to do with it", exchange(STRANGER, first, &good())),
    ]
}

#[test]
fn what_is_asked_for_wrongly_is_refused_with_what_would_have_been_right() {
    let bench = bench();
    let first = token(&bench);
    let line = |(name, form): (&str, String)| {
        let reply = bench.post(&form, &[]);
        let (status, error, code) = reply.gist();
        let text = text(&reply.json["error_description"]);
        assert!(text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
        format!("{name}: {status} {error} {code}\n  {}", text.split(" Trace ID: ").next().unwrap())
    };
    let table = mistakes(&first).into_iter().map(line).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(table, @r"
    no subject_token: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'subject_token', with a value.
    no subject_token_type: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'subject_token_type', with a value.
    another type: 400 invalid_request 90100
      AADSTS90100: The subject_token_type is urn:ietf:params:oauth:token-type:access_token or urn:ietf:params:oauth:token-type:jwt; only access tokens of this service are exchanged.
    an actor_token: 400 invalid_request 90100
      AADSTS90100: An actor_token is not taken; who acts is the client that this request authenticates.
    another wish: 400 invalid_request 90100
      AADSTS90100: The requested_token_type is none that is given here; there are urn:ietf:params:oauth:token-type:access_token, urn:ietf:params:oauth:token-type:jwt, urn:daypass:params:oauth:token-type:tencent, urn:daypass:params:oauth:token-type:alibaba.
    no target: 400 invalid_request 900144
      AADSTS900144: The request names no resource; send one as scope={resource}/.default, or by the parameter resource or audience.
    two targets: 400 invalid_target 500011
      AADSTS500011: An exchange is for one resource; scope, audience and resource name several.
    no resource of ours: 400 invalid_target 500011
      AADSTS500011: There is no such resource, or the client that asks and the one that the token speaks for do not both have a role on it.
    no role of the resource: 400 invalid_scope 1002012
      AADSTS1002012: The resource has no such role, or the two clients do not both have it; ask for {resource}/.default, which gives all that both have.
    a key for no role: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'audience', with a value.
    a key for a resource: 400 invalid_target 500011
      AADSTS500011: A temporary key is given for a role; name that and nothing else, as audience=role:{name} or, with variables, audience=role:{name}?{variable}={value}.
    a key for a scope: 400 invalid_target 500011
      AADSTS500011: A temporary key is given for a role; name that and nothing else, as audience=role:{name} or, with variables, audience=role:{name}?{variable}={value}.
    a key for a role and a resource: 400 invalid_target 500011
      AADSTS500011: A temporary key is given for a role; name that and nothing else, as audience=role:{name} or, with variables, audience=role:{name}?{variable}={value}.
    a key for no role of ours: 400 invalid_target 500011
      AADSTS500011: There is no such role, or the client that asks and the one that the token speaks for do not both have a grant on it.
    a key of the wrong vendor: 400 invalid_target 500011
      AADSTS500011: The policy of this role is in another vendor's language; ask for a temporary key in the form of that vendor.
    a key with many values: 400 invalid_target 500011
      AADSTS500011: The role has the variable poi_id, which may have several values here; name one of them in the target.
    a key with another's value: 400 invalid_target 500011
      AADSTS500011: The variable poi_id has no such value, or this client may not use it.
    no token of ours: 400 invalid_request 50027
      AADSTS50027: The subject_token cannot be exchanged: it is no token of this tenant; expected was three parts of base64url without padding, joined by dots.
    nothing to do with it: 400 invalid_request 50027
      AADSTS50027: The subject_token cannot be exchanged: it was neither issued to this client nor is this client registered as the API that it is for.
    ");
}

#[test]
fn a_token_that_does_not_count_is_exchanged_for_nothing() {
    let mut bench = bench();
    let first = token(&bench);
    let by_api = |bench: &Bench, token: &str| why_of(bench, &exchange(API, token, &[("scope", &default())]));
    let refused = (400, "invalid_request".to_owned(), Reason::SubjectTokenInvalid);
    let mut broken = first.clone().into_bytes();
    let last = broken.len() - 5;
    broken[last] = if broken[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(by_api(&bench, std::str::from_utf8(&broken).unwrap()), refused);
    let uti = text(&claims(&json!(first))["uti"]);
    bench.world.cutoffs = vec![Cutoff { scope: Scope::Credential(uti), before: START }];
    assert_eq!(by_api(&bench, &first), refused, "taken back");
    bench.world.cutoffs.clear();
    bench.world.client.enabled = false;
    assert_eq!(by_api(&bench, &first), refused, "its client is disabled");
    bench.world.client.enabled = true;
    bench.clock.advance(3_600_000);
    assert_eq!(by_api(&bench, &first), refused, "it has run out");
    let last = bench.store.all().pop().unwrap();
    assert_eq!(last.client, Some(API.parse().unwrap()), "the refusal is recorded");
}

fn why_of(bench: &Bench, form: &str) -> (u16, String, Reason) {
    let reply = bench.post(form, &[]);
    let (status, error, reason) = why(&reply);
    (status, error.to_owned(), reason)
}

#[test]
fn a_temporary_key_and_its_token_get_no_other_credential() {
    let bench = bench();
    let first = token(&bench);
    let wanted = [("requested_token_type", TENCENT), ("audience", "role:soe")];
    let key = bench.post(&exchange(CLIENT, &first, &wanted), &[]);
    let shown = text(&key.json["access_token"]);
    let again = why_of(&bench, &exchange(CLIENT, &shown, &wanted));
    assert_eq!(again, (400, "invalid_request".to_owned(), Reason::SubjectTokenInvalid));
}

#[test]
fn a_token_never_stands_in_the_url_and_nothing_comes_twice() {
    let bench = bench();
    let first = token(&bench);
    let body = exchange(API, &first, &[("scope", &default())]);
    let target = format!("/{ACME}/oauth2/v2.0/token?subject_token=x");
    assert_eq!(why(&bench.send(super::token_request(&target, &body, &[]))).2, Reason::InvalidParameter);
    for name in ["subject_token", "subject_token_type", "requested_token_type", "audience", "resource"] {
        let twice = format!("{body}&{name}=a&{name}=a");
        assert_eq!(why(&bench.post(&twice, &[])).2, Reason::DuplicateParameter, "{name}");
    }
}

#[test]
fn tokens_of_another_tenant_are_none() {
    let mut bench = bench();
    let first = token(&bench);
    // The same clients, moved to the other tenant.
    for client in std::iter::once(&mut bench.world.client).chain(&mut bench.world.others) {
        client.tenant = "other".into();
    }
    let target = format!("/{}/oauth2/v2.0/token", bench.world.plan.tenants[1].guid);
    let body = exchange(API, &first, &[("scope", &default())]);
    let reply = bench.send(super::token_request(&target, &body, &[]));
    assert_eq!(why(&reply).2, Reason::SubjectTokenInvalid);
}
