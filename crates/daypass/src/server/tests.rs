//! End to end on a loopback port, with a fixed clock and seeded randomness: the bytes that a client gets.

mod balancers;
mod mutual_tls;
mod peers;
mod revocation;
mod tls;
mod turned_away;

use super::connection::{AGE, HEAD_TIMEOUT, OVERTIME};
use super::{CONNECTIONS, Door, Proxies, Server, Tls};
use crate::app::{Ambient, App, Opened, Settings};
use daypass_core::client::Key;
use daypass_core::directory::Plan;
use daypass_core::limits;
use daypass_core::record::Record;
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{self, FixedClock, MemoryStore, START, SeededEntropy, World};
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

struct Running {
    address: SocketAddr,
    /// The address of the listener that asks for certificates.
    asking: Option<SocketAddr>,
    app: Arc<App>,
    server: Arc<Server>,
    slots: Arc<Semaphore>,
    clock: Arc<FixedClock>,
    store: Arc<MemoryStore>,
    stop: Option<oneshot::Sender<()>>,
    done: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(tls: Option<Arc<Tls>>) -> Self {
        Self::start_behind(tls, None, Proxies::default()).await
    }

    /// With a second listener, if there is TLS for it, and behind these proxies.
    async fn start_behind(tls: Option<Arc<Tls>>, asking: Option<Arc<Tls>>, proxies: Proxies) -> Self {
        let (world, store) = (World::new(), Arc::new(MemoryStore::new()));
        let mut changes =
            vec![Change::PutClient(world.client.clone()), Change::PutRing(testing::ring_rows())];
        changes.extend(world.keys.iter().cloned().map(Change::PutKey));
        store.change(changes, Record::change(Uuid::nil(), START, None, "test.begin", "world")).await.unwrap();
        let clock = Arc::new(FixedClock::new(START));
        let ambient = Ambient { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(1)) };
        let opened = Opened::for_test(store.clone(), testing::ring(), testing::kek());
        let app = App::build(opened, Settings { proxies, ..world.plan.into() }, ambient).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(app.clone());
        let slots = server.slots.clone();
        let mut doors = vec![Door::new(listener, tls)];
        let mut second = None;
        if asking.is_some() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            second = Some(listener.local_addr().unwrap());
            doors.push(Door::new(listener, asking));
        }
        let done = tokio::spawn(server.clone().run(doors, async { _ = stopped.await }));
        Self { address, asking: second, app, server, slots, clock, store, stop: Some(stop), done }
    }

    /// Sends these bytes and reads the answer to the end, without the date that hyper takes from the wall clock.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that has read enough of a request may answer and hang up before it is all sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let lines: Vec<_> = answer.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
        lines.join("\n")
    }

    async fn get(&self, target: &str, headers: &str) -> String {
        self.exchange(&format!("GET {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n"))
            .await
    }

    async fn federation_token(&self, body: &str) -> String {
        self.exchange(&Self::signed(body)).await
    }

    fn signed(body: &str) -> String {
        let key = ClientKey { id: "AKIDworld", secret: b"secret of AKIDworld", token: None };
        let request = Outgoing {
            method: "POST",
            host: "t",
            query: "",
            body: body.as_bytes(),
            unsigned_payload: false,
            action: "GetFederationToken",
            region: "",
            at: START,
        };
        let headers = sign_request(&key, &request);
        let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let length = body.len();
        let head = format!("POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n");
        format!("{head}{body}")
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.done.await.unwrap();
    }
}

const ASK: &str = r#"{"Name":"soe","Policy":"{\"version\":\"2.0\",\"statement\":{\"effect\":\"allow\",\"action\":[\"soe:TransmitOralProcessWithInit\"],\"resource\":\"*\"}}"}"#;

