//! A small disk that fills up: requests stand back, operators go on, and it mends by itself.
//!
//! It takes a file system of its own, which only root can mount. Without that, the same rules are tried on this disk with a
//! reserve that it cannot hold.

use crate::conformance::{chain, client, entry, everything, put, read, verify};
use daypass_core::clock::Timestamp;
use daypass_core::freeze::{Freeze, Place};
use daypass_core::store::{Appended, Change, Spent, Store, StoreError};
use daypass_core::testing::START;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A file system of so many MiB, which is gone with this value.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None where this process may not mount one.
    fn mount(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "daypass-test"])
            .arg(folder.path())
            .status();
        let disk = Self { folder };
        mounted.is_ok_and(|status| status.success()).then_some(disk)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self) -> Arc<dyn Store> {
        super::open(&self.path().join("a.db"))
    }

    /// Fills up what is free but for so many bytes, as another program would.
    fn fill(&self, but: u64) -> PathBuf {
        let path = self.path().join("other");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let free = || {
            let disk = rustix::fs::statvfs(self.path()).unwrap();
            disk.f_bavail * disk.f_frsize
        };
        while free() > but {
            let piece = usize::try_from((free() - but).min(4096)).unwrap();
            if file.write(&vec![1; piece]).is_err() {
                break;
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

fn stands_back<T: std::fmt::Debug>(refused: &Result<T, StoreError>) {
    assert!(
        matches!(refused, Err(StoreError::Unavailable(text)) if text.contains("kept for changes")),
        "{refused:?}"
    );
}

/// Everything that requests add.
async fn requests_stand_back(store: &Arc<dyn Store>) {
    stands_back(&store.append(entry(900)).await);
    stands_back(&store.spend([7; 16], START).await);
    stands_back(&store.note_uses(vec![("AKID".into(), START)]).await);
}

fn freeze(number: u32) -> Vec<Change> {
    vec![Change::Freeze(Freeze { place: Place::Tenant(format!("t{number}")), since: START })]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_operators_go_on_and_requests_come_back_by_themselves() {
    let Some(disk) = Disk::mount(16) else {
        eprintln!("no file system can be mounted here: a full disk was not tried");
        return;
    };
    let store = disk.open();
    store.begin(chain(1)).await.unwrap();
    assert_eq!(store.keep_free(None).await, Ok(2 * MIB), "an eighth of the disk");
    assert_eq!(store.append(entry(1)).await, Ok(Appended::Appended));

    // Little is left, and the reserve is there.
    let other = disk.fill(MIB / 2);
    let room = store.room().await.unwrap().unwrap();
    assert!(room.low() && room.reserve == 2 * MIB, "{room:?}");
    requests_stand_back(&store).await;
    put(&store, 10, freeze(1)).await.unwrap();
    assert!(disk.path().join("a.db-reserve").exists(), "there was room without it");

    // Nothing is left at all, and the same process changes something.
    disk.fill(0);
    requests_stand_back(&store).await;
    put(&store, 11, freeze(2)).await.unwrap();
    assert!(!disk.path().join("a.db-reserve").exists(), "it was given up");
    requests_stand_back(&store).await;
    for number in 3..40 {
        put(&store, 9 + u128::from(number), freeze(number)).await.unwrap();
    }
    assert_eq!(store.freezes().await.unwrap().len(), 39);

    // Another process beside it, as `daypass freeze` is.
    let beside = disk.open();
    beside.begin(chain(2)).await.unwrap();
    put(&beside, 100, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    beside.close().await.unwrap();
    assert!(store.room().await.unwrap().unwrap().low());
    assert_eq!(read(&store, everything()).await.len(), 41);

    std::fs::remove_file(other).unwrap();
    assert_eq!(store.append(entry(2)).await, Ok(Appended::Appended), "at once");
    assert_eq!(store.spend([7; 16], START).await, Ok(Spent::Now));
    let room = store.room().await.unwrap().unwrap();
    assert_eq!((room.reserve, room.low()), (2 * MIB, false), "and the reserve is made again");
    assert_eq!(verify(&store).await, 42);
    store.close().await.unwrap();
}

/// With a reserve that is there, an operator's process that finds the disk full and no server running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_on_a_full_disk_without_a_server_takes_the_reserve() {
    let Some(disk) = Disk::mount(16) else {
        eprintln!("no file system can be mounted here: a full disk was not tried");
        return;
    };
    let store = disk.open();
    store.begin(chain(1)).await.unwrap();
    store.keep_free(Some(MIB)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    disk.fill(0);
    let store = disk.open();
    store.begin(chain(2)).await.unwrap();
    put(&store, 10, freeze(1)).await.unwrap();
    assert_eq!(verify(&store).await, 2);
    store.close().await.unwrap();
}

/// A change that finds out only while it is written that the disk is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_meets_the_end_of_the_disk_is_tried_again_with_the_reserve() {
    let Some(disk) = Disk::mount(16) else {
        eprintln!("no file system can be mounted here: a full disk was not tried");
        return;
    };
    let store = disk.open();
    store.begin(chain(1)).await.unwrap();
    store.keep_free(Some(2 * MIB)).await.unwrap();
    // Enough that nobody makes way beforehand, and less than the change needs.
    disk.fill(MIB * 6 / 10);
    let many = (0..30_000).flat_map(freeze).collect();
    put(&store, 10, many).await.unwrap();
    assert_eq!(store.freezes().await.unwrap().len(), 30_000);
    assert!(!disk.path().join("a.db-reserve").exists());
    assert_eq!(verify(&store).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_the_disk_cannot_hold_keeps_requests_back_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = super::open(&folder.path().join("a.db"));
    store.begin(chain(1)).await.unwrap();
    assert_eq!(
        store.append(entry(1)).await,
        Ok(Appended::Appended),
        "nothing is kept unless it is asked for"
    );
    store.keep_free(Some(1 << 60)).await.unwrap();
    requests_stand_back(&store).await;
    put(&store, 10, freeze(1)).await.unwrap();
    let later = Timestamp::from_millisecond(START.as_millisecond() + 1).unwrap();
    assert_eq!(
        store.note_clock(later).await,
        Ok(later),
        "whether a record could be written can still be asked"
    );
    store.keep_free(Some(0)).await.unwrap();
    assert_eq!(store.append(entry(2)).await, Ok(Appended::Appended));
}
