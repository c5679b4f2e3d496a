//! Checkpoints: signed statements of what the chains held at a time.
//!
//! A chain's MACs are for whoever has the ring. A checkpoint is for everyone: it is signed with Ed25519, names the size
//! and the Merkle root of every chain that has grown since the one before, and the digest of that one, so that the
//! checkpoints of a store are a chain of their own. Copies of it go to second places, and from then on whoever puts the
//! store back to an earlier state contradicts what others hold.

use super::chain::ChainHead;
use super::tree::Hash;
use crate::clock::Timestamp;
use crate::jose::{BadKey, PublishedKey, signed_claims};
use crate::ring::Ring;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The `typ` of a checkpoint's header. Attack: something else that the same key has signed, shown as a checkpoint.
pub const TYP: &str = "daypass-checkpoint+jws";

/// The version of the statement.
const VERSION: u32 = 1;

/// The most chains of one checkpoint; what else has grown stands in the next, which is made at once. So a checkpoint fits
/// into a message of syslog (some 8 KiB).
pub const MOST: usize = 24;

/// The longest checkpoint that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// What a store held at a time, as it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version of this form: 1.
    pub version: u32,
    /// Counts from 1 for each store, without gaps.
    pub number: u64,
    /// When it was made.
    pub time: Timestamp,
    /// The SHA-256 of the checkpoint before, as it is written; none in the first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_hash")]
    pub previous: Option<Hash>,
    /// How many chains this one and those before have named.
    pub chains: u64,
    /// How many records those chains held when they were named last, removed ones included.
    pub records: u64,
    /// The chains that have grown since the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grown: Vec<Span>,
    /// The chains from whose beginning records were removed since, because they had been kept long enough: how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<Span>,
    /// A checkpoint that a second place holds and this store does not, because an operator has put the store back to an
    /// earlier state, and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<Fork>,
}

/// The first records of a chain, by the root of their tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The chain's writer.
    pub writer: Uuid,
    /// How many records.
    pub size: u64,
    /// The root of the tree (RFC 9162 §2.1.1) whose leaves are their exact bytes.
    #[serde(with = "hash")]
    pub root: Hash,
}

/// The last checkpoint of a history that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Its number.
    pub number: u64,
    /// Its SHA-256, as it is written.
    #[serde(with = "hash")]
    pub digest: Hash,
}

/// A checkpoint as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// The compact JWS.
    pub jws: String,
}

impl Kept {
    /// The SHA-256 that the next one names.
    pub fn digest(&self) -> Hash {
        digest_of(&self.jws)
    }

    /// What it says, if one of these keys has signed it.
    pub fn open<'k>(&self, keys: impl Iterator<Item = &'k PublishedKey>) -> Result<Checkpoint, &'static str> {
        let checkpoint = read(&self.jws, keys)?;
        if checkpoint.number == self.number {
            Ok(checkpoint)
        } else {
            Err("the number that it is kept under")
        }
    }
}

/// The SHA-256 of a checkpoint as it is written.
pub fn digest_of(jws: &str) -> Hash {
    digest::digest(&digest::SHA256, jws.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

/// What a checkpoint says, if one of these keys has signed it; or what it should have been.
pub fn read<'k>(jws: &str, keys: impl Iterator<Item = &'k PublishedKey>) -> Result<Checkpoint, &'static str> {
    let claims = signed_claims(jws.as_bytes(), LONGEST, TYP, keys)?;
    let checkpoint: Checkpoint =
        serde_json::from_value(claims.into()).map_err(|_| "the members of a checkpoint")?;
    if checkpoint.version == VERSION { Ok(checkpoint) } else { Err("a checkpoint of version 1") }
}

/// What a checkpoint claims to say. Nothing of it is believed: for whoever has proved it, or only sorts.
pub fn claimed(jws: &str) -> Option<Checkpoint> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Whether what the heads say of the checkpoints is what the last one counts.
///
/// Attack: a chain that is said to be signed for ever, by whoever can write to the store, would never be signed again.
pub fn is_counted(last: Option<&Checkpoint>, heads: &[ChainHead]) -> bool {
    let signed = heads.iter().map(|head| head.signed).filter(|size| *size > 0);
    let (chains, records) =
        signed.fold((0, 0), |(chains, records): (u64, u64), size| (chains + 1, records.saturating_add(size)));
    (chains, records) == last.map_or((0, 0), |last| (last.chains, last.records))
}

/// The checkpoint that comes next.
#[derive(Debug)]
pub struct Next {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// More has grown than one checkpoint names: another one follows at once.
    pub more: bool,
}

