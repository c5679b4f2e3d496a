//! How long nobody asks again after a failure.

use daypass_core::clock::SignedDuration;
use daypass_core::id::Entropy;

/// The first pause is up to this long, in milliseconds, and each one after it up to twice as long as the one before.
const FIRST: u64 = 250;
/// No pause of our own is longer, in milliseconds: a cloud that comes back is found within half a minute.
const LONGEST: u64 = 30_000;
/// None is shorter, in milliseconds. Attack: a thousand callers that are told at once that it failed ask again at once, and
/// a pause that came out as nothing would let the next failure follow the last one.
const SHORTEST: u64 = 100;
/// A cloud is believed that it wants to be left alone for this long, in seconds, and no longer: a wrong header must not
/// switch off an issuer for a day.
pub(super) const BELIEVED: u32 = 300;

/// The pause after so many failures in a row, at least one. Any length up to the bound is as likely as any other, so that
/// those who failed together do not come back together; what the cloud asks for comes before that.
pub(super) fn after_failures(
    failures: u32,
    retry_after: Option<u32>,
    entropy: &dyn Entropy,
) -> SignedDuration {
    let doublings = failures.saturating_sub(1).min(16);
    let bound = (FIRST << doublings).min(LONGEST);
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let own = SHORTEST + u64::from_be_bytes(random) % (bound - SHORTEST + 1);
    let asked = retry_after.map_or(0, |seconds| u64::from(seconds.min(BELIEVED)) * 1000);
    SignedDuration::from_millis(i64::try_from(own + asked).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::SeededEntropy;

    fn drawn(failures: u32, retry_after: Option<u32>) -> (i64, i64) {
        let entropy = SeededEntropy::new(u64::from(failures));
        let pauses = (0..4_000)
            .map(|_| i64::try_from(after_failures(failures, retry_after, &entropy).as_millis()).unwrap());
        pauses.fold((i64::MAX, 0), |(least, most), pause| (least.min(pause), most.max(pause)))
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_and_use_the_whole_range() {
        let bounds = [(0, 250), (1, 250), (2, 500), (3, 1_000), (7, 16_000), (8, 30_000), (u32::MAX, 30_000)];
        for (failures, bound) in bounds {
            let (least, most) = drawn(failures, None);
            assert!((100..100 + bound / 20).contains(&least), "{failures}: {least}");
            assert!((bound - bound / 20..=bound).contains(&most), "{failures}: {most}");
        }
    }

    #[test]
    fn what_the_cloud_asks_for_is_kept_to_and_not_beyond_reason() {
        let (least, most) = drawn(1, Some(7));
        assert!(least >= 7_100 && most <= 7_250, "{least}..{most}");
        let (least, most) = drawn(1, Some(86_400));
        assert!(least >= 300_100 && most <= 300_250, "{least}..{most}");
    }
}
