//! What clients with keys, certificates and outside providers are answered, in Entra's words.

use super::refusals::assert_well_formed;
use super::{Bench, CLIENT, Reply, SECRET, form, token_request};
use daypass_core::client::{CertificateRule, KeyKind, Material};
use daypass_core::clock::Timestamp;
use daypass_core::guesses::OF_CLIENT;
use daypass_core::peer::Peer;
use daypass_core::pipeline::Success;
use daypass_core::provider::{KeySource, Provider};
use daypass_core::refusal::Reason;
use daypass_core::role::Algorithm;
use daypass_core::testing::{self, ACME, RESOURCE, START, later};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const BASE: &str = "http://127.0.0.1:5050";
/// `START`, in seconds.
const NOW: i64 = 1_700_000_000;
const NOBODY: &str = "11111111-2222-3333-4444-555555555555";
const KEY: Uuid = Uuid::from_u128(0xa551);

fn token_url() -> String {
    format!("{BASE}/{ACME}/oauth2/v2.0/token")
}

/// A world whose client has a public key of P-256.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let key = testing::public_key(KEY, bench.world.client.guid, Algorithm::Es256);
    bench.world.keys.push(key);
    bench
}

fn claims(jti: &str) -> Value {
    json!({"iss": CLIENT, "sub": CLIENT, "aud": token_url(), "jti": jti, "iat": NOW, "exp": NOW + 600})
}

/// The claims with one of them changed; null takes it away.
fn but(jti: &str, name: &str, value: Value) -> Value {
    let mut claims = claims(jti);
    match value {
        Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
        value => claims[name] = value,
    }
    claims
}

fn signed(claims: &Value) -> String {
    let header = json!({"alg": "ES256", "kid": testing::client_signer(Algorithm::Es256).kid()});
    testing::client_assertion(&header, claims).expose_str().to_owned()
}

fn show(bench: &Bench, assertion: &str, client: Option<&str>) -> Reply {
    let scope = format!("{RESOURCE}/.default");
    let mut pairs = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
        ("scope", &scope),
    ];
    pairs.extend(client.map(|id| ("client_id", id)));
    bench.post(&form(&pairs), &[])
}

/// Code and sentence of each answer.
fn table(cases: Vec<(&str, Reply)>) -> String {
    let line = |(name, reply): (&str, Reply)| {
        assert_well_formed(&reply.text);
        let (status, error, code) = reply.gist();
        let text = reply.json["error_description"].as_str().unwrap().split(" Trace ID: ").next().unwrap();
        format!("{name}: {status} {error} {code}\n  {text}")
    };
    cases.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_assertion_gets_a_token_whatever_it_calls_us() {
    let bench = bench();
    let upper = CLIENT.to_uppercase();
    for (n, (aud, client)) in [
        (json!(token_url()), None),
        (json!([token_url()]), Some(CLIENT)),
        (json!(format!("{BASE}/{ACME}/v2.0")), Some(upper.as_str())),
        (json!(format!("{BASE}/{ACME}/")), None),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = show(&bench, &signed(&but(&n.to_string(), "aud", aud)), client);
        assert_eq!(reply.result, Ok(Success::Granted), "{}", reply.text);
        let record = bench.store.all().pop().unwrap();
        assert_eq!(record.proof.as_deref(), Some("private_key_jwt"));
        assert_eq!(record.key, Some(KEY.to_string()));
    }
}

#[test]
fn an_endpoint_that_is_called_may_be_named_as_it_was_called() {
    let bench = bench();
    let path = format!("/{}/oauth2/v2.0/token", ACME.to_string().to_uppercase());
    let assertion = signed(&but("a", "aud", json!(format!("{BASE}{path}"))));
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", &assertion),
        ("scope", &format!("{RESOURCE}/.default")),
    ]);
    assert_eq!(bench.send(token_request(&path, &body, &[])).result, Ok(Success::Granted));
}

