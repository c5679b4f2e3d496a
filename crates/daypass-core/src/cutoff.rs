//! Taking credentials back: instants before which nothing issued counts any more.
//!
//! No row is stored for a credential, so none can be deleted. Instead, a cut-off names a scope and an instant:
//! whatever was issued in that scope at or before it is refused at its next verification. Every node holds all
//! cut-offs in memory.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use uuid::Uuid;

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
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

    /// Whether nothing was ever taken back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
