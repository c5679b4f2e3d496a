//! What an exchange carries on from the token that was shown: its end, who has had it, and the key that it is bound to.

use super::super::dpop;
use super::*;
use daypass_core::jose::Signer;
use daypass_core::role::Algorithm;

#[test]
fn what_is_exchanged_ends_with_the_token_that_was_shown() {
    let bench = bench();
    let first = token(&bench);
    bench.clock.advance(3_000_500);
    let reply = bench.post(&exchange(API, &first, &[("scope", &default())]), &[]);
    let second = claims(&reply.json["access_token"]);
    assert!(second["exp"].as_i64().unwrap() <= claims(&json!(first))["exp"].as_i64().unwrap());
    assert_eq!(reply.json["expires_in"], 598);
    let wanted = [("requested_token_type", TENCENT), ("audience", "role:soe")];
    let key = bench.post(&exchange(API, &first, &wanted), &[]);
    assert_eq!(key.json["expires_in"], 598, "{}", key.text);
}

#[test]
fn the_chain_of_actors_is_kept_and_has_an_end() {
    let mut bench = bench();
    bench.world.others[1].audiences = vec![RESOURCE.to_owned()];
    let scope = default();
    let mut shown = json!(token(&bench));
    for (turn, client) in [API, STRANGER, API, STRANGER].into_iter().enumerate() {
        let reply = bench.post(&exchange(client, &text(&shown), &[("scope", &scope)]), &[]);
        assert_eq!(reply.result, Ok(Success::Granted), "{turn}: {}", reply.text);
        shown = reply.json["access_token"].clone();
        let claims = claims(&shown);
        assert_eq!(claims["sub"], json!(bench.world.client.object));
        assert_eq!(claims["act"]["client_id"], client);
        let chain = std::iter::successors(Some(&claims["act"]), |act| act.get("act"));
        assert_eq!(chain.count(), turn + 1);
    }
    let once_more = why_of(&bench, &exchange(API, &text(&shown), &[("scope", &scope)]));
    assert_eq!(once_more, (400, "invalid_request".to_owned(), Reason::SubjectTokenInvalid));
    let key = [("requested_token_type", TENCENT), ("audience", "role:soe")];
    assert_eq!(why_of(&bench, &exchange(API, &text(&shown), &key)).2, Reason::SubjectTokenInvalid);
}

#[test]
fn a_key_knows_everyone_whom_its_token_has_passed_through() {
    let mut bench = bench();
    bench.world.others[1].audiences = vec![RESOURCE.to_owned()];
    let first = token(&bench);
    let passed = bench.post(&exchange(STRANGER, &first, &[("scope", &default())]), &[]);
    let second = text(&passed.json["access_token"]);
    let wanted = [("requested_token_type", TENCENT), ("audience", "role:soe")];
    let key = bench.post(&exchange(API, &second, &wanted), &[]);
    let credentials = &key.json["credentials"];
    let id = text(&credentials["TmpSecretId"]);
    let opened = triple::open(&testing::ring(), &id, &text(&credentials["Token"]));
    let claims = opened.unwrap_or_else(|refusal| panic!("{refusal:?}")).claims;
    let [subject, api, between] =
        [&bench.world.client, &bench.world.others[0], &bench.world.others[1]].map(|client| client.guid);
    assert_eq!((claims.client, claims.behalf, &*claims.actors), (Some(api), Some(subject), &[between][..]));
    assert_eq!((claims.origins.len(), claims.origin_keys.len()), (2, 2));
    let judged = |bench: &Bench| standing(&bench.world.directory(), &claims.grounds(&id), later(1));
    assert_eq!(judged(&bench), Ok(()));
    bench.world.others[1].enabled = false;
    assert_eq!(judged(&bench), Err(Fallen::Client));
}

#[test]
fn a_bound_token_is_exchanged_by_whoever_holds_its_key_or_received_it() {
    let mut bench = bench();
    // Even a client that is the API of its own token shows what it was bound to.
    bench.world.client.audiences = vec![RESOURCE.to_owned()];
    let bound = bench.post(&good_form(), &[("dpop", &dpop::here("1"))]);
    assert_eq!(bound.json["token_type"], "DPoP");
    let first = text(&bound.json["access_token"]);
    let scope = default();
    let own = exchange(CLIENT, &first, &[("scope", &scope)]);
    let without = bench.post(&own, &[]);
    assert_eq!(why(&without), (400, "invalid_dpop_proof", Reason::DpopInvalid));
    let other = Signer::parse(Algorithm::Es256, &Signer::generate(Algorithm::Es256).unwrap()).unwrap();
    let proof = dpop::proof(&other, "http://127.0.0.1:5050", "2");
    assert_eq!(why(&bench.post(&own, &[("dpop", &proof)])).2, Reason::DpopInvalid);
    let right = bench.post(&own, &[("dpop", &dpop::here("3"))]);
    assert_eq!(right.json["token_type"], "DPoP", "{}", right.text);
    assert_eq!(claims(&right.json["access_token"])["cnf"]["jkt"], dpop::KEY.kid());
    let api = bench.post(&exchange(API, &first, &[("scope", &scope)]), &[]);
    assert_eq!(api.json["token_type"], "Bearer", "{}", api.text);
    assert!(claims(&api.json["access_token"]).get("cnf").is_none());
}
