//! Cut-offs in little memory: names one after another in one piece, and a table that finds them.
//!
//! A map of strings costs twice what they hold, in a million small pieces. Here a million of them are four pieces, about 65
//! bytes for each with an id of 40 characters, and giving them up is four calls.

use super::Scope;
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// In the place of an instant: what a layer below says of this name does not hold any more.
pub(super) const GONE: i64 = i64::MIN;

/// What stands first in a name, for each kind of scope.
mod tag {
    pub(super) const ALL: u8 = 0;
    pub(super) const TENANT: u8 = 1;
    pub(super) const CLIENT: u8 = 2;
    pub(super) const KEY: u8 = 3;
    pub(super) const ROLE: u8 = 4;
    pub(super) const SUBJECT: u8 = 5;
    /// A credential whose id is any text.
    pub(super) const TEXT: u8 = 6;
    /// A credential whose id is a UUID in its usual form, as that of every access token is.
    pub(super) const UUID: u8 = 7;
}

/// A scope as bytes: equal scopes have equal names, others have others.
pub(super) fn name(scope: &Scope) -> Vec<u8> {
    let join = |tag: u8, parts: &[&[u8]]| {
        let mut name = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
        name.push(tag);
        for part in parts {
            name.extend_from_slice(part);
        }
        name
    };
    // The length in front keeps `ab` of `c` apart from `a` of `bc`.
    let of_tenant = |tag, tenant: &str, what: &str| {
        join(tag, &[&(tenant.len() as u64).to_be_bytes(), tenant.as_bytes(), what.as_bytes()])
    };
    match scope {
        Scope::All => join(tag::ALL, &[]),
        Scope::Tenant(tenant) => join(tag::TENANT, &[tenant.as_bytes()]),
        Scope::Client(guid) => join(tag::CLIENT, &[guid.as_bytes()]),
        Scope::Key(id) => join(tag::KEY, &[id.as_bytes()]),
        Scope::Role { tenant, role } => of_tenant(tag::ROLE, tenant, role),
        Scope::Subject { tenant, subject } => of_tenant(tag::SUBJECT, tenant, subject),
        Scope::Credential(id) => match usual(id) {
            Some(uuid) => join(tag::UUID, &[uuid.as_bytes()]),
            None => join(tag::TEXT, &[id.as_bytes()]),
        },
    }
}

/// The UUID that is written like this in its usual form, and in no other: `{…}` or capitals make another id.
fn usual(id: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(id).ok()?;
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    (uuid.hyphenated().encode_lower(&mut buffer) == id).then_some(uuid)
}

/// The scope of a name. None for what [`name`] never makes.
pub(super) fn scope(name: &[u8]) -> Option<Scope> {
    let (tag, rest) = name.split_first()?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let of_tenant = || {
        let (length, rest) = rest.split_first_chunk()?;
        let (tenant, what) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        Some((text(tenant)?, text(what)?))
    };
    Some(match *tag {
        tag::ALL => Scope::All,
        tag::TENANT => Scope::Tenant(text(rest)?),
        tag::CLIENT => Scope::Client(Uuid::from_slice(rest).ok()?),
        tag::KEY => Scope::Key(text(rest)?),
        tag::ROLE => of_tenant().map(|(tenant, role)| Scope::Role { tenant, role })?,
        tag::SUBJECT => of_tenant().map(|(tenant, subject)| Scope::Subject { tenant, subject })?,
        tag::TEXT => Scope::Credential(text(rest)?),
        tag::UUID => Scope::Credential(Uuid::from_slice(rest).ok()?.to_string()),
        _ => return None,
    })
}

/// Whether this is the name of a single credential.
pub(super) fn is_single(name: &[u8]) -> bool {
    matches!(name.first(), Some(&tag::TEXT | &tag::UUID))
}

/// Whether this is the name of a single credential that is no access token: those have UUIDs, in whatever form.
pub(super) fn is_triple(name: &[u8]) -> bool {
    match name.split_first() {
        Some((&tag::TEXT, id)) => Uuid::try_parse_ascii(id).is_err(),
        _ => false,
    }
}

