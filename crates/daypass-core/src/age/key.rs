//! For whom a file is, and who can open it.

use super::header::Stanza;
use super::{AgeFault, FileKey, Key, derive, unwrap, wrap};
use crate::id::Entropy;
use crate::secret::Secret;
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use std::str::FromStr;
use zeroize::Zeroizing;

/// What stands in front of a recipient and of an identity.
const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";

const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const SCRYPT_SALT: &[u8] = b"age-encryption.org/v1/scrypt";

/// How much work a passphrase costs: 2 to this many times about a kilobyte. As age itself makes them: about a second.
const WORK: u8 = 18;

/// The most work that is done to open a file.
///
/// Attack: whoever hands us a file says how much memory and time its passphrase takes; at 22 it is four gigabytes.
const MOST_WORK: u8 = 20;

/// Who is meant to open a file: `age1…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

/// Who can open it: `AGE-SECRET-KEY-1…`.
pub struct Identity {
    key: Secret,
    public: [u8; 32],
}

/// What a file is locked with.
pub enum Lock {
    /// Each of these can open it.
    To(Vec<Recipient>),
    /// Whoever knows the passphrase can.
    Passphrase(Secret),
}

/// What a file is opened with.
pub enum Opener {
    /// Any of these.
    Identities(Vec<Identity>),
    /// A passphrase.
    Passphrase(Secret),
}

fn decode(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if !checked.hrp().as_str().eq_ignore_ascii_case(prefix) {
        return None;
    }
    let bytes = Zeroizing::new(checked.byte_iter().collect::<Vec<_>>());
    bytes.as_slice().try_into().ok()
}

fn encode(prefix: &str, bytes: &[u8]) -> String {
    let encoded = Hrp::parse(prefix).ok().and_then(|hrp| bech32::encode::<Bech32>(hrp, bytes).ok());
    // Neither a prefix of ours nor 32 bytes are refused.
    encoded.unwrap_or_default()
}

impl FromStr for Recipient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text, RECIPIENT).map(Self).ok_or_else(|| {
            "a recipient begins with `age1`; recipients of age's plugins are not supported".to_owned()
        })
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&encode(RECIPIENT, &self.0))
    }
}

fn private(key: &[u8]) -> Result<PrivateKey, AgeFault> {
    PrivateKey::from_private_key(&X25519, key).map_err(|_| AgeFault::Cannot("an X25519 key cannot be used"))
}

fn public(key: &PrivateKey) -> Result<[u8; 32], AgeFault> {
    let public = key.compute_public_key().ok();
    let public = public.and_then(|public| <[u8; 32]>::try_from(public.as_ref()).ok());
    public.ok_or(AgeFault::Cannot("an X25519 key cannot be used"))
}

impl Identity {
    /// A new one.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, AgeFault> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        Self::of(&key)
    }

    fn of(key: &[u8; 32]) -> Result<Self, AgeFault> {
        Ok(Self { public: public(&private(key)?)?, key: Secret::new(*key) })
    }

    /// The identities in a file as age writes it: one to a line, between comments.
    pub fn all(text: &str) -> Result<Vec<Self>, AgeFault> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let one = |line| {
            let key = decode(line, IDENTITY).map(Zeroizing::new);
            let wrong = AgeFault::Cannot("a line is no identity; one begins with `AGE-SECRET-KEY-1`");
            key.ok_or(wrong).and_then(|key| Self::of(&key))
        };
        let all = lines.map(one).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() { Err(AgeFault::Cannot("there is no identity in it")) } else { Ok(all) }
    }

    /// For whom a file must be made that this opens.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.public)
    }

    /// The line that stands in an identity file.
    pub fn line(&self) -> Secret {
        Secret::new(encode(IDENTITY, self.key.expose()).to_uppercase())
    }

    fn open(&self, stanza: &Stanza) -> Result<Option<FileKey>, AgeFault> {
        let [kind, share] = stanza.words.as_slice() else { return Ok(None) };
        if kind != "X25519" {
            return Ok(None);
        }
        let share = Stanza::decode(share).filter(|share| share.len() == 32).ok_or(AgeFault::NotAge)?;
        let key = shared(&private(self.key.expose())?, &share, &[&share[..], &self.public].concat())?;
        unwrap(&key, &stanza.body)
    }
}

