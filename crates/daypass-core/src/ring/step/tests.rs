use super::*;
use crate::client::Key;
use crate::jose::PublishedKey;
use crate::record::checkpoint::Checkpoint;
use crate::record::{Chain, ChainHead};
use crate::ring::{RingState, Rotation};
use crate::role::Algorithm;
use crate::testing::{self, START, SeededEntropy, World, later, ring_rows};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A store that makes changes, and nothing else.
struct Bench {
    rows: Vec<RingRow>,
    keys: Vec<Key>,
    heads: Vec<ChainHead>,
    rules: Rules,
    entropy: SeededEntropy,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        let mut plan = world.plan;
        plan.rotation = Rotation { period: None, max_age: 60, lead: 600, keep: 0 };
        let rules = Rules::of(&plan);
        let heads = vec![Chain::begin(&testing::ring(), Uuid::from_u128(1)).unwrap().head()];
        Self { rows: ring_rows(), keys: world.keys, heads, rules, entropy: SeededEntropy::new(9) }
    }

    fn decide(&self, order: Order, now: Timestamp) -> Result<Taken, Refused> {
        let left = Left::of(&self.ring(), &self.keys, &[], now).with_chains(&self.heads);
        let situation = Situation { rows: &self.rows, left: &left, rules: &self.rules, now };
        order.take(&situation, &testing::kek(), &self.entropy)
    }

    fn take(&mut self, step: Step, purpose: Purpose, seconds: u32) -> Result<Stage, Refused> {
        let taken = self.decide(order(step, purpose), later(seconds))?;
        self.make(&taken);
        Ok(taken.stage)
    }

    fn make(&mut self, taken: &Taken) {
        match &taken.change {
            Change::AddRing(rows) => self.rows.extend(rows.iter().cloned()),
            Change::SwapRing { old, new } => {
                assert!(old.iter().all(|row| self.rows.contains(row)));
                self.rows.retain(|row| !old.contains(row));
                self.rows.extend(new.iter().cloned());
            }
            other => panic!("{other:?}"),
        }
    }

    fn ring(&self) -> Ring {
        Ring::open(&self.rows, &testing::kek()).unwrap_or_else(|fault| panic!("{fault}"))
    }
}

fn order(step: Step, purpose: Purpose) -> Order {
    Order { purpose, version: None, step, force: false }
}

const ROTATING: [Purpose; 10] = [
    Purpose::Record,
    Purpose::Replay,
    Purpose::TokenSeal,
    Purpose::Triple,
    Purpose::Pepper,
    Purpose::Rest,
    Purpose::Ticket,
    Purpose::JwtRs256,
    Purpose::JwtEs256,
    Purpose::JwtEddsa,
];

#[test]
fn every_rotating_key_goes_through_its_whole_life() {
    for purpose in ROTATING {
        let mut bench = Bench::new();
        bench.keys.clear();
        bench.heads.clear();
        let made = bench.take(Step::Prepare, purpose, 0).unwrap();
        assert_eq!((made.version, made.state), (2, RingState::Prepared));
        assert_eq!(bench.ring().active(purpose), 1, "it is only prepared");

        let active = bench.take(Step::Activate, purpose, 600).unwrap();
        assert_eq!((active.version, active.state), (2, RingState::Active));
        let ring = bench.ring();
        assert_eq!(ring.active(purpose), 2);
        assert_eq!(ring.versions(purpose).collect::<Vec<_>>(), [1, 2], "the one before still recognises");

        let gone = bench.take(Step::Retire, purpose, 100 * 86_400).unwrap();
        assert_eq!((gone.version, gone.state), (1, RingState::Gone));
        let ring = bench.ring();
        assert_eq!(ring.versions(purpose).collect::<Vec<_>>(), [2]);
        let row = bench.rows.iter().find(|row| row.purpose == purpose && row.version == 1).unwrap();
        assert_eq!(row.sealed, b"", "nothing of it is left");
        // Its number is not given again, not even when the only other key goes with it.
        assert_eq!(bench.take(Step::Prepare, purpose, 0).unwrap().version, 3);
        let dropped = Order { version: Some(3), ..order(Step::Retire, purpose) };
        let taken = bench.decide(dropped, START).unwrap();
        bench.make(&taken);
        assert_eq!(bench.take(Step::Prepare, purpose, 0).unwrap().version, 4);
    }
}

#[test]
fn a_step_too_early_is_refused_unless_it_is_forced() {
    let mut bench = Bench::new();
    let purpose = Purpose::JwtEs256;
    bench.take(Step::Prepare, purpose, 0).unwrap();
    let mut attempt = |step, seconds: u32, last: bool| {
        let early = bench.decide(order(step, purpose), later(seconds - 1)).unwrap_err();
        assert!(early.yields_to_force(), "{early}");
        assert!(early.to_string().contains(&rfc3339(later(seconds))), "{early}: says from when on");
        let forced = Order { force: true, ..order(step, purpose) };
        assert!(bench.decide(forced, later(seconds - 1)).is_ok());
        let taken = bench.decide(order(step, purpose), later(seconds)).unwrap();
        if !last {
            bench.make(&taken);
        }
    };
    attempt(Step::Activate, 600, false);
    // An hour of the longest token, a minute of caches, and five of leeway.
    attempt(Step::Retire, 600 + 3600 + 60 + 300, true);
}

