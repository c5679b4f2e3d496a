//! Public keys and certificates in files.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daypass_core::client::PublicKey;
use daypass_core::clock::Timestamp;
use daypass_core::json;
use daypass_core::keys::BadPublicKey;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The longest file, in bytes: a chain of certificates has some ten thousand.
const FILE: u64 = 64 * 1024;

/// The curves that we verify on, as a public key names them and as a JWK does, with the bytes of a coordinate.
const CURVES: [(&str, &str, usize); 2] =
    [("1.2.840.10045.3.1.7", "P-256", 32), ("1.3.132.0.34", "P-384", 48)];
/// A key of Ed25519.
const ED25519: &str = "1.3.101.112";

/// When a certificate begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// The first moment after it.
    pub(super) ends: Timestamp,
}

/// Reads a public key: a JWK, a key set with one, or in PEM a public key or a certificate.
pub(super) fn public_key(path: &Path) -> Result<(PublicKey, Option<Validity>), String> {
    let name = path.display();
    let fault = |bad: BadPublicKey| match bad {
        BadPublicKey::Private => format!(
            "`{name}` {bad}; make a file with that half alone: openssl pkey -in PRIVATE.pem -pubout -out public.pem"
        ),
        _ => format!("`{name}` {bad}"),
    };
    let text = content(path)?;
    if text.trim_ascii_start().starts_with(b"{") {
        let document = json::parse(&text).map_err(|bad| format!("`{name}` is {bad}"))?;
        return Ok((PublicKey::of_jwk(&document).map_err(fault)?, None));
    }
    if is_private(&text) {
        return Err(fault(BadPublicKey::Private));
    }
    for (section, der) in sections(&text) {
        match section {
            SectionKind::Certificate => {
                let (certificate, validity) = parsed(path, &der)?;
                let jwk = jwk(certificate.public_key()).ok_or_else(|| fault(BadPublicKey::Unusable))?;
                let x5t = base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref());
                let x5t_s256 = base64url(digest(&SHA256, &der).as_ref());
                let key = PublicKey::of_jwk(&jwk).map_err(fault)?;
                let key = PublicKey { x5t: Some(x5t), x5t_s256: Some(x5t_s256), ..key };
                return Ok((key, Some(validity)));
            }
            SectionKind::PublicKey => {
                let spki = SubjectPublicKeyInfo::from_der(&der).ok().filter(|(rest, _)| rest.is_empty());
                let jwk = spki.and_then(|(_, spki)| jwk(&spki));
                let jwk = jwk.ok_or_else(|| fault(BadPublicKey::Unusable))?;
                return Ok((PublicKey::of_jwk(&jwk).map_err(fault)?, None));
            }
            _ => {}
        }
    }
    Err(format!(
        "`{name}` holds neither a JWK nor, in PEM, a public key (`BEGIN PUBLIC KEY`) or a certificate"
    ))
}

/// Reads the first certificate in a file of PEM, which is the client's own; those behind it vouch for it. Gives its
/// `x5t#S256`.
pub(super) fn certificate(path: &Path) -> Result<(String, Validity), String> {
    let text = content(path)?;
    if is_private(&text) {
        return Err(format!(
            "`{}` holds a private key, which stays with the client; make a file with the certificate alone",
            path.display()
        ));
    }
    let found = sections(&text).find(|(section, _)| *section == SectionKind::Certificate);
    let Some((_, der)) = found else {
        return Err(format!("`{}` holds no certificate in PEM (`BEGIN CERTIFICATE`)", path.display()));
    };
    let (_, validity) = parsed(path, &der)?;
    Ok((base64url(digest(&SHA256, &der).as_ref()), validity))
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE + 1).read_to_end(&mut text));
    let read = read.map_err(|error| format!("cannot read `{name}`: {error}"))?;
    if read as u64 > FILE { Err(format!("`{name}` is larger than {FILE} bytes")) } else { Ok(text) }
}

/// Whatever it is called: encrypted, of one algorithm, of OpenSSH.
fn is_private(text: &[u8]) -> bool {
    text.windows(16).any(|part| part == b"PRIVATE KEY-----")
}

fn sections(text: &[u8]) -> impl Iterator<Item = (SectionKind, Vec<u8>)> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text).filter_map(Result::ok)
}

