//! What the file holds, in chunks that are each sealed with their number, and the last one with a mark that it is: a chunk that was
//! changed, moved, left out or cut off shows.

use super::header::{self, Header};
use super::{AgeFault, FileKey, Lock, Opener, cipher, derive};
use crate::id::Entropy;
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use std::io::{BufRead, Error, ErrorKind, Read, Result, Write};
use zeroize::Zeroizing;

/// How much a chunk holds, and how much longer it is.
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

/// Numbers the chunks.
struct Counter(u128);

impl Counter {
    fn next(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        // Eleven bytes of a number, which no file is long enough to use up, and the mark.
        let number = (self.0 << 8 | u128::from(last)).to_be_bytes();
        nonce.copy_from_slice(number.last_chunk::<NONCE_LEN>().unwrap_or(&[0; NONCE_LEN]));
        self.0 += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

fn payload(file_key: &FileKey, nonce: &[u8; 16]) -> std::result::Result<LessSafeKey, AgeFault> {
    cipher(&derive(&file_key[..], nonce, b"payload")?)
}

/// Encrypts what is written to it. Without [`Writer::finish`] the file has no end, and nobody takes it for whole.
pub struct Writer<W: Write> {
    to: W,
    key: LessSafeKey,
    counter: Counter,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(mut to: W, lock: &Lock, entropy: &dyn Entropy) -> std::result::Result<Self, AgeFault> {
        let mut file_key: FileKey = Zeroizing::new([0; 16]);
        entropy.fill(&mut *file_key);
        to.write_all(&header::write(&lock.stanzas(&file_key, entropy)?, &file_key)?)?;
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        to.write_all(&nonce)?;
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Ok(Self { to, key: payload(&file_key, &nonce)?, counter: Counter(0), chunk })
    }

    fn seal(&mut self, last: bool) -> Result<()> {
        let nonce = self.counter.next(last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut *self.chunk);
        sealed.map_err(|_| Error::other("a chunk cannot be sealed"))?;
        self.to.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// Ends the file, and gives back where it was written to.
    pub fn finish(mut self) -> Result<W> {
        self.seal(true)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        // Only when more comes: a chunk that is full may be the last.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.get(..CHUNK - self.chunk.len()).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// What is written stays here until a chunk is full or the file ends.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Decrypts what is read from it, each chunk proved before anything of it is given away. That the file is whole is known only at
/// its end.
pub struct Reader<R: BufRead> {
    from: R,
    key: LessSafeKey,
    counter: Counter,
    chunk: Zeroizing<Vec<u8>>,
    given: usize,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Opens a file.
    pub fn new(mut from: R, opener: &Opener) -> std::result::Result<Self, AgeFault> {
        let header = Header::read(&mut from)?;
        let file_key = opener.file_key(&header.stanzas)?;
        header.prove(&file_key)?;
        let mut nonce = [0; 16];
        from.read_exact(&mut nonce)?;
        let (key, counter) = (payload(&file_key, &nonce)?, Counter(0));
        Ok(Self { from, key, counter, chunk: Zeroizing::default(), given: 0, ended: false })
    }

    /// Reads the next chunk. The last one is the one that nothing follows, and it must say so itself.
    fn open(&mut self) -> Result<()> {
        let changed = || Error::new(ErrorKind::InvalidData, "it was changed or cut off");
        let first = self.counter.0 == 0;
        self.chunk.clear();
        let most = CHUNK + TAG;
        (&mut self.from).take(most as u64).read_to_end(&mut self.chunk)?;
        let last = self.chunk.len() < most || self.from.fill_buf()?.is_empty();
        let nonce = self.counter.next(last);
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut self.chunk);
        let length = opened.map_err(|_| changed())?.len();
        // Only a file that holds nothing has a chunk that holds nothing.
        if length == 0 && !first {
            return Err(changed());
        }
        self.chunk.truncate(length);
        (self.given, self.ended) = (0, last);
        Ok(())
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while self.given == self.chunk.len() && !self.ended {
            self.open()?;
        }
        let rest = self.chunk.get(self.given..).unwrap_or_default();
        let given = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.given += given;
        Ok(given)
    }
}
