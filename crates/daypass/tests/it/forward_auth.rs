//! A proxy that asks the running program, over a socket, about requests that it got.

use crate::patience::soon;
use crate::process::{Answer, send};
use crate::serve::{Installation, Serve};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
const ORDERS: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
const CONFIG: &str = r#"[server]
listen = "127.0.0.1:0"
[store]
url = "sqlite:daypass.db"
[seal]
key = { file = "seal.key" }
[[tenant]]
name = "main"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "orders-reader"
audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
roles = ["orders.read"]
[[tenant.role]]
name = "orders-writer"
audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
roles = ["orders.write"]
[[forward_auth]]
path = "/v1/forward-auth"
tenant = "main"
proxy = "nginx"
hosts = ["api.example.com"]
rule = [
    { methods = ["GET"], path = "/orders/**", action = "orders.read" },
    { methods = ["POST"], path = "/orders", action = "orders.write" },
]
[[forward_auth]]
path = "/envoy"
tenant = "main"
proxy = "envoy"
hosts = ["api.example.com"]
rule = [{ methods = ["GET"], path = "/orders/**", action = "orders.read" }]
"#;

/// A running `daypass serve` with an API, a client that reads from it, and one that has nothing to do with either.
struct Service {
    installation: Installation,
    serve: Serve,
    api: Value,
    reader: Value,
    other: Value,
}

impl Service {
    fn start() -> Self {
        let installation = Installation::new(CONFIG);
        let add = |name, more: [&str; 2]| {
            installation.add(&[&[name, "--kind", "client-secret"], &more[..]].concat())
        };
        let api = add("orders", ["--audience", ORDERS]);
        let reader = add("reader", ["--role", "orders-reader"]);
        let other = add("other", ["--role", "orders-reader"]);
        let serve = installation.serve();
        Self { installation, serve, api, reader, other }
    }

    fn bearer(&self) -> String {
        let key = &self.reader["keys"][0];
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", key["client_id"].as_str().unwrap())
            .append_pair("client_secret", key["client_secret"].as_str().unwrap())
            .append_pair("scope", &format!("{ORDERS}/.default"))
            .finish();
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let answer =
            send(&self.serve.host, "POST", &format!("/{TENANT}/oauth2/v2.0/token"), &kind, form.as_bytes());
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    }

    /// What nginx is told of a request, where it proves itself as this client.
    fn asked(&self, api: &Value, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
        let api = basic(api);
        let own = [
            ("x-daypass-api", &*api),
            ("x-original-method", method),
            ("x-original-host", "api.example.com"),
            ("x-original-uri", uri),
        ];
        send(&self.serve.host, "GET", "/v1/forward-auth", &[&own, headers].concat(), b"")
    }

    fn nginx(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> u16 {
        self.asked(&self.api, method, uri, headers).status
    }
}

fn basic(added: &Value) -> String {
    let text = |name: &str| added["keys"][0][name].as_str().unwrap();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))))
}

#[test]
fn a_proxy_is_told_who_may_pass() {
    let service = Service::start();
    let token = service.bearer();
    let with = [("authorization", &*token)];
    let passed = service.asked(&service.api, "GET", "/orders/7?x=1", &with);
    assert_eq!((passed.status, &*passed.body), (200, ""), "{passed:?}");
    let client = format!("x-daypass-client: {}", service.reader["client"]["id"].as_str().unwrap());
    for line in
        [&*client, "x-daypass-roles: orders.read", "x-daypass-tenant: main", "cache-control: no-store"]
    {
        assert!(passed.head.contains(line), "{line} is not in {passed:?}");
    }
    let unknown = service.asked(&service.api, "GET", "/orders/7", &[]);
    assert_eq!(unknown.status, 401);
    assert!(unknown.head.contains("www-authenticate: bearer\r\n"), "{unknown:?}");
    assert_eq!(service.nginx("GET", "/orders/7", &[("authorization", "Bearer made-up")]), 401);
    assert_eq!(service.nginx("POST", "/orders", &with), 403, "it lacks the app role");
    assert_eq!(service.nginx("DELETE", "/orders/7", &with), 403, "no rule is about that method");
    assert_eq!(service.nginx("GET", "/internal", &with), 403, "nor that path");
}

