//! What a case is, and what it runs with.

use anyhow::Context as _;
use daypass_faults::installation::Installation;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// One fault.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is done to the program.
    pub(crate) fault: &'static str,
    /// What must hold all the same.
    pub(crate) must: &'static str,
    /// Does it and asserts it. An error is an invariant that did not hold.
    pub(crate) work: fn(&Means) -> anyhow::Result<Outcome>,
}

/// How a case ended that did not fail.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The invariant held; with the figures.
    Held(String),
    /// This machine cannot do it, and why.
    Skipped(String),
    /// The invariant did not hold.
    Broken(String),
}

/// What cases run with.
pub(crate) struct Means {
    /// The program under test.
    pub(crate) daypass: PathBuf,
    /// An older one.
    pub(crate) older: Option<PathBuf>,
    /// Whether to do a tenth.
    pub(crate) quick: bool,
    /// What chance is drawn from.
    pub(crate) seed: u64,
}

impl Case {
    /// Runs it. A panic of the suite is a failure of the case too.
    pub(crate) fn run(&self, means: &Means) -> Outcome {
        match catch_unwind(AssertUnwindSafe(|| (self.work)(means))) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Broken(format!("{error:#}")),
            Err(_) => Outcome::Broken("the suite panicked".into()),
        }
    }
}

impl Means {
    /// So many repetitions, or a tenth.
    pub(crate) fn times(&self, all: u32) -> u32 {
        if self.quick { all.div_ceil(10) } else { all }
    }

    /// A bound of time as it is measured here. A tenth of the faults runs in `./test`, on machines that have other things to do as well
    /// and may be slow: there the bound is five times as wide.
    pub(crate) fn room(&self, bound: Duration) -> Duration {
        if self.quick { bound * 5 } else { bound }
    }

    /// Chance for one case.
    pub(crate) fn chance(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    /// A new installation with its data in its own folder.
    pub(crate) fn install(&self) -> anyhow::Result<(TempDir, Installation)> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let installation = Installation::new(&self.daypass, folder.path(), &data)?;
        Ok((folder, installation))
    }
}

/// A file system of its own in memory. Dropping it takes it away.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many mebibytes here. None where this machine does not let us.
    pub(crate) fn mount(at: &Path, mebibytes: u32) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let size = format!("size={mebibytes}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let mounted = mounted.context("there is no program `mount`")?;
        Ok(mounted.status.success().then(|| Self(at.to_owned())))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that still has a file open there lets go of it when it ends.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
