//! How long it takes from nothing to a first token, and how much memory the server takes then.

use crate::asker::Asker;
use crate::check::exchange;
use crate::clock;
use crate::credentials::{Credentials, GetAuthorization, Resource};
use crate::process::{Core, Cores, Server};
use crate::work::Work;
use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// How long a server rests before its idle memory is read.
const REST: Duration = Duration::from_millis(300);

/// Where one installation of `daypass dev` lives.
pub(crate) struct Installation {
    /// The binary.
    pub(crate) daypass: PathBuf,
    /// A folder of its own, on a real disk.
    pub(crate) folder: PathBuf,
    /// The resources of its demo configuration.
    pub(crate) resources: Vec<Resource>,
}

impl Installation {
    fn credentials_file(&self) -> PathBuf {
        self.folder.join("credentials.json")
    }

    /// Starts it.
    pub(crate) fn start(&self, cores: Cores) -> anyhow::Result<Server> {
        Server::start(cores, Core::Servers, |address| {
            let mut command = Command::new(&self.daypass);
            command.arg("dev").args(["--listen", &address.to_string()]);
            command.arg("--data").arg(self.folder.join("data"));
            command.arg("--credentials").arg(self.credentials_file());
            command
        })
    }

    /// Who asks it. It must have been started once.
    pub(crate) fn asker(&self, server: &Server) -> anyhow::Result<Asker> {
        Ok(Asker::new(server.address, self.demo()?, self.resources.clone()))
    }

    /// The browser's endpoint. It must have been started once.
    pub(crate) fn page(&self) -> anyhow::Result<GetAuthorization> {
        Ok(self.demo()?.get_authorization)
    }

    /// The demo's clients. It must have been started once.
    pub(crate) fn demo(&self) -> anyhow::Result<Credentials> {
        Credentials::read(&self.credentials_file())
    }

    fn first_token(&self, server: &Server) -> anyhow::Result<()> {
        let mut asker = self.asker(server)?;
        let work =
            self.resources.first().map_or(Work::GetAuthorization, |first| Work::Token(first.algorithm));
        let mut requests = asker.requests(work, 1);
        let (status, _) = exchange(server.address, requests.next().context("no request")?)?;
        ensure!(status == 200, "the first request was answered with {status}");
        Ok(())
    }
}

/// What was measured without load.
pub(crate) struct Starts {
    /// From spawn to the first token with an empty folder: keys are made on the way.
    pub(crate) empty: Duration,
    /// The same with the keys on disk, a few times.
    pub(crate) again: Vec<Duration>,
    /// Resident memory after the first token, in kilobytes.
    pub(crate) idle: Vec<u64>,
    /// The size of the binary in bytes.
    pub(crate) binary: u64,
}

/// Starts and stops the installation `times` times after a first time.
pub(crate) fn measure(installation: &Installation, cores: Cores, times: usize) -> anyhow::Result<Starts> {
    let once = || -> anyhow::Result<(Duration, u64)> {
        let begin = clock::now();
        let server = installation.start(cores)?;
        installation.first_token(&server)?;
        let took = begin.elapsed();
        sleep(REST);
        let resident = server.resident()?;
        server.stop()?;
        Ok((took, resident))
    };
    let (empty, _) = once().context("the first start failed")?;
    let (again, idle) = (0..times).map(|_| once()).collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
    Ok(Starts { empty, again, idle, binary: size(&installation.daypass)? })
}

fn size(binary: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(binary)?.len())
}

/// The binary to measure when none is named: the one built in the same profile as this program, `here` being the
/// folder of that, because a yardstick with other optimisations would be no yardstick; or else another release build.
pub(crate) fn default_binary(here: &Path) -> anyhow::Result<PathBuf> {
    let target = here.parent().unwrap_or(here);
    [here.to_owned(), target.join("dist"), target.join("release")]
        .map(|folder| folder.join("daypass"))
        .into_iter()
        .find(|path| path.exists())
        .with_context(|| {
            format!(
                "no daypass in {}; build one in the same profile, or name it with --daypass",
                here.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_binary_of_the_same_profile_is_preferred() {
        let target = tempfile::tempdir().unwrap();
        let here = target.path().join("profiling");
        assert!(default_binary(&here).unwrap_err().to_string().contains("--daypass"));
        for profile in ["release", "dist", "profiling"] {
            let folder = target.path().join(profile);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("daypass"), "four").unwrap();
            assert_eq!(default_binary(&here).unwrap(), folder.join("daypass"));
        }
        assert_eq!(size(&here.join("daypass")).unwrap(), 4);
    }
}
