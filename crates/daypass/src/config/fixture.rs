//! Certificates for tests: an authority, and what it signs.

use daypass_core::clock::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _, date_time_ymd,
};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An authority of a test's own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate in PEM.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Made {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The present, to which the days of the certificates are relative.
pub(crate) fn now() -> Timestamp {
    crate::app::now()
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self::lasting(-10, 3650)
    }

    /// One that is good from so many days after now to so many days after now.
    pub(crate) fn lasting(from: i64, to: i64) -> Self {
        let (params, key) = authority_params(from, to);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// One that this one vouches for.
    pub(crate) fn below(&self) -> Self {
        let (params, key) = authority_params(-10, 3650);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A pair for these names, good from so many days after now to so many days after now.
    pub(crate) fn sign(&self, names: &[&str], from: i64, to: i64) -> Made {
        self.sign_with(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), names, from, to)
    }

    /// The same for this key.
    pub(crate) fn sign_with(&self, key: &KeyPair, names: &[&str], from: i64, to: i64) -> Made {
        let certificate = params(names, from, to).signed_by(key, &self.issuer).unwrap();
        Made { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A pair that is good for some days, with something else about it.
    pub(crate) fn sign_params(&self, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let (mut params, key) =
            (params(&[], -1, 90), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
        change(&mut params);
        Made { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

impl Made {
    /// Puts both into files of a folder, one after the other, as tools that renew certificates do.
    pub(crate) fn put(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        (certificate, key)
    }
}

fn authority_params(from: i64, to: i64) -> (CertificateParams, KeyPair) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = params(&[], from, to);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let number = format!("test authority {:?}", &key.subject_public_key_info()[30..40]);
    params.distinguished_name.push(DnType::CommonName, number);
    (params, key)
}

fn params(names: &[&str], from: i64, to: i64) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let at = |days: i64| {
        let seconds = now().as_second() + days * 24 * 60 * 60;
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.try_into().unwrap())
    };
    (params.not_before, params.not_after) = (at(from), at(to));
    params
}
