//! HTTP Basic with a client id and a client secret, as OAuth libraries and people write it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// What a client shows. It is not believed yet.
pub(crate) struct Credentials {
    /// The client id.
    pub(crate) client: String,
    /// The spellings that its secret may be meant in; any one may be right.
    pub(crate) secrets: Vec<Secret>,
}

/// Clients leave the padding of Basic credentials out now and then.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What follows `Basic ` in each `Authorization` header; other schemes are left out.
pub(crate) fn values(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).filter_map(|value| {
        let (scheme, rest) = value.split_at_checked(5)?;
        (scheme.eq_ignore_ascii_case(b"basic") && rest.first().is_none_or(|byte| *byte == b' '))
            .then(|| rest.trim_ascii())
    })
}

/// Takes one of [`values`] apart.
pub(crate) fn read(value: &[u8]) -> Result<Credentials, Refusal> {
    let malformed = || {
        Refusal::new(
            Reason::MalformedProof,
            "the HTTP Basic credentials are not base64 of client_id, a colon and client_secret",
        )
    };
    let pair = Secret::new(BASE64.decode(value).map_err(|_| malformed())?);
    let mut halves = pair.expose().splitn(2, |byte| *byte == b':');
    let (id, secret) = halves.next().zip(halves.next()).ok_or_else(malformed)?;
    let client = decode(id).and_then(|id| String::from_utf8(id).ok()).ok_or_else(malformed)?;
    if client.is_empty() || secret.is_empty() {
        return Err(Refusal::new(
            Reason::MissingProof,
            "the HTTP Basic credentials lack client_id or client_secret",
        ));
    }
    Ok(Credentials { client, secrets: spellings(secret) })
}

/// RFC 6749 §2.3.1 has the secret form-encoded before base64. oauth2-rs and openid-client do that, the latter
/// with more escapes than needed; requests, authlib and curl send it raw. Both readings are tried.
fn spellings(raw: &[u8]) -> Vec<Secret> {
    let decoded = decode(raw).filter(|decoded| decoded != raw);
    decoded.into_iter().map(Secret::new).chain([Secret::new(raw)]).collect()
}

/// Undoes form encoding: `+` is a blank and `%XX` a byte. None where a percent sign begins no escape.
///
/// Libraries pass such a sign through, which turns a secret that was pasted without encoding into a wrong one;
/// here its sender is told. The buffer has exactly the right size, so that a [`Secret`] made of it leaves no
/// copy behind.
pub(crate) fn decode(raw: &[u8]) -> Option<Vec<u8>> {
    let escapes = raw.split(|byte| *byte == b'%').skip(1).count();
    let mut out = Vec::with_capacity(raw.len().checked_sub(escapes.checked_mul(2)?)?);
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?,
            plain => plain,
        });
    }
    Some(out)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(pair: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(pair)
    }

    #[test]
    fn a_secret_is_read_raw_and_decoded() {
        for (pair, expected) in
            [("id:a:b~c", &["a:b~c"][..]), ("id:a%2Bb", &["a+b", "a%2Bb"]), ("id:100%", &["100%"])]
        {
            let Credentials { client, secrets } = read(encoded(pair).as_bytes()).ok().unwrap();
            assert_eq!(client, "id");
            assert_eq!(secrets.iter().map(Secret::expose_str).collect::<Vec<_>>(), expected, "{pair}");
        }
    }

    #[test]
    fn other_schemes_are_left_out() {
        let mut headers = HeaderMap::new();
        for value in ["Bearer x", "bASIC  YTpi ", "Basics x", "Basic", ""] {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(values(&headers).collect::<Vec<_>>(), [&b"YTpi"[..], b""]);
    }

    proptest! {
        #[test]
        fn decoding_undoes_a_standard_encoder_without_spare_room(plain: Vec<u8>) {
            let encoded: String = form_urlencoded::byte_serialize(&plain).collect();
            let decoded = decode(encoded.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Some(plain.as_slice()));
            prop_assert_eq!(decoded.map(|out| out.capacity()), Some(plain.len()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(value: Vec<u8>) {
            let _ = decode(&value);
            let _ = read(&value);
        }
    }
}
