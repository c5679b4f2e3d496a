//! `[[tenant.role]]`: what may be handed out.

use super::boundary::{Boundaries, point_out};
use super::brokering;
use super::diagnostic::Fault;
use super::issuer::Issuers;
use super::lifetime;
use super::lint::Lint;
use super::notes::{Given, Place};
use super::policy;
use super::provider::ProviderEntry;
use super::section::{Section, refuse_twice};
use super::token;
use super::trust;
use super::variable::variables;
use daypass_core::policy::{Language, Policy, Template, covers};
use daypass_core::role::{Algorithm, Profile, Role, TokenVersion};
use std::collections::BTreeMap;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "name",
    "issuer",
    "lifetime",
    "policy",
    "policy_warn",
    "wildcard_reason",
    "variables",
    "answer",
    "external_id",
    "trust",
    "audience",
    "roles",
    "algorithm",
    "version",
    "profile",
    "identifiers",
    "claims",
    "upstream",
];
/// Keys that only a role with a policy has.
const OF_POLICY: &[&str] = &["policy_warn", "wildcard_reason", "answer", "external_id", "trust"];
/// Keys that only a role with an audience has.
const OF_AUDIENCE: &[&str] = &["roles", "algorithm", "version", "profile", "identifiers", "claims"];
/// Fixed fields of the answer, in the words of TOP's `SecurityTokenCredential`.
pub(super) const ANSWER: &[&str] = &["end_point_public", "end_point_internal"];

/// A declared role. It keeps its name even where something else in it is wrong.
pub(super) struct RoleEntry<'a> {
    /// Its name as written.
    pub(super) name: Given<&'a str>,
    /// The role, if all of it was understood.
    pub(super) role: Option<Role>,
    /// The language of its policy, if it has one.
    pub(super) language: Option<Language>,
    /// Where that stands.
    pub(super) policy: Option<Place>,
}

/// Whose roles they are.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    /// The tenant's name; empty where it is wrong.
    pub(super) tenant: &'a str,
    /// The tenant's account, where it is right.
    pub(super) account: Option<&'a str>,
}

/// Reads the roles of a tenant.
pub(super) fn read<'a>(
    tenant: Section<'a>,
    owner: Owner<'_>,
    boundaries: &Boundaries,
    issuers: &Issuers<'_>,
    providers: &[ProviderEntry<'_>],
) -> Vec<RoleEntry<'a>> {
    let sections = tenant.sections("tenant.role", KEYS);
    refuse_twice(tenant.notes(), "role", sections.iter().filter_map(|section| section.glance("name")));
    let mut roles = Vec::new();
    for section in sections {
        let (name, read) = one(section, owner, issuers, providers);
        let Some(name) = name else { continue };
        if let Some((language, place)) = read.language {
            for (key, _) in boundaries.each().filter(|(_, given)| given.value.language != language) {
                let message =
                    format!("the tenant's {key} is in the other language, and nothing is allowed by both");
                section.notes().error(place, Fault::new(message));
            }
        }
        roles.push(RoleEntry {
            name,
            role: read.role,
            language: read.language.map(|(language, _)| language),
            policy: read.language.map(|(_, place)| place),
        });
    }
    token::agree(tenant, &roles);
    roles
}

struct Read {
    role: Option<Role>,
    language: Option<(Language, Place)>,
}

fn one<'a>(
    section: Section<'a>,
    owner: Owner<'_>,
    issuers: &Issuers<'_>,
    providers: &[ProviderEntry<'_>],
) -> (Option<Given<&'a str>>, Read) {
    let name = section.need_text("name").filter(|given| section.parsed(*given, name_in_arn).is_some());
    let (issuer, upstream) = issuers.of_role(section);
    let brokering = brokering::read(section, upstream);
    let understood = brokering.is_some();
    let base = Role {
        tenant: owner.tenant.to_owned(),
        name: name.map_or_else(String::new, |given| given.value.to_owned()),
        issuer,
        lifetime: lifetime::STANDARD_TOKEN,
        variables: BTreeMap::new(),
        policy: None,
        policy_warn: None,
        answer: BTreeMap::new(),
        audience: None,
        identifiers: Vec::new(),
        app_roles: Vec::new(),
        version: TokenVersion::default(),
        profile: Profile::default(),
        claims: BTreeMap::new(),
        algorithm: Algorithm::default(),
        external_id: None,
        trusts: Vec::new(),
        brokering: brokering.unwrap_or_default(),
    };
    let mut read = match (section.key("policy"), section.key("audience")) {
        (Some(_), None) => with_policy(section, base, owner.account, providers),
        (None, Some(_)) => {
            misplaced(section, OF_POLICY, "a `policy`");
            Read { role: token::read(section, base), language: None }
        }
        (Some(_), Some(place)) => {
            let message =
                "a role has either a `policy` (a signing credential) or an `audience` (an access token)";
            section.notes().error(place, Fault::new(message));
            Read { role: None, language: None }
        }
        (None, None) => {
            let message =
                "the role needs a `policy` (a signing credential) or an `audience` (an access token)";
            section.notes().error(section.place(), Fault::new(message));
            Read { role: None, language: None }
        }
    };
    if let (Some(role), Some(upstream)) = (&read.role, upstream) {
        brokering::check(section, role, upstream);
    }
    read.role.take_if(|_| !understood);
    (name, read)
}

