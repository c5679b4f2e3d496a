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

use crate::clock::{Timestamp, after};
use crate::limits::LONGEST_LIFE;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
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

/// All cut-offs, by scope.
#[derive(Clone, Debug, Default)]
pub struct Cutoffs(HashMap<Scope, Timestamp>);

impl Cutoffs {
    /// Collects cut-offs; of two for one scope the later counts.
    pub fn new(all: impl IntoIterator<Item = Cutoff>) -> Self {
        let mut map = HashMap::new();
        for Cutoff { scope, before } in all {
            map.entry(scope).and_modify(|t: &mut Timestamp| *t = (*t).max(before)).or_insert(before);
        }
        Self(map)
    }

    /// Whether something issued then, in this scope, has been taken back.
    pub fn cut(&self, issued: Timestamp, scope: &Scope) -> bool {
        self.0.get(scope).is_some_and(|cut| issued.as_millisecond() <= cut.as_millisecond())
    }

    /// Every cut-off, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, Timestamp)> {
        self.0.iter().map(|(scope, before)| (scope, *before))
    }

    /// Cut-offs of single credentials of which none can live any more, at most `most` of them.
    pub fn outlived(&self, now: Timestamp, most: usize) -> Vec<Cutoff> {
        let gone = |(scope, before): &(&Scope, &Timestamp)| {
            matches!(scope, Scope::Credential(_)) && over(**before) < now
        };
        let all = self.0.iter().filter(gone).take(most);
        all.map(|(scope, before)| Cutoff { scope: scope.clone(), before: *before }).collect()
    }

    /// Whether nothing was ever taken back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, later};

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
}
