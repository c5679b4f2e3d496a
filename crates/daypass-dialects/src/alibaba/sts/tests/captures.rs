//! Whole `AssumeRole` requests as real clients sent them, at the time they were sent.

use super::super::{Sts, Way};
use super::{Service, world_with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::{Timestamp, after};
use daypass_core::dialect::{Call, Context, Dialect};
use daypass_core::policy::{Effect, Language, Template};
use daypass_core::record::Event;
use daypass_core::refusal::Reason;
use daypass_core::request::Request;
use daypass_core::role::Role;
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::{World, allow, request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every sample: the client, the request, when it came, and whether its secret was right.
fn samples() -> Vec<(String, Request, Timestamp, bool)> {
    let vectors: Value = serde_json::from_str(include_str!("../../../../vectors/alibaba-acs.json")).unwrap();
    let samples = vectors["wire_samples"].as_array().unwrap().iter().map(|sample| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers: Vec<_> = sample["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1])))
            .collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = STANDARD.decode(sample["body_b64"].as_str().unwrap()).unwrap();
        (
            text(&sample["client"]),
            request(&text(&sample["method"]), &text(&sample["target"]), &headers, &body),
            Timestamp::from_second(sample["server_time"].as_i64().unwrap()).unwrap(),
            sample["signature_valid"].as_bool().unwrap(),
        )
    });
    samples.collect()
}

/// A world in which the captured requests ask for something that there is.
fn world() -> World {
    let mut world = world_with("testid", "testsecret");
    let tenant = Arc::make_mut(&mut world.plan.tenants[0]);
    tenant.account = "1234567890123456".into();
    let policy = allow(Language::Ram, "oss:*", "acs:oss:*:*:bkt/*");
    world.plan.roles.push(Arc::new(Role {
        name: "daypass".into(),
        policy: Some(Template::new(policy, &BTreeMap::new()).unwrap()),
        ..(*world.plan.roles[0]).clone()
    }));
    for grant in &mut world.client.grants {
        if grant.role == "uploads" {
            grant.role = "daypass".into();
        }
    }
    world
}

#[test]
fn every_captured_request_is_read_and_judged() {
    let directory = world().directory();
    let secret = Secret::new("testsecret");
    let samples = samples();
    assert_eq!(samples.len(), 10);
    let (mut right, mut in_headers) = (0, 0);
    for (client, request, now, valid) in samples {
        let mut manner = Sts.manner(&request.head);
        let call = Sts.read(Context { directory: &directory, now }, request, &mut manner);
        let call = call.unwrap_or_else(|refusal| panic!("{client}: {refusal:?}"));
        assert_eq!(call.verify(&SigningKey::for_test(&secret)).is_some(), valid, "{client}");
        let wrong = Secret::new("testsecreT");
        assert!(call.verify(&SigningKey::for_test(&wrong)).is_none(), "{client}");
        right += usize::from(valid);
        in_headers += usize::from(matches!(*call.way, Way::Acs3(_)));
    }
    assert_eq!((right, in_headers), (8, 3));
}

#[tokio::test]
async fn every_captured_request_gets_the_role_or_hears_that_the_signature_is_wrong() {
    let mut granted = 0;
    for (client, request, now, valid) in samples() {
        let service = Service::of(world());
        service.clock.set(now);
        let request_has_external_id = request.head.query.contains("ExternalId=");
        let (status, body) = service.ask(request).await;
        if !valid {
            assert_eq!((status, body["Code"].as_str()), (400, Some("SignatureDoesNotMatch")), "{client}");
            continue;
        }
        if request_has_external_id {
            // What these clients send is none by the vendor's own rule; only the signature could be seen with it.
            assert_eq!(
                (status, body["Code"].as_str()),
                (400, Some("InvalidParameter.ExternalId")),
                "{client}"
            );
            continue;
        }
        granted += 1;
        assert_eq!(status, 200, "{client}: {body}");
        assert_eq!(body["AssumedRoleUser"]["Arn"], "acs:ram::1234567890123456:role/daypass/app-1");
        assert_eq!(body["Credentials"]["Expiration"], after(now, 900).to_string(), "{client}");
        let records = service.store.all();
        let [record] = &records[..] else { panic!("{records:?}") };
        let Event::Grant { policy, .. } = &record.event else { panic!("{record:?}") };
        let statement = &policy.as_ref().unwrap().statements[0];
        assert_eq!(statement.effect, Effect::Allow);
        assert_eq!(statement.actions[0].as_str(), "oss:PutObject", "{client}");
        assert_eq!(statement.resources[0].as_str(), "acs:oss:*:*:bkt/门店/*", "{client}");
    }
    assert_eq!(granted, 6);
}

/// What one of the vendor's SDKs looks for: behind these words and to the end of the message stands what it signed.
#[tokio::test]
async fn the_older_python_sdk_can_tell_that_its_secret_is_wrong() {
    let (_, request, now, _) = samples()
        .into_iter()
        .find(|(client, _, _, valid)| client.contains("aliyun-python-sdk-sts") && !valid)
        .unwrap();
    let parameters: BTreeMap<_, _> = form_urlencoded::parse(request.head.query.as_bytes())
        .filter(|(name, _)| name != "Signature")
        .collect();
    let pairs = parameters.iter().map(|(name, value)| (&**name, &**value));
    let signed =
        crate::alibaba::sign::rpc::string_to_sign("POST", &crate::alibaba::sign::rpc::canonical_query(pairs));
    let service = Service::of(world());
    service.clock.set(now);
    let (_, body) = service.ask(request).await;
    let (_, shown) = body["Message"].as_str().unwrap().split_once("server string to sign is:").unwrap();
    assert_eq!(shown, signed);
}

#[test]
fn a_captured_request_is_too_old_fifteen_minutes_later() {
    let directory = world().directory();
    for (client, request, then, _) in samples() {
        let now = after(then, 902);
        let mut manner = Sts.manner(&request.head);
        let call = Sts.read(Context { directory: &directory, now }, request, &mut manner);
        assert_eq!(call.err().map(|refusal| refusal.reason), Some(Reason::ClockSkew), "{client}");
    }
}
