//! A call signed with ACS3-HMAC-SHA256: the signature stands in the `Authorization` header.
//!
//! Source: Alibaba Cloud's document on signature version 3. The clients disagree on what they sign: the Python one
//! signs every header that it sends, the Node one `host`, `content-type` and `x-acs-*`. So what must be signed is
//! fixed here, and whatever else is signed is checked.

use super::parameters::Parameters;
use super::{check_nonce, check_token, shown, time};
use crate::alibaba::sign::acs3::{self, ALGORITHM, CanonicalRequest, Digest};
use crate::authorization::{Parts, malformed, parts};
use daypass_core::client::KeyKind;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Call, Claim, Context, Signed};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use daypass_core::secret::{SigningKey, Witness};
use http::Uri;
use std::sync::Arc;

/// Headers of this signature.
pub(super) mod header {
    /// The signature itself.
    pub(in super::super) const AUTHORIZATION: &str = "authorization";
    /// What is asked for.
    pub(in super::super) const ACTION: &str = "x-acs-action";
    /// The version of the API.
    pub(in super::super) const VERSION: &str = "x-acs-version";
    /// When the call was made.
    pub(in super::super) const DATE: &str = "x-acs-date";
    /// A text that no two calls have in common.
    pub(in super::super) const NONCE: &str = "x-acs-signature-nonce";
    /// The SHA-256 of the body.
    pub(in super::super) const CONTENT_SHA256: &str = "x-acs-content-sha256";
    /// The token of a temporary key.
    pub(in super::super) const TOKEN: &str = "x-acs-security-token";
    /// Where the call goes.
    pub(in super::super) const HOST: &str = "host";
}

/// The headers that every signature must cover; the token too, where one is sent.
///
/// Attack: a call whose signature leaves one of these open can be sent to another service, as another action, at
/// another time, or with another body.
const MUST_SIGN: [&str; 6] =
    [header::HOST, header::ACTION, header::CONTENT_SHA256, header::DATE, header::NONCE, header::VERSION];

/// A call whose signature has the right form. Nothing about it is believed yet.
pub(super) struct Acs3 {
    head: Arc<Head>,
    parameters: Parameters,
    /// What the client may have signed as host in place of what arrived.
    other_host: Option<String>,
    key_id: String,
    token: Option<String>,
    nonce: String,
    signed_headers: Vec<String>,
    content_sha256: String,
    signature: Digest,
    made: Timestamp,
}

impl Acs3 {
    /// Reads and checks the form, in the order: header, key, time, nonce, body, signed headers.
    pub(super) fn read(
        context: Context<'_>,
        request: &Request,
        parameters: Parameters,
    ) -> Result<Self, Refusal> {
        let hash = acs3::hash(&request.body);
        Self::read_over(context, &request.head, parameters, &hash, Some(request.body.len()))
    }

    /// The same where only the hash of the body is known, or its size as well.
    pub(super) fn read_over(
        context: Context<'_>,
        head: &Arc<Head>,
        parameters: Parameters,
        body: &Digest,
        size: Option<usize>,
    ) -> Result<Self, Refusal> {
        let authorization = one(head, header::AUTHORIZATION)?.unwrap_or_default();
        let Fields { key_id, signed_headers, signature } = Fields::parse(authorization)?;
        let token = one(head, header::TOKEN)?.filter(|token| !token.is_empty());
        check_token(key_id, token)?;
        let made = time::near(required(head, header::DATE, "Timestamp")?, context.now)?;
        let nonce = required(head, header::NONCE, "SignatureNonce")?;
        check_nonce(nonce)?;
        let content_sha256 = one(head, header::CONTENT_SHA256)?.ok_or_else(|| {
            malformed("there is no x-acs-content-sha256 beside it, which a proxy may have removed")
        })?;
        check_body(content_sha256, body, size)?;
        check_signed_headers(signed_headers, head)?;
        let host = head.header(header::HOST).unwrap_or_default().trim();
        Ok(Self {
            head: Arc::clone(head),
            parameters,
            other_host: other_host(host, &context.directory.plan().public_url),
            key_id: key_id.to_owned(),
            token: token.map(str::to_owned),
            nonce: nonce.to_owned(),
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            content_sha256: content_sha256.to_owned(),
            signature,
            made,
        })
    }

