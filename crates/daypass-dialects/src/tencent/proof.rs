//! What a TC3 proof must look like before anyone computes anything, and the readings of it that may be right.
//!
//! The vendor's order: the common headers are there, the clock is near, the `Authorization` header has its form,
//! its scope fits the request, and the signed headers are what they must be. Verification itself is
//! [`Proof::verify`], over the bytes as received.

use super::sign::{
    self, ALGORITHM, CanonicalRequest, Digest, SERVICE, Scope, SignedHeader, StringToSign, TERMINATOR,
};
use super::wire::{header, shown};
use crate::authorization::{Parts, malformed, parts};
use daypass_core::client::KeyKind;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::dialect::{Signed, Weak};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::replay;
use daypass_core::request::{Head, Request};
use daypass_core::secret::{SigningKey, Witness};
use http::Method;
use std::borrow::Cow;

/// How far the request's time may be from ours, in seconds, either way: the vendor's five minutes.
///
/// Attack: a captured request works for as long as its time is believed. Wider than this only helps the attacker,
/// and the core's memory of used signatures must span twice this window.
const WINDOW: i64 = 300;
const _: () = assert!(2 * WINDOW <= replay::WINDOW as i64, "a request must not outlive its mark");

/// The headers that every signature must cover.
///
/// Attack: a signature that does not cover `host` is as good at another service of the same key, and one that
/// does not cover `content-type` lets the same body be read by other rules.
const MUST_SIGN: [&str; 2] = [header::CONTENT_TYPE, header::HOST];

/// A proof that has the right form. Nothing about it is believed yet.
pub(super) struct Proof {
    /// `SecretId`.
    pub(super) key_id: String,
    /// The signature, decoded: one signature has one spelling, also for the replay rule.
    pub(super) signature: Digest,
    /// `X-TC-Token`, where one was sent.
    pub(super) token: Option<String>,
    /// The payload is not signed.
    pub(super) unsigned_payload: bool,
    path: String,
    timestamp: String,
    made: Timestamp,
    date: String,
    service: String,
    signed_headers: String,
}

impl Proof {
    /// Reads and checks the form of a request to this API.
    pub(super) fn read(head: &Head, now: Timestamp) -> Result<Self, Refusal> {
        Self::read_for(head, "/", now, &[SERVICE])
    }

    /// Reads and checks the form of a request to an API of these services, which signs this path.
    pub(super) fn read_for(
        head: &Head,
        path: &str,
        now: Timestamp,
        services: &[&str],
    ) -> Result<Self, Refusal> {
        let timestamp = required(head, header::TIMESTAMP, "Timestamp")?;
        let made = near(timestamp, now)?;
        let date = sign::date(made);
        let authorization = one(head, header::AUTHORIZATION)?
            .ok_or_else(|| Refusal::new(Reason::MissingProof, "there is no Authorization header"))?;
        let fields = Fields::parse(authorization)?;
        check_scope(&fields, &date, head, services)?;
        check_signed_headers(fields.signed_headers, head)?;
        Ok(Self {
            key_id: fields.key_id.to_owned(),
            signature: fields.signature,
            token: one(head, header::TOKEN)?.filter(|token| !token.is_empty()).map(str::to_owned),
            // Some clients send the real hash here; it says nothing that the signature does not.
            unsigned_payload: one(head, header::CONTENT_SHA256)? == Some(sign::UNSIGNED_PAYLOAD),
            path: path.to_owned(),
            timestamp: timestamp.to_owned(),
            made,
            date,
            service: fields.service.to_owned(),
            signed_headers: fields.signed_headers.to_owned(),
        })
    }

    /// Checks the signature. The Node SDK signs the host without the port that it sends, and the vendor's text
    /// prescribes lower-case values that no SDK produces, so up to four readings of the same bytes may be right.
    pub(super) fn verify(&self, request: &Request, key: &SigningKey<'_>) -> Option<Witness> {
        self.verify_over(&request.head, self.payload(request), key)
    }

    /// Checks the signature over a head and what [`Proof::hashed`] gives for its body.
    pub(super) fn verify_over(&self, head: &Head, payload: Digest, key: &SigningKey<'_>) -> Option<Witness> {
        let scope = Scope { date: &self.date, service: &self.service };
        key.matches(&self.signature, |secret, right| {
            let key = sign::derive(secret, scope);
            for reading in Reading::ALL {
                let Some(headers) = self.headers(head, reading) else { continue };
                let request = self.canonical(head, &headers, payload).digest();
                let text = StringToSign { timestamp: &self.timestamp, scope, request };
                if right(&text.sign(&key)) {
                    return;
                }
            }
        })
    }

