//! What each mistake is answered with, and in which order mistakes are found.

use super::{Bench, CLIENT, SECRET, form, form_with, good_form, token_request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::dialect::{Call as _, Claim, Context, Dialect, Outcome};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use daypass_core::testing::{ACME, RESOURCE, START, World, later, request};
use proptest::prelude::*;

/// The GUID of nothing in the test world.
const NOBODY: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn a_refusal_has_all_members_and_headers() {
    let bench = Bench::new();
    let reply = bench.post(&form_with("client_secret", Some("wrong")), &[]);
    insta::assert_snapshot!(reply.whole(), @r#"
    401 Unauthorized
    cache-control: no-store, no-cache
    pragma: no-cache
    expires: -1
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    content-type: application/json; charset=utf-8
    x-ms-request-id: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd

    {"error":"invalid_client","error_description":"AADSTS7000215: The client secret is not right; send the secret itself, not its id. Trace ID: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd Correlation ID: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd Timestamp: 2023-11-14 22:13:20Z","error_codes":[7000215],"timestamp":"2023-11-14 22:13:20Z","trace_id":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd","correlation_id":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd","error_uri":"http://127.0.0.1:5050/error?code=7000215"}
    "#);
    assert_eq!(reply.header("x-ms-request-id"), reply.json["trace_id"]);
}

/// Sends each request and lists what came back, as `status error code` and description.
fn table(cases: Vec<(&str, Request)>) -> String {
    let bench = Bench::new();
    let line = |(name, request)| {
        let reply = bench.send(request);
        assert_well_formed(&reply.text);
        let (status, error, code) = reply.gist();
        let description = reply.json["error_description"].as_str().unwrap();
        let text = description.split(" Trace ID: ").next().unwrap();
        format!("{name}: {status} {error} {code}\n  {text}")
    };
    cases.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn target() -> String {
    format!("/{ACME}/oauth2/v2.0/token")
}

fn post(form: &str) -> Request {
    token_request(&target(), form, &[])
}

#[test]
fn each_mistake_of_form_has_its_answer() {
    let at = |tenant: &str| token_request(&format!("/{tenant}/oauth2/v2.0/token"), &good_form(), &[]);
    let with = |name: &str, value: &str| post(&form_with(name, Some(value)));
    let without = |name: &str| post(&form_with(name, None));
    let no_secret = form_with("client_secret", None);
    let table = table(vec![
        ("unknown tenant", at(NOBODY)),
        ("tenant by domain", at("contoso.partner.onmschina.cn")),
        ("tenant no GUID", at("acme")),
        ("no grant_type", without("grant_type")),
        ("empty grant_type", with("grant_type", "")),
        ("other grant", with("grant_type", "password")),
        ("grant in capitals", with("grant_type", "Client_Credentials")),
        ("grant with a blank", with("grant_type", "client_credentials ")),
        ("no client_id", without("client_id")),
        ("repeated parameter", post(&format!("{}&scope=x", good_form()))),
        ("broken escape", post(&format!("{no_secret}&client_secret=%zz"))),
        ("secret in the URL", token_request(&format!("{}?client_secret=x", target()), &good_form(), &[])),
        ("two proofs", token_request(&target(), &good_form(), &[("authorization", "Basic YTpi")])),
        ("JSON body", request("POST", &target(), &[("content-type", "application/json")], b"{}")),
        ("no body", request("POST", &target(), &[], b"")),
        ("GET", request("GET", &target(), &[], b"")),
        ("v1 token endpoint", token_request(&format!("/{ACME}/oauth2/token"), &good_form(), &[])),
    ]);
    insta::assert_snapshot!(table, @r#"
    unknown tenant: 400 invalid_request 90002
      AADSTS90002: The tenant 11111111-2222-3333-4444-555555555555 was not found; check the tenant in the URL, and that this is the right service.
    tenant by domain: 400 invalid_request 90002
      AADSTS90002: The tenant was not found; tenants are named by their GUID here, not by a domain.
    tenant no GUID: 400 invalid_request 900023
      AADSTS900023: The tenant in the URL is neither a GUID nor a domain name; tenants are named by their GUID here.
    no grant_type: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'grant_type', with a value.
    empty grant_type: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'grant_type', with a value.
    other grant: 400 unsupported_grant_type 70003
      AADSTS70003: The grant types here are client_credentials and token-exchange.
    grant in capitals: 400 unsupported_grant_type 70003
      AADSTS70003: The grant types here are client_credentials and token-exchange.
    grant with a blank: 400 unsupported_grant_type 70003
      AADSTS70003: The grant types here are client_credentials and token-exchange.
    no client_id: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'client_id', with a value.
    repeated parameter: 400 invalid_request 9000411
      AADSTS9000411: The request body contains the parameter 'scope' more than once.
    broken escape: 400 invalid_request 9002313
      AADSTS9002313: The request body is not a valid form; each percent sign must begin a two-digit escape, and the text must be UTF-8.
    secret in the URL: 400 invalid_request 90100
      AADSTS90100: The parameter 'client_secret' stands in the URL, where it may be logged; send it in the body, and replace it.
    two proofs: 400 invalid_request 9002313
      AADSTS9002313: The request authenticates in more than one way; use one of HTTP Basic, client_secret and client_assertion.
    JSON body: 400 invalid_request 9002313
      AADSTS9002313: The body must be a form; send it as Content-Type: application/x-www-form-urlencoded.
    no body: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'grant_type', with a value.
    GET: 400 invalid_request 900561
      AADSTS900561: This endpoint only accepts POST requests.
    v1 token endpoint: 404 invalid_request 90023
      AADSTS90023: There is nothing at this path; tokens are handed out at /{tenant}/oauth2/v2.0/token.
    "#);
}

#[test]
fn each_mistake_of_proof_and_scope_has_its_answer() {
    let with = |name: &str, value: &str| post(&form_with(name, Some(value)));
    let no_secret = form_with("client_secret", None);
    let table = table(vec![
        ("wrong secret", with("client_secret", "wrong")),
        ("no credential", post(&no_secret)),
        ("assertion of no type", post(&format!("{no_secret}&client_assertion=x"))),
        ("unknown client", with("client_id", NOBODY)),
        ("client id no GUID", with("client_id", "app")),
        ("no scope", post(&form_with("scope", None))),
        ("scope not default", with("scope", &format!("{RESOURCE}/orders.read"))),
        ("scope a bare resource", with("scope", RESOURCE)),
        ("two resources", with("scope", &format!("{RESOURCE}/.default api://x/.default"))),
        ("scope malformed", with("scope", "a\"b/.default")),
        ("unknown resource", with("scope", "api://nobody/.default")),
    ]);
    insta::assert_snapshot!(table, @r#"
    wrong secret: 401 invalid_client 7000215
      AADSTS7000215: The client secret is not right; send the secret itself, not its id.
    no credential: 401 invalid_client 7000216
      AADSTS7000216: The request carries no credential; send client_secret or client_assertion in the body, or use HTTP Basic.
    assertion of no type: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'client_assertion_type', with a value.
    unknown client: 400 unauthorized_client 700016
      AADSTS700016: The application was not found in this directory; check client_id and the tenant in the URL.
    client id no GUID: 400 unauthorized_client 700016
      AADSTS700016: The application was not found in this directory; check client_id and the tenant in the URL.
    no scope: 400 invalid_request 900144
      AADSTS900144: The request body must contain the parameter 'scope', with a value.
    scope not default: 400 invalid_scope 1002012
      AADSTS1002012: This grant takes a scope that ends with /.default, and gives all the roles this client has on the resource; ask for d6b7c858-55fa-4d04-85a6-131af690abd4/.default.
    scope a bare resource: 400 invalid_scope 1002012
      AADSTS1002012: This grant takes a scope that ends with /.default, and gives all the roles this client has on the resource; ask for d6b7c858-55fa-4d04-85a6-131af690abd4/.default.
    two resources: 400 invalid_scope 70011
      AADSTS70011: The request names several scopes; ask for one {resource}/.default at a time.
    scope malformed: 400 invalid_scope 70011
      AADSTS70011: The scope holds characters that no scope may have; ask for {resource}/.default.
    unknown resource: 400 invalid_resource 500011
      AADSTS500011: The resource of the scope does not exist here, or this client has no role on it.
    "#);
}

pub(super) fn assert_well_formed(text: &str) {
    /// What the Azure SDK for Rust reads: borrowed texts, which fail at the first escape.
    #[derive(serde::Deserialize)]
    struct Borrowed<'a> {
        error: &'a str,
        error_description: &'a str,
        error_codes: Vec<i32>,
        timestamp: &'a str,
        trace_id: &'a str,
        correlation_id: &'a str,
        error_uri: &'a str,
    }
    let Borrowed { error, error_description, error_codes, timestamp, trace_id, correlation_id, error_uri } =
        serde_json::from_str(text).unwrap();
    let code = error_codes[0];
    assert!(!error.is_empty());
    assert_eq!(timestamp, "2023-11-14 22:13:20Z");
    assert_eq!(error_uri, format!("http://127.0.0.1:5050/error?code={code}"));
    assert!(error_description.starts_with(&format!("AADSTS{code}: ")), "{error_description}");
    assert!(error_description.ends_with(&format!(
        ". Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
    )));
    assert!(error_description.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
}

#[test]
fn state_decides_what_a_right_secret_gets() {
    let mut bench = Bench::new();
    bench.world.keys.last_mut().unwrap().expires = Some(later(1));
    bench.clock.advance(999);
    assert!(bench.post(&good_form(), &[]).result.is_ok());
    bench.clock.advance(1);
    assert_eq!(bench.post(&good_form(), &[]).gist(), (401, "invalid_client", 7_000_222));
    bench.world.keys.last_mut().unwrap().enabled = false;
    assert_eq!(bench.post(&good_form(), &[]).gist(), (401, "invalid_client", 7_000_215));
    let mut bench = Bench::new();
    bench.world.client.enabled = false;
    assert_eq!(bench.post(&good_form(), &[]).gist(), (400, "unauthorized_client", 7_000_112));
    let mut bench = Bench::new();
    bench.world.client.tenant = "other".into();
    assert_eq!(
        bench.post(&good_form(), &[]).gist(),
        (400, "unauthorized_client", 700_016),
        "of another tenant"
    );
    let mut bench = Bench::new();
    bench.world.client.grants.clear();
    assert_eq!(bench.post(&good_form(), &[]).gist(), (400, "invalid_resource", 500_011));
}

#[test]
fn both_live_secrets_work_and_the_whole_of_each_counts() {
    let bench = Bench::new();
    let first = format!("secret of {}", uuid::Uuid::from_u128(0x5ec));
    for secret in [first.as_str(), SECRET] {
        assert!(bench.post(&form_with("client_secret", Some(secret)), &[]).result.is_ok());
        let (cut, longer) = (&secret[..secret.len() - 1], format!("{secret}x"));
        for wrong in [cut, longer.as_str()] {
            assert_eq!(bench.post(&form_with("client_secret", Some(wrong)), &[]).gist().2, 7_000_215);
        }
    }
}

#[test]
fn failed_basic_is_401_with_a_challenge() {
    let body = form(&[("grant_type", "client_credentials"), ("scope", &format!("{RESOURCE}/.default"))]);
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    let bench = Bench::new();
    let cases = [
        (basic(format!("{CLIENT}:wrong")), (401, "invalid_client", 7_000_215)),
        (basic(format!("{ACME}:x")), (401, "unauthorized_client", 700_016)),
        ("Basic ?".to_owned(), (401, "invalid_client", 7_000_215)),
        (basic(format!("{CLIENT}:")), (401, "invalid_client", 7_000_216)),
    ];
    for (header, expected) in cases {
        let reply = bench.post(&body, &[("authorization", &header)]);
        assert_eq!(reply.gist(), expected);
        assert_eq!(reply.header("www-authenticate"), "Basic realm=\"token\", charset=\"UTF-8\"");
        assert_well_formed(&reply.text);
    }
    let good = bench.post(&body, &[("authorization", &basic(format!("{CLIENT}:{SECRET}")))]);
    assert!(good.result.is_ok());
    let by_post = bench.post(&form_with("client_secret", Some("wrong")), &[]);
    assert_eq!(by_post.header("www-authenticate"), "", "no challenge for what was not tried");
}

#[test]
fn mistakes_are_found_in_the_contracts_order() {
    // Every request has all the mistakes that follow its own; the first is the one that is told.
    let bench = Bench::new();
    let send = |tenant: &str, pairs: &[(&str, &str)]| {
        bench.send(token_request(&format!("/{tenant}/oauth2/v2.0/token"), &form(pairs), &[])).gist().2
    };
    let acme = ACME.to_string();
    let bad_scope = ("scope", "x");
    assert_eq!(send(NOBODY, &[("grant_type", "x"), bad_scope]), 90_002, "tenant");
    assert_eq!(send(&acme, &[("grant_type", "x"), bad_scope]), 70_003, "grant type");
    let grant = ("grant_type", "client_credentials");
    assert_eq!(send(&acme, &[grant, ("client_secret", "x"), bad_scope]), 900_144, "client id");
    assert_eq!(
        send(&acme, &[grant, ("client_id", NOBODY), ("client_secret", "x"), bad_scope]),
        700_016,
        "client"
    );
    assert_eq!(
        send(&acme, &[grant, ("client_id", CLIENT), ("client_secret", "x"), bad_scope]),
        7_000_215,
        "secret"
    );
    let right = [grant, ("client_id", CLIENT), ("client_secret", SECRET)];
    assert_eq!(send(&acme, &right), 900_144, "scope is missing");
    assert_eq!(send(&acme, &[&right[..], &[bad_scope]].concat()), 1_002_012, "form of the scope");
    assert_eq!(
        send(&acme, &[&right[..], &[("scope", "x/.default")]].concat()),
        500_011,
        "grant on the resource"
    );
}

/// An unknown client costs the same look-ups and hashes as a wrong secret. The core hashes and compares whatever
/// secrets a claim carries, against a stand-in where there is no client; what is left to this dialect is that its
/// claim is the same for both. So `read` must not ask the directory for the client at all: it is run once against
/// a directory that knows the client and once against one that knows nobody, and must come to the same claim.
#[test]
fn an_unknown_client_reads_like_a_wrong_secret() {
    let world = World::new();
    let known = world.directory();
    let nobody = daypass_core::directory::Directory::new(
        std::sync::Arc::new(world.plan.clone()),
        daypass_core::testing::ring(),
        vec![],
        vec![],
        vec![],
    )
    .unwrap();
    let claim = |directory, form: &str| {
        let request = token_request(&format!("/{ACME}/oauth2/v2.0/token"), form, &[]);
        let mut manner = super::Entra.manner(&request.head);
        let context = Context { directory, now: START };
        let call =
            super::Entra.read(context, request, &mut manner).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        match call.claim() {
            Claim::Secret(presented) => {
                let secrets: Vec<_> =
                    presented.secrets.iter().map(|secret| secret.expose().to_vec()).collect();
                (presented.tenant.name.clone(), presented.client.to_owned(), secrets)
            }
            _ => panic!("another claim"),
        }
    };
    let wrong = form_with("client_secret", Some("wrong"));
    assert_eq!(claim(&known, &wrong), claim(&nobody, &wrong));
    assert_eq!(claim(&known, &wrong).2.len(), claim(&known, &form_with("client_id", Some("nobody"))).2.len());
}

#[test]
fn a_stranger_is_counted_and_a_client_recorded() {
    let bench = Bench::new();
    bench.post(&form_with("client_secret", Some("wrong")), &[]);
    bench.post(&form_with("client_id", Some("nobody")), &[]);
    assert!(bench.store.all().is_empty());
    bench.post(&form_with("scope", Some("x")), &[]);
    let records = bench.store.all();
    assert_eq!(records.len(), 1);
    assert!(!serde_json::to_string(&records).unwrap().contains(SECRET));
}

#[test]
fn a_request_that_never_was_read_is_refused_in_json_too() {
    let head = request("POST", &format!("/{ACME}/oauth2/v2.0/token"), &[], b"").head;
    let manner = super::Entra.manner(&head);
    for (reason, status) in [(Reason::TooLarge, 413), (Reason::TooSlow, 408), (Reason::Internal, 500)] {
        let refusal = Outcome::Refused(Refusal::new(reason, "no"));
        let response = super::Entra.render(&manner, refusal);
        assert_eq!(response.status().as_u16(), status);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert!(body["error_uri"].as_str().unwrap().starts_with("/error?code="));
    }
}

#[test]
fn whoever_guesses_is_told_to_wait_in_json_and_the_right_secret_is_served() {
    let bench = Bench::new();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:wrong")));
    let body = form(&[("grant_type", "client_credentials"), ("scope", &format!("{RESOURCE}/.default"))]);
    // As Go's x/oauth2 does it: ten mistakes are twenty wrong proofs.
    for _ in 0..10 {
        assert_eq!(bench.post(&body, &[("authorization", &basic)]).gist().2, 7_000_215);
        assert_eq!(bench.post(&form_with("client_secret", Some("wrong")), &[]).gist().2, 7_000_215);
    }
    for request in [form_with("client_secret", Some("wrong")), form_with("client_id", Some(NOBODY))] {
        let replies: Vec<_> = (0..21).map(|_| bench.post(&request, &[])).collect();
        let last = replies.last().unwrap();
        assert_eq!(last.gist(), (429, "temporarily_unavailable", 90_055));
        assert_eq!(last.header("retry-after"), "40");
        assert_eq!(last.header("content-type"), "application/json; charset=utf-8");
        assert_well_formed(&last.text);
    }
    assert!(bench.post(&good_form(), &[]).result.is_ok());
}

/// The Azure SDKs wait inside the call for as long as they are told, so that nobody is told to wait for midnight.
#[test]
fn it_is_said_when_to_come_back_if_that_is_soon() {
    let head = request("POST", "/", &[], b"").head;
    let manner = super::Entra.manner(&head);
    for (reason, seconds, expected) in [
        (Reason::RateLimited, Some(7), Some("7")),
        (Reason::RateLimited, Some(60), Some("60")),
        (Reason::RateLimited, Some(61), None),
        (Reason::RateLimited, Some(86_400), None),
        (Reason::RateLimited, None, Some("1")),
        (Reason::Overloaded, Some(3), Some("3")),
        (Reason::Frozen, Some(30), Some("30")),
        (Reason::Unavailable, None, Some("1")),
        (Reason::Unavailable, Some(3600), None),
        (Reason::WrongSecret, Some(7), None),
    ] {
        let refusal = Refusal { retry_after: seconds, ..Refusal::new(reason, "no") };
        let response = super::Entra.render(&manner, Outcome::Refused(refusal));
        let told = response.headers().get("retry-after").map(|told| told.to_str().unwrap());
        assert_eq!(told, expected, "{reason:?} {seconds:?}");
    }
}

proptest! {
    #[test]
    fn read_never_panics(
        method in prop::sample::select(vec!["GET", "POST", "HEAD", "PUT", "OPTIONS"]),
        path in prop_oneof![
            Just(format!("/{ACME}/oauth2/v2.0/token")),
            Just("/common/discovery/instance".to_owned()),
            "(/[a-z0-9.~_-]{0,40}){0,6}",
        ],
        query in "[ -~]{0,60}",
        authorization in prop_oneof![Just(String::new()), "Basic [A-Za-z0-9+/=]{0,30}", "[ -~]{0,30}"],
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(grant_type=client_credentials&|client_id=[a-z%]{0,5}&|client_secret=[a-z%+]{0,5}&|scope=[a-z/.]{0,9}&|client_assertion=[A-Za-z0-9._-]{0,20}&|client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&){0,6}"
                .prop_map(String::into_bytes),
        ],
    ) {
        let world = World::new();
        let directory = world.directory();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", authorization.as_str())];
        let request = request(method, &format!("{path}?{query}"), &headers, &body);
        let context = Context { directory: &directory, now: START };
        let _ = super::Entra.open(context, &request.head);
        let mut manner = super::Entra.manner(&request.head);
        if let Err(refusal) = super::Entra.read(context, request, &mut manner) {
            let response = super::Entra.render(&manner, Outcome::Refused(refusal));
            assert_well_formed(std::str::from_utf8(response.body()).unwrap());
        }
    }
}