#[test]
fn each_mistake_of_an_assertion_has_its_answer() {
    let bench = bench();
    let with = |name: &str, value: Value| show(&bench, &signed(&but("x", name, value)), None);
    let header =
        |header: Value| show(&bench, testing::client_assertion(&header, &claims("x")).expose_str(), None);
    let right = signed(&claims("right"));
    let mut broken = right.clone();
    broken.replace_range(broken.len() - 8..broken.len() - 4, "AAAA");
    let used = signed(&claims("used"));
    assert_eq!(show(&bench, &used, None).result, Ok(Success::Granted));
    insta::assert_snapshot!(
        table(vec![
            ("no JWT", show(&bench, "x", Some(CLIENT))),
            ("wrong signature", show(&bench, &broken, None)),
            ("key of nobody", header(json!({"alg": "ES256", "kid": "unknown", "x5t": "AAAA"}))),
            ("key of another kind", header(json!({"alg": "RS256"}))),
            ("algorithm none", header(json!({"alg": "none"}))),
            ("unknown client", with("iss", json!(NOBODY))),
            ("another client_id", show(&bench, &right, Some(NOBODY))),
            ("another subject", with("sub", json!(NOBODY))),
            ("another audience", with("aud", json!("https://login.microsoftonline.com/common/v2.0"))),
            ("expired", with("exp", json!(NOW - 60))),
            ("not yet", with("nbf", json!(NOW + 61))),
            ("too long", with("exp", json!(NOW + 3661))),
            ("no exp", with("exp", Value::Null)),
            ("no jti", with("jti", Value::Null)),
            ("used before", show(&bench, &used, None)),
        ]),
        @r#"
        no JWT: 401 invalid_client 50027
          AADSTS50027: The client assertion cannot be used; expected was three parts of base64url without padding, joined by dots.
        wrong signature: 401 invalid_client 700027
          AADSTS700027: The client assertion is not accepted: its signature is not by the key that it names (kid), or this client has no such key; sign with a key that is registered and fits ES256.
        key of nobody: 401 invalid_client 700027
          AADSTS700027: The client assertion is not accepted: its signature is not by the key that it names (kid, x5t), or this client has no such key; sign with a key that is registered and fits ES256.
        key of another kind: 401 invalid_client 700027
          AADSTS700027: The client assertion is not accepted: its signature is by none of this client's public keys; sign with a key that is registered and fits RS256.
        algorithm none: 401 invalid_client 700027
          AADSTS700027: The client assertion must be signed with one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, Ed25519.
        unknown client: 400 unauthorized_client 700016
          AADSTS700016: The application was not found in this directory; check client_id and the tenant in the URL.
        another client_id: 401 invalid_client 700021
          AADSTS700021: The client assertion and the parameter client_id name two clients; its iss and sub must be the client id.
        another subject: 401 invalid_client 50027
          AADSTS50027: The client assertion cannot be used; expected was an iss and a sub that are both the client id.
        another audience: 401 invalid_client 700023
          AADSTS700023: The client assertion is not made for this service; its aud must be one of http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token, http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0, http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/, and nothing else.
        expired: 401 invalid_client 700024
          AADSTS700024: The client assertion is not within its time; it is 2023-11-14T22:13:20Z here, and it is valid from 2023-11-14T22:13:20Z until 2023-11-14T22:12:20Z; check the clock of the client, which may be 60 seconds off.
        not yet: 401 invalid_client 700024
          AADSTS700024: The client assertion is not within its time; it is 2023-11-14T22:13:20Z here, and it is valid from 2023-11-14T22:14:21Z until 2023-11-14T22:23:20Z; check the clock of the client, which may be 60 seconds off.
        too long: 401 invalid_client 700024
          AADSTS700024: The client assertion is valid from 2023-11-14T22:13:20Z until 2023-11-14T23:14:21Z, and 3600 seconds are the most; make a new one for each request.
        no exp: 401 invalid_client 50027
          AADSTS50027: The client assertion cannot be used; expected was an exp in seconds since 1970.
        no jti: 401 invalid_client 50027
          AADSTS50027: The client assertion cannot be used; expected was a jti of 1 to 256 characters, new for each one.
        used before: 401 invalid_client 700027
          AADSTS700027: This client assertion was used before; make a new one, with a new jti, for each request.
        "#
    );
}

