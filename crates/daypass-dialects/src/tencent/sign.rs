//! TC3-HMAC-SHA256, the signature of Tencent Cloud's API 3.0: pure functions for the server and for a client.
//! Beside it the two others that its clients still make: [`v1`] over the parameters of a request, [`soe`] over the
//! address of a web socket.
//!
//! ```text
//! canonical request   METHOD \n URI \n query \n name:value\n … \n SignedHeaders \n hex(SHA-256(payload))
//! string to sign      TC3-HMAC-SHA256 \n timestamp \n date/service/tc3_request \n hex(SHA-256(canonical request))
//! key                 HMAC(HMAC(HMAC("TC3" + SecretKey, date), service), "tc3_request")
//! signature           hex(HMAC(key, string to sign))
//! ```
//!
//! Each step is a function of its own, so that a test can look at every intermediate string. The server never
//! builds those strings: they are streamed into the hash. Source: the vendor's page "Signature v3" and its SDKs.

pub mod soe;
pub mod v1;

use aws_lc_rs::{digest, hmac};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::secret::Secret;
use std::borrow::Cow;

/// The name of the algorithm, first word of the `Authorization` header and first line of the string to sign.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";
/// The end of every credential scope.
pub const TERMINATOR: &str = "tc3_request";
/// What stands in `X-TC-Content-SHA256`, and is hashed in place of the payload, when the payload is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// The service of this API in the credential scope.
pub const SERVICE: &str = "sts";

/// A SHA-256 or HMAC-SHA-256 output.
pub type Digest = [u8; 32];

/// SHA-256 of the payload: the body of a POST, nothing for a GET, or [`UNSIGNED_PAYLOAD`] for either.
pub fn hash(payload: &[u8]) -> Digest {
    array(digest::digest(&digest::SHA256, payload).as_ref())
}

/// A signed header: its name, lower-case, and its value as it is signed.
pub type SignedHeader<'a> = (&'a str, Cow<'a, [u8]>);

/// The parts of a canonical request, each exactly as it is signed.
pub struct CanonicalRequest<'a> {
    /// `POST` or `GET`.
    pub method: &'a str,
    /// `/`; only gateways of other products sign a real path.
    pub uri: &'a str,
    /// The raw query of a GET, never parsed, sorted or encoded again; empty for a POST.
    pub query: &'a str,
    /// The signed headers, in their order.
    pub headers: &'a [SignedHeader<'a>],
    /// The names once more, joined by semicolons.
    pub signed_headers: &'a str,
    /// [`hash`] of the payload.
    pub payload: Digest,
}

impl CanonicalRequest<'_> {
    /// The text, in the pieces it is made of.
    fn feed(&self, mut sink: impl FnMut(&[u8])) {
        for line in [self.method, self.uri, self.query] {
            sink(line.as_bytes());
            sink(b"\n");
        }
        for (name, value) in self.headers {
            sink(name.as_bytes());
            sink(b":");
            sink(value);
            sink(b"\n");
        }
        sink(b"\n");
        sink(self.signed_headers.as_bytes());
        sink(b"\n");
        sink(&hex(&self.payload));
    }

    /// The whole text, for tests and for people.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.feed(|piece| out.extend_from_slice(piece));
        out
    }

    /// Its SHA-256, without the text ever being put together.
    pub fn digest(&self) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        self.feed(|piece| context.update(piece));
        array(context.finish().as_ref())
    }
}

/// What a signature is good for: one service on one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The UTC date of the request's timestamp, `2023-11-14`.
    pub date: &'a str,
    /// `sts`, or whatever the client took for the service: see the rules of the verifier.
    pub service: &'a str,
}

/// The parts of a string to sign.
pub struct StringToSign<'a> {
    /// `X-TC-Timestamp` as sent: Unix seconds.
    pub timestamp: &'a str,
    /// The credential scope.
    pub scope: Scope<'a>,
    /// [`CanonicalRequest::digest`].
    pub request: Digest,
}

