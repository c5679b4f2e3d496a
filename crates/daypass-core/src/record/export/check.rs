//! Checks an export with nothing but public keys.

use super::{Cover, End, FORMAT, Known, Place, RECORD, TYP, VERSION, sha256};
use crate::clock::Timestamp;
use crate::jose::{PublishedKey, signed_claims};
use crate::record::checkpoint;
use crate::record::tree::{leaf, proves};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How many faults are kept; the rest is counted.
const MOST_FAULTS: usize = 1000;
/// The longest signed end that is looked at, in bytes.
const LONGEST_END: usize = 4096;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// In which line, counted from 1; 0 for the export as a whole.
    pub line: u64,
    /// What.
    #[serde(flatten)]
    pub problem: Problem,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => self.problem.fmt(f),
            line => write!(f, "line {line}: {}", self.problem),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Problem {
    /// It is no line of an export.
    #[error("this is no line of an export: it should be {expected}")]
    Unreadable {
        /// What should be there.
        expected: &'static str,
    },
    /// A checkpoint that proves nothing.
    #[error("this checkpoint proves nothing: it should have {expected}")]
    Checkpoint {
        /// What should be there.
        expected: &'static str,
    },
    /// No checkpoint of the export says what the record's line says.
    #[error(
        "record {number} of writer {writer} names checkpoint {checkpoint}, which says nothing of it here"
    )]
    Uncovered {
        /// The writer.
        writer: Uuid,
        /// The record's number.
        number: u64,
        /// The checkpoint's number.
        checkpoint: u64,
    },
    /// The record is not what the checkpoint has signed.
    #[error("record {number} of writer {writer} is not what was signed")]
    NotProved {
        /// The writer.
        writer: Uuid,
        /// The record's number.
        number: u64,
    },
    /// A record stands in the wrong place, or twice.
    #[error("record {number} of writer {writer} stands in the wrong place, or twice")]
    Misplaced {
        /// The writer.
        writer: Uuid,
        /// The record's number.
        number: u64,
    },
    /// An export that claims to be whole lacks records.
    #[error("records {from} to {to} of writer {writer} are missing, and the export claims to be whole")]
    Missing {
        /// The writer.
        writer: Uuid,
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
    /// An export that claims to be whole lacks chains.
    #[error(
        "the last checkpoint counts more chains or records than the export names, and it claims to be whole"
    )]
    ChainsMissing,
    /// The end is missing: the file was cut.
    #[error("the end is missing")]
    Cut,
    /// The end is not what was signed.
    #[error("the end proves nothing: it should have {expected}")]
    End {
        /// What should be there.
        expected: &'static str,
    },
    /// The end speaks of other lines.
    #[error("lines were changed, added or removed since it was made")]
    OtherLines,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When the export was made, as its first line says.
    pub made: Option<Timestamp>,
    /// What was looked for.
    pub filter: Value,
    /// How many lines of records it has.
    pub records: u64,
    /// How many of them are proved.
    pub proved: u64,
    /// The last checkpoint of the export: its number; 0 where none is proved.
    pub checkpoint: u64,
    /// When that one was made.
    pub time: Option<Timestamp>,
    /// Whether it holds every record that this checkpoint counts and that is still kept, and proves it.
    pub whole: bool,
    /// How many faults there are.
    pub faults_in_all: u64,
    /// The first of them.
    pub faults: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    format: String,
    version: u32,
    made: Timestamp,
    filter: Value,
    #[serde(rename = "keys")]
    _keys: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    checkpoint: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: End,
    signed: String,
}

/// Takes an export line by line. What it keeps grows with the number of chains, not of records.
pub struct Reader {
    keys: Vec<PublishedKey>,
    line: u64,
    digest: Context,
    cover: Cover,
    checkpoints: u64,
    time: Option<Timestamp>,
    opening: Option<Opening>,
    /// The last number of each chain that was there.
    seen: BTreeMap<Uuid, u64>,
    /// What a whole export must not lack.
    gaps: Vec<Problem>,
    records: u64,
    proved: u64,
    end: Option<End>,
    faults: Vec<Fault>,
    faults_in_all: u64,
}

impl Reader {
    /// Begins; these keys are believed, whatever the export says of keys.
    ///
    /// Attack: an export that brings the key which it is checked with was made by whoever handed it over.
    pub fn new(keys: Vec<PublishedKey>) -> Self {
        Self {
            keys,
            line: 0,
            digest: Context::new(&SHA256),
            cover: Cover::default(),
            checkpoints: 0,
            time: None,
            opening: None,
            seen: BTreeMap::new(),
            gaps: Vec::new(),
            records: 0,
            proved: 0,
            end: None,
            faults: Vec::new(),
            faults_in_all: 0,
        }
    }

