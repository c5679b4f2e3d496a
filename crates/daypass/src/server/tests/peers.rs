//! Clients that are known by their certificate, over the wire: by a handshake of ours, or by the word of a proxy.

use super::mutual_tls::client;
use super::*;
use crate::config::fixture::{Authority, Made, now};
use crate::config::{CertificateHeader, Pair};
use crate::server::peer;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use daypass_core::client::{CertificateRule, Key, KeyKind, Material, NameRule};
use daypass_core::testing::RESOURCE;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, version};
use serde_json::Value;
use tokio_rustls::TlsConnector;

/// For how many seconds after the beginning of a test its certificates are good. A server that has not heard of its
/// store for half a minute answers nobody.
const GOOD: u64 = 15;

fn is_good_until(params: &mut CertificateParams, seconds: u64) {
    let start = date_time_ymd(1970, 1, 1) + Duration::from_secs(START.as_second().try_into().unwrap());
    (params.not_before, params.not_after) =
        (start - Duration::from_mins(1), start + Duration::from_secs(seconds));
}

/// A certificate that signs itself.
pub(super) fn own() -> Made {
    let (mut params, key) = (
        CertificateParams::new(vec!["reports.example.com".to_owned()]).unwrap(),
        KeyPair::generate().unwrap(),
    );
    is_good_until(&mut params, GOOD);
    Made { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn der(made: &Made) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap()
}

pub(super) fn thumbprint(made: &Made) -> String {
    peer::read(&der(made)).unwrap().x5t_s256
}

/// Lets the world's client be known in this way alone.
pub(super) fn register(server: &Running, rule: CertificateRule) {
    let mut world = World::new();
    let key = Key {
        id: Uuid::from_u128(0xce47).to_string(),
        kind: KeyKind::Certificate,
        material: Material::Certificate(rule),
        ..world.keys[0].clone()
    };
    world.keys = vec![key];
    server.app.put_directory(world.directory());
}

pub(super) fn pinned(made: &Made) -> CertificateRule {
    CertificateRule::Pinned { x5t_s256: thumbprint(made) }
}

fn form() -> String {
    let client = World::new().client.guid;
    format!("grant_type=client_credentials&client_id={client}&scope={RESOURCE}/.default")
}

fn token_path() -> String {
    format!("/{}/oauth2/v2.0/token", testing::ACME)
}

/// What a token is bound to, or the code of the refusal.
fn bound(status: u16, body: &[u8]) -> Result<String, String> {
    let body: Value = serde_json::from_slice(body).unwrap();
    if status != 200 {
        return Err(format!("{status} {}", body["error"].as_str().unwrap()));
    }
    let payload = body["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    Ok(claims["cnf"]["x5t#S256"].as_str().unwrap_or("nothing").to_owned())
}

/// A connection over TLS.
pub(super) struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
    kind: HandshakeKind,
}

impl Line {
    async fn open(address: SocketAddr, client: &Arc<ClientConfig>) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap(), client).await
    }

    pub(super) async fn over(stream: TcpStream, client: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(client.clone()).connect(name, stream).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, kind }
    }

    pub(super) async fn ask(&mut self) -> Result<String, String> {
        let request = http::Request::post(token_path())
            .header("host", "t")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(form()))
            .unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        bound(status, &answer.into_body().collect().await.unwrap().to_bytes())
    }
}

async fn asking(site: &Authority) -> Running {
    let made = site.sign(&["localhost"], -1, 90);
    let pair = Pair::made(made.certificate.as_bytes(), made.key.as_bytes(), now()).unwrap();
    let (main, asking) = (Tls::new(&pair).unwrap(), Tls::asking(&pair, None).unwrap());
    Running::start_behind(Some(Arc::new(main)), Some(Arc::new(asking)), Proxies::default()).await
}

const VERSIONS: [&[&rustls::SupportedProtocolVersion]; 2] = [&[&version::TLS12], &[&version::TLS13]];

#[tokio::test]
async fn a_token_is_bound_to_the_certificate_of_the_connection() {
    let site = Authority::new();
    let server = asking(&site).await;
    let (mine, other) = (own(), own());
    register(&server, pinned(&mine));
    for versions in VERSIONS {
        for (shows, address, expected) in [
            (Some(&mine), server.asking.unwrap(), Ok(thumbprint(&mine))),
            (Some(&other), server.asking.unwrap(), Err("401 invalid_client".to_owned())),
            (None, server.asking.unwrap(), Err("401 invalid_client".to_owned())),
            (Some(&mine), server.address, Err("401 invalid_client".to_owned())),
        ] {
            let client = Arc::new(client(&site, shows, versions));
            assert_eq!(Line::open(address, &client).await.ask().await, expected);
        }
    }
    server.stop().await;
}

