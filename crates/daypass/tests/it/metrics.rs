//! Metrics and readiness of a running server, and the page that lists them.

use crate::patience::{find, soon};
use crate::process::{Answer, daypass, parse};
use crate::tls::{get, installed, pair, start};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");

fn ask(address: &str, request: &str, host: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parse(&answer)
}

fn client(folder: &Path, args: &[&str]) {
    let output = daypass().arg("client").args(args).arg("--config").arg(folder.join("daypass.toml")).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// An installation whose metrics are read at a free port.
fn measured(pair: &(String, String)) -> tempfile::TempDir {
    let folder = installed(pair);
    let file = folder.path().join("daypass.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\nlisten =", "\nmetrics = \"127.0.0.1:0\"\nlisten =", 1)).unwrap();
    folder
}

/// The value of the sample with this name and these labels.
fn value(text: &str, sample: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_running_server_tells_what_the_page_lists() {
    let pair = pair(&["localhost"], 2000, 2100);
    let folder = measured(&pair);
    let (_server, ready, _log) = start(folder.path());
    let (host, address) = (ready["address"].as_str().unwrap(), ready["metrics"].as_str().unwrap());
    for _ in 0..3 {
        get(host, "/router/rest", &pair.0).unwrap();
    }
    let answer = ask(address, "GET /metrics", address);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer:?}");
    assert!(!answer.head.contains("0.1.0"), "no version in a header: {answer:?}");
    let text = answer.body;
    assert!(text.ends_with("# EOF\n"), "{text}");

    let told: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let listed: BTreeMap<_, _> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap().to_owned()))
        .collect();
    assert_eq!(told, listed);
    let head = |page: &str| -> Vec<String> {
        let rows = page.lines().filter(|line| line.starts_with("| `daypass_"));
        rows.map(|line| line.split('|').take(4).collect::<Vec<_>>().join("|")).collect()
    };
    let chinese = std::fs::read_to_string(PAGE.replace(".md", ".zh-CN.md")).unwrap();
    assert_eq!(head(&chinese), head(&page));
    let cells = |line: &'static str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some((cells.next()?.trim_end_matches('`'), cells.nth(1)?))
    };
    let page: &str = page.leak();
    for (name, labels) in page.lines().filter_map(cells) {
        // A name may begin like another one.
        let samples = text.lines().filter(|line| {
            let ends = ["{", "_total{", "_bucket{", "_count{", "_sum{", "_info{"];
            line.strip_prefix(name).is_some_and(|rest| ends.iter().any(|end| rest.starts_with(end)))
        });
        let with_labels = samples.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
        for sample in with_labels.filter(|labels| !labels.is_empty()) {
            let found: Vec<_> =
                sample.split("\",").map(|label| format!("`{}`", label.split('=').next().unwrap())).collect();
            assert_eq!(found.join(", "), labels, "{name}");
        }
    }

    let refused = "daypass_requests_total{dialect=\"alibaba.top\",result=\"missing_parameter\"}";
    assert_eq!(value(&text, refused), Some(3), "{text}");
    assert_eq!(value(&text, "daypass_grants_total{dialect=\"alibaba.top\"}"), Some(0), "{text}");
    assert_eq!(value(&text, "daypass_certificate_expires_seconds"), Some(4_102_444_800), "{text}");
    assert!(value(&text, "daypass_store_silent_seconds").unwrap() <= 2, "{text}");
    assert_eq!(value(&text, "daypass_key_overdue"), Some(0), "{text}");
    let rsa = "daypass_key_age_seconds{purpose=\"jwt-rs256\",version=\"1\",state=\"active\"}";
    assert!(value(&text, rsa).is_some_and(|age| age < 60), "{text}");
    assert!(text.contains("daypass_build_info{version=\""), "{text}");
}

/// Every check that a server makes is explained, and it tells all of them to whoever asks for JSON.
#[test]
fn readiness_is_told_in_words_and_in_full() {
    let pair = pair(&["localhost"], 2000, 2100);
    let folder = measured(&pair);
    let (_server, ready, _log) = start(folder.path());
    let (host, metrics) = (ready["address"].as_str().unwrap(), ready["metrics"].as_str().unwrap());
    let asked =
        "GET /readyz HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\nconnection: close\r\n\r\n";
    let told = || {
        let mut stream = crate::tls::connect(host, &pair.0);
        stream.write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        parse(&answer)
    };
    // The first look at itself may come a moment after the start.
    let looked = |answer: &Answer| answer.body.contains("\"descriptors\"");
    let answer = find("it looks at itself", || Some(told()).filter(looked));
    let report = answer.json();
    assert_eq!((answer.status, report["status"].as_str()), (200, Some("ready")), "{report:#}");
    let pages = [PAGE.to_owned(), PAGE.replace(".md", ".zh-CN.md")]
        .map(|page| std::fs::read_to_string(page).unwrap());
    let names: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in ["store", "records", "clock", "disk", "descriptors", "background"] {
        assert!(names.contains(&name), "{report:#}");
    }
    for name in names {
        let explained = |page: &String| {
            let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
            rows.filter_map(|row| row.split('|').next())
                .any(|cell| cell.split(',').any(|one| one.trim() == name))
        };
        assert!(pages.iter().all(explained), "{name}");
    }
    let text = ask(metrics, "GET /metrics", metrics).body;
    assert_eq!(value(&text, "daypass_ready"), Some(1), "{text}");
    assert_eq!(value(&text, "daypass_check_state{check=\"clock\"}"), Some(0), "{text}");
    assert!(
        value(&text, "daypass_disk_reserve_bytes").unwrap() > 0
            && value(&text, "daypass_disk_free_bytes").unwrap() > 0
    );
    assert!(value(&text, "daypass_file_descriptors").unwrap() > 3);
    assert!(folder.path().join("data/daypass.db-reserve").exists());
}

#[test]
fn the_listener_of_metrics_has_nothing_else() {
    let pair = pair(&["localhost"], 2000, 2100);
    let folder = measured(&pair);
    let (_server, ready, _log) = start(folder.path());
    let (host, address) = (ready["address"].as_str().unwrap(), ready["metrics"].as_str().unwrap());
    for (request, name, status) in [
        ("GET /", address, 404),
        ("GET /readyz", address, 404),
        ("GET /router/rest", address, 404),
        ("POST /metrics", address, 405),
        ("GET /metrics", "evil.example", 403),
        ("GET /metrics", "localhost", 200),
    ] {
        let answer = ask(address, request, name);
        assert_eq!(answer.status, status, "{request} {name}: {answer:?}");
    }
    assert!(get(host, "/metrics", &pair.0).unwrap().starts_with("HTTP/1.1 404"), "nor the service metrics");
}

#[test]
fn an_end_that_is_near_shows_without_its_name_to_strangers() {
    let pair = pair(&["localhost"], 2000, 2100);
    let folder = measured(&pair);
    client(folder.path(), &["add", "edge \"1\"", "--kind", "tencent", "--role", "soe", "--expires", "5d"]);
    client(folder.path(), &["add", "later", "--kind", "tencent", "--role", "soe", "--expires", "50d"]);
    client(folder.path(), &["add", "never", "--kind", "tencent", "--role", "soe"]);
    let (_server, ready, _log) = start(folder.path());
    let (host, address) = (ready["address"].as_str().unwrap(), ready["metrics"].as_str().unwrap());
    let text = ask(address, "GET /metrics", address).body;
    let ends: Vec<_> =
        text.lines().filter(|line| line.starts_with("daypass_client_key_expires_seconds{")).collect();
    assert_eq!(ends.len(), 2, "{text}");
    assert!(ends.iter().any(|line| line.contains(r#"client="edge \"1\"","#)), "{ends:?}");

    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    // The look at the store that finds it may come a moment after the start.
    let ready = || body(get(host, "/readyz", &pair.0).unwrap());
    let expected = "ok\nwarning: keys of clients that end within 7 days: 1\n";
    soon("the warning", || ready() == expected);
    client(folder.path(), &["disable", "edge \"1\""]);
    soon("its end", || ready() == "ok\n");
}
