//! Handshakes of a listener that asks: who is taken, what is known of them, and what a resumed session still knows.

use super::*;
use crate::config::fixture::{Authority, Made, now};
use crate::config::{CaSource, MutualTls, Pair, TlsSource};
use crate::server::Watch;
use crate::server::peer::Shown;
use daypass_core::clock::Timestamp;
use daypass_core::peer::Peer;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion, version};
use std::path::Path;
use tokio_rustls::TlsConnector;

/// A listener's TLS, and its authority.
struct Site {
    server: Authority,
    clients: Authority,
    tls: Arc<Tls>,
    watch: Watch,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let (server, clients, folder) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = server.sign(&["localhost"], -1, 90).put(folder.path());
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &clients.pem).unwrap();
        let mutual = MutualTls {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: "https://localhost:8443".to_owned(),
            ca: Some(CaSource::for_test(&ca)),
        };
        let source = TlsSource::for_test(&certificate, &key);
        let clock = Arc::new(crate::system::SystemClock);
        let (shows, watch) = Watch::start(&source, Some(&mutual), clock).unwrap();
        Self { server, clients, tls: shows.asking.unwrap(), watch, folder }
    }

    fn client(&self, shows: Option<&Made>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        client(&self.server, shows, versions)
    }

    /// Shakes hands once: what the server knows then, and how the client says it came about.
    async fn shake(&self, client: &Arc<ClientConfig>) -> Result<(Option<Arc<Shown>>, HandshakeKind), String> {
        shake(&self.tls, client).await
    }

    async fn peer(&self, client: ClientConfig) -> Option<Arc<Peer>> {
        let (shown, _) = self.shake(&Arc::new(client)).await.unwrap();
        shown.map(|shown| shown.at(now()))
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// A client that trusts this authority, and shows this if it is asked.
pub(super) fn client(
    server: &Authority,
    shows: Option<&Made>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config.with_root_certificates(roots);
    let Some(made) = shows else { return config.with_no_client_auth() };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(made.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap()).unwrap()
}

async fn shake(
    tls: &Arc<Tls>,
    client: &Arc<ClientConfig>,
) -> Result<(Option<Arc<Shown>>, HandshakeKind), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = tls.clone();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tls.accept(stream).await.map_err(|error| error.to_string())?;
        let shown = tls.shown(&stream);
        stream.write_all(b"x").await.unwrap();
        // The client has read all by then, the ticket of its session included.
        let _ = stream.read(&mut [0]).await;
        Ok::<_, String>(shown)
    });
    let connector = TlsConnector::from(client.clone());
    let stream = TcpStream::connect(address).await.unwrap();
    let kind = async {
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.ok()?;
        stream.read_exact(&mut [0]).await.ok()?;
        let kind = stream.get_ref().1.handshake_kind();
        stream.shutdown().await.ok()?;
        kind
    };
    let kind = kind.await;
    Ok((serving.await.unwrap()?, kind.ok_or("the client gave up")?))
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + seconds).unwrap()
}

fn signed_by_itself() -> Made {
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new(vec!["self".to_owned()]).unwrap().self_signed(&key).unwrap();
    Made { certificate: made.pem(), key: key.serialize_pem() }
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

const DAY: i64 = 24 * 60 * 60;

#[tokio::test]
async fn whoever_has_no_certificate_is_taken_as_nobody() {
    let site = Site::new();
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        assert!(site.peer(site.client(None, versions)).await.is_none());
    }
}

#[tokio::test]
async fn any_certificate_is_taken_and_judged() {
    let site = Site::new();
    let other = Authority::new();
    let below = site.clients.below();
    let through = below.sign(&["client"], -1, 90);
    let through = Made { certificate: through.certificate + &below.pem, key: through.key };
    for (why, made, chained, live) in [
        ("signed by the authority", site.clients.sign(&["client"], -1, 90), true, true),
        ("and through one below it", through, true, true),
        ("signed by itself", signed_by_itself(), false, true),
        ("signed by another", other.sign(&["client"], -1, 90), false, true),
        ("expired", site.clients.sign(&["client"], -90, -1), false, false),
        ("not yet good", site.clients.sign(&["client"], 1, 90), false, false),
    ] {
        for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
            let peer = site.peer(site.client(Some(&made), versions)).await.expect(why);
            assert_eq!((peer.chained, peer.is_live(now())), (chained, live), "{why}");
        }
    }
}

