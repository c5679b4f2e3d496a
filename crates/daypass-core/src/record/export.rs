//! Records for a stranger: lines of JSON that can be checked with nothing but a public key.
//!
//! ```text
//! {"format":"daypass-records","version":1,"made":…,"filter":{…},"keys":[…]}
//! {"checkpoint":"<a checkpoint as it is kept>"}                                         some, oldest first
//! {"writer":…,"number":17,"checkpoint":6,"path":"<hashes>","record":<exact bytes>}     by chain, in order
//! {"end":{"records":…,"looked_at":…,"checkpoints":…,"whole":…,"sha256":…},"signed":"<the same, signed>"}
//! ```
//!
//! A record's line holds the path from it to the root that the named checkpoint states for its chain (RFC 9162 §2.1.3): the
//! record was there, in this place, when the checkpoint was made. Its bytes stand last, as they were written, so that
//! they can be cut out in any language without being understood.
//!
//! What was left out is another matter. An export that claims to be whole proves it, because the last checkpoint says how many
//! chains and records there are. Of a filtered one the program that made it says so: its end is signed.

mod check;

pub use check::{Fault, Problem, Reader, Report};

use super::Link;
use super::checkpoint::{Checkpoint, Kept, Span};
use super::filter::Filter;
use super::tree::Hash;
use crate::clock::Timestamp;
use crate::jose::{BadKey, PublishedKey};
use crate::ring::Ring;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The `typ` of the signed end. Attack: something else that the same key has signed, shown as an end.
pub const TYP: &str = "daypass-records+jws";

const FORMAT: &str = "daypass-records";
const VERSION: u32 = 1;
/// What stands between what is said of a record and its bytes. Nothing before it can contain it.
const RECORD: &[u8] = b",\"record\":";

/// A line of an export, with its end of line.
pub type Line = Vec<u8>;

/// What is said at the beginning.
#[derive(Serialize)]
struct Opening<'a> {
    format: &'static str,
    version: u32,
    made: Timestamp,
    filter: &'a Filter,
    /// For whoever keeps the export: by which keys it can be checked. No reason to believe them.
    keys: Vec<&'a Value>,
}

/// What is said at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// How many records are in it.
    records: u64,
    /// How many were looked at.
    looked_at: u64,
    /// How many checkpoints are in it.
    checkpoints: u64,
    /// Whether it holds every record that the checkpoints cover and that is still kept.
    whole: bool,
    /// The SHA-256 of all lines before.
    sha256: String,
}

/// What a record's line says of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    writer: Uuid,
    number: u64,
    checkpoint: u64,
    path: String,
}

/// Writes an export, line by line.
pub struct Export {
    digest: Context,
    records: u64,
    checkpoints: u64,
}

impl Export {
    /// Begins, with what is looked for and every public key that may have signed.
    pub fn begin<'k>(
        made: Timestamp,
        filter: &Filter,
        keys: impl Iterator<Item = &'k PublishedKey>,
    ) -> Result<(Self, Line), serde_json::Error> {
        let keys = keys.map(PublishedKey::jwk).collect();
        let opening = serde_json::to_vec(&Opening { format: FORMAT, version: VERSION, made, filter, keys })?;
        let mut export = Self { digest: Context::new(&SHA256), records: 0, checkpoints: 0 };
        let line = export.line(&[&opening]);
        Ok((export, line))
    }

    /// Adds a checkpoint; they stand before the records, oldest first.
    pub fn checkpoint(&mut self, kept: &Kept) -> Line {
        self.checkpoints += 1;
        let text = Value::from(kept.jws.as_str()).to_string();
        self.line(&[b"{\"checkpoint\":", text.as_bytes(), b"}"])
    }

    /// Adds a record with its path to the root that this checkpoint states; none if its bytes cannot stand in a line, which
    /// no record's can.
    pub fn record(&mut self, link: &Link, checkpoint: u64, path: &[Hash]) -> Option<Line> {
        let path = URL_SAFE_NO_PAD.encode(path.as_flattened());
        let place = Place { writer: link.writer, number: link.seq, checkpoint, path };
        let place = serde_json::to_vec(&place).ok().filter(|_| !link.blob.contains(&b'\n'))?;
        self.records += 1;
        Some(self.line(&[place.strip_suffix(b"}")?, RECORD, &link.blob, b"}"]))
    }

    /// Ends.
    pub fn end(mut self, ring: &Ring, looked_at: u64, whole: bool) -> Result<Line, BadKey> {
        let sha256 = sha256(&self.digest);
        let Self { records, checkpoints, .. } = self;
        let end = End { records, looked_at, checkpoints, whole, sha256 };
        let signed = ring.checkpoint_signer().ok_or(BadKey::MISSING)?.sign(TYP, &end)?;
        let end = serde_json::to_vec(&end).map_err(|_| BadKey::MISSING)?;
        Ok(self.line(&[b"{\"end\":", &end, b",\"signed\":\"", signed.as_bytes(), b"\"}"]))
    }

    fn line(&mut self, parts: &[&[u8]]) -> Line {
        let mut line = parts.concat();
        line.push(b'\n');
        self.digest.update(&line);
        line
    }
}

