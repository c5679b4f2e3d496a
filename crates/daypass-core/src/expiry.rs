//! Keys of clients, and root keys of ours at clouds, that end soon, and when an operator is told.
//!
//! A key that ends without a successor stops its client at a moment that nobody chose. So each end is announced four
//! times, each time by one record for all nodes together.

use crate::client::{Client, Key};
use crate::clock::{SignedDuration, Timestamp};
use crate::replay::Mark;
use crate::root::{RootRow, RootState};
use aws_lc_rs::digest::{Context, SHA256};

/// How many days ahead an end is announced, the earliest first.
pub const AHEAD: [u32; 4] = [30, 14, 7, 1];

/// From how many days before its end on a key makes a node's readiness say so.
pub const URGENT: u32 = 7;

/// An end to announce.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warning<'a> {
    /// Whose key it is.
    pub client: &'a Client,
    /// The key.
    pub key: &'a Key,
    /// When it ends.
    pub ends: Timestamp,
    /// Which announcement it is: one of [`AHEAD`].
    pub days: u32,
}

impl Warning<'_> {
    /// What tells that this announcement was made: the same on every node, and another one if the end is moved.
    ///
    /// It is no secret, and nobody but us chooses what it is made of.
    pub fn mark(&self) -> Mark {
        mark(b"daypass expiry warning v1", self.ends, self.days, &[&self.key.id])
    }
}

