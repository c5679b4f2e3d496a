//! `[server] tls`: what the section says, and what is said of certificates and keys.

use super::*;
use crate::config::fixture::{Authority, Made, now};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::assert_snapshot;
use rcgen::KeyPair;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A file whose listener shows what is in the folder.
fn file(folder: &Path) -> String {
    let tls = format!(
        "listen = \"0.0.0.0:443\"\npublic_url = \"https://pass.example.com\"\n\
         tls.certificate = \"{0}/chain.pem\"\ntls.key = \"{0}/key.pem\"",
        folder.display()
    );
    with("").replace("listen = \"127.0.0.1:5050\"", &tls)
}

/// Reads the pair: what is warned of, or why it is refused.
fn judged(folder: &Path) -> Result<String, String> {
    let loaded = production(&file(folder)).unwrap_or_else(|errors| panic!("{errors}"));
    let read = loaded.tls.unwrap().read(now());
    let shown = |text: String| {
        // What differs from run to run: the folder and the second.
        let text = text.replace(&folder.display().to_string(), "DIR");
        let lines =
            text.lines().filter(|line| !line.contains(" | ")).map(|line| match line.split_once('T') {
                Some((before, after)) if after.ends_with('Z') => before[..before.len() - 10].to_owned() + "…",
                _ => line.to_owned(),
            });
        lines.collect::<Vec<_>>().join("\n")
    };
    match read {
        Ok((_, warnings)) => {
            Ok(shown(warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
        }
        Err(errors) => Err(shown(errors.to_string())),
    }
}

/// What is said of this pair.
fn said(made: &Made) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    made.put(folder.path());
    judged(folder.path())
}

fn good() -> Made {
    Authority::new().sign(&["pass.example.com"], -1, 90)
}

#[test]
fn a_listener_with_a_certificate_may_be_anywhere() {
    assert_eq!(said(&good()), Ok(String::new()));
    let loaded = production(&file(Path::new("/tls"))).unwrap();
    assert!(loaded.behind_proxy.is_empty() && loaded.listen.to_string() == "0.0.0.0:443");
    assert!(production(&with("")).unwrap().tls.is_none());
}

#[test]
fn relative_names_start_at_the_file() {
    let folder = tempfile::tempdir().unwrap();
    good().put(folder.path());
    let text = file(Path::new("")).replace("\"/", "\"");
    let name = folder.path().join("daypass.toml").display().to_string();
    let loaded = parse(&name, &text, Mode::Production, &[]).unwrap();
    assert!(loaded.tls.unwrap().read(now()).is_ok());
}

#[test]
fn the_section() {
    let tls = |tls: &str| refused(&with("").replace("[store]", &format!("{tls}\n[store]")));
    assert_snapshot!(tls("tls = { certificate = \"a.pem\" }"), @r#"
    daypass.toml:3:1: with TLS, `public_url` must say the address that the certificate is for
    3 | tls = { certificate = "a.pem" }
      | ^^^
      hint: public_url = "https://pass.example.com"

    daypass.toml:3:7: `tls` needs the key `key`
    3 | tls = { certificate = "a.pem" }
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(tls("tls = true\npublic_url = \"https://a\""), @"
    daypass.toml:3:7: `tls` must be a table, and is a boolean
    3 | tls = true
      |       ^^^^
    ");
    assert_snapshot!(tls("tls = { certificat = 1, certificate = \"\", key = 5 }\npublic_url = \"http://pass.example.com\""), @r#"
    daypass.toml:3:9: unknown key `certificat` in `tls`; did you mean `certificate`?
    3 | tls = { certificat = 1, certificate = "", key = 5 }
      |         ^^^^^^^^^^

    daypass.toml:3:39: `certificate` is empty
    3 | tls = { certificat = 1, certificate = "", key = 5 }
      |                                       ^^

    daypass.toml:3:49: `key` must be a string, and is an integer
    3 | tls = { certificat = 1, certificate = "", key = 5 }
      |                                                 ^

    daypass.toml:4:14: with TLS, the public address begins with `https://`
    4 | public_url = "http://pass.example.com"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: public_url = "https://pass.example.com"
    "#);
    let pasted = tls(
        "tls = { certificate = \"a.pem\", key = \"-----BEGIN PRIVATE KEY-----hunter2\" }\npublic_url = \"https://a\"",
    );
    assert!(!pasted.contains("hunter2"), "{pasted}");
    assert_snapshot!(pasted, @r#"
    daypass.toml:3:38: `key` is the name of a PEM file, not its content
    3 | tls = { certificate = "a.pem", key = •••••••••••••••••••••••••••••••••••• }
      |                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn keys_in_every_usual_form_are_read() {
    let authority = Authority::new();
    let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let rsa = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&rsa).unwrap();
    let pkcs8 = |der: &[u8]| pem("PRIVATE KEY", der);
    for (inner, key) in [
        ("RSA PRIVATE KEY", KeyPair::from_pem(&pkcs8(rsa.as_ref())).unwrap()),
        ("EC PRIVATE KEY", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()),
        ("EC PRIVATE KEY", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
        ("", KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()),
    ] {
        let made = authority.sign_with(&key, &["pass.example.com"], -1, 90);
        assert_eq!(said(&made), Ok(String::new()), "PKCS#8 of {inner}");
        if !inner.is_empty() {
            // PKCS#1 and SEC1 are what PKCS#8 wraps. OpenSSL puts a curve's parameters before the key.
            let parameters = pem("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
            let bare = parameters + &pem(inner, unwrapped(key.serialized_der()));
            assert_eq!(said(&Made { key: bare, ..made }), Ok(String::new()), "{inner}");
        }
    }
}

/// The last octet string of a PKCS#8 document's version, algorithm and key.
fn unwrapped(pkcs8: &[u8]) -> &[u8] {
    let value = |der: &[u8]| -> (usize, usize) {
        match der[1] {
            short @ 0..=0x7f => (2, usize::from(short)),
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            longer => panic!("a length of the form {longer:x}"),
        }
    };
    let mut at = value(pkcs8).0;
    while pkcs8[at] != 4 {
        let (head, length) = value(&pkcs8[at..]);
        at += head + length;
    }
    let (head, length) = value(&pkcs8[at..]);
    &pkcs8[at + head..at + head + length]
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_key_that_is_not_the_certificates() {
    let mixed = Made { key: good().key, ..good() };
    assert_snapshot!(said(&mixed).unwrap_err(), @"daypass.toml:5:11: `DIR/key.pem` is not the key of the certificate");
}

#[test]
fn an_expired_certificate() {
    assert_snapshot!(said(&Authority::new().sign(&["pass.example.com"], -90, -1)).unwrap_err(), @"daypass.toml:4:19: `DIR/chain.pem` expired at …");
}

#[test]
fn a_certificate_of_the_future() {
    assert_snapshot!(said(&Authority::new().sign(&["pass.example.com"], 1, 90)).unwrap_err(), @"daypass.toml:4:19: `DIR/chain.pem` is not valid before …");
}

#[test]
fn a_key_that_others_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = good().put(folder.path());
    let chmod = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o644);
    assert_snapshot!(judged(folder.path()).unwrap_err(), @"
    daypass.toml:5:11: `DIR/key.pem` is open to others than its owner and group (mode 0644)
      hint: chmod 600 DIR/key.pem
    ");
    for mode in [0o604, 0o660, 0o641] {
        chmod(mode);
        assert!(judged(folder.path()).unwrap_err().contains("is open to others"), "{mode:o}");
    }
    chmod(0o640);
    assert_eq!(judged(folder.path()), Ok(String::new()), "a group of daemons may share it");
}

#[test]
fn a_chain_without_our_own_certificate() {
    let authority = Authority::new();
    let made = authority.sign(&["pass.example.com"], -1, 90);
    let alone = Made { certificate: authority.pem.clone(), ..authority.sign(&["pass.example.com"], -1, 90) };
    assert_snapshot!(said(&alone).unwrap_err(), @"
    daypass.toml:4:19: `DIR/chain.pem` holds certificates of authorities alone, and not the server's own
      hint: name the file that has both; certbot calls it fullchain.pem
    ");
    let reversed = Made { certificate: authority.pem.clone() + &made.certificate, key: made.key.clone() };
    assert_snapshot!(said(&reversed).unwrap_err(), @"daypass.toml:4:19: `DIR/chain.pem` is in the wrong order: the certificate of the key comes first, then those above it");
    let whole = Made { certificate: made.certificate + &authority.pem, key: made.key };
    assert_eq!(said(&whole), Ok(String::new()));
}

#[test]
fn files_of_other_things() {
    let Made { certificate, key } = good();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let broken = pem("CERTIFICATE", b"\x30\x03\x02\x01\x05");
    let weak = pem("PRIVATE KEY", b"\x30\x03\x02\x01\x05");
    for (certificate, key, expected) in [
        (key.as_str(), key.as_str(), "chain.pem` holds no certificate in PEM (`BEGIN CERTIFICATE`)"),
        ("", &key, "chain.pem` holds no certificate in PEM (`BEGIN CERTIFICATE`)"),
        ("-----BEGIN CERTIFICATE-----\n!!", &key, "chain.pem` is not a readable PEM file"),
        (&broken, &key, "chain.pem` is no chain of certificates: number 1 is not of X.509"),
        (&certificate, &certificate, "key.pem` holds no private key in PEM (`BEGIN PRIVATE KEY`)"),
        (&certificate, &encrypted, "key.pem` is encrypted with a passphrase, which nobody is there to type"),
        (&certificate, &weak, "key.pem` holds a key that TLS cannot use"),
        (&certificate, "-----BEGIN PRIVATE KEY-----\nhunter2!", "key.pem` is not a readable PEM file"),
    ] {
        let made = Made { certificate: certificate.to_owned(), key: key.to_owned() };
        let said = said(&made).unwrap_err();
        assert!(said.starts_with("daypass.toml:") && said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let missing = judged(Path::new("/nonexistent")).unwrap_err();
    assert_eq!(missing.matches("No such file").count(), 2, "{missing}");
}

#[test]
fn what_deserves_a_look() {
    let authority = Authority::new();
    assert_eq!(said(&authority.sign(&["pass.example.com"], -60, 31)), Ok(String::new()));
    assert_snapshot!(said(&authority.sign(&["pass.example.com"], -60, 29)).unwrap(), @"
    daypass.toml:4:19: warning: `DIR/chain.pem` expires in 29 days, at …
      hint: put the new pair into the same files; it is taken up without a restart
    ");
    assert_snapshot!(said(&authority.sign(&["localhost"], -1, 90)).unwrap(), @"
    daypass.toml:4:19: warning: `DIR/chain.pem` is not for `pass.example.com`, the host of `public_url`
      hint: its subject alternative names must hold it
    ");
    let key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["pass.example.com".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    let own = Made { certificate: own.pem(), key: key.serialize_pem() };
    assert_snapshot!(said(&own).unwrap(), @"
    daypass.toml:4:19: warning: `DIR/chain.pem` is the certificate of an authority, and many clients refuse one for a server
      hint: openssl req -x509 makes one for a server with -addext basicConstraints=CA:FALSE
    ");
}
