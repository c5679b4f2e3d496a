//! Who makes credentials: Daypass itself, and the clouds that the configuration names.

use super::Ambient;
use crate::system::KeyEntropy;
use anyhow::bail;
use daypass_core::directory::Plan;
use daypass_core::id::random_uuid;
use daypass_core::issuer::Issuer;
use daypass_core::store::Store;
use daypass_core::upstream::Upstream;
use daypass_issuers::cached::{Budgets, Cached};
use daypass_issuers::cloud::{self, Cloud};
use daypass_issuers::local::Local;
use daypass_issuers::tally::Tally;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Every issuer, by the name that roles call it by.
#[derive(Clone)]
pub(super) struct Issuers {
    /// The issuers.
    pub(super) all: HashMap<String, Arc<dyn Issuer>>,
    /// What the clouds among them have done.
    pub(super) tallies: Vec<Arc<Tally>>,
    /// The clouds among them.
    pub(super) clouds: Vec<Arc<dyn Cloud>>,
    /// Another one after each start: a turn that this process took before it died is not this process's any more.
    node: Uuid,
    /// What each root key may still call, whichever issuer it is that calls.
    budgets: Budgets,
}

impl Issuers {
    /// Of the first plan. No cloud is asked yet.
    pub(super) fn of(plan: &Plan, store: &Arc<dyn Store>, ambient: &Ambient) -> anyhow::Result<Self> {
        let local: Arc<dyn Issuer> = Arc::new(Local::new());
        let first = Self {
            all: HashMap::from([(Local::NAME.to_owned(), local)]),
            tallies: Vec::new(),
            clouds: Vec::new(),
            node: random_uuid(&KeyEntropy),
            budgets: Budgets::default(),
        };
        first.next(plan, store, ambient)
    }

    /// Of another plan. An issuer of which it says nothing else goes on with what it keeps and with the questions that are
    /// under way; another one of an old name goes on counting.
    pub(super) fn next(
        &self,
        plan: &Plan,
        store: &Arc<dyn Store>,
        ambient: &Ambient,
    ) -> anyhow::Result<Self> {
        let local = self.all.get_key_value(Local::NAME).map(|(name, local)| (name.clone(), local.clone()));
        let mut next = Self {
            all: local.into_iter().collect(),
            tallies: Vec::new(),
            clouds: Vec::new(),
            node: self.node,
            budgets: self.budgets.clone(),
        };
        for upstream in &plan.upstreams {
            let (cloud, tally, issuer) = match self.same(upstream) {
                Some(same) => same,
                None => self.another(upstream, store, ambient)?,
            };
            next.all.insert(upstream.name.clone(), issuer);
            next.clouds.push(cloud);
            next.tallies.push(tally);
        }
        if let Some(role) = plan.roles.iter().find(|role| !next.all.contains_key(&role.issuer)) {
            bail!("the role `{}` names the issuer `{}`, which does not exist", role.name, role.issuer);
        }
        Ok(next)
    }

    fn same(&self, upstream: &Upstream) -> Option<Parts> {
        let (cloud, tally) =
            self.clouds.iter().zip(&self.tallies).find(|(cloud, _)| cloud.upstream().is(upstream))?;
        Some((cloud.clone(), tally.clone(), self.all.get(&upstream.name)?.clone()))
    }

    fn another(
        &self,
        upstream: &Arc<Upstream>,
        store: &Arc<dyn Store>,
        ambient: &Ambient,
    ) -> anyhow::Result<Parts> {
        let earlier = self.tallies.iter().find(|tally| tally.issuer() == upstream.name);
        let tally = earlier.cloned().unwrap_or_else(|| Arc::new(Tally::new(upstream.name.clone())));
        let cloud = cloud::build(upstream)?;
        let cached = Cached::sharing(
            self.budgets.clone(),
            cloud.clone(),
            store.clone(),
            ambient.clock.clone(),
            ambient.entropy.clone(),
            self.node,
            tally.clone(),
        );
        Ok((cloud, tally, Arc::new(cached)))
    }
}

/// One cloud: how it is asked, what it has done, and who hands out what it gives.
type Parts = (Arc<dyn Cloud>, Arc<Tally>, Arc<dyn Issuer>);
