//! The signature vectors of TC3, every intermediate string of them.

use super::super::proof::Proof;
use super::super::sign::{self, CanonicalRequest, Scope, StringToSign};
use super::{Service, code, load, open_world, recorded};
use daypass_core::clock::Timestamp;
use daypass_core::request::Request;
use daypass_core::secret::{Secret, SigningKey};
use serde_json::Value;
use std::borrow::Cow;

pub(super) fn all() -> Vec<Value> {
    group("tc3", 28)
}

/// One list of the file, which has so many members.
pub(super) fn group(name: &str, count: usize) -> Vec<Value> {
    let mut file = load(include_str!("../../../vectors/tencent-tc3.json"));
    let Value::Array(vectors) = file[name].take() else { panic!("a list") };
    assert_eq!(vectors.len(), count);
    vectors
}

pub(super) fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} of {}", vector["name"]))
}

/// The request of a vector as it went over the wire.
pub(super) fn sent(vector: &Value) -> Request {
    let sent = &vector["request"];
    let Value::Object(headers) = &sent["headers"] else { panic!("headers") };
    let headers: Vec<_> =
        headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.as_str().unwrap().to_owned())).collect();
    recorded(text(sent, "method"), text(sent, "target"), &headers, &sent["body"])
}

pub(super) fn moment(vector: &Value) -> Timestamp {
    Timestamp::from_second(vector["timestamp"].as_i64().unwrap()).unwrap()
}

fn hex(digest: &sign::Digest) -> String {
    String::from_utf8(sign::hex(digest).to_vec()).unwrap()
}

/// The strings that are signed for a request, with what the vector says of its signature.
pub(super) struct Strings {
    pub(super) canonical: String,
    pub(super) to_sign: String,
}

