//! Where a new root key is read from: a private file or standard input, and never the command line, which every user of the
//! machine can read.

use crate::cli::output::Failure;
use crate::config;
use daypass_core::secret::Secret;
use daypass_core::upstream::RootKey;
use std::io::Read as _;
use std::path::Path;

/// The longest root key, in bytes: a private key of 4096 bits is a fifth of it.
const LIMIT: u64 = 16 * 1024;

/// Reads it.
pub(super) fn read(path: &Path) -> Result<RootKey, Failure> {
    let usage = |text: String| Failure::Usage(text);
    let text = if path.as_os_str() == "-" {
        piped(std::io::stdin().lock()).map_err(usage)?
    } else {
        config::read_private(path).map_err(|faults| usage(faults.to_string()))?
    };
    RootKey::parse(&text).map_err(|bad| usage(bad.to_string()))
}

fn piped(source: impl std::io::Read) -> Result<Secret, String> {
    // All the room that it may need at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Vec::with_capacity(usize::try_from(LIMIT + 1).unwrap_or_default());
    let read = source.take(LIMIT + 1).read_to_end(&mut bytes);
    let too_long = bytes.len() as u64 > LIMIT;
    let secret = Secret::new(bytes);
    match read {
        Err(error) => Err(format!("cannot read standard input: {error}")),
        Ok(_) if too_long => Err(format!("a root key is no longer than {LIMIT} bytes")),
        Ok(_) => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_piped_in_has_a_bound() {
        assert_eq!(piped(&b"AKID:s3cret\n"[..]).unwrap().expose(), b"AKID:s3cret\n");
        let long = vec![b'x'; 16 * 1024 + 1];
        assert_eq!(piped(&long[..]).err().unwrap(), "a root key is no longer than 16384 bytes");
        assert!(piped(&long[1..]).is_ok());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        std::fs::write(&path, "AKID:s3cret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let Err(Failure::Usage(text)) = read(&path) else { panic!("it was read") };
        assert!(text.contains("open to others") && !text.contains("s3cret"), "{text}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap().id, "AKID");
        std::fs::write(&path, "s3cret").unwrap();
        let Err(Failure::Usage(text)) = read(&path) else { panic!("it was read") };
        assert!(text.starts_with("a root key is") && !text.contains("s3cret"), "{text}");
    }
}
