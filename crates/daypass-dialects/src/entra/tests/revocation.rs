//! What a client takes back (RFC 7009).

use super::introspection::{ask, claims, join, owner, token};
use super::{Bench, Reply, form, token_request};
use daypass_core::client::Grant;
use daypass_core::cutoff::Scope;
use daypass_core::pipeline::Success;
use daypass_core::record::Event;
use daypass_core::store::Store as _;
use daypass_core::testing::{RESOURCE, START, before, later};
use serde_json::json;
use uuid::Uuid;

fn revoke(bench: &Bench, client: Uuid, token: &str) -> Reply {
    ask(bench, "revoke", client, &[("token", token)])
}

fn active(bench: &Bench, token: &str) -> bool {
    ask(bench, "introspect", owner(), &[("token", token)]).json["active"] == json!(true)
}

/// What the server does before the answer leaves.
fn refresh(bench: &mut Bench) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bench.world.cutoffs = runtime.block_on(bench.store.cutoffs()).unwrap();
}

fn is_done(reply: &Reply, success: Success) {
    assert_eq!((reply.parts.status.as_u16(), reply.text.as_str()), (200, ""));
    assert_eq!(reply.result, Ok(success));
}

#[test]
fn a_token_that_was_taken_back_is_inactive_and_others_are_not() {
    let mut bench = Bench::signing();
    let [gone, stays] = [token(&bench), token(&bench)];
    let reply = revoke(&bench, owner(), &gone);
    is_done(&reply, Success::Changed);
    insta::assert_snapshot!(reply.whole(), @"
    200 OK
    cache-control: no-store, no-cache
    pragma: no-cache
    expires: -1
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-request-id: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd
    ");
    refresh(&mut bench);
    assert!(!active(&bench, &gone) && active(&bench, &stays));

    let record = bench.store.all().pop().unwrap();
    let Event::Change { action, object } = &record.event else { panic!("{record:?}") };
    assert_eq!((action.as_str(), object.as_str()), ("token.revoke", claims(&gone)["uti"].as_str().unwrap()));
    assert_eq!((record.tenant.as_deref(), record.client), (Some("acme"), Some(owner())));
    assert_eq!(record.key, Some(Uuid::from_u128(0x5ec2).to_string()));
    assert_eq!(record.proof.as_deref(), Some("client_secret_post"));
}

#[test]
fn taken_back_twice_is_written_once() {
    let mut bench = Bench::signing();
    let token = token(&bench);
    is_done(&revoke(&bench, owner(), &token), Success::Changed);
    refresh(&mut bench);
    let records = bench.store.all().len();
    is_done(&revoke(&bench, owner(), &token), Success::Facts);
    assert_eq!(bench.store.all().len(), records);
}

#[test]
fn what_is_no_token_or_has_run_out_is_taken_back_without_a_word() {
    let bench = Bench::signing();
    let old = token(&bench);
    bench.clock.set(later(3600));
    let records = bench.store.all().len();
    for junk in [old.as_str(), "x", "a.b.c", "AKIDAQAAAAEAAAAAAAAAAAAAAAAAAAAA"] {
        is_done(&revoke(&bench, owner(), junk), Success::Facts);
    }
    assert_eq!(bench.store.all().len(), records, "nothing is written");
    for fields in [&[][..], &[("token", "")]] {
        assert_eq!(ask(&bench, "revoke", owner(), fields).gist(), (400, "invalid_request", 900_144));
    }
    let token = token(&bench);
    for hint in ["refresh_token", "nonsense"] {
        let fields = [("token", token.as_str()), ("token_type_hint", hint)];
        is_done(&ask(&bench, "revoke", owner(), &fields), Success::Changed);
    }
}

#[test]
fn another_clients_token_is_not_taken_back() {
    let mut bench = Bench::signing();
    // Not even by the API that it is for.
    let api = join(&mut bench, 0xa1, "api", &[RESOURCE]);
    let token = token(&bench);
    let reply = revoke(&bench, api, &token);
    assert_eq!(reply.gist(), (400, "unauthorized_client", 700_005));
    refresh(&mut bench);
    assert!(active(&bench, &token), "it stays active");
    let record = bench.store.all().pop().unwrap();
    assert!(matches!(&record.event, Event::Refusal { reason, .. } if reason == "not_yours"), "{record:?}");
    assert_eq!(record.client, Some(api));

    is_done(&revoke(&bench, owner(), &token), Success::Changed);
    refresh(&mut bench);
    is_done(&revoke(&bench, api, &token), Success::Facts);
}

#[test]
fn another_tenants_client_finds_nothing_to_take_back() {
    let mut bench = Bench::signing();
    let token = token(&bench);
    let other = join(&mut bench, 0xa1, "app", &[]);
    bench.world.others[0].tenant = "other".into();
    let tenant = bench.world.plan.tenants[1].guid;
    let (id, secret) = (other.to_string(), super::introspection::secret_of(other));
    let fields = [("client_id", id.as_str()), ("client_secret", &secret), ("token", &token)];
    let reply = bench.send(token_request(&format!("/{tenant}/oauth2/v2.0/revoke"), &form(&fields), &[]));
    is_done(&reply, Success::Facts);
    refresh(&mut bench);
    assert!(active(&bench, &token));
}

#[test]
fn a_store_that_is_down_takes_nothing_back_and_says_so() {
    let mut bench = Bench::signing();
    let token = token(&bench);
    bench.store.go_down();
    let reply = revoke(&bench, owner(), &token);
    assert_eq!(reply.gist(), (503, "temporarily_unavailable", 90_033));
    assert_eq!(reply.header("retry-after"), "1");
    assert!(active(&bench, &token));
    bench.store.come_back();
    is_done(&revoke(&bench, owner(), &token), Success::Changed);
    refresh(&mut bench);
    assert!(!active(&bench, &token));
}

#[test]
fn a_token_that_rests_is_taken_back_for_good() {
    let mut bench = Bench::signing();
    let token = token(&bench);
    let grants = std::mem::take(&mut bench.world.client.grants);
    assert!(!active(&bench, &token));
    is_done(&revoke(&bench, owner(), &token), Success::Changed);
    refresh(&mut bench);
    bench.world.client.grants = grants;
    assert!(!active(&bench, &token), "a grant that comes back does not bring it back");
}

#[test]
fn a_token_of_a_node_whose_clock_is_ahead_is_taken_back_too() {
    let mut bench = Bench::signing();
    let token = token(&bench);
    // The back-dated `nbf` lets a slower node take it.
    bench.clock.set(before(START, 60));
    assert!(active(&bench, &token));
    is_done(&revoke(&bench, owner(), &token), Success::Changed);
    refresh(&mut bench);
    assert!(!active(&bench, &token));
    let id = claims(&token)["uti"].as_str().unwrap().to_owned();
    assert_eq!(bench.world.cutoffs[0].scope, Scope::Credential(id));
    assert_eq!(bench.world.cutoffs[0].before, START);
}

#[test]
fn tokens_that_came_from_it_fall_with_it() {
    let mut bench = Bench::signing();
    let shown = token(&bench);
    join(&mut bench, 0xb1, "actor", &[]);
    bench.world.others[0].grants = vec![Grant::of("devcenter")];
    let mut exchanged = claims(&token(&bench));
    exchanged["rh"] =
        json!(format!("{}.{}", exchanged["rh"].as_str().unwrap(), claims(&shown)["uti"].as_str().unwrap()));
    let ring = daypass_core::testing::ring();
    let exchanged =
        ring.signer(daypass_core::role::Algorithm::Es256).unwrap().sign("JWT", &exchanged).unwrap();
    assert!(active(&bench, &exchanged));
    is_done(&revoke(&bench, owner(), &shown), Success::Changed);
    refresh(&mut bench);
    assert!(!active(&bench, &exchanged));
}
