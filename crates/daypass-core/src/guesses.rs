//! A bound on guessing at what clients prove themselves with (of OAuth, RFC 6749 §2.3.1 demands one): secrets, assertions,
//! certificates, and the keys of signatures. Tickets and sessions have theirs where they come to ([`crate::ration`]).
//!
//! Only wrong proofs are counted, and the right one is always served: whoever guesses at a client's secret cannot lock
//! the client out. That is enough, because there is nothing to be had by guessing. Secrets have 256 random bits, so that
//! a bound stops no attack that could succeed; it keeps a stranger, or a broken program in a loop, from making us work
//! and our records grow, and says that someone tries.

use crate::clock::Timestamp;
use crate::replay::Mark;
use crate::strangers::network;
use aws_lc_rs::digest;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use uuid::Uuid;

/// How many wrong proofs of one client one network may send in a minute before it is told to wait. Libraries that try
/// HTTP Basic first and the body afterwards (Go's `x/oauth2`) make two of one mistake, so that people have ten.
pub const OF_CLIENT: u32 = 20;

/// How many wrong proofs of all clients together one network may send in a minute before it is told to wait.
pub const OF_NETWORK: u32 = 100;

/// More wrong proofs than this of one client in a minute, from all networks together, are an alarm.
///
/// Attack: someone with many addresses passes the bounds of each; one client is what they have in common.
pub const ALARM: u32 = 100;

/// How long an alarm stands for those that would follow, in seconds.
const QUIET: i64 = 3600;

/// The most counts of one minute. Past it all further networks share one count for each kind, so that memory stays
/// bounded while someone with many addresses tries.
const COUNTS: usize = 100_000;

/// Wrong proofs of the running minute.
#[derive(Default)]
pub struct Guesses(Mutex<State>);

#[derive(Default)]
struct State {
    minute: i64,
    counts: HashMap<Of, u32>,
    /// When the last alarm was raised for a client; only of clients that exist.
    alarmed: HashMap<Uuid, Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Network(Option<IpAddr>),
    ClientFrom(Target, IpAddr),
    LateClients,
    Client(Uuid),
}

/// What was guessed at, as the request says: what does not exist counts like what does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A client of OAuth.
    Client {
        /// The tenant.
        tenant: Uuid,
        /// The client; none where its name could not be one.
        client: Option<Uuid>,
    },
    /// A key that a signature names, or a temporary credential, by the hash of its id.
    Key(Mark),
}

