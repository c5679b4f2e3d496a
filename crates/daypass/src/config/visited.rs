//! An `[[endpoint]]` whose callers carry no signature: `tencent.getAuthorization` and `alibaba.credentials`.

use super::boundary::Boundaries;
use super::brokering;
use super::diagnostic::Fault;
use super::duration::show;
use super::notes::{Given, Notes, Place};
use super::role::RoleEntry;
use super::section::{Section, find, list, no_such};
use super::tenant::{TenantEntry, guid};
use super::{Mode, caller, lifetime, limits, quota, trust, url};
use daypass_core::endpoint::{CallerRule, DialectName, Endpoint, Shape, Whence};
use daypass_core::net::IpNet;
use daypass_core::policy::Language;
use daypass_core::role::Role;
use daypass_dialects::explain::wire::PATH as EXPLAIN;
use daypass_dialects::verify::wire::PATH as VERIFY;

/// What a dialect can say, and of whose credentials.
struct Speech {
    /// The shapes of answers, the standard one first.
    shapes: &'static [(&'static str, Shape)],
    /// What the policies of its roles are written in, with the key in the file.
    language: (Language, &'static str),
    /// Why, for messages.
    because: &'static str,
}

const TENCENT: Speech = Speech {
    shapes: &[("tencent", Shape::Tencent), ("cos", Shape::Cos)],
    language: (Language::Cam, "cam"),
    because: "browsers get Tencent's credentials",
};
const ALIBABA: Speech = Speech {
    shapes: &[("credentials_uri", Shape::CredentialsUri), ("oss_mobile", Shape::OssMobile)],
    language: (Language::Ram, "ram"),
    because: "this URL gives Alibaba's credentials",
};
/// The bounds that anonymous use must have, by their names in `quota` and in `limits`.
const ANONYMOUS_QUOTAS: &[(&str, &str)] = &[("address", "network"), ("endpoint", "endpoint")];
/// First parts of paths that belong to something else.
const RESERVED_FIRST: &[&str] = &["router", "common", "error", "livez", "readyz", ".well-known"];
/// Second parts of paths that make them Entra's, whatever the tenant before them.
const RESERVED_SECOND: &[&str] = &["oauth2", "v2.0", "discovery", ".well-known"];

/// Reads the endpoint, with the place of its path.
pub(super) fn read(
    section: Section<'_>,
    dialect: DialectName,
    tenant: Option<&TenantEntry<'_>>,
    mode: Mode,
) -> Option<Given<Endpoint>> {
    let notes = section.notes();
    let speech = if dialect == DialectName::AlibabaCredentials { ALIBABA } else { TENCENT };
    let path = section.need_parsed("path", path);
    let role = section.need_text("role");
    let entry = role
        .zip(tenant)
        .and_then(|(name, tenant)| find(notes, "role", name, &tenant.roles, |r| r.name.value));
    let callers = caller::read(section, dialect, tenant, mode);
    let limits = limits::of_endpoint(section);
    let quota = quota::read(section, mode, limits.as_ref());
    let shape = shape(section, speech.shapes);
    let origins = origins(section, callers.as_deref());
    let boundaries = Boundaries::read(section, tenant.and_then(TenantEntry::account));
    boundaries.check_language(notes, speech.language, speech.because);
    if let (Some(given), Some(entry)) = (role, entry) {
        check_role(notes, given.place, entry, &speech);
        if let (Some(role), Some(callers), Some(tenant)) = (&entry.role, &callers, tenant) {
            let place = Given { value: role, place: given.place };
            check_variables(section, place, callers, tenant);
            check_lifetime(notes, place, shape, !origins.is_empty());
            if let Some(whence) = callers.iter().find_map(CallerRule::whence)
                && mode == Mode::Production
            {
                check_anonymous(section, place, whence);
                brokering::point_out_shared(notes, place.place, role);
            }
        }
    }
    let whole = boundaries.whole;
    let (boundary, boundary_warn) = boundaries.policies();
    let path = path?;
    let endpoint = Endpoint {
        dialect,
        path: path.value,
        tenant: tenant?.name.value.to_owned(),
        role: Some(role?.value.to_owned()),
        origins,
        callers: callers?,
        quota: quota?,
        limits: limits?,
        shape: shape?,
        routes: Vec::new(),
        boundary,
        boundary_warn,
    };
    whole.then_some(Given { value: endpoint, place: path.place })
}

