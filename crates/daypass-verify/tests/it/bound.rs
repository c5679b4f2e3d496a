//! Tokens that are bound to their sender.

use crate::maker::{AUDIENCE, Hand, KEYS, Key, NOW, builder, changed, claims, encode, key};
use aws_lc_rs::digest::{SHA256, digest};
use daypass_verify::{Binding, BoundTo, Claims, Rejected, Verifier, certificate_thumbprint};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Value, json};

const URL: &str = "https://api.example.com/orders";

fn thumbprint(key: &Key) -> String {
    let jwk: Jwk = serde_json::from_value(key.jwk.clone()).unwrap();
    jwk.thumbprint(ThumbprintHash::SHA256).unwrap()
}

/// A token that is bound to this key.
fn bound_to(holder: &Key) -> String {
    key("ed").sign(&claims(&json!({"cnf": {"jkt": thumbprint(holder)}})))
}

/// The claims of a proof for a token and a GET of [`URL`], changed.
fn proof_claims(token: &str, changes: &Value) -> Value {
    let ath = encode(digest(&SHA256, token.as_bytes()));
    changed(json!({"jti": "j-1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath}), changes)
}

async fn shown(verifier: &Verifier, token: &str, proof: &str) -> Result<Claims, Rejected> {
    verifier.verify_bound(token, Binding::Dpop { proof, method: "GET", url: URL }).await
}

#[tokio::test]
async fn a_token_is_taken_with_the_proof_of_the_key_that_it_is_bound_to() {
    let verifier = builder().build().unwrap();
    for holder in KEYS.iter() {
        let token = bound_to(holder);
        let proof = holder.prove(&json!({}), &proof_claims(&token, &json!({})));
        assert_eq!(
            verifier.verify(&token).await,
            Err(Rejected::Bound(BoundTo::Key)),
            "alone it is worth nothing"
        );
        assert!(shown(&verifier, &token, &proof).await.unwrap().has_role("orders.read"));
        let again = shown(&verifier, &token, &proof).await.unwrap_err();
        assert_eq!(again, Rejected::Proof("it was used before"));
        let next = holder.prove(&json!({}), &proof_claims(&token, &json!({"jti": "j-2"})));
        assert!(shown(&verifier, &token, &next).await.is_ok());
    }
}

#[tokio::test]
async fn a_proof_for_anything_else_is_refused() {
    let (verifier, holder) = (builder().build().unwrap(), key("es"));
    let token = bound_to(holder);
    for change in [
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 1}),
        json!({"jti": "j".repeat(257)}),
        json!({"htm": null}),
        json!({"htm": "POST"}),
        json!({"htm": "get"}),
        json!({"htu": null}),
        json!({"htu": "https://api.example.com/orders/"}),
        json!({"htu": "https://other.example.com/orders"}),
        json!({"htu": "http://api.example.com/orders"}),
        json!({"htu": "/orders"}),
        json!({"iat": null}),
        json!({"iat": NOW + 61}),
        json!({"iat": NOW - 61}),
        json!({"iat": NOW.to_string()}),
        json!({"ath": null}),
        json!({"ath": encode([0; 32])}),
    ] {
        let proof = holder.prove(&json!({}), &proof_claims(&token, &change));
        let rejected = shown(&verifier, &token, &proof).await.unwrap_err();
        assert!(matches!(rejected, Rejected::Proof(_)), "{change}: {rejected}");
        assert_eq!(rejected.status(), 401);
    }
    for change in [
        json!({"htu": "HTTPS://API.example.com:443/orders?q=1#f"}),
        json!({"iat": NOW - 60}),
        json!({"nonce": "n"}),
    ] {
        let id = json!({"jti": change.to_string()});
        let proof = holder.prove(&json!({}), &proof_claims(&token, &changed(change.clone(), &id)));
        assert!(shown(&verifier, &token, &proof).await.is_ok(), "{change}");
    }
}

#[tokio::test]
async fn a_proof_of_another_form_is_refused() {
    let (verifier, holder) = (builder().build().unwrap(), key("es"));
    let token = bound_to(holder);
    let mut private = holder.jwk.clone();
    private["d"] = json!("AA");
    for header in [
        json!({"typ": "JWT"}),
        json!({"typ": null}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "RS256"}),
        json!({"jwk": null}),
        json!({"jwk": "text"}),
        json!({"jwk": {"kty": "oct", "k": "AA"}}),
        json!({"jwk": private}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"jwk": key("rs").jwk}),
    ] {
        let proof = holder.prove(&header, &proof_claims(&token, &json!({})));
        let rejected = shown(&verifier, &token, &proof).await.unwrap_err();
        assert!(matches!(rejected, Rejected::Proof(_)), "{header}: {rejected}");
    }
    let good = holder.prove(&json!({}), &proof_claims(&token, &json!({})));
    for bad in
        [String::new(), "a.b.c".to_owned(), format!("{good}="), format!("{good}, {good}"), token.clone()]
    {
        assert!(matches!(shown(&verifier, &token, &bad).await, Err(Rejected::Proof(_))), "{bad}");
    }
    assert!(shown(&verifier, &token, &good).await.is_ok(), "nothing above has used it up");
}

