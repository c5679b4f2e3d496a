//! `daypass ring`.

use super::output::{Failure, Output, table};
use super::place::{Place, PlaceArgs};
use crate::app::now;
use crate::rotation::{self, NotTaken};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::ring::{Age, Order, Purpose, RingRow, RingState, Rules, Stage, Step};
use serde_json::{Value, json};

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
}

/// Which purpose's key to make.
#[derive(clap::Args)]
pub(super) struct Prepare {
    /// What the key is for: jwt-rs256, jwt-es256, jwt-eddsa, token-seal, triple, ticket, rest or pepper.
    #[arg(value_parser = purpose)]
    purpose: Purpose,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Which key, and how much it matters.
#[derive(clap::Args)]
pub(super) struct Aimed {
    /// What the key is for: jwt-rs256, jwt-es256, jwt-eddsa, token-seal, triple, ticket, rest or pepper.
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
    let rows = opened.store.ring().await?;
    opened.store.close().await?;
    let rules = Rules::of(&config.plan(""));
    let mut stages: Vec<_> = rows.iter().map(RingRow::stage).collect();
    stages.sort_by_key(|stage| (stage.purpose, stage.version));
    let now = now();
    let ages = rules.ages(&stages, now);
    let mut lines = vec![["PURPOSE", "VERSION", "STATE", "SINCE", "AGE", "NEXT"].map(str::to_owned).to_vec()];
    lines.extend(stages.iter().map(|stage| {
        let age = ages.iter().find(|age| age.stage == *stage);
        vec![
            stage.purpose.name().to_owned(),
            stage.version.to_string(),
            stage.state.name().to_owned(),
            rfc3339(stage.since),
            age.map(in_words).unwrap_or_default(),
            outlook(&rules, &stages, stage),
        ]
    }));
    output.show(table(&lines), || {
        Value::Array(stages.iter().map(|stage| document(&rules, stage, &ages)).collect())
    });
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
    output
        .show(format!("{} is {}{next}", stage.name(), stage.state.name()), || document(&rules, &stage, &[]));
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

fn in_words(age: &Age) -> String {
    let text = match age.seconds {
        seconds if seconds >= 2 * 86_400 => format!("{}d", seconds / 86_400),
        seconds if seconds >= 2 * 3600 => format!("{}h", seconds / 3600),
        seconds => format!("{}m", seconds / 60),
    };
    if age.overdue { format!("{text} (too old)") } else { text }
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

fn document(rules: &Rules, stage: &Stage, ages: &[Age]) -> Value {
    let age = ages.iter().find(|age| age.stage == *stage);
    let at = |state| (stage.state == state).then(|| earliest(rules, stage).map(rfc3339));
    json!({
        "purpose": stage.purpose.name(),
        "version": stage.version,
        "state": stage.state.name(),
        "created": rfc3339(stage.created),
        "since": rfc3339(stage.since),
        "age_seconds": age.map(|age| age.seconds),
        "overdue": age.map(|age| age.overdue),
        "activate_at": at(RingState::Prepared).flatten(),
        "expire_at": at(RingState::Retiring).flatten(),
    })
}
