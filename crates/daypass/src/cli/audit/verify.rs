//! `daypass audit verify`: is what the store holds what was written to it?

mod once;

use crate::cli::output::{Failure, Output};
use crate::cli::place::{Place, PlaceArgs};
use crate::records::{Copy, copies};
use anyhow::Context as _;
use daypass_core::clock::Timestamp;
use daypass_core::record::checkpoint::Kept;
use daypass_core::record::covered::{CheckpointFault, Covered};
use daypass_core::record::{ChainFault, ChainHead};
use daypass_core::store::{Store, StoreError};
use once::Order;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where, and against which copies.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// A file with the copies of checkpoints that a second place has got, one a line: with it, a store that was put back to an
    /// earlier state is found as well.
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
}

/// How many links or checkpoints are read at a time.
const PAGE: usize = 1000;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(untagged)]
enum Fault {
    /// In a chain.
    #[error("{0}")]
    Chain(ChainFault),
    /// In a checkpoint, or between one and the rest.
    #[error("{0}")]
    Checkpoint(CheckpointFault),
    /// What stands in the store has not even the form of what was written.
    #[error("{error}")]
    Store {
        /// Always `store`.
        fault: &'static str,
        /// What the store says.
        error: String,
    },
    /// A record does not stand where it is looked for.
    #[error("the record at position {position} is not where its time says")]
    Order {
        /// Always `order`.
        fault: &'static str,
        /// Its position among the records of all chains.
        position: i64,
    },
    /// A line of the copies is none.
    #[error("line {line} of the copies is no checkpoint of this store: it should have {expected}")]
    Copy {
        /// Always `copy`.
        fault: &'static str,
        /// The line.
        line: usize,
        /// What it should have.
        expected: &'static str,
    },
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store { fault: "store", error: error.to_string() }
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    faults: Vec<Fault>,
    chains: usize,
    records: u64,
    removed: u64,
    checkpoints: u64,
    unsigned: u64,
    copies: Option<usize>,
}

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    let found = match look(&place, args.checkpoints.as_deref()).await {
        Err(error) => match error.downcast::<StoreError>() {
            Ok(error @ StoreError::Damaged(_)) => {
                Ok(Found { faults: vec![error.into()], ..Found::default() })
            }
            Ok(error) => Err(error.into()),
            Err(error) => Err(error),
        },
        found => found,
    };
    place.opened.store.close().await?;
    let found = found?;
    output.show(text(&found), || {
        json!({
            "records": found.records,
            "removed": found.removed,
            "chains": found.chains,
            "checkpoints": found.checkpoints,
            "unsigned": found.unsigned,
            "copies": found.copies,
            "faults": found.faults,
        })
    });
    if found.faults.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
}

fn text(found: &Found) -> String {
    let Found { chains, records, checkpoints, .. } = found;
    let mut lines: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
    let faults = found.faults.len();
    let mut parts = vec![
        format!("{records} records in {chains} chains, {faults} faults"),
        format!("{checkpoints} checkpoints"),
    ];
    if found.unsigned > 0 {
        parts.push(format!("{} records since the last", found.unsigned));
    }
    if found.removed > 0 {
        parts.push(format!("{} older records were removed", found.removed));
    }
    parts.extend(found.copies.map(|copies| format!("{copies} copies are the same")));
    lines.push(parts.join("; "));
    lines.join("\n")
}

async fn look(place: &Place, copies: Option<&Path>) -> anyhow::Result<Found> {
    let store = &*place.opened.store;
    let mut found = Found::default();
    // Before anything else: what a running server signs meanwhile must not look as if the store lacked it.
    let delivered = store.delivered().await?;
    let copies = copies.map(|path| read(place, path)).transpose()?;
    let mut heads: Vec<ChainHead>;
    let mut covered;
    // Checkpoints first and heads behind them: a server may go on writing, and what it adds is proved by a later head. Where
    // records were removed meanwhile, all is looked at again.
    loop {
        (covered, heads) = gather(place).await?;
        found.chains = heads.iter().filter(|head| head.seq > 0).count();
        if let Some(records) = once::look(store, &place.opened.ring, &covered, &heads).await? {
            found.records = records;
            break;
        }
        let before = found.faults.len();
        found.records = 0;
        // An empty one too: a head that says so may have had records.
        for head in &heads {
            // One chain that cannot be read is no reason to say nothing of the others.
            let (links, faults) = match chain(place, &covered, head).await {
                Err(error @ StoreError::Damaged(_)) => (0, vec![error.into()]),
                other => other?,
            };
            found.records += links;
            found.faults.extend(faults);
        }
        found.faults.extend(in_order(store).await?);
        if found.faults.len() == before || !moved(store, &heads).await? {
            break;
        }
        found.faults.clear();
    }
    found.removed = heads.iter().map(|head| head.first() - 1).sum();
    found.unsigned = heads.iter().map(|head| head.seq.saturating_sub(covered.signed(head.writer))).sum();
    found.checkpoints = covered.number();
    covered.handed_out(&delivered);
    covered.counted(&heads);
    if let Some((good, faults)) = copies {
        found.faults.extend(faults);
        found.copies = Some(covered.compare(&good));
    }
    found.faults.extend(covered.finish(&heads).into_iter().map(Fault::Checkpoint));
    found.faults.extend(behind_their_heads(store, &heads).await?.into_iter().map(Fault::Chain));
    Ok(found)
}