pub(super) fn path(path: &str) -> Result<String, Fault> {
    if path.is_empty() || path == "/" || !url::is_path(path) {
        return Err(Fault::new(format!("`{path}` is not a plain path")).hint("such as \"/getAuthorization\""));
    }
    let mut parts = path.split('/').skip(1).map(str::to_ascii_lowercase);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if RESERVED_FIRST.contains(&first.as_str())
        || RESERVED_SECOND.contains(&second.as_str())
        || guid(&first).is_ok()
        || path.eq_ignore_ascii_case(VERIFY)
        || path.to_ascii_lowercase().starts_with(EXPLAIN)
    {
        return Err(Fault::new(format!("`{path}` belongs to another part of the service")));
    }
    Ok(path.to_owned())
}

fn shape(section: Section<'_>, shapes: &[(&str, Shape)]) -> Option<Shape> {
    if section.key("shape").is_none() {
        return shapes.first().map(|(_, shape)| *shape);
    }
    let named = |name: &str| {
        let found = shapes.iter().find(|(one, _)| *one == name);
        let names = || shapes.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        found.map(|(_, shape)| *shape).ok_or_else(|| no_such("shape of answers", name, &names()))
    };
    section.need_parsed("shape", named).map(|shape| shape.value)
}

/// The pages that may come. Sessions and JWTs may also come from apps and servers, which have no origin, so that an
/// endpoint that knows its callers by them alone need not list any; tickets and anonymous use belong to pages, but for
/// that of a network.
fn origins(section: Section<'_>, callers: Option<&[CallerRule]>) -> Vec<String> {
    let notes = section.notes();
    let listed = section.texts("origins");
    let origins: Vec<_> = listed.iter().filter_map(|&origin| section.parsed(origin, url::origin)).collect();
    let of_pages = |rule: &CallerRule| match rule {
        CallerRule::Ticket(_) => true,
        CallerRule::Anonymous { whence, .. } => !matches!(whence, Whence::Networks(_)),
        CallerRule::Session(_) | CallerRule::Jwt(_) => false,
    };
    if section.is_empty_list("origins") {
        let fault =
            Fault::new("`origins` lists no page that may come here").hint("[\"https://lesson.example.com\"]");
        notes.error(section.key("origins").unwrap_or(section.place()), fault);
    } else if callers.map_or(!says_networks(section), |callers| callers.iter().any(of_pages)) {
        section.need("origins");
    }
    origins.into_iter().map(|origin| origin.value).collect()
}

/// Whether the callers are those of networks, as far as can be told where something is wrong with them.
fn says_networks(section: Section<'_>) -> bool {
    let anonymous = section.table("caller").and_then(|caller| caller.table("anonymous"));
    anonymous.is_some_and(|anonymous| anonymous.key("networks").is_some())
}

/// A visitor says nothing about what it wants, and gets the credentials of the dialect's vendor.
fn check_role(notes: &Notes<'_>, place: Place, entry: &RoleEntry<'_>, speech: &Speech) {
    let Some(role) = &entry.role else { return };
    let (language, key) = speech.language;
    if entry.language != Some(language) {
        let message = format!("`{}` has no `{key}` policy, and {}", role.name, speech.because);
        notes.error(place, Fault::new(message));
        return;
    }
    refuse_external_id(notes, place, role);
}

/// A credential is best short in a page, and must not be too short for an SDK that renews it in good time.
fn check_lifetime(
    notes: &Notes<'_>,
    Given { value: role, place }: Given<&Role>,
    shape: Option<Shape>,
    pages: bool,
) {
    if shape == Some(Shape::CredentialsUri) && role.lifetime.default <= lifetime::STALE {
        let message = format!(
            "alibabacloud-credentials asks again when {} are left of a credential, and `{}` gives {}: it would ask \
             before each of its requests",
            show(lifetime::STALE),
            role.name,
            show(role.lifetime.default)
        );
        notes.warning(place, Fault::new(message));
    }
    let of_pages = pages || matches!(shape, Some(Shape::Tencent | Shape::Cos));
    if of_pages && role.lifetime.default > lifetime::BROWSER {
        let message = format!(
            "credentials in a browser should live at most {}, and `{}` gives {}",
            show(lifetime::BROWSER),
            role.name,
            show(role.lifetime.default)
        );
        notes.warning(place, Fault::new(message));
    }
}