#[test]
fn a_key_that_protects_clients_keys_stays() {
    for (purpose, live) in [(Purpose::Pepper, 1), (Purpose::Rest, 3), (Purpose::Record, 1)] {
        let mut bench = Bench::new();
        bench.take(Step::Prepare, purpose, 0).unwrap();
        bench.take(Step::Activate, purpose, 60).unwrap();
        let refused = bench.take(Step::Retire, purpose, 9999).unwrap_err();
        let name = format!("{}/1", purpose.name());
        assert_eq!(refused, Refused::Protects { name, purpose, count: live });
        assert!(refused.yields_to_force());
        for key in &mut bench.keys {
            key.starts = Some(later(99_999));
        }
        assert_eq!(bench.take(Step::Retire, purpose, 9999).unwrap_err(), refused, "they will be needed");
        for key in &mut bench.keys {
            key.enabled = false;
        }
        if purpose != Purpose::Pepper {
            // A sealed key can be sealed anew, whether it works or not; and records of a dead writer are records.
            assert_eq!(bench.take(Step::Retire, purpose, 9999).unwrap_err(), refused);
            bench.keys.clear();
            bench.heads.clear();
        }
        bench.take(Step::Retire, purpose, 9999).unwrap();
    }
}

#[test]
fn what_cannot_be_is_refused_with_and_without_force() {
    let mut bench = Bench::new();
    let refused = |bench: &Bench, step, purpose, version| {
        let texts = [false, true].map(|force| {
            let refused =
                bench.decide(Order { purpose, version, step, force }, later(9_999_999)).unwrap_err();
            assert!(!refused.yields_to_force());
            refused.to_string()
        });
        assert_eq!(texts[0], texts[1]);
        texts[0].clone()
    };
    let es = Purpose::JwtEs256;
    assert_eq!(refused(&bench, Step::Activate, es, None), "no `jwt-es256` key is prepared");
    assert_eq!(refused(&bench, Step::Retire, es, None), "no `jwt-es256` key is retiring");
    assert_eq!(refused(&bench, Step::Retire, es, Some(7)), "there is no key `jwt-es256/7`");
    assert_eq!(
        refused(&bench, Step::Retire, es, Some(1)),
        "`jwt-es256/1` is active; ring.retire is for a key that is retiring"
    );
    bench.take(Step::Prepare, es, 0).unwrap();
    assert_eq!(
        refused(&bench, Step::Prepare, es, None),
        "`jwt-es256/2` is prepared already; activate it, or retire it if it must not be used"
    );
    assert_eq!(refused(&bench, Step::Retire, es, None), "no `jwt-es256` key is retiring", "not by accident");
}

#[test]
fn of_a_signing_key_that_has_worked_only_the_public_half_is_left() {
    for algorithm in Algorithm::ALL {
        let mut bench = Bench::new();
        let purpose = Purpose::from(*algorithm);
        let before = bench.ring();
        let first = before.signer(*algorithm).unwrap().public().clone();
        bench.take(Step::Prepare, purpose, 0).unwrap();
        bench.take(Step::Activate, purpose, 600).unwrap();
        let ring = bench.ring();
        assert_ne!(ring.signer(*algorithm).unwrap().public(), &first);
        assert!(ring.published().any(|(key, state)| *key == first && state == RingState::Retiring));
        let kids: BTreeSet<_> = ring.published().map(|(key, _)| key.kid().to_owned()).collect();
        assert_eq!(kids.len(), 4, "three algorithms, one of them twice");

        let row = bench.rows.iter().find(|row| row.state == RingState::Retiring).unwrap();
        let plain = row.open(&testing::kek()).unwrap();
        assert_eq!(PublishedKey::parse(plain.expose()).unwrap(), first);
        assert!(Signer::parse(*algorithm, &plain).is_err(), "the private half is not among it");
        // Whoever can write to the store cannot let it work again.
        let back = RingRow { state: RingState::Prepared, ..row.clone() };
        assert!(matches!(Ring::open(&[back], &testing::kek()), Err(RingFault::WrongSealKey(_))));
    }
}

