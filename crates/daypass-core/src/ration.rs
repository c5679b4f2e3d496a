//! What was taken of every rate and daily quota.
//!
//! A rate is kept as one instant: when the last of what was taken would be over, if it had come evenly (the generic cell
//! rate algorithm). No timer runs and nothing begins anew at a full minute, so that nobody gets twice as much around one.
//! Rates are of this node alone. Daily quotas are of all nodes together: what each counts is written to the store and
//! read back there ([`Rations::due`], [`Rations::noted`]).

mod days;
mod held;

pub use days::Due;

use crate::clock::Timestamp;
use crate::quota::Rate;
use crate::replay::Mark;
use crate::strangers::network;
use aws_lc_rs::digest;
use days::Days;
use held::Held;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The most subjects and networks whose rates are in use at one time. Past it all further ones of a tenant that has its part
/// ([`Held`]) share one for each place and kind, so that memory stays bounded while someone with many addresses tries.
const COUNTS: usize = 100_000;

/// How often it is looked for rates that nobody uses any more, in nanoseconds, once there are too many.
const SWEEP: i64 = 1_000_000_000;

/// What was taken.
#[derive(Default)]
pub struct Rations {
    rates: Mutex<Rates>,
    days: Mutex<Days>,
    refused: [[AtomicU64; WAYS.len()]; Kind::ALL.len()],
}

/// Of whom a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tenant.
    Tenant,
    /// A client.
    Client,
    /// A subject.
    Subject,
    /// A source network.
    Network,
    /// An endpoint.
    Endpoint,
    /// An outside provider, all its subjects together.
    Provider,
    /// A client's questions about its own decisions.
    Questions,
    /// A source network with proofs that are wrong.
    Wrong,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Tenant,
        Self::Client,
        Self::Subject,
        Self::Network,
        Self::Endpoint,
        Self::Provider,
        Self::Questions,
        Self::Wrong,
    ];

    /// The name in refusals and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Client => "client",
            Self::Subject => "subject",
            Self::Network => "network",
            Self::Endpoint => "endpoint",
            Self::Provider => "provider",
            Self::Questions => "questions",
            Self::Wrong => "wrong",
        }
    }
}

/// In which ways something can be used up.
const WAYS: [&str; 2] = ["rate", "daily"];

/// Who shares one ration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    /// All of a tenant.
    Tenant(Uuid),
    /// A client.
    Client(Uuid),
    /// All who come to an endpoint, or for whom a provider vouches.
    Place(Place),
    /// All who come to a place from one network (/24 of IPv4, /48 of IPv6); none for those who came after the table was
    /// full.
    Network(Place, Option<IpAddr>),
    /// One subject of a place; none for those who came after the table was full.
    Subject(Place, Option<String>),
    /// A client's questions about its own decisions.
    Questions(Uuid),
    /// All who come to a place from one network with proofs that are wrong.
    Wrong(Place, Option<IpAddr>),
}

/// Where something is asked for. It is of one tenant, so that no tenant uses up what another has at the same path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The tenant.
    pub tenant: Uuid,
    /// The path, or what else it is known by.
    pub name: Name,
}

/// What a place is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// An endpoint at its path, or a protocol that is always served.
    Path(String),
    /// An outside provider.
    Provider(String),
    /// All that clients of the tenant ask for with proofs of their own.
    Clients,
}

impl Share {
    /// All who come from one network.
    pub fn network(place: Place, source: IpAddr) -> Self {
        Self::Network(place, Some(network(source)))
    }

    /// All who come from one network with proofs that are wrong.
    pub fn wrong(place: Place, source: IpAddr) -> Self {
        Self::Wrong(place, Some(network(source)))
    }

    /// Of whom it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Tenant(_) => Kind::Tenant,
            Self::Client(_) => Kind::Client,
            Self::Place(Place { name: Name::Provider(_), .. }) => Kind::Provider,
            Self::Place(_) => Kind::Endpoint,
            Self::Network(..) => Kind::Network,
            Self::Subject(..) => Kind::Subject,
            Self::Questions(_) => Kind::Questions,
            Self::Wrong(..) => Kind::Wrong,
        }
    }

    /// The share of those who came after a table was full; none where there are no more of a kind than the operator has
    /// made.
    fn late(&self) -> Option<Self> {
        match self {
            Self::Network(place, Some(_)) => Some(Self::Network(place.clone(), None)),
            Self::Wrong(place, Some(_)) => Some(Self::Wrong(place.clone(), None)),
            Self::Subject(place, Some(_)) => Some(Self::Subject(place.clone(), None)),
            _ => None,
        }
    }

    /// The name under which its days are kept in the store: the same for all nodes, and no subject's name or address in
    /// clear.
    pub fn mark(&self) -> Mark {
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        part(b"daypass daily v1");
        part(self.kind().name().as_bytes());
        match self {
            Self::Tenant(guid) | Self::Client(guid) | Self::Questions(guid) => part(guid.as_bytes()),
            Self::Place(place)
            | Self::Network(place, _)
            | Self::Wrong(place, _)
            | Self::Subject(place, _) => {
                part(place.tenant.as_bytes());
                match &place.name {
                    Name::Path(path) => [&b"path"[..], path.as_bytes()].into_iter().for_each(&mut part),
                    Name::Provider(name) => {
                        [&b"provider"[..], name.as_bytes()].into_iter().for_each(&mut part);
                    }
                    Name::Clients => part(b"clients"),
                }
            }
        }
        match self {
            Self::Network(_, Some(network)) | Self::Wrong(_, Some(network)) => {
                part(network.to_string().as_bytes());
            }
            Self::Subject(_, Some(subject)) => part(subject.as_bytes()),
            _ => {}
        }
        // The hash is twice as long.
        hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// A ration is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// In how many seconds there is something again, rounded up.
    pub seconds: u32,
    /// Nobody who shares it was told so in this minute: it is worth a record.
    pub news: bool,
}