impl StringToSign<'_> {
    fn feed(&self, mut sink: impl FnMut(&[u8])) {
        let Scope { date, service } = self.scope;
        for piece in [ALGORITHM, "\n", self.timestamp, "\n", date, "/", service, "/", TERMINATOR, "\n"] {
            sink(piece.as_bytes());
        }
        sink(&hex(&self.request));
    }

    /// The whole text, for tests and for people.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.feed(|piece| out.extend_from_slice(piece));
        out
    }

    /// The signature that this key makes.
    pub fn sign(&self, key: &Digest) -> Digest {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        self.feed(|piece| context.update(piece));
        array(context.sign().as_ref())
    }
}

/// The first key of the chain: of one day.
pub fn date_key(secret_key: &[u8], date: &str) -> Digest {
    // The concatenation holds the key, so it is wiped like one.
    let start = Secret::new([b"TC3", secret_key].concat());
    mac(start.expose(), date)
}

/// The second key of the chain: of one service on that day.
pub fn service_key(date_key: &Digest, service: &str) -> Digest {
    mac(date_key, service)
}

/// The last key of the chain, which signs.
pub fn signing_key(service_key: &Digest) -> Digest {
    mac(service_key, TERMINATOR)
}

/// The whole chain at once.
pub fn derive(secret_key: &[u8], scope: Scope<'_>) -> Digest {
    signing_key(&service_key(&date_key(secret_key, scope.date), scope.service))
}

/// The UTC date of an instant, `2023-11-14`.
pub fn date(at: Timestamp) -> String {
    let mut text = rfc3339(at);
    text.truncate("2023-11-14".len());
    text
}

/// Lower-case hexadecimal, on the stack.
pub fn hex(bytes: &Digest) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
    out
}

/// Reads what [`hex`] writes. Upper case is not read: one signature has one spelling.
pub fn unhex(text: &str) -> Option<Digest> {
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

fn mac(key: &[u8], text: &str) -> Digest {
    array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref())
}

/// Both hashes here have exactly 32 bytes.
fn array(bytes: &[u8]) -> Digest {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// A key as a client holds it.
pub struct ClientKey<'a> {
    /// `SecretId` or `TmpSecretId`.
    pub id: &'a str,
    /// `SecretKey` or `TmpSecretKey`.
    pub secret: &'a [u8],
    /// The token of a temporary key.
    pub token: Option<&'a str>,
}

/// A request that a client is about to send to `/`.
pub struct Outgoing<'a> {
    /// `POST` with a JSON body, or `GET` with a query.
    pub method: &'a str,
    /// The `Host` header, port included.
    pub host: &'a str,
    /// The raw query, without the question mark.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Leaves the payload out of the signature.
    pub unsigned_payload: bool,
    /// The action, such as `GetFederationToken`.
    pub action: &'a str,
    /// The region; STS ignores it, the vendor's gateway does not.
    pub region: &'a str,
    /// The present.
    pub at: Timestamp,
}

impl Outgoing<'_> {
    /// A form type on a GET as well: the header is signed, so every SDK sends one.
    fn content_type(&self) -> &'static str {
        if self.method == "GET" { "application/x-www-form-urlencoded" } else { "application/json" }
    }
}

/// The value of the `Authorization` header of this request.
pub fn authorization(key: &ClientKey<'_>, request: &Outgoing<'_>) -> String {
    authorization_over(key, request, None)
}

/// The same, with the id of the request signed as well where it has one.
fn authorization_over(key: &ClientKey<'_>, request: &Outgoing<'_>, trace_id: Option<&str>) -> String {
    let signed_headers =
        if trace_id.is_some() { "content-type;host;x-tc-traceid" } else { "content-type;host" };
    let get = request.method == "GET";
    let payload = match (request.unsigned_payload, get) {
        (true, _) => UNSIGNED_PAYLOAD.as_bytes(),
        (false, true) => b"",
        (false, false) => request.body,
    };
    let mut headers = vec![
        ("content-type", request.content_type().as_bytes().into()),
        ("host", request.host.as_bytes().into()),
    ];
    headers.extend(trace_id.map(|id| (super::wire::header::TRACE_ID, id.as_bytes().into())));
    let canonical = CanonicalRequest {
        method: request.method,
        uri: "/",
        query: if get { request.query } else { "" },
        headers: &headers,
        signed_headers,
        payload: hash(payload),
    };
    let date = date(request.at);
    let scope = Scope { date: &date, service: SERVICE };
    let timestamp = request.at.as_second().to_string();
    let signature = StringToSign { timestamp: &timestamp, scope, request: canonical.digest() }
        .sign(&derive(key.secret, scope));
    format!(
        "{ALGORITHM} Credential={}/{date}/{SERVICE}/{TERMINATOR}, SignedHeaders={signed_headers}, Signature={}",
        key.id,
        String::from_utf8_lossy(&hex(&signature))
    )
}

