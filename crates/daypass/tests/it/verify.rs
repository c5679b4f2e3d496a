//! What an API makes of our tokens: `daypass-verify`, and its example as it stands in the guide, against the running
//! program.

use crate::process::{Answer, Dev, daypass, json_of, parse};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daypass_verify::{Binding, BoundTo, Rejected, Verifier, dpop};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[path = "../../../daypass-verify/examples/axum_api.rs"]
#[expect(dead_code, reason = "its main function is for those who run it as a program")]
mod axum_api;

/// The demo's resources, one for each algorithm.
const AUDIENCES: [&str; 3] = [
    "d6b7c858-55fa-4d04-85a6-131af690abd4",
    "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29",
    "5c9e13d7-42f8-4b6a-8e01-d3a97f5b2c64",
];

fn text<'a>(dev: &'a Dev, name: &str) -> &'a str {
    dev.credentials["entra"][name].as_str().unwrap()
}

fn issuer(dev: &Dev) -> String {
    format!("{}/{}/v2.0", dev.credentials["url"].as_str().unwrap(), text(dev, "tenant"))
}

fn form(client: &str, secret: &str, resource: &str) -> String {
    let scope = format!("{resource}/.default");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_secret", secret),
        ("scope", &scope),
    ];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// What the demo's client is answered for this audience, with a proof of its key or without.
fn answered(dev: &Dev, audience: &str, proof: Option<&str>) -> Value {
    let path = format!("/{}/oauth2/v2.0/token", text(dev, "tenant"));
    let form = form(text(dev, "client_id"), text(dev, "client_secret"), audience);
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(proof.map(|proof| ("dpop", proof)));
    let answer = dev.send("POST", &path, &headers, form.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn token(dev: &Dev, audience: &str) -> String {
    answered(dev, audience, None)["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_of_each_algorithm_are_verified_by_the_issuers_name_alone() {
    let (dev, runtime) = (Dev::start(), Runtime::new().unwrap());
    let tokens = AUDIENCES.map(|audience| token(&dev, audience));
    for (audience, token) in AUDIENCES.iter().zip(&tokens) {
        let verifier = Verifier::builder(issuer(&dev)).audience(*audience).require_role("orders.read");
        let verifier =
            verifier.tenant(text(&dev, "tenant")).client(text(&dev, "client_id")).applications_only();
        let verifier = verifier.build().unwrap();
        let claims = runtime.block_on(verifier.verify(token)).unwrap();
        assert_eq!(
            (claims.client(), claims.roles()),
            (Some(text(&dev, "client_id")), &["orders.read".to_owned()][..])
        );
        assert!(claims.id().is_some() && claims.subject().is_some());
        for other in tokens.iter().filter(|other| *other != token) {
            assert_eq!(runtime.block_on(verifier.verify(other)), Err(Rejected::Audience));
        }
    }
}

#[test]
fn tokens_are_verified_while_the_issuer_is_away_and_never_by_another_one() {
    let (dev, other, runtime) = (Dev::start(), Dev::start(), Runtime::new().unwrap());
    let verifier = Verifier::builder(issuer(&dev)).audience(AUDIENCES[0]).build().unwrap();
    let (ours, theirs) = (token(&dev, AUDIENCES[0]), token(&other, AUDIENCES[0]));
    runtime.block_on(verifier.prepare()).unwrap();
    dev.stop();
    assert!(runtime.block_on(verifier.verify(&ours)).is_ok());
    // One tenant and one resource, but another installation with keys of its own.
    assert_eq!(runtime.block_on(verifier.verify(&theirs)), Err(Rejected::UnknownKey));
}

fn serve(runtime: &Runtime, verifier: Verifier) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, axum_api::api(verifier)).await });
    address
}

fn orders(address: SocketAddr, headers: &[String]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(stream, "GET /orders HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parse(&answer)
}

#[test]
fn the_example_of_the_guide_is_an_api() {
    let (dev, runtime) = (Dev::start(), Runtime::new().unwrap());
    let build = || Verifier::builder(issuer(&dev)).audience(AUDIENCES[0]);
    let api = serve(&runtime, build().build().unwrap());
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let good = token(&dev, AUDIENCES[0]);

    let answer = orders(api, &[bearer(&good)]);
    assert_eq!((answer.status, answer.body), (200, format!("orders for {}\n", text(&dev, "client_id"))));

    let said = |headers: &[String]| {
        let answer = orders(api, headers);
        let challenge = answer.head.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
        (answer.status, challenge.unwrap_or_default().split(',').next().unwrap().to_owned())
    };
    assert_eq!(said(&[]), (401, "bearer".to_owned()), "no code where there is no token");
    let invalid = (401, "bearer error=\"invalid_token\"".to_owned());
    assert_eq!(said(&[bearer("garbage")]), invalid);
    assert_eq!(said(&[bearer(&token(&dev, AUDIENCES[1]))]), invalid, "for another audience");
    assert_eq!(said(&[bearer(&format!("{good}A"))]), invalid);
    assert_eq!(said(&[bearer(&good), bearer(&good)]), (400, "bearer error=\"invalid_request\"".to_owned()));

    let stricter = serve(&runtime, build().require_role("orders.write").build().unwrap());
    let answer = orders(stricter, &[bearer(&good)]);
    assert_eq!(answer.status, 403);
    assert!(answer.head.contains("insufficient_scope") && answer.head.contains("orders.write"), "{answer:?}");
}

/// A key of a client, and proofs that it holds it (RFC 9449).
pub(crate) struct Holder(EcdsaKeyPair);

impl Holder {
    pub(crate) fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap())
    }

    /// A proof for one request; with the token that goes along, if there is one.
    pub(crate) fn proves(&self, id: &str, method: &str, url: &str, token: Option<&str>) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let point = self.0.public_key().as_ref();
        let jwk =
            json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..65])});
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"jti": id, "htm": method, "htu": url, "iat": now});
        if let Some(token) = token {
            claims["ath"] = encode(digest(&SHA256, token.as_bytes()).as_ref()).into();
        }
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
        let parts = [header, claims].map(|part| encode(part.to_string().as_bytes()));
        let signed = parts.join(".");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

