//! From the bytes of a request to the bytes of an answer.

use super::super::Top;
use super::super::policy::allows;
use super::super::sign::SignMethod;
use super::super::wire::PATH;
use super::{Draft, json_leaves, xml_leaves};
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::Pipeline;
use daypass_core::policy::{Decision, Language, Template, VariableType};
use daypass_core::record::{Event, Record};
use daypass_core::refusal::Refusal;
use daypass_core::request::Request;
use daypass_core::testing::NoIdentity;
use daypass_core::testing::{
    FixedClock, MemoryStore, START, SeededEntropy, TripleIssuer, World, allow, request, ring,
};
use daypass_core::triple;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A running gateway without a socket.
pub(super) struct Gateway {
    pub(super) pipeline: Pipeline,
    pub(super) clock: Arc<FixedClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) world: World,
}

impl Gateway {
    pub(super) fn new() -> Self {
        Self::drawing_from(7)
    }

    /// One whose randomness is another's.
    fn drawing_from(seed: u64) -> Self {
        let (clock, store) = (Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
        let issuers =
            HashMap::from([("local".to_owned(), Arc::new(TripleIssuer::default()) as Arc<dyn Issuer>)]);
        let entropy = Arc::new(SeededEntropy::new(seed));
        let pipeline = Pipeline::new(clock.clone(), entropy, store.clone(), issuers, Arc::new(NoIdentity));
        Self { pipeline, clock, store, world: World::new() }
    }

    pub(super) async fn send(&self, request: Request) -> String {
        let response = self.pipeline.answer(&Top, &self.world.directory(), request).await.response;
        assert_eq!(response.status(), 200);
        String::from_utf8(response.body().to_vec()).unwrap()
    }

    /// Code and sub code of a refusal.
    pub(super) async fn refusal(&self, draft: &Draft) -> (u64, String, String) {
        let body: Value = serde_json::from_str(&self.send(draft.post()).await).unwrap();
        let error = &body["error_response"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (error["code"].as_u64().unwrap_or_else(|| panic!("{body}")), text("sub_code"), text("sub_msg"))
    }
}

/// What stands in the root of a success.
pub(super) fn result(body: &str) -> Value {
    let body: Value = serde_json::from_str(body).unwrap();
    let root = "alibaba_security_deepvision_proxy_security_common_token_get_response";
    body.get(root).unwrap_or_else(|| panic!("{body}")).clone()
}

/// An answer with what differs from run to run exchanged for its length.
fn masked(body: &str) -> String {
    let all = result_of(body);
    let mut shown = body.to_owned();
    for secret in ["access_key_id", "access_key_secret", "token"] {
        shown = shown.replace(&all[secret], &format!("[{secret}]"));
    }
    shown
}

fn result_of(body: &str) -> HashMap<String, String> {
    let leaves = if body.starts_with('{') { json_leaves(body) } else { xml_leaves(body) };
    let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    leaves
        .into_iter()
        .filter(|(path, _)| path.contains("result/"))
        .map(|(path, text)| (last(&path), text))
        .collect()
}

#[tokio::test]
async fn the_answer_is_the_documented_one() {
    let gateway = Gateway::new();
    let draft = Draft::new(SignMethod::HmacSha256);
    let json = gateway.send(draft.post()).await;
    insta::assert_snapshot!(masked(&json), @r#"{"alibaba_security_deepvision_proxy_security_common_token_get_response":{"result":{"access_key_id":"[access_key_id]","access_key_secret":"[access_key_secret]","product_code":"oss","end_point_public":"https://oss-cn-hangzhou.aliyuncs.com","scene_code":"app-upload","end_point_internal":"https://oss-cn-hangzhou-internal.aliyuncs.com","expiration":"2023-11-14T23:13:20Z","tenant_code":"hema","field_id":"8005","policy":{"version":"1","statement":{"datas":[{"resource":{"string":["acs:oss:*:*:bucket/hema/8005/*"]},"effect":"Allow","action":{"string":["oss:PutObject"]}}]}},"token":"[token]"},"resp_code":200,"resp_success":true,"resp_request_id":"r-1","message":"成功","request_id":"2jzpw4cc55se5"}}"#);
    let simple = gateway.send(draft.clone().set("simplify", "true").post()).await;
    insta::assert_snapshot!(masked(&simple), @r#"{"result":{"access_key_id":"[access_key_id]","access_key_secret":"[access_key_secret]","product_code":"oss","end_point_public":"https://oss-cn-hangzhou.aliyuncs.com","scene_code":"app-upload","end_point_internal":"https://oss-cn-hangzhou-internal.aliyuncs.com","expiration":"2023-11-14T23:13:20Z","tenant_code":"hema","field_id":"8005","policy":{"version":"1","statement":[{"resource":["acs:oss:*:*:bucket/hema/8005/*"],"effect":"Allow","action":["oss:PutObject"]}]},"token":"[token]"},"resp_code":200,"resp_success":true,"resp_request_id":"r-1","message":"成功","request_id":"2jzpw4cc55se5"}"#);
    let xml = gateway.send(draft.unset("format").post()).await;
    insta::assert_snapshot!(masked(&xml), @r#"<?xml version="1.0" encoding="utf-8" ?><alibaba_security_deepvision_proxy_security_common_token_get_response><result><access_key_id>[access_key_id]</access_key_id><access_key_secret>[access_key_secret]</access_key_secret><product_code>oss</product_code><end_point_public>https://oss-cn-hangzhou.aliyuncs.com</end_point_public><scene_code>app-upload</scene_code><end_point_internal>https://oss-cn-hangzhou-internal.aliyuncs.com</end_point_internal><expiration>2023-11-14T23:13:20Z</expiration><tenant_code>hema</tenant_code><field_id>8005</field_id><policy><version>1</version><statement><datas><resource><string>acs:oss:*:*:bucket/hema/8005/*</string></resource><effect>Allow</effect><action><string>oss:PutObject</string></action></datas></statement></policy><token>[token]</token></result><resp_code>200</resp_code><resp_success>true</resp_success><resp_request_id>r-1</resp_request_id><message>成功</message><request_id>2jzpw4cc55se5</request_id></alibaba_security_deepvision_proxy_security_common_token_get_response>"#);
}

#[tokio::test]
async fn every_method_and_every_layout_is_served() {
    let gateway = Gateway::new();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for method in SignMethod::ALL {
        let draft = Draft::new(method);
        let all = draft.form();
        let (param, rest): (Vec<_>, Vec<_>) = all.split('&').partition(|pair| pair.starts_with("param="));
        let layouts = [
            request("GET", &format!("{PATH}?{all}"), &[], b""),
            request("POST", &format!("{PATH}?{}", rest.join("&")), &form, param[0].as_bytes()),
            request("GET", PATH, &form, all.as_bytes()),
        ];
        for layout in layouts {
            assert_eq!(result(&gateway.send(layout).await)["resp_code"], 200, "{method:?}");
        }
        // A retry of one request, however it is laid out: its signature is the same.
        gateway.clock.advance(6_000);
    }
    let unnamed = Draft::new(SignMethod::Md5).unset("sign_method").asks("request_id", "r-2");
    assert_eq!(result(&gateway.send(unnamed.post()).await)["resp_request_id"], "r-2");
    let weak: Vec<_> = gateway.store.all().into_iter().filter_map(|record| record.weak).collect();
    assert_eq!(weak, ["md5", "md5", "md5", "hmac-md5", "hmac-md5", "hmac-md5", "md5"]);
}

#[tokio::test]
async fn the_policy_names_the_asked_tenant_and_store_and_nothing_wider() {
    let gateway = Gateway::new();
    for poi in ["8005", "8006"] {
        let body = gateway.send(Draft::new(SignMethod::Hmac).asks("op_poi_id", poi).post()).await;
        let result = &result(&body)["result"];
        assert_eq!(result["field_id"], poi);
        let statements = result["policy"]["statement"]["datas"].as_array().unwrap();
        assert_eq!(statements.len(), 1);
        assert_eq!(
            statements[0]["resource"]["string"],
            serde_json::json!([format!("acs:oss:*:*:bucket/hema/{poi}/*")])
        );
        assert_eq!(statements[0]["action"]["string"], serde_json::json!(["oss:PutObject"]));
        // What the token itself carries is what the answer shows.
        let text = |name: &str| result[name].as_str().unwrap();
        let opened = triple::open(&ring(), text("access_key_id"), text("token")).unwrap();
        assert_eq!(opened.secret.expose_str(), text("access_key_secret"));
        assert_eq!(
            opened.claims.policy.statements[0].resources[0].to_string(),
            format!("acs:oss:*:*:bucket/hema/{poi}/*")
        );
    }
}

#[tokio::test]
async fn a_store_of_someone_else_is_refused_like_one_that_does_not_exist() {
    let gateway = Gateway::new();
    let mut answers = Vec::new();
    for (member, value) in [
        ("op_poi_id", "8007"),
        ("op_poi_id", "9999"),
        ("op_tenant_code", "other"),
        ("op_tenant_code", "nobody"),
    ] {
        answers.push(gateway.refusal(&Draft::new(SignMethod::Md5).asks(member, value)).await);
    }
    assert!(
        answers.iter().all(|(code, sub, _)| *code == 50 && sub == "isv.invalid-parameter"),
        "{answers:?}"
    );
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[2], answers[3]);
    assert!(answers[0].2.contains("param.op_poi_id"), "{answers:?}");
    assert!(answers[2].2.contains("param.op_tenant_code"), "{answers:?}");
    for wide in ["*", "80*", "8005/*", "../8005", "8005:x"] {
        let (code, sub, _) = gateway.refusal(&Draft::new(SignMethod::Md5).asks("op_poi_id", wide)).await;
        assert_eq!((code, sub.as_str()), (50, "isv.invalid-parameter"), "{wide}");
    }
    let granted = |record: &daypass_core::record::Record| matches!(record.event, Event::Grant { .. });
    assert!(!gateway.store.all().iter().any(granted));
}

#[tokio::test]
async fn a_product_of_nobody_and_one_of_others_are_refused_alike() {
    let mut gateway = Gateway::new();
    let nobody = gateway.refusal(&Draft::new(SignMethod::Md5).asks("product_code", "sls")).await;
    gateway.world.client.grants.retain(|grant| grant.role != "store-upload");
    let others = gateway.refusal(&Draft::new(SignMethod::Md5)).await;
    assert_eq!(nobody, others);
    assert_eq!((nobody.0, nobody.1.as_str()), (11, "isv.permission-api-package-limit"));
}

#[tokio::test]
async fn a_retry_gets_the_identical_credential_and_a_replay_none() {
    let gateway = Gateway::new();
    let draft = Draft::new(SignMethod::HmacSha256);
    let first = gateway.send(draft.post()).await;
    gateway.clock.advance(5_000);
    assert_eq!(gateway.send(draft.post()).await, first, "byte for byte");
    gateway.clock.advance(1);
    let (code, _, sub_msg) = gateway.refusal(&draft).await;
    assert_eq!(code, 25);
    assert!(sub_msg.contains("used before"), "{sub_msg}");
    let other = draft.set("timestamp", "1700000005000");
    assert_ne!(result(&gateway.send(other.post()).await)["result"], result(&first)["result"]);
}

#[tokio::test]
async fn a_retry_after_a_restart_gets_the_identical_credential() {
    let draft = Draft::new(SignMethod::Md5);
    let before = Gateway::new();
    let first = before.send(draft.post()).await;
    // On a node with randomness of its own, which must not show.
    let after = Gateway::drawing_from(8);
    after.clock.advance(3_000);
    after.store.seen_elsewhere(START);
    assert_eq!(after.send(draft.post()).await, first);
}

#[tokio::test]
async fn who_is_not_known_or_not_right_is_told_so() {
    let mut gateway = Gateway::new();
    let draft = Draft::new(SignMethod::HmacSha256);
    let (code, sub, _) = gateway.refusal(&draft.clone().set("app_key", "87654321")).await;
    assert_eq!((code, sub.as_str()), (29, "isv.appkey-not-exists"));
    let (code, sub, _) = gateway.refusal(&draft.clone().set("app_key", "AKIDworld")).await;
    assert_eq!((code, sub.as_str()), (29, "isv.appkey-not-exists"), "a key of another kind is none");
    let wrong = Draft { secret: b"guess".to_vec(), ..draft.clone() };
    let (code, sub, sub_msg) = gateway.refusal(&wrong).await;
    assert_eq!((code, sub.as_str()), (25, ""));
    assert!(sub_msg.contains("app_key, format, method, param, sign_method, timestamp, v"), "{sub_msg}");
    assert!(!sub_msg.contains(&wrong.signature()) && !sub_msg.contains(&draft.signature()));
    gateway.world.client.enabled = false;
    let (code, sub, _) = gateway.refusal(&draft).await;
    assert_eq!((code, sub.as_str()), (11, "isv.permission-api-package-limit"));
}

#[tokio::test]
async fn weak_methods_can_be_switched_off_for_a_client() {
    let mut gateway = Gateway::new();
    gateway.world.client.refuses.md5 = true;
    for method in [SignMethod::Md5, SignMethod::Hmac] {
        let (code, _, sub_msg) = gateway.refusal(&Draft::new(method)).await;
        assert_eq!(code, 53);
        assert!(sub_msg.contains("switched off"), "{sub_msg}");
    }
    let unnamed = Draft::new(SignMethod::Md5).unset("sign_method");
    assert_eq!(gateway.refusal(&unnamed).await.0, 53);
    let body = gateway.send(Draft::new(SignMethod::HmacSha256).post()).await;
    assert_eq!(result(&body)["resp_success"], true);
}

#[tokio::test]
async fn what_is_asked_is_checked_after_who_asks() {
    let gateway = Gateway::new();
    let draft = Draft::new(SignMethod::Md5);
    let stranger = Draft { secret: b"guess".to_vec(), ..draft.clone().set("param", "{") };
    assert_eq!(gateway.refusal(&stranger).await.0, 25);
    let msg = async |draft: Draft| {
        let body: Value = serde_json::from_str(&gateway.send(draft.post()).await).unwrap();
        let error = &body["error_response"];
        format!(
            "{} {} {}",
            error["code"],
            error["msg"].as_str().unwrap(),
            error["sub_code"].as_str().unwrap_or("-")
        )
    };
    assert_eq!(
        msg(draft.clone().unset("param")).await,
        "40 Missing required arguments:param isv.missing-parameter:param"
    );
    assert_eq!(msg(draft.clone().set("param", "{")).await, "41 Invalid arguments:param -");
    assert_eq!(
        msg(draft.clone().asks("usage_scene", Value::Null)).await,
        "40 Missing required arguments:param.usage_scene isv.missing-parameter:usage_scene"
    );
    assert_eq!(msg(draft.asks("op_poi_id", true)).await, "41 Invalid arguments:param.op_poi_id -");
}

#[tokio::test]
async fn our_own_failure_is_one_that_clients_try_again() {
    let gateway = Gateway::new();
    gateway.store.go_down();
    let (code, sub, _) = gateway.refusal(&Draft::new(SignMethod::Md5)).await;
    assert_eq!((code, sub.as_str()), (10, "isp.service-unavailable"));
    gateway.store.come_back();
    let body = gateway.send(Draft::new(SignMethod::Md5).post()).await;
    assert_eq!(result(&body)["resp_success"], true, "the retry is not taken for a replay");
}

#[tokio::test]
async fn a_number_a_caller_nonce_and_no_request_id_are_fine() {
    let gateway = Gateway::new();
    let draft = Draft::new(SignMethod::Md5)
        .asks("op_poi_id", 8005)
        .asks("token", "nonce")
        .asks("request_id", Value::Null);
    let all = result(&gateway.send(draft.post()).await);
    assert_eq!(all["result"]["field_id"], "8005");
    assert_eq!(all["resp_request_id"], all["request_id"]);
    assert_eq!(all["request_id"], "2jzpw4cc55se5");
}

#[tokio::test]
async fn a_role_without_endpoints_gives_none() {
    let mut gateway = Gateway::new();
    for role in &mut gateway.world.plan.roles {
        Arc::make_mut(role).answer.clear();
    }
    let body = gateway.send(Draft::new(SignMethod::Md5).post()).await;
    assert_eq!(result(&body)["resp_success"], true);
    assert!(!body.contains("end_point"), "{body}");
}

#[tokio::test]
async fn what_never_became_a_request_is_refused_in_the_same_envelope() {
    let gateway = Gateway::new();
    let head = request("POST", &format!("{PATH}?format=json"), &[], b"").head;
    let slow = Refusal::new(daypass_core::refusal::Reason::TooSlow, "the body did not arrive in time");
    let response = gateway.pipeline.refuse(&Top, &head, slow).response;
    assert_eq!(response.status(), 200);
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    insta::assert_snapshot!(body, @r#"{"error_response":{"code":3,"msg":"Upload fail","sub_msg":"the body did not arrive in time","request_id":"2jzpw4cc55se5"}}"#);
}

/// The form that it asks for stands in its body, and what else is wrong with it does not matter.
#[tokio::test]
async fn a_whole_request_is_refused_in_the_form_that_it_asks_for() {
    let gateway = Gateway::new();
    for (body, begins) in [("format=json&method=none", "{\"error_response\""), ("format=xml", "<?xml")] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let request = request("POST", PATH, &form, body.as_bytes());
        let silent = Refusal::unavailable("the store is silent");
        let response =
            gateway.pipeline.refuse_whole(&Top, &gateway.world.directory(), request, silent).response;
        let said = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(said.starts_with(begins) && said.contains("no record can be written"), "{said}");
    }
}

#[tokio::test]
async fn store_1_is_never_store_10_whatever_the_type() {
    let overlong = "1".repeat(300);
    for kind in [
        VariableType::Slug,
        VariableType::Int,
        VariableType::Path,
        VariableType::one_of(vec!["1".into(), "10".into()]).unwrap(),
        VariableType::pattern("[0-9]{1,2}").unwrap(),
    ] {
        let mut gateway = Gateway::new();
        let uploads =
            gateway.world.plan.roles.iter_mut().find(|role| role.variables.contains_key("poi_id")).unwrap();
        let role = Arc::make_mut(uploads);
        role.variables.insert("poi_id".into(), kind.clone());
        let policy = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*");
        role.policy = Some(Template::new(policy, &role.variables).unwrap());
        // Any value: what is left to refuse one is its type.
        for grant in &mut gateway.world.client.grants {
            for values in grant.bind.values_mut() {
                *values = vec!["*".to_owned()];
            }
        }
        let draft = Draft::new(SignMethod::HmacSha256);
        let hostile = [
            "*", "1*", "?", "1?", "1/*", "../1", "1/../10", "/1", "1/", "1:2", "1\"", "1'", "{1}", "${1}",
            "1\u{0}", "1\n", "%31", "1%2F", "\u{661}", "\u{ff11}", "\u{2217}", &overlong,
        ];
        for value in hostile {
            gateway.refusal(&draft.clone().asks("op_poi_id", value)).await;
        }
        let granted = |record: &Record| match &record.event {
            Event::Grant { policy, .. } => policy.clone(),
            _ => None,
        };
        assert!(gateway.store.all().iter().all(|record| granted(record).is_none()), "{kind:?}");
        let body = gateway.send(draft.asks("op_poi_id", "1").post()).await;
        assert_eq!(result(&body)["resp_code"], 200, "{kind:?}: {body}");
        let policy = gateway.store.all().iter().find_map(granted).unwrap();
        for (object, expected) in [
            ("1/a", true),
            ("1/10/a", true),
            ("10/a", false),
            ("1", false),
            ("11/1/a", false),
            ("1*/a", false),
        ] {
            let resource = format!("acs:oss:cn-hangzhou:1:bucket/hema/{object}");
            let decision = allows(&policy, "oss:PutObject", &resource, &BTreeMap::new());
            assert_eq!(matches!(decision, Decision::Allowed(_)), expected, "{kind:?} {object}");
        }
    }
}
