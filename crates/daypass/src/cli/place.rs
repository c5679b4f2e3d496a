//! Which installation a command is about: a configuration file, or the data folder of `daypass dev`.

use super::output::{Failure, Output};
use crate::app::{self, Opened};
use crate::config::{self, Loaded, SealKeys};
use daypass_core::clock::{BEHIND, Timestamp};
use std::path::{Path, PathBuf};

/// Where a command finds the configuration and the store.
#[derive(clap::Args)]
pub(super) struct PlaceArgs {
    /// The configuration file [default: ./daypass.toml, or else the data folder ./.daypass of `daypass dev`].
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data folder of a `daypass dev`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The default configuration file.
pub(super) const CONFIG: &str = "daypass.toml";
/// The default data folder of `daypass dev`.
pub(super) const DATA: &str = ".daypass";

/// A configuration with its opened store.
pub(super) struct Place {
    /// What the configuration says.
    pub(super) config: Loaded,
    /// The store and the ring.
    pub(super) opened: Opened,
}

impl PlaceArgs {
    /// Reads the configuration and opens the store.
    pub(super) async fn open(&self) -> Result<Place, Failure> {
        let (config, url, keys) = self.read()?;
        Ok(Place { opened: Opened::open(&url, &keys).await?, config })
    }

    /// Reads the seal keys, and touches no store.
    pub(super) fn seal_keys(&self) -> Result<SealKeys, Failure> {
        self.read().map(|(_, _, keys)| keys)
    }

    fn read(&self) -> Result<(Loaded, String, SealKeys), Failure> {
        match (&self.config, &self.data) {
            (Some(file), _) => production(file),
            (None, Some(data)) => dev(data),
            (None, None) if Path::new(CONFIG).exists() => production(Path::new(CONFIG)),
            (None, None) if Path::new(DATA).exists() => dev(Path::new(DATA)),
            (None, None) => Err(Failure::Usage(format!(
                "there is neither a {CONFIG} nor a data folder {DATA} here; name one with --config or --data"
            ))),
        }
    }
}

impl Place {
    /// The present, and not before the latest time that the nodes of this store believed: a clock that is a little behind theirs
    /// must leave nothing alive that is taken back now. Where it is far behind, somebody has to say which of the two is right.
    pub(super) async fn now(&self, output: &Output) -> Timestamp {
        let now = app::now();
        // Whoever changes something in a hurry is not kept from it by this.
        let mark = self.opened.store.clock().await.ok().flatten();
        let Some(mark) = mark.filter(|mark| *mark > now) else { return now };
        let behind = mark.duration_since(now);
        if behind <= BEHIND {
            return mark;
        }
        output.note(format_args!(
            "daypass: this machine's clock is {} seconds behind the latest time of the store ({mark}); what was issued by a clock \
             that ran ahead is not reached from here",
            behind.as_secs()
        ));
        now
    }
}

/// The seal keys of a configuration file.
pub(super) fn seal_keys(file: &Path) -> Result<SealKeys, Failure> {
    production(file).map(|(_, _, keys)| keys)
}

fn production(file: &Path) -> Result<(Loaded, String, SealKeys), Failure> {
    let config = load(file)?;
    let key = config.seal.read().map_err(|fault| Failure::Usage(fault.to_string()))?;
    let url = config.store_url.clone();
    Ok((config, url, key))
}

fn dev(data: &Path) -> Result<(Loaded, String, SealKeys), Failure> {
    if !database(data).exists() {
        return Err(Failure::Usage(format!("`{}` is no data folder of `daypass dev`", data.display())));
    }
    let key = config::read_seal_key(&seal_key(data)).map_err(|fault| Failure::Usage(fault.to_string()))?;
    Ok((config::demo().map_err(|faults| Failure::Usage(faults.to_string()))?, store_url(data), key))
}

/// Loads a configuration file, or prints every fault in it.
pub(super) fn load(file: &Path) -> Result<Loaded, Failure> {
    config::load(file).map_err(|faults| Failure::Usage(faults.to_string()))
}

/// The database of a data folder.
pub(super) fn database(data: &Path) -> PathBuf {
    data.join("daypass.db")
}

/// The seal key of a data folder.
pub(super) fn seal_key(data: &Path) -> PathBuf {
    data.join("seal.key")
}

/// The store's URL of a data folder.
pub(super) fn store_url(data: &Path) -> String {
    format!("sqlite:{}", database(data).display())
}
