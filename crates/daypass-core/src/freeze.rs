//! Places where nothing is issued for now, because an operator has said so.
//!
//! It is what to do first when something is wrong and nobody knows yet what: it stops the flow, and undoing it costs
//! nothing. Whatever was issued before stays good, is verified, introspected and can be taken back as ever: whoever wants
//! an end of that too makes a cut-off ([`crate::cutoff`]).

use crate::client::Tenant;
use crate::clock::Timestamp;
use crate::directory::Directory;
use crate::endpoint::DialectName;
use crate::refusal::{Reason, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Where nothing is issued.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Everywhere.
    All,
    /// In a tenant, by name.
    Tenant(String),
    /// At a path, whatever tenant and protocol. That of OAuth is [`oauth_path`] of the tenant, however a request
    /// spelled the tenant.
    Endpoint(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Tenant(name) => write!(f, "tenant {name}"),
            Self::Endpoint(path) => write!(f, "endpoint {path}"),
        }
    }
}

/// A place with the time since when nothing is issued there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Where.
    pub place: Place,
    /// Since when, to the millisecond.
    pub since: Timestamp,
}

/// Every frozen place.
#[derive(Clone, Debug, Default)]
pub struct Freezes(HashMap<Place, Timestamp>);

impl Freezes {
    /// Collects frozen places.
    pub fn new(all: impl IntoIterator<Item = Freeze>) -> Self {
        Self(all.into_iter().map(|freeze| (freeze.place, freeze.since)).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether something is issued everywhere.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing is issued in this tenant at this path.
    pub fn holds(&self, tenant: &str, path: &str) -> bool {
        // The common case: nothing is frozen, and no place need be written out.
        !self.0.is_empty()
            && [Place::All, Place::Tenant(tenant.to_owned()), Place::Endpoint(path.to_owned())]
                .iter()
                .any(|place| self.0.contains_key(place))
    }
}

/// When to ask again, in seconds. Nobody knows how long it lasts; clients that take a refusal for final would need to be
/// started again by hand, and those that ask at once would be a flood when it ends.
const AGAIN: u32 = 30;

/// What a backend's request for a ticket has behind the path of the endpoint that the ticket is for.
const TICKETS: &str = "/ticket";

/// The path by which the OAuth endpoint of a tenant is frozen.
pub fn oauth_path(tenant: &Tenant) -> String {
    format!("/{}/oauth2/v2.0/token", tenant.guid)
}

/// Refuses to issue where it is frozen.
pub(crate) fn check(
    directory: &Directory,
    tenant: &Tenant,
    dialect: DialectName,
    path: &str,
) -> Result<(), Refusal> {
    let freezes = directory.freezes();
    if freezes.is_empty() {
        return Ok(());
    }
    let oauth = (dialect == DialectName::Entra).then(|| oauth_path(tenant));
    let path = oauth.as_deref().unwrap_or(path);
    let desk = path.strip_suffix(TICKETS).filter(|path| directory.visited(path).is_some());
    if !freezes.holds(&tenant.name, desk.unwrap_or(path)) {
        return Ok(());
    }
    let detail = "nothing is issued here for now, because an operator has stopped it; what was issued before stays good";
    Err(Refusal::new(Reason::Frozen, detail).retry_after(AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, World};

    fn refused(
        world: &World,
        place: Place,
        dialect: DialectName,
        path: &str,
    ) -> Option<(Reason, Option<u32>)> {
        let directory = world.directory().frozen(vec![Freeze { place, since: START }]);
        let tenant = directory.tenant("acme").unwrap().clone();
        check(&directory, &tenant, dialect, path).err().map(|refusal| (refusal.reason, refusal.retry_after))
    }

    #[test]
    fn a_place_holds_what_is_in_it_and_nothing_beside_it() {
        let world = World::new();
        let endpoint = |path: &str| Place::Endpoint(path.into());
        let oauth = oauth_path(&world.plan.tenants[0]);
        let (sts, entra) = (DialectName::TencentSts, DialectName::Entra);
        let page = DialectName::TencentGetAuthorization;
        for (place, dialect, path, holds) in [
            (Place::All, sts, "/", true),
            (Place::Tenant("acme".into()), sts, "/", true),
            (Place::Tenant("other".into()), sts, "/", false),
            (endpoint("/"), sts, "/", true),
            (endpoint("/"), page, "/getAuthorization", false),
            (endpoint("/getAuthorization"), page, "/getAuthorization", true),
            (endpoint("/getAuthorization"), page, "/getAuthorization/ticket", true),
            (endpoint("/router"), DialectName::AlibabaTop, "/router/rest", false),
            (endpoint("/router/rest"), DialectName::AlibabaTop, "/router/rest", true),
            (endpoint("acme"), sts, "/", false),
            (endpoint(&oauth), entra, &oauth, true),
            (endpoint(&oauth), entra, "/ACME/oauth2/token", true),
            (endpoint("/ACME/oauth2/token"), entra, "/ACME/oauth2/token", false),
        ] {
            let found = refused(&world, place.clone(), dialect, path);
            let expected = holds.then_some((Reason::Frozen, Some(AGAIN)));
            assert_eq!(found, expected, "{place} for {path}");
        }
    }
}
