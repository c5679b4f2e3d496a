//! Where tenants and roles stand in the file, for what is found once the file has been read.

use crate::config::notes::{Notes, Place};
use crate::config::source::Spot;
use crate::config::tenant::TenantEntry;
use std::collections::BTreeMap;

/// The places of names, ready to be shown without the text.
#[derive(Clone, Debug)]
pub(in crate::config) struct Spots {
    file: Spot,
    tenants: BTreeMap<String, Spot>,
    roles: BTreeMap<(String, String), Spot>,
}

impl Spots {
    /// Those of a file.
    pub(in crate::config) fn read(notes: &Notes<'_>, tenants: &[TenantEntry<'_>]) -> Self {
        let mut spots =
            Self { file: notes.spot(Place::File), tenants: BTreeMap::new(), roles: BTreeMap::new() };
        for tenant in tenants {
            let name = tenant.name.value.to_owned();
            for role in &tenant.roles {
                let at = (name.clone(), role.name.value.to_owned());
                spots.roles.insert(at, notes.spot(role.name.place));
            }
            spots.tenants.insert(name, notes.spot(tenant.name.place));
        }
        spots
    }

    /// The beginning of the file.
    pub(super) fn file(&self) -> Spot {
        self.file.clone()
    }

    /// The name of a tenant, or else the file.
    pub(super) fn tenant(&self, name: &str) -> Spot {
        self.tenants.get(name).unwrap_or(&self.file).clone()
    }

    /// The name of a role, or else that of its tenant.
    pub(super) fn role(&self, tenant: &str, name: &str) -> Spot {
        let at = (tenant.to_owned(), name.to_owned());
        self.roles.get(&at).cloned().unwrap_or_else(|| self.tenant(tenant))
    }
}
