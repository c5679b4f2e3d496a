//! Each dialect before its cloud: what the asker gets is what the cloud made, narrowed to what was authorized.

use super::{ACCOUNT, AUDIENCE, Emulated, Node, Shop, TENANT, basic, caller, result, soon};
use crate::process::send;
use crate::verify_api::question;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn world() -> (Emulated, Shop, Node) {
    let cloud = Emulated::start(&[]);
    let shop = Shop::before(&cloud, "");
    let node = shop.serve();
    (cloud, shop, node)
}

/// What the cloud says of a request that was signed with this key, for this action of its API.
fn verified(cloud: &Emulated, api: &Value, key: &Value, action: &str) -> Value {
    let mut asked = question(key);
    asked["action"] = json!(action);
    let headers = [("content-type", "application/json"), ("authorization", &*basic(api))];
    soon("the client of the cloud", || {
        let answer = send(cloud.host(), "POST", "/v1/verify", &headers, asked.to_string().as_bytes());
        (answer.status != 401).then(|| answer.json())
    })
}

#[test]
fn a_page_gets_what_tencent_cloud_made_and_may_do_no_more_with_it() {
    let (cloud, shop, node) = world();
    let page = node.get_authorization();
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    let key = &page["Credentials"];
    let who = caller(cloud.host(), key).json();
    assert_eq!(who["Response"]["AccountId"], ACCOUNT, "the cloud knows its own: {who}");
    let stranger = caller(&node.serve.host, key).json();
    assert!(stranger["Response"]["Error"].is_object(), "and Daypass before it did not make it: {stranger}");

    // The cloud's owner may give away everything. Of that, exactly what was authorized has come.
    let api =
        cloud.cli(&["client", "add", "soe-api", "--kind", "client-secret", "--audience", "cam:soe"])["keys"]
            [0]
        .take();
    let told = verified(&cloud, &api, key, "soe:TransmitOralProcessWithInit");
    assert_eq!((&told["valid"], &told["decision"]["allowed"]), (&json!(true), &json!(true)), "{told}");
    let told = verified(&cloud, &api, key, "soe:KeywordEvaluate");
    assert_eq!((&told["valid"], &told["decision"]["allowed"]), (&json!(true), &json!(false)), "{told}");

    let record = shop.records().into_iter().rfind(|record| record["event"]["upstream"].is_object()).unwrap();
    let upstream = &record["event"]["upstream"];
    assert_eq!(
        (&upstream["issuer"], &upstream["key"]),
        (&json!("tencent"), &json!(cloud.text("tencent", "secret_id")))
    );
    assert_eq!(cloud.calls("tencent GetFederationToken ok"), 1);
    let again = node.get_authorization().json();
    assert_eq!(again["Credentials"], *key, "the same one, for the rest of its life");
    assert_eq!(cloud.calls("tencent GetFederationToken"), 1);
}

#[test]
fn a_store_gets_by_top_what_alibaba_cloud_made_for_it_alone() {
    let (cloud, _shop, node) = world();
    let one = result(&node.top("/router/rest", "8005"));
    let other = result(&node.top("/router/rest", "8006"));
    assert!(one["access_key_id"].as_str().unwrap().starts_with("STS."), "{one}");
    assert_ne!(one["token"], other["token"], "two stores, two credentials");
    assert_eq!(one["end_point_public"], "https://oss-cn-hangzhou.aliyuncs.com");
    let statement = &one["policy"]["statement"]["datas"][0];
    assert_eq!(statement["resource"]["string"], json!(["acs:oss:*:*:bucket/hema/8005/*"]));
    assert_eq!(cloud.calls("alibaba AssumeRole ok"), 2);
    assert_eq!(result(&node.top("/router/rest", "8005"))["token"], one["token"]);
    assert_eq!(cloud.calls("alibaba AssumeRole"), 2);
    let foreign = node.top("/router/rest", "8007").json();
    assert!(foreign["error_response"].is_object(), "a store that the client may not name: {foreign}");
    assert_eq!(cloud.calls("alibaba AssumeRole"), 2, "and the cloud was not asked");
}

#[test]
fn a_gateway_in_the_middle_feeds_the_box_of_a_store() {
    let (cloud, _shop, node) = world();
    let answer = result(&node.top("/router/mirror", "8005"));
    let statement = &answer["policy"]["statement"]["datas"][0];
    assert_eq!(statement["resource"]["string"], json!(["acs:oss:*:*:bucket/hema/8005/*"]), "{answer}");
    assert_eq!(
        answer["end_point_internal"], "https://oss-cn-hangzhou-internal.aliyuncs.com",
        "the cloud's: {answer}"
    );
    let asked = cloud.control("GET", "/requests", &json!(null));
    // The node tries its root key as well, when it likes: by a call without parameters, which the gateway refuses as such.
    let is_question = |asked: &&Value| asked["cloud"] == "top" && asked["result"] != "40";
    let last = asked["requests"].as_array().unwrap().iter().rfind(is_question).unwrap();
    assert_eq!(
        (&last["key"], &last["result"]),
        (&json!(cloud.text("alibaba", "app_key")), &json!("ok")),
        "{asked}"
    );
}

#[test]
fn an_application_gets_entras_token() {
    let (cloud, _shop, node) = world();
    let answer = node.token(AUDIENCE, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["tid"], &claims["aud"]), (&json!(TENANT), &json!(AUDIENCE)), "{claims}");
    assert_eq!(claims["roles"], json!(["orders.read"]));
    assert_eq!(
        claims["azp"].as_str().or(claims["appid"].as_str()),
        Some(cloud.text("entra", "client_id")),
        "{claims}"
    );
    assert_eq!(node.token(AUDIENCE, &[]).json()["access_token"], token.as_str());
}

#[test]
fn a_token_that_kills_the_one_before_is_one_for_everyone() {
    let (cloud, shop, node) = world();
    let lives = |token: &Value| {
        let target = format!("/cgi-bin/getcallbackip?access_token={}", token.as_str().unwrap());
        send(cloud.host(), "GET", &target, &[], b"").json()["errcode"].is_null()
    };
    let first = node.token("api://weixin", &[]);
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json()["access_token"].clone();
    let second = shop.serve().token("api://weixin", &[]).json()["access_token"].clone();
    assert_eq!(first, second, "another node has the same one");
    assert!(lives(&first));
    assert_eq!(cloud.calls("oauth token ok"), 1);
    let record = shop.records().into_iter().rfind(|record| record["event"]["upstream"].is_object()).unwrap();
    assert_eq!(record["event"]["upstream"]["shared"], true, "and its record says so: {record}");

    // Somebody else has asked with our key: ours is dead. Whoever finds that out says which one was refused; one that is younger
    // than ten seconds is believed to be good all the same.
    std::thread::sleep(std::time::Duration::from_secs(11));
    let target = format!(
        "/cgi-bin/token?grant_type=client_credential&appid={}&secret={}",
        cloud.text("one_live", "appid"),
        cloud.text("one_live", "secret")
    );
    send(cloud.host(), "GET", &target, &[], b"");
    assert!(!lives(&first));
    let refused = |token: &str| {
        let print =
            URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()));
        node.token("api://weixin", &[("refused_token_sha256", &print)]).json()["access_token"].clone()
    };
    assert_eq!(refused("another one"), first, "only the one that was refused is replaced");
    let third = refused(first.as_str().unwrap());
    assert!(third != first && lives(&third), "{third}");
    assert_eq!(refused(first.as_str().unwrap()), third, "replaced once, whoever finds it out");
    assert_eq!(cloud.calls("oauth token ok"), 3);
}
