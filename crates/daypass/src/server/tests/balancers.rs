//! Balancers in front that pass TCP on: whose a connection is then, and what becomes of those that do not say it as they should.

use super::mutual_tls::client;
use super::peers::{Line, own, pinned, register, thumbprint};
use super::*;
use crate::config::Pair;
use crate::config::fixture::{Authority, now};
use crate::server::Accepted;
use crate::server::crowd::FROM_ONE_NETWORK;
use crate::server::proxy_protocol::OWN;
use daypass_core::quota::{Bounds, Limit, Rate};
use rustls::pki_types::ServerName;
use rustls::version;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// A declared balancer, and one that is not.
const BALANCER: &str = "10.1.0.1:40000";
const STRANGER: &str = "10.9.0.1:40000";
/// A declared proxy.
const PROXY: &str = "10.2.0.1";
/// For how long something may not come before it never will.
const EVER: Duration = Duration::from_mins(1);

fn proxies() -> Proxies {
    let net = |text: &str| vec![text.parse().unwrap()];
    Proxies::new(net("10.2.0.0/16"), None).with_balancers(net("10.1.0.0/16"))
}

/// What a balancer says of a client at this address.
fn names(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 10.1.0.1 50000 443\r\n").into_bytes()
}

/// A connection that the server takes for one from a certain address.
struct Connection {
    stream: TcpStream,
    /// Ends with the connection, as the server sees it.
    served: JoinHandle<()>,
    close: watch::Sender<bool>,
}

impl Connection {
    async fn open(server: &Arc<Server>, peer: &str, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        let slot = server.slots.clone().acquire_owned().await.unwrap();
        let accepted = Accepted { stream: theirs, peer: peer.parse().unwrap(), slot };
        let (close, closed) = watch::channel(false);
        let served = tokio::spawn(server.clone().connection(accepted, tls, closed));
        Self { stream, served, close }
    }

    /// Everything that is answered to this, in which a server may hang up at any time.
    async fn says(mut self, bytes: &[u8]) -> String {
        let _ = self.stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(EVER, self.stream.read_to_end(&mut answer)).await.unwrap();
        timeout(EVER, self.served).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    }
}

