//! A certificate chain with its key: what must hold before anyone is shown it.

use super::diagnostic::Fault;
use daypass_core::clock::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// From how many days before its end on a certificate is pointed out. Authorities that renew by themselves do so
/// thirty days before; later than that, something is stuck.
pub(super) const SOON_DAYS: i64 = 30;
pub(super) const DAY: i64 = 24 * 60 * 60;

/// A chain that begins with our own certificate, and its key.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certified: Arc<CertifiedKey>,
    /// The last second of the certificate.
    pub(crate) expires: i64,
    authority: bool,
}

/// Which of the two files is wrong. The message goes on after the file's name.
#[derive(Debug)]
pub(super) enum Bad {
    /// The chain.
    Certificate(Fault),
    /// The key.
    Key(Fault),
}

/// Reads both and holds them against each other and against the clock.
pub(super) fn read(chain: &[u8], key: &[u8], now: Timestamp) -> Result<Pair, Bad> {
    let key = signing_key(key).map_err(Bad::Key)?;
    let chain = certificates(chain).map_err(Bad::Certificate)?;
    let parsed = parse(&chain).map_err(Bad::Certificate)?;
    let ours = key.public_key();
    let is_ours = |certificate: &X509Certificate<'_>| {
        ours.as_ref().is_some_and(|key| key.as_ref() == certificate.public_key().raw)
    };
    let Some(leaf) = parsed.first().filter(|first| is_ours(first)) else {
        return Err(unlike(&parsed, is_ours));
    };
    let (begins, expires) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    let authority = leaf.is_ca();
    if now.as_second() < begins {
        return Err(Bad::Certificate(Fault::new(format!("is not valid before {}", moment(begins)))));
    }
    if now.as_second() > expires {
        return Err(Bad::Certificate(Fault::new(format!("expired at {}", moment(expires)))));
    }
    drop(parsed);
    Ok(Pair { certified: Arc::new(CertifiedKey::new(chain, key)), expires, authority })
}

impl Pair {
    /// A pair that we made ourselves, of a chain and a key in PEM.
    pub(crate) fn made(chain: &[u8], key: &[u8], now: Timestamp) -> anyhow::Result<Self> {
        read(chain, key, now).map_err(|(Bad::Certificate(fault) | Bad::Key(fault))| {
            anyhow::anyhow!("the certificate just made {}", fault.message)
        })
    }

    /// What deserves a look. The message goes on after the file's name. `hosts` come with the keys that name them.
    pub(super) fn concerns(&self, now: Timestamp, hosts: &[(String, &str)]) -> Vec<Fault> {
        let days = self.days_left(now);
        let soon = (days < SOON_DAYS).then(|| {
            Fault::new(format!("expires in {days} days, at {}", moment(self.expires)))
                .hint("put the new pair into the same files; it is taken up without a restart")
        });
        let authority = self.authority.then(|| {
            Fault::new("is the certificate of an authority, and many clients refuse one for a server")
                .hint("openssl req -x509 makes one for a server with -addext basicConstraints=CA:FALSE")
        });
        let elsewhere = hosts.iter().filter(|(host, _)| !self.is_for(host)).map(|(host, key)| {
            Fault::new(format!("is not for `{host}`, the host of `{key}`"))
                .hint("its subject alternative names must hold it")
        });
        [soon, authority].into_iter().flatten().chain(elsewhere).collect()
    }

    /// Whole days until it expires; negative afterwards.
    pub(crate) fn days_left(&self, now: Timestamp) -> i64 {
        (self.expires - now.as_second()).div_euclid(DAY)
    }

    /// Whether the end is near enough to be pointed out.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.days_left(now) < SOON_DAYS
    }

    fn is_for(&self, host: &str) -> bool {
        // The verifier takes no authority's certificate for a server's, and that has a warning of its own.
        let Some(parsed) =
            self.certified.end_entity_cert().ok().and_then(|der| ParsedCertificate::try_from(der).ok())
        else {
            return self.authority;
        };
        ServerName::try_from(host).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    }
}

fn signing_key(text: &[u8]) -> Result<Arc<dyn SigningKey>, Fault> {
    let key = PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        _ if contains(text, b"ENCRYPTED") => {
            Fault::new("is encrypted with a passphrase, which nobody is there to type")
                .hint("openssl pkey -in encrypted.pem -out key.pem; chmod 600 key.pem")
        }
        pem::Error::NoItemsFound => Fault::new("holds no private key in PEM (`BEGIN PRIVATE KEY`)"),
        // What the reader says of it may quote the key.
        _ => Fault::new("is not a readable PEM file"),
    })?;
    aws_lc_rs::default_provider().key_provider.load_private_key(key).map_err(|_| {
        Fault::new("holds a key that TLS cannot use")
            .hint("RSA of 2048 bits and more, P-256, P-384, P-521 or Ed25519")
    })
}

pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::new("is not a readable PEM file"))?;
    if chain.is_empty() {
        return Err(Fault::new("holds no certificate in PEM (`BEGIN CERTIFICATE`)"));
    }
    Ok(chain)
}

pub(super) fn parse<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, Fault> {
    let one = |(n, der): (usize, &'a CertificateDer<'_>)| match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Fault::new(format!("is no chain of certificates: number {} is not of X.509", n + 1))),
    };
    chain.iter().enumerate().map(one).collect()
}

/// Why the key is not that of the first certificate.
fn unlike(chain: &[X509Certificate<'_>], is_ours: impl Fn(&X509Certificate<'_>) -> bool) -> Bad {
    if chain.iter().any(is_ours) {
        let fault =
            Fault::new("is in the wrong order: the certificate of the key comes first, then those above it");
        return Bad::Certificate(fault);
    }
    if chain.iter().all(|certificate| certificate.is_ca()) {
        let fault = Fault::new("holds certificates of authorities alone, and not the server's own")
            .hint("name the file that has both; certbot calls it fullchain.pem");
        return Bad::Certificate(fault);
    }
    Bad::Key(Fault::new("is not the key of the certificate"))
}

pub(super) fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| "a time out of range".to_owned(), |at| at.to_string())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
