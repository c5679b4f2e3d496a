use super::*;
use crate::cloud::build;
use crate::cloud::tests::round::{ONCE, Round, opened, refused};
use crate::cloud::tests::{authorized, key, product, soe, upload, upstream, wanted};
use crate::fault::FaultKind;
use crate::testing::hostile::{Act, Hostile, Reply};
use daypass_core::dialect::Issue;
use daypass_core::policy::{Language, Template};
use daypass_core::refusal::Reason;
use daypass_core::testing::{START, allow, later};
use daypass_dialects::alibaba::Top as Dialect;
use std::collections::BTreeMap;

const PATH: &str = "/router/rest";

#[tokio::test]
async fn the_method_is_asked_as_its_page_says() {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(upstream::Cloud::Top, &hostile.url(PATH), None, 10_000)).unwrap();
    let wanted = wanted(&*cloud, &product());
    assert!(cloud.fetch(&wanted, &key("12345678"), START, ONCE).await.is_err());
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", PATH));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded;charset=utf-8");
    assert_eq!(asked.header("accept"), "text/javascript");
    let mut form: BTreeMap<String, String> = form_urlencoded::parse(&asked.body).into_owned().collect();
    let param = form["param"].clone();
    let signature = form.remove("sign").unwrap();
    // Every step of the signature by the vendor's page: names in order, each with its value, and nothing between.
    let base = form.iter().fold(String::new(), |base, (name, value)| base + name + value);
    assert_eq!(
        base,
        format!(
            "app_key12345678formatjsonmethodalibaba.security.deepvision.proxy.security.common.token.getparam{param}\
             sign_methodhmac-sha256timestamp2023-11-15 06:13:20v2.0"
        )
    );
    let mac = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"root-secret"),
        base.as_bytes(),
    );
    let hex = mac.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}"));
    assert_eq!(signature, hex);
    assert_eq!(
        serde_json::from_str::<Value>(&param).unwrap(),
        json!({
            "product_code": "oss", "scene_code": "app-upload", "usage_scene": "upload", "op_tenant_code": "hema",
            "op_poi_id": "8005", "request_id": Uuid::from_bytes(ONCE).to_string(),
        })
    );
}

/// The vectors that official SDKs agree on, for the one method that leaves here.
#[test]
fn the_sdks_sign_the_same() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../daypass-dialects/vectors/alibaba-top.json")).unwrap();
    let mut count = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        if vector["sign_method"] != "hmac-sha256" {
            continue;
        }
        count += 1;
        let params = vector["params"].as_object().unwrap();
        let params = params.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let secret = vector["app_secret"].as_str().or(vector["secret"].as_str()).unwrap();
        assert_eq!(
            sign(SignMethod::HmacSha256, secret.as_bytes(), params),
            vector["sign"],
            "{}",
            vector["name"]
        );
    }
    assert!(count >= 10, "{count} vectors");
}

#[tokio::test]
async fn our_own_gateway_gives_what_was_authorized_with_its_endpoints() {
    let round = Round::new(Dialect, upstream::Cloud::Top, PATH).await;
    let wanted = wanted(&*round.cloud, &product());
    let key = Round::<Dialect>::key("12345678");
    let fetched = round.fetch(&wanted, &key).await.unwrap();
    assert_eq!(fetched.expires, later(3_600));
    let claims = opened(&fetched);
    assert_eq!(Some(&claims.policy), wanted.policy.as_ref());
    assert_eq!(fetched.policy.as_ref(), wanted.policy.as_deref());
    assert_eq!(
        fetched.answer,
        BTreeMap::from([
            ("end_point_public".to_owned(), "https://oss-cn-hangzhou.aliyuncs.com".to_owned()),
            ("end_point_internal".to_owned(), "https://oss-cn-hangzhou-internal.aliyuncs.com".to_owned()),
        ])
    );
    assert_eq!(fetched.request.as_deref(), Some("2jzpw4cc55se5"));
    assert_eq!(round.canary(&key).await.unwrap(), None, "a right key is told what is missing");
}

#[tokio::test]
async fn our_own_gateway_refuses_another_key_and_another_secret() {
    let round = Round::new(Dialect, upstream::Cloud::Top, PATH).await;
    let wanted = wanted(&*round.cloud, &product());
    for key in [key("12345678"), Round::<Dialect>::key("87654321")] {
        assert_eq!(round.fetch(&wanted, &key).await.err().unwrap().kind, FaultKind::KeyRefused);
        assert_eq!(round.canary(&key).await.unwrap_err().kind, FaultKind::KeyRefused);
    }
}

/// A wider credential of the gateway is not handed out, a narrower one is, with the policy that it has.
#[tokio::test]
async fn the_gateway_has_the_last_word_only_where_it_gives_less() {
    let mut round = Round::new(Dialect, upstream::Cloud::Top, PATH).await;
    let wanted = wanted(&*round.cloud, &product());
    let key = Round::<Dialect>::key("12345678");
    for (action, resource, passes) in [
        ("oss:PutObject", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/in/*", true),
        ("oss:Put*", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*", false),
    ] {
        let role = Arc::make_mut(&mut round.world.plan.roles[1]);
        let policy = allow(Language::Ram, action, resource);
        role.policy = Some(Template::new(policy, &role.variables).unwrap());
        let fetched = round.fetch(&wanted, &key).await;
        assert_eq!(
            fetched.as_ref().err().map(|fault| fault.kind),
            (!passes).then_some(FaultKind::Wrong),
            "{action}"
        );
        if let Ok(fetched) = fetched {
            assert_eq!(fetched.policy.as_ref(), Some(&*opened(&fetched).policy));
            assert_ne!(fetched.policy.as_ref(), wanted.policy.as_deref());
        }
    }
}

#[tokio::test]
async fn a_ban_says_when_to_ask_again() {
    let error = json!({ "error_response": {
        "code": 7, "msg": "App Call Limited", "sub_code": "accesscontrol.limited-by-app-api-access-count",
        "sub_msg": "This ban will last for 2 more seconds",
    }});
    let hostile = Hostile::plain(Act::Answer(Reply::json(error.to_string()))).await;
    let cloud = build(&upstream(upstream::Cloud::Top, &hostile.url(PATH), None, 10_000)).unwrap();
    let fault = cloud.fetch(&wanted(&*cloud, &product()), &key("1"), START, ONCE).await.err().unwrap();
    assert_eq!((fault.kind, fault.retry_after), (FaultKind::Busy, Some(2)));
    assert_eq!(fault.code.as_deref(), Some("7/accesscontrol.limited-by-app-api-access-count"));
}

#[test]
fn what_the_gateway_cannot_be_asked_is_refused_before_it_is() {
    let cloud =
        build(&upstream(upstream::Cloud::Top, "http://127.0.0.1:9/router/rest", None, 1_000)).unwrap();
    let reason = |ask: &Issue| cloud.wanted(&authorized(|_| (), ask)).err().map(|refusal| refusal.reason);
    assert_eq!(reason(&product()), None);
    assert_eq!(reason(&upload()), Some(Reason::Internal), "no product was named");
    assert_eq!(reason(&soe()), Some(Reason::Internal), "another vendor's form");
    let tagged = Issue { tags: [("a".to_owned(), "b".to_owned())].into(), ..product() };
    assert_eq!(reason(&tagged), Some(Reason::InvalidParameter));
    let known = Issue { source_identity: Some("alice".into()), ..product() };
    assert_eq!(reason(&known), Some(Reason::InvalidParameter));
    assert!(refused(&upstream::Cloud::Top, "https://gw.example.com/router/rest?a=b").is_some());
}
