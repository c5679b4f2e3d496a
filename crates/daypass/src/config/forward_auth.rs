//! `[[forward_auth]]`: where reverse proxies ask about the requests to an API, and what each request takes.

use super::diagnostic::Fault;
use super::notes::{Given, Notes, Place};
use super::section::{Section, find, list, no_such};
use super::tenant::TenantEntry;
use super::visited;
use daypass_core::endpoint::Endpoint;
use daypass_core::forward::{ForwardAuth, METHODS, Pattern, Proxy, Rule, Shows, Target};
use daypass_core::verification::Wanted;
use daypass_dialects::explain::wire::PATH as EXPLAIN;
use daypass_dialects::verify::wire::PATH as VERIFY;
use daypass_dialects::visit::DESK;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["path", "tenant", "proxy", "scheme", "hosts", "rule"];
/// The keys of a rule.
pub(super) const RULE: &[&str] = &["methods", "path", "action", "resource"];

/// Reads every section.
pub(super) fn read(
    root: Section<'_>,
    tenants: &[TenantEntry<'_>],
    endpoints: &[Endpoint],
) -> Vec<ForwardAuth> {
    let sections = root.sections("forward_auth", KEYS);
    let entries: Vec<_> = sections.into_iter().filter_map(|section| one(section, tenants)).collect();
    refuse_doubles(root.notes(), &entries, endpoints);
    entries.into_iter().map(|entry| entry.value).collect()
}

fn one(section: Section<'_>, tenants: &[TenantEntry<'_>]) -> Option<Given<ForwardAuth>> {
    let notes = section.notes();
    let path = section.need_parsed("path", visited::path);
    let tenant =
        section.need_text("tenant").and_then(|name| find(notes, "tenant", name, tenants, |t| t.name.value));
    let proxy =
        section.need_parsed("proxy", |name| named("proxy", name, Proxy::named, &Proxy::ALL.map(Proxy::name)));
    let shows = match section.text("scheme") {
        None => Some(Shows::AccessToken),
        Some(given) => section.parsed(given, scheme).map(|shows| shows.value),
    };
    let hosts = hosts(section);
    let entries = rules(section, shows);
    if let (Some(tenant), Some(Shows::AccessToken)) = (tenant, shows) {
        point_out_unknown_roles(notes, tenant, &entries);
    }
    let (places, rules): (Vec<_>, Vec<_>) =
        entries.into_iter().map(|entry| (entry.place, entry.value)).unzip();
    let path = path?;
    let names = (path.value, tenant?.name.value.to_owned());
    match ForwardAuth::new(names, proxy?.value, shows?, hosts?, rules) {
        Ok(forward) => {
            refuse_above(notes, &forward, path.place);
            Some(Given { value: forward, place: path.place })
        }
        Err(conflict) => {
            let (one, other) = conflict.rules();
            let place = |n: usize| places.get(n).copied().unwrap_or(section.place());
            let hint = format!("the other one is on {}", notes.line(place(other)));
            notes.error(place(one), Fault::new(conflict.to_string()).hint(hint));
            None
        }
    }
}

/// What is below Envoy's path is Envoy's, and the questions of APIs and callers have paths of their own.
fn refuse_above(notes: &Notes<'_>, forward: &ForwardAuth, place: Place) {
    if let Some(own) = [VERIFY, EXPLAIN].into_iter().find(|own| forward.answers(own)) {
        let fault =
            Fault::new(format!("`{}` would take the place of `{own}`, which is below it", forward.path));
        notes.error(place, fault.hint("such as \"/v1/forward-auth\""));
    }
}

fn named<T>(what: &str, name: &str, find: impl Fn(&str) -> Option<T>, names: &[&str]) -> Result<T, Fault> {
    find(name).ok_or_else(|| no_such(what, name, names))
}

/// How requests prove their sender. Of the ways of `/v1/verify` only those that a proxy can pass on.
fn scheme(name: &str) -> Result<Shows, Fault> {
    const SIGNED: [&str; 5] = ["tencent.tc3", "tencent.v1", "alibaba.acs3", "alibaba.rpc", "alibaba.top"];
    if SIGNED.contains(&name) {
        return Err(Fault::new(format!("`{name}` signs the body, which no proxy sends along"))
            .hint("let the API itself ask POST /v1/verify"));
    }
    named("scheme", name, Shows::named, &Shows::ALL.map(Shows::name))
}

/// The names of the API. A request to any other one is refused.
fn hosts(section: Section<'_>) -> Option<Vec<String>> {
    section.need("hosts")?;
    let name = |text: &str| {
        let plain = Target::read(text, "/").is_ok_and(|target| target.host() == text);
        if plain {
            Ok(text.to_owned())
        } else {
            Err(Fault::new(format!("`{text}` is not a host in lower case, without a port")))
        }
    };
    let given = section.texts("hosts");
    let hosts: Vec<_> =
        given.iter().filter_map(|&host| section.parsed(host, name)).map(|host| host.value).collect();
    if section.is_empty_list("hosts") {
        let fault = Fault::new("`hosts` names no host of the API").hint("[\"api.example.com\"]");
        section.notes().error(section.key("hosts").unwrap_or(section.place()), fault);
    }
    (hosts.len() == given.len() && !hosts.is_empty()).then_some(hosts)
}

