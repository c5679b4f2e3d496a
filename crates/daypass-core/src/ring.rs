//! Daypass's own keys: versioned, one purpose each, wrapped by the seal key at rest.
//!
//! One random key a purpose, none derived from another: a key that does two jobs lets the weakness of one forge
//! the other, as several servers of this kind have found out.
//!
//! A key is **prepared**, then **active**, then **retiring**, then **gone**. The rules of when are in
//! [`rotation`](Rules), the steps themselves in [`step`](Order); what wraps all of them is a [`Kek`].

mod follow;
mod kek;
mod rotation;
mod step;

pub use kek::{Kek, SealId, SealMisfit, SealRole, SealRow, Wrapped, wrap_again, wrapped_by};
pub use rotation::{Age, Due, Rotation, Rules};
pub use step::{Order, Refused, Situation, Step, Taken};

use crate::clock::Timestamp;
use crate::id::Entropy;
use crate::jose::{BadKey, PublishedKey, Signer};
use crate::role::Algorithm;
use crate::seal::{Place, SealFault, SealKey};
use crate::secret::Secret;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a ring key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Seals the claims inside a security token.
    TokenSeal,
    /// Derives the secret of a temporary credential.
    Triple,
    /// Hashes client secrets (the pepper).
    Pepper,
    /// Seals clients' signing keys at rest.
    Rest,
    /// Marks requests for the replay rule and derives what a retry must repeat.
    Replay,
    /// Chains the records.
    Record,
    /// Seals one-time tickets.
    Ticket,
    /// Signs access tokens with RS256.
    JwtRs256,
    /// Signs access tokens with ES256.
    JwtEs256,
    /// Signs access tokens with Ed25519.
    JwtEddsa,
    /// Signs checkpoints of the records (Ed25519).
    Checkpoint,
}

impl Purpose {
    /// Every purpose, in the order `daypass ring list` prints them.
    pub const ALL: &'static [Self] = &[
        Self::TokenSeal,
        Self::Triple,
        Self::Pepper,
        Self::Rest,
        Self::Replay,
        Self::Record,
        Self::Ticket,
        Self::JwtRs256,
        Self::JwtEs256,
        Self::JwtEddsa,
        Self::Checkpoint,
    ];

    /// The name in the store, the command line and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenSeal => "token-seal",
            Self::Triple => "triple",
            Self::Pepper => "pepper",
            Self::Rest => "rest",
            Self::Replay => "replay",
            Self::Record => "record",
            Self::Ticket => "ticket",
            Self::JwtRs256 => "jwt-rs256",
            Self::JwtEs256 => "jwt-es256",
            Self::JwtEddsa => "jwt-eddsa",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// The purpose of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.name() == name)
    }

    /// The signature algorithm of the keys that sign, whether access tokens or checkpoints.
    pub fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::JwtRs256 => Some(Algorithm::Rs256),
            Self::JwtEs256 => Some(Algorithm::Es256),
            Self::JwtEddsa | Self::Checkpoint => Some(Algorithm::EdDsa),
            _ => None,
        }
    }

    /// Whether its keys sign access tokens, and so stand in the key set that verifiers of tokens fetch. Attack: a
    /// checkpoint's key in that set would make whatever it signs a candidate for a token.
    pub fn signs_tokens(self) -> bool {
        self.algorithm().is_some() && self != Self::Checkpoint
    }
}

impl From<Algorithm> for Purpose {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::JwtRs256,
            Algorithm::Es256 => Self::JwtEs256,
            Algorithm::EdDsa => Self::JwtEddsa,
        }
    }
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RingState {
    /// Published, does not sign yet.
    Prepared,
    /// The one that signs, seals and hashes.
    Active,
    /// Still verifies and opens, makes nothing new.
    Retiring,
    /// Destroyed. Only its number is left, which no other key gets.
    Gone,
}

impl RingState {
    /// The name in the store, the command line and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Gone => "gone",
        }
    }
}

/// What is known of a key without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is for.
    pub purpose: Purpose,
    /// Counts from 1 for each purpose.
    pub version: u32,
    /// Where it is in its life.
    pub state: RingState,
    /// When it was made.
    pub created: Timestamp,
    /// From when it is in this state.
    pub since: Timestamp,
}

impl Stage {
    /// How people call the key: `jwt-rs256/2`.
    pub fn name(&self) -> String {
        RingRow::row(self.purpose, self.version)
    }
}

