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
