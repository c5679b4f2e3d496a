//! `AssumeRoleWithWebIdentity`: a role for the subject of an outside provider.

use super::super::arn::role_id;
use super::unsigned::skipped;
use super::{Asking, Service, Triple, code};
use daypass_core::policy::{Language, Pattern, Template, VariableType};
use daypass_core::provider::{KeySource, Provider, Quota};
use daypass_core::record::Event;
use daypass_core::role::{Lifetime, Role, Trust};
use daypass_core::testing::{ACME, START, World, allow};
use daypass_core::testing::{OneProvider, provider_keys, provider_signer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const ISSUER: &str = "https://login.example.com";
const ARN: &str = "qcs::cam::uin/100000000001:roleName/deploy";

/// A world whose role `deploy` trusts the repositories of one owner.
fn world() -> World {
    let mut world = World::new();
    world.plan.providers.push(Arc::new(Provider {
        tenant: "acme".into(),
        name: "ci".into(),
        issuer: ISSUER.into(),
        audiences: vec!["daypass".into()],
        keys: KeySource::Inline(provider_keys()),
        subject: "sub".into(),
        variables: [("class".to_owned(), "class_id".to_owned())].into(),
        quota: Quota::default(),
    }));
    let variables: BTreeMap<_, _> = [("class".to_owned(), VariableType::Slug)].into();
    let policy = allow(Language::Cam, "cos:PutObject", "qcs::cos::uid/1250000000:pics-1250000000/{class}/*");
    world.plan.roles.push(Arc::new(Role {
        name: "deploy".into(),
        policy: Some(Template::new(policy, &variables).unwrap()),
        variables,
        trusts: vec![Trust { provider: "ci".into(), subjects: vec![Pattern::parse("repo:acme/*")] }],
        ..(*world.plan.roles[0]).clone()
    }));
    world
}

fn service() -> Service {
    Service::knowing(world(), Arc::new(OneProvider { up: true }))
}

/// A token with one claim set to something else.
fn token(claim: &str, value: Value) -> String {
    let now = START.as_second();
    let mut claims = json!({
        "iss": ISSUER, "aud": "daypass", "sub": "repo:acme/site", "class_id": "4a", "iat": now, "exp": now + 300,
    });
    claims[claim] = value;
    provider_signer().sign("JWT", &claims).unwrap()
}

fn good() -> String {
    token("sub", "repo:acme/site".into())
}

fn body(token: &str, more: &Value) -> String {
    let mut body =
        json!({"ProviderId": "ci", "WebIdentityToken": token, "RoleArn": ARN, "RoleSessionName": "build-1"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

async fn ask(service: &Service, token: &str, more: &Value) -> Value {
    service.sts(skipped("AssumeRoleWithWebIdentity", &body(token, more))).await
}

#[tokio::test]
async fn a_longer_default_of_a_role_is_cut_to_the_vendors_longest() {
    let mut world = world();
    let deploy = world.plan.roles.last_mut().unwrap();
    Arc::make_mut(deploy).lifetime = Lifetime { default: 50_000, max: 50_000 };
    let service = Service::knowing(world, Arc::new(OneProvider { up: true }));
    let answer = ask(&service, &good(), &json!({})).await;
    assert_eq!(answer["ExpiredTime"], START.as_second() + 43_200, "{answer}");
}

#[tokio::test]
async fn a_trusted_subject_gets_the_role_with_its_own_variables() {
    let service = service();
    let answer = ask(&service, &good(), &json!({"DurationSeconds": 600})).await;
    assert_eq!(answer["ExpiredTime"], START.as_second() + 600, "{answer}");
    let triple = Triple::of(&answer);
    let records = service.store.all();
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!(record.via.as_deref(), Some("web-identity:ci"));
    assert_eq!(record.subject.as_deref(), Some("repo:acme/site"));
    let Event::Grant { policy, variables, .. } = &record.event else { panic!("{record:?}") };
    assert_eq!(variables["class"], "4a");
    assert_eq!(
        policy.as_ref().unwrap().statements[0].resources[0].to_string(),
        "qcs::cos::uid/1250000000:pics-1250000000/4a/*"
    );
    let who = service.sts(Asking::who().with(&triple).sent()).await;
    let id = role_id(ACME, "deploy");
    assert_eq!(who["Arn"], format!("qcs::sts:100000000001:assumed-role/{id}"), "{who}");
    assert_eq!(who["UserId"], format!("{id}:build-1"));
    assert_eq!(who["PrincipalId"], "100000000001");
    assert_eq!(who["Type"], "CAMRole");
}

#[tokio::test]
async fn a_get_carries_the_same_in_its_query() {
    let service = service();
    let token = good();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("ProviderId", "ci"),
            ("WebIdentityToken", &token),
            ("RoleArn", &format!("qcs::cam::uin/100000000001:role/{}", role_id(ACME, "deploy"))),
            ("RoleSessionName", "build-1"),
        ])
        .finish();
    let mut request = Asking::new("AssumeRoleWithWebIdentity", "").get(&query).sent();
    request.head_mut().headers.insert("authorization", "SKIP".parse().unwrap());
    let answer = service.sts(request).await;
    assert!(answer["Credentials"].is_object(), "{answer}");
}

#[tokio::test]
async fn nothing_that_a_signature_needs_is_asked_for() {
    let service = service();
    let mut request = skipped("AssumeRoleWithWebIdentity", &body(&good(), &json!({})));
    request.head_mut().headers.remove("x-tc-timestamp");
    assert!(service.sts(request).await["Credentials"].is_object());
}

#[tokio::test]
async fn a_token_that_is_not_right_is_refused() {
    let service = service();
    let now = START.as_second();
    for wrong in [
        token("iss", "https://login.example.org".into()),
        token("aud", "another".into()),
        token("exp", now.into()),
        token("exp", Value::Null),
        token("nbf", (now + 3600).into()),
        format!("{}x", good()),
        good().rsplit_once('.').unwrap().0.to_owned(),
        "not a token".to_owned(),
    ] {
        let answer = ask(&service, &wrong, &json!({})).await;
        assert_eq!(code(&answer), "InvalidParameter.WebIdentityTokenError", "{wrong}");
    }
    assert!(service.store.all().is_empty(), "nobody was known");
}

#[tokio::test]
async fn a_subject_that_the_role_does_not_trust_gets_none() {
    let service = service();
    let stranger = token("sub", "repo:other/site".into());
    let mut seen = Vec::new();
    for (token, arn) in [
        (&stranger, ARN),
        (&good(), "qcs::cam::uin/100000000001:roleName/soe"),
        (&good(), "qcs::cam::uin/100000000001:roleName/nobody"),
        (&good(), "qcs::cam::uin/100000000001:role/4611686000000000000"),
        (&good(), "qcs::cam::uin/100000000001:role/tencentcloudServiceRoleName/deploy"),
    ] {
        let mut answer = ask(&service, token, &json!({"RoleArn": arn})).await;
        seen.push(answer["Error"].take());
    }
    assert_eq!(seen[0]["Code"], "UnauthorizedOperation");
    assert!(seen.iter().all(|error| *error == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_like_one_without_the_provider() {
    let service = service();
    let mut seen = Vec::new();
    for more in [
        json!({"RoleArn": "qcs::cam::uin/100000000002:roleName/deploy"}),
        json!({"RoleArn": "qcs::cam::uin/100000000003:roleName/deploy"}),
        json!({"ProviderId": "nobody"}),
    ] {
        let mut answer = ask(&service, &good(), &more).await;
        seen.push(answer["Error"].take());
    }
    assert_eq!(seen[0]["Code"], "InvalidParameter.WebIdentityTokenError");
    assert!(seen.iter().all(|error| *error == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn every_parameter_has_its_limits() {
    let service = service();
    for (more, expected) in [
        (json!({"ProviderId": null}), "MissingParameter"),
        (json!({"WebIdentityToken": ""}), "MissingParameter"),
        (json!({"RoleArn": null}), "MissingParameter"),
        (json!({"RoleSessionName": null}), "MissingParameter"),
        (json!({"ProviderId": "p".repeat(129)}), "InvalidParameter.ParamError"),
        (json!({"RoleArn": "deploy"}), "InvalidParameter.ParamError"),
        (json!({"RoleSessionName": "a"}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": 0}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": 43_201}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": 7201}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": 7200}), "accepted"),
        (json!({"Policy": "{}"}), "UnknownParameter"),
        (json!({"Tags": []}), "UnknownParameter"),
    ] {
        let answer = ask(&service, &good(), &more).await;
        assert_eq!(answer["Error"]["Code"].as_str().unwrap_or("accepted"), expected, "{more}");
    }
    let unreadable = service.sts(skipped("AssumeRoleWithWebIdentity", "{")).await;
    assert_eq!(code(&unreadable), "InvalidParameter.ParamError");
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_no_verdict() {
    let service = Service::knowing(world(), Arc::new(OneProvider { up: false }));
    let answer = ask(&service, &good(), &json!({})).await;
    assert_eq!(code(&answer), "InternalError.SystemError");
}

#[tokio::test]
async fn what_it_got_ends_with_the_trust() {
    let mut service = service();
    let triple = Triple::of(&ask(&service, &good(), &json!({})).await);
    let role = service.world.plan.roles.pop().unwrap();
    service.world.plan.roles.push(Arc::new(Role { trusts: vec![], ..(*role).clone() }));
    assert_eq!(service.code(Asking::who().with(&triple).sent()).await, "AuthFailure.TokenFailure");
}

/// A service where the provider has these bounds.
fn rationed(quota: Quota) -> Service {
    let mut world = world();
    Arc::make_mut(world.plan.providers.last_mut().unwrap()).quota = quota;
    Service::knowing(world, Arc::new(OneProvider { up: true }))
}

/// Attack: whoever has one JWT shows it again and again, and each time is a credential and a record.
#[tokio::test]
async fn a_subject_a_provider_and_a_network_have_their_rations() {
    for (quota, another) in [
        (Quota { subject: Some(2), ..Quota::default() }, true),
        (Quota { provider: Some(2), ..Quota::default() }, false),
        (Quota { address: Some(2), ..Quota::default() }, false),
    ] {
        let service = rationed(quota);
        for _ in 0..2 {
            Triple::of(&ask(&service, &good(), &json!({})).await);
        }
        let answer = ask(&service, &good(), &json!({})).await;
        assert_eq!(code(&answer), "RequestLimitExceeded", "{quota:?} {answer}");
        let other = ask(&service, &token("sub", "repo:acme/other".into()), &json!({})).await;
        assert_eq!(other.get("Error").is_none(), another, "{quota:?} {other}");
        service.clock.advance(60_000);
        Triple::of(&ask(&service, &good(), &json!({})).await);
    }
}

#[tokio::test]
async fn strangers_use_up_nothing_that_the_rightful_have() {
    let network = rationed(Quota { address: Some(3), ..Quota::default() });
    let others = rationed(Quota { subject: Some(1), provider: Some(1), ..Quota::default() });
    for service in [&network, &others] {
        for _ in 0..3 {
            let answer = ask(service, &token("aud", "elsewhere".into()), &json!({})).await;
            assert_eq!(code(&answer), "InvalidParameter.WebIdentityTokenError");
        }
    }
    let wrong = ask(&network, &token("aud", "elsewhere".into()), &json!({})).await;
    assert_eq!(code(&wrong), "RequestLimitExceeded", "their own");
    for _ in 0..3 {
        Triple::of(&ask(&network, &good(), &json!({})).await);
    }
    assert_eq!(code(&ask(&network, &good(), &json!({})).await), "RequestLimitExceeded", "the network's");
    Triple::of(&ask(&others, &good(), &json!({})).await);
}
