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
    balancers: Vec<IpNet>,
}

impl Proxies {
    /// The declared proxies.
    pub(crate) fn new(networks: Vec<IpNet>, certificates: Option<CertificateHeader>) -> Self {
        Self { networks, certificates, balancers: Vec::new() }
    }

    /// The same with these networks of balancers that pass TCP on and say for whom, by the PROXY protocol.
    pub(crate) fn with_balancers(self, balancers: Vec<IpNet>) -> Self {
        Self { balancers, ..self }
    }

    /// Whether whoever connects from here says first for whom. Whom he names is from then on whoever connects, and what is
    /// believed of a declared proxy is believed of that one: a balancer may stand behind proxies, and has no word for them.
    pub(crate) fn says_for_whom(&self, address: IpAddr) -> bool {
        self.balancers.iter().any(|network| network.contains(address))
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
    use crate::config::fixture::{Authority, now};
    use crate::server::peer::{Judge, Shown};
    use http::HeaderValue;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    fn certificate() -> CertificateDer<'static> {
        let made = Authority::new().sign(&["client"], -1, 90);
        CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap()
    }

    /// Whose certificate counts, of that of the connection and that in the header, and what is left of the header.
    fn counts(from: &str, shown: bool, passed_on: bool, configured: bool) -> (&'static str, bool) {
        let (connection, header) = (certificate(), certificate());
        let print = |der: &CertificateDer<'_>| crate::server::peer::read(der).unwrap().x5t_s256;
        let shown =
            shown.then(|| Shown::new(std::slice::from_ref(&connection), Arc::new(Judge::empty())).unwrap());
        let who = Who { address: from.parse().unwrap(), shown: shown.map(Arc::new) };
        let rule = CertificateHeader { name: "client-cert".parse().unwrap(), verified: true };
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()], configured.then_some(rule));
        let mut headers = HeaderMap::new();
        if passed_on {
            use base64::Engine as _;
            let value = format!(":{}:", base64::prelude::BASE64_STANDARD.encode(&*header));
            headers.insert("client-cert", HeaderValue::from_str(&value).unwrap());
        }
        let counts = match proxies.certificate(&who, &mut headers, now()).unwrap() {
            None => "nobody's",
            Some(peer) if peer.x5t_s256 == print(&connection) => "the connection's",
            Some(peer) => {
                assert_eq!((&peer.x5t_s256, peer.chained), (&print(&header), true));
                "the header's"
            }
        };
        (counts, headers.is_empty())
    }

    /// Attack: a client writes the header itself, with a certificate whose key it does not have.
    #[test]
    fn a_certificate_in_a_header_counts_from_a_declared_proxy_and_stays_with_nobody() {
        for (from, shown, passed_on, expected) in [
            ("10.0.0.1", false, true, "the header's"),
            ("::ffff:10.0.0.1", false, true, "the header's"),
            ("10.0.0.1", false, false, "nobody's"),
            // By its own certificate a proxy proves itself to us, and not its clients.
            ("10.0.0.1", true, true, "the header's"),
            ("10.0.0.1", true, false, "nobody's"),
            ("192.0.2.9", false, true, "nobody's"),
            ("192.0.2.9", true, true, "the connection's"),
            ("192.0.2.9", true, false, "the connection's"),
            ("192.0.2.9", false, false, "nobody's"),
        ] {
            assert_eq!(counts(from, shown, passed_on, true), (expected, true), "{from} {shown} {passed_on}");
        }
        // Where no header is configured it is one of many that nobody reads.
        assert_eq!(counts("10.0.0.1", true, true, false), ("the connection's", false));
        assert_eq!(counts("10.0.0.1", false, true, false), ("nobody's", false));
    }

    fn source(peer: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()], None);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.source(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_balancer_is_no_proxy_and_a_proxy_no_balancer() {
        let balancers = vec!["10.1.0.0/16".parse().unwrap(), "fd00::1".parse().unwrap()];
        let proxies = Proxies::new(vec!["10.2.0.0/16".parse().unwrap()], None).with_balancers(balancers);
        for (address, says, trusted) in [
            ("10.1.0.1", true, false),
            ("::ffff:10.1.0.1", true, false),
            ("fd00::1", true, false),
            ("fd00::2", false, false),
            ("10.2.0.1", false, true),
            ("192.0.2.1", false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                (proxies.says_for_whom(address), proxies.trusts(address)),
                (says, trusted),
                "{address}"
            );
        }
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
