//! `[[endpoint]]`: the configured paths.

use super::boundary::{self, Boundaries};
use super::diagnostic::Fault;
use super::notes::{Given, Notes, Place};
use super::role::ANSWER;
use super::section::{Section, find, list, no_such};
use super::tenant::TenantEntry;
use super::{Mode, limits, url, visited};
use daypass_core::client::Refuses;
use daypass_core::endpoint::{DialectName, Endpoint, Product, Quota, Route, Shape};
use daypass_core::net::IpNet;
use daypass_core::policy::Language;
use daypass_core::role::Role;
use daypass_dialects::visit::DESK;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "dialect",
    "path",
    "tenant",
    "role",
    "origins",
    "shape",
    "quota",
    "limits",
    "caller",
    "route",
    "boundary",
    "boundary_warn",
];
/// The keys of a route.
pub(super) const ROUTE: &[&str] = &["product_code", "scene_code", "usage_scene", "role"];
/// The dialects whose paths are configured.
const CONFIGURED: &[&str] = &["tencent.getAuthorization", "alibaba.top", "alibaba.credentials"];
/// Keys that only the dialects have whose callers carry no signature.
const OF_VISITED: &[&str] = &["role", "origins", "shape", "quota", "caller"];
/// Keys that only `alibaba.top` has.
const OF_TOP: &[&str] = &["route"];
/// What a TOP request says beside product and scene: its role can depend on nothing else.
const TOP_VARIABLES: &[&str] = &["tenant_code", "poi_id"];