/// Every header that a client adds to send this request, signature included.
pub fn sign_request(key: &ClientKey<'_>, request: &Outgoing<'_>) -> Vec<(&'static str, String)> {
    use super::wire::header;
    let mut headers = vec![
        (header::HOST, request.host.to_owned()),
        (header::CONTENT_TYPE, request.content_type().to_owned()),
        (header::ACTION, request.action.to_owned()),
        (header::VERSION, super::wire::VERSION.to_owned()),
        (header::TIMESTAMP, request.at.as_second().to_string()),
        (header::REGION, request.region.to_owned()),
        (header::AUTHORIZATION, authorization(key, request)),
    ];
    if let Some(token) = key.token {
        headers.push((header::TOKEN, token.to_owned()));
    }
    if request.unsigned_payload {
        headers.push((header::CONTENT_SHA256, UNSIGNED_PAYLOAD.to_owned()));
    }
    headers
}

/// The same with an id of the request that is signed as well. Without one, two requests of one second that ask for the same are
/// the same, and whoever takes the second for a repeat of the first answers both alike. The vendor's text says for what:
/// further headers may be signed, to make a request unique.
pub fn sign_unique(
    key: &ClientKey<'_>,
    request: &Outgoing<'_>,
    trace_id: String,
) -> Vec<(&'static str, String)> {
    use super::wire::header;
    let mut headers = sign_request(key, request);
    headers.retain(|(name, _)| *name != header::AUTHORIZATION);
    headers.push((header::AUTHORIZATION, authorization_over(key, request, Some(&trace_id))));
    headers.push((header::TRACE_ID, trace_id));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;
    use proptest::prelude::*;

    #[test]
    fn a_date_is_the_utc_one() {
        assert_eq!(date(START), "2023-11-14");
        assert_eq!(date(Timestamp::from_second(1_700_006_399).unwrap()), "2023-11-14");
        assert_eq!(date(Timestamp::from_second(1_700_006_400).unwrap()), "2023-11-15");
    }

    #[test]
    fn a_client_sends_what_it_signs() {
        let key = ClientKey { id: "AKID1", secret: b"k", token: Some("t") };
        let request = Outgoing {
            method: "GET",
            host: "127.0.0.1:5050",
            query: "b=1&a=2",
            body: b"",
            unsigned_payload: true,
            action: "GetCallerIdentity",
            region: "ap-guangzhou",
            at: START,
        };
        let headers = sign_request(&key, &request);
        let value = |name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(value("host"), Some("127.0.0.1:5050"));
        assert_eq!(value("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(value("x-tc-timestamp"), Some("1700000000"));
        assert_eq!(value("x-tc-token"), Some("t"));
        assert_eq!(value("x-tc-content-sha256"), Some("UNSIGNED-PAYLOAD"));
        let authorization = value("authorization").unwrap();
        assert!(authorization.starts_with(
            "TC3-HMAC-SHA256 Credential=AKID1/2023-11-14/sts/tc3_request, SignedHeaders=content-type;host, Signature="
        ));
        let unique = |id: &str| sign_unique(&key, &request, id.to_owned());
        let signature = |headers: &[(&str, String)]| {
            headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.clone()).unwrap()
        };
        assert!(signature(&unique("a")).contains("SignedHeaders=content-type;host;x-tc-traceid, "));
        assert_ne!(signature(&unique("a")), signature(&unique("b")), "two requests of one second");
        assert_eq!(unique("a").iter().filter(|(name, _)| *name == "x-tc-traceid").count(), 1);
    }

    proptest! {
        #[test]
        fn hex_reads_back(bytes: [u8; 32]) {
            let text = String::from_utf8(hex(&bytes).to_vec()).unwrap();
            prop_assert_eq!(unhex(&text), Some(bytes));
            prop_assert_eq!(unhex(&text[1..]), None);
            let upper = text.to_uppercase();
            prop_assert!(upper == text || unhex(&upper).is_none());
        }
    }
}
