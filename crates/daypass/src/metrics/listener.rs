//! The listener that metrics are read from: one path, one method, and nothing else of the service behind it.

use super::Scrape;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// The most connections at once. A few systems ask a few times a minute.
const CONNECTIONS: usize = 16;
/// How long one question and its answer may take together.
const WHOLE: Duration = Duration::from_secs(10);
/// What the text is (`OpenMetrics` 1.0).
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers for as long as the process lives.
pub(crate) async fn serve(listener: TcpListener, scrape: Scrape) {
    let (scrape, slots) = (Arc::new(scrape), Arc::new(Semaphore::new(CONNECTIONS)));
    let local = listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let scrape = scrape.clone();
                tokio::spawn(async move {
                    // Whoever is slower than that reads nothing.
                    let _ = timeout(WHOLE, connection(stream, scrape, local)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections for metrics; trying again");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One question for a connection: whoever asks again in a minute can shake hands again.
async fn connection(stream: TcpStream, scrape: Arc<Scrape>, local: bool) -> hyper::Result<()> {
    let service = service_fn(|request| {
        let answer = answer(&request, &scrape, local);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(WHOLE).max_buf_size(16 * 1024);
    http.serve_connection(TokioIo::new(stream), service).await
}

fn answer(request: &Request<Incoming>, scrape: &Scrape, local: bool) -> Response<Full<Bytes>> {
    let json = "application/json";
    if local && !is_local(request.headers().get(HOST)) {
        return plain(StatusCode::FORBIDDEN, json, r#"{"error":"forbidden_host"}"#);
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, json, r#"{"error":"not_found"}"#);
    }
    if request.method() != Method::GET {
        let body = r#"{"error":"method_not_allowed"}"#;
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, json, body);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match scrape.text() {
        Ok(text) => plain(StatusCode::OK, TEXT, text),
        Err(fault) => {
            tracing::error!(%fault, "the metrics cannot be written");
            plain(StatusCode::INTERNAL_SERVER_ERROR, json, r#"{"error":"internal"}"#)
        }
    }
}

/// Whether the question is put to this machine by a name that it has for itself.
///
/// Attack: a page that an operator's browser has open lets its own name point to 127.0.0.1, and so reads, as its own
/// origin, what listens here: the names of clients, and when their keys end.
fn is_local(host: Option<&HeaderValue>) -> bool {
    let authority = host.and_then(|host| host.to_str().ok()?.parse::<http::uri::Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    })
}

fn plain(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_anyone_can_point_here_is_not_ours() {
        let is = |host: &str| is_local(Some(&HeaderValue::from_str(host).unwrap()));
        for good in ["127.0.0.1:9464", "localhost:9464", "LOCALHOST", "[::1]:9464", "10.0.0.1"] {
            assert!(is(good), "{good}");
        }
        for bad in ["evil.example:9464", "localhost.evil.example", "127.0.0.1.nip.io", ""] {
            assert!(!is(bad), "{bad}");
        }
        assert!(!is_local(None));
    }
}
