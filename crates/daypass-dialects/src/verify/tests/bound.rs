//! Access tokens that are bound to a key or to a certificate.

use super::*;
use aws_lc_rs::digest;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::testing::{before, client_signer, later};

/// The API's own address for the request of these tests.
const URL: &str = "https://api.example.com/orders/7";

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// A token of the world's client with this `cnf`.
fn bound_to(service: &Service, cnf: &Value) -> String {
    let mut claims = json!({
        "aud": RESOURCE, "iss": format!("http://127.0.0.1:5050/{ACME}/v2.0"),
        "iat": START.as_second(), "exp": START.as_second() + 1800,
        "azp": service.world.client.guid, "sub": service.world.client.object,
        "rh": format!("1.{}", key_print(&APP_KEY.to_string())),
        "roles": ["orders.read"], "tid": ACME, "uti": Uuid::from_u128(8), "ver": "2.0",
    });
    if !cnf.is_null() {
        claims["cnf"] = cnf.clone();
    }
    token(&claims)
}

/// A token that is bound to the key of this algorithm.
pub(super) fn of_key(service: &Service, algorithm: Algorithm) -> String {
    bound_to(service, &json!({"jkt": client_signer(algorithm).kid()}))
}

/// A proof of that key with these claims in place of the usual ones.
pub(super) fn proof(algorithm: Algorithm, token: &str, changes: &Value) -> String {
    let signer = client_signer(algorithm);
    let mut jwk = signer.jwk().clone();
    for extra in ["kid", "use", "alg"] {
        jwk.as_object_mut().unwrap().remove(extra);
    }
    let header = json!({"typ": "dpop+jwt", "alg": signer.jwk()["alg"], "jwk": jwk});
    let ath = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()));
    let mut claims = json!({"jti": "1", "htm": "GET", "htu": URL, "iat": START.as_second(), "ath": ath});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    signer.sign_under(&header, &claims).unwrap()
}

/// The question about a request with this `Authorization` and these proofs.
fn shown(authorization: &str, proofs: &[&str]) -> Value {
    json!({
        "method": "GET", "path": "/orders/7", "query": "x=1", "host": HOST, "url": URL,
        "headers": {"authorization": authorization, "dpop": proofs},
        "action": "orders.read", "resource": "*",
    })
}

use Algorithm::{EdDsa, Es256};

#[test]
fn the_holder_of_the_key_is_recognised() {
    let service = Service::new();
    for &algorithm in Algorithm::ALL {
        let token = of_key(&service, algorithm);
        let asked = shown(&format!("DPoP {token}"), &[&proof(algorithm, &token, &json!({}))]);
        let told = service.valid(&asked);
        assert_eq!((&told["bound"], &told["covers"]), (&json!("key"), &json!(["method", "url"])));
        assert_eq!(told["decision"]["allowed"], true);
        assert_eq!(service.valid(&asked), told, "a question is not a use");
        let mut named = asked;
        named["scheme"] = json!("bearer");
        service.valid(&named);
    }
}

#[test]
fn nobody_else_is() {
    let service = Service::new();
    let token = of_key(&service, Es256);
    let other = bound_to(&service, &json!({"jkt": client_signer(Es256).kid(), "x": 1}));
    for changes in [
        json!({"htm": "POST"}),
        json!({"htu": "https://evil.example.com/orders/7"}),
        json!({"htu": "https://api.example.com/orders/8"}),
        json!({"htu": format!("http://{HOST}/orders/7")}),
        json!({"ath": null}),
        json!({"ath": URL_SAFE_NO_PAD.encode(sha256(other.as_bytes()))}),
        json!({"iat": before(START, 61).as_second()}),
        json!({"iat": later(61).as_second()}),
        json!({"jti": ""}),
    ] {
        let proof = proof(Es256, &token, &changes);
        service.invalid(&shown(&format!("DPoP {token}"), &[&proof]), "dpop_invalid");
    }
    let by_another = proof(EdDsa, &token, &json!({}));
    service.invalid(&shown(&format!("DPoP {token}"), &[&by_another]), "dpop_invalid");
    let right = proof(Es256, &token, &json!({}));
    for proofs in [&[][..], &[&*right, &*right], &[&*right, &*by_another], &[""], &["x"]] {
        service.invalid(&shown(&format!("DPoP {token}"), proofs), "dpop_invalid");
    }
}

