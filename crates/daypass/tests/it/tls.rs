//! TLS from outside: `dev --tls` and who trusts it, and `serve` with a certificate that is good, bad or new.

use crate::patience::PATIENCE;
use crate::process::{Dev, daypass, json_of, signal, token};
use crate::serve::{Served, until_ready};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A connection by whoever trusts this certificate (PEM) alone.
pub(crate) fn connect(host: &str, trusted: &str) -> StreamOwned<ClientConnection, TcpStream> {
    connect_trusting(host, [trusted])
}

/// A connection by whoever trusts these certificates.
fn connect_trusting<'a>(
    host: &str,
    trusted: impl IntoIterator<Item = &'a str>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    for trusted in trusted {
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    StreamOwned::new(client, TcpStream::connect(host).unwrap())
}

/// What a GET answers, or why there is no answer.
pub(crate) fn get(host: &str, path: &str, trusted: &str) -> std::io::Result<String> {
    let mut stream = connect(host, trusted);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn dev_speaks_https_to_whoever_trusts_it() {
    let dev = Dev::start_in(tempfile::tempdir().unwrap(), &["--tls"]);
    let url = dev.credentials["url"].as_str().unwrap().to_owned();
    let host = url.strip_prefix("https://").unwrap().to_owned();
    let ca = std::fs::read_to_string(dev.data().join("ca.pem")).unwrap();
    let page = get(&host, "/getAuthorization", &ca).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("TmpSecretId"), "{page}");
    assert!(
        get(&host, "/livez", &pair(&["localhost"], 2000, 2100).0).is_err(),
        "another authority is not ours"
    );
    let mut plain = TcpStream::connect(&host).unwrap();
    // The server may hang up at the first bytes, before the others are written.
    let _ = write!(plain, "GET /livez HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "the port speaks TLS alone");

    // The file in the data folder has the authority beside it; a copy elsewhere does not.
    for verb in ["tencent", "alibaba", "entra", "browser"] {
        json_of(&token(&[verb], &dev.data().join("credentials.json")));
    }
    assert_eq!(token(&["entra"], &dev.file()).status.code(), Some(3), "nobody trusts it");
    let ca_file = dev.data().join("ca.pem");
    json_of(&token(&["entra", "--ca", ca_file.to_str().unwrap()], &dev.file()));

    assert_eq!(String::from_utf8(dev.cli(&["trust"]).stdout).unwrap().trim_end(), ca.trim_end());
    let out = dev.folder.path().join("exported.pem");
    let shown = json_of(&dev.cli(&["trust", "--json", "--out", out.to_str().unwrap()]));
    assert_eq!(
        (std::fs::read_to_string(&out).unwrap(), shown["certificate"].as_str()),
        (ca.clone(), Some(&*ca))
    );

    let key = dev.data().join("ca.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(key).unwrap();
    let (folder, log) = dev.stop();
    assert!(!key.lines().any(|line| log.contains(line)), "{log}");

    // A restart is still trusted; one without --tls is plain again.
    let again = Dev::start_in(folder, &["--tls"]);
    let host = again.credentials["url"].as_str().unwrap().strip_prefix("https://").unwrap().to_owned();
    assert!(get(&host, "/livez", &ca).unwrap().starts_with("HTTP/1.1 200"));
    let (folder, _) = again.stop();
    let plain = Dev::start_in(folder, &[]);
    assert_eq!(plain.send("GET", "/livez", &[], b"").status, 200);
    let (folder, _) = plain.stop();
    let anew = Dev::start_in(folder, &["--tls", "--reset"]);
    assert_ne!(std::fs::read_to_string(anew.data().join("ca.pem")).unwrap(), ca);
}

#[test]
fn without_an_authority_there_is_nothing_to_trust() {
    let folder = tempfile::tempdir().unwrap();
    let output = daypass().arg("trust").arg("--data").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`daypass dev --tls` makes one"));
}

/// A certificate that signs itself, good from the beginning of one year to that of another, and its key.
pub(crate) fn pair(names: &[&str], from: i32, to: i32) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let (mut params, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(crate) fn put(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("chain.pem"), certificate).unwrap();
    std::fs::write(folder.join("key.pem"), key).unwrap();
    std::fs::set_permissions(folder.join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder with what `daypass init` wrote, and a listener that shows what is in it.
pub(crate) fn installed(pair: &(String, String)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
    let file = folder.path().join("daypass.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace(
        "listen = \"127.0.0.1:5050\"",
        "listen = \"127.0.0.1:0\"\npublic_url = \"https://localhost\"\n\
         tls = { certificate = \"chain.pem\", key = \"key.pem\" }",
    );
    std::fs::write(&file, text).unwrap();
    put(folder.path(), pair);
    folder
}

pub(crate) fn serve(folder: &Path, verb: &str) -> std::process::Command {
    let mut command = daypass();
    command.arg(verb).arg("--config").arg(folder.join("daypass.toml"));
    command
}

/// Starts, and reads the log up to where the server is ready: that line, and the rest of the log.
pub(crate) fn start(folder: &Path) -> (Served, serde_json::Value, BufReader<std::process::ChildStderr>) {
    let (child, mut lines, log) = start_and_listen(folder);
    (child, lines.pop().unwrap(), log)
}

/// Starts, and reads the log up to where the server is ready: each line so far, and the rest of the log.
pub(crate) fn start_and_listen(
    folder: &Path,
) -> (Served, Vec<serde_json::Value>, BufReader<std::process::ChildStderr>) {
    let mut child = Served(serve(folder, "serve").stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(child.0.stderr.take().unwrap());
    let (_, said) = until_ready(&mut log);
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
    (child, lines, log)
}

#[test]
fn a_pair_that_no_client_would_take_is_refused_at_the_start() {
    let good = pair(&["localhost"], 2000, 2100);
    for (pair, why) in [
        (pair(&["localhost"], 2000, 2020), "chain.pem` expired at 2020-01-01T00:00:00Z"),
        (pair(&["localhost"], 2090, 2100), "chain.pem` is not valid before 2090-01-01T00:00:00Z"),
        ((good.0, pair(&["localhost"], 2000, 2100).1), "key.pem` is not the key of the certificate"),
    ] {
        let folder = installed(&pair);
        for (verb, code) in [("serve", 2), ("check", 2)] {
            let output = serve(folder.path(), verb).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(output.status.code(), Some(code), "{verb}: {said}");
            let line = format!("{}:", folder.path().join("daypass.toml").display());
            assert!(said.contains(&line) && said.contains(why) && said.contains("tls = {"), "{verb}: {said}");
        }
        assert!(!folder.path().join("data/daypass.db").exists(), "nothing was touched");
    }
}

#[test]
fn a_new_certificate_is_taken_up_at_a_hangup() {
    let (old, new) = (pair(&["localhost"], 2000, 2100), pair(&["localhost"], 2000, 2100));
    let folder = installed(&old);
    let (mut child, ready, mut log) = start(folder.path());
    let host = ready["address"].as_str().unwrap();
    assert!(get(host, "/livez", &old.0).unwrap().starts_with("HTTP/1.1 200"));
    let mut standing = connect(host, &old.0);
    write!(standing, "GET /livez HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
    assert!(standing.read(&mut [0; 1024]).unwrap() > 0);

    // A half that does not fit keeps the old pair; the whole one takes its place.
    std::fs::write(folder.path().join("chain.pem"), &new.0).unwrap();
    signal(child.0.id(), "HUP");
    let mut said = String::new();
    while !said.contains("the old one stays") {
        assert!(log.read_line(&mut said).unwrap() > 0, "{said}");
    }
    assert!(get(host, "/livez", &old.0).is_ok());
    put(folder.path(), &new);
    signal(child.0.id(), "HUP");
    let begun = Instant::now();
    while get(host, "/livez", &new.0).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(get(host, "/livez", &old.0).is_err());
    write!(standing, "GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    standing.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "the connection of before stands: {answer}");

    signal(child.0.id(), "TERM");
    assert!(child.0.wait().unwrap().success());
    log.read_to_string(&mut said).unwrap();
    assert!(said.contains("the old one stays") && said.contains("a new certificate is shown"), "{said}");
    assert!(!new.1.lines().chain(old.1.lines()).any(|line| said.contains(line)), "{said}");
}

/// Certificates follow each other while clients ask, on new connections and on those that stand: none of them fails.
#[test]
fn three_certificates_follow_each_other_under_load_without_a_failed_request() {
    let pairs: Vec<_> = (0..4).map(|_| pair(&["localhost"], 2000, 2100)).collect();
    let folder = installed(&pairs[0]);
    let (mut child, ready, _log) = start(folder.path());
    let host = ready["address"].as_str().unwrap();
    let (stop, asked) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    let connect = &|| connect_trusting(host, pairs.iter().map(|pair| pair.0.as_str()));
    let ask = &|stream: &mut StreamOwned<ClientConnection, TcpStream>| {
        write!(stream, "GET /livez HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{:?}", &answer[..length]);
        asked.fetch_add(1, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let mut standing = connect();
                    while !stop.load(Ordering::SeqCst) {
                        // Two keep their connection, two make one for each request.
                        if number % 2 == 0 {
                            standing = connect();
                        }
                        ask(&mut standing);
                    }
                })
            })
            .collect();
        for next in &pairs[1..] {
            put(folder.path(), next);
            signal(child.0.id(), "HUP");
            let (begun, before) = (Instant::now(), asked.load(Ordering::SeqCst));
            while get(host, "/livez", &next.0).is_err() || asked.load(Ordering::SeqCst) < before + 40 {
                assert!(begun.elapsed() < PATIENCE, "the new certificate is not shown");
                assert!(clients.iter().all(|client| !client.is_finished()), "a request has failed");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().unwrap();
        }
    });
    signal(child.0.id(), "TERM");
    assert!(child.0.wait().unwrap().success());
}
