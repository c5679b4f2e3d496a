//! `daypass ring`.

mod list;

use super::files::create_private;
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use crate::app::now;
use crate::config;
use crate::rotation::{self, NotTaken};
use crate::system::KeyEntropy;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::ring::{Order, Purpose, RingState, Rules, Stage, Step};
use list::List;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Daypass's own keys.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// List every key: purpose, version, state, age and what comes next. Never the key itself.
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Make the next key and publish it: verifiers get to know it, and it does not work yet.
    Prepare(Prepare),
    /// Let the prepared key work. The one before it recognises what it has made, and makes nothing more.
    #[command(disable_version_flag = true)]
    Activate(Aimed),
    /// Destroy a key that works no more: whatever it has made is refused from then on.
    #[command(disable_version_flag = true)]
    Retire(Aimed),
    /// Make a seal key: what wraps all of these in the store. Name it as `next` in [seal], on every node.
    SealKey {
        /// The file to write, which must not exist yet. Keep a copy of it in a safe place.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Which purpose's key to make.
#[derive(clap::Args)]
pub(super) struct Prepare {
    /// What the key is for: jwt-rs256, jwt-es256, jwt-eddsa, token-seal, triple, ticket, checkpoint,
    /// replay, record, rest or pepper.
    #[arg(value_parser = purpose)]
    purpose: Purpose,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Which key, and how much it matters.
#[derive(clap::Args)]
pub(super) struct Aimed {
    /// What the key is for: jwt-rs256, jwt-es256, jwt-eddsa, token-seal, triple, ticket, checkpoint,
    /// replay, record, rest or pepper.
    #[arg(value_parser = purpose)]
    purpose: Purpose,
    /// Which key [default: the prepared one, or the oldest that works no more].
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Do it although it is too early. What is refused until verifiers have caught up, or for ever, is refused.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

fn purpose(name: &str) -> Result<Purpose, String> {
    Purpose::named(name).ok_or_else(|| {
        let names: Vec<_> = Purpose::ALL.iter().map(|purpose| purpose.name()).collect();
        format!("the purposes are {}", names.join(", "))
    })
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::List { place } => list(&place, output).await,
        Verb::SealKey { file } => seal_key(&file, output),
        Verb::Prepare(Prepare { purpose, place }) => {
            take(&place, Order { purpose, version: None, step: Step::Prepare, force: false }, output).await
        }
        Verb::Activate(Aimed { purpose, version, force, place }) => {
            take(&place, Order { purpose, version, step: Step::Activate, force }, output).await
        }
        Verb::Retire(Aimed { purpose, version, force, place }) => {
            take(&place, Order { purpose, version, step: Step::Retire, force }, output).await
        }
    }
}

async fn list(place: &PlaceArgs, output: &Output) -> Result<(), Failure> {
    let Place { config, opened } = place.open().await?;
    let listed = List::read(&config, &opened).await;
    opened.store.close().await?;
    let listed = listed?;
    output.show(listed.text(), || Value::Array(listed.rows().map(|row| listed.document(row)).collect()));
    Ok(())
}

async fn take(place: &PlaceArgs, order: Order, output: &Output) -> Result<(), Failure> {
    let Place { config, opened } = place.open().await?;
    opened.begin().await?;
    let rules = Rules::of(&config.plan(""));
    let taken = rotation::take(&opened, order, &rules, now()).await;
    opened.store.close().await?;
    let stage = taken.map_err(failure)?;
    let next = outlook(&rules, &[], &stage);
    let next = if next.is_empty() { next } else { format!("; {next}") };
    output.show(format!("{} is {}{next}", stage.name(), stage.state.name()), || document(&rules, &stage));
    Ok(())
}

fn failure(fault: NotTaken) -> Failure {
    match fault {
        NotTaken::Refused(refused) if refused.yields_to_force() => {
            Failure::Refused(format!("{refused}; --force does it all the same"))
        }
        NotTaken::Refused(refused) => Failure::Refused(refused.to_string()),
        NotTaken::Store(fault) => fault.into(),
        NotTaken::Broken(fault) => anyhow::Error::from(fault).into(),
    }
}

/// From when on a prepared key may work, or a retiring one may go.
fn earliest(rules: &Rules, stage: &Stage) -> Option<Timestamp> {
    match stage.state {
        RingState::Prepared => Some(rules.activate_at(stage)),
        RingState::Retiring => Some(rules.dead_at(stage)),
        RingState::Active | RingState::Gone => None,
    }
}

/// What comes next for a key.
fn outlook(rules: &Rules, stages: &[Stage], stage: &Stage) -> String {
    match (stage.state, earliest(rules, stage)) {
        (RingState::Prepared, Some(at)) => format!("may work from {}", rfc3339(at)),
        (RingState::Retiring, Some(at)) => format!("needed until {}", rfc3339(at)),
        (RingState::Active, _) => {
            let due = rules.next(stages).into_iter();
            let due = due.filter(|due| due.purpose == stage.purpose && due.step == Step::Activate);
            due.map(|due| format!("replaced on {}", rfc3339(due.at))).next().unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn document(rules: &Rules, stage: &Stage) -> Value {
    let at = |state| (stage.state == state).then(|| earliest(rules, stage).map(rfc3339));
    json!({
        "purpose": stage.purpose.name(),
        "version": stage.version,
        "state": stage.state.name(),
        "created": rfc3339(stage.created),
        "since": rfc3339(stage.since),
        "activate_at": at(RingState::Prepared).flatten(),
        "expire_at": at(RingState::Retiring).flatten(),
    })
}

/// Makes a seal key, and says what it is called.
fn seal_key(file: &Path, output: &Output) -> Result<(), Failure> {
    create_private(file, config::generate_seal_key(&KeyEntropy).expose())?;
    let made = config::read_seal_key(file).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let id = made.kek().map_err(anyhow::Error::from)?.id();
    let text = format!(
        "wrote {} (mode 0600): the seal key {id}; keep a copy in a safe place\n\n\
         next: name it as `next` in [seal] on every node and start each again; then as `key`, with the present one as \
         `previous`",
        file.display()
    );
    output.show(text, || json!({ "file": file, "seal_key": id.to_string() }));
    Ok(())
}
