//! A whole grant: a role, a client, an endpoint, a tenant and an ask with drawn policies, through the function that decides
//! requests.
//!
//! What is issued is allowed by every policy that counts, whoever reads it. Rules that are only tried change nothing of
//! the answer; and where one of them says nothing, it would have taken nothing.

use super::apart::{Certain, applies};
use super::documents::{Request, policy, request};
use super::draw::Draw;
use super::{check_issued, fault, is_allowed};
use daypass_core::caller::Way;
use daypass_core::client::{Client, Grant, Tenant};
use daypass_core::dialect::{Excess, Form, Issue, RoleChoice};
use daypass_core::directory::{Directory, Plan};
use daypass_core::endpoint::{CallerRule, Endpoint, TicketRule};
use daypass_core::identity::Subject;
use daypass_core::policy::{Effect, Language, Part, Policy, Rehearsal, Statement, Template, Whose, rehearse};
use daypass_core::refusal::Refusal;
use daypass_core::role::Role;
use daypass_core::testing::{World, ring};
use daypass_core::triple::TripleKind;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Requests for each grant.
const REQUESTS: usize = 6;
/// The role without and with the policy that it is to have.
const ROLES: [&str; 2] = ["plain", "tried"];

/// What a drawn grant came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    /// It was given.
    pub(super) given: bool,
    /// Rules that were tried and said something.
    pub(super) warned: usize,
    /// Rules that were tried and said nothing.
    pub(super) silent: usize,
}

/// Policies of one grant. The role has one; the others may.
struct Drawn {
    language: Language,
    role: Policy,
    /// The boundaries of client, endpoint and tenant.
    counts: [Option<Policy>; 3],
    ask: Option<Policy>,
    /// What is tried: of the role, the client, the endpoint and the tenant.
    tried: [(Whose, Option<Policy>); 4],
    cut_off: bool,
}

impl Drawn {
    fn new(language: Language, draw: &mut Draw<'_>) -> Self {
        let role = policy(language, draw);
        let near = |draw: &mut Draw<'_>| {
            let mut other = policy(language, draw);
            // Documents that have nothing to do with each other leave nothing.
            if draw.below(4) > 0 {
                other.statements.extend(role.statements.iter().cloned());
            }
            other
        };
        let maybe = |draw: &mut Draw<'_>| (draw.below(2) > 0).then(|| near(draw));
        let counts = [maybe(draw), maybe(draw), maybe(draw)];
        let ask = maybe(draw);
        let tried = [Whose::Role, Whose::Client, Whose::Endpoint, Whose::Tenant];
        let tried = tried.map(|whose| (whose, maybe(draw)));
        Self { language, counts, ask, tried, cut_off: draw.below(2) > 0, role }
    }

    /// What counts.
    fn links(&self) -> Vec<Policy> {
        let others = self.counts.iter().chain([&self.ask]).flatten();
        std::iter::once(&self.role).chain(others).cloned().collect()
    }

    fn rule(&self, of: Whose) -> Option<&Policy> {
        self.tried.iter().find(|(whose, _)| *whose == of).and_then(|(_, rule)| rule.as_ref())
    }

    /// What is asked with nothing but what counts, or with everything that is tried beside it.
    fn ask(&self, base: &World, directory: &Directory, trying: bool) -> Option<Result<Rehearsal, Refusal>> {
        let [client, endpoint, tenant] = self.counts.clone();
        let tried = |whose| self.rule(whose).filter(|_| trying).cloned();
        let client = Client {
            grants: ROLES.map(Grant::of).to_vec(),
            boundary: client,
            boundary_warn: tried(Whose::Client),
            ..base.client.clone()
        };
        let name = if trying { ROLES[1] } else { ROLES[0] };
        let endpoint = Endpoint {
            role: Some(name.to_owned()),
            callers: vec![CallerRule::Ticket(TicketRule { refreshes: 0, refresh_for: 0 })],
            boundary: endpoint,
            boundary_warn: tried(Whose::Endpoint),
            ..Endpoint::clone(base.plan.endpoints.first()?)
        };
        let tenant = Arc::new(Tenant {
            boundary: tenant,
            boundary_warn: tried(Whose::Tenant),
            ..Tenant::clone(base.plan.tenants.first()?)
        });
        let path = endpoint.path.clone();
        let part = Part::Visitor {
            endpoint: Arc::new(endpoint),
            way: Way::Ticket,
            subject: Some(Subject { name: "s".to_owned(), variables: BTreeMap::new() }),
            maker: Some(Arc::new(client)),
        };
        let kind = match self.language {
            Language::Cam => TripleKind::Tencent,
            Language::Ram => TripleKind::Alibaba,
        };
        let issue = Issue {
            policy: self.ask.clone(),
            excess: if self.cut_off { Excess::CutOff } else { Excess::Refused },
            ..Issue::new(RoleChoice::Endpoint, Form::Triple(kind))
        };
        Some(rehearse(directory, &tenant, &part, &path, &issue))
    }
}

