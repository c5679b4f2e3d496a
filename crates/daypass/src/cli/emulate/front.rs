//! What stands before Daypass's own server and makes a cloud of it: faults, limits, rates, the emulated date, and a list of what
//! came. Every question that is not refused here is answered by the whole product behind it, over a connection in memory.

use super::answer::{self, Complaint, Once, Plain};
use super::asked::{Asked, Log};
use super::body::Body;
use super::clock::Dial;
use super::fault::{Faults, Harm};
use super::harm::{self, Instead};
use super::limits::Limits;
use super::one_live::OneLive;
use super::sight::{Cloud, Sight};
use crate::server::{Server, Tls};
use bytes::Bytes;
use daypass_core::clock::Clock as _;
use daypass_core::id::{Entropy, random_uuid};
use http::header::{CONNECTION, DATE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// The most connections at once.
const CONNECTIONS: usize = 2_000;
/// The largest body that is passed on: more than Daypass takes, so that its own refusal is what the client sees.
const BODY: usize = 512 * 1024;
/// The largest answer of Daypass that is passed on.
const ANSWER: usize = 4 * 1024 * 1024;
/// How long a hanging answer hangs. Whoever waits longer has no timeout of its own.
const HANG: Duration = Duration::from_mins(5);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection that ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose, or because what stands behind does not answer")]
struct Cut;

/// The front of the fake cloud.
pub(super) struct Front {
    /// Daypass.
    pub(super) server: Arc<Server>,
    /// The emulated clock.
    pub(super) dial: Arc<Dial>,
    /// The faults of now.
    pub(super) faults: Arc<Faults>,
    /// What is refused beyond what Daypass refuses.
    pub(super) limits: Limits,
    /// What came.
    pub(super) log: Arc<Log>,
    /// The service whose new token kills the one before.
    pub(super) one_live: OneLive,
    /// For ids and tokens.
    pub(super) entropy: Arc<dyn Entropy>,
    /// The account that answers are of.
    pub(super) account: String,
    /// Seconds after which a busy cloud wants to be asked again.
    pub(super) retry_after: u32,
}

impl Front {
    /// Takes connections for as long as the process lives.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, tls: Option<Arc<Tls>>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (front, tls) = (self.clone(), tls.clone());
                    tokio::spawn(async move {
                        front.connection(stream, peer.ip(), tls).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: IpAddr, tls: Option<Arc<Tls>>) {
        let _ = stream.set_nodelay(true);
        // A second handle on the same socket: hyper owns the first, and a reset is an option of the socket.
        let Ok((stream, socket)) = twice(stream) else { return };
        let socket = Arc::new(socket);
        let Some(tls) = tls else {
            return self.http1(TokioIo::new(stream), peer, socket).await;
        };
        let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else { return };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(TokioIo::new(stream), peer, socket).await;
        } else {
            self.http1(TokioIo::new(stream), peer, socket).await;
        }
    }

    async fn http1<I>(self: Arc<Self>, stream: I, peer: IpAddr, socket: Arc<TcpStream>)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| self.clone().serve(request, peer, socket.clone()));
        let ended = http1::Builder::new().timer(TokioTimer::new()).serve_connection(stream, service).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }

    async fn http2<I>(self: Arc<Self>, stream: I, peer: IpAddr, socket: Arc<TcpStream>)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| self.clone().serve(request, peer, socket.clone()));
        let http = http2::Builder::new(TokioExecutor::new());
        if let Err(error) = http.serve_connection(stream, service).await {
            tracing::debug!(%error, "connection ended");
        }
    }

    async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: IpAddr,
        socket: Arc<TcpStream>,
    ) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY).collect().await.map_err(|_| Cut)?.to_bytes();
        let sight = Sight::of(&parts, &body);
        let Some(cloud) = sight.cloud else {
            let answer =
                if of_daypass(&sight.action) { not_found() } else { self.behind(parts, body, peer).await? };
            return Ok(self.response(answer, None));
        };
        let harm = self.faults.draw(cloud);
        let asked = Asked {
            at: self.dial.now(),
            cloud,
            action: sight.action.clone(),
            key: sight.key.clone(),
            result: harm.map(Harm::name).unwrap_or_default().to_owned(),
            fault: harm,
        };
        if let Some(instead) = harm.and_then(|harm| harm::instead(harm, cloud, &sight, self.once())) {
            self.log.add(asked);
            return self.instead(instead, &socket).await;
        }
        let answer = self.answer(cloud, &sight, parts, body, peer).await?;
        let result = answer::result(cloud, answer.status, &answer.body);
        self.log.add(Asked { result, ..asked });
        Ok(match harm {
            Some(Harm::Slow) => {
                let drip = Body::drip(answer.body.clone());
                self.response(answer, Some(drip))
            }
            Some(harm) => {
                self.response(harm::changed(harm, cloud, answer, self.dial.now(), &self.account), None)
            }
            None => self.response(answer, None),
        })
    }

    /// What the cloud answers where nothing goes wrong.
    async fn answer(
        &self,
        cloud: Cloud,
        sight: &Sight,
        parts: Parts,
        body: Bytes,
        peer: IpAddr,
    ) -> Result<Plain, Cut> {
        let refuse = |what: Complaint| answer::complaint(cloud, sight, what, self.once());
        if let Some(complaint) = Limits::before(cloud, sight) {
            return Ok(refuse(complaint));
        }
        let answer = match cloud {
            Cloud::OAuth => self.one_live.answer(sight, self.dial.now(), &*self.entropy),
            _ => self.behind(parts, body, peer).await?,
        };
        // Whoever is refused for a wrong signature is told that, as the cloud does, and is not counted.
        if answer::result(cloud, answer.status, &answer.body) != "ok" {
            return Ok(answer);
        }
        Ok(self.limits.after(cloud, sight).map_or(answer, refuse))
    }

    async fn instead(&self, instead: Instead, socket: &TcpStream) -> Result<Response<Body>, Cut> {
        match instead {
            Instead::Answer(plain, body) => Ok(self.response(plain, body)),
            Instead::Hang => {
                sleep(HANG).await;
                Err(Cut)
            }
            Instead::Reset => {
                let _ = socket.set_zero_linger();
                Err(Cut)
            }
        }
    }

    /// Asks Daypass.
    async fn behind(&self, mut parts: Parts, body: Bytes, peer: IpAddr) -> Result<Plain, Cut> {
        if !parts.headers.contains_key(HOST)
            && let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok())
        {
            // HTTP/2 has it in the target.
            parts.headers.insert(HOST, host);
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        parts.uri = target.parse::<Uri>().map_err(|_| Cut)?;
        parts.version = Version::HTTP_11;
        parts.headers.remove(CONNECTION);
        parts.headers.remove(TRANSFER_ENCODING);
        let (ours, theirs) = duplex(64 * 1024);
        let server = self.server.clone();
        tokio::spawn(server.within(TokioIo::new(theirs), peer));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.map_err(|_| Cut)?;
        tokio::spawn(connection);
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = sender.send_request(request).await.map_err(|_| Cut)?.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Plain { status: parts.status, headers: parts.headers, body })
    }

    fn response(&self, answer: Plain, body: Option<Body>) -> Response<Body> {
        let Plain { status, mut headers, body: bytes } = answer;
        for name in [CONNECTION, TRANSFER_ENCODING, http::header::CONTENT_LENGTH] {
            headers.remove(name);
        }
        // The cloud's clock is what it says here, and clients correct theirs by it.
        if let Ok(date) =
            HeaderValue::from_str(&self.dial.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        {
            headers.insert(DATE, date);
        }
        let mut response = Response::new(body.unwrap_or_else(|| Body::Whole(Full::new(bytes))));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn once(&self) -> Once {
        Once { id: random_uuid(&*self.entropy), now: self.dial.now(), again: self.retry_after }
    }
}

/// Questions that Daypass answers beside Entra's token endpoint, and Entra does not.
fn of_daypass(path: &str) -> bool {
    path.split_once("/oauth2/v2.0/").is_some_and(|(_, rest)| rest != "token" && rest != "authorize")
}

fn not_found() -> Plain {
    Plain { status: StatusCode::NOT_FOUND, ..Plain::new(404, "application/json", r#"{"error":"not_found"}"#) }
}

/// Two handles on one socket.
fn twice(stream: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let twin = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(twin)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entra_has_a_token_endpoint_and_nothing_of_daypass() {
        for path in ["/t/oauth2/v2.0/introspect", "/t/oauth2/v2.0/revoke", "/t/oauth2/v2.0/revocations"] {
            assert!(of_daypass(path), "{path}");
        }
        for path in
            ["/t/v2.0/.well-known/openid-configuration", "/t/discovery/v2.0/keys", "/livez", "/v1/verify"]
        {
            assert!(!of_daypass(path), "{path}");
        }
    }
}
