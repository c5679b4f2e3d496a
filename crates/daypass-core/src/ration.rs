//! How many credentials an endpoint makes in a minute: for one subject, for one source network, and in all.
//!
//! A stranger's attempts count against its network as well, so that whoever guesses at tickets or sessions runs into a
//! bound; against an endpoint they do not, or strangers could use up what belongs to all.

use crate::clock::Timestamp;
use crate::strangers::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;

/// The most subjects and networks counted in one minute. Past it all further ones share one count for each endpoint
/// and kind, so that memory stays bounded while someone with many addresses tries.
const COUNTS: usize = 100_000;

/// Counts of the running minute.
#[derive(Default)]
pub struct Rations(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    number: i64,
    counts: HashMap<Share, u32>,
}

/// Who shares one ration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    endpoint: String,
    of: Of,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Of {
    Everyone,
    Network(Option<IpAddr>),
    Subject(Option<String>),
}

impl Share {
    /// All who come to an endpoint.
    pub fn everyone(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), of: Of::Everyone }
    }

    /// All who come from one network (/24 of IPv4, /48 of IPv6).
    pub fn network(endpoint: &str, source: IpAddr) -> Self {
        Self { endpoint: endpoint.to_owned(), of: Of::Network(Some(network(source))) }
    }

    /// One subject.
    pub fn subject(endpoint: &str, name: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), of: Of::Subject(Some(name.to_owned())) }
    }

    /// The share of those who came after the table was full.
    fn late(mut self) -> Self {
        self.of = match self.of {
            Of::Everyone => Of::Everyone,
            Of::Network(_) => Of::Network(None),
            Of::Subject(_) => Of::Subject(None),
        };
        self
    }
}

impl Rations {
    /// Takes one from a ration; when it is used up, says in how many seconds the next minute begins. Where there is
    /// no bound nothing is counted.
    pub fn take(&self, share: Share, per_minute: Option<u32>, now: Timestamp) -> Result<(), u32> {
        let Some(per_minute) = per_minute else { return Ok(()) };
        let mut minute = self.0.lock();
        let number = now.as_second().div_euclid(60);
        if minute.number != number {
            *minute = Minute { number, counts: HashMap::new() };
        }
        let full = minute.counts.len() >= COUNTS && !minute.counts.contains_key(&share);
        let count = minute.counts.entry(if full { share.late() } else { share }).or_default();
        if *count >= per_minute {
            let left = 60 - now.as_second().rem_euclid(60);
            return Err(u32::try_from(left).unwrap_or(60));
        }
        *count += 1;
        Ok(())
    }

    /// Gives one back, because nothing was made after all.
    pub fn give_back(&self, share: &Share) {
        if let Some(count) = self.0.lock().counts.get_mut(share) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::after;
    use crate::testing::START;
    use std::net::Ipv4Addr;

    fn of(host: &str) -> Share {
        Share::network("/getAuthorization", host.parse().unwrap())
    }

    #[test]
    fn a_network_shares_a_ration_and_gets_a_new_one_each_minute() {
        let rations = Rations::default();
        let take = |host, at| rations.take(of(host), Some(2), at);
        assert_eq!(take("192.0.2.1", START), Ok(()));
        assert_eq!(take("192.0.2.2", START), Ok(()));
        // START is 22:13:20.
        assert_eq!(take("192.0.2.3", START), Err(40));
        assert_eq!(take("192.0.3.1", START), Ok(()));
        assert_eq!(take("192.0.2.1", after(START, 40)), Ok(()));
        let elsewhere = Share::network("/other", "192.0.3.1".parse().unwrap());
        assert_eq!(rations.take(elsewhere, Some(1), after(START, 40)), Ok(()));
    }

    #[test]
    fn subjects_networks_and_everyone_are_counted_apart() {
        let rations = Rations::default();
        for share in
            [of("192.0.2.1"), Share::subject("/a", "ann"), Share::subject("/a", "bob"), Share::everyone("/a")]
        {
            assert_eq!(rations.take(share.clone(), Some(1), START), Ok(()));
            assert_eq!(rations.take(share, Some(1), START), Err(40));
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let rations = Rations::default();
        assert_eq!(rations.take(of("192.0.2.1"), Some(1), START), Ok(()));
        rations.give_back(&of("192.0.2.1"));
        assert_eq!(rations.take(of("192.0.2.1"), Some(1), START), Ok(()));
        rations.give_back(&of("192.0.9.1"));
        assert_eq!(rations.0.lock().counts.len(), 1, "nothing is counted that was never taken");
    }

    #[test]
    fn without_a_bound_nothing_is_counted() {
        let rations = Rations::default();
        assert_eq!(rations.take(of("192.0.2.1"), None, START), Ok(()));
        assert!(rations.0.lock().counts.is_empty());
    }

    #[test]
    fn networks_past_the_bound_share_one_count() {
        let rations = Rations::default();
        let take = |n: usize| {
            let source = Ipv4Addr::from_bits(u32::try_from(n << 8).unwrap());
            rations.take(Share::network("/getAuthorization", source.into()), Some(2), START)
        };
        for n in 0..COUNTS {
            assert_eq!(take(n), Ok(()));
        }
        assert_eq!((take(COUNTS), take(COUNTS + 1)), (Ok(()), Ok(())));
        assert_eq!(take(COUNTS + 2), Err(40), "the strangers' count is used up");
        assert_eq!(take(7), Ok(()), "a network that was there before keeps its own");
        assert_eq!(rations.0.lock().counts.len(), COUNTS + 1);
    }
}
