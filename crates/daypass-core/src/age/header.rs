//! What stands in front: for whom the file is, and the proof that nobody changed it.

use super::{AgeFault, FileKey, derive};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::io::{BufRead, Read as _};

const VERSION: &[u8] = b"age-encryption.org/v1\n";
const END: &[u8] = b"---";
const COLUMNS: usize = 64;

/// How long a header may be, in bytes: a hundred recipients have fifteen thousand.
///
/// Attack: a file that is all header would be read into memory.
const LONGEST: u64 = 1 << 20;

/// One way to open the file.
pub(super) struct Stanza {
    /// What it is and what it needs.
    pub(super) words: Vec<String>,
    /// The file's key, wrapped.
    pub(super) body: Vec<u8>,
}

impl Stanza {
    pub(super) fn encode(bytes: &[u8]) -> String {
        STANDARD_NO_PAD.encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
        STANDARD_NO_PAD.decode(text).ok()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("-> {}\n", self.words.join(" ")).as_bytes());
        let body = Self::encode(&self.body);
        for line in body.as_bytes().chunks(COLUMNS) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        // The last line is a short one.
        if body.len().is_multiple_of(COLUMNS) {
            out.push(b'\n');
        }
    }
}

/// The header of a file of this key.
pub(super) fn write(stanzas: &[Stanza], file_key: &FileKey) -> Result<Vec<u8>, AgeFault> {
    let mut out = VERSION.to_vec();
    for stanza in stanzas {
        stanza.write(&mut out);
    }
    out.extend_from_slice(END);
    let mac = mac(file_key)?;
    let mac = hmac::sign(&mac, &out);
    out.extend_from_slice(format!(" {}\n", Stanza::encode(mac.as_ref())).as_bytes());
    Ok(out)
}

fn mac(file_key: &FileKey) -> Result<hmac::Key, AgeFault> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &derive(&file_key[..], &[], b"header")?[..]))
}

/// A header as it was read, which proves nothing yet.
pub(super) struct Header {
    pub(super) stanzas: Vec<Stanza>,
    covered: Vec<u8>,
    mac: Vec<u8>,
}

impl Header {
    /// Reads the header and leaves what comes behind it.
    pub(super) fn read(from: &mut impl BufRead) -> Result<Self, AgeFault> {
        let mut from = from.take(LONGEST);
        let mut covered = Vec::new();
        if line(&mut from, &mut covered)? != VERSION.trim_ascii_end() {
            return Err(AgeFault::NotAge);
        }
        let mut stanzas = Vec::new();
        loop {
            let before = covered.len();
            let next = line(&mut from, &mut covered)?;
            if let Some(words) = next.strip_prefix(b"-> ") {
                let words = std::str::from_utf8(words).map_err(|_| AgeFault::NotAge)?;
                let words = words.split(' ').map(str::to_owned).collect::<Vec<_>>();
                if words.iter().any(String::is_empty) {
                    return Err(AgeFault::NotAge);
                }
                stanzas.push(Stanza { words, body: body(&mut from, &mut covered)? });
            } else if let Some(mac) = next.strip_prefix(b"--- ") {
                let mac = std::str::from_utf8(mac).ok().and_then(Stanza::decode).ok_or(AgeFault::NotAge)?;
                covered.truncate(before + END.len());
                return Ok(Self { stanzas, covered, mac });
            } else {
                return Err(AgeFault::NotAge);
            }
        }
    }

    /// Whether it is what whoever had the file's key wrote.
    pub(super) fn prove(&self, file_key: &FileKey) -> Result<(), AgeFault> {
        hmac::verify(&mac(file_key)?, &self.covered, &self.mac).map_err(|_| AgeFault::Header)
    }
}

/// One line without its end, which is taken into what the proof covers.
fn line(from: &mut impl BufRead, covered: &mut Vec<u8>) -> Result<Vec<u8>, AgeFault> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    covered.extend_from_slice(&line);
    if line.pop() == Some(b'\n') { Ok(line) } else { Err(AgeFault::NotAge) }
}

fn body(from: &mut impl BufRead, covered: &mut Vec<u8>) -> Result<Vec<u8>, AgeFault> {
    let mut text = String::new();
    loop {
        let line = line(from, covered)?;
        let line =
            std::str::from_utf8(&line).ok().filter(|line| line.len() <= COLUMNS).ok_or(AgeFault::NotAge)?;
        text.push_str(line);
        if line.len() < COLUMNS {
            return Stanza::decode(&text).ok_or(AgeFault::NotAge);
        }
    }
}
