//! Taking credentials back: instants before which nothing issued counts any more.
//!
//! No row is stored for a credential, so none can be deleted. Instead, a cut-off names a scope and an instant:
//! whatever was issued in that scope at or before it is refused at its next verification. Every node holds all
//! cut-offs in memory.
//!
//! Cut-offs are kept to the millisecond and access tokens say when they were issued to the second, cut short: one that
//! was issued in the second of a cut-off counts as issued before it. So none from before lives on, and one that was
//! issued after it, but within the same second, may be refused: whoever is cut off and asks again at once should ask
//! again after a second.
//!
//! A cut-off of one credential means nothing any more when the credential could not live any longer in any case, and is
//! then forgotten ([`Cutoffs::outlived`]). Those of wider scopes are few, and stay.

mod layer;

use crate::clock::{Timestamp, after};
use crate::limits::LONGEST_LIFE;
use layer::{GONE, Layer};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use uuid::Uuid;

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that this service ever issued.
    All,
    /// Everything in a tenant, by name.
    Tenant(String),
    /// Everything issued to a client.
    Client(Uuid),
    /// Everything issued on the strength of one key, by its id.
    Key(String),
    /// Everything issued in one role of a tenant.
    Role {
        /// The tenant's name.
        tenant: String,
        /// The role's name.
        role: String,
    },
    /// Everything issued to one subject of a tenant.
    Subject {
        /// The tenant's name.
        tenant: String,
        /// The subject.
        subject: String,
    },
    /// One credential, by its id.
    Credential(String),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Tenant(name) => write!(f, "tenant {name}"),
            Self::Client(guid) => write!(f, "client {guid}"),
            Self::Key(id) => write!(f, "key {id}"),
            Self::Role { tenant, role } => write!(f, "role {role} of tenant {tenant}"),
            Self::Subject { tenant, subject } => write!(f, "subject {subject} of tenant {tenant}"),
            Self::Credential(id) => write!(f, "credential {id}"),
        }
    }
}

/// A scope with its instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutoff {
    /// What is taken back.
    pub scope: Scope,
    /// Everything issued up to and including this instant (to the millisecond).
    pub before: Timestamp,
}

/// How much longer than the longest life a cut-off of one credential is kept, in seconds.
///
/// Attack: a node whose clock is ahead forgets a cut-off while the credential still has some life left on another one.
const MARGIN: u32 = 3600;

/// When nothing that a cut-off of this instant concerns can live any more, on a node of any clock.
pub fn over(before: Timestamp) -> Timestamp {
    after(before, LONGEST_LIFE + MARGIN)
}

/// All cut-offs, by scope, in compact memory that snapshots share.
///
/// They lie in layers, each much smaller than the one below, and what a layer says of a scope counts for those below it. A
/// change is one more small layer; two layers become one when the upper is no longer much smaller. So one more cut-off
/// beside a million costs what one costs, all in all each is copied a few times, and a lookup asks a few tables of which
/// all but the lowest are small.
#[derive(Clone, Debug, Default)]
pub struct Cutoffs {
    /// The lowest first.
    layers: Vec<Arc<Layer>>,
    hasher: RandomState,
    live: usize,
    tokens: usize,
}

/// How many times larger a layer must be than the one on it.
const STEP: usize = 4;

impl Cutoffs {
    /// Collects cut-offs; of two for one scope the later counts.
    pub fn new(all: impl IntoIterator<Item = Cutoff>) -> Self {
        let all = all.into_iter();
        let mut gathered = Gathered::with_room(all.size_hint().0);
        all.for_each(|cutoff| gathered.add(&cutoff.scope, cutoff.before.as_millisecond()));
        gathered.finish()
    }

    /// Whether something issued then, in this scope, has been taken back.
    pub fn cut(&self, issued: Timestamp, scope: &Scope) -> bool {
        self.millis(&layer::name(scope)).is_some_and(|cut| issued.as_millisecond() <= cut)
    }

    /// The instant of a scope, to the millisecond, if it has one.
    pub fn before(&self, scope: &Scope) -> Option<Timestamp> {
        self.millis(&layer::name(scope)).map(time)
    }

