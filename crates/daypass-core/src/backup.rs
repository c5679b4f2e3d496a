//! Backup files: the rows of a store, packed and encrypted.
//!
//! A file is what age makes of what gzip makes of lines of JSON: one that says what it is, one for each row, and a manifest with how
//! many there were and what they come to. So with the key, the standard tools read it (`age -d -i KEY FILE | gunzip`).
//!
//! Attack: anybody can encrypt for a recipient. The manifest carries a MAC under a key of the ring, which is in the file under the
//! seal key: a file that somebody without the ring put together does not pass for a backup.

use crate::age::{self, AgeFault, Lock, Opener};
use crate::id::Entropy;
use crate::ring::{Purpose, Ring};
use crate::store::StoreError;
use crate::transfer::{Blob, Census, Count, Damage, PAGE, Pages, Part, Row, VERSION};
use async_trait::async_trait;
use aws_lc_rs::{digest, hmac};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use uuid::Uuid;

/// What a file says it is.
pub const FORMAT: &str = "daypass-backup";

/// Keeps the MAC of a manifest apart from every other one.
const LABEL: &[u8] = b"daypass backup v1";

/// The longest line, in bytes. A record is a few thousand at most.
///
/// Attack or accident: what unpacks to one endless line would fill the memory.
const LONGEST: u64 = 16 << 20;

/// What is between the file and the lines: enough that reading costs few calls.
const BUFFER: usize = 256 * 1024;

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// It cannot be encrypted or decrypted.
    #[error("{0}")]
    Age(#[from] AgeFault),
    /// It cannot be read or written, or was changed or cut off.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is something else.
    #[error("it is no backup of Daypass")]
    NotOurs,
    /// It was made by a newer version.
    #[error(
        "it has the form {found}, and this version of Daypass knows {VERSION} at most; use the newer one"
    )]
    Newer {
        /// Its form.
        found: u32,
    },
    /// It does not hold what was written.
    #[error("{0}")]
    Content(String),
}

impl From<BackupFault> for StoreError {
    fn from(fault: BackupFault) -> Self {
        Self::Damaged(fault.to_string())
    }
}

fn content(what: impl std::fmt::Display) -> BackupFault {
    BackupFault::Content(what.to_string())
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The form of its rows ([`VERSION`], or [`SOUND`](crate::transfer::SOUND) where no record may be damaged).
    pub version: u32,
    /// Which program made it.
    pub program: String,
    /// Which backup it is.
    pub id: Uuid,
    /// When it was begun, in RFC 3339.
    pub made: String,
}

/// A checkpoint, by what it is known elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Its number.
    pub number: i64,
    /// SHA-256 of its text, which the next one names.
    pub sha256: Blob,
}

impl Signed {
    /// The checkpoint of this row, if it is one.
    fn of(row: &Row) -> Option<Self> {
        let Row::Checkpoint { number, document } = row else { return None };
        let digest = digest::digest(&digest::SHA256, document.as_bytes());
        Some(Self { number: *number, sha256: Blob(digest.as_ref().to_vec()) })
    }
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How many rows of which part there are.
    pub parts: BTreeMap<Part, Count>,
    /// The last checkpoint among them: what second places have is compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Signed>,
    /// What was wrong with the records when they were read. Of a form after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
    /// The version of the ring's record key that it is proved by.
    pub key_version: u32,
    /// The proof.
    pub mac: Blob,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Last {
    Manifest(Manifest),
}

/// What the last line begins with, and no row does.
const LAST: &[u8] = br#"{"manifest":"#;

impl Manifest {
    /// What the MAC covers.
    fn proof(
        header: &[u8],
        parts: &BTreeMap<Part, Count>,
        checkpoint: Option<&Signed>,
        damage: Option<&Damage>,
    ) -> Result<Vec<u8>, BackupFault> {
        let said = match damage {
            None => serde_json::to_vec(&(parts, checkpoint)),
            Some(damage) => serde_json::to_vec(&(parts, checkpoint, damage)),
        };
        let said = said.map_err(content)?;
        Ok([LABEL, header, b"\n", &said].concat())
    }
}

/// A backup that is being written.
pub struct Writer<W: Write> {
    to: GzEncoder<age::Writer<W>>,
    header: Vec<u8>,
    census: Census,
    checkpoint: Option<Signed>,
    damage: Option<Damage>,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(to: W, lock: &Lock, entropy: &dyn Entropy, header: &Header) -> Result<Self, BackupFault> {
        let mut to = GzEncoder::new(age::Writer::new(to, lock, entropy)?, Compression::fast());
        let header = serde_json::to_vec(header).map_err(content)?;
        to.write_all(&header)?;
        to.write_all(b"\n")?;
        Ok(Self { to, header, census: Census::default(), checkpoint: None, damage: None })
    }

