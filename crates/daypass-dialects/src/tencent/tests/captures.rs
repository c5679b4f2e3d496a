//! Requests as the official SDKs really sent them.

use super::super::form::Form;
use super::super::legacy::{self, Legacy};
use super::super::proof::Proof;
use super::super::sign::{self, CanonicalRequest, Scope, StringToSign};
use super::{Service, code, load, open_world, recorded};
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Call;
use daypass_core::request::Request;
use daypass_core::secret::{Secret, SigningKey};
use serde_json::Value;

const SECRET: &str = "SECRETKEYEXAMPLE";

struct Capture {
    case: String,
    path: String,
    request: Request,
}

fn all() -> Vec<Capture> {
    let file = load(include_str!("../../../vectors/tencent-captures.json"));
    let groups =
        ["python", "node", "python_endpoint_quirks"].map(|group| file[group].as_array().unwrap().clone());
    let captures: Vec<_> = groups.iter().flatten().map(capture).collect();
    assert_eq!(captures.len(), 29);
    captures
}

fn capture(value: &Value) -> Capture {
    let mut start = value["start_line"].as_str().unwrap().split(' ');
    let (method, target) = (start.next().unwrap(), start.next().unwrap());
    let headers: Vec<(String, String)> = serde_json::from_value(value["headers"].clone()).unwrap();
    let headers: Vec<_> = headers.into_iter().map(|(n, v)| (n.to_ascii_lowercase(), v)).collect();
    Capture {
        case: value["case"].as_str().unwrap().to_owned(),
        path: target.split('?').next().unwrap().to_owned(),
        request: recorded(method, target, &headers, &value["body"]),
    }
}

impl Capture {
    fn header(&self, name: &str) -> Option<&str> {
        self.request.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn is_tc3(&self) -> bool {
        self.header("authorization").is_some()
    }

    /// The parameters of the older signature.
    fn form(&self) -> Form {
        legacy::form(&self.request).unwrap_or_else(|r| panic!("{}: {r:?}", self.case))
    }

    fn sent(&self) -> Timestamp {
        let form = (!self.is_tc3()).then(|| self.form());
        let timestamp =
            form.as_ref().map_or_else(|| self.header("x-tc-timestamp"), |form| form.get("Timestamp"));
        Timestamp::from_second(timestamp.unwrap().parse().unwrap()).unwrap()
    }

    fn token(&self) -> Option<String> {
        if self.is_tc3() {
            return self.header("x-tc-token").map(str::to_owned);
        }
        self.form().get("Token").map(str::to_owned)
    }
}

/// Captures whose signature the SDK made over something else than it sent.
fn inconsistent(case: &str) -> bool {
    case.contains("forced by hand") || case.starts_with("apigw_endpoint")
}

#[test]
fn every_signature_is_understood() {
    let mut seen = 0;
    for capture in all().iter().filter(|capture| capture.is_tc3()) {
        let case = &capture.case;
        let proof =
            Proof::read(&capture.request.head, capture.sent()).unwrap_or_else(|r| panic!("{case}: {r:?}"));
        let secret = Secret::new(SECRET);
        let right = proof.verify(&capture.request, &SigningKey::for_test(&secret)).is_some();
        // Node signs the path it requests. The API lives at `/`, so that one never reaches us there.
        let expected = !inconsistent(case) && !case.contains("signed and sent path");
        assert_eq!(right, expected, "{case}");
        seen += 1;
    }
    assert_eq!(seen, 20);
}

#[test]
fn every_older_signature_is_understood() {
    let mut seen = 0;
    for capture in all().iter().filter(|capture| !capture.is_tc3()) {
        let case = &capture.case;
        let legacy = Legacy::read(capture.request.head.clone(), capture.form(), capture.sent())
            .unwrap_or_else(|r| panic!("{case}: {r:?}"));
        let verify = |secret: &str| {
            let secret = Secret::new(secret);
            legacy.verify(&SigningKey::for_test(&secret)).is_some()
        };
        assert!(verify(SECRET), "{case}");
        assert!(!verify("another key"), "{case}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn a_signed_path_is_the_only_other_thing_in_the_canonical_request() {
    let captures = all();
    let capture = captures.iter().find(|c| c.case.contains("signed and sent path")).unwrap();
    let canonical = CanonicalRequest {
        method: "POST",
        uri: &capture.path,
        query: "",
        headers: &[
            ("content-type", capture.header("content-type").unwrap().as_bytes().into()),
            ("host", b"127.0.0.1".as_slice().into()),
        ],
        signed_headers: "content-type;host",
        payload: sign::hash(&capture.request.body),
    };
    let scope = Scope { date: "2026-11-21", service: "127" };
    let timestamp = capture.header("x-tc-timestamp").unwrap();
    let signature = StringToSign { timestamp, scope, request: canonical.digest() }
        .sign(&sign::derive(SECRET.as_bytes(), scope));
    let presented = capture.header("authorization").unwrap().rsplit_once("Signature=").unwrap().1;
    assert_eq!(sign::unhex(presented), Some(signature));
}

#[tokio::test]
async fn every_capture_has_its_answer() {
    for capture in all() {
        let case = &capture.case;
        let service = Service::of(open_world("AKIDEXAMPLE", SECRET));
        service.clock.set(capture.sent());
        let body = service.sts(capture.request.clone()).await;
        let expected = if inconsistent(case) || case.contains("signed and sent path") {
            Some("AuthFailure.SignatureFailure")
        } else if capture.token().is_some() {
            Some("AuthFailure.TokenFailure")
        } else if body.get("Error").is_some() {
            // The quirk captures ask with the policy `{}`.
            assert!(capture.request.body.ends_with(br#""Policy": "{}"}"#), "{case}: {body}");
            Some("InvalidParameter.StrategyInvalid")
        } else {
            None
        };
        match expected {
            Some(expected) => assert_eq!(code(&body), expected, "{case}"),
            None => assert!(body["Credentials"]["TmpSecretKey"].is_string(), "{case}: {body}"),
        }
    }
}
