//! From a permanent key to a temporary one that works.

use super::{Asking, POLICY, Service, Triple, code, federation};
use daypass_core::client::KeyKind;
use daypass_core::clock::Timestamp;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::record::{Event, Record};
use daypass_core::role::{Lifetime, Role};
use daypass_core::testing::{START, World, later, signing_key};
use serde_json::Value;
use std::sync::Arc;

async fn issued(service: &Service, seconds: Option<u32>) -> Value {
    let body = federation(POLICY, seconds);
    service.sts(Asking::new("GetFederationToken", &body).sent()).await
}

#[tokio::test]
async fn a_federation_token_has_the_vendors_shape() {
    let service = Service::new();
    let body = issued(&service, None).await;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&body), ["Credentials", "Expiration", "ExpiredTime", "RequestId"]);
    assert_eq!(names(&body["Credentials"]), ["TmpSecretId", "TmpSecretKey", "Token"]);
    assert_eq!(body["Expiration"], "2023-11-14T22:43:20Z");
    assert_eq!(body["ExpiredTime"], 1_700_001_800);
    let triple = Triple::of(&body);
    assert!(triple.id.starts_with("AKID") && !triple.id.contains(['/', ',']), "{}", triple.id);
    assert!(triple.token.len() <= 4096);
}

#[tokio::test]
async fn the_lifetime_is_what_was_asked_for() {
    for seconds in [1, 1800, 7200] {
        let service = Service::new();
        let expired: i64 = issued(&service, Some(seconds)).await["ExpiredTime"].as_i64().unwrap();
        assert_eq!(expired, START.as_second() + i64::from(seconds));
    }
    let service = Service::new();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("Name", "soe"), ("Policy", POLICY), ("DurationSeconds", "60")])
        .finish();
    let body = service.sts(Asking::new("GetFederationToken", "").get(&query).sent()).await;
    assert_eq!(body["ExpiredTime"], 1_700_000_060);
}

