use super::*;
use crate::cloud::build;
use crate::cloud::tests::round::{ONCE, Round, refused};
use crate::cloud::tests::{CLIENT, authorized, claims, devcenter, jwt, key, upstream, wanted};
use crate::fault::FaultKind;
use crate::testing::hostile::{Act, Asked, Hostile, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daypass_core::client::{KeyKind, Material, PublicKey};
use daypass_core::jose::Signer;
use daypass_core::role::Algorithm;
use daypass_core::secret::Secret;
use daypass_core::testing::{ACME, RESOURCE, START, later};
use daypass_dialects::entra::Entra as Dialect;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The world's client and its client secret.
const OURS: &str = "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11";
const THUMBPRINT: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

fn kind() -> upstream::Cloud {
    upstream::Cloud::Entra { tenant: ACME.to_string() }
}

async fn caught(key: &RootKey) -> (Asked, BTreeMap<String, String>) {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(kind(), &hostile.url("/"), None, 10_000)).unwrap();
    assert!(cloud.fetch(&wanted(&*cloud, &devcenter()), key, START, ONCE).await.is_err());
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    (asked.clone(), form_urlencoded::parse(&asked.body).into_owned().collect())
}

/// A key pair of the client's, as an operator would store it.
fn private_key() -> (RootKey, Value) {
    let pkcs8 = Signer::generate(Algorithm::Rs256).unwrap();
    let mut jwk = Signer::parse(Algorithm::Rs256, &pkcs8).unwrap().jwk().clone();
    jwk.as_object_mut().unwrap().remove("alg");
    let lines: Vec<String> = STANDARD
        .encode(pkcs8.expose())
        .as_bytes()
        .chunks(64)
        .map(|l| String::from_utf8(l.to_vec()).unwrap())
        .collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let proof =
        RootProof::PrivateKey { pem: Arc::new(Secret::new(pem)), thumbprint: Some(THUMBPRINT.into()) };
    (RootKey { id: OURS.into(), proof }, jwk)
}

#[tokio::test]
async fn a_token_is_asked_for_with_a_secret() {
    let (asked, form) = caught(&key(CLIENT)).await;
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.target, format!("/{ACME}/oauth2/v2.0/token"));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    let expected = [
        ("client_id", CLIENT),
        ("client_secret", "root-secret"),
        ("grant_type", "client_credentials"),
        ("scope", &format!("{RESOURCE}/.default")),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn a_token_is_asked_for_with_a_private_key_as_entra_wants_it() {
    let (key, _) = private_key();
    let (asked, form) = caught(&key).await;
    assert!(!form.contains_key("client_secret"));
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let parts: Vec<&str> = form["client_assertion"].split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(read(parts[0]), json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": THUMBPRINT }));
    let address = format!("http://{}/{ACME}/oauth2/v2.0/token", asked.header("host"));
    assert_eq!(
        read(parts[1]),
        json!({
            "aud": address, "iss": OURS, "sub": OURS, "jti": Uuid::from_bytes(ONCE).to_string(),
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_000_300,
        })
    );
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_found_before_anything_is_sent() {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(kind(), &hostile.url("/"), None, 10_000)).unwrap();
    let wanted = wanted(&*cloud, &devcenter());
    let ec = Signer::generate(Algorithm::Es256).unwrap();
    let ec =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", STANDARD.encode(ec.expose()));
    for pem in ["", "MIIB", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", &ec] {
        let proof = RootProof::PrivateKey { pem: Arc::new(Secret::new(pem)), thumbprint: None };
        let fault =
            cloud.fetch(&wanted, &RootKey { id: OURS.into(), proof }, START, ONCE).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::NoKey, "{fault:?}");
    }
    assert_eq!(hostile.connections(), 0);
}

#[tokio::test]
async fn our_own_token_endpoint_gives_a_token_for_a_secret_and_for_an_assertion() {
    let mut round = Round::new(Dialect, kind(), "/").await;
    let wanted = wanted(&*round.cloud, &devcenter());
    let (private, jwk) = private_key();
    let public = PublicKey { jwk, x5t: None, x5t_s256: Some(THUMBPRINT.into()) };
    let id = Uuid::from_u128(0x0af1);
    let client = round.world.client.guid;
    round.world.keys.push(daypass_core::testing::oauth_key(
        id,
        KeyKind::PublicKey,
        client,
        Material::Public(public),
    ));
    let secret = Secret::new(format!("secret of {}", Uuid::from_u128(0x5ec)));
    let secret = RootKey { id: OURS.into(), proof: RootProof::Secret(Arc::new(secret)) };
    for key in [secret, private] {
        let fetched = round.fetch(&wanted, &key).await.unwrap();
        let Parts::Bearer(token) = &fetched.parts else { panic!("a token") };
        assert_eq!(token.expose_str().split('.').count(), 3);
        assert_eq!(fetched.expires, later(3_599));
        assert_eq!(fetched.request.as_deref(), None, "a success names no request in its body or head");
        assert_eq!(
            round.canary(&key).await.unwrap(),
            None,
            "the scope is refused, and that only after the proof"
        );
    }
    for (key, code) in
        [(key(OURS), "AADSTS7000215/invalid_client"), (key(CLIENT), "AADSTS700016/unauthorized_client")]
    {
        let fault = round.fetch(&wanted, &key).await.err().unwrap();
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::KeyRefused, Some(code)));
        assert_eq!(round.canary(&key).await.unwrap_err().kind, FaultKind::KeyRefused);
    }
}