/// Whether this is the name of a single access token.
pub(super) fn is_token(name: &[u8]) -> bool {
    is_single(name) && !is_triple(name)
}

/// How a slot of the table is divided: the number of a name and one, so that an empty slot is zero, and above it some bits
/// of the name's hash, so that other names are seldom looked at.
const NUMBER: u32 = 40;

/// Names with their instants, in milliseconds. A name is never taken out.
#[derive(Debug, Default)]
pub(super) struct Layer {
    names: Vec<u8>,
    /// Where each name ends.
    ends: Vec<usize>,
    befores: Vec<i64>,
    /// The table: a power of two, at most three quarters full.
    slots: Vec<u64>,
    /// No single credential's instant is earlier.
    oldest: Option<i64>,
}

impl Layer {
    /// Empty, with room for so many names.
    pub(super) fn with_room(names: usize) -> Self {
        let mut layer = Self::default();
        layer.ends.reserve_exact(names);
        layer.befores.reserve_exact(names);
        layer.slots = table(names);
        layer
    }

    /// How many names it has.
    pub(super) fn len(&self) -> usize {
        self.befores.len()
    }

    /// A time that no instant of a single credential is before; none where there is no such instant.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.oldest
    }

    /// Every name with its instant, which may be [`GONE`], in the order in which they came.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], i64)> {
        (0..self.len()).filter_map(|at| Some((self.name(at)?, *self.befores.get(at)?)))
    }

    /// Those whose instant is not after this time, without looking at the names of others.
    pub(super) fn until(&self, last: i64) -> impl Iterator<Item = (&[u8], i64)> {
        let early = self.befores.iter().enumerate().filter(move |(_, before)| **before <= last);
        early.filter_map(|(at, before)| Some((self.name(at)?, *before)))
    }

    /// The instant of a name of this hash.
    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<i64> {
        self.befores.get(self.number(hash, name)?).copied()
    }

    /// Sets the instant of a name.
    pub(super) fn put(&mut self, hasher: &RandomState, hash: u64, name: &[u8], before: i64) {
        if is_single(name) && before != GONE {
            self.oldest = Some(self.oldest.map_or(before, |oldest| oldest.min(before)));
        }
        let number = self.number(hash, name);
        if let Some(there) = number.and_then(|at| self.befores.get_mut(at)) {
            *there = before;
            return;
        }
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow(hasher);
        }
        self.names.extend_from_slice(name);
        self.ends.push(self.names.len());
        self.befores.push(before);
        occupy(&mut self.slots, hash, self.befores.len());
    }

    /// Gives back the room that is not used.
    pub(super) fn shrink(&mut self) {
        self.names.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.befores.shrink_to_fit();
    }

    fn grow(&mut self, hasher: &RandomState) {
        let mut slots = table(self.len() * 2 + 8);
        for (at, (name, _)) in self.entries().enumerate() {
            occupy(&mut slots, hasher.hash_one(name), at + 1);
        }
        self.slots = slots;
    }

    fn name(&self, at: usize) -> Option<&[u8]> {
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.names.get(start..*self.ends.get(at)?)
    }

    fn number(&self, hash: u64, name: &[u8]) -> Option<usize> {
        let slots =
            places(self.slots.len(), hash).map_while(|at| self.slots.get(at).filter(|slot| **slot != 0));
        let alike = slots.filter(|slot| **slot >> NUMBER == hash >> NUMBER);
        let mut numbers = alike.filter_map(|slot| usize::try_from((slot & ((1 << NUMBER) - 1)) - 1).ok());
        numbers.find(|at| self.name(*at) == Some(name))
    }
}

/// An empty table in which so many names find room.
fn table(names: usize) -> Vec<u64> {
    vec![0; (names.saturating_mul(4) / 3 + 1).next_power_of_two()]
}

