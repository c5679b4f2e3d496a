//! Those who vouch for the certificates of clients, and whether they do.

use super::certificate::{DAY, SOON_DAYS, certificates, moment, parse};
use super::diagnostic::Fault;
use daypass_core::clock::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most authorities. Attack: each is tried for every certificate of a stranger.
const MOST: usize = 32;

/// Authorities, each with its own dates: rustls takes a root's word for ever.
#[derive(Clone)]
pub(crate) struct Authorities(Vec<Authority>);

#[derive(Clone)]
struct Authority {
    verifier: Arc<dyn ClientCertVerifier>,
    begins: i64,
    expires: i64,
}

/// Reads a file of authorities in PEM: those of it that are good or will be, and what deserves a look. Messages go on
/// after the file's name.
pub(super) fn read(text: &[u8], now: Timestamp) -> Result<(Authorities, Vec<Fault>), Fault> {
    let all = certificates(text)?;
    if all.len() > MOST {
        return Err(Fault::new(format!("holds {} certificates, and {MOST} are the most", all.len()))
            .hint("list the authorities of your own clients, and not all of the world's"));
    }
    let (mut good, mut concerns) = (Vec::new(), Vec::new());
    for (n, (der, certificate)) in all.iter().zip(&parse(&all)?).enumerate() {
        let which = if all.len() == 1 { String::new() } else { format!("number {} of it ", n + 1) };
        if !certificate.is_ca() {
            return Err(Fault::new(format!("{which}is not the certificate of an authority"))
                .hint("a client's own certificate is registered by its thumbprint, and needs no `ca`"));
        }
        let validity = certificate.validity();
        let (begins, expires) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let days = (expires - now.as_second()).div_euclid(DAY);
        if now.as_second() > expires {
            concerns
                .push(Fault::new(format!("{which}expired at {}, and vouches for nobody", moment(expires))));
            continue;
        }
        if days < SOON_DAYS {
            concerns.push(Fault::new(format!("{which}expires in {days} days, at {}", moment(expires))));
        }
        if now.as_second() < begins {
            concerns.push(Fault::new(format!("{which}vouches for nobody before {}", moment(begins))));
        }
        let verifier = verifier(der).map_err(|_| {
            Fault::new(format!("{which}is a certificate that TLS cannot use as an authority"))
        })?;
        good.push(Authority { verifier, begins, expires });
    }
    match concerns.pop() {
        Some(Fault { message, .. }) if good.is_empty() => Err(Fault::new(message)),
        last => {
            concerns.extend(last);
            Ok((Authorities(good), concerns))
        }
    }
}

fn verifier(root: &CertificateDer<'static>) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

impl Authorities {
    /// Whether one of them vouches for this client's certificate at this time: signatures and dates of the whole chain,
    /// and that it may be used by a client. The certificates that follow the first are tried in any order.
    pub(crate) fn vouch(
        &self,
        client: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> bool {
        let second = now.as_second();
        let Ok(seconds) = u64::try_from(second) else { return false };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.0
            .iter()
            .filter(|authority| (authority.begins..=authority.expires).contains(&second))
            .any(|authority| authority.verifier.verify_client_cert(client, others, at).is_ok())
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} authorities", self.0.len())
    }
}
