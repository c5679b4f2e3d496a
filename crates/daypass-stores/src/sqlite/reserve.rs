//! The part of the disk that is kept for operators: a file beside the database that holds nothing and can be given up.
//!
//! A disk that is full refuses everyone, and so also the operator who would freeze what fills it, revoke what was stolen or
//! disable a client. So while less than [`Room::least`] is left, what requests add is refused, and changes go on; and where
//! even a change finds no room, the reserve goes. Whichever process makes the change can give it up, the command line beside a
//! running server too. The server makes it again when there is room.
//!
//! A quota is a disk that is full for one user alone. The file system does not tell him how much is left of it, and SQLite
//! reports a write that it refuses as one that failed. So what is left is tried, by writing a file that is removed at once: little
//! now and then, and where that was refused, as much as must be free before requests are served again.

use super::fault::Fault;
use daypass_core::room::Room;
use daypass_core::store::StoreError;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How much is kept where nobody has said otherwise, in bytes: thousands of changes.
const USUAL: u64 = 16 << 20;

/// On a small disk it is no more than this part of the whole.
const PART: u64 = 8;

/// What opening the file may need, in bytes: the log's index and its first pages.
const OPENING: u64 = 256 << 10;

/// How much is written to see whether a quota is used up, in bytes: more than a commit's last page may have left of it.
const PROBE: u64 = 64 << 10;

/// What stands in the file is written in pieces of this size.
const PIECE: usize = 64 << 10;

/// The reserve beside one database. Copies are of the same one.
#[derive(Clone)]
pub(super) struct Reserve {
    file: Arc<Path>,
    /// How much shall be kept; nothing in a process that only makes changes.
    wanted: Arc<AtomicU64>,
    /// A quota is used up, whatever the file system says is free.
    used_up: Arc<AtomicBool>,
}

impl Reserve {
    /// Of the database at this path.
    pub(super) fn beside(database: &Path) -> Self {
        let mut file = database.as_os_str().to_owned();
        file.push("-reserve");
        Self { file: PathBuf::from(file).into(), wanted: Arc::default(), used_up: Arc::default() }
    }

    /// From now on keeps so much, or what suits the disk, and says how much that is. One that is there and smaller or larger is
    /// made anew.
    pub(super) fn keep(&self, bytes: Option<u64>) -> Result<u64, Fault> {
        let usual = || Ok::<_, Fault>(USUAL.min(self.disk()?.0 / PART));
        let wanted = bytes.map_or_else(usual, Ok)?;
        self.wanted.store(wanted, Ordering::Relaxed);
        let there = self.there();
        if there != wanted && there > 0 {
            std::fs::remove_file(&self.file)?;
        }
        self.make()?;
        Ok(wanted)
    }

    /// What is left, after the reserve was made again if there was room for it.
    pub(super) fn room(&self) -> Result<Room, Fault> {
        self.try_quota();
        self.make()?;
        self.look()
    }

    /// A write that was refused because a quota is used up is one on a full disk: nothing failed that the kernel would hold
    /// otherwise than the disk.
    pub(super) fn judge(&self, fault: Fault) -> Fault {
        if !(fault.refused && self.is_refused(PROBE)) {
            return fault;
        }
        self.note_quota(true);
        let error = StoreError::Unavailable("the quota of the disk is used up".into());
        Fault { error, disk: false, full: true, refused: true }
    }

    /// Whether a quota is used up, tried.
    fn try_quota(&self) {
        let used_up = if self.used_up.load(Ordering::Relaxed) {
            let least = self.look().map_or(0, |room| room.least());
            // A little at first, so that a quota that stays used up is not filled to its brim again and again.
            self.is_refused(PROBE) || self.is_refused(least.saturating_sub(self.there()))
        } else {
            self.is_refused(PROBE)
        };
        self.note_quota(used_up);
    }

    fn note_quota(&self, used_up: bool) {
        if self.used_up.swap(used_up, Ordering::Relaxed) != used_up {
            if used_up {
                tracing::error!("the quota of the disk is used up, whatever is free on it");
            } else {
                tracing::info!("there is room within the quota of the disk again");
            }
        }
    }

    /// Whether a quota does not let so many bytes be written.
    fn is_refused(&self, bytes: u64) -> bool {
        let probe = self.named("-probe");
        let poured = pour(&probe, bytes);
        let _ = std::fs::remove_file(&probe);
        poured.is_err_and(|error| error.kind() == ErrorKind::QuotaExceeded)
    }