    /// What its sender can compare with its own steps where the signature is wrong: hashes of what arrived, nothing
    /// that depends on a key.
    pub(super) fn seen(&self, request: &Request) -> Option<String> {
        let payload = self.payload(request);
        let headers = self.headers(&request.head, Reading::AS_SENT)?;
        let canonical = self.canonical(&request.head, &headers, payload).digest();
        let [payload, canonical] = [payload, canonical].map(|digest| sign::hex(&digest));
        Some(format!(
            "here the payload has the SHA-256 {}, and the canonical request, with the host {}, has {}",
            String::from_utf8_lossy(&payload),
            shown(request.head.header(header::HOST).unwrap_or_default()),
            String::from_utf8_lossy(&canonical),
        ))
    }

    fn payload(&self, request: &Request) -> Digest {
        self.hashed(&request.head, || sign::hash(&request.body))
    }

    /// What is signed of the body, whose own hash is asked for where it counts.
    pub(super) fn hashed(&self, head: &Head, body: impl FnOnce() -> Digest) -> Digest {
        match (self.unsigned_payload, head.method == Method::GET) {
            (true, _) => sign::hash(sign::UNSIGNED_PAYLOAD.as_bytes()),
            (false, true) => sign::hash(b""),
            (false, false) => body(),
        }
    }

    /// What it says of its sender.
    pub(super) fn claim(&self) -> Signed<'_> {
        Signed {
            key_id: &self.key_id,
            kind: KeyKind::Tencent,
            token: self.token.as_deref(),
            signature: &self.signature,
            once: None,
            made: self.made,
            weak: self.unsigned_payload.then_some(Weak::UnsignedPayload),
        }
    }

    fn canonical<'a>(
        &'a self,
        head: &'a Head,
        headers: &'a [SignedHeader<'a>],
        payload: Digest,
    ) -> CanonicalRequest<'a> {
        CanonicalRequest {
            method: head.method.as_str(),
            uri: &self.path,
            query: if head.method == Method::GET { &head.query } else { "" },
            headers,
            signed_headers: &self.signed_headers,
            payload,
        }
    }

    /// The signed headers in one reading; nothing where it would only repeat an earlier one.
    fn headers<'a>(&'a self, head: &'a Head, reading: Reading) -> Option<Vec<SignedHeader<'a>>> {
        let mut differs = !reading.lower;
        let mut headers = Vec::with_capacity(MUST_SIGN.len());
        for name in self.signed_headers.split(';') {
            let mut value = head.headers.get(name)?.as_bytes();
            if name == header::HOST && reading.bare_host {
                value = without_port(value)?;
            }
            let lower = reading.lower.then(|| value.trim_ascii().to_ascii_lowercase());
            differs |= lower.as_deref().is_some_and(|lower| lower != value);
            headers.push((name, lower.map_or(Cow::Borrowed(value), Cow::Owned)));
        }
        differs.then_some(headers)
    }
}

/// One way to read the signed headers.
#[derive(Clone, Copy)]
struct Reading {
    /// The host without its port.
    bare_host: bool,
    /// Every value lower-cased and trimmed.
    lower: bool,
}

impl Reading {
    /// Everything as it arrived.
    const AS_SENT: Self = Self { bare_host: false, lower: false };

    /// The commonest first.
    const ALL: [Self; 4] = [
        Self::AS_SENT,
        Self { bare_host: true, lower: false },
        Self { bare_host: false, lower: true },
        Self { bare_host: true, lower: true },
    ];
}

/// The host alone; nothing where there is no port.
pub(super) fn without_port(host: &[u8]) -> Option<&[u8]> {
    let colon = host.iter().rposition(|c| *c == b':')?;
    let (name, port) = (host.get(..colon)?, host.get(colon + 1..)?);
    (!port.is_empty() && port.iter().all(u8::is_ascii_digit)).then_some(name)
}

/// A header that may stand once or not at all. Two would let two readers each believe another one.
pub(super) fn one<'a>(head: &'a Head, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = head.headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let (twice, unreadable) = if name == header::AUTHORIZATION {
        (Reason::SeveralProofs, Reason::MalformedProof)
    } else {
        (Reason::DuplicateParameter, Reason::InvalidParameter)
    };
    if second.is_some() {
        let detail = format!("the header {name} stands twice in the request");
        return Err(Refusal::new(twice, detail).parameter(name));
    }
    let text = first.map(|value| value.to_str()).transpose();
    text.map_err(|_| {
        let detail = format!("the header {name} has a character that is not visible ASCII");
        Refusal::new(unreadable, detail).parameter(name)
    })
}

