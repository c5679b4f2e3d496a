//! Encrypted files, in the format of age (<https://age-encryption.org/v1>): for recipients with X25519 keys, or under a passphrase.
//!
//! The format and not the library, whose hundred crates bring a second set of primitives: what is here is the format's two kinds of
//! recipient over aws-lc-rs. Whatever opens age files opens these, and this opens whatever was made for such a recipient.

mod header;
mod key;
mod stream;

pub use key::{Identity, Lock, Opener, Recipient};
pub use stream::{Reader, Writer};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// Why a file cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum AgeFault {
    /// It is not of this format, or its beginning is damaged.
    #[error("it is no age file")]
    NotAge,
    /// It was made for others.
    #[error("it was not encrypted for this key or passphrase")]
    WrongKey,
    /// Its beginning was changed.
    #[error("its header is not what was written")]
    Header,
    /// A bound of ours is exceeded, or a primitive does not work.
    #[error("{0}")]
    Cannot(&'static str),
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// The key of one file.
type FileKey = Zeroizing<[u8; 16]>;
/// A key for one use.
type Key = Zeroizing<[u8; 32]>;

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256, 32 bytes.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<Key, AgeFault> {
    let mut out = Zeroizing::new([0; 32]);
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    let filled = key.expand(&[info], Length(32)).and_then(|okm| okm.fill(&mut *out));
    filled.map_err(|_| AgeFault::Cannot("a key cannot be derived"))?;
    Ok(out)
}

fn cipher(key: &Key) -> Result<LessSafeKey, AgeFault> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key[..]);
    key.map(LessSafeKey::new).map_err(|_| AgeFault::Cannot("a key cannot be used"))
}

/// Wraps a file's key under a key of one use: hence the nonce of zeros.
fn wrap(key: &Key, file_key: &FileKey) -> Result<Vec<u8>, AgeFault> {
    let mut body = file_key.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let sealed = cipher(key)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut body);
    sealed.map_err(|_| AgeFault::Cannot("a key cannot be wrapped"))?;
    Ok(body)
}

/// Unwraps a file's key; none where it was wrapped under another key.
fn unwrap(key: &Key, body: &[u8]) -> Result<Option<FileKey>, AgeFault> {
    let mut body = Zeroizing::new(body.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let opened = cipher(key)?.open_in_place(nonce, Aad::empty(), &mut body).ok();
    Ok(opened.and_then(|plain| <[u8; 16]>::try_from(&*plain).ok()).map(Zeroizing::new))
}

#[cfg(test)]
mod tests;
