//! `daypass audit export`: records with the proof that they were there, for somebody who trusts neither the store nor us.
//!
//! Each chain is read twice: once for its tree and for what is looked for in it, and then the blocks again that hold something. So
//! what is kept in memory grows with the number of chains, and by some 100 bytes for a thousand records.

use super::draft::Draft;
use super::filter::FilterArgs;
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::{Place, PlaceArgs};
use crate::records;
use anyhow::Context as _;
use daypass_core::record::export::{Cover, Export, Known};
use daypass_core::record::filter::{Filter, Sieve};
use daypass_core::record::tree::{BLOCK, Frontier, Hash, Ranges, leaf};
use daypass_core::record::{ChainHead, Link, Record};
use daypass_core::ring::Ring;
use daypass_core::store::{Store, StoreError};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use uuid::Uuid;

/// What to export, and where to.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// The file to make, readable by its owner alone; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// How many links or checkpoints are read at a time.
const PAGE: u64 = 1000;

pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    let result = export(&place, args, output).await;
    place.opened.store.close().await?;
    result
}

async fn export(place: &Place, args: &Args, output: &Output) -> Result<(), Failure> {
    let (store, ring) = (&*place.opened.store, &*place.opened.ring);
    let filter = args.filter.filter(store, app::now()).await?;
    let mut file = Draft::begin(&args.out)?;
    // What was recorded up to now is to be in it. Where nothing can be written, the disk may be full, and what is there already
    // is wanted all the more.
    let wanted = Wanted {
        heads: store.heads().await?,
        signed: records::sign(store, ring, app::now(), None).await.map(drop),
    };
    if let Err(fault) = &wanted.signed {
        output
            .note(format!("no new checkpoint: {fault:#}; what was recorded since the last one is left out"));
    }
    let done = write(store, ring, &filter, &wanted, &mut file).await?;
    file.keep()?;
    for fault in &done.faults {
        output.note(fault);
    }
    let whole = if done.whole { "; nothing that is kept is left out" } else { "" };
    let text = format!("{} of {} records are in {}{whole}", done.records, done.looked_at, args.out.display());
    output.show(text, || {
        let Done { records, looked_at, checkpoint, whole, faults } = &done;
        json!({ "file": args.out, "records": records, "looked_at": looked_at, "checkpoint": checkpoint,
                "whole": whole, "faults": faults })
    });
    if done.faults.is_empty() {
        return Ok(());
    }
    output.note("what does not prove is left out; `daypass audit verify` says what is wrong with it");
    Err(Failure::Said(1))
}

/// What was there before a new checkpoint was made, and whether one could be.
struct Wanted {
    heads: Vec<ChainHead>,
    signed: anyhow::Result<()>,
}

impl Wanted {
    /// The chains of which no checkpoint covers all that was there.
    ///
    /// Attack: whoever makes the store say that a chain is covered already keeps it from being signed, and an export without
    /// its newest records would still be whole as far as checkpoints can tell.
    fn uncovered(&self, cover: &Cover) -> impl Iterator<Item = Uuid> {
        let short = |head: &&ChainHead| cover.of(head.writer).map_or(0, |known| known.span.size) < head.seq;
        self.heads.iter().filter(short).map(|head| head.writer)
    }
}

/// What an export has come to.
struct Done {
    records: u64,
    looked_at: u64,
    checkpoint: u64,
    whole: bool,
    faults: Vec<String>,
}

/// What stays the same from chain to chain.
struct Reading<'a> {
    store: &'a dyn Store,
    filter: &'a Filter,
    sieve: Sieve,
    everything: bool,
}

