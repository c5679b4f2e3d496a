//! The certificate authority of `daypass dev --tls`: one for each data folder, good for this machine alone.

use super::files::write_private;
use crate::config::Pair;
use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use daypass_core::clock::Timestamp;
use daypass_core::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType,
    date_time_ymd,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use x509_parser::pem::parse_x509_pem;

/// How long the authority is good, in days. A client that trusts it does so for all of this time.
const AUTHORITY_DAYS: u64 = 3 * 365;
/// How long the listener's certificate is good, in days: longer than a `dev` runs. Each start makes a new one.
const LEAF_DAYS: u64 = 90;
/// A clock that is somewhat behind, as in a virtual machine, must not find a certificate of the future.
const BACKDATED: Duration = Duration::from_hours(24);
const DAY: u64 = 24 * 60 * 60;

/// The certificate of a data folder's authority.
pub(super) fn certificate(data: &Path) -> PathBuf {
    data.join("ca.pem")
}

/// The key of a data folder's authority.
pub(super) fn key(data: &Path) -> PathBuf {
    data.join("ca.key")
}

/// A pair for a listener at this address, signed by the folder's authority. That is made where there is none, or where
/// it ends before the pair would. The pair's own key is nowhere but in memory.
pub(super) fn pair(data: &Path, address: IpAddr, now: Timestamp) -> anyhow::Result<Pair> {
    let authority = match known(data, now) {
        Some(authority) => authority,
        None => make(data, now)?,
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let issuer = Issuer::new(authority_params(&authority, now)?, authority);
    let leaf = leaf_params(address, now)?.signed_by(&key, &issuer)?;
    let key = Secret::new(key.serialize_pem());
    Pair::made(leaf.pem().as_bytes(), key.expose(), now)
}

/// The folder's authority, if it has one that is good for long enough.
fn known(data: &Path, now: Timestamp) -> Option<KeyPair> {
    let key = Secret::new(std::fs::read(key(data)).ok()?);
    let key = KeyPair::from_pem(std::str::from_utf8(key.expose()).ok()?).ok()?;
    let pem = std::fs::read(certificate(data)).ok()?;
    let (_, pem) = parse_x509_pem(&pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let needed = now.as_second() + i64::try_from(LEAF_DAYS * DAY).ok()?;
    let good = certificate.validity().not_after.timestamp() > needed;
    (good && certificate.public_key().raw == key.subject_public_key_info()).then_some(key)
}

fn make(data: &Path, now: Timestamp) -> anyhow::Result<KeyPair> {
    let replaced = certificate(data).exists();
    let authority = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let shown = authority_params(&authority, now)?.self_signed(&authority)?;
    write_private(&key(data), Secret::new(authority.serialize_pem()).expose())?;
    write_private(&certificate(data), shown.pem().as_bytes())?;
    if replaced {
        tracing::warn!(
            "the certificate authority was unusable or near its end; clients must trust the new one"
        );
    }
    Ok(authority)
}

/// What the authority says of itself. Its name holds the beginning of its key's hash, so that those of two folders
/// are never taken for one another, and follows from the key alone, so that it is the same at each start.
///
/// Attack: whoever gets hold of the key could pass for any server of the web to a machine that trusts it. So it is
/// good for names of this machine alone, for servers alone, and for no further authority.
fn authority_params(key: &KeyPair, now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = params(now, AUTHORITY_DAYS)?;
    let hash = digest(&SHA256, &key.subject_public_key_info());
    let number = hash.as_ref().iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    params.distinguished_name.push(DnType::CommonName, format!("Daypass dev authority {number:08x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv4Addr::new(127, 0, 0, 0).into(), 8)),
            GeneralSubtree::IpAddress(CidrSubnet::V6(Ipv6Addr::LOCALHOST.octets(), [0xff; 16])),
        ],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

fn leaf_params(address: IpAddr, now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = params(now, LEAF_DAYS)?;
    params.distinguished_name.push(DnType::CommonName, "Daypass dev");
    let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into()?)];
    params.subject_alt_names.extend(here.map(SanType::IpAddress));
    if !here.contains(&address) {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(now: Timestamp, days: u64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    let now = Duration::from_secs(u64::try_from(now.as_second()).context("the clock is before 1970")?);
    let now = date_time_ymd(1970, 1, 1) + now;
    params.not_before = now - BACKDATED;
    params.not_after = now + Duration::from_secs(days * DAY);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{CertificateError, Error, RootCertStore};
    use std::sync::Arc;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn now() -> Timestamp {
        crate::app::now()
    }

    fn later(days: i64) -> Timestamp {
        Timestamp::from_second(now().as_second() + days * 24 * 60 * 60).unwrap()
    }

    /// Whether a client that trusts this folder's authority takes a certificate for that name.
    fn believed(data: &Path, leaf: &CertificateDer<'_>, name: &str) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate(data)).unwrap()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now().as_second().try_into().unwrap()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        rustls::client::danger::ServerCertVerifier::verify_server_cert(&*verifier, leaf, &[], &name, &[], at)
            .map(|_| ())
    }

    fn leaf(pair: &Pair) -> CertificateDer<'static> {
        pair.certified.end_entity_cert().unwrap().clone().into_owned()
    }

    #[test]
    fn the_authority_stays_and_the_pair_is_new_at_each_start() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        let first = pair(data, HERE, now()).unwrap();
        let files = || [certificate(data), key(data)].map(|file| std::fs::read(file).unwrap());
        let made = files();
        let second = pair(data, "127.0.0.9".parse().unwrap(), now()).unwrap();
        assert!(files() == made && leaf(&first) != leaf(&second));
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(
                (believed(data, &leaf(&first), name), believed(data, &leaf(&second), name)),
                (Ok(()), Ok(()))
            );
        }
        assert!(believed(data, &leaf(&first), "127.0.0.9").is_err());
        assert_eq!(believed(data, &leaf(&second), "127.0.0.9"), Ok(()));
    }

    #[test]
    fn one_that_is_broken_or_ends_too_soon_is_made_anew() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        let made = || std::fs::read(certificate(data)).unwrap();
        let mut last = Vec::new();
        let other = KeyPair::generate().unwrap().serialize_pem();
        for (why, file, content) in [
            ("no key", key(data), ""),
            ("no PEM", certificate(data), "x"),
            ("another key", key(data), other.as_str()),
        ] {
            std::fs::write(file, content).unwrap();
            let pair = pair(data, HERE, now()).unwrap();
            assert_ne!(made(), last, "{why}");
            assert_eq!(believed(data, &leaf(&pair), "localhost"), Ok(()), "{why}");
            last = made();
        }
        let life = i64::try_from(AUTHORITY_DAYS - LEAF_DAYS).unwrap();
        pair(data, HERE, later(life - 1)).unwrap();
        assert_eq!(made(), last, "it outlives the pair");
        pair(data, HERE, later(life + 1)).unwrap();
        assert_ne!(made(), last, "it would not");
    }

    /// What a thief of the key could do with it.
    #[test]
    fn the_authority_is_good_for_this_machine_alone() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        pair(data, HERE, now()).unwrap();
        let stolen = || KeyPair::from_pem(&std::fs::read_to_string(key(data)).unwrap()).unwrap();
        let issuer = Issuer::new(authority_params(&stolen(), now()).unwrap(), stolen());
        for name in ["login.microsoftonline.com", "localhost.example.com", "10.0.0.1", "2001:db8::1"] {
            let mut forged = params(now(), 10).unwrap();
            let names = CertificateParams::new(vec![name.to_owned()]).unwrap().subject_alt_names;
            forged.subject_alt_names = names;
            let forged = forged.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
            let refused = believed(data, forged.der(), name).unwrap_err();
            assert!(
                matches!(&refused, Error::InvalidCertificate(CertificateError::Other(why)) if why.to_string().contains("NameConstraint")),
                "{name}: {refused:?}"
            );
        }
    }
}
