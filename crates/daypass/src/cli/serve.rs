//! `daypass serve`.

use super::dev::cannot_listen;
use super::output::Failure;
use super::place::{CONFIG, load};
use crate::app::{Ambient, App, Opened, Settings};
use crate::control::{Control, Listens};
use crate::metrics::{self, Scrape};
use crate::reload::{Manager, Reloader, Start};
use crate::server::{Door, Server, Tls, Watch, stop_signal};
use crate::system::SystemClock;
use crate::telemetry;
use anyhow::Context as _;
use daypass_core::directory::Plan;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Run the service.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

/// Serves until SIGTERM, then drains.
pub(super) async fn run(args: &Args, log: Option<&str>) -> Result<(), Failure> {
    let file = std::path::absolute(&args.config).map_err(anyhow::Error::from)?;
    let config = load(&args.config)?;
    let filter = log.or(config.log.as_deref()).unwrap_or(telemetry::USUAL);
    let _logs = telemetry::init(filter, !std::io::stderr().is_terminal());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Caught from here on: one that comes while the store is opened must not end the process.
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be caught")?;
    let manager = Manager::find();
    let seal_key = config.seal.read().map_err(|fault| Failure::Usage(fault.to_string()))?;
    let settings = Settings::of(&config, "").map_err(|fault| Failure::Usage(fault.to_string()))?;
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
    let control = Control::open(config.control.as_deref(), &config.store_url)?;
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
    let here = format!("http://{address}");
    let public_url = config.public_url.clone().unwrap_or_else(|| here.clone());
    let plan = Plan { public_url: public_url.clone(), ..settings.plan };
    let app = App::build(opened, Settings { plan, ..settings }, Ambient::system()).await?;
    let server = Server::new(app.clone());
    let (looks, watch) = watch.map(Watch::run).unzip();
    let start = Start { file, fixed: config.fixed.clone(), here, log_given: log.is_some() };
    let reloader = Reloader::new(app.clone(), start, looks, manager.clone());
    let metrics_address = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
    let scrape = Scrape::new(app.clone(), shown);
    let listens = Listens { address, tls: config.tls.is_some() };
    let control_path = control.as_ref().map(|control| control.path().display().to_string());
    let lives = {
        let app = app.clone();
        move || app.health().live()
    };
    let mut beside = JoinSet::new();
    beside.spawn(app.clone().background());
    beside.spawn(reloader.clone().follow(hangup));
    beside.spawn(manager.clone().watch(lives));
    watch.map(|watch| beside.spawn(watch));
    metrics.map(|listener| beside.spawn(metrics::serve(listener, scrape)));
    control.map(|control| beside.spawn(control.serve(reloader, listens)));
    let stop = stop_signal();
    let mutual_tls = mutual_tls.map(tracing::field::display);
    let metrics_address = metrics_address.map(tracing::field::display);
    let sha256 = &*config.digest;
    tracing::info!(%address, public_url, mutual_tls, metrics = metrics_address, control = control_path, sha256, "ready");
    manager.ready(&format!("answers at {public_url}"));
    let stop = async {
        stop.await;
        manager.stopping();
    };
    server.run(doors, stop).await;
    beside.shutdown().await;
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
    TcpListener::bind(address).await.map_err(|error| cannot_listen(address, error))
}
