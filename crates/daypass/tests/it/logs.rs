//! Log lines: what stands in them, what never does, and that nobody waits for whoever reads them.

use crate::process::{Dev, daypass};
use crate::serve::{Served, until_ready};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// More than the pipe and the queue hold.
const LINES: usize = 12_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_log_that_nobody_reads_keeps_no_request_waiting_and_what_is_lost_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
    let file = folder.path().join("daypass.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let free = "listen = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"";
    std::fs::write(&file, text.replacen("listen = \"127.0.0.1:5050\"", free, 1)).unwrap();
    let serve = daypass()
        .args(["serve", "--log", "debug", "--config"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Served(serve);
    let mut log = BufReader::new(server.0.stderr.take().unwrap());
    let (ready, _) = until_ready(&mut log);
    // From here on nobody reads.
    let (address, metrics) = (ready["address"].as_str().unwrap(), ready["metrics"].as_str().unwrap());
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let request = format!("GET /router/rest HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..LINES / 100 {
        stream.write_all(request.repeat(100).as_bytes()).unwrap();
        for _ in 0..100 {
            let mut length = 0;
            loop {
                let mut line = String::new();
                answers.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
                assert!(!line.is_empty(), "the connection ended");
            }
            answers.read_exact(&mut vec![0; length]).unwrap();
        }
    }
    assert!(begun.elapsed() < Duration::from_mins(5));
    assert!(get(address, "/livez").starts_with("HTTP/1.1 200"));
    let text = get(metrics, "/metrics");
    let lost = text.lines().find_map(|line| line.strip_prefix("daypass_log_lines_lost_total ")).unwrap();
    assert!(lost.parse::<usize>().unwrap() > 0, "{text}");
}

/// What a stranger sends may be somebody's secret, in the wrong place or for another service.
#[test]
fn nothing_of_what_strangers_send_in_the_places_of_secrets_is_logged() {
    const MARK: &str = "hunter2hunter2hunter2";
    let dev = Dev::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    let tenant = dev.credentials["entra"]["tenant"].as_str().unwrap().to_owned();
    let client = dev.credentials["entra"]["client_id"].as_str().unwrap().to_owned();
    let headers = [
        ("authorization", format!("Bearer {MARK}")),
        ("authorization", format!("Basic {MARK}")),
        (
            "authorization",
            format!(
                "TC3-HMAC-SHA256 Credential={MARK}/2026-11-22/sts/tc3_request, SignedHeaders=host, Signature={MARK}"
            ),
        ),
        ("authorization", format!("ACS3-HMAC-SHA256 Credential={MARK},SignedHeaders=host,Signature={MARK}")),
        ("cookie", format!("sid={MARK}")),
        ("x-acs-security-token", MARK.to_owned()),
        ("x-tc-token", MARK.to_owned()),
        ("dpop", MARK.to_owned()),
        ("traceparent", format!("00-{MARK}-{MARK}-01")),
        ("x-request-id", MARK.to_owned()),
    ];
    let token = format!("/{tenant}/oauth2/v2.0/token");
    let introspect = format!("/{tenant}/oauth2/v2.0/introspect");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for path in ["/", "/router/rest", "/getAuthorization", "/readyz", &*token, &*introspect, "/nowhere"] {
        for (name, value) in &headers {
            for (method, body) in
                [("GET", ""), ("POST", "{}"), ("POST", "Action=AssumeRole&Version=2015-04-01")]
            {
                dev.send(method, path, &[(name, value), form], body.as_bytes());
            }
        }
        for name in
            ["ticket", "sign", "session", "SecurityToken", "Signature", "access_token", "client_secret"]
        {
            dev.send("GET", &format!("{path}?{name}={MARK}"), &[], b"");
        }
    }
    let secret = [("client_id", &*client), ("grant_type", "client_credentials")];
    for (name, value) in [
        ("client_secret", MARK.to_owned()),
        ("client_assertion", format!("{MARK}.{MARK}.{MARK}")),
        ("token", MARK.to_owned()),
        ("password", MARK.to_owned()),
        ("subject_token", MARK.to_owned()),
        ("refresh_token", MARK.to_owned()),
    ] {
        for path in [&token, &introspect] {
            dev.post_form(path, &[&secret[..], &[(name, &value)]].concat());
        }
    }
    dev.raw(format!("GET /\x01{MARK} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
    let (_, log) = dev.stop();
    assert!(log.contains("\"refused\""), "it logs");
    let told: Vec<_> = log.lines().filter(|line| line.contains(MARK)).take(5).collect();
    assert!(told.is_empty(), "{told:#?}");
}

/// The fields of every line that the sources log.
fn logged() -> BTreeSet<String> {
    fn walk(folder: &Path, all: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
            if entry.is_dir() {
                if name != "tests" && name != "testing" {
                    walk(&entry, all);
                }
            } else if entry.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
                let text = std::fs::read_to_string(&entry).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for level in ["error", "warn", "info", "debug", "trace"] {
                    for (at, found) in text.match_indices(&format!("tracing::{level}!(")) {
                        all.extend(fields(&text[at + found.len()..]));
                    }
                }
            }
        }
    }
    let mut all = BTreeSet::new();
    for part in ["daypass", "daypass-stores", "daypass-issuers"] {
        walk(&root().join("crates").join(part).join("src"), &mut all);
    }
    all
}

/// The names of the fields of one call, of which this is the rest behind its parenthesis.
fn fields(rest: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped, mut part, mut parts) =
        (0, false, false, String::new(), Vec::new());
    for c in rest.chars() {
        let plain = !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if plain => depth += 1,
            ')' if plain && depth == 0 => break,
            ')' | ']' | '}' if plain => depth -= 1,
            ',' if plain && depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => (),
        }
        part.push(c);
    }
    parts.push(part);
    let before_text = parts.iter().take_while(|part| !part.trim().starts_with(['"']));
    let name = |part: &String| {
        let part = part.trim().split('=').next().unwrap().trim().trim_start_matches(['%', '?']);
        part.rsplit('.').next().unwrap().to_owned()
    };
    before_text
        .map(name)
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect()
}

#[test]
fn every_field_is_listed_and_every_listed_field_is_logged() {
    assert_eq!(
        fields("tenant, client = name, %error, a = f(b, \"c, d\"), ?x.y, \"text {z}\", z)"),
        ["tenant", "client", "error", "a", "y"]
    );
    for page in ["docs/logging.md", "docs/logging.zh-CN.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let listed: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .flat_map(|line| line.split('|').next().unwrap().split(','))
            .map(|name| name.trim().trim_matches('`').to_owned())
            .collect();
        let always: BTreeSet<String> = ["timestamp", "level", "message"].map(str::to_owned).into();
        let logged: BTreeSet<String> = logged().union(&always).cloned().collect();
        assert_eq!(listed, logged, "{page}");
    }
}
