use super::*;
use crate::testing::hostile::{Act, Hostile, Reply};
use http::HeaderName;
use std::io::Write as _;

const MOST: usize = 1_000;

fn http(hostile: &Hostile) -> Http {
    Http::new(hostile.authority().map_or(Trust::Nobody, Trust::Only)).unwrap()
}

/// Longer than an answer takes on any machine that does other things as well.
const PATIENCE: Duration = Duration::from_mins(1);

async fn ask(hostile: &Hostile, headers: Vec<(HeaderName, HeaderValue)>) -> Result<Answer, Fault> {
    ask_within(PATIENCE, hostile, headers).await
}

async fn ask_within(
    limit: Duration,
    hostile: &Hostile,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> Result<Answer, Fault> {
    let address = Address::parse(&hostile.url("/asked?with=a-query")).unwrap();
    let ask = Ask { address: &address, body: None, headers, accept: JSON, limit, most: MOST };
    http(hostile).ask(ask).await
}

async fn told(act: Act) -> Result<Answer, Fault> {
    ask(&Hostile::plain(act).await, vec![]).await
}

fn json(body: &str) -> Reply {
    Reply::json(body)
}

#[tokio::test]
async fn a_question_says_no_more_than_it_must() {
    let hostile = Hostile::plain(Act::Answer(json("{}"))).await;
    let header = (HeaderName::from_static("cookie"), HeaderValue::from_static("sid=1"));
    assert_eq!(ask(&hostile, vec![header]).await.unwrap().document.as_slice(), b"{}");
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/asked?with=a-query"));
    assert_eq!(asked.header("accept"), "application/json");
    assert_eq!(asked.header("accept-encoding"), "identity");
    assert_eq!(asked.header("user-agent"), "daypass");
    assert_eq!(asked.header("cookie"), "sid=1");
    let names: Vec<_> = asked.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 5, "and the host: {names:?}");
}

#[tokio::test]
async fn a_document_is_posted_as_it_is() {
    let hostile = Hostile::plain(Act::Answer(json("{}"))).await;
    let address = Address::parse(&hostile.url("/")).unwrap();
    let body: Option<(&'static str, &[u8])> = Some(("application/json", b"{\"a\": 1}"));
    let ask = Ask { address: &address, body, headers: vec![], accept: JSON, limit: PATIENCE, most: MOST };
    assert!(http(&hostile).ask(ask).await.is_ok());
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.text()), ("POST", "{\"a\": 1}"));
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(asked.header("host"), hostile.url("").trim_start_matches("http://"));
}

#[tokio::test]
async fn other_statuses_are_answers_and_no_redirect_is_followed() {
    let elsewhere = Hostile::plain(Act::Answer(json("{}"))).await;
    for status in [201, 301, 302, 303, 307, 308, 401, 403, 404, 429, 500, 503] {
        let reply = json("{\"a\":1}").status(status).header("location", &elsewhere.url("/elsewhere"));
        let hostile = Hostile::plain(Act::Answer(reply)).await;
        let answer = ask(&hostile, vec![]).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.document.as_slice()), (status, &b"{\"a\":1}"[..]));
        assert_eq!(hostile.connections(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn of_a_refusal_only_a_small_document_of_the_right_type_is_kept() {
    let large = "x".repeat(MOST + 1);
    for reply in [json("{}").header("content-type", "text/html"), json(&large), json("{").announcing(9)] {
        let answer = told(Act::Answer(reply.status(503))).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.document.len()), (503, 0));
    }
}

#[tokio::test]
async fn no_more_is_read_than_the_limit_announced_or_not() {
    let full = "x".repeat(MOST);
    let over = "x".repeat(MOST + 1);
    for framed in [|reply: Reply| reply, Reply::chunked, Reply::to_the_end] {
        let answer = told(Act::Answer(framed(json(&full)))).await.unwrap();
        assert_eq!(answer.document.len(), MOST);
        let fault = told(Act::Answer(framed(json(&over)))).await.unwrap_err();
        assert_eq!(fault, Fault::new(FaultKind::TooLarge, "the answer is larger than 1000 bytes"));
    }
    let endless = Act::Endless(json("").to_the_end(), vec![b'x'; 64 * 1024]);
    assert_eq!(told(endless).await.unwrap_err().kind, FaultKind::TooLarge);
}

