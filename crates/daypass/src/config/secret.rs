//! Where a secret is kept. It never stands in the configuration itself: that file is reviewed, copied and backed up.

use super::diagnostic::{Errors, Fault};
use super::section::{Section, text};
use super::source::Spot;
use super::tree::{Node, Value};
use daypass_core::secret::Secret;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The ways to name a secret.
pub(super) const KEYS: &[&str] = &["file", "env", "credential"];
/// The longest secret, in bytes: far more than any key needs, and too little to fill memory by mistake.
const LIMIT: u64 = 16 * 1024;
/// The permission bits that let anyone but the owner read, change or run a file.
const OTHERS: u32 = 0o077;
/// Those bits where a group may read, and may do no more.
pub(super) const BEYOND_GROUP: u32 = 0o037;
/// No bits: a file that everyone may read.
pub(super) const NOT_PRIVATE: u32 = 0;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A systemd credential: `LoadCredential=` or `SetCredential=` of the unit.
    Credential(String),
}

/// Reads where a secret is kept; a relative file name starts at `base`.
pub(super) fn source(section: Section<'_>, key: &str, node: &Node, base: &Path) -> Option<SecretSource> {
    let notes = section.notes();
    if let Value::Text(_) = node.value {
        notes.hide(node.place);
        let fault =
            Fault::new(format!("a secret does not stand in this file; `{key}` says where it is kept"))
                .hint("{ file = \"/path\" }, { env = \"NAME\" } or { credential = \"NAME\" }");
        notes.error(node.place, fault);
        return None;
    }
    let table = Section::of(notes, node, key, KEYS)?;
    let mut given = KEYS.iter().filter_map(|&kind| Some((kind, table.node(kind)?)));
    let (Some((kind, value)), None) = (given.next(), given.next()) else {
        notes.error(
            node.place,
            Fault::new(format!("`{key}` needs exactly one of `file`, `env` and `credential`")),
        );
        return None;
    };
    let value = text(notes, kind, value)?;
    section.parsed(value, |name| named(kind, name, base)).map(|source| source.value)
}

fn named(kind: &str, name: &str, base: &Path) -> Result<SecretSource, Fault> {
    if name.is_empty() {
        return Err(Fault::new(format!("`{kind}` is empty")));
    }
    let plain = |extra: &[u8]| name.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b));
    match kind {
        "env" if plain(b"_") => Ok(SecretSource::Variable(name.to_owned())),
        // A slash would lead out of the directory that systemd made for this unit.
        "credential" if plain(b"_.-") && !name.starts_with('.') => {
            Ok(SecretSource::Credential(name.to_owned()))
        }
        "file" => Ok(SecretSource::File(base.join(name))),
        _ => Err(Fault::new(format!("`{name}` is not a name of letters and digits"))),
    }
}

