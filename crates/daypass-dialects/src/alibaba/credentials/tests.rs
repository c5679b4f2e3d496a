//! What the readers of either shape get, through the pipeline.

use super::Credentials;
use crate::visit::fixture::{Outside, endpoint, jwt, provider};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::dialect::{Dialect as _, Outcome};
use daypass_core::endpoint::{DialectName, Endpoint, Quota, Shape};
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::{Answer, Pipeline};
use daypass_core::policy::{Language, Template, VariableType};
use daypass_core::record::Event;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Request, Response};
use daypass_core::role::Role;
use daypass_core::testing::{
    FixedClock, MemoryStore, START, SeededEntropy, TripleIssuer, World, allow, later, request, ring,
};
use daypass_core::triple;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

const PATH: &str = "/credentials";
const PAGE: (&str, &str) = ("origin", "http://127.0.0.1:88");
/// What `requests` of Python sends, and what tells us nothing.
const SDK: [(&str, &str); 4] = [
    ("host", "127.0.0.1:5050"),
    ("user-agent", "python-requests/2.32.3"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate"),
];
const SHAPES: [Shape; 2] = [Shape::CredentialsUri, Shape::OssMobile];

/// A service with one such endpoint, and no socket.
struct Service {
    pipeline: Pipeline,
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
    world: World,
}

impl Service {
    /// Its callers are known in these ways, and its role has a folder for each subject if it has variables.
    fn new(ways: &str, shape: Shape, variables: &[&str]) -> Self {
        let mut world = World::new();
        let types: BTreeMap<_, _> =
            variables.iter().map(|name| ((*name).to_owned(), VariableType::Slug)).collect();
        let folder = variables.iter().map(|name| format!("{{{name}}}/")).collect::<Vec<_>>().concat();
        let policy = allow(Language::Ram, "oss:PutObject", &format!("acs:oss:*:*:bucket/{folder}*"));
        let policy = Some(Template::new(policy, &types).unwrap());
        let name = "agent".to_owned();
        let agent = Role { name, policy, variables: types, ..(*world.plan.roles[1]).clone() };
        world.plan.roles.push(Arc::new(agent));
        world.client.grants.push(daypass_core::client::Grant {
            bind: variables.iter().map(|name| ((*name).to_owned(), vec!["*".to_owned()])).collect(),
            ..daypass_core::client::Grant::of("agent")
        });
        world.plan.endpoints.push(Arc::new(Endpoint {
            dialect: DialectName::AlibabaCredentials,
            path: PATH.into(),
            role: Some("agent".into()),
            shape,
            ..endpoint(ways)
        }));
        world.plan.providers = vec![provider()];
        let (clock, store) = (Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
        let local: Arc<dyn Issuer> = Arc::new(TripleIssuer::default());
        let issuers = HashMap::from([("local".to_owned(), local)]);
        let entropy = Arc::new(SeededEntropy::new(3));
        let pipeline = Pipeline::new(clock.clone(), entropy, store.clone(), issuers, Arc::new(Outside));
        Self { pipeline, store, clock, world }
    }

    fn endpoint(&self) -> &Arc<Endpoint> {
        self.world.plan.endpoints.last().unwrap()
    }

    async fn send(&self, request: Request) -> Answer {
        let dialect = Credentials::new(self.endpoint().clone());
        self.pipeline.answer(&dialect, &self.world.directory(), request).await
    }

    async fn get(&self, headers: &[(&str, &str)]) -> Response {
        self.send(request("GET", PATH, headers, b"")).await.response
    }
}

fn body(response: &Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    serde_json::from_slice(response.body()).unwrap()
}

/// The members, sorted.
fn names(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn an_sdk_on_this_host_gets_the_document_of_the_metadata_service() {
    let service = Service::new("near", Shape::CredentialsUri, &[]);
    let answer = body(&service.get(&SDK).await);
    assert_eq!(
        names(&answer),
        ["AccessKeyId", "AccessKeySecret", "Code", "Expiration", "LastUpdated", "SecurityToken"]
    );
    assert_eq!(answer["Code"], "Success");
    assert!(answer["AccessKeyId"].as_str().unwrap().starts_with("STS."));
    assert_eq!(answer["Expiration"], "2023-11-14T23:13:20Z");
    assert_eq!(answer["LastUpdated"], "2023-11-14T22:13:20Z");
    let record = &service.store.all()[0];
    assert_eq!((record.via.as_deref(), record.role.as_deref()), (Some("anonymous"), Some("agent")));
    assert_eq!(record.dialect.as_deref(), Some("alibaba.credentials"));
}

#[tokio::test]
async fn an_app_gets_the_document_of_the_oss_sdks() {
    let service = Service::new("cookie", Shape::OssMobile, &[]);
    let answer = body(&service.get(&[("cookie", "sid=the-session")]).await);
    assert_eq!(
        names(&answer),
        ["AccessKeyId", "AccessKeySecret", "Expiration", "SecurityToken", "StatusCode"]
    );
    assert_eq!(answer["StatusCode"], 200, "a number: Android reads it with getInt");
    assert_eq!(answer["Expiration"], "2023-11-14T23:13:20Z");
    assert_eq!(service.store.all()[0].subject.as_deref(), Some("ada"));
}

#[tokio::test]
async fn the_triple_is_one_of_alibaba_cloud_and_stands_as_long_as_its_endpoint() {
    let mut service = Service::new("near", Shape::CredentialsUri, &[]);
    let answer = body(&service.get(&SDK).await);
    let text = |name: &str| answer[name].as_str().unwrap();
    let (id, token) = (text("AccessKeyId"), text("SecurityToken"));
    let triple::Opened { claims, secret, .. } = triple::open(&ring(), id, token).unwrap();
    assert_eq!(secret.expose_str(), text("AccessKeySecret"));
    let standing = |service: &Service, at| {
        daypass_core::standing::standing(&service.world.directory(), &claims.grounds(id), at).is_ok()
    };
    assert!(standing(&service, later(3599)));
    assert!(!standing(&service, later(3600)), "it has run out");
    service.world.plan.endpoints.pop();
    assert!(!standing(&service, later(1)), "its endpoint is gone");
}

/// What a browser could do on behalf of someone else's page, on the host whose agents are served.
#[tokio::test]
async fn no_page_and_no_proxy_is_taken_for_an_agent() {
    let service = Service::new("near", Shape::CredentialsUri, &[]);
    let host = SDK[0];
    for (what, headers) in [
        ("a page elsewhere", &[host, ("origin", "https://evil.example")][..]),
        ("a link", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
        ("an image", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]),
        ("the address bar", &[host, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]),
        ("a rebound name", &[("host", "evil.example:5050")]),
        ("a proxy that passes everything on", &[host, ("x-forwarded-for", "198.51.100.7")]),
    ] {
        let response = service.get(headers).await;
        assert_eq!(
            (response.status().as_u16(), &body(&response)["Code"]),
            (403, &json!("NoPermission")),
            "{what}"
        );
        assert_eq!(response.headers().get("access-control-allow-origin"), None);
    }
    let mut far = request("GET", PATH, &SDK, b"");
    far.head_mut().source = "198.51.100.7".parse().unwrap();
    assert_eq!(service.send(far).await.response.status(), 403);
    assert!(service.store.all().is_empty(), "nothing was granted");
}

#[tokio::test]
async fn every_way_of_being_known_fills_the_variables_of_the_role() {
    let bearer = format!("Bearer {}", jwt());
    for (ways, header) in [
        ("cookie", ("cookie", "sid=the-session")),
        ("header", ("x-session", "the-session")),
        ("jwt", ("authorization", bearer.as_str())),
    ] {
        for shape in SHAPES {
            let service = Service::new(ways, shape, &["subject"]);
            let response = service.get(&[header]).await;
            assert_eq!(response.status(), 200);
            let record = &service.store.all()[0];
            let Event::Grant { policy, variables, .. } = &record.event else { panic!("a grant") };
            assert_eq!(variables["subject"], "ada", "{ways}");
            assert!(format!("{policy:?}").contains("acs:oss:*:*:bucket/ada/*"), "{policy:?}");
            let again = service.get(&[header]).await;
            assert_eq!(body(&again), body(&response), "one subject, one credential");
        }
    }
}

#[tokio::test]
async fn a_ticket_is_made_at_the_desk_and_is_good_once() {
    let service = Service::new("ticket", Shape::OssMobile, &["subject"]);
    let ask = |proof: &str| {
        let headers = [("authorization", proof), ("content-type", "application/json")];
        let document = json!({"subject": "ann", "origin": PAGE.1}).to_string();
        request("POST", "/credentials/ticket", &headers, document.as_bytes())
    };
    let secret = format!("secret of {}", uuid::Uuid::from_u128(0x5ec));
    let basic = |secret: &str| {
        format!("Basic {}", STANDARD.encode(format!("{}:{secret}", service.world.client.guid)))
    };
    let refused = service.send(ask(&basic("guess"))).await.response;
    assert_eq!(refused.status(), 401, "a backend reads the status");
    assert_eq!(body(&refused)["Code"], "AuthenticationFail");
    assert!(refused.headers().contains_key("www-authenticate"));
    let made = body(&service.send(ask(&basic(&secret))).await.response);
    let shown = format!("Ticket {}", made["ticket"].as_str().unwrap_or_else(|| panic!("{made}")));
    let headers = [PAGE, ("authorization", shown.as_str())];
    let first = service.get(&headers).await;
    assert_eq!(body(&first)["StatusCode"], 200);
    assert!(first.headers().contains_key("daypass-refresh"));
    assert_eq!(first.headers()["access-control-allow-origin"], PAGE.1);
    let second = body(&service.get(&headers).await);
    assert_eq!((&second["StatusCode"], &second["ErrorCode"]), (&json!(401), &json!("AuthenticationFail")));
}

#[tokio::test]
async fn who_is_not_known_is_told_so_in_the_shape_that_is_read() {
    for (ways, headers, status, code) in [
        ("cookie jwt", &[][..], 401, "AuthenticationFail"),
        ("cookie", &[("cookie", "sid=guess")], 401, "AuthenticationFail"),
        ("cookie", &[("cookie", "sid=down")], 503, "ServiceUnavailable"),
        ("anonymous", &[], 403, "NoPermission"),
    ] {
        let uri = Service::new(ways, Shape::CredentialsUri, &[]).get(headers).await;
        assert_eq!((uri.status().as_u16(), &body(&uri)["Code"]), (status, &json!(code)));
        assert_eq!(names(&body(&uri)), ["Code", "Message", "RequestId"]);
        let mobile = Service::new(ways, Shape::OssMobile, &[]).get(headers).await;
        assert_eq!(mobile.status(), 200);
        assert!(
            !mobile.headers().contains_key("www-authenticate")
                && !mobile.headers().contains_key("retry-after")
        );
        let mobile = body(&mobile);
        assert_eq!((&mobile["StatusCode"], &mobile["ErrorCode"]), (&json!(status), &json!(code)));
        assert_eq!(mobile["ErrorMessage"], body(&uri)["Message"]);
    }
}

#[tokio::test]
async fn a_quota_is_kept_and_other_methods_are_told_which_one_there_is() {
    let mut service = Service::new("near", Shape::CredentialsUri, &[]);
    let quota = Quota { address: Some(1), ..Quota::default() };
    let rationed = Endpoint { quota, ..(**service.endpoint()).clone() };
    *service.world.plan.endpoints.last_mut().unwrap() = Arc::new(rationed);
    assert_eq!(service.get(&SDK).await.status(), 200);
    let limited = service.get(&SDK).await;
    assert_eq!((limited.status().as_u16(), &body(&limited)["Code"]), (429, &json!("Throttling")));
    assert_eq!(limited.headers()["retry-after"], "60");
    service.clock.advance(60_000);
    assert_eq!(service.get(&SDK).await.status(), 200);
    let put = service.send(request("PUT", PATH, &SDK, b"{}")).await.response;
    assert_eq!((put.status().as_u16(), put.headers()["allow"].to_str().unwrap()), (405, "GET, OPTIONS"));
}

/// No reader takes a refusal for a credential.
#[test]
fn every_refusal_is_one_to_whoever_reads_it() {
    let mut table = String::new();
    for reason in Reason::ALL {
        let refusal = || Refusal::new(*reason, "why").retry_after(7);
        for shape in SHAPES {
            let dialect =
                Credentials::new(Arc::new(Endpoint { path: PATH.into(), shape, ..endpoint("near") }));
            let head = request("GET", PATH, &SDK, b"").head;
            let response = dialect.render(&dialect.manner(&head), Outcome::Refused(refusal()));
            let document = body(&response);
            for member in ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"] {
                assert_eq!(document.get(member), None);
            }
            if shape == Shape::CredentialsUri {
                assert_ne!(document["Code"], "Success");
                assert!(response.status().as_u16() >= 400);
                let (status, code) = (response.status().as_u16(), document["Code"].as_str().unwrap());
                writeln!(table, "{:22} {status} {code}", reason.label()).unwrap();
            } else {
                assert_eq!(response.status(), 200, "Android has no body of another one");
                assert!(document["StatusCode"].as_u64().unwrap() >= 400);
                assert!(document["ErrorCode"].is_string() && document["ErrorMessage"].is_string());
            }
        }
    }
    insta::assert_snapshot!(table);
}