/// Attack: a public certificate, shown by someone who does not have its key.
#[tokio::test]
async fn a_certificate_without_its_key_ends_the_handshake() {
    let site = Site::new();
    let stolen = Made { key: signed_by_itself().key, ..site.clients.sign(&["client"], -1, 90) };
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let chain = vec![CertificateDer::from_pem_slice(stolen.certificate.as_bytes()).unwrap()];
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = PrivateKeyDer::from_pem_slice(stolen.key.as_bytes()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let mut config = site.client(None, versions);
        let forged = rustls::sign::CertifiedKey::new(chain, key);
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(forged));
        assert!(site.shake(&Arc::new(config)).await.is_err());
    }
    assert!(site.peer(site.client(None, BOTH)).await.is_none(), "and the listener goes on");
}

/// Attack: each remembered session keeps what was shown, and anyone may show anything.
#[tokio::test]
async fn a_chain_that_is_too_long_ends_the_handshake() {
    let site = Site::new();
    let made = site.clients.sign(&["client"], -1, 90);
    let chain = |others: usize| Made {
        certificate: made.certificate.clone() + &site.clients.pem.repeat(others),
        key: made.key.clone(),
    };
    assert!(site.peer(site.client(Some(&chain(7)), BOTH)).await.unwrap().chained);
    assert!(site.shake(&Arc::new(site.client(Some(&chain(8)), BOTH))).await.is_err());
    let long = |bytes: usize| {
        site.clients.sign_params(|params| {
            let uri = format!("urn:x:{}", "x".repeat(bytes));
            params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        })
    };
    assert!(site.peer(site.client(Some(&long(4_000)), BOTH)).await.is_some());
    assert!(site.peer(site.client(Some(&long(10_000)), BOTH)).await.is_none(), "more than anybody needs");
    assert!(site.shake(&Arc::new(site.client(Some(&long(17_000)), BOTH))).await.is_err());
}

/// Attack: a session that was agreed on while the certificate was good is resumed when it is not.
#[tokio::test]
async fn a_resumed_session_is_judged_by_the_time_of_its_requests() {
    let site = Site::new();
    let made = site.clients.sign(&["client"], -1, 2);
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let client = Arc::new(site.client(Some(&made), versions));
        let (first, kind) = site.shake(&client).await.unwrap();
        assert!(kind != HandshakeKind::Resumed && first.unwrap().at(now()).chained);
        for _ in 0..2 {
            let (again, kind) = site.shake(&client).await.unwrap();
            assert_eq!(kind, HandshakeKind::Resumed);
            let again = again.expect("the session knows who it was");
            let good = again.at(now());
            assert!(good.chained && good.is_live(now()));
            let late = later(2 * DAY + 10);
            let ended = again.at(late);
            assert!(!ended.chained && !ended.is_live(late));
            assert_eq!(good.x5t_s256, ended.x5t_s256);
        }
    }
}

#[tokio::test]
async fn a_session_of_nobody_does_not_become_one_of_somebody() {
    let site = Site::new();
    let made = site.clients.sign(&["client"], -1, 90);
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let mut nobody = site.client(None, versions);
        nobody.resumption = Resumption::in_memory_sessions(8);
        let (shown, _) = site.shake(&Arc::new(nobody.clone())).await.unwrap();
        assert!(shown.is_none());
        let mut somebody = site.client(Some(&made), versions);
        somebody.resumption = nobody.resumption.clone();
        let (shown, kind) = site.shake(&Arc::new(somebody)).await.unwrap();
        assert_eq!(kind == HandshakeKind::Resumed, shown.is_none(), "who resumes is who it was");
    }
}

