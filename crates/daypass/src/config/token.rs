//! The roles of OAuth resources: what their access tokens are and say.

use super::diagnostic::Fault;
use super::lifetime;
use super::notes::{Given, Notes};
use super::role::RoleEntry;
use super::section::{Section, no_such, refuse_twice, text};
use super::tenant::{TenantEntry, guid};
use super::variable;
use daypass_core::policy::{ClaimTemplate, VALUES_BYTES, VariableType, check_name};
use daypass_core::role::{Algorithm, Profile, Role, TOKEN_BYTES, TokenVersion};
use daypass_dialects::entra::wire;
use std::collections::BTreeMap;

type Variables = BTreeMap<String, VariableType>;
type Claims = BTreeMap<String, ClaimTemplate>;

/// Reads what a role with an `audience` has beside a name and an issuer.
pub(super) fn read(section: Section<'_>, base: Role) -> Option<Role> {
    let notes = section.notes();
    let lifetime = lifetime::read(section, lifetime::Kind::Token);
    let audience = section.need_parsed("audience", audience);
    let algorithm = one_of(section, "algorithm", Algorithm::ALL, Algorithm::name);
    let version = one_of(section, "version", TokenVersion::ALL, TokenVersion::name);
    let profile = one_of(section, "profile", Profile::ALL, Profile::name);
    if let (Some(Profile::Rfc9068), Some(place)) = (profile, section.key("version")) {
        let message = "`version` chooses among Entra's sets of claims, and belongs to the profile `entra`";
        notes.error(place, Fault::new(message));
    }
    let identifiers = identifiers(section);
    let app_roles = app_roles(section);
    let variables = variable::variables(section);
    let claims = variables.as_ref().and_then(|variables| claims(section, variables));
    Some(Role {
        lifetime: lifetime?,
        audience: Some(audience?.value),
        identifiers,
        app_roles,
        algorithm: algorithm?,
        version: version?,
        profile: profile?,
        variables: variables?,
        claims: claims?,
        ..base
    })
}

