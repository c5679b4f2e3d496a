//! A client's certificate in a header: a proxy that ends TLS says whom it has talked to.

use super::peer::{self, CERTIFICATE};
use crate::config::CertificateHeader;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use daypass_core::clock::Timestamp;
use daypass_core::peer::Peer;
use daypass_core::refusal::{Reason, Refusal};
use http::{HeaderMap, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::borrow::Cow;
use std::sync::Arc;

/// The longest value that is read, in bytes: the longest certificate in base64, in lines, and escaped for a URL.
const VALUE: usize = 2 * CERTIFICATE;

/// Takes the header out of the request, whoever sent it, so that nobody behind this believes it, and reads it.
/// No certificate where the value is empty or cannot be read.
///
/// Attack: a proxy that adds a header beside the one that its client sent, in place of putting its own there. Which of
/// two is whose nobody knows, so the request is refused.
pub(super) fn take(
    rule: &CertificateHeader,
    headers: &mut HeaderMap,
    now: Timestamp,
) -> Result<Option<Arc<Peer>>, Refusal> {
    let twice = headers.get_all(&rule.name).iter().nth(1).is_some();
    let value = headers.remove(&rule.name);
    if twice {
        return Err(Refusal::new(Reason::Malformed, format!("the header {} stands twice", rule.name)));
    }
    let Some(value) = value.filter(|value| !value.as_bytes().trim_ascii().is_empty()) else {
        return Ok(None);
    };
    let peer = certificate(&value).and_then(|der| peer::read(&der));
    if peer.is_none() {
        tracing::debug!(header = %rule.name, "a proxy passed on what is no certificate");
    }
    Ok(peer.map(|peer| Arc::new(Peer { chained: rule.verified && peer.is_live(now), ..peer })))
}

/// Reads either of the two forms that proxies write.
fn certificate(value: &HeaderValue) -> Option<Vec<u8>> {
    let text = value.to_str().ok().filter(|text| text.len() <= VALUE)?.trim_ascii();
    match text.strip_prefix(':') {
        // RFC 9440 (2.1): a byte sequence of RFC 9651.
        Some(rest) => BASE64_STANDARD.decode(rest.strip_suffix(':')?).ok(),
        // nginx's `$ssl_client_escaped_cert`.
        None => one_pem(&unescaped(text)?),
    }
}

/// Exactly one certificate: of several nobody says which was the client's.
fn one_pem(text: &[u8]) -> Option<Vec<u8>> {
    let mut all = CertificateDer::pem_slice_iter(text);
    match (all.next(), all.next()) {
        (Some(Ok(one)), None) => Some(one.to_vec()),
        _ => None,
    }
}

/// What a URL's escapes stand for. A plus is a plus: nginx escapes blanks as `%20`.
fn unescaped(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        bytes.extend_from_slice(rest);
    }
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{Authority, now};
    use proptest::prelude::*;

    fn rule(verified: bool) -> CertificateHeader {
        CertificateHeader { name: "client-cert".parse().unwrap(), verified }
    }

    fn pem(from: i64, to: i64) -> String {
        Authority::new().sign(&["client.example.com"], from, to).certificate
    }

    fn thumbprint(pem: &str) -> String {
        peer::read(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap().x5t_s256
    }

    /// As RFC 9440 has it.
    fn structured(pem: &str) -> String {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        format!(":{}:", BASE64_STANDARD.encode(&*der))
    }

    /// As nginx escapes it: everything but letters, digits and four marks.
    fn escaped(pem: &str) -> String {
        let byte = |b: u8| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        };
        pem.bytes().map(byte).collect()
    }

    fn taken(rule: &CertificateHeader, values: &[&str]) -> Result<Option<Arc<Peer>>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert("other", HeaderValue::from_static("stays"));
        for value in values {
            headers.append("client-cert", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let taken = take(rule, &mut headers, now());
        assert!(headers.len() == 1 && headers.contains_key("other"), "nobody behind this sees it");
        taken
    }

    #[test]
    fn both_forms_are_read() {
        let pem = pem(-1, 90);
        let colons = structured(&pem);
        for value in [colons.clone(), format!("  {colons} "), escaped(&pem), escaped(pem.trim_end())] {
            let peer = taken(&rule(false), &[&value]).unwrap().unwrap();
            assert_eq!(peer.x5t_s256, thumbprint(&pem), "{value}");
            assert!(!peer.chained);
        }
    }

    #[test]
    fn the_proxy_vouches_only_where_it_is_said_to_and_while_the_certificate_is_good() {
        for (pem, verified, chained) in [
            (pem(-1, 90), true, true),
            (pem(-1, 90), false, false),
            (pem(-90, -1), true, false),
            (pem(1, 90), true, false),
        ] {
            let peer = taken(&rule(verified), &[&structured(&pem)]).unwrap().unwrap();
            assert_eq!(peer.chained, chained);
        }
    }

    /// What comes twice is refused even where both are the same, or one is empty.
    #[test]
    fn a_header_that_stands_twice_is_refused() {
        let (one, other) = (structured(&pem(-1, 90)), structured(&pem(-1, 90)));
        for values in [[&*one, &other], [&one, &one], [&one, ""], ["", &one], ["", ""]] {
            assert_eq!(taken(&rule(true), &values).unwrap_err().reason, Reason::Malformed);
        }
        let joined = taken(&rule(true), &[&format!("{one}, {other}")]);
        assert!(joined.unwrap().is_none(), "as one line it is no certificate");
    }

    #[test]
    fn what_cannot_be_read_is_nobody() {
        let pem = pem(-1, 90);
        let (good, nginx) = (structured(&pem), escaped(&pem));
        let two = escaped(&(pem.clone() + &pem));
        let long = format!(":{}:", "A".repeat(VALUE));
        let padded = format!("{nginx}{}", "%0A".repeat(VALUE / 3));
        for value in [
            "",
            "   ",
            ":",
            "::",
            "(null)",
            ":AAAA:",
            ":####:",
            "\u{e9}",
            &good[..good.len() - 1],
            &good[1..],
            &format!("{good};x=1"),
            &format!("\"{good}\""),
            &good.replace('A', "%41"),
            &nginx.replace("%0A", "%0"),
            &nginx.replace("%0A", "%zz"),
            &nginx.replace("%0A", "%+1"),
            &nginx.replace("CERTIFICATE", "PRIVATE%20KEY"),
            &two,
            &long,
            &padded,
        ] {
            assert!(taken(&rule(true), &[value]).unwrap().is_none(), "{value}");
        }
        assert!(taken(&rule(true), &[]).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_passed_over(value in "[ -~\\x80-\\xff]{0,200}", tail in "[%A-F0-9:=+/]{0,60}") {
            for value in [value, format!(":{tail}:"), format!("-----BEGIN%20CERTIFICATE-----%0A{tail}")] {
                prop_assert!(taken(&rule(true), &[&value]).unwrap().is_none());
            }
        }
    }
}
