//! Making a client's keys, in the shape that each vendor's clients and consoles show.

use crate::client::{Key, KeyKind, Material};
use crate::clock::Timestamp;
use crate::directory::{hash_secret, seal_material};
use crate::id::{ALPHANUMERIC, DIGITS, Entropy, random_uuid, text};
use crate::ring::{Purpose, Ring};
use crate::seal::SealFault;
use crate::secret::Secret;
use uuid::Uuid;

/// Characters of a secret: 43 of 62 are just over 256 bits. Letters and digits alone, because credentials are
/// form-encoded, base64-encoded and pasted into shells by clients that do not all agree on how.
const SECRET: usize = 43;

/// How a client secret begins, so that scanners of repositories and logs can recognise one that leaked.
const CLIENT_SECRET_PREFIX: &str = "dp_cs_";

/// The most live keys of one kind that a client may have: the old one and the new one of a rotation.
pub const LIVE: usize = 2;

/// A new key with its secret, which is shown once and stored only hashed or sealed.
pub struct NewKey {
    /// What is stored.
    pub key: Key,
    /// What the client keeps.
    pub secret: Secret,
}

/// Makes a key. Its randomness must be the operating system's: it lives long.
pub fn make(
    ring: &Ring,
    kind: KeyKind,
    client: Uuid,
    entropy: &dyn Entropy,
    at: Timestamp,
) -> Result<NewKey, SealFault> {
    let id = match kind {
        KeyKind::Tencent => format!("AKID{}", text(entropy, ALPHANUMERIC, 32)),
        // A number without a leading zero, as the vendor's console shows them.
        KeyKind::Top => format!("{}{}", text(entropy, b"123456789", 1), text(entropy, DIGITS, 9)),
        KeyKind::AccessKey => format!("LTAI{}", text(entropy, ALPHANUMERIC, 20)),
        KeyKind::ClientSecret | KeyKind::PublicKey | KeyKind::Certificate | KeyKind::Federated => {
            random_uuid(entropy).to_string()
        }
        KeyKind::Ticket => format!("TK{}", text(entropy, ALPHANUMERIC, 20)),
    };
    let mut secret = text(entropy, ALPHANUMERIC, SECRET);
    if kind == KeyKind::ClientSecret {
        secret.insert_str(0, CLIENT_SECRET_PREFIX);
    }
    let material = if kind == KeyKind::ClientSecret {
        let pepper = ring.active(Purpose::Pepper);
        let hash = hash_secret(ring, pepper, client, secret.as_bytes()).ok_or(SealFault::Broken)?;
        Material::Hashed { pepper, hash }
    } else {
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        Material::Sealed(seal_material(ring, &id, secret.as_bytes(), nonce)?)
    };
    let hint = secret.get(secret.len().saturating_sub(4)..).unwrap_or_default().to_owned();
    let key =
        Key { id, client, kind, enabled: true, created: at, starts: None, expires: None, hint, material };
    Ok(NewKey { key, secret: Secret::new(secret) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, START, SeededEntropy};

    #[test]
    fn keys_have_their_vendors_shape_and_safe_characters() {
        let entropy = SeededEntropy::new(11);
        for (kind, prefix, length) in [
            (KeyKind::Tencent, "AKID", 36),
            (KeyKind::Top, "", 10),
            (KeyKind::AccessKey, "LTAI", 24),
            (KeyKind::ClientSecret, "", 36),
            (KeyKind::Ticket, "TK", 22),
        ] {
            let made = make(&testing::ring(), kind, Uuid::nil(), &entropy, START).unwrap();
            assert!(made.key.id.starts_with(prefix) && made.key.id.len() == length, "{}", made.key.id);
            let secret = made.secret.expose_str();
            assert!(secret.len() >= SECRET && secret.ends_with(&made.key.hint));
            let safe = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
            assert!(secret.chars().chain(made.key.id.chars()).all(safe));
            assert!(!format!("{:?}", made.key).contains(secret), "only hashed or sealed");
        }
    }
}
