//! Authenticated encryption: AES-256-GCM-SIV everywhere.
//!
//! GCM-SIV forgives a repeated nonce, so nothing has to be counted across nodes, restarts and restores. The key
//! is chosen by the version that stands in front of the ciphertext, never by trial: these ciphers do not commit
//! to their key, and trying several leaks which one fits.

use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};

/// First byte of every sealed blob.
const FORMAT: u8 = 1;
/// Format, key version, nonce.
const HEADER: usize = 1 + 4 + 12;
const TAG: usize = 16;
/// Bytes by which a sealed text is longer than the plain one.
pub(crate) const OVERHEAD: usize = HEADER + TAG;

/// A key that seals, with the version that is written beside what it sealed.
pub struct SealKey {
    version: u32,
    key: LessSafeKey,
}

/// What the cipher may answer instead of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// A blob of another version, place or key, or changed.
    #[error("the sealed bytes do not open: they were changed, moved, or sealed with another key")]
    DoesNotOpen,
    /// The cryptographic library refused to work.
    #[error("the cryptographic library refused to seal")]
    Broken,
}

use SealFault::{Broken, DoesNotOpen};

/// Where a sealed value is stored. Its ciphertext opens nowhere else, so that a row or column cannot be swapped
/// by someone who can write to the database.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The row's primary key.
    pub row: &'a str,
    /// The column.
    pub column: &'a str,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut out = b"daypass place v1".to_vec();
        for part in [self.table, self.row, self.column] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

impl SealKey {
    /// A key of these 32 bytes.
    pub fn new(version: u32, bytes: &[u8; 32]) -> Result<Self, SealFault> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, bytes).map_err(|_| Broken)?;
        Ok(Self { version, key: LessSafeKey::new(key) })
    }

    /// The version that is written beside what it seals.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Seals a value for one place in the store.
    pub fn seal_at(&self, place: Place<'_>, nonce: [u8; 12], plain: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.seal(&place.bytes(), nonce, plain)
    }

    /// Opens a value that was sealed for this place.
    pub fn open_at(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret, SealFault> {
        self.open(&place.bytes(), sealed).map(Secret::new)
    }

    /// Seals with associated data that must be the same when it is opened.
    pub(crate) fn seal(
        &self,
        associated: &[u8],
        nonce: [u8; 12],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealFault> {
        let mut out = Vec::with_capacity(HEADER + plain.len() + TAG);
        out.push(FORMAT);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let (_, text) = out.split_at_mut(HEADER);
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), text)
            .map_err(|_| Broken)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealFault> {
        if version_of(sealed) != Some(self.version) {
            return Err(DoesNotOpen);
        }
        let (header, text) = sealed.split_at_checked(HEADER).ok_or(DoesNotOpen)?;
        let nonce = header.get(5..).and_then(|n| n.try_into().ok()).ok_or(DoesNotOpen)?;
        let mut text = text.to_vec();
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut text)
            .map_err(|_| DoesNotOpen)?
            .len();
        text.truncate(plain);
        Ok(text)
    }
}

/// The version of the key that sealed this, if it is a sealed blob at all.
pub fn version_of(sealed: &[u8]) -> Option<u32> {
    match sealed.split_first_chunk::<5>()? {
        ([FORMAT, version @ ..], _) => Some(u32::from_be_bytes(*version)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Place<'_> = Place { table: "key", row: "AKID1", column: "material" };

    #[test]
    fn a_value_opens_only_in_its_place() {
        let key = SealKey::new(3, &[7; 32]).unwrap();
        let sealed = key.seal_at(HERE, [1; 12], b"secret").unwrap();
        assert_eq!(version_of(&sealed), Some(3));
        assert_eq!(key.open_at(HERE, &sealed).map(|s| s.expose().to_vec()), Ok(b"secret".to_vec()));
        for place in [
            Place { row: "AKID2", ..HERE },
            Place { column: "other", ..HERE },
            Place { table: "k", row: "eyAKID1", ..HERE },
        ] {
            assert!(key.open_at(place, &sealed).is_err());
        }
        assert!(SealKey::new(3, &[8; 32]).unwrap().open_at(HERE, &sealed).is_err(), "another key");
        assert!(SealKey::new(4, &[7; 32]).unwrap().open_at(HERE, &sealed).is_err(), "another version");
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_seen(plain: Vec<u8>, nonce: [u8; 12], at: prop::sample::Index, bit in 0..8_u8) {
            let key = SealKey::new(1, &[9; 32]).unwrap();
            let mut sealed = key.seal(b"here", nonce, &plain).unwrap();
            prop_assert_eq!(key.open(b"here", &sealed), Ok(plain));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(key.open(b"here", &sealed), Err(DoesNotOpen));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            prop_assert_eq!(SealKey::new(1, &[9; 32]).unwrap().open(b"", &bytes), Err(DoesNotOpen));
        }
    }
}