    /// The parameters.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What its sender can compare with its own steps where the signature is wrong: hashes of what arrived. The text
    /// itself holds the headers, the token of a temporary key among them.
    pub(super) fn seen(&self) -> String {
        let canonical = self.canonical(None).unwrap_or_default();
        format!(
            "here the canonical request, with the host {} and the signed headers {}, has the SHA-256 {}",
            shown(self.head.header(header::HOST).unwrap_or_default()),
            shown(&self.signed_headers.join(";")),
            acs3::hex(&acs3::hash(canonical.as_bytes()))
        )
    }

    /// The canonical request, with this host where it is not the one that arrived.
    fn canonical(&self, host: Option<&str>) -> Option<String> {
        let mut headers = Vec::with_capacity(self.signed_headers.len());
        for name in &self.signed_headers {
            let mut value = self.head.headers.get(name)?.to_str().ok()?.trim();
            if name == header::HOST {
                value = host.unwrap_or(value);
            }
            headers.push((name.as_str(), value));
        }
        let request = CanonicalRequest {
            method: self.head.method.as_str(),
            path: &self.head.path,
            query: &self.parameters.query(),
            headers: &headers,
            content_sha256: &self.content_sha256,
        };
        Some(request.text())
    }
}

impl Call for Acs3 {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(Signed {
            key_id: &self.key_id,
            kind: KeyKind::AccessKey,
            token: self.token.as_deref(),
            signature: &self.signature,
            once: Some(self.nonce.as_bytes()),
            made: self.made,
            weak: None,
        })
    }

    /// Checks the signature. The host is signed with its port; behind a proxy that adds or takes it away, the
    /// [`other_host`] may be right.
    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        key.matches(&self.signature, |secret, right| {
            let other = self.other_host.as_deref().map(Some);
            for host in [None].into_iter().chain(other) {
                let Some(text) = self.canonical(host) else { continue };
                let text = format!("{ALGORITHM}\n{}", acs3::hex(&acs3::hash(text.as_bytes())));
                if right(&acs3::sign(secret, &text)) {
                    return;
                }
            }
        })
    }
}

/// A header that may stand once or not at all. Two would let two readers each believe another one.
pub(super) fn one<'a>(head: &'a Head, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = head.headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let reason =
        if name == header::AUTHORIZATION { Reason::MalformedProof } else { Reason::InvalidParameter };
    if second.is_some() {
        return Err(
            Refusal::new(reason, format!("the header {name} stands twice in the request")).parameter(name)
        );
    }
    let text = first.map(|value| value.to_str()).transpose();
    text.map(|text| text.map(str::trim)).map_err(|_| {
        let detail = format!("the header {name} has a character that is not visible ASCII");
        Refusal::new(reason, detail).parameter(name)
    })
}

/// A header that must be there; `parameter` is the vendor's name of what it says.
fn required<'a>(head: &'a Head, name: &'static str, parameter: &'static str) -> Result<&'a str, Refusal> {
    one(head, name)?.filter(|value| !value.is_empty()).ok_or_else(|| {
        let detail = format!("it travels in the header {name}, which a proxy may have removed");
        Refusal::new(Reason::MissingParameter, detail).parameter(parameter)
    })
}

/// What a proxy may have made this host of: the name without the port that it added, or our own name with the port of
/// `public_url`, where it took that away. The name itself must be the signed one.
fn other_host(host: &str, public_url: &str) -> Option<String> {
    if let Some(name) = without_port(host) {
        return Some(name.to_owned());
    }
    let url: Uri = public_url.parse().ok()?;
    let own = url.authority()?;
    own.host().eq_ignore_ascii_case(host).then(|| Some(format!("{host}:{}", own.port()?)))?
}

/// The host alone; nothing where there is no port.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = host.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|c| c.is_ascii_digit())).then_some(name)
}

/// The parts of an `Authorization` header.
struct Fields<'a> {
    key_id: &'a str,
    signed_headers: &'a str,
    signature: Digest,
}

impl<'a> Fields<'a> {
    fn parse(authorization: &'a str) -> Result<Self, Refusal> {
        let Parts { credential, signed_headers, signature } = parts(authorization, ALGORITHM)?;
        Ok(Self {
            key_id: credential.filter(|id| !id.is_empty()).ok_or_else(|| Refusal::missing("AccessKeyId"))?,
            signed_headers,
            signature: signature
                .and_then(acs3::unhex)
                .ok_or_else(|| malformed("Signature must be 64 lower-case hexadecimal characters"))?,
        })
    }
}

