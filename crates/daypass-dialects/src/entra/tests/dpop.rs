//! Tokens that are bound to the key of a proof (RFC 9449), through the whole pipeline.

use super::{Bench, TestIssuer, form_with, good_form};
use daypass_core::dialect::{Context, Dialect};
use daypass_core::issuer::Issuer;
use daypass_core::jose::Signer;
use daypass_core::pipeline::{Pipeline, Success};
use daypass_core::record::Event;
use daypass_core::refusal::Reason;
use daypass_core::role::Algorithm;
use daypass_core::testing::{ACME, NoIdentity, START, SeededEntropy, request};
use serde_json::json;
use std::sync::{Arc, LazyLock};

/// A client's own key.
pub(super) static KEY: LazyLock<Signer> =
    LazyLock::new(|| Signer::parse(Algorithm::Es256, &Signer::generate(Algorithm::Es256).unwrap()).unwrap());

/// A proof of this key for the token endpoint below this address.
pub(super) fn proof(key: &Signer, base: &str, id: &str) -> String {
    let jwk = key.jwk();
    let jwk = json!({"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"]});
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let target = format!("{base}/{ACME}/oauth2/v2.0/token");
    let claims = json!({"htm": "POST", "htu": target, "iat": START.as_second(), "jti": id});
    key.sign_under(&header, &claims).unwrap()
}

/// A proof for the test world's own address.
pub(super) fn here(id: &str) -> String {
    proof(&KEY, "http://127.0.0.1:5050", id)
}

#[test]
fn a_token_for_a_proof_is_bound_to_its_key_and_says_so() {
    let bench = Bench::new();
    let reply = bench.post(&good_form(), &[("dpop", &here("1"))]);
    assert_eq!((reply.result.as_ref(), &reply.json["token_type"]), (Ok(&Success::Granted), &json!("DPoP")));
    let Event::Grant { bound, .. } = &bench.store.all()[0].event else { panic!("no grant") };
    assert_eq!(bound.as_deref(), Some(&*format!("jkt {}", KEY.kid())));
    let plain = bench.post(&good_form(), &[]);
    assert_eq!(plain.json["token_type"], "Bearer", "nobody has to bring one");
}

#[test]
fn a_proof_is_good_once_on_every_node() {
    let bench = Bench::new();
    let once = here("once");
    assert_eq!(bench.post(&good_form(), &[("dpop", &once)]).result, Ok(Success::Granted));
    let again = bench.post(&good_form(), &[("dpop", &once)]);
    assert_eq!(again.gist(), (400, "invalid_dpop_proof", 9_002_341));
    assert!(again.text.contains("a jti that was not used before"), "{}", again.text);

    let issuers = [("local".to_owned(), Arc::new(TestIssuer) as Arc<dyn Issuer>)].into();
    let entropy = Arc::new(SeededEntropy::new(2));
    let elsewhere =
        Pipeline::new(bench.clock.clone(), entropy, bench.store.clone(), issuers, Arc::new(NoIdentity));
    let other = Bench { pipeline: elsewhere, ..bench };
    assert_eq!(
        other.post(&good_form(), &[("dpop", &once)]).result.map_err(|r| r.reason),
        Err(Reason::DpopInvalid)
    );
    assert_eq!(other.post(&good_form(), &[("dpop", &here("another"))]).result, Ok(Success::Granted));
    let same_id = proof(
        &Signer::parse(Algorithm::Es256, &Signer::generate(Algorithm::Es256).unwrap()).unwrap(),
        "http://127.0.0.1:5050",
        "once",
    );
    let anothers = other.post(&good_form(), &[("dpop", &same_id)]);
    assert_eq!(anothers.result, Ok(Success::Granted), "an id is unique to its key");
}

#[test]
fn two_proofs_and_none_that_is_one_are_refused() {
    let bench = Bench::new();
    let (one, two) = (here("1"), here("2"));
    for headers in [vec![("dpop", &*one), ("dpop", &*two)], vec![("dpop", "")], vec![("dpop", "x")]] {
        let reply = bench.post(&good_form(), &headers);
        assert_eq!(reply.gist(), (400, "invalid_dpop_proof", 9_002_341), "{headers:?}");
    }
    assert_eq!(bench.post(&good_form(), &[("dpop", &one)]).result, Ok(Success::Granted), "none was used up");
}

#[test]
fn a_proof_is_about_our_own_addresses_alone() {
    let mut bench = Bench::new();
    let mutual = "https://mtls.example.com:8443";
    for (base, good) in [("https://evil.example", false), (mutual, false), ("HTTP://127.0.0.1:5050", true)] {
        let reply = bench.post(&good_form(), &[("dpop", &proof(&KEY, base, base))]);
        assert_eq!(reply.result.is_ok(), good, "{base}");
    }
    bench.world.plan.mutual_tls_url = Some(mutual.to_owned());
    let reply = bench.post(&good_form(), &[("dpop", &proof(&KEY, mutual, "there"))]);
    assert_eq!(reply.result, Ok(Success::Granted), "where certificates are asked for");
}

#[test]
fn a_stranger_uses_up_no_proof_and_a_wrong_one_is_its_clients() {
    let bench = Bench::new();
    let seen = here("seen");
    let stranger = bench.post(&form_with("client_secret", Some("wrong")), &[("dpop", &seen)]);
    assert_eq!(stranger.gist(), (401, "invalid_client", 7_000_215));
    assert_eq!(bench.post(&good_form(), &[("dpop", &seen)]).result, Ok(Success::Granted));
    bench.post(&good_form(), &[("dpop", &seen)]);
    let last = bench.store.all().pop().unwrap();
    assert_eq!(last.client, Some(bench.world.client.guid));
    let Event::Refusal { reason, .. } = &last.event else { panic!("{last:?}") };
    assert_eq!(reason, "dpop_invalid");
}

#[test]
fn without_the_store_nobody_can_say_whether_a_proof_was_used() {
    let bench = Bench::new();
    bench.store.go_down();
    let reply = bench.post(&good_form(), &[("dpop", &here("1"))]);
    assert_eq!(reply.gist(), (503, "temporarily_unavailable", 90_033));
}

#[test]
fn where_nothing_is_handed_out_a_proof_means_nothing() {
    let world = daypass_core::testing::World::new();
    let directory = world.directory();
    let context = Context { directory: &directory, now: START };
    for (place, asked) in [("token", true), ("introspect", false), ("revoke", false)] {
        let target = format!("/{ACME}/oauth2/v2.0/{place}");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("dpop", "x"), ("dpop", "y")];
        let body = format!("{}&token=t", good_form());
        let request = request("POST", &target, &headers, body.as_bytes());
        let mut manner = super::Entra.manner(&request.head);
        let read = super::Entra.read(context, request, &mut manner);
        assert_eq!(read.err().map(|refusal| refusal.reason), asked.then_some(Reason::DpopInvalid), "{place}");
    }
}
