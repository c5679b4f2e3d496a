//! The certificate that a client showed at the TLS handshake (RFC 8705), as the server read it.
//!
//! A [`Peer`] says that whoever sent the request held the private key of this certificate: the server, or a declared
//! proxy, saw that key sign. What the certificate is worth is judged with each request, because a connection or a
//! resumed session can outlive it: [`Peer::is_live`] by the clock of the request, `chained` by the server.

use crate::clock::Timestamp;
use std::net::IpAddr;

/// A client's certificate, with a key that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The SHA-256 of its DER, base64url without padding: `x5t#S256` as RFC 8705 (3.1) puts it into a token.
    pub x5t_s256: String,
    /// Whether the authority that the configuration names vouches for it now, intermediate certificates and dates
    /// included. Without it the names below are what anybody wrote, and only the thumbprint means something.
    pub chained: bool,
    /// The subject in the string form of RFC 4514, most specific part first: `CN=reports,O=Acme,C=CN`. Empty where
    /// the certificate has none.
    pub subject_dn: String,
    /// The subject's alternative names, in the certificate's order.
    pub names: Vec<PeerName>,
    /// The first second of the certificate.
    pub not_before: Timestamp,
    /// The last second of the certificate, whole: it is live to its end.
    pub not_after: Timestamp,
}

/// A subject alternative name of a kind that RFC 8705 (2.1.2) can register a client by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A host, as it stands in the certificate.
    Dns(String),
    /// A URI, as it stands in the certificate: a SPIFFE id, say.
    Uri(String),
    /// An address.
    Ip(IpAddr),
    /// A mail address, as it stands in the certificate.
    Email(String),
}

impl Peer {
    /// Whether the certificate's own dates admit this time.
    ///
    /// Attack: a stolen key of a certificate that ended, used over a connection that began, or by a session that was
    /// agreed on, while the certificate was good.
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.not_before.as_second() <= at.as_second() && at.as_second() <= self.not_after.as_second()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_live_from_its_first_second_to_the_end_of_its_last() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let peer = Peer {
            x5t_s256: String::new(),
            chained: false,
            subject_dn: String::new(),
            names: vec![],
            not_before: at("2026-11-22T06:00:00Z"),
            not_after: at("2026-11-22T06:59:59Z"),
        };
        for (time, live) in [
            ("2026-11-22T05:59:59.999Z", false),
            ("2026-11-22T06:00:00Z", true),
            ("2026-11-22T06:59:59.999Z", true),
            ("2026-11-22T07:00:00Z", false),
        ] {
            assert_eq!(peer.is_live(at(time)), live, "{time}");
        }
    }
}
