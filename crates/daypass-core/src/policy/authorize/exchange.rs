//! What a client gets in exchange for an access token: nothing that it could not get itself, and nothing that those
//! whose token it shows could not get themselves.
//!
//! It is authorized like any other ask, by a copy of the client whose grants are cut down to what all of them have. What
//! an exchange can give is thus bounded by the rules that bound everything else, whatever is added to those.

use super::{Authorized, authorize_under};
use crate::caller::{Caller, Proof};
use crate::client::{Client, Grant};
use crate::clock::Timestamp;
use crate::dialect::{Form, Issue, RoleChoice};
use crate::directory::Directory;
use crate::inspect::{Behalf, OwnToken};
use crate::refusal::{Reason, Refusal};
use crate::role::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// How often in a row a token may be exchanged, and so the most clients in the claim `act`.
///
/// Attack: two clients that exchange to and fro make a token that grows with every turn, and a list of origins that every
/// later look has to go through.
pub const EXCHANGES: usize = 4;

/// In a grant, any value of the variable's type.
const ANY: &str = "*";

/// Decides what a client gets for a live token of our own that it may show. `issue` says what it asks for.
pub fn authorize_exchange(
    directory: &Directory,
    caller: &Caller,
    path: &str,
    issue: &Issue,
    token: &OwnToken,
    now: Timestamp,
) -> Result<Authorized, Refusal> {
    let origins = token.origin.into_iter().chain(token.earlier.iter().copied()).collect::<Vec<_>>();
    if origins.len() >= EXCHANGES {
        let detail = format!(
            "it comes from {EXCHANGES} exchanges in a row, and that is the most; begin with the first token"
        );
        return Err(unacceptable(detail));
    }
    let rest = rest(token, now)?;
    let parties = Parties::of(directory, caller, token)?;
    let narrowed = parties.narrowed(directory);
    check_target(directory, &narrowed, issue)?;
    let issue = Issue { variables: filled(directory, &narrowed, issue), ..issue.clone() };
    let asker = Parties::asker(caller, narrowed, issue.form)?;
    let mut authorized =
        authorize_under(directory, &asker, path, &issue, &parties.others).map_err(as_target)?;
    if is_for(&authorized, &token.audience) {
        keep_to_token(&mut authorized, token, issue.app_roles.as_deref())?;
    } else {
        parties.refuse_narrowed(directory, token)?;
    }
    authorized.lifetime = authorized.lifetime.min(rest);
    authorized.client = Some(parties.actor.clone());
    authorized.subject = Some(parties.subject.guid.to_string());
    authorized.behalf = Some(Behalf {
        client: parties.subject.guid,
        object: parties.subject.object,
        origin: token.id,
        earlier: origins,
        origin_keys: origin_keys(token),
        actor: act(&parties.actor, &parties.subject, token.actor.as_ref()),
    });
    Ok(authorized)
}

/// What the keys are recognised by that the token and those before it were asked for with.
fn origin_keys(token: &OwnToken) -> Vec<String> {
    let mut prints = token.origin_keys.clone();
    if let Some(print) = token.key.as_ref().filter(|print| !prints.contains(print)) {
        prints.insert(0, print.clone());
    }
    prints
}

/// Everyone whose rights bound the exchange.
struct Parties {
    /// The client that asks.
    actor: Arc<Client>,
    /// The client that the token speaks for.
    subject: Arc<Client>,
    /// All but the one that asks: the subject, and whoever the token has passed through.
    others: Vec<Arc<Client>>,
    /// Those whose rights bound the token that is shown: the others, and the one that asks where it is among them.
    before: Vec<Arc<Client>>,
}

impl Parties {
    fn of(directory: &Directory, caller: &Caller, token: &OwnToken) -> Result<Self, Refusal> {
        let actor =
            caller.shared_client().ok_or_else(|| Refusal::internal("a token is exchanged by no client"))?;
        let find = |guid: Uuid| {
            let found = directory.client(caller.tenant(), guid).filter(|client| client.enabled);
            found.ok_or_else(|| unacceptable("a client that it has passed through is disabled or gone"))
        };
        let subject = find(token.subject.unwrap_or(token.client))?;
        let mut guids = actors(token.actor.as_ref())
            .ok_or_else(|| unacceptable("its claim act names no clients of this service"))?;
        guids.extend([subject.guid, token.client]);
        guids.sort_unstable();
        guids.dedup();
        let before = guids.into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let others = before.iter().filter(|client| client.guid != actor.guid).cloned().collect();
        Ok(Self { actor, subject, others, before })
    }