/// Puts the name that is the so-many-eth, counted from one, into the first free place of its hash.
fn occupy(slots: &mut [u64], hash: u64, count: usize) {
    let slot = hash >> NUMBER << NUMBER | count as u64;
    if let Some(at) = places(slots.len(), hash).find(|at| slots.get(*at) == Some(&0))
        && let Some(free) = slots.get_mut(at)
    {
        *free = slot;
    }
}

/// Where a name of this hash is looked for, in turn.
fn places(slots: usize, hash: u64) -> impl Iterator<Item = usize> {
    let mask = slots.wrapping_sub(1);
    let first = usize::try_from(hash & mask as u64).unwrap_or_default();
    (0..slots).map(move |step| (first + step) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_scope() -> impl Strategy<Value = Scope> {
        let two = || ("[a-c]{0,3}", "[a-c]{0,3}");
        prop_oneof![
            Just(Scope::All),
            "[a-c]{0,3}".prop_map(Scope::Tenant),
            any::<u128>().prop_map(|id| Scope::Client(Uuid::from_u128(id))),
            "[a-c]{0,3}".prop_map(Scope::Key),
            two().prop_map(|(tenant, role)| Scope::Role { tenant, role }),
            two().prop_map(|(tenant, subject)| Scope::Subject { tenant, subject }),
            "\\PC{0,40}".prop_map(Scope::Credential),
            any::<u128>().prop_map(|id| Scope::Credential(Uuid::from_u128(id).to_string())),
            any::<u128>().prop_map(|id| Scope::Credential(Uuid::from_u128(id).to_string().to_uppercase())),
            any::<u128>().prop_map(|id| Scope::Credential(Uuid::from_u128(id).simple().to_string())),
        ]
    }

    proptest! {
        #[test]
        fn a_name_is_one_scope_and_a_scope_one_name(one in any_scope(), other in any_scope()) {
            prop_assert_eq!(scope(&name(&one)), Some(one.clone()));
            prop_assert_eq!(name(&one) == name(&other), one == other);
            let token = matches!(&one, Scope::Credential(id) if Uuid::try_parse(id).is_ok());
            prop_assert_eq!(is_triple(&name(&one)), matches!(one, Scope::Credential(_)) && !token);
        }
    }

    #[test]
    fn what_was_put_is_found_and_nothing_else_is() {
        let hasher = RandomState::new();
        let mut layer = Layer::default();
        let id = |number: i64| name(&Scope::Credential(format!("AKID{number}")));
        assert_eq!(layer.find(hasher.hash_one(id(1)), &id(1)), None, "nor in nothing at all");
        for number in 0..5000 {
            layer.put(&hasher, hasher.hash_one(id(number)), &id(number), number);
        }
        for number in (0..5000).step_by(3) {
            layer.put(&hasher, hasher.hash_one(id(number)), &id(number), number + 1);
        }
        assert_eq!(layer.len(), 5000);
        for number in 0..5000 {
            let expected = number + i64::from(number % 3 == 0);
            assert_eq!(layer.find(hasher.hash_one(id(number)), &id(number)), Some(expected));
            assert_eq!(layer.find(hasher.hash_one(id(number + 5000)), &id(number + 5000)), None);
        }
        assert_eq!(layer.entries().count(), 5000);
        assert_eq!(layer.until(9).count(), 9, "0 became 1, 9 became 10");
        assert_eq!(layer.oldest(), Some(0), "a bound, not the least");
    }

    /// However unlucky a hash is: it costs time and nothing else.
    #[test]
    fn names_of_one_hash_are_told_apart() {
        let hasher = RandomState::new();
        let mut layer = Layer::with_room(8);
        for number in 0..6 {
            layer.put(&hasher, 7, &[number; 4], i64::from(number));
        }
        let found: Vec<_> = (0..6).filter_map(|number| layer.find(7, &[number; 4])).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 5]);
        assert_eq!(layer.find(7, &[9; 4]), None);
    }
}
