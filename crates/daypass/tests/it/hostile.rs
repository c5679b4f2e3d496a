//! What strangers send: each is answered in the envelope of its path, costs nothing, and the next request works.

use crate::process::{Dev, parse};
use daypass_core::limits;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";

/// The server still does its work.
fn assert_alive(dev: &Dev) {
    assert_eq!(dev.send("GET", "/getAuthorization", &[], b"").status, 200);
}

#[test]
fn hostile_heads_are_refused_in_the_envelope_of_their_path() {
    let dev = Dev::start();
    let host = dev.host();
    let long = "a".repeat(limits::QUERY + 1);
    let many: String = (0..limits::HEADERS + 5).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (why, head) in [
        ("a long query", format!("GET /?{long} HTTP/1.1\r\nhost: {host}\r\n")),
        ("too many headers", format!("GET / HTTP/1.1\r\nhost: {host}\r\n{many}")),
        (
            "a large header",
            format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: {}\r\n", "a".repeat(limits::HEADER_BYTES)),
        ),
        ("no host", "GET / HTTP/1.1\r\n".to_owned()),
        ("two hosts", format!("GET / HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n")),
        ("a bad host", "GET / HTTP/1.1\r\nhost: a@b\r\n".to_owned()),
        ("an URL as host", format!("GET / HTTP/1.1\r\nhost: http://{host}\r\n")),
        ("another host in the target", format!("GET http://evil.example/ HTTP/1.1\r\nhost: {host}\r\n")),
    ] {
        let answer = parse(&dev.raw(format!("{head}connection: close\r\n\r\n").as_bytes()));
        assert_eq!(answer.status, 200, "{why}: {answer:?}");
        assert!(answer.json()["Response"]["Error"]["Code"].is_string(), "{why}: {answer:?}");
    }
    assert_alive(&dev);
}

#[test]
fn hostile_paths_reach_no_decoder() {
    let dev = Dev::start();
    for path in
        ["/%2e%2e/x", "/a%00b", "/x/../y", "/nothing", "/getAuthorization/", "//", "/getauthorization"]
    {
        let answer = dev.send("GET", path, &[], b"");
        assert_eq!((answer.status, answer.body.as_str()), (404, r#"{"error":"not_found"}"#), "{path}");
    }
    for path in ["/router/%2e%2e", "/router/rest%00", "/router/../livez"] {
        let answer = dev.send("GET", path, &[], b"");
        assert!(answer.body.contains("<error_response>"), "{path}: {answer:?}");
    }
    let answer = dev.send("GET", &format!("/{TENANT}/oauth2/%2e%2e/token"), &[], b"");
    assert!(answer.status >= 400 && answer.json()["error"].is_string(), "{answer:?}");
    assert_alive(&dev);
}

#[test]
fn methods_that_no_dialect_knows_are_refused() {
    let dev = Dev::start();
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "CONNECTX"] {
        let sts = dev.send(method, "/", &[], b"");
        assert_eq!(sts.json()["Response"]["Error"]["Code"], "UnsupportedProtocol", "{method} {sts:?}");
        let top = dev.send(method, "/router/rest?format=json", &[], b"");
        assert_eq!(top.json()["error_response"]["code"], 9, "{method} {top:?}");
        let entra = dev.send(method, &format!("/{TENANT}/oauth2/v2.0/token"), &[], b"");
        assert!(entra.status >= 400 && entra.json()["error_codes"][0].is_i64(), "{method} {entra:?}");
        let page = dev.send(method, "/getAuthorization", &[], b"");
        assert_eq!(page.status, 405, "{method} {page:?}");
        assert_eq!(dev.send(method, "/livez", &[], b"").status, 405, "{method}");
    }
    assert_alive(&dev);
}

#[test]
fn hostile_bodies_cost_nothing() {
    let dev = Dev::start();
    let deep = format!("{{\"Name\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let announced =
        format!("POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 9000000000000000000\r\n\r\nabc", dev.host());
    let answer = parse(&dev.raw(announced.as_bytes()));
    assert_eq!(answer.json()["Response"]["Error"]["Code"], "RequestSizeLimitExceeded", "{answer:?}");
    for (content_type, body) in [
        ("application/json", deep.as_bytes()),
        ("application/json", br#"{"Name":"a","Name":"b"}"#),
        ("application/json", b"\xff\xfe{"),
        ("application/json", b""),
        ("text/plain", b"x"),
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1"),
        ("application/x-www-form-urlencoded", b"a=%zz&a=%00&a"),
        ("application/xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
    ] {
        for target in
            ["/", "/router/rest", "/router/rest?format=json", &format!("/{TENANT}/oauth2/v2.0/token")]
        {
            let answer = dev.send("POST", target, &[("content-type", content_type)], body);
            let parses = answer.body.contains("<error_response>") || answer.json().is_object();
            assert!(parses && answer.status < 500, "{target} {content_type}: {answer:?}");
        }
    }
    assert_alive(&dev);
}

/// Written as most HTTP libraries do: all of the body first, then a look at the answer. A write that fails is where
/// such a library gives up, and the refusal is never read.
#[test]
fn a_client_that_writes_everything_first_still_reads_its_refusal() {
    let dev = Dev::start();
    let body = vec![b'a'; 6 * 1024 * 1024];
    for path in ["/", "/nothing"] {
        let mut stream = TcpStream::connect(dev.host()).unwrap();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", dev.host(), body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap_or_else(|error| panic!("{path}: cut off while writing: {error}"));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let expected = if path == "/" { "RequestSizeLimitExceeded" } else { "not_found" };
        assert!(answer.contains(expected), "{path}: {answer}");
    }
    assert_alive(&dev);
}

#[test]
fn doubled_and_overlong_parameters_are_refused() {
    let dev = Dev::start();
    let form = |body: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        dev.send("POST", &format!("/{TENANT}/oauth2/v2.0/token"), &headers, body.as_bytes())
    };
    let doubled =
        form("grant_type=client_credentials&grant_type=client_credentials&client_id=a&client_secret=b");
    assert_eq!(
        (doubled.status, doubled.json()["error"].as_str()),
        (400, Some("invalid_request")),
        "{doubled:?}"
    );
    let many: String = (0..500).map(|n| format!("p{n}=1&")).collect();
    assert!(form(&many).status >= 400);
    let top = dev.send("GET", "/router/rest?format=json&method=a&method=b", &[], b"");
    assert!(top.json()["error_response"]["code"].is_number(), "{top:?}");
    assert_alive(&dev);
}

#[test]
fn requests_on_one_connection_are_answered_in_turn() {
    let dev = Dev::start();
    let one = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", dev.host());
    let last = format!("GET /livez HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", dev.host());
    let answers = dev.raw(format!("{one}{one}{last}").as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
}