#[test]
fn state_decides_what_a_right_assertion_gets() {
    let mut bench = bench();
    bench.world.keys.last_mut().unwrap().expires = Some(START);
    let expired = show(&bench, &signed(&claims("a")), None);
    assert_eq!(expired.gist(), (401, "invalid_client", 7_000_222));
    bench.world.keys.last_mut().unwrap().enabled = false;
    assert_eq!(show(&bench, &signed(&claims("a")), None).gist(), (401, "invalid_client", 700_027));
    let key = bench.world.keys.last_mut().unwrap();
    (key.enabled, key.expires, key.starts) = (true, None, Some(later(1)));
    let early = show(&bench, &signed(&claims("a")), None);
    assert_eq!(early.gist(), (401, "invalid_client", 7_000_222));
    bench.world.keys.last_mut().unwrap().starts = Some(START);
    bench.world.client.enabled = false;
    let disabled = show(&bench, &signed(&claims("a")), None);
    assert_eq!(disabled.gist(), (400, "unauthorized_client", 7_000_112));
    bench.world.client.enabled = true;
    bench.store.go_down();
    assert_eq!(show(&bench, &signed(&claims("a")), None).gist(), (503, "temporarily_unavailable", 90_033));
    bench.store.come_back();
    assert_eq!(show(&bench, &signed(&claims("a")), None).result, Ok(Success::Granted));
}

#[test]
fn no_answer_and_no_record_repeats_an_assertion() {
    let bench = bench();
    let secret_jti = "jti-that-nobody-needs-to-see";
    let right = signed(&claims(secret_jti));
    let wrong = signed(&but(secret_jti, "aud", json!("urn:someone-else")));
    for assertion in [right.clone(), right, wrong] {
        let reply = show(&bench, &assertion, None);
        for part in assertion.split('.').chain([secret_jti, "someone-else"]) {
            assert!(!reply.text.contains(part), "{}", reply.text);
        }
    }
    let records = serde_json::to_string(&bench.store.all()).unwrap();
    assert!(!records.contains(secret_jti), "{records}");
}

/// A world whose client is whoever a provider calls by this subject.
fn federated(subject: &str) -> Bench {
    let mut bench = Bench::with_identity(Arc::new(testing::OneProvider { up: true }));
    bench.world.plan.providers.push(Arc::new(Provider {
        tenant: "acme".into(),
        name: "ci".into(),
        issuer: "https://ci.example.com".into(),
        audiences: vec!["api://AzureADTokenExchange".into()],
        keys: KeySource::Discovery,
        subject: "sub".into(),
        variables: BTreeMap::new(),
        quota: daypass_core::provider::Quota::default(),
    }));
    let material = Material::Federated { provider: "ci".into(), subject: subject.into() };
    let client = bench.world.client.guid;
    bench.world.keys.push(testing::oauth_key(KEY, KeyKind::Federated, client, material));
    bench
}

fn outside(name: &str, value: Value) -> String {
    let mut claims = json!({
        "iss": "https://ci.example.com", "sub": "repo:acme/app:ref:refs/heads/main",
        "aud": "api://AzureADTokenExchange", "iat": NOW, "exp": NOW + 600,
    });
    claims[name] = value;
    testing::provider_signer().sign("JWT", &claims).unwrap()
}

#[test]
fn whom_a_provider_vouches_for_is_the_client_again_and_again() {
    let bench = federated("repo:acme/app:*");
    let token = outside("jti", json!("same"));
    for _ in 0..2 {
        let reply = show(&bench, &token, Some(CLIENT));
        assert_eq!(reply.result, Ok(Success::Granted), "{}", reply.text);
        let record = bench.store.all().pop().unwrap();
        assert_eq!((record.proof.as_deref(), record.key), (Some("federated"), Some(KEY.to_string())));
    }
}