    /// A token that carries less of its resource than its clients have there is not exchanged for anything else.
    ///
    /// Attack: whoever was handed a token that was narrowed exchanges it for one of another resource, and that one back:
    /// what was taken from the first would be there again, because no token remembers what those before it lacked.
    fn refuse_narrowed(&self, directory: &Directory, token: &OwnToken) -> Result<(), Refusal> {
        let Some((first, rest)) = self.before.split_first() else { return Ok(()) };
        let together = rest.iter().fold(Client::clone(first), |narrowed, other| Client {
            grants: common(directory, &narrowed, other),
            ..narrowed
        });
        let has = |role: &&Arc<Role>| together.grants.iter().any(|grant| grant.role == role.name);
        let mut whole = directory.roles_of(&together.tenant, &token.audience).filter(has);
        if whole.all(|role| role.app_roles.iter().all(|role| token.app_roles.contains(role))) {
            return Ok(());
        }
        Err(target(
            "the subject_token carries fewer roles than its clients have on its resource, and such a token can only be \
             exchanged for that resource; show the one that it was made of",
        ))
    }

    /// The client that asks, with no more than the grants that all have.
    fn narrowed(&self, directory: &Directory) -> Client {
        self.others.iter().fold(Client::clone(&self.actor), |narrowed, other| Client {
            grants: common(directory, &narrowed, other),
            ..narrowed
        })
    }

    /// The caller, as this client. A temporary key is bound to nothing but its own secret.
    fn asker(caller: &Caller, client: Client, form: Form) -> Result<Caller, Refusal> {
        let Proof::Key { key, weak, how, .. } = caller.proof() else {
            return Err(Refusal::internal("a token is exchanged without a key"));
        };
        let proof = Proof::Key { client: Arc::new(client), key: key.clone(), weak: *weak, how: *how };
        let bound = caller.confirmation().filter(|_| form == Form::Bearer).cloned();
        Ok(Caller::new(caller.shared_tenant(), proof).bound(bound))
    }
}

/// The grants that two clients have in common: of each role, and of each of its variables, what both allow.
fn common(directory: &Directory, one: &Client, other: &Client) -> Vec<Grant> {
    let pairs = one.grants.iter().flat_map(|a| other.grants.iter().map(move |b| (a, b)));
    pairs
        .filter(|(a, b)| a.role == b.role)
        .filter_map(|(a, b)| meet(directory.role(&one.tenant, &a.role)?, a, b))
        .collect()
}

/// What two grants of a role both give; none where there is a variable that no value of both can fill.
fn meet(role: &Role, a: &Grant, b: &Grant) -> Option<Grant> {
    let mut bind = BTreeMap::new();
    for name in role.variables.keys() {
        let values = common_values(a.bind.get(name)?, b.bind.get(name)?);
        if values.is_empty() {
            return None;
        }
        bind.insert(name.clone(), values);
    }
    let lifetime = [a.lifetime, b.lifetime].into_iter().flatten().min();
    Some(Grant { role: role.name.clone(), bind, lifetime })
}

fn common_values(a: &[String], b: &[String]) -> Vec<String> {
    let any = |values: &[String]| values.iter().any(|value| value == ANY);
    match (any(a), any(b)) {
        (true, _) => b.to_vec(),
        (false, true) => a.to_vec(),
        (false, false) => a.iter().filter(|value| b.contains(value)).cloned().collect(),
    }
}

/// Makes sure that there is something to have at all. What does not exist and what was not granted get the same answer,
/// and it does not say to which of the clients.
fn check_target(directory: &Directory, narrowed: &Client, issue: &Issue) -> Result<(), Refusal> {
    let has = |role: &Role| narrowed.grants.iter().any(|grant| grant.role == role.name);
    match &issue.role {
        RoleChoice::Named(name) => {
            let role = directory.role(&narrowed.tenant, name).filter(|role| has(role)).ok_or_else(|| {
                target("there is no such role, or the client that asks and the one that the token speaks for do not both have a grant on it")
            })?;
            match (issue.form, &role.policy) {
                (Form::Triple(kind), Some(policy)) if policy.language() != kind.language() => Err(target(
                    "the policy of this role is in another vendor's language; ask for a temporary key in the form of that vendor",
                )),
                _ => Ok(()),
            }
        }
        RoleChoice::Resource(name) if !directory.roles_of(&narrowed.tenant, name).any(|role| has(role)) => {
            Err(target(
                "there is no such resource, or the client that asks and the one that the token speaks for do not both have a role on it",
            ))
        }
        _ => Ok(()),
    }
}