/// Only AssumeRole carries an external id, so that a role that asks for one could never be given at an endpoint.
pub(super) fn refuse_external_id(notes: &Notes<'_>, place: Place, role: &Role) {
    if role.external_id.is_some() {
        let message = format!("`{}` needs an `external_id`, which only AssumeRole carries", role.name);
        notes.error(place, Fault::new(message).hint("a role of its own for this endpoint"));
    }
}

/// The role's variables must come from somewhere. What a session or a ticket says is known only when it comes.
fn check_variables(
    section: Section<'_>,
    role: Given<&Role>,
    callers: &[CallerRule],
    tenant: &TenantEntry<'_>,
) {
    let notes = section.notes();
    if callers.iter().any(|rule| rule.whence().is_some()) && !role.value.variables.is_empty() {
        let names: Vec<_> = role.value.variables.keys().map(String::as_str).collect();
        let message = format!(
            "`{}` has variables, and of anonymous callers nothing is known to fill them with",
            role.value.name
        );
        notes.error(role.place, Fault::new(message).hint(format!("its variables are {}", list(&names))));
    }
    let jwt = section.table("caller").and_then(|caller| caller.table("jwt"));
    let Some((jwt, name)) = jwt.and_then(|jwt| Some((jwt, jwt.glance("provider")?))) else { return };
    let entry = tenant.providers.iter().find(|entry| entry.name.value == name.value);
    if let Some(provider) = entry.and_then(|entry| entry.provider.as_ref()) {
        trust::check_mapping(jwt, name, provider, role.value.variables.keys());
    }
}

/// Points out a proxy that stands in a network whose members are served as they are.
///
/// Attack: not every proxy says that it passes a request on, and such a one makes of everyone whom it serves a member.
pub(super) fn point_out_proxies(notes: &Notes<'_>, proxies: &[IpNet], endpoints: &[Given<Endpoint>]) {
    for Given { value: endpoint, place } in endpoints {
        let Some(Whence::Networks(networks)) = endpoint.anonymous() else { continue };
        if let Some(proxy) = proxies.iter().find(|proxy| networks.iter().any(|net| net.overlaps(proxy))) {
            let message = format!(
                "the proxy {proxy} of `behind_proxy` stands in a network that `{}` serves without a proof: were it to \
                 pass this path on and leave out X-Forwarded-For, everyone would be served",
                endpoint.path
            );
            let hint = "let the proxy refuse this path, or name networks without it";
            notes.warning(*place, Fault::new(message).hint(hint));
        }
    }
}

/// What anyone may have must be little, short and rationed.
fn check_anonymous(section: Section<'_>, role: Given<&Role>, whence: &Whence) {
    let notes = section.notes();
    let place = section.table("caller").and_then(|caller| caller.key("anonymous")).unwrap_or(section.place());
    let (whose, longest, hint) = match whence {
        Whence::Networks(_) => {
            ("anyone in a network", lifetime::NEARBY, "{ default = \"1h\", max = \"1h\" }")
        }
        Whence::Anywhere | Whence::Pages => {
            ("anyone", lifetime::ANONYMOUS, "{ default = \"10m\", max = \"15m\" }")
        }
    };
    if role.value.lifetime.max > longest {
        let message = format!(
            "credentials that {whose} may have live at most {}, and `{}` gives up to {}",
            show(longest),
            role.value.name,
            show(role.value.lifetime.max)
        );
        notes.error(role.place, Fault::new(message).hint(format!("lifetime = {hint}")));
    }
    let said = |(key, word): &&(&str, &str)| quota::says(section, key) || limits::says_rate(section, word);
    let missing: Vec<_> = ANONYMOUS_QUOTAS.iter().filter(|pair| !said(pair)).map(|(key, _)| *key).collect();
    if !missing.is_empty() {
        let hint = "quota = { address = 60, endpoint = 6000 }: credentials a minute for one source network (/24 of \
                    IPv4, /48 of IPv6), and for all together";
        let message =
            format!("anonymous use must be rationed outside `daypass dev`: `quota` lacks {}", list(&missing));
        notes.error(place, Fault::new(message).hint(hint));
    }
}
