//! Spans for OpenTelemetry, as a collector gets them. Only with the feature `otel`.

use crate::process::{Dev, daypass, send, token};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A collector that keeps what it is sent.
fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                kept.lock().unwrap().extend_from_slice(line.as_bytes());
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            kept.lock().unwrap().extend_from_slice(&body);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (url, got)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The id of a trace as it stands in a `traceparent`, and as bytes.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_collector_gets_spans_without_secrets() {
    let (url, got) = collector();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.json");
    let mut child = daypass()
        .args(["dev", "--json", "--log", "off", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .arg("--credentials")
        .arg(&file)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let credentials: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let host = credentials["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let given = token(&["tencent"], &file);
    assert!(given.status.success(), "{given:?}");
    let given: serde_json::Value = serde_json::from_slice(&given.stdout).unwrap();
    let entra = token(&["entra"], &file);
    let jwt: serde_json::Value = serde_json::from_slice(&entra.stdout).unwrap();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let mark = "hunter2hunter2hunter2";
    let headers = [("traceparent", &*parent), ("authorization", mark), ("cookie", mark)];
    send(&host, "GET", &format!("/router/rest?sign={mark}"), &headers, mark.as_bytes());

    let begun = Instant::now();
    let all = |got: &Mutex<Vec<u8>>| got.lock().unwrap().clone();
    let wanted: [&[u8]; 9] = [
        b"POST /v1/traces HTTP/1.1",
        b"daypass",
        b"tencent.sts",
        b"granted",
        b"demo",
        b"store.commit",
        b"entra",
        b"alibaba.top",
        &bytes_of(TRACE),
    ];
    while !wanted.iter().all(|part| has(&all(&got), part)) {
        let missing: Vec<_> = wanted
            .iter()
            .filter(|part| !has(&all(&got), part))
            .map(|part| String::from_utf8_lossy(part))
            .collect();
        assert!(begun.elapsed() < Duration::from_mins(1), "no span says {missing:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    let text =
        |value: &serde_json::Value, path: &str| value.pointer(path).unwrap().as_str().unwrap().to_owned();
    let secrets = [
        mark.to_owned(),
        "127.0.0.1".to_owned(),
        text(&credentials, "/tencent/secret_key"),
        text(&credentials, "/entra/client_secret"),
        text(&given, "/Response/Credentials/TmpSecretKey"),
        text(&given, "/Response/Credentials/Token"),
        text(&given, "/Response/Credentials/TmpSecretId"),
        text(&jwt, "/access_token"),
    ];
    let got = all(&got);
    // The head of the collector's own request names where it is.
    let spans: Vec<u8> = String::from_utf8_lossy(&got).replace(&url["http://".len()..], "").into_bytes();
    for secret in secrets {
        assert!(!has(&spans, secret.as_bytes()), "a span holds {secret}");
    }
}

#[test]
fn without_an_endpoint_nothing_is_sent() {
    let dev = Dev::start();
    assert!(token(&["tencent"], &dev.file()).status.success());
    let (_, log) = dev.stop();
    assert!(!log.contains("spans"), "{log}");
}
