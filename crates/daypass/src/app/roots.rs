//! Whether the clouds behind this node take our root keys, found out before anybody needs a credential.
//!
//! Each key is tried by a call that changes nothing, a *canary*: when a node first sees it, and once a day. The nodes of one
//! store share what was found in the table of held credentials, by turns: of any number of them one asks, and all know.

use super::{App, DAY, record_id};
use aws_lc_rs::hmac;
use daypass_core::clock::{Timestamp, after, rfc3339};
use daypass_core::directory::Directory;
use daypass_core::expiry;
use daypass_core::held::{Turn, TurnEnd, Wish};
use daypass_core::id::{Entropy, random_uuid};
use daypass_core::record::{Entry, Record};
use daypass_core::replay::Mark;
use daypass_core::ring::{Purpose, Ring};
use daypass_core::root::RootRow;
use daypass_core::seal::{self, Place};
use daypass_core::store::{Spent, StoreError};
use daypass_core::upstream::{RootKey, RootProof, RootSource, Upstream};
use daypass_issuers::cloud::Cloud;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often it is looked whether a key is to be tried: soon after it has become the one that counts.
const LOOK: Duration = Duration::from_secs(2);
/// Seconds after which a key that was taken is tried again.
const AGAIN: i64 = DAY;
/// Seconds after which one that was not taken is tried again: the cloud may only have been away.
const SOONER: i64 = 60;
/// Seconds that a question may take beyond the cloud's own deadline before its node is taken for dead.
const GRACE: u32 = 2;
/// For how many seconds the nodes keep what was found.
const KEEP: u32 = 2 * 86_400;

/// What a record of a root key's end that comes near is called.
const EXPIRES: &str = "root.expires";
/// What a record of a root key that was not taken is called.
const REFUSED: &str = "root.refused";
/// Keeps the places of canaries apart from those of credentials.
const LABEL: &[u8] = b"daypass canary v1";

/// What a node knows of our keys at the clouds behind it.
pub(super) struct Roots {
    node: Uuid,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What is known of the key of one issuer.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    /// There is none that calls can be made with, and why.
    Missing(String),
    /// It cannot be tried without harm.
    Untried,
    /// It was tried, at this place of the nodes' table.
    Tried { place: Mark, word: Word },
}

/// What was found, as the nodes tell each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Word {
    /// When.
    at: Timestamp,
    /// What the cloud had against it; none where it was taken.
    fault: Option<String>,
    /// When that was last written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    noted: Option<Timestamp>,
}

impl Word {
    /// Whether it is old enough to try again.
    fn is_old(&self, now: Timestamp) -> bool {
        let age = now.as_second().saturating_sub(self.at.as_second());
        let least = if self.fault.is_some() { SOONER } else { AGAIN };
        // One of the future was found by a clock that ran ahead.
        !(0..least).contains(&age)
    }

    /// Seals it for its place: whoever can write to the store must not make a key look well.
    fn seal(&self, ring: &Ring, entropy: &dyn Entropy, place: &Mark) -> Option<Arc<[u8]>> {
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let seal = ring.seal(Purpose::Rest, ring.active(Purpose::Rest))?;
        let text = serde_json::to_vec(self).ok()?;
        seal.seal_at(sealed_at(&row_of(place)), nonce, &text).ok().map(Arc::from)
    }

    /// What another node found. What does not open is as good as nothing: the cloud is asked.
    fn open(ring: &Ring, place: &Mark, sealed: &[u8]) -> Option<Self> {
        let seal = ring.seal(Purpose::Rest, seal::version_of(sealed)?)?;
        let text = seal.open_at(sealed_at(&row_of(place)), sealed).ok()?;
        serde_json::from_slice(text.expose()).ok()
    }
}

