//! The limits that no server can pass: how long a signature takes, and how long the disk takes.

use crate::clock;
use crate::loader::histogram;
use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use daypass_core::role::Algorithm;
use hdrhistogram::Histogram;
use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// About as long as a token without its signature.
const MESSAGE: [u8; 900] = [b'x'; 900];
/// About as long as a record.
const RECORD: [u8; 256] = [b'r'; 256];
/// How often the disk is asked in one round.
const FLUSHES: usize = 100;

/// Signatures between two looks at the clock, which is a system call.
const BATCH: u32 = 8;

/// A key of each algorithm, held ready as a server holds it.
pub(crate) struct Signers {
    ecdsa: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Signers {
    /// Makes the keys. The RSA key takes a moment.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        Ok(Self {
            ecdsa: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("no ECDSA key")?,
            ed25519: Ed25519KeyPair::generate().context("no Ed25519 key")?,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).context("no RSA key")?,
            random: SystemRandom::new(),
        })
    }

    /// The CPU time of one signature, from signing again and again for `budget`.
    pub(crate) fn time(&self, algorithm: Algorithm, budget: Duration) -> anyhow::Result<Duration> {
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        let mut sign = || -> Result<(), aws_lc_rs::error::Unspecified> {
            let message = black_box(&MESSAGE[..]);
            match algorithm {
                Algorithm::Es256 => _ = black_box(self.ecdsa.sign(&self.random, message)?),
                Algorithm::EdDsa => _ = black_box(self.ed25519.sign(message)),
                Algorithm::Rs256 => {
                    self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)?;
                }
            }
            Ok(())
        };
        sign().context("the key does not sign")?;
        let begin = clock::thread_cpu();
        let mut done = 0;
        loop {
            for _ in 0..BATCH {
                sign().context("the key does not sign")?;
            }
            done += BATCH;
            let spent = clock::thread_cpu().saturating_sub(begin);
            if spent >= budget {
                return Ok(spent / done);
            }
        }
    }
}

/// Appends records to a file in this folder, each followed by `fdatasync`: nanoseconds a record.
pub(crate) fn fdatasync(folder: &Path) -> anyhow::Result<Histogram<u64>> {
    let mut times = histogram()?;
    let mut file = tempfile::tempfile_in(folder).context("cannot write to the data folder")?;
    for _ in 0..FLUSHES {
        let begin = clock::now();
        append(&mut file)?;
        times.saturating_record(u64::try_from(begin.elapsed().as_nanos())?);
    }
    Ok(times)
}

fn append(file: &mut File) -> std::io::Result<()> {
    file.write_all(&RECORD)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_signs() {
        let signers = Signers::generate().unwrap();
        for algorithm in Algorithm::ALL {
            assert!(signers.time(*algorithm, Duration::from_nanos(1)).unwrap() > Duration::ZERO);
        }
    }

    #[test]
    fn every_flush_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(fdatasync(folder.path()).unwrap().len(), u64::try_from(FLUSHES).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
        assert!(fdatasync(Path::new("/no/such/folder")).is_err());
    }
}
