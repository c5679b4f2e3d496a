//! What nobody has needed, put together and printed.

use super::usage::Usage;
use crate::cli::output::table;
use daypass_core::client::{Client, Key};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::directory::Directory;
use daypass_core::role::Role;
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// What the report is about.
pub(super) struct Looked {
    pub(super) since: Timestamp,
    /// The time of the oldest record that there is.
    pub(super) oldest: Option<Timestamp>,
    /// How many records were looked at.
    pub(super) records: u64,
}

/// A client that has done nothing.
struct Idle<'a> {
    client: &'a Client,
    last: Option<Timestamp>,
}

/// Statements or app roles of a role.
struct Part<'a> {
    role: &'a Role,
    number: Option<usize>,
    text: String,
    /// How many grants of the role that was seen in, where they were counted.
    grants: Option<u64>,
}

/// Something that the records cannot tell.
struct Doubt {
    tenant: String,
    what: String,
    why: String,
}

/// The whole report.
pub(super) struct Report<'a> {
    looked: Looked,
    clients: Vec<Idle<'a>>,
    grants: Vec<(&'a Client, &'a str)>,
    roles: Vec<(&'a Role, u64)>,
    parts: Vec<Part<'a>>,
    doubts: Vec<Doubt>,
    /// Clients and grants that are newer than the time that was looked at.
    newer: usize,
}

impl<'a> Report<'a> {
    /// Compares what there is with what was used. `last` says when a key of each client was last used, questions included.
    pub(super) fn of(
        clients: &'a [Client],
        directory: &'a Directory,
        tenant: Option<&str>,
        usage: &Usage,
        last: &HashMap<Uuid, Timestamp>,
        looked: Looked,
    ) -> Self {
        let mut report = Self {
            looked,
            clients: Vec::new(),
            grants: Vec::new(),
            roles: Vec::new(),
            parts: Vec::new(),
            doubts: Vec::new(),
            newer: 0,
        };
        let wanted = |name: &str| tenant.is_none_or(|tenant| tenant == name);
        for client in clients.iter().filter(|client| client.enabled && wanted(&client.tenant)) {
            report.client(directory, usage, client, last.get(&client.guid).copied());
        }
        for role in directory.plan().roles.iter().filter(|role| wanted(&role.tenant)) {
            report.role(usage, role);
        }
        report
    }

    fn client(&mut self, directory: &Directory, usage: &Usage, client: &'a Client, last: Option<Timestamp>) {
        if client.created > self.looked.since {
            self.newer += 1;
            return;
        }
        if !usage.knows(client) && last.is_none_or(|last| last < self.looked.since) {
            self.clients.push(Idle { client, last });
            return;
        }
        for grant in &client.grants {
            // One that names no role gives nothing, whoever uses it; the check of the configuration says so.
            let Some(role) = directory.role(&client.tenant, &grant.role) else { continue };
            if usage.grant_of(client, role) || self.grants.contains(&(client, &grant.role)) {
                continue;
            }
            if usage.is_new(client, grant) {
                self.newer += 1;
            } else if usage.exchanged(role) {
                self.doubt(role, format!("the grant of {} on {}", client.name, role.name), EXCHANGED);
            } else {
                self.grants.push((client, &grant.role));
            }
        }
    }

    fn role(&mut self, usage: &Usage, role: &'a Role) {
        if !usage.role(role) {
            self.roles.push((role, usage.refused(role)));
            return;
        }
        if role.audience.is_some() {
            let never = role.app_roles.iter().filter(|app_role| !usage.app_role(role, app_role));
            self.parts.extend(never.map(|app_role| Part {
                role,
                number: None,
                text: format!("app role {app_role}"),
                grants: None,
            }));
            return;
        }
        let Some(found) = usage.statements.get(&(role.tenant.clone(), role.name.clone())) else { return };
        for (number, text) in found.never_needed() {
            let text = text.to_owned();
            self.parts.push(Part { role, number: Some(number), text, grants: Some(found.grants) });
        }
        let what = || format!("the statements of {}", role.name);
        if found.strange > 0 {
            let why = format!("{} of {} grants have values for other variables", found.strange, found.grants);
            self.doubt(role, what(), &why);
        } else if found.whole > 0 {
            let why = format!("{} of {} grants asked for no narrower policy", found.whole, found.grants);
            self.doubt(role, what(), &why);
        }
    }

    fn doubt(&mut self, role: &Role, what: String, why: &str) {
        self.doubts.push(Doubt { tenant: role.tenant.clone(), what, why: why.to_owned() });
    }

