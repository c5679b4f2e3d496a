//! The file that `daypass init` writes.

use daypass_core::id::{self, Entropy};
use std::path::Path;

/// The commented file, with `@words@` where an installation's own values go.
const TEMPLATE: &str = include_str!("template.toml");

/// The systemd credential that the seal key is, where the service gets it so. The shipped unit, image and chart have it.
const SEAL_CREDENTIAL: &str = "seal.key";

/// A commented configuration for these paths, with a tenant of its own. Without a file for the seal key, systemd hands it
/// to the service as [`SEAL_CREDENTIAL`].
pub(crate) fn template(seal_key: Option<&Path>, database: &Path, entropy: &dyn Entropy) -> String {
    let value = |word| match word {
        "store" => quoted(&format!("sqlite:{}", database.display())),
        "seal_key" => match seal_key {
            Some(file) => format!("{{ file = {} }}", quoted(&file.display().to_string())),
            None => format!("{{ credential = {} }}", quoted(SEAL_CREDENTIAL)),
        },
        "account" => quoted(&account(entropy)),
        // `guid` and `audience`.
        _ => quoted(&id::random_uuid(entropy).to_string()),
    };
    // In one pass, so that a value may look like a word.
    let parts = TEMPLATE.split('@').enumerate();
    parts.map(|(n, part)| if n % 2 == 0 { part.to_owned() } else { value(part) }).collect()
}

/// Twelve digits, the first not zero: some clients read an account as a number.
fn account(entropy: &dyn Entropy) -> String {
    id::text(entropy, b"123456789", 1) + &id::text(entropy, id::DIGITS, 11)
}

/// A TOML string, whatever characters are in it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::SeededEntropy;

    #[test]
    fn any_path_is_written_as_a_valid_string() {
        for path in ["/etc/it's/key", "/a \"b\"", "/a\\b", "/密钥", "/a\nb", "/@guid@/key"] {
            let text = template(Some(Path::new(path)), Path::new("/d.db"), &SeededEntropy::new(1));
            let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(table["seal"]["key"]["file"].as_str(), Some(path));
        }
    }

    #[test]
    fn a_seal_key_that_systemd_hands_over_is_named_and_has_no_file() {
        let text = template(None, Path::new("/d.db"), &SeededEntropy::new(1));
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["seal"]["key"].to_string(), "{ credential = \"seal.key\" }");
    }

    #[test]
    fn an_account_is_twelve_digits_and_fresh() {
        for seed in 0..50 {
            let account = account(&SeededEntropy::new(seed));
            assert!(
                account.len() == 12
                    && account.bytes().all(|b| b.is_ascii_digit())
                    && !account.starts_with('0')
            );
        }
        assert_ne!(account(&SeededEntropy::new(1)), account(&SeededEntropy::new(2)));
    }
}