fn page(headers: &str) -> Vec<u8> {
    format!("GET /getAuthorization HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

/// Where the newest record says that a client was who connected from there and sent this; nothing, if there was no answer.
async fn recorded(server: &Running, peer: &str, first: &[u8], headers: &str) -> String {
    let answer =
        Connection::open(&server.server, peer, None).await.says(&[first, &page(headers)].concat()).await;
    if answer.is_empty() {
        return "nothing".to_owned();
    }
    assert!(answer.contains("TmpSecretId"), "{answer}");
    server.store.all().last().unwrap().source.unwrap().to_string()
}

fn troubles(server: &Running) -> Vec<(&'static str, u64)> {
    server.app.balancers.counts().filter(|(_, count)| *count > 0).collect()
}

async fn behind_a_balancer() -> Running {
    Running::start_behind(None, None, proxies()).await
}

#[tokio::test]
async fn whom_a_balancer_names_is_in_the_record_and_nobody_else() {
    let server = behind_a_balancer().await;
    let binary =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x07\x0a\x01\0\x01\xc3\x50\x01\xbb"[..], b"\x04\0\0"]
            .concat();
    let v6 = b"PROXY TCP6 2001:db8::7 fd00::1 50000 443\r\n";
    let forged = "x-forwarded-for: 198.51.100.9\r\n";
    for (peer, first, headers, expected) in [
        (BALANCER, &names("192.0.2.7")[..], "", "192.0.2.7"),
        (BALANCER, &binary, "", "192.0.2.7"),
        (BALANCER, v6, "", "2001:db8::7"),
        ("[::ffff:10.1.0.1]:1", &names("192.0.2.7"), "", "192.0.2.7"),
        // As HAProxy writes it where its two ends are of different families.
        (BALANCER, b"PROXY TCP6 ::ffff:192.0.2.7 fd00::1 50000 443\r\n", forged, "192.0.2.7"),
        (BALANCER, b"PROXY TCP6 ::ffff:10.2.0.1 fd00::1 50000 443\r\n", forged, "198.51.100.9"),
        // Nobody whom it names is believed more than he would be without it.
        (BALANCER, &names("192.0.2.7"), forged, "192.0.2.7"),
        (BALANCER, &names("10.1.0.9"), forged, "10.1.0.9"),
        // A proxy behind it is believed as it always is.
        (BALANCER, &names(PROXY), forged, "198.51.100.9"),
        (BALANCER, &names(PROXY), "", PROXY),
        // What is its own, or nobody's, or of its own machine, is its own.
        (BALANCER, &OWN, "", "10.1.0.1"),
        (BALANCER, &OWN, forged, "10.1.0.1"),
        (BALANCER, b"PROXY UNKNOWN\r\n", "", "10.1.0.1"),
        (BALANCER, &names("127.0.0.1"), "", "10.1.0.1"),
        (BALANCER, b"PROXY TCP6 ::ffff:127.0.0.1 fd00::1 50000 443\r\n", "", "10.1.0.1"),
        // Whoever is no balancer comes from where he comes from, and a proxy too.
        (STRANGER, b"", "", "10.9.0.1"),
        ("10.2.0.1:1", b"", forged, "198.51.100.9"),
    ] {
        assert_eq!(
            recorded(&server, peer, first, headers).await,
            expected,
            "{peer} {}",
            first.escape_ascii()
        );
    }
    assert_eq!(troubles(&server), []);
    server.stop().await;
}

/// Attack: whoever reaches the listener writes a header himself.
#[tokio::test]
async fn a_balancer_must_say_for_whom_and_nobody_else_may() {
    let server = behind_a_balancer().await;
    for (peer, first) in [
        (STRANGER, &names("192.0.2.7")[..]),
        (STRANGER, &OWN),
        ("10.2.0.1:1", &names("192.0.2.7")),
        (BALANCER, b""),
        (BALANCER, b"PROXY TCP4 192.0.2.7\r\n"),
        (BALANCER, &[b"PROXY UNKNOWN ".as_slice(), &[b'a'; 200]].concat()),
        (BALANCER, &[&names("192.0.2.7")[..], &names("192.0.2.8")].concat()),
    ] {
        let answer =
            Connection::open(&server.server, peer, None).await.says(&[first, &page("")].concat()).await;
        // A second header is part of what its client sends, and no request.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{peer}: {answer}");
    }
    assert_eq!(troubles(&server), [("missing", 1), ("malformed", 2), ("undeclared", 3)]);
    // Whoever only looks whether somebody listens is no trouble.
    assert_eq!(Connection::open(&server.server, BALANCER, None).await.says_nothing().await, "");
    assert_eq!(troubles(&server), [("missing", 1), ("malformed", 2), ("undeclared", 3)]);
    let said: Vec<_> = server.app.concerns().into_iter().filter(|one| one.name == "balancers").collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|one| !one.text.contains("10.")), "whoever asks may be anybody: {said:?}");
    server.stop().await;
}

impl Connection {
    async fn says_nothing(mut self) -> String {
        self.stream.shutdown().await.unwrap();
        self.says(b"").await
    }
}

