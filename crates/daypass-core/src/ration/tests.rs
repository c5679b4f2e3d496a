//! Rates and days, by a clock that stands where it is put.

use super::*;
use crate::clock::{SignedDuration, after};
use crate::quota::Per;
use crate::testing::START;
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn place(name: &str) -> Place {
    Place { tenant: Uuid::from_u128(1), name: Name::Path(name.to_owned()) }
}

fn of(host: &str) -> Share {
    Share::network(place("/getAuthorization"), host.parse().unwrap())
}

fn subject(name: &str) -> Share {
    Share::Subject(place("/a"), Some(name.to_owned()))
}

/// In how many seconds there is one again, where there is none.
fn wait(taken: Result<(), Full>) -> Result<(), u32> {
    taken.map_err(|full| full.seconds)
}

fn millis(millis: i64) -> Timestamp {
    START + SignedDuration::from_millis(millis)
}

#[test]
fn a_network_shares_a_rate_that_fills_up_evenly() {
    let rations = Rations::default();
    let take = |host, at| wait(rations.take(&of(host), Rate::per_minute(2), at));
    assert_eq!(take("192.0.2.1", START), Ok(()));
    assert_eq!(take("192.0.2.2", START), Ok(()));
    assert_eq!(take("192.0.2.3", START), Err(30));
    assert_eq!(take("192.0.3.1", START), Ok(()));
    assert_eq!(take("192.0.2.1", after(START, 29)), Err(1));
    assert_eq!(take("192.0.2.1", after(START, 30)), Ok(()));
    assert_eq!(take("192.0.2.1", after(START, 30)), Err(30), "one has become free and no more");
    let elsewhere = Share::network(place("/other"), "192.0.2.1".parse().unwrap());
    assert_eq!(rations.take(&elsewhere, Rate::per_minute(1), START), Ok(()));
}

#[test]
fn a_burst_goes_at_once_and_the_rate_afterwards() {
    let rations = Rations::default();
    let rate = Rate::new(10, Per::Second, Some(3)).unwrap();
    let taken =
        |at: i64| (0..100).filter(|_| rations.take(&subject("ann"), rate, millis(at)).is_ok()).count();
    assert_eq!((taken(0), taken(99), taken(100), taken(400), taken(10_000)), (3, 0, 1, 3, 3));
}

#[test]
fn whoever_shares_nothing_is_counted_apart() {
    let rations = Rations::default();
    let provider = Place { name: Name::Provider("/a".into()), ..place("") };
    let other = Place { tenant: Uuid::from_u128(2), ..place("/a") };
    let clients = Place { name: Name::Clients, ..place("") };
    let shares = [
        of("192.0.2.1"),
        subject("ann"),
        subject("bob"),
        Share::Subject(provider.clone(), Some("ann".into())),
        Share::Place(place("/a")),
        Share::Place(provider),
        Share::Place(other),
        Share::Place(clients),
        Share::Tenant(Uuid::from_u128(1)),
        Share::Client(Uuid::from_u128(1)),
        Share::Questions(Uuid::from_u128(1)),
        Share::wrong(place("/getAuthorization"), "192.0.2.1".parse().unwrap()),
        Share::Wrong(place("/a"), None),
        Share::Network(place("/a"), None),
        Share::Subject(place("/a"), None),
    ];
    let marks: std::collections::HashSet<_> = shares.iter().map(Share::mark).collect();
    assert_eq!(marks.len(), shares.len());
    for share in shares {
        assert!(rations.take(&share, Rate::per_minute(1), START).is_ok(), "{share:?}");
        assert!(rations.take(&share, Rate::per_minute(1), START).is_err(), "{share:?}");
        assert!(rations.count(&share, 1, START).is_ok(), "{share:?}");
        assert!(rations.count(&share, 1, START).is_err(), "{share:?}");
    }
    let refused: Vec<_> = rations.refused().collect();
    assert!(refused.iter().all(|(.., count)| *count > 0), "{refused:?}");
    assert_eq!(refused.iter().map(|(.., count)| count).sum::<u64>(), 30);
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let (rations, rate) = (Rations::default(), Rate::per_minute(1));
    assert!(rations.take(&of("192.0.2.1"), rate, START).is_ok());
    rations.give_back(&of("192.0.2.1"), rate);
    assert!(rations.take(&of("192.0.2.1"), rate, START).is_ok());
    assert!(rations.take(&of("192.0.2.1"), rate, START).is_err());
    rations.give_back(&of("192.0.9.1"), rate);
    assert_eq!(rations.rates.lock().taken.len(), 1, "nothing is kept that was never taken");
    assert!(rations.count(&subject("ann"), 1, START).is_ok());
    rations.uncount(&subject("ann"), START);
    assert!(rations.count(&subject("ann"), 1, START).is_ok());
    assert!(rations.count(&subject("ann"), 1, START).is_err());
}