#[tokio::test]
async fn the_first_listener_asks_nobody_and_knows_no_session_of_the_second() {
    let site = Site::new();
    let (shows, _watch) = {
        let source =
            TlsSource::for_test(&site.folder.path().join("chain.pem"), &site.folder.path().join("key.pem"));
        Watch::start(&source, None, Arc::new(crate::system::SystemClock)).unwrap()
    };
    assert!(shows.asking.is_none());
    let made = site.clients.sign(&["client"], -1, 90);
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let client = Arc::new(site.client(Some(&made), versions));
        assert!(site.shake(&client).await.unwrap().0.is_some());
        let (shown, kind) = shake(&shows.main, &client).await.unwrap();
        assert!(shown.is_none() && kind != HandshakeKind::Resumed);
    }
}

#[tokio::test]
async fn a_new_list_of_authorities_is_taken_up_and_a_bad_one_is_not() {
    let mut site = Site::new();
    let (old, new) = (site.clients.sign(&["client"], -1, 90), Authority::new());
    let renewed = new.sign(&["client"], -1, 90);
    let standing = site.shake(&Arc::new(site.client(Some(&old), BOTH))).await.unwrap().0.unwrap();
    let chained =
        async |site: &Site, made: &Made| site.peer(site.client(Some(made), BOTH)).await.unwrap().chained;

    for bad in ["", "-----BEGIN CERTIFICATE-----\n!!", &old.certificate] {
        put(site.folder.path(), "ca.pem", bad);
        site.watch.look().await;
        assert!(chained(&site, &old).await, "the old list stays");
    }
    std::fs::remove_file(site.folder.path().join("ca.pem")).unwrap();
    site.watch.look().await;
    assert!(chained(&site, &old).await && !chained(&site, &renewed).await);

    put(site.folder.path(), "ca.pem", &(site.clients.pem.clone() + &new.pem));
    site.watch.look().await;
    assert!(chained(&site, &old).await && chained(&site, &renewed).await);

    assert!(standing.at(now()).chained);
    put(site.folder.path(), "ca.pem", &new.pem);
    site.watch.look().await;
    assert!(!chained(&site, &old).await && chained(&site, &renewed).await);
    assert!(!standing.at(now()).chained, "a connection that stands is judged by the new list");
}

#[tokio::test]
async fn a_new_pair_is_shown_here_too_and_clients_are_still_asked() {
    let mut site = Site::new();
    let made = site.clients.sign(&["client"], -1, 90);
    let other = Authority::new();
    other.sign(&["localhost"], -1, 90).put(site.folder.path());
    site.watch.look().await;
    assert!(site.shake(&Arc::new(site.client(Some(&made), BOTH))).await.is_err());
    let (shown, _) = shake(&site.tls, &Arc::new(client(&other, Some(&made), BOTH))).await.unwrap();
    assert!(shown.unwrap().at(now()).chained);
}

#[tokio::test]
async fn both_doors_lead_to_one_service_and_close_together() {
    let authority = Authority::new();
    let made = authority.sign(&["localhost"], -1, 90);
    let pair = Pair::made(made.certificate.as_bytes(), made.key.as_bytes(), now()).unwrap();
    let asking = Arc::new(Tls::asking(&pair, None).unwrap());
    let server = Running::start_behind(None, Some(asking), Proxies::default()).await;
    let [main, second] = [server.address, server.asking.unwrap()];
    let client = Arc::new(client(&authority, Some(&signed_by_itself()), BOTH));
    let connect = async || {
        let stream = TcpStream::connect(second).await?;
        TlsConnector::from(client.clone()).connect(ServerName::try_from("localhost").unwrap(), stream).await
    };
    let mut standing = connect().await.unwrap();
    assert!(server.get("/readyz", "").await.starts_with("HTTP/1.1 200"));
    standing.write_all(b"GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 1024];
    let n = standing.read(&mut buffer).await.unwrap();
    assert!(buffer[..n].starts_with(b"HTTP/1.1 200"));
    // One permit of each door is held for the next who comes.
    assert_eq!(CONNECTIONS - server.slots.available_permits(), 3, "one count for both");

    let stopping = tokio::spawn(server.stop());
    hear().await;
    standing.write_all(b"GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    standing.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
    stopping.await.unwrap();
    assert!(TcpStream::connect(main).await.is_err() && TcpStream::connect(second).await.is_err());
}