/// On the bytes of a real connection: what hyper makes of them is part of it.
#[test]
fn ways_around_end_at_the_socket() {
    let service = Service::start();
    let token = service.bearer();
    let with = |more: &[(&'static str, &'static str)]| {
        let own = [("authorization", &*token)];
        own.iter().chain(more).copied().collect::<Vec<_>>()
    };
    for uri in [
        "/orders/../internal",
        "/orders/%2e%2e/internal",
        "//orders/7",
        "/orders/7;x=1",
        "/orders%2f7",
        "/orders/7%00",
        "/orders/7#x",
        "/orders/7?_method=DELETE",
        "/orders/7?a=1;_method=DELETE",
        "/orders/7?.method=DELETE",
        "http://api.example.com/orders/7",
        "/orders/\u{ff0e}\u{ff0e}/internal",
    ] {
        assert_eq!(service.nginx("GET", uri, &with(&[])), 403, "{uri}");
    }
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/internal"),
        ("X-Daypass-Client", "somebody"),
        ("X_Daypass_Client", "somebody"),
        ("X.Daypass.Client", "somebody"),
        ("x-original-uri", "/orders/8"),
        ("upgrade", "h2c"),
    ] {
        assert_eq!(service.nginx("GET", "/orders/7", &with(&[(name, value)])), 403, "{name}: {value}");
    }
    assert_eq!(service.nginx("GET", "/orders/7", &with(&[("x-forwarded-uri", "/internal")])), 200);
    let envoy = |target: &str| {
        let api = basic(&service.api);
        let headers = [("host", "api.example.com"), ("x-daypass-api", &*api), ("authorization", &*token)];
        send(&service.serve.host, "GET", target, &headers, b"").status
    };
    assert_eq!(envoy("/envoy/orders/7"), 200);
    for target in ["/envoy/orders/../internal", "/envoy/internal", "/envoy//orders/7", "/envoy/orders/7%2f"] {
        assert_eq!(envoy(target), 403, "{target}");
    }
    for target in ["/envoy", "/envoyorders/7"] {
        assert_eq!(envoy(target), 404, "{target} is no question of Envoy's");
    }
}

/// A proxy that does not prove itself, or not as the API, is told nothing of the token, and lets nobody in.
#[test]
fn who_asks_must_be_the_api() {
    let service = Service::start();
    let token = service.bearer();
    let with = [("authorization", &*token)];
    for api in [&service.reader, &service.other] {
        let told = service.asked(api, "GET", "/orders/7", &with);
        assert_eq!((told.status, told.json()["error"].as_str().unwrap()), (500, "server_error"), "{told:?}");
    }
    let mut wrong = service.api.clone();
    wrong["keys"][0]["client_secret"] = "wrong".into();
    assert_eq!(service.asked(&wrong, "GET", "/orders/7", &with).status, 500);
    let naked = [
        ("x-original-method", "GET"),
        ("x-original-host", "api.example.com"),
        ("x-original-uri", "/orders/7"),
    ];
    let naked = [&naked[..], &with].concat();
    assert_eq!(send(&service.serve.host, "GET", "/v1/forward-auth", &naked, b"").status, 500);
}

#[test]
fn what_is_taken_back_passes_no_more_and_neither_does_a_disabled_api() {
    let service = Service::start();
    let token = service.bearer();
    let with = [("authorization", &*token)];
    assert_eq!(service.nginx("GET", "/orders/7", &with), 200);
    let until = |status: u16| {
        soon("another answer", || service.nginx("GET", "/orders/7", &with) == status);
        true
    };
    let cli = |args: &[&str]| {
        let output = service.installation.cli(args);
        assert!(output.status.success(), "{output:?}");
    };
    cli(&["revoke", "--client", "reader"]);
    assert!(until(401), "the token counts no more");
    cli(&["client", "disable", "orders"]);
    assert!(until(500), "the proxy's own client is disabled");
}
