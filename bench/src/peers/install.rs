//! Packages of the samples, at pinned versions, installed once into a folder that is kept.

use anyhow::{Context as _, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Written last: what is installed there, whole.
const STAMP: &str = "stamp";
/// What the installers said.
const LOG: &str = "log";
/// Succeeds for a Python that the packages run on and that can make virtual environments.
const SUITABLE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// Installs the Flask sample's packages; gives the Python that has them.
pub(super) fn pypi(folder: &Path, samples: &Path) -> anyhow::Result<PathBuf> {
    let python = ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| said(python, &["-c", SUITABLE]).is_ok())
        .context("there is no Python of 3.10 or later that can make virtual environments")?;
    let pinned = samples.join("requirements.txt");
    let stamp = format!("{}{}", said(python, &["-VV"])?, fs::read_to_string(&pinned)?);
    let own = folder.join("venv/bin/python");
    let mut venv = Command::new(python);
    venv.args(["-m", "venv"]).arg(folder.join("venv"));
    let mut pip = Command::new(&own);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--retries", "1", "--timeout", "20", "-r"]).arg(&pinned);
    install(folder, &stamp, &mut [venv, pip])?;
    Ok(own)
}

/// Installs the Express sample's packages; gives Node.
pub(super) fn npm(folder: &Path, samples: &Path) -> anyhow::Result<PathBuf> {
    let node = said("node", &["--version"]).context("there is no Node")?;
    let stamp = format!("{node}{}", fs::read_to_string(samples.join("package-lock.json"))?);
    let mut copy = Command::new("cp");
    copy.args(["package.json", "package-lock.json"].map(|file| samples.join(file))).arg(folder);
    let mut ci = Command::new("npm");
    ci.arg("ci").arg("--prefix").arg(folder).args(["--ignore-scripts", "--no-audit", "--no-fund"]);
    ci.args(["--fetch-retries=1", "--fetch-timeout=20000"]);
    install(folder, &stamp, &mut [copy, ci])?;
    Ok("node".into())
}

/// What a program prints, if it succeeds.
fn said(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "`{program}` fails");
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs the steps in an empty folder, unless they already succeeded for the same stamp.
fn install(folder: &Path, stamp: &str, steps: &mut [Command]) -> anyhow::Result<()> {
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|written| written == stamp) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let path = folder.join(LOG);
    let log = File::create(&path)?;
    for step in steps {
        let status = step.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).status();
        if !status.is_ok_and(|status| status.success()) {
            bail!("its packages could not be installed ({}; see {})", reason(&path), path.display());
        }
    }
    Ok(fs::write(folder.join(STAMP), stamp)?)
}

/// Why an installation failed: the first line of its log that is marked as an error, or the last that says something.
fn reason(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines().find(|line| ["ERROR: ", "npm error "].iter().any(|mark| line.starts_with(mark)));
    marked.or_else(|| lines().next_back()).unwrap_or("no word why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_is_installed_is_installed_once() {
        let place = tempfile::tempdir().unwrap();
        let (folder, count) = (place.path().join("a/b"), place.path().join("count"));
        let once = |stamp| install(&folder, stamp, &mut [shell(&format!("echo x >>{}", count.display()))]);
        let times = || fs::read_to_string(&count).unwrap().lines().count();
        once("1").unwrap();
        once("1").unwrap();
        assert_eq!(times(), 1);
        fs::write(folder.join("left over"), "").unwrap();
        once("2").unwrap();
        assert_eq!(times(), 2, "another version");
        assert!(!folder.join("left over").exists());
    }

    #[test]
    fn what_failed_says_why_and_is_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("x");
        let fails = "echo begin; echo '  no route to host ' >&2; echo; exit 3";
        for _ in 0..2 {
            let error =
                install(&folder, "1", &mut [shell(fails), shell("echo later")]).unwrap_err().to_string();
            assert!(error.contains("(no route to host; see "), "{error}");
        }
        let npm = shell("echo npm error code E404; echo npm error that is all; exit 1");
        let error = install(&folder, "1", &mut [npm]).unwrap_err().to_string();
        assert!(error.contains("(npm error code E404; see "), "{error}");
        install(&folder, "1", &mut [shell("exit 0")]).unwrap();
        let error = install(&folder, "2", &mut [Command::new("/no/such/program")]).unwrap_err().to_string();
        assert!(error.contains("no word why"), "{error}");
    }
}
