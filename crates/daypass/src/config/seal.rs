//! `[seal]`: the key that wraps Daypass's own keys in the store, and the one before or after it.

use super::diagnostic::{Errors, Fault};
use super::environment::variable;
use super::secret::{self, SecretSource};
use super::section::Section;
use super::source::Spot;
use super::tree::Node;
use daypass_core::id::Entropy;
use daypass_core::ring::{Kek, SealRole};
use daypass_core::seal::SealFault;
use daypass_core::secret::{Secret, same as secret_same};
use std::path::Path;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["key", "previous", "next"];
/// Length of a seal key, in bytes.
const LENGTH: usize = 32;

/// What to do where a seal key cannot be had at all. A node that gets one of its own cannot read what the others have written.
const WHENCE: &str =
    "a node beside others needs the seal key that they have; for a new store `daypass init` writes one";

/// Where the seal keys are kept: the one that wraps, and while it is being replaced the one before or the one to come.
#[derive(Clone, Debug)]
pub(crate) struct SealSource {
    key: Named,
    previous: Option<Named>,
    next: Option<Named>,
}

/// Where one key is kept, and where the file says so.
#[derive(Clone, Debug)]
struct Named {
    source: SecretSource,
    spot: Spot,
}

/// The seal keys themselves.
pub(crate) struct SealKeys {
    key: Secret,
    others: Vec<(SealRole, Secret)>,
}

/// Reads the section. The keys themselves are read only when they are needed.
pub(super) fn read(root: Section<'_>, base: &Path) -> Option<SealSource> {
    let section = root.need_section("seal", KEYS)?;
    let named = |name: &'static str, node: &Node| {
        let source = secret::source(section, name, node, base)?;
        Some(Named { source, spot: section.notes().spot(node.place) })
    };
    // One that is there and cannot be understood must not count as one that is not there.
    let other = |name: &'static str| match section.node(name) {
        Some(node) => named(name, node).map(Some),
        None => Some(None),
    };
    let key = named("key", section.need("key")?);
    let (previous, next) = (other("previous"), other("next"));
    Some(SealSource { key: key?, previous: previous?, next: next? })
}

impl Named {
    fn read(&self) -> Result<[u8; LENGTH], Errors> {
        let key = self.source.read(&variable).and_then(|secret| decode(&secret));
        key.map_err(|fault| Errors(vec![fault.or_hint(WHENCE).at(self.spot.clone())]))
    }
}

impl SealSource {
    /// Reads the keys.
    pub(crate) fn read(&self) -> Result<SealKeys, Errors> {
        let key = self.key.read()?;
        let mut given = vec![("key", key)];
        let mut others = Vec::new();
        let roles = [(SealRole::Previous, &self.previous), (SealRole::Next, &self.next)];
        for (role, named) in roles.into_iter().filter_map(|(role, named)| Some((role, named.as_ref()?))) {
            let bytes = named.read()?;
            if let Some((same, _)) = given.iter().find(|(_, known)| secret_same(known, &bytes)) {
                // Whoever copied the wrong file would believe that a rotation is under way.
                let fault = Fault::new(format!("`{}` is the same seal key as `{same}`", role.name())).hint(
                    "`daypass ring seal-key` makes another one; leave the line out where there is none",
                );
                return Err(Errors(vec![fault.at(named.spot.clone())]));
            }
            given.push((role.name(), bytes));
            others.push((role, Secret::new(bytes)));
        }
        Ok(SealKeys { key: Secret::new(key), others })
    }
}

impl SealKeys {
    /// What wraps and opens with them.
    pub(crate) fn kek(&self) -> Result<Kek, SealFault> {
        let bytes = |secret: &Secret| secret.expose().try_into().map_err(|_| SealFault::Broken);
        let alone = Kek::new(&bytes(&self.key)?)?;
        self.others.iter().try_fold(alone, |kek, (role, secret)| kek.with(*role, &bytes(secret)?))
    }

    /// One key alone.
    #[cfg(test)]
    pub(crate) fn alone(bytes: [u8; LENGTH]) -> Self {
        Self { key: Secret::new(bytes), others: Vec::new() }
    }

    /// With one more.
    #[cfg(test)]
    pub(crate) fn with(mut self, role: SealRole, bytes: [u8; LENGTH]) -> Self {
        self.others.push((role, Secret::new(bytes)));
        self
    }
}

/// Reads the seal key from a file.
pub(crate) fn read_seal_key(path: &Path) -> Result<SealKeys, Errors> {
    let spot = Spot::named(path.display().to_string());
    let key = Named { source: SecretSource::File(path.to_owned()), spot };
    SealSource { key, previous: None, next: None }.read()
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
        let read = read_seal_key(&path).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(read.key.expose(), drawn);
        assert_eq!(read.kek().unwrap().id(), Kek::new(&drawn).unwrap().id());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_seal_key(&path).err().unwrap().to_string();
        let shown = path.display().to_string();
        assert_eq!(
            refused,
            format!(
                "{shown}: `{shown}` is open to others than its owner (mode 0640)\n  hint: chmod 600 {shown}"
            )
        );
    }

    #[test]
    fn who_has_no_key_is_told_whose_to_take() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        let refused = read_seal_key(&path).err().unwrap().to_string();
        assert!(refused.contains("No such file") && refused.ends_with(WHENCE), "{refused}");
    }

    #[test]
    fn a_key_before_or_after_is_read_beside_it_and_must_be_another() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, seed: u64| {
            let path = directory.path().join(name);
            std::fs::write(&path, generate_seal_key(&SeededEntropy::new(seed)).expose()).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let (one, two, copy) = (file("one.key", 1), file("two.key", 2), file("copy.key", 1));
        let config = |seal: &str| {
            let head = "[server]\nlisten = \"127.0.0.1:5050\"\n[store]\nurl = \"sqlite:/d.db\"\n[seal]\n";
            super::super::parse("f.toml", &format!("{head}{seal}"), super::super::Mode::Production, &[])
        };
        for (name, role) in [("previous", SealRole::Previous), ("next", SealRole::Next)] {
            let seal = |other: &str| format!("key = {{ file = '{one}' }}\n{name} = {{ file = '{other}' }}\n");
            let loaded = config(&seal(&two)).unwrap_or_else(|errors| panic!("{errors}"));
            let kek = loaded.seal.read().unwrap_or_else(|errors| panic!("{errors}")).kek().unwrap();
            let id = |path: &str| read_seal_key(Path::new(path)).ok().unwrap().kek().unwrap().id();
            assert_eq!((kek.id(), kek.role(id(&two))), (id(&one), Some(role)));
            let refused = config(&seal(&copy)).ok().unwrap().seal.read().err().unwrap().to_string();
            assert!(refused.contains(&format!("f.toml:7:{}", name.len() + 4)), "{refused}");
            assert!(refused.contains(&format!("`{name}` is the same seal key as `key`")), "{refused}");
            let missing = config(&seal("/nowhere")).ok().unwrap().seal.read().err().unwrap().to_string();
            assert!(missing.contains("/nowhere"), "{missing}");
            let plain = config(&format!("key = {{ file = '{one}' }}\n{name} = \"00\"\n")).unwrap_err();
            assert!(plain.to_string().contains("a secret does not stand in this file"), "{plain}");
        }
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