/// Draws one grant and checks it.
pub(super) fn check_grant(language: Language, draw: &mut Draw<'_>) -> Result<Granted, String> {
    static BASE: LazyLock<World> = LazyLock::new(World::new);
    let drawn = Drawn::new(language, draw);
    let links = drawn.links();
    let rules: Vec<_> = drawn.tried.iter().filter_map(|(_, rule)| rule.clone()).collect();
    let near: Vec<_> = links.iter().chain(&rules).cloned().collect();
    let requests: Vec<Request> = (0..REQUESTS).map(|_| request(&near, draw)).collect();
    let directory = directory(&BASE, &drawn).ok_or("no directory could be made")?;
    let answers = drawn.ask(&BASE, &directory, false).zip(drawn.ask(&BASE, &directory, true));
    let (plain, trying) = match answers.ok_or("there is no endpoint")? {
        (Ok(plain), Ok(trying)) => (plain, trying),
        (Err(plain), Err(trying)) if plain.reason == trying.reason => return Ok(Granted::default()),
        (plain, trying) => {
            let reason =
                |answer: Result<Rehearsal, Refusal>| answer.err().map(|refusal| refusal.reason.label());
            return Err(format!(
                "what is tried made {:?} of {:?}: {links:#?}",
                reason(trying),
                reason(plain)
            ));
        }
    };
    if (plain.policy(), plain.cut()) != (trying.policy(), trying.cut()) {
        return Err(format!("what is only tried changed what is issued: {links:#?} {rules:#?}"));
    }
    let issued = trying.policy().ok_or("a grant without a policy")?;
    for request in &requests {
        check_issued(issued, &links, request)?;
    }
    let mut granted = Granted { given: true, warned: trying.warned().len(), silent: 0 };
    for (whose, rule) in &drawn.tried {
        let Some(rule) = rule.as_ref().filter(|_| trying.warned().iter().all(|said| said.whose != *whose))
        else {
            continue;
        };
        granted.silent += 1;
        for request in &requests {
            check_silence(issued, rule, request)?;
        }
    }
    Ok(granted)
}

fn directory(base: &World, drawn: &Drawn) -> Option<Directory> {
    let template = |policy: &Policy| Template::new(policy.clone(), &BTreeMap::new()).ok();
    let role = Role {
        policy: Some(template(&drawn.role)?),
        name: ROLES[0].to_owned(),
        ..Role::clone(base.plan.roles.first()?)
    };
    let coming = match drawn.rule(Whose::Role) {
        Some(rule) => Some(template(rule)?),
        None => None,
    };
    let tried = Role { name: ROLES[1].to_owned(), policy_warn: coming, ..role.clone() };
    let plan = Plan { roles: vec![Arc::new(role), Arc::new(tried)], ..base.plan.clone() };
    Directory::new(Arc::new(plan), ring(), Vec::new(), Vec::new(), Vec::new()).ok()
}

/// A rule of which nothing was said allows all that is issued, in every reading of it.
fn check_silence(issued: &Policy, rule: &Policy, request: &Request) -> Result<(), String> {
    if !is_allowed(issued, request) {
        return Ok(());
    }
    let any = |effect, certain| {
        rule.statements.iter().any(|s| s.effect == effect && applies(s, rule, request, certain))
    };
    // A deny that the issued policy has as well took its part before. One that is new is read segment by segment, as it
    // is when a warning is made of it.
    let taken = rule.statements.iter().filter(|s| s.effect == Effect::Deny && !issued.statements.contains(s));
    let takes = taken
        .cloned()
        .any(|s| applies(&Statement { effect: Effect::Allow, ..s }, rule, request, Certain::Sometimes));
    if !any(Effect::Allow, Certain::Always) || takes {
        return Err(fault("nothing was said of a rule that would have taken this", &[issued, rule], request));
    }
    Ok(())
}
