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
