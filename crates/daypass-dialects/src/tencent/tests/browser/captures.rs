//! Requests as a real browser sent them.

use super::super::{load, recorded};
use super::{endpoint, get, header, serving};
use daypass_core::dialect::{Call as _, Claim, Context, Dialect as _, Evidence};
use daypass_core::request::Request;
use daypass_core::testing::{START, World};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;

/// Each request by the name that it has in its query.
fn all() -> Vec<(String, Request)> {
    let file = load(include_str!("../../../../vectors/browser-captures.json"));
    let requests: Vec<_> = file["requests"].as_array().unwrap().iter().map(capture).collect();
    assert_eq!(requests.len(), 72);
    requests
}

fn capture(value: &Value) -> (String, Request) {
    let mut start = value["start_line"].as_str().unwrap().split(' ');
    let (method, target) = (start.next().unwrap(), start.next().unwrap());
    let headers: Vec<(String, String)> = serde_json::from_value(value["headers"].clone()).unwrap();
    let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let case = target.split_once("case=").map_or("", |(_, rest)| rest.split('&').next().unwrap());
    (format!("{method} {case}"), recorded(method, target, &headers, &Value::Null))
}

fn shown(evidence: Option<&Evidence>) -> String {
    match evidence {
        None => "nothing".to_owned(),
        Some(Evidence::Session(value)) => format!("session {}", value.expose_str()),
        Some(Evidence::Ticket(value)) => format!("ticket {}", value.expose_str()),
        Some(Evidence::Jwt(value)) => format!("jwt {}", value.expose_str()),
    }
}

#[test]
fn what_a_browser_sends_is_read_for_what_it_is() {
    let world = World::new();
    let context = Context { directory: &world.directory(), now: START };
    let dialect = super::super::GetAuthorization::new(Arc::new(endpoint("cookie ticket")));
    let mut table = String::new();
    for (name, request) in all() {
        write!(table, "{name:40}").unwrap();
        if let Some(response) = dialect.open(context, &request.head) {
            let granted = header(&response, "access-control-allow-headers").unwrap_or("nothing");
            writeln!(table, "{} grants {granted}", response.status().as_u16()).unwrap();
            continue;
        }
        let mut manner = dialect.manner(&request.head);
        match dialect.read(context, request, &mut manner) {
            Err(refusal) => writeln!(table, "{}", refusal.reason.label()).unwrap(),
            Ok(call) => {
                let Claim::Visitor(visit) = call.claim() else { panic!("{name} is a visit") };
                writeln!(table, "{} from {}", shown(visit.evidence), visit.origin.unwrap_or("nowhere"))
                    .unwrap();
            }
        }
    }
    insta::assert_snapshot!("captures", table);
}

#[tokio::test]
async fn a_real_page_reads_its_key() {
    let service = serving(endpoint("cookie"));
    for (name, request) in all() {
        let response = service.browse(request).await.response;
        let readable = header(&response, "access-control-allow-origin").is_some();
        let served = response.status() == 200;
        match name.as_str() {
            "GET listed-fetch-include" | "GET listed-xhr-credentials" => {
                assert!(served && readable, "{name}");
                assert_eq!(header(&response, "access-control-allow-credentials"), Some("true"));
            }
            _ if name.starts_with("GET own-fetch") || name.starts_with("GET own-xhr") => {
                assert_eq!(served, !name.ends_with("no-cors") && !name.contains("ticket"), "{name}");
            }
            // A handshake has no Fetch Metadata; no page can read what answers it but a socket.
            "GET listed-websocket" | "GET own-websocket" => {}
            _ => assert!(!served, "{name}"),
        }
        if name.contains("other-") || name.contains("sandboxed") {
            assert!(!readable, "{name}");
        }
    }
    assert_eq!(service.browse(get(&[])).await.response.status(), 401);
}