/// Attack: ten kilobytes that unpack to ten megabytes.
#[tokio::test]
async fn what_is_packed_is_not_unpacked() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 10 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 11_000, "{}", bomb.len());
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let reply = Reply::json(bomb.clone()).header("content-encoding", encoding);
        let fault = told(Act::Answer(reply)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge, "{encoding}");
        assert_eq!(fault.why, format!("the answer is packed ({encoding}), which was not asked for"));
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_late() {
    let late = Fault::new(FaultKind::Late, "no answer within 300 ms");
    let drip = Act::Drip(json("{}"), Duration::from_millis(20));
    for act in [Act::Hang, Act::HangAfter(json("{}"), 10), Act::HangAfter(json("{}"), 70), drip] {
        let hostile = Hostile::plain(act).await;
        assert_eq!(ask_within(Duration::from_millis(300), &hostile, vec![]).await.unwrap_err(), late);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_the_address() {
    let gone = Hostile::plain(Act::Hang).await;
    gone.leave().await;
    let html = json("<html>").header("content-type", "text/html");
    let chunks = |text: &str| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        Act::Raw(format!("{head}{text}").into_bytes())
    };
    for (hostile, kind, beginning) in [
        (gone, FaultKind::Unreached, "no connection: "),
        (Hostile::plain(Act::Raw(b"SSH-2.0-x\r\n".to_vec())).await, FaultKind::Broken, "no answer in HTTP: "),
        (Hostile::plain(Act::Reset).await, FaultKind::Broken, "no answer in HTTP: "),
        (Hostile::plain(Act::HangUp).await, FaultKind::Broken, "no answer in HTTP: "),
        (
            Hostile::plain(Act::Answer(json("{").announcing(9))).await,
            FaultKind::Broken,
            "the answer broke off: ",
        ),
        (Hostile::plain(chunks("2\r\n{}\r\n")).await, FaultKind::Broken, "the answer broke off: "),
        (Hostile::plain(chunks("zz\r\n{}\r\n0\r\n\r\n")).await, FaultKind::Broken, "the answer broke off: "),
        (
            Hostile::plain(chunks("fffffffffffffffff\r\n{}")).await,
            FaultKind::Broken,
            "the answer broke off: ",
        ),
        (Hostile::plain(chunks("-2\r\n{}\r\n0\r\n\r\n")).await, FaultKind::Broken, "the answer broke off: "),
        (Hostile::plain(Act::Answer(html)).await, FaultKind::WrongType, "the content type of the answer"),
    ] {
        let fault = ask(&hostile, vec![]).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault:?}");
        assert!(fault.why.starts_with(beginning), "{fault:?}");
        assert!(!fault.why.contains("a-query") && !fault.why.contains("asked"), "{fault:?}");
    }
}

/// A chunk that is a little strange is still a chunk; two ways of saying where a document ends are none.
#[tokio::test]
async fn two_ends_of_one_document_are_not_believed() {
    let both = json("2\r\n{}\r\n0\r\n\r\n").header("transfer-encoding", "chunked");
    match told(Act::Answer(both)).await {
        Ok(answer) => {
            assert_eq!(answer.document.as_slice(), b"{}", "chunks are the later word (RFC 9112, 6.3)");
        }
        Err(fault) => assert_eq!(fault.kind, FaultKind::Broken),
    }
}

#[tokio::test]
async fn tls_is_believed_where_our_authority_signed_and_nowhere_else() {
    let hostile = Hostile::tls(Act::Answer(json("{}"))).await;
    assert_eq!(ask(&hostile, vec![]).await.unwrap().document.as_slice(), b"{}");
    for act in [Act::Stranger, Act::OtherName, Act::Expired, Act::NoTls(json("{}"))] {
        hostile.does(act.clone());
        let fault = ask(&hostile, vec![]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Tls, "{act:?} {fault:?}");
        assert!(fault.why.starts_with("no TLS: "), "{fault:?}");
    }
    assert_eq!(hostile.asked().len(), 1, "nothing was said before the other side had proved itself");
    let address = Address::parse(&hostile.url("/")).unwrap();
    hostile.does(Act::Answer(json("{}")));
    let ask =
        |headers| Ask { address: &address, body: None, headers, accept: JSON, limit: PATIENCE, most: MOST };
    let fault = Http::new(Trust::System).unwrap().ask(ask(vec![])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Tls, "an authority of ours is none of the system's");
    let fault = Http::new(Trust::Nobody).unwrap().ask(ask(vec![])).await.unwrap_err();
    assert_eq!(fault, Fault::new(FaultKind::Refused, "an https address that was not foreseen"));
}

#[test]
fn certificates_that_are_none_are_refused() {
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Http::new(Trust::Only(pem)).is_err(), "{pem}");
    }
}

#[tokio::test]
async fn a_name_on_this_machine_is_this_machine() {
    let hostile = Hostile::plain(Act::Answer(json("{}"))).await;
    let address = Address::parse(&hostile.url("/").replace("127.0.0.1", "localhost")).unwrap();
    let limit = PATIENCE;
    let ask = Ask { address: &address, body: None, headers: vec![], accept: JSON, limit, most: MOST };
    assert!(http(&hostile).ask(ask).await.is_ok());
}

/// The address that the child of the next test asks.
const ADDRESS: &str = "DAYPASS_TEST_ADDRESS";

/// Attack: whoever can set a variable of the environment reads along. The test runs itself once more, in a process
/// whose variables name a proxy, because they cannot be set in this one.
#[tokio::test]
async fn a_proxy_that_the_environment_names_is_not_asked() {
    #[expect(clippy::disallowed_methods, reason = "the child of this test is told the address here")]
    let told = std::env::var(ADDRESS);
    if let Ok(address) = told {
        let address = Address::parse(&address).unwrap();
        let limit = PATIENCE;
        let ask = Ask { address: &address, body: None, headers: vec![], accept: JSON, limit, most: MOST };
        assert_eq!(Http::new(Trust::Nobody).unwrap().ask(ask).await.unwrap().status, 200);
        return;
    }
    let proxy = Hostile::plain(Act::Answer(json("{}").status(502))).await;
    let hostile = Hostile::plain(Act::Answer(json("{}"))).await;
    let name = "http::tests::a_proxy_that_the_environment_names_is_not_asked";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name]).env(ADDRESS, hostile.url("/"));
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(variable, proxy.url(""));
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((hostile.asked().len(), proxy.connections()), (1, 0));
}
