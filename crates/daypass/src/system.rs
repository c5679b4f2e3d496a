//! The real clock and the real randomness: the one place where the ambient ones are touched.

use daypass_core::clock::{Clock, SignedDuration, Timestamp};
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

/// What has passed since the machine started, by a clock that nobody sets and that goes on while the machine sleeps.
pub(crate) fn passed() -> SignedDuration {
    let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    SignedDuration::new(passed.tv_sec, i32::try_from(passed.tv_nsec).unwrap_or_default())
}

/// How many file descriptors this process has open, and how many it may have; none where the machine does not tell.
pub(crate) fn descriptors() -> Option<(u64, u64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // What the look itself opens is closed again.
    Some((u64::try_from(open).ok()?.saturating_sub(1), most.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed_grows_and_descriptors_are_counted() {
        let before = passed();
        let (open, most) = descriptors().unwrap();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        // Other tests open and close theirs meanwhile; three are always there.
        assert!(open >= 3 && open < most, "{open} of {most}");
        drop(file);
        assert!(passed() >= before && before > SignedDuration::ZERO);
    }

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
