//! A file that appears under its name complete or not at all, and never in place of another.

use super::super::output::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file under its other name. Dropped before it is published, it goes away.
pub(super) struct Draft {
    draft: PathBuf,
    out: PathBuf,
}

impl Draft {
    /// Sees that the name is free.
    pub(super) fn begin(out: &Path) -> Result<Self, Failure> {
        let Some(name) = out.file_name() else {
            return Err(Failure::Usage(format!("`{}` names no file", out.display())));
        };
        let draft = out.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        if out.symlink_metadata().is_ok() {
            return Err(exists(out));
        }
        Ok(Self { draft, out: out.to_owned() })
    }

    /// The file, empty and readable by its owner alone.
    pub(super) fn file(&self) -> Result<BufWriter<File>, Failure> {
        // Left over from a process of the same number that was killed in the middle.
        let _ = fs::remove_file(&self.draft);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.draft);
        Ok(BufWriter::with_capacity(1 << 18, made.map_err(|error| self.cannot(&error))?))
    }

    /// What was written is on the disk. Gives its length.
    pub(super) fn end(&self, mut file: BufWriter<File>) -> Result<u64, Failure> {
        let ended =
            file.flush().and_then(|()| file.get_ref().sync_all()).and_then(|()| file.get_ref().metadata());
        Ok(ended.map_err(|error| self.cannot(&error))?.len())
    }

    /// Gives the file its name.
    pub(super) fn publish(self) -> Result<(), Failure> {
        // A second name first, which unlike a new one does not take the place of what is there.
        match fs::hard_link(&self.draft, &self.out) {
            Ok(()) => (),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(&self.out)),
            // File systems without second names, such as those of memory sticks.
            Err(_) if self.out.symlink_metadata().is_err() => {
                fs::rename(&self.draft, &self.out).map_err(|error| self.cannot(&error))?;
            }
            Err(_) => return Err(exists(&self.out)),
        }
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty());
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        synced.map_err(|error| self.cannot(&error))
    }

    fn cannot(&self, error: &std::io::Error) -> Failure {
        Failure::Usage(format!("cannot write `{}`: {error}", self.out.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.draft);
    }
}

fn exists(out: &Path) -> Failure {
    Failure::Usage(format!("`{}` exists; a backup takes no other file's place", out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn write(draft: &Draft) -> u64 {
        let mut file = draft.file().unwrap();
        file.write_all(b"whole").unwrap();
        draft.end(file).unwrap()
    }

    #[test]
    fn a_file_appears_complete_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.backup");
        let draft = Draft::begin(&out).unwrap();
        assert_eq!(write(&draft), 5);
        assert!(!out.exists());
        draft.publish().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"whole");
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.backup");
        let draft = Draft::begin(&out).unwrap();
        write(&draft);
        fs::write(&out, b"somebody else's").unwrap();
        assert!(draft.publish().unwrap_err().text().contains("exists"));
        assert!(Draft::begin(&out).err().unwrap().text().contains("exists"));
        assert_eq!(fs::read(&out).unwrap(), b"somebody else's");
        let other = Draft::begin(&folder.path().join("b.backup")).unwrap();
        write(&other);
        drop(other);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
