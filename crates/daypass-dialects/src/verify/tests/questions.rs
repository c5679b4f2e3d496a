//! The question itself: who may ask, and in what form.

use super::*;

/// A good question with one member changed, or left out.
fn with(service: &Service, name: &str, value: Value) -> Value {
    let mut question = usual_question(service, Scheme::Tc3);
    question[name] = value;
    question
}

#[track_caller]
fn refused(service: &Service, question: &Value, status: u16, error: &str) -> String {
    let (found, body) = service.ask(question);
    assert_eq!((found, body["error"].as_str()), (status, Some(error)), "{body}");
    assert!(body.get("valid").is_none(), "a refusal is no answer");
    body["error_description"].as_str().unwrap().to_owned()
}

#[test]
fn only_a_client_that_proves_itself_may_ask() {
    let service = Service::new();
    let question = usual_question(&service, Scheme::Tc3);
    let (status, body) = service.send(&[], &question);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "no client is named: {body}");
    let basic =
        |client: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
    let ask = |basic: &str| service.send(&[("authorization", basic)], &question);
    let wrong = ask(&basic(&API.to_string(), "wrong"));
    let nobody = ask(&basic(&Uuid::from_u128(99).to_string(), "wrong"));
    assert_eq!((wrong.0, &wrong.1["error"]), (401, &json!("invalid_client")));
    assert_eq!(wrong, nobody, "whether a client exists is not for strangers");
    assert_eq!(ask(&basic("nobody", "wrong")), nobody);
}

#[test]
fn a_secret_may_stand_in_the_question() {
    let service = Service::new();
    let mut question = usual_question(&service, Scheme::Tc3);
    (question["client_id"], question["client_secret"]) = (json!(API), json!(format!("secret of {API_KEY}")));
    let (status, body) = service.send(&[], &question);
    assert_eq!((status, &body["valid"]), (200, &json!(true)), "{body}");
    let basic = format!("Basic {}", STANDARD.encode(format!("{API}:secret of {API_KEY}")));
    let (status, body) = service.send(&[("authorization", &basic)], &question);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "two proofs: {body}");
}

#[test]
fn an_assertion_may_stand_in_the_question() {
    use daypass_core::testing::{client_assertion, public_key};
    let mut service = Service::new();
    service.world.keys.push(public_key(Uuid::from_u128(0xa94), API, Algorithm::Es256));
    let mut question = usual_question(&service, Scheme::Tc3);
    let now = START.as_second();
    let assertion = |audience: &str, id: &str| {
        let told = json!({"iss": API, "sub": API, "aud": audience, "jti": id, "iat": now, "exp": now + 60});
        client_assertion(&json!({"alg": "ES256"}), &told).expose_str().to_owned()
    };
    question["client_id"] = json!(API);
    question["client_assertion_type"] = json!("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    question["client_assertion"] = json!(assertion("http://127.0.0.1:5050/v1/verify", "1"));
    let (status, body) = service.send(&[], &question);
    assert_eq!((status, &body["valid"]), (200, &json!(true)), "{body}");
    assert_eq!(service.send(&[], &question).0, 401, "it is used up, unlike the request that it asks about");
    question["client_assertion"] = json!(assertion("https://elsewhere.example.com", "2"));
    assert_eq!(service.send(&[], &question).0, 401);
}

#[test]
fn a_refused_question_is_recorded_in_its_askers_name() {
    let service = Service::of(&["cam:cos"], "acme");
    assert_eq!(service.ask(&usual_question(&service, Scheme::Tc3)).0, 403);
    let records = service.store.all();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].client, Some(API));
}

#[test]
fn a_disabled_api_asks_nothing() {
    let mut service = Service::new();
    let question = usual_question(&service, Scheme::Tc3);
    service.world.others[0].enabled = false;
    refused(&service, &question, 401, "invalid_client");
}

