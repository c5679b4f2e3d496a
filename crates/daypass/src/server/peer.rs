//! What a client's certificate says, and what it is worth at the moment of a request.

use super::dn;
use crate::config::Authorities;
use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daypass_core::clock::Timestamp;
use daypass_core::peer::{Peer, PeerName};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// The longest certificate that is read, in bytes. Those of real clients have one to two thousand.
pub(super) const CERTIFICATE: usize = 8 * 1024;
/// The most names that are taken from one; a certificate with more names is no peer.
const NAMES: usize = 64;

/// Those who vouch for certificates, now.
pub(super) type Judge = ArcSwapOption<Authorities>;

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) struct Who {
    /// The address that it came from.
    pub(super) address: IpAddr,
    /// What it showed at the handshake, if it was asked and had something.
    pub(super) shown: Option<Arc<Shown>>,
}

/// The certificates that were shown at a handshake, or at the one whose session was resumed.
pub(super) struct Shown {
    certificate: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    peer: Arc<Peer>,
    judge: Arc<Judge>,
    last: Mutex<Option<Judged>>,
}

/// What was found last. A certificate's dates have the grain of a second, so that within one nothing changes but those
/// who vouch.
struct Judged {
    second: i64,
    by: Option<Arc<Authorities>>,
    peer: Arc<Peer>,
}

impl Shown {
    /// What these say, the client's own first. None where that cannot be read: then nobody has shown anything.
    pub(super) fn new(chain: &[CertificateDer<'_>], judge: Arc<Judge>) -> Option<Self> {
        let (certificate, others) = chain.split_first()?;
        let peer = Arc::new(read(certificate)?);
        let others = others.iter().map(|der| der.clone().into_owned()).collect();
        Some(Self {
            certificate: certificate.clone().into_owned(),
            others,
            peer,
            judge,
            last: Mutex::default(),
        })
    }

    /// What the certificate is worth at this time. It is judged with each request and not once for a connection.
    ///
    /// Attack: a connection, or a session that is resumed, kept for longer than the certificate is good or than an
    /// authority is trusted.
    pub(super) fn at(&self, now: Timestamp) -> Arc<Peer> {
        let (second, by) = (now.as_second(), self.judge.load_full());
        let mut last = self.last.lock();
        if let Some(judged) = &*last
            && judged.second == second
            && judged.by.as_ref().map(Arc::as_ptr) == by.as_ref().map(Arc::as_ptr)
        {
            return judged.peer.clone();
        }
        let chained = by.as_ref().is_some_and(|by| by.vouch(&self.certificate, &self.others, now));
        let peer =
            if chained { Arc::new(Peer { chained, ..(*self.peer).clone() }) } else { self.peer.clone() };
        *last = Some(Judged { second, by, peer: peer.clone() });
        peer
    }
}

/// Reads a certificate; nobody vouches for it yet. None where it is none, or more than anybody needs.
pub(super) fn read(der: &[u8]) -> Option<Peer> {
    if der.len() > CERTIFICATE {
        return None;
    }
    let Ok(([], certificate)) = X509Certificate::from_der(der) else { return None };
    let validity = certificate.validity();
    Some(Peer {
        x5t_s256: BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
        chained: false,
        subject_dn: dn::text(certificate.subject())?,
        names: names(&certificate)?,
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
    })
}

/// The names of the four kinds; others are passed over. A broken or doubled extension makes the whole no certificate.
fn names(certificate: &X509Certificate<'_>) -> Option<Vec<PeerName>> {
    let Some(extension) = certificate.subject_alternative_name().ok()? else { return Some(Vec::new()) };
    let names = &extension.value.general_names;
    (names.len() <= NAMES).then(|| names.iter().filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<PeerName> {
    match *name {
        GeneralName::DNSName(name) => Some(PeerName::Dns(name.to_owned())),
        GeneralName::URI(name) => Some(PeerName::Uri(name.to_owned())),
        GeneralName::RFC822Name(name) => Some(PeerName::Email(name.to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| PeerName::Ip(bytes.into())),
            _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| PeerName::Ip(bytes.into())),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CaSource;
    use crate::config::fixture::{Authority, Made, now};
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
    use rustls::pki_types::pem::PemObject as _;

    fn der(made: &Made) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap()
    }

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_second(now().as_second() + seconds).unwrap()
    }

    fn judge(authority: Option<&Authority>) -> Option<Arc<Authorities>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &authority?.pem).unwrap();
        Some(Arc::new(CaSource::for_test(file.path()).read(now()).unwrap().0))
    }

