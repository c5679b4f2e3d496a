//! `daypass serve`.

use super::output::Failure;
use super::place::{CONFIG, load};
use crate::app::{Ambient, App, Opened, Settings};
use crate::metrics::{self, Scrape};
use crate::server::{Door, Proxies, Server, Tls, Watch, stop_signal};
use crate::system::SystemClock;
use crate::telemetry;
use anyhow::Context as _;
use daypass_core::directory::Plan;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
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
    let _logs = telemetry::init(log, !std::io::stderr().is_terminal());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let seal_key = config.seal.read().map_err(|fault| Failure::Usage(fault.to_string()))?;
    let plan = config.calling_plan("").map_err(|fault| Failure::Usage(fault.to_string()))?;
    // Before the store is touched: a certificate that no client would take is a fault of the configuration.
    let mutual = config.mutual_tls.as_ref();
    let tls =
        config.tls.as_ref().map(|source| Watch::start(source, mutual, Arc::new(SystemClock))).transpose()?;
    let (shows, watch) = tls.unzip();
    let opened = Opened::open(&config.store_url, &seal_key).await?;
    opened.begin().await?;
    keep_free(&opened, config.reserve).await;
    // Bound with the others: an address that is taken is a fault of the configuration.
    let metrics = match config.metrics {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let shown = shows.as_ref().map(|shows| shows.main.clone());
    let (main, asking) = shows.map_or((None, None), |shows| (Some(shows.main), shows.asking));
    let (address, door) = open(config.listen, main).await?;
    let mut doors = vec![door];
    let mut mutual_tls = None;
    if let (Some(mutual), Some(asking)) = (mutual, asking) {
        let (address, door) = open(mutual.listen, Some(asking)).await?;
        doors.push(door);
        mutual_tls = Some(address);
    }
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let plan = Plan { public_url: public_url.clone(), ..plan };
    let proxies = Proxies::new(config.behind_proxy.clone(), config.certificate_header.clone());
    let app = App::build(opened, Settings { plan, proxies, records: config.records.clone() }, Ambient::system()).await?;
    let background = tokio::spawn(app.clone().background());
    let server = Server::new(app.clone());
    let watch = watch.map(|watch| tokio::spawn(watch.run()));
    let metrics_address = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
    let scrape = Scrape::new(app.clone(), shown);
    let metrics = metrics.map(|listener| tokio::spawn(metrics::serve(listener, scrape)));
    let stop = stop_signal();
    let mutual_tls = mutual_tls.map(tracing::field::display);
    let metrics_address = metrics_address.map(tracing::field::display);
    tracing::info!(%address, public_url, mutual_tls, metrics = metrics_address, "ready");
    server.run(doors, stop).await;
    background.abort();
    if let Some(watch) = watch {
        watch.abort();
    }
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    app.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn open(address: SocketAddr, tls: Option<Arc<Tls>>) -> anyhow::Result<(SocketAddr, Door)> {
    let listener = bind(address).await?;
    Ok((listener.local_addr()?, Door::new(listener, tls)))
}

/// Keeps some of the disk for operators. A disk that has no room for that is no reason not to start: what is issued is held back
/// until it has.
async fn keep_free(opened: &Opened, reserve: Option<u64>) {
    if let Err(error) = opened.store.keep_free(reserve).await {
        tracing::warn!(%error, "nothing of the disk is kept in reserve yet; trying again");
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
