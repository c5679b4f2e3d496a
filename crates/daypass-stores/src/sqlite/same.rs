//! Whether the file at the store's path is still the one that this process works on.
//!
//! SQLite holds its files open, and an open file goes on taking commits when its name is gone: deleted, moved away, or given to
//! another file by a restore under a running service. What is written then is gone with the process, and whoever got a
//! credential for it has one without a record. So the names are looked at after each commit and before it is answered, and
//! before each reading, which would miss what was taken back.

use super::fault::Fault;
use daypass_core::store::StoreError;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a file is known by, whatever it is called: its device and its number there.
type Identity = (u64, u64);

/// The files of the store as they were opened.
#[derive(Clone)]
pub(super) struct Same {
    path: Arc<Path>,
    log: Arc<Path>,
    known: Arc<Mutex<Known>>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    file: Option<Identity>,
    log: Option<Identity>,
    /// Grows whenever other files take the place of those that were known.
    generation: u64,
}

impl Same {
    /// Takes the files at this path for the store's: they were just opened.
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let (path, log) = (path.into(), PathBuf::from(log).into());
        let same = Self { path, log, known: Arc::default() };
        same.take()?;
        Ok(same)
    }

    /// Fails if the names belong to other files by now, or to none. Gives the generation of those that they belong to: what was
    /// opened in another one is not to be read any more.
    pub(super) fn check(&self) -> Result<u64, Fault> {
        let (file, log) = (Self::identity(&self.path)?, Self::identity(&self.log)?);
        let mut known = self.known();
        if known.file != file {
            return Err(Self::gone(&self.path, file.is_some()));
        }
        // SQLite makes the log when it first needs one.
        if known.log.is_none() {
            known.log = log;
        }
        if known.log != log {
            return Err(Self::gone(&self.log, log.is_some()));
        }
        Ok(known.generation)
    }

    /// From now on the files at the path are the store's: they were opened anew, and it was proved that they hold what this
    /// process has written.
    pub(super) fn take(&self) -> Result<(), Fault> {
        let (file, log) = (Self::identity(&self.path)?, Self::identity(&self.log)?);
        let mut known = self.known();
        if known.file.is_some_and(|before| Some(before) != file)
            || known.log.is_some_and(|before| Some(before) != log)
        {
            known.generation += 1;
        }
        (known.file, known.log) = (file, log);
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(path: &Path) -> Result<Option<Identity>, Fault> {
        match std::fs::metadata(path) {
            Ok(file) => Ok(Some((file.dev(), file.ino()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn gone(path: &Path, other: bool) -> Fault {
        let what = if other { "is another file than the one that was opened" } else { "is gone" };
        let text = format!("`{}` {what}; put back what was there, or start again", path.display());
        StoreError::Unavailable(text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_under_the_names_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path().join("d"), folder.path().join("d-wal"));
        std::fs::write(&path, "one").unwrap();
        let same = Same::of(&path).unwrap();
        assert_eq!(same.check().unwrap(), 0);
        std::fs::write(&log, "log").unwrap();
        assert_eq!(same.check().unwrap(), 0, "the log may come later");
        std::fs::write(&path, "grown").unwrap();
        assert_eq!(same.check().unwrap(), 0, "what is in it does not matter");

        let aside = folder.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        assert!(same.check().unwrap_err().error.to_string().contains("is gone"));
        std::fs::write(&path, "other").unwrap();
        assert!(same.check().unwrap_err().error.to_string().contains("another file"));
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(same.check().unwrap(), 0, "it is back");

        // Under another name it keeps its number, which the next file would get else, whosever that is.
        std::fs::hard_link(&log, folder.path().join("x")).unwrap();
        std::fs::remove_file(&log).unwrap();
        assert!(same.check().unwrap_err().error.to_string().contains("-wal"));
        std::fs::write(&log, "another log").unwrap();
        same.take().unwrap();
        assert_eq!(same.check().unwrap(), 1, "and what was opened before is not read any more");
    }
}