/// Attack: a connection that stands, and a session that is resumed, go on after the certificate has ended.
#[tokio::test]
async fn neither_a_connection_nor_a_session_outlives_the_certificate() {
    for versions in VERSIONS {
        let site = Authority::new();
        let server = asking(&site).await;
        let mine = own();
        register(&server, pinned(&mine));
        let client = Arc::new(client(&site, Some(&mine), versions));
        let mut standing = Line::open(server.asking.unwrap(), &client).await;
        assert_ne!(standing.kind, HandshakeKind::Resumed);
        assert_eq!(standing.ask().await, Ok(thumbprint(&mine)));
        let mut resumed = Line::open(server.asking.unwrap(), &client).await;
        assert_eq!((resumed.kind, resumed.ask().await), (HandshakeKind::Resumed, Ok(thumbprint(&mine))));
        server.clock.advance((GOOD * 1_000 + 1_000).try_into().unwrap());
        let mut late = Line::open(server.asking.unwrap(), &client).await;
        assert_eq!(late.kind, HandshakeKind::Resumed, "TLS lets it in, and we do not");
        for line in [&mut standing, &mut resumed, &mut late] {
            assert_eq!(line.ask().await, Err("401 invalid_client".to_owned()));
        }
        server.stop().await;
    }
}

/// A server behind a proxy on this machine, or elsewhere.
async fn behind(proxy: &str, verified: bool) -> Running {
    let header = CertificateHeader { name: "client-cert".parse().unwrap(), verified };
    Running::start_behind(None, None, Proxies::new(vec![proxy.parse().unwrap()], Some(header))).await
}

async fn ask_with(server: &Running, headers: &str) -> Result<String, String> {
    let (path, body) = (token_path(), form());
    let answer = server
        .exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
        .await;
    let (head, body) = answer.split_once("\n\n").unwrap();
    bound(head.split(' ').nth(1).unwrap().parse().unwrap(), body.as_bytes())
}

fn header(made: &Made) -> String {
    format!("Client-Cert: :{}:\r\n", BASE64_STANDARD.encode(der(made)))
}

#[tokio::test]
async fn a_proxy_may_say_whose_certificate_it_has_seen_and_nobody_else() {
    let mine = own();
    let near = behind("127.0.0.1", false).await;
    register(&near, pinned(&mine));
    let refused = |code: &str| Err::<String, _>(code.to_owned());
    assert_eq!(ask_with(&near, &header(&mine)).await, Ok(thumbprint(&mine)));
    assert_eq!(ask_with(&near, &header(&own())).await, refused("401 invalid_client"));
    assert_eq!(ask_with(&near, "").await, refused("401 invalid_client"));
    let forged_beside = header(&mine) + &header(&own());
    assert_eq!(ask_with(&near, &forged_beside).await, refused("400 invalid_request"));
    for garbage in
        ["Client-Cert: (null)\r\n".to_owned(), format!("Client-Cert: :{}:\r\n", "A".repeat(20_000))]
    {
        assert_eq!(ask_with(&near, &garbage).await, refused("401 invalid_client"));
    }
    let too_much = format!("Client-Cert: :{}:\r\n", "A".repeat(limits::HEADER_BYTES));
    assert_eq!(ask_with(&near, &too_much).await, refused("413 invalid_request"), "it counts as any other");
    near.clock.advance((GOOD * 1_000 + 1_000).try_into().unwrap());
    assert_eq!(ask_with(&near, &header(&mine)).await, refused("401 invalid_client"), "it has ended");
    near.stop().await;

    let far = behind("10.0.0.0/8", true).await;
    register(&far, pinned(&mine));
    assert_eq!(ask_with(&far, &header(&mine)).await, refused("401 invalid_client"), "not from a stranger");
    far.stop().await;
}

/// A name means something only where somebody vouches for it.
#[tokio::test]
async fn a_name_counts_where_the_proxy_has_verified_the_chain() {
    let mine = own();
    for (verified, expected) in [(true, Ok(thumbprint(&mine))), (false, Err("401 invalid_client".to_owned()))]
    {
        let server = behind("127.0.0.1", verified).await;
        register(&server, CertificateRule::Named(NameRule::SanDns("reports.example.com".into())));
        assert_eq!(ask_with(&server, &header(&mine)).await, expected);
        server.stop().await;
    }
}
