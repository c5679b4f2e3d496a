//! The documents that an issued policy is the intersection of, and what each says of one action.

use daypass_core::client::{Client, Tenant};
use daypass_core::directory::Directory;
use daypass_core::endpoint::Endpoint;
use daypass_core::policy::{Access, Effect, Policy, Statement, Template, Verdict, verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One document.
pub(super) struct Layer {
    /// Whose it is.
    pub(super) whose: String,
    pub(super) policy: Policy,
}

/// Whose credential it is, and through which endpoint it came.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) client: Option<&'a Client>,
    pub(super) endpoint: Option<&'a Endpoint>,
}

/// What bounds a credential of this role, from the present configuration: the role's policy with its values, the
/// boundaries of the client, the endpoint and the tenant. Behind them what is only tried, and bounds nothing.
pub(super) fn layers(
    directory: &Directory,
    of: Whose<'_>,
    role: &str,
    variables: &BTreeMap<String, String>,
) -> Vec<Layer> {
    let Whose { tenant, client, endpoint } = of;
    let found = directory.role(&tenant.name, role);
    let bind = |template: &Template| template.bind(variables).ok();
    let bound = found.and_then(|role| role.policy.as_ref()).and_then(bind);
    let coming = found.and_then(|role| role.policy_warn.as_ref()).and_then(bind);
    let layer = |whose: String, policy: Option<Policy>| policy.map(|policy| Layer { whose, policy });
    [
        layer(format!("role {role}"), bound),
        layer("client's boundary".to_owned(), client.and_then(|client| client.boundary.clone())),
        layer("endpoint's boundary".to_owned(), endpoint.and_then(|endpoint| endpoint.boundary.clone())),
        layer("tenant's boundary".to_owned(), tenant.boundary.clone()),
        layer(format!("tried only, coming policy of the role {role}"), coming),
        layer(tried("client"), client.and_then(|client| client.boundary_warn.clone())),
        layer(tried("endpoint"), endpoint.and_then(|endpoint| endpoint.boundary_warn.clone())),
        layer(tried("tenant"), tenant.boundary_warn.clone()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn tried(whose: &str) -> String {
    format!("tried only, {whose}'s coming boundary")
}

/// One action that is asked about.
pub(super) struct Probe<'a> {
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
}

impl Probe<'_> {
    pub(super) fn verdict(&self, policy: &Policy) -> Verdict {
        verdict(policy, Access { action: self.action, resource: self.resource })
    }
}

/// The word for an answer.
pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed(_) => "allowed",
        Verdict::Denied(_) => "denied",
        Verdict::Depends(_) => "depends",
    }
}

/// The statements that an answer comes from, by their indexes.
fn deciding(verdict: &Verdict) -> Vec<usize> {
    match verdict {
        Verdict::Allowed(n) | Verdict::Denied(Some(n)) => vec![*n],
        Verdict::Denied(None) => Vec::new(),
        Verdict::Depends(all) => all.clone(),
    }
}

/// A statement on one line.
pub(in crate::cli) fn line(statement: &Statement) -> String {
    let list = |all: &[daypass_core::policy::Pattern]| {
        all.iter().map(|one| one.as_str().escape_debug().to_string()).collect::<Vec<_>>().join(", ")
    };
    let effect = match statement.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let mut text = format!("{effect} {} on {}", list(&statement.actions), list(&statement.resources));
    for condition in &statement.conditions {
        let values =
            condition.values.iter().map(|value| value.escape_debug().to_string()).collect::<Vec<_>>();
        // Writing to a string cannot fail.
        let _ = write!(text, " if {} {} {}", condition.key, condition.operator, values.join(" or "));
    }
    text
}

/// The documents as text, each statement with its number; with a probe, what each document says of it and by which
/// statement.
pub(super) fn text(layers: &[Layer], probe: Option<&Probe<'_>>) -> String {
    let mut lines = Vec::new();
    for Layer { whose, policy } in layers {
        let verdict = probe.map(|probe| probe.verdict(policy));
        let deciding = verdict.as_ref().map(deciding).unwrap_or_default();
        lines.push(match verdict.as_ref() {
            None => format!("{whose}:"),
            Some(Verdict::Denied(None)) => format!("{whose}: denied, no statement allows it"),
            Some(verdict) => format!("{whose}: {}", word(verdict)),
        });
        for (n, statement) in policy.statements.iter().enumerate() {
            let mark = if deciding.contains(&n) { ">" } else { " " };
            lines.push(format!("{mark} {}. {}", n + 1, line(statement)));
        }
    }
    lines.join("\n")
}

/// The same as a document.
pub(super) fn document(layers: &[Layer], probe: Option<&Probe<'_>>) -> Value {
    let one = |Layer { whose, policy }: &Layer| {
        let verdict = probe.map(|probe| probe.verdict(policy));
        let deciding: Option<Vec<_>> =
            verdict.as_ref().map(|verdict| deciding(verdict).iter().map(|n| n + 1).collect());
        json!({ "whose": whose, "policy": policy, "verdict": verdict.as_ref().map(word), "statements": deciding })
    };
    layers.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::policy::{Condition, Language};
    use daypass_core::testing::{World, allow};
    use std::sync::Arc;

    #[test]
    fn every_document_that_bounds_a_credential_is_there() {
        let mut world = World::new();
        world.client.boundary = Some(allow(Language::Ram, "oss:*", "*"));
        let mut tenant = Tenant::clone(&world.plan.tenants[0]);
        tenant.boundary = Some(allow(Language::Ram, "*", "*"));
        world.plan.tenants[0] = Arc::new(tenant.clone());
        let values = [("tenant_code", "hema"), ("poi_id", "8005")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let all = layers(
            &world.directory(),
            Whose { tenant: &tenant, client: Some(&world.client), endpoint: None },
            "store-upload",
            &values.into(),
        );
        let whose: Vec<_> = all.iter().map(|layer| layer.whose.as_str()).collect();
        assert_eq!(whose, ["role store-upload", "client's boundary", "tenant's boundary"]);
        let probe = Probe { action: "oss:GetObject", resource: "acs:oss:cn:1:bucket/hema/8005/a" };
        insta::assert_snapshot!(text(&all, Some(&probe)), @r"
        role store-upload: denied, no statement allows it
          1. allow oss:PutObject on acs:oss:*:*:bucket/hema/8005/*
        client's boundary: allowed
        > 1. allow oss:* on *
        tenant's boundary: allowed
        > 1. allow * on *
        ");
        let document = document(&all, Some(&probe));
        assert_eq!((&document[0]["verdict"], &document[1]["statements"]), (&json!("denied"), &json!([1])));
        assert!(text(&all, None).starts_with("role store-upload:\n"));
    }

    #[test]
    fn conditions_and_strange_texts_stay_on_one_line() {
        let mut policy = allow(Language::Ram, "oss:*", "a\nb");
        policy.statements[0].conditions = vec![Condition {
            operator: "StringLike".into(),
            key: "oss:Prefix".into(),
            values: vec!["a/*".into(), "b\n".into()],
        }];
        let layers = [Layer { whose: "issued".into(), policy }];
        let probe = Probe { action: "oss:GetObject", resource: "a\nb" };
        assert_eq!(
            text(&layers, Some(&probe)),
            "issued: depends\n> 1. allow oss:* on a\\nb if oss:Prefix StringLike a/* or b\\n"
        );
    }
}