impl Checkpoint {
    /// The checkpoint after `last`, of chains as they stand; none where nothing has grown and nothing is accepted.
    /// `last` must have been read before `heads`: then what another node signs meanwhile takes the number first.
    ///
    /// Chains whose end is not proved are left out, and told by [`unproved`].
    pub fn next(
        last: Option<&Kept>,
        heads: &[ChainHead],
        ring: &Ring,
        now: Timestamp,
        accepts: Option<Fork>,
    ) -> Option<Next> {
        let (mut grown, mut cut, mut more) = (Vec::new(), Vec::new(), false);
        let mut sizes: BTreeMap<Uuid, u64> = heads.iter().map(|head| (head.writer, head.signed)).collect();
        for head in heads {
            let base = head.begins(ring).filter(|base| base.seq() > head.based);
            if head.seq <= head.signed && base.is_none() {
                continue;
            }
            let Some(tree) = head.proved(ring) else { continue };
            if grown.len().max(cut.len()) == MOST {
                more = true;
                break;
            }
            let writer = head.writer;
            if head.seq > head.signed {
                grown.push(Span { writer, size: head.seq, root: tree.root() });
                sizes.insert(writer, head.seq);
            }
            cut.extend(base.map(|base| Span { writer, size: base.seq(), root: base.frontier.root() }));
        }
        if grown.is_empty() && cut.is_empty() && accepts.is_none() {
            return None;
        }
        let checkpoint = Self {
            version: VERSION,
            number: last.map_or(0, |last| last.number) + 1,
            time: now,
            previous: last.map(Kept::digest),
            chains: sizes.values().filter(|size| **size > 0).count() as u64,
            records: sizes.values().fold(0, |all, size| all.saturating_add(*size)),
            grown,
            cut,
            accepts,
        };
        Some(Next { checkpoint, more })
    }

    /// Signs it.
    pub fn sign(&self, ring: &Ring) -> Result<Kept, BadKey> {
        let signer = ring.checkpoint_signer().ok_or(BadKey::MISSING)?;
        Ok(Kept { number: self.number, jws: signer.sign(TYP, self)? })
    }
}

/// The chains that hold what no checkpoint covers and whose end is not proved: of a writer of a version before the tree,
/// or with something wrong.
pub fn unproved<'a>(heads: &'a [ChainHead], ring: &'a Ring) -> impl Iterator<Item = &'a ChainHead> {
    heads.iter().filter(|head| head.seq > head.signed && head.proved(ring).is_none())
}

/// A hash as text: base64url without padding, in which it has one spelling.
mod hash {
    use super::Hash;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("a hash has 32 bytes"))
    }
}

