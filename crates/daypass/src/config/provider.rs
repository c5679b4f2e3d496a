//! `[[tenant.provider]]`: the outside OpenID providers whose JWTs a tenant believes.

use super::diagnostic::Fault;
use super::notes::{Given, Notes};
use super::quota;
use super::role::name_in_arn;
use super::secret::{NOT_PRIVATE, read_file};
use super::section::{Section, refuse_twice, text};
use super::tenant::TenantEntry;
use super::tree::{Node, Value};
use super::url;
use super::variable::variable_name;
use daypass_core::endpoint::Endpoint;
use daypass_core::identity::SUBJECT;
use daypass_core::jose::KeySet;
use daypass_core::provider::{KeySource, Provider};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["name", "issuer", "audience", "jwks", "subject", "variables", "quota"];
/// The keys of `jwks`, where it is no URL.
pub(super) const JWKS: &[&str] = &["file"];
/// The claim that names the subject, where nothing else is said.
const STANDARD_SUBJECT: &str = "sub";
/// The longest file of keys, in bytes. Providers publish some tens of kilobytes, certificates included.
const KEY_FILE: u64 = 256 * 1024;
/// The longest `iss`, `aud` and name of a claim, in bytes.
const WORD: usize = 512;

/// A declared provider. It keeps its name even where something else in it is wrong.
pub(super) struct ProviderEntry<'a> {
    /// Its name as written.
    pub(super) name: Given<&'a str>,
    /// The provider, if all of it was understood.
    pub(super) provider: Option<Provider>,
}

/// Reads the providers of a tenant; a relative name of a file of keys starts at `base`.
pub(super) fn read<'a>(tenant: Section<'a>, tenant_name: &str, base: &Path) -> Vec<ProviderEntry<'a>> {
    let sections = tenant.sections("tenant.provider", KEYS);
    refuse_twice(tenant.notes(), "provider", sections.iter().filter_map(|section| section.glance("name")));
    let entry = |section: Section<'a>| {
        let name = section.need_text("name").filter(|given| section.parsed(*given, name_in_arn).is_some());
        let provider = one(section, tenant_name, name.map_or("", |name| name.value), base);
        Some(ProviderEntry { name: name?, provider })
    };
    sections.into_iter().filter_map(entry).collect()
}

/// A provider that nothing names is mostly a role or an endpoint that its operator believes to be served by it. Not where
/// there are OAuth clients, whose keys are in the store: any of them may be who the provider says it is.
pub(super) fn point_out_idle(notes: &Notes<'_>, tenants: &[TenantEntry<'_>], endpoints: &[Endpoint]) {
    for tenant in tenants {
        let at_endpoints = endpoints.iter().filter(|endpoint| endpoint.tenant == tenant.name.value);
        let at_endpoints = at_endpoints.filter_map(|endpoint| Some(&*endpoint.jwt()?.provider));
        let roles = tenant.roles.iter().filter_map(|entry| entry.role.as_ref());
        if roles.clone().any(|role| role.audience.is_some()) {
            continue;
        }
        let trusted = roles.flat_map(|role| &role.trusts).map(|trust| &*trust.provider);
        let named: Vec<&str> = at_endpoints.chain(trusted).collect();
        for entry in tenant.providers.iter().filter(|entry| !named.contains(&entry.name.value)) {
            let fault = Fault::new(format!("nothing believes the provider `{}`", entry.name.value))
                .hint("an endpoint does by caller = { jwt = … }, a role by trust = …, an OAuth client by `client add --kind federated --provider`");
            notes.warning(entry.name.place, fault);
        }
    }
}

fn one(section: Section<'_>, tenant: &str, name: &str, base: &Path) -> Option<Provider> {
    let issuer = section.need_parsed("issuer", word);
    let audiences = audiences(section);
    let keys = keys(section, base);
    if let (Some(KeySource::Discovery), Some(issuer)) = (&keys, &issuer)
        && let Err(fault) = url::fetched(&issuer.value)
    {
        let fault =
            Fault { hint: Some("without `jwks` the keys are looked for at the issuer".into()), ..fault };
        section.notes().error(issuer.place, fault);
    }
    let subject = match section.node("subject") {
        None => Some(STANDARD_SUBJECT.to_owned()),
        Some(_) => section.need_parsed("subject", word).map(|claim| claim.value),
    };
    let variables = variables(section);
    let quota = quota::of_provider(section);
    Some(Provider {
        tenant: tenant.to_owned(),
        name: name.to_owned(),
        issuer: issuer?.value,
        audiences: audiences?,
        keys: keys?,
        subject: subject?,
        variables: variables?,
        quota: quota?,
    })
}

/// What an `iss`, an `aud` or the name of a claim can be. They are compared byte for byte, so nothing is made of them.
fn word(text: &str) -> Result<String, Fault> {
    if (1..=WORD).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not 1 to {WORD} printable characters without blanks")))
}

fn audiences(section: Section<'_>) -> Option<Vec<String>> {
    let node = section.need("audience")?;
    if section.is_empty_list("audience") {
        // A token that was made for another service would be believed here too.
        let fault =
            Fault::new("`audience` names nothing, and only tokens that are meant for us prove anything");
        section.notes().error(node.place, fault);
        return None;
    }
    let listed = section.one_or_more("audience");
    refuse_twice(section.notes(), "audience", listed.iter().copied());
    let read: Vec<_> = listed.iter().filter_map(|&given| section.parsed(given, word)).collect();
    (!read.is_empty() && read.len() == listed.len())
        .then(|| read.into_iter().map(|given| given.value).collect())
}

fn keys(section: Section<'_>, base: &Path) -> Option<KeySource> {
    let Some(node) = section.node("jwks") else { return Some(KeySource::Discovery) };
    if let Node { value: Value::Text(address), place } = node {
        let given = Given { value: address.as_str(), place: *place };
        return Some(KeySource::Url(url::address(section, given)?.value));
    }
    let table = Section::of(section.notes(), node, "jwks", JWKS)?;
    let file = text(section.notes(), "file", table.need("file")?)?;
    let set = section.parsed(file, |name| key_set(&base.join(name)))?;
    Some(KeySource::Inline(Arc::new(set.value)))
}

/// Reads a file of public keys now, so that a missing or broken one is found before anyone asks.
fn key_set(path: &Path) -> Result<KeySet, Fault> {
    let document = read_file(path, NOT_PRIVATE, KEY_FILE)?;
    KeySet::parse(document.expose()).map_err(|bad| Fault::new(format!("`{}`: {bad}", path.display())))
}

fn variables(section: Section<'_>) -> Option<BTreeMap<String, String>> {
    let Some(node) = section.node("variables") else { return Some(BTreeMap::new()) };
    let notes = section.notes();
    let table = Section::free(notes, node, "variables")?;
    let mut variables = BTreeMap::new();
    let mut whole = true;
    for (name, node) in table.entries() {
        whole &= section.parsed(name, variable_name).is_some();
        if name.value == SUBJECT {
            let fault = Fault::new("the variable `subject` is always the subject's own name")
                .hint("to take it from another claim: subject = \"claim\" of the provider");
            notes.error(name.place, fault);
            whole = false;
        }
        let claim = text(notes, name.value, node).and_then(|given| section.parsed(given, word));
        whole &= claim.is_some();
        variables.extend(claim.map(|claim| (name.value.to_owned(), claim.value)));
    }
    whole.then_some(variables)
}