    /// Every cut-off, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, Timestamp)> {
        self.named(Layer::entries)
    }

    /// Every cut-off that an access token may be concerned by, in no order: all but those of single temporary keys.
    pub fn of_tokens(&self) -> impl Iterator<Item = (Scope, Timestamp)> {
        self.named(|layer| layer.entries().filter(|(name, _)| !layer::is_triple(name)))
    }

    /// Cut-offs of single credentials of which none can live any more, at most `most` of them.
    pub fn outlived(&self, now: Timestamp, most: usize) -> Vec<Cutoff> {
        // Whatever is later than this lives on. Not less exactly than to the millisecond, so that it is asked again below.
        let last = now.checked_sub(over(Timestamp::UNIX_EPOCH).duration_since(Timestamp::UNIX_EPOCH));
        let last = last.unwrap_or(Timestamp::MIN).as_millisecond();
        let early = self.named(move |layer| {
            let any = layer.oldest().is_some_and(|oldest| oldest <= last);
            let singles = any.then(|| layer.until(last)).into_iter().flatten();
            singles.filter(|(name, _)| layer::is_single(name))
        });
        let gone = early.filter(|(_, before)| over(*before) < now).take(most);
        gone.map(|(scope, before)| Cutoff { scope, before }).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// How many there are of single access tokens, which every tenant's revocation feed has to list.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Whether nothing was ever taken back.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// With these scopes cut off at these instants, or not any more, whatever was said of them before.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = (Scope, Option<Timestamp>)>) -> Self {
        let Self { mut layers, hasher, mut live, mut tokens } = self.clone();
        let mut top = Layer::default();
        for (scope, before) in changes {
            let name = layer::name(&scope);
            let hash = hasher.hash_one(name.as_slice());
            let there = top.find(hash, &name).or_else(|| self.find(hash, &name, self.layers.len()));
            let (was, is) = (there.is_some_and(|before| before != GONE), before.is_some());
            live = live + usize::from(is) - usize::from(was);
            if layer::is_token(&name) {
                tokens = tokens + usize::from(is) - usize::from(was);
            }
            top.put(&hasher, hash, &name, before.map_or(GONE, Timestamp::as_millisecond));
        }
        top.shrink();
        layers.push(Arc::new(top));
        fold(&mut layers, &hasher);
        Self { layers, hasher, live, tokens }
    }

    fn millis(&self, name: &[u8]) -> Option<i64> {
        let found = self.find(self.hasher.hash_one(name), name, self.layers.len());
        found.filter(|before| *before != GONE)
    }

    /// What the highest of the lowest `layers` layers that knows a name says of it.
    fn find(&self, hash: u64, name: &[u8], layers: usize) -> Option<i64> {
        self.layers.iter().take(layers).rev().find_map(|layer| layer.find(hash, name))
    }

    /// Of what is picked from each layer, what no layer above it says otherwise.
    fn named<'a, I: Iterator<Item = (&'a [u8], i64)>>(
        &'a self,
        pick: impl Fn(&'a Layer) -> I,
    ) -> impl Iterator<Item = (Scope, Timestamp)> {
        self.layers.iter().enumerate().flat_map(move |(at, layer)| {
            let above = self.layers.get(at + 1..).unwrap_or_default();
            let counts = move |name: &[u8]| {
                // The lowest layer of many has nearly all, and the one above it is often not there.
                above.is_empty() || {
                    let hash = self.hasher.hash_one(name);
                    above.iter().all(|layer| layer.find(hash, name).is_none())
                }
            };
            let live = pick(layer).filter(move |(name, before)| *before != GONE && counts(name));
            live.filter_map(|(name, before)| Some((layer::scope(name)?, time(before))))
        })
    }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// Makes one layer of the two highest as long as the upper one is not much smaller.
fn fold(layers: &mut Vec<Arc<Layer>>, hasher: &RandomState) {
    while let [.., lower, upper] = layers.as_slice()
        && upper.len() * STEP >= lower.len()
    {
        let lowest = layers.len() == 2;
        let mut both = Layer::with_room(lower.len() + upper.len());
        for (name, before) in lower.entries() {
            let hash = hasher.hash_one(name);
            if upper.find(hash, name).is_none() {
                both.put(hasher, hash, name, before);
            }
        }
        // Where nothing lies below, there is nothing that must be said to be gone.
        for (name, before) in upper.entries().filter(|(_, before)| !lowest || *before != GONE) {
            both.put(hasher, hasher.hash_one(name), name, before);
        }
        both.shrink();
        layers.truncate(layers.len() - 2);
        layers.push(Arc::new(both));
    }
}

/// Gathers all cut-offs one by one, for whoever reads so many that they should not lie in memory twice.
#[derive(Debug, Default)]
pub struct Gathered {
    layer: Layer,
    hasher: RandomState,
}

impl Gathered {
    /// Nothing yet, with room for so many.
    pub fn with_room(cutoffs: usize) -> Self {
        Self { layer: Layer::with_room(cutoffs), hasher: RandomState::new() }
    }

    /// Adds one, whose instant is in milliseconds since the epoch; of two for one scope the later counts.
    pub fn add(&mut self, scope: &Scope, before: i64) {
        let name = layer::name(scope);
        let hash = self.hasher.hash_one(name.as_slice());
        if self.layer.find(hash, &name).is_none_or(|there| there < before) {
            self.layer.put(&self.hasher, hash, &name, before);
        }
    }

    /// What was gathered.
    pub fn finish(self) -> Cutoffs {
        let Self { mut layer, hasher } = self;
        layer.shrink();
        let (live, tokens) = (layer.len(), layer.entries().filter(|(name, _)| layer::is_token(name)).count());
        Cutoffs { layers: vec![Arc::new(layer)], hasher, live, tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, later};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_instant_itself_is_cut_and_the_next_millisecond_is_not() {
        let at: Timestamp = "2026-11-22T06:00:00.500Z".parse().unwrap();
        let cuts = Cutoffs::new([
            Cutoff { scope: Scope::Key("AKID1".into()), before: at },
            Cutoff { scope: Scope::Key("AKID1".into()), before: crate::testing::before(at, 60) },
        ]);
        let scope = Scope::Key("AKID1".into());
        assert!(cuts.cut(at, &scope));
        assert!(!cuts.cut("2026-11-22T06:00:00.501Z".parse().unwrap(), &scope));
        assert!(!cuts.cut(at, &Scope::Key("AKID2".into())));
    }

    #[test]
    fn a_second_of_a_token_is_cut_with_all_its_milliseconds() {
        let scope = || Scope::Client(Uuid::nil());
        let cuts =
            Cutoffs::new([Cutoff { scope: scope(), before: "2026-11-22T06:00:00.500Z".parse().unwrap() }]);
        // An access token that was issued at .300 or at .700 says the same.
        assert!(cuts.cut("2026-11-22T06:00:00Z".parse().unwrap(), &scope()));
        assert!(!cuts.cut("2026-11-22T06:00:01Z".parse().unwrap(), &scope()));
    }

    #[test]
    fn a_single_credentials_cut_off_is_forgotten_when_nothing_of_it_can_live() {
        let of = |id: &str, before| Cutoff { scope: Scope::Credential(id.into()), before };
        let wide = |scope| Cutoff { scope, before: START };
        let cuts = Cutoffs::new([
            of("old", START),
            of("young", later(1)),
            wide(Scope::Tenant("acme".into())),
            wide(Scope::Client(Uuid::nil())),
            wide(Scope::Key("AKID1".into())),
            wide(Scope::Role { tenant: "acme".into(), role: "soe".into() }),
            wide(Scope::Subject { tenant: "acme".into(), subject: "ann".into() }),
        ]);
        let end = after(START, LONGEST_LIFE + MARGIN);
        assert_eq!(cuts.outlived(end, 10), []);
        let past = end.checked_add(crate::clock::SignedDuration::from_millis(1)).unwrap();
        assert_eq!(cuts.outlived(past, 10), [of("old", START)]);
        assert_eq!(cuts.outlived(after(end, 9), 10).len(), 2);
        assert_eq!(cuts.outlived(after(end, 9), 1).len(), 1, "a bounded piece of work");
    }
    fn of_key(id: u64) -> Scope {
        Scope::Key(id.to_string())
    }

    fn sorted(all: impl Iterator<Item = (Scope, Timestamp)>) -> BTreeMap<String, i64> {
        all.map(|(scope, before)| (format!("{scope:?}"), before.as_millisecond())).collect()
    }

    proptest! {
        /// Whatever was changed in whatever pieces, what counts is what a plain map would say.
        #[test]
        fn layers_say_what_a_map_says(
            changes in proptest::collection::vec(
                proptest::collection::vec((0_u64..40, proptest::option::of(0_u32..5)), 0..12), 0..30),
        ) {
            let mut cuts = Cutoffs::new((0..10).map(|id| Cutoff { scope: of_key(id), before: later(9) }));
            let mut map: BTreeMap<u64, Timestamp> = (0..10).map(|id| (id, later(9))).collect();
            for change in changes {
                let change = change.into_iter().map(|(id, at)| (id, at.map(later))).collect::<Vec<_>>();
                let earlier = (cuts.clone(), sorted(cuts.iter()));
                cuts = cuts.with(change.iter().map(|(id, at)| (of_key(*id), *at)));
                for (id, at) in change {
                    match at {
                        Some(at) => map.insert(id, at),
                        None => map.remove(&id),
                    };
                }
                for id in 0..40 {
                    prop_assert_eq!(cuts.before(&of_key(id)), map.get(&id).copied());
                }
                let expected = sorted(map.iter().map(|(id, at)| (of_key(*id), *at)));
                prop_assert_eq!(sorted(cuts.iter()), expected);
                prop_assert_eq!((cuts.len(), cuts.is_empty()), (map.len(), map.is_empty()));
                prop_assert_eq!(sorted(earlier.0.iter()), earlier.1, "an earlier snapshot stays as it was");
                for pair in cuts.layers.windows(2) {
                    prop_assert!(pair[1].len() * STEP < pair[0].len());
                }
            }
        }
    }

    #[test]
    fn one_more_beside_many_leaves_the_many_where_they_are() {
        let cuts = Cutoffs::new((0..10_000).map(|id| Cutoff { scope: of_key(id), before: START }));
        let more = cuts.with([(of_key(10_000), Some(START)), (of_key(3), None)]);
        assert!(Arc::ptr_eq(&cuts.layers[0], &more.layers[0]));
        assert!(more.cut(START, &of_key(10_000)) && !more.cut(START, &of_key(3)));
        assert!(!cuts.cut(START, &of_key(10_000)) && cuts.cut(START, &of_key(3)));
        assert_eq!((cuts.len(), more.len()), (10_000, 10_000));
    }

    #[test]
    fn what_is_gone_takes_no_room_for_ever() {
        let mut cuts = Cutoffs::new((0..1000).map(|id| Cutoff { scope: of_key(id), before: START }));
        for id in 0..1000 {
            cuts = cuts.with([(of_key(id), None)]);
        }
        assert!(cuts.is_empty());
        let kept: usize = cuts.layers.iter().map(|layer| layer.len()).sum();
        assert!(kept < 1000, "{kept} names of nothing");
    }

    #[test]
    fn only_what_tokens_know_is_given_for_tokens() {
        let credential = |id: &str| Scope::Credential(id.to_owned());
        let (one, other) = ("6f1de4f0-2b5c-4c56-9a5e-0d8a3b0c9d11", "6F1DE4F0-2B5C-4C56-9A5E-0D8A3B0C9D12");
        let scopes = [credential(one), credential(other), credential("AKIDtemp"), of_key(1), Scope::All];
        let cuts = Cutoffs::new(scopes.clone().map(|scope| Cutoff { scope, before: START }));
        let cuts = cuts.with([(credential("AKIDmore"), Some(START))]);
        let all = |scopes: &[Scope]| sorted(scopes.iter().cloned().map(|scope| (scope, START)));
        let expected = [scopes[0].clone(), scopes[1].clone(), scopes[3].clone(), scopes[4].clone()];
        assert_eq!(sorted(cuts.of_tokens()), all(&expected));

        assert_eq!(cuts.tokens(), 2);
        let less = cuts.with([
            (credential(one), None),
            (credential("AKIDtemp"), None),
            (credential("no one"), None),
        ]);
        assert_eq!((less.tokens(), less.len()), (1, 4));
        let again = less.with([(credential(one), Some(START)), (credential(other), Some(later(5)))]);
        assert_eq!((again.tokens(), again.len()), (2, 5));
    }

    #[test]
    fn what_was_cut_off_again_is_not_forgotten() {
        let of = |id: &str, before| Cutoff { scope: Scope::Credential(id.into()), before };
        let cuts = Cutoffs::new((0..9).map(|id| of(&id.to_string(), START)));
        let past = after(START, LONGEST_LIFE + MARGIN + 1);
        let cuts =
            cuts.with([(Scope::Credential("3".into()), Some(past)), (Scope::Credential("4".into()), None)]);
        let gone: Vec<_> = cuts.outlived(past, 99).into_iter().map(|cutoff| cutoff.scope).collect();
        assert_eq!(gone.len(), 7);
        assert!(
            !gone.contains(&Scope::Credential("3".into())) && !gone.contains(&Scope::Credential("4".into()))
        );
    }
}
