//! Clients that show a certificate in the TLS handshake (RFC 8705).
//!
//! The handshake has proved that its sender holds the private key; here it is found out whose certificate that is, anew
//! with each request, because a connection may outlive what was said about it when it began.

use super::{Proved, disabled, unknown_client};
use crate::caller::{Caller, Confirmation, How, Proof};
use crate::client::{CertificateRule, Key, Material, NameRule};
use crate::clock::rfc3339;
use crate::dialect::{Certified, Context};
use crate::peer::{Peer, PeerName};
use crate::refusal::{Reason, Refusal};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Finds the client's key that the certificate answers to. What is handed out is bound to the certificate, so that a
/// copy of the token alone is worth nothing.
pub(super) fn certified(context: Context<'_>, certified: &Certified<'_>) -> Result<Proved, Refusal> {
    let Context { directory, now } = context;
    let Certified { tenant, client, peer } = certified;
    let client = Uuid::try_parse(client).ok().and_then(|guid| directory.client(tenant, guid));
    let keys = client.as_ref().map(|client| directory.certificates(client.guid)).unwrap_or_default();
    let matching =
        || keys.iter().filter(|key| key.enabled).filter_map(|key| Some((key, answers(key, peer)?)));
    let found = matching().find(|(key, _)| key.live(now)).or_else(|| matching().next());
    let client = client.ok_or_else(unknown_client)?;
    let (key, how) = found.ok_or_else(|| unknown(&keys, peer))?;
    if !key.live(now) {
        let detail =
            "this certificate was registered for a time that is over, or has not begun; register it again";
        return Err(Refusal::new(Reason::ExpiredSecret, detail));
    }
    if !peer.is_live(now) {
        let [from, until, now] = [peer.not_before, peer.not_after, now].map(rfc3339);
        let detail =
            format!("the client certificate is valid from {from} until {until}, and it is {now}; renew it");
        return Err(Refusal::new(Reason::ExpiredSecret, detail));
    }
    let proof = Proof::Key { client: client.clone(), key: key.id.clone(), weak: None, how };
    let caller =
        Caller::new((*tenant).clone(), proof).bound(Some(Confirmation::Certificate(peer.x5t_s256.clone())));
    Ok(Proved { caller, objection: (!client.enabled).then(disabled) })
}

/// In what way a certificate is the one that a key asks for.
fn answers(key: &Key, peer: &Peer) -> Option<How> {
    let Material::Certificate(rule) = &key.material else { return None };
    match rule {
        CertificateRule::Pinned { x5t_s256 } => {
            (*x5t_s256 == peer.x5t_s256).then_some(How::SelfSignedTlsClientAuth)
        }
        // Attack: without an authority behind it, a certificate bears whatever name its maker likes.
        CertificateRule::Named(name) => (peer.chained && bears(peer, name)).then_some(How::TlsClientAuth),
    }
}

/// Whether a certificate bears a name. Names are compared as they are written; addresses by what they are, because one
/// address of IPv6 is written in many ways.
fn bears(peer: &Peer, rule: &NameRule) -> bool {
    let any = |fits: &dyn Fn(&PeerName) -> bool| peer.names.iter().any(fits);
    match rule {
        NameRule::SubjectDn(wanted) => !wanted.is_empty() && peer.subject_dn == *wanted,
        NameRule::SanDns(wanted) => any(&|name| matches!(name, PeerName::Dns(name) if name == wanted)),
        NameRule::SanUri(wanted) => any(&|name| matches!(name, PeerName::Uri(name) if name == wanted)),
        NameRule::SanEmail(wanted) => any(&|name| matches!(name, PeerName::Email(name) if name == wanted)),
        NameRule::SanIp(wanted) => {
            let wanted: Option<IpAddr> = wanted.parse().ok();
            any(&|name| matches!(name, PeerName::Ip(name) if Some(*name) == wanted))
        }
    }
}

/// The refusal of a certificate that is none of the client's. A name helps its owner only if an authority vouches for
/// it, so that is said where the client has registered a name and there is no authority.
fn unknown(keys: &[Arc<Key>], peer: &Peer) -> Refusal {
    let named = |key: &Arc<Key>| matches!(&key.material, Material::Certificate(CertificateRule::Named(_)));
    let detail = if !peer.chained && keys.iter().any(|key| key.enabled && named(key)) {
        "the client certificate is not registered for this client, and no authority that is trusted here vouches for it"
    } else {
        "the client certificate is not the one that is registered for this client, and bears no name that is"
    };
    Refusal::new(Reason::UnknownKey, detail)
}

#[cfg(test)]
mod tests;