impl Target {
    /// A key or temporary credential of this id.
    pub fn key(id: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, id.as_bytes());
        Self::Key(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl Guesses {
    /// Counts a wrong proof. Where the network has sent too many, says in how many seconds the next minute begins.
    pub fn count(&self, target: Target, source: IpAddr, now: Timestamp) -> Result<(), u32> {
        let mut state = self.0.lock();
        state.begin(now);
        let left = u32::try_from(60 - now.as_second().rem_euclid(60)).unwrap_or(60);
        let network = network(source);
        // The network first: one that is past its bound makes no more counts of clients.
        if !state.take(Of::Network(Some(network)), Of::Network(None), OF_NETWORK) {
            return Err(left);
        }
        if !state.take(Of::ClientFrom(target, network), Of::LateClients, OF_CLIENT) {
            return Err(left);
        }
        Ok(())
    }

    /// Counts a wrong proof of a client that exists, wherever it comes from. Says whether an alarm is due, and counts it
    /// as raised.
    pub fn is_alarming(&self, client: Uuid, now: Timestamp) -> bool {
        let mut state = self.0.lock();
        state.begin(now);
        let count = state.counts.entry(Of::Client(client)).or_default();
        *count = count.saturating_add(1);
        if *count <= ALARM || state.alarmed.contains_key(&client) {
            return false;
        }
        state.alarmed.insert(client, now);
        true
    }

    /// Takes an alarm back that could not be written down, so that the next wrong proof raises it again.
    pub fn was_not_heard(&self, client: Uuid) {
        self.0.lock().alarmed.remove(&client);
    }
}

impl State {
    fn begin(&mut self, now: Timestamp) {
        let minute = now.as_second().div_euclid(60);
        if self.minute != minute {
            self.minute = minute;
            self.counts.clear();
            self.counts.shrink_to(COUNTS / 100);
            self.alarmed.retain(|_, raised| now.as_second() - raised.as_second() < QUIET);
        }
    }

    fn take(&mut self, of: Of, late: Of, most: u32) -> bool {
        let full = self.counts.len() >= COUNTS && !self.counts.contains_key(&of);
        let count = self.counts.entry(if full { late } else { of }).or_default();
        let free = *count < most;
        *count = count.saturating_add(1);
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, later};
    use std::net::Ipv4Addr;

    fn of(client: u128) -> Target {
        Target::Client { tenant: Uuid::from_u128(1), client: Some(Uuid::from_u128(client)) }
    }

    fn from(host: &str) -> IpAddr {
        host.parse().unwrap()
    }

    /// How many of so many wrong proofs are answered as what they are.
    fn answered(guesses: &Guesses, target: Target, source: &str, tries: u32, at: Timestamp) -> u32 {
        (0..tries).map(|_| u32::from(guesses.count(target, from(source), at).is_ok())).sum()
    }

    #[test]
    fn a_network_has_so_many_tries_at_a_client_in_a_minute() {
        let guesses = Guesses::default();
        assert_eq!(answered(&guesses, of(1), "192.0.2.1", 30, START), OF_CLIENT);
        // START is 22:13:20.
        assert_eq!(guesses.count(of(1), from("192.0.2.200"), START), Err(40), "the same /24");
        assert_eq!(answered(&guesses, of(1), "192.0.3.1", 30, START), OF_CLIENT, "another");
        let client = Some(Uuid::from_u128(1));
        let elsewhere = Target::Client { tenant: Uuid::from_u128(2), client };
        assert_eq!(answered(&guesses, elsewhere, "192.0.2.1", 30, START), OF_CLIENT, "of another tenant");
        assert_eq!(guesses.count(of(1), from("192.0.2.1"), later(39)), Err(1));
        assert_eq!(answered(&guesses, of(1), "192.0.2.1", 30, later(40)), OF_CLIENT, "the next minute");
        assert_eq!(answered(&guesses, of(1), "192.0.2.1", 30, START), OF_CLIENT, "a clock that was set back");
    }

    #[test]
    fn a_network_has_so_many_tries_at_all_clients_together() {
        let guesses = Guesses::default();
        let clients = (0..200).map(|n| answered(&guesses, of(n), "2001:db8:1::1", 1, START));
        assert_eq!(clients.sum::<u32>(), OF_NETWORK);
        assert_eq!(guesses.count(of(999), from("2001:db8:1:ffff::2"), START), Err(40), "the same /48");
        assert_eq!(guesses.count(of(999), from("2001:db8:2::1"), START), Ok(()));
        let held = guesses.0.lock().counts.len();
        assert_eq!(held, 1 + 100 + 2, "past its bound a network makes no counts");
    }

    #[test]
    fn names_that_no_client_has_share_a_count_and_keys_do_not() {
        let guesses = Guesses::default();
        let nameless = Target::Client { tenant: Uuid::from_u128(1), client: None };
        assert_eq!(answered(&guesses, nameless, "192.0.2.1", 30, START), OF_CLIENT);
        for key in ["AKID1", "AKID2"] {
            assert_eq!(answered(&guesses, Target::key(key), "192.0.9.1", 30, START), OF_CLIENT, "{key}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        let network = |n: u32| IpAddr::from(Ipv4Addr::from_bits(n << 8));
        for n in 0..u32::try_from(COUNTS).unwrap() {
            let _ = guesses.count(of(n.into()), network(n), START);
        }
        assert_eq!(guesses.0.lock().counts.len(), COUNTS + 2);
        assert_eq!(guesses.count(of(7), network(7), START), Ok(()), "those who were there keep their own");
        assert_eq!(
            guesses.count(of(7), from("203.0.113.1"), later(40)),
            Ok(()),
            "and a minute later all is free"
        );
    }

    #[test]
    fn an_alarm_is_raised_once_an_hour() {
        let guesses = Guesses::default();
        let client = Uuid::from_u128(1);
        let raised = |at: Timestamp| (0..300).filter(|_| guesses.is_alarming(client, at)).count();
        assert_eq!(raised(START), 1);
        assert_eq!(raised(later(60)), 0);
        assert_eq!(raised(later(3599)), 0);
        assert_eq!(raised(later(3660)), 1);
        assert!(!guesses.is_alarming(Uuid::from_u128(2), later(3660)), "each client by itself");
        guesses.was_not_heard(client);
        assert!(guesses.is_alarming(client, later(3660)));
    }

    #[test]
    fn what_comes_slowly_is_no_alarm() {
        let guesses = Guesses::default();
        let client = Uuid::from_u128(1);
        for minute in 0..10 {
            let tries = (0..ALARM).filter(|_| guesses.is_alarming(client, later(minute * 60)));
            assert_eq!(tries.count(), 0);
        }
    }
}
