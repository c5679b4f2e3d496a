use super::*;
use crate::endpoint::{CallerRule, TicketRule};
use crate::testing::{START, World, later};

const ROTATION: Rotation = Rotation { period: Some(30 * DAY), max_age: HOUR, lead: 2 * DAY, keep: 0 };

/// The test world: triples live at most twelve hours, ES256 tokens one, and tickets eight.
fn rules(rotation: Rotation) -> Rules {
    let mut plan = World::new().plan;
    let mut endpoint = (*plan.endpoints[0]).clone();
    endpoint.callers = vec![CallerRule::Ticket(TicketRule { refreshes: 9, refresh_for: 8 * HOUR })];
    plan.endpoints.push(endpoint.into());
    plan.rotation = rotation;
    Rules::of(&plan)
}

fn stage(purpose: Purpose, version: u32, state: RingState, since: u32) -> Stage {
    Stage { purpose, version, state, created: START, since: later(since) }
}

#[test]
fn a_key_is_published_before_it_works() {
    let cases = [
        (Purpose::JwtRs256, 2 * DAY, 2 * DAY),
        (Purpose::JwtEs256, 3 * HOUR, 3 * HOUR),
        // Whatever is configured: twice as long as verifiers may keep what they have.
        (Purpose::JwtEddsa, 1, 2 * HOUR),
        (Purpose::TokenSeal, 2 * DAY, HEARD),
        (Purpose::Triple, 2 * DAY, HEARD),
        (Purpose::Ticket, 2 * DAY, HEARD),
        (Purpose::Rest, 2 * DAY, HEARD),
        (Purpose::Pepper, 2 * DAY, HEARD),
    ];
    for (purpose, lead, expected) in cases {
        let ready = stage(purpose, 2, RingState::Prepared, 100);
        let at = rules(Rotation { lead, ..ROTATION }).activate_at(&ready);
        assert_eq!(at, later(100 + expected), "{}", purpose.name());
    }
}

#[test]
fn a_key_is_kept_until_its_last_work_is_dead() {
    let cases = [
        // No role signs with RS256: what verifiers have cached and the leeway are left.
        (Purpose::JwtRs256, HOUR + LEEWAY),
        (Purpose::JwtEs256, HOUR + HOUR + LEEWAY),
        (Purpose::TokenSeal, 12 * HOUR + LEEWAY),
        (Purpose::Triple, 12 * HOUR + LEEWAY),
        (Purpose::Ticket, 8 * HOUR + ticket::FIRST_USE + LEEWAY),
        (Purpose::Replay, replay::WINDOW + LEEWAY),
        // Then it depends on what is kept under them.
        (Purpose::Pepper, LEEWAY),
        (Purpose::Rest, LEEWAY),
        (Purpose::Record, LEEWAY),
    ];
    for (purpose, expected) in cases {
        let old = stage(purpose, 1, RingState::Retiring, 100);
        assert_eq!(rules(ROTATION).dead_at(&old), later(100 + expected), "{}", purpose.name());
        let kept = rules(Rotation { keep: 3 * DAY, ..ROTATION });
        assert_eq!(kept.dead_at(&old), later(100 + 3 * DAY), "{}: as configured", purpose.name());
    }
}

#[test]
fn the_next_step_follows_from_what_is_there() {
    use RingState::{Active, Gone, Prepared, Retiring};
    const PURPOSE: Purpose = Purpose::JwtEs256;
    let one = |version, state, since| stage(PURPOSE, version, state, since);
    let cases = [
        ("a prepared key is always there", vec![one(1, Active, 7)], Step::Prepare, 7),
        (
            "it works when the period is over",
            vec![one(1, Active, 0), one(2, Prepared, 1)],
            Step::Activate,
            30 * DAY,
        ),
        (
            "and was published for long enough",
            vec![one(1, Active, 0), one(2, Prepared, 29 * DAY)],
            Step::Activate,
            31 * DAY,
        ),
        (
            "the old one goes when it is dead",
            vec![one(1, Retiring, 5), one(2, Active, 5), one(3, Prepared, 6)],
            Step::Retire,
            5 + 2 * HOUR + LEEWAY,
        ),
        ("what is due first comes first", vec![one(1, Retiring, 5), one(2, Active, 5)], Step::Prepare, 5),
        ("what is gone needs nothing", vec![one(1, Gone, 5), one(2, Active, 9)], Step::Prepare, 9),
    ];
    for (what, stages, step, at) in cases {
        assert_eq!(rules(ROTATION).next(&stages), [Due { purpose: PURPOSE, step, at: later(at) }], "{what}");
        let by_hand = rules(Rotation { period: None, ..ROTATION });
        assert_eq!(by_hand.next(&stages), [], "{what}, by hand");
    }
    for purpose in [Purpose::Rest, Purpose::Pepper, Purpose::Record] {
        let mut stages = vec![stage(purpose, 2, Active, 0), stage(purpose, 3, Prepared, 0)];
        assert_eq!(rules(ROTATION).next(&stages), [], "{}: only the operator", purpose.name());
        stages.push(stage(purpose, 1, Retiring, 5));
        let gone = Due { purpose, step: Step::Retire, at: later(5 + LEEWAY) };
        assert_eq!(rules(ROTATION).next(&stages), [gone], "{}: when nothing is left", purpose.name());
    }
}