/// The variables that were asked for, with those added that have only one value to take beside these.
fn filled(directory: &Directory, narrowed: &Client, issue: &Issue) -> BTreeMap<String, String> {
    let mut variables = issue.variables.clone();
    let RoleChoice::Named(name) = &issue.role else { return variables };
    let Some(role) = directory.role(&narrowed.tenant, name) else { return variables };
    let grants: Vec<_> = narrowed.grants.iter().filter(|grant| grant.role == role.name).collect();
    let allows = |grant: &Grant, name: &str, value: &str| {
        grant.bind.get(name).is_some_and(|values| values.iter().any(|one| one == value || one == ANY))
    };
    let fit = |grant: &&&Grant| issue.variables.iter().all(|(name, value)| allows(grant, name, value));
    let mut fitting: Vec<_> = grants.iter().filter(fit).collect();
    if fitting.is_empty() {
        // What was asked for is refused in any case, and should be for its own sake.
        fitting = grants.iter().collect();
    }
    for name in role.variables.keys().filter(|name| !issue.variables.contains_key(*name)) {
        let mut values: Vec<_> = fitting.iter().filter_map(|grant| grant.bind.get(name)).flatten().collect();
        values.sort_unstable();
        values.dedup();
        if let [only] = values.as_slice()
            && *only != ANY
        {
            variables.insert(name.clone(), (*only).clone());
        }
    }
    variables
}

/// Whether it is an access token for this resource.
fn is_for(authorized: &Authorized, audience: &str) -> bool {
    authorized.form == Form::Bearer
        && authorized.audience().is_some_and(|its| its.eq_ignore_ascii_case(audience))
}

/// A token for the resource of the one that was shown carries none of its roles that this one does not.
fn keep_to_token(
    authorized: &mut Authorized,
    token: &OwnToken,
    wanted: Option<&[String]>,
) -> Result<(), Refusal> {
    let before = authorized.app_roles.len();
    authorized.app_roles.retain(|role| token.app_roles.contains(role));
    let lost = authorized.app_roles.len() < before;
    if lost && (wanted.is_some() || authorized.app_roles.is_empty()) {
        return Err(target(
            "the subject_token is for this resource and does not carry what is asked for; a token for its own resource can only carry fewer roles",
        ));
    }
    Ok(())
}

/// Whole seconds until the token runs out.
fn rest(token: &OwnToken, now: Timestamp) -> Result<u32, Refusal> {
    let millis = token.expires.as_millisecond().saturating_sub(now.as_millisecond());
    match u32::try_from(millis / 1000) {
        Ok(0) | Err(_) => Err(unacceptable("it has run out; get a new one")),
        Ok(seconds) => Ok(seconds),
    }
}

/// The claim `act` (RFC 8693 §4.1): who acts, and inside it who acted before. A client that acts for itself needs none,
/// unless others have acted before it.
fn act(actor: &Client, subject: &Client, earlier: Option<&Value>) -> Option<Value> {
    let guid = actor.guid.to_string();
    match earlier {
        None if actor.guid == subject.guid => None,
        Some(act) if act.get(CLIENT).is_some_and(|client| *client == guid) => Some(act.clone()),
        None => Some(json!({"sub": actor.object, CLIENT: guid})),
        Some(earlier) => Some(json!({"sub": actor.object, CLIENT: guid, "act": earlier})),
    }
}

/// The member of `act` that names a client, as RFC 8693 §4.3 calls it.
const CLIENT: &str = "client_id";

/// The clients that a claim `act` names; none where it is not one of ours.
pub(crate) fn actors(mut act: Option<&Value>) -> Option<Vec<Uuid>> {
    let mut guids = Vec::new();
    while let Some(actor) = act {
        guids.push(Uuid::try_parse(actor.get(CLIENT)?.as_str()?).ok()?);
        act = actor.get("act");
    }
    Some(guids)
}

/// What an ask for a role is refused with is about the target of an exchange.
fn as_target(refusal: Refusal) -> Refusal {
    match refusal.reason {
        Reason::MissingParameter => {
            let name = refusal.parameter.unwrap_or_default();
            target(format!("the role has the variable {name}, which may have several values here; name one of them in the target"))
        }
        Reason::InvalidScope => Refusal::new(
            Reason::InvalidScope,
            "the resource has no such role, or the two clients do not both have it; ask for {resource}/.default, which gives all that both have",
        )
        .parameter("scope"),
        Reason::RoleNotGranted
        | Reason::NoRole
        | Reason::UnknownResource
        | Reason::VariableRefused
        | Reason::ExternalIdMismatch => target(refusal.detail),
        _ => refusal,
    }
}

fn target(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::InvalidTarget, detail)
}

/// The token that was shown cannot be exchanged, for this reason.
pub(crate) fn unacceptable(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::SubjectTokenInvalid, format!("the subject_token cannot be exchanged: {why}"))
        .parameter("subject_token")
}

#[cfg(test)]
mod tests;
