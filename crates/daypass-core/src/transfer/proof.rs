//! Whether rows are a store that can be read and proved: told before anything of it is believed.

use super::{Blob, Census, Count, Pages, Part, RecordRow, Row, Writer};
use crate::clock::Timestamp;
use crate::record::{Chain, ChainHead, Checker, Record};
use crate::ring::{Ring, RingRow, SealId, SealRow};
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// How many faults are told.
const TOLD: usize = 10;

/// What was found in rows with which nothing is wrong.
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
    #[error("the records are not what was written: {}", .0.join("; "))]
    Chains(Vec<String>),
}

/// What opens the ring, and knows by what is said of it whether it is the right seal key. An older ring may lack keys of purposes
/// that came later; whatever makes up for them here is not written anywhere.
pub type Opens<'a> = &'a (dyn Fn(&[RingRow], Option<&SealRow>) -> Result<Ring, String> + Sync);

/// Reads rows to their end: each is understood and in its order, and with the seal key, the ring opens, every key of it, and the
/// chains of all records verify under it.
pub async fn prove(pages: &mut dyn Pages, open: Option<Opens<'_>>) -> Result<Proved, Unproved> {
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
            chains.take(record)?;
        }
        page = pages.next().await?;
    }
    let end = chains.end;
    let faults = chains.finish();
    if !faults.is_empty() {
        return Err(Unproved::Chains(faults));
    }
    // Nothing in it was believed to be later than this.
    let latest = known.clock.max(end.map_or(i64::MIN, |(_, latest)| latest));
    let Known { writers, checkpoint, .. } = known;
    Ok(Proved { census: census.finish(), writers, ring, end, latest, checkpoint })
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
    writers: BTreeMap<i64, ChainHead>,
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
                let name = || format!("the writer number {} cannot be one", writer.number);
                let head = writer.head().ok_or_else(|| Unproved::Row(name()))?;
                self.writers.insert(writer.number, head);
            }
            _ => (),
        }
        Ok(())
    }
}

/// The chains of all writers, as their records go by.
struct Chains<'a> {
    /// The writer, and its chain where there is a ring to check it by.
    writers: BTreeMap<i64, (Uuid, Option<Checker<'a>>)>,
    end: Option<(i64, i64)>,
}

impl Proved {
    /// The rows that add a record, made by a process that began to write behind all there is.
    pub fn add(&self, mut chain: Chain, record: &Record) -> Result<[Row; 2], serde_json::Error> {
        let number = self.writers.last_key_value().map_or(0, |(last, _)| *last) + 1;
        let link = chain.link(record)?;
        let (last, latest) = self.end.unwrap_or((0, i64::MIN));
        let at = record.at.as_millisecond();
        let row = RecordRow {
            position: last + 1,
            writer: number,
            seq: 1,
            at,
            latest: latest.max(at),
            mark: None,
            mac: Blob(link.mac.to_vec()),
            tenant: record.tenant.clone(),
            document: String::from_utf8_lossy(&link.blob).into_owned(),
        };
        Ok([Row::Writer(Writer::of(number, &chain.head())), Row::Record(Box::new(row))])
    }
}

impl<'a> Chains<'a> {
    fn new(ring: Option<&'a Ring>, writers: &'a BTreeMap<i64, ChainHead>) -> Self {
        let begin = |head: &'a ChainHead| (head.writer, ring.map(|ring| Checker::new(ring, head)));
        Self { writers: writers.iter().map(|(number, head)| (*number, begin(head))).collect(), end: None }
    }

    fn take(&mut self, record: &RecordRow) -> Result<(), Unproved> {
        let RecordRow { position, latest, writer: number, .. } = *record;
        let wrong = |what: &str| Unproved::Row(format!("the record at position {position} {what}"));
        if self.end.is_some_and(|(last, _)| position != last.saturating_add(1)) {
            return Err(wrong("does not follow the one before"));
        }
        if self.end.is_some_and(|(_, before)| latest < before) || latest < record.at {
            return Err(wrong("is earlier than it may be"));
        }
        self.end = Some((position, latest));
        let (writer, checker) = self.writers.get_mut(&number).ok_or_else(|| wrong("has no writer"))?;
        let link = record.link(*writer).ok_or_else(|| wrong("is no link of a chain"))?;
        if let Some(checker) = checker {
            checker.take(&link);
        }
        Ok(())
    }

    /// What is wrong, the first of it.
    fn finish(self) -> Vec<String> {
        let all = self.writers.into_values().filter_map(|(_, checker)| checker).flat_map(Checker::finish);
        all.take(TOLD).map(|fault| fault.to_string()).collect()
    }
}

#[cfg(test)]
mod tests;