/// A ring key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingRow {
    /// What it is for.
    pub purpose: Purpose,
    /// Counts from 1 for each purpose.
    pub version: u32,
    /// Where it is in its life.
    pub state: RingState,
    /// When it was made.
    pub created: Timestamp,
    /// From when it is in this state. For an active key it may lie some seconds ahead; until then the one before works.
    pub since: Timestamp,
    /// The key, sealed by the seal key for this purpose and version. Of a signing key that is retiring, the public half
    /// alone; of a key that is gone, nothing, unless it has signed checkpoints, which are verified for as long as there
    /// are records: then the public half stays.
    pub sealed: Vec<u8>,
}

impl RingRow {
    /// What is known of it without opening it.
    pub fn stage(&self) -> Stage {
        let Self { purpose, version, state, created, since, .. } = *self;
        Stage { purpose, version, state, created, since }
    }

    /// Whether only the public half is kept.
    fn is_public(&self) -> bool {
        match self.state {
            RingState::Retiring => self.purpose.algorithm().is_some(),
            RingState::Gone => self.verifies_for_ever(),
            RingState::Prepared | RingState::Active => false,
        }
    }

    /// Whether anything is left of the key.
    fn is_kept(&self) -> bool {
        self.state != RingState::Gone || self.verifies_for_ever()
    }

    /// Whether it is gone, and what it signed is verified all the same.
    fn verifies_for_ever(&self) -> bool {
        self.state == RingState::Gone && self.purpose == Purpose::Checkpoint && !self.sealed.is_empty()
    }

    /// The column that the sealed bytes are bound to, so that a public half never stands where a key is expected.
    fn column(&self) -> &'static str {
        if self.is_public() { "public" } else { "sealed" }
    }

    /// Gives the place that the key is sealed for.
    fn at<T>(&self, work: impl FnOnce(Place<'_>) -> T) -> T {
        let row = Self::row(self.purpose, self.version);
        work(Place { table: "ring", row: &row, column: self.column() })
    }

    fn open(&self, kek: &Kek) -> Result<Secret, SealFault> {
        self.at(|place| kek.open(place, self))
    }

    fn seal(&mut self, kek: &Kek, entropy: &dyn Entropy, plain: &[u8]) -> Result<(), SealFault> {
        self.sealed = self.at(|place| kek.seal(place, entropy, plain))?;
        Ok(())
    }

    fn row(purpose: Purpose, version: u32) -> String {
        format!("{}/{version}", purpose.name())
    }
}

