//! `daypass check`.

use super::output::{Failure, Output};
use super::place::CONFIG;
use crate::app;
use crate::config::{self, Diagnostic, Errors, Lint, Loaded, Stored};
use crate::system::SystemClock;
use anyhow::Context as _;
use daypass_core::clock::Clock as _;
use daypass_core::store::{Store, StoreError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Check a configuration file.
///
/// Exit codes: 0 where there is no error, 1 where --strict finds something to mend, 2 where there is an error, 3 where the
/// store cannot be read. The named warnings (`warning[NAME]`) are lints; the others repeat choices that were made on
/// purpose.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Look at the clients of the store as well: who reaches which role, grants that give nothing, keys that end soon.
    #[arg(long)]
    with_store: bool,
    /// Fail where a lint has found something.
    #[arg(long)]
    strict: bool,
    /// A lint that --strict lets pass; may be given several times.
    #[arg(long, value_name = "LINT", requires = "strict")]
    allow: Vec<Lint>,
}

/// Prints every error and warning; fails if there is an error, or with `--strict` a lint's finding.
pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    match read(&args.config) {
        Ok(mut config) => {
            if args.with_store {
                let stored = stored(&config.store_url).await?;
                config.warnings.extend(config.lint_stored(&stored, app::now()));
            }
            report(args, &config, output)
        }
        Err(faults) => {
            output.show(&faults, || json!({ "errors": faults.to_json(), "warnings": [], "of_clients": [] }));
            Err(Failure::Said(2))
        }
    }
}

/// The configuration with the files that it names. A key that is missing, malformed or readable by others would stop the
/// start, and so would a certificate that has expired or a file without authorities; so they are faults here too.
fn read(file: &Path) -> Result<Loaded, Errors> {
    let mut config = config::load(file)?;
    config.seal.read()?;
    if let Some(tls) = &config.tls {
        config.warnings.extend(tls.read(SystemClock.now())?.1);
    }
    if let Some(ca) = config.mutual_tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
        config.warnings.extend(ca.read(SystemClock.now())?.1);
    }
    Ok(config)
}

/// The clients of a store that is there. It is opened without the seal key, and nothing is written: whoever checks may be
/// someone else than the service, and a file of theirs would be in its way.
async fn stored(url: &str) -> Result<Stored, Failure> {
    if !daypass_stores::exists(url)? {
        return Err(Failure::Unreachable(format!(
            "there is no store at `{url}` yet; the first start makes it, or the first `daypass client add`"
        )));
    }
    let store = daypass_stores::open(url).with_context(|| format!("cannot open the store `{url}`"))?;
    let stored = read_stored(&*store).await;
    store.close().await?;
    Ok(stored?)
}

async fn read_stored(store: &dyn Store) -> Result<Stored, StoreError> {
    Ok(Stored { clients: store.clients().await?, keys: store.keys().await?, roots: store.roots().await? })
}

fn report(args: &Args, config: &Loaded, output: &Output) -> Result<(), Failure> {
    let name = args.config.display();
    // With the store, what is not reached has a warning of its own.
    let unknown = if args.with_store { Vec::new() } else { config.of_clients() };
    if !output.is_json() {
        for warning in &config.warnings {
            output.line(format_args!("{warning}\n"));
        }
        if let Some(note) = note(&unknown) {
            output.line(note);
        }
    }
    let text = match config.warnings.len() {
        0 => format!("{name}: no errors"),
        1 => format!("{name}: no errors, 1 warning"),
        n => format!("{name}: no errors, {n} warnings"),
    };
    let of_clients = || -> Value {
        unknown.iter().map(|(tenant, role)| json!({ "tenant": tenant, "role": role })).collect()
    };
    output.show(
        text,
        || json!({ "errors": [], "warnings": config::to_json(&config.warnings), "of_clients": of_clients() }),
    );
    let insists = |found: &Diagnostic| found.lint().is_some_and(|lint| !args.allow.contains(&lint));
    if args.strict && config.warnings.iter().any(insists) { Err(Failure::Said(1)) } else { Ok(()) }
}

/// What the file alone does not tell.
fn note(roles: &[(&str, &str)]) -> Option<String> {
    let names: Vec<_> = roles.iter().map(|(_, role)| format!("`{role}`")).collect();
    let which = match names.as_slice() {
        [] => return None,
        [one] => format!("the role {one}"),
        _ => format!("the roles {}", names.join(", ")),
    };
    Some(format!("only clients can get {which}; --with-store looks whether any does"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_does_not_tell_is_said() {
        assert_eq!(note(&[]), None);
        let one = note(&[("acme", "agent")]).unwrap();
        assert_eq!(one, "only clients can get the role `agent`; --with-store looks whether any does");
        assert!(note(&[("acme", "a"), ("acme", "b")]).unwrap().contains("the roles `a`, `b`;"));
    }
}
