//! A quota that is used up on a disk with room: the same as a disk that is full.
//!
//! No quota can be set here without a file system of its own that knows them, so a small library stands between the process and
//! the kernel and refuses as a quota does, with `EDQUOT`.

use super::crash::{orders, start};
use crate::conformance::{chain, entry, everything, put, read, verify};
use daypass_core::freeze::{Freeze, Place};
use daypass_core::store::{Change, Store, StoreError};
use daypass_core::testing::START;
use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Builds the library; nothing where no compiler is.
fn library(folder: &Path) -> Option<String> {
    let library = folder.join("quota.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite/tests/quota.c");
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    built.is_ok_and(|status| status.success()).then(|| library.display().to_string())
}

/// Asks the disk, as a server does every now and then.
async fn low(store: &Arc<dyn Store>) -> bool {
    store.room().await.unwrap().unwrap().low()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the part of a process whose quota is used up"]
async fn used_up() {
    let Some((writer, store)) = orders() else { return };
    store.begin(chain(writer)).await.unwrap();
    store.keep_free(Some(MIB)).await.unwrap();
    for number in 0..50 {
        store.append(entry(number)).await.unwrap();
        println!("ack {number}");
    }
    assert!(!low(&store).await, "there is room at first");
    println!("ready");
    let mut number = 50;
    let told = loop {
        match store.append(entry(number)).await {
            Ok(_) => println!("ack {number}"),
            Err(StoreError::Unavailable(text)) => break text,
            Err(other) => panic!("{other:?}"),
        }
        number += 1;
    };
    println!("told {told}");
    // Requests stand back, and an operator goes on in what was kept for him.
    for _ in 0..3 {
        let refused = store.append(entry(1_000_000)).await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(text)) if text.contains("kept for changes")),
            "{refused:?}"
        );
        assert!(low(&store).await, "and readiness tells it");
    }
    for tenant in 0..50_u32 {
        let freeze = Freeze { place: Place::Tenant(format!("t{tenant}")), since: START };
        put(&store, 2_000_000 + u128::from(tenant), vec![Change::Freeze(freeze)]).await.unwrap();
    }
    assert!(low(&store).await, "what was given up for that is not for requests");
    assert!(!read(&store, everything()).await.is_empty());
    println!("operated");
    // Somebody raises the quota, and nobody starts anything anew.
    let noticed = async {
        while low(&store).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), noticed).await.expect("it is noticed");
    store.append(entry(3_000_000)).await.unwrap();
    println!("ack 3000000");
    assert_eq!(store.room().await.unwrap().unwrap().reserve, MIB, "the reserve is made again");
    store.close().await.unwrap();
    println!("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_is_used_up_is_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = library(folder.path()) else {
        eprintln!("there is no C compiler: a quota was not tried");
        return;
    };
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let path = data.join("a.db");
    let setup = format!("LD_PRELOAD='{library}' QUOTA_FOLDER='{}' exec", data.display());
    let (mut child, output) = start("quota::used_up", &setup, &path, 1);
    let (mut acknowledged, mut said) = (BTreeSet::new(), Vec::new());
    let limit = data.join("limit");
    for line in output.lines() {
        let line = line.unwrap();
        match line.as_str() {
            // What is there, and a little.
            "ready" => {
                let files = std::fs::read_dir(&data).unwrap();
                let used: u64 = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum();
                let draft = folder.path().join("draft");
                std::fs::write(&draft, (used + 200_000).to_string()).unwrap();
                std::fs::rename(&draft, &limit).unwrap();
            }
            "operated" => std::fs::remove_file(&limit).unwrap(),
            _ => (),
        }
        match line.strip_prefix("ack ") {
            Some(number) => drop(acknowledged.insert(number.parse::<u128>().unwrap())),
            None => said.push(line),
        }
    }
    assert!(child.wait().unwrap().success(), "{said:?}");
    let told = said.iter().find_map(|line| line.strip_prefix("told "));
    assert!(told.is_some_and(|told| told.contains("quota of the disk")), "{said:?}");
    assert!(
        said.iter().any(|line| line == "operated") && said.iter().any(|line| line == "closed"),
        "{said:?}"
    );
    assert!(acknowledged.len() > 51, "{}", acknowledged.len());

    let store = super::open(&path);
    let stored = BTreeSet::from_iter(read(&store, everything()).await);
    assert!(acknowledged.is_subset(&stored));
    assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap());
}
