//! The records since some time, page by page.

use super::client::{When, parse_when};
use super::output::Failure;
use daypass_core::clock::{SignedDuration, Timestamp};
use daypass_core::record::Record;
use daypass_core::store::{RecordQuery, Store};

/// How many records are read at a time.
const PAGE: usize = 1000;

/// Reads `7d`, `12h`, `2026-11-01` or a whole time: a length is of the past.
pub(super) fn parse_since(text: &str) -> Result<When, String> {
    parse_when(text)
}

/// The time that is meant.
pub(super) fn begin(since: When, now: Timestamp) -> Timestamp {
    match since {
        When::In(seconds) => {
            now.checked_sub(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MIN)
        }
        When::At(at) => at,
    }
}

/// Shows every record since then, oldest first, and gives back how many there were.
pub(super) async fn each(
    store: &dyn Store,
    tenant: Option<&str>,
    since: Timestamp,
    mut take: impl FnMut(&Record),
) -> Result<u64, Failure> {
    let tenant = tenant.map(str::to_owned);
    let mut query = RecordQuery { tenant, since: Some(since), after: Some(0), limit: PAGE };
    let mut count = 0;
    loop {
        let page = store.records(query.clone()).await?;
        let Some(last) = page.last() else { return Ok(count) };
        query.after = Some(last.position);
        for stored in &page {
            count += 1;
            take(&stored.record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::record::Entry;
    use daypass_core::testing::{MemoryStore, START};
    use uuid::Uuid;

    #[test]
    fn a_length_is_of_the_past() {
        let begin = |text: &str| begin(parse_since(text).unwrap(), START).as_second();
        assert_eq!(begin("7d"), START.as_second() - 7 * 86_400);
        assert_eq!(begin("2023-11-14"), START.as_second() - START.as_second() % 86_400);
        assert_eq!(begin("4000000000s"), START.as_second() - 4_000_000_000);
        assert!(parse_since("soon").is_err());
    }

    #[tokio::test]
    async fn every_record_is_shown_once() {
        let store = MemoryStore::new();
        for n in 0..2001 {
            let record = Record::change(Uuid::from_u128(n), START, None, "a", "b");
            store.append(Entry { record, mark: None }).await.unwrap();
        }
        let mut seen = Vec::new();
        let count = each(&store, None, START, |record| seen.push(record.id.as_u128())).await.unwrap();
        assert_eq!((count, seen), (2001, (0..2001).collect()));
    }
}
