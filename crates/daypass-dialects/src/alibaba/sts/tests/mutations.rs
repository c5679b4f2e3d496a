//! What a signature covers: any part of it changed, and it does not hold.

use super::{Draft, STYLES, Service, Style};
use daypass_core::request::Request;

fn policy() -> &'static str {
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/uploads/门店/*"}]}"#
}

fn good(style: Style) -> Draft {
    Draft::assume(style).set("Policy", policy()).set("DurationSeconds", "900").set("ExternalId", "x:y/z")
}

/// Whether anything was handed out.
async fn granted(request: Request) -> bool {
    Service::new().response(request).await.status() == 200
}

/// Every signed header of an ACS3 call, changed by one character, taken away, or sent twice.
#[tokio::test]
async fn every_signed_header_counts() {
    let names = [
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
        "authorization",
    ];
    for style in [Style::Acs3, Style::Acs3Form] {
        assert!(granted(good(style).sent()).await);
        for name in names {
            let mut other = good(style).sent();
            let mut value = other.head.headers[name].to_str().unwrap().to_owned();
            let last = if value.pop() == Some('1') { '2' } else { '1' };
            value.push(last);
            other.head_mut().headers.insert(name, value.parse().unwrap());
            assert!(!granted(other).await, "{name} changed");
            let mut gone = good(style).sent();
            gone.head_mut().headers.remove(name);
            assert!(!granted(gone).await, "{name} taken away");
            let mut twice = good(style).sent();
            let value = twice.head.headers[name].clone();
            twice.head_mut().headers.append(name, value);
            assert!(!granted(twice).await, "{name} twice");
        }
    }
}

/// A header that must be signed, dropped from the list and the rest signed anew: the form alone refuses it.
#[tokio::test]
async fn no_header_can_be_left_out_of_the_list() {
    use crate::alibaba::sign::acs3::{CanonicalRequest, hex, sign};
    let request = good(Style::Acs3).sent();
    let authorization = request.head.headers["authorization"].to_str().unwrap().to_owned();
    let list = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let query: Vec<_> = form_urlencoded::parse(request.head.query.as_bytes()).into_owned().collect();
    let query: Vec<_> = query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let resigned = |kept: &[&str]| {
        let headers: Vec<_> =
            kept.iter().map(|name| (*name, request.head.headers[*name].to_str().unwrap())).collect();
        let canonical = CanonicalRequest {
            method: "POST",
            path: "/",
            query: &query,
            headers: &headers,
            content_sha256: request.head.headers["x-acs-content-sha256"].to_str().unwrap(),
        };
        let signature = hex(&sign(b"secret of LTAIworld", &canonical.string_to_sign()));
        let mut again = request.clone();
        let value = format!(
            "ACS3-HMAC-SHA256 Credential=LTAIworld,SignedHeaders={},Signature={signature}",
            kept.join(";")
        );
        again.head_mut().headers.insert("authorization", value.parse().unwrap());
        again
    };
    let all: Vec<_> = list.split(';').collect();
    assert!(granted(resigned(&all)).await, "signed anew as it was");
    for dropped in &all {
        let kept: Vec<_> = all.iter().copied().filter(|name| name != dropped).collect();
        let code = Service::new().code(resigned(&kept)).await;
        assert_eq!(code, "400 IncompleteSignature", "{dropped}");
    }
    let mut more = all.clone();
    more.insert(0, "content-type");
    assert!(granted(resigned(&more)).await, "more may be signed");
    let backwards: Vec<_> = all.iter().rev().copied().collect();
    assert!(!granted(resigned(&backwards)).await, "in order");
}

#[tokio::test]
async fn every_parameter_counts() {
    for style in STYLES {
        let sent = good(style).sent();
        let in_body = !sent.body.is_empty();
        let form = if in_body { sent.body.to_vec() } else { sent.head.query.clone().into_bytes() };
        let pairs: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
        let with = |pairs: &[(String, String)]| {
            let form = super::encoded(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let mut request = sent.clone();
            if in_body {
                request.body = form.into();
            } else {
                request.head_mut().query = form;
            }
            request
        };
        assert!(granted(with(&pairs)).await, "{style:?} as it was");
        for at in 0..pairs.len() {
            let mut other = pairs.clone();
            let name = other[at].0.clone();
            let last = if other[at].1.pop() == Some('5') { '6' } else { '5' };
            other[at].1.push(last);
            // How an answer is written is signed like the rest.
            assert!(!granted(with(&other)).await, "{style:?} {name} changed");
            let mut gone = pairs.clone();
            gone.remove(at);
            assert!(!granted(with(&gone)).await, "{style:?} {name} taken away");
        }
        let mut more = pairs.clone();
        more.push(("RegionId".into(), "x".into()));
        assert!(!granted(with(&more)).await, "{style:?} one more");
    }
}

#[tokio::test]
async fn a_body_goes_with_its_hash_alone() {
    let mut other = good(Style::Acs3Form).sent();
    let body = String::from_utf8(other.body.to_vec()).unwrap();
    other.body = body.replace("=900", "=901").into();
    let (status, answer) = Service::new().ask(other.clone()).await;
    assert_eq!((status, answer["Code"].as_str()), (400, Some("SignatureDoesNotMatch")));
    assert!(answer["Message"].as_str().unwrap().contains("x-acs-content-sha256"), "{answer}");
    // With the right hash of the other body, the signature is wrong.
    let hash = crate::alibaba::sign::acs3::hex(&crate::alibaba::sign::acs3::hash(&other.body));
    other.head_mut().headers.insert("x-acs-content-sha256", hash.parse().unwrap());
    assert_eq!(Service::new().code(other).await, "400 SignatureDoesNotMatch");
}

/// One signature is one request, however it is spelled: nothing of the wire can be changed without changing it, but
/// for the encoding of the query.
#[tokio::test]
async fn two_spellings_of_a_query_are_one_request() {
    let service = Service::new();
    let first = service.granted(good(Style::Acs3).sent()).await;
    let mut other = good(Style::Acs3).sent();
    let query = other.head.query.replace('*', "%2A").replace('+', "%20");
    assert_ne!(query, other.head.query);
    other.head_mut().query = query;
    assert_eq!(service.granted(other).await, first);
}
