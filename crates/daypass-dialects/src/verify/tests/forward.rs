//! What reverse proxies are told.

mod around;

use super::*;
use crate::verify::forward::{Forward, IDENTITY};
use daypass_core::forward::{ForwardAuth, Proxy, Rule, Shows};
use daypass_core::request::Response;
use daypass_core::verification::Wanted;
use proptest::prelude::*;

const PATH: &str = "/v1/forward-auth";
const NAME: &str = "api.example.com";

fn rule(methods: &[&str], path: &str, action: &str) -> Rule {
    Rule {
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        pattern: path.parse().unwrap(),
        wanted: Wanted { action: action.into(), resource: "*".into() },
    }
}

fn gate(proxy: Proxy) -> ForwardAuth {
    let rules = vec![
        rule(&["GET"], "/orders/**", "orders.read"),
        rule(&["GET"], "/orders", "orders.read"),
        rule(&["POST"], "/orders", "orders.write"),
        rule(&["GET", "DELETE"], "/orders/admin", "orders.admin"),
    ];
    ForwardAuth::new((PATH.into(), "acme".into()), proxy, Shows::AccessToken, vec![NAME.into()], rules)
        .unwrap()
}

/// The gate for the web socket of a speech evaluation.
fn soe_gate(proxy: Proxy) -> ForwardAuth {
    let rules = vec![rule(&["GET"], "/soe/api/*", "soe:TransmitOralProcessWithInit")];
    let hosts = vec![HOST.split(':').next().unwrap().to_owned()];
    ForwardAuth::new((PATH.into(), "acme".into()), proxy, Shows::SoeSignature, hosts, rules).unwrap()
}

/// A request as its sender made it.
#[derive(Clone)]
struct Sent<'a> {
    method: &'a str,
    host: &'a str,
    uri: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Sent<'a> {
    fn get(uri: &'a str, headers: &[(&'a str, &'a str)]) -> Self {
        Self { method: "GET", host: NAME, uri, headers: headers.to_vec() }
    }
}

fn api() -> String {
    format!("Basic {}", STANDARD.encode(format!("{API}:secret of {API_KEY}")))
}

/// The question that this proxy asks about a request, with its own headers in place of any of the same name.
fn asked(proxy: Proxy, sent: &Sent<'_>) -> Request {
    let secret = api();
    let names = match proxy {
        Proxy::Nginx => ["x-original-method", "x-original-host", "x-original-uri"],
        Proxy::Caddy | Proxy::Traefik => ["x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"],
        Proxy::Envoy => [""; 3],
    };
    let mut headers: Vec<_> = sent
        .headers
        .iter()
        .copied()
        .filter(|(name, _)| !names.contains(name) && *name != "x-daypass-api")
        .collect();
    headers.push(("x-daypass-api", &secret));
    if proxy == Proxy::Envoy {
        headers.push(("host", sent.host));
        return request(sent.method, &format!("{PATH}{}", sent.uri), &headers, b"");
    }
    headers.extend(names.into_iter().zip([sent.method, sent.host, sent.uri]));
    headers.push(("host", "127.0.0.1:5050"));
    request("GET", PATH, &headers, b"")
}

impl Service {
    fn answer(&self, gate: &ForwardAuth, request: Request) -> Response {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = self.world.directory();
        let dialect = Forward::new(Arc::new(gate.clone()));
        let response = runtime.block_on(self.pipeline.answer(&dialect, &directory, request)).response;
        assert_eq!(response.headers()["cache-control"], "no-store");
        let through = response.status() == 200;
        for name in IDENTITY {
            let values: Vec<_> = response.headers().get_all(name).iter().collect();
            assert_eq!(values.len(), usize::from(through), "{name}");
            assert!(values.iter().all(|value| !value.is_empty()), "{name}");
        }
        response
    }

    /// The status that this proxy gets for a request.
    fn status(&self, proxy: Proxy, sent: &Sent<'_>) -> u16 {
        self.answer(&gate(proxy), asked(proxy, sent)).status().as_u16()
    }
}

fn bearer(service: &Service) -> String {
    format!("Bearer {}", access_token(&service.world, RESOURCE))
}

#[test]
fn a_good_token_is_let_through_with_who_it_is() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        let sent = Sent::get("/orders/7?x=1", &[("authorization", &token)]);
        let response = service.answer(&gate(proxy), asked(proxy, &sent));
        assert_eq!(response.status(), 200, "{proxy:?}");
        assert!(response.body().is_empty());
        let headers = response.headers();
        assert_eq!(headers["x-daypass-client"], service.world.client.guid.to_string());
        assert_eq!(headers["x-daypass-tenant"], "acme");
        assert_eq!(
            (&headers["x-daypass-roles"], &headers["x-daypass-kind"]),
            (&"orders.read".parse().unwrap(), &"access_token".parse().unwrap())
        );
        assert_eq!(headers["x-daypass-expires"], (START.as_second() + 1800).to_string());
        assert_eq!(
            (&headers["x-daypass-session"], &headers["x-daypass-scheme"]),
            (&"-".parse().unwrap(), &"bearer".parse().unwrap())
        );
    }
}