    #[test]
    fn everything_that_a_client_can_be_named_by_is_read() {
        let made = Authority::new().sign_params(|params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Acme");
            params.distinguished_name.push(DnType::CommonName, "reports");
            params.subject_alt_names = vec![
                SanType::DnsName("reports.example.com".try_into().unwrap()),
                SanType::URI("spiffe://acme/reports".try_into().unwrap()),
                SanType::IpAddress("192.0.2.7".parse().unwrap()),
                SanType::IpAddress("2001:db8::7".parse().unwrap()),
                SanType::Rfc822Name("reports@example.com".try_into().unwrap()),
                SanType::OtherName((vec![1, 2, 3], "not one of them".into())),
            ];
        });
        let der = der(&made);
        let peer = read(&der).unwrap();
        assert_eq!(peer.x5t_s256, BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &der)));
        assert_eq!((peer.x5t_s256.len(), peer.chained), (43, false));
        assert_eq!(peer.subject_dn, "CN=reports,O=Acme");
        assert_eq!(
            peer.names,
            [
                PeerName::Dns("reports.example.com".into()),
                PeerName::Uri("spiffe://acme/reports".into()),
                PeerName::Ip("192.0.2.7".parse().unwrap()),
                PeerName::Ip("2001:db8::7".parse().unwrap()),
                PeerName::Email("reports@example.com".into()),
            ]
        );
        let day = 24 * 60 * 60;
        assert!(peer.is_live(now()) && peer.is_live(later(89 * day)));
        assert!(!peer.is_live(later(-2 * day)) && !peer.is_live(later(91 * day)));
    }

    #[test]
    fn what_is_no_certificate_or_too_much_of_one_is_nobody() {
        let authority = Authority::new();
        let good = der(&authority.sign(&["client"], -1, 90));
        assert!(read(&good).is_some());
        assert_eq!(read(b""), None);
        assert_eq!(read(&good[..good.len() - 1]), None);
        assert_eq!(read(&[&*good, b"\0"].concat()), None, "nothing may follow");
        let named = |count: usize| {
            let made = authority.sign_params(|params| {
                let name = |n| SanType::DnsName(format!("n{n}").try_into().unwrap());
                params.subject_alt_names = (0..count).map(name).collect();
            });
            read(&der(&made)).map(|peer| peer.names.len())
        };
        assert_eq!([0, NAMES, NAMES + 1].map(named), [Some(0), Some(NAMES), None]);
        let long = authority.sign_params(|params| {
            let uri = format!("urn:x:{}", "x".repeat(CERTIFICATE));
            params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        });
        assert!(der(&long).len() > CERTIFICATE && read(&der(&long)).is_none());
    }

    #[test]
    fn any_bytes_in_a_certificate_are_read_or_passed_over() {
        let good = der(&Authority::new().sign(&["client"], -1, 90)).to_vec();
        for n in 0..good.len() {
            for bit in [1, 0x80] {
                let mut bad = good.clone();
                bad[n] ^= bit;
                let _ = read(&bad);
            }
        }
    }

    #[test]
    fn a_certificate_is_judged_at_the_time_of_each_request() {
        let authority = Authority::new();
        let certificate = der(&authority.sign(&["client"], -1, 1));
        let shown = |by| {
            let judge = Arc::new(Judge::new(judge(by)));
            (Shown::new(std::slice::from_ref(&certificate), judge.clone()).unwrap(), judge)
        };
        let (vouched, trust) = shown(Some(&authority));
        let day = 24 * 60 * 60;
        for (at, chained) in [(0, true), (day - 10, true), (day + 10, false), (0, true), (-day - 10, false)] {
            assert_eq!(vouched.at(later(at)).chained, chained, "{at}");
        }
        assert!(!shown(None).0.at(now()).chained);
        assert!(!shown(Some(&Authority::new())).0.at(now()).chained);
        // A new list of authorities counts from the next request on, within the same second as well.
        assert!(vouched.at(now()).chained);
        trust.store(judge(Some(&Authority::new())));
        assert!(!vouched.at(now()).chained);
        trust.store(judge(Some(&authority)));
        let first = vouched.at(now());
        assert!(first.chained && first.x5t_s256 == read(&certificate).unwrap().x5t_s256);
    }

    #[test]
    fn within_one_second_a_certificate_is_judged_once() {
        let authority = Authority::new();
        let certificate = der(&authority.sign(&["client"], -1, 1));
        let shown = Shown::new(&[certificate], Arc::new(Judge::new(judge(Some(&authority))))).unwrap();
        let at = later(10);
        assert!(Arc::ptr_eq(&shown.at(at), &shown.at(at)));
        assert!(!Arc::ptr_eq(&shown.at(at), &shown.at(later(11))));
    }

    #[test]
    fn one_that_signs_itself_is_somebody_whom_nobody_vouches_for() {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(vec!["client".to_owned()]).unwrap().self_signed(&key).unwrap();
        let judge = Arc::new(Judge::new(judge(Some(&Authority::new()))));
        let peer = Shown::new(&[made.der().clone()], judge.clone()).unwrap().at(now());
        assert!(!peer.chained && peer.x5t_s256.len() == 43);
        assert!(Shown::new(&[], judge.clone()).is_none());
        assert!(Shown::new(&[b"nonsense".to_vec().into()], judge).is_none());
    }
}
