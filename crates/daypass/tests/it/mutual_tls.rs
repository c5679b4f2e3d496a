//! Listeners that ask for a certificate, from outside: `dev --mutual-tls`, and `serve` with authorities of clients.

use crate::patience::PATIENCE;
use crate::process::{Dev, daypass, signal};
use crate::tls::{connect, get, installed, pair, serve, start};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a request answers to a client that shows this certificate (PEM) if it is asked.
fn ask(host: &str, trusted: &str, (certificate, key): &(String, String), request: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = config.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(host).unwrap());
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn live(host: &str) -> String {
    format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

fn authority(from: i32, to: i32) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

/// A folder whose listener asks at an address of its own.
fn asking(pair: &(String, String), address: &str, ca: &str) -> tempfile::TempDir {
    let folder = installed(pair);
    std::fs::write(folder.path().join("clients.pem"), ca).unwrap();
    let file = folder.path().join("daypass.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let asks = format!(
        "key = \"key.pem\" }}\nmutual_tls = {{ listen = \"{address}\", public_url = \"https://localhost:8443\", ca = \
         \"clients.pem\" }}"
    );
    std::fs::write(&file, text.replacen("key = \"key.pem\" }", &asks, 1)).unwrap();
    folder
}

#[test]
fn dev_asks_at_a_second_address() {
    let dev = Dev::start_in(tempfile::tempdir().unwrap(), &["--tls", "--mutual-tls", "127.0.0.1:0"]);
    let ca = std::fs::read_to_string(dev.data().join("ca.pem")).unwrap();
    let url = dev.ready["mutual_tls"].as_str().unwrap().to_owned();
    assert_ne!(url, dev.credentials["url"].as_str().unwrap());
    let host = url.strip_prefix("https://").unwrap();
    assert!(get(host, "/livez", &ca).unwrap().starts_with("HTTP/1.1 200"), "it does without one");
    let client = pair(&["client"], 2000, 2100);
    assert!(ask(host, &ca, &client, &live(host)).starts_with("HTTP/1.1 200"));

    // The metadata leads clients of the standard there (RFC 8705, 5), from either address.
    let tenant = dev.credentials["entra"]["tenant"].as_str().unwrap();
    let main = dev.credentials["url"].as_str().unwrap().strip_prefix("https://").unwrap();
    for host in [main, host] {
        let page = get(host, &format!("/{tenant}/v2.0/.well-known/openid-configuration"), &ca).unwrap();
        let metadata: Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
        let alias = &metadata["mtls_endpoint_aliases"]["token_endpoint"];
        assert_eq!(*alias, format!("{url}/{tenant}/oauth2/v2.0/token"), "{metadata}");
        let methods = metadata["token_endpoint_auth_methods_supported"].to_string();
        assert!(methods.contains("self_signed_tls_client_auth"), "{methods}");
    }

    // What it prints registers the certificate and asks with it; only how one is made is not run here.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("client.pem"), &client.0).unwrap();
    std::fs::write(folder.path().join("client.key"), &client.1).unwrap();
    let commands: Vec<_> = dev.ready["commands"]["mutual_tls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let [make, register, ask] = commands[..] else { panic!("{commands:?}") };
    assert!(make.contains("-keyout client.key -out client.pem"), "{make}");
    let run = |line: &str| Command::new("sh").args(["-c", line]).current_dir(folder.path()).output().unwrap();
    let before: Value = serde_json::from_slice(&run(ask).stdout).unwrap();
    assert_eq!(before["error"], "invalid_client", "{before}");
    let registered = run(register);
    assert!(registered.status.success(), "{registered:?}");
    let begun = Instant::now();
    let answer = loop {
        let answer: Value = serde_json::from_slice(&run(ask).stdout).unwrap();
        if answer["access_token"].is_string() || begun.elapsed() > PATIENCE {
            break answer;
        }
    };
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let der = CertificateDer::from_pem_slice(client.0.as_bytes()).unwrap();
    let print = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
    assert_eq!(claims["cnf"]["x5t#S256"], print, "{claims}");
}

#[test]
fn dev_asks_only_over_tls_and_on_this_machine() {
    for (args, why) in [
        (&["--mutual-tls", "127.0.0.1:0"][..], "--tls"),
        (
            &["--tls", "--mutual-tls", "0.0.0.0:0"],
            "`daypass dev` listens on loopback alone, and 0.0.0.0 is not",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = daypass().arg("dev").arg("--data").arg(folder.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn both_listeners_are_open_when_one_is_announced_and_both_drain() {
    let shown = pair(&["localhost"], 2000, 2100);
    let folder = asking(&shown, "127.0.0.1:0", &authority(2000, 2100));
    let (mut child, ready, mut log) = start(folder.path());
    let [main, second] = ["address", "mutual_tls"].map(|name| ready[name].as_str().unwrap().to_owned());
    let client = pair(&["client"], 2000, 2100);
    for host in [&main, &second] {
        assert!(get(host, "/readyz", &shown.0).unwrap().starts_with("HTTP/1.1 200"));
        assert!(ask(host, &shown.0, &client, &live(host)).starts_with("HTTP/1.1 200"));
    }
    // The second listener shows a new pair when the first does.
    let new = pair(&["localhost"], 2000, 2100);
    crate::tls::put(folder.path(), &new);
    signal(child.0.id(), "HUP");
    let begun = Instant::now();
    while get(&second, "/livez", &new.0).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut standing = connect(&second, &new.0);
    write!(standing, "GET /livez HTTP/1.1\r\nhost: {second}\r\n\r\n").unwrap();
    assert!(standing.read(&mut [0; 1024]).unwrap() > 0);
    signal(child.0.id(), "TERM");
    write!(standing, "GET /livez HTTP/1.1\r\nhost: {second}\r\n\r\n").unwrap();
    let mut answer = String::new();
    standing.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "what was sent is answered: {answer}");
    assert!(child.0.wait().unwrap().success());
    assert!(TcpStream::connect(&main).is_err() && TcpStream::connect(&second).is_err());
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    assert!(said.contains("stopped"), "{said}");
}

#[test]
fn nothing_is_announced_when_the_second_listener_cannot_be_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = asking(&pair(&["localhost"], 2000, 2100), &address, &authority(2000, 2100));
    let output = serve(folder.path(), "serve").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&format!("cannot listen on {address}")), "{said}");
    assert!(!said.contains("\"ready\""), "{said}");
}

#[test]
fn a_file_that_nobody_can_vouch_by_is_refused_at_the_start() {
    let shown = pair(&["localhost"], 2000, 2100);
    for (ca, why) in [
        (authority(2000, 2020), "clients.pem` expired at 2020-01-01T00:00:00Z, and vouches for nobody"),
        (pair(&["client"], 2000, 2100).0, "clients.pem` is not the certificate of an authority"),
        (String::new(), "clients.pem` holds no certificate in PEM"),
    ] {
        let folder = asking(&shown, "127.0.0.1:0", &ca);
        for verb in ["serve", "check"] {
            let output = serve(folder.path(), verb).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(output.status.code(), Some(2), "{verb}: {said}");
            let line = format!("{}:", folder.path().join("daypass.toml").display());
            assert!(
                said.contains(&line) && said.contains(why) && said.contains("mutual_tls = {"),
                "{verb}: {said}"
            );
        }
        assert!(!folder.path().join("data/daypass.db").exists(), "nothing was touched");
    }
    let folder = asking(&shown, "127.0.0.1:0", &authority(2000, 2100));
    assert!(serve(folder.path(), "check").output().unwrap().status.success());
    assert!(Path::new(&folder.path().join("clients.pem")).exists());
}