#[test]
fn each_mistake_of_an_outside_token_says_which_of_the_three_does_not_match() {
    let bench = federated("repo:acme/app:*");
    let right = outside("jti", json!("x"));
    let mut broken = right.clone();
    broken.replace_range(broken.len() - 8..broken.len() - 4, "AAAA");
    let with = |name: &str, value: Value| show(&bench, &outside(name, value), Some(CLIENT));
    insta::assert_snapshot!(
        table(vec![
            ("another issuer", with("iss", json!("https://ci.example.com/"))),
            ("another audience", with("aud", json!("api://other"))),
            ("another subject", with("sub", json!("repo:other/app:ref:refs/heads/main"))),
            ("expired", with("exp", json!(NOW))),
            ("wrong signature", show(&bench, &broken, Some(CLIENT))),
            ("no client_id", show(&bench, &right, None)),
            ("unknown client", show(&bench, &right, Some(NOBODY))),
        ]),
        @r#"
        another issuer: 401 invalid_client 700211
          AADSTS700211: This client trusts no issuer of the name in the assertion; a client's own assertion has its client id as iss, and an issuer must be written letter by letter as in the configuration.
        another audience: 401 invalid_client 700212
          AADSTS700212: The token is not accepted; expected was the audience api://AzureADTokenExchange.
        another subject: 401 invalid_client 700213
          AADSTS700213: The token is accepted, and its subject repo:other/app:ref:refs/heads/main is none that this client trusts there; a federated key of the client must have this subject, letter by letter.
        expired: 401 invalid_client 700024
          AADSTS700024: The token has expired at 2023-11-14T22:13:20Z; get a new one from its issuer.
        wrong signature: 401 invalid_client 700027
          AADSTS700027: The token is not accepted; expected was a signature by the key that it names.
        no client_id: 400 invalid_request 900144
          AADSTS900144: An assertion of an outside provider does not say which client it is for; send client_id.
        unknown client: 400 unauthorized_client 700016
          AADSTS700016: The application was not found in this directory; check client_id and the tenant in the URL.
        "#
    );
}

#[test]
fn a_federated_key_counts_while_it_is_live_and_its_provider_is_trusted() {
    let mut bench = federated("repo:acme/app:*");
    let token = outside("jti", json!("x"));
    bench.world.keys.last_mut().unwrap().expires = Some(START);
    assert_eq!(show(&bench, &token, Some(CLIENT)).gist().2, 7_000_222);
    bench.world.keys.last_mut().unwrap().enabled = false;
    assert_eq!(show(&bench, &token, Some(CLIENT)).gist().2, 700_211);
    let mut bench = federated("repo:acme/app:*");
    bench.world.plan.providers.clear();
    assert_eq!(show(&bench, &token, Some(CLIENT)).gist().2, 700_211);
    let mut bench = federated("repo:acme/app:*");
    bench.world.client.tenant = "other".into();
    assert_eq!(show(&bench, &token, Some(CLIENT)).gist().2, 700_016);
    let bench = federated("repo:acme/app");
    assert_eq!(
        show(&bench, &token, Some(CLIENT)).gist().2,
        700_213,
        "without a star the whole subject counts"
    );
}

/// Two providers may have one issuer and differ in what else they ask for.
#[test]
fn a_subject_is_trusted_at_the_provider_of_its_key_alone() {
    let mut bench = federated("repo:acme/other");
    let ci = bench.world.plan.providers.last().unwrap().clone();
    let strict =
        Provider { name: "strict".into(), audiences: vec!["api://strict".into()], ..Provider::clone(&ci) };
    bench.world.plan.providers.push(Arc::new(strict));
    let material = Material::Federated { provider: "strict".into(), subject: "repo:acme/app:*".into() };
    let client = bench.world.client.guid;
    bench.world.keys.push(testing::oauth_key(Uuid::from_u128(2), KeyKind::Federated, client, material));
    assert_eq!(show(&bench, &outside("jti", json!("x")), Some(CLIENT)).gist().2, 700_213);
    let reply = show(&bench, &outside("aud", json!("api://strict")), Some(CLIENT));
    assert_eq!(reply.result, Ok(Success::Granted), "{}", reply.text);
}

