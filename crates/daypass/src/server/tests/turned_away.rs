//! Who is turned away is told so in the form that he asked for, wherever in the request he said so.

use super::Running;
use daypass_core::directory::Plan;
use daypass_core::parts::Part;
use daypass_core::testing::{ACME, World};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::sleep;

const FORM: &str = "application/x-www-form-urlencoded";

/// A server that has no room for anybody, and what takes it.
async fn full() -> (Running, [Option<Part>; 2]) {
    let server = Running::start().await;
    let plan = Plan { in_flight: Some(2), ..World::new().plan };
    let prepared = server.app.prepare(plan.into()).unwrap();
    server.app.put(prepared).await;
    let taken = [None, Some(ACME)].map(|group| server.app.gate.enter(group, None));
    (server, taken)
}

/// A request whose connection ends with it.
fn post(target: &str, media: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

const JSON: &str = r#"{"error_response":{"code":7,"#;
const XML: &str = "<error_response><code>7</code>";

#[tokio::test]
async fn the_gateway_answers_in_the_format_of_the_form() {
    let (server, _taken) = full().await;
    let multipart = "--x\r\ncontent-disposition: form-data; name=\"format\"\r\n\r\njson\r\n--x--\r\n";
    let large = |size: usize| format!("format=json&method=m&param={}", "x".repeat(size - 27));
    assert_eq!(large(16 * 1024).len(), 16 * 1024);
    for (target, media, body, expected) in [
        ("/router/rest", FORM, "method=m&format=json", JSON),
        ("/router/rest", FORM, "method=m&format=xml", XML),
        ("/router/rest", FORM, "method=m", XML),
        ("/router/rest", FORM, "", XML),
        ("/router/rest?format=json", FORM, "method=m", JSON),
        ("/router/rest?format=json", FORM, "", JSON),
        ("/router/rest", "multipart/form-data; boundary=x", multipart, JSON),
        ("/router/rest", FORM, &large(16 * 1024), JSON),
        // Nobody keeps a larger one for the form of a refusal.
        ("/router/rest", FORM, &large(16 * 1024 + 1), XML),
    ] {
        let answer = server.exchange(&post(target, media, body)).await;
        let seen = answer.starts_with("HTTP/1.1 200") && answer.contains(expected);
        assert!(seen, "{target} {media} {}: {answer}", body.len());
        assert!(answer.contains("accesscontrol.limited-by-api-access-count"), "{answer}");
    }
    server.stop().await;
}

/// Both clouds' older signatures are forms at the same path. ali-oss takes a 200 for a key.
#[tokio::test]
async fn each_clouds_form_is_answered_in_its_own_words() {
    let (server, _taken) = full().await;
    let tencent = "Action=GetFederationToken&Version=2018-08-13&SecretId=AKIDworld";
    let alibaba = "Action=AssumeRole&Version=2015-04-01&AccessKeyId=x";
    let (in_json, in_xml) = (format!("{alibaba}&Format=JSON"), format!("{alibaba}&Format=XML"));
    for (target, body, status, expected) in [
        ("/", tencent, "200", r#"{"Response":{"Error":{"Code":"RequestLimitExceeded""#),
        ("/", &in_json, "503", r#""Code":"ServiceUnavailable""#),
        ("/", &in_xml, "503", "<Code>ServiceUnavailable</Code>"),
        ("/?Version=2015-04-01", "Action=AssumeRole&Format=JSON", "503", r#""Code":"ServiceUnavailable""#),
        ("/", "", "200", r#"{"Response":{"Error":{"Code":"RequestLimitExceeded""#),
    ] {
        let answer = server.exchange(&post(target, FORM, body)).await;
        let seen = answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(expected);
        assert!(seen, "{target} {body}: {answer}");
    }
    server.stop().await;
}

/// One after another on the same connection, which ends only when a body does not come whole.
#[tokio::test]
async fn the_connection_stays_good_unless_the_body_does_not_come() {
    let (server, _taken) = full().await;
    let ask = |end: &str, length: usize| {
        let head = format!("POST /router/rest HTTP/1.1\r\nhost: t\r\ncontent-type: {FORM}\r\n");
        format!("{head}content-length: {length}\r\n\r\nmethod=m&format={end}")
    };
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut answered = String::new();
    for _ in 0..2 {
        stream.write_all(ask("json", 20).as_bytes()).await.unwrap();
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap();
        answered.push_str(std::str::from_utf8(&piece[..n]).unwrap());
    }
    assert!(answered.matches(JSON).count() == 2 && !answered.contains("connection: close"), "{answered}");
    // What is missing might have said another format; so the head alone counts.
    stream.write_all(ask("json", 21).as_bytes()).await.unwrap();
    let mut last = String::new();
    stream.read_to_string(&mut last).await.unwrap();
    assert!(last.contains(XML) && last.contains("connection: close"), "{last}");
    server.stop().await;
}

/// A body that comes in pieces is as good as one that comes at once.
#[tokio::test]
async fn a_form_may_come_in_pieces() {
    let (server, _taken) = full().await;
    let request = post("/router/rest", FORM, "method=m&format=json");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in request.as_bytes().chunks(10) {
        stream.write_all(piece).await.unwrap();
        // Whoever sleeps here may, on a machine that does much else, wake after the body is waited for.
        for _ in 0..20 {
            yield_now().await;
        }
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(JSON), "{answer}");
    server.stop().await;
}

/// A body in chunks has no length by which its end could be told.
#[tokio::test]
async fn a_form_may_come_in_chunks_and_the_connection_stays_good() {
    let (server, _taken) = full().await;
    let head = format!("POST /router/rest HTTP/1.1\r\nhost: t\r\ncontent-type: {FORM}\r\n");
    let ask =
        format!("{head}transfer-encoding: chunked\r\n\r\n8\r\nmethod=m\r\nc\r\n&format=json\r\n0\r\n\r\n");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap();
        let answer = std::str::from_utf8(&piece[..n]).unwrap();
        assert!(answer.contains(JSON) && !answer.contains("connection: close"), "{answer}");
    }
    // What is not all there may yet say something else.
    let begun = format!("{head}transfer-encoding: chunked\r\n\r\n14\r\nmethod=m&format=json\r\n");
    stream.write_all(begun.as_bytes()).await.unwrap();
    let mut last = String::new();
    stream.read_to_string(&mut last).await.unwrap();
    assert!(last.contains(XML) && last.contains("connection: close"), "{last}");
    server.stop().await;
}

/// Attack: where large bodies find no room, what has come of one is thrown away; its end is not the form.
#[tokio::test]
async fn the_end_of_a_large_body_says_nothing() {
    let server = Running::start().await;
    let mut all = server.app.gate.body(server.address.ip());
    while all.push(vec![7; 64 * 1024].into()) {}
    // Just too large: what comes after that would be small enough to be looked at.
    let (begin, end) = (format!("method=m&param={}", "x".repeat(20 * 1024)), "&format=json");
    let length = begin.len() + end.len();
    let head =
        format!("POST /router/rest HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: {FORM}\r\n");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n{begin}").as_bytes()).await.unwrap();
    // Long enough for the beginning to be read alone; if it is not, or if this is too late, the answer is the same.
    sleep(Duration::from_millis(100)).await;
    let _ = stream.write_all(end.as_bytes()).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(XML), "{answer}");
    assert!(answer.contains("accesscontrol.limited-by-api-access-count"), "{answer}");
    drop(all);
    server.stop().await;
}

/// An API that is refused the public keys would refuse good tokens, and a page whose browser may not ask learns nothing.
#[tokio::test]
async fn what_is_public_is_given_all_the_same() {
    let (server, _taken) = full().await;
    let tenant = ACME;
    for path in
        ["/common/discovery/keys".to_owned(), format!("/{tenant}/v2.0/.well-known/openid-configuration")]
    {
        let answer = server.get(&path, "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let asks = "origin: http://127.0.0.1:88\r\naccess-control-request-method: GET\r\n";
    let asked = format!("OPTIONS /getAuthorization HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{asks}\r\n");
    let preflight = server.exchange(&asked).await;
    assert!(preflight.starts_with("HTTP/1.1 204"), "{preflight}");
    for path in [
        "/getAuthorization".to_owned(),
        format!("/{tenant}/oauth2/v2.0/token"),
        // Where this is long it costs more than a refusal.
        format!("/{tenant}/v2.0/revocations"),
        "/00000000-0000-4000-8000-000000000000/v2.0/.well-known/openid-configuration".to_owned(),
    ] {
        let answer = server.get(&path, "").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{path}: {answer}");
    }
    // Nor does a node that hears nothing any more vouch for what it knew.
    server.clock.advance(31_000);
    let deaf = server.get("/common/discovery/keys", "").await;
    assert!(deaf.starts_with("HTTP/1.1 503"), "{deaf}");
    server.stop().await;
}
