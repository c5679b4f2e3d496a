//! Credentials between two programs: one file each, and a lock beside it, in a folder of the user's own.
//!
//! A file holds the answer as the server gave it, with mode 0600. It is not sealed: the key would have to lie where the
//! same user can read it, as the long-lived key in the credentials file already does, and would guard nothing from
//! anyone whom the mode does not keep out.

use super::folder;
use super::moment::Moment;
use crate::cli::files::write_private;
use daypass_core::secret::Secret;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The form of the files: one that another version of this program wrote is not read.
const VERSION: u32 = 1;
/// The most that is read of a file, in bytes: more than any answer.
const LONGEST: u64 = 2 * 1024 * 1024;
/// A credential that is about to end is ended: it would be over before it was used.
const LAST_SECONDS: i64 = 5;
/// Where nothing else is said, a credential is renewed when a fifth of its life is left, …
const LAST_PART: i64 = 5;
/// … or these seconds: SDKs ask again when about so much is left, and must then get another.
const AHEAD: i64 = 300;

/// A folder of credentials.
pub(super) struct Cache {
    folder: PathBuf,
}

/// An answer and how old it is.
pub(super) struct Kept {
    made: Moment,
    life: i64,
    answer: Secret,
}

/// What may be done with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is used.
    Fresh,
    /// It is used, and another is asked for.
    Due,
    /// It is not used any more, whatever happens.
    Over,
}

/// The file's content.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
struct Document {
    version: u32,
    wall: i64,
    up: i64,
    life: u32,
    answer: String,
}

impl Kept {
    /// An answer that was asked for at `made`, with seconds to live.
    pub(super) fn new(made: Moment, life: u32, answer: &[u8]) -> Self {
        Self { made, life: i64::from(life), answer: Secret::new(answer) }
    }

    /// The answer as the server gave it.
    pub(super) fn into_answer(self) -> Secret {
        self.answer
    }

    /// Seconds that are left; none where its age is not known.
    pub(super) fn left(&self, now: Moment) -> i64 {
        now.since(self.made).map_or(0, |age| self.life.saturating_sub(age))
    }

    /// Seconds that must be left so that no other is asked for: what was wished, but at least a fifth of its life.
    fn ahead(&self, least: Option<u32>) -> i64 {
        let wished = least.map_or_else(|| AHEAD.min(self.life / 2), i64::from);
        wished.max(self.life / LAST_PART)
    }

    /// What may be done with it.
    pub(super) fn stage(&self, now: Moment, least: Option<u32>) -> Stage {
        match self.left(now) {
            left if left <= LAST_SECONDS => Stage::Over,
            left if left <= self.ahead(least) => Stage::Due,
            _ => Stage::Fresh,
        }
    }

    /// Seconds until it is due.
    pub(super) fn due_in(&self, now: Moment, least: Option<u32>) -> i64 {
        self.left(now).saturating_sub(self.ahead(least)).max(0)
    }
}

impl Cache {
    /// The folder of this user, or nothing where the environment names no place for one.
    pub(super) fn of_user() -> Result<Option<Self>, crate::cli::output::Failure> {
        folder::place().map(|place| Self::open(&place)).transpose()
    }