/// The same where there may be none.
mod optional_hash {
    use super::{Hash, hash};
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(hash: &Option<Hash>, to: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => hash::serialize(hash, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Hash>, D::Error> {
        #[derive(Deserialize)]
        struct Wrapped(#[serde(with = "hash")] Hash);
        Ok(Option::<Wrapped>::deserialize(from)?.map(|Wrapped(hash)| hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::after;
    use crate::record::{Chain, Record};
    use crate::testing::{self, START};

    fn chain(writer: u128, records: u64) -> Chain {
        let mut chain = Chain::begin(&testing::ring(), Uuid::from_u128(writer)).unwrap();
        for i in 0..records {
            chain.link(&Record::change(Uuid::from_u128(i.into()), START, None, "a", "b")).unwrap();
        }
        chain
    }

    fn next(last: Option<&Kept>, heads: &[ChainHead]) -> Option<Next> {
        Checkpoint::next(last, heads, &testing::ring(), START, None)
    }

    #[test]
    fn it_says_what_has_grown_and_names_the_one_before() {
        let ring = testing::ring();
        let (one, two) = (chain(1, 3).head(), chain(2, 5).head());
        let nothing = chain(3, 0).head();
        let first = next(None, &[one.clone(), nothing.clone()]).unwrap();
        assert!(!first.more);
        let root = one.proved(&ring).unwrap().root();
        assert_eq!(first.checkpoint.grown, [Span { writer: one.writer, size: 3, root }]);
        assert_eq!((first.checkpoint.number, first.checkpoint.chains, first.checkpoint.records), (1, 1, 3));
        assert_eq!(first.checkpoint.previous, None);

        let kept = first.checkpoint.sign(&ring).unwrap();
        assert_eq!(kept.open(ring.checkpoint_keys()), Ok(first.checkpoint));
        let one = ChainHead { signed: 3, ..one };
        assert!(next(Some(&kept), &[one.clone(), nothing.clone()]).is_none(), "nothing has grown");
        let second = next(Some(&kept), &[one.clone(), two.clone(), nothing]).unwrap().checkpoint;
        assert_eq!(second.previous, Some(kept.digest()));
        assert_eq!((second.number, second.chains, second.records), (2, 2, 8));
        assert_eq!(second.grown.iter().map(|span| span.writer).collect::<Vec<_>>(), [two.writer]);
    }

    #[test]
    fn what_is_accepted_is_said_even_if_nothing_has_grown() {
        let fork = Fork { number: 9, digest: [7; 32] };
        let ring = testing::ring();
        let next = Checkpoint::next(None, &[], &ring, after(START, 60), Some(fork)).unwrap().checkpoint;
        let kept = next.sign(&ring).unwrap();
        assert_eq!(kept.open(ring.checkpoint_keys()).unwrap().accepts, Some(fork));
    }

    #[test]
    fn a_chain_whose_end_is_not_proved_is_left_out_and_told() {
        let ring = testing::ring();
        let (good, old) = (chain(1, 3).head(), ChainHead { tip: None, ..chain(2, 5).head() });
        let heads = [good.clone(), old.clone(), chain(3, 0).head()];
        let made = next(None, &heads).unwrap().checkpoint;
        assert_eq!(made.grown.iter().map(|span| span.writer).collect::<Vec<_>>(), [good.writer]);
        assert_eq!((made.chains, made.records), (1, 3));
        assert_eq!(unproved(&heads, &ring).collect::<Vec<_>>(), [&old]);
    }

    /// By whoever can write to the store: nothing signs that records were removed which no retention has removed.
    #[test]
    fn a_beginning_that_is_not_proved_is_not_signed() {
        let (ring, head) = (testing::ring(), chain(1, 3).head());
        let forged = ChainHead { base: head.tip.clone(), ..head.clone() };
        assert!(forged.begins(&ring).is_none() && head.begins(&ring).is_none());
        let made = next(None, &[forged]).unwrap().checkpoint;
        assert_eq!((made.grown.len(), made.cut), (1, vec![]));
    }

    #[test]
    fn many_chains_stand_in_several_checkpoints_of_bounded_size() {
        let ring = testing::ring();
        let mut heads: Vec<_> = (1..=60).map(|n| chain(n, 2).head()).collect();
        let (mut last, mut sizes): (Option<Kept>, Vec<usize>) = (None, Vec::new());
        while let Some(Next { checkpoint, more }) = next(last.as_ref(), &heads) {
            for span in &checkpoint.grown {
                let head = heads.iter_mut().find(|head| head.writer == span.writer).unwrap();
                head.signed = span.size;
            }
            sizes.push(checkpoint.grown.len());
            let kept = checkpoint.sign(&ring).unwrap();
            assert!(kept.jws.len() < 8 * 1024 - 200, "{}", kept.jws.len());
            assert_eq!(more, sizes.iter().sum::<usize>() < 60);
            last = Some(kept);
        }
        assert_eq!(sizes, [MOST, MOST, 60 - 2 * MOST]);
    }

    #[test]
    fn only_what_a_key_for_checkpoints_has_signed_is_one() {
        let ring = testing::ring();
        let made = next(None, &[chain(1, 3).head()]).unwrap().checkpoint;
        let kept = made.sign(&ring).unwrap();
        let open = |jws: &str| read(jws, ring.checkpoint_keys());
        assert_eq!(open(&kept.jws), Ok(made.clone()));
        assert!(Kept { number: 2, ..kept.clone() }.open(ring.checkpoint_keys()).is_err());
        assert!(read(&kept.jws, ring.published().map(|(key, _)| key)).is_err(), "no key that signs tokens");
        let tokens = ring.signer(crate::role::Algorithm::EdDsa).unwrap();
        assert!(open(&tokens.sign(TYP, &made).unwrap()).is_err());
        let ours = ring.checkpoint_signer().unwrap();
        assert!(open(&ours.sign("JWT", &made).unwrap()).is_err());
        assert!(open(&ours.sign(TYP, &Checkpoint { version: 2, ..made.clone() }).unwrap()).is_err());
        assert!(open(&ours.sign(TYP, &serde_json::json!({"number": 1})).unwrap()).is_err());
        for at in [5, kept.jws.len() / 2, kept.jws.len() - 3] {
            let mut changed = kept.jws.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(open(&String::from_utf8(changed).unwrap()).is_err(), "{at}");
        }
        assert!(open(&format!("{}\n", kept.jws)).is_err() && open("").is_err());
    }

    #[test]
    fn the_form_stays_as_it_is() {
        let span = Span { writer: Uuid::from_u128(1), size: 2, root: [1; 32] };
        let checkpoint = Checkpoint {
            version: 1,
            number: 2,
            time: START,
            previous: Some([0; 32]),
            chains: 1,
            records: 2,
            grown: vec![span],
            cut: vec![],
            accepts: None,
        };
        assert_eq!(
            serde_json::to_string(&checkpoint).unwrap(),
            r#"{"version":1,"number":2,"time":"2023-11-14T22:13:20Z","previous":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","chains":1,"records":2,"grown":[{"writer":"00000000-0000-0000-0000-000000000001","size":2,"root":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}"#
        );
    }
}