#[test]
fn wrong_outside_tokens_are_counted_for_the_client_that_they_are_shown_for() {
    let bench = federated("repo:acme/app");
    let wrong = outside("sub", json!("repo:other/app"));
    let status = |client| show(&bench, &wrong, Some(client)).parts.status.as_u16();
    let counted: Vec<_> = (0..=OF_CLIENT).map(|_| status(CLIENT)).collect();
    assert_eq!(counted.iter().filter(|status| **status == 429).count(), 1, "{counted:?}");
    assert_eq!(status(NOBODY), 400, "another client has a count of its own");
}

#[test]
fn a_certificate_of_the_connection_proves_only_where_nothing_else_does() {
    let print = "HZwdnWBltntXFwF-4rxjKaBKKlUx248b75jC4YNUaq4";
    let mut bench = Bench::new();
    let rule = Material::Certificate(CertificateRule::Pinned { x5t_s256: print.into() });
    bench.world.keys.push(testing::oauth_key(KEY, KeyKind::Certificate, bench.world.client.guid, rule));
    let peer = |x5t_s256: &str| Peer {
        x5t_s256: x5t_s256.into(),
        chained: false,
        subject_dn: String::new(),
        names: vec![],
        not_before: START,
        not_after: later(60),
    };
    let send = |peer: Option<Peer>, secret: Option<&str>| {
        let scope = format!("{RESOURCE}/.default");
        let mut pairs = vec![("grant_type", "client_credentials"), ("client_id", CLIENT), ("scope", &scope)];
        pairs.extend(secret.map(|secret| ("client_secret", secret)));
        let mut request = token_request(&format!("/{ACME}/oauth2/v2.0/token"), &form(&pairs), &[]);
        request.head_mut().peer = peer.map(Arc::new);
        bench.send(request)
    };
    assert_eq!(send(Some(peer(print)), None).result, Ok(Success::Granted));
    let record = bench.store.all().pop().unwrap();
    assert_eq!(record.proof.as_deref(), Some("self_signed_tls_client_auth"));
    let text = serde_json::to_string(&record).unwrap();
    assert!(text.contains(&format!(r#""bound":"x5t#S256 {print}""#)), "{text}");
    let other = send(Some(peer("other")), None);
    assert_eq!(other.gist(), (401, "invalid_client", 700_027));
    assert_eq!(send(Some(peer("other")), Some(SECRET)).result, Ok(Success::Granted));
    let record = serde_json::to_string(&bench.store.all().pop().unwrap()).unwrap();
    assert!(record.contains("client_secret_post") && !record.contains("x5t#S256"), "{record}");
    assert_eq!(send(Some(peer(print)), Some("wrong")).gist().2, 7_000_215, "nor does it mend a wrong secret");
    assert_eq!(send(None, None).result.map_err(|r| r.reason), Err(Reason::MissingProof));
}

#[test]
fn times_are_judged_by_our_clock_within_a_minute() {
    let bench = bench();
    let at = |millis: i64| bench.clock.set(Timestamp::from_millisecond(NOW * 1000 + millis).unwrap());
    for (n, (millis, served)) in
        [(-60_000, true), (-60_001, false), (659_999, true), (660_000, false)].into_iter().enumerate()
    {
        at(millis);
        let reply = show(&bench, &signed(&claims(&n.to_string())), None);
        assert_eq!(reply.result.is_ok(), served, "{millis}: {}", reply.text);
        if !served {
            assert_eq!(reply.gist(), (401, "invalid_client", 700_024));
        }
    }
}
