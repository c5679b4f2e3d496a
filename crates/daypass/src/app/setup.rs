//! What follows from one configuration, as one value: a reload puts another in its place, whole.
//!
//! Whoever needs something of it takes the value anew for each turn of work and lets it go with that turn. What outlives a
//! configuration is not here: the store, our own keys, counters, and the memory that copies of a [`Pipeline`] share.

use super::issuers::Issuers;
use crate::config::{Errors, Loaded};
use crate::identity::Outbound;
use crate::records;
use crate::server::Proxies;
use daypass_core::directory::{Directory, Plan};
use daypass_core::pipeline::Pipeline;
use daypass_issuers::cloud::Cloud;
use daypass_issuers::tally::Tally;
use std::sync::Arc;

/// What a configuration says, as far as it can change while the process runs.
#[derive(Default)]
pub(crate) struct Settings {
    /// What requests are judged by.
    pub(crate) plan: Plan,
    /// Whose word about a caller is taken.
    pub(crate) proxies: Proxies,
    /// How records are signed and kept.
    pub(crate) records: records::Settings,
    /// The SHA-256 of the file, in hexadecimal digits; empty where there is none.
    pub(crate) digest: String,
}

impl Settings {
    /// What a file says, with the root keys that it names, read now. `here` is where clients reach us if it does not say so.
    pub(crate) fn of(config: &Loaded, here: &str) -> Result<Self, Errors> {
        Ok(Self {
            plan: config.calling_plan(config.public_url.as_deref().unwrap_or(here))?,
            proxies: Proxies::new(config.behind_proxy.clone(), config.certificate_header.clone())
                .with_balancers(config.proxy_protocol.clone()),
            records: config.records.clone(),
            digest: config.digest.clone(),
        })
    }
}

impl From<Plan> for Settings {
    fn from(plan: Plan) -> Self {
        Self { plan, ..Self::default() }
    }
}

/// Everything that one configuration brings about.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The phases, with the ports that this configuration names.
    pub(crate) pipeline: Pipeline,
    /// Whose word about a caller is taken.
    pub(crate) proxies: Proxies,
    /// How records are signed and kept.
    pub(crate) records: records::Settings,
    /// The SHA-256 of the file, in hexadecimal digits; empty where there is none.
    pub(crate) digest: String,
    pub(super) issuers: Issuers,
    pub(super) identity: Arc<Outbound>,
}

impl Setup {
    /// What the clouds behind this node have done.
    pub(crate) fn tallies(&self) -> &[Arc<Tally>] {
        &self.issuers.tallies
    }

    /// The clouds behind this node.
    pub(crate) fn clouds(&self) -> &[Arc<dyn Cloud>] {
        &self.issuers.clouds
    }
}

/// A configuration that is ready to be put in the place of another.
pub(crate) struct Prepared {
    pub(super) setup: Setup,
    pub(super) plan: Plan,
}

/// What a request sees: one configuration, and what the store held.
pub(crate) struct View {
    /// What follows from the configuration.
    pub(crate) setup: Arc<Setup>,
    /// The configuration with what the store held.
    pub(crate) directory: Arc<Directory>,
}
