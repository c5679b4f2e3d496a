//! What a record of each kind takes on either store, with all that is kept so that it can be proved.

use super::place::{Postgres, sqlite};
use super::records::{KINDS, Maker, chain};
use super::{Plan, Section};
use crate::statistics::number;
use anyhow::Context as _;
use daypass_core::store::Store;
use futures_util::future::try_join_all;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// How many of each.
const RECORDS: usize = 100_000;
/// How many are written at once.
const BATCH: usize = 500;

pub(super) fn measure(plan: &Plan, postgres: Option<&Postgres>) -> anyhow::Result<Vec<Section>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let count = plan.scaled(RECORDS);
    let mut section = Section::new("Bytes for each record", ["record", "document", "SQLite", "PostgreSQL"]);
    for (index, (kind, document)) in KINDS.into_iter().enumerate() {
        let folder = plan.folder.join(format!("size-{index}"));
        let url = sqlite(&folder)?;
        let empty = runtime.block_on(fill(&url, document, 0)).and_then(|()| file(&folder))?;
        runtime.block_on(fill(&url, document, count))?;
        let each = |bytes: u64| format!("{:.0}", number(bytes) / number(count as u64));
        let in_sqlite = each(file(&folder)?.saturating_sub(empty));
        let in_postgres = postgres.map(|postgres| {
            let database = postgres.database();
            runtime.block_on(fill(&database.url(), document, 0))?;
            let empty = database.size("records")?;
            runtime.block_on(fill(&database.url(), document, count))?;
            Ok::<_, anyhow::Error>(each(database.size("records")?.saturating_sub(empty)))
        });
        let in_postgres = in_postgres.transpose()?.unwrap_or_else(|| "-".to_owned());
        section.row([kind.to_owned(), document.len().to_string(), in_sqlite, in_postgres]);
    }
    section.notes.push(format!(
        "{count} of each, one kind in one store; with the MAC, the mark of a signed request, and every index. A checkpoint is some 600 \
         bytes, at most one a minute."
    ));
    Ok(vec![section])
}

/// Opens a store, writes so many records and closes it.
async fn fill(url: &str, document: &str, count: usize) -> anyhow::Result<()> {
    let address = url.to_owned();
    let store: Arc<dyn Store> = tokio::task::spawn_blocking(move || daypass_stores::open(&address)).await??;
    store.begin(chain()?).await?;
    append(&*store, document, count).await?;
    Ok(store.close().await?)
}

/// Writes so many records of one kind.
pub(super) async fn append(store: &dyn Store, document: &str, count: usize) -> anyhow::Result<()> {
    let maker = Maker::of(document)?;
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        try_join_all((0..batch).map(|_| store.append(maker.entry()))).await?;
        left -= batch;
    }
    Ok(())
}

/// The size of the database, which was closed, so that no log is beside it.
fn file(folder: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(folder.join("daypass.db")).context("no database")?.len())
}
