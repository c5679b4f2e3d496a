//! What has been taken back in a tenant, in the words of access tokens, and what of that has changed.
//!
//! Cut-offs ([`crate::cutoff`]) name things as we do; whoever verifies a token by itself knows only what stands in it. A
//! [`Revoked`] list is the same said in those words. Names are left out that no token has: those of visitors and of
//! sessions, the clients and keys of other tenants, and the ids of temporary keys.
//!
//! A [`Journal`] remembers how a list came to be what it is, so that whoever has an earlier state of it can be told the
//! changes alone. It is kept from one snapshot of the directory to the next, in memory: cut-offs have no order in the
//! store by which one could ask.

use crate::client::Tenant;
use crate::clock::Timestamp;
use crate::cutoff::{Scope, over};
use crate::directory::Directory;
use crate::standing::key_print;
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// What a token has by which it can be recognised as taken back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// Everything of the tenant.
    All,
    /// A client.
    Client(Uuid),
    /// A key of a client, by its [`key_print`].
    Key(String),
    /// What a role puts into a token.
    Role {
        /// The names of its audience.
        audiences: Vec<String>,
        /// Its app roles.
        app_roles: Vec<String>,
    },
    /// A subject.
    Subject(Uuid),
    /// One token.
    Token(Uuid),
}

/// What has been taken back, each with the last second that is: tokens say theirs to the second, and one that was issued
/// in the second of a cut-off counts as issued before it.
pub type Revoked = BTreeMap<Named, i64>;

/// What changed in a list: the new last second, or none for what is not in it any more.
pub type Changes = BTreeMap<Named, Option<i64>>;

/// The most names in a list that is published. One that left some out would be a lie, so a longer one is none: whoever reads
/// the list has to hold it, and fetches it whole when he starts, some three megabytes of this many.
pub const MOST: usize = 50_000;

/// What is taken back of a tenant's tokens now. What nothing can live under any more is left out. None where it is more than
/// so many names, which is found out without collecting them all.
pub fn revoked(directory: &Directory, tenant: &Tenant, now: Timestamp, most: usize) -> Option<Revoked> {
    let mut revoked = Revoked::new();
    for (scope, before) in directory.cutoffs().of_tokens().filter(|(_, before)| over(*before) >= now) {
        for named in names(directory, tenant, &scope) {
            let before = before.as_second();
            let cut = revoked.entry(named).or_insert(before);
            *cut = before.max(*cut);
        }
        if revoked.len() > most {
            return None;
        }
    }
    Some(revoked)
}

/// What a scope is called in the tokens of a tenant.
fn names(directory: &Directory, tenant: &Tenant, scope: &Scope) -> Vec<Named> {
    match scope {
        Scope::All => vec![Named::All],
        Scope::Tenant(name) if *name == tenant.name => vec![Named::All],
        Scope::Client(guid) => match directory.client(tenant, *guid) {
            // Exchanged tokens that speak for it have been issued to others.
            Some(client) => {
                vec![Named::Client(client.guid), Named::Subject(client.guid), Named::Subject(client.object)]
            }
            None => vec![],
        },
        Scope::Subject { tenant: name, subject } if *name == tenant.name => {
            let object = Uuid::try_parse(subject).ok();
            match object.and_then(|object| directory.client_of_object(tenant, object)) {
                // The subject of RFC 9068's tokens is the client's own id.
                Some(client) => vec![Named::Subject(client.object), Named::Subject(client.guid)],
                None => vec![],
            }
        }
        Scope::Key(id) if directory.is_key_of(id, tenant) => vec![Named::Key(key_print(id))],
        Scope::Role { tenant: name, role } if *name == tenant.name => {
            let role = directory.role(name, role);
            let made = role.and_then(|role| Some((role.audience.as_ref()?, role)));
            let named = made.map(|(audience, role)| Named::Role {
                audiences: [audience].into_iter().chain(&role.identifiers).cloned().collect(),
                app_roles: role.app_roles.clone(),
            });
            named.into_iter().collect()
        }
        Scope::Credential(id) => Uuid::try_parse(id).map(Named::Token).into_iter().collect(),
        Scope::Tenant(_) | Scope::Subject { .. } | Scope::Key(_) | Scope::Role { .. } => vec![],
    }
}

/// The most states that are remembered of a list.
const STATES: usize = 256;

/// The most changes that are remembered of a list, over all its states, and the most that are told at once.
const CHANGES: usize = 5_000;

/// A list with the states that it had before.
#[derive(Debug, Default)]
pub struct Journal {
    list: Revoked,
    state: String,
    steps: VecDeque<Step>,
}

/// A state that the list had, with what changed after it.
#[derive(Debug)]
struct Step {
    state: String,
    changes: Changes,
}

impl Journal {
    /// The list as it is.
    pub fn list(&self) -> &Revoked {
        &self.list
    }

    /// The name of its state; empty before there was a list.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The list is this one now. `state` names what is in it: equal lists have equal names, others have others.
    pub fn advance(&mut self, list: Revoked, state: String) {
        if state == self.state {
            return;
        }
        let changes = difference(&self.list, &list);
        let before = std::mem::replace(&mut self.state, state);
        self.list = list;
        // A state that comes again is the present one, and nothing leads to it any more.
        if let Some(at) = self.steps.iter().position(|step| step.state == self.state) {
            self.steps.truncate(at);
            return;
        }
        if !before.is_empty() {
            self.steps.push_back(Step { state: before, changes });
        }
        let mut kept: usize = self.steps.iter().map(|step| step.changes.len()).sum();
        while self.steps.len() > STATES || kept > CHANGES {
            let Some(oldest) = self.steps.pop_front() else { break };
            kept -= oldest.changes.len();
        }
    }

