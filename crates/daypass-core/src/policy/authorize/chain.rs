//! The documents that an issued policy is the intersection of, put on one after the other.
//!
//! Ask ∩ role ∩ client's boundary ∩ endpoint's boundary ∩ tenant's boundary, and in an exchange the boundaries of the
//! other clients. Boundaries cut silently: they are the operator's. An ask that goes beyond what is left is refused or
//! cut, as the protocol has it.

use super::beyond::narrow_to_ask;
use super::cut::note;
use super::warn::{Warned, Whose, lessened};
use super::{Cut, Policy};
use crate::caller::{Caller, Proof};
use crate::client::Client;
use crate::dialect::{Form, Issue, RoleChoice};
use crate::directory::Directory;
use crate::endpoint::{DialectName, Endpoint};
use crate::policy::narrow;
use crate::refusal::{Reason, Refusal};
use crate::role::Role;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the chain leaves.
pub(super) struct Left {
    pub(super) policy: Policy,
    pub(super) cut: Vec<Cut>,
    pub(super) warned: Vec<Warned>,
}

/// What goes into the chain beside the role: who asks, how, and who else has to agree.
#[derive(Clone, Copy)]
pub(super) struct Under<'a> {
    pub(super) directory: &'a Directory,
    pub(super) caller: &'a Caller,
    pub(super) issue: &'a Issue,
    /// The other clients of an exchange.
    pub(super) others: &'a [Arc<Client>],
}

/// The policy of what is issued; none for an access token.
pub(super) fn effective_policy(
    under: Under<'_>,
    role: &Role,
    variables: &BTreeMap<String, String>,
) -> Result<Option<Left>, Refusal> {
    let issue = under.issue;
    let Some(template) = &role.policy else {
        return without_policy(issue).map(|()| None);
    };
    let own = template.bind(variables).map_err(|bad| {
        Refusal::new(Reason::VariableRefused, format!("{} must be {}", bad.name, bad.expected))
            .parameter(bad.name)
    })?;
    if let Form::Triple(kind) = issue.form
        && kind.language() != own.language
    {
        return Err(Refusal::new(
            Reason::RoleNotGranted,
            "the policy of this role is in another vendor's language; ask for it in the protocol of that vendor",
        ));
    }
    let Rules { bounds, others, tried } = Rules::of(under);
    let chain = Chain { role: &role.name, own, issue, bounds, others };
    let trial = (role.policy_warn.is_some() || !tried.is_empty()).then(|| chain.clone());
    let (policy, cut) = chain.run()?;
    let warned = trial.map(|chain| {
        // Bound to values that fit the role's own policy, it cannot fail but for variables of its own, which a
        // configuration does not let through; it would be a rule that cannot be put on, and no reason to refuse.
        let coming = role.policy_warn.as_ref().map(|template| template.bind(variables).ok());
        let of_role = coming.iter().map(|coming| (Whose::Role, coming.as_ref()));
        let all = of_role.chain(tried.iter().map(|(whose, rule)| (*whose, Some(*rule))));
        all.filter_map(|(whose, rule)| chain.tried(whose, rule, &policy)).collect()
    });
    let warned = warned.unwrap_or_default();
    Ok(Some(Left { policy, cut, warned }))
}

/// A role without a policy gives access tokens. A signing credential without a policy would be one without bounds.
fn without_policy(issue: &Issue) -> Result<(), Refusal> {
    if matches!(issue.form, Form::Triple(_)) {
        return Err(Refusal::new(
            Reason::RoleNotGranted,
            "this role gives access tokens and no signing credentials",
        ));
    }
    match issue.policy {
        None => Ok(()),
        Some(_) => Err(Refusal::new(Reason::PolicyInvalid, "credentials of this role carry no policy")
            .parameter("Policy")),
    }
}

