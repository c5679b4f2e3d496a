//! `AssumeRoleWithOIDC`: a role for the subject of an outside provider.

use super::super::arn::role_id;
use super::{Draft, FORM, Held, Service, Style, encoded, world};
use daypass_core::policy::{Language, Pattern, Template, VariableType};
use daypass_core::provider::{KeySource, Provider};
use daypass_core::record::Event;
use daypass_core::request::Request;
use daypass_core::role::{Role, Trust};
use daypass_core::testing::{ACME, START, World, allow, request};
use daypass_core::testing::{OneProvider, provider_keys, provider_signer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const ISSUER: &str = "https://login.example.com";

/// A world whose role `deploy` trusts the repositories of one owner.
fn trusting() -> World {
    let mut world = world();
    world.plan.providers.push(Arc::new(Provider {
        tenant: "acme".into(),
        name: "ci".into(),
        issuer: ISSUER.into(),
        audiences: vec!["daypass".into()],
        keys: KeySource::Inline(provider_keys()),
        subject: "sub".into(),
        variables: [("class".to_owned(), "class_id".to_owned())].into(),
        quota: daypass_core::provider::Quota::default(),
    }));
    let variables: BTreeMap<_, _> = [("class".to_owned(), VariableType::Slug)].into();
    let policy = allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/{class}/*");
    world.plan.roles.push(Arc::new(Role {
        name: "deploy".into(),
        policy: Some(Template::new(policy, &variables).unwrap()),
        variables,
        trusts: vec![Trust { provider: "ci".into(), subjects: vec![Pattern::parse("repo:acme/*")] }],
        ..(**world.plan.roles.last().unwrap()).clone()
    }));
    world
}

fn service() -> Service {
    Service::knowing(trusting(), Arc::new(OneProvider { up: true }))
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

/// The parameters of a good call, with others in their place.
fn parameters(token: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let good = [
        ("RoleArn", "acs:ram::100000000001:role/deploy"),
        ("OIDCProviderArn", "acs:ram::100000000001:oidc-provider/ci"),
        ("OIDCToken", token),
        ("RoleSessionName", "build-1"),
    ];
    good.iter().chain(more).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

/// A call as the vendor's credentials library sends it: the common ones in the query, the rest in a form.
fn sent(token: &str, more: &[(&str, &str)]) -> Request {
    let query = "Action=AssumeRoleWithOIDC&Format=JSON&Version=2015-04-01&Timestamp=2023-11-14T22%3A13%3A20Z&SignatureNonce=n";
    let parameters = parameters(token, more);
    let form = encoded(parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    request("POST", &format!("/?{query}"), &[FORM], form.as_bytes())
}

fn good() -> String {
    token("sub", "repo:acme/site".into())
}

#[tokio::test]
async fn a_trusted_subject_gets_the_role_with_its_own_variables() {
    let service = service();
    let body = service.granted(sent(&good(), &[("DurationSeconds", "900")])).await;
    assert_eq!(body["OIDCTokenInfo"], json!({"Subject": "repo:acme/site", "Issuer": ISSUER}));
    assert_eq!(body["AssumedRoleUser"]["Arn"], "acs:ram::100000000001:role/deploy/build-1");
    assert_eq!(body["Credentials"]["Expiration"], "2023-11-14T22:28:20Z");
    let records = service.store.all();
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!(record.via.as_deref(), Some("web-identity:ci"));
    let Event::Grant { policy, variables, .. } = &record.event else { panic!("{record:?}") };
    assert_eq!(variables["class"], "4a");
    assert_eq!(policy.as_ref().unwrap().statements[0].resources[0].as_str(), "acs:oss:*:*:bucket/4a/*");
    let held = Held::of(&body);
    let who = service.granted(Draft::who(Style::Acs3).by(&held).sent()).await;
    assert_eq!(who["Arn"], "acs:ram::100000000001:assumed-role/deploy/build-1");
    assert_eq!(who["PrincipalId"], format!("{}:build-1", role_id(ACME, "deploy")));
}

#[tokio::test]
async fn every_place_and_language_carries_the_same() {
    let all = parameters(&good(), &[]);
    let form = encoded(all.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let marks = [
        ("x-acs-action", "AssumeRoleWithOIDC"),
        ("x-acs-version", "2015-04-01"),
        ("accept", "application/json"),
    ];
    let in_query = request("POST", &format!("/?{form}"), &marks, b"");
    assert!(service().granted(in_query).await["Credentials"].is_object());
    let get = format!("/?Action=AssumeRoleWithOIDC&Version=2015-04-01&{form}");
    let response = service().response(request("GET", &get, &[], b"")).await;
    let xml = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(xml.contains("<AssumeRoleWithOIDCResponse><RequestId>"), "{xml}");
    assert!(xml.contains("<OIDCTokenInfo><Subject>repo:acme/site</Subject><Issuer>https://login.example.com</Issuer></OIDCTokenInfo>"), "{xml}");
}

#[tokio::test]
async fn a_session_policy_narrows_it() {
    let service = service();
    let policy =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}]}"#;
    service.granted(sent(&good(), &[("Policy", policy)])).await;
    let records = service.store.all();
    let Event::Grant { policy, .. } = &records[0].event else { panic!("{records:?}") };
    let expected = allow(Language::Ram, "oss:GetObject", "acs:oss:*:*:bucket/4a/*");
    assert_eq!(**policy.as_ref().unwrap(), expected);
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
        token("class_id", Value::Null),
        token("class_id", "a/b".into()),
        format!("{}x", good()),
        good().rsplit_once('.').unwrap().0.to_owned(),
        "not a token".to_owned(),
    ] {
        assert_eq!(
            service.code(sent(&wrong, &[])).await,
            "400 AuthenticationFail.OIDCToken.Invalid",
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_subject_that_the_role_does_not_trust_gets_none() {
    let service = service();
    let stranger = token("sub", "repo:other/site".into());
    let mut seen = Vec::new();
    for (token, arn) in [
        (&stranger, "acs:ram::100000000001:role/deploy"),
        (&good(), "acs:ram::100000000001:role/uploads"),
        (&good(), "acs:ram::100000000001:role/nobody"),
    ] {
        let (status, mut body) = service.ask(sent(token, &[("RoleArn", arn)])).await;
        assert_eq!((status, body["Code"].as_str()), (403, Some("NoPermission")), "{arn}");
        seen.push(body["Message"].take());
    }
    assert!(seen.iter().all(|message| *message == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_like_one_without_the_provider() {
    let service = service();
    let mut seen = Vec::new();
    for account in ["100000000002", "100000000003"] {
        let role = format!("acs:ram::{account}:role/deploy");
        let provider = format!("acs:ram::{account}:oidc-provider/ci");
        let more = [("RoleArn", role.as_str()), ("OIDCProviderArn", provider.as_str())];
        seen.push(service.ask(sent(&good(), &more)).await);
    }
    let nobody = [("OIDCProviderArn", "acs:ram::100000000001:oidc-provider/nobody")];
    seen.push(service.ask(sent(&good(), &nobody)).await);
    assert_eq!(seen[0].1["Code"], "AuthenticationFail.OIDCToken.Invalid");
    assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn every_parameter_has_its_limits() {
    let long = format!("acs:ram::1:role/{}", "n".repeat(65));
    let service = service();
    for (name, value, expected) in [
        ("OIDCProviderArn", "", "400 MissingOIDCProviderArn"),
        ("OIDCProviderArn", "ci", "400 InvalidParameter.OIDCProviderArn"),
        ("OIDCProviderArn", "acs:ram::1:oidc-provider/ci", "400 InvalidParameter.OIDCProviderArn"),
        ("OIDCToken", "", "400 MissingOIDCToken"),
        ("OIDCToken", "abc", "400 InvalidParameter.OIDCToken"),
        ("OIDCToken", &"x".repeat(20_001), "400 InvalidParameter.OIDCToken"),
        ("RoleArn", "", "400 MissingRoleArn"),
        ("RoleArn", &long, "400 InvalidParameter.RoleArn"),
        ("RoleSessionName", "", "400 MissingRoleSessionName"),
        ("RoleSessionName", "a", "400 InvalidParameter.RoleSessionName"),
        ("DurationSeconds", "899", "400 InvalidParameter.DurationSeconds"),
        ("DurationSeconds", "43201", "400 InvalidParameter.DurationSeconds"),
        ("DurationSeconds", "3601", "400 InvalidParameter.DurationSeconds"),
        ("DurationSeconds", "3600", "200"),
        ("Policy", "{}", "400 InvalidParameter.PolicyGrammar"),
        ("ExternalId", "xx", "400 InvalidParameter.ExternalId"),
        ("SourceIdentity", "xx", "400 InvalidParameter.SourceIdentity"),
        ("Signature", "x", "400 IncompleteSignature"),
        ("SecurityToken", "x", "400 IncompleteSignature"),
    ] {
        assert_eq!(service.code(sent(&good(), &[(name, value)])).await, expected, "{name}={value}");
    }
}

#[tokio::test]
async fn it_goes_with_no_other_proof() {
    let service = service();
    for style in super::STYLES {
        let mut draft = Draft::new(style, "AssumeRoleWithOIDC");
        draft.params = parameters(&good(), &[]);
        assert_eq!(service.code(draft.sent()).await, "400 IncompleteSignature", "{style:?}");
    }
    let mut token = sent(&good(), &[]);
    token.head_mut().headers.insert("x-acs-security-token", "t".parse().unwrap());
    assert_eq!(service.code(token).await, "400 IncompleteSignature");
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_no_verdict() {
    let service = Service::knowing(trusting(), Arc::new(OneProvider { up: false }));
    assert_eq!(service.code(sent(&good(), &[])).await, "503 ServiceUnavailable");
}

#[tokio::test]
async fn what_it_got_ends_with_the_trust() {
    let mut service = service();
    let held = Held::of(&service.granted(sent(&good(), &[])).await);
    let role = service.world.plan.roles.pop().unwrap();
    service.world.plan.roles.push(Arc::new(Role { trusts: vec![], ..(*role).clone() }));
    let who = Draft::who(Style::Acs3).by(&held);
    assert_eq!(service.code(who.sent()).await, "400 InvalidSecurityToken.Expired");
}
