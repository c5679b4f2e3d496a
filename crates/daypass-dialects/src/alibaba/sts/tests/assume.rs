//! `AssumeRole` and who one is afterwards.

use super::super::arn::{role_id, user_id};
use super::{Draft, Held, ROLE, STYLES, Service, Style, world};
use crate::alibaba::Top;
use crate::alibaba::tests::{call_of_the_gateway, xml_leaves};
use crate::alibaba::wire::ROOT;
use daypass_core::client::KeyKind;
use daypass_core::policy::{Language, Policy};
use daypass_core::record::Event;
use daypass_core::role::Role;
use daypass_core::testing::{ACME, START, allow, before, signing_key};
use serde_json::Value;
use std::sync::Arc;

/// The policy of the only grant.
#[track_caller]
fn issued(service: &Service) -> Policy {
    let records = service.store.all();
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    let Event::Grant { policy, .. } = &record.event else { panic!("{record:?}") };
    (**policy.as_ref().unwrap()).clone()
}

#[tokio::test]
async fn an_assumed_role_has_the_vendors_shape_and_the_roles_whole_policy() {
    let service = Service::new();
    let body = service.granted(Draft::assume(Style::Acs3).sent()).await;
    let id = role_id(ACME, "uploads");
    assert_eq!(
        body["AssumedRoleUser"],
        serde_json::json!({"Arn": format!("{ROLE}/app-1"), "AssumedRoleId": format!("{id}:app-1")})
    );
    assert_eq!(body["Credentials"]["Expiration"], "2023-11-14T22:33:20Z", "the role's default of 20 minutes");
    assert!(Held::of(&body).id.starts_with("STS."));
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["AssumedRoleUser", "Credentials", "RequestId"]);
    assert_eq!(issued(&service), allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/uploads/*"));
}

#[tokio::test]
async fn xml_has_the_same_facts_below_a_root() {
    let draft = |format: &str| Draft::assume(Style::Rpc).set("SourceIdentity", "alice").set("Format", format);
    let response = Service::new().response(draft("xml").sent()).await;
    assert_eq!(response.headers()["content-type"], "text/xml;charset=utf-8");
    let document = String::from_utf8(response.body().to_vec()).unwrap();
    let names: Vec<_> = xml_leaves(&document).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        names,
        [
            "AssumeRoleResponse/RequestId",
            "AssumeRoleResponse/AssumedRoleUser/Arn",
            "AssumeRoleResponse/AssumedRoleUser/AssumedRoleId",
            "AssumeRoleResponse/Credentials/SecurityToken",
            "AssumeRoleResponse/Credentials/Expiration",
            "AssumeRoleResponse/Credentials/AccessKeySecret",
            "AssumeRoleResponse/Credentials/AccessKeyId",
            "AssumeRoleResponse/SourceIdentity",
        ]
    );
    let json = Service::new().granted(draft("json").sent()).await;
    assert_eq!(json["SourceIdentity"], "alice");
}

#[tokio::test]
async fn every_style_is_granted_and_recorded() {
    for style in STYLES {
        let service = Service::new();
        let draft = Draft::assume(style).set("DurationSeconds", "900").set("SourceIdentity", "alice@x");
        let body = service.granted(draft.sent()).await;
        assert_eq!(body["Credentials"]["Expiration"], "2023-11-14T22:28:20Z", "{style:?}");
        assert_eq!(body["SourceIdentity"], "alice@x");
        let records = service.store.all();
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.key.as_deref(), Some("LTAIworld"));
        assert_eq!((record.role.as_deref(), record.session.as_deref()), (Some("uploads"), Some("app-1")));
        assert_eq!(record.weak, None, "{style:?}");
        let Event::Grant { source_identity, .. } = &record.event else { panic!("{record:?}") };
        assert_eq!(source_identity.as_deref(), Some("alice@x"));
    }
}

#[tokio::test]
async fn a_session_policy_is_cut_to_what_the_role_gives() {
    let document = |action: &str, resource: &str| {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":["{action}"],"Resource":["{resource}"]}}]}}"#
        )
    };
    for (action, resource, expected) in [
        ("oss:*", "*", "acs:oss:*:*:bucket/uploads/*"),
        ("oss:PutObject", "acs:oss:*:*:bucket/uploads/门店/*", "acs:oss:*:*:bucket/uploads/门店/*"),
        ("oss:Put*", "acs:oss:*:*:bucket/*", "acs:oss:*:*:bucket/uploads/*"),
    ] {
        let service = Service::new();
        service.granted(Draft::assume(Style::Acs3).set("Policy", &document(action, resource)).sent()).await;
        assert_eq!(issued(&service), allow(Language::Ram, "oss:PutObject", expected));
    }
    let service = Service::new();
    let elsewhere = Draft::assume(Style::Acs3).set("Policy", &document("oss:*", "acs:oss:*:*:another/*"));
    let (status, body) = service.ask(elsewhere.sent()).await;
    assert_eq!((status, body["Code"].as_str()), (403, Some("NoPermission")));
    assert!(body["Message"].as_str().unwrap().contains("it gives oss:PutObject"), "{body}");
}

#[tokio::test]
async fn every_kind_of_caller_is_told_who_it_is() {
    let service = Service::new();
    let (user, role) = (user_id(service.world.client.guid), role_id(ACME, "uploads"));
    for style in STYLES {
        let who = service.granted(Draft::who(style).nonce(&format!("{style:?}")).sent()).await;
        assert_eq!((who["IdentityType"].as_str(), who["UserId"].as_str()), (Some("RAMUser"), Some(&*user)));
    }
    let held = Held::of(&service.granted(Draft::assume(Style::Acs3).sent()).await);
    for style in STYLES {
        let who = service.granted(Draft::who(style).by(&held).nonce(&format!("{style:?}")).sent()).await;
        assert_eq!(who["IdentityType"], "AssumedRoleUser", "{style:?}");
        assert_eq!(who["Arn"], "acs:ram::100000000001:assumed-role/uploads/app-1");
        assert_eq!(who["PrincipalId"], format!("{role}:app-1"));
        assert_eq!((who["RoleId"].as_str(), who["AccountId"].as_str()), (Some(&*role), Some("100000000001")));
    }
    assert_eq!(service.store.all().len(), 1, "who one is, is counted and not recorded");
}

#[tokio::test]
async fn a_temporary_key_gets_no_other_one() {
    let service = Service::new();
    let held = Held::of(&service.granted(Draft::assume(Style::Acs3).sent()).await);
    for style in STYLES {
        let again = Draft::assume(style).by(&held).nonce(&format!("{style:?}"));
        assert_eq!(service.code(again.sent()).await, "403 NoPermission");
        let bare = Held { token: String::new(), ..held.clone() };
        assert_eq!(service.code(Draft::who(style).by(&bare).sent()).await, "400 MissingSecurityToken");
    }
}

#[tokio::test]
async fn a_temporary_key_falls_with_what_it_was_made_on() {
    let mut service = Service::new();
    let held = Held::of(&service.granted(Draft::assume(Style::Acs3).sent()).await);
    let who = |nonce: &str, at| Draft::who(Style::Rpc).by(&held).nonce(nonce).at(at).sent();
    service.world.client.grants.retain(|grant| grant.role != "uploads");
    assert_eq!(service.code(who("a", START)).await, "400 InvalidSecurityToken.Expired");
    service.world = world();
    assert_eq!(service.code(who("b", START)).await, "200");
    service.clock.advance(1_200_000);
    let now = daypass_core::clock::after(START, 1200);
    assert_eq!(service.code(who("c", now)).await, "400 InvalidSecurityToken.Expired");
}

#[tokio::test]
async fn tokens_cannot_be_swapped_or_changed() {
    let service = Service::new();
    let one = Held::of(&service.granted(Draft::assume(Style::Acs3).nonce("1").sent()).await);
    let two = Held::of(&service.granted(Draft::assume(Style::Acs3).nonce("2").sent()).await);
    let swapped = Held { token: two.token.clone(), ..one.clone() };
    let cut = Held { token: one.token[1..].to_owned(), ..one.clone() };
    let permanent =
        Held { id: "LTAIworld".into(), secret: "secret of LTAIworld".into(), token: one.token.clone() };
    for style in STYLES {
        for held in [&swapped, &cut, &permanent] {
            assert_eq!(
                service.code(Draft::who(style).by(held).sent()).await,
                "400 InvalidSecurityToken.Malformed",
                "{style:?}"
            );
        }
        let other_secret = Held { secret: two.secret.clone(), ..one.clone() };
        assert_eq!(
            service.code(Draft::who(style).by(&other_secret).sent()).await,
            "400 SignatureDoesNotMatch"
        );
    }
}

#[tokio::test]
async fn a_role_that_is_not_the_clients_is_like_one_that_does_not_exist() {
    let mut seen = Vec::new();
    for (arn, grant) in [
        ("acs:ram::100000000001:role/nobody", None),
        ("acs:ram::100000000001:role/Uploads", None),
        ("acs:ram::100000000001:role/uploads", Some("other")),
    ] {
        let mut service = Service::new();
        if grant.is_some() {
            service.world.client.grants.retain(|grant| grant.role != "uploads");
        }
        let (status, mut body) = service.ask(Draft::assume(Style::Acs3).set("RoleArn", arn).sent()).await;
        assert_eq!((status, body["Code"].as_str()), (404, Some("EntityNotExist.Role")), "{arn}");
        seen.push(body["Message"].take());
    }
    assert!(seen.iter().all(|message| *message == seen[0]), "{seen:?}");
    let elsewhere = |account: &str| format!("acs:ram::{account}:role/uploads");
    let service = Service::new();
    let mut said = Vec::new();
    for account in ["100000000002", "999"] {
        let draft = Draft::assume(Style::Acs3).set("RoleArn", &elsewhere(account)).nonce(account);
        let (status, mut body) = service.ask(draft.sent()).await;
        assert_eq!((status, body["Code"].as_str()), (404, Some("EntityNotExist.Role")));
        said.push(body["Message"].take());
    }
    assert_eq!(said[0], said[1], "whether the other account exists is not told");
}

#[tokio::test]
async fn a_bound_of_a_role_is_told_to_its_clients_alone() {
    let mut service = Service::new();
    let long = || Draft::assume(Style::Acs3).set("DurationSeconds", "3601");
    let (_, body) = service.ask(long().sent()).await;
    assert_eq!(body["Code"], "InvalidParameter.DurationSeconds");
    assert!(body["Message"].as_str().unwrap().contains("15min/1hr"), "{body}");
    service.world.client.grants.retain(|grant| grant.role != "uploads");
    assert_eq!(service.code(long().nonce("2").sent()).await, "404 EntityNotExist.Role");
}

#[tokio::test]
async fn a_role_with_variables_is_refused_with_what_to_do() {
    let service = Service::new();
    let arn = "acs:ram::100000000001:role/store-upload";
    let (status, body) = service.ask(Draft::assume(Style::Acs3).set("RoleArn", arn).sent()).await;
    assert_eq!((status, body["Code"].as_str()), (400, Some("InvalidParameter.RoleArn")));
    let message = body["Message"].as_str().unwrap();
    assert!(message.contains("poi_id, tenant_code") && message.contains("TOP gateway"), "{message}");
}

#[tokio::test]
async fn a_role_of_another_vendor_is_not_given_here() {
    let service = Service::new();
    let arn = "acs:ram::100000000001:role/soe";
    assert_eq!(
        service.code(Draft::assume(Style::Acs3).set("RoleArn", arn).sent()).await,
        "404 EntityNotExist.Role"
    );
}

#[tokio::test]
async fn an_external_id_must_be_the_roles() {
    let mut world = world();
    let role = world.plan.roles.pop().unwrap();
    world.plan.roles.push(Arc::new(Role { external_id: Some("partner-7".into()), ..(*role).clone() }));
    let service = Service::of(world);
    let draft = || Draft::assume(Style::Rpc);
    assert_eq!(service.code(draft().nonce("1").sent()).await, "403 NoPermission");
    let wrong = draft().set("ExternalId", "partner-8").nonce("2");
    assert_eq!(service.code(wrong.sent()).await, "403 NoPermission");
    let right = draft().set("ExternalId", "partner-7").nonce("3");
    assert_eq!(service.code(right.sent()).await, "200");
}

#[tokio::test]
async fn a_clients_state_is_told_to_who_has_its_key() {
    let mut service = Service::new();
    service.world.client.enabled = false;
    assert_eq!(service.code(Draft::who(Style::Rpc).sent()).await, "400 InvalidAccessKeyId.Inactive");
    let stranger = Held { id: "LTAIworld".into(), secret: "a guess".into(), token: String::new() };
    let guess = Draft::who(Style::Rpc).by(&stranger).nonce("2");
    assert_eq!(service.code(guess.sent()).await, "400 SignatureDoesNotMatch");
    service.world.client.enabled = true;
    service.world.keys.last_mut().unwrap().expires = Some(before(START, 1));
    assert_eq!(service.code(Draft::who(Style::Rpc).sent()).await, "404 InvalidAccessKeyId.NotFound");
    let unknown = Held { id: "LTAInobody".into(), ..stranger };
    assert_eq!(
        service.code(Draft::who(Style::Acs3).by(&unknown).sent()).await,
        "404 InvalidAccessKeyId.NotFound"
    );
}

/// A key of one vendor's protocol is none of another one's.
#[tokio::test]
async fn keys_of_other_protocols_are_unknown_here() {
    let mut service = Service::new();
    service.world.keys.push(signing_key("AKIDother", KeyKind::Tencent, service.world.client.guid));
    for id in ["AKIDworld", "AKIDother", "12345678"] {
        let held = Held { id: id.into(), secret: format!("secret of {id}"), token: String::new() };
        let code = service.code(Draft::who(Style::Acs3).by(&held).sent()).await;
        assert_eq!(code, "404 InvalidAccessKeyId.NotFound", "{id}");
    }
}

#[tokio::test]
async fn a_nonce_is_good_once_and_for_a_retry() {
    for style in STYLES {
        let service = Service::new();
        let first = service.granted(Draft::assume(style).sent()).await;
        service.clock.advance(4_000);
        let again = service.granted(Draft::assume(style).sent()).await;
        assert_eq!(first, again, "{style:?}: the identical credential");
        service.clock.advance(2_000);
        assert_eq!(service.code(Draft::assume(style).sent()).await, "400 SignatureNonceUsed", "{style:?}");
        let other = Draft::who(style);
        assert_eq!(service.code(other.sent()).await, "400 SignatureNonceUsed", "whatever it signs");
        assert_eq!(service.code(Draft::who(style).nonce("fresh").sent()).await, "200");
        // To the very end of the window in which its time is good.
        service.clock.advance(890_000);
        assert_eq!(service.code(Draft::assume(style).sent()).await, "400 SignatureNonceUsed", "{style:?}");
    }
}

#[tokio::test]
async fn a_nonce_belongs_to_its_key() {
    let mut service = Service::new();
    service.world.keys.push(signing_key("LTAIother", KeyKind::AccessKey, service.world.client.guid));
    service.granted(Draft::assume(Style::Acs3).sent()).await;
    service.clock.advance(6_000);
    let other = Held { id: "LTAIother".into(), secret: "secret of LTAIother".into(), token: String::new() };
    assert_eq!(service.code(Draft::assume(Style::Acs3).by(&other).sent()).await, "200");
    let guess = Held { secret: "a guess".into(), ..other };
    let stolen = Draft::assume(Style::Acs3).by(&guess).nonce("next");
    assert_eq!(service.code(stolen.sent()).await, "400 SignatureDoesNotMatch");
    let own = Draft::assume(Style::Acs3).nonce("next");
    assert_eq!(service.code(own.sent()).await, "200", "a stranger uses up nobody's nonce");
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_that_can_be_retried() {
    let service = Service::new();
    service.store.go_down();
    let response = service.response(Draft::assume(Style::Acs3).sent()).await;
    let again = ["retry-after", "x-acs-retry-after"].map(|name| response.headers()[name].to_str().unwrap());
    assert_eq!(
        (response.status().as_u16(), again),
        (503, ["1", "1000"]),
        "in seconds, and in the vendor's milliseconds"
    );
    service.store.come_back();
    assert_eq!(service.code(Draft::assume(Style::Acs3).sent()).await, "200");
}

#[tokio::test]
async fn a_credential_of_the_gateway_knows_itself_here() {
    let service = Service::new();
    let answer = service.pipeline.answer(&Top, &service.world.directory(), call_of_the_gateway()).await;
    let body: Value = serde_json::from_slice(answer.response.body()).unwrap();
    let result = &body[ROOT]["result"];
    let text = |name: &str| result[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    let held = Held { id: text("access_key_id"), secret: text("access_key_secret"), token: text("token") };
    let who: Value = service.granted(Draft::who(Style::Acs3).by(&held).sent()).await;
    assert_eq!(who["IdentityType"], "AssumedRoleUser");
    let user = user_id(service.world.client.guid);
    assert_eq!(who["Arn"], format!("acs:ram::100000000001:assumed-role/store-upload/{user}"));
    assert_eq!(
        service.code(Draft::assume(Style::Acs3).by(&held).nonce("2").sent()).await,
        "403 NoPermission"
    );
}