#[test]
fn a_token_that_is_bound_to_a_key_is_worth_something_with_that_key_alone() {
    let (dev, runtime, holder) = (Dev::start(), Runtime::new().unwrap(), Holder::new());
    let at =
        format!("{}/{}/oauth2/v2.0/token", dev.credentials["url"].as_str().unwrap(), text(&dev, "tenant"));
    let answer = answered(&dev, AUDIENCES[1], Some(&holder.proves("1", "POST", &at, None)));
    assert_eq!(answer["token_type"], "DPoP");
    let token = answer["access_token"].as_str().unwrap();
    let verifier = Verifier::builder(issuer(&dev)).audience(AUDIENCES[1]).build().unwrap();
    assert_eq!(runtime.block_on(verifier.verify(token)), Err(Rejected::Bound(BoundTo::Key)));

    let url = "https://api.example.com/orders";
    let judged = |proof: &str| {
        let authorization = format!("DPoP {token}");
        let (token, proof) = dpop([authorization.as_str()], [proof]).unwrap();
        runtime.block_on(verifier.verify_bound(token, Binding::Dpop { proof, method: "GET", url }))
    };
    let proof = holder.proves("2", "GET", url, Some(token));
    assert!(judged(&proof).unwrap().has_role("orders.read"));
    assert!(matches!(judged(&proof), Err(Rejected::Proof(_))), "once");
    assert!(matches!(judged(&holder.proves("3", "POST", url, Some(token))), Err(Rejected::Proof(_))));
    let thief = Holder::new().proves("4", "GET", url, Some(token));
    assert_eq!(judged(&thief), Err(Rejected::NotBound(BoundTo::Key)));
}

const SHAPES: &str = r#"[server]
listen = "127.0.0.1:0"
[store]
url = "sqlite:daypass.db"
[seal]
key = { file = "seal.key" }
[[tenant]]
name = "main"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "first"
audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
identifiers = ["api://orders"]
roles = ["orders.read"]
version = "1.0"
[[tenant.role]]
name = "standard"
audience = "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29"
roles = ["orders.read"]
profile = "rfc9068"
algorithm = "EdDSA"
"#;

/// Version 1.0, whose issuer ends with a slash and whose audience is what was asked for, and RFC 9068.
#[test]
fn tokens_of_every_shape_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
    let file = folder.path().join("daypass.toml");
    std::fs::write(&file, SHAPES).unwrap();
    let add = [
        "client",
        "add",
        "shop",
        "--kind",
        "client-secret",
        "--role",
        "first",
        "--role",
        "standard",
        "--json",
    ];
    let added = json_of(&daypass().args(add).arg("--config").arg(&file).output().unwrap());
    let [id, secret] = ["client_id", "client_secret"].map(|name| added["keys"][0][name].as_str().unwrap());
    let (_served, ready, _log) = crate::tls::start(folder.path());
    let base = format!("{}/387c56a8-cf86-45de-b9f5-b4de88cac054", ready["public_url"].as_str().unwrap());
    let host = base.strip_prefix("http://").unwrap().split('/').next().unwrap();

    let runtime = Runtime::new().unwrap();
    for (resource, issuer, other) in [
        ("api://orders", format!("{base}/"), format!("{base}/v2.0")),
        ("d6b7c858-55fa-4d04-85a6-131af690abd4", format!("{base}/"), format!("{base}/v2.0")),
        ("0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29", format!("{base}/v2.0"), format!("{base}/")),
    ] {
        let body = form(id, secret, resource);
        let mut stream = TcpStream::connect(host).unwrap();
        let kind = "content-type: application/x-www-form-urlencoded";
        let target = "/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token";
        let length = body.len();
        write!(
            stream,
            "POST {target} HTTP/1.1\r\nhost: {host}\r\n{kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer = parse(&answer);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        let token = answer["access_token"].as_str().unwrap();

        let strict =
            |issuer: &str| Verifier::builder(issuer).audience(resource).applications_only().client(id);
        let claims =
            runtime.block_on(strict(&issuer).require_role("orders.read").build().unwrap().verify(token));
        let claims = claims.unwrap_or_else(|rejected| panic!("{resource}: {rejected}"));
        assert_eq!((claims.client(), claims.issuer()), (Some(id), issuer.as_str()));
        assert!(claims.id().is_some() && claims.is_application(), "{claims:?}");
        // Both issuers of a tenant publish the same keys; only the name tells them apart.
        let judged = runtime.block_on(strict(&other).build().unwrap().verify(token));
        assert_eq!(judged, Err(Rejected::Issuer));
        let both = strict(&other).also_issuer(&issuer).build().unwrap();
        assert!(runtime.block_on(both.verify(token)).is_ok());
    }
}