fn sha256(digest: &Context) -> String {
    URL_SAFE_NO_PAD.encode(digest.clone().finish())
}

/// What checkpoints say last of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The number of the last checkpoint that says how far it had grown.
    pub checkpoint: u64,
    /// How many records it had, and the root of their tree.
    pub span: Span,
    /// How many were removed from its beginning.
    pub cut: u64,
}

/// What the checkpoints of a store, taken in order, say last of each chain.
#[derive(Clone, Debug, Default)]
pub struct Cover {
    /// Who says how far a chain had grown, and how far.
    grown: BTreeMap<Uuid, (u64, Span)>,
    /// Who says how many records were removed from its beginning, and how many.
    cut: BTreeMap<Uuid, (u64, u64)>,
    last: u64,
    /// How many chains and records the last one counts.
    totals: (u64, u64),
}

impl Cover {
    /// Takes the next checkpoint as it is kept, unproved: there may be a year of them, and only those of
    /// [`Cover::checkpoints`] matter in the end.
    pub fn look(&mut self, kept: &Kept) -> Option<()> {
        let payload = kept.jws.split('.').nth(1)?;
        let checkpoint: Checkpoint = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        self.take(&checkpoint);
        Some(())
    }

    /// Takes the next checkpoint.
    pub fn take(&mut self, checkpoint: &Checkpoint) {
        let number = checkpoint.number;
        self.grown.extend(checkpoint.grown.iter().map(|span| (span.writer, (number, *span))));
        self.cut.extend(checkpoint.cut.iter().map(|span| (span.writer, (number, span.size))));
        self.last = number;
        self.totals = (checkpoint.chains, checkpoint.records);
    }

    /// What is known of a chain.
    pub fn of(&self, writer: Uuid) -> Option<Known> {
        let (checkpoint, span) = *self.grown.get(&writer)?;
        let cut = self.cut.get(&writer).map_or(0, |(_, cut)| *cut);
        Some(Known { checkpoint, span, cut })
    }

    /// Every chain that is known.
    pub fn writers(&self) -> impl Iterator<Item = Uuid> {
        self.grown.keys().copied()
    }

    /// The number of the last checkpoint; 0 where there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Which checkpoints say all this: those that a reader needs.
    pub fn checkpoints(&self) -> BTreeSet<u64> {
        let grown = self.grown.values().map(|(by, _)| *by);
        let cut = self.cut.values().map(|(by, _)| *by);
        grown.chain(cut).chain([self.last]).filter(|number| *number > 0).collect()
    }

    /// Whether these are all chains that there are, as far as the last checkpoint knows.
    pub fn is_whole(&self) -> bool {
        let records = self.grown.values().map(|(_, span)| span.size).sum();
        self.totals == (self.grown.len() as u64, records)
    }
}

#[cfg(test)]
mod tests;
