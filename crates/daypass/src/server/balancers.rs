//! What goes wrong with balancers in front: those that should say for whom they connect and do not, and those that do and are
//! not believed. Nobody gets through then, or everybody is one; so whoever runs the service must hear of it.

use super::Proxies;
use daypass_core::net::IpNet;
use parking_lot::Mutex;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How often the log has a line of each kind. Attack: whoever is in such a network, or anybody at all, fills it up.
const REMIND: Duration = Duration::from_mins(10);
/// How long it is a concern after it was seen last.
const CONCERN: Duration = Duration::from_hours(1);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A declared balancer did not say for whom it connects.
    Missing,
    /// It said something that is not understood.
    Malformed,
    /// It did not say it in time.
    Late,
    /// Somebody says for whom he connects who is not declared.
    Undeclared,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Missing, Self::Malformed, Self::Late, Self::Undeclared];

    /// The word in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Late => "late",
            Self::Undeclared => "undeclared",
        }
    }

    /// What is to be said of it to whoever looks after the service; it names nobody.
    fn concern(self) -> &'static str {
        match self {
            Self::Missing => {
                "connections of a network in `proxy_protocol` that do not begin with a header of the PROXY protocol, and are closed"
            }
            Self::Malformed => {
                "connections of a network in `proxy_protocol` whose header of the PROXY protocol is malformed, and that are closed"
            }
            Self::Late => {
                "connections of a network in `proxy_protocol` whose header of the PROXY protocol did not come in time"
            }
            Self::Undeclared => {
                "connections that begin with a header of the PROXY protocol, of a balancer that `proxy_protocol` does not name, and \
                 are closed"
            }
        }
    }
}

/// What went wrong so far.
#[derive(Default)]
pub(crate) struct Balancers {
    counts: [AtomicU64; Trouble::ALL.len()],
    seen: Mutex<[Option<Seen>; Trouble::ALL.len()]>,
}

#[derive(Clone, Copy)]
struct Seen {
    /// When, and from where, somebody last did so who may be a balancer of ours.
    last: Option<(Instant, IpAddr)>,
    told: Instant,
}

impl Balancers {
    /// Counts one, from there, and tells the log if it was not told for a while.
    pub(super) fn note(&self, trouble: Trouble, from: IpAddr, why: &dyn Display) {
        // A trouble's number is its place in `Trouble::ALL`.
        let place = trouble as usize;
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let now = Instant::now();
        let mut all = self.seen.lock();
        let Some(seen) = all.get_mut(place) else { return };
        let news = seen.is_none_or(|seen| now.duration_since(seen.told) >= REMIND);
        let before = seen.and_then(|seen| seen.last);
        let last = if may_be_ours(trouble, from) { Some((now, from)) } else { before };
        let told = seen.filter(|_| !news).map_or(now, |seen| seen.told);
        *seen = Some(Seen { last, told });
        drop(all);
        if news {
            tracing::warn!(peer = %from, trouble = trouble.name(), "a connection was closed: {why}");
        } else {
            tracing::debug!(peer = %from, trouble = trouble.name(), "a connection was closed: {why}");
        }
    }

    /// Each kind with how often it was.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Trouble::ALL.iter().map(|trouble| trouble.name()).zip(counts)
    }

    /// What somebody should look at, with how often it was in all. What has been put right since is nobody's concern.
    pub(crate) fn concerns(&self, proxies: &Proxies) -> Vec<(usize, &'static str)> {
        let now = Instant::now();
        let seen = *self.seen.lock();
        let still = |trouble: &Trouble, seen: Seen| {
            let (at, from) = seen.last?;
            let wrong = proxies.says_for_whom(from) == (*trouble != Trouble::Undeclared);
            (wrong && now.duration_since(at) < CONCERN).then_some(())
        };
        let all = Trouble::ALL.iter().zip(&self.counts).zip(seen);
        let all = all.filter_map(|((trouble, count), seen)| {
            still(trouble, seen?)?;
            Some((usize::try_from(count.load(Ordering::Relaxed)).unwrap_or(usize::MAX), trouble.concern()))
        });
        all.collect()
    }
}

/// Whether this can be a balancer that somebody has put in front of us: one that is declared, or else one in a network that the
/// Internet does not route. Attack: a stranger writes such a header, and wakes whoever looks after the service.
fn may_be_ours(trouble: Trouble, from: IpAddr) -> bool {
    trouble != Trouble::Undeclared || IpNet::from(from).is_private()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCER: &str = "10.1.0.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn declared(networks: &[&str]) -> Proxies {
        Proxies::default().with_balancers(networks.iter().map(|net| net.parse().unwrap()).collect())
    }

    #[test]
    fn every_kind_has_a_place_and_a_word_of_its_own() {
        let balancers = Balancers::default();
        for (place, trouble) in Trouble::ALL.into_iter().enumerate() {
            assert_eq!(trouble as usize, place);
            for _ in 0..=place {
                balancers.note(trouble, ip(BALANCER), &"why");
            }
        }
        let counts: Vec<_> = balancers.counts().collect();
        assert_eq!(counts, [("missing", 1), ("malformed", 2), ("late", 3), ("undeclared", 4)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_concern_is_told_until_it_is_put_right_or_long_ago() {
        let (balancers, none, ours) = (Balancers::default(), declared(&[]), declared(&["10.1.0.0/16"]));
        assert!(balancers.concerns(&none).is_empty() && balancers.concerns(&ours).is_empty());
        balancers.note(Trouble::Undeclared, ip(BALANCER), &"why");
        assert_eq!(balancers.concerns(&none), [(1, Trouble::Undeclared.concern())]);
        assert!(balancers.concerns(&ours).is_empty(), "it has been declared since");
        balancers.note(Trouble::Missing, ip(BALANCER), &"why");
        assert_eq!(balancers.concerns(&ours), [(1, Trouble::Missing.concern())]);
        tokio::time::advance(CONCERN).await;
        assert!(balancers.concerns(&none).is_empty() && balancers.concerns(&ours).is_empty());
    }

    /// Attack: a stranger writes a header, and wakes whoever looks after the service, or hides a balancer that does.
    #[test]
    fn a_stranger_is_nobodys_concern() {
        let (balancers, none) = (Balancers::default(), declared(&[]));
        balancers.note(Trouble::Undeclared, ip("192.0.2.7"), &"why");
        balancers.note(Trouble::Undeclared, ip("2001:db8::7"), &"why");
        assert!(balancers.concerns(&none).is_empty());
        balancers.note(Trouble::Undeclared, ip(BALANCER), &"why");
        balancers.note(Trouble::Undeclared, ip("192.0.2.7"), &"why");
        assert_eq!(balancers.concerns(&none), [(4, Trouble::Undeclared.concern())]);
    }
}
