//! Whether rows are a store that can be read and proved: told before anything of it is believed.

use super::{Blob, Census, Count, Damage, Pages, Part, RecordRow, Row, Writer};
use crate::clock::Timestamp;
use crate::record::{Chain, ChainHead, Checker, Record};
use crate::ring::{Ring, RingRow, SealId, SealRow};
use crate::store::StoreError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What was found in rows that can be read.
pub struct Proved {
    /// The rows.
    pub census: BTreeMap<Part, Count>,
    /// The writers, by their numbers.
    pub writers: BTreeMap<i64, ChainHead>,
    /// The ring, where it was opened.
    pub ring: Option<Arc<Ring>>,
    /// The last position of a record, and the latest time up to it in milliseconds.
    pub end: Option<(i64, i64)>,
    /// The latest time that was believed, in milliseconds.
    pub latest: i64,
    /// The number of the last checkpoint.
    pub checkpoint: Option<i64>,
    /// What is wrong with the records; nothing where they were to be proved.
    pub damage: Damage,
    /// The largest number of a writer.
    last_writer: i64,
}

/// What is wrong with rows.
#[derive(Debug, thiserror::Error)]
pub enum Unproved {
    /// They could not be read to their end.
    #[error("{0}")]
    Read(#[from] StoreError),
    /// The ring does not open.
    #[error("{0}")]
    Ring(String),
    /// A row cannot be right.
    #[error("{0}")]
    Row(String),
    /// The chains of records do not verify.
    #[error("the records are not what was written: {0}")]
    Chains(Damage),
}

/// What opens the ring, and knows by what is said of it whether it is the right seal key. An older ring may lack keys of purposes
/// that came later; whatever makes up for them here is not written anywhere.
pub type Opens<'a> = &'a (dyn Fn(&[RingRow], Option<&SealRow>) -> Result<Ring, String> + Sync);

/// Reads rows to their end: each is understood and in its order, and with the seal key, the ring opens, every key of it, and the
/// chains of all records verify under it.
pub async fn prove(pages: &mut dyn Pages, open: Option<Opens<'_>>) -> Result<Proved, Unproved> {
    let found = inspect(pages, open).await?;
    if found.damage.is_none() { Ok(found) } else { Err(Unproved::Chains(found.damage)) }
}

/// The same where records may be damaged: what is wrong with them is told in [`Proved::damage`]. Of what is no record, nothing
/// may be wrong.
pub async fn inspect(pages: &mut dyn Pages, open: Option<Opens<'_>>) -> Result<Proved, Unproved> {
    let mut census = Census::default();
    let mut known = Known {
        ring: Vec::new(),
        seal: None,
        clock: i64::MIN,
        checkpoint: None,
        writers: BTreeMap::new(),
        last: None,
    };
    let mut page = pages.next().await?;
    while let Some(rows) = page.take_if(|rows| rows.iter().all(|row| row.part() < Part::Record)) {
        take(&mut census, &rows)?;
        rows.iter().try_for_each(|row| known.take(row))?;
        page = pages.next().await?;
    }
    let ring = open.map(|open| open(&known.ring, known.seal.as_ref())).transpose();
    let ring = ring.map_err(Unproved::Ring)?.map(Arc::new);
    let mut chains = Chains::new(ring.as_deref(), &known.writers);
    while let Some(rows) = page {
        take(&mut census, &rows)?;
        for row in &rows {
            let Row::Record(record) = row else { return Err(disorder(row.part())) };
            chains.take(record);
        }
        page = pages.next().await?;
    }
    let end = chains.end;
    // Nothing in it was believed to be later than this.
    let latest = known.clock.max(chains.latest);
    let damage = chains.finish();
    let Known { writers, checkpoint, .. } = known;
    let last_writer = writers.last_key_value().map_or(0, |(last, _)| *last);
    let writers = writers.into_iter().filter_map(|(number, head)| Some((number, head?))).collect();
    Ok(Proved { census: census.finish(), writers, ring, end, latest, checkpoint, damage, last_writer })
}

fn take(census: &mut Census, rows: &[Row]) -> Result<(), Unproved> {
    census.take_all(rows).map_err(|error| Unproved::Row(error.to_string()))
}

fn disorder(part: Part) -> Unproved {
    Unproved::Row(format!("{} stand behind what comes after them", part.name()))
}

/// What comes before the records.
struct Known {
    ring: Vec<RingRow>,
    seal: Option<SealRow>,
    clock: i64,
    checkpoint: Option<i64>,
    /// By their numbers; none of one whose end cannot be one.
    writers: BTreeMap<i64, Option<ChainHead>>,
    last: Option<Part>,
}

impl Known {
    fn take(&mut self, row: &Row) -> Result<(), Unproved> {
        let part = row.part();
        if self.last.replace(part).is_some_and(|last| last > part) {
            return Err(disorder(part));
        }
        row.understood().map_err(|error| Unproved::Row(format!("one of the {}: {error}", part.name())))?;
        match row {
            Row::Ring(key) => {
                let name =
                    || format!("`{}/{}` is no ring key that this Daypass knows", key.purpose, key.version);
                self.ring.push(key.key().ok_or_else(|| Unproved::Row(name()))?);
            }
            Row::Seal { id, checked, since } => {
                let since = Timestamp::from_millisecond(*since).ok();
                let row = || Some(SealRow { id: SealId::new(*id), check: checked.array()?, since: since? });
                let wrong = || Unproved::Row("the check value of the seal key cannot be one".to_owned());
                self.seal = Some(row().ok_or_else(wrong)?);
            }
            Row::Clock { mark } => self.clock = self.clock.max(*mark),
            Row::Checkpoint { number, .. } => self.checkpoint = Some(*number),
            Row::Writer(writer) => {
                self.writers.insert(writer.number, writer.head());
            }
            _ => (),
        }
        Ok(())
    }
}

/// The chains of all writers, as their records go by.
struct Chains<'a> {
    /// The writer, and its chain where there is a ring to check it by; none of one whose end cannot be one.
    writers: BTreeMap<i64, Option<(Uuid, Option<Checker<'a>>)>>,
    end: Option<(i64, i64)>,
    /// The latest time that a record says with which nothing is wrong.
    latest: i64,
    damage: Damage,
}

/// When a record was written, as it says itself.
#[derive(Deserialize)]
struct Dated {
    at: Timestamp,
}

impl Proved {
    /// The rows that add records, made by a process that began to write behind all there is.
    pub fn add(&self, mut chain: Chain, records: &[Record]) -> Result<Vec<Row>, serde_json::Error> {
        let number = self.last_writer.saturating_add(1);
        let (mut position, mut latest) = self.end.unwrap_or((0, i64::MIN));
        let mut rows = Vec::new();
        for record in records {
            let link = chain.link(record)?;
            let at = record.at.as_millisecond();
            (position, latest) = (position.saturating_add(1), latest.max(at));
            rows.push(Row::Record(Box::new(RecordRow {
                position,
                writer: number,
                seq: i64::try_from(link.seq).unwrap_or(i64::MAX),
                at,
                latest,
                mark: None,
                mac: Blob(link.mac.to_vec()),
                tenant: record.tenant.clone(),
                document: link.blob.into(),
                damaged: false,
            })));
        }
        rows.insert(0, Row::Writer(Writer::of(number, &chain.head())));
        Ok(rows)
    }
}

impl<'a> Chains<'a> {
    fn new(ring: Option<&'a Ring>, writers: &'a BTreeMap<i64, Option<ChainHead>>) -> Self {
        let mut damage = Damage::default();
        let begin = |(number, head): (&i64, &'a Option<ChainHead>)| {
            if head.is_none() {
                damage.note(|| format!("the writer number {number} cannot be one"));
            }
            let chain = head.as_ref().map(|head| (head.writer, ring.map(|ring| Checker::new(ring, head))));
            (*number, chain)
        };
        let writers = writers.iter().map(begin).collect();
        Self { writers, end: None, latest: i64::MIN, damage }
    }

