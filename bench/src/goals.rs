//! What each endpoint should reach. The README says where the numbers come from.

use crate::statistics::Goal;
use crate::work::Work;
use daypass_core::role::Algorithm;

/// Requests per second of getAuthorization over bare axum's, 32 connections, every record durable before the answer.
pub(crate) const DURABLE_FEW: Goal = Goal::AtLeast(0.42);
/// The same over 256 connections.
pub(crate) const DURABLE_MANY: Goal = Goal::AtLeast(0.60);
/// Resident megabytes after a first token.
pub(crate) const IDLE_MEGABYTES: Goal = Goal::AtMost(15.0);
/// Resident megabytes with 256 connections under load.
pub(crate) const LOADED_MEGABYTES: Goal = Goal::AtMost(30.0);
/// The size of the binary in megabytes.
pub(crate) const BINARY_MEGABYTES: Goal = Goal::AtMost(15.0);
/// Milliseconds from spawn to the first token, keys on disk.
pub(crate) const START_MILLIS: Goal = Goal::AtMost(200.0);
/// Open-loop median latency over bare axum's, each at half of its own closed-loop maximum.
pub(crate) const OPEN_MEDIAN: Goal = Goal::AtMost(1.3);
/// The same for the 99th percentile, from pooled histograms.
pub(crate) const OPEN_TAIL: Goal = Goal::AtMost(2.5);
/// Closed-loop 99th percentile over 256 connections, over what fair sharing gives (connections / throughput),
/// where every record is durable before the answer.
pub(crate) const FAIRNESS: Goal = Goal::AtMost(1.8);
/// CPU per request of a vendor's sample over that of `getAuthorization`, which does the same work: the credential
/// made here and durably recorded, not fetched.
pub(crate) const SAMPLES: Goal = Goal::AtLeast(10.0);
/// CPU per request of npm oidc-provider, in memory, over that of ours.
pub(crate) const PROVIDER: Goal = Goal::AtLeast(10.0);
/// CPU per request of a verification where a thousand or a million credentials were taken back, over one where none was.
pub(crate) const REVOKED: Goal = Goal::AtMost(1.10);
/// CPU per request of a vendor's sample over that of `getAuthorization` of a role whose credentials a cloud makes, the cloud
/// being as far from both: per CPU-second, ten times as many.
pub(crate) const BROKERED: Goal = Goal::AtLeast(10.0);
/// How many milliseconds longer than the cloud's own answer it takes until the last of a thousand who ask at once for what
/// nobody has yet is answered.
pub(crate) const CROWD_MILLIS: Goal = Goal::AtMost(50.0);
/// How often the cloud is asked for all of them.
pub(crate) const CROWD_CALLS: Goal = Goal::AtMost(1.0);
/// Requests that got no right answer.
pub(crate) const FAULTS: Goal = Goal::AtMost(0.0);

/// What an endpoint's CPU per request is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Bare axum's GET.
    Hello,
    /// Bare axum's form.
    Form,
    /// One signature, in a loop that does nothing else.
    Signature(Algorithm),
}

/// The target that an endpoint's CPU per request over 32 connections has.
pub(crate) struct CpuTarget {
    /// Its number in the README.
    pub(crate) number: &'static str,
    /// What it is compared with.
    pub(crate) limit: Limit,
    /// What it should reach, or none where the value is only shown.
    pub(crate) goal: Option<Goal>,
}

/// The CPU target of an endpoint; yardsticks and samples have none.
pub(crate) fn cpu_target(work: Work) -> Option<CpuTarget> {
    let (number, limit, goal) = match work {
        work if matches!(work, Work::Hello | Work::Form) || work.is_a_peers() => return None,
        // A token that was seen before: what is left is reading the form, the client's secret, and whether it still counts.
        Work::Introspect => ("10", Limit::Form, Some(0.80)),
        Work::Keys => ("10", Limit::Hello, None),
        // Nothing is made or recorded. The API's secret is checked each time, and what it was shown is judged.
        Work::Forward => ("11", Limit::Hello, Some(0.80)),
        Work::Verify(_) => ("12", Limit::Form, None),
        // The goal of target 1 is for records that are written at intervals; here they are durable at once.
        // Where nothing is made or recorded, a signature is checked, which is as long as several bare requests.
        Work::GetAuthorization | Work::Cached => ("1", Limit::Hello, None),
        // What is kept is opened, judged and recorded. What is new waits for a cloud, and for the store three times.
        Work::Brokered(..) | Work::BrokeredTop => ("25", Limit::Hello, None),
        Work::BrokeredToken => ("25", Limit::Form, None),
        Work::Token(algorithm) => match algorithm {
            Algorithm::Es256 => ("3", Limit::Signature(algorithm), Some(0.55)),
            Algorithm::EdDsa => ("4", Limit::Signature(algorithm), Some(0.45)),
            Algorithm::Rs256 => ("5", Limit::Signature(algorithm), Some(0.88)),
        },
        Work::Tc3 => ("7", Limit::Hello, Some(0.42)),
        Work::Top | Work::TopMd5 => ("8", Limit::Hello, Some(0.45)),
        // It reads, checks and records what a GetFederationToken does, but for a policy of the caller's own.
        Work::Acs3 => ("9", Limit::Hello, Some(0.42)),
        _ => return None,
    };
    Some(CpuTarget { number, limit, goal: goal.map(Goal::AtLeast) })
}

/// What npm oidc-provider must cost more than an endpoint of ours. Of RS256 the signature is nearly all, for both of us,
/// and the public keys are a constant text: those two are only shown.
pub(crate) fn over_provider(work: Work) -> Option<Goal> {
    match work {
        Work::Token(Algorithm::Es256 | Algorithm::EdDsa) | Work::Introspect => Some(PROVIDER),
        _ => None,
    }
}

/// Whether an endpoint's open-loop latency is held against bare axum's. A signature takes longer than a whole
/// bare request, so where one is made or checked the ratio is only shown.
pub(crate) fn latency_is_judged(work: Work) -> bool {
    matches!(work, Work::GetAuthorization | Work::Tc3 | Work::Top | Work::TopMd5 | Work::Acs3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{Delay, Peer};

    #[test]
    fn every_endpoint_of_ours_has_a_cpu_target_of_its_own() {
        let tokens = Algorithm::ALL.iter().map(|algorithm| Work::Token(*algorithm));
        let works = [Work::GetAuthorization, Work::Tc3, Work::Top, Work::Acs3].into_iter().chain(tokens);
        let numbers: Vec<_> = works.map(|work| cpu_target(work).unwrap().number).collect();
        assert_eq!(numbers, ["1", "7", "8", "9", "5", "3", "4"]);
        assert!(cpu_target(Work::Cached).unwrap().goal.is_none());
        assert_eq!(cpu_target(Work::TopMd5).unwrap().number, cpu_target(Work::Top).unwrap().number);
        assert_eq!(cpu_target(Work::Introspect).unwrap().limit, Limit::Form);
        assert!(
            over_provider(Work::Introspect).is_some()
                && over_provider(Work::Token(Algorithm::Rs256)).is_none()
        );
        for fetched in Work::of_brokered() {
            let shown = cpu_target(fetched).map(|target| (target.number, target.goal.is_none()));
            assert_eq!(shown, (!matches!(fetched, Work::Crowd(_))).then_some(("25", true)), "{fetched}");
        }
        let sample = Work::Sample(Peer::Flask, Delay::Far);
        for none in [Work::Hello, Work::Form, sample, Work::ProviderKeys] {
            assert!(cpu_target(none).is_none());
        }
    }
}
