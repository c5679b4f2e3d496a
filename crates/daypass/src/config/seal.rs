//! `[seal]`: the key that wraps Daypass's own keys in the store.

use super::diagnostic::{Errors, Fault};
use super::environment::variable;
use super::secret::{self, SecretSource};
use super::section::Section;
use super::source::Spot;
use daypass_core::id::Entropy;
use daypass_core::secret::Secret;
use std::path::Path;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["key", "previous"];
/// Length of the key, in bytes.
const LENGTH: usize = 32;

/// Where the seal key is kept.
#[derive(Clone, Debug)]
pub(crate) struct SealSource {
    source: SecretSource,
    spot: Spot,
}

/// Reads the section. The key itself is read only when it is needed.
pub(super) fn read(root: Section<'_>, base: &Path) -> Option<SealSource> {
    let section = root.need_section("seal", KEYS)?;
    let notes = section.notes();
    if let Some(place) = section.key("previous") {
        // Accepted and ignored, it would leave the operator believing that the keys were wrapped anew.
        notes.error(place, Fault::new("changing the seal key is not in this version"));
    }
    let node = section.need("key")?;
    let source = secret::source(section, "key", node, base)?;
    Some(SealSource { source, spot: notes.spot(node.place) })
}

impl SealSource {
    /// Reads the key.
    pub(crate) fn read(&self) -> Result<[u8; LENGTH], Errors> {
        let key = self.source.read(&variable).and_then(|secret| decode(&secret));
        key.map_err(|fault| Errors(vec![fault.at(self.spot.clone())]))
    }
}

/// Reads the seal key from a file.
pub(crate) fn read_seal_key(path: &Path) -> Result<[u8; LENGTH], Errors> {
    let spot = Spot::named(path.display().to_string());
    SealSource { source: SecretSource::File(path.to_owned()), spot }.read()
}

/// A new seal key as its file holds it: 64 hexadecimal digits and a line feed.
pub(crate) fn generate_seal_key(entropy: &dyn Entropy) -> Secret {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut key = [0; LENGTH];
    entropy.fill(&mut key);
    let key = Secret::new(key);
    let nibbles = key.expose().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = Vec::with_capacity(2 * LENGTH + 1);
    text.extend(nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble))));
    text.push(b'\n');
    Secret::new(text)
}

/// The key of 64 hexadecimal digits. What is wrong with them is told without showing any of them.
fn decode(secret: &Secret) -> Result<[u8; LENGTH], Fault> {
    let text = secret.expose().trim_ascii();
    let digits = text.iter().filter_map(|byte| char::from(*byte).to_digit(16)).count();
    if text.len() != 2 * LENGTH || digits != 2 * LENGTH {
        let found = format!("{} characters, {digits} of them hexadecimal digits", text.len());
        return Err(Fault::new(format!("the seal key is not {} hexadecimal digits but {found}", 2 * LENGTH))
            .hint("`openssl rand -hex 32` makes one; `daypass init` writes one"));
    }
    let mut key = [0; LENGTH];
    for (to, pair) in key.iter_mut().zip(text.chunks(2)) {
        *to = pair.iter().filter_map(|byte| char::from(*byte).to_digit(16)).fold(0, |sum, digit| {
            // A digit is below 16.
            sum << 4 | u8::try_from(digit).unwrap_or_default()
        });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::SeededEntropy;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_generated_key_can_be_read_back_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        let mut drawn = [0; LENGTH];
        SeededEntropy::new(3).fill(&mut drawn);
        std::fs::write(&path, generate_seal_key(&SeededEntropy::new(3)).expose()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(read_seal_key(&path), Ok(drawn));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_seal_key(&path).unwrap_err().to_string();
        let shown = path.display().to_string();
        assert_eq!(
            refused,
            format!(
                "{shown}: `{shown}` is open to others than its owner (mode 0640)\n  hint: chmod 600 {shown}"
            )
        );
    }

    #[test]
    fn a_bad_key_is_refused_without_being_shown() {
        let almost = "0123456789abcdef".repeat(4).replacen('0', "g", 1);
        for bad in ["", "00", &almost, &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            let fault = decode(&Secret::new(bad)).unwrap_err();
            assert!(fault.message.starts_with("the seal key is not 64 hexadecimal digits"), "{bad}");
            assert!(bad.len() < 10 || !format!("{fault:?}").contains(bad));
        }
        assert!(decode(&Secret::new(format!("  {}\r\n", "Ab".repeat(32)))) == Ok([0xab; LENGTH]));
    }

    proptest! {
        #[test]
        fn every_key_survives_its_file(seed: u64) {
            let mut drawn = [0; LENGTH];
            SeededEntropy::new(seed).fill(&mut drawn);
            prop_assert_eq!(decode(&generate_seal_key(&SeededEntropy::new(seed))), Ok(drawn));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode(&Secret::new(bytes));
        }
    }
}
