//! `[[tenant]]`: the isolation boundaries, with their roles.

use super::boundary::Boundaries;
use super::diagnostic::Fault;
use super::issuer::Issuers;
use super::limits;
use super::notes::Given;
use super::provider::{self, ProviderEntry};
use super::role::{self, Owner, RoleEntry};
use super::section::{Section, refuse_twice};
use daypass_core::client::Tenant;
use std::path::Path;
use uuid::Uuid;

/// The keys of the section.
pub(super) const KEYS: &[&str] =
    &["name", "guid", "account", "boundary", "boundary_warn", "limits", "provider", "role"];
/// Names that mean something else where a tenant stands in a path of Entra's.
const RESERVED: &[&str] = &["common", "organizations", "consumers"];

/// A declared tenant. It keeps its name even where something else in it is wrong, so that an endpoint that names
/// it is not blamed.
pub(super) struct TenantEntry<'a> {
    /// Its name as written.
    pub(super) name: Given<&'a str>,
    /// The tenant, if all of it was understood.
    pub(super) tenant: Option<Tenant>,
    /// The outside providers that it trusts.
    pub(super) providers: Vec<ProviderEntry<'a>>,
    /// Its roles.
    pub(super) roles: Vec<RoleEntry<'a>>,
}

impl TenantEntry<'_> {
    /// The tenant's account, where it was understood.
    pub(super) fn account(&self) -> Option<&str> {
        self.tenant.as_ref().map(|tenant| tenant.account.as_str())
    }
}

/// Reads every tenant; relative names of files start at `base`.
pub(super) fn read<'a>(root: Section<'a>, issuers: &Issuers<'_>, base: &Path) -> Vec<TenantEntry<'a>> {
    let sections = root.sections("tenant", KEYS);
    if sections.is_empty() {
        root.notes()
            .warning(root.place(), Fault::new("there is no `[[tenant]]`, and so nothing to hand out"));
    }
    let once = |what, key| refuse_twice(root.notes(), what, sections.iter().filter_map(|s| s.glance(key)));
    once("tenant", "name");
    // Two tenants of one guid or account would answer to each other's addresses and ARNs.
    once("guid", "guid");
    once("account", "account");
    sections.into_iter().filter_map(|section| one(section, issuers, base)).collect()
}

fn one<'a>(section: Section<'a>, issuers: &Issuers<'_>, base: &Path) -> Option<TenantEntry<'a>> {
    let written = section.need_text("name");
    let name = written.and_then(|given| section.parsed(given, tenant_name));
    let guid = section.need_parsed("guid", guid);
    let account = section.need_parsed("account", account);
    let owner = account.as_ref().map(|account| account.value.as_str());
    let boundaries = Boundaries::read(section, owner);
    let known = name.as_ref().map_or("", |name| &name.value);
    let providers = provider::read(section, known, base);
    let owner = Owner { tenant: known, account: owner };
    let roles = role::read(section, owner, &boundaries, issuers, &providers);
    let limits = limits::of_tenant(section);
    let whole = boundaries.whole;
    let (boundary, boundary_warn) = boundaries.policies();
    let tenant = match (name, guid, account, limits) {
        (Some(name), Some(guid), Some(account), Some(limits)) if whole => Some(Tenant {
            name: name.value,
            guid: guid.value,
            account: account.value,
            boundary,
            boundary_warn,
            limits,
        }),
        _ => None,
    };
    Some(TenantEntry { name: written?, tenant, providers, roles })
}

fn tenant_name(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=64).contains(&text.len()) || !text.bytes().all(plain) {
        return Err(Fault::new(format!("`{text}` is not 1 to 64 lower-case letters, digits and hyphens")));
    }
    if RESERVED.contains(&text) {
        return Err(Fault::new(format!("`{text}` has another meaning where a tenant stands in a path")));
    }
    Ok(text.to_owned())
}

/// Reads a GUID in its usual form.
pub(super) fn guid(text: &str) -> Result<Uuid, Fault> {
    let parsed = Uuid::try_parse(text).ok().filter(|guid| text.len() == 36 && !guid.is_nil());
    parsed.ok_or_else(|| {
        Fault::new(format!("`{text}` is not a GUID"))
            .hint("such as 387c56a8-cf86-45de-b9f5-b4de88cac054; `uuidgen` makes one")
    })
}

fn account(text: &str) -> Result<String, Fault> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not an account of 12 digits")))
}