/// Reads every endpoint. What everyone is refused needs no warning.
pub(super) fn read(
    root: Section<'_>,
    tenants: &[TenantEntry<'_>],
    refuses: Refuses,
    proxies: &[IpNet],
    mode: Mode,
) -> Vec<Endpoint> {
    let read = |section| one(section, tenants, refuses, mode);
    let entries: Vec<_> = root.sections("endpoint", KEYS).into_iter().filter_map(read).collect();
    refuse_doubles(root.notes(), &entries);
    refuse_at_desks(root.notes(), &entries);
    visited::point_out_proxies(root.notes(), proxies, &entries);
    entries.into_iter().map(|entry| entry.value).collect()
}

/// A visitors' path belongs to one endpoint. TOP's may be shared by tenants, since its requests are signed.
fn refuse_doubles(notes: &Notes<'_>, entries: &[Given<Endpoint>]) {
    for (n, entry) in entries.iter().enumerate() {
        let (one, mut before) = (&entry.value, entries.iter().take(n));
        let shared = |other: &Endpoint| one.dialect == DialectName::AlibabaTop && other.tenant != one.tenant;
        if let Some(other) = before.find(|other| other.value.path == one.path && !shared(&other.value)) {
            let message = format!(
                "the path `{}` is already served by the endpoint on {}",
                one.path,
                notes.line(other.place)
            );
            notes.error(entry.place, Fault::new(message));
        }
    }
}

/// Where an endpoint takes tickets, what stands behind its path is where they are made.
///
/// Attack: an endpoint at that very path would be the one that answers, so that backends would send it their secrets.
fn refuse_at_desks(notes: &Notes<'_>, entries: &[Given<Endpoint>]) {
    for entry in entries {
        let page = entry.value.path.strip_suffix(DESK);
        let taken = |other: &&Given<Endpoint>| {
            other.value.ticket().is_some() && page == Some(other.value.path.as_str())
        };
        if let Some(other) = entries.iter().find(taken) {
            let message = format!(
                "at `{}` the tickets of the endpoint on {} are made",
                entry.value.path,
                notes.line(other.place)
            );
            notes.error(entry.place, Fault::new(message));
        }
    }
}

/// The endpoint with the place of its path.
fn one(
    section: Section<'_>,
    tenants: &[TenantEntry<'_>],
    refuses: Refuses,
    mode: Mode,
) -> Option<Given<Endpoint>> {
    let notes = section.notes();
    let dialect = section.need_parsed("dialect", dialect);
    let tenant =
        section.need_text("tenant").and_then(|name| find(notes, "tenant", name, tenants, |t| t.name.value));
    if let Some(name) = section.glance("dialect") {
        boundary::refuse_at(section, name.value);
    }
    let dialect = dialect?.value;
    if dialect == DialectName::AlibabaTop {
        return top(section, tenant, refuses);
    }
    misplaced(section, OF_TOP, &[DialectName::AlibabaTop]);
    visited::read(section, dialect, tenant, mode)
}

fn dialect(name: &str) -> Result<DialectName, Fault> {
    let always = |at: &str| Fault::new(format!("`{name}` needs no endpoint: it is always served, at {at}"));
    match name {
        "tencent.getAuthorization" => Ok(DialectName::TencentGetAuthorization),
        "alibaba.top" => Ok(DialectName::AlibabaTop),
        "alibaba.credentials" => Ok(DialectName::AlibabaCredentials),
        "tencent.sts" | "alibaba.sts" => Err(always("`/`")),
        "entra" => Err(always("`/{tenant}/oauth2/v2.0/token`")),
        "verify" => Err(always("`/v1/verify`")),
        _ => Err(no_such("dialect with endpoints", name, CONFIGURED)),
    }
}

fn misplaced(section: Section<'_>, keys: &[&str], dialects: &[DialectName]) {
    let names: Vec<_> = dialects.iter().map(|dialect| format!("`{dialect}`")).collect();
    for key in keys {
        if let Some(place) = section.key(key) {
            let message = format!("`{key}` belongs to an endpoint of {}", names.join(" or "));
            section.notes().error(place, Fault::new(message));
        }
    }
}

fn top(section: Section<'_>, tenant: Option<&TenantEntry<'_>>, refuses: Refuses) -> Option<Given<Endpoint>> {
    let notes = section.notes();
    misplaced(section, OF_VISITED, &[DialectName::TencentGetAuthorization, DialectName::AlibabaCredentials]);
    let path = section.need_parsed("path", top_path);
    let sections = section.sections("endpoint.route", ROUTE);
    if section.need("route").is_some() && section.is_empty_list("route") {
        notes.error(
            section.key("route").unwrap_or(section.place()),
            Fault::new("`route` lists nothing to hand out"),
        );
    }
    let routes: Vec<_> = sections.into_iter().filter_map(|route| one_route(route, tenant)).collect();
    for (n, route) in routes.iter().enumerate() {
        let mut before = routes.iter().take(n);
        if let Some(other) = before.find(|other| other.value.product == route.value.product) {
            let message =
                format!("the same product, scene and usage are already on {}", notes.line(other.place));
            notes.error(route.place, Fault::new(message));
        }
    }
    let boundaries = Boundaries::read(section, tenant.and_then(TenantEntry::account));
    boundaries.check_language(notes, (Language::Ram, "ram"), "TOP hands out Alibaba's credentials");
    let limits = limits::of_top(section);
    let path = path?;
    if !refuses.md5 {
        let fault = Fault::new(
            "`sign_method` md5 and hmac are accepted here, because vendors' SDKs send them by default",
        )
        .hint("where all clients sign with hmac-sha256: refuse = [\"md5\"] in [server]; for one: daypass client refuse");
        notes.warning(path.place, fault);
    }
    let whole = boundaries.whole;
    let (boundary, boundary_warn) = boundaries.policies();
    let endpoint = Endpoint {
        dialect: DialectName::AlibabaTop,
        path: path.value,
        tenant: tenant?.name.value.to_owned(),
        role: None,
        origins: Vec::new(),
        callers: Vec::new(),
        quota: Quota::default(),
        limits: limits?,
        shape: Shape::default(),
        routes: routes.into_iter().map(|route| route.value).collect(),
        boundary,
        boundary_warn,
    };
    whole.then_some(Given { value: endpoint, place: path.place })
}

fn top_path(path: &str) -> Result<String, Fault> {
    if path.strip_prefix("/router/").is_some_and(|rest| !rest.is_empty()) && url::is_path(path) {
        return Ok(path.to_owned());
    }
    Err(Fault::new(format!("`{path}` is not a plain path under `/router/`"))
        .hint("SDKs use \"/router/rest\""))
}

fn one_route(section: Section<'_>, tenant: Option<&TenantEntry<'_>>) -> Option<Given<Route>> {
    let notes = section.notes();
    let word = |key| {
        section.need_parsed(key, |word| match word {
            "" => Err(Fault::new(format!("`{key}` is empty"))),
            word => Ok(word.to_owned()),
        })
    };
    let (product, scene, usage) = (word("product_code"), word("scene_code"), word("usage_scene"));
    let role = section.need_text("role");
    let entry = role
        .zip(tenant)
        .and_then(|(name, tenant)| find(notes, "role", name, &tenant.roles, |r| r.name.value));
    if let Some((given, role)) = role.zip(entry.and_then(|entry| entry.role.as_ref())) {
        check_top_role(notes, given.place, role, entry.and_then(|entry| entry.language));
    }
    let product =
        Product { product_code: product?.value, scene_code: scene?.value, usage_scene: usage?.value };
    Some(Given { value: Route { product, role: role?.value.to_owned() }, place: section.place() })
}

fn check_top_role(notes: &Notes<'_>, place: Place, role: &Role, language: Option<Language>) {
    if language != Some(Language::Ram) {
        notes.error(
            place,
            Fault::new(format!(
                "`{}` has no `ram` policy, and TOP hands out Alibaba's credentials",
                role.name
            )),
        );
        return;
    }
    visited::refuse_external_id(notes, place, role);
    for name in role.variables.keys().filter(|name| !TOP_VARIABLES.contains(&name.as_str())) {
        let message =
            format!("`{}` has the variable `{name}`, which a TOP request does not carry", role.name);
        notes.error(place, Fault::new(message).hint(format!("it carries {}", list(TOP_VARIABLES))));
    }
    for field in ANSWER.iter().filter(|field| !role.answer.contains_key(**field)) {
        let message = format!("`{}` has no `{field}` in its `answer`, and clients are told none", role.name);
        notes.warning(place, Fault::new(message));
    }
}