    /// The cache in this folder, which is made where there is none and refused where it is not this user's alone.
    pub(super) fn open(folder: &Path) -> Result<Self, crate::cli::output::Failure> {
        Ok(Self { folder: folder::private(folder)? })
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}.{kind}"))
    }

    /// What is kept under this name. A file that somebody could have changed, or that makes no sense, is none.
    pub(super) fn read(&self, name: &str) -> Option<Kept> {
        let file = File::open(self.path(name, "json")).ok()?;
        if !folder::is_private(&file.metadata().ok()?) {
            return None;
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        let document: Document = serde_json::from_slice(&text).ok()?;
        (document.version == VERSION).then(|| {
            let made = Moment { wall: document.wall, up: document.up };
            Kept::new(made, document.life, document.answer.as_bytes())
        })
    }

    /// Keeps an answer in the place of the one before, whole or not at all, and throws away what is over.
    pub(super) fn write(&self, name: &str, kept: &Kept) -> anyhow::Result<()> {
        let document = Document {
            version: VERSION,
            wall: kept.made.wall,
            up: kept.made.up,
            life: u32::try_from(kept.life)?,
            answer: kept.answer.expose_str().to_owned(),
        };
        let text = Zeroizing::new(serde_json::to_vec(&document)?);
        write_private(&self.path(name, "json"), &text)?;
        self.sweep(kept.made);
        Ok(())
    }

    /// Forgets what is kept under this name.
    pub(super) fn forget(&self, name: &str) {
        let _ = fs::remove_file(self.path(name, "json"));
    }

    /// Takes the lock of this name, or says that another program has it.
    pub(super) fn try_lock(&self, name: &str) -> std::io::Result<Option<Lock>> {
        let path = self.path(name, "lock");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Between opening and locking, whoever swept the folder may have removed this very file.
        let same =
            fs::metadata(&path).is_ok_and(|now| file.metadata().is_ok_and(|own| own.ino() == now.ino()));
        Ok(same.then_some(Lock { file }))
    }

    /// Removes files of credentials that are over, with their locks, and what a killed program left.
    fn sweep(&self, now: Moment) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let (Some(name), Some(kind)) = (path.file_stem(), path.extension()) else { continue };
            let name = name.to_string_lossy().into_owned();
            // Sockets of agents and the like lie here too.
            if name.len() != 64 || !["json", "lock"].iter().any(|own| kind == *own) {
                continue;
            }
            let over = self.read(&name).is_none_or(|kept| kept.stage(now, None) == Stage::Over);
            // Whoever holds the lock is about to write the file anew.
            if over && let Ok(Some(lock)) = self.try_lock(&name) {
                self.forget(&name);
                let _ = fs::remove_file(self.path(&name, "lock"));
                drop(lock);
            }
        }
    }
}

/// The right to ask the server for one credential. It ends with the program, even one that is killed.
pub(super) struct Lock {
    file: File,
}

/// Why asking did not give anything, for those who waited for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// When, in seconds since the Unix epoch.
    pub(super) at: i64,
    pub(super) kind: NoteKind,
    pub(super) text: String,
}

/// How asking failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoteKind {
    /// The server said no.
    Refused,
    /// The server had too much to do.
    Busy,
    /// There was no server.
    Unreachable,
}