#[derive(Default)]
struct Rates {
    taken: HashMap<Share, Taken>,
    held: Held,
    swept: i64,
}

struct Taken {
    /// When all that was taken is over, in nanoseconds since 1970.
    until: i64,
    told: Told,
}

/// In which minute somebody was last told that nothing is left.
#[derive(Clone, Copy, Default)]
struct Told(Option<i64>);

impl Told {
    /// Whether this is the first time in its minute.
    fn now(&mut self, now: Timestamp) -> bool {
        let minute = Some(now.as_second().div_euclid(60));
        std::mem::replace(&mut self.0, minute) != minute
    }
}

fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

impl Rates {
    fn of(&mut self, share: &Share, now: i64) -> &mut Taken {
        if self.taken.len() >= COUNTS && (now.saturating_sub(self.swept)).abs() >= SWEEP {
            self.swept = now;
            // What is over is as good as what was never taken.
            self.taken.retain(|_, taken| taken.until > now);
            self.held.count_anew(self.taken.keys());
        }
        let full =
            self.taken.len() >= COUNTS && !self.taken.contains_key(share) && !self.held.admits(share, COUNTS);
        let late = if full { share.late() } else { None };
        match self.taken.entry(late.unwrap_or_else(|| share.clone())) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                self.held.add(free.key());
                free.insert(Taken { until: i64::MIN, told: Told::default() })
            }
        }
    }
}

impl Rations {
    /// Takes one at this rate.
    pub fn take(&self, share: &Share, rate: Rate, now: Timestamp) -> Result<(), Full> {
        let (at, tolerance) = (nanos(now), rate.tolerance());
        let mut rates = self.rates.lock();
        let taken = rates.of(share, at);
        // No more can be taken than goes at once. It seems so after the clock was set back, or the rate lowered, and
        // must not shut anyone out for longer than it takes to become free.
        taken.until = taken.until.clamp(at, at.saturating_add(tolerance));
        let until = taken.until.saturating_add(rate.interval());
        let over = until.saturating_sub(at.saturating_add(tolerance));
        if over <= 0 {
            taken.until = until;
            return Ok(());
        }
        let news = taken.told.now(now);
        drop(rates);
        self.count_refused(share, 0);
        let seconds = over.saturating_add(999_999_999) / 1_000_000_000;
        Err(Full { seconds: u32::try_from(seconds).unwrap_or(u32::MAX), news })
    }

    /// Gives one back, because nothing was made after all.
    pub fn give_back(&self, share: &Share, rate: Rate) {
        if let Some(taken) = self.rates.lock().taken.get_mut(share) {
            taken.until = taken.until.saturating_sub(rate.interval());
        }
    }

    /// Counts one credential of a day.
    pub fn count(&self, share: &Share, daily: u64, now: Timestamp) -> Result<(), Full> {
        let counted = self.days.lock().count(share, daily, now);
        if counted.is_err() {
            self.count_refused(share, 1);
        }
        counted
    }

    /// Takes one back that was counted at this time, because it was not made after all.
    pub fn uncount(&self, share: &Share, at: Timestamp) {
        self.days.lock().uncount(share, at);
    }

    /// What the store does not know of this node's day.
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        self.days.lock().due(now)
    }

    /// Says that the store has this, and what it has of all other nodes under the same names.
    pub fn noted(&self, due: &Due, others: &[(Mark, u64)]) {
        self.days.lock().noted(due, others);
    }

    /// Begins with what the store has of all other nodes, on this day.
    pub fn begin(&self, day: i64, others: &[(Mark, u64)]) {
        self.days.lock().begin(day, others);
    }

    fn count_refused(&self, share: &Share, way: usize) {
        let row = self.refused.get(share.kind() as usize);
        if let Some(counter) = row.and_then(|row| row.get(way)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests were refused for want of each ration, by whose it is and whether it is a rate or daily.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Kind::ALL.iter().zip(&self.refused).flat_map(|(kind, row)| {
            WAYS.into_iter().zip(row).map(|(way, count)| (kind.name(), way, count.load(Ordering::Relaxed)))
        })
    }
}

/// The number of the UTC day of an instant, counted from 1970.
pub fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(86_400)
}

#[cfg(test)]
mod tests;