/// A name among few, or the usual one.
fn one_of<T: Copy + Default>(
    section: Section<'_>,
    key: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Option<T> {
    let named = |name: &str| {
        let names: Vec<_> = all.iter().map(|one| name_of(*one)).collect();
        all.iter().copied().find(|one| name_of(*one) == name).ok_or_else(|| no_such(key, name, &names))
    };
    match section.node(key) {
        None => Some(T::default()),
        Some(_) => section.need_parsed(key, named).map(|given| given.value),
    }
}

/// What stands before `/.default` in a scope: a GUID, or the URI of an application. One that ends with a slash is asked for
/// with two: `https://orders.example//.default`.
fn audience(text: &str) -> Result<String, Fault> {
    let uri = text.strip_prefix("api://").or_else(|| text.strip_prefix("https://"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b);
    let is_uri = |rest: &str| !rest.starts_with('/') && !rest.ends_with("//") && rest.bytes().all(plain);
    if uri.is_some_and(|rest| !rest.is_empty() && is_uri(rest)) || guid(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is neither a GUID nor a URI that begins with `api://` or `https://`")))
}

/// Other names of the audience.
fn identifiers(section: Section<'_>) -> Vec<String> {
    let given = section.texts("identifiers");
    let all = section.glance("audience").into_iter().chain(given.iter().copied());
    refuse_twice(section.notes(), "name of the resource", all);
    given.into_iter().filter_map(|one| section.parsed(one, audience)).map(|one| one.value).collect()
}

fn app_roles(section: Section<'_>) -> Vec<String> {
    let notes = section.notes();
    let roles = section.texts("roles");
    refuse_twice(notes, "app role", roles.iter().copied());
    if section.need("roles").is_some() && section.is_empty_list("roles") {
        // Resource servers refuse an application's token that carries no role at all.
        notes.error(section.key("roles").unwrap_or(section.place()), Fault::new("`roles` names no role"));
    }
    roles.into_iter().filter_map(|role| section.parsed(role, app_role)).map(|role| role.value).collect()
}

fn app_role(text: &str) -> Result<String, Fault> {
    if (1..=120).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not 1 to 120 printable characters without blanks")))
}

/// Claims of the operator's own. Every variable is used by one, or it would suggest a narrowing that does not happen.
fn claims(section: Section<'_>, variables: &Variables) -> Option<Claims> {
    let notes = section.notes();
    let claims = match section.node("claims") {
        None => Claims::new(),
        Some(node) => in_table(Section::free(notes, node, "claims")?, variables)?,
    };
    let place = |key: &str| section.key(key).unwrap_or(section.place());
    let uses = |name: &&String| claims.values().any(|claim| claim.variable() == Some(name));
    if let Some(name) = variables.keys().find(|name| !uses(name)) {
        let message = format!(
            "the variable `{name}` is declared, but no claim uses it; write {{{name}}} where its value belongs, such as claims = {{ {name} = \"{{{name}}}\" }}"
        );
        notes.error(place("variables"), Fault::new(message));
    }
    let longest = |claim: &ClaimTemplate| claim.variable().map(|_| claim.longest().bytes());
    let bytes: usize = claims.values().filter_map(longest).sum();
    if bytes > VALUES_BYTES {
        let message = format!(
            "the claims with variables can take {bytes} bytes of a token with one value for each, and {VALUES_BYTES} are set aside for them"
        );
        let fault = Fault::new(message).hint("take some out, or give their variables a shorter type");
        notes.error(place("claims"), fault);
    }
    Some(claims)
}

fn in_table(table: Section<'_>, variables: &Variables) -> Option<Claims> {
    let read = |text: &str| ClaimTemplate::parse(text, variables).map_err(|bad| Fault::new(bad.to_string()));
    let mut claims = Claims::new();
    let mut whole = true;
    for (name, node) in table.entries() {
        whole &=
            table.parsed(name, |name| check_name(name).map_err(|bad| Fault::new(bad.to_string()))).is_some();
        let claim =
            text(table.notes(), name.value, node).and_then(|given| table.parsed(given, |text| read(text)));
        whole &= claim.is_some();
        claims.extend(claim.map(|claim| (name.value.to_owned(), claim.value)));
    }
    whole.then_some(claims)
}

/// A token carries every role that its client has on the audience, so that all of them say one thing about it; and a name
/// of one resource is not a name of another.
pub(super) fn agree(tenant: Section<'_>, roles: &[RoleEntry<'_>]) {
    let notes = tenant.notes();
    let mut first: BTreeMap<String, (&Role, Given<&str>)> = BTreeMap::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (role, name, audience) in resources(roles) {
        let (other, other_name) = *first.entry(audience.to_ascii_lowercase()).or_insert((role, name));
        let on = || format!("the other is on {}", notes.line(other_name.place));
        if role.audience != other.audience {
            // It stands in `aud` as it is written, and resource servers compare that to the letter.
            let spelled = other.audience.as_deref().unwrap_or_default();
            let message = format!("`{audience}` and `{spelled}` are one audience, and must be spelled alike");
            notes.error(name.place, Fault::new(message).hint(on()));
        }
        for key in disagreements(role, other) {
            let message =
                format!("`{}` and `{}` have one audience, and must have one `{key}`", role.name, other.name);
            notes.error(name.place, Fault::new(message).hint(on()));
        }
        for called in role.audience.iter().chain(&role.identifiers) {
            let owner = *names.entry(called.to_ascii_lowercase()).or_insert(audience);
            if !owner.eq_ignore_ascii_case(audience) {
                let message = format!(
                    "`{called}` is a name of the resource `{owner}` already, and cannot be one of `{audience}` as well"
                );
                notes.error(name.place, Fault::new(message));
            }
        }
    }
}

/// The keys in which two roles of one audience differ that must not.
fn disagreements(role: &Role, other: &Role) -> Vec<&'static str> {
    let sorted = |role: &Role| {
        let mut names = role.identifiers.clone();
        names.sort_unstable();
        names
    };
    let differs = [
        ("algorithm", role.algorithm != other.algorithm),
        ("lifetime", role.lifetime != other.lifetime),
        ("issuer", role.issuer != other.issuer),
        ("version", role.version != other.version),
        ("profile", role.profile != other.profile),
        ("identifiers", sorted(role) != sorted(other)),
        ("variables", role.variables != other.variables),
        ("claims", role.claims != other.claims),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

fn resources<'r>(roles: &'r [RoleEntry<'r>]) -> impl Iterator<Item = (&'r Role, Given<&'r str>, &'r str)> {
    roles.iter().filter_map(|entry| {
        let role = entry.role.as_ref()?;
        Some((role, entry.name, role.audience.as_deref()?))
    })
}

/// Refuses resources whose tokens could grow past what servers take in a header: for a client that has every role, with the
/// longest values that it may be bound to. Otherwise that client would find out, from an error of someone else's server.
pub(super) fn check_sizes(notes: &Notes<'_>, tenants: &[TenantEntry<'_>], public_url: &str) {
    for tenant in tenants {
        let mut all: BTreeMap<String, (Given<&str>, Vec<&Role>)> = BTreeMap::new();
        for (role, name, audience) in resources(&tenant.roles) {
            all.entry(audience.to_ascii_lowercase()).or_insert((name, Vec::new())).1.push(role);
        }
        for (audience, (name, roles)) in all {
            let bytes = wire::longest(public_url, &roles);
            if bytes > TOKEN_BYTES {
                let message = format!(
                    "a token of `{audience}` can come to {bytes} bytes, and more than {TOKEN_BYTES} do not pass every server's limit for a header"
                );
                let hint = "give the resource fewer or shorter `roles` and `claims`, or make two of it";
                notes.error(name.place, Fault::new(message).hint(hint));
            }
        }
    }
}
