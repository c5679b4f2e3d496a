//! Every captured request of a real client, through the whole pipeline.

use super::Bench;
use daypass_core::pipeline::Success;
use daypass_core::request::Request;
use daypass_core::testing;
use serde_json::Value;

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

#[test]
fn all_captured_clients_are_served() {
    let captures: Value = serde_json::from_str(CAPTURES).unwrap();
    let clients = captures["clients"].as_object().unwrap();
    assert_eq!(clients.len(), 22);
    let bench = Bench::new();
    let (mut tokens, mut assertions, mut documents) = (0, 0, 0);
    for (name, capture) in
        clients.iter().flat_map(|(name, list)| list.as_array().unwrap().iter().map(move |c| (name, c)))
    {
        for encoding in [Encoding::Standard, Encoding::Over] {
            let reply = bench.send(request(capture, encoding));
            if capture["method"] == "GET" {
                documents += 1;
                assert_eq!(reply.result, Ok(Success::Open), "{name}");
            } else if capture["client_assertion_decoded"].is_object() {
                assertions += 1;
                assert_eq!(reply.gist(), (401, "invalid_client", 7_000_216), "{name}");
                assert!(
                    reply.text.contains("Client assertions are not accepted here"),
                    "{name}: {}",
                    reply.text
                );
            } else {
                tokens += 1;
                assert_eq!(reply.result, Ok(Success::Granted), "{name}: {}", reply.text);
                assert_eq!(reply.json["expires_in"], 3599, "{name}");
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
