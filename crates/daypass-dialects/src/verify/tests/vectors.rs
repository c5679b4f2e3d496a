//! Requests as the vendors' own SDKs made them, shown by an API that got them.

use super::*;
use daypass_core::directory::seal_material;
use daypass_core::testing::signing_key;

fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A world that knows this key, at this time.
fn knowing(id: &str, secret: &str, kind: KeyKind, at: i64) -> Service {
    let mut service = Service::of(&["cam:sts", "cam:cvm", "ram:sts", "ram:ecs"], "acme");
    let sealed = seal_material(&ring(), id, secret.as_bytes(), [2; 12]).unwrap();
    let key = Key { material: Material::Sealed(sealed), ..signing_key(id, kind, service.world.client.guid) };
    service.world.keys.retain(|key| key.id != id);
    service.world.keys.push(key);
    service.clock.set(Timestamp::from_second(at).unwrap());
    service
}

fn headers(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect(),
        list => {
            let pairs = list.as_array().unwrap().iter();
            pairs
                .map(|pair| (pair[0].as_str().unwrap().to_lowercase(), pair[1].as_str().unwrap().to_owned()))
                .collect()
        }
    }
}

fn recorded(method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Request {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    request(method, target, &headers, body)
}

/// What is due: a permanent key of ours, or a token that is none of ours.
#[track_caller]
fn judged(service: &Service, asked: &Value, scheme: &str, token: bool) {
    if token {
        return service.invalid(asked, "token_invalid");
    }
    let told = service.valid(asked);
    assert_eq!((&told["scheme"], &told["kind"]), (&json!(scheme), &json!("permanent")));
}

#[test]
fn every_tencent_vector_is_recognised() {
    let file = load(include_str!("../../../vectors/tencent-tc3.json"));
    let mut seen = 0;
    for vector in file["tc3"].as_array().unwrap() {
        let at = vector["timestamp"].as_i64().unwrap();
        let service = knowing(text(vector, "secret_id"), text(vector, "secret_key"), KeyKind::Tencent, at);
        let sent = &vector["request"];
        let body = sent["body"].as_str().map(str::as_bytes).unwrap_or_default();
        let asked =
            question(&recorded(text(sent, "method"), text(sent, "target"), &headers(&sent["headers"]), body));
        judged(&service, &asked, "tencent.tc3", vector["token"].is_string());
        seen += 1;
    }
    for vector in file["v1"].as_array().unwrap() {
        let sent = &vector["request"];
        // One of them was sent elsewhere than it was signed for, which only this service's own API takes.
        if !sent["headers"].is_object() || text(vector, "name").starts_with("cos-") {
            continue;
        }
        let at = vector["timestamp"].as_i64().unwrap();
        let service = knowing(text(vector, "secret_id"), text(vector, "secret_key"), KeyKind::Tencent, at);
        let body = sent["body"].as_str().map(str::as_bytes).unwrap_or_default();
        let asked =
            question(&recorded(text(sent, "method"), text(sent, "target"), &headers(&sent["headers"]), body));
        judged(&service, &asked, "tencent.v1", vector["token"].is_string());
        seen += 1;
    }
    for vector in file["soe_websocket"].as_array().unwrap() {
        let at = vector["timestamp"].as_i64().unwrap();
        let service = knowing(text(vector, "secret_id"), text(vector, "secret_key"), KeyKind::Tencent, at);
        let (host, rest) = text(vector, "url").strip_prefix("wss://").unwrap().split_once('/').unwrap();
        let asked = question(&request("GET", &format!("/{rest}"), &[("host", host)], b""));
        // Without a token of ours, an id is one of a permanent key.
        let token = vector["token"].is_string();
        judged(&service, &asked, "tencent.soe", token);
        seen += 1;
    }
    assert_eq!(seen, 28 + 11 + 2);
}

#[test]
fn every_captured_request_of_alibabas_sdks_is_recognised_or_known_to_be_wrong() {
    let acs = load(include_str!("../../../vectors/alibaba-acs.json"));
    let top = load(include_str!("../../../vectors/alibaba-top.json"));
    let samples = |file: &Value| file["wire_samples"].as_array().unwrap().clone();
    let all = samples(&acs).into_iter().map(|sample| (sample, "testid", "testsecret", KeyKind::AccessKey));
    let all =
        all.chain(samples(&top).into_iter().map(|sample| (sample, "12345678", "helloworld", KeyKind::Top)));
    let (mut right, mut wrong, mut multipart) = (0, 0, 0);
    for (sample, id, secret, kind) in all {
        let service = knowing(id, secret, kind, sample["server_time"].as_i64().unwrap());
        let body = STANDARD.decode(text(&sample, "body_b64")).unwrap();
        let headers = headers(&sample["headers"]);
        let asked = question(&recorded(text(&sample, "method"), text(&sample, "target"), &headers, &body));
        if asked["headers"]["content-type"][0].as_str().is_some_and(|kind| kind.starts_with("multipart/")) {
            // Files in it would not be signed.
            multipart += 1;
            assert_eq!(service.ask(&asked).1["valid"], false);
        } else if sample["signature_valid"] == true {
            right += 1;
            assert_eq!(service.valid(&asked)["kind"], "permanent", "{}", sample["client"]);
        } else {
            wrong += 1;
            service.invalid(&asked, "wrong_signature");
        }
    }
    assert_eq!(right + wrong + multipart, 29);
    assert_eq!(wrong, 4);
}