#[tokio::test]
async fn a_header_in_pieces_is_one_and_what_comes_with_it_is_not_lost() {
    let server = behind_a_balancer().await;
    let whole = [&names("192.0.2.7")[..], &page("")].concat();
    for size in [1, 7, 40] {
        let mut connection = Connection::open(&server.server, BALANCER, None).await;
        connection.stream.set_nodelay(true).unwrap();
        let (first, rest) = whole.split_at(60);
        for piece in first.chunks(size) {
            connection.stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(connection.says(rest).await.contains("TmpSecretId"), "{size}");
    }
    let sources: Vec<_> = server.store.all().iter().filter_map(|record| record.source).collect();
    assert!(
        sources.iter().all(|source| source.to_string() == "192.0.2.7") && sources.len() == 3,
        "{sources:?}"
    );
    server.stop().await;
}

/// A balancer ends no TLS, so that both certificates are those of the two ends.
#[tokio::test]
async fn tls_begins_behind_the_header_and_clients_show_their_certificates() {
    let site = Authority::new();
    let made = site.sign(&["localhost"], -1, 90);
    let pair = Pair::made(made.certificate.as_bytes(), made.key.as_bytes(), now()).unwrap();
    let (main, asking) = (Arc::new(Tls::new(&pair).unwrap()), Arc::new(Tls::asking(&pair, None).unwrap()));
    let server = Running::start_behind(Some(main.clone()), Some(asking.clone()), proxies()).await;
    let nobody = Arc::new(client(&site, None, &[&version::TLS13]));
    let mut connection = Connection::open(&server.server, BALANCER, Some(main.clone())).await;
    connection.stream.write_all(&names("192.0.2.7")).await.unwrap();
    let connector = TlsConnector::from(nobody.clone());
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name.clone(), connection.stream).await.unwrap();
    stream.write_all(&page("")).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.contains("TmpSecretId"), "{answer}");
    assert_eq!(server.store.all().last().unwrap().source, Some("192.0.2.7".parse().unwrap()));

    // Without one it is not even shaken hands.
    for (peer, first) in [(BALANCER, &b""[..]), (STRANGER, &names("192.0.2.7"))] {
        let mut connection = Connection::open(&server.server, peer, Some(main.clone())).await;
        connection.stream.write_all(first).await.unwrap();
        let shaken = timeout(EVER, connector.connect(name.clone(), connection.stream)).await.unwrap();
        assert!(shaken.is_err(), "{peer}");
    }
    assert_eq!(troubles(&server), [("missing", 1), ("undeclared", 1)]);

    let mine = own();
    register(&server, pinned(&mine));
    let known = Arc::new(client(&site, Some(&mine), &[&version::TLS13]));
    for (client, expected) in
        [(&known, Ok(thumbprint(&mine))), (&nobody, Err("401 invalid_client".to_owned()))]
    {
        let mut connection = Connection::open(&server.server, BALANCER, Some(asking.clone())).await;
        connection.stream.write_all(&names("192.0.2.7")).await.unwrap();
        assert_eq!(Line::over(connection.stream, client).await.ask().await, expected);
    }
    server.stop().await;
}

/// Attack: connections on which no header ever comes.
#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let server = behind_a_balancer().await;
    for first in [&b""[..], b"PROXY TCP4 192.0"] {
        let mut connection = Connection::open(&server.server, BALANCER, None).await;
        connection.stream.write_all(first).await.unwrap();
        assert!(!connection.served.is_finished());
        let ended = async {
            while !connection.served.is_finished() {
                pass(HEAD_TIMEOUT).await;
                sleep(Duration::from_millis(1)).await;
            }
        };
        ended.await;
        assert_eq!(connection.stream.read(&mut [0; 8]).await.unwrap_or_default(), 0);
    }
    assert_eq!(troubles(&server), [("late", 2)]);
    // When the server stops, nobody is waited for who has said nothing.
    let connection = Connection::open(&server.server, BALANCER, None).await;
    connection.close.send(true).unwrap();
    timeout(EVER, connection.served).await.unwrap().unwrap();
    assert_eq!(troubles(&server), [("late", 2)]);
    server.stop().await;
}

