//! `daypass audit search`.

use super::filter::{FilterArgs, first_of, last_of, span};
use super::line;
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::PlaceArgs;
use daypass_core::record::filter::{Filter, Sieve};
use daypass_core::record::{Placed, Record};
use daypass_core::store::{Store, StoreError};
use serde_json::json;
use std::ops::Range;

/// What to look for.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// How many to print: the newest ones; 0 for all.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    let result = search(&*place.opened.store, args, output).await;
    place.opened.store.close().await?;
    result
}

async fn search(store: &dyn Store, args: &Args, output: &Output) -> Result<(), Failure> {
    let filter = args.filter.filter(store, app::now()).await?;
    let span = span(store, &filter).await?;
    let search = Search { sieve: filter.sieve(), filter };
    let (found, looked_at) = match args.limit {
        0 => search.all(store, span, |record| show(output, record)).await?,
        limit => {
            let (found, looked_at) = search.newest(store, span, limit).await?;
            found.iter().rev().for_each(|record| show(output, record));
            (found.len() as u64, looked_at)
        }
    };
    let more = if args.limit > 0 && found == args.limit as u64 {
        "; there may be older ones, see --limit"
    } else {
        ""
    };
    output.note(format!("{found} found, {looked_at} looked at{more}"));
    Ok(())
}

/// JSON Lines: one document each.
fn show(output: &Output, record: &Record) {
    output.show(line(record), || json!(record));
}

/// What is looked for, and what keeps most of the rest from being read.
struct Search {
    filter: Filter,
    sieve: Sieve,
}

impl Search {
    /// The record, if it is one of those.
    fn sift(&self, placed: &Placed) -> Result<Option<Record>, StoreError> {
        if !self.sieve.lets_through(&placed.link.blob) {
            return Ok(None);
        }
        let record: Record = serde_json::from_slice(&placed.link.blob).map_err(|error| {
            StoreError::Damaged(format!("the record at position {}: {error}", placed.position))
        })?;
        Ok(Some(record).filter(|record| self.filter.matches(record)))
    }

    /// Up to so many of the newest, the newest first, and how many were looked at.
    async fn newest(
        &self,
        store: &dyn Store,
        mut span: Range<i64>,
        limit: usize,
    ) -> Result<(Vec<Record>, u64), StoreError> {
        let (mut found, mut looked_at) = (Vec::new(), 0);
        while !span.is_empty() && found.len() < limit {
            let page = last_of(store, &span).await?;
            for placed in page.iter().rev() {
                span.end = placed.position;
                looked_at += 1;
                found.extend(self.sift(placed)?);
                if found.len() == limit {
                    break;
                }
            }
        }
        Ok((found, looked_at))
    }

    /// Gives every one away, oldest first; how many they were, and how many were looked at.
    async fn all(
        &self,
        store: &dyn Store,
        mut span: Range<i64>,
        mut take: impl FnMut(&Record),
    ) -> Result<(u64, u64), StoreError> {
        let (mut found, mut looked_at) = (0, 0);
        while !span.is_empty() {
            for placed in first_of(store, &span).await? {
                span.start = placed.position + 1;
                looked_at += 1;
                if let Some(record) = self.sift(&placed)? {
                    found += 1;
                    take(&record);
                }
            }
        }
        Ok((found, looked_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::after;
    use daypass_core::explained::AnswerId;
    use daypass_core::record::Entry;
    use daypass_core::testing::{MemoryStore, START};
    use uuid::Uuid;

    /// A record each second, every hundredth of another tenant.
    async fn store(count: u32) -> MemoryStore {
        let store = MemoryStore::new();
        for n in 0..count {
            let tenant = if n % 100 == 0 { "rare" } else { "acme" };
            let at = after(START, n);
            let record =
                Record::change(Uuid::from_u128(n.into()), at, Some(tenant.into()), "a.b", &n.to_string());
            store.append(Entry { record, mark: None }).await.unwrap();
        }
        store
    }

    fn search_for(filter: Filter) -> Search {
        Search { sieve: filter.sieve(), filter }
    }

    fn objects(records: &[Record]) -> Vec<u128> {
        records.iter().map(|record| record.id.as_u128()).collect()
    }

    #[tokio::test]
    async fn the_newest_are_found_without_looking_at_all() {
        let store = store(2500).await;
        let search = search_for(Filter { tenant: Some("rare".into()), ..Filter::default() });
        let whole = span(&store, &search.filter).await.unwrap();
        assert_eq!(whole, 1..2501);
        let (found, looked_at) = search.newest(&store, whole.clone(), 3).await.unwrap();
        assert_eq!((objects(&found), looked_at), (vec![2400, 2300, 2200], 300));
        let (found, looked_at) = search.newest(&store, whole.clone(), 1000).await.unwrap();
        assert_eq!((found.len(), looked_at), (25, 2500));
        let mut all = Vec::new();
        let told = search.all(&store, whole, |record| all.push(record.clone())).await.unwrap();
        assert_eq!(told, (25, 2500));
        assert_eq!(objects(&all), (0..25).map(|n| n * 100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn nothing_is_found_in_an_empty_store() {
        let store = MemoryStore::new();
        let search = search_for(Filter::default());
        let nothing = span(&store, &search.filter).await.unwrap();
        assert_eq!(search.newest(&store, nothing, 5).await.unwrap(), (vec![], 0));
    }

    #[tokio::test]
    async fn the_time_in_a_request_s_id_is_where_it_is_looked_for() {
        let store = MemoryStore::new();
        let mut wanted = Uuid::nil();
        for n in 0..10_000 {
            let at = after(START, n);
            let millis = u128::from(at.as_millisecond().unsigned_abs());
            let id = Uuid::from_u128((millis << 80) | (0x7 << 76) | (0x8 << 60) | u128::from(n));
            if n == 4321 {
                wanted = id;
            }
            let mut record = Record::change(Uuid::from_u128(n.into()), at, None, "a.b", "x");
            record.request = Some(id);
            store.append(Entry { record, mark: None }).await.unwrap();
        }
        let filter = Filter { request: Some(AnswerId::Whole(wanted)), ..Filter::default() };
        let search = search_for(filter);
        let near = span(&store, &search.filter).await.unwrap();
        assert_eq!(near.start, 4321 + 1 - 2, "two seconds before");
        assert_eq!(near.end, 4321 + 1 + 15 + 3600, "and an hour behind its latest time");
        let (found, _) = search.newest(&store, near, 5).await.unwrap();
        assert_eq!(objects(&found), [4321]);
    }
}