    /// Adds rows.
    pub fn put(&mut self, rows: &[Row]) -> Result<(), BackupFault> {
        for row in rows {
            let mut line = serde_json::to_vec(row).map_err(content)?;
            self.census.take(row.part(), &line);
            self.checkpoint = Signed::of(row).or(self.checkpoint.take());
            line.push(b'\n');
            self.to.write_all(&line)?;
        }
        Ok(())
    }

    /// Says that some of the records were damaged when they were read.
    pub fn damaged(&mut self, damage: Damage) {
        self.damage = Some(damage);
    }

    /// Ends the file under a key of the ring, and gives back where it was written to. Without this it is nothing.
    pub fn finish(mut self, ring: &Ring) -> Result<(W, Manifest), BackupFault> {
        let (parts, checkpoint, damage) = (self.census.finish(), self.checkpoint, self.damage);
        let key_version = ring.active(Purpose::Record);
        let key =
            ring.mac(Purpose::Record, key_version).ok_or_else(|| content("the ring has no record key"))?;
        let proof = Manifest::proof(&self.header, &parts, checkpoint.as_ref(), damage.as_ref())?;
        let mac = Blob(hmac::sign(key, &proof).as_ref().to_vec());
        let manifest = Manifest { parts, checkpoint, damage, key_version, mac };
        serde_json::to_writer(&mut self.to, &Last::Manifest(manifest.clone())).map_err(content)?;
        self.to.write_all(b"\n")?;
        Ok((self.to.finish()?.finish()?, manifest))
    }
}

/// A backup that is being read.
pub struct Reader<R: BufRead> {
    from: BufReader<GzDecoder<BufReader<age::Reader<R>>>>,
    header: (Header, Vec<u8>),
    census: Census,
    manifest: Option<Manifest>,
    /// A row that belongs to the next page.
    ahead: Option<Row>,
}

impl<R: BufRead> Reader<R> {
    /// Opens a file. One of a newer form is refused here.
    pub fn new(from: R, opener: &Opener) -> Result<Self, BackupFault> {
        let plain = BufReader::with_capacity(BUFFER, age::Reader::new(from, opener)?);
        let mut from = BufReader::with_capacity(BUFFER, GzDecoder::new(plain));
        let line = line(&mut from)?.ok_or(BackupFault::NotOurs)?;
        let header: Header = serde_json::from_slice(&line).map_err(|_| BackupFault::NotOurs)?;
        if header.format != FORMAT {
            return Err(BackupFault::NotOurs);
        }
        if header.version > VERSION {
            return Err(BackupFault::Newer { found: header.version });
        }
        Ok(Self { from, header: (header, line), census: Census::default(), manifest: None, ahead: None })
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header.0
    }

    /// The last line, once all rows have been read; without the ring it proves that the file is whole, and not who made it.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Whether somebody made it who had the ring that is in it.
    pub fn is_proved(&self, ring: &Ring) -> bool {
        let Some(Manifest { parts, checkpoint, damage, key_version, mac }) = &self.manifest else {
            return false;
        };
        let key = ring.mac(Purpose::Record, *key_version);
        let proof = Manifest::proof(&self.header.1, parts, checkpoint.as_ref(), damage.as_ref()).ok();
        key.zip(proof).is_some_and(|(key, proof)| hmac::verify(key, &proof, &mac.0).is_ok())
    }

    fn row(&mut self) -> Result<Option<Row>, BackupFault> {
        if self.manifest.is_some() {
            return Ok(None);
        }
        let line = line(&mut self.from)?.ok_or_else(|| content("it has no end"))?;
        if line.starts_with(LAST) {
            let Last::Manifest(manifest) = serde_json::from_slice(&line).map_err(content)?;
            if std::mem::take(&mut self.census).finish() != manifest.parts {
                return Err(content("it does not hold what its manifest says"));
            }
            // To the end of what is packed and of what is encrypted: what was cut off shows there.
            let mut rest = [0; 1];
            if self.from.read(&mut rest)? != 0 || self.from.get_mut().get_mut().read(&mut rest)? != 0 {
                return Err(content("something stands behind its end"));
            }
            self.manifest = Some(manifest);
            return Ok(None);
        }
        let row: Row =
            serde_json::from_slice(&line).map_err(|error| content(format_args!("a row: {error}")))?;
        self.census.take(row.part(), &line);
        Ok(Some(row))
    }

    fn page(&mut self) -> Result<Option<Vec<Row>>, BackupFault> {
        let mut page: Vec<Row> = self.ahead.take().into_iter().collect();
        while page.len() < PAGE
            && let Some(row) = self.row()?
        {
            if page.last().is_some_and(|last| last.part() != row.part()) {
                self.ahead = Some(row);
                break;
            }
            page.push(row);
        }
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

#[async_trait]
impl<R: BufRead + Send> Pages for Reader<R> {
    async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        Ok(self.page()?)
    }
}

/// The next line without its end; none behind the last.
fn line(from: &mut impl BufRead) -> Result<Option<Vec<u8>>, BackupFault> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(content("a line is too long or cut off")),
    }
}

#[cfg(test)]
mod tests;