async fn write(
    store: &dyn Store,
    ring: &Ring,
    filter: &Filter,
    wanted: &Wanted,
    to: &mut impl Write,
) -> Result<Done, Failure> {
    let cover = cover(store).await?;
    if cover.last() == 0 {
        return Err(Failure::Refused("there is no checkpoint yet by which anything could be proved".into()));
    }
    let begun = Export::begin(app::now(), filter, ring.checkpoint_keys()).context("the first line")?;
    let (mut export, line) = begun;
    put(to, &line)?;
    for number in cover.checkpoints() {
        let kept = store.checkpoints(number - 1, 1).await?.into_iter().next();
        let kept = kept.filter(|kept| kept.number == number && kept.open(ring.checkpoint_keys()).is_ok());
        let bad = || {
            Failure::Refused(format!(
                "checkpoint {number} is not what was signed; see `daypass audit verify`"
            ))
        };
        put(to, &export.checkpoint(&kept.ok_or_else(bad)?))?;
    }
    let everything = filter.is_everything();
    let reading = Reading { store, filter, sieve: filter.sieve(), everything };
    let no_end = |writer| {
        format!(
            "the chain of writer {writer} does not lead to its end: no checkpoint covers what it has grown by"
        )
    };
    let uncovered: Vec<Uuid> = wanted.uncovered(&cover).collect();
    let whole = everything && uncovered.is_empty();
    // Where no checkpoint could be made, that was said, and is no fault of the chains.
    let faults = if wanted.signed.is_ok() { uncovered.into_iter().map(no_end).collect() } else { Vec::new() };
    let mut done = Done { records: 0, looked_at: 0, checkpoint: cover.last(), whole, faults };
    let heads = store.heads().await?;
    for head in &heads {
        let Some(known) = cover.of(head.writer) else { continue };
        match reading.chain(ring, head, &known, &mut export, to).await? {
            Ok((looked_at, records)) => {
                done.looked_at += looked_at;
                done.records += records;
            }
            Err(fault) => done.faults.push(fault),
        }
        // Where more was removed than the checkpoints say by now, a reader would miss it.
        done.whole &= head.first() == known.cut + 1;
    }
    let there: BTreeSet<Uuid> = heads.iter().map(|head| head.writer).collect();
    let gone = cover.writers().filter(|writer| !there.contains(writer));
    done.faults.extend(gone.map(|writer| format!("the chain of writer {writer} is gone")));
    done.whole &= done.faults.is_empty() && cover.is_whole();
    put(to, &export.end(ring, done.looked_at, done.whole).context("the end")?)?;
    Ok(done)
}

/// What all checkpoints of the store say.
async fn cover(store: &dyn Store) -> Result<Cover, Failure> {
    let (mut cover, mut after) = (Cover::default(), 0);
    loop {
        let page = store.checkpoints(after, usize::try_from(PAGE).unwrap_or(usize::MAX)).await?;
        let Some(last) = page.last() else { return Ok(cover) };
        after = last.number;
        for kept in &page {
            let number = kept.number;
            let bad = || {
                Failure::Refused(format!("checkpoint {number} cannot be read; see `daypass audit verify`"))
            };
            cover.look(kept).ok_or_else(bad)?;
        }
    }
}

/// How many records were looked at and how many written, or why none was.
type Chained = Result<(u64, u64), String>;

