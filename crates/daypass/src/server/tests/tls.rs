//! The same server over TLS: both versions of HTTP, a new certificate under way, and peers that do not behave.

mod certificates;

use super::*;
use crate::config::Pair;
use crate::config::fixture::{Authority, Made, now};
use crate::server::connection::{HANDSHAKE, STREAMS};
use crate::server::{DRAIN, GRACE};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server and those who trust it.
struct Secure {
    running: Running,
    client: Client,
}

#[derive(Clone)]
struct Client {
    address: SocketAddr,
    roots: Arc<RootCertStore>,
}

fn pair(made: &Made) -> Pair {
    Pair::made(made.certificate.as_bytes(), made.key.as_bytes(), now()).unwrap()
}

fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    Arc::new(roots)
}

impl Secure {
    async fn start() -> Self {
        let authority = Authority::new();
        let tls = Tls::new(&pair(&authority.sign(&["localhost"], -1, 90))).unwrap();
        Self::start_with(&authority, Arc::new(tls)).await
    }

    async fn start_with(authority: &Authority, tls: Arc<Tls>) -> Self {
        let running = Running::start_with(Some(tls)).await;
        let client = Client { address: running.address, roots: roots(authority) };
        Self { running, client }
    }

    fn standing(&self) -> usize {
        // One permit is held while the next connection is waited for.
        CONNECTIONS - self.running.slots.available_permits() - 1
    }

    async fn is_alive(&self) {
        let mut client = self.client.http2().await;
        assert_eq!(get(&mut client, "/livez").await.unwrap().status(), 200);
    }
}

