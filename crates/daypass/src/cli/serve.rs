//! `daypass serve`.

use super::output::Failure;
use super::place::{CONFIG, load};
use crate::app::{Ambient, App, Opened};
use crate::server::{Proxies, Server, Watch, stop_signal};
use crate::system::SystemClock;
use crate::telemetry;
use anyhow::Context as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Run the service.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

/// Serves until SIGTERM, then drains.
pub(super) async fn run(args: &Args, log: &str) -> Result<(), Failure> {
    let config = load(&args.config)?;
    telemetry::init(log, !std::io::stderr().is_terminal());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let seal_key = config.seal.read().map_err(|fault| Failure::Usage(fault.to_string()))?;
    // Before the store is touched: a certificate that no client would take is a fault of the configuration.
    let tls = config.tls.as_ref().map(|source| Watch::start(source, Arc::new(SystemClock))).transpose()?;
    let (tls, watch) = tls.unzip();
    let opened = Opened::open(&config.store_url, &seal_key).await?;
    opened.begin().await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr().map_err(anyhow::Error::from)?;
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let app = App::build(opened, config.plan(&public_url), Ambient::system()).await?;
    let background = tokio::spawn(app.clone().background());
    let server = Server::new(app.clone(), Proxies::new(config.behind_proxy.clone()), tls);
    let watch = watch.map(|watch| tokio::spawn(watch.run()));
    let stop = stop_signal();
    tracing::info!(%address, public_url, "ready");
    server.run(listener, stop).await;
    background.abort();
    if let Some(watch) = watch {
        watch.abort();
    }
    app.close().await;
    tracing::info!("stopped");
    Ok(())
}
