//! `daypass check`.

use super::output::{Failure, Output};
use super::place::CONFIG;
use crate::config;
use crate::system::SystemClock;
use daypass_core::clock::Clock as _;
use serde_json::json;
use std::path::PathBuf;

/// Check a configuration file.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

/// Prints every error and warning; fails if there is an error.
pub(super) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let name = args.config.display();
    // A key that is missing, malformed or readable by others would stop the start, and so would a certificate that
    // has expired or a file without authorities; so they are faults here too.
    let checked = config::load(&args.config).and_then(|mut config| {
        config.seal.read()?;
        if let Some(tls) = &config.tls {
            config.warnings.extend(tls.read(SystemClock.now())?.1);
        }
        if let Some(ca) = config.mutual_tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
            config.warnings.extend(ca.read(SystemClock.now())?.1);
        }
        Ok(config)
    });
    match checked {
        Ok(config) => {
            for warning in &config.warnings {
                if !output.is_json() {
                    output.line(warning);
                }
            }
            let text = match config.warnings.len() {
                0 => format!("{name}: no errors"),
                n => format!("{name}: no errors, {n} warnings"),
            };
            output.show(text, || json!({ "errors": [], "warnings": config::to_json(&config.warnings) }));
            Ok(())
        }
        Err(faults) => {
            output.show(&faults, || json!({ "errors": faults.to_json(), "warnings": [] }));
            Err(Failure::Said(2))
        }
    }
}
