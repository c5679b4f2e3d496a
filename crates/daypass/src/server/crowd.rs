//! How many connections one network holds.

use daypass_core::strangers::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The most connections at once from one network (/24 of IPv4, /48 of IPv6): a quarter of all. An office or a cloud
/// behind one address stays far below it. Loopback and declared proxies, which speak for many, have no such bound.
/// Attack: one host opens connections until there is none left for anyone else.
pub(super) const FROM_ONE_NETWORK: usize = 2_500;

/// Who is connected, by network.
#[derive(Default)]
pub(super) struct Crowd(Mutex<HashMap<IpAddr, Standing>>);

#[derive(Default)]
struct Standing {
    connections: usize,
    /// The log knows that this network is full; it is told again only after it was empty.
    told: bool,
}

/// A place in the crowd, given back when this is dropped.
pub(super) struct Place(Option<(Arc<Crowd>, IpAddr)>);

impl Place {
    /// Of somebody who is not counted.
    pub(super) fn uncounted() -> Self {
        Self(None)
    }
}

impl Crowd {
    /// Takes a place for a connection of this peer, if its network has one left.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let network = network(peer.to_canonical());
        let mut networks = self.0.lock();
        let standing = networks.entry(network).or_default();
        if standing.connections >= FROM_ONE_NETWORK {
            if !standing.told {
                standing.told = true;
                tracing::warn!(%network, most = FROM_ONE_NETWORK, "a network holds as many connections as one may");
            }
            return None;
        }
        standing.connections += 1;
        Some(Place(Some((self.clone(), network))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((crowd, network)) = &self.0 else { return };
        let mut networks = crowd.0.lock();
        if let Some(standing) = networks.get_mut(network) {
            standing.connections -= 1;
            if standing.connections == 0 {
                networks.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_leaves_room_for_the_others() {
        let crowd = Arc::new(Crowd::default());
        let enter = |peer: &str| crowd.enter(peer.parse().unwrap());
        let mut places: Vec<_> =
            (0..FROM_ONE_NETWORK).map(|n| enter(&format!("192.0.2.{}", n % 250)).unwrap()).collect();
        assert!(enter("192.0.2.251").is_none() && enter("::ffff:192.0.2.1").is_none());
        let other = enter("192.0.3.1").unwrap();
        places.pop();
        places.push(enter("192.0.2.251").unwrap());
        assert!(enter("192.0.2.1").is_none());
        drop((places, other));
        assert!(crowd.0.lock().is_empty(), "nothing is kept of who was here");
    }

    #[test]
    fn addresses_of_one_ipv6_site_are_one_network() {
        let crowd = Arc::new(Crowd::default());
        let places: Vec<_> = (0..FROM_ONE_NETWORK)
            .map(|n| crowd.enter(format!("2001:db8:1:{n:x}::1").parse().unwrap()).unwrap())
            .collect();
        assert!(crowd.enter("2001:db8:1:ffff::2".parse().unwrap()).is_none());
        assert!(crowd.enter("2001:db8:2::1".parse().unwrap()).is_some());
        drop(places);
    }
}