impl Lock {
    /// What the last one who had the lock found, if it was a failure.
    pub(super) fn note(&mut self) -> Option<Note> {
        self.file.seek(SeekFrom::Start(0)).ok()?;
        let mut text = Vec::new();
        (&mut self.file).take(LONGEST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Leaves word for the next one, or that all is well.
    pub(super) fn leave(&mut self, note: Option<&Note>) {
        let mut write = || -> std::io::Result<()> {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            match note {
                Some(note) => self.file.write_all(&serde_json::to_vec(note)?),
                None => Ok(()),
            }
        };
        // Without the word the next one asks for himself.
        let _ = write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    const NAME: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    fn at(seconds: i64) -> Moment {
        Moment { wall: 1_000_000 + seconds, up: 1000 + seconds }
    }

    fn cache() -> (TempDir, Cache) {
        let above = tempfile::tempdir().unwrap();
        let cache = Cache::open(&above.path().join("daypass")).unwrap();
        (above, cache)
    }

    #[test]
    fn a_credential_is_renewed_ahead_and_never_used_when_it_is_over() {
        let hour = Kept::new(at(0), 3600, b"x");
        for (now, stage) in [
            (0, Stage::Fresh),
            (2879, Stage::Fresh),
            (2880, Stage::Due),
            (3594, Stage::Due),
            (3595, Stage::Over),
            (9000, Stage::Over),
            (-1, Stage::Fresh),
            (-3600, Stage::Over),
        ] {
            assert_eq!(hour.stage(at(now), None), stage, "{now}");
        }
        assert_eq!((hour.due_in(at(0), None), hour.due_in(at(3000), None)), (2880, 0));
        // What must be left can be wished.
        assert_eq!(hour.stage(at(1799), Some(1800)), Stage::Fresh);
        assert_eq!(hour.stage(at(1800), Some(1800)), Stage::Due);
        assert_eq!(hour.stage(at(0), Some(4000)), Stage::Due, "it never lives so long");
        // A short one is not asked for all the time.
        let short = Kept::new(at(0), 60, b"x");
        assert_eq!((short.stage(at(29), None), short.stage(at(30), None)), (Stage::Fresh, Stage::Due));
        assert_eq!(Kept::new(at(0), 5, b"x").stage(at(0), None), Stage::Over);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_younger() {
        let kept = Kept::new(at(0), 3600, b"x");
        // An hour later by the clock that cannot be set, ten minutes by the one that was.
        let back = Moment { wall: at(600).wall, up: at(3600).up };
        assert_eq!(kept.stage(back, None), Stage::Over);
        let before = Moment { wall: at(-600).wall, up: at(60).up };
        assert_eq!(kept.stage(before, None), Stage::Over, "its age is not known");
    }

    #[test]
    fn what_was_kept_is_found_by_its_name_alone() {
        let (_above, cache) = cache();
        assert!(cache.read(NAME).is_none());
        cache.write(NAME, &Kept::new(at(0), 3600, b"one")).unwrap();
        cache.write(NAME, &Kept::new(at(9), 3600, b"two")).unwrap();
        let kept = cache.read(NAME).unwrap();
        assert_eq!(kept.left(at(9)), 3600);
        assert_eq!(kept.into_answer().expose(), b"two");
        assert!(cache.read(OTHER).is_none());
        let path = cache.path(NAME, "json");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        cache.forget(NAME);
        assert!(cache.read(NAME).is_none());
    }

    #[test]
    fn a_file_that_is_open_or_broken_or_of_another_version_is_none() {
        let (_above, cache) = cache();
        let path = cache.path(NAME, "json");
        cache.write(NAME, &Kept::new(at(0), 3600, b"one")).unwrap();
        for mode in [0o644, 0o640, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(cache.read(NAME).is_none(), "{mode:o}");
        }
        let whole = fs::read_to_string(&path).unwrap();
        let put = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            cache.read(NAME).is_some()
        };
        assert!(put(&whole), "the mode was all that was wrong");
        for bad in [
            "",
            "{",
            "[]",
            "null",
            &whole[..whole.len() / 2],
            &whole.replace("\"version\":1", "\"version\":2"),
        ] {
            assert!(!put(bad), "{bad}");
        }
        assert!(!put(&whole.replace("\"life\":3600", "\"life\":-1")));
    }

    #[test]
    fn only_one_has_the_lock_and_leaves_word() {
        let (_above, cache) = cache();
        let mut lock = cache.try_lock(NAME).unwrap().unwrap();
        assert!(cache.try_lock(NAME).unwrap().is_none());
        assert!(cache.try_lock(OTHER).unwrap().is_some(), "another credential is another lock");
        assert_eq!(lock.note(), None);
        let note = Note { at: 7, kind: NoteKind::Unreachable, text: "cannot connect".to_owned() };
        lock.leave(Some(&note));
        drop(lock);
        let mut lock = cache.try_lock(NAME).unwrap().unwrap();
        assert_eq!(lock.note(), Some(note));
        lock.leave(None);
        assert_eq!(lock.note(), None);
    }

    #[test]
    fn what_is_over_is_thrown_away_and_nothing_else() {
        let (_above, cache) = cache();
        cache.write(NAME, &Kept::new(at(0), 60, b"one")).unwrap();
        drop(cache.try_lock(NAME).unwrap());
        // A lock that was never followed by a credential, because the server said no.
        drop(cache.try_lock(&NAME.replace('0', "e")).unwrap());
        fs::write(cache.folder.join("agent.sock"), "").unwrap();
        cache.write(OTHER, &Kept::new(at(1000), 3600, b"two")).unwrap();
        let mut left: Vec<_> = fs::read_dir(&cache.folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["agent.sock".to_owned(), format!("{OTHER}.json")]);
        // One that is being asked for is left to whoever asks.
        let lock = cache.try_lock(OTHER).unwrap();
        cache.write(NAME, &Kept::new(at(9000), 3600, b"three")).unwrap();
        assert!(cache.path(OTHER, "json").exists());
        drop(lock);
    }
}