impl Reading<'_> {
    async fn chain(
        &self,
        ring: &Ring,
        head: &ChainHead,
        known: &Known,
        export: &mut Export,
        to: &mut impl Write,
    ) -> Result<Chained, Failure> {
        let writer = head.writer;
        let base = match (&head.base, head.begins(ring)) {
            (None, _) => Frontier::new(),
            (Some(_), Some(base)) => base.frontier.clone(),
            (Some(_), None) => {
                return Ok(Err(format!("the beginning of the chain of writer {writer} is not proved")));
            }
        };
        let begin = base.size();
        let Some((ranges, blocks)) = self.tree(writer, base, known.span.size).await? else {
            return Ok(Err(format!("records of writer {writer} are missing")));
        };
        if ranges.frontier().root() != known.span.root {
            let number = known.checkpoint;
            return Ok(Err(format!(
                "the records of writer {writer} are not those that checkpoint {number} has signed"
            )));
        }
        let mut records = 0;
        for block in blocks {
            records += self.block(writer, &ranges, block * BLOCK, known.checkpoint, export, to).await?;
        }
        Ok(Ok((known.span.size - begin, records)))
    }

    /// The tree of a chain up to a size, and in which blocks of it something is that is looked for. None if a record is missing.
    async fn tree(
        &self,
        writer: Uuid,
        base: Frontier,
        size: u64,
    ) -> Result<Option<(Ranges, BTreeSet<u64>)>, Failure> {
        let (mut ranges, mut blocks) = (Ranges::new(base), BTreeSet::new());
        while ranges.frontier().size() < size {
            let after = ranges.frontier().size();
            let links = self.links(writer, after, size.min(after + PAGE)).await?;
            let Some(links) = links else { return Ok(None) };
            for link in &links {
                if self.wants(link)? {
                    blocks.insert((link.seq - 1) / BLOCK);
                }
                ranges.append(leaf(&link.blob));
            }
        }
        Ok((ranges.frontier().size() == size).then_some((ranges, blocks)))
    }

    /// Writes what is looked for of one block, which begins with this leaf or holds it.
    async fn block(
        &self,
        writer: Uuid,
        ranges: &Ranges,
        index: u64,
        checkpoint: u64,
        export: &mut Export,
        to: &mut impl Write,
    ) -> Result<u64, Failure> {
        let moved = || Failure::Refused(format!("records of writer {writer} were changed meanwhile"));
        // A block may begin before what is kept.
        let index = index.max(ranges.leaves_of(index).start);
        let span = ranges.leaves_of(index);
        let links = self.links(writer, span.start, span.end).await?.ok_or_else(moved)?;
        let leaves: Vec<Hash> = links.iter().map(|link| leaf(&link.blob)).collect();
        let block = ranges.block(index, &leaves).ok_or_else(moved)?;
        let mut records = 0;
        for link in &links {
            if self.wants(link)? {
                let path = block.path(link.seq - 1).ok_or_else(moved)?;
                put(to, &export.record(link, checkpoint, &path).ok_or_else(moved)?)?;
                records += 1;
            }
        }
        Ok(records)
    }

    /// The links behind one number up to another, in order; none if they are not all there.
    async fn links(&self, writer: Uuid, after: u64, up_to: u64) -> Result<Option<Vec<Link>>, StoreError> {
        let mut all: Vec<Link> = Vec::new();
        let mut last = after;
        while last < up_to {
            let limit = usize::try_from(up_to - last).unwrap_or(usize::MAX);
            let page = self.store.links(writer, last, limit).await?;
            if page.is_empty() || !page.iter().map(|link| link.seq).eq(last + 1..=last + page.len() as u64) {
                return Ok(None);
            }
            last += page.len() as u64;
            all.extend(page);
        }
        Ok(Some(all))
    }

    fn wants(&self, link: &Link) -> Result<bool, Failure> {
        if self.everything {
            return Ok(true);
        }
        if !self.sieve.lets_through(&link.blob) {
            return Ok(false);
        }
        let bad = || format!("record {} of writer {} cannot be read", link.seq, link.writer);
        let record: Record = serde_json::from_slice(&link.blob).with_context(bad)?;
        Ok(self.filter.matches(&record))
    }
}

fn put(to: &mut impl Write, line: &[u8]) -> Result<(), Failure> {
    Ok(to.write_all(line).context("cannot write the export")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::record::Entry;
    use daypass_core::testing::{self, MemoryStore, START};

    async fn store() -> MemoryStore {
        let store = MemoryStore::new();
        for n in 0..5 {
            let record = Record::change(Uuid::from_u128(n), START, None, "a", "b");
            store.append(Entry { record, mark: None }).await.unwrap();
        }
        store
    }

    async fn exported(store: &MemoryStore, signed: anyhow::Result<()>, heads: Vec<ChainHead>) -> Done {
        let wanted = Wanted { heads, signed };
        write(store, &testing::ring(), &Filter::default(), &wanted, &mut Vec::new()).await.unwrap()
    }

    #[tokio::test]
    async fn an_export_is_whole_only_if_a_checkpoint_covers_all_that_was_there() {
        let store = store().await;
        records::sign(&store, &testing::ring(), START, None).await.unwrap();
        let heads = store.heads().await.unwrap();
        let done = exported(&store, Ok(()), heads.clone()).await;
        assert_eq!((done.records, done.whole, done.faults.len()), (5, true, 0));
        // As if one more had been there, which was not signed although it was tried.
        let longer: Vec<_> = heads.into_iter().map(|head| ChainHead { seq: head.seq + 1, ..head }).collect();
        let done = exported(&store, Ok(()), longer.clone()).await;
        assert_eq!((done.records, done.whole, done.faults.len()), (5, false, 1));
        let full = Err(anyhow::anyhow!("the disk is full"));
        let done = exported(&store, full, longer).await;
        assert_eq!((done.records, done.whole, done.faults.len()), (5, false, 0), "which was said before");
    }
}