impl Client {
    fn config(&self, alpn: &[&[u8]]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    async fn connect(&self, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    async fn http2<B>(&self) -> http2::SendRequest<B>
    where
        B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
    {
        let stream = self.connect(self.config(&[b"h2"])).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = self.connect(self.config(&[b"http/1.1"])).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// The number of the certificate that a new connection is shown.
    async fn shown(&self) -> Vec<u8> {
        let stream = self.connect(self.config(&[b"h2"])).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

type Sender = http2::SendRequest<Full<Bytes>>;

async fn get(sender: &mut Sender, target: &str) -> hyper::Result<Response<Bytes>> {
    send(sender, request(Method::GET, target, &[], "")).await
}

async fn send(sender: &mut Sender, request: Request<Full<Bytes>>) -> hyper::Result<Response<Bytes>> {
    sender.ready().await?;
    whole(sender.send_request(request).await?).await
}

async fn whole(answer: Response<hyper::body::Incoming>) -> hyper::Result<Response<Bytes>> {
    let (parts, body) = answer.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}

fn request(method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("https://t{target}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).unwrap()
}

fn json(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn signed(body: &str) -> Request<Full<Bytes>> {
    let key = ClientKey { id: "AKIDworld", secret: b"secret of AKIDworld", token: None };
    let outgoing = Outgoing {
        method: "POST",
        host: "t",
        query: "",
        body: body.as_bytes(),
        unsigned_payload: false,
        action: "GetFederationToken",
        region: "",
        at: START,
    };
    let mut signed = request(Method::POST, "/", &[], body);
    for (name, value) in sign_request(&key, &outgoing) {
        // HTTP/2 names the host elsewhere, and the signature over it must hold all the same.
        if !name.eq_ignore_ascii_case("host") {
            signed.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
    }
    signed
}

#[tokio::test]
async fn both_versions_of_http_are_agreed_on() {
    let server = Secure::start().await;
    for (offered, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1", b"h2"], Some(b"h2")),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = server.client.connect(server.client.config(offered)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected);
    }
    assert!(server.client.connect(server.client.config(&[b"smtp"])).await.is_err());
    let old = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12]);
    let old = old.with_root_certificates(server.client.roots.clone()).with_no_client_auth();
    assert!(server.client.connect(old).await.is_ok());

    let mut two = server.client.http2().await;
    assert_eq!(get(&mut two, "/livez").await.unwrap().version(), Version::HTTP_2);
    let mut one = server.client.http1().await;
    let plain = Request::get("/livez").header("host", "t").body(Full::default()).unwrap();
    assert_eq!(whole(one.send_request(plain).await.unwrap()).await.unwrap().version(), Version::HTTP_11);
    server.running.stop().await;
}

#[tokio::test]
async fn every_dialect_answers_over_http2() {
    let server = Secure::start().await;
    let mut client = server.client.http2().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];

    let page = request(Method::GET, "/getAuthorization", &[("origin", "http://127.0.0.1:88")], "");
    let page = send(&mut client, page).await.unwrap();
    assert!(page.status() == 200 && json(&page)["Credentials"]["TmpSecretId"].is_string(), "{page:?}");
    assert_eq!(page.headers()["access-control-allow-origin"], "http://127.0.0.1:88");

    let sts = send(&mut client, signed(ASK)).await.unwrap();
    assert!(json(&sts)["Response"]["Credentials"]["TmpSecretId"].is_string(), "{sts:?}");

    let top = request(Method::POST, "/router/rest", &form, "format=json&method=x");
    assert!(json(&send(&mut client, top).await.unwrap())["error_response"]["code"].is_i64());

    let sts = request(Method::POST, "/", &[("x-acs-action", "GetCallerIdentity")], "");
    let sts = send(&mut client, sts).await.unwrap();
    let text = String::from_utf8_lossy(sts.body());
    assert!(sts.status().is_client_error() && text.contains("RequestId"), "{sts:?}");

    let token = request(Method::POST, "/acme/oauth2/v2.0/token", &form, "grant_type=client_credentials");
    let token = send(&mut client, token).await.unwrap();
    assert!(token.status().is_client_error() && json(&token)["error"].is_string(), "{token:?}");
    server.running.stop().await;
}

#[tokio::test]
async fn what_is_too_much_is_refused_in_the_dialects_envelope_over_http2() {
    let server = Secure::start().await;
    let mut client = server.client.http2().await;
    let (long, large) = ("a".repeat(limits::QUERY + 1), "a".repeat(limits::HEADER_BYTES));
    let mut many = request(Method::GET, "/", &[], "");
    for n in 0..=limits::HEADERS {
        many.headers_mut()
            .insert(http::HeaderName::try_from(format!("x-{n}")).unwrap(), "1".parse().unwrap());
    }
    for (why, request) in [
        ("a long query", request(Method::GET, &format!("/?{long}"), &[], "")),
        ("a large header", request(Method::GET, "/", &[("x", &large)], "")),
        ("many headers", many),
        ("two hosts", request(Method::GET, "/", &[("host", "other")], "")),
        ("a large body", request(Method::POST, "/", &[], &"a".repeat(limits::BODY + 1))),
    ] {
        let answer = send(&mut client, request).await.unwrap();
        assert_eq!(answer.status(), 200, "{why}");
        assert!(json(&answer)["Response"]["Error"]["Code"].is_string(), "{why}: {answer:?}");
        assert!(!answer.headers().contains_key("connection"), "{why}");
    }
    // What no dialect would look at is refused by hyper, and the connection goes on.
    let both = request(Method::GET, &format!("/?{long}"), &[("x", &large), ("y", &large)], "");
    match send(&mut client, both).await {
        Ok(answer) => assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        // The client holds to what the server announced, and sends nothing.
        Err(error) => assert!(error.is_user() || !error.is_closed(), "{error:?}"),
    }
    server.is_alive().await;
    server.running.stop().await;
}

#[tokio::test]
async fn requests_of_one_connection_run_side_by_side() {
    let server = Secure::start().await;
    let client: Sender = server.client.http2().await;
    let asks = (0..u32::min(STREAMS, 50)).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { get(&mut client, "/getAuthorization").await.unwrap() })
    });
    let mut ids = std::collections::HashSet::new();
    for ask in asks.collect::<Vec<_>>() {
        assert!(ids.insert(json(&ask.await.unwrap())["Credentials"]["TmpSecretId"].to_string()));
    }
    assert_eq!(server.standing(), 1);
    server.running.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_to_an_end_is_cut() {
    let server = Secure::start().await;
    let mut silent = TcpStream::connect(server.client.address).await.unwrap();
    let mut halted = TcpStream::connect(server.client.address).await.unwrap();
    // The beginning of a ClientHello's record, and no more.
    halted.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).await.unwrap();
    turns().await;
    assert_eq!(server.standing(), 2);
    pass(HANDSHAKE).await;
    for stream in [&mut silent, &mut halted] {
        let read = timeout(PATIENCE, stream.read(&mut [0; 64])).await.expect("it is cut");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    turns().await;
    assert_eq!(server.standing(), 0);
    server.is_alive().await;
    server.running.stop().await;
}

#[tokio::test]
async fn what_is_no_client_hello_is_cut_off_at_once() {
    let server = Secure::start().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nhost: t\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\xff\xff",
        &[0; 512],
        b"\x80\x2e\x01\x00\x02\x00\x15",
    ] {
        let mut stream = TcpStream::connect(server.client.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is cut");
        assert!(read.is_err() || !answer.starts_with(b"HTTP/"), "{answer:?}");
    }
    turns().await;
    assert_eq!(server.standing(), 0);
    server.is_alive().await;
    server.running.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_was_sent_and_then_says_go_away() {
    let server = Secure::start().await;
    let mut client: http2::SendRequest<Channel<Bytes>> = server.client.http2().await;
    let (mut body, channel) = Channel::new(1);
    let (parts, text) = signed(ASK).into_parts();
    let text = text.collect().await.unwrap().to_bytes();
    let answer = client.send_request(Request::from_parts(parts, channel));
    let answer = tokio::spawn(answer);
    body.send_data(text.slice(..10)).await.unwrap();
    turns().await;
    let before = tokio::time::Instant::now();
    let stopping = tokio::spawn(server.running.stop());
    // Past the time in which new connections are still taken: the server has said that it goes.
    sleep(GRACE).await;
    turns().await;
    assert!(!answer.is_finished() && !stopping.is_finished(), "it waits for what was sent");
    let late = Request::get("https://t/livez").body(Channel::new(1).1).unwrap();
    assert!(
        client.ready().await.is_err() || client.send_request(late).await.is_err(),
        "it takes nothing new"
    );
    body.send_data(text.slice(10..)).await.unwrap();
    drop(body);
    let answer = whole(answer.await.unwrap().unwrap()).await.unwrap();
    assert!(json(&answer)["Response"]["Credentials"]["Token"].is_string(), "{answer:?}");
    timeout(PATIENCE, stopping).await.expect("the last answer ends it").unwrap();
    assert!(before.elapsed() < DRAIN);
}

#[tokio::test]
async fn requests_that_race_with_a_stop_are_answered_or_never_taken() {
    let server = Secure::start().await;
    let (client, stopped) = (server.client.clone(), Arc::new(AtomicBool::new(false)));
    let asking = tokio::spawn({
        let stopped = stopped.clone();
        async move {
            let mut answered = 0;
            let mut sender: Sender = client.http2().await;
            while !stopped.load(Ordering::Relaxed) {
                match get(&mut sender, "/getAuthorization").await {
                    Ok(answer) => assert_eq!(answer.status(), 200),
                    // After GOAWAY the client knows that this was not processed, and may ask elsewhere.
                    Err(error) => {
                        assert!(error.is_canceled() || error.is_closed() || refused(&error), "{error:?}");
                        return answered;
                    }
                }
                answered += 1;
            }
            answered
        }
    });
    turns().await;
    server.running.stop().await;
    stopped.store(true, Ordering::Relaxed);
    assert!(asking.await.unwrap() > 0);
}

/// Whether the peer said that it goes, and that this request was none of those that it still answers.
fn refused(error: &hyper::Error) -> bool {
    format!("{error:?}").contains("GoAway") || format!("{error:?}").contains("REFUSED_STREAM")
}

#[tokio::test]
async fn a_connection_of_http2_that_rests_is_told_to_go() {
    let server = Secure::start().await;
    let mut client = server.client.http2().await;
    assert_eq!(get(&mut client, "/livez").await.unwrap().status(), 200);
    pass(HEAD_TIMEOUT / 2).await;
    assert_eq!(get(&mut client, "/livez").await.unwrap().status(), 200, "half of the time is no rest");
    for _ in 0..4 {
        pass(HEAD_TIMEOUT / 2).await;
        turns().await;
    }
    assert!(get(&mut client, "/livez").await.is_err());
    turns().await;
    assert_eq!(server.standing(), 0);
    server.running.stop().await;
}

#[tokio::test]
async fn a_connection_that_shakes_hands_and_says_nothing_is_cut() {
    let server = Secure::start().await;
    let (two, one) = (server.client.config(&[b"h2"]), server.client.config(&[b"http/1.1"]));
    let mut silent = [server.client.connect(two).await.unwrap(), server.client.connect(one).await.unwrap()];
    turns().await;
    assert_eq!(server.standing(), 2);
    for _ in 0..3 {
        pass(HEAD_TIMEOUT / 2).await;
        turns().await;
    }
    for stream in &mut silent {
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "it is cut");
    }
    turns().await;
    assert_eq!(server.standing(), 0);
    server.running.stop().await;
}

/// Attack ("rapid reset"): each request is taken back as soon as it is sent, so that no bound on those that run holds.
#[tokio::test]
async fn requests_that_are_taken_back_at_once_cost_little_and_hurt_nobody() {
    let server = Secure::start().await;
    let mut client: Sender = server.client.http2().await;
    let mut sent = 0;
    while sent < 5_000 && client.ready().await.is_ok() {
        drop(client.send_request(request(Method::GET, "/getAuthorization", &[], "")));
        sent += 1;
    }
    assert!(sent > 0);
    server.is_alive().await;
    server.running.stop().await;
}
