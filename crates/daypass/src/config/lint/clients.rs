//! What the clients of the store make of a configuration, and it of them.

use super::{Lint, Spots, reach};
use crate::config::Loaded;
use crate::config::diagnostic::{Diagnostic, Fault, Severity};
use crate::config::duration::show;
use crate::config::source::Spot;
use crate::mend;
use daypass_core::client::{Client, Grant, Key};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::directory::Plan;
use daypass_core::expiry;
use daypass_core::policy::{Why, idle};
use daypass_core::role::Role;
use daypass_core::root::{RootRow, RootState};
use daypass_core::upstream::{RootSource, Upstream};

/// What a store holds of clients, and of our own keys at clouds.
pub(crate) struct Stored {
    /// Our keys at clouds.
    pub(crate) roots: Vec<RootRow>,
    /// All of them.
    pub(crate) clients: Vec<Client>,
    /// All of theirs.
    pub(crate) keys: Vec<Key>,
}

/// A key that ends within so many days is pointed out, as the records announce it then for the first time.
const AHEAD: u32 = expiry::AHEAD[0];

impl Loaded {
    /// The roles of which the file alone cannot tell whether anybody gets them, by tenant and name.
    pub(crate) fn of_clients(&self) -> Vec<(&str, &str)> {
        let plan = self.plan("");
        let unknown = self.roles.iter().filter(|role| !reach::without_clients(&plan, role));
        unknown.map(|role| (role.tenant.as_str(), role.name.as_str())).collect()
    }

    /// What deserves a look in view of the store: roles first, then clients by tenant and name, then issuers.
    pub(crate) fn lint_stored(&self, stored: &Stored, now: Timestamp) -> Vec<Diagnostic> {
        let lint = Linter { spots: &self.spots, plan: self.plan(""), stored, now };
        let mut found: Vec<_> = self.roles.iter().filter_map(|role| lint.unreachable(role)).collect();
        let mut clients: Vec<_> = stored.clients.iter().filter(|client| client.enabled).collect();
        clients.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
        for client in clients {
            lint.grants(client, &mut found);
            lint.keys(client, &mut found);
        }
        found.extend(lint.plan.upstreams.iter().filter_map(|upstream| lint.root(upstream)));
        found
    }
}

struct Linter<'a> {
    spots: &'a Spots,
    plan: Plan,
    stored: &'a Stored,
    now: Timestamp,
}

