//! Questions about own decisions behind the real pipeline, and what the answers leave out.

use super::Explain;
use super::wire::PATH;
use crate::alibaba::sign::acs3;
use crate::tencent::sign::{self as tencent, CanonicalRequest, Scope, StringToSign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::{Timestamp, after, rfc3339};
use daypass_core::dialect::{Dialect as _, Outcome};
use daypass_core::explained::OwnDecision;
use daypass_core::id::uuid_v7;
use daypass_core::pipeline::Pipeline;
use daypass_core::policy::{Effect, Language};
use daypass_core::record::{Entry, Event, Record};
use daypass_core::request::{Request, Response};
use daypass_core::store::Store as _;
use daypass_core::testing::{
    FixedClock, MemoryStore, NoIdentity, START, SeededEntropy, World, allow, request, secret_key,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The client secret of the world's client.
const SECRET: Uuid = Uuid::from_u128(0x5ec);
const HOST: &str = "127.0.0.1:5050";

struct Service {
    pipeline: Pipeline,
    store: Arc<MemoryStore>,
    world: World,
}

impl Service {
    fn new() -> Self {
        let mut world = World::new();
        world.keys.push(secret_key(SECRET, world.client.guid));
        let (clock, store) = (Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let pipeline = Pipeline::new(clock, entropy, store.clone(), HashMap::new(), Arc::new(NoIdentity));
        Self { pipeline, store, world }
    }

    /// Keeps a decision about this client, and gives the id of its answer.
    fn decided(&self, client: Uuid, n: u8) -> Uuid {
        let id = uuid_v7(START, [n; 10]);
        let record = Record { client: Some(client), request: Some(id), ..refusal() };
        block_on(self.store.append(Entry { record, mark: None })).unwrap();
        id
    }

    fn send(&self, request: Request) -> (u16, Value) {
        let directory = self.world.directory();
        let response = block_on(self.pipeline.answer(&Explain, &directory, request)).response;
        assert_eq!(response.headers()["cache-control"], "no-store");
        (response.status().as_u16(), body(&response))
    }

    fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:secret of {SECRET}", self.world.client.guid)))
    }

    /// Asks as an OAuth client.
    fn ask(&self, target: &str) -> (u16, Value) {
        self.send(request("GET", target, &[("host", HOST), ("authorization", &self.basic())], b""))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn refusal() -> Record {
    Record {
        event: Event::Refusal {
            reason: "lifetime_too_long".into(),
            detail: "too long".into(),
            parameter: Some("DurationSeconds".into()),
            asked: None,
        },
        ..Record::change(Uuid::from_u128(1), START, Some("acme".into()), "", "")
    }
}

/// A question signed with TC3, by a key of this id.
fn tc3(id: &str, target: &str, service: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let form = "application/x-www-form-urlencoded";
    let headers = [("content-type", form.as_bytes().into()), ("host", HOST.as_bytes().into())];
    let (second, date, signed_headers) =
        (START.as_second().to_string(), tencent::date(START), "content-type;host");
    let payload = tencent::hash(b"");
    let canonical =
        CanonicalRequest { method: "GET", uri: path, query, headers: &headers, signed_headers, payload };
    let scope = Scope { date: &date, service };
    let key = tencent::derive(format!("secret of {id}").as_bytes(), scope);
    let signature = StringToSign { timestamp: &second, scope, request: canonical.digest() }.sign(&key);
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential={id}/{date}/{service}/tc3_request, SignedHeaders={signed_headers}, Signature={}",
        String::from_utf8_lossy(&tencent::hex(&signature))
    );
    let headers = [
        ("host", HOST),
        ("content-type", form),
        ("x-tc-timestamp", second.as_str()),
        ("authorization", authorization.as_str()),
    ];
    request("GET", target, &headers, b"")
}

/// The same signed with ACS3 over this path, and sent to another one perhaps.
fn acs3(id: &str, signed: &str, sent: &str) -> Request {
    let (hash, date) = (acs3::hex(&acs3::hash(b"")), rfc3339(START));
    let headers = [
        ("host", HOST),
        ("x-acs-action", "Explain"),
        ("x-acs-content-sha256", hash.as_str()),
        ("x-acs-date", date.as_str()),
        ("x-acs-signature-nonce", "a-nonce-of-its-own"),
        ("x-acs-version", "2015-04-01"),
    ];
    let canonical = acs3::CanonicalRequest {
        method: "GET",
        path: signed,
        query: &[],
        headers: &headers,
        content_sha256: &hash,
    };
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let signature = acs3::sign(format!("secret of {id}").as_bytes(), &canonical.string_to_sign());
    let authorization = format!(
        "ACS3-HMAC-SHA256 Credential={id},SignedHeaders={},Signature={}",
        names.join(";"),
        acs3::hex(&signature)
    );
    let all: Vec<_> = headers.into_iter().chain([("authorization", authorization.as_str())]).collect();
    request("GET", sent, &all, b"")
}

#[test]
fn a_client_is_told_of_its_own_decision_in_every_proof_it_has() {
    let service = Service::new();
    let id = service.decided(service.world.client.guid, 1);
    let target = format!("{PATH}{id}");
    let document =
        json!({ "client_id": service.world.client.guid, "client_secret": format!("secret of {SECRET}") });
    let json_type = [("host", HOST), ("content-type", "application/json")];
    for request in [
        request("GET", &target, &[("host", HOST), ("authorization", &service.basic())], b""),
        request("POST", &target, &json_type, document.to_string().as_bytes()),
        tc3("AKIDworld", &target, "sts"),
        acs3("LTAIworld", &target, &target),
    ] {
        let (status, told) = service.send(request);
        assert_eq!(status, 200, "{told}");
        assert_eq!((&told["request_id"], &told["decision"]), (&json!(id), &json!("refused")));
        assert_eq!(
            told["refused"],
            json!({ "reason": "lifetime_too_long", "detail": "too long", "parameter": "DurationSeconds" })
        );
    }
    for spelling in [id.simple().to_string(), id.to_string().to_uppercase()] {
        assert_eq!(service.ask(&format!("{PATH}{spelling}")).0, 200, "{spelling}");
    }
}

#[test]
fn another_clients_id_is_no_id() {
    let service = Service::new();
    let foreign = service.decided(Uuid::from_u128(77), 1);
    let none = uuid_v7(START, [2; 10]);
    let told = |id| service.ask(&format!("{PATH}{id}"));
    let (of_another, of_nobody) = (told(foreign), told(none));
    assert_eq!((of_another.0, &of_another.1["error"]), (404, &json!("not_found")));
    assert_eq!(of_another, of_nobody);
}

#[test]
fn the_gateways_short_id_needs_a_time() {
    let service = Service::new();
    let id = service.decided(service.world.client.guid, 1);
    let short = crate::alibaba::wire::request_id(id);
    let (status, told) = service.ask(&format!("{PATH}{short}"));
    assert_eq!(
        (status, told["error_description"].as_str().unwrap().contains("add at")),
        (400, true),
        "{told}"
    );
    let at = START.as_second();
    assert_eq!(service.ask(&format!("{PATH}{short}?at={at}")).1["request_id"], json!(id));
    assert_eq!(service.ask(&format!("{PATH}{}?at={at}", Uuid::nil())).0, 404);
    assert_eq!(service.ask(&format!("{PATH}{}", Uuid::nil())).0, 400, "an id without a time");
}

#[test]
fn what_is_no_question_is_refused() {
    let service = Service::new();
    let id = service.decided(service.world.client.guid, 1);
    let target = format!("{PATH}{id}");
    let basic = service.basic();
    let headers = [("host", HOST), ("authorization", basic.as_str())];
    for (method, target, headers, body, status) in [
        ("GET", PATH.to_owned(), &headers[..], &b""[..], 400),
        ("GET", format!("{target}/x"), &headers, b"", 400),
        ("GET", format!("{PATH}%2F"), &headers, b"", 400),
        ("GET", format!("{target}?at=x"), &headers, b"", 400),
        ("GET", format!("{target}?at=-1"), &headers, b"", 400),
        ("GET", format!("{target}?at=99999999999999999999"), &headers, b"", 400),
        ("GET", format!("{target}?at=1&at=1"), &headers, b"", 400),
        ("GET", format!("{target}?client_id=x"), &headers, b"", 400),
        ("GET", target.clone(), &headers, b"{}", 400),
        ("PUT", target.clone(), &headers, b"", 405),
        ("POST", target.clone(), &headers, b"{}", 415),
        ("GET", target.clone(), &[("host", HOST)], b"", 401),
        ("GET", target.clone(), &[("host", HOST), ("authorization", "Bearer x")], b"", 401),
        ("GET", target.clone(), &[("host", HOST), ("authorization", "Basic eDp5")], b"", 401),
    ] {
        let (found, told) = service.send(request(method, &target, headers, body));
        assert_eq!(found, status, "{method} {target} {told}");
        assert!(told["error"].is_string() && told["request_id"].is_string(), "{told}");
    }
    let json_type = [("host", HOST), ("content-type", "application/json")];
    for document in ["[]", "{", r#"{"client_id":1}"#, r#"{"id":"x"}"#, r#"{"client_id":"a","client_id":"b"}"#]
    {
        assert_eq!(
            service.send(request("POST", &target, &json_type, document.as_bytes())).0,
            400,
            "{document}"
        );
    }
    assert_eq!(service.store.all().len(), 1, "strangers are counted");
}

#[test]
fn a_signature_over_something_else_is_none_over_the_question() {
    let service = Service::new();
    let id = service.decided(service.world.client.guid, 1);
    let target = format!("{PATH}{id}");
    let moved = |mut request: Request| {
        request.head_mut().path.clone_from(&target);
        request
    };
    for request in [
        moved(tc3("AKIDworld", "/", "sts")),
        moved(acs3("LTAIworld", "/", "/")),
        tc3("AKIDnobody", &target, "sts"),
        tc3("AKIDworld", &target, "soe"),
    ] {
        let (status, told) = service.send(request);
        assert_eq!((status, &told["error"]), (401, &json!("invalid_client")), "{told}");
    }
    let mut both = tc3("AKIDworld", &target, "sts");
    both.head_mut().headers.append("authorization", service.basic().parse().unwrap());
    assert_eq!(service.send(both).0, 400, "two proofs");
}

/// Whether a client or a key exists is not for those who cannot prove it.
#[test]
fn a_stranger_is_told_the_same_of_what_exists_and_what_does_not() {
    let service = Service::new();
    let target = format!("{PATH}{}", service.decided(service.world.client.guid, 1));
    let said = |request: Request| {
        let (status, mut told) = service.send(request);
        assert_eq!(status, 401, "{told}");
        told.as_object_mut().unwrap().remove("request_id");
        told
    };
    let basic = |client: Uuid, secret: &str| {
        let value = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
        said(request("GET", &target, &[("host", HOST), ("authorization", &value)], b""))
    };
    let wrong = basic(service.world.client.guid, "wrong");
    assert_eq!(wrong, basic(Uuid::from_u128(9), "wrong"));
    assert_eq!(wrong["error"], "invalid_client");
    let elsewhere = format!("{PATH}{}", Uuid::from_u128(1));
    let signed = [tc3("AKIDnobody", &target, "sts"), acs3("LTAInobody", &target, &target)].map(said);
    let forged = [acs3("LTAIworld", &elsewhere, &target)].map(said);
    assert_eq!((&signed[0], &signed[1]), (&forged[0], &forged[0]));
}

#[test]
fn nothing_is_told_that_is_the_operators() {
    let mut policy = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/hema/*");
    let mut deny = allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket-of-the-operator/*").statements.remove(0);
    deny.effect = Effect::Deny;
    policy.statements.push(deny);
    let mut record = refusal();
    record.source = Some([10, 1, 2, 3].into());
    record.why = Some("words of an operator".into());
    record.event = serde_json::from_value(json!({
        "event": "grant",
        "credential": "STS.abc",
        "expires": after(START, 900),
        "policy": policy,
        "kid": "kid-of-the-service",
        "origin": Uuid::from_u128(0xabcd_ef01),
        "variables": { "tenant_code": "hema" },
        "asked": { "role": { "named": "store-upload" }, "form": "alibaba", "lifetime": 900, "cut": ["tenant"] },
    }))
    .unwrap();
    let outcome = Outcome::Explained(Some(Box::new(OwnDecision::for_test(record))));
    let response = Explain.render(&Uuid::nil(), outcome);
    let statement = json!({
        "effect": "allow",
        "actions": ["oss:PutObject"],
        "resources": ["acs:oss:*:*:bucket/hema/*"],
        "conditions": [],
    });
    assert_eq!(
        body(&response),
        json!({
            "record": Uuid::from_u128(1),
            "at": "2023-11-14T22:13:20Z",
            "decision": "granted",
            "asked": { "role": { "named": "store-upload" }, "lifetime": 900, "policy": "none" },
            "granted": {
                "credential": "STS.abc",
                "expires": "2023-11-14T22:28:20Z",
                "lifetime": 900,
                "variables": { "tenant_code": "hema" },
                "allows": [statement],
                "denies": 1,
                "cut_by": ["the tenant's boundary"],
            },
        })
    );
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    for hidden in ["operator", "10.1.2.3", "kid-of", "abcdef01"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn every_kind_of_record_is_told() {
    let told = |event: Event| {
        let record = Record { event, ..refusal() };
        let outcome = Outcome::Explained(Some(Box::new(OwnDecision::for_test(record))));
        body(&Explain.render(&Uuid::nil(), outcome))
    };
    let ticket =
        Event::Ticket { ticket: "t1".into(), origin: "https://a".into(), expires: Timestamp::UNIX_EPOCH };
    assert_eq!(told(ticket)["did"], json!({ "action": "ticket.make", "object": "t1" }));
    let alarm = Event::Alarm { reason: "ticket_spent".into(), detail: "twice".into() };
    assert_eq!(told(alarm)["refused"]["reason"], "ticket_spent");
    let change = Event::Change { action: "token.revoke".into(), object: "app 7".into() };
    assert_eq!(told(change)["decision"], "changed");
}
