//! A disk and a clock that misbehave on demand: a library in front of the C library of the program under test.
//!
//! It is compiled when it is needed. The program must be linked against the C library dynamically, as cargo does by itself on
//! Debian; one that is linked statically does not notice the shim, and [`Shim::works`] says so.

use anyhow::{Context as _, ensure};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What can go wrong, by the place of its number in the control file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// A sync fails with this `errno`; 0 for none.
    SyncErrno = 0,
    /// So many syncs go well before one fails.
    SyncLeft = 1,
    /// A sync takes so many milliseconds longer.
    SyncMillis = 2,
    /// A write fails with this `errno`; 0 for none.
    WriteErrno = 3,
    /// After so many writes one is cut in half and the process ends; -1 for never.
    TornLeft = 4,
    /// The wall clock is so many seconds ahead.
    ClockSeconds = 5,
    /// How many syncs were asked for; written by the shim.
    Syncs = 6,
}

/// The number of knobs.
const KNOBS: usize = 7;

/// `EIO`: what a disk says that has lost what it was given.
pub const EIO: i64 = 5;

/// The shim and its control file.
pub struct Shim {
    library: PathBuf,
    file: PathBuf,
    control: File,
    hurt: String,
}

impl Shim {
    /// Compiles it in this folder. Files are hurt whose path contains the text.
    pub fn make(folder: &Path, hurt: &str) -> anyhow::Result<Self> {
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        std::fs::write(&source, include_str!("shim.c"))?;
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .output()
            .context("there is no C compiler `cc`")?;
        ensure!(
            made.status.success(),
            "the shim does not compile: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let file = folder.join("control");
        let control = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&file)?;
        control.set_len(8 * KNOBS as u64)?;
        let shim = Self { library, file, control, hurt: hurt.to_owned() };
        shim.set(Knob::TornLeft, -1)?;
        Ok(shim)
    }

    /// Puts it in front of a program.
    pub fn attach(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAULTS_CONTROL", &self.file)
            .env("FAULTS_PATH", &self.hurt);
    }

    /// Turns a knob. It works at once.
    pub fn set(&self, knob: Knob, value: i64) -> anyhow::Result<()> {
        Ok(self.control.write_all_at(&value.to_ne_bytes(), 8 * knob as u64)?)
    }

    /// Reads a knob.
    pub fn get(&self, knob: Knob) -> anyhow::Result<i64> {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, 8 * knob as u64)?;
        Ok(i64::from_ne_bytes(bytes))
    }

    /// Whether the program under test notices it: it must have synced by now.
    pub fn works(&self) -> anyhow::Result<bool> {
        Ok(self.get(Knob::Syncs)? > 0)
    }
}
