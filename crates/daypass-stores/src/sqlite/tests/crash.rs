//! Processes that die in the middle of their work, and what they had acknowledged.

use super::open;
use crate::conformance::{chain, client, entry, everything, put, read, verify};
use daypass_core::store::{Change, Store, StoreError};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// This test binary once more, running the one test that plays the part, under a shell that sets it up.
pub(super) fn start(part: &str, setup: &str, path: &Path, writer: u128) -> (Child, BufReader<ChildStdout>) {
    let test = format!("sqlite::tests::{part}");
    let mut child = Command::new("sh")
        .args(["-c", &format!("{setup} \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &test, "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{writer} {}", path.display()).unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// What the parent said: the number of the writer to be and the path of the store. Nothing, if there is no parent.
pub(super) fn orders() -> Option<(u128, Arc<dyn Store>)> {
    let mut line = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().lock().read_line(&mut line).unwrap();
    }
    let (writer, path) = line.trim_end().split_once(' ')?;
    Some((writer.parse().unwrap(), open(Path::new(path))))
}

/// The number in a line like `ack 17`.
fn number(line: &str, word: &str) -> Option<u128> {
    line.strip_prefix(word)?.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the part of a process that is killed"]
async fn killed() {
    let Some((writer, store)) = orders() else { return };
    store.begin(chain(writer)).await.unwrap();
    let tasks: Vec<_> = (0..8_u128)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let number = (writer * 8 + task) * 1_000_000 + n;
                    if n % 5 == 4 {
                        let client = client(number, "acme", &number.to_string());
                        put(&store, number, vec![Change::PutClient(client)]).await.unwrap();
                        println!("put {number}");
                    } else {
                        store.append(entry(number)).await.unwrap();
                    }
                    println!("ack {number}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Twelve lives of one store, each ended by SIGKILL at another moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (mut acknowledged, mut put) = (BTreeSet::new(), BTreeSet::new());
    for life in 1..=12_u128 {
        let (mut child, mut output) = start("crash::killed", "exec", &path, life);
        let mut lines = Vec::new();
        let mut seen = 0;
        loop {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap() == 0 {
                break;
            }
            seen += u128::from(line.starts_with("ack"));
            if seen == 1 + life * life * 3 {
                child.kill().unwrap();
            }
            lines.push(line);
        }
        child.wait().unwrap();
        // The last line may be cut in the middle of its number.
        let whole = || lines.iter().filter(|line| line.ends_with('\n'));
        acknowledged.extend(whole().filter_map(|line| number(line, "ack")));
        put.extend(whole().filter_map(|line| number(line, "put")));
        assert!(seen > life * life * 3, "life {life}: {lines:?}");

        let store = open(&path);
        let stored = BTreeSet::from_iter(read(&store, everything()).await);
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "life {life}: acknowledged and lost: {lost:?}");
        let clients = store.clients().await.unwrap();
        let clients = clients.iter().map(|client| client.guid.as_u128()).collect();
        assert!(put.is_subset(&clients), "life {life}");
        assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap(), "life {life}");
        store.close().await.unwrap();
    }
    assert!(put.len() > 50 && acknowledged.len() > 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the part of a process whose disk fails"]
async fn starved() {
    let Some((writer, store)) = orders() else { return };
    store.begin(chain(writer)).await.unwrap();
    let mut refusals = 0;
    for number in 0..2_000 {
        match store.append(entry(number)).await {
            Ok(_) => println!("ack {number}"),
            Err(StoreError::Unavailable(text)) => {
                refusals += 1;
                println!("refused {text}");
                // Reading goes on.
                assert!(!read(&store, everything()).await.is_empty());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
        if refusals > 0 && number % 100 == 0 {
            println!("alive");
        }
    }
    store.close().await.unwrap();
    println!("closed");
}

/// The kernel refuses to let any file grow: SQLite's writes fail with an I/O error, not with "full". Nothing is
/// acknowledged meanwhile, nothing acknowledged is lost, and when the disk works again so does the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_and_comes_back_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let setup = "trap '' XFSZ; exec prlimit --fsize=600000:unlimited";
    let (mut child, output) = start("crash::starved", setup, &path, 1);
    let mut acknowledged = BTreeSet::new();
    let (mut refused, mut behind, mut closed) = (0, 0, false);
    for line in output.lines() {
        let line = line.unwrap();
        if let Some(number) = number(&line, "ack") {
            acknowledged.insert(number);
            behind += u64::from(refused > 0);
        }
        refused += u64::from(line.starts_with("refused"));
        closed |= line == "closed";
        if refused == 20 {
            let raise = ["--fsize=unlimited", "--pid", &child.id().to_string()];
            assert!(Command::new("prlimit").args(raise).status().unwrap().success());
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(refused >= 20 && behind > 100 && closed, "{refused} refused, {behind} behind, closed: {closed}");

    let store = open(&path);
    let stored = BTreeSet::from_iter(read(&store, everything()).await);
    assert!(acknowledged.is_subset(&stored));
    assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap());
}