/// Names stand in ARNs, between a slash and the end.
pub(super) fn name_in_arn(text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new(format!("`{text}` is not 1 to 64 letters, digits, dots, hyphens and underscores")))
}

fn misplaced(section: Section<'_>, keys: &[&str], with: &str) {
    for key in keys {
        if let Some(place) = section.key(key) {
            section.notes().error(place, Fault::new(format!("`{key}` belongs to a role with {with}")));
        }
    }
}

fn with_policy(
    section: Section<'_>,
    base: Role,
    account: Option<&str>,
    providers: &[ProviderEntry<'_>],
) -> Read {
    misplaced(section, OF_AUDIENCE, "an `audience`");
    let variables = variables(section);
    let answer = answer(section);
    let policy = policy::read(section, "policy", account);
    let language = policy.as_ref().map(|policy| (policy.value.language, policy.place));
    let kind = match language {
        Some((Language::Cam, _)) => lifetime::Kind::Cam,
        Some((Language::Ram, _)) => lifetime::Kind::Ram,
        None => lifetime::Kind::Unknown,
    };
    let lifetime = lifetime::read(section, kind);
    let external_id = section.text("external_id").map(|given| section.parsed(given, trust::external_id));
    let trusts = variables.as_ref().and_then(|variables| trust::read(section, providers, variables));
    if let Some(policy) = &policy {
        wildcard(section, policy);
    }
    let coming = policy::read(section, "policy_warn", account);
    if let (Some(policy), Some(coming)) = (&policy, &coming) {
        check_coming(section, &policy.value, coming);
    }
    let understood = coming.is_some() || section.node("policy_warn").is_none();
    let template = |given: Option<Given<Policy>>| {
        let (policy, variables) = given.zip(variables.as_ref())?;
        let bad = match Template::new(policy.value, variables) {
            Ok(template) => return Some(template),
            Err(bad) => bad,
        };
        section.notes().error(policy.place, Fault::new(bad.to_string()));
        None
    };
    let has_coming = coming.is_some();
    let (template, coming) = (template(policy), template(coming));
    let understood = understood && coming.is_some() == has_coming;
    let whole = || {
        Some(Role {
            policy: Some(template?),
            policy_warn: understood.then_some(coming)?,
            variables: variables?,
            answer: answer?,
            lifetime: lifetime?,
            external_id: external_id.map_or(Some(None), |given| given.map(|given| Some(given.value)))?,
            trusts: trusts?,
            ..base
        })
    };
    Read { role: whole(), language }
}

/// The policy that a role is to have is in the language of the one that it has. What it gives beyond that cannot be tried:
/// a warning says what would be lost, and nothing that would be won.
fn check_coming(section: Section<'_>, policy: &Policy, coming: &Given<Policy>) {
    let notes = section.notes();
    if coming.value.language != policy.language {
        let message = "`policy_warn` is in another language than `policy`, and could never take its place";
        notes.error(coming.place, Fault::new(message));
        return;
    }
    point_out(notes, coming.place, "policy_warn", "policy");
    if let Err(beyond) = covers(policy, &coming.value) {
        let message = format!(
            "statement {} of `policy_warn` gives {} on {}, which `policy` does not: only what both give is tried",
            beyond.statement.saturating_add(1),
            beyond.action,
            beyond.resource
        );
        notes.warning(coming.place, Fault::new(message));
    }
}

/// A policy without bounds needs a written reason, which `check` and the start-up log repeat.
fn wildcard(section: Section<'_>, policy: &Given<Policy>) {
    let (notes, reason) = (section.notes(), section.text("wildcard_reason"));
    match (policy::unbounded(&policy.value), reason) {
        (Some(what), None) if section.key("wildcard_reason").is_none() => {
            let fault =
                Fault::new(format!("the policy allows every {what}, and no `wildcard_reason` says why"))
                    .hint(format!("name each {what}, or write the reason: wildcard_reason = \"…\""))
                    .lint(Lint::Wildcard);
            notes.error(policy.place, fault);
        }
        (Some(_), Some(reason)) if reason.value.trim().is_empty() => {
            notes.error(reason.place, Fault::new("the reason is empty"));
        }
        (Some(what), Some(reason)) => {
            notes
                .warning(reason.place, Fault::new(format!("the role allows every {what}: {}", reason.value)));
        }
        (None, Some(reason)) => {
            notes.warning(reason.place, Fault::new("the policy allows no `*`; the reason is not needed"));
        }
        (_, None) => {}
    }
}

fn answer(section: Section<'_>) -> Option<BTreeMap<String, String>> {
    let Some(node) = section.node("answer") else { return Some(BTreeMap::new()) };
    let table = Section::of(section.notes(), node, "answer", ANSWER)?;
    ANSWER
        .iter()
        .filter(|key| table.node(key).is_some())
        .map(|&key| Some((key.to_owned(), table.text(key)?.value.to_owned())))
        .collect()
}
