//! `[server] mutual_tls` and the header of a proxy: what they say, and what is said of authorities.

use super::*;
use crate::config::fixture::{Authority, Made, now};
use crate::config::{Authorities, CaSource, CertificateHeader};
use daypass_core::clock::Timestamp;
use daypass_core::directory::Certificates;
use insta::assert_snapshot;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::Path;

/// A file with these lines in `[server]`, after a certificate; they begin on line 5.
fn file(lines: &str) -> String {
    let tls = format!(
        "public_url = \"https://pass.example.com\"\ntls = {{ certificate = \"c.pem\", key = \"k.pem\" }}\n{lines}\n[store]"
    );
    with("").replace("[store]", &tls)
}

const GOOD: &str =
    "mutual_tls = { listen = \"0.0.0.0:8443\", public_url = \"https://mtls.pass.example.com:8443\" }";

#[test]
fn a_second_listener_has_an_address_of_its_own() {
    let loaded = production(&file(GOOD)).unwrap();
    let mutual = loaded.mutual_tls.as_ref().unwrap();
    assert_eq!(mutual.listen.to_string(), "0.0.0.0:8443");
    assert!(mutual.ca.is_none());
    let plan = loaded.plan("https://pass.example.com");
    assert_eq!(plan.mutual_tls_url.as_deref(), Some("https://mtls.pass.example.com:8443"));
    let without = production(&file("")).unwrap();
    assert!(without.mutual_tls.is_none() && without.plan("").mutual_tls_url.is_none());
    // Several services of one machine in a test take whatever port is free.
    let free = file(&GOOD.replace("0.0.0.0:8443", "127.0.0.1:0")).replace("127.0.0.1:5050", "127.0.0.1:0");
    assert!(production(&free).is_ok());
}