impl Roots {
    /// Nothing is known yet.
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        Self { node: random_uuid(entropy), known: Mutex::default() }
    }

    /// Forgets the issuers that are not among these any more.
    pub(super) fn keep(&self, clouds: &[Arc<dyn Cloud>]) {
        self.known.lock().retain(|issuer, _| clouds.iter().any(|cloud| cloud.upstream().name == *issuer));
    }

    /// Whether each key is there and was taken when it was last tried, by issuer. What was not tried is not there.
    pub(super) fn taken(&self) -> Vec<(String, bool)> {
        let one = |(issuer, known): (&String, &Known)| match known {
            Known::Missing(_) => Some((issuer.clone(), false)),
            Known::Untried => None,
            Known::Tried { word, .. } => Some((issuer.clone(), word.fault.is_none())),
        };
        self.known.lock().iter().filter_map(one).collect()
    }

    /// Keeps what was found, and says what has changed by it.
    fn learn(&self, upstream: &Upstream, key: Option<&RootKey>, found: Known) {
        let before = self.known.lock().insert(upstream.name.clone(), found.clone());
        if before.as_ref() == Some(&found) {
            return;
        }
        let (issuer, key) = (&*upstream.name, key.map(|key| &*key.id));
        let was_well = !matches!(&before, Some(Known::Missing(_)))
            && !matches!(&before, Some(Known::Tried { word, .. }) if word.fault.is_some());
        match found {
            Known::Missing(why) => {
                tracing::warn!(issuer, why, "an issuer has no root key: its roles are refused");
            }
            Known::Tried { word: Word { fault: Some(fault), .. }, .. } => {
                tracing::warn!(issuer, key, fault, "a cloud does not answer our root key");
            }
            Known::Tried { .. } if was_well => tracing::debug!(issuer, key, "a cloud takes our root key"),
            Known::Tried { .. } => tracing::info!(issuer, key, "a cloud takes our root key again"),
            Known::Untried => {}
        }
    }
}

/// The keys in the store that this configuration makes calls with.
fn stored(directory: &Directory) -> impl Iterator<Item = &RootRow> {
    let kept = |issuer: &str| {
        let upstream = directory.upstream(issuer);
        upstream.is_some_and(|upstream| matches!(upstream.root, RootSource::Stored))
    };
    directory.roots().iter().filter(move |row| kept(&row.issuer))
}

/// Where the nodes keep what was found of this key. A keyed hash with the secret part in it: a key that was changed under its
/// old id, as an Entra client's is, is another one.
fn place(ring: &Ring, upstream: &Upstream, key: &RootKey) -> Option<Mark> {
    let mut context = hmac::Context::with_key(ring.mac(Purpose::Replay, ring.active(Purpose::Replay))?);
    let secret = match &key.proof {
        RootProof::Secret(secret) => secret,
        RootProof::PrivateKey { pem, .. } => pem,
    };
    let account = upstream.account.as_deref().unwrap_or_default().as_bytes();
    for part in [LABEL, upstream.name.as_bytes(), upstream.url.as_bytes(), account, key.id.as_bytes()] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.update(secret.expose());
    context.sign().as_ref().first_chunk().copied()
}

fn row_of(place: &Mark) -> String {
    Uuid::from_bytes(*place).to_string()
}

fn sealed_at(row: &str) -> Place<'_> {
    Place { table: "held", row, column: "canary" }
}