#[tokio::test]
async fn no_token_lives_longer_than_the_vendors() {
    let mut world = World::new();
    let lifetime = Lifetime { default: 1800, max: 200_000 };
    world.plan.roles[0] = Arc::new(Role { lifetime, ..(*world.plan.roles[0]).clone() });
    let service = Service::of(world);
    assert_eq!(issued(&service, Some(129_600)).await["ExpiredTime"], START.as_second() + 129_600);
    let longer = issued(&service, Some(129_601)).await;
    assert_eq!(code(&longer), "InvalidParameter.OverTimeError");
    let message = longer["Error"]["Message"].as_str().unwrap();
    let expected = "DurationSeconds is 129601; GetFederationToken allows 129600 and the role soe 200000, so at most 129600 can be asked for";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn a_longer_default_of_a_role_is_cut_to_the_vendors_longest() {
    let mut world = World::new();
    let lifetime = Lifetime { default: 200_000, max: 200_000 };
    world.plan.roles[0] = Arc::new(Role { lifetime, ..(*world.plan.roles[0]).clone() });
    let service = Service::of(world);
    assert_eq!(issued(&service, None).await["ExpiredTime"], START.as_second() + 129_600);
    let body = r#"{"RoleArn":"qcs::cam::uin/100000000001:roleName/soe","RoleSessionName":"lesson"}"#;
    let assumed = service.sts(Asking::new("AssumeRole", body).sent()).await;
    assert_eq!(assumed["ExpiredTime"], START.as_second() + 43_200, "{assumed}");
}

#[tokio::test]
async fn a_temporary_key_says_who_it_is_in_every_way_of_signing() {
    let service = Service::new();
    let triple = Triple::of(&issued(&service, None).await);
    let permanent = service.sts(Asking::who().sent()).await;
    let uin = permanent["UserId"].as_str().unwrap().to_owned();
    assert_eq!(permanent["Arn"], format!("qcs::cam::uin/100000000001:uin/{uin}"));
    for asking in [
        Asking::who(),
        Asking::who().unsigned(),
        Asking::new("GetCallerIdentity", ""),
        Asking::who().get(""),
        Asking::who().get("").unsigned(),
    ] {
        let body = service.sts(asking.with(&triple).sent()).await;
        assert_eq!(body["Arn"], format!("qcs::sts:100000000001:federated-user/{uin}"), "{body}");
        assert_eq!(body["UserId"], format!("{uin}:soe"));
        assert_eq!(body["PrincipalId"], uin);
        assert_eq!((&body["AccountId"], &body["Type"]), (&"100000000001".into(), &"CAMUser".into()));
    }
}

#[tokio::test]
async fn id_key_and_token_are_proved_to_belong_together() {
    let service = Service::new();
    let triple = Triple::of(&issued(&service, None).await);
    let other = Triple::of(&issued(&service, Some(60)).await);
    let who = |id: &str, secret: &str, token: &str| {
        let triple = Triple { id: id.into(), secret: secret.into(), token: token.into() };
        Asking::who().with(&triple).sent()
    };
    let Triple { id, secret, token } = &triple;
    assert!(service.sts(who(id, secret, token)).await.get("Error").is_none());
    for (request, expected) in [
        (who(id, "another key", token), "AuthFailure.SignatureFailure"),
        (who(id, &other.secret, token), "AuthFailure.SignatureFailure"),
        (who(id, secret, &other.token), "AuthFailure.TokenFailure"),
        (who(id, secret, &format!("{token}error")), "AuthFailure.TokenFailure"),
        (who(id, secret, &token[1..]), "AuthFailure.TokenFailure"),
        (who(&other.id, secret, token), "AuthFailure.TokenFailure"),
        (who(&id.to_lowercase(), secret, token), "AuthFailure.SecretIdNotFound"),
        (who("AKIDworld", "secret of AKIDworld", token), "AuthFailure.TokenFailure"),
        (Asking::who().by(id, secret).sent(), "AuthFailure.SecretIdNotFound"),
    ] {
        assert_eq!(service.code(request).await, expected);
    }
}

#[tokio::test]
async fn a_temporary_key_runs_out_to_the_second() {
    let service = Service::new();
    let triple = Triple::of(&issued(&service, Some(1)).await);
    service.clock.advance(999);
    assert!(service.sts(Asking::who().with(&triple).sent()).await["Arn"].is_string());
    service.clock.advance(1);
    let body = service.sts(Asking::who().with(&triple).at(later(1)).sent()).await;
    assert_eq!(code(&body), "AuthFailure.TokenFailure");
    let message = body["Error"]["Message"].as_str().unwrap();
    assert!(message.contains("expired at 2023-11-14T22:13:21Z"), "{message}");
}

#[tokio::test]
async fn what_was_taken_back_is_refused_at_once() {
    let mut service = Service::new();
    let triple = Triple::of(&issued(&service, None).await);
    service.world.cutoffs = vec![Cutoff { scope: Scope::Key("AKIDworld".into()), before: START }];
    assert_eq!(service.code(Asking::who().with(&triple).sent()).await, "AuthFailure.TokenFailure");
    service.world.cutoffs = vec![];
    service.world.client.enabled = false;
    assert_eq!(
        service.code(Asking::who().with(&triple).at(later(1)).sent()).await,
        "AuthFailure.TokenFailure"
    );
    let disabled = service.code(Asking::who().sent()).await;
    assert_eq!(disabled, "AuthFailure.UnauthorizedOperation");
}

#[tokio::test]
async fn a_temporary_key_gets_no_other() {
    let service = Service::new();
    let triple = Triple::of(&issued(&service, None).await);
    let body = federation(POLICY, None);
    let request = Asking::new("GetFederationToken", &body).with(&triple).sent();
    assert_eq!(service.code(request).await, "UnsupportedOperation");
}

#[tokio::test]
async fn a_retry_gets_the_identical_key_and_a_replay_none() {
    let service = Service::new();
    let first = issued(&service, None).await;
    service.clock.advance(4_000);
    assert_eq!(issued(&service, None).await, first);
    service.clock.advance(2_000);
    assert_eq!(code(&issued(&service, None).await), "AuthFailure.SignatureExpire");
    let body = federation(POLICY, None);
    let again = Asking::new("GetFederationToken", &body).at(later(6)).sent();
    assert_ne!(Triple::of(&service.sts(again).await).id, Triple::of(&first).id);
}

fn records(service: &Service) -> Vec<Record> {
    service.store.all()
}

#[tokio::test]
async fn the_record_tells_what_was_granted_and_how() {
    let service = Service::new();
    let body = federation(POLICY, None);
    let triple = Triple::of(&service.sts(Asking::new("GetFederationToken", &body).unsigned().sent()).await);
    let [record] = &records(&service)[..] else { panic!("one record") };
    assert_eq!(record.weak.as_deref(), Some("unsigned-payload"));
    assert_eq!(record.session.as_deref(), Some("soe"));
    assert_eq!(record.dialect.as_deref(), Some("tencent.sts"));
    let Event::Grant { credential, policy, .. } = &record.event else { panic!("{record:?}") };
    assert_eq!(credential, &triple.id);
    let policy = policy.as_ref().unwrap();
    assert_eq!(policy.statements[0].actions[0].to_string(), "soe:TransmitOralProcessWithInit");
    let text = serde_json::to_string(record).unwrap();
    assert!(!text.contains(&triple.secret) && !text.contains(&triple.token), "no secret in a record");
}

#[tokio::test]
async fn a_client_can_refuse_unsigned_payloads_in_its_own_name() {
    let mut world = World::new();
    world.client.refuses.unsigned_payload = true;
    let service = Service::of(world);
    assert_eq!(service.code(Asking::who().unsigned().sent()).await, "AuthFailure.UnauthorizedOperation");
    assert!(service.sts(Asking::who().sent()).await["Arn"].is_string());
}

#[tokio::test]
async fn nothing_is_handed_out_that_was_not_recorded() {
    let service = Service::new();
    service.store.go_down();
    let body = issued(&service, None).await;
    assert_eq!(code(&body), "ServiceUnavailable");
    assert!(body.get("Credentials").is_none());
    service.store.come_back();
    assert!(issued(&service, None).await["Credentials"].is_object(), "the same bytes are still good");
}

#[tokio::test]
async fn a_key_of_another_kind_or_no_key_at_all_is_not_found() {
    let mut world = World::new();
    world.keys.push(signing_key("AKIDtop", KeyKind::Top, world.client.guid));
    let service = Service::of(world);
    for id in ["AKIDnobody", "AKIDtop", "12345678"] {
        let request = Asking::who().by(id, &format!("secret of {id}")).sent();
        assert_eq!(service.code(request).await, "AuthFailure.SecretIdNotFound", "{id}");
    }
    let request = Asking::who().by("AKIDworld", "a guess").sent();
    assert_eq!(service.code(request).await, "AuthFailure.SignatureFailure");
}

#[tokio::test]
async fn around_midnight_the_requests_own_date_counts() {
    let service = Service::new();
    let before = Timestamp::from_second(1_700_006_399).unwrap();
    service.clock.set(Timestamp::from_second(1_700_006_401).unwrap());
    assert!(service.sts(Asking::who().at(before).sent()).await["Arn"].is_string());
}
