//! Where a request really came from, and with whose certificate.

use super::passed_on;
use super::peer::Who;
use crate::config::CertificateHeader;
use daypass_core::clock::Timestamp;
use daypass_core::net::IpNet;
use daypass_core::peer::Peer;
use daypass_core::refusal::Refusal;
use http::HeaderMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The networks whose `X-Forwarded-For` is believed, and the header in which they pass on a client's certificate. From
/// anyone else both are ignored: a client could write any address into it, to dodge a ration or to put a false one into
/// the records, and any certificate, whose key it need not have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<IpNet>,
    certificates: Option<CertificateHeader>,
}

impl Proxies {
    /// The declared proxies.
    pub(crate) fn new(networks: Vec<IpNet>, certificates: Option<CertificateHeader>) -> Self {
        Self { networks, certificates }
    }

    /// The certificate of whoever sent this request, and takes the header out in which it may have been passed on. Where
    /// a proxy passes certificates on, one that it showed itself is never its clients'.
    pub(super) fn certificate(
        &self,
        who: &Who,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Arc<Peer>>, Refusal> {
        if let Some(rule) = &self.certificates {
            let passed_on = passed_on::take(rule, headers, now);
            if self.trusts(who.address.to_canonical()) {
                return passed_on;
            }
        }
        Ok(who.shown.as_ref().map(|shown| shown.at(now)))
    }

    /// The nearest address that is no declared proxy, read from the right: each proxy appends the peer it saw.
    pub(crate) fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let mut source = peer;
        let lists: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        for hop in lists.iter().rev().flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b',')) {
            let Some(address) = address(hop) else { break };
            source = address;
            if !self.trusts(source) {
                break;
            }
        }
        source
    }

    /// Whether this is a declared proxy. `address` is canonical.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// One hop. Bytes and not text: a client can put any byte before what the proxy appends, and must not make us pass
/// over the whole list by it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop.trim_ascii()).ok()?;
    hop.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn source(peer: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()], None);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
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
        assert_eq!(source("10.0.0.1", &["127.0.0.1", "\u{ff}, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("10.0.0.1", &["127.0.0.1", "\u{ff}"]), "10.0.0.1");
        assert_eq!(source("10.0.0.1", &[]), "10.0.0.1");
    }
}
