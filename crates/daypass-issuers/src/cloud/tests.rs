//! What every cloud must get right, as one table: each fault of a hostile upstream, what it is, and that nothing but the
//! next question is needed to recover from it.

mod cases;
mod mutations;
pub(crate) mod round;

use super::*;
use crate::fault::FaultKind;
use crate::testing::hostile::{Act, Hostile, Reply};
use daypass_core::testing::START;
use std::io::Write as _;
use std::time::Duration;

pub(crate) use cases::*;

/// Milliseconds that an upstream may take where the test waits for it to be late.
const SHORT: u32 = 250;

const ONCE: [u8; 16] = [7; 16];

/// Ten kilobytes that unpack to ten megabytes.
fn bomb() -> Vec<u8> {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 10 << 20]).unwrap();
    bomb.finish().unwrap()
}

fn chunks(text: &str) -> Act {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    Act::Raw(format!("{head}{text}").into_bytes())
}

/// Faults of the way and of its far end, which are the same for every cloud.
fn faults(good: &Reply, elsewhere: &str) -> Vec<(&'static str, Act, FaultKind)> {
    let status = |status: u16| Act::Answer(good.clone().status(status));
    let json = |body: &str| Act::Answer(Reply::json(body));
    let html =
        |status: u16| Act::Answer(Reply::json("<html>").status(status).header("content-type", "text/html"));
    let away = |status: u16| Act::Answer(good.clone().status(status).header("location", elsewhere));
    let packed = Reply::json(bomb()).header("content-encoding", "gzip");
    vec![
        ("the connection is reset", Act::Reset, FaultKind::Broken),
        ("it hangs up", Act::HangUp, FaultKind::Broken),
        ("it speaks another protocol", Act::Raw(b"SSH-2.0-x\r\n".to_vec()), FaultKind::Broken),
        ("the answer breaks off", Act::Answer(good.clone().announcing(60_000)), FaultKind::Broken),
        ("a chunk has no end", chunks("2\r\n{}\r\n"), FaultKind::Broken),
        ("a chunk has no length", chunks("zz\r\n{}\r\n0\r\n\r\n"), FaultKind::Broken),
        ("a chunk is longer than numbers are", chunks("fffffffffffffffff\r\n{}"), FaultKind::Broken),
        ("301", away(301), FaultKind::Redirect),
        ("302", away(302), FaultKind::Redirect),
        ("303", away(303), FaultKind::Redirect),
        ("307", away(307), FaultKind::Redirect),
        ("308", away(308), FaultKind::Redirect),
        ("200 with an empty document", json(""), FaultKind::Garbage),
        ("200 with no JSON", json("<<<"), FaultKind::Garbage),
        ("200 with half a document", json(r#"{"Response":{"#), FaultKind::Garbage),
        ("200 with an empty object", json("{}"), FaultKind::Garbage),
        ("200 with a list", json("[]"), FaultKind::Garbage),
        ("200 with one member twice", json(r#"{"a":1,"a":2}"#), FaultKind::Garbage),
        ("200 with deep nesting", json(&"[".repeat(5_000)), FaultKind::Garbage),
        ("200 with a page for people", html(200), FaultKind::WrongType),
        ("204", status(204), FaultKind::Garbage),
        ("206", status(206), FaultKind::Garbage),
        ("401 with a page for people", html(401), FaultKind::KeyRefused),
        ("404 with a page for people", html(404), FaultKind::Refused),
        ("429", Act::Answer(good.clone().status(429).header("retry-after", "7")), FaultKind::Busy),
        ("429 with a page for people", html(429), FaultKind::Busy),
        ("500", status(500), FaultKind::Down),
        ("502 with a page for people", html(502), FaultKind::Down),
        ("503", status(503), FaultKind::Down),
        ("a large document", json(&format!("\"{}\"", "x".repeat(70_000))), FaultKind::TooLarge),
        (
            "a document that says that it is large",
            Act::Answer(good.clone().announcing(u64::MAX / 4)),
            FaultKind::TooLarge,
        ),
        (
            "a document without end",
            Act::Endless(Reply::json("").to_the_end(), vec![b' '; 65_536]),
            FaultKind::TooLarge,
        ),
        ("a small document that unpacks to a large one", Act::Answer(packed), FaultKind::TooLarge),
    ]
}

/// Faults that are only told by waiting.
fn slow(good: &Reply) -> Vec<(&'static str, Act, FaultKind)> {
    vec![
        ("it says nothing", Act::Hang, FaultKind::Late),
        ("it stops within the head", Act::HangAfter(good.clone(), 20), FaultKind::Late),
        ("it stops within the document", Act::HangAfter(good.clone(), 120), FaultKind::Late),
        ("it says one byte at a time", Act::Drip(good.clone(), Duration::from_millis(10)), FaultKind::Late),
    ]
}

async fn ask(cloud: &dyn Cloud, wanted: &Wanted, key: &RootKey) -> Result<Fetched, Fault> {
    cloud.fetch(wanted, key, START, ONCE).await
}

/// Runs the table for a cloud. After every fault the same cloud is asked again and must give what it has.
async fn survives(case: Case) {
    let name = case.name;
    let elsewhere = Hostile::plain(Act::Answer(case.good.clone())).await;
    let hostile = Hostile::plain(Act::Answer(case.good.clone())).await;
    let cloud = case.build(&hostile, 10_000);
    let wanted = (case.wanted)(&*cloud);
    let mut own = case.faults.clone();
    own.extend(faults(&case.good, &elsewhere.url("/")));
    for (what, act, kind) in own {
        hostile.does(act);
        let before = hostile.connections();
        let Err(fault) = ask(&*cloud, &wanted, &case.key).await else { panic!("{name}: {what} passed") };
        assert_eq!(fault.kind, kind, "{name}: {what}: {fault:?}");
        assert_eq!(
            hostile.connections(),
            before + 1,
            "{name}: {what}: one question, and none again by itself"
        );
        assert_eq!(fault.retry_after, (what == "429").then_some(7), "{name}: {what}");
        assert_silent(&case, &fault);
        hostile.does(Act::Answer(case.good.clone()));
        let fetched = ask(&*cloud, &wanted, &case.key).await;
        assert!(fetched.is_ok(), "{name}: after that {what}: {:?}", fetched.err());
    }
    hostile.leave().await;
    let fault = ask(&*cloud, &wanted, &case.key).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Unreached, "{name}: {fault:?}");
    hostile.come_back().await;
    assert!(ask(&*cloud, &wanted, &case.key).await.is_ok(), "{name}: it is back");
    assert_eq!(elsewhere.connections(), 0, "{name}: a request went to where nobody had sent it");
    stays_in_time(&case).await;
    believes_no_stranger(&case).await;
}

async fn stays_in_time(case: &Case) {
    let hostile = Hostile::plain(Act::Hang).await;
    let cloud = case.build(&hostile, SHORT);
    let wanted = (case.wanted)(&*cloud);
    for (what, act, kind) in slow(&case.good) {
        hostile.does(act);
        let fault = ask(&*cloud, &wanted, &case.key).await.err().unwrap();
        assert_eq!(fault.kind, kind, "{}: {what}: {fault:?}", case.name);
    }
}

async fn believes_no_stranger(case: &Case) {
    let hostile = Hostile::tls(Act::Hang).await;
    let cloud = case.build(&hostile, 10_000);
    let wanted = (case.wanted)(&*cloud);
    for act in [Act::Stranger, Act::OtherName, Act::Expired, Act::NoTls(case.good.clone())] {
        hostile.does(act.clone());
        let fault = ask(&*cloud, &wanted, &case.key).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::Tls, "{}: {act:?}: {fault:?}", case.name);
    }
    assert_eq!(hostile.asked().len(), 0, "{}: nothing is said to a stranger", case.name);
    hostile.does(Act::Answer(case.good.clone()));
    assert!(ask(&*cloud, &wanted, &case.key).await.is_ok(), "{}", case.name);
}

/// What goes to the log holds neither the secret nor any part of the credential.
fn assert_silent(case: &Case, fault: &Fault) {
    let text = format!("{fault:?}");
    for hidden in ["root-secret", "cloud-secret", "cloud-token"] {
        assert!(!text.contains(hidden), "{}: {text}", case.name);
    }
}

#[tokio::test]
async fn tencent_survives_every_fault() {
    survives(tencent()).await;
}

#[tokio::test]
async fn alibaba_survives_every_fault() {
    survives(alibaba()).await;
}

#[tokio::test]
async fn a_gateway_survives_every_fault() {
    survives(top()).await;
}

#[tokio::test]
async fn entra_survives_every_fault() {
    survives(entra()).await;
}

#[tokio::test]
async fn a_token_endpoint_survives_every_fault() {
    survives(oauth()).await;
}

#[test]
fn an_address_that_cannot_be_asked_safely_is_refused_before_anything_is_asked() {
    for case in [tencent(), alibaba(), top(), entra(), oauth()] {
        for url in [
            "http://sts.example.com/",
            "https://user:pw@sts.example.com/",
            "ftp://127.0.0.1/",
            "sts.example.com",
        ] {
            let bad = build(&upstream(case.cloud.clone(), url, None, 1_000)).err();
            assert_eq!(bad.map(|bad| bad.issuer).as_deref(), Some("up"), "{}: {url}", case.name);
        }
        let bad =
            build(&upstream(case.cloud.clone(), "https://sts.example.com/", Some("no certificate"), 1_000));
        assert!(bad.is_err(), "{}", case.name);
    }
    for case in [tencent(), alibaba(), entra()] {
        for url in ["https://sts.example.com/api", "https://sts.example.com/?a=b"] {
            assert!(build(&upstream(case.cloud.clone(), url, None, 1_000)).is_err(), "{}: {url}", case.name);
        }
    }
}