/// A common parameter of API 3.0, which travels as a header; `parameter` is the vendor's name of it.
pub(super) fn required<'a>(
    head: &'a Head,
    name: &'static str,
    parameter: &'static str,
) -> Result<&'a str, Refusal> {
    one(head, name)?.filter(|value| !value.is_empty()).ok_or_else(|| {
        let detail = format!(
            "the parameter {parameter} is required; it travels in the header {name}, which a proxy may have removed"
        );
        Refusal::new(Reason::MissingParameter, detail).parameter(parameter)
    })
}

/// What a client writes whose key was never set, in the languages of the vendor's SDKs.
pub(super) fn no_secret_id(id: &str) -> bool {
    matches!(id, "" | "undefined" | "null" | "None")
}

/// The request's own time, if it is near ours.
pub(super) fn near(timestamp: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let canonical = timestamp.bytes().all(|c| c.is_ascii_digit()) && !timestamp.starts_with('0');
    let at = timestamp.parse().ok().filter(|_| canonical).and_then(|s| Timestamp::from_second(s).ok());
    let at = at.ok_or_else(|| {
        Refusal::new(Reason::InvalidParameter, "the parameter Timestamp must be a number of Unix seconds")
            .parameter("Timestamp")
    })?;
    let skew = at.as_second() - now.as_second();
    if skew.abs() > WINDOW {
        let side = if skew < 0 { "behind" } else { "ahead of" };
        return Err(Refusal::new(
            Reason::ClockSkew,
            format!(
                "the request says {}, which is {} seconds {side} the server's time {}; at most {WINDOW} are allowed, so set the client's clock",
                rfc3339(at),
                skew.abs(),
                rfc3339(now)
            ),
        ));
    }
    Ok(at)
}

/// The parts of an `Authorization` header.
struct Fields<'a> {
    key_id: &'a str,
    date: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: Digest,
}

impl<'a> Fields<'a> {
    fn parse(authorization: &'a str) -> Result<Self, Refusal> {
        let Parts { credential, signed_headers, signature } = parts(authorization, ALGORITHM)?;
        let credential = credential.ok_or_else(|| malformed("it has no Credential"))?;
        let [key_id, date, service] = scope(credential)
            .ok_or_else(|| malformed("Credential must be SecretId/date/service/tc3_request"))?;
        if no_secret_id(key_id) {
            return Err(malformed("it names no SecretId: the client's own setting is empty"));
        }
        Ok(Self {
            key_id,
            date,
            service,
            signed_headers,
            signature: signature
                .and_then(sign::unhex)
                .ok_or_else(|| malformed("Signature must be 64 lower-case hexadecimal characters"))?,
        })
    }
}

/// `id/date/service/tc3_request`, and nothing but these four.
fn scope(credential: &str) -> Option<[&str; 3]> {
    let mut parts = credential.split('/');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next() == Some(TERMINATOR) && parts.next().is_none()).then_some(found)
}

/// The date must be the UTC date of the request's own time (not of ours: the two differ around midnight), and
/// the service one of the API's or what the Node, Java and PHP SDKs make of an endpoint: the first dot-label of the host.
fn check_scope(fields: &Fields<'_>, date: &str, head: &Head, services: &[&str]) -> Result<(), Refusal> {
    if fields.date != date {
        return Err(Refusal::new(
            Reason::WrongSignature,
            format!(
                "the scope's date is {}, and the UTC date of X-TC-Timestamp is {date}; clients must not use the local date",
                shown(fields.date)
            ),
        ));
    }
    let label = head.header(header::HOST).and_then(|host| host.split('.').next());
    if !services.contains(&fields.service) && Some(fields.service) != label {
        return Err(Refusal::new(
            Reason::WrongSignature,
            format!(
                "the scope's service is {}, and must be {} or the first part of the host name",
                shown(fields.service),
                services.join(" or ")
            ),
        ));
    }
    Ok(())
}

/// In order, none twice, each there exactly once, and at least [`MUST_SIGN`].
///
/// Attack: a signed header that stands twice, or not at all, is one the signature does not decide about.
fn check_signed_headers(list: &str, head: &Head) -> Result<(), Refusal> {
    let names = || list.split(';');
    if !names().zip(names().skip(1)).all(|(a, b)| a < b) {
        return Err(malformed("SignedHeaders must be in alphabetical order, none twice"));
    }
    if let Some(missing) = MUST_SIGN.iter().find(|must| names().all(|name| name != **must)) {
        return Err(malformed(&format!("SignedHeaders must name {missing}")));
    }
    for name in names() {
        if name.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(malformed("SignedHeaders must be lower-case"));
        }
        let mut values = head.headers.get_all(name).iter();
        if values.next().is_none() || values.next().is_some() {
            let detail = format!("the signed header {} must be there exactly once", shown(name));
            return Err(malformed(&detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