/// Attack: the signature covers the hash alone. Were it not compared with the body, any body would go with it.
fn check_body(content_sha256: &str, body: &Digest, size: Option<usize>) -> Result<(), Refusal> {
    let hash = acs3::hex(body);
    if content_sha256 == hash {
        return Ok(());
    }
    let size = size.map(|size| format!("{size} bytes here and ")).unwrap_or_default();
    let detail =
        format!("x-acs-content-sha256 is not the lower-case SHA-256 of the body, which has {size}{hash}");
    Err(Refusal::new(Reason::WrongSignature, detail))
}

/// In order, none twice, each there exactly once, and at least [`MUST_SIGN`].
///
/// Attack: a signed header that stands twice, or not at all, is one the signature does not decide about.
fn check_signed_headers(list: &str, head: &Head) -> Result<(), Refusal> {
    let names = || list.split(';');
    if !names().zip(names().skip(1)).all(|(a, b)| a < b) {
        return Err(malformed("SignedHeaders must be in alphabetical order, none twice"));
    }
    let token = head.headers.contains_key(header::TOKEN).then_some(header::TOKEN);
    if let Some(missing) = MUST_SIGN.into_iter().chain(token).find(|must| names().all(|name| name != *must)) {
        return Err(malformed(&format!("SignedHeaders must name {missing}")));
    }
    for name in names() {
        if name.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(malformed("SignedHeaders must be lower-case"));
        }
        let mut values = head.headers.get_all(name).iter();
        let readable = values.next().is_some_and(|value| value.to_str().is_ok());
        if !readable || values.next().is_some() {
            let detail =
                format!("the signed header {} must be there exactly once, in visible ASCII", shown(name));
            return Err(malformed(&detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fault(authorization: &str) -> String {
        Fields::parse(authorization).err().expect("a refusal").detail.into_owned()
    }

    #[test]
    fn the_header_has_three_parts_and_nothing_else() {
        let signature = "0".repeat(64);
        let good = format!("ACS3-HMAC-SHA256 Credential=k,SignedHeaders=a;b,Signature={signature}");
        let fields = Fields::parse(&good).unwrap();
        assert_eq!((fields.key_id, fields.signed_headers, fields.signature), ("k", "a;b", [0; 32]));
        assert!(Fields::parse(&good.replace(',', ", ")).is_ok(), "blanks behind the commas do not matter");
        for (bad, expected) in [
            (String::new(), "must begin"),
            (good.replace("ACS3", "TC3"), "must begin"),
            (good.replace("SHA256 ", "SHA256"), "must begin"),
            (good.replace("Credential=k", "Credential"), "not name=value"),
            (good.replace("Credential=k", "credential=k"), "nothing else"),
            (format!("{good},Signature={signature}"), "stands twice"),
            (good.replace("SignedHeaders=a;b,", ""), "no SignedHeaders"),
            (good.replace("Credential=k,", ""), "AccessKeyId is required"),
            (good.replace("Credential=k", "Credential="), "AccessKeyId is required"),
            (good.replace("=000", "=00A"), "64 lower-case"),
            (good.replace("=000", "=00"), "64 lower-case"),
        ] {
            assert!(fault(&bad).contains(expected), "{bad}: {}", fault(&bad));
        }
    }

    #[test]
    fn a_proxy_takes_away_our_own_port_alone() {
        let url = "https://pass.example.com:8443";
        let other = |host, url| other_host(host, url);
        assert_eq!(other("pass.example.com", url).as_deref(), Some("pass.example.com:8443"));
        assert_eq!(other("pass.example.com:9", url).as_deref(), Some("pass.example.com"));
        assert_eq!(other("[::1]", "http://[::1]:5050").as_deref(), Some("[::1]:5050"));
        assert_eq!(other("other.example.com", url), None);
        assert_eq!(other("pass.example.com", "https://pass.example.com"), None);
    }

    #[test]
    fn a_host_has_a_port_or_none() {
        assert_eq!(without_port("sts.example.com:80"), Some("sts.example.com"));
        assert_eq!(without_port("[::1]:80"), Some("[::1]"));
        for none in ["sts.example.com", "[::1]", "a:", "a:b"] {
            assert_eq!(without_port(none), None, "{none}");
        }
    }
}