#[test]
fn without_a_good_token_it_is_401_and_without_the_right_403() {
    let service = Service::new();
    let (token, other) = (
        bearer(&service),
        format!("Bearer {}", access_token(&service.world, "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29")),
    );
    let challenge = |sent: &Sent<'_>| {
        let response = service.answer(&gate(Proxy::Caddy), asked(Proxy::Caddy, sent));
        let value =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), value.unwrap_or_default())
    };
    let invalid = (401, "Bearer error=\"invalid_token\"".to_owned());
    assert_eq!(
        challenge(&Sent::get("/orders", &[])),
        (401, "Bearer".into()),
        "no code for who shows nothing"
    );
    assert_eq!(challenge(&Sent::get("/orders", &[("authorization", "")])), (401, "Bearer".into()));
    assert_eq!(challenge(&Sent::get("/orders", &[("authorization", "Basic YTpi")])), (401, "Bearer".into()));
    for value in
        ["Bearer x", "Bearer ", "Bearer", "Bearer a b", "bearer\u{a0}x", &other, &token.to_uppercase()]
    {
        assert_eq!(challenge(&Sent::get("/orders", &[("authorization", value)])).0, 401, "{value}");
    }
    assert_eq!(challenge(&Sent::get("/orders", &[("authorization", &other)])), invalid);
    assert_eq!(
        challenge(&Sent::get("/orders", &[("authorization", &token), ("authorization", &token)])).0,
        401
    );
    let admin = Sent::get("/orders/admin", &[("authorization", &token)]);
    assert_eq!(challenge(&admin), (403, "Bearer error=\"insufficient_scope\"".into()));
    let write = Sent { method: "POST", ..Sent::get("/orders", &[("authorization", &token)]) };
    assert_eq!(challenge(&write).0, 403);
    service.clock.advance(1_801_000);
    assert_eq!(challenge(&Sent::get("/orders", &[("authorization", &token)])), invalid);
}

#[test]
fn a_token_in_the_address_is_no_proof() {
    let service = Service::new();
    let uri = format!("/orders?access_token={}", access_token(&service.world, RESOURCE));
    for proxy in Proxy::ALL {
        assert_eq!(service.status(proxy, &Sent::get(&uri, &[])), 401, "{proxy:?}");
    }
}

#[test]
fn the_proxy_proves_whose_it_is_or_is_told_nothing() {
    let service = Service::new();
    let token = bearer(&service);
    let good = asked(Proxy::Nginx, &Sent::get("/orders/7", &[("authorization", &token)]));
    let bad = asked(Proxy::Nginx, &Sent::get("/orders/../x", &[]));
    let wrong = format!("Basic {}", STANDARD.encode(format!("{API}:wrong")));
    let unknown = format!("Basic {}", STANDARD.encode(format!("{}:x", Uuid::from_u128(9))));
    let no_api =
        format!("Basic {}", STANDARD.encode(format!("{}:secret of {APP_KEY}", service.world.client.guid)));
    let (same, own) = (api(), bearer(&service));
    for values in [
        &[][..],
        &[""],
        &["Basic"],
        &["Basic ?"],
        &[&wrong],
        &[&unknown],
        &[&same, &same],
        &[&own],
        &["Basic YQ=="],
    ] {
        let answers = [&good, &bad].map(|request| {
            let mut request = request.clone();
            request.head_mut().headers.remove("x-daypass-api");
            for value in values {
                request.head_mut().headers.append("x-daypass-api", value.parse().unwrap());
            }
            let response = service.answer(&gate(Proxy::Nginx), request);
            (response.status().as_u16(), response.body().clone())
        });
        assert_eq!((answers[0].0, answers[1].0), (500, 500), "{values:?}");
        assert!(
            !String::from_utf8_lossy(&answers[0].1).contains("client"),
            "nothing of it is for whoever sent the request"
        );
    }
    // In Authorization it would be the request's proof.
    let mut moved = good.clone();
    let secret = moved.head_mut().headers.remove("x-daypass-api").unwrap();
    moved.head_mut().headers.insert("authorization", secret);
    assert_eq!(service.answer(&gate(Proxy::Nginx), moved).status(), 500);
    // Another client is the API of nothing: that is the proxy's fault, and not its sender's.
    let mut other = good;
    other.head_mut().headers.insert("x-daypass-api", no_api.parse().unwrap());
    assert_eq!(service.answer(&gate(Proxy::Nginx), other).status(), 500);
}

#[test]
fn an_api_of_another_tenant_is_unknown_here() {
    let service = Service::of(&[RESOURCE], "other");
    let token = bearer(&service);
    assert_eq!(service.status(Proxy::Caddy, &Sent::get("/orders/7", &[("authorization", &token)])), 500);
}