/// Attack: as many of them as there may be connections at all.
#[tokio::test]
async fn whoever_says_nothing_makes_room() {
    let running = behind_a_balancer().await;
    // Nobody looks whether there is room here but the test.
    let server = Server::new(running.app.clone());
    let connection = Connection::open(&server, BALANCER, None).await;
    let begun = tokio::time::Instant::now();
    while !connection.served.is_finished() {
        assert!(begun.elapsed() < EVER, "it stays");
        server.squeeze.look(0);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(troubles(&running), [], "it was not waited for to the end");
    running.stop().await;
}

#[tokio::test]
async fn visitors_have_places_of_their_own_and_a_silent_balancer_those_of_one_network() {
    let server = behind_a_balancer().await;
    let enter = |n: usize, network: &str| {
        server.server.crowd.enter(format!("{network}.{}", n % 250).parse().unwrap()).unwrap()
    };
    let visitors: Vec<_> = (0..FROM_ONE_NETWORK).map(|n| enter(n, "192.0.2")).collect();
    assert_eq!(recorded(&server, BALANCER, &names("192.0.2.7"), "").await, "nothing");
    assert_eq!(recorded(&server, BALANCER, &names("192.0.3.7"), "").await, "192.0.3.7");
    drop(visitors);
    assert_eq!(recorded(&server, BALANCER, &names("192.0.2.7"), "").await, "192.0.2.7");
    let silent: Vec<_> = (0..FROM_ONE_NETWORK).map(|n| enter(n, "10.1.0")).collect();
    assert_eq!(recorded(&server, BALANCER, &names("192.0.2.7"), "").await, "nothing");
    drop(silent);
    assert_eq!(recorded(&server, BALANCER, &names("192.0.2.7"), "").await, "192.0.2.7");
    // Proxies speak for many, whoever passes them on.
    let many: Vec<_> = (0..FROM_ONE_NETWORK).map(|n| enter(n, "10.2.0")).collect();
    assert_eq!(recorded(&server, BALANCER, &names(PROXY), "").await, PROXY);
    drop(many);
    server.stop().await;
}

#[tokio::test]
async fn what_a_network_may_have_is_that_of_the_visitors() {
    let server = behind_a_balancer().await;
    let network = Limit { rate: Some(Rate::per_minute(1)), daily: None };
    let plan = Plan { limits: Bounds { network, ..Bounds::default() }, ..World::new().plan };
    let prepared = server.app.prepare(Settings { proxies: proxies(), ..plan.into() }).unwrap();
    server.app.put(prepared).await;
    for (visitor, status) in
        [("192.0.2.7", "200"), ("192.0.2.8", "429"), ("192.0.3.7", "200"), ("192.0.3.7", "429")]
    {
        let bytes = [&names(visitor)[..], &page("")].concat();
        let answer = Connection::open(&server.server, BALANCER, None).await.says(&bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{visitor}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_reload_decides_who_is_a_balancer_from_the_next_connection_on() {
    let server = Running::start().await;
    assert_eq!(recorded(&server, BALANCER, b"", "").await, "10.1.0.1");
    assert_eq!(recorded(&server, BALANCER, &names("192.0.2.7"), "").await, "nothing");
    let concern = || server.app.concerns().into_iter().any(|one| one.name == "balancers");
    assert!(concern(), "whoever runs the service is told");
    let mut standing = Connection::open(&server.server, BALANCER, None).await;
    standing.stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(standing.stream.read(&mut buffer).await.unwrap() > 0);

    let prepared = server.app.prepare(Settings { proxies: proxies(), ..World::new().plan.into() }).unwrap();
    server.app.put(prepared).await;
    assert_eq!(recorded(&server, BALANCER, &names("192.0.2.7"), "").await, "192.0.2.7");
    assert_eq!(recorded(&server, BALANCER, b"", "").await, "nothing");
    assert!(standing.says(&page("")).await.contains("TmpSecretId"), "what stands goes on");
    assert_eq!(server.store.all().last().unwrap().source, Some("10.1.0.1".parse().unwrap()));
    let told: Vec<_> = server.app.concerns().into_iter().filter(|one| one.name == "balancers").collect();
    assert!(told.iter().all(|one| one.text.contains("do not begin")), "the first is put right: {told:?}");
    server.stop().await;
}
