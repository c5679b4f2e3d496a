//! `daypass probe`: a health check that needs no other program.

use super::output::{Failure, Output};
use super::place::CONFIG;
use crate::config::{self, Glimpse};
use crate::control::{Answer, Listens, Request, ask, candidates};
use crate::server::OWN;
use bytes::Bytes;
use http::{Request as Question, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long the whole of it may take. Health checks are given some seconds.
const WHOLE: Duration = Duration::from_secs(4);
/// The most bytes of an answer.
const ANSWER: usize = 64 * 1024;

/// Ask a service on this machine whether it lives.
///
/// Exit codes: 0 it does, 1 it says no, 3 where it is not reached. Nothing secret is sent and nothing is believed but the
/// status, so its certificate is not judged.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file that the service runs on.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Ask whether it is ready to serve, and not only whether it lives.
    #[arg(long)]
    ready: bool,
}

/// Asks, and prints what was answered.
pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let file = std::path::absolute(&args.config).map_err(anyhow::Error::from)?;
    let glimpse = config::glimpse(&file);
    let listens = find(&file, &glimpse).await?;
    let path = if args.ready { "/readyz" } else { "/livez" };
    let address = near(listens.address);
    let asked = timeout(WHOLE, get(address, listens.tls, says_first(&glimpse, address.ip()), path)).await;
    let unreached =
        |why: String| Failure::Unreachable(format!("the service at {address} is not reached: {why}"));
    let (status, text) = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreached(format!("{error:#}"))),
        Err(_) => return Err(unreached(format!("no answer within {} seconds", WHOLE.as_secs()))),
    };
    output.show(text.trim_end(), || {
        json!({ "ok": status == StatusCode::OK, "status": status.as_u16(), "path": path, "answer": text.trim_end() })
    });
    if status == StatusCode::OK { Ok(()) } else { Err(Failure::Said(1)) }
}

/// Where the service listens: as it says itself, or, where it has no socket to ask at, as its file says.
async fn find(file: &Path, glimpse: &Glimpse) -> Result<Listens, Failure> {
    match timeout(WHOLE, ask(&candidates(glimpse), &Request::Status)).await {
        Ok(Ok(Answer::Status { file: runs_on, listens, .. })) if runs_on == file => return Ok(listens),
        // Somebody has let us in and says nothing: a service that stands still.
        Err(_) => {
            return Err(Failure::Unreachable(format!("no answer within {} seconds", WHOLE.as_secs())));
        }
        // Without a socket, or at another service's, the file has to say it.
        Ok(_) => {}
    }
    match glimpse.listen {
        Some(address) => Ok(Listens { address, tls: glimpse.tls }),
        None => Err(Failure::Usage(format!("`{}` does not say where the service listens", file.display()))),
    }
}

/// What has to be said before anything else, if this machine is among those from which a listener wants to hear for whom they
/// connect: for nobody. Whoever connects to an address of his own machine comes from the same one.
fn says_first(glimpse: &Glimpse, own: IpAddr) -> &'static [u8] {
    if glimpse.proxy_protocol.iter().any(|network| network.contains(own)) { &OWN } else { &[] }
}

/// The address at which this machine reaches a listener.
fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn get(
    address: SocketAddr,
    tls: bool,
    first: &[u8],
    path: &str,
) -> anyhow::Result<(StatusCode, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(first).await?;
    if !tls {
        return send(stream, address, path).await;
    }
    let connector = TlsConnector::from(Arc::new(whoever_it_is()?));
    send(connector.connect(address.ip().into(), stream).await?, address, path).await
}

async fn send<S>(stream: S, address: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, String)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let question = Question::get(path).header("host", address.to_string()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(question).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER).collect().await;
    connection.abort();
    let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn whoever_it_is() -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    Ok(config)
}

/// Takes any certificate. It is for the public name, under which this machine need not know itself; and whoever could listen here
/// in the place of the service could as well end it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let all = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, all)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let all = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, all)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_for_nobody_where_something_has_to_be_said() {
        let glimpse = Glimpse { proxy_protocol: vec!["127.0.0.0/8".parse().unwrap()], ..Glimpse::default() };
        let first = |glimpse: &Glimpse, own: &str| says_first(glimpse, own.parse().unwrap());
        assert_eq!(first(&glimpse, "127.0.0.1"), OWN);
        assert!(first(&glimpse, "10.0.0.7").is_empty() && first(&Glimpse::default(), "127.0.0.1").is_empty());
    }

    #[test]
    fn a_listener_of_all_addresses_is_asked_on_this_machine() {
        for (listens, asked) in [
            ("0.0.0.0:5050", "127.0.0.1:5050"),
            ("[::]:443", "[::1]:443"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(near(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