#[tokio::test]
async fn the_browser_endpoint_answers_these_bytes() {
    let server = Running::start().await;
    let answer = server.get("/getAuthorization", "origin: http://127.0.0.1:88\r\n").await;
    insta::assert_snapshot!("get_authorization", answer);
    let again = Running::start().await;
    assert_eq!(
        again.get("/getAuthorization", "origin: http://127.0.0.1:88\r\n").await,
        answer,
        "a seeded run repeats"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_retry_over_the_wire_gets_the_identical_credential() {
    let server = Running::start().await;
    let credential =
        |answer: &str| answer.split_once("\"Credentials\"").unwrap().1.split_once('}').unwrap().0.to_owned();
    let first = server.federation_token(ASK).await;
    server.clock.advance(4_000);
    let second = server.federation_token(ASK).await;
    assert_eq!(credential(&first), credential(&second));
    server.clock.advance(4_000);
    let late = server.federation_token(ASK).await;
    assert!(late.contains("\"Error\"") && !late.contains("Credentials"), "{late}");
    server.stop().await;
}

#[tokio::test]
async fn a_store_that_is_down_is_told_in_every_dialect() {
    let server = Running::start().await;
    server.store.go_down();
    let page = server.get("/getAuthorization", "").await;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("retry-after: 1"), "{page}");
    let sts = server.federation_token(ASK).await;
    assert!(sts.starts_with("HTTP/1.1 200") && sts.contains("\"Error\""), "{sts}");
    server.store.come_back();
    assert!(server.get("/getAuthorization", "").await.contains("TmpSecretId"));
    let sts = server.federation_token(ASK).await;
    assert!(sts.contains("TmpSecretId"), "the refused request was not used up: {sts}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_revoked_while_a_body_arrives_is_refused() {
    let server = Running::start().await;
    let request = Running::signed(ASK);
    let (before, rest) = request.split_at(request.len() - 1);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(before.as_bytes()).await.unwrap();
    turns().await;
    let mut world = World::new();
    world.keys.clear();
    server.app.put_directory(world.directory());
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("AuthFailure.SecretIdNotFound"), "{answer}");
    server.stop().await;
}

/// What comes while a body arrives is another configuration: the request is one of the configuration that it began with,
/// and what is revoked meanwhile counts for it all the same.
#[tokio::test]
async fn a_request_is_answered_by_the_configuration_that_it_began_with() {
    let server = Running::start().await;
    let begin = async |request: &str| {
        let (before, rest) = request.split_at(request.len() - 1);
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(before.as_bytes()).await.unwrap();
        turns().await;
        (stream, rest.to_owned())
    };
    let end = async |(mut stream, rest): (TcpStream, String)| {
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (one, other) = (begin(&Running::signed(ASK)).await, begin(&Running::signed(ASK)).await);
    let plan = Plan { roles: vec![], endpoints: vec![], ..World::new().plan };
    let prepared = server.app.prepare(plan.into()).unwrap();
    server.app.put(prepared).await;
    let answer = end(one).await;
    assert!(answer.contains("TmpSecretId"), "{answer}");
    let later = server.federation_token(ASK).await;
    assert!(!later.contains("TmpSecretId"), "there is no such role any more: {later}");
    let key = World::new().keys.into_iter().find(|key| key.id == "AKIDworld").unwrap();
    let gone = Change::PutKey(Key { enabled: false, ..key });
    let record = Record::change(Uuid::from_u128(7), START, None, "test.disable", "AKIDworld");
    server.store.change(vec![gone], record).await.unwrap();
    server.app.hear().await.unwrap();
    let answer = end(other).await;
    assert!(answer.contains("AuthFailure.SecretId"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_does_not_hear_the_store_vouches_for_nothing() {
    let server = Running::start().await;
    // Nothing follows the store in these tests, so time alone makes the node deaf.
    server.clock.advance(30_000);
    assert!(server.get("/getAuthorization", "").await.contains("TmpSecretId"));
    server.clock.advance(1_000);
    let page = server.get("/getAuthorization", "").await;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("ServiceUnavailable"), "{page}");
    assert!(server.get("/readyz", "").await.starts_with("HTTP/1.1 503"));
    assert!(server.get("/livez", "").await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn while_it_drains_it_answers_and_says_that_the_connection_ends() {
    let server = Running::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 1024];
    let n = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..n].starts_with(b"HTTP/1.1 200"));
    let stopping = tokio::spawn(server.stop());
    hear().await;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_body_that_announces_no_length_is_limited_too() {
    let server = Running::start().await;
    let head = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    let chunks = |n: usize| format!("{head}{}0\r\n\r\n", chunk.repeat(n));
    assert_eq!(limits::BODY % 0x8000, 0);
    let fits = chunks(limits::BODY / 0x8000).replacen("host: t", "host: t\r\nconnection: close", 1);
    assert!(!server.exchange(&fits).await.contains("bytes"), "it is refused for another reason");
    let answer = server.exchange(&chunks(limits::BODY / 0x8000 + 1)).await;
    assert!(answer.contains("the body is larger than") && answer.contains("connection: close"), "{answer}");
    server.stop().await;
}

/// Lets everything go on that can go on. A test and its server share one thread, which takes up at each turn whatever has arrived until
/// then: so turns are what counts, and not the time, of which a busy machine may take any.
async fn turns() {
    for _ in 0..50 {
        sleep(Duration::from_millis(2)).await;
    }
}

/// Lets everybody hear what was said in this process, while no time passes: a server that stops takes requests for half a second.
async fn hear() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes tokio's timers believe that this time has passed; the clock of requests does not move.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_old_connection_is_told_that_its_answer_was_the_last() {
    let server = Running::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut last = String::new();
    for n in 0.. {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let mut buffer = vec![0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        last = String::from_utf8_lossy(&buffer[..read]).into_owned();
        if last.contains("connection: close") {
            break;
        }
        assert!(last.starts_with("HTTP/1.1 200") && AGE > n * HEAD_TIMEOUT / 2, "{n}: {last}");
        pass(HEAD_TIMEOUT / 2).await;
    }
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_cut() {
    let server = Running::start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nhost: t\r\n\r\n";
    let full = timeout(Duration::from_secs(2), stream.write_all(&request.repeat(200_000))).await;
    assert!(full.is_err(), "neither side takes any more");
    let standing = || CONNECTIONS - server.slots.available_permits();
    let before = standing();
    pass(AGE + OVERTIME).await;
    turns().await;
    assert_eq!(standing(), before - 1);
    server.stop().await;
}