    /// What changed since the list had this state. None where that is not remembered, or the whole list is no longer than
    /// its changes.
    pub fn since(&self, state: &str) -> Option<Changes> {
        let changes = if state == self.state && !state.is_empty() {
            Changes::new()
        } else {
            let from = self.steps.iter().position(|step| step.state == state)?;
            let steps = self.steps.iter().skip(from);
            steps.flat_map(|step| &step.changes).map(|(named, before)| (named.clone(), *before)).collect()
        };
        (changes.len() < self.list.len()).then_some(changes)
    }
}

fn difference(old: &Revoked, new: &Revoked) -> Changes {
    let set = new.iter().filter(|(named, before)| old.get(named) != Some(before));
    let gone = old.keys().filter(|named| !new.contains_key(named));
    set.map(|(named, before)| (named.clone(), Some(*before)))
        .chain(gone.map(|named| (named.clone(), None)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(tokens: &[(u128, i64)]) -> Revoked {
        tokens.iter().map(|(id, before)| (Named::Token(Uuid::from_u128(*id)), *before)).collect()
    }

    fn name(list: &Revoked) -> String {
        format!("{list:?}")
    }

    fn advance(journal: &mut Journal, tokens: &[(u128, i64)]) -> String {
        let list = list(tokens);
        let state = name(&list);
        journal.advance(list, state.clone());
        state
    }

    /// The list that whoever has this one comes to.
    fn apply(list: &Revoked, changes: &Changes) -> Revoked {
        let mut list = list.clone();
        for (named, before) in changes {
            match before {
                Some(before) => list.insert(named.clone(), *before),
                None => list.remove(named),
            };
        }
        list
    }

    #[test]
    fn what_changed_is_told_since_every_state_that_is_remembered() {
        let mut journal = Journal::default();
        assert_eq!(journal.since(""), None, "nothing was ever there");
        let first = advance(&mut journal, &[(1, 10), (2, 10), (3, 10), (4, 10)]);
        assert_eq!(journal.since(&first), Some(Changes::new()));
        let second = advance(&mut journal, &[(1, 10), (2, 20), (3, 10), (5, 10)]);
        let changes = journal.since(&first).unwrap();
        assert_eq!(changes.values().copied().collect::<Vec<_>>(), [Some(20), None, Some(10)]);
        assert_eq!(&apply(&list(&[(1, 10), (2, 10), (3, 10), (4, 10)]), &changes), journal.list());
        assert_eq!(journal.since(&second), Some(Changes::new()));
        assert_eq!(journal.since("made up"), None);
    }

    /// What came and went meanwhile is told to nobody: it leads from a state that is past to one that is past.
    #[test]
    fn from_a_state_that_came_again_only_what_changed_since_is_told() {
        let mut journal = Journal::default();
        let (one, two) =
            ([(1, 10), (2, 10), (3, 10), (4, 10)], [(1, 10), (2, 10), (3, 10), (4, 10), (5, 10)]);
        let first = advance(&mut journal, &one);
        let second = advance(&mut journal, &two);
        assert_eq!(advance(&mut journal, &one), first);
        let changes = |journal: &Journal, state: &str| {
            journal.since(state).map(|changes| changes.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(changes(&journal, &first), Some(vec![]));
        assert_eq!(changes(&journal, &second), None, "it leads nowhere any more");
        advance(&mut journal, &[(1, 10), (2, 10), (3, 10), (4, 10), (6, 10)]);
        let sixth = (Named::Token(Uuid::from_u128(6)), Some(10));
        assert_eq!(changes(&journal, &first), Some(vec![sixth]));
    }

    #[test]
    fn a_list_that_is_no_longer_than_its_changes_is_told_whole() {
        let mut journal = Journal::default();
        let empty = advance(&mut journal, &[]);
        assert_eq!(journal.since(&empty), None);
        advance(&mut journal, &[(1, 10)]);
        assert_eq!(journal.since(&empty), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_states_are_forgotten() {
        let mut journal = Journal::default();
        let numbers: Vec<(u128, i64)> = (0..1000).map(|n| (n, 1)).collect();
        let states: Vec<_> = (300..700).map(|n| advance(&mut journal, &numbers[..n])).collect();
        assert_eq!(journal.steps.len(), STATES);
        assert_eq!(journal.since(&states[0]), None);
        assert_eq!(journal.since(&states[states.len() - 1 - STATES]).unwrap().len(), STATES);
        let many: Vec<(u128, i64)> = (0..20_000).map(|n| (n + 5000, 1)).collect();
        advance(&mut journal, &many);
        assert!(journal.steps.is_empty(), "more changed than is remembered");
    }

    proptest! {
        #[test]
        fn whoever_applies_what_changed_has_the_list(
            lists in proptest::collection::vec(proptest::collection::vec((0_u128..9, 1_i64..4), 0..9), 1..20),
        ) {
            let mut journal = Journal::default();
            let mut seen: Vec<(String, Revoked)> = Vec::new();
            for tokens in &lists {
                let state = advance(&mut journal, tokens);
                seen.push((state, list(tokens)));
                for (state, earlier) in &seen {
                    if let Some(changes) = journal.since(state) {
                        prop_assert_eq!(&apply(earlier, &changes), journal.list());
                    }
                }
            }
        }
    }
}