    /// Takes the next line, with its end of line.
    pub fn take(&mut self, line: &[u8]) {
        self.line += 1;
        if let Err(problem) = self.read(line) {
            self.fault(self.line, problem);
        }
        if self.end.is_none() {
            self.digest.update(line);
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<(), Problem> {
        let unreadable = |expected| Problem::Unreadable { expected };
        if self.end.is_some() {
            return Err(unreadable("nothing behind the end"));
        }
        let line = line.strip_suffix(b"\n").ok_or_else(|| unreadable("ended"))?;
        if self.line == 1 {
            return self.open(line).ok_or_else(|| unreadable("the first line of an export of version 1"));
        }
        if line.starts_with(b"{\"checkpoint\":") {
            return self.checkpoint(line);
        }
        if line.starts_with(b"{\"end\":") {
            return self.ending(line);
        }
        self.record(line)
    }

    fn open(&mut self, line: &[u8]) -> Option<()> {
        let opening: Opening = serde_json::from_slice(line).ok()?;
        if opening.format != FORMAT || opening.version != VERSION {
            return None;
        }
        self.opening = Some(opening);
        Some(())
    }

    fn checkpoint(&mut self, line: &[u8]) -> Result<(), Problem> {
        let bad = |expected| Problem::Checkpoint { expected };
        let CheckpointLine { checkpoint: jws } =
            serde_json::from_slice(line).map_err(|_| bad("one member, a text"))?;
        self.checkpoints += 1;
        let checkpoint = checkpoint::read(&jws, self.keys.iter()).map_err(bad)?;
        if self.records > 0 || checkpoint.number <= self.cover.last() {
            return Err(bad("its place before the records and behind the older ones"));
        }
        self.cover.take(&checkpoint);
        self.time = Some(checkpoint.time);
        Ok(())
    }

    fn record(&mut self, line: &[u8]) -> Result<(), Problem> {
        let bad = || Problem::Unreadable { expected: "a record with its place and its path" };
        let at = memmem::find(line, RECORD).ok_or_else(bad)?;
        let (place, rest) = line.split_at_checked(at).ok_or_else(bad)?;
        let blob = rest.strip_prefix(RECORD).and_then(|rest| rest.strip_suffix(b"}")).ok_or_else(bad)?;
        let place: Place = serde_json::from_slice(&[place, b"}"].concat()).map_err(|_| bad())?;
        let path = URL_SAFE_NO_PAD.decode(&place.path).map_err(|_| bad())?;
        let (path, []) = path.as_chunks::<32>() else { return Err(bad()) };
        self.records += 1;

        let Place { writer, number, checkpoint, .. } = place;
        let known = self.cover.of(writer).filter(|known| known.checkpoint == checkpoint);
        let known = known.ok_or(Problem::Uncovered { writer, number, checkpoint })?;
        let index = number.checked_sub(1).ok_or(Problem::NotProved { writer, number })?;
        if !proves(leaf(blob), index, known.span.size, path, &known.span.root) {
            return Err(Problem::NotProved { writer, number });
        }
        let last = self.seen.entry(writer).or_insert(known.cut);
        if number <= *last {
            return Err(Problem::Misplaced { writer, number });
        }
        let before = std::mem::replace(last, number);
        self.proved += 1;
        self.gap(writer, before + 1, number - 1);
        Ok(())
    }

    fn gap(&mut self, writer: Uuid, from: u64, to: u64) {
        // A filtered export has nothing but gaps.
        if from <= to && self.gaps.len() < MOST_FAULTS {
            self.gaps.push(Problem::Missing { writer, from, to });
        }
    }

    fn ending(&mut self, line: &[u8]) -> Result<(), Problem> {
        let bad = |expected| Problem::End { expected };
        let EndLine { end, signed } = serde_json::from_slice(line).map_err(|_| bad("its two members"))?;
        let told = (end.records, end.checkpoints, &end.sha256);
        let same = told == (self.records, self.checkpoints, &sha256(&self.digest));
        self.end = Some(end.clone());
        if !same {
            self.fault(self.line, Problem::OtherLines);
        }
        let claims = signed_claims(signed.as_bytes(), LONGEST_END, TYP, self.keys.iter()).map_err(bad)?;
        match serde_json::from_value::<End>(claims.into()) {
            Ok(signed) if signed == end => Ok(()),
            _ => Err(bad("the signature of what it says")),
        }
    }

    fn fault(&mut self, line: u64, problem: Problem) {
        self.faults_in_all += 1;
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { line, problem });
        }
    }

    /// Ends.
    pub fn finish(mut self) -> Report {
        let claims_to_be_whole = self.end.as_ref().is_some_and(|end| end.whole);
        if self.end.is_none() {
            self.fault(0, Problem::Cut);
        }
        if claims_to_be_whole {
            self.nothing_missing();
        }
        Report {
            made: self.opening.as_ref().map(|opening| opening.made),
            filter: self.opening.map_or(Value::Null, |opening| opening.filter),
            records: self.records,
            proved: self.proved,
            checkpoint: self.cover.last(),
            time: self.time,
            whole: claims_to_be_whole && self.faults_in_all == 0,
            faults_in_all: self.faults_in_all,
            faults: self.faults,
        }
    }

    fn nothing_missing(&mut self) {
        let ends: Vec<_> = self.cover.writers().filter_map(|writer| self.cover.of(writer)).collect();
        for Known { span, cut, .. } in ends {
            let last = self.seen.get(&span.writer).copied().unwrap_or(cut);
            self.gap(span.writer, last + 1, span.size);
        }
        for problem in std::mem::take(&mut self.gaps) {
            self.fault(0, problem);
        }
        if !self.cover.is_whole() {
            self.fault(0, Problem::ChainsMissing);
        }
    }
}
