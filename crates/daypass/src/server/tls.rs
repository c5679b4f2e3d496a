//! TLS of our own: what is shown, how it is agreed on, and how a new certificate takes the place of the old one.

use crate::config::{Files, Pair, TlsSource};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use daypass_core::clock::Clock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::SingleCertAndKey;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at. Two small files; comparing what is in them is right whatever moves them there,
/// which a time of change is not.
const LOOK: Duration = Duration::from_secs(3);
/// How often a certificate that ends soon is pointed out.
const REMIND: Duration = Duration::from_hours(24);
/// How many sessions are remembered for clients that come again.
const SESSIONS: usize = 4096;

/// What the listener shows, now.
pub(crate) struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    /// Shows this pair.
    pub(crate) fn new(pair: &Pair) -> anyhow::Result<Self> {
        Ok(Self(ArcSwap::from_pointee(server_config(pair)?)))
    }

    /// Shakes hands as the server.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.load_full()).accept(stream).await
    }

    /// Shows this pair from the next handshake on. Connections that stand are not touched.
    fn replace(&self, pair: &Pair) -> anyhow::Result<()> {
        self.0.store(Arc::new(server_config(pair)?));
        Ok(())
    }
}

/// Everything is rustls's default: TLS 1.2 and 1.3, its suites and groups. Sessions are remembered in a table that
/// belongs to this one pair, so that whoever resumes one gets what a new handshake would give: the next pair begins
/// with an empty table. There is no early data. Attack: what comes before the handshake ends can be sent again by
/// whoever recorded it.
fn server_config(pair: &Pair) -> anyhow::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot prepare TLS")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified.clone())));
    config.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).to_vec();
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.max_early_data_size = 0;
    Ok(config)
}

/// Takes up new pairs as they come to stand in the files, for as long as the process lives.
pub(crate) struct Watch {
    tls: Arc<Tls>,
    source: Arc<TlsSource>,
    clock: Arc<dyn Clock>,
    shown: Pair,
    seen: Seen,
}

/// The files as they were seen last. What was judged once is not judged, nor complained of, again.
enum Seen {
    Files(Files),
    /// They could not be read, and this was said of it.
    Unread(String),
}

impl Watch {
    /// Reads the pair for the first time; one that no client would take is an error.
    pub(crate) fn start(source: &TlsSource, clock: Arc<dyn Clock>) -> anyhow::Result<(Arc<Tls>, Self)> {
        let files = source.files()?;
        let (shown, concerns) = source.judge(&files, clock.now())?;
        for concern in concerns {
            tracing::warn!("{concern}");
        }
        let tls = Arc::new(Tls::new(&shown)?);
        let watch = Self {
            tls: tls.clone(),
            source: Arc::new(source.clone()),
            clock,
            shown,
            seen: Seen::Files(files),
        };
        Ok((tls, watch))
    }

    /// Looks every few seconds, and at once at a SIGHUP. That is caught from this call on, not from the first poll:
    /// one that nobody catches yet kills the process.
    pub(crate) fn run(self) -> impl Future<Output = ()> {
        let hangup = signal(SignalKind::hangup());
        async move {
            match hangup {
                Ok(hangup) => self.follow(hangup).await,
                Err(error) => {
                    tracing::error!(%error, "SIGHUP cannot be caught; a new certificate needs a restart");
                }
            }
        }
    }

    async fn follow(mut self, mut hangup: Signal) {
        let mut remind = tokio::time::interval(REMIND);
        // The first tick is at once, and the start has said it already.
        remind.tick().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => self.look().await,
                Some(()) = hangup.recv() => self.look().await,
                _ = remind.tick() => self.remind(),
            }
        }
    }

    /// Takes the pair in the files if it is another one and a good one.
    pub(super) async fn look(&mut self) {
        let source = self.source.clone();
        let Ok(files) = tokio::task::spawn_blocking(move || source.files()).await else { return };
        let files = match files {
            Ok(files) => files,
            Err(errors) => return self.keep(Seen::Unread(errors.to_string()), &errors),
        };
        if matches!(&self.seen, Seen::Files(seen) if *seen == files) {
            return;
        }
        match self.source.judge(&files, self.clock.now()) {
            Err(errors) => self.keep(Seen::Files(files), &errors),
            Ok((pair, concerns)) => {
                for concern in concerns {
                    tracing::warn!("{concern}");
                }
                if let Err(error) = self.tls.replace(&pair) {
                    return tracing::error!(
                        error = format!("{error:#}"),
                        "the new certificate cannot be used"
                    );
                }
                (self.seen, self.shown) = (Seen::Files(files), pair);
                tracing::info!(days = self.shown.days_left(self.clock.now()), "a new certificate is shown");
            }
        }
    }

    /// Says once what is wrong with the files, and goes on with the pair that is shown.
    fn keep(&mut self, seen: Seen, errors: &crate::config::Errors) {
        let again = matches!((&self.seen, &seen), (Seen::Unread(before), Seen::Unread(now)) if before == now);
        if !again {
            tracing::error!("the new certificate is not taken, and the old one stays: {errors}");
        }
        self.seen = seen;
    }

    fn remind(&self) {
        let now = self.clock.now();
        if self.shown.is_due(now) {
            tracing::warn!(days = self.shown.days_left(now), "the certificate expires soon");
        }
    }
}
