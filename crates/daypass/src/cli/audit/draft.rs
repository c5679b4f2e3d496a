//! A new file that is there whole or not at all.

use anyhow::Context as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Is written under another name beside the one that it will have, readable by its owner alone, and removed if it is not kept.
pub(super) struct Draft {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Begins a file that must not be there yet.
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        let begin = || -> io::Result<Self> {
            if path.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
            let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
            // Left over from a process of the same number that was killed in the middle.
            let _ = fs::remove_file(&temporary);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            Ok(Self { file: BufWriter::new(file), temporary, path: path.to_owned() })
        };
        begin().with_context(|| format!("cannot create `{}`", path.display()))
    }

    /// Ends: it is durable under its name when this returns.
    pub(super) fn keep(mut self) -> anyhow::Result<()> {
        let mut keep = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            // Unlike a renaming, a link never replaces what somebody else has made meanwhile.
            fs::hard_link(&self.temporary, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        keep().with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_appears_when_it_is_kept_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut draft = Draft::begin(&path).unwrap();
        draft.write_all(b"whole").unwrap();
        assert!(!path.exists());
        draft.keep().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"whole".to_vec(), vec!["a".to_owned()])
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Draft::begin(&path).is_err());

        let other = folder.path().join("b");
        let draft = Draft::begin(&other).unwrap();
        fs::write(&other, "another's").unwrap();
        assert!(draft.keep().is_err());
        assert_eq!(fs::read(&other).unwrap(), b"another's");
        drop(Draft::begin(&folder.path().join("c")).unwrap());
        assert_eq!(names(folder.path()).len(), 2, "nothing is left behind");
    }
}