#[test]
fn verifiers_may_keep_the_keys_until_they_change() {
    let stages = [
        stage(Purpose::JwtEs256, 1, RingState::Active, 0),
        stage(Purpose::JwtEs256, 2, RingState::Prepared, 0),
    ];
    let change = 30 * DAY;
    let max_age = |now, random| rules(ROTATION).max_age(&stages, later(now), random);
    assert_eq!(max_age(0, 0), HOUR);
    assert_eq!(max_age(change - HOUR - 1, 0), HOUR);
    assert_eq!(max_age(change - 100, 0), 100, "not past the change");
    assert_eq!(max_age(change - 1, 0), 1);
    let half = later(change - 1).checked_add(SignedDuration::from_millis(500)).unwrap();
    assert_eq!(rules(ROTATION).max_age(&stages, half, 0), 0, "nothing is kept for half a second");
    assert_eq!(max_age(change, 0), OVERDUE, "nobody has taken the step yet");
    assert_eq!(max_age(change + DAY, 0), OVERDUE);
    for random in [0, 1, 899, 900, 901, 12_345, u32::MAX] {
        assert!((2700..=3600).contains(&max_age(0, random)), "{random}");
    }
    assert_ne!(max_age(0, 1), max_age(0, 2), "verifiers do not come back at one time");

    let by_hand = rules(Rotation { period: None, ..ROTATION });
    assert_eq!(by_hand.max_age(&stages, later(2 * change), 0), HOUR);
    let sealed = [stage(Purpose::TokenSeal, 1, RingState::Active, 0)];
    assert_eq!(rules(ROTATION).max_age(&sealed, later(1), 0), HOUR, "no public key changes");
}

#[test]
fn ages_tell_what_has_worked_too_long() {
    let overdue = |rotation, purpose, state, days: u32| {
        let stages = [stage(purpose, 1, state, 0)];
        let ages = rules(rotation).ages(&stages, later(days * DAY + 1));
        assert_eq!((ages.len(), ages[0].stage, ages[0].seconds), (1, stages[0], u64::from(days * DAY + 1)));
        ages[0].overdue
    };
    let by_hand = Rotation { period: None, ..ROTATION };
    for (rotation, purpose, limit) in [
        (ROTATION, Purpose::JwtRs256, Some(31)),
        (ROTATION, Purpose::Ticket, Some(31)),
        (by_hand, Purpose::JwtRs256, Some(365)),
        (by_hand, Purpose::Triple, Some(365)),
        (ROTATION, Purpose::Rest, Some(730)),
        (ROTATION, Purpose::Pepper, None),
        (ROTATION, Purpose::Record, None),
        (ROTATION, Purpose::Replay, Some(31)),
    ] {
        let name = purpose.name();
        assert!(
            !overdue(rotation, purpose, RingState::Active, limit.map_or(9999, |days| days - 1)),
            "{name}"
        );
        assert_eq!(
            limit.is_some(),
            overdue(rotation, purpose, RingState::Active, limit.unwrap_or(9999)),
            "{name}"
        );
        assert!(!overdue(rotation, purpose, RingState::Retiring, 9999), "{name} works no more");
    }
    assert_eq!(rules(ROTATION).ages(&[stage(Purpose::Triple, 1, RingState::Gone, 0)], START), []);
}
