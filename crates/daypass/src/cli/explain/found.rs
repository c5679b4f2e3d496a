//! What is known of one record.

use super::chain::Place;
use super::layers::{self, Layer, Probe, Whose};
use super::record::{Again, again};
use crate::cli::credential::{cell, made_by};
use crate::cli::output::table;
use daypass_core::asked::{Asked, AskedPolicy, AskedRole};
use daypass_core::client::{Client, Tenant};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::directory::Directory;
use daypass_core::endpoint::{DialectName, Endpoint};
use daypass_core::policy::Cut;
use daypass_core::record::{Event, Record};
use daypass_core::ring::{Purpose, Stage};
use daypass_core::store::Stored;
use daypass_core::triple;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A record with what is around it.
pub(super) struct Found<'a> {
    pub(super) directory: &'a Directory,
    pub(super) stored: &'a Stored,
    pub(super) place: Option<&'a Place>,
    /// Whether the credential still counts, and why not.
    pub(super) standing: Option<(&'static str, Option<String>)>,
}

/// Seconds of a day.
const DAY: i64 = 86_400;

impl Found<'_> {
    fn record(&self) -> &Record {
        &self.stored.record
    }

    fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.directory.tenant(self.record().tenant.as_deref()?)
    }

    fn client(&self) -> Option<Arc<Client>> {
        self.directory.client(self.tenant()?, self.record().client?)
    }

    /// As text.
    pub(super) fn text(&self, probe: Option<&Probe<'_>>) -> String {
        let rows: Vec<_> =
            self.said().iter().map(|(name, value)| vec![name.replace('_', " "), cell(value)]).collect();
        let documents = self.documents();
        let mut text = table(&rows);
        if !documents.is_empty() {
            text.push_str("\n\n");
            text.push_str(&layers::text(&documents, probe));
        }
        text
    }

    /// As a document.
    pub(super) fn document(&self, probe: Option<&Probe<'_>>) -> Value {
        let mut members: Map<_, _> =
            self.said().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        members.insert("documents".to_owned(), layers::document(&self.documents(), probe));
        Value::Object(members)
    }

    /// What was issued, and what bounds it by the present configuration.
    fn documents(&self) -> Vec<Layer> {
        let record = self.record();
        let Event::Grant { policy: Some(policy), variables, asked, .. } = &record.event else {
            return Vec::new();
        };
        let mut all = vec![Layer { whose: "issued".to_owned(), policy: (**policy).clone() }];
        if let (Some(tenant), Some(role)) = (self.tenant(), &record.role) {
            let endpoint = asked.as_ref().and_then(|asked| endpoint(self.directory, tenant, &asked.role));
            let client = self.client();
            let of = Whose { tenant, client: client.as_deref(), endpoint };
            all.extend(layers::layers(self.directory, of, role, variables));
        }
        if let Some(AskedPolicy::Document(policy)) = asked.as_ref().map(|asked| &asked.policy) {
            all.push(Layer { whose: "ask".to_owned(), policy: policy.clone() });
        }
        all
    }

    /// Everything but the documents, by name and in order; without what there is nothing to say of.
    fn said(&self) -> Vec<(&'static str, Value)> {
        let record = self.record();
        let mut said = what(&record.event);
        let client = self.client();
        said.extend([
            ("at", json!(rfc3339(record.at))),
            ("tenant", json!(record.tenant)),
            ("client", json!(record.client)),
            ("client_name", json!(client.as_ref().map(|client| &client.name))),
            ("client_enabled", json!(client.as_ref().map(|client| client.enabled))),
            ("key", json!(record.key)),
            ("proof", json!(self.proof())),
            ("via", json!(record.via)),
            ("weak", json!(record.weak)),
            ("subject", json!(record.subject)),
            ("session", json!(record.session)),
            ("from", json!(record.source)),
            ("dialect", json!(record.dialect)),
            ("request", json!(record.request)),
            ("role", json!(record.role)),
        ]);
        said.extend(self.of_event());
        said.push(("standing", json!(self.standing.as_ref().map(|(standing, _)| standing))));
        said.push(("why", json!(self.standing.as_ref().and_then(|(_, why)| why.as_ref()))));
        said.push(("now", json!(self.now())));
        said.extend(self.place());
        said.retain(|(_, value)| !cell(value).is_empty());
        said
    }

    fn proof(&self) -> Option<String> {
        let record = self.record();
        let signed = record.key.is_some() && record.via.is_none();
        record.proof.clone().or_else(|| signed.then(|| "signature".to_owned()))
    }

    fn of_event(&self) -> Vec<(&'static str, Value)> {
        match &self.record().event {
            Event::Grant {
                expires,
                app_roles,
                audience,
                kid,
                bound,
                origin,
                variables,
                tags,
                asked,
                upstream,
                ..
            } => {
                let mut said = asked.as_deref().map(of_ask).unwrap_or_default();
                said.extend([
                    ("cut_by", json!(asked.as_deref().map(cut_by))),
                    ("warned", json!(asked.as_deref().map(warned))),
                    ("variables", json!(variables)),
                    ("bound_by", json!(self.bound_by())),
                    ("tags", json!(tags)),
                    ("audience", json!(audience)),
                    ("app_roles", json!(app_roles)),
                    ("exchanged_for", json!(origin)),
                    ("bound_to", json!(bound)),
                    ("expires", json!(rfc3339(*expires))),
                    ("lifetime", json!(self.lifetime(*expires, asked.as_deref()))),
                    ("signed_by", json!(kid)),
                    ("made_with", json!(self.made_with())),
                    ("made_by", json!(upstream.as_deref().map(made_by))),
                ]);
                said
            }
            Event::Refusal { reason, parameter, asked, .. } => {
                let mut said = asked.as_deref().map(of_ask).unwrap_or_default();
                said.extend([
                    ("parameter", json!(parameter)),
                    ("asked_variables", json!(asked.as_ref().map(|asked| &asked.variables))),
                    ("needed", json!(super::needed(reason))),
                ]);
                said
            }
            Event::Ticket { origin, expires, .. } => {
                vec![("origin", json!(origin)), ("expires", json!(rfc3339(*expires)))]
            }
            _ => Vec::new(),
        }
    }

    /// Who said what the variables are.
    fn bound_by(&self) -> Option<&'static str> {
        let Event::Grant { variables, asked, .. } = &self.record().event else { return None };
        let resource = asked.as_ref().is_some_and(|asked| matches!(asked.role, AskedRole::Resource(_)));
        match self.record().via.as_deref() {
            _ if variables.is_empty() => None,
            None if resource => Some("the client's grants"),
            None => Some("the request, within the client's grants"),
            Some("ticket") => Some("the ticket, within the grants of its maker"),
            Some("session") => Some("the application that knows the session"),
            Some(_) => Some("the provider's JWT"),
        }
    }

    /// The lifetime and whose bound gave it, as far as the present configuration shows.
    fn lifetime(&self, expires: Timestamp, asked: Option<&Asked>) -> String {
        let record = self.record();
        let seconds = expires.as_second().saturating_sub(record.at.as_second());
        let role = self.tenant().zip(record.role.as_deref());
        let role = role.and_then(|(tenant, role)| self.directory.role(&tenant.name, role));
        let is = |bound: Option<u32>| bound.is_some_and(|bound| i64::from(bound) == seconds);
        let client = self.client();
        let grants = client.iter().flat_map(|client| &client.grants);
        let mut of_grant = grants.filter(|grant| Some(&grant.role) == record.role.as_ref());
        let whose = if is(asked.and_then(|asked| asked.lifetime)) {
            "as was asked for"
        } else if is(role.map(|role| role.lifetime.default)) {
            "the role's default"
        } else if of_grant.any(|grant| is(grant.lifetime)) {
            "the most that the client's grant allows"
        } else if asked.is_some_and(|asked| asked.exchange) {
            "what the exchanged token had left"
        } else {
            "from another bound than the present configuration has"
        };
        format!("{seconds} seconds, {whose}")
    }

    /// The key of ours that made it, and how old it was.
    fn made_with(&self) -> Option<String> {
        let Event::Grant { credential, kid, upstream: None, .. } = &self.record().event else { return None };
        let (at, ring) = (self.record().at, self.directory.ring());
        let stage = |purpose: Purpose, version: u32| {
            ring.stages().iter().find(|stage| stage.purpose == purpose && stage.version == version)
        };
        let stage = if kid.is_some() {
            let role = self.directory.role(&self.tenant()?.name, self.record().role.as_deref()?)?;
            let purpose = Purpose::from(role.algorithm);
            stage(purpose, ring.active_at(purpose, at))?
        } else {
            stage(Purpose::Triple, triple::ring_version(credential)?)?
        };
        Some(aged(stage, at))
    }

    /// What the same ask would come to now.
    fn now(&self) -> Option<String> {
        if !matches!(self.record().event, Event::Grant { .. } | Event::Refusal { .. }) {
            return None;
        }
        Some(match again(self.directory, self.record()) {
            Again::Question(question) => match question.ask(self.directory) {
                Ok(given) => format!("the same ask would be granted, for {} seconds", given.lifetime()),
                Err(refusal) => format!("the same ask would be refused {}", refusal.reason.label()),
            },
            Again::Gone(why) => format!("the same ask would be refused: {why}"),
            Again::Unknown(why) => format!("it cannot be asked again: {why}"),
        })
    }

    fn place(&self) -> Vec<(&'static str, Value)> {
        let mut said = vec![("record", json!(self.record().id)), ("position", json!(self.stored.position))];
        match self.place {
            None => said.push(("chain", json!("no chain has it: it is not proved"))),
            Some(Place { writer, seq, faults }) => {
                said.extend([("writer", json!(writer)), ("number", json!(seq))]);
                let proved = if faults.is_empty() { "proves it" } else { "does not prove it" };
                said.push(("chain", json!(proved)));
                said.push(("faults", json!(faults)));
            }
        }
        said
    }
}

