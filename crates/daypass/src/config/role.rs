//! `[[tenant.role]]`: what may be handed out.

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
use daypass_core::policy::{Language, Policy, Template};
use daypass_core::role::{Algorithm, Profile, Role, TokenVersion};
use daypass_core::upstream::Brokering;
use std::collections::BTreeMap;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "name",
    "issuer",
    "lifetime",
    "policy",
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
];
/// Keys that only a role with a policy has.
const OF_POLICY: &[&str] = &["wildcard_reason", "answer", "external_id", "trust"];
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
    boundary: Option<&Given<Policy>>,
    issuers: &Issuers<'_>,
    providers: &[ProviderEntry<'_>],
) -> Vec<RoleEntry<'a>> {
    let sections = tenant.sections("tenant.role", KEYS);
    refuse_twice(tenant.notes(), "role", sections.iter().filter_map(|section| section.glance("name")));
    let mut roles = Vec::new();
    for section in sections {
        let (name, read) = one(section, owner, issuers, providers);
        let Some(name) = name else { continue };
        if let (Some((language, place)), Some(boundary)) = (read.language, boundary)
            && language != boundary.value.language
        {
            let message = "the tenant's boundary is in the other language, and nothing is allowed by both";
            section.notes().error(place, Fault::new(message));
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
    let base = Role {
        tenant: owner.tenant.to_owned(),
        name: name.map_or_else(String::new, |given| given.value.to_owned()),
        issuer: issuers.of_role(section),
        lifetime: lifetime::STANDARD_TOKEN,
        variables: BTreeMap::new(),
        policy: None,
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
        brokering: Brokering::default(),
    };
    let read = match (section.key("policy"), section.key("audience")) {
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
    let template = policy.zip(variables.as_ref()).and_then(|(policy, variables)| {
        match Template::new(policy.value, variables) {
            Ok(template) => Some(template),
            Err(bad) => {
                section.notes().error(policy.place, Fault::new(bad.to_string()));
                None
            }
        }
    });
    let whole = || {
        Some(Role {
            policy: Some(template?),
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
