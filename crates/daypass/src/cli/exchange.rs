//! One HTTP request from the command line, over TLS where the address says https.

use super::authority;
use super::output::Failure;
use crate::server::OWN;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::uri::Authority;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long the whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER: usize = 1024 * 1024;

/// A server to ask.
pub(super) struct Target {
    authority: Authority,
    https: bool,
    /// The one authority whose certificates are believed; without it, the system's.
    ca: Option<PathBuf>,
    /// What is said before anything else.
    first: &'static [u8],
}

impl Target {
    /// The server of a URL that stands in this credentials file. Where the file lies in the data folder of a
    /// `daypass dev --tls`, that folder's certificate authority is believed, and no other.
    pub(super) fn new(url: &str, file: &Path, ca: Option<&Path>) -> Result<Self, Failure> {
        let uri: Uri = url.parse().map_err(|_| Failure::Usage(format!("`{url}` is not a URL")))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Failure::Usage(format!("`{url}` is neither an https:// nor an http:// URL"))),
        };
        let Some(authority) = uri.authority().cloned() else {
            return Err(Failure::Usage(format!("`{url}` names no host")));
        };
        let beside = || {
            let beside = authority::certificate(file.parent()?);
            beside.exists().then_some(beside)
        };
        Ok(Self { authority, https, ca: ca.map(Path::to_owned).or_else(beside), first: &[] })
    }

    /// The same, for a listener that wants to hear first for whom somebody connects: for nobody.
    pub(super) fn for_nobody(self) -> Self {
        Self { first: &OWN, ..self }
    }

    /// `host:port`, as it stands in the Host header and in signatures.
    pub(super) fn host(&self) -> &str {
        self.authority.as_str()
    }

    /// Sends one request and reads the whole answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
        let exchange = tokio::time::timeout(TIMEOUT, self.exchange(request)).await;
        let unreachable = |error: anyhow::Error| Failure::Unreachable(format!("{}: {error:#}", self.host()));
        exchange
            .map_err(|_| unreachable(anyhow::anyhow!("no answer in {} seconds", TIMEOUT.as_secs())))?
            .map_err(unreachable)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
        let host = self.authority.host().trim_matches(['[', ']']).to_owned();
        let port = self.authority.port_u16().unwrap_or(if self.https { 443 } else { 80 });
        let mut stream = TcpStream::connect((host.as_str(), port)).await.context("cannot connect")?;
        stream.write_all(self.first).await.context("cannot write")?;
        if !self.https {
            return exchange(stream, request).await;
        }
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let name = ServerName::try_from(host).context("the host is neither a name nor an address")?;
        exchange(connector.connect(name, stream).await.context("no TLS")?, request).await
    }

    fn tls(&self) -> anyhow::Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?;
        let Some(ca) = &self.ca else { return Ok(config.with_platform_verifier()?.with_no_client_auth()) };
        let unreadable = || format!("`{}` is no certificate in PEM", ca.display());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).with_context(unreadable)? {
            roots.add(certificate.with_context(unreadable)?)?;
        }
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    TokioIo<S>: Read + Write,
{
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_web_address_is_asked() {
        let target = |url: &str| Target::new(url, Path::new("credentials.json"), None);
        for (url, host, https) in [
            ("http://127.0.0.1:5050", "127.0.0.1:5050", false),
            ("https://pass.example.com", "pass.example.com", true),
            ("https://[::1]:8443", "[::1]:8443", true),
        ] {
            let target = target(url).unwrap_or_else(|failure| panic!("{failure:?}"));
            assert_eq!((target.host(), target.https, &target.ca), (host, https, &None));
        }
        for bad in ["", "ftp://a", "127.0.0.1:5050", "/x", "https://"] {
            assert!(matches!(target(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn the_authority_beside_the_file_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, ca) = (folder.path().join("credentials.json"), folder.path().join("ca.pem"));
        let believed =
            |given: Option<&Path>| Target::new("https://a", &file, given).ok().and_then(|target| target.ca);
        assert_eq!(believed(None), None);
        std::fs::write(&ca, "").unwrap();
        assert_eq!(believed(None), Some(ca));
        assert_eq!(believed(Some(Path::new("/other.pem"))), Some(PathBuf::from("/other.pem")));
    }
}