fn aged(stage: &Stage, at: Timestamp) -> String {
    let age = at.as_second().saturating_sub(stage.created.as_second()).max(0);
    let age = if age < DAY { format!("{age} seconds") } else { format!("{} days", age / DAY) };
    format!("{}, {age} old then", stage.name())
}

/// What happened, in a word and with what it is about.
fn what(event: &Event) -> Vec<(&'static str, Value)> {
    let (word, rest) = match event {
        Event::Grant { credential, repeat, .. } => {
            (if *repeat { "granted again" } else { "granted" }, vec![("credential", json!(credential))])
        }
        Event::Refusal { reason, detail, .. } => {
            ("refused", vec![("reason", json!(reason)), ("detail", json!(detail))])
        }
        Event::Alarm { reason, detail } => {
            ("alarm", vec![("reason", json!(reason)), ("detail", json!(detail))])
        }
        Event::Ticket { ticket, .. } => ("made a ticket", vec![("ticket", json!(ticket))]),
        Event::Change { action, object } => {
            ("changed", vec![("action", json!(action)), ("object", json!(object))])
        }
        other => ("noted", vec![("event", json!(other))]),
    };
    std::iter::once(("what", json!(word))).chain(rest).collect()
}

/// How a role was asked for, in words.
pub(in crate::cli) fn asked_for(role: &AskedRole) -> String {
    match role {
        AskedRole::Endpoint(path) => format!("the role of the endpoint {path}"),
        AskedRole::Default => "the client's default role".to_owned(),
        AskedRole::Named(name) => format!("the role {name}"),
        AskedRole::Product { path, product_code, scene_code, usage_scene } => {
            format!("{product_code}/{scene_code}/{usage_scene} at {path}")
        }
        AskedRole::Resource(name) => format!("the resource {name}"),
    }
}