    /// Whether the records reach back as far as was asked.
    fn is_short(&self) -> bool {
        self.looked.oldest.is_none_or(|oldest| oldest > self.looked.since)
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        let mut sections = Vec::new();
        let mut section = |title: &str, heading: &[&str], rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                let heading = heading.iter().map(|&cell| cell.to_owned()).collect();
                let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
                sections.push(format!("{title}:\n{}", table(&rows)));
            }
        };
        let clients = self.clients.iter().map(|idle| {
            let last = idle.last.map_or_else(|| "never".to_owned(), rfc3339);
            vec![idle.client.tenant.clone(), idle.client.name.clone(), last]
        });
        section("clients that did nothing", &["TENANT", "CLIENT", "LAST USE"], clients.collect());
        let grants = self.grants.iter();
        let grants =
            grants.map(|(client, role)| vec![client.tenant.clone(), client.name.clone(), (*role).to_owned()]);
        section("grants that were not used", &["TENANT", "CLIENT", "ROLE"], grants.collect());
        let roles = self.roles.iter();
        let roles =
            roles.map(|(role, refused)| vec![role.tenant.clone(), role.name.clone(), refused.to_string()]);
        section("roles that nobody got", &["TENANT", "ROLE", "REFUSED"], roles.collect());
        let parts = self.parts.iter().map(|part| {
            let number = part.number.map_or_else(String::new, |number| format!("statement {number}: "));
            vec![part.role.tenant.clone(), part.role.name.clone(), format!("{number}{}", part.text)]
        });
        section("parts of roles that were in nothing", &["TENANT", "ROLE", "PART"], parts.collect());
        let doubts = self.doubts.iter();
        let doubts = doubts.map(|doubt| vec![doubt.tenant.clone(), doubt.what.clone(), doubt.why.clone()]);
        section("what cannot be told", &["TENANT", "WHAT", "WHY"], doubts.collect());
        sections.push(self.summary());
        sections.join("\n\n")
    }

    fn summary(&self) -> String {
        let mut lines = vec![format!(
            "{} records since {}; {} clients, {} grants, {} roles and {} parts of roles were not needed",
            self.looked.records,
            rfc3339(self.looked.since),
            self.clients.len(),
            self.grants.len(),
            self.roles.len(),
            self.parts.len()
        )];
        if self.is_short() {
            let oldest = self.looked.oldest.map_or_else(|| "now".to_owned(), rfc3339);
            lines.push(format!("the records begin only at {oldest}"));
        }
        if self.newer > 0 {
            lines.push(format!("{} clients and grants are newer than that, and not judged", self.newer));
        }
        lines.push("what holders did with what they got is not recorded".to_owned());
        lines.join("\n")
    }

    /// As a document.
    pub(super) fn document(&self) -> Value {
        let clients = self.clients.iter().map(|Idle { client, last }| {
            let last = last.map(rfc3339);
            json!({ "tenant": client.tenant, "name": client.name, "client": client.guid, "last_use": last })
        });
        let grants = self.grants.iter().map(|(client, role)| {
            json!({ "tenant": client.tenant, "client": client.guid, "client_name": client.name, "role": role })
        });
        let roles = self.roles.iter();
        let roles = roles
            .map(|(role, refused)| json!({ "tenant": role.tenant, "role": role.name, "refused": refused }));
        let parts = self.parts.iter().map(|part| {
            let Part { role, number, text, grants } = part;
            json!({ "tenant": role.tenant, "role": role.name, "statement": number, "text": text, "grants": grants })
        });
        let doubts = self.doubts.iter();
        let doubts =
            doubts.map(|doubt| json!({ "tenant": doubt.tenant, "what": doubt.what, "why": doubt.why }));
        json!({
            "since": rfc3339(self.looked.since),
            "oldest_record": self.looked.oldest.map(rfc3339),
            "complete": !self.is_short(),
            "records": self.looked.records,
            "clients": clients.collect::<Vec<_>>(),
            "grants": grants.collect::<Vec<_>>(),
            "roles": roles.collect::<Vec<_>>(),
            "parts": parts.collect::<Vec<_>>(),
            "cannot_be_told": doubts.collect::<Vec<_>>(),
            "newer": self.newer,
        })
    }
}

/// Why a grant that shows nowhere may have been needed.
const EXCHANGED: &str = "tokens were exchanged for the role, and each client behind one needs its grant";

/// When any key of each client was last used.
pub(super) fn last_uses(keys: &[Key], uses: &HashMap<String, Timestamp>) -> HashMap<Uuid, Timestamp> {
    let mut last: HashMap<Uuid, Timestamp> = HashMap::new();
    for key in keys {
        if let Some(at) = uses.get(&key.id) {
            let known = last.entry(key.client).or_insert(*at);
            *known = (*known).max(*at);
        }
    }
    last
}

#[cfg(test)]
mod tests;
