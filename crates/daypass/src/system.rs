//! The real clock and the real randomness: the one place where the ambient ones are touched.

use daypass_core::clock::{Clock, Timestamp};
use daypass_core::id::Entropy;
use rand::rngs::SysRng;
use rand::{Rng, TryRng};

/// The wall clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The thread's reseeding generator (`ChaCha12` over the operating system's entropy): for what each request draws.
/// It costs a twentieth of a system call.
pub(crate) struct RequestEntropy;

impl Entropy for RequestEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the randomness that everything else is handed")]
    fn fill(&self, out: &mut [u8]) {
        rand::rng().fill_bytes(out);
    }
}

/// The operating system's entropy: for keys that live long.
pub(crate) struct KeyEntropy;

impl Entropy for KeyEntropy {
    fn fill(&self, out: &mut [u8]) {
        if SysRng.try_fill_bytes(out).is_err() {
            // Weak keys would outlive this process; there is nothing better to do than to make none.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        for source in [&RequestEntropy as &dyn Entropy, &KeyEntropy] {
            let (mut a, mut b) = ([0; 32], [0; 32]);
            source.fill(&mut a);
            source.fill(&mut b);
            assert_ne!(a, b);
        }
    }
}
