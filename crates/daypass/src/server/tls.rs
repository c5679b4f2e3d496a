//! TLS of our own: what is shown, how it is agreed on, and which clients are asked for a certificate.

use super::peer::{Judge, Shown};
use crate::config::{Authorities, Pair};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ServerSessionMemoryCache;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How many sessions are remembered for clients that come again.
const SESSIONS: usize = 4096;
/// The same where clients are asked for certificates: a session keeps those that were shown.
const SESSIONS_WITH_CERTIFICATES: usize = 1024;
/// The most certificates that a client may show, and the most bytes of them together.
/// Attack: anyone may show anything, and each session that is remembered keeps a copy.
const CHAIN: usize = 8;
const CHAIN_BYTES: usize = 16 * 1024;

/// What a listener shows, now, and whether it asks.
pub(crate) struct Tls {
    config: ArcSwap<ServerConfig>,
    /// The last second of what is shown.
    expires: AtomicI64,
    judge: Option<Arc<Judge>>,
}

impl Tls {
    /// Shows this pair, and asks clients for nothing.
    pub(crate) fn new(pair: &Pair) -> anyhow::Result<Self> {
        Self::of(pair, None)
    }

    /// Shows this pair, and asks clients for a certificate. Without `ca` nobody vouches for one.
    pub(crate) fn asking(pair: &Pair, ca: Option<Authorities>) -> anyhow::Result<Self> {
        let judge = Arc::new(Judge::new(ca.map(Arc::new)));
        Self::of(pair, Some(judge))
    }

    fn of(pair: &Pair, judge: Option<Arc<Judge>>) -> anyhow::Result<Self> {
        let config = ArcSwap::from_pointee(server_config(pair, judge.is_some())?);
        Ok(Self { config, expires: AtomicI64::new(pair.expires), judge })
    }

    /// The last second of the certificate that is shown now, since 1970.
    pub(crate) fn expires(&self) -> i64 {
        self.expires.load(Ordering::Relaxed)
    }

    /// Shakes hands as the server.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.config.load_full()).accept(stream).await
    }

    /// What the client of this connection has shown.
    pub(super) fn shown<S>(&self, stream: &TlsStream<S>) -> Option<Arc<Shown>> {
        let judge = self.judge.clone()?;
        Shown::new(stream.get_ref().1.peer_certificates()?, judge).map(Arc::new)
    }

    /// Shows this pair from the next handshake on. Connections that stand are not touched.
    pub(super) fn replace(&self, pair: &Pair) -> anyhow::Result<()> {
        self.config.store(Arc::new(server_config(pair, self.judge.is_some())?));
        self.expires.store(pair.expires, Ordering::Relaxed);
        Ok(())
    }

    /// Lets these vouch from the next request on, also for what was shown before.
    pub(super) fn trust(&self, ca: Authorities) {
        if let Some(judge) = &self.judge {
            judge.store(Some(Arc::new(ca)));
        }
    }
}

/// Everything is rustls's default: TLS 1.2 and 1.3, its suites and groups. Sessions are remembered in a table that
/// belongs to this one pair and this one listener, so that whoever resumes one gets what a new handshake would give: the
/// next pair begins with an empty table, and what was shown to one listener is not known at another. There is no early
/// data. Attack: what comes before the handshake ends can be sent again by whoever recorded it.
fn server_config(pair: &Pair, asks: bool) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .context("cannot prepare TLS")?;
    let builder = if asks {
        builder.with_client_cert_verifier(Arc::new(AnyKey(provider)))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified.clone())));
    config.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).to_vec();
    config.session_storage =
        ServerSessionMemoryCache::new(if asks { SESSIONS_WITH_CERTIFICATES } else { SESSIONS });
    config.max_early_data_size = 0;
    if asks {
        // Each would keep what was shown once more.
        config.send_tls13_tickets = 1;
    }
    Ok(config)
}

/// Takes any certificate of moderate size whose key signs the handshake, and none at all as well. What it is worth is
/// judged later and with each request, because a handshake is not repeated when a session is resumed.
#[derive(Debug)]
struct AnyKey(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: some clients (Go, .NET) keep a certificate back that none of the named authorities signed, and one that
    /// signs itself is as good here.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = certificate.len() + others.iter().map(|other| other.len()).sum::<usize>();
        if others.len() >= CHAIN || bytes > CHAIN_BYTES {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
