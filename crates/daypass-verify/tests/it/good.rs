//! What is accepted, and with which settings.

use crate::maker::{
    AUDIENCE, CLIENT, Hand, ISSUER, KEYS, NOW, TENANT, V1, builder, claims, judge, key, key_set,
};
use daypass_verify::{Algorithm, Rejected, Verifier};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

#[tokio::test]
async fn every_algorithm_is_verified_and_the_claims_are_read() {
    for key in KEYS.iter() {
        let claims = judge(&key.sign(&claims(&json!({})))).await.unwrap();
        assert_eq!((claims.issuer(), claims.client(), claims.tenant()), (ISSUER, Some(CLIENT), Some(TENANT)));
        assert_eq!((claims.subject(), claims.id()), (Some("the-app"), Some("u-1")));
        assert_eq!(claims.expires(), UNIX_EPOCH + Duration::from_secs(NOW + 3599));
        assert!(claims.is_application() && claims.has_role("orders.read"));
        assert_eq!(claims.get("ver"), Some(&json!("2.0")));
    }
}

#[tokio::test]
async fn the_other_shapes_of_a_token_are_taken() {
    let verifier = builder().also_issuer(V1).audience("api://orders").build().unwrap();
    let v1 = claims(&json!({
        "iss": V1, "aud": "api://orders", "azp": null, "azpacr": null, "appid": CLIENT, "appidacr": "1", "ver": "1.0",
    }));
    let rfc9068 = claims(&json!({
        "azp": null, "oid": null, "client_id": CLIENT, "sub": CLIENT, "jti": "j-1", "uti": null, "scope": "orders.read",
    }));
    for (header, claims) in [(json!({}), v1), (json!({"typ": "at+jwt"}), rfc9068)] {
        let got = verifier.verify(&key("es").sign_with(&header, &claims)).await.unwrap();
        assert_eq!((got.client(), got.is_application()), (Some(CLIENT), true));
        assert!(got.has_role("orders.read") && got.id().is_some());
    }
}

#[tokio::test]
async fn header_members_that_are_not_needed_are_ignored() {
    for header in [
        json!({"typ": "application/at+JWT"}),
        json!({"x5t": "AA", "x5c": ["AA"], "jku": "https://evil.example", "jwk": {"kty": "oct"}, "nonce": 1}),
    ] {
        assert!(judge(&key("es").sign_with(&header, &claims(&json!({})))).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn clocks_may_be_apart_by_the_leeway() {
    let clock = Hand::new();
    let verifier = builder().clock(clock.clone()).leeway(Duration::from_secs(30)).build().unwrap();
    let token = key("es").sign(&claims(&json!({"nbf": NOW, "exp": NOW + 100})));
    for (now, expected) in [
        (NOW - 31, Some(Rejected::NotYet)),
        (NOW - 30, None),
        (NOW + 129, None),
        (NOW + 130, Some(Rejected::Expired)),
    ] {
        clock.set(now);
        assert_eq!(verifier.verify(&token).await.err(), expected, "{now}");
    }
}

#[tokio::test]
async fn what_the_builder_was_told_is_asked_of_every_token() {
    let token = key("es").sign(&claims(&json!({})));
    let strict = || builder().tenant(TENANT).applications_only().client(CLIENT).require_role("orders.read");
    assert!(strict().build().unwrap().verify(&token).await.is_ok());
    let role = strict().require_role("orders.write").build().unwrap();
    assert_eq!(role.verify(&token).await, Err(Rejected::Role("orders.write".to_owned())));
    let client = builder().client("another").build().unwrap();
    assert_eq!(client.verify(&token).await, Err(Rejected::Client));
    let tenant = builder().tenant("another").build().unwrap();
    assert_eq!(tenant.verify(&token).await, Err(Rejected::Tenant));
    let scope = builder().require_scope("orders.read").build().unwrap();
    assert_eq!(scope.verify(&token).await, Err(Rejected::Scope("orders.read".to_owned())));
    let user = key("es").sign(&claims(&json!({"oid": "a-user", "scp": "orders.read"})));
    assert_eq!(strict().build().unwrap().verify(&user).await, Err(Rejected::NotAnApplication));
    assert!(scope.verify(&user).await.is_ok());
    let other = builder().algorithms([Algorithm::Rs256]).build().unwrap();
    assert_eq!(other.verify(&token).await, Err(Rejected::Algorithm));
    let untyped = key("es").sign_with(&json!({"typ": null}), &claims(&json!({})));
    assert_eq!(judge(&untyped).await, Err(Rejected::Type));
    assert!(builder().accept_untyped().build().unwrap().verify(&untyped).await.is_ok());
}

#[test]
fn settings_that_make_no_verifier_are_refused() {
    let fault = |builder: daypass_verify::Builder| builder.build().unwrap_err().to_string();
    let bare = || Verifier::builder(ISSUER);
    assert!(fault(bare().keys(key_set())).contains("no audience"));
    assert!(fault(bare().audience("")).contains("empty"));
    assert!(fault(bare().audience(AUDIENCE).leeway(Duration::from_secs(301))).contains("5 minutes"));
    assert!(fault(bare().audience(AUDIENCE).keys("{}")).contains("keys"));
    assert!(fault(bare().audience(AUDIENCE).algorithms([])).contains("algorithm"));
    assert!(fault(Verifier::builder("").audience(AUDIENCE)).contains("empty"));
}

#[cfg(feature = "http")]
#[test]
fn addresses_that_strangers_could_answer_for_are_refused() {
    let fault = |builder: daypass_verify::Builder| builder.build().unwrap_err().to_string();
    let at = |issuer: &str| Verifier::builder(issuer).audience(AUDIENCE);
    assert!(fault(at(ISSUER).keys_from("http://keys.example.com")).contains("https"));
    assert!(fault(at("http://pass.example.com")).contains("https"));
    assert!(at("http://pass.example.com").allow_plain_http().build().is_ok());
    assert!(at("http://localhost:5050/tenant/v2.0").build().is_ok());
}

#[cfg(not(feature = "http"))]
#[test]
fn without_a_client_the_caller_must_bring_one_or_the_keys() {
    let fault = Verifier::builder(ISSUER).audience(AUDIENCE).build().unwrap_err().to_string();
    assert!(fault.contains("feature `http`"), "{fault}");
}
