//! The access token of a request, with what shows that its sender holds the key that it may be bound to.
//!
//! RFC 9449 (DPoP), section 7, and RFC 8705 (certificates), section 3.

use super::essence::{Essence, invalid};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::dialect::Shown;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;
use daypass_core::verification::{Bearing, KeyProof};
use http::Uri;
use http::header::AUTHORIZATION;

/// What an API says, beside the request itself, of what its sender holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// The URL of the request as its sender sees it.
    ///
    /// It is the API's own word, and not made of the Host header. Attack: a request that was meant for another API, whose
    /// operator got token and proof with it, is sent on here under that API's name.
    url: Option<String>,
    /// The thumbprint of the certificate that its connection has shown, as `x5t#S256` writes it.
    certificate: Option<String>,
}

impl Held {
    /// Reads what the API has sent: a URL, and the SHA-256 of a certificate in hexadecimal.
    pub(super) fn read(url: Option<String>, certificate: Option<String>) -> Result<Self, Refusal> {
        if url.as_deref().is_some_and(|url| !is_address(url)) {
            return Err(invalid(
                "url",
                "is the URL of the request as its sender sees it, with scheme and host",
            ));
        }
        let wrong = || invalid("certificate_sha256", "is 64 lower-case hexadecimal digits");
        let hash =
            certificate.map(|text| crate::tencent::sign::unhex(&text).ok_or_else(wrong)).transpose()?;
        Ok(Self { url, certificate: hash.map(|hash| URL_SAFE_NO_PAD.encode(hash)) })
    }

    /// Whether a request with a proof of a key cannot be judged, because the API does not say where it was sent to.
    pub(super) fn lacks_url(&self, essence: &Essence) -> bool {
        self.url.is_none()
            && essence.head.headers.get_all(AUTHORIZATION).iter().any(|value| has_proof(value.as_bytes()))
    }
}

/// The one access token in `Authorization`. A token in the address or in a form is not looked for (RFC 9700 §4.3.2).
pub(super) fn read(essence: &Essence, held: &Held) -> Result<Bearing, Refusal> {
    let headers = &essence.head.headers;
    let malformed = |detail: &'static str| Refusal::new(Reason::MalformedProof, detail);
    let mut values = headers.get_all(AUTHORIZATION).iter().map(http::HeaderValue::as_bytes);
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(malformed("there must be one Authorization header"));
    };
    let bound = has_proof(value);
    let token = if bound { value.get(DPOP.len()..) } else { after(value, BEARER) };
    let token = token.filter(|token| !token.is_empty() && !token.iter().any(u8::is_ascii_whitespace));
    let token = token
        .ok_or_else(|| malformed("an access token stands behind the word Bearer or DPoP and one blank"))?;
    let certificate = held.certificate.clone();
    let bearing = Bearing { certificate, ..Bearing::from(Shown::new(Secret::new(token))) };
    if !bound {
        return Ok(bearing);
    }
    // Attack: of two proofs, each of two programs on the way believes another one.
    let mut proofs = headers.get_all("dpop").iter();
    let (Some(proof), None) = (proofs.next(), proofs.next()) else {
        return Err(Refusal::new(
            Reason::DpopInvalid,
            "a token behind the word DPoP comes with one DPoP header",
        ));
    };
    let proof = KeyProof {
        jwt: Shown::new(Secret::new(proof.as_bytes())),
        method: essence.head.method.as_str().to_owned(),
        url: held.url.clone().ok_or_else(|| Refusal::missing("url"))?,
    };
    Ok(Bearing { proof: Some(proof), ..bearing })
}

const BEARER: &[u8] = b"bearer ";
const DPOP: &[u8] = b"dpop ";

/// Whether a value of `Authorization` is a token that claims to be bound to a key.
fn has_proof(value: &[u8]) -> bool {
    after(value, DPOP).is_some()
}

fn after<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (before, rest) = value.split_at_checked(scheme.len())?;
    before.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether this is an absolute URL of the web, without a user's name.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let web = uri.scheme_str().is_some_and(|scheme| ["https", "http"].contains(&scheme));
    web && uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        let read = |url: &str| Held::read(Some(url.to_owned()), None);
        for good in ["https://api.example.com/orders", "http://localhost:8000", "HTTPS://API/x?y=1"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for wrong in
            ["", "/orders", "api.example.com", "//api/x", "ftp://api/x", "https://", "https://u@api/", "a b"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_thumbprint_is_a_sha_256_in_one_spelling() {
        let read = |text: &str| Held::read(None, Some(text.to_owned()));
        assert_eq!(read(&"00".repeat(32)).unwrap().certificate.as_deref(), Some(&*"A".repeat(43)));
        for wrong in [String::new(), "00".repeat(31), "0A".repeat(32), "0g".repeat(32), "00:".repeat(32)] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
