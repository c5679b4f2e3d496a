//! Secrets in memory: wiped when dropped, never printed, compared in constant time.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that must not be seen: a key, a client secret, a token on its way out.
///
/// There is deliberately no `Debug`, `Display`, `Clone` or `Serialize`; a type that holds one cannot derive them
/// either, so a secret reaches a log or a record only through an explicit [`Secret::expose`].
///
/// ```compile_fail
/// let secret = daypass_core::secret::Secret::new("hunter2");
/// println!("{secret:?}");
/// ```
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes ownership of the bytes; the original allocation is the one that is wiped later.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into().into_boxed_slice()))
    }

    /// The bytes themselves. Each call is a place to look at in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text, or an empty string where it is not UTF-8 (no secret that Daypass makes is).
    pub fn expose_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Compares in time that depends on the lengths alone.
///
/// An early-return comparison lets an attacker find a signature byte by byte; every comparison of a secret, a
/// signature or a hash in Daypass goes through here or through [`SigningKey::matches`].
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// The key a signed request is checked with, lent to a dialect for one verification.
pub struct SigningKey<'a> {
    secret: &'a Secret,
}

/// Proof that some signature matched. Only [`SigningKey::matches`] makes one.
///
/// ```compile_fail
/// // A dialect cannot claim that a signature was right.
/// let forged = daypass_core::secret::Witness(());
/// ```
pub struct Witness(());

impl<'a> SigningKey<'a> {
    pub(crate) fn new(secret: &'a Secret) -> Self {
        Self { secret }
    }

    /// Lends a key to a test of a dialect's `verify` that runs outside the pipeline.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(secret: &'a Secret) -> Self {
        Self::new(secret)
    }

    /// Runs `compute` with the key bytes; it calls its second argument with each signature that would be right
    /// (a vendor's SDKs may disagree on the host they sign). Gives a [`Witness`] if one of them is `presented`.
    pub fn matches(
        &self,
        presented: &[u8],
        compute: impl FnOnce(&[u8], &mut dyn FnMut(&[u8]) -> bool),
    ) -> Option<Witness> {
        let mut found = false;
        compute(self.secret.expose(), &mut |candidate| {
            found |= same(candidate, presented);
            found
        });
        found.then_some(Witness(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_equal_signature_gives_a_witness() {
        let secret = Secret::new("key");
        let key = SigningKey::new(&secret);
        assert!(key.matches(b"key!", |k, test| _ = test(&[k, b"!"].concat())).is_some());
        assert!(key.matches(b"key?", |k, test| _ = test(&[k, b"!"].concat())).is_none());
        assert!(key.matches(b"", |_, _| ()).is_none(), "no candidate, no witness");
    }

    #[test]
    fn a_later_candidate_cannot_undo_a_match() {
        let secret = Secret::new("k");
        let key = SigningKey::new(&secret);
        let witness = key.matches(b"a", |_, test| {
            test(b"a");
            test(b"b");
        });
        assert!(witness.is_some());
    }
}
