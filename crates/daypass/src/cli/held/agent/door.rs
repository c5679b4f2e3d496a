//! The agent's two listeners. One program that hangs or talks too much does not keep the others out.

use super::super::surroundings;
use super::gate::{Way, is_own};
use super::page::Pages;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// How many programs may ask at once; the others wait.
const CONNECTIONS: usize = 64;
/// How long a request may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last: longer than the server may take to answer.
const WHOLE: Duration = Duration::from_secs(45);
/// The longest head of a request, in bytes, and the most headers.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// How long to wait where a connection cannot be accepted, so that an empty table of files is not asked without end.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves programs of the same user. Others are hung up on before a byte of theirs is read.
pub(super) async fn unix(listener: UnixListener, pages: Arc<Pages>) {
    let (seats, way) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Way::Socket));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if stream.peer_cred().is_ok_and(|peer| is_own(peer.uid(), surroundings::user())) {
            admit(stream, &seats, &way, &pages).await;
        }
    }
}

/// Serves whoever knows the token.
pub(super) async fn loopback(listener: TcpListener, pages: Arc<Pages>, way: Arc<Way>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(stream, &seats, &way, &pages).await,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn admit<S>(stream: S, seats: &Arc<Semaphore>, way: &Arc<Way>, pages: &Arc<Pages>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(seat) = seats.clone().acquire_owned().await else { return };
    let (way, pages) = (way.clone(), pages.clone());
    tokio::spawn(async move {
        let service = service_fn(|request| {
            let (way, pages) = (way.clone(), pages.clone());
            async move {
                // A body is never read: what is asked stands in the head.
                let (head, _) = http::Request::<hyper::body::Incoming>::into_parts(request);
                Ok::<_, Infallible>(pages.answer(&way, &head).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // Whoever hangs up in the middle has hung up.
        let _ = tokio::time::timeout(WHOLE, connection).await;
        drop(seat);
    });
}

#[cfg(test)]
mod tests {
    use super::super::super::answer::Vendor;
    use super::super::super::answer::tests::STS;
    use super::super::gate::Loopback;
    use super::super::holder::{Ask, Holder};
    use super::*;
    use bytes::Bytes;
    use daypass_core::secret::Secret;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpStream, UnixStream};

    fn pages() -> Arc<Pages> {
        let ask: Ask = Box::new(|| Box::pin(async { Ok((Bytes::from_static(STS.as_bytes()), Some(3600))) }));
        Arc::new(Pages::new(Arc::new(Holder::new(Vendor::Alibaba, None, ask)), None))
    }

    async fn said(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> String {
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn the_same_user_is_served_at_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        tokio::spawn(unix(UnixListener::bind(&path).unwrap(), pages()));
        let stream = UnixStream::connect(&path).await.unwrap();
        // What is asked of the peer is the user of this very process.
        assert_eq!(stream.peer_cred().unwrap().uid(), surroundings::user());
        let answer = said(stream, "GET /credentials HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("STS.x"), "{answer}");
    }

    #[tokio::test]
    async fn loopback_needs_the_token_and_outlives_those_who_hang() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Way::Loopback(Loopback { port, token: Secret::new("tok") }));
        tokio::spawn(loopback(listener, pages(), way));
        let connect = || TcpStream::connect(("127.0.0.1", port));
        let mut hanging = Vec::new();
        for _ in 0..CONNECTIONS - 1 {
            hanging.push(connect().await.unwrap());
        }
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
        let answer = said(connect().await.unwrap(), &get("/tok/credentials")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("STS.x"), "{answer}");
        let answer = said(connect().await.unwrap(), &get("/no/credentials")).await;
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("STS.x"), "{answer}");
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES * 2));
        let answer = said(connect().await.unwrap(), &long).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
