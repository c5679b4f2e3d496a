//! A server on this machine that does to its callers whatever a test wants, and remembers what it was asked.
//!
//! It reads one request from each connection, does its act, and hangs up: so an act holds for exactly one question. It
//! speaks plain HTTP, or TLS with a certificate that its own authority has signed.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a fixture that cannot be made should end the test there"
)]

mod certificate;

use certificate::Identities;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What it does to whoever asks.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers.
    Answer(Reply),
    /// Says these bytes and hangs up.
    Raw(Vec<u8>),
    /// Ends the connection as if it had never been, once the request is there.
    Reset,
    /// Hangs up without a word, once the request is there.
    HangUp,
    /// Says nothing, for ever.
    Hang,
    /// Says so many bytes of the answer, and then nothing for ever.
    HangAfter(Reply, usize),
    /// Says one byte of the answer at a time, with a pause behind each.
    Drip(Reply, Duration),
    /// Says the head and then this, again and again, until the other side has had enough.
    Endless(Reply, Vec<u8>),
    /// Shows a certificate that nobody whom its callers trust has signed. Only with TLS.
    Stranger,
    /// Shows a certificate of another host. Only with TLS.
    OtherName,
    /// Shows a certificate that has run out. Only with TLS.
    Expired,
    /// Answers in plain HTTP where TLS is spoken. Only with TLS.
    NoTls(Reply),
}

/// How the end of a document is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Announced,
    Announces(u64),
    Chunked,
    ToTheEnd,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
}

impl Reply {
    /// Status 200 with this JSON document.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status: 200, headers, body: body.into(), framing: Framing::Announced }
    }
    /// With another status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
    /// With this header instead of what there was of its name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
    /// In chunks, without telling how long the document is.
    #[must_use]
    pub fn chunked(self) -> Self {
        Self { framing: Framing::Chunked, ..self }
    }
    /// Without telling how long the document is: it ends with the connection.
    #[must_use]
    pub fn to_the_end(self) -> Self {
        Self { framing: Framing::ToTheEnd, ..self }
    }
    /// As if the document had so many bytes.
    #[must_use]
    pub fn announcing(self, length: u64) -> Self {
        Self { framing: Framing::Announces(length), ..self }
    }

    /// With another document.
    #[must_use]
    pub fn document(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
    /// The document.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn head(&self) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} x", self.status), "connection: close".to_owned()];
        match self.framing {
            Framing::Announced => lines.push(format!("content-length: {}", self.body.len())),
            Framing::Announces(length) => lines.push(format!("content-length: {length}")),
            Framing::Chunked => lines.push("transfer-encoding: chunked".to_owned()),
            Framing::ToTheEnd => {}
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if self.framing == Framing::Chunked {
            for chunk in self.body.chunks(100) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body that is text")
    }
}

/// The server. It ends with its last handle.
pub struct Hostile {
    address: SocketAddr,
    identities: Option<Identities>,
    shared: Arc<Shared>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    act: Mutex<Act>,
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
}

impl Hostile {
    /// One that speaks plain HTTP.
    pub async fn plain(act: Act) -> Self {
        Self::start(act, None).await
    }

    /// One that speaks TLS.
    pub async fn tls(act: Act) -> Self {
        Self::start(act, Some(Identities::new())).await
    }

    async fn start(act: Act, identities: Option<Identities>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared =
            Arc::new(Shared { act: Mutex::new(act), asked: Mutex::default(), connections: Mutex::default() });
        let hostile = Self { address, identities, shared, serving: Mutex::default() };
        hostile.serve(listener);
        hostile
    }

    fn serve(&self, listener: TcpListener) {
        let (shared, identities) = (self.shared.clone(), self.identities.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock() += 1;
                tokio::spawn(meet(shared.clone(), identities.clone(), stream));
            }
        });
        *self.serving.lock() = Some(serving);
    }

    /// Does something else from now on.
    pub fn does(&self, act: Act) {
        *self.shared.act.lock() = act;
    }

    /// Is not there any more: connections are refused.
    pub async fn leave(&self) {
        let serving = self.serving.lock().take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Is there again, at the same address.
    pub async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.serve(listener);
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.identities.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The certificate of its authority, as PEM.
    pub fn authority(&self) -> Option<&str> {
        self.identities.as_ref().map(|identities| identities.authority.as_str())
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// How many connections came so far, those included on which nothing was asked.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.lock().take() {
            serving.abort();
        }
    }
}

/// One connection. Whatever fails here is the caller's end, and the caller's test will tell.
async fn meet(shared: Arc<Shared>, identities: Option<Identities>, stream: TcpStream) {
    let act = shared.act.lock().clone();
    let _ = match (identities, act) {
        (None, act) => perform(&shared, stream, act).await,
        (Some(_), Act::NoTls(reply)) => perform(&shared, stream, Act::Raw(reply.bytes())).await,
        (Some(_), Act::Reset) => perform(&shared, stream, Act::Reset).await,
        (Some(identities), act) => {
            let config = match act {
                Act::Stranger => identities.stranger,
                Act::OtherName => identities.other_name,
                Act::Expired => identities.expired,
                _ => identities.right,
            };
            match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => perform(&shared, stream, act).await,
                Err(fault) => Err(fault),
            }
        }
    };
}

/// What an act needs of a connection.
trait Connection: AsyncRead + AsyncWrite + Unpin {
    fn reset(self);
}

impl Connection for TcpStream {
    fn reset(self) {
        self.set_zero_linger().expect("an open socket");
    }
}

impl Connection for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}

async fn perform(shared: &Shared, mut stream: impl Connection, act: Act) -> std::io::Result<()> {
    if let Some(asked) = read(&mut stream).await? {
        shared.asked.lock().push(asked);
    }
    match act {
        Act::Answer(reply) | Act::NoTls(reply) => stream.write_all(&reply.bytes()).await?,
        Act::Raw(bytes) => stream.write_all(&bytes).await?,
        Act::Reset => {
            stream.reset();
            return Ok(());
        }
        Act::HangUp | Act::Stranger | Act::OtherName | Act::Expired => {}
        Act::Hang => std::future::pending().await,
        Act::HangAfter(reply, count) => {
            stream.write_all(reply.bytes().get(..count).unwrap_or_default()).await?;
            stream.flush().await?;
            std::future::pending::<()>().await;
        }
        Act::Drip(reply, pause) => {
            for byte in reply.bytes() {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(pause).await;
            }
        }
        Act::Endless(reply, piece) => {
            stream.write_all(&reply.head()).await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
    }
    stream.shutdown().await
}

/// Reads one request; none where what came is not one.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Asked>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let (head, rest) = loop {
        let count = stream.read(&mut piece).await?;
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes).chars().take(at).collect::<String>(), at + 4);
        }
        if count == 0 || !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
            return Ok(None);
        }
    };
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        headers,
        body: bytes.split_off(rest),
    };
    let length: usize = asked.header("content-length").parse().unwrap_or_default();
    while asked.body.len() < length {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        asked.body.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    Ok(Some(asked))
}