#[tokio::test]
async fn another_key_or_another_token_proves_nothing() {
    let verifier = builder().build().unwrap();
    let (holder, thief) = (key("es"), Key::p256("thief"));
    let token = bound_to(holder);
    let stolen = thief.prove(&json!({}), &proof_claims(&token, &json!({})));
    assert_eq!(shown(&verifier, &token, &stolen).await, Err(Rejected::NotBound(BoundTo::Key)));
    let forged = thief.prove(&json!({"jwk": holder.jwk}), &proof_claims(&token, &json!({})));
    assert_eq!(shown(&verifier, &token, &forged).await, Err(Rejected::Proof("its signature is wrong")));
    let unbound = key("ed").sign(&claims(&json!({})));
    let proof = holder.prove(&json!({}), &proof_claims(&unbound, &json!({})));
    assert_eq!(shown(&verifier, &unbound, &proof).await, Err(Rejected::NotBound(BoundTo::Key)));
    let both = key("ed").sign(&claims(&json!({"cnf": {"jkt": thumbprint(holder), "x5t#S256": "a"}})));
    let proof = holder.prove(&json!({}), &proof_claims(&both, &json!({})));
    assert_eq!(
        shown(&verifier, &both, &proof).await,
        Err(Rejected::NotBound(BoundTo::Key)),
        "both must be shown"
    );
}

#[tokio::test]
async fn a_proof_cannot_be_used_again_until_it_is_too_old() {
    let clock = Hand::new();
    let verifier = builder().clock(clock.clone()).build().unwrap();
    let token = bound_to(key("es"));
    // Made by a clock that is a minute ahead, so that it can be shown for two.
    let proof = key("es").prove(&json!({}), &proof_claims(&token, &json!({"iat": NOW + 60})));
    assert!(shown(&verifier, &token, &proof).await.is_ok());
    for later in [1, 60, 119, 120] {
        clock.set(NOW + later);
        assert_eq!(
            shown(&verifier, &token, &proof).await,
            Err(Rejected::Proof("it was used before")),
            "{later}"
        );
    }
    clock.set(NOW + 121);
    let old = shown(&verifier, &token, &proof).await.unwrap_err();
    assert_eq!(old, Rejected::Proof("it was not made now: is the clock right?"));
}

#[tokio::test]
async fn a_full_memory_refuses_and_says_that_it_is_us() {
    let verifier = builder().proofs_remembered(1).build().unwrap();
    let token = bound_to(key("es"));
    for (id, status) in [("a", None), ("b", Some(503)), ("a", Some(401))] {
        let proof = key("es").prove(&json!({}), &proof_claims(&token, &json!({"jti": id})));
        assert_eq!(shown(&verifier, &token, &proof).await.err().map(|rejected| rejected.status()), status);
    }
}

#[tokio::test]
async fn a_certificate_must_be_the_one_that_the_token_is_bound_to() {
    let verifier = builder().build().unwrap();
    let ours = certificate_thumbprint(b"a certificate in DER");
    let token = key("ed").sign(&claims(&json!({"cnf": {"x5t#S256": ours}})));
    assert_eq!(verifier.verify(&token).await, Err(Rejected::Bound(BoundTo::Certificate)));
    assert!(verifier.verify_bound(&token, Binding::Certificate(&ours)).await.is_ok());
    let not_bound = Err(Rejected::NotBound(BoundTo::Certificate));
    let other = certificate_thumbprint(b"another");
    for shown in [other.as_str(), "", &ours.to_lowercase()] {
        assert_eq!(verifier.verify_bound(&token, Binding::Certificate(shown)).await, not_bound);
    }
    let unbound = key("ed").sign(&claims(&json!({})));
    assert_eq!(verifier.verify_bound(&unbound, Binding::Certificate(&ours)).await, not_bound);
    let empty = key("ed").sign(&claims(&json!({"cnf": {"x5t#S256": ""}, "aud": AUDIENCE})));
    assert!(verifier.verify_bound(&empty, Binding::Certificate(&ours)).await.is_err());
    let to_a_key = bound_to(key("es"));
    assert_eq!(verifier.verify_bound(&to_a_key, Binding::Certificate(&ours)).await, not_bound);
}
