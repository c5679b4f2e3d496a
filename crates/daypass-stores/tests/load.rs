//! How fast records become durable. Not a test of right and wrong, so it runs only when asked for:
//! `cargo test -p daypass-stores --release --test load -- --ignored --nocapture`.
#![cfg(test)]

use daypass_core::policy::Language;
use daypass_core::record::{Chain, Entry, Event, Record};
use daypass_core::store::Store;
use daypass_core::testing::{START, allow, ring};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A grant like those of the pipeline: some 600 bytes of JSON.
fn entry(n: u64) -> Entry {
    let event = Event::Grant {
        credential: format!("AKID{n:032}"),
        expires: START,
        policy: Some(std::sync::Arc::new(allow(
            Language::Ram,
            "oss:PutObject",
            "acs:oss:*:*:bucket/hema/8005/*",
        ))),
        audience: None,
        kid: None,
        upstream: None,
        bound: None,
        origin: None,
        correlation: None,
        app_roles: vec![],
        variables: [("tenant_code", "hema"), ("poi_id", "8005")].map(|(k, v)| (k.into(), v.into())).into(),
        tags: BTreeMap::new(),
        source_identity: None,
        asked: None,
        repeat: false,
    };
    let record = Record {
        event,
        dialect: Some("alibaba.top".into()),
        request: Some(Uuid::from_u128(n.into())),
        client: Some(Uuid::from_u128(7)),
        key: Some("12345678".into()),
        role: Some("store-upload".into()),
        source: Some([192, 0, 2, 1].into()),
        ..Record::change(Uuid::from_u128(n.into()), START, Some("acme".into()), "", "")
    };
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&n.to_be_bytes());
    Entry { record, mark: Some(mark) }
}

#[expect(clippy::disallowed_methods, reason = "this measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// What this process has used of the processors, in microseconds; the kernel counts hundredths of a second.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    [11, 12].map(|field| fields[field].parse::<u64>().unwrap()).iter().sum::<u64>() * 10_000
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000].as_micros();
    println!("{what}: p50 {} us, p99 {} us, p99.9 {} us, most {} us", at(500), at(990), at(999), at(1000));
}

/// What one write and sync of a page costs here, without any database.
fn sync_alone() {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new_in(".").unwrap();
    let times = (0..500).map(|_| {
        let began = now();
        file.write_all(&[7; 4096]).unwrap();
        file.as_file().sync_data().unwrap();
        began.elapsed()
    });
    show("fdatasync of one page", times.collect());
}

async fn run(store: &Arc<dyn Store>, waiters: u64, span: Duration) {
    let next = Arc::new(AtomicU64::new(waiters << 40));
    let (began, used) = (now(), cpu());
    let tasks: Vec<_> = (0..waiters)
        .map(|_| {
            let (store, next) = (store.clone(), next.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < span {
                    let entry = entry(next.fetch_add(1, Ordering::Relaxed));
                    let asked = now();
                    store.append(entry).await.unwrap();
                    times.push(asked.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let count = times.len() as u64;
    let rate = u128::from(count) * 1_000_000 / began.elapsed().as_micros();
    let each = (cpu() - used) / count;
    show(&format!("{waiters} waiters: {rate} records/s, {each} us of CPU a record"), times);
}

#[test]
#[ignore = "measures for half a minute"]
fn append() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    sync_alone();
    for waiters in [1, 32, 256, 1024] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("load.db");
        runtime.block_on(async {
            let store = daypass_stores::open(&format!("sqlite:{}", path.display())).unwrap();
            store.begin(Chain::begin(&ring(), Uuid::from_u128(1)).unwrap()).await.unwrap();
            run(&store, waiters, Duration::from_secs(5)).await;
            store.close().await.unwrap();
        });
    }
}