impl SecretSource {
    /// Reads the secret. `variable` looks up an environment variable.
    pub(super) fn read(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, Fault> {
        match self {
            Self::File(path) => read_file(path, OTHERS, LIMIT),
            Self::Variable(name) => {
                let value = variable(name)
                    .ok_or_else(|| Fault::new(format!("the environment variable `{name}` is not set")))?;
                Ok(Secret::new(value.into_encoded_bytes()))
            }
            Self::Credential(name) => {
                let directory = credentials(name, variable)?;
                // systemd guards the directory itself, by an access list that shows as group permissions.
                read_file(&directory.join(name), NOT_PRIVATE, LIMIT)
            }
        }
    }
}

impl SecretSource {
    /// The file that holds the secret, for who reads it again and again; none for a variable, which nobody can change any more.
    pub(super) fn path(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<PathBuf>, Fault> {
        match self {
            Self::File(path) => Ok(Some(path.clone())),
            Self::Variable(_) => Ok(None),
            Self::Credential(name) => Ok(Some(credentials(name, variable)?.join(name))),
        }
    }
}

/// The folder in which systemd put what it passed.
fn credentials(name: &str, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, Fault> {
    variable("CREDENTIALS_DIRECTORY").map(PathBuf::from).ok_or_else(|| {
        Fault::new(format!("systemd passed no credentials to this process, and `{name}` is one"))
            .hint(format!("add LoadCredential={name}:/path to the unit"))
    })
}

/// Reads a secret from a file that only its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<Secret, Errors> {
    let spot = || Spot::named(path.display().to_string());
    read_file(path, OTHERS, LIMIT).map_err(|fault| Errors(vec![fault.at(spot())]))
}

/// Reads a file of at most `limit` bytes, and only if it has none of these permission bits.
pub(super) fn read_file(path: &Path, refused: u32, limit: u64) -> Result<Secret, Fault> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Fault::new(format!("cannot read `{shown}`: {error}"));
    // Before it is opened: opening a pipe waits for someone to write into it.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(Fault::new(format!("`{shown}` is not a file")));
    }
    let file = fs::File::open(path).map_err(cannot)?;
    // Of the opened file, so that it cannot be another one by now.
    let mode = file.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if mode & refused != 0 {
        let whose = if refused == BEYOND_GROUP { "its owner and group" } else { "its owner" };
        return Err(Fault::new(format!("`{shown}` is open to others than {whose} (mode {mode:04o})"))
            .hint(format!("chmod 600 {shown}")));
    }
    // All the room it may need at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Vec::with_capacity(usize::try_from(limit + 1).unwrap_or_default());
    file.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    let too_long = bytes.len() as u64 > limit;
    let secret = Secret::new(bytes);
    if too_long { Err(Fault::new(format!("`{shown}` is longer than {limit} bytes"))) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(source: &SecretSource, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        source.read(&variable).map(|secret| secret.expose_str().to_owned()).map_err(|fault| fault.message)
    }

    #[test]
    fn a_file_is_read_only_if_it_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "hunter2\n").unwrap();
        chmod(&path, 0o600);
        let source = SecretSource::File(path.clone());
        assert_eq!(read(&source, &[]), Ok("hunter2\n".to_owned()));
        for mode in [0o640, 0o604, 0o644, 0o610] {
            chmod(&path, mode);
            let fault = source.read(&|_| None).err().unwrap();
            assert_eq!(
                fault.message,
                format!("`{}` is open to others than its owner (mode {mode:04o})", path.display())
            );
            assert_eq!(fault.hint, Some(format!("chmod 600 {}", path.display())));
        }
    }

    #[test]
    fn a_directory_and_a_missing_or_huge_file_are_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| SecretSource::File(directory.path().join(name));
        assert!(read(&at(""), &[]).unwrap_err().ends_with("is not a file"));
        assert!(read(&at("none"), &[]).unwrap_err().starts_with("cannot read"));
        fs::write(directory.path().join("huge"), vec![b'x'; 16 * 1024 + 1]).unwrap();
        chmod(&directory.path().join("huge"), 0o600);
        assert!(read(&at("huge"), &[]).unwrap_err().ends_with("is longer than 16384 bytes"));
    }

    #[test]
    fn a_variable_and_a_systemd_credential_are_read() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("seal"), "from systemd").unwrap();
        let variables =
            [("SEAL", "from the environment"), ("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap())];
        let variable = SecretSource::Variable("SEAL".into());
        let credential = SecretSource::Credential("seal".into());
        assert_eq!(read(&variable, &variables), Ok("from the environment".to_owned()));
        assert_eq!(read(&credential, &variables), Ok("from systemd".to_owned()));
        assert_eq!(read(&variable, &[]), Err("the environment variable `SEAL` is not set".to_owned()));
        assert!(read(&credential, &[]).unwrap_err().contains("systemd passed no credentials"));
    }

    #[test]
    fn a_credential_cannot_lead_out_of_its_directory() {
        for bad in ["../shadow", "a/b", "..", ""] {
            assert!(named("credential", bad, Path::new("")).is_err(), "{bad}");
        }
    }
}