#[test]
fn one_refusal_in_a_minute_is_news() {
    let (rations, rate) = (Rations::default(), Rate::per_minute(1));
    assert!(rations.take(&subject("ann"), rate, START).is_ok());
    // START is 22:13:20.
    let news = |at: u32| rations.take(&subject("ann"), rate, after(START, at)).unwrap_err().news;
    assert_eq!([news(0), news(1), news(39), news(40), news(41)], [true, false, false, true, false]);
    assert!(rations.count(&subject("ann"), 0, START).unwrap_err().news);
    assert!(!rations.count(&subject("ann"), 0, START).unwrap_err().news);
}

/// A clock that was set back, or a rate that was lowered, shuts nobody out for longer than a whole burst takes.
#[test]
fn nobody_waits_longer_than_for_a_burst() {
    let rations = Rations::default();
    let fast = Rate::new(1, Per::Hour, Some(1000)).unwrap();
    for _ in 0..1000 {
        assert!(rations.take(&subject("ann"), fast, after(START, 86_400)).is_ok());
    }
    assert_eq!(wait(rations.take(&subject("ann"), fast, START)), Err(3600), "a day earlier");
    assert_eq!(wait(rations.take(&subject("ann"), Rate::per_minute(6), START)), Err(10), "now it is lower");
    assert!(rations.take(&subject("ann"), Rate::per_minute(6), after(START, 10)).is_ok());
}

#[test]
fn networks_past_the_bound_share_one_rate() {
    let rations = Rations::default();
    let rate = Rate::new(1, Per::Hour, Some(2)).unwrap();
    let take = |n: usize, at| {
        let source = Ipv4Addr::from_bits(u32::try_from(n << 8).unwrap());
        rations.take(&Share::network(place("/getAuthorization"), source.into()), rate, at).is_ok()
    };
    for n in 0..COUNTS {
        assert!(take(n, START));
    }
    assert_eq!([take(COUNTS, START), take(COUNTS + 1, START), take(COUNTS + 2, START)], [true, true, false]);
    assert!(take(7, START), "a network that was there before keeps its own");
    assert!(rations.take(&Share::Client(Uuid::from_u128(9)), rate, START).is_ok(), "clients are never late");
    assert_eq!(rations.rates.lock().taken.len(), COUNTS + 2);
    assert!(take(COUNTS + 3, after(START, 7200)));
    assert_eq!(rations.rates.lock().taken.len(), 1, "what is over is forgotten");
}

/// One tenant's callers name as many subjects as there is room for: those of another tenant keep rations of their own.
#[test]
fn a_tenant_that_fills_the_tables_leaves_the_others_their_part() {
    let rations = Rations::default();
    let rate = Rate::new(1, Per::Hour, Some(1)).unwrap();
    let of = |tenant: u128, name: &str| {
        let place = Place { tenant: Uuid::from_u128(tenant), ..place("/a") };
        Share::Subject(place, Some(name.to_owned()))
    };
    for n in 0..COUNTS + 10 {
        let _ = rations.take(&of(1, &n.to_string()), rate, START);
    }
    assert_eq!(rations.rates.lock().taken.len(), COUNTS + 1, "those who came late share one");
    for name in ["ann", "bob", "cy"] {
        assert!(rations.take(&of(2, name), rate, START).is_ok(), "{name}");
        assert!(rations.take(&of(2, name), rate, START).is_err(), "{name}");
        assert!(rations.take(&of(1, name), rate, START).is_err(), "{name}");
    }
    // And of a day.
    for n in 0..1010 {
        let _ = rations.count(&of(1, &n.to_string()), 1, START);
    }
    assert_eq!(rations.due(START).unwrap().counts.len(), 1001, "those who came late share one");
    for name in ["ann", "bob", "cy"] {
        assert!(rations.count(&of(2, name), 1, START).is_ok(), "{name}");
        assert!(rations.count(&of(2, name), 1, START).is_err(), "{name}");
        assert!(rations.count(&of(1, name), 1, START).is_err(), "{name}");
    }
    // What is over makes room again, for everybody.
    assert!(rations.take(&of(1, "ann"), rate, after(START, 7200)).is_ok());
    assert_eq!(rations.rates.lock().taken.len(), 1);
}

#[test]
fn of_a_full_table_each_tenant_has_an_equal_part() {
    let of = |tenant: u128, n: usize| {
        Share::Subject(Place { tenant: Uuid::from_u128(tenant), ..place("/a") }, Some(n.to_string()))
    };
    let mut held = Held::default();
    let mut fill = |tenant| {
        let more = (0..20).take_while(|n| {
            let fits = held.admits(&of(tenant, *n), 12);
            if fits {
                held.add(&of(tenant, *n));
            }
            fits
        });
        more.count()
    };
    assert_eq!([fill(1), fill(2), fill(3), fill(1), fill(2)], [12, 6, 4, 0, 0]);
    assert!(
        held.admits(&Share::Tenant(Uuid::from_u128(1)), 0)
            && held.admits(&Share::Subject(place("/a"), None), 0)
    );
    held.count_anew([of(1, 0), of(2, 0)].iter());
    assert!(held.admits(&of(1, 1), 4) && !held.admits(&of(1, 1), 2) && held.admits(&of(3, 1), 3));
}

