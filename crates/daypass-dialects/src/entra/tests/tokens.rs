//! What a good request gets, and what its record says.

use super::introspection::claims;
use super::{Bench, CLIENT, form_with, good_form};
use daypass_core::pipeline::Success;
use daypass_core::policy::{ClaimTemplate, VariableType};
use daypass_core::record::Event;
use daypass_core::role::TokenVersion;
use daypass_core::testing::{ACME, RESOURCE, later};
use serde_json::json;
use std::sync::Arc;

#[test]
fn a_good_request_gets_a_token() {
    let reply = Bench::new().post(&good_form(), &[]);
    insta::assert_snapshot!(reply.whole(), @r#"
    200 OK
    cache-control: no-store, no-cache
    pragma: no-cache
    expires: -1
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    content-type: application/json; charset=utf-8
    x-ms-request-id: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd

    {"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"header.payload.signature"}
    "#);
}

#[test]
fn the_seeds_other_sample_is_answered_in_json_too() {
    // The C# sample leaves `Type` out, orders the fields otherwise and asks for a form in answer.
    let form = format!(
        "client_id={CLIENT}&client_secret={}&scope={RESOURCE}%2F.default&grant_type=client_credentials",
        form_urlencoded::byte_serialize(super::SECRET.as_bytes()).collect::<String>()
    );
    let reply = Bench::new().post(&form, &[("accept", "application/x-www-form-urlencoded")]);
    assert_eq!(reply.result, Ok(Success::Granted));
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
}

#[test]
fn the_record_names_what_was_given_before_it_is_given() {
    let bench = Bench::new();
    bench.post(&good_form(), &[]);
    let records = bench.store.all();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].client.map(|id| id.to_string()).as_deref(), Some(CLIENT));
    assert_eq!(records[0].role.as_deref(), Some("devcenter"));
    let Event::Grant { expires, app_roles, .. } = &records[0].event else { panic!("{:?}", records[0]) };
    assert_eq!((*expires, app_roles.as_slice()), (later(3600), &["orders.read".to_owned()][..]));
    bench.store.go_down();
    let reply = bench.post(&good_form(), &[]);
    assert_eq!(reply.gist(), (503, "temporarily_unavailable", 90_033));
    assert_eq!(reply.header("retry-after"), "1");
    assert!(!reply.text.contains("signature"), "nothing is handed out unrecorded");
}

#[test]
fn two_requests_get_two_tokens() {
    let bench = Bench::new();
    for _ in 0..2 {
        assert_eq!(bench.post(&good_form(), &[]).result, Ok(Success::Granted));
    }
    let ids: Vec<_> = bench
        .store
        .all()
        .into_iter()
        .map(|record| match record.event {
            Event::Grant { credential, .. } => credential,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_scope_takes_every_spelling_of_the_resource() {
    let bench = Bench::new();
    for scope in [
        format!("{RESOURCE}/.default"),
        format!("{}/.default", RESOURCE.to_uppercase()),
        format!("openid profile offline_access {RESOURCE}/.default"),
    ] {
        assert_eq!(
            bench.post(&form_with("scope", Some(&scope)), &[]).result,
            Ok(Success::Granted),
            "{scope}"
        );
    }
}

#[test]
fn tenant_and_content_type_are_read_in_any_case() {
    let bench = Bench::new();
    let target =
        format!("/{}/oauth2/v2.0/token?unknown=1&client_id=ignored", ACME.to_string().to_uppercase());
    for content_type in [
        "APPLICATION/x-www-form-urlencoded ; charset=utf-8",
        "application/x-www-form-urlencoded;charset=UTF-8",
    ] {
        let request = daypass_core::testing::request(
            "POST",
            &target,
            &[("content-type", content_type), ("x-client-sku", "MSAL.Python")],
            good_form().as_bytes(),
        );
        assert_eq!(bench.send(request).result, Ok(Success::Granted), "{content_type}");
    }
}

/// A bench whose resource is an older one, with a name of its own and a claim, and whose client has these stores.
fn older(stores: &[&str]) -> Bench {
    let mut bench = Bench::signing();
    let role = Arc::make_mut(&mut bench.world.plan.roles[2]);
    role.version = TokenVersion::V1;
    role.identifiers = vec!["api://Orders".into()];
    role.variables = [("store".to_owned(), VariableType::Slug)].into();
    role.claims = [("stores".to_owned(), ClaimTemplate::parse("{store}", &role.variables).unwrap())].into();
    let stores = stores.iter().map(|store| (*store).to_owned()).collect();
    bench.world.client.grants[2].bind = [("store".to_owned(), stores)].into();
    bench
}

#[test]
fn the_resource_decides_what_the_token_is() {
    let bench = older(&["8006", "8005"]);
    let reply = bench.post(&form_with("scope", Some("api://orders/.default")), &[]);
    let claims = claims(reply.json["access_token"].as_str().unwrap_or_else(|| panic!("{}", reply.text)));
    for (name, value) in [
        ("aud", json!("api://Orders")),
        ("iss", json!(format!("http://127.0.0.1:5050/{ACME}/"))),
        ("idp", json!(format!("http://127.0.0.1:5050/{ACME}/"))),
        ("appid", json!(CLIENT)),
        ("appidacr", json!("1")),
        ("app_displayname", json!("app")),
        ("ver", json!("1.0")),
        ("stores", json!(["8005", "8006"])),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let records = bench.store.all();
    let Event::Grant { variables, .. } = &records[0].event else { panic!("{:?}", records[0]) };
    assert_eq!(variables["store"], "8005,8006", "the record says what the token says");
}

#[test]
fn a_grant_that_names_no_value_is_explained_to_whoever_runs_the_service() {
    let bench = older(&["*"]);
    let reply = bench.post(&good_form(), &[]);
    assert_eq!(reply.gist(), (400, "invalid_request", 90_100));
    let description = reply.json["error_description"].as_str().unwrap();
    assert!(
        description.contains(
            "the variable store, and the grant binds it to * (any value); bind the values that are meant"
        ),
        "{description}"
    );
    let records = bench.store.all();
    assert!(matches!(&records[0].event, Event::Refusal { reason, .. } if reason == "variable_refused"));
}

#[test]
fn a_grant_caps_the_life_of_a_token() {
    let mut bench = older(&["8005"]);
    bench.world.client.grants[2].lifetime = Some(600);
    let reply = bench.post(&good_form(), &[]);
    assert_eq!((&reply.json["expires_in"], &reply.json["ext_expires_in"]), (&json!(599), &json!(599)));
    let claims = claims(reply.json["access_token"].as_str().unwrap());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
}
