//! The signature of a question to Tencent's STS, checked as the service checks it: over the headers that it names, the body
//! or the word that stands for it, the day and the service.

use axum::http::HeaderMap;
use daypass_core::clock::{Timestamp, unix};
use daypass_dialects::tencent::sign::{
    ALGORITHM, CanonicalRequest, Scope, SignedHeader, StringToSign, UNSIGNED_PAYLOAD, derive, hash, unhex,
};

/// How far a question's time may be off, in seconds: the vendor's five minutes.
const WINDOW: u64 = 300;
/// The code for a question that lacks something.
const MISSING: &str = "InvalidParameter";

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, &'static str> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(MISSING)
}

/// The action of a question that this key, id and secret, has signed; else the code that the service refuses it with.
pub(super) fn check<'a>(
    headers: &'a HeaderMap,
    body: &[u8],
    key: (&str, &str),
    now: Timestamp,
) -> Result<&'a str, &'static str> {
    let proof = header(headers, "authorization")?.strip_prefix(ALGORITHM).ok_or(MISSING)?;
    let field = |name: &str| {
        let mut fields = proof.split(',').filter_map(|part| part.trim().split_once('='));
        fields.find(|(known, _)| *known == name).map(|(_, value)| value).ok_or(MISSING)
    };
    let timestamp = header(headers, "x-tc-timestamp")?;
    let at: i64 = timestamp.parse().map_err(|_| MISSING)?;
    if unix(now).abs_diff(at) > WINDOW {
        return Err("AuthFailure.SignatureExpire");
    }
    let mut credential = field("Credential")?.split('/');
    if credential.next() != Some(key.0) {
        return Err("AuthFailure.SecretIdNotFound");
    }
    let (date, service) = credential.next().zip(credential.next()).ok_or(MISSING)?;
    let scope = Scope { date, service };
    let signed_headers = field("SignedHeaders")?;
    let unsigned = header(headers, "x-tc-content-sha256") == Ok(UNSIGNED_PAYLOAD);
    let payload = hash(if unsigned { UNSIGNED_PAYLOAD.as_bytes() } else { body });
    let (signer, shown) = (derive(key.1.as_bytes(), scope), field("Signature").map(unhex)?);
    let host = header(headers, "host")?;
    // A real address has no port, and the vendor's SDK for JavaScript knows of none.
    for host in [host, host.split(':').next().unwrap_or(host)] {
        let named = |name| match name {
            "host" => Some((name, host.as_bytes().into())),
            _ => Some((name, headers.get(name)?.as_bytes().into())),
        };
        let signed: Vec<SignedHeader<'_>> =
            signed_headers.split(';').map(named).collect::<Option<_>>().ok_or(MISSING)?;
        let (method, uri, query) = ("POST", "/", "");
        let request =
            CanonicalRequest { method, uri, query, headers: &signed, signed_headers, payload }.digest();
        if shown == Some(StringToSign { timestamp, scope, request }.sign(&signer)) {
            return header(headers, "x-tc-action");
        }
    }
    Err("AuthFailure.SignatureFailure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};

    const KEY: (&str, &str) = ("AKIDbench", "bench");
    const BODY: &[u8] = br#"{"Name":"soe"}"#;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn signed(unsigned_payload: bool) -> HeaderMap {
        signed_for("127.0.0.1:5050", unsigned_payload)
    }

    fn signed_for(host: &str, unsigned_payload: bool) -> HeaderMap {
        let key = ClientKey { id: KEY.0, secret: KEY.1.as_bytes(), token: None };
        let outgoing = Outgoing {
            method: "POST",
            host,
            query: "",
            body: BODY,
            unsigned_payload,
            action: "GetFederationToken",
            region: "ap-guangzhou",
            at: now(),
        };
        let pair = |(name, value): (&str, String)| {
            (HeaderName::try_from(name.to_lowercase()).unwrap(), HeaderValue::try_from(value).unwrap())
        };
        sign_request(&key, &outgoing).into_iter().map(pair).collect()
    }

    #[test]
    fn what_the_key_has_signed_is_believed_with_and_without_its_body() {
        for unsigned in [false, true] {
            assert_eq!(check(&signed(unsigned), BODY, KEY, now()), Ok("GetFederationToken"));
        }
        assert_eq!(check(&signed(true), b"another", KEY, now()), Ok("GetFederationToken"));
        let mut portless = signed_for("127.0.0.1", false);
        portless.insert("host", HeaderValue::from_static("127.0.0.1:5050"));
        assert_eq!(check(&portless, BODY, KEY, now()), Ok("GetFederationToken"));
    }

    #[test]
    fn anything_else_is_refused_with_the_services_own_code() {
        const BAD: Result<&str, &str> = Err("AuthFailure.SignatureFailure");
        assert_eq!(check(&signed(false), b"another", KEY, now()), BAD);
        assert_eq!(check(&signed(false), BODY, (KEY.0, "other"), now()), BAD);
        let asked = signed(false);
        let nobody = check(&asked, BODY, ("AKIDother", KEY.1), now());
        assert_eq!(nobody, Err("AuthFailure.SecretIdNotFound"));
        let late = Timestamp::from_second(1_700_000_301).unwrap();
        assert_eq!(check(&signed(false), BODY, KEY, late), Err("AuthFailure.SignatureExpire"));
        let mut moved = signed(false);
        moved.insert("host", HeaderValue::from_static("another.host"));
        assert_eq!(check(&moved, BODY, KEY, now()), BAD);
        for name in ["authorization", "x-tc-timestamp", "content-type", "x-tc-action"] {
            let mut without = signed(false);
            without.remove(name);
            assert_eq!(check(&without, BODY, KEY, now()), Err(MISSING), "{name}");
        }
    }
}
