//! Where a request really came from.

use crate::config::IpNet;
use http::HeaderMap;
use std::net::IpAddr;

/// The networks whose `X-Forwarded-For` is believed. From anyone else the header is ignored: a client could write
/// any address into it, to dodge a ration or to put a false one into the records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// The declared proxies.
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The nearest address that is no declared proxy, read from the right: each proxy appends the peer it saw.
    pub(crate) fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let mut source = peer;
        let hops: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        for hop in hops.iter().rev().filter_map(|value| value.to_str().ok()).flat_map(|list| list.rsplit(','))
        {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            source = address.to_canonical();
            if !self.trusts(source) {
                break;
            }
        }
        source
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(peer: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        proxies.source(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_declared_proxy_is_believed() {
        assert_eq!(source("192.0.2.9", &["198.51.100.7"]), "192.0.2.9");
        assert_eq!(source("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn what_the_client_wrote_itself_is_not_reached() {
        assert_eq!(source("10.0.0.1", &["127.0.0.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", &["127.0.0.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", &["198.51.100.7, junk"]), "10.0.0.1");
        assert_eq!(source("10.0.0.1", &[]), "10.0.0.1");
    }
}
