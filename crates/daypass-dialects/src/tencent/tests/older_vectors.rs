//! The signature vectors of the older ways: in the parameters of a request, and in the address of a web socket.

use super::super::form::Form;
use super::super::legacy::{self, Legacy};
use super::super::sign::ClientKey;
use super::super::sign::soe::Address;
use super::super::sign::v1::{Algorithm, Outgoing, StringToSign, sign_request};
use super::vectors::{group, moment, sent, text};
use super::{Service, code, open_world};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::dialect::{Call, Claim, Weak};
use daypass_core::request::Request;
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::request;
use serde_json::Value;
use std::borrow::Cow;

fn all() -> Vec<Value> {
    group("v1", 13)
}

/// The parameters as the vector lists them, in the order in which they are signed, without the signature.
fn parameters(vector: &Value) -> Vec<(Cow<'_, str>, &str)> {
    let Value::Object(all) = &vector["params"] else { panic!("parameters") };
    let mut pairs: Vec<_> = all
        .iter()
        .filter(|(name, _)| *name != "Signature")
        .map(|(name, value)| (Cow::Borrowed(name.as_str()), value.as_str().unwrap()))
        .collect();
    pairs.sort_unstable();
    pairs
}

fn algorithm(vector: &Value) -> Algorithm {
    Algorithm::named(text(vector, "algorithm")).unwrap()
}

/// The request of a vector as it went over the wire. The published one is known by its parameters alone.
fn wire(vector: &Value) -> Request {
    if vector["request"]["headers"].is_object() {
        return sent(vector);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters(vector)).append_pair("Signature", text(vector, "signature"));
    let host = text(&vector["request"], "host");
    request(text(&vector["request"], "method"), &format!("/?{}", query.finish()), &[("host", host)], b"")
}

fn host(vector: &Value) -> String {
    wire(vector).head.headers["host"].to_str().unwrap().to_owned()
}

#[test]
fn every_intermediate_string_is_the_vectors() {
    for vector in all() {
        let (name, request, host) = (text(&vector, "name"), wire(&vector), host(&vector));
        let form = legacy::form(&request).unwrap_or_else(|r| panic!("{name}: {r:?}"));
        let read: Vec<_> = form
            .iter()
            .filter(|(name, _)| *name != "Signature")
            .map(|(name, value)| (Cow::Borrowed(name), value))
            .collect();
        assert_eq!(read, parameters(&vector), "{name}");
        let signed = StringToSign { method: request.head.method.as_str(), host: &host, parameters: &read };
        assert_eq!(signed.text(), text(&vector, "string_to_sign"), "{name}");
        let signature =
            STANDARD.encode(signed.sign(algorithm(&vector), text(&vector, "secret_key").as_bytes()));
        assert_eq!(signature, text(&vector, "signature"), "{name}");
        assert_eq!(form.get("Signature"), Some(signature.as_str()), "{name}");
        let encoded: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
        assert_eq!(encoded, text(&vector, "signature_urlencoded"), "{name}");
    }
}

#[test]
fn the_verifier_takes_every_vector_and_no_other_key() {
    for vector in all() {
        let (name, request) = (text(&vector, "name"), wire(&vector));
        let form = legacy::form(&request).unwrap();
        let legacy = Legacy::read(request.head.clone(), form, moment(&vector))
            .unwrap_or_else(|r| panic!("{name}: {r:?}"));
        let Claim::Signed(signed) = legacy.claim() else { panic!("{name}") };
        assert_eq!(signed.key_id, text(&vector, "secret_id"), "{name}");
        assert_eq!(signed.token, vector["token"].as_str(), "{name}");
        let weak = match algorithm(&vector) {
            Algorithm::HmacSha1 => Weak::LegacyHmacSha1,
            Algorithm::HmacSha256 => Weak::LegacyHmacSha256,
        };
        assert_eq!(signed.weak, Some(weak), "{name}");
        let verify = |secret: &str| {
            let secret = Secret::new(secret);
            legacy.verify(&SigningKey::for_test(&secret)).is_some()
        };
        assert!(verify(text(&vector, "secret_key")), "{name}");
        assert!(!verify("another key"), "{name}");
    }
}

#[test]
fn the_client_makes_the_vectors_signatures() {
    let mut compared = 0;
    for vector in all() {
        let host = host(&vector);
        let all = parameters(&vector);
        // Ours names its method, as every client but the COS team's does, and speaks to STS.
        let names_method = all.iter().any(|(name, _)| name == "SignatureMethod");
        if !names_method {
            continue;
        }
        let value = |wanted: &str| all.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let made =
            ["Action", "Version", "Timestamp", "Nonce", "SecretId", "SignatureMethod", "Region", "Token"];
        let own: Vec<(&str, &str)> = all
            .iter()
            .filter(|(name, _)| !made.contains(&&**name))
            .map(|(name, value)| (&**name, *value))
            .collect();
        let key = ClientKey {
            id: text(&vector, "secret_id"),
            secret: text(&vector, "secret_key").as_bytes(),
            token: vector["token"].as_str(),
        };
        let form = sign_request(
            &key,
            &Outgoing {
                method: text(&vector["request"], "method"),
                host: &host,
                action: value("Action").unwrap(),
                region: value("Region"),
                parameters: &own,
                algorithm: algorithm(&vector),
                nonce: value("Nonce").unwrap().parse().unwrap(),
                at: moment(&vector),
            },
        );
        assert_eq!(
            Form::parse(&form).unwrap().get("Signature"),
            Some(text(&vector, "signature")),
            "{}",
            vector["name"]
        );
        compared += 1;
    }
    assert_eq!(compared, 11);
}

#[tokio::test]
async fn the_pipeline_answers_every_vector() {
    for vector in all() {
        let name = text(&vector, "name");
        let service = Service::of(open_world(text(&vector, "secret_id"), text(&vector, "secret_key")));
        service.clock.set(moment(&vector));
        let body = service.sts(wire(&vector)).await;
        let expected = if name.starts_with("doc-") {
            Some("NoSuchVersion")
        } else if vector["token"].is_string() {
            // Signed right, but the token is not one of ours.
            Some("AuthFailure.TokenFailure")
        } else {
            None
        };
        match expected {
            Some(expected) => assert_eq!(code(&body), expected, "{name}"),
            None => assert!(body["Credentials"]["Token"].is_string(), "{name}: {body}"),
        }
    }
}

#[test]
fn the_browsers_web_socket_is_signed_like_the_vectors() {
    for vector in group("soe_websocket", 2) {
        let name = text(&vector, "name");
        let (address, query) = text(&vector, "url").split_once('?').unwrap();
        let (host, path) = address.strip_prefix("wss://").unwrap().split_once('/').unwrap();
        let path = format!("/{path}");
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parameters: Vec<_> = pairs
            .iter()
            .filter(|(name, _)| name != "signature")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let reversed: Vec<_> = parameters.iter().rev().copied().collect();
        for parameters in [&parameters, &reversed] {
            let address = Address { host, path: &path, parameters };
            assert_eq!(address.text(), text(&vector, "string_to_sign"), "{name}");
            let signature = address.sign(text(&vector, "secret_key").as_bytes());
            assert_eq!(signature, text(&vector, "signature"), "{name}");
            assert_ne!(address.sign(b"another key"), signature, "{name}");
            assert!(pairs.contains(&("signature".to_owned(), signature)), "{name}");
        }
        let token = parameters.iter().find(|(name, _)| *name == "token").map(|(_, value)| *value);
        assert_eq!(token, vector["token"].as_str(), "the token of a temporary key is signed: {name}");
    }
}
