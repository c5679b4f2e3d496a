//! Policies made of random bytes, and what must hold for all of them.
//!
//! [`check`] draws documents of CAM or RAM as the links of a grant (role, endpoint, client, tenant, ask), puts them
//! together as the pipeline does, draws requests that come near them, and compares the answers with an evaluator that
//! was written apart and shares no code with the one under test. In some of the cases the links are those of a whole grant,
//! decided as a request is, with rules beside them that are only tried. The fuzz target and a test of the test command call
//! it; it is compiled for nothing else.

mod apart;
mod documents;
mod draw;
mod grant;

use crate::condition::Context;
use crate::{alibaba, tencent};
use apart::{Certain, applies};
use daypass_core::policy::{Decision, Effect, Language, Policy, covers, narrow};
use documents::{Request, policy, request};
use draw::Draw;
use grant::check_grant;

/// What was seen, so that a test can tell that something was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the intersection of all links could be written. Where not, the grant is refused.
    pub told: bool,
    /// Requests that the issued policy allows.
    pub allowed: u32,
    /// Requests that are denied by a link's explicit deny although an allowing statement matches.
    pub denied: u32,
    /// Whether one link was found to cover another.
    pub covered: bool,
    /// Whether a whole grant was decided, and given.
    pub granted: bool,
    /// Rules that were only tried in it and said that they would have taken something.
    pub warned: usize,
    /// Rules that were only tried in it and said nothing.
    pub silent: usize,
}

/// Requests for each set of links.
const REQUESTS: usize = 12;
/// Every so many cases decide a whole grant: that costs as much as all the rest of a case.
const GRANTS: usize = 3;

/// Draws one case from bytes and checks it; the error says what does not hold.
pub fn check(bytes: &[u8]) -> Result<Seen, String> {
    let mut draw = Draw::new(bytes);
    let language = draw.one(&[Language::Cam, Language::Ram]).unwrap_or(Language::Ram);
    if draw.below(GRANTS) == GRANTS - 1 {
        let granted = check_grant(language, &mut draw)?;
        let (given, warned, silent) = (granted.given, granted.warned, granted.silent);
        return Ok(Seen { granted: given, warned, silent, ..Seen::default() });
    }
    let mut links: Vec<Policy> = Vec::new();
    for _ in 0..2 + draw.below(4) {
        let mut link = policy(language, &mut draw);
        // Links that have nothing to do with each other leave little: some are an earlier one with changes.
        if draw.below(3) > 0
            && let Some(earlier) = draw.one(&links)
        {
            link.statements.extend(earlier.statements);
        }
        links.push(link);
    }
    let requests: Vec<Request> = (0..REQUESTS).map(|_| request(&links, &mut draw)).collect();
    let mut seen = Seen::default();
    for link in &links {
        for request in &requests {
            seen.denied += u32::from(check_decision(link, request)?);
        }
    }
    let issued = links.split_first().and_then(|(first, others)| {
        others.iter().try_fold(first.clone(), |policy, other| narrow(&policy, other)).ok()
    });
    if let Some(issued) = &issued {
        seen.told = true;
        for request in &requests {
            seen.allowed += u32::from(check_issued(issued, &links, request)?);
        }
    }
    // What is asked for beside what there is, as it was sent and as it was cut.
    for inner in links.iter().chain(&issued) {
        for outer in &links {
            seen.covered |= check_cover(outer, inner, &requests)? && inner != outer;
        }
    }
    Ok(seen)
}

fn allows(policy: &Policy, request: &Request) -> Decision {
    let allows: fn(&Policy, &str, &str, &Context) -> Decision = match policy.language {
        Language::Cam => tencent::policy::allows,
        Language::Ram => alibaba::policy::allows,
    };
    allows(policy, &request.action, &request.resource, &request.context)
}

fn is_allowed(policy: &Policy, request: &Request) -> bool {
    matches!(allows(policy, request), Decision::Allowed(_))
}

/// One document and one request: denied by default, a deny wins, and nothing is allowed that some reading of the
/// document does not allow.
fn check_decision(policy: &Policy, request: &Request) -> Result<bool, String> {
    let decision = allows(policy, request);
    let any = |effect, certain| {
        policy.statements.iter().any(|s| s.effect == effect && applies(s, policy, request, certain))
    };
    if matches!(decision, Decision::Allowed(_)) {
        if !any(Effect::Allow, Certain::Always) {
            return Err(fault("allowed, and no statement allows it in every reading", &[policy], request));
        }
        if any(Effect::Deny, Certain::Sometimes) {
            return Err(fault("allowed, and a statement denies it in some reading", &[policy], request));
        }
    }
    let named = match decision {
        Decision::Allowed(n) => Some((n, Effect::Allow)),
        Decision::Denied(n) => Some((n, Effect::Deny)),
        Decision::NoMatch => None,
    };
    if named.is_some_and(|(n, effect)| policy.statements.get(n).is_none_or(|s| s.effect != effect)) {
        return Err(fault("the statement that is named is of the other effect", &[policy], request));
    }
    let denied = any(Effect::Deny, Certain::Always);
    if denied && !matches!(decision, Decision::Denied(_)) {
        return Err(fault("an explicit deny did not win", &[policy], request));
    }
    Ok(denied && any(Effect::Allow, Certain::Always))
}

/// The issued policy against its links: it allows what all of them allow, and no more.
fn check_issued(issued: &Policy, links: &[Policy], request: &Request) -> Result<bool, String> {
    let allowed = is_allowed(issued, request);
    let all: Vec<&Policy> = std::iter::once(issued).chain(links).collect();
    for link in links {
        let gives = |s: &daypass_core::policy::Statement| {
            s.effect == Effect::Allow && applies(s, link, request, Certain::Always)
        };
        let takes = |s: &daypass_core::policy::Statement| {
            s.effect == Effect::Deny && applies(s, link, request, Certain::Sometimes)
        };
        if allowed && (!link.statements.iter().any(gives) || link.statements.iter().any(takes)) {
            return Err(fault("the issued policy allows what a link denies", &all, request));
        }
    }
    if !allowed && links.iter().all(|link| is_allowed(link, request)) {
        return Err(fault("the issued policy does not allow what every link allows", &all, request));
    }
    Ok(allowed)
}

/// Where one covers another, whatever the inner one's allowing statements allow, the outer one's do.
fn check_cover(outer: &Policy, inner: &Policy, requests: &[Request]) -> Result<bool, String> {
    if covers(outer, inner).is_err() {
        return Ok(false);
    }
    let inner_allows = only_allows(inner);
    for request in requests {
        let gives = outer
            .statements
            .iter()
            .any(|s| s.effect == Effect::Allow && applies(s, outer, request, Certain::Always));
        if is_allowed(&inner_allows, request) && !gives {
            return Err(fault("said to be covered, and it is not", &[outer, inner], request));
        }
    }
    Ok(true)
}

fn only_allows(policy: &Policy) -> Policy {
    let allows = policy.statements.iter().filter(|statement| statement.effect == Effect::Allow);
    Policy { language: policy.language, statements: allows.cloned().collect() }
}

fn fault(what: &str, policies: &[&Policy], request: &Request) -> String {
    format!("{what}: {request:?}\n{policies:#?}")
}

#[cfg(test)]
mod tests;
