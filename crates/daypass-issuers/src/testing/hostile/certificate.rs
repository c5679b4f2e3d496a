//! The certificates that it can show.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// One configuration for each certificate.
#[derive(Clone)]
pub(super) struct Identities {
    /// The certificate of the authority that its callers trust, as PEM.
    pub(super) authority: String,
    /// A certificate without fault.
    pub(super) right: Arc<ServerConfig>,
    /// One of another authority.
    pub(super) stranger: Arc<ServerConfig>,
    /// One of another host.
    pub(super) other_name: Arc<ServerConfig>,
    /// One that has run out.
    pub(super) expired: Arc<ServerConfig>,
}

impl Identities {
    pub(super) fn new() -> Self {
        let (ours, authority) = self::authority();
        let (other, _) = self::authority();
        let here = || params("127.0.0.1");
        let mut old = here();
        old.not_before = date_time_ymd(2001, 1, 1);
        old.not_after = date_time_ymd(2002, 1, 1);
        Self {
            authority,
            right: config(&here(), &ours),
            stranger: config(&here(), &other),
            other_name: config(&params("other.example"), &ours),
            expired: config(&old, &ours),
        }
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name")
}

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), pem)
}

fn config(params: &CertificateParams, by: &Issuer<'_, KeyPair>) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    Arc::new(config)
}
