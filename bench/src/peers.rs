//! The vendor's samples as servers: what they need is installed into the target folder, and each is started once for each
//! distance of the cloud that it asks.

mod install;

use crate::cloud::{Clouds, KEY};
use crate::process::{Core, Cores, Server};
use crate::work::{Delay, Peer};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the samples and their pinned packages are.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
/// The one client that oidc-provider is told of: its id and its secret.
pub(crate) const CLIENT: (&str, &str) = ("bench", "a-secret-as-long-as-those-that-daypass-makes-0123");

/// The samples that run, and why others do not run.
pub(crate) struct Peers {
    /// Those that run, with how far away their cloud is.
    pub(crate) servers: Vec<(Peer, Delay, Server)>,
    /// One line for each that could not be installed.
    pub(crate) skipped: Vec<String>,
}

impl Peers {
    /// Installs and starts these, each with a cloud so far behind it. `folder` is where packages are kept from one run to
    /// the next.
    pub(crate) fn start(
        cores: Cores,
        folder: &Path,
        clouds: &Clouds,
        wanted: &[(Peer, Delay)],
    ) -> anyhow::Result<Self> {
        let mut peers = Self { servers: Vec::new(), skipped: Vec::new() };
        for (peer, delay) in wanted {
            let program = match peer.install(folder) {
                Ok(program) => program,
                Err(why) => {
                    let line = format!("{}: {why:#}", peer.file());
                    if !peers.skipped.contains(&line) {
                        peers.skipped.push(line);
                    }
                    continue;
                }
            };
            let cloud = peer.asks_a_cloud().then(|| clouds.address(*delay)).transpose()?;
            let command = |address| peer.command(&program, folder, address, cloud);
            let server = Server::start(cores, Core::Servers, command);
            let server = server.with_context(|| format!("{} in {}", peer.file(), folder.display()))?;
            peers.servers.push((*peer, *delay, server));
        }
        Ok(peers)
    }
}

impl Peer {
    fn file(self) -> &'static str {
        match self {
            Self::Flask => "flask_sample.py",
            Self::Express => "express_sample.js",
            Self::OidcProvider => "oidc_provider.mjs",
        }
    }

    /// Installs what it needs; gives the program that runs it.
    fn install(self, folder: &Path) -> anyhow::Result<PathBuf> {
        match self {
            Self::Flask => install::pypi(&folder.join("pypi"), Path::new(SAMPLES)),
            Self::Express | Self::OidcProvider => install::npm(&folder.join("npm"), Path::new(SAMPLES)),
        }
    }

    fn asks_a_cloud(self) -> bool {
        matches!(self, Self::Flask | Self::Express)
    }

    fn command(
        self,
        program: &Path,
        folder: &Path,
        listen: SocketAddr,
        cloud: Option<SocketAddr>,
    ) -> Command {
        let mut command = Command::new(program);
        command.arg(Path::new(SAMPLES).join(self.file()));
        command.env("PORT", listen.port().to_string());
        command.env("SECRET_ID", KEY.0).env("SECRET_KEY", KEY.1);
        command.envs(cloud.map(|address| ("STS", address.to_string())));
        command.env("CLIENT_ID", CLIENT.0).env("CLIENT_SECRET", CLIENT.1);
        // Nothing is written beside the samples; and Express is to be as fast as its own guide makes it.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NODE_ENV", "production");
        command.env("NODE_PATH", folder.join("npm/node_modules"));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_sample_is_told_where_it_listens_and_whom_it_asks() {
        let [listen, sts] = ["127.0.0.1:5050", "127.0.0.1:9"].map(|text| text.parse().unwrap());
        for peer in Peer::SAMPLES {
            let command = peer.command(Path::new("/bin/x"), Path::new("/kept"), listen, Some(sts));
            let value = |name: &str| command.get_envs().find(|(key, _)| *key == name).unwrap().1.unwrap();
            assert_eq!((value("PORT").to_str(), value("STS").to_str()), (Some("5050"), Some("127.0.0.1:9")));
            let sample = std::fs::read_to_string(command.get_args().next().unwrap()).unwrap();
            assert_eq!(
                (value("SECRET_ID").to_str(), value("SECRET_KEY").to_str()),
                (Some(KEY.0), Some(KEY.1))
            );
            for name in ["PORT", "STS", "SECRET_ID", "SECRET_KEY"] {
                assert!(sample.contains(name), "{} does not read {name}", peer.file());
            }
        }
    }

    #[test]
    fn oidc_provider_is_told_where_it_listens_and_who_its_client_is() {
        let listen = "127.0.0.1:5050".parse().unwrap();
        let command = Peer::OidcProvider.command(Path::new("node"), Path::new("/kept"), listen, None);
        let program = std::fs::read_to_string(command.get_args().next().unwrap()).unwrap();
        let told: HashMap<_, _> = command.get_envs().collect();
        for name in ["PORT", "CLIENT_ID", "CLIENT_SECRET", "NODE_PATH"] {
            assert!(program.contains(name) && told.contains_key(std::ffi::OsStr::new(name)), "{name}");
        }
        assert_eq!(CLIENT.1.len(), 49, "as long as ours");
    }

    /// Names and versions, of either file.
    fn pins(folder: &str, file: &str) -> HashMap<String, String> {
        let text = std::fs::read_to_string(Path::new(SAMPLES).join(folder).join(file)).unwrap();
        let pin = |line: &str| {
            let (name, version) = line.split_once("==").or_else(|| line.split_once("\": \""))?;
            let bare = |text: &str| text.trim_matches([' ', '"', ',']).to_owned();
            version.starts_with(|first: char| first.is_ascii_digit()).then(|| (bare(name), bare(version)))
        };
        text.lines().filter_map(pin).collect()
    }

    /// The SDK at least, so that both speak of the same.
    #[test]
    fn what_conformance_runs_too_has_the_same_version() {
        for (file, sdk) in [
            ("requirements.txt", "tencentcloud-sdk-python-sts"),
            ("package.json", "tencentcloud-sdk-nodejs-sts"),
        ] {
            let (ours, theirs) = (pins(".", file), pins("../../conformance", file));
            assert!(ours.contains_key(sdk) && theirs.contains_key(sdk), "{ours:?} {theirs:?}");
            for (name, version) in &ours {
                assert!(theirs.get(name).is_none_or(|other| other == version), "{name}, {file}");
            }
        }
    }

    #[test]
    fn nothing_is_started_when_nothing_is_wanted() {
        let (cores, folder) = (Cores::choose().unwrap(), Path::new("/no/such"));
        let clouds = Clouds::start(cores, folder, &[]).unwrap();
        let none = Peers::start(cores, folder, &clouds, &[]).unwrap();
        assert!(none.servers.is_empty() && none.skipped.is_empty());
    }
}