#[tokio::test]
async fn a_life_is_a_number_or_a_text_and_ends_with_the_token() {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(kind(), &hostile.url("/"), None, 10_000)).unwrap();
    let wanted = wanted(&*cloud, &devcenter());
    for (expires_in, exp, expected) in [
        (json!(3_599), json!(1_700_003_599), 3_599),
        (json!("3599"), json!(1_700_003_599), 3_599),
        (json!(3_599), json!(1_700_000_600), 600),
        (json!(5_400), json!(1_700_005_400), 3_600),
        (json!(1_200), Value::Null, 1_200),
    ] {
        let mut claims = claims();
        claims["exp"] = exp;
        let answer =
            json!({ "token_type": "bearer", "expires_in": expires_in, "access_token": jwt(&claims) });
        hostile.does(Act::Answer(Reply::json(answer.to_string())));
        let fetched = cloud.fetch(&wanted, &key(CLIENT), START, ONCE).await.unwrap();
        assert_eq!(fetched.expires, later(expected), "{answer}");
    }
    let opaque = json!({ "token_type": "Bearer", "expires_in": 60, "access_token": "EwBwA8l6BAAU.opaque" });
    hostile.does(Act::Answer(Reply::json(opaque.to_string())));
    assert!(cloud.fetch(&wanted, &key(CLIENT), START, ONCE).await.is_ok(), "not every token can be read");
}

#[test]
fn the_canary_of_each_cloud_of_microsofts_stays_in_it() {
    for (host, resource) in [
        ("login.microsoftonline.com", Some("https://graph.microsoft.com")),
        ("login.chinacloudapi.cn", Some("https://microsoftgraph.chinacloudapi.cn")),
        ("login.partner.microsoftonline.cn", Some("https://microsoftgraph.chinacloudapi.cn")),
        ("login.microsoftonline.us", Some("https://graph.microsoft.us")),
        ("pass.example.com", None),
        ("login.microsoftonline.com.example.com", None),
    ] {
        assert_eq!(graph(host), resource, "{host}");
    }
}

#[tokio::test]
async fn a_canary_tells_the_tenant_and_only_a_scope_may_be_refused() {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(kind(), &hostile.url("/"), None, 10_000)).unwrap();
    let token = |claims: &Value| {
        let answer = json!({ "token_type": "Bearer", "expires_in": 60, "access_token": jwt(claims) });
        Act::Answer(Reply::json(answer.to_string()))
    };
    let refused = |error: &str| Act::Answer(Reply::json(json!({ "error": error }).to_string()).status(400));
    let mut other = claims();
    other["tid"] = "00000000-0000-4000-8000-000000000001".into();
    for (act, expected) in [
        (token(&claims()), Ok(Some(ACME.to_string()))),
        (token(&other), Err(FaultKind::Wrong)),
        (refused("invalid_scope"), Ok(None)),
        (refused("invalid_resource"), Ok(None)),
        (refused("invalid_request"), Err(FaultKind::Refused)),
        (refused("invalid_client"), Err(FaultKind::KeyRefused)),
        (refused("temporarily_unavailable"), Err(FaultKind::Busy)),
    ] {
        hostile.does(act);
        assert_eq!(cloud.canary(&key(CLIENT), START, ONCE).await.map_err(|fault| fault.kind), expected);
    }
    let last = hostile.asked().pop().unwrap();
    assert!(last.text().contains(&format!("scope={CLIENT}%2F.default")), "{}", last.text());
}

#[test]
fn the_scope_is_the_roles_or_that_of_its_resource() {
    let cloud = build(&upstream(kind(), "http://127.0.0.1:9/", None, 1_000)).unwrap();
    let scope = |own: Option<&str>| {
        let authorized = authorized(|role| role.brokering.scope = own.map(str::to_owned), &devcenter());
        cloud.wanted(&authorized).unwrap().scope
    };
    assert_eq!(scope(None).as_deref(), Some("d6b7c858-55fa-4d04-85a6-131af690abd4/.default"));
    assert_eq!(
        scope(Some("https://vault.azure.cn/.default")).as_deref(),
        Some("https://vault.azure.cn/.default")
    );
}

#[test]
fn a_tenant_cannot_lead_to_another_path() {
    for tenant in ["", "..", ".", "a/b", "a?b", "a#b", "a%2fb", "a b", "@evil.example"] {
        let kind = upstream::Cloud::Entra { tenant: tenant.into() };
        assert!(refused(&kind, "https://login.chinacloudapi.cn/").is_some(), "{tenant}");
    }
    for tenant in ["387c56a8-cf86-45de-b9f5-b4de88cac054", "contoso.partner.onmschina.cn"] {
        let kind = upstream::Cloud::Entra { tenant: tenant.into() };
        assert_eq!(refused(&kind, "https://login.chinacloudapi.cn/"), None, "{tenant}");
    }
}