#[test]
fn the_address_of_a_web_socket_is_a_proof_where_that_is_expected() {
    let service = Service::new();
    let signed = signed(Scheme::Soe, &usual(&service.world, Scheme::Soe), START);
    let uri = format!("{}?{}", signed.head.path, signed.head.query);
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        let status =
            |gate: &ForwardAuth, sent: &Sent<'_>| service.answer(gate, asked(proxy, sent)).status().as_u16();
        let sent = Sent { host: HOST, ..Sent::get(&uri, &[]) };
        let response = service.answer(&soe_gate(proxy), asked(proxy, &sent));
        assert_eq!(response.status(), 200, "{proxy:?} {:?}", response.body());
        assert_eq!(
            (&response.headers()["x-daypass-role"], &response.headers()["x-daypass-session"]),
            (&"soe".parse().unwrap(), &"ann".parse().unwrap())
        );
        let other = format!("{uri}&x=1");
        assert_eq!(
            status(&soe_gate(proxy), &Sent { uri: &other, ..sent.clone() }),
            401,
            "the query is signed"
        );
        let host = Sent { host: "soe.example.com:1", ..sent.clone() };
        assert_eq!(status(&soe_gate(proxy), &host), 401, "and so is the host");
        let moved = uri.replace("1250000000", "1250000001");
        assert_eq!(status(&soe_gate(proxy), &Sent { uri: &moved, ..sent.clone() }), 401, "and the path");
        let two = Sent { headers: vec![("authorization", &token)], ..sent.clone() };
        assert_eq!(status(&soe_gate(proxy), &two), 401, "two proofs are none");
        assert_eq!(
            status(
                &soe_gate(proxy),
                &Sent { host: HOST, ..Sent::get("/soe/api/1", &[("authorization", &token)]) }
            ),
            401
        );
    }
}

#[test]
fn a_token_that_is_bound_to_a_key_comes_with_a_proof_for_this_request() {
    let service = Service::new();
    let algorithm = Algorithm::Es256;
    let token = bound::of_key(&service, algorithm);
    let dpop = format!("DPoP {token}");
    for proxy in Proxy::ALL {
        let status = |host, authorization: &str, changes: Value| {
            let proof = bound::proof(algorithm, &token, &changes);
            let headers = vec![("authorization", authorization), ("dpop", &*proof)];
            service.status(proxy, &Sent { host, headers, ..Sent::get("/orders/7?x=1", &[]) })
        };
        assert_eq!(status(NAME, &dpop, json!({})), 200, "{proxy:?}");
        let other = json!({"htu": "https://other.example.com/orders/7"});
        assert_eq!(status(NAME, &dpop, other), 401, "{proxy:?}: a proof for another API");
        assert_eq!(status(NAME, &dpop, json!({"htu": "https://api.example.com/orders/8"})), 401);
        assert_eq!(status(NAME, &dpop, json!({"htm": "POST"})), 401);
        assert_eq!(
            status("other.example.com", &dpop, json!({"htu": "https://other.example.com/orders/7"})),
            403
        );
        assert_eq!(status(NAME, &format!("Bearer {token}"), json!({})), 401, "{proxy:?}: without its proof");
    }
}

#[test]
fn what_was_taken_back_is_not_let_through() {
    let mut service = Service::new();
    let token = bearer(&service);
    let sent = |service: &Service| {
        service.status(Proxy::Traefik, &Sent::get("/orders/7", &[("authorization", &token)]))
    };
    assert_eq!(sent(&service), 200);
    service.world.client.enabled = false;
    assert_eq!(sent(&service), 401);
}

#[test]
fn questions_and_odd_requests_are_not_recorded() {
    let service = Service::new();
    let token = bearer(&service);
    for uri in ["/orders/7", "/orders/../x", "/internal", "/orders/admin"] {
        service.status(Proxy::Nginx, &Sent::get(uri, &[("authorization", &token)]));
        service.status(Proxy::Nginx, &Sent::get(uri, &[]));
    }
    assert_eq!(service.store.all().len(), 0, "nobody fills the disk by asking for what is not there");
}

proptest! {
    /// Nothing is let through without the proof, whatever stands in the request; and nothing panics.
    #[test]
    fn whatever_is_sent_without_a_proof_is_refused(
        proxy in prop::sample::select(Proxy::ALL.to_vec()),
        uri in "/[ -~]{0,40}",
        name in "[a-z][a-z_-]{0,20}",
        value in "[ -~]{0,40}",
    ) {
        let service = Service::new();
        let uri = uri.replace(['?', '#', ' '], "");
        prop_assume!(format!("{PATH}{uri}").parse::<http::Uri>().is_ok());
        let sent = Sent::get(&uri, &[(&name, &value)]);
        prop_assert_ne!(service.status(proxy, &sent), 200);
    }
}