#[test]
fn a_day_ends_at_midnight_and_begins_with_nothing() {
    let rations = Rations::default();
    let count = |at| wait(rations.count(&subject("ann"), 2, at));
    assert_eq!((count(START), count(after(START, 60))), (Ok(()), Ok(())));
    // START is 22:13:20: 6400 seconds are left of the day.
    assert_eq!(count(START), Err(6400));
    assert_eq!(count(after(START, 6399)), Err(1));
    assert_eq!(count(after(START, 6400)), Ok(()));
    assert_eq!(
        count(after(START, 6399)),
        Ok(()),
        "a request that began before midnight counts for the new day"
    );
    assert_eq!(count(after(START, 6401)), Err(86_399));
}

/// Two nodes and a store, as the server puts them together.
struct Nodes {
    nodes: [Rations; 2],
    store: HashMap<(usize, Mark), u64>,
}

impl Nodes {
    fn sync(&mut self, node: usize, now: Timestamp) {
        let Some(due) = self.nodes[node].due(now) else { return };
        for (mark, count) in &due.counts {
            self.store.insert((node, *mark), *count);
        }
        let others: Vec<_> = due
            .counts
            .iter()
            .map(|(mark, _)| (*mark, self.store.get(&(1 - node, *mark)).copied().unwrap_or_default()))
            .collect();
        self.nodes[node].noted(&due, &others);
    }
}

#[test]
fn nodes_count_together_after_they_have_heard_of_each_other() {
    let mut both = Nodes { nodes: Default::default(), store: HashMap::new() };
    let made = |both: &Nodes, node: usize, n: u32| {
        (0..n).filter(|_| both.nodes[node].count(&subject("ann"), 10, START).is_ok()).count()
    };
    assert_eq!((made(&both, 0, 4), made(&both, 1, 4)), (4, 4));
    both.sync(0, START);
    both.sync(1, START);
    assert_eq!(both.nodes[1].due(START), None, "the store knows all");
    assert_eq!(made(&both, 1, 10), 2);
    assert_eq!(made(&both, 0, 1), 1, "it has not heard yet");
    both.sync(1, START);
    both.sync(0, START);
    assert_eq!((made(&both, 0, 5), made(&both, 1, 5)), (0, 0));
    // A third one begins with what there is.
    let (third, mark) = (Rations::default(), subject("ann").mark());
    third.begin(day_of(START), &[(mark, both.store.values().sum())]);
    assert_eq!(wait(third.count(&subject("ann"), 10, START)), Err(6400));
    assert!(third.count(&subject("bob"), 10, START).is_ok());
}

/// Answers of the store may overtake each other; nobody counts down what it has.
#[test]
fn an_older_answer_of_today_takes_nothing_back() {
    let (rations, mark) = (Rations::default(), subject("ann").mark());
    assert!(rations.count(&subject("ann"), 10, START).is_ok());
    let due = rations.due(START).unwrap();
    rations.noted(&due, &[(mark, 9)]);
    rations.noted(&due, &[(mark, 2)]);
    assert!(rations.count(&subject("ann"), 10, START).is_err());
}

#[test]
fn an_answer_of_yesterday_changes_nothing_today() {
    let rations = Rations::default();
    assert!(rations.count(&subject("ann"), 1, START).is_ok());
    let due = rations.due(START).unwrap();
    let tomorrow = after(START, 6400);
    assert!(rations.count(&subject("ann"), 1, tomorrow).is_ok());
    rations.noted(&due, &[(subject("bob").mark(), 5)]);
    assert_eq!(rations.due(tomorrow).unwrap().counts, [(subject("ann").mark(), 1)]);
    assert!(rations.count(&subject("bob"), 5, tomorrow).is_ok());
}

proptest! {
    /// Whatever comes when, in no stretch of time is more taken than the burst and what becomes free in it.
    #[test]
    fn never_more_than_the_burst_and_the_rate(
        count in 1..50_u32,
        burst in 1..20_u32,
        gaps in prop::collection::vec(0..500_i64, 1..200),
    ) {
        let (rations, rate) = (Rations::default(), Rate::new(count, Per::Second, Some(burst)).unwrap());
        let (mut at, mut taken) = (0, Vec::new());
        for gap in gaps {
            at += gap;
            if rations.take(&subject("ann"), rate, millis(at)).is_ok() {
                taken.push(at);
            }
        }
        for (first, begin) in taken.iter().enumerate() {
            for (last, end) in taken.iter().enumerate().skip(first) {
                let most = i64::from(burst) + (end - begin) * i64::from(count) / 1000 + 1;
                prop_assert!(i64::try_from(last - first + 1).unwrap() <= most);
            }
        }
        // And who waits as long as was said gets one.
        if let Err(full) = rations.take(&subject("ann"), rate, millis(at)) {
            at += i64::from(full.seconds) * 1000;
            prop_assert!(rations.take(&subject("ann"), rate, millis(at)).is_ok());
        }
    }
}
