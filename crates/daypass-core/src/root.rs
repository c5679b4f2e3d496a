//! Root keys: Daypass's own keys at the clouds behind it, kept sealed in the store.
//!
//! Each issuer has two slots, so that a rotation has no gap: the new key is *staged* beside the one that works, proved by a
//! canary call, and promoted; the old one stands by until it is dropped, so that a promotion can be undone.

use crate::clock::Timestamp;
use crate::id::Entropy;
use crate::ring::{Purpose, Ring};
use crate::seal::{self, Place, SealFault};
use crate::secret::Secret;
use crate::upstream::{RootKey, RootProof};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// One of an issuer's two places for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The name in the store, the command line and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Where a root key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootState {
    /// It waits to be proved and promoted.
    Staged,
    /// It makes the calls.
    Active,
    /// It made them before, and can again.
    Standby,
}

impl RootState {
    /// The name in the command line and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Standby => "standby",
        }
    }
}

/// A root key as it is stored. Its secret part is sealed for this issuer, slot and key id, and opens nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRow {
    /// The issuer, by name.
    pub issuer: String,
    /// Which of its two places.
    pub slot: Slot,
    /// Where it is in its life.
    pub state: RootState,
    /// The cloud's id of the key.
    pub id: String,
    /// When it was put here.
    pub created: Timestamp,
    /// From when it is in this state.
    pub since: Timestamp,
    /// When the cloud stops taking it, as far as an operator has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When a canary call last proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<Timestamp>,
    /// The secret part, sealed.
    pub sealed: Vec<u8>,
}

/// What is sealed. The version tag is serde's.
#[derive(Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
enum Sealed {
    Secret { secret: Zeroizing<String> },
    PrivateKey { pem: Zeroizing<String>, thumbprint: Option<String> },
}

impl RootRow {
    /// The place that the secret part is sealed for.
    fn row(issuer: &str, slot: Slot, id: &str) -> String {
        format!("{issuer}/{}/{id}", slot.name())
    }

    /// Seals a key for a slot of an issuer.
    pub fn stage(
        ring: &Ring,
        entropy: &dyn Entropy,
        issuer: &str,
        slot: Slot,
        key: &RootKey,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, SealFault> {
        let plain = match &key.proof {
            RootProof::Secret(secret) => {
                Sealed::Secret { secret: Zeroizing::new(secret.expose_str().to_owned()) }
            }
            RootProof::PrivateKey { pem, thumbprint } => Sealed::PrivateKey {
                pem: Zeroizing::new(pem.expose_str().to_owned()),
                thumbprint: thumbprint.clone(),
            },
        };
        let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(|_| SealFault::Broken)?);
        let row = Self::row(issuer, slot, &key.id);
        let place = Place { table: "root", row: &row, column: "sealed" };
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let seal = ring.seal(Purpose::Rest, ring.active(Purpose::Rest)).ok_or(SealFault::Broken)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            slot,
            state: RootState::Staged,
            id: key.id.clone(),
            created: now,
            since: now,
            expires,
            proved: None,
            sealed: seal.seal_at(place, nonce, &plain)?,
        })
    }

    /// The same key, sealed by the key of the ring that seals now.
    pub fn resealed(&self, ring: &Ring, entropy: &dyn Entropy) -> Result<Self, SealFault> {
        let row = Self::row(&self.issuer, self.slot, &self.id);
        let place = Place { table: "root", row: &row, column: "sealed" };
        let version = seal::version_of(&self.sealed).ok_or(SealFault::DoesNotOpen)?;
        let old = ring.seal(Purpose::Rest, version).ok_or(SealFault::DoesNotOpen)?;
        let plain = old.open_at(place, &self.sealed)?;
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let new = ring.seal(Purpose::Rest, ring.active(Purpose::Rest)).ok_or(SealFault::Broken)?;
        Ok(Self { sealed: new.seal_at(place, nonce, plain.expose())?, ..self.clone() })
    }

    /// Opens it for calls.
    pub fn open(&self, ring: &Ring) -> Result<RootKey, SealFault> {
        let row = Self::row(&self.issuer, self.slot, &self.id);
        let place = Place { table: "root", row: &row, column: "sealed" };
        let version = seal::version_of(&self.sealed).ok_or(SealFault::DoesNotOpen)?;
        let seal = ring.seal(Purpose::Rest, version).ok_or(SealFault::DoesNotOpen)?;
        let plain = seal.open_at(place, &self.sealed)?;
        let proof = match serde_json::from_slice(plain.expose()).map_err(|_| SealFault::DoesNotOpen)? {
            Sealed::Secret { secret } => RootProof::Secret(Arc::new(Secret::new(secret.as_bytes()))),
            Sealed::PrivateKey { pem, thumbprint } => {
                RootProof::PrivateKey { pem: Arc::new(Secret::new(pem.as_bytes())), thumbprint }
            }
        };
        Ok(RootKey { id: self.id.clone(), proof })
    }

    /// Whether the cloud still takes it, as far as is known.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, SeededEntropy, ring};

    fn staged(issuer: &str, key: &RootKey) -> RootRow {
        RootRow::stage(&ring(), &SeededEntropy::new(5), issuer, Slot::A, key, None, START).unwrap()
    }

    fn secret(text: &str) -> RootKey {
        RootKey { id: "AKIDroot".into(), proof: RootProof::Secret(Arc::new(Secret::new(text))) }
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let row = staged("main", &secret("s3cret"));
        let RootProof::Secret(opened) = row.open(&ring()).unwrap().proof else { panic!("a secret") };
        assert_eq!(opened.expose(), b"s3cret");
        for moved in [
            RootRow { issuer: "other".into(), ..row.clone() },
            RootRow { slot: Slot::B, ..row.clone() },
            RootRow { id: "AKIDother".into(), ..row.clone() },
        ] {
            assert_eq!(moved.open(&ring()).err(), Some(SealFault::DoesNotOpen));
        }
        let json = serde_json::to_string(&row).unwrap();
        assert!(!json.contains("s3cret"), "{json}");
        assert_eq!(serde_json::from_str::<RootRow>(&json).unwrap(), row);
    }

    #[test]
    fn a_private_key_keeps_its_thumbprint() {
        let pem = Arc::new(Secret::new("-----BEGIN PRIVATE KEY-----"));
        let proof = RootProof::PrivateKey { pem, thumbprint: Some("dGh1bWI".into()) };
        let row = staged("entra", &RootKey { id: "client".into(), proof });
        let RootProof::PrivateKey { pem, thumbprint } = row.open(&ring()).unwrap().proof else {
            panic!("a private key")
        };
        assert_eq!(pem.expose_str(), "-----BEGIN PRIVATE KEY-----");
        assert_eq!(thumbprint.as_deref(), Some("dGh1bWI"));
    }
}