#[test]
fn a_broken_question_is_refused() {
    let service = Service::new();
    for (name, value) in [
        ("method", Value::Null),
        ("path", Value::Null),
        ("path", json!(7)),
        ("path", json!("lessons")),
        ("path", json!("/a?b")),
        ("query", json!(["a"])),
        ("headers", json!([])),
        ("headers", json!({"host": 7})),
        ("headers", json!({"host": [["a"]]})),
        ("host", json!("elsewhere")),
        ("body", json!("no base64")),
        ("body", json!("AA")),
        ("body_sha256", json!("AB")),
        ("body_sha256", json!("0".repeat(64))),
        ("scheme", json!("tencent")),
        ("resource", Value::Null),
        ("action", Value::Null),
        ("action", json!("")),
        ("action", json!("soe:*")),
        ("action", json!("soe")),
        ("acton", json!("soe:x")),
    ] {
        refused(&service, &with(&service, name, value.clone()), 400, "invalid_request");
    }
    let headers = [("content-type", "application/json")];
    for (body, status) in [("", 400), ("[]", 400), ("{", 400), (r#"{"path":"/","path":"/x"}"#, 400)] {
        let ((found, told), _) = service.post(request("POST", "/v1/verify", &headers, body.as_bytes()));
        assert_eq!((found, told["error"].as_str()), (status, Some("invalid_request")), "{body}");
    }
    let ((status, _), _) = service.post(request("GET", "/v1/verify", &headers, b"{}"));
    assert_eq!(status, 405);
    let ((status, _), _) = service.post(request("POST", "/v1/verify", &[], b"{}"));
    assert_eq!(status, 415);
}

#[test]
fn a_hash_does_for_a_body_that_is_signed_by_its_hash() {
    let service = Service::new();
    for scheme in Scheme::ALL {
        let request = signed(scheme, &usual(&service.world, scheme), START);
        let mut asked = question(&request);
        let hash = tencent::hex(&tencent::hash(&request.body));
        asked["body_sha256"] = json!(String::from_utf8_lossy(&hash));
        service.valid(&asked);
        asked.as_object_mut().unwrap().remove("body");
        match scheme {
            Scheme::Rpc | Scheme::Top => {
                // Only a scheme that was named can be known to be the one: the form cannot be looked into.
                asked["scheme"] = json!(scheme.name());
                assert!(refused(&service, &asked, 400, "invalid_request").contains("body"));
            }
            _ => _ = service.valid(&asked),
        }
    }
}

#[test]
fn the_way_that_is_asked_about_must_be_the_only_one() {
    let service = Service::new();
    for scheme in Scheme::ALL {
        let mut asked = usual_question(&service, scheme);
        for named in Scheme::ALL {
            asked["scheme"] = json!(named.name());
            if named == scheme {
                service.valid(&asked);
            } else {
                service.invalid(&asked, "missing_proof");
            }
        }
        asked["scheme"] = json!("auto");
        service.valid(&asked);
        let query = asked["query"].as_str().unwrap().to_owned();
        let second = if scheme == Scheme::V1 { "app_key=1" } else { "SecretId=AKIDworld" };
        asked["query"] = json!(format!("{query}&{second}"));
        service.invalid(&asked, "several_proofs");
        asked["scheme"] = json!(scheme.name());
        service.invalid(&asked, "several_proofs");
    }
    service.invalid(&json!({"method": "GET", "path": "/", "host": HOST}), "missing_proof");
}

/// Attack: a proof that is none here, beside one that is: whoever reads the other header talks to somebody else.
#[test]
fn a_second_authorization_is_refused_whatever_it_is() {
    let service = Service::new();
    for scheme in [Scheme::Tc3, Scheme::Acs3, Scheme::Bearer] {
        let good = usual_question(&service, scheme);
        let name = good["headers"]
            .as_object()
            .unwrap()
            .keys()
            .find(|name| name.eq_ignore_ascii_case("authorization"));
        let name = name.unwrap().clone();
        let own = good["headers"][&name].as_array().map_or(&good["headers"][&name], |all| &all[0]);
        for other in ["Basic YTpi", "x", "", "Bearer x"] {
            for both in [json!([own, other]), json!([other, own])] {
                let mut asked = good.clone();
                asked["headers"][&name] = both;
                let (status, told) = service.ask(&asked);
                assert_eq!((status, &told["valid"]), (200, &json!(false)), "{scheme:?} {other:?}: {told}");
            }
        }
    }
}

#[test]
fn what_a_signature_leaves_out_must_not_be_there() {
    let service = Service::new();
    let changed = |scheme: Scheme, name: &str, value: Value| {
        let mut asked = usual_question(&service, scheme);
        asked[name] = value;
        asked
    };
    service.invalid(&changed(Scheme::Tc3, "query", json!("x=1")), "malformed_proof");
    service.invalid(&changed(Scheme::V1, "path", json!("/admin")), "malformed_proof");
    service.invalid(&changed(Scheme::Rpc, "path", json!("/admin")), "malformed_proof");
    service.invalid(&changed(Scheme::Soe, "body", json!("YQ==")), "malformed_proof");
    service.invalid(&changed(Scheme::V1, "body", json!("YQ==")), "malformed");
}

#[test]
fn a_text_that_can_be_taken_apart_in_two_ways_is_refused() {
    fn out<'a>(parameters: &'a [(&'a str, &'a str)]) -> v1::Outgoing<'a> {
        v1::Outgoing {
            method: "GET",
            host: HOST,
            action: "X",
            region: None,
            parameters,
            algorithm: v1::Algorithm::HmacSha1,
            nonce: 1,
            at: START,
        }
    }
    let service = Service::new();
    let by = usual(&service.world, Scheme::V1);
    let key = ClientKey { id: &by.id, secret: by.secret.as_bytes(), token: by.token.as_deref() };
    let ask = |parameters: &[(&str, &str)]| {
        let query = v1::sign_request(&key, &out(parameters));
        service.ask(&question(&request("GET", &format!("/?{query}"), &[("host", HOST)], b""))).1
    };
    assert_eq!(ask(&[("Text", "a"), ("User", "7")])["valid"], true);
    assert_eq!(ask(&[("Text", "a&b")])["valid"], true, "this hides nothing");
    assert_eq!(ask(&[("Text", "a&User=7")])["reason"], "duplicate_parameter");
    assert_eq!(ask(&[("Text=a&User", "7")])["reason"], "duplicate_parameter");
}
