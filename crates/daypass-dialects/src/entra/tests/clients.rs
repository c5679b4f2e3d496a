//! Every captured request of a real client, through the whole pipeline.

use super::Bench;
use daypass_core::client::Material;
use daypass_core::clock::Timestamp;
use daypass_core::pipeline::Success;
use daypass_core::request::Request;
use daypass_core::role::Algorithm;
use daypass_core::testing;
use serde_json::Value;
use uuid::Uuid;

const CAPTURES: &str = include_str!("../../../vectors/oauth-client-requests.json");

/// How a client may have encoded its form: as the standard says, or with every byte escaped.
#[derive(Clone, Copy)]
enum Encoding {
    Standard,
    Over,
}

impl Encoding {
    fn encode(self, text: &str) -> String {
        match self {
            Self::Standard => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::Over => super::escape_all(text),
        }
    }
}

fn request(capture: &Value, encoding: Encoding) -> Request {
    let headers: Vec<_> = capture["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let pairs = capture["form"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let [name, value] = [&pair[0], &pair[1]].map(|text| encoding.encode(text.as_str().unwrap()));
            format!("{name}={value}")
        })
        .collect();
    let (method, path) = (capture["method"].as_str().unwrap(), capture["path"].as_str().unwrap());
    testing::request(method, path, &headers, body.join("&").as_bytes())
}

/// When the requests were captured: a second after the first assertion, and within the life of all of them.
const CAPTURED: i64 = 1_795_300_961;

/// A world at the time and the address of the captures, where the captured clients' keys are registered.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.world.plan.public_url = "https://127.0.0.1:8443".into();
    bench.clock.set(Timestamp::from_second(CAPTURED).unwrap());
    let client = bench.world.client.guid;
    let mut of_certificate = testing::public_key(Uuid::from_u128(0xa1), client, Algorithm::Rs256);
    let mut of_jwk = testing::public_key(Uuid::from_u128(0xa2), client, Algorithm::Es256);
    if let Material::Public(key) = &mut of_certificate.material {
        key.x5t = Some("-I5uXgtTmFv1o25iwSwISq2gblY".into());
        key.x5t_s256 = Some("HZwdnWBltntXFwF-4rxjKaBKKlUx248b75jC4YNUaq4".into());
    }
    if let Material::Public(key) = &mut of_jwk.material {
        key.jwk["kid"] = "k1".into();
    }
    bench.world.keys.extend([of_certificate, of_jwk]);
    bench
}

/// The capture with an assertion of the same header and claims, signed with a key that is known here: the captured
/// private keys were thrown away.
fn signed_again(capture: &Value) -> Value {
    let decoded = &capture["client_assertion_decoded"];
    let mut capture = capture.clone();
    if decoded.is_object() {
        let assertion = testing::client_assertion(&decoded["header"], &decoded["claims"]);
        let pairs = capture["form"].as_array_mut().unwrap();
        let pair = pairs.iter_mut().find(|pair| pair[0] == "client_assertion").unwrap();
        pair[1] = assertion.expose_str().into();
    }
    capture
}

#[test]
fn all_captured_clients_are_served() {
    let captures: Value = serde_json::from_str(CAPTURES).unwrap();
    let clients = captures["clients"].as_object().unwrap();
    assert_eq!(clients.len(), 22);
    let (mut tokens, mut assertions, mut documents) = (0, 0, 0);
    for encoding in [Encoding::Standard, Encoding::Over] {
        let bench = bench();
        for (name, capture) in
            clients.iter().flat_map(|(name, list)| list.as_array().unwrap().iter().map(move |c| (name, c)))
        {
            let capture = signed_again(capture);
            let reply = bench.send(request(&capture, encoding));
            if capture["method"] == "GET" {
                documents += 1;
                assert_eq!(reply.result, Ok(Success::Open), "{name}");
                continue;
            }
            assert_eq!(reply.result, Ok(Success::Granted), "{name}: {}", reply.text);
            assert_eq!(reply.json["expires_in"], 3599, "{name}");
            let proof = bench.store.all().pop().unwrap().proof.unwrap();
            if capture["client_assertion_decoded"].is_object() {
                assertions += 1;
                assert_eq!(proof, "private_key_jwt", "{name}");
                let again = bench.send(request(&capture, encoding));
                assert_eq!(again.gist(), (401, "invalid_client", 700_027), "{name}: it was used");
            } else {
                tokens += 1;
                assert!(proof.starts_with("client_secret_"), "{name}: {proof}");
            }
        }
    }
    assert_eq!((tokens, assertions, documents), (2 * 16, 2 * 8, 2 * 18));
}

#[test]
fn a_clients_own_request_id_comes_back() {
    let id = "69B88B4B-fd6c-4a0f-9568-513043fab514";
    let canonical = id.to_lowercase();
    let bench = Bench::new();
    let wrong = super::form_with("client_secret", Some("wrong"));
    let target = format!("/{}/oauth2/v2.0/token", testing::ACME);
    let in_query = super::token_request(&format!("{target}?client-request-id={id}"), &wrong, &[]);
    let in_body = super::token_request(&target, &format!("{wrong}&client-request-id={id}"), &[]);
    let in_header = super::token_request(&target, &wrong, &[("client-request-id", id)]);
    for request in [in_header, in_query, in_body] {
        let reply = bench.send(request);
        assert_eq!(reply.json["correlation_id"], canonical);
        assert_eq!(reply.header("client-request-id"), "", "nobody asked for it");
    }
    let asked = [("client-request-id", id), ("return-client-request-id", "true")];
    assert_eq!(bench.post(&wrong, &asked).header("client-request-id"), canonical);
    assert_eq!(bench.post(&super::good_form(), &asked).header("client-request-id"), canonical);
    let forged = bench.post(&wrong, &[("client-request-id", "x Timestamp: forged")]);
    assert_eq!(forged.json["correlation_id"], forged.json["trace_id"], "only a GUID is taken");
}
