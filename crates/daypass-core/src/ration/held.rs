//! How much of a table each tenant fills.
//!
//! Attack: whoever may name subjects, of one tenant, names a hundred thousand; and the next visitor of every other tenant
//! finds the table full and shares one ration with all who come after. So a full table still has room for those of a tenant
//! that fills less than an equal part of it. Of those whose names strangers or callers choose, that is: of the others there are
//! no more than operators have made.

use super::{Place, Share};
use std::collections::HashMap;
use uuid::Uuid;

/// How many names there are of each tenant.
#[derive(Default)]
pub(super) struct Held(HashMap<Uuid, usize>);

/// The tenant of a share whose name is not an operator's.
fn tenant_of(share: &Share) -> Option<Uuid> {
    match share {
        Share::Network(Place { tenant, .. }, Some(_))
        | Share::Wrong(Place { tenant, .. }, Some(_))
        | Share::Subject(Place { tenant, .. }, Some(_)) => Some(*tenant),
        _ => None,
    }
}

impl Held {
    /// Whether one more of this kind has its place in a table that is full, where so many make it full.
    pub(super) fn admits(&self, share: &Share, most: usize) -> bool {
        let Some(tenant) = tenant_of(share) else { return true };
        let own = self.0.get(&tenant).copied();
        let tenants = self.0.len() + usize::from(own.is_none());
        own.unwrap_or_default() < most / tenants.max(1)
    }

    /// Counts one that is there now.
    pub(super) fn add(&mut self, share: &Share) {
        if let Some(tenant) = tenant_of(share) {
            *self.0.entry(tenant).or_default() += 1;
        }
    }

    /// Counts anew what is left.
    pub(super) fn count_anew<'a>(&mut self, shares: impl Iterator<Item = &'a Share>) {
        self.0.clear();
        shares.for_each(|share| self.add(share));
    }
}