/// The boundaries above a role: those that count, and those that are only tried.
struct Rules<'a> {
    bounds: Vec<(Cut, &'a Policy)>,
    others: Vec<&'a Policy>,
    tried: Vec<(Whose, &'a Policy)>,
}

impl<'a> Rules<'a> {
    fn of(under: Under<'a>) -> Self {
        let (client, tenant) = (under.caller.client(), under.caller.tenant());
        let endpoint = endpoint(under);
        let bounds = [
            (Cut::Client, client.and_then(|client| client.boundary.as_ref())),
            (Cut::Endpoint, endpoint.and_then(|endpoint| endpoint.boundary.as_ref())),
            (Cut::Tenant, tenant.boundary.as_ref()),
        ];
        let tried = [
            (Whose::Client, client.and_then(|client| client.boundary_warn.as_ref())),
            (Whose::Endpoint, endpoint.and_then(|endpoint| endpoint.boundary_warn.as_ref())),
            (Whose::Tenant, tenant.boundary_warn.as_ref()),
        ];
        let of_others =
            under.others.iter().filter_map(|other| Some((Whose::Exchange, other.boundary_warn.as_ref()?)));
        Self {
            bounds: given(bounds).collect(),
            others: under.others.iter().filter_map(|other| other.boundary.as_ref()).collect(),
            tried: given(tried).chain(of_others).collect(),
        }
    }
}

fn given<W, const N: usize>(rules: [(W, Option<&Policy>); N]) -> impl Iterator<Item = (W, &Policy)> {
    rules.into_iter().filter_map(|(whose, policy)| Some((whose, policy?)))
}

/// The configured endpoint that an ask comes through, where its protocol has any: a visitor's, or that of TOP's table.
fn endpoint(under: Under<'_>) -> Option<&Endpoint> {
    if let Proof::Visitor(visitor) = under.caller.proof() {
        return Some(&visitor.endpoint);
    }
    let RoleChoice::Product { path, product } = &under.issue.role else { return None };
    let found = under
        .directory
        .endpoints(DialectName::AlibabaTop, path)
        .filter(|endpoint| endpoint.tenant == under.caller.tenant().name)
        .find(|endpoint| endpoint.routes.iter().any(|route| route.product == *product));
    found.map(|endpoint| &**endpoint)
}

/// A role's policy with its values, and what is put on it.
#[derive(Clone)]
struct Chain<'a> {
    role: &'a str,
    own: Policy,
    bounds: Vec<(Cut, &'a Policy)>,
    issue: &'a Issue,
    /// Boundaries of other clients of an exchange, of which the one that asks need not know: they cut what it asks for
    /// too, whatever the protocol does with an ask that is too wide.
    others: Vec<&'a Policy>,
}

impl Chain<'_> {
    fn run(mut self) -> Result<(Policy, Vec<Cut>), Refusal> {
        let mut cut = Vec::new();
        for (whose, boundary) in std::mem::take(&mut self.bounds) {
            self.own = self.put(&self.own, whose, boundary, &mut cut)?;
        }
        self.leaves_something(&self.own)?;
        if let Some(asked) = &self.issue.policy {
            let narrowed = narrow_to_ask(&self.own, asked, self.issue.excess, self.role)?;
            note(&mut cut, Cut::Ask, &self.own, &narrowed);
            self.own = narrowed;
        }
        for boundary in &self.others {
            self.own = self.put(&self.own, Cut::Exchange, boundary, &mut cut)?;
        }
        self.leaves_something(&self.own)?;
        Ok((self.own, cut))
    }

    fn put(
        &self,
        policy: &Policy,
        whose: Cut,
        boundary: &Policy,
        cut: &mut Vec<Cut>,
    ) -> Result<Policy, Refusal> {
        // Both sides are the operator's; the caller can do nothing about it and need not see them.
        let narrowed = narrow(policy, boundary).map_err(|fault| {
            Refusal::internal(format!("a boundary cannot be put on the role `{}`: {fault}", self.role))
        })?;
        note(cut, whose, policy, &narrowed);
        Ok(narrowed)
    }

    fn leaves_something(&self, policy: &Policy) -> Result<(), Refusal> {
        if !policy.allows_nothing() {
            return Ok(());
        }
        let detail = match self.others.as_slice() {
            [] => "the boundaries above this role leave nothing of it",
            _ => {
                "the boundaries of the clients of this exchange, or those above the role, leave nothing of it"
            }
        };
        Err(Refusal::new(Reason::RoleNotGranted, detail))
    }

    /// What would have become of this ask, had one rule more counted. `issued` is what became of it; none for a rule
    /// that cannot be read for these values.
    fn tried(&self, whose: Whose, rule: Option<&Policy>, issued: &Policy) -> Option<Warned> {
        let Some(rule) = rule else { return Some(Warned::unclear(whose)) };
        let mut longer: Chain<'_> = self.clone();
        match whose {
            Whose::Exchange => longer.others.push(rule),
            // Which boundary it is noted as does not matter: only what is left is looked at.
            _ => longer.bounds.push((Cut::Tenant, rule)),
        }
        match longer.run() {
            Ok((less, _)) => {
                let statements = lessened(issued, &less);
                (!statements.is_empty()).then(|| Warned::cut(whose, statements))
            }
            Err(refusal) if refusal.reason == Reason::Internal => Some(Warned::unclear(whose)),
            Err(_) => Some(Warned::refused(whose)),
        }
    }
}