    fn take(&mut self, record: &RecordRow) {
        let RecordRow { position, latest, writer: number, .. } = *record;
        let damage = &mut self.damage;
        let mut sound = true;
        let mut wrong = |what: &str| {
            sound = false;
            damage.note(|| format!("the record at position {position} {what}"));
        };
        let before = self.end.replace((position, latest));
        if before.is_some_and(|(last, _)| position != last.saturating_add(1)) {
            wrong("does not follow the one before");
        }
        // One that does not say its time is told by its chain.
        let own =
            serde_json::from_slice(record.document.bytes()).map(|dated: Dated| dated.at.as_millisecond());
        let at = own.unwrap_or(record.at);
        // Of the first, the latest before it may be gone.
        if record.at != at || before.map_or(latest < at, |(_, before)| latest != before.max(at)) {
            wrong("is not where its time says");
        }
        if record.damaged {
            wrong("is not what its sum says");
        }
        let good = match (self.writers.get_mut(&number), record) {
            (None, _) => {
                wrong("has no writer");
                false
            }
            // That is told already.
            (Some(None), _) => false,
            (Some(Some((writer, checker))), record) => match (record.link(*writer), checker) {
                (None, _) => {
                    wrong("is no link of a chain");
                    false
                }
                (Some(link), Some(checker)) => {
                    let faults = checker.faults();
                    checker.take(&link);
                    checker.faults() == faults
                }
                (Some(_), None) => true,
            },
        };
        if good {
            self.latest = self.latest.max(if sound { latest } else { at });
        }
    }

    /// What is wrong.
    fn finish(self) -> Damage {
        let mut damage = self.damage;
        let chains = self.writers.into_values().flatten().filter_map(|(_, checker)| checker);
        chains.flat_map(Checker::finish).for_each(|fault| damage.note(|| fault.to_string()));
        damage
    }
}

#[cfg(test)]
mod tests;
