//! How clients lay a call out: where its parameters stand, which of the optional ones they send, and what they say
//! that they can read.

use super::super::sign::SignMethod;
use super::super::wire::PATH;
use super::pipeline::{Gateway, result};
use super::{Draft, xml_leaves};
use daypass_core::request::Request;
use daypass_core::testing::request;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded;charset=utf-8");

/// The call as a multipart body: what is signed in text parts, and a file that is not.
fn multipart(draft: &Draft, query: &str) -> Request {
    let mut body = Vec::new();
    let sign = [("sign".to_owned(), draft.signature())];
    for (name, value) in draft.params.iter().map(|(n, v)| (n.clone(), v.clone())).chain(sign) {
        let part = format!(
            "--boundary\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(part.as_bytes());
    }
    let file = b"--boundary\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n\r\n\xff\xd8\x00&sign=x\r\n--boundary--\r\n";
    body.extend_from_slice(file);
    let kind = [("content-type", "multipart/form-data; boundary=boundary")];
    request("POST", &format!("{PATH}?{query}"), &kind, &body)
}

#[tokio::test]
async fn a_multipart_call_is_served_and_its_files_are_not_signed() {
    let gateway = Gateway::new();
    for method in SignMethod::ALL {
        let draft = Draft::new(method).asks("request_id", "门 & + %");
        let body = gateway.send(multipart(&draft, "")).await;
        assert_eq!(result(&body)["resp_request_id"], "门 & + %", "{method:?}");
        let wrong = Draft { secret: b"guess".to_vec(), ..draft };
        let body = gateway.send(multipart(&wrong, "")).await;
        assert!(body.contains(r#""code":25"#), "{body}");
    }
}

#[tokio::test]
async fn optional_parameters_are_accepted_empty_and_not_and_are_signed() {
    let gateway = Gateway::new();
    let all = |value: &str| {
        let draft = Draft::new(SignMethod::HmacSha256).set("simplify", "false");
        ["partner_id", "session", "target_app_key"].iter().fold(draft, |draft, name| draft.set(name, value))
    };
    for value in ["", "top-sdk-java-20210601", "门"] {
        let draft = all(value);
        assert_eq!(result(&gateway.send(draft.post()).await)["resp_success"], true, "{value:?}");
        for name in ["partner_id", "session", "target_app_key", "simplify"] {
            let sign = draft.signature();
            let (code, _, _) = gateway.refusal(&draft.clone().unset(name).set("sign", &sign)).await;
            assert_eq!(code, 25, "{name} was signed");
        }
    }
    // What an empty value means is what its absence means: the default.
    let empty = Draft::new(SignMethod::Md5).set("format", "").set("sign_method", "").set("simplify", "");
    assert!(gateway.send(empty.post()).await.starts_with("<?xml"));
}

#[tokio::test]
async fn milliseconds_are_a_timestamp_too() {
    let gateway = Gateway::new();
    for (stamp, served) in [
        ("1700000000000", true),
        ("1700000600000", true),
        ("1699999400000", true),
        ("1700000600001", false),
        ("1699999399999", false),
        ("1700000000", false),
    ] {
        let body = gateway.send(Draft::new(SignMethod::Md5).set("timestamp", stamp).post()).await;
        assert_eq!(body.contains(r#""resp_success":true"#), served, "{stamp} {body}");
        assert_eq!(body.contains(r#""code":31,"msg":"Invalid timestamp""#), !served, "{stamp} {body}");
    }
}

/// A signature over one of two values is no ground to choose that one.
#[tokio::test]
async fn a_disagreement_is_refused_whichever_value_was_signed() {
    let gateway = Gateway::new();
    let draft = Draft::new(SignMethod::HmacSha256);
    let other = draft.clone().asks("op_poi_id", "8006");
    for (query, body) in [(&draft, &other), (&other, &draft)] {
        let one = |draft: &Draft| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("param", &draft.params["param"]).finish()
        };
        let rest = query.clone().unset("param").set("sign", &query.signature()).form();
        let target = format!("{PATH}?{rest}&{}", one(query));
        for request in [
            request("POST", &target, &[FORM], one(body).as_bytes()),
            request("GET", &target, &[FORM], one(body).as_bytes()),
            multipart(body, &one(query)),
        ] {
            let answer = gateway.send(request).await;
            assert!(answer.contains(r#""code":41,"msg":"Invalid arguments:param""#), "{answer}");
        }
    }
    assert!(gateway.store.all().is_empty(), "nothing was granted, and nobody was known");
}

#[tokio::test]
async fn xml_knows_no_simplified_form() {
    let gateway = Gateway::new();
    let plain = Draft::new(SignMethod::Md5).unset("format");
    let paths = |body: &str| xml_leaves(body).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let simple = gateway.send(plain.clone().set("simplify", "true").post()).await;
    assert_eq!(paths(&simple), paths(&gateway.send(plain.post()).await));
}

/// One of the official clients asks for `identity` and could not read anything else; the others read what comes.
#[tokio::test]
async fn no_answer_is_compressed() {
    let gateway = Gateway::new();
    let body = Draft::new(SignMethod::Md5).form();
    for accepted in ["identity", "gzip", "gzip, deflate, br"] {
        let request = request("POST", PATH, &[FORM, ("accept-encoding", accepted)], body.as_bytes());
        let answer = gateway.pipeline.answer(&super::Top, &gateway.world.directory(), request).await;
        assert!(!answer.response.headers().contains_key("content-encoding"), "{accepted}");
        assert!(answer.response.body().starts_with(b"{"));
    }
}

#[tokio::test]
async fn only_our_own_spelling_of_a_signature_is_one() {
    let gateway = Gateway::new();
    for method in SignMethod::ALL {
        let draft = Draft::new(method);
        let sign = draft.signature();
        let (code, _, sub_msg) = gateway.refusal(&draft.clone().set("sign", &sign.to_lowercase())).await;
        assert_eq!(code, 25);
        assert!(sub_msg.contains("upper case"), "{sub_msg}");
        for other in [format!("{sign} "), format!(" {sign}"), format!("{sign}0")] {
            assert_eq!(gateway.refusal(&draft.clone().set("sign", &other)).await.0, 25, "{other:?}");
        }
        assert_eq!(result(&gateway.send(draft.post()).await)["resp_code"], 200);
    }
}
