//! Where records stand in their chains, and whether the chains prove it.

use crate::cli::output::Failure;
use daypass_core::record::Checker;
use daypass_core::ring::Ring;
use daypass_core::store::Store;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How many links are read at a time.
const PAGE: usize = 1000;

/// A record's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The process that wrote it.
    pub(super) writer: Uuid,
    /// Its number there, from 1.
    pub(super) seq: u64,
    /// What is wrong with that chain; nothing, if it proves the record.
    pub(super) faults: Vec<String>,
}

/// Reads every chain and finds these records in them.
pub(super) async fn places(
    store: &dyn Store,
    ring: &Ring,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Place>, Failure> {
    // A record is the JSON of its fields in order, and the first of them is its id.
    let wanted: Vec<_> = ids.iter().map(|id| (*id, format!("{{\"id\":\"{id}\""))).collect();
    let mut places = BTreeMap::new();
    for head in store.heads().await?.iter().filter(|head| head.seq > 0) {
        let mut checker = Checker::new(ring, head);
        let (mut after, mut found) = (0, Vec::new());
        while after < head.seq {
            let mut links = store.links(head.writer, after, PAGE).await?;
            links.retain(|link| link.seq <= head.seq);
            let Some(last) = links.last() else { break };
            after = last.seq;
            for link in &links {
                checker.take(link);
                let is = |(_, begins): &&(Uuid, String)| link.blob.starts_with(begins.as_bytes());
                found.extend(wanted.iter().find(is).map(|(id, _)| (*id, link.seq)));
            }
        }
        if !found.is_empty() {
            let faults: Vec<_> = checker.finish().iter().map(ToString::to_string).collect();
            let place = |seq| Place { writer: head.writer, seq, faults: faults.clone() };
            places.extend(found.into_iter().map(|(id, seq)| (id, place(seq))));
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::record::{Chain, Entry, Record};
    use daypass_core::testing::{MemoryStore, START, ring};

    #[tokio::test]
    async fn a_record_has_a_place_that_its_chain_proves() {
        let store = MemoryStore::default();
        let writer = Uuid::from_u128(7);
        store.begin(Chain::begin(&ring(), writer).unwrap()).await.unwrap();
        for n in 1..=3 {
            let record = Record::change(
                Uuid::from_u128(n),
                START,
                None,
                "a",
                &format!("{{\"id\":\"{}\"", Uuid::from_u128(9)),
            );
            store.append(Entry { record, mark: None }).await.unwrap();
        }
        let find = async |id: u128| {
            let id = Uuid::from_u128(id);
            places(&store, &ring(), &[id]).await.unwrap().remove(&id)
        };
        assert_eq!(find(2).await, Some(Place { writer, seq: 2, faults: vec![] }));
        assert_eq!(find(9).await, None, "an id inside a record is not its own");
    }
}