fn parsed<'a>(path: &Path, der: &'a [u8]) -> Result<(X509Certificate<'a>, Validity), String> {
    let name = path.display();
    let Ok(([], certificate)) = X509Certificate::from_der(der) else {
        return Err(format!("the certificate in `{name}` cannot be read"));
    };
    let last = certificate.validity().not_after.timestamp();
    let ends = Timestamp::from_second(last.saturating_add(1)).unwrap_or(Timestamp::MAX);
    Ok((certificate, Validity { ends }))
}

/// A public key as a JWK; none of a kind that we do not verify.
fn jwk(key: &SubjectPublicKeyInfo<'_>) -> Option<Value> {
    match key.parsed().ok()? {
        Parsed::RSA(rsa) => {
            let (modulus, exponent) = (unsigned(rsa.modulus), unsigned(rsa.exponent));
            Some(serde_json::json!({"kty": "RSA", "n": base64url(modulus), "e": base64url(exponent)}))
        }
        Parsed::EC(point) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            let (_, name, length) = CURVES.iter().find(|(number, ..)| *number == curve)?;
            // An uncompressed point: 0x04, then x and y.
            let Some((4, point)) = point.data().split_first() else { return None };
            let (x, y) = point.split_at_checked(*length).filter(|(_, y)| y.len() == *length)?;
            Some(serde_json::json!({"kty": "EC", "crv": name, "x": base64url(x), "y": base64url(y)}))
        }
        Parsed::Unknown(x) if key.algorithm.algorithm.to_id_string() == ED25519 => {
            Some(serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(x)}))
        }
        _ => None,
    }
}

/// DER writes a zero in front of a number whose first bit is set, which is not part of it.
fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Bytes as JOSE writes them.
fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
        PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd,
    };
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn public(content: impl AsRef<[u8]>) -> Result<(PublicKey, Option<Validity>), String> {
        let (_folder, path) = file(content);
        public_key(&path)
    }

    fn self_signed(pair: &KeyPair) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 31));
        params.self_signed(pair).unwrap()
    }

    #[test]
    fn a_key_is_the_same_in_each_of_its_forms() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let (bare, validity) = public(pair.public_key_pem()).unwrap();
            assert_eq!((bare.kid(), validity), (&*bare.thumbprint(), None));
            let certificate = self_signed(&pair);
            let (named, validity) = public(certificate.pem()).unwrap();
            assert_eq!(named.jwk, bare.jwk);
            assert_eq!(validity.unwrap().ends, "2027-01-31T00:00:01Z".parse().unwrap());
            let (_folder, path) = file(format!("# chain\n{0}{0}", certificate.pem()));
            let (x5t_s256, pinned) = super::certificate(&path).unwrap();
            assert_eq!((named.x5t_s256, Some(pinned)), (Some(x5t_s256), validity));
            assert_eq!(named.x5t.unwrap().len(), 27);
            let (jwk, _) = public(format!("\n{}", bare.jwk)).unwrap();
            assert_eq!(jwk, bare);
        }
    }

    #[test]
    fn a_private_key_is_not_taken_in_any_form() {
        let pair = KeyPair::generate().unwrap();
        let (der, certificate) = (pair.serialize_pem(), self_signed(&pair).pem());
        let jwk = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}"#.to_owned();
        let openssh =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAA\n-----END OPENSSH PRIVATE KEY-----\n".to_owned();
        for content in
            [der.clone(), format!("{certificate}{der}"), format!("{{\"keys\":[{jwk}]}}"), jwk, openssh]
        {
            let said = public(&content).unwrap_err();
            assert!(said.contains("is a private key") && said.contains("-pubout"), "{said}");
        }
        let (_folder, path) = file(format!("{certificate}{der}"));
        assert!(super::certificate(&path).unwrap_err().contains("stays with the client"));
    }

    #[test]
    fn what_holds_no_key_says_what_would() {
        let p521 = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        for (content, said) in [
            (p521.public_key_pem(), "2048 to 8192 bits"),
            (self_signed(&p521).pem(), "2048 to 8192 bits"),
            (String::new(), "holds neither a JWK nor"),
            ("{".to_owned(), "is not a JSON document"),
            (r#"{"keys":[]}"#.to_owned(), "exactly one"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "cannot be read"),
            (" ".repeat(70_000), "larger than"),
        ] {
            let found = public(&content).unwrap_err();
            assert!(found.contains(said), "{found}");
        }
        let (folder, path) = file(p521.public_key_pem());
        assert!(super::certificate(&path).unwrap_err().contains("holds no certificate"));
        let missing = folder.path().join("missing");
        assert!(public_key(&missing).unwrap_err().contains("cannot read"));
    }
}