/// What both sides come to. A share of all zeros, with which anybody would, is refused by the primitive.
fn shared(mine: &PrivateKey, theirs: &[u8], salt: &[u8]) -> Result<Key, AgeFault> {
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    agree(mine, theirs, AgeFault::NotAge, |secret| derive(secret, salt, X25519_INFO))
}

fn stretched(passphrase: &Secret, salt: &[u8], work: u8) -> Result<Key, AgeFault> {
    let mut key = Zeroizing::new([0; 32]);
    let salt = [SCRYPT_SALT, salt].concat();
    let done = scrypt::Params::new(work, 8, 1)
        .ok()
        .and_then(|params| scrypt::scrypt(passphrase.expose(), &salt, &params, &mut *key).ok());
    done.map(|()| key).ok_or(AgeFault::Cannot("a passphrase cannot be used"))
}

impl Lock {
    /// What stands in front of a file of this key.
    pub(super) fn stanzas(&self, file_key: &FileKey, entropy: &dyn Entropy) -> Result<Vec<Stanza>, AgeFault> {
        match self {
            Self::To(recipients) if recipients.is_empty() => Err(AgeFault::Cannot("it is for nobody")),
            Self::To(recipients) => recipients.iter().map(|to| to.stanza(file_key, entropy)).collect(),
            Self::Passphrase(passphrase) => {
                let mut salt = [0; 16];
                entropy.fill(&mut salt);
                let body = wrap(&stretched(passphrase, &salt, WORK)?, file_key)?;
                let words = vec!["scrypt".to_owned(), Stanza::encode(&salt), WORK.to_string()];
                Ok(vec![Stanza { words, body }])
            }
        }
    }
}

impl Recipient {
    fn stanza(&self, file_key: &FileKey, entropy: &dyn Entropy) -> Result<Stanza, AgeFault> {
        let mut once = Zeroizing::new([0; 32]);
        entropy.fill(&mut *once);
        let once = private(&*once)?;
        let share = public(&once)?;
        let key = shared(&once, &self.0, &[share, self.0].concat())?;
        Ok(Stanza { words: vec!["X25519".to_owned(), Stanza::encode(&share)], body: wrap(&key, file_key)? })
    }
}

impl Opener {
    /// The key of the file that begins with these.
    pub(super) fn file_key(&self, stanzas: &[Stanza]) -> Result<FileKey, AgeFault> {
        match self {
            Self::Identities(identities) => {
                for stanza in stanzas {
                    for identity in identities {
                        if let Some(key) = identity.open(stanza)? {
                            return Ok(key);
                        }
                    }
                }
                Err(AgeFault::WrongKey)
            }
            Self::Passphrase(passphrase) => {
                // Alone: who knows the passphrase may be sure that nobody else was meant.
                let [Stanza { words, body }] = stanzas else { return Err(AgeFault::WrongKey) };
                let [kind, salt, work] = words.as_slice() else { return Err(AgeFault::WrongKey) };
                if kind != "scrypt" {
                    return Err(AgeFault::WrongKey);
                }
                let salt = Stanza::decode(salt).filter(|salt| salt.len() == 16).ok_or(AgeFault::NotAge)?;
                let plain = !work.starts_with('0') && work.bytes().all(|digit| digit.is_ascii_digit());
                let work: u8 = work.parse().ok().filter(|_| plain).ok_or(AgeFault::NotAge)?;
                if work > MOST_WORK {
                    return Err(AgeFault::Cannot("its passphrase takes more work than is done here"));
                }
                unwrap(&stretched(passphrase, &salt, work)?, body)?.ok_or(AgeFault::WrongKey)
            }
        }
    }
}
