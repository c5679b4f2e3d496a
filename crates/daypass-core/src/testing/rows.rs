//! Rows in memory, and those that the store in memory holds.

use crate::client::{Client, Key};
use crate::cutoff::Cutoff;
use crate::freeze::Freeze;
use crate::record::{ChainHead, Link, Record};
use crate::ring::RingRow;
use crate::store::StoreError;
use crate::transfer::{Blob, PAGE, Pages, RecordRow, Row, Writer};
use async_trait::async_trait;
use serde::Serialize;
use std::collections::VecDeque;

/// Rows that are read one page after the other.
pub struct Rows(VecDeque<Vec<Row>>);

impl Rows {
    /// These rows, in pages of one part each.
    pub fn new(all: &[Row]) -> Self {
        let parts = all.chunk_by(|a, b| a.part() == b.part());
        Self(parts.flat_map(|part| part.chunks(PAGE)).map(<[Row]>::to_vec).collect())
    }
}

#[async_trait]
impl Pages for Rows {
    async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        Ok(self.0.pop_front())
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

fn sorted<T, K: Ord>(all: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by_key(|value| key(value));
    all
}

/// The ring as rows.
pub fn ring_part(ring: &[RingRow]) -> Vec<Row> {
    sorted(ring, |row| (row.purpose.name(), row.version))
        .into_iter()
        .map(|row| Row::Ring(row.into()))
        .collect()
}

/// Clients, their keys and what was taken back or stopped as rows.
pub(super) fn people(clients: &[Client], keys: &[Key], cutoffs: &[Cutoff], freezes: &[Freeze]) -> Vec<Row> {
    let clients = sorted(clients, |client| client.guid).into_iter().map(|client| Row::Client(text(client)));
    let keys = sorted(keys, |key| key.id.clone()).into_iter().map(|key| Row::Key(text(key)));
    let cutoffs = sorted(cutoffs, |cutoff| text(&cutoff.scope));
    let cutoffs = cutoffs
        .into_iter()
        .map(|cutoff| Row::Cutoff { scope: text(&cutoff.scope), before: cutoff.before.as_millisecond() });
    let freezes = sorted(freezes, |freeze| text(&freeze.place));
    let freezes = freezes
        .into_iter()
        .map(|freeze| Row::Freeze { place: text(&freeze.place), since: freeze.since.as_millisecond() });
    clients.chain(keys).chain(cutoffs).chain(freezes).collect()
}

/// One writer's records as rows, with the writer in front.
pub fn chain_part(head: &ChainHead, records: &[(Record, Link)]) -> Vec<Row> {
    let mut latest = i64::MIN;
    let record = |(position, (record, link)): (i64, &(Record, Link))| {
        let at = record.at.as_millisecond();
        latest = latest.max(at);
        let seq = i64::try_from(link.seq).expect("few records");
        let document = link.blob.clone().into();
        let (mac, tenant) = (Blob(link.mac.to_vec()), record.tenant.clone());
        Row::Record(Box::new(RecordRow {
            position,
            writer: 1,
            seq,
            at,
            latest,
            mark: None,
            mac,
            tenant,
            document,
            damaged: false,
        }))
    };
    std::iter::once(Row::Writer(Writer::of(1, head))).chain((1..).zip(records).map(record)).collect()
}
