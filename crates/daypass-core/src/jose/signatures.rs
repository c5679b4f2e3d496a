//! A short memory of signatures that were found right.
//!
//! A page that asks before every upload part shows the same JWT each time. Its claims and its times are judged every
//! time; only the signature over the very same bytes, by the very same keys, is not computed again: for RS256 that is
//! most of such a request.

use super::verify::verify;
use super::{KeySet, verify_outside};
use crate::clock::Timestamp;
use crate::identity::Subject;
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::secret::Secret;
use aws_lc_rs::digest;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The most tokens in each of two generations. When one is full, the older is forgotten.
const TOKENS: usize = 5_000;

/// The tokens whose signatures were found right. An entry holds the very key set: another one, even with the same
/// keys, is a reason to compute again, so that a key that a provider has withdrawn is believed no longer than the
/// port gives it out.
#[derive(Default)]
pub struct Signatures(Mutex<Generations<Arc<KeySet>>>);

/// What is known of tokens, by their hashes, for a while.
pub(super) struct Generations<T> {
    young: HashMap<[u8; 32], T>,
    old: HashMap<[u8; 32], T>,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl Signatures {
    /// Verifies as [`verify_outside`] does.
    pub fn verify_outside(
        &self,
        provider: &Provider,
        keys: &Arc<KeySet>,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Subject, Refusal> {
        let hash = digest::digest(&digest::SHA256, token.expose());
        let Some(hash) = hash.as_ref().first_chunk().copied() else {
            return verify_outside(provider, keys, token, now);
        };
        let known = self.0.lock().get(&hash).is_some_and(|held| Arc::ptr_eq(held, keys));
        let subject = verify(provider, keys, token, now, known)?;
        if !known {
            self.0.lock().put(hash, keys.clone());
        }
        Ok(subject)
    }
}

impl<T> Generations<T> {
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<&T> {
        self.young.get(hash).or_else(|| self.old.get(hash))
    }

    pub(super) fn put(&mut self, hash: [u8; 32], known: T) {
        if self.young.len() >= TOKENS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Signer;
    use crate::provider::KeySource;
    use crate::refusal::Reason;
    use crate::role::Algorithm;
    use crate::testing::{START, later};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn signer() -> Signer {
        let key = Signer::generate(Algorithm::Es256).unwrap();
        Signer::parse(Algorithm::Es256, &key).unwrap()
    }

    fn keys(signer: &Signer) -> Arc<KeySet> {
        let document = json!({ "keys": [signer.jwk()] }).to_string();
        Arc::new(KeySet::parse(document.as_bytes()).unwrap())
    }

    fn provider() -> Provider {
        Provider {
            tenant: "acme".into(),
            name: "corp".into(),
            issuer: "https://login.example.com".into(),
            audiences: vec!["daypass".into()],
            keys: KeySource::Discovery,
            subject: "sub".into(),
            variables: BTreeMap::new(),
            quota: crate::provider::Quota::default(),
        }
    }

    fn token(signer: &Signer, name: &str) -> Secret {
        let claims: Value = json!({
            "iss": "https://login.example.com", "aud": "daypass", "sub": name, "exp": START.as_second() + 60,
        });
        Secret::new(signer.sign("JWT", &claims).unwrap())
    }

    fn holds(signatures: &Signatures, token: &Secret, keys: &Arc<KeySet>) -> bool {
        signatures.0.lock().get(&hash(token)).is_some_and(|held| Arc::ptr_eq(held, keys))
    }

    fn name(got: Result<Subject, Refusal>) -> Result<String, Reason> {
        got.map(|subject| subject.name).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_known_signature_is_not_computed_again_and_all_else_is_judged() {
        let (signer, signatures) = (signer(), Signatures::default());
        let (keys, token) = (keys(&signer), token(&signer, "ann"));
        let verify = |provider: &Provider, at| name(signatures.verify_outside(provider, &keys, &token, at));
        assert_eq!(verify(&provider(), START), Ok("ann".into()));
        assert!(holds(&signatures, &token, &keys));
        assert_eq!(verify(&provider(), later(59)), Ok("ann".into()));
        assert_eq!(verify(&provider(), later(60)), Err(Reason::IdentityInvalid), "its time is over");
        let other = Provider { issuer: "https://other.example.com".into(), ..provider() };
        assert_eq!(
            verify(&other, START),
            Err(Reason::IdentityInvalid),
            "of another provider with these keys"
        );
        let other = Provider { audiences: vec!["elsewhere".into()], ..provider() };
        assert_eq!(verify(&other, START), Err(Reason::IdentityInvalid));
    }

    #[test]
    fn with_other_keys_it_is_computed_again() {
        let (first, second, signatures) = (signer(), signer(), Signatures::default());
        let (ours, theirs, token) = (keys(&first), keys(&second), token(&first, "ann"));
        assert!(signatures.verify_outside(&provider(), &ours, &token, START).is_ok());
        assert!(!holds(&signatures, &token, &theirs));
        let got = signatures.verify_outside(&provider(), &theirs, &token, START);
        assert_eq!(name(got), Err(Reason::IdentityInvalid), "its key was withdrawn");
        assert!(!holds(&signatures, &token, &keys(&first)), "the same keys, read again");
    }

    #[test]
    fn what_was_refused_is_not_remembered() {
        let (signer, signatures) = (signer(), Signatures::default());
        let keys = keys(&signer);
        let forged = Secret::new([token(&signer, "ann").expose(), b"A"].concat());
        assert!(signatures.verify_outside(&provider(), &keys, &forged, START).is_err());
        assert!(signatures.verify_outside(&provider(), &keys, &token(&signer, "ann"), later(60)).is_err());
        assert!(signatures.0.lock().young.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_was_put_lately_stays() {
        let keys = keys(&signer());
        let mut generations = Generations::default();
        let hash =
            |n: usize| *[n.to_be_bytes(), [0; 8], [0; 8], [0; 8]].concat().first_chunk::<32>().unwrap();
        for n in 0..3 * TOKENS {
            generations.put(hash(n), keys.clone());
        }
        assert_eq!((generations.young.len(), generations.old.len()), (TOKENS, TOKENS));
        assert!(generations.get(&hash(3 * TOKENS - 1)).is_some() && generations.get(&hash(TOKENS)).is_some());
        assert!(generations.get(&hash(0)).is_none());
    }

    fn hash(token: &Secret) -> [u8; 32] {
        *digest::digest(&digest::SHA256, token.expose()).as_ref().first_chunk().unwrap()
    }
}
