//! How often a source network may come to an endpoint that knows no caller.

use crate::clock::Timestamp;
use crate::strangers::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;

/// The most networks counted in one minute. Past it every further network shares one count, so that memory stays
/// bounded while someone with many addresses tries.
const NETWORKS: usize = 100_000;

/// Counts of the running minute.
#[derive(Default)]
pub struct Rations(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    number: i64,
    counts: HashMap<(String, Option<IpAddr>), u32>,
}

impl Rations {
    /// Takes one from the ration; when it is used up, says in how many seconds the next minute begins.
    pub fn take(&self, endpoint: &str, source: IpAddr, per_minute: u32, now: Timestamp) -> Result<(), u32> {
        let mut minute = self.0.lock();
        let number = now.as_second().div_euclid(60);
        if minute.number != number {
            *minute = Minute { number, counts: HashMap::new() };
        }
        let full = minute.counts.len() >= NETWORKS;
        let mut key = (endpoint.to_owned(), Some(network(source)));
        if full && !minute.counts.contains_key(&key) {
            key.1 = None;
        }
        let count = minute.counts.entry(key).or_default();
        if *count >= per_minute {
            let left = 60 - now.as_second().rem_euclid(60);
            return Err(u32::try_from(left).unwrap_or(60));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::after;
    use crate::testing::START;
    use std::net::Ipv4Addr;

    #[test]
    fn a_network_shares_a_ration_and_gets_a_new_one_each_minute() {
        let rations = Rations::default();
        let take = |host: &str, at| rations.take("/getAuthorization", host.parse().unwrap(), 2, at);
        assert_eq!(take("192.0.2.1", START), Ok(()));
        assert_eq!(take("192.0.2.2", START), Ok(()));
        // START is 22:13:20.
        assert_eq!(take("192.0.2.3", START), Err(40));
        assert_eq!(take("192.0.3.1", START), Ok(()));
        assert_eq!(take("192.0.2.1", after(START, 40)), Ok(()));
        assert_eq!(rations.take("/other", "192.0.3.1".parse().unwrap(), 1, after(START, 40)), Ok(()));
    }
    #[test]
    fn networks_past_the_bound_share_one_count() {
        let rations = Rations::default();
        let take = |n: usize| {
            let source = Ipv4Addr::from_bits(u32::try_from(n << 8).unwrap());
            rations.take("/getAuthorization", source.into(), 2, START)
        };
        for n in 0..NETWORKS {
            assert_eq!(take(n), Ok(()));
        }
        assert_eq!((take(NETWORKS), take(NETWORKS + 1)), (Ok(()), Ok(())));
        assert_eq!(take(NETWORKS + 2), Err(40), "the strangers' count is used up");
        assert_eq!(take(7), Ok(()), "a network that was there before keeps its own");
        assert_eq!(rations.0.lock().counts.len(), NETWORKS + 1);
    }
}