fn rules(section: Section<'_>, shows: Option<Shows>) -> Vec<Given<Rule>> {
    let sections = section.sections("forward_auth.rule", RULE);
    if section.need("rule").is_some() && section.is_empty_list("rule") {
        let fault = Fault::new("`rule` lists nothing, and so nothing would be let through");
        section.notes().error(section.key("rule").unwrap_or(section.place()), fault);
    }
    sections.into_iter().filter_map(|rule| one_rule(rule, shows)).collect()
}

fn one_rule(section: Section<'_>, shows: Option<Shows>) -> Option<Given<Rule>> {
    let method = |text: &str| {
        let known = METHODS.contains(&text);
        if known { Ok(text.to_owned()) } else { Err(no_such("method", text, &METHODS)) }
    };
    section.need("methods");
    let given = section.texts("methods");
    let methods: Vec<_> =
        given.iter().filter_map(|&one| section.parsed(one, method)).map(|one| one.value).collect();
    if section.is_empty_list("methods") {
        let fault = Fault::new("`methods` is empty").hint(format!("of {}", list(&METHODS)));
        section.notes().error(section.key("methods").unwrap_or(section.place()), fault);
    }
    let pattern = section.need_parsed("path", |text| {
        text.parse::<Pattern>().map_err(|bad| Fault::new(format!("`{text}`: {bad}")))
    });
    let wanted = wanted(section, shows);
    let whole = methods.len() == given.len() && !methods.is_empty();
    let rule = Rule { methods, pattern: pattern?.value, wanted: wanted? };
    whole.then_some(Given { value: rule, place: section.place() })
}

/// The app role, or the action in the words of the policies.
fn wanted(section: Section<'_>, shows: Option<Shows>) -> Option<Wanted> {
    let action = section.need_parsed("action", |text| {
        let of_service = Wanted { action: text.to_owned(), resource: String::new() };
        match shows {
            _ if text.is_empty() => Err(Fault::new("`action` is empty")),
            Some(Shows::SoeSignature) if of_service.service().is_none() => {
                Err(Fault::new(format!("`{text}` is not one action of a service"))
                    .hint("such as \"soe:TransmitOralProcessWithInit\""))
            }
            _ => Ok(text.to_owned()),
        }
    })?;
    let resource = match section.text("resource") {
        None => "*".to_owned(),
        Some(given) if shows == Some(Shows::AccessToken) => {
            section.notes().error(
                given.place,
                Fault::new("an access token's app roles are for no resource; leave it out"),
            );
            return None;
        }
        Some(given) => {
            let fault = || Err(Fault::new("`resource` is empty"));
            section.parsed(given, |text| if text.is_empty() { fault() } else { Ok(text.to_owned()) })?.value
        }
    };
    Some(Wanted { action: action.value, resource })
}

/// An app role that no role hands out is in no token: the rule would let nobody through.
fn point_out_unknown_roles(notes: &Notes<'_>, tenant: &TenantEntry<'_>, rules: &[Given<Rule>]) {
    let given = || tenant.roles.iter().filter_map(|entry| entry.role.as_ref());
    // Where a role was not understood, nobody can tell what it hands out.
    if tenant.roles.iter().any(|entry| entry.role.is_none()) {
        return;
    }
    for Given { value: rule, place } in rules {
        let action = &rule.wanted.action;
        if !given().any(|role| role.app_roles.contains(action)) {
            let message = format!(
                "no role of `{}` hands out the app role `{action}`, and so nobody has it",
                tenant.name.value
            );
            notes.warning(*place, Fault::new(message));
        }
    }
}

/// A path belongs to one of them, and for Envoy all that begins with it does.
fn refuse_doubles(notes: &Notes<'_>, entries: &[Given<ForwardAuth>], endpoints: &[Endpoint]) {
    let clash = |one: &ForwardAuth, path: &str| one.answers(path) || one.path == path;
    for (n, Given { value: one, place }) in entries.iter().enumerate() {
        let other =
            |other: &&Given<ForwardAuth>| clash(one, &other.value.path) || clash(&other.value, &one.path);
        if let Some(other) = entries.iter().take(n).find(other) {
            let message = format!(
                "the path `{}` is already served by the section on {}",
                one.path,
                notes.line(other.place)
            );
            notes.error(*place, Fault::new(message));
        }
        // Attack: where the tickets of an endpoint are made, backends show their secrets.
        let taken = |endpoint: &&Endpoint| {
            clash(one, &endpoint.path) || one.answers(&format!("{}{DESK}", endpoint.path))
        };
        if let Some(endpoint) = endpoints.iter().find(taken) {
            let message =
                format!("`{}` would take the place of the endpoint at `{}`", one.path, endpoint.path);
            notes.error(*place, Fault::new(message));
        }
    }
}