/// Why a ring does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingFault {
    /// The seal key is not the one these keys were sealed with, or a row was changed.
    #[error(
        "the seal key does not open the key `{0}` of the ring; start with the seal key the store was made with"
    )]
    WrongSealKey(String),
    /// A purpose has no active key, or two.
    #[error("the ring has no single active `{0}` key")]
    NoActive(&'static str),
    /// A key is there but unusable, or cannot be made.
    #[error("{0}")]
    BadKey(#[from] BadKey),
    /// A key cannot be sealed.
    #[error("{0}")]
    Seal(#[from] SealFault),
}

enum Material {
    Seal(SealKey),
    Mac(Box<hmac::Key>),
    Signer(Box<Signer>),
    Public(PublishedKey),
}

#[derive(Clone)]
struct Entry {
    state: RingState,
    material: Arc<Material>,
}

impl Entry {
    fn of(row: &RingRow, kek: &Kek) -> Result<Self, RingFault> {
        let plain = row.open(kek).map_err(|_| RingFault::WrongSealKey(row.stage().name()))?;
        let material = if row.is_public() {
            Material::Public(PublishedKey::parse(plain.expose())?)
        } else {
            Material::parse(row.purpose, row.version, &plain)?
        };
        Ok(Self { state: row.state, material: Arc::new(material) })
    }

    fn public(&self) -> Option<&PublishedKey> {
        match &*self.material {
            Material::Signer(signer) => Some(signer.public()),
            Material::Public(public) => Some(public),
            Material::Seal(_) | Material::Mac(_) => None,
        }
    }
}

/// The opened ring.
pub struct Ring {
    keys: BTreeMap<(Purpose, u32), Entry>,
    active: BTreeMap<Purpose, u32>,
    stages: Vec<Stage>,
    /// The stored keys that this process cannot open, and the purposes whose keys are as they were before.
    unopened: Vec<Stage>,
}

impl Ring {
    /// Makes a first key for every purpose, sealed for the store.
    pub fn generate(kek: &Kek, entropy: &dyn Entropy, at: Timestamp) -> Result<Vec<RingRow>, RingFault> {
        Purpose::ALL
            .iter()
            .map(|&purpose| Self::generate_one(kek, entropy, at, purpose, 1, RingState::Active))
            .collect()
    }

    /// The purposes that stored keys do not serve: those that an older version of the program did not have.
    pub fn missing(rows: &[RingRow]) -> impl Iterator<Item = Purpose> {
        Purpose::ALL.iter().copied().filter(|purpose| rows.iter().all(|row| row.purpose != *purpose))
    }

    /// Makes one key, sealed for the store.
    pub fn generate_one(
        kek: &Kek,
        entropy: &dyn Entropy,
        at: Timestamp,
        purpose: Purpose,
        version: u32,
        state: RingState,
    ) -> Result<RingRow, RingFault> {
        let plain = if let Some(algorithm) = purpose.algorithm() {
            Signer::generate(algorithm)?
        } else {
            let mut bytes = vec![0; 32];
            entropy.fill(&mut bytes);
            Secret::new(bytes)
        };
        let mut row = RingRow { purpose, version, state, created: at, since: at, sealed: Vec::new() };
        row.seal(kek, entropy, plain.expose())?;
        Ok(row)
    }

    /// Opens stored keys. Fails if the seal key is wrong, rather than starting a new ring beside existing data.
    pub fn open(rows: &[RingRow], kek: &Kek) -> Result<Self, RingFault> {
        let mut keys = BTreeMap::new();
        let mut active = BTreeMap::new();
        let mut stages: Vec<_> = rows.iter().map(RingRow::stage).collect();
        stages.sort_by_key(|stage| (stage.purpose, stage.version));
        for row in rows.iter().filter(|row| row.is_kept()) {
            let entry = Entry::of(row, kek)?;
            if row.state == RingState::Active && active.insert(row.purpose, row.version).is_some() {
                return Err(RingFault::NoActive(row.purpose.name()));
            }
            keys.insert((row.purpose, row.version), entry);
        }
        match Purpose::ALL.iter().find(|p| !active.contains_key(p)) {
            Some(missing) => Err(RingFault::NoActive(missing.name())),
            None => Ok(Self { keys, active, stages, unopened: Vec::new() }),
        }
    }

    fn get(&self, purpose: Purpose, version: u32) -> Option<&Material> {
        self.keys.get(&(purpose, version)).map(|entry| &*entry.material)
    }

    /// The version of a purpose's active key.
    pub fn active(&self, purpose: Purpose) -> u32 {
        // `open` refuses a ring in which a purpose has no active key; 0 is no key's version.
        self.active.get(&purpose).copied().unwrap_or_default()
    }

    /// The version of the key that a purpose's work of this time is done with: the one that had become active last.
    ///
    /// Nodes that hear of a change at different moments agree on the answer, provided that the change is in force
    /// only some time after it was written.
    pub fn active_at(&self, purpose: Purpose, at: Timestamp) -> u32 {
        let worked = |stage: &&Stage| {
            stage.purpose == purpose
                && match stage.state {
                    RingState::Active => stage.since <= at,
                    // Its time ended when the next one's began.
                    RingState::Retiring => at < stage.since,
                    RingState::Prepared | RingState::Gone => false,
                }
        };
        // The oldest whose time had not ended is the one whose time it was.
        self.stages.iter().find(worked).map_or_else(|| self.active(purpose), |stage| stage.version)
    }

    /// What is known of every key, gone ones included, by purpose and version.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The versions of a purpose's keys, oldest first.
    pub fn versions(&self, purpose: Purpose) -> impl Iterator<Item = u32> {
        self.keys.range((purpose, 0)..=(purpose, u32::MAX)).map(|((_, version), _)| *version)
    }

    /// A MAC key, by version.
    pub fn mac(&self, purpose: Purpose, version: u32) -> Option<&hmac::Key> {
        match self.get(purpose, version) {
            Some(Material::Mac(key)) => Some(&**key),
            _ => None,
        }
    }

    /// A seal key, by version.
    pub fn seal(&self, purpose: Purpose, version: u32) -> Option<&SealKey> {
        match self.get(purpose, version) {
            Some(Material::Seal(key)) => Some(key),
            _ => None,
        }
    }

    /// The active signer of an algorithm.
    pub fn signer(&self, algorithm: Algorithm) -> Option<&Signer> {
        let purpose = algorithm.into();
        match self.get(purpose, self.active(purpose)) {
            Some(Material::Signer(signer)) => Some(&**signer),
            _ => None,
        }
    }

    /// Every public key that a verifier of tokens should know: of prepared, active and retiring keys.
    pub fn published(&self) -> impl Iterator<Item = (&PublishedKey, RingState)> {
        let tokens = self.keys.iter().filter(|((purpose, _), _)| purpose.signs_tokens());
        tokens.filter_map(|(_, entry)| Some((entry.public()?, entry.state)))
    }

    /// The key that signs checkpoints of the records.
    pub fn checkpoint_signer(&self) -> Option<&Signer> {
        match self.get(Purpose::Checkpoint, self.active(Purpose::Checkpoint)) {
            Some(Material::Signer(signer)) => Some(&**signer),
            _ => None,
        }
    }

    /// Every public key that a checkpoint may be signed by, those of gone keys included, oldest first.
    pub fn checkpoint_keys(&self) -> impl Iterator<Item = &PublishedKey> {
        let all = self.keys.range((Purpose::Checkpoint, 0)..=(Purpose::Checkpoint, u32::MAX));
        all.filter_map(|(_, entry)| entry.public())
    }
}

impl Material {
    fn parse(purpose: Purpose, version: u32, plain: &Secret) -> Result<Self, RingFault> {
        if let Some(algorithm) = purpose.algorithm() {
            return Ok(Self::Signer(Box::new(Signer::parse(algorithm, plain)?)));
        }
        let bytes: &[u8; 32] =
            plain.expose().try_into().map_err(|_| RingFault::WrongSealKey(RingRow::row(purpose, version)))?;
        Ok(match purpose {
            Purpose::TokenSeal | Purpose::Rest | Purpose::Ticket => Self::Seal(SealKey::new(version, bytes)?),
            _ => Self::Mac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, SeededEntropy};

    #[test]
    fn a_ring_opens_with_its_seal_key_and_no_other() {
        let rows = testing::ring_rows();
        let ring = Ring::open(&rows, &testing::kek()).unwrap();
        for purpose in Purpose::ALL {
            assert_eq!(ring.active(*purpose), 1);
            assert_eq!(Purpose::named(purpose.name()), Some(*purpose));
        }
        assert_eq!(ring.published().count(), 3);
        let wrong = Ring::open(&rows, &Kek::new(&[1; 32]).unwrap()).err().unwrap();
        assert_eq!(wrong, RingFault::WrongSealKey("token-seal/1".into()));
    }

    #[test]
    fn a_row_moved_to_another_purpose_or_version_does_not_open() {
        let mut rows = testing::ring_rows();
        let sealed = rows[0].sealed.clone();
        rows[1].sealed = sealed;
        assert!(
            matches!(Ring::open(&rows, &testing::kek()), Err(RingFault::WrongSealKey(name)) if name == "triple/1")
        );
    }

    #[test]
    fn every_purpose_needs_exactly_one_active_key() {
        let mut rows = testing::ring_rows();
        let (kek, entropy) = (testing::kek(), SeededEntropy::new(3));
        let second =
            Ring::generate_one(&kek, &entropy, testing::START, Purpose::Pepper, 2, RingState::Active)
                .unwrap();
        rows.push(RingRow { state: RingState::Prepared, ..second.clone() });
        let ring = Ring::open(&rows, &kek).unwrap_or_else(|fault| panic!("no second active one: {fault}"));
        assert_eq!(ring.active(Purpose::Pepper), 1);
        assert_eq!(ring.versions(Purpose::Pepper).collect::<Vec<_>>(), [1, 2]);
        rows.pop();
        rows.push(second);
        assert_eq!(Ring::open(&rows, &kek).err(), Some(RingFault::NoActive("pepper")));
        rows.retain(|r| r.purpose != Purpose::Pepper);
        assert_eq!(Ring::open(&rows, &kek).err(), Some(RingFault::NoActive("pepper")));
    }
}
