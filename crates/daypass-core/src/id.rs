//! Identifiers and the randomness they are made of.

use crate::clock::Timestamp;
use aws_lc_rs::hmac;
use uuid::{Builder, Uuid};

/// A cryptographic source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer; a source that cannot must end the process rather than return weak bytes.
    fn fill(&self, out: &mut [u8]);
}

/// Everything random or time-dependent that one issue may use.
///
/// For a signed request the draw is *derived*: from the ring, the key id, the signature and the time the request
/// was first seen. A client's retry of the same bytes is therefore recomputed to the identical credential, on any
/// node and after a restart, with nothing stored. For every other request it is fresh.
pub struct Draw {
    key: hmac::Key,
    at: Timestamp,
    repeats: bool,
}

impl Draw {
    /// A draw that no one can repeat.
    pub fn fresh(entropy: &dyn Entropy, at: Timestamp) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed), at, repeats: false }
    }

    /// The draw that belongs to a request with this signature, first seen `at`; `beside` is whatever of the
    /// request the signature does not cover.
    pub(crate) fn derived(
        replay: &hmac::Key,
        key_id: &str,
        signature: &[u8],
        beside: &[u8],
        at: Timestamp,
    ) -> Self {
        let mut context = hmac::Context::with_key(replay);
        context.update(b"daypass draw v1");
        for field in [key_id.as_bytes(), signature, beside, &at.as_millisecond().to_be_bytes()] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref()), at, repeats: true }
    }

    /// The draw of a signed request of this number, for tests of what its retry gets.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(number: u8, at: Timestamp) -> Self {
        Self::derived(&hmac::Key::new(hmac::HMAC_SHA256, b"a test"), "AKIDtest", &[number], b"", at)
    }

    /// Whether the same request, sent again, has the same draw.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// When the request was first seen: the issue time of whatever is made from this draw.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Up to 32 bytes for one use, named by `label`; the same label gives the same bytes.
    pub fn bytes<const N: usize>(&self, label: &str) -> [u8; N] {
        const { assert!(N <= 32, "one draw is one SHA-256 output") };
        let tag = hmac::sign(&self.key, label.as_bytes());
        let mut out = [0; N];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }
}

/// A version 4 UUID of these random bytes.
pub fn uuid_v4(random: [u8; 16]) -> Uuid {
    Builder::from_random_bytes(random).into_uuid()
}

/// A version 7 UUID: sorts by time, with 74 random bits.
pub fn uuid_v7(at: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A random UUID (version 4) straight from a source of entropy.
pub fn random_uuid(entropy: &dyn Entropy) -> Uuid {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    uuid_v4(bytes)
}

/// `length` characters drawn evenly from `alphabet` (at most 256 one-byte characters).
///
/// Bytes that would favour the front of the alphabet are thrown away: a plain remainder makes the first
/// characters likelier, which other token makers have been caught with.
pub fn text(entropy: &dyn Entropy, alphabet: &[u8], length: usize) -> String {
    let size = alphabet.len().clamp(1, 256);
    let fair = 256 - 256 % size;
    let mut out = String::with_capacity(length);
    let mut pool = [0; 64];
    while out.len() < length {
        entropy.fill(&mut pool);
        for byte in pool.iter().map(|b| usize::from(*b)).filter(|b| *b < fair) {
            if out.len() == length {
                break;
            }
            if let Some(c) = alphabet.get(byte % size) {
                out.push(char::from(*c));
            }
        }
    }
    out
}

/// Letters and digits.
pub const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Decimal digits, for ids that a vendor documents as numbers.
pub const DIGITS: &[u8] = b"0123456789";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    fn at() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    #[test]
    fn a_derived_draw_repeats_and_depends_on_every_input() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"replay");
        let draw = |id, sig: &[u8], at| Draw::derived(&key, id, sig, b"", at).bytes::<16>("id");
        let base = draw("AKID1", b"sig", at());
        assert_eq!(base, draw("AKID1", b"sig", at()));
        assert_ne!(base, draw("AKID2", b"sig", at()));
        assert_ne!(base, draw("AKID1", b"sih", at()));
        assert_ne!(base, draw("AKID1", b"sig", crate::clock::after(at(), 1)));
        assert_ne!(draw("AKID1s", b"ig", at()), base, "field boundaries count");
        assert_ne!(Draw::derived(&key, "AKID1", b"sig", b"body", at()).bytes::<16>("id"), base);
        let d = Draw::derived(&key, "AKID1", b"sig", b"", at());
        assert_ne!(d.bytes::<16>("id"), d.bytes::<16>("nonce"));
        assert!(d.repeats() && !Draw::fresh(&SeededEntropy::new(1), at()).repeats());
    }

    #[test]
    fn text_uses_the_whole_alphabet_evenly() {
        let text = text(&SeededEntropy::new(7), b"abc", 30_000);
        for c in ['a', 'b', 'c'] {
            let n = text.matches(c).count();
            assert!((9_500..10_500).contains(&n), "{c} came {n} times of 30000");
        }
    }

    #[test]
    fn uuids_carry_their_version() {
        assert_eq!(uuid_v4([0xff; 16]).get_version_num(), 4);
        assert_eq!(uuid_v7(at(), [0; 10]).get_version_num(), 7);
    }
}
