//! `daypass restore`: a backup into an empty store.

use super::backup::{self, key::OpenerArgs, refused};
use super::moving::{self, Despite};
use super::output::{Failure, Output};
use super::place::{CONFIG, load};
use crate::app;
use daypass_core::age::Opener;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::cutoff::Scope;
use daypass_core::record::Record;
use daypass_core::transfer::{Census, Opens, Pages as _, Proved, Row, Standing, Whole};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A backup to restore.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    opener: OpenerArgs,
    #[command(flatten)]
    despite: Despite,
    /// The configuration, with the seal key of the store that the backup is of, and the store to fill.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Let credentials count that were issued before. Those that were taken back after the backup come back to life.
    #[arg(long)]
    keep_credentials: bool,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", value_parser = super::revoke::parse_reason)]
    reason: Option<String>,
}

/// Proves the file whole, then fills the store in one.
pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let keys = config.seal.read().map_err(|fault| Failure::Usage(fault.to_string()))?;
    let opener = args.opener.read()?;
    let opens = moving::opens(&keys);
    let mut reader = backup::open(&args.file, &opener)?;
    let proved = args.despite.prove(&mut reader, Some(&opens as Opens<'_>)).await;
    let proved = proved.map_err(|fault| refused(&args.file, &moving::unproved(&fault, "daypass restore")))?;
    if !proved.ring.as_ref().is_some_and(|ring| reader.is_proved(ring)) {
        return Err(refused(&args.file, &backup::FORGED));
    }
    let damage =
        backup::damage(&args.file, reader.manifest(), &proved.damage, args.despite, "daypass restore")?;
    let header = reader.header().clone();

    let url = &config.store_url;
    let mut whole = daypass_stores::whole(url).await.map_err(|error| moving::cannot_take(url, error))?;
    whole.standing().in_service()?;
    whole.clear().await.map_err(|error| moving::cannot_take(url, error))?;
    let before = if args.keep_credentials { None } else { Some(cut_off_at(&proved)) };
    fill(&mut *whole, &args.file, &opener, &proved, before).await?;
    let record = Record { why: args.reason, ..app::change(None, "store.restore", &header.id.to_string()) };
    let records: Vec<_> =
        std::iter::once(record).chain(moving::warning(&header.id.to_string(), &damage)).collect();
    moving::add(&mut *whole, &proved, &records).await?;
    whole.commit(Standing::Open).await?;
    moving::tell(output, &damage);

    let cut = match before {
        Some(before) => format!("nothing that was issued until {} counts any more", rfc3339(before)),
        None => format!(
            "credentials that were issued before still count, those that were taken back after {} included",
            header.made
        ),
    };
    show(&args.config, url, &header, &proved, before, &cut, output);
    Ok(())
}

fn show(
    config: &Path,
    url: &str,
    header: &daypass_core::backup::Header,
    proved: &Proved,
    before: Option<Timestamp>,
    cut: &str,
    output: &Output,
) {
    let text = format!(
        "restored backup {id} of {made} into {url}\n{parts}\n{cut}\n\nnext:\n  daypass audit verify --config {config}\n  \
         daypass serve --config {config}",
        id = header.id,
        made = header.made,
        parts = moving::table_of(&proved.census),
        config = super::quote(config),
    );
    output.show(text, || {
        json!({ "id": header.id, "made": header.made, "store": url, "parts": proved.census, "cut_off": before.map(rfc3339) })
    });
}

/// Until when nothing counts any more. Not before the latest time that the nodes of the store believed: what was issued by a clock
/// that is ahead of this one must not live on. That of the nodes after the backup is not known here.
fn cut_off_at(proved: &Proved) -> Timestamp {
    let latest = Timestamp::from_millisecond(proved.latest).unwrap_or(Timestamp::MIN);
    app::now().max(latest)
}

/// Reads the file a second time, into the store.
async fn fill(
    whole: &mut dyn Whole,
    file: &Path,
    opener: &Opener,
    proved: &Proved,
    before: Option<Timestamp>,
) -> Result<(), Failure> {
    let everything = serde_json::to_string(&Scope::All).map_err(anyhow::Error::from)?;
    let mut before = before.map(Timestamp::as_millisecond);
    let mut census = Census::default();
    let mut reader = backup::open(file, opener)?;
    while let Some(mut rows) = reader.next().await.map_err(|fault| refused(file, &fault))? {
        census.take_all(&rows).map_err(anyhow::Error::from)?;
        if let Some(before) = &mut before {
            rows.retain(|row| match row {
                Row::Cutoff { scope, before: earlier } if *scope == everything => {
                    *before = (*before).max(*earlier);
                    false
                }
                _ => true,
            });
        }
        whole.put(rows).await?;
    }
    if census.finish() != proved.census {
        return Err(refused(file, &"it was changed while it was read"));
    }
    if let Some(before) = before {
        whole.put(vec![Row::Cutoff { scope: everything, before }]).await?;
    }
    Ok(())
}
