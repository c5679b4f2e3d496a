use super::*;
use crate::cloud::build;
use crate::cloud::tests::round::ONCE;
use crate::cloud::tests::{call, devcenter, key, upstream, wanted};
use crate::fault::FaultKind;
use crate::testing::hostile::{Act, Asked, Hostile, Reply};
use daypass_core::testing::{START, later};
use serde_json::json;

fn good() -> Act {
    Act::Answer(Reply::json(json!({ "access_token": "t", "expires_in": "7200" }).to_string()))
}

/// The one request that leaves for this way of asking.
async fn caught(call: TokenCall, scope: Option<&str>) -> Asked {
    let hostile = Hostile::plain(good()).await;
    let url = hostile.url("/cgi-bin/token?v=1");
    let cloud = build(&upstream(upstream::Cloud::OAuth(call), &url, None, 10_000)).unwrap();
    let wanted = Wanted { scope: scope.map(str::to_owned), ..wanted(&*cloud, &devcenter()) };
    let fetched = cloud.fetch(&wanted, &key("wx id&1"), START, ONCE).await.unwrap();
    assert_eq!(fetched.expires, later(7_200), "the one that everybody has lives as the service says");
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    asked.clone()
}

#[tokio::test]
async fn the_parameters_go_where_the_configuration_puts_them() {
    let asked = caught(call(TokenCarrier::Query), None).await;
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/cgi-bin/token?v=1&appid=wx+id%261&grant_type=client_credential&secret=root-secret")
    );
    let asked = caught(call(TokenCarrier::Form), Some("a b")).await;
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/cgi-bin/token?v=1"));
    assert_eq!(asked.header("content-type"), FORM);
    assert_eq!(asked.text(), "appid=wx+id%261&grant_type=client_credential&scope=a+b&secret=root-secret");
    let asked = caught(call(TokenCarrier::Json), None).await;
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(
        asked.text(),
        r#"{"appid":"wx id&1","grant_type":"client_credential","secret":"root-secret"}"#
    );
    let asked = caught(call(TokenCarrier::Basic), None).await;
    assert_eq!(asked.text(), "grant_type=client_credential");
    // base64 of `wx+id%261:root-secret`: both halves are form-encoded first.
    assert_eq!(asked.header("authorization"), "Basic d3graWQlMjYxOnJvb3Qtc2VjcmV0");
}

#[test]
fn a_parameter_cannot_take_the_place_of_the_key() {
    let with = |change: fn(&mut TokenCall)| {
        let mut call = call(TokenCarrier::Form);
        change(&mut call);
        build(&upstream(upstream::Cloud::OAuth(call), "https://token.example.com/", None, 1_000)).err()
    };
    assert_eq!(with(|_| ()), None);
    assert!(with(|call| drop(call.parameters.insert("appid".into(), "other".into()))).is_some());
    assert!(with(|call| drop(call.parameters.insert("secret".into(), "other".into()))).is_some());
    assert!(with(|call| call.id = call.secret.clone()).is_some());
    assert!(with(|call| call.id.clear()).is_some());
}

/// The secret stands in the query, as `WeChat` wants it: whatever goes wrong, no text has it.
#[tokio::test]
async fn a_secret_in_the_query_is_in_no_fault() {
    let hostile = Hostile::plain(Act::Reset).await;
    let cloud = upstream::Cloud::OAuth(call(TokenCarrier::Query));
    let cloud = build(&upstream(cloud, &hostile.url("/token"), None, 300)).unwrap();
    let wanted = wanted(&*cloud, &devcenter());
    let html = Reply::json("<a href='?secret=root-secret'>").header("content-type", "text/html");
    let echo = Reply::json(r#"{"error":"see ?secret=root-secret","errcode":40001}"#);
    for act in [Act::Reset, Act::Hang, Act::Answer(html), Act::Answer(echo)] {
        hostile.does(act);
        let fault = cloud.fetch(&wanted, &key("wx1"), START, ONCE).await.err().unwrap();
        assert!(!format!("{fault:?}").contains("secret="), "{fault:?}");
    }
    hostile.leave().await;
    let fault = cloud.fetch(&wanted, &key("wx1"), START, ONCE).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Unreached);
    assert!(!format!("{fault:?}").contains("root-secret"), "{fault:?}");
}

#[tokio::test]
async fn only_the_token_that_everybody_has_outlives_a_role() {
    let hostile = Hostile::plain(good()).await;
    for (one_live, end) in [(true, later(7_200)), (false, later(3_600))] {
        let cloud = upstream::Cloud::OAuth(TokenCall { one_live, ..call(TokenCarrier::Form) });
        let cloud = build(&upstream(cloud, &hostile.url("/token"), None, 10_000)).unwrap();
        let fetched = cloud.fetch(&wanted(&*cloud, &devcenter()), &key("wx1"), START, ONCE).await.unwrap();
        assert_eq!(fetched.expires, end, "{one_live}");
    }
}

#[tokio::test]
async fn a_canary_does_not_end_the_token_that_everybody_has() {
    let hostile = Hostile::plain(good()).await;
    for (one_live, asked) in [(true, 0), (false, 1)] {
        let cloud = upstream::Cloud::OAuth(TokenCall { one_live, ..call(TokenCarrier::Form) });
        let cloud = build(&upstream(cloud, &hostile.url("/token"), None, 10_000)).unwrap();
        let proved = cloud.canary(&key("wx1"), START, ONCE).await;
        assert_eq!((proved.is_ok(), hostile.connections()), (!one_live, asked));
    }
}