/// What it has signed is verified for as long as there are records, so its public half outlives it. It is never among the keys that
/// verifiers of tokens get.
#[test]
fn checkpoints_of_keys_that_are_gone_are_still_verified() {
    let mut bench = Bench::new();
    let chain = |bench: &Bench| {
        let mut chain = Chain::begin(&bench.ring(), Uuid::from_u128(2)).unwrap();
        chain.link(&crate::record::Record::change(Uuid::from_u128(1), START, None, "a", "b")).unwrap();
        chain.head()
    };
    let sign = |bench: &Bench| {
        let made = Checkpoint::next(None, &[chain(bench)], &bench.ring(), START, None).unwrap();
        made.checkpoint.sign(&bench.ring()).unwrap()
    };
    let (purpose, tokens) = (Purpose::Checkpoint, bench.ring().published().count());
    let mut signed = vec![sign(&bench)];
    for round in 1..=2 {
        bench.take(Step::Prepare, purpose, round * 10_000).unwrap();
        bench.take(Step::Activate, purpose, round * 10_000 + 600).unwrap();
        signed.push(sign(&bench));
        assert_eq!(bench.ring().checkpoint_keys().count(), round as usize + 1);
        bench.take(Step::Retire, purpose, round * 10_000 + 9_000).unwrap();
    }
    // One that was never used leaves nothing.
    bench.take(Step::Prepare, purpose, 50_000).unwrap();
    bench
        .decide(Order { version: Some(4), ..order(Step::Retire, purpose) }, later(50_001))
        .map(|taken| bench.make(&taken))
        .unwrap();
    let ring = bench.ring();
    let states: Vec<_> = bench
        .rows
        .iter()
        .filter(|row| row.purpose == purpose)
        .map(|row| (row.version, row.state, row.sealed.is_empty()))
        .collect();
    let mut states = states;
    states.sort_by_key(|(version, ..)| *version);
    assert_eq!(
        states,
        [
            (1, RingState::Gone, false),
            (2, RingState::Gone, false),
            (3, RingState::Active, false),
            (4, RingState::Gone, true)
        ]
    );
    let kids: BTreeSet<_> = ring.checkpoint_keys().map(PublishedKey::kid).collect();
    assert_eq!(kids.len(), 3);
    for kept in &signed {
        assert!(kept.open(ring.checkpoint_keys()).is_ok());
    }
    assert_eq!(ring.published().count(), tokens);
    assert!(ring.published().all(|(key, _)| !kids.contains(key.kid())));
}

#[test]
fn what_a_retry_repeats_is_made_with_the_keys_of_its_time() {
    for purpose in [Purpose::TokenSeal, Purpose::Triple] {
        let mut bench = Bench::new();
        for (version, seconds) in [(2, 1000), (3, 2000)] {
            bench.take(Step::Prepare, purpose, seconds - HEARD).unwrap();
            let before = bench.ring();
            bench.take(Step::Activate, purpose, seconds).unwrap();
            let ring = bench.ring();
            // A node that has not heard of the change makes the same of every request until it is in force.
            for at in [0, seconds - 1, seconds, seconds + SWITCH - 1] {
                assert_eq!(ring.active_at(purpose, later(at)), before.active_at(purpose, later(at)), "{at}");
            }
            assert_eq!(ring.active_at(purpose, later(seconds + SWITCH - 1)), version - 1);
            assert_eq!(ring.active_at(purpose, later(seconds + SWITCH)), version);
        }
        assert_eq!(bench.ring().active_at(purpose, later(0)), 1);
        assert_eq!(bench.ring().active_at(purpose, Timestamp::MIN), 1);
    }
}

/// Whatever was accepted before every node has heard of the new key has the same mark ever after.
#[test]
fn a_request_keeps_its_mark_across_three_generations() {
    use crate::replay::{WINDOW, mark};
    let mut bench = Bench::new();
    let (mut before, purpose) = (bench.ring(), Purpose::Replay);
    for (version, seconds) in [(2, 10_000), (3, 20_000)] {
        bench.take(Step::Prepare, purpose, seconds - HEARD).unwrap();
        bench.take(Step::Activate, purpose, seconds).unwrap();
        let ring = bench.ring();
        let sign = |ring: &Ring, made| mark(ring, "AKID", b"signature", later(made)).unwrap();
        // A node that hears of it late still takes requests that are stamped half a window ahead.
        let heard = seconds + SWITCH - 1;
        for made in [seconds - WINDOW / 2, seconds, heard, heard + WINDOW / 2] {
            assert_eq!(sign(&ring, made), sign(&before, made), "{made}");
        }
        let switched = seconds + SWITCH + WINDOW;
        assert_eq!(ring.active_at(purpose, later(switched)), version);
        assert_ne!(sign(&ring, switched), sign(&before, switched));
        let old = Order { version: Some(version - 1), ..order(Step::Retire, purpose) };
        let early = bench.decide(old, later(switched + WINDOW)).unwrap_err();
        assert!(matches!(early, Refused::InUse(..)), "{early}");
        let gone = bench.decide(old, later(switched + WINDOW + 301)).unwrap();
        bench.make(&gone);
        before = bench.ring();
        assert_eq!(sign(&before, switched), sign(&ring, switched));
    }
}

const HEARD: u32 = 60;