    /// A file of another name beside the reserve.
    fn named(&self, end: &str) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(end);
        name.into()
    }

    /// Whether what is left is for operators alone. A disk that does not tell has room.
    pub(super) fn low(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0 && self.look().is_ok_and(|room| room.low())
    }

    /// Before something is written that must not fail: gives the reserve up if there is hardly any room without it.
    pub(super) fn make_way(&self) {
        self.make_way_for(self.there() / 4);
    }

    /// Before the file is opened: without room for the log and its index nobody could even read what is there.
    pub(super) fn make_way_to_open(&self) {
        if self.there() > 0 {
            self.note_quota(self.is_refused(OPENING));
        }
        self.make_way_for(OPENING);
    }

    fn make_way_for(&self, bytes: u64) {
        if self.there() > 0 && self.disk().is_ok_and(|(_, free)| free < bytes) {
            self.give_up();
        }
    }

    /// Gives the reserve up, and says whether there was one.
    pub(super) fn give_up(&self) -> bool {
        let there = self.there();
        if there == 0 || std::fs::remove_file(&self.file).is_err() {
            return false;
        }
        tracing::error!(bytes = there, "the disk is full; the reserve was given up for a change");
        true
    }

    fn look(&self) -> Result<Room, Fault> {
        let (_, free) = self.disk()?;
        Ok(Room { free, reserve: self.there(), wanted: self.wanted.load(Ordering::Relaxed) })
    }

    /// Makes the file if it is wanted, is not there, and would leave room for what is under way.
    fn make(&self) -> Result<(), Fault> {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted == 0 || self.there() > 0 || self.look()?.low() {
            return Ok(());
        }
        // Under another name first: a process that ends here leaves no half of it.
        let draft = self.named("-new");
        let made = fill(&draft, wanted).and_then(|()| std::fs::rename(&draft, &self.file));
        if let Err(error) = &made {
            let _ = std::fs::remove_file(&draft);
            if error.kind() == ErrorKind::QuotaExceeded {
                self.note_quota(true);
                return Ok(());
            }
        } else {
            tracing::info!(bytes = wanted, "some of the disk is kept in reserve for changes");
        }
        Ok(made?)
    }

    fn there(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    /// The size of the file system and what is free for this process, in bytes.
    fn disk(&self) -> Result<(u64, u64), Fault> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        let disk = rustix::fs::statvfs(folder).map_err(std::io::Error::from)?;
        let free = if self.used_up.load(Ordering::Relaxed) { 0 } else { disk.f_bavail };
        Ok((disk.f_blocks.saturating_mul(disk.f_frsize), free.saturating_mul(disk.f_frsize)))
    }
}

/// Writes the file, and sees it on the disk.
fn fill(path: &Path, bytes: u64) -> std::io::Result<()> {
    pour(path, bytes)?.sync_all()
}

/// Writes what no file system makes smaller: nothing repeats.
fn pour(path: &Path, bytes: u64) -> std::io::Result<File> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let (mut state, mut left) = (0x9e37_79b9_7f4a_7c15_u64, bytes);
    let mut piece = Vec::with_capacity(PIECE);
    while left > 0 {
        piece.clear();
        while piece.len() < PIECE {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece.extend_from_slice(&state.to_le_bytes());
        }
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        file.write_all(piece.get(..length).unwrap_or(&piece))?;
        left = left.saturating_sub(length as u64);
    }
    Ok(file)
}

/// What a request is told whose record would take the room that is left.
pub(super) fn full() -> StoreError {
    StoreError::Unavailable("the disk is almost full, and the rest is kept for changes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_made_of_the_wanted_size_and_holds_nothing_that_shrinks() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("a.db"));
        assert!(!reserve.low(), "nobody wants one yet");
        assert_eq!(reserve.room().unwrap().reserve, 0);
        assert_eq!(reserve.keep(Some(1_000_000)).unwrap(), 1_000_000);
        let room = reserve.room().unwrap();
        assert_eq!((room.reserve, room.wanted), (1_000_000, 1_000_000));
        let bytes = std::fs::read(folder.path().join("a.db-reserve")).unwrap();
        let pieces: std::collections::HashSet<_> = bytes.chunks(512).collect();
        assert_eq!(pieces.len(), bytes.chunks(512).len());

        assert_eq!(reserve.keep(Some(2_000)).unwrap(), 2_000);
        assert_eq!(reserve.room().unwrap().reserve, 2_000, "made anew");
        reserve.make_way();
        assert_eq!(reserve.look().unwrap().reserve, 2_000, "there is room without it");
        assert!(reserve.give_up() && !reserve.give_up());
        assert_eq!(reserve.look().unwrap().reserve, 0);
        assert_eq!(reserve.room().unwrap().reserve, 2_000, "made again");
        assert_eq!(reserve.keep(Some(0)).unwrap(), 0);
        assert_eq!(reserve.room().unwrap().reserve, 0);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 0, "{left:?}");
    }

    #[test]
    fn while_a_quota_is_used_up_nothing_is_free_and_it_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("a.db"));
        reserve.keep(Some(1_000_000)).unwrap();
        reserve.note_quota(true);
        let room = reserve.look().unwrap();
        assert!(room.free == 0 && room.low() && reserve.low(), "{room:?}");
        reserve.make_way();
        assert_eq!(reserve.look().unwrap().reserve, 0, "it goes before a change");
        let room = reserve.room().unwrap();
        assert!(room.free > 0 && room.reserve == 1_000_000, "there is no quota here: {room:?}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_write_that_no_quota_refuses_is_a_disk_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("a.db"));
        let error = StoreError::Unavailable("disk I/O error".into());
        let fault = reserve.judge(Fault { error, disk: true, full: false, refused: true });
        assert!(fault.disk && !fault.full, "{fault:?}");
    }

    #[test]
    fn more_than_the_disk_has_is_not_even_begun() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("a.db"));
        assert_eq!(reserve.keep(Some(u64::MAX / 4)).unwrap(), u64::MAX / 4);
        assert!(reserve.low());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_usual_is_no_more_than_a_part_of_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("a.db"));
        let kept = reserve.keep(None).unwrap();
        assert_eq!(kept, USUAL.min(reserve.disk().unwrap().0 / PART));
    }
}
