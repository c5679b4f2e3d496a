//! Who makes credentials: Daypass itself, and the clouds that the configuration names.

use super::Ambient;
use crate::system::KeyEntropy;
use anyhow::bail;
use daypass_core::directory::Plan;
use daypass_core::id::random_uuid;
use daypass_core::issuer::Issuer;
use daypass_core::store::Store;
use daypass_issuers::cached::{Budgets, Cached};
use daypass_issuers::cloud::{self, Cloud};
use daypass_issuers::local::Local;
use daypass_issuers::tally::Tally;
use std::collections::HashMap;
use std::sync::Arc;

/// Every issuer, by the name that roles call it by.
pub(super) struct Issuers {
    /// The issuers.
    pub(super) all: HashMap<String, Arc<dyn Issuer>>,
    /// What the clouds among them have done.
    pub(super) tallies: Vec<Arc<Tally>>,
    /// The clouds among them.
    pub(super) clouds: Vec<Arc<dyn Cloud>>,
}

impl Issuers {
    /// Of a plan. No cloud is asked yet.
    pub(super) fn of(plan: &Plan, store: &Arc<dyn Store>, ambient: &Ambient) -> anyhow::Result<Self> {
        let local: Arc<dyn Issuer> = Arc::new(Local::new());
        let all = HashMap::from([(Local::NAME.to_owned(), local)]);
        let mut issuers = Self { all, tallies: Vec::new(), clouds: Vec::new() };
        // Another one after each start: a turn that this process took before it died is not this process's any more.
        let node = random_uuid(&KeyEntropy);
        let budgets = Budgets::default();
        for upstream in &plan.upstreams {
            let tally = Arc::new(Tally::new(upstream.name.clone()));
            let cloud = cloud::build(upstream)?;
            issuers.clouds.push(cloud.clone());
            let cached = Cached::sharing(
                budgets.clone(),
                cloud,
                store.clone(),
                ambient.clock.clone(),
                ambient.entropy.clone(),
                node,
                tally.clone(),
            );
            issuers.all.insert(upstream.name.clone(), Arc::new(cached));
            issuers.tallies.push(tally);
        }
        if let Some(role) = plan.roles.iter().find(|role| !issuers.all.contains_key(&role.issuer)) {
            bail!("the role `{}` names the issuer `{}`, which does not exist", role.name, role.issuer);
        }
        Ok(issuers)
    }
}