/// Attack: a token that was stolen from the holder of a key is shown as a plain one.
#[test]
fn a_bound_token_is_no_plain_one_and_the_reverse() {
    let service = Service::new();
    let (of_key, plain) = (of_key(&service, Es256), bound_to(&service, &Value::Null));
    let right = |token: &str| proof(Es256, token, &json!({}));
    service.invalid(&shown(&format!("Bearer {of_key}"), &[]), "token_invalid");
    service.invalid(&shown(&format!("Bearer {of_key}"), &[&right(&of_key)]), "token_invalid");
    service.invalid(&shown(&format!("DPoP {plain}"), &[&right(&plain)]), "token_invalid");
    assert!(service.valid(&shown(&format!("Bearer {plain}"), &[])).get("bound").is_none());
    service.invalid(&shown(&format!("DPoP  {of_key}"), &[&right(&of_key)]), "malformed_proof");
    service.invalid(&shown("DPoP ", &[&right("")]), "malformed_proof");
}

#[test]
fn the_api_says_where_the_request_was_sent_to() {
    let service = Service::new();
    let token = of_key(&service, Es256);
    let mut asked = shown(&format!("DPoP {token}"), &[&proof(Es256, &token, &json!({}))]);
    for url in [
        json!(null),
        json!("/orders/7"),
        json!("api.example.com/orders/7"),
        json!("https://u@api.example.com/"),
    ] {
        asked["url"] = url.clone();
        let (status, body) = service.ask(&asked);
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{url}: {body}");
    }
    asked["url"] = json!("HTTPS://API.example.com:443/orders/7?x=2");
    service.valid(&asked);
    asked["url"] = json!("https://api.example.com/orders");
    service.invalid(&asked, "dpop_invalid");
}

#[test]
fn a_certificate_is_that_of_the_connection() {
    let service = Service::new();
    let der = b"a certificate, in DER";
    let token = bound_to(&service, &json!({"x5t#S256": URL_SAFE_NO_PAD.encode(sha256(der))}));
    let hex = |hash: &[u8]| {
        let digits = tencent::hex(hash.try_into().unwrap());
        String::from_utf8_lossy(&digits).into_owned()
    };
    let mut asked = shown(&format!("Bearer {token}"), &[]);
    service.invalid(&asked, "token_invalid");
    asked["certificate_sha256"] = json!(hex(&sha256(b"another")));
    service.invalid(&asked, "token_invalid");
    asked["certificate_sha256"] = json!(hex(&sha256(der)));
    let told = service.valid(&asked);
    assert_eq!((&told["bound"], &told["covers"]), (&json!("certificate"), &json!([])));
    for wrong in [hex(&sha256(der)).to_uppercase(), URL_SAFE_NO_PAD.encode(sha256(der)), String::new()] {
        asked["certificate_sha256"] = json!(wrong);
        assert_eq!(service.ask(&asked).0, 400, "{wrong}");
    }
    let mut of_key_alone = shown(&format!("DPoP {token}"), &[&proof(Es256, &token, &json!({}))]);
    of_key_alone["certificate_sha256"] = json!(hex(&sha256(der)));
    service.invalid(&of_key_alone, "token_invalid");
}

#[test]
fn a_binding_that_nobody_knows_is_no_token() {
    let service = Service::new();
    for cnf in
        [json!({}), json!({"jwk": {}}), json!({"jkt": 7}), json!({"jkt": "a", "x5t#S256": "b"}), json!([])]
    {
        let token = bound_to(&service, &cnf);
        service.invalid(&shown(&format!("Bearer {token}"), &[]), "token_invalid");
    }
}

/// What an API cannot know it need not: bound or not, a token of another API stays one.
#[test]
fn a_bound_token_of_another_api_is_not_looked_into() {
    let service = Service::of(&["api://other"], "acme");
    let token = of_key(&service, Es256);
    service.invalid(&shown(&format!("DPoP {token}"), &["x"]), "wrong_audience");
}