impl Linter<'_> {
    fn unreachable(&self, role: &Role) -> Option<Diagnostic> {
        let Stored { clients, keys, .. } = self.stored;
        if reach::without_clients(&self.plan, role)
            || reach::by_clients(&self.plan, role, clients, keys, self.now)
        {
            return None;
        }
        let message = format!(
            "nobody can get the role `{}`: no endpoint gives it to visitors, it trusts nobody, and no client that can prove \
             itself has a grant on it",
            role.name
        );
        let hint = format!(
            "take it out, or: daypass client grant CLIENT --tenant {} --role {}",
            role.tenant, role.name
        );
        Some(warning(self.of_role(role), Fault::new(message).hint(hint).lint(Lint::UnreachableRole)))
    }

    fn grants(&self, client: &Client, found: &mut Vec<Diagnostic>) {
        let whose = whose(client);
        if !self.plan.tenants.iter().any(|tenant| tenant.name == client.tenant) {
            let message =
                format!("the tenant of {whose} is not in the configuration, and the client is refused");
            let mend = format!("daypass client disable {}", mend::named(&self.plan, client));
            found.push(warning(self.spots.file(), Fault::new(message).hint(mend).lint(Lint::IdleGrant)));
            return;
        }
        for idle in idle(&self.plan, client) {
            let message = format!("{whose} gets nothing on its grant on `{}`: {}", idle.role, idle.why);
            let mend = mend::command(&self.plan, client, &idle);
            let place = match idle.why {
                Why::Gone => self.spots.tenant(&client.tenant),
                _ => self
                    .role(client, idle.role)
                    .map_or_else(|| self.spots.tenant(&client.tenant), |role| self.of_role(role)),
            };
            found.push(warning(place, Fault::new(message).hint(mend).lint(Lint::IdleGrant)));
        }
        found.extend(client.grants.iter().filter_map(|grant| self.too_long(client, grant)));
        for audience in &client.audiences {
            let mut own = self.plan.roles.iter().filter(|role| role.tenant == client.tenant);
            // A service has no tokens, but signed requests, whichever role they are made in.
            if daypass_core::verification::service_of(audience).is_some()
                || own.any(|role| role.called(audience).is_some())
            {
                continue;
            }
            let message =
                format!("{whose} is the API of `{audience}`, and no role has that for its `audience`");
            let mend =
                format!("daypass client ungrant {} --audience {audience}", mend::named(&self.plan, client));
            let fault = Fault::new(message).hint(mend).lint(Lint::IdleGrant);
            found.push(warning(self.spots.tenant(&client.tenant), fault));
        }
    }

    /// A grant that would let a credential live longer than its role does.
    fn too_long(&self, client: &Client, grant: &Grant) -> Option<Diagnostic> {
        let role = self.role(client, &grant.role)?;
        let seconds = grant.lifetime.filter(|seconds| *seconds > role.lifetime.max)?;
        let message = format!(
            "the grant of {} on `{}` lets a credential live {}, and the role {} at most: the longer one has no effect",
            whose(client),
            role.name,
            show(seconds),
            show(role.lifetime.max)
        );
        let fault = Fault::new(message)
            .hint("give the role a longer `max`, or grant it without a lifetime of its own");
        Some(warning(self.of_role(role), fault.lint(Lint::IdleGrant)))
    }

    fn keys(&self, client: &Client, found: &mut Vec<Diagnostic>) {
        let own: Vec<_> = self.stored.keys.iter().filter(|key| key.client == client.guid).collect();
        let (whose, place) =
            (whose(client), || Spot::named(format!("client {}/{}", client.tenant, client.name)));
        if !own.iter().any(|key| key.lasts(self.now)) {
            let fault = Fault::new(format!("{whose} cannot prove itself: no key of it works any more"))
                .hint(format!("daypass client rotate {}", mend::named(&self.plan, client)));
            found.push(warning(place(), fault.lint(Lint::EndingKey)));
        }
        for key in &own {
            let Some(ends) = key.expires.filter(|_| expiry::ends_within(client, key, AHEAD, self.now)) else {
                continue;
            };
            let outlasts = |other: &&&Key| other.kind == key.kind && other.lasts(ends) && other.id != key.id;
            let command = |verb: &str| format!("daypass client {verb} {}", mend::named(&self.plan, client));
            let hint = match own.iter().find(outlasts) {
                Some(next) => {
                    format!("move what uses it to `{}`, then: {} {}", next.id, command("retire"), key.id)
                }
                None => format!("{} --kind {}", command("rotate"), key.kind.name()),
            };
            let message =
                format!("the {} key `{}` of {whose} ends on {}", key.kind.name(), key.id, rfc3339(ends));
            found.push(warning(place(), Fault::new(message).hint(hint).lint(Lint::EndingKey)));
        }
    }

    /// The key that an issuer's calls are made with, where the store keeps it.
    fn root(&self, upstream: &Upstream) -> Option<Diagnostic> {
        if !matches!(upstream.root, RootSource::Stored) {
            return None;
        }
        let name = &upstream.name;
        let place = Spot::named(format!("issuer {name}"));
        let own = |state| {
            let mut rows = self.stored.roots.iter().filter(|row| row.issuer == *name);
            rows.find(|row| row.state == state)
        };
        let Some(active) = own(RootState::Active) else {
            let hint = match own(RootState::Staged).or_else(|| own(RootState::Standby)) {
                Some(row) if row.state == RootState::Standby => format!("daypass root-key rollback {name}"),
                Some(_) => format!("daypass root-key promote {name}"),
                None => format!("daypass root-key stage {name} --from FILE"),
            };
            let message = format!("the issuer `{name}` has no root key that works: its roles are refused");
            return Some(warning(place, Fault::new(message).hint(hint).lint(Lint::EndingKey)));
        };
        let ends = active.expires.filter(|_| expiry::root_ends_within(active, AHEAD, self.now))?;
        let message =
            format!("the root key `{}` of the issuer `{name}` ends on {}", active.id, rfc3339(ends));
        let hint = match own(RootState::Staged) {
            Some(_) => format!("daypass root-key promote {name}"),
            None => format!("make another one at the cloud, then: daypass root-key stage {name} --from FILE"),
        };
        Some(warning(place, Fault::new(message).hint(hint).lint(Lint::EndingKey)))
    }

    fn role(&self, client: &Client, name: &str) -> Option<&Role> {
        let mut roles = self.plan.roles.iter().map(|role| &**role);
        roles.find(|role| role.tenant == client.tenant && role.name == name)
    }

    fn of_role(&self, role: &Role) -> Spot {
        self.spots.role(&role.tenant, &role.name)
    }
}

fn warning(spot: Spot, fault: Fault) -> Diagnostic {
    Diagnostic::new(Severity::Warning, spot, fault)
}

fn whose(client: &Client) -> String {
    format!("the client `{}`", client.name.escape_debug())
}
