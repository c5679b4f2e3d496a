//! The folder for what is kept: this user's alone, or none.

use super::surroundings;
use crate::cli::files::create_directory;
use crate::cli::output::Failure;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The name of the folder, below one that the system or the user made.
const NAME: &str = "daypass";
/// The bits of a mode by which the group or others could look in, or change something.
const OTHERS: u32 = 0o077;
/// The bits by which they could put something in, or rename what is there.
const WRITE: u32 = 0o022;
/// A folder such as `/tmp`, in which nobody renames what is another's.
const STICKY: u32 = 0o1000;

/// Where a folder of one's own may lie, by what the environment says: the runtime folder, which is in memory and gone
/// when the user logs out, or else the user's cache. Never a name under `/tmp`, which anybody could have made before.
pub(super) fn place() -> Option<PathBuf> {
    let variable = |name| surroundings::variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let place = variable("XDG_RUNTIME_DIR")
        .or_else(|| variable("XDG_CACHE_HOME"))
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    Some(place.join(NAME))
}

/// The folder, made where there is none, and proved to be this user's alone.
pub(super) fn private(path: &Path) -> Result<PathBuf, Failure> {
    // Before anything is made: what lies in another user's folder, or where others can change it, is not ours to make.
    above(&fs::canonicalize(existing(path)?).map_err(|error| unreadable(path, &error))?)?;
    create_directory(path)?;
    // Looked at without following it: a link that another user left there leads to where he likes.
    let metadata = read(path)?;
    if let Some(fault) = fault(&metadata, surroundings::user()) {
        return Err(unsafe_folder(path, &fault));
    }
    let real = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    above(real.parent().unwrap_or(&real))?;
    Ok(real)
}

/// The nearest folder above that there is already.
fn existing(path: &Path) -> Result<&Path, Failure> {
    let nothing = || Failure::Usage(format!("`{}` is no folder", path.display()));
    path.ancestors().skip(1).find(|above| above.exists()).ok_or_else(nothing)
}

/// Refuses a folder in which, or above which, somebody else could put another in the place of what lies there.
fn above(folder: &Path) -> Result<(), Failure> {
    for folder in folder.ancestors() {
        if let Some(fault) = fault_above(&read(folder)?, surroundings::user()) {
            return Err(unsafe_folder(folder, &fault));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Metadata, Failure> {
    fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("cannot look at `{}`: {error}", path.display()))
}

fn unsafe_folder(path: &Path, fault: &str) -> Failure {
    Failure::Usage(format!(
        "`{}` {fault}, so no credential is kept there; put that right, or use --no-cache",
        path.display()
    ))
}

/// Why a folder is not for this user alone.
fn fault(metadata: &Metadata, user: u32) -> Option<String> {
    if !metadata.is_dir() {
        return Some("is not a folder".to_owned());
    }
    if metadata.uid() != user {
        return Some("belongs to somebody else".to_owned());
    }
    let mode = metadata.permissions().mode();
    (mode & OTHERS != 0).then(|| format!("is open to others (mode {:o}, which should be 700)", mode & 0o7777))
}

/// Why somebody else could put another folder in the place of one that lies in this.
fn fault_above(metadata: &Metadata, user: u32) -> Option<String> {
    if ![0, user].contains(&metadata.uid()) {
        return Some("belongs to somebody else".to_owned());
    }
    let mode = metadata.permissions().mode();
    (mode & WRITE != 0 && mode & STICKY == 0)
        .then(|| format!("can be changed by others (mode {:o})", mode & 0o7777))
}

/// Whether an open file is this user's alone: one that is not was put there by somebody else, or opened up.
pub(super) fn is_private(metadata: &Metadata) -> bool {
    metadata.is_file()
        && metadata.uid() == surroundings::user()
        && metadata.permissions().mode() & OTHERS == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path) -> String {
        match private(path) {
            Err(Failure::Usage(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_folder_is_for_its_owner_alone() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a").join(NAME);
        let real = private(&folder).unwrap();
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(private(&folder).unwrap(), real, "and is taken again");
    }

    #[test]
    fn a_folder_that_is_open_or_a_link_or_a_file_is_refused() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join(NAME);
        fs::create_dir(&folder).unwrap();
        for open in [0o755, 0o750, 0o701] {
            mode(&folder, open);
            let text = refused(&folder);
            assert!(text.contains(&format!("mode {open:o}")) && text.contains("--no-cache"), "{text}");
        }
        let link = above.path().join("link");
        mode(&folder, 0o700);
        symlink(&folder, &link).unwrap();
        assert!(refused(&link).contains("is not a folder"));
        let file = above.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(private(&file).is_err());
    }

    /// The folder itself may be sound, and the one above it anybody's to rename.
    #[test]
    fn a_folder_in_one_that_others_can_change_is_refused() {
        let above = tempfile::tempdir().unwrap();
        let open = above.path().join("open");
        fs::create_dir(&open).unwrap();
        mode(&open, 0o777);
        assert!(refused(&open.join(NAME)).contains("can be changed by others (mode 777)"));
        assert!(!open.join(NAME).exists(), "and nothing is made there");
        mode(&open, 0o1777);
        private(&open.join(NAME)).unwrap();
    }

    #[test]
    fn another_owner_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o700);
        let metadata = fs::symlink_metadata(folder.path()).unwrap();
        let (own, other) = (metadata.uid(), metadata.uid() + 1);
        assert_eq!(fault(&metadata, own), None);
        assert_eq!(fault(&metadata, other).as_deref(), Some("belongs to somebody else"));
        // Root may stand above; anybody else may not.
        assert_eq!(fault_above(&metadata, own), None);
        let foreign = metadata.uid() != 0;
        assert_eq!(fault_above(&metadata, other).is_some(), foreign);
    }

    /// Only root can give a folder away, so that this says something where root runs the tests.
    #[test]
    fn a_folder_and_a_file_of_somebody_else_are_not_used() {
        if surroundings::user() != 0 {
            return;
        }
        let above = tempfile::tempdir().unwrap();
        let (folder, file) = (above.path().join(NAME), above.path().join("file"));
        private(&folder).unwrap();
        chown(&folder, Some(65534), None).unwrap();
        assert!(refused(&folder).contains("belongs to somebody else"));
        fs::write(&file, "").unwrap();
        mode(&file, 0o600);
        assert!(is_private(&fs::metadata(&file).unwrap()));
        chown(&file, Some(65534), None).unwrap();
        assert!(!is_private(&fs::metadata(&file).unwrap()));
        // In a folder of somebody else nothing is made, and so nothing is left that he could not use any more.
        let his = above.path().join("his");
        fs::create_dir(&his).unwrap();
        chown(&his, Some(65534), None).unwrap();
        assert!(refused(&his.join(NAME)).contains("belongs to somebody else"));
        assert!(!his.join(NAME).exists());
    }
}
