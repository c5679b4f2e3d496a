//! Files with secrets in them: written whole or not at all, readable by their owner alone.

use super::output::Failure;
use anyhow::Context as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Writes to a temporary file beside it, with mode 0600 from its first byte, and renames it into place.
pub(super) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().context("a file name is missing")?.to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        // Left over from a process of the same number that was killed in the middle.
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes a file that must not exist yet.
pub(super) fn create_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()?;
        sync_directory(path)
    };
    write().with_context(|| format!("cannot create `{}`", path.display()))
}

/// Creates a directory and those above it; a new one is for its owner alone.
pub(super) fn create_directory(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the directory `{}`", path.display()))
}

/// A new name is durable only when its directory is.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

/// The most that is read where a token is expected, in bytes: more than any token.
const TOKEN: u64 = 64 * 1024;

/// Reads a file with nothing but a token in it; `-` stands for standard input.
pub(super) fn read_token(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(TOKEN).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(TOKEN).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(Failure::Usage(format!("cannot read `{}`: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_private_file_is_private_and_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.json");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_exists_is_not_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        create_private(&path, b"one").unwrap();
        assert!(create_private(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
