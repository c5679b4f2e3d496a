//! For whom a backup is encrypted, and what it is opened with.

use super::super::output::Failure;
use crate::config;
use daypass_core::age::{Identity, Lock, Opener, Recipient};
use daypass_core::secret::Secret;
use std::path::{Path, PathBuf};

/// The fewest characters of a passphrase.
///
/// Attack: whoever has the file tries passphrases for as long as he likes, some ten a second on one processor.
const SHORTEST: usize = 16;

/// For whom it is.
#[derive(clap::Args)]
pub(super) struct LockArgs {
    /// Encrypt for this recipient, `age1…` as `daypass backup key` or `age-keygen` prints it; may be repeated.
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "passphrase_file")]
    to: Vec<Recipient>,
    /// Encrypt with the passphrase in this file, which only its owner may read.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl LockArgs {
    pub(super) fn read(self) -> Result<Lock, Failure> {
        match self.passphrase_file {
            Some(file) => passphrase(&file).map(Lock::Passphrase),
            None if self.to.is_empty() => Err(Failure::Usage(
                "say who may open the backup: --to RECIPIENT, which `daypass backup key` makes, or --passphrase-file FILE"
                    .to_owned(),
            )),
            None => Ok(Lock::To(self.to)),
        }
    }
}

/// What it is opened with.
#[derive(clap::Args)]
pub(in crate::cli) struct OpenerArgs {
    /// The file of the key that it was encrypted for, which only its owner may read.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    identity: Option<PathBuf>,
    /// The file of its passphrase, which only its owner may read.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl OpenerArgs {
    pub(in crate::cli) fn read(&self) -> Result<Opener, Failure> {
        match (&self.identity, &self.passphrase_file) {
            (Some(file), _) => {
                let text = private(file)?;
                let all = Identity::all(text.expose_str());
                let wrong =
                    |fault| Failure::Usage(format!("`{}` is no key of a backup: {fault}", file.display()));
                all.map(Opener::Identities).map_err(wrong)
            }
            (None, Some(file)) => passphrase(file).map(Opener::Passphrase),
            (None, None) => Err(Failure::Usage(
                "say what opens the backup: --identity FILE or --passphrase-file FILE".to_owned(),
            )),
        }
    }
}

fn private(file: &Path) -> Result<Secret, Failure> {
    config::read_private(file).map_err(|fault| Failure::Usage(fault.to_string()))
}

fn passphrase(file: &Path) -> Result<Secret, Failure> {
    let text = private(file)?;
    let passphrase = text.expose_str().trim_end_matches(['\r', '\n']);
    if passphrase.chars().count() < SHORTEST {
        return Err(Failure::Usage(format!(
            "the passphrase in `{}` has fewer than {SHORTEST} characters; a good one: openssl rand -base64 24",
            file.display()
        )));
    }
    Ok(Secret::new(passphrase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn a_passphrase_is_one_line_and_not_a_short_one() {
        let folder = tempfile::tempdir().unwrap();
        let good = file(&folder, "good", "correct horse battery staple\n");
        assert_eq!(passphrase(&good).ok().unwrap().expose(), b"correct horse battery staple");
        let short = file(&folder, "short", "correct horse\n\n\n\n");
        assert!(passphrase(&short).err().unwrap().text().contains("fewer than 16"));
        fs::set_permissions(&good, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(passphrase(&good).is_err(), "others may read it");
    }

    #[test]
    fn somebody_must_be_able_to_open_it() {
        let nobody = LockArgs { to: vec![], passphrase_file: None };
        assert!(nobody.read().err().unwrap().text().contains("--to RECIPIENT"));
        let nothing = OpenerArgs { identity: None, passphrase_file: None };
        assert!(nothing.read().err().unwrap().text().contains("--identity FILE"));
        let folder = tempfile::tempdir().unwrap();
        let bad = OpenerArgs { identity: Some(file(&folder, "bad", "age1xyz\n")), passphrase_file: None };
        assert!(bad.read().err().unwrap().text().contains("is no key of a backup"));
    }
}