/// Every checkpoint of the store, and the heads as they were when the last one was made or later, and before the next.
async fn gather(place: &Place) -> Result<(Covered, Vec<ChainHead>), StoreError> {
    let (store, mut covered) = (&place.opened.store, Covered::default());
    loop {
        let all = store.checkpoints(covered.number(), PAGE).await?;
        for kept in &all {
            covered.take(kept, place.opened.ring.checkpoint_keys());
        }
        if all.is_empty() {
            let heads = store.heads().await?;
            let last = store.last_checkpoint().await?.map_or(0, |kept| kept.number);
            if last <= covered.number() {
                return Ok((covered, heads));
            }
        }
    }
}

/// When a record was written, as it says itself.
#[derive(Deserialize)]
struct Dated {
    at: Timestamp,
}

/// Everything that stands among the records, in the order in which it is searched: what belongs to no chain, and what is not found
/// by its time.
///
/// Attack: a record that no head leads to was added by somebody without the key; and by another time beside it a search for
/// that time passes it by.
async fn in_order(store: &dyn Store) -> Result<Vec<Fault>, StoreError> {
    let (mut faults, mut order) = (Vec::new(), Order::default());
    loop {
        let page = match store.placed(order.after(), PAGE).await {
            Err(error @ StoreError::Damaged(_)) => {
                faults.push(error.into());
                return Ok(faults);
            }
            page => page?,
        };
        if page.is_empty() {
            return Ok(faults);
        }
        for placed in page {
            if !order.take(&placed) && faults.len() < PAGE {
                faults.push(Fault::Order { fault: "order", position: placed.position });
            }
        }
    }
}

/// One chain from where it begins, with what its checkpoints say of it. Gives how many records it has.
async fn chain(place: &Place, covered: &Covered, head: &ChainHead) -> Result<(u64, Vec<Fault>), StoreError> {
    let mut witness = covered.witness(&place.opened.ring, head);
    let (mut after, mut records) = (0, 0);
    while after < head.seq {
        let mut links = place.opened.store.links(head.writer, after, PAGE).await?;
        links.retain(|link| link.seq <= head.seq);
        let Some(last) = links.last() else { break };
        after = last.seq;
        records += links.len() as u64;
        for link in &links {
            witness.take(link);
        }
    }
    let (chain, checkpoints) = witness.finish();
    let faults = chain.into_iter().map(Fault::Chain).chain(checkpoints.into_iter().map(Fault::Checkpoint));
    Ok((records, faults.collect()))
}

/// Whether records were removed since these heads were read.
async fn moved(store: &dyn Store, heads: &[ChainHead]) -> Result<bool, StoreError> {
    let now = store.heads().await?;
    let first = |head: &ChainHead| (head.writer, head.first());
    Ok(heads
        .iter()
        .any(|head| now.iter().any(|other| other.writer == head.writer && first(other) > first(head))))
}

/// The copies of a file that our keys have signed, and its lines that they have not.
fn read(place: &Place, path: &Path) -> anyhow::Result<(Vec<Kept>, Vec<Fault>)> {
    let (mut good, mut faults, mut line) = (Vec::new(), Vec::new(), 0);
    let ring = &place.opened.ring;
    copies(path, |copy| {
        line += 1;
        let opened = match &copy {
            Copy::Kept(kept) => kept.open(ring.checkpoint_keys()).map(|_| ()),
            Copy::Unreadable(_) => Err("the form of one"),
        };
        match (opened, copy) {
            (Ok(()), Copy::Kept(kept)) => good.push(kept),
            (Err(expected), _) => faults.push(Fault::Copy { fault: "copy", line, expected }),
            (Ok(()), Copy::Unreadable(_)) => (),
        }
    })
    .with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok((good, faults))
}

/// Records behind the end of their chain that no later end proves: added by someone without the key.
async fn behind_their_heads(store: &dyn Store, heads: &[ChainHead]) -> Result<Vec<ChainFault>, StoreError> {
    let mut beyond = Vec::new();
    for head in heads {
        if let Some(last) = store.links(head.writer, head.seq, PAGE).await?.last() {
            beyond.push((head.writer, last.seq));
        }
    }
    if beyond.is_empty() {
        return Ok(Vec::new());
    }
    // A head is written in the same commit as its records, so one read now is behind all that was read before.
    let now = store.heads().await?;
    let proved = |writer, seq| now.iter().any(|head| head.writer == writer && head.seq >= seq);
    let unproved = beyond.into_iter().filter(|(writer, seq)| !proved(*writer, *seq));
    Ok(unproved.map(|(writer, _)| ChainFault::Head { writer }).collect())
}
