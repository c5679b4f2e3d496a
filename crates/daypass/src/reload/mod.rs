//! Another configuration for a running service: read whole, judged whole, recorded, and put in place at once.
//!
//! Nothing of a file that is missing, half written, wrong, or in need of a restart comes into force. The order is that of every
//! change: what can fail is made ready, then the record is durable, and only then does the new configuration count.

mod manager;

pub(crate) use manager::Manager;

use crate::app::{self, App, Settings};
use crate::config::{self, Diagnostic, Errors, Fixed, Loaded};
use crate::server::Looks;
use crate::telemetry;
use daypass_core::clock::Clock as _;
use daypass_core::record::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// What a record of a configuration that has come into force is called. Its object is the file's SHA-256.
const RELOAD: &str = "config.reload";

/// How long the file, and those that it names, may take to be read and judged. It is shorter than whoever asked waits.
///
/// Attack or accident: a pipe in the place of the file, or a network's disk that stands still, and no later reload would ever have
/// its turn.
const READING: Duration = Duration::from_secs(10);

/// What reads the configuration of a running service again.
pub(crate) struct Reloader {
    app: Arc<App>,
    file: PathBuf,
    /// Where clients reach the service, if the file does not say it.
    here: String,
    /// Whether the command line says what is logged; then the file does not.
    log_given: bool,
    tls: Option<Looks>,
    manager: Manager,
    /// What cannot change. Held while a file is read: one reload at a time.
    fixed: Mutex<Fixed>,
}

/// What a reload has done.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// The SHA-256 of the file that is in force now, in hexadecimal digits.
    pub(crate) sha256: String,
    /// The same of the one before.
    pub(crate) before: String,
    /// What deserves a look in it.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReloaded {
    /// The file, or one that it names.
    #[error(transparent)]
    File(#[from] Errors),
    /// The record cannot be written, or what the file says cannot be made.
    #[error("{0}")]
    Other(String),
}

/// What a reload needs to know of the start.
pub(crate) struct Start {
    /// The file that the service runs on.
    pub(crate) file: PathBuf,
    /// What could not change since.
    pub(crate) fixed: Fixed,
    /// Where clients reach the service, if the file does not say it.
    pub(crate) here: String,
    /// Whether the command line says what is logged.
    pub(crate) log_given: bool,
}

impl Reloader {
    /// For a service that has started. `tls` looks at its certificates, if it has any.
    pub(crate) fn new(app: Arc<App>, start: Start, tls: Option<Looks>, manager: Manager) -> Arc<Self> {
        let Start { file, fixed, here, log_given } = start;
        Arc::new(Self { app, file, here, log_given, tls, manager, fixed: Mutex::new(fixed) })
    }

    /// The file that the service runs on.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The SHA-256 of the configuration that is in force.
    pub(crate) fn digest(&self) -> String {
        self.app.setup().digest.clone()
    }

    /// Reloads at each hangup, for as long as the process lives.
    pub(crate) async fn follow(self: Arc<Self>, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            // The log has said how it went.
            let _ = self.reload().await;
        }
    }

    /// Reads the file, and puts what it says in the place of what was in force. Certificates are looked at too.
    pub(crate) async fn reload(&self) -> Result<Reloaded, NotReloaded> {
        let fixed = self.fixed.lock().await;
        self.manager.reloading();
        let done = self.take(&fixed).await;
        if let Some(tls) = &self.tls {
            tls.look().await;
        }
        self.app.reloads.note(done.is_ok(), self.app.ambient.clock.now());
        match &done {
            Ok(Reloaded { sha256, before, warnings }) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(sha256, before, "the configuration is reloaded");
                self.manager.ready(&format!("runs on the configuration {}", short(sha256)));
            }
            Err(why) => {
                tracing::error!("the configuration is not reloaded, and the old one stays: {why}");
                self.manager.ready("the last reload was refused; the configuration of before stays");
            }
        }
        done
    }

    async fn take(&self, fixed: &Fixed) -> Result<Reloaded, NotReloaded> {
        let (file, running, here) = (self.file.clone(), fixed.clone(), self.here.clone());
        // Beside the workers: files are read, and there may be much to judge.
        let read = timeout(READING, tokio::task::spawn_blocking(move || read(&file, &running, &here))).await;
        let late =
            |_| format!("the file, or one that it names, was not read within {} seconds", READING.as_secs());
        let read = read.map_err(late).map_err(NotReloaded::Other)?;
        let (config, settings) = read.map_err(|fault| NotReloaded::Other(fault.to_string()))??;
        let before = self.digest();
        let next = self.app.prepare(settings).map_err(|fault| NotReloaded::Other(format!("{fault:#}")))?;
        let record = app::change(None, RELOAD, &format!("sha256:{}", config.digest));
        self.app
            .store()
            .append(Entry { record, mark: None })
            .await
            .map_err(|fault| NotReloaded::Other(format!("the record of it cannot be written: {fault}")))?;
        self.app.put(next).await;
        if !self.log_given
            && let Err(fault) = telemetry::set_filter(config.log.as_deref().unwrap_or(telemetry::USUAL))
        {
            tracing::warn!(fault, "the log goes on as before");
        }
        if let (Some(tls), Some(source)) = (&self.tls, config.tls) {
            tls.read(source, config.mutual_tls.and_then(|mutual| mutual.ca)).await;
        }
        Ok(Reloaded { sha256: config.digest, before, warnings: config.warnings })
    }
}

/// Reads and judges everything that a start would, but for the seal and what is bound and open.
fn read(file: &Path, running: &Fixed, here: &str) -> Result<(Loaded, Settings), Errors> {
    let mut config = config::load(file)?;
    config.fixed.refuse_changed(running)?;
    let settings = Settings::of(&config, here)?;
    let now = crate::system::SystemClock.now();
    if let Some(tls) = &config.tls {
        config.warnings.extend(tls.read(now)?.1);
    }
    if let Some(ca) = config.mutual_tls.as_ref().and_then(|mutual| mutual.ca.as_ref()) {
        config.warnings.extend(ca.read(now)?.1);
    }
    Ok((config, settings))
}

/// As much of a digest as tells two files apart.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// Catches hangups from this call on, and only says that there is nothing to reload: one that nobody catches kills the
/// process. For servers that read no file.
pub(crate) fn outlive_hangups() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    tracing::info!("a hangup: this server has no configuration file to reload");
                }
            });
        }
        Err(error) => tracing::warn!(%error, "SIGHUP cannot be caught, and would end this process"),
    }
}
