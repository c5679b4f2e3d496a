//! A service behind a balancer that passes TCP on and says by the PROXY protocol for whom: one of the test's own, and `HAProxy` as
//! it is shipped in `deploy/`.

use crate::patience::{PATIENCE, find};
use crate::process::{daypass, json_of};
use crate::serve::{Installation, Serve, Served};
use crate::tls::{pair, put};
use daypass_faults::port::free_address;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Where the balancer connects from, and so does whoever asks the service itself.
const BALANCER: &str = "127.0.0.1";
/// Where visitors are who come through `HAProxy`.
const VISITOR: &str = "127.0.0.7";

const CONFIG: &str = r#"[server]
listen = "127.0.0.1:0"
public_url = "https://localhost"
tls = { certificate = "chain.pem", key = "key.pem" }
metrics = "127.0.0.1:0"
proxy_protocol = ["127.0.0.1"]
[store]
url = "sqlite:daypass.db"
[seal]
key = { file = "seal.key" }
[[tenant]]
name = "main"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "soe"
lifetime = { default = "10m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "main"
role = "soe"
origins = ["https://lesson.example.com"]
quota = { address = 6000, endpoint = 6000 }
caller = { anonymous = { reason = "a test on this machine" } }
"#;

/// A service with this in its configuration in the place of that.
struct Site {
    installation: Installation,
    service: Serve,
    certificate: String,
}

impl Site {
    fn start(from: &str, to: &str) -> Self {
        assert!(CONFIG.contains(from), "{from}");
        let installation = Installation::new(&CONFIG.replace(from, to));
        let pair = pair(&["localhost"], 2000, 2100);
        put(installation.folder.path(), &pair);
        let service = installation.serve();
        Self { installation, service, certificate: pair.0 }
    }

    fn tls(&self) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
    }

    /// What a page gets that is asked for over this connection, or why it gets nothing.
    fn get(&self, tcp: TcpStream, path: &str) -> std::io::Result<String> {
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(self.tls(), tcp);
        // A visitor who would like to be somebody else.
        let forged = "origin: https://lesson.example.com\r\nx-forwarded-for: 198.51.100.9";
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{forged}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A connection to the service itself that begins so.
    fn say(&self, first: &[u8]) -> TcpStream {
        let mut tcp = TcpStream::connect(&self.service.host).unwrap();
        tcp.write_all(first).unwrap();
        tcp
    }

    /// Where the newest grant was asked for, as the records have it.
    fn source(&self) -> String {
        let output = self.installation.cli(&["audit", "tail", "-n", "100", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        // The service writes records of its own besides.
        let record = records.rfind(|record| record["event"]["event"] == "grant").unwrap();
        record["source"].as_str().unwrap().to_owned()
    }

    fn refused(&self, why: &str) -> u64 {
        self.service.metric(&format!("daypass_proxy_protocol_refused_total{{why=\"{why}\"}}")).unwrap()
    }
}

#[test]
fn a_visitor_comes_from_where_the_balancer_says_and_nowhere_else() {
    let site = Site::start("", "");
    for (first, source) in [
        (&b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n"[..], "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n", "2001:db8::7"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc0\0\x02\x01\xc3\x50\x01\xbb", "192.0.2.8"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", BALANCER),
    ] {
        let page = site.get(site.say(first), "/getAuthorization").unwrap();
        assert!(page.contains("TmpSecretId"), "{page}");
        assert_eq!(site.source(), source);
    }
    assert!(site.get(site.say(b""), "/getAuthorization").is_err(), "it must be said");
    assert_eq!((site.refused("missing"), site.refused("undeclared")), (1, 0));
    // A health check of ours says that it is nobody's.
    let probe =
        daypass().args(["probe", "--ready", "--config"]).arg(site.installation.config()).output().unwrap();
    assert!(probe.status.success(), "{probe:?}");
    let said = String::from_utf8(probe.stdout).unwrap();
    assert!(
        said.contains("warning: connections of a network in `proxy_protocol` that do not begin"),
        "{said}"
    );
    let log = site.service.stop();
    let told = log.lines().filter(|line| line.contains("a connection was closed")).count();
    assert_eq!(told, 1, "{log}");
}

#[test]
fn a_balancer_that_nobody_has_declared_is_told_of_and_a_reload_declares_it() {
    let site = Site::start("proxy_protocol = [\"127.0.0.1\"]\n", "");
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n";
    assert!(site.get(site.say(header), "/getAuthorization").is_err());
    let ready = site.get(site.say(b""), "/readyz").unwrap();
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("that `proxy_protocol` does not name"),
        "{ready}"
    );
    assert_eq!(site.refused("undeclared"), 1);
    std::fs::write(site.installation.config(), CONFIG).unwrap();
    json_of(&site.installation.cli(&["reload", "--json"]));
    let ready = site.get(site.say(header), "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200") && !ready.contains("does not name"), "{ready}");
    assert!(site.get(site.say(b""), "/getAuthorization").is_err());
    site.service.stop();
}

/// A listener without TLS of its own, whose balancer ends it: what `doctor` asks there begins with a header too.
#[test]
fn doctor_speaks_to_a_listener_that_wants_to_hear_for_whom() {
    let free = free_address().unwrap();
    let plain = format!("public_url = \"https://localhost\"\nlisten = \"{free}\"");
    let text = CONFIG
        .replace("public_url = \"https://localhost\"\n", "")
        .replace("listen = \"127.0.0.1:0\"", &plain);
    let installation =
        Installation::new(&text.replace("tls = { certificate = \"chain.pem\", key = \"key.pem\" }\n", ""));
    let service = installation.serve();
    let output = installation.cli(&["doctor", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let found = said["findings"].as_array().unwrap();
    let says = |check: &str, text: &str| {
        found.iter().any(|one| one["check"] == check && one["text"].as_str().unwrap().contains(text))
    };
    assert!(says("listen", "a server answers on"), "{said:#}");
    service.stop();
}

/// The program: `DAYPASS_HAPROXY` names it, or else it is looked for as any program is.
fn haproxy() -> Option<OsString> {
    let named = std::env::var_os("DAYPASS_HAPROXY").filter(|named| !named.is_empty());
    let haproxy = named.unwrap_or_else(|| "haproxy".into());
    let runs = Command::new(&haproxy).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if runs.is_ok_and(|status| status.success()) {
        return Some(haproxy);
    }
    // Past the test harness, which keeps what a test that passes prints.
    let _ = writeln!(
        std::io::stderr().lock(),
        "SKIPPED balancer::haproxy_says_whose_connections_it_passes_on: there is no HAProxy; install Debian's `haproxy`, or name it by \
         DAYPASS_HAPROXY"
    );
    None
}

/// The shipped configuration, with addresses in the places of Docker's names.
fn shipped(listens: SocketAddr, node: &str, send: &str) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/docker/haproxy.cfg");
    let text = std::fs::read_to_string(file).unwrap();
    let (before, rest) = text.split_once("resolvers docker\n").unwrap();
    let text = format!("{before}{}", rest.split_once("\n\n").unwrap().1);
    let changes = [
        ("bind :5050", format!("bind {listens}")),
        ("server-template node 3 daypass:5050", format!("server node1 {node}")),
        (" resolvers docker init-addr none", String::new()),
        // What a test may open need not be more.
        ("maxconn 20000", "maxconn 200".to_owned()),
        ("send-proxy-v2 check", format!("{send} check")),
    ];
    changes.into_iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, &to)
    })
}