impl App {
    /// Tries root keys for as long as the process lives.
    pub(super) async fn canaries(&self) {
        let mut turn = tokio::time::interval(LOOK);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            if let Err(error) = self.try_roots().await {
                tracing::warn!(%error, "what a cloud says of our root key cannot be shared; trying again");
            }
        }
    }

    /// Tries the keys that are to be tried now and that no other node has tried.
    pub(crate) async fn try_roots(&self) -> Result<(), StoreError> {
        let view = self.view();
        for cloud in view.setup.clouds() {
            self.try_root(&**cloud, &view.directory).await?;
        }
        // What was found meanwhile of an issuer that a reload has taken out is of no interest.
        self.roots.keep(self.setup().clouds());
        Ok(())
    }

    async fn try_root(&self, cloud: &dyn Cloud, directory: &Directory) -> Result<(), StoreError> {
        let (upstream, ring) = (cloud.upstream(), directory.ring());
        let key = match directory.root_key(upstream) {
            Ok(Some(key)) => key,
            Ok(None) => {
                let why = match upstream.root {
                    RootSource::Stored => format!("daypass root-key stage {} --from FILE", upstream.name),
                    RootSource::Configured(_) | RootSource::Unread => "it was not read".to_owned(),
                };
                self.roots.learn(upstream, None, Known::Missing(why));
                return Ok(());
            }
            Err(fault) => {
                self.roots.learn(upstream, None, Known::Missing(fault.to_string()));
                return Ok(());
            }
        };
        if !crate::roots::provable(upstream) {
            self.roots.learn(upstream, Some(&key), Known::Untried);
            return Ok(());
        }
        let Some(place) = place(ring, upstream, &key) else { return Ok(()) };
        let now = self.now();
        let known = self.roots.known.lock().get(&upstream.name).cloned();
        if matches!(known, Some(Known::Tried { place: at, word }) if at == place && !word.is_old(now)) {
            return Ok(());
        }
        let held = self.opened.store.held(place).await?;
        let seen = held.as_ref().map_or(0, |held| held.turn);
        let earlier = held.and_then(|held| Word::open(ring, &place, held.sealed.as_deref()?));
        if let Some(word) = earlier.clone().filter(|word| !word.is_old(now)) {
            self.roots.learn(upstream, Some(&key), Known::Tried { place, word });
            return Ok(());
        }
        let until = after(now, upstream.timeout_ms.div_ceil(1000) + GRACE);
        let wish = Wish { place, seen, holder: self.roots.node, now, until };
        // Otherwise another node is asking: what it finds is there at the next look.
        let Turn::Mine(turn) = self.opened.store.take_turn(wish).await? else { return Ok(()) };
        let mut once = [0; 16];
        self.ambient.entropy.fill(&mut once);
        let answer = cloud.canary(&key, self.ambient.clock.now(), once).await;
        let fault = answer.err().map(|fault| crate::roots::in_words(&fault));
        let now = self.now();
        let noted = earlier.and_then(|word| word.noted);
        let noted = self.note_refused(upstream, &key, fault.as_deref(), noted, now).await?;
        let word = Word { at: now, fault, noted };
        let sealed = word.seal(ring, &*self.ambient.entropy, &place);
        let (holder, keep) = (self.roots.node, after(now, KEEP));
        self.opened.store.end_turn(TurnEnd { place, turn, holder, sealed, until: now, keep }).await?;
        self.roots.learn(upstream, Some(&key), Known::Tried { place, word });
        Ok(())
    }

    /// Writes down that a key was not taken: when that begins, and once a day while it lasts.
    async fn note_refused(
        &self,
        upstream: &Upstream,
        key: &RootKey,
        fault: Option<&str>,
        noted: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(fault) = fault else { return Ok(None) };
        let lately = noted.filter(|at| now.as_second().saturating_sub(at.as_second()) < DAY);
        if lately.is_some() {
            return Ok(lately);
        }
        let object = format!("{} {}", upstream.name, key.id);
        let record = Record::trouble(record_id(now), now, REFUSED, &object, fault);
        self.opened.store.append(Entry { record, mark: None }).await?;
        Ok(Some(now))
    }

    /// Whether each root key is there and was taken when it was last tried, by issuer.
    pub(crate) fn roots_taken(&self) -> Vec<(String, bool)> {
        self.roots.taken()
    }

    /// How many root keys are not there or not taken, and how many end soon or have ended.
    pub(super) fn root_concerns(&self) -> [(usize, String); 2] {
        let refused = self.roots.taken().iter().filter(|(_, taken)| !taken).count();
        let (directory, now) = (self.directory(), self.now());
        let ending =
            stored(&directory).filter(|row| expiry::root_ends_within(row, expiry::URGENT, now)).count();
        let days = expiry::URGENT;
        [
            (refused, "clouds behind it that have no root key of ours, or do not answer it".to_owned()),
            (ending, format!("root keys that end within {days} days")),
        ]
    }

    /// Announces the ends of root keys as those of clients' keys are. Gives how many there were.
    pub(crate) async fn announce_root_ends(&self) -> Result<usize, StoreError> {
        let (directory, now) = (self.directory(), self.now());
        let mut announced = 0;
        for row in stored(&directory) {
            let (Some((days, mark)), Some(ends)) = (expiry::root_due(row, now), row.expires) else {
                continue;
            };
            if self.announced.lock().contains(&mark) {
                continue;
            }
            let spent = self.opened.store.spend(mark, ends).await?;
            self.announced.lock().insert(mark);
            if spent == Spent::Before {
                continue;
            }
            announced += 1;
            let (issuer, key, end) = (&*row.issuer, &*row.id, rfc3339(ends));
            tracing::warn!(issuer, key, ends = end, "a root key ends within {days} days");
            let record = Record::warning(record_id(now), now, None, EXPIRES, &crate::roots::name(row), days);
            self.opened.store.append(Entry { record, mark: None }).await?;
        }
        Ok(announced)
    }
}

#[cfg(test)]
mod tests;
