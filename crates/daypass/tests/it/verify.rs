//! What an API makes of our tokens: `daypass-verify`, and its example as it stands in the guide, against the running
//! program.

use crate::process::{Answer, Dev, parse};
use daypass_verify::{Rejected, Verifier};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[path = "../../../daypass-verify/examples/axum_api.rs"]
#[expect(dead_code, reason = "its main function is for those who run it as a program")]
mod axum_api;

/// The demo's resources, one for each algorithm.
const AUDIENCES: [&str; 3] = [
    "d6b7c858-55fa-4d04-85a6-131af690abd4",
    "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29",
    "5c9e13d7-42f8-4b6a-8e01-d3a97f5b2c64",
];

fn text<'a>(dev: &'a Dev, name: &str) -> &'a str {
    dev.credentials["entra"][name].as_str().unwrap()
}

fn issuer(dev: &Dev) -> String {
    format!("{}/{}/v2.0", dev.credentials["url"].as_str().unwrap(), text(dev, "tenant"))
}

fn token(dev: &Dev, audience: &str) -> String {
    let scope = format!("{audience}/.default");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", text(dev, "client_id")),
        ("client_secret", text(dev, "client_secret")),
        ("scope", &scope),
    ];
    let answer = dev.post_form(&format!("/{}/oauth2/v2.0/token", text(dev, "tenant")), &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_of_each_algorithm_are_verified_by_the_issuers_name_alone() {
    let (dev, runtime) = (Dev::start(), Runtime::new().unwrap());
    let tokens = AUDIENCES.map(|audience| token(&dev, audience));
    for (audience, token) in AUDIENCES.iter().zip(&tokens) {
        let verifier = Verifier::builder(issuer(&dev)).audience(*audience).require_role("orders.read");
        let verifier =
            verifier.tenant(text(&dev, "tenant")).client(text(&dev, "client_id")).applications_only();
        let verifier = verifier.build().unwrap();
        let claims = runtime.block_on(verifier.verify(token)).unwrap();
        assert_eq!(
            (claims.client(), claims.roles()),
            (Some(text(&dev, "client_id")), &["orders.read".to_owned()][..])
        );
        assert!(claims.id().is_some() && claims.subject().is_some());
        for other in tokens.iter().filter(|other| *other != token) {
            assert_eq!(runtime.block_on(verifier.verify(other)), Err(Rejected::Audience));
        }
    }
}

#[test]
fn tokens_are_verified_while_the_issuer_is_away_and_never_by_another_one() {
    let (dev, other, runtime) = (Dev::start(), Dev::start(), Runtime::new().unwrap());
    let verifier = Verifier::builder(issuer(&dev)).audience(AUDIENCES[0]).build().unwrap();
    let (ours, theirs) = (token(&dev, AUDIENCES[0]), token(&other, AUDIENCES[0]));
    runtime.block_on(verifier.prepare()).unwrap();
    dev.stop();
    assert!(runtime.block_on(verifier.verify(&ours)).is_ok());
    // One tenant and one resource, but another installation with keys of its own.
    assert_eq!(runtime.block_on(verifier.verify(&theirs)), Err(Rejected::UnknownKey));
}

fn serve(runtime: &Runtime, verifier: Verifier) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, axum_api::api(verifier)).await });
    address
}

fn orders(address: SocketAddr, headers: &[String]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(stream, "GET /orders HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parse(&answer)
}

#[test]
fn the_example_of_the_guide_is_an_api() {
    let (dev, runtime) = (Dev::start(), Runtime::new().unwrap());
    let build = || Verifier::builder(issuer(&dev)).audience(AUDIENCES[0]);
    let api = serve(&runtime, build().build().unwrap());
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let good = token(&dev, AUDIENCES[0]);

    let answer = orders(api, &[bearer(&good)]);
    assert_eq!((answer.status, answer.body), (200, format!("orders for {}\n", text(&dev, "client_id"))));

    let said = |headers: &[String]| {
        let answer = orders(api, headers);
        let challenge = answer.head.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
        (answer.status, challenge.unwrap_or_default().split(',').next().unwrap().to_owned())
    };
    assert_eq!(said(&[]), (401, "bearer".to_owned()), "no code where there is no token");
    let invalid = (401, "bearer error=\"invalid_token\"".to_owned());
    assert_eq!(said(&[bearer("garbage")]), invalid);
    assert_eq!(said(&[bearer(&token(&dev, AUDIENCES[1]))]), invalid, "for another audience");
    assert_eq!(said(&[bearer(&format!("{good}A"))]), invalid);
    assert_eq!(said(&[bearer(&good), bearer(&good)]), (400, "bearer error=\"invalid_request\"".to_owned()));

    let stricter = serve(&runtime, build().require_role("orders.write").build().unwrap());
    let answer = orders(stricter, &[bearer(&good)]);
    assert_eq!(answer.status, 403);
    assert!(answer.head.contains("insufficient_scope") && answer.head.contains("orders.write"), "{answer:?}");
}