#[test]
fn the_table() {
    let refused = |lines: &str| refused(&file(lines));
    assert_snapshot!(refused("mutual_tls = {}"), @"
    daypass.toml:5:14: `mutual_tls` needs the key `listen`
    5 | mutual_tls = {}
      |              ^^

    daypass.toml:5:14: `mutual_tls` needs the key `public_url`
    5 | mutual_tls = {}
      |              ^^
    ");
    assert_snapshot!(refused("mutual_tls = \"0.0.0.0:8443\""), @r#"
    daypass.toml:5:14: `mutual_tls` must be a table, and is a string
    5 | mutual_tls = "0.0.0.0:8443"
      |              ^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("mutual_tls = { listen = \"8443\", public_url = \"http://mtls.pass.example.com\", cas = \"a.pem\" }"), @r#"
    daypass.toml:5:25: `8443` is not an address and a port
    5 | mutual_tls = { listen = "8443", public_url = "http://mtls.pass.example.com", cas = "a.pem" }
      |                         ^^^^^^
      hint: such as "127.0.0.1:5050" or "[::1]:5050"

    daypass.toml:5:46: certificates are asked for by TLS alone: the address begins with `https://`
    5 | mutual_tls = { listen = "8443", public_url = "http://mtls.pass.example.com", cas = "a.pem" }
      |                                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: mutual_tls = { listen = "0.0.0.0:8443", public_url = "https://mtls.pass.example.com:8443" }

    daypass.toml:5:78: unknown key `cas` in `mutual_tls`; did you mean `ca`?
    5 | mutual_tls = { listen = "8443", public_url = "http://mtls.pass.example.com", cas = "a.pem" }
      |                                                                              ^^^
    "#);
    assert_snapshot!(refused("mutual_tls = { listen = \"127.0.0.1:5050\", public_url = \"https://pass.example.com\", ca = \"\" }"), @r#"
    daypass.toml:5:25: `127.0.0.1:5050` is where the first listener is, on line 2
    5 | mutual_tls = { listen = "127.0.0.1:5050", public_url = "https://pass.example.com", ca = "" }
      |                         ^^^^^^^^^^^^^^^^
      hint: mutual_tls = { listen = "0.0.0.0:8443", public_url = "https://mtls.pass.example.com:8443" }

    daypass.toml:5:56: clients would come to the first listener, which asks for no certificate
    5 | mutual_tls = { listen = "127.0.0.1:5050", public_url = "https://pass.example.com", ca = "" }
      |                                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: mutual_tls = { listen = "0.0.0.0:8443", public_url = "https://mtls.pass.example.com:8443" }

    daypass.toml:5:89: `ca` is empty
    5 | mutual_tls = { listen = "127.0.0.1:5050", public_url = "https://pass.example.com", ca = "" }
      |                                                                                         ^^
    "#);
    let pasted = refused(&GOOD.replace(" }", ", ca = \"-----BEGIN CERTIFICATE-----abc\" }"));
    assert!(pasted.contains("is the name of a PEM file") && !pasted.contains("abc"), "{pasted}");
}

#[test]
fn it_shows_the_certificate_of_tls() {
    assert_snapshot!(refused(&with("").replace("[store]", &format!("{GOOD}\n[store]"))), @r#"
    daypass.toml:3:14: `mutual_tls` shows the certificate of `tls`, which is missing
    3 | mutual_tls = { listen = "0.0.0.0:8443", public_url = "https://mtls.pass.example.com:8443" }
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: tls = { certificate = "chain.pem", key = "key.pem" }
    "#);
}

/// What the metadata promises to clients depends on it.
#[test]
fn what_a_certificate_proves_is_known_from_the_configuration() {
    let header = "behind_proxy = [\"10.0.0.0/8\"]\nclient_certificate_header = \"Client-Cert\"\n";
    let vouched = GOOD.replace(" }", ", ca = \"ca.pem\" }");
    for (lines, expected) in [
        (String::new(), Certificates::Unseen),
        (GOOD.to_owned(), Certificates::Registered),
        (header.to_owned(), Certificates::Registered),
        (vouched, Certificates::Vouched),
        (format!("{header}client_certificate_chain = \"verified\""), Certificates::Vouched),
        (format!("{header}{GOOD}"), Certificates::Registered),
    ] {
        assert_eq!(production(&file(&lines)).unwrap().plan("").certificates, expected, "{lines}");
    }
}

#[test]
fn the_certificate_should_be_for_its_address_too() {
    let folder = tempfile::tempdir().unwrap();
    let said = |names: &[&str]| {
        Authority::new().sign(names, -1, 90).put(folder.path());
        let text = file(GOOD).replace("\"c.pem\"", "\"chain.pem\"").replace("\"k.pem\"", "\"key.pem\"");
        let name = folder.path().join("daypass.toml").display().to_string();
        let (_, concerns) =
            parse(&name, &text, Mode::Production, &[]).unwrap().tls.unwrap().read(now()).unwrap();
        let lines: Vec<_> = concerns.iter().map(ToString::to_string).collect();
        lines.join("\n").replace(&folder.path().display().to_string(), "DIR")
    };
    assert_eq!(said(&["pass.example.com", "mtls.pass.example.com"]), "");
    assert_eq!(said(&["pass.example.com", "*.pass.example.com"]), "");
    let one = said(&["pass.example.com"]);
    assert!(
        one.contains(
            "`DIR/chain.pem` is not for `mtls.pass.example.com`, the host of `mutual_tls.public_url`"
        ),
        "{one}"
    );
    assert_eq!(said(&["localhost"]).matches("is not for").count(), 2);
}

#[test]
fn a_proxy_passes_certificates_on_in_a_header() {
    let read = |lines: &str| production(&file(lines)).unwrap().certificate_header;
    let header = |verified| Some(CertificateHeader { name: "client-cert".parse().unwrap(), verified });
    assert_eq!(read(""), None);
    let named = "behind_proxy = [\"10.0.0.0/8\"]\nclient_certificate_header = \"Client-Cert\"\n";
    assert_eq!(read(named), header(false));
    assert_eq!(read(&format!("{named}client_certificate_chain = \"verified\"")), header(true));
    assert_eq!(read(&format!("{named}client_certificate_chain = \"unverified\"")), header(false));
}

#[test]
fn a_header_that_nobody_may_send_or_that_means_something_else() {
    let refused = |lines: &str| refused(&file(lines));
    assert_snapshot!(refused("client_certificate_header = \"Client-Cert\""), @r#"
    daypass.toml:5:1: nobody's `client_certificate_header` is believed while `behind_proxy` names no proxy
    5 | client_certificate_header = "Client-Cert"
      | ^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: behind_proxy = ["10.0.0.0/8"]
    "#);
    let proxy = "behind_proxy = [\"10.0.0.0/8\"]";
    assert_snapshot!(refused(&format!("{proxy}\nclient_certificate_chain = \"verified\"")), @r#"
    daypass.toml:6:1: `client_certificate_chain` is about `client_certificate_header`, which is missing
    6 | client_certificate_chain = "verified"
      | ^^^^^^^^^^^^^^^^^^^^^^^^
      hint: client_certificate_header = "Client-Cert"
    "#);
    assert_snapshot!(refused(&format!("{proxy}\nclient_certificate_header = \"Authorization\"\nclient_certificate_chain = \"yes\"")), @r#"
    daypass.toml:6:29: the header `authorization` has a meaning of its own
    6 | client_certificate_header = "Authorization"
      |                             ^^^^^^^^^^^^^^^
      hint: "Client-Cert" (RFC 9440), or one that the proxy sets itself, such as "X-SSL-Client-Cert"

    daypass.toml:7:28: there is no state of a chain `yes`
    7 | client_certificate_chain = "yes"
      |                            ^^^^^
      hint: there is `verified`, `unverified`
    "#);
    for name in ["DPoP", "cookie", "X-Forwarded-For", "", "a b", "host"] {
        let said = refused(&format!("{proxy}\nclient_certificate_header = \"{name}\""));
        assert!(said.contains("daypass.toml:6:29: "), "{name}: {said}");
    }
}

/// What is said of a file with this text, and who vouches.
fn judged(text: &str, at: Timestamp) -> (Result<Authorities, ()>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, text).unwrap();
    let shown = |text: String| {
        let text = text.replace(&folder.path().display().to_string(), "DIR");
        let lines = text.lines().map(|line| match line.split_once("at 2") {
            Some((before, _)) => format!("{before}at …"),
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    match CaSource::for_test(&path).read(at) {
        Ok((authorities, concerns)) => {
            let said: Vec<_> = concerns.iter().map(ToString::to_string).collect();
            (Ok(authorities), shown(said.join("\n")))
        }
        Err(errors) => (Err(()), shown(errors.to_string())),
    }
}

fn later(days: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + days * 24 * 60 * 60).unwrap()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn authorities_vouch_for_what_they_signed_while_it_is_good() {
    let (one, two, other) = (Authority::new(), Authority::new(), Authority::new());
    let (authorities, said) = judged(&(one.pem.clone() + &two.pem), now());
    let authorities = authorities.unwrap();
    assert_eq!(said, "");
    for (authority, vouched) in [(&one, true), (&two, true), (&other, false)] {
        let client = der(&authority.sign(&["client"], -1, 90).certificate);
        assert_eq!(authorities.vouch(&client, &[], now()), vouched);
        assert!(!authorities.vouch(&client, &[], later(-2)), "not yet");
        assert!(!authorities.vouch(&client, &[], later(91)), "no longer");
        assert!(!authorities.vouch(&client, &[], Timestamp::MIN));
    }
    assert_eq!(format!("{authorities:?}"), "2 authorities");
}

#[test]
fn a_certificate_for_servers_alone_is_no_clients() {
    let authority = Authority::new();
    let authorities = judged(&authority.pem, now()).0.unwrap();
    for (usage, vouched) in
        [(ExtendedKeyUsagePurpose::ServerAuth, false), (ExtendedKeyUsagePurpose::ClientAuth, true)]
    {
        let client = authority.sign_params(|params| params.extended_key_usages = vec![usage]);
        assert_eq!(authorities.vouch(&der(&client.certificate), &[], now()), vouched);
    }
}

#[test]
fn an_authority_below_another_may_stand_between() {
    let (root, other) = (Authority::new(), Authority::new());
    let between = root.below();
    let client = der(&between.sign(&["client"], -1, 90).certificate);
    let authorities = judged(&root.pem, now()).0.unwrap();
    assert!(authorities.vouch(&client, &[der(&between.pem)], now()));
    assert!(authorities.vouch(&client, &[der(&other.pem), der(&between.pem)], now()), "in any order");
    assert!(!authorities.vouch(&client, &[], now()));
    assert!(!judged(&other.pem, now()).0.unwrap().vouch(&client, &[der(&between.pem)], now()));
}

/// Attack: an old authority's key, long out of sight, signs on.
#[test]
fn an_authority_that_ended_vouches_for_nobody() {
    let (old, new) = (Authority::lasting(-20, 40), Authority::new());
    let client = |authority: &Authority| der(&authority.sign(&["client"], -1, 3650).certificate);
    let both = old.pem.clone() + &new.pem;
    let authorities = judged(&both, now()).0.unwrap();
    assert!(authorities.vouch(&client(&old), &[], later(39)));
    assert!(!authorities.vouch(&client(&old), &[], later(41)), "by its own dates, not by those of the start");
    assert!(authorities.vouch(&client(&new), &[], later(41)));
    assert_snapshot!(judged(&both, later(30)).1, @"a test: warning: `DIR/ca.pem` number 1 of it expires in 10 days, at …");
    assert_snapshot!(judged(&both, later(41)).1, @"a test: warning: `DIR/ca.pem` number 1 of it expired at …");
    assert_snapshot!(judged(&old.pem, later(41)).1, @"a test: `DIR/ca.pem` expired at …");
    let future = Authority::lasting(10, 90);
    let (authorities, said) = judged(&future.pem, now());
    assert!(said.contains("vouches for nobody before"), "{said}");
    let client = der(&future.sign(&["client"], -1, 90).certificate);
    let authorities = authorities.unwrap();
    assert_eq!([0, 11].map(|days| authorities.vouch(&client, &[], later(days))), [false, true]);
}

#[test]
fn what_is_no_list_of_authorities() {
    let authority = Authority::new();
    let Made { certificate, key } = authority.sign(&["client"], -1, 90);
    let many = authority.pem.repeat(33);
    let mut unnamed = CertificateParams::default();
    unnamed.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let unnamed = unnamed.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    assert!(judged(&unnamed, now()).0.is_ok(), "rcgen's own name will do");
    for (text, expected) in [
        ("", "ca.pem` holds no certificate in PEM (`BEGIN CERTIFICATE`)"),
        (&key, "ca.pem` holds no certificate in PEM (`BEGIN CERTIFICATE`)"),
        ("-----BEGIN CERTIFICATE-----\n!!", "ca.pem` is not a readable PEM file"),
        (
            &certificate,
            "ca.pem` is not the certificate of an authority\n  hint: a client's own certificate is registered",
        ),
        (
            &(authority.pem.clone() + &certificate),
            "ca.pem` number 2 of it is not the certificate of an authority",
        ),
        (&many, "ca.pem` holds 33 certificates, and 32 are the most"),
    ] {
        let (authorities, said) = judged(text, now());
        assert!(authorities.is_err() && said.contains(expected), "{expected}: {said}");
    }
    let missing = CaSource::for_test(Path::new("/nonexistent")).read(now()).unwrap_err().to_string();
    assert!(missing.contains("No such file"), "{missing}");
}
