//! `daypass init`.

use super::files::{create_directory, create_private};
use super::output::{Failure, Output};
use super::place::CONFIG;
use crate::config;
use crate::system::KeyEntropy;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write a commented configuration file, a seal key and cases to test the configuration with.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder for `daypass.toml`, `seal.key` and the data.
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// The folder of the database [default: DIR/data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Name the seal key as the systemd credential `seal.key`, and not as the file that is written: the unit hands it to the
    /// service, which then cannot reach the file.
    #[arg(long)]
    as_credential: bool,
    /// Print the configuration that `daypass dev` runs, and write nothing.
    #[arg(long)]
    demo: bool,
}

/// Writes all files, or none if one of them exists.
pub(super) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    if args.demo {
        output.show(config::DEMO.trim_end(), || json!({ "config": config::DEMO }));
        return Ok(());
    }
    create_directory(&args.directory)?;
    // Absolute, so that the service may be started from anywhere.
    let directory = std::path::absolute(&args.directory).map_err(anyhow::Error::from)?;
    let (file, key) = (directory.join(CONFIG), directory.join("seal.key"));
    let data = match &args.data {
        Some(data) => std::path::absolute(data).map_err(anyhow::Error::from)?,
        None => directory.join("data"),
    };
    let cases = directory.join("cases.toml");
    for path in [&file, &key, &cases] {
        if path.exists() {
            return Err(Failure::Usage(format!("`{}` exists; nothing was written", path.display())));
        }
    }
    create_directory(&data)?;
    create_private(&key, config::generate_seal_key(&KeyEntropy).expose())?;
    let named = Some(&*key).filter(|_| !args.as_credential);
    create_private(&file, template(named, &data).as_bytes())?;
    create_private(&cases, config::CASES.as_bytes())?;
    let text = format!(
        "wrote {}\nwrote {} (mode 0600; without it the data cannot be read: keep a copy in a safe place)\nwrote {} (cases for `daypass test`)\n\n\
         next: edit the first, then\n  daypass check --config {0}\n  daypass test --config {0} {2}\n  daypass serve --config {0}",
        file.display(),
        key.display(),
        cases.display(),
    );
    output.show(text, || json!({ "config": file, "seal_key": key, "data": data, "cases": cases }));
    Ok(())
}

fn template(key: Option<&Path>, data: &Path) -> String {
    config::template(key, &data.join("daypass.db"), &KeyEntropy)
}
