//! Asking as the vendors' clients ask: requests as bytes, and what came back.

use crate::installation::{Clients, DEAR, ORIGIN, TENANT};
use crate::time;
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::Timestamp;
use daypass_dialects::alibaba::sign::{SignMethod, sign};
use daypass_dialects::alibaba::time::stamp;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the soe role allows.
const SOE: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;
/// The one call of the TOP gateway.
const TOP: &str = "alibaba.security.deepvision.proxy.security.common.token.get";

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Tencent's GetFederationToken, signed.
    Tencent,
    /// The TOP gateway, signed.
    Top,
    /// An OAuth token.
    Entra,
    /// The browser's endpoint.
    Browser,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tencent, Self::Top, Self::Entra, Self::Browser];
}

/// An answer, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// A credential, by its id.
    Credential(String),
    /// A refusal in the dialect's own envelope, by its code.
    Refused(String),
}

/// Makes requests of one installation's clients. Every one is different, so that none is another's repeat.
#[derive(Clone, Debug)]
pub struct Asker {
    host: String,
    clients: Clients,
    /// Which resource tokens are asked for.
    pub audience: &'static str,
    /// How many seconds the clients' clocks are ahead of this machine's.
    pub ahead: i64,
}

/// The number of the next request of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Asker {
    /// Asks the server that clients call by this address.
    pub fn new(host: SocketAddr, clients: Clients) -> Self {
        Self { host: host.to_string(), clients, audience: DEAR, ahead: 0 }
    }

    /// The same, for tokens of another resource.
    #[must_use]
    pub fn of(self, audience: &'static str) -> Self {
        Self { audience, ..self }
    }

    /// The present of its clients.
    fn now(&self) -> Timestamp {
        let millis = time::wall().as_millisecond() + 1000 * self.ahead;
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The bytes of a request, signed now.
    pub fn request(&self, dialect: Dialect) -> Vec<u8> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        match dialect {
            Dialect::Tencent => {
                let body =
                    json!({ "Name": format!("fault-{number:08}"), "Policy": SOE, "DurationSeconds": 900 });
                self.tencent("GetFederationToken", body.to_string().as_bytes(), None)
            }
            Dialect::Top => self.top(number),
            Dialect::Entra => self.entra(&self.clients.entra.1),
            Dialect::Browser => self.bytes("GET", "/getAuthorization", &[("origin", ORIGIN)], b""),
        }
    }

    /// A signed call of Tencent's STS, by the client or by a temporary key (id, secret, token).
    pub fn tencent(&self, action: &str, body: &[u8], temporary: Option<(&str, &str, &str)>) -> Vec<u8> {
        let (id, secret, token) = temporary
            .map_or((&*self.clients.tencent.0, &*self.clients.tencent.1, None), |(id, secret, token)| {
                (id, secret, Some(token))
            });
        let key = ClientKey { id, secret: secret.as_bytes(), token };
        let outgoing = Outgoing {
            method: "POST",
            host: &self.host,
            query: "",
            body,
            unsigned_payload: false,
            action,
            region: "ap-guangzhou",
            at: self.now(),
        };
        let headers = sign_request(&key, &outgoing);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.bytes("POST", "/", &headers, body)
    }

    /// A request for a token, with this secret.
    pub fn entra(&self, secret: &str) -> Vec<u8> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.clients.entra.0)
            .append_pair("client_secret", secret)
            .append_pair("scope", &format!("{}/.default", self.audience))
            .finish();
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.bytes("POST", &format!("/{TENANT}/oauth2/v2.0/token"), &form, body.as_bytes())
    }

    fn top(&self, number: u64) -> Vec<u8> {
        let param = json!({
            "product_code": "oss", "scene_code": "app-upload", "usage_scene": "upload",
            "op_tenant_code": "hema", "op_poi_id": "8005", "request_id": format!("fault-{number:08}"),
        })
        .to_string();
        let stamp = stamp(self.now());
        let (key, secret) = &self.clients.top;
        let method = SignMethod::HmacSha256;
        let params = [
            ("method", TOP),
            ("app_key", key),
            ("timestamp", stamp.as_str()),
            ("v", "2.0"),
            ("format", "json"),
            ("sign_method", method.name()),
            ("param", param.as_str()),
        ];
        let signature = sign(method, secret.as_bytes(), params);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(params)
            .append_pair("sign", &signature)
            .finish();
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.bytes("POST", "/router/rest", &form, body.as_bytes())
    }

    fn bytes(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        let named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = [("host", self.host.as_str())];
        for (name, value) in host.iter().filter(|_| !named).chain(headers) {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if method == "POST" {
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// A connection that is kept, with a deadline for each answer.
pub struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    /// Connects.
    pub fn open(address: SocketAddr, deadline: Duration) -> anyhow::Result<Self> {
        Self::over(TcpStream::connect_timeout(&address, deadline)?, deadline)
    }

    /// Connects from this address of the machine.
    pub fn open_from(from: Ipv4Addr, address: SocketAddr, deadline: Duration) -> anyhow::Result<Self> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::from((from, 0)))?;
        rustix::net::connect(&socket, &address)?;
        Self::over(TcpStream::from(socket), deadline)
    }

    /// Sends something that is no request.
    pub fn say(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The port at this end.
    pub fn local_port(&self) -> anyhow::Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    fn over(stream: TcpStream, deadline: Duration) -> anyhow::Result<Self> {
        stream.set_read_timeout(Some(deadline))?;
        stream.set_write_timeout(Some(deadline))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 8192];
        loop {
            if let Some(answer) = parse(&self.buffer)? {
                return Ok(answer);
            }
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                bail!("the connection ended before an answer was whole");
            }
            self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

/// One request on a connection of its own.
pub fn once(address: SocketAddr, request: &[u8], deadline: Duration) -> anyhow::Result<Answer> {
    Line::open(address, deadline)?.ask(request)
}

/// An answer, if these bytes hold a whole one.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = bytes.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).context("no status")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(Ok(0), |text| text.trim().parse())?;
    let body = rest.get(..length).map(|body| String::from_utf8_lossy(body).into_owned());
    Ok(body.map(|body| Answer { status, head, body }))
}

/// Reads an answer as that dialect's client would. Anything but a credential or a refusal in the dialect's own envelope is
/// an error: invariant 10 of every fault.
pub fn read(dialect: Dialect, answer: &Answer) -> anyhow::Result<Got> {
    let body: Value =
        serde_json::from_str(&answer.body).with_context(|| format!("{dialect:?} got no JSON: {answer:?}"))?;
    let text = |path: &str| text_at(&body, path);
    let (credential, refused) = match dialect {
        Dialect::Tencent => (text("/Response/Credentials/TmpSecretId"), text("/Response/Error/Code")),
        Dialect::Top => {
            let id = format!("/{}_response/result/access_key_id", TOP.replace('.', "_"));
            (text(&id), text("/error_response/code"))
        }
        Dialect::Entra => (text("/access_token").and_then(|token| uti(&token)), text("/error")),
        Dialect::Browser => (text("/Credentials/TmpSecretId"), text("/Error/Code")),
    };
    match (credential, refused) {
        (Some(id), None) => Ok(Got::Credential(id)),
        (None, Some(code)) => Ok(Got::Refused(code)),
        _ => bail!("{dialect:?} got neither a credential nor a refusal: {answer:?}"),
    }
}

/// The id of an access token, as its record has it.
fn uti(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    text_at(&claims, "/uti")
}

/// A text or number of a JSON document, by its path (RFC 6901).
pub fn text_at(document: &Value, path: &str) -> Option<String> {
    match document.pointer(path)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