/// Puts the strings together from a request, which may have been changed since the vector was made.
pub(super) fn strings(vector: &Value, request: &Request) -> Strings {
    let get = request.head.method == "GET";
    let unsigned =
        request.head.headers.get("x-tc-content-sha256").is_some_and(|v| v == sign::UNSIGNED_PAYLOAD);
    let payload: &[u8] = match (unsigned, get) {
        (true, _) => sign::UNSIGNED_PAYLOAD.as_bytes(),
        (_, true) => b"",
        _ => &request.body,
    };
    let signed: Vec<(&str, Cow<'_, [u8]>)> = text(vector, "signed_headers")
        .split(';')
        .map(|header| {
            let value = request.head.headers[header].to_str().unwrap().to_ascii_lowercase();
            let host = vector["signed_host"].as_str().filter(|_| header == "host");
            (header, Cow::Owned(host.unwrap_or(&value).as_bytes().to_vec()))
        })
        .collect();
    let canonical = CanonicalRequest {
        method: request.head.method.as_str(),
        uri: "/",
        query: if get { &request.head.query } else { "" },
        headers: &signed,
        signed_headers: text(vector, "signed_headers"),
        payload: sign::hash(payload),
    };
    let written = String::from_utf8(canonical.text()).unwrap();
    assert_eq!(canonical.digest(), sign::hash(written.as_bytes()), "streamed and whole are one");
    let timestamp = request.head.headers["x-tc-timestamp"].to_str().unwrap();
    let date = sign::date(Timestamp::from_second(timestamp.parse().unwrap()).unwrap());
    let scope = Scope { date: &date, service: text(vector, "service") };
    let to_sign = StringToSign { timestamp, scope, request: canonical.digest() };
    Strings { canonical: written, to_sign: String::from_utf8(to_sign.text()).unwrap() }
}

#[test]
fn every_intermediate_string_is_the_vectors() {
    for vector in all() {
        let (name, request) = (text(&vector, "name"), sent(&vector));
        assert_eq!(text(&vector["request"], "raw_query"), request.head.query, "{name}");
        let Strings { canonical, to_sign } = strings(&vector, &request);
        assert_eq!(canonical, text(&vector, "canonical_request"), "{name}");
        assert!(canonical.ends_with(text(&vector, "hashed_payload")), "{name}");
        let digest = sign::hash(canonical.as_bytes());
        assert_eq!(hex(&digest), text(&vector, "canonical_request_sha256"), "{name}");
        assert_eq!(to_sign, text(&vector, "string_to_sign"), "{name}");

        let (date, service) = (sign::date(moment(&vector)), text(&vector, "service"));
        let scope = Scope { date: &date, service };
        assert_eq!(format!("{date}/{service}/tc3_request"), text(&vector, "credential_scope"), "{name}");
        let k_date = sign::date_key(text(&vector, "secret_key").as_bytes(), &date);
        let k_service = sign::service_key(&k_date, service);
        let k_signing = sign::signing_key(&k_service);
        assert_eq!(hex(&k_date), text(&vector, "k_date_hex"), "{name}");
        assert_eq!(hex(&k_service), text(&vector, "k_service_hex"), "{name}");
        assert_eq!(hex(&k_signing), text(&vector, "k_signing_hex"), "{name}");
        let timestamp = &vector["timestamp"].to_string();
        let signature = StringToSign { timestamp, scope, request: digest }.sign(&k_signing);
        assert_eq!(hex(&signature), text(&vector, "signature"), "{name}");
    }
}

#[test]
fn the_verifier_takes_every_vector_and_no_other_key() {
    for vector in all() {
        let (name, request) = (text(&vector, "name"), sent(&vector));
        let proof = Proof::read(&request.head, moment(&vector)).unwrap_or_else(|r| panic!("{name}: {r:?}"));
        assert_eq!(proof.key_id, text(&vector, "secret_id"), "{name}");
        assert_eq!(proof.token.as_deref(), vector["token"].as_str(), "{name}");
        assert_eq!(proof.unsigned_payload, vector["unsigned_payload"].as_bool().unwrap(), "{name}");
        let verify = |secret: &str| {
            let secret = Secret::new(secret);
            proof.verify(&request, &SigningKey::for_test(&secret)).is_some()
        };
        assert!(verify(text(&vector, "secret_key")), "{name}");
        assert!(!verify("another key"), "{name}");
    }
}

#[test]
fn the_client_makes_the_vectors_headers() {
    let mut compared = 0;
    for vector in all() {
        let request = sent(&vector);
        let header = |name: &str| request.head.headers.get(name).map(|v| v.to_str().unwrap());
        let types = ["application/json", "application/x-www-form-urlencoded"];
        // Ours is a client of STS that signs the host it sends.
        if !types.contains(&header("content-type").unwrap())
            || text(&vector, "service") != "sts"
            || vector["signed_host"].as_str().is_some_and(|host| Some(host) != header("host"))
        {
            continue;
        }
        let key = sign::ClientKey {
            id: text(&vector, "secret_id"),
            secret: text(&vector, "secret_key").as_bytes(),
            token: vector["token"].as_str(),
        };
        let out = sign::Outgoing {
            method: request.head.method.as_str(),
            host: header("host").unwrap(),
            query: &request.head.query,
            body: &request.body,
            unsigned_payload: vector["unsigned_payload"].as_bool().unwrap(),
            action: header("x-tc-action").unwrap(),
            region: header("x-tc-region").unwrap(),
            at: moment(&vector),
        };
        for (name, value) in sign::sign_request(&key, &out) {
            assert_eq!(Some(value.as_str()), header(name), "{} {name}", vector["name"]);
        }
        compared += 1;
    }
    assert_eq!(compared, 18);
}

#[tokio::test]
async fn the_pipeline_answers_every_vector_of_sts() {
    for vector in all() {
        let name = text(&vector, "name");
        let service = Service::of(open_world(text(&vector, "secret_id"), text(&vector, "secret_key")));
        service.clock.set(moment(&vector));
        let body = service.sts(sent(&vector)).await;
        let expected = if name.starts_with("doc-") {
            Some("NoSuchVersion")
        } else if name.contains("multipart") || name.contains("octet") {
            Some("InvalidRequest")
        } else if name.contains("token") {
            // Signed right, but the token is not one of ours.
            Some("AuthFailure.TokenFailure")
        } else if name == "node-tc3-get-quote" {
            // It asks for a resource of uin 1.
            Some("InvalidParameter.GrantOtherResource")
        } else {
            None
        };
        match expected {
            Some(expected) => assert_eq!(code(&body), expected, "{name}"),
            None => assert!(body["Credentials"]["Token"].is_string(), "{name}: {body}"),
        }
    }
}