fn mark(label: &[u8], ends: Timestamp, days: u32, of: &[&str]) -> Mark {
    let mut context = Context::new(&SHA256);
    context.update(label);
    context.update(&ends.as_millisecond().to_be_bytes());
    context.update(&days.to_be_bytes());
    for (place, text) in of.iter().enumerate() {
        if place > 0 {
            context.update(&[0]);
        }
        context.update(text.as_bytes());
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// The announcement that is to be made of this key now, if one is. Of several whose time has come, such as after a time
/// in which no node ran, the last one alone; and none whose time came before the key began: whoever makes a key for ten
/// days knows that it ends within a month.
pub fn due<'a>(client: &'a Client, key: &'a Key, now: Timestamp) -> Option<Warning<'a>> {
    let ends = key.expires.filter(|_| client.enabled && key.enabled && !key.has_ended(now))?;
    let begins = key.starts.unwrap_or(key.created).max(key.created);
    Some(Warning { client, key, ends, days: reached(begins, ends, now)? })
}

/// Which announcement of this end is to be made now.
fn reached(begins: Timestamp, ends: Timestamp, now: Timestamp) -> Option<u32> {
    let reached = |days: &&u32| {
        let at = ahead(ends, **days);
        at <= now && begins <= at
    };
    AHEAD.iter().rfind(reached).copied()
}

/// Which announcement is to be made now of a root key's end, as for a client's key, and the mark by which all nodes know
/// that it was made. Only of a key that works: a staged one is no loss, and one that stands by is on its way out.
pub fn root_due(row: &RootRow, now: Timestamp) -> Option<(u32, Mark)> {
    let ends = row.expires.filter(|end| row.state == RootState::Active && now < *end)?;
    let days = reached(row.created, ends, now)?;
    Some((
        days,
        mark(b"daypass root expiry warning v1", ends, days, &[&row.issuer, row.slot.name(), &row.id]),
    ))
}

/// Whether a root key works, and ends within so many days or has ended: its calls go on until the cloud refuses them.
pub fn root_ends_within(row: &RootRow, days: u32, now: Timestamp) -> bool {
    row.state == RootState::Active && row.expires.is_some_and(|ends| ahead(ends, days) <= now)
}

/// Whether the key works, and ends within so many days.
pub fn ends_within(client: &Client, key: &Key, days: u32, now: Timestamp) -> bool {
    client.enabled && key.live(now) && key.expires.is_some_and(|ends| ahead(ends, days) <= now)
}

fn ahead(ends: Timestamp, days: u32) -> Timestamp {
    ends.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::after;
    use crate::testing::{START, World};

    const DAY: u32 = 24 * 60 * 60;

    fn world() -> (Client, Key) {
        let world = World::new();
        let key = Key { created: START, expires: Some(after(START, 100 * DAY)), ..world.keys[0].clone() };
        (world.client, key)
    }

    /// So many seconds before the key's end.
    fn before_end(key: &Key, seconds: i64) -> Timestamp {
        key.expires.unwrap().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn each_end_is_announced_thirty_fourteen_seven_and_one_days_ahead() {
        let (client, key) = world();
        let day = i64::from(DAY);
        for (seconds, days) in [
            (100 * day, None),
            (30 * day + 1, None),
            (30 * day, Some(30)),
            (14 * day + 1, Some(30)),
            (14 * day, Some(14)),
            (7 * day + 1, Some(14)),
            (7 * day, Some(7)),
            (day + 1, Some(7)),
            (day, Some(1)),
            (1, Some(1)),
            (0, None),
            (-day, None),
        ] {
            let now = before_end(&key, seconds);
            assert_eq!(due(&client, &key, now).map(|warning| warning.days), days, "{seconds} s before");
            let soon = ends_within(&client, &key, 7, now);
            assert_eq!(soon, matches!(days, Some(7 | 1)), "{seconds} s before");
        }
    }

    #[test]
    fn nothing_is_announced_that_lay_before_the_key_began() {
        let (client, key) = world();
        let of = |key: &Key, seconds| due(&client, key, before_end(key, seconds)).map(|warning| warning.days);
        let day = i64::from(DAY);
        let ten_days = Key { expires: Some(after(START, 10 * DAY)), ..key.clone() };
        assert_eq!([10, 8, 7, 1].map(|days| of(&ten_days, days * day)), [None, None, Some(7), Some(1)]);
        let later = Key { starts: Some(after(START, 93 * DAY)), ..key.clone() };
        assert_eq!([14, 8, 7].map(|days| of(&later, days * day)), [None, None, Some(7)]);
        let backdated = Key { starts: Some(before_end(&key, 200 * day)), ..key };
        assert_eq!(of(&backdated, 30 * day), Some(30));
    }

    #[test]
    fn what_does_not_work_does_not_end() {
        let (client, key) = world();
        let now = before_end(&key, 60);
        assert!(due(&client, &key, now).is_some() && ends_within(&client, &key, 1, now));
        let off = Client { enabled: false, ..client.clone() };
        let disabled = Key { enabled: false, ..key.clone() };
        let endless = Key { expires: None, ..key.clone() };
        for (client, key) in [(&off, &key), (&client, &disabled), (&client, &endless)] {
            assert_eq!(due(client, key, now), None);
            assert!(!ends_within(client, key, 1, now));
        }
    }

    #[test]
    fn the_end_of_a_root_key_is_announced_while_it_works() {
        let row = RootRow {
            issuer: "main".into(),
            slot: crate::root::Slot::A,
            state: RootState::Active,
            id: "AKIDroot".into(),
            created: START,
            since: START,
            expires: Some(after(START, 100 * DAY)),
            proved: None,
            sealed: vec![],
        };
        let days = |row: &RootRow, at: u32| root_due(row, after(START, at * DAY)).map(|(days, _)| days);
        assert_eq!(
            [69, 70, 86, 93, 99, 100].map(|at| days(&row, at)),
            [None, Some(30), Some(14), Some(7), Some(1), None]
        );
        let soon = |row: &RootRow, at: u32| root_ends_within(row, URGENT, after(START, at * DAY));
        assert_eq!([92, 93, 101].map(|at| soon(&row, at)), [false, true, true], "after its end too");
        let staged = RootRow { state: RootState::Staged, ..row.clone() };
        let endless = RootRow { expires: None, ..row.clone() };
        for quiet in [&staged, &endless] {
            assert!(days(quiet, 99).is_none() && !soon(quiet, 99));
        }
        let mark = |row: &RootRow| root_due(row, after(START, 99 * DAY)).unwrap().1;
        let other = RootRow { issuer: "other".into(), ..row.clone() };
        assert_ne!(mark(&row), mark(&other));
        assert_eq!(mark(&row), mark(&row.clone()));
    }

    #[test]
    fn an_announcement_is_known_by_its_key_its_end_and_its_number() {
        let (client, key) = world();
        let mark =
            |key: &Key, days: i64| due(&client, key, before_end(key, days * i64::from(DAY))).unwrap().mark();
        assert_eq!(mark(&key, 30), mark(&key, 20), "the same announcement at another time");
        let other = Key { id: "AKIDother".into(), ..key.clone() };
        let moved = Key { expires: Some(after(START, 101 * DAY)), ..key.clone() };
        let marks = [mark(&key, 30), mark(&key, 14), mark(&other, 30), mark(&moved, 30)];
        let different: std::collections::HashSet<_> = marks.iter().collect();
        assert_eq!(different.len(), marks.len());
    }
}