fn of_ask(asked: &Asked) -> Vec<(&'static str, Value)> {
    let policy = match (&asked.policy, asked.cut_off) {
        (AskedPolicy::None, _) => None,
        (AskedPolicy::Issued, _) => Some("the one that was issued"),
        (AskedPolicy::Document(_), true) => Some("another one, to be cut off where it is too wide"),
        (AskedPolicy::Document(_), false) => Some("another one"),
        (AskedPolicy::LeftOut, _) => Some("one that was too long for the record"),
    };
    vec![
        ("asked_for", json!(asked_for(&asked.role))),
        ("asked_lifetime", json!(asked.lifetime)),
        ("asked_policy", json!(policy)),
        ("asked_app_roles", json!(asked.app_roles)),
    ]
}

fn warned(asked: &Asked) -> Value {
    asked.warned.iter().map(ToString::to_string).collect()
}

/// The endpoint of the present configuration that this was asked at.
fn endpoint<'a>(directory: &'a Directory, tenant: &Tenant, role: &AskedRole) -> Option<&'a Endpoint> {
    let (dialect, path) = match role {
        AskedRole::Endpoint(path) => (None, path),
        AskedRole::Product { path, .. } => (Some(DialectName::AlibabaTop), path),
        AskedRole::Default | AskedRole::Named(_) | AskedRole::Resource(_) => return None,
    };
    let found = match dialect {
        Some(dialect) => directory.endpoints(dialect, path).find(|endpoint| endpoint.tenant == tenant.name),
        None => directory.visited(path).filter(|endpoint| endpoint.tenant == tenant.name),
    };
    found.map(|endpoint| &**endpoint)
}

fn cut_by(asked: &Asked) -> Value {
    asked.cut.iter().copied().map(Cut::name).collect()
}
