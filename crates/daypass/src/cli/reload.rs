//! `daypass reload`.

use super::output::{Failure, Output};
use super::place::CONFIG;
use crate::config;
use crate::control::{Answer, Request, Trouble, ask, candidates};
use anyhow::Context as _;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Have a running service read its configuration again.
///
/// What it says is judged as `daypass check` does, and is in force when this command returns; or it is refused and nothing has
/// changed. Exit codes: 0 reloaded, 1 refused, 3 where no service is reached.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file that the service runs on.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// The control socket of the service, where the file does not lead there.
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

/// Asks the service, and prints what it has done.
pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let file = absolute(&args.config)?;
    let places = match &args.control {
        Some(control) => vec![control.clone()],
        None => candidates(&config::glimpse(&file)),
    };
    let request = Request::Reload { file: Some(file.clone()) };
    match ask(&places, &request).await.map_err(|trouble| unreached(&trouble, &file))? {
        Answer::Reloaded { file, sha256, before, warnings } => {
            for warning in warnings.iter().filter(|_| !output.is_json()) {
                output.line(format_args!("{warning}\n"));
            }
            let same = if sha256 == before { "; the file is the same as before" } else { "" };
            let text = format!("reloaded: {} is in force, sha256 {sha256}{same}", file.display());
            output.show(text, || {
                json!({ "reloaded": true, "file": file, "sha256": sha256, "before": before, "warnings": warnings })
            });
            Ok(())
        }
        Answer::Refused { message, errors } => {
            let text = format!("not reloaded, and nothing has changed: {message}");
            output.show(&text, || json!({ "reloaded": false, "message": message, "errors": errors }));
            Err(Failure::Said(1))
        }
        Answer::Status { .. } => Err(Failure::Unreachable("the service answers another question".to_owned())),
    }
}

/// As the service names it: it may have been started in another folder.
fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    let file = std::path::absolute(file).with_context(|| format!("cannot find `{}`", file.display()));
    Ok(file?)
}

/// What leads to the service stands in the file: where that is wrong, it may be why.
fn unreached(trouble: &Trouble, file: &Path) -> Failure {
    let hint = match (trouble, config::load(file)) {
        (Trouble::Nobody(_), Err(faults)) => {
            format!("; the file is wrong, and may lead astray (--control names the socket):\n{faults}")
        }
        (Trouble::Nobody(_), Ok(_)) => {
            "; is the service running, and is this its file? --control names its socket, and SIGHUP reloads too".to_owned()
        }
        (Trouble::NotOurs(_) | Trouble::Silent(..), _) => String::new(),
    };
    Failure::Unreachable(format!("{trouble}{hint}"))
}