/// A running `HAProxy` in front of this service, and where it listens.
fn in_front(haproxy: &OsString, site: &Site, send: &str) -> (Served, SocketAddr) {
    let file = site.installation.file("haproxy.cfg");
    find("HAProxy listens", || {
        // Somebody else may take the address in between: then it ends, and another one is tried.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(&file, shipped(free, &site.service.host, send)).unwrap();
        let child =
            Command::new(haproxy).arg("-db").arg("-f").arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let mut running = Served(child);
        let up = find("HAProxy listens or ends", || match running.0.try_wait().unwrap() {
            Some(_) => Some(false),
            None => TcpStream::connect(free).is_ok().then_some(true),
        });
        up.then_some((running, free))
    })
}

/// A connection to there from an address of this machine.
fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let socket = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    socket.set_nonblocking(false).unwrap();
    socket
}

#[test]
fn haproxy_says_whose_connections_it_passes_on() {
    let Some(haproxy) = haproxy() else { return };
    for send in ["send-proxy-v2", "send-proxy"] {
        let site = Site::start("", "");
        let (running, front) = in_front(&haproxy, &site, send);
        // Not before it has seen by its own checks that the node is well.
        let page = find("HAProxy passes on", || {
            let page = site.get(connect(VISITOR, front), "/getAuthorization");
            page.ok().filter(|page| page.contains("TmpSecretId"))
        });
        assert!(page.starts_with("HTTP/1.1 200"), "{send}: {page}");
        assert_eq!(site.source(), VISITOR, "{send}");
        let ready = site.get(connect(VISITOR, front), "/readyz").unwrap();
        assert!(ready.starts_with("HTTP/1.1 200") && !ready.contains("proxy_protocol"), "{send}: {ready}");
        assert_eq!(
            ["missing", "malformed", "late", "undeclared"].map(|why| site.refused(why)),
            [0; 4],
            "{send}"
        );
        drop(running);
        site.service.stop();
    }
}
