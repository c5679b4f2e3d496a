//! One HTTP request from the command line.

use super::output::Failure;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER: usize = 1024 * 1024;

/// The `host:port` of a URL, as it stands in the Host header and in signatures.
pub(super) fn host(url: &str) -> Result<String, Failure> {
    let uri: Uri = url.parse().map_err(|_| Failure::Usage(format!("`{url}` is not a URL")))?;
    match uri.authority() {
        Some(authority) if uri.scheme_str() == Some("http") => Ok(authority.to_string()),
        _ => {
            Err(Failure::Usage(format!("`{url}` is not an http:// URL; this version has no TLS of its own")))
        }
    }
}

/// Sends one request to a host and reads the whole answer.
pub(super) async fn send(host: &str, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
    let exchange = tokio::time::timeout(TIMEOUT, exchange(host, request)).await;
    let unreachable = |error: anyhow::Error| Failure::Unreachable(format!("{host}: {error:#}"));
    exchange
        .map_err(|_| unreachable(anyhow::anyhow!("no answer in {} seconds", TIMEOUT.as_secs())))?
        .map_err(unreachable)
}

async fn exchange(host: &str, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
    let authority: http::uri::Authority = host.parse()?;
    let address = (authority.host().trim_matches(['[', ']']).to_owned(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = match Limited::new(body, ANSWER).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => bail!("the answer cannot be read: {error}"),
    };
    connection.abort();
    Ok(Response::from_parts(parts, body))
}
