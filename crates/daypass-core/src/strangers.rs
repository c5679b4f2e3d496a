//! Refusals of callers who proved nothing: counted, not recorded one by one.
//!
//! A record for each would let a stranger fill the disk. They become one record for each reason, source network
//! and second, at most [`ROWS`] a second, the rest in one row `other`, written behind the answer.

use crate::clock::Timestamp;
use crate::id::{Entropy, uuid_v7};
use crate::record::Record;
use crate::refusal::Reason;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most rows of one second.
pub const ROWS: usize = 64;

/// Counts until they are collected.
#[derive(Default)]
pub struct Strangers(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    rows: HashMap<(Reason, IpAddr), u64>,
    other: u64,
}

impl Strangers {
    /// Counts one refusal.
    pub fn count(&self, reason: Reason, source: IpAddr) {
        let mut counts = self.0.lock();
        let key = (reason, network(source));
        let full = counts.rows.len() >= ROWS;
        match counts.rows.get_mut(&key) {
            Some(count) => *count += 1,
            None if full => counts.other += 1,
            None => _ = counts.rows.insert(key, 1),
        }
    }

    /// Takes what has come together since the last call; the server calls it once a second.
    pub fn collect(&self, at: Timestamp, entropy: &dyn Entropy) -> Vec<Record> {
        let counts = std::mem::take(&mut *self.0.lock());
        let id = || {
            let mut random = [0; 10];
            entropy.fill(&mut random);
            uuid_v7(at, random)
        };
        let mut records: Vec<_> = counts
            .rows
            .into_iter()
            .map(|((reason, net), count)| Record::strangers(id(), at, Some(reason), Some(show(net)), count))
            .collect();
        if counts.other > 0 {
            records.push(Record::strangers(id(), at, None, None, counts.other));
        }
        records
    }
}

/// The network an address belongs to: its /24 or /48. Also what rations are counted by, since a single address
/// of a household or cloud is too easily changed.
pub fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00).into(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => network(v4.into()),
            None => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into(),
        },
    }
}

fn show(network: IpAddr) -> String {
    format!("{network}/{}", if network.is_ipv4() { 24 } else { 48 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Event;
    use crate::testing::{START, SeededEntropy};

    #[test]
    fn a_flood_becomes_a_few_rows() {
        let strangers = Strangers::default();
        for host in 0..=255 {
            for _ in 0..10 {
                strangers.count(Reason::WrongSignature, Ipv4Addr::new(192, 0, 2, host).into());
            }
        }
        let rows = strangers.collect(START, &SeededEntropy::new(1));
        let [Record { event: Event::Strangers { count: 2560, network, .. }, .. }] = &rows[..] else {
            panic!("{rows:?}")
        };
        assert_eq!(network.as_deref(), Some("192.0.2.0/24"));
        assert!(strangers.collect(START, &SeededEntropy::new(1)).is_empty());
    }

    #[test]
    fn more_networks_than_rows_end_in_one_row() {
        let strangers = Strangers::default();
        for net in 0..=255 {
            strangers.count(Reason::UnknownKey, Ipv4Addr::new(10, 0, net, 1).into());
        }
        let rows = strangers.collect(START, &SeededEntropy::new(1));
        assert_eq!(rows.len(), ROWS + 1);
        let Event::Strangers { reason, count, .. } = &rows[ROWS].event else { panic!() };
        assert_eq!((reason.as_str(), *count), ("other", 256 - 64));
    }

    #[test]
    fn networks_of_both_families() {
        let net = |a: &str| show(network(a.parse().unwrap()));
        assert_eq!(net("203.0.113.77"), "203.0.113.0/24");
        assert_eq!(net("2001:db8:1:2::9"), "2001:db8:1::/48");
        assert_eq!(net("::ffff:203.0.113.77"), "203.0.113.0/24");
    }
}
