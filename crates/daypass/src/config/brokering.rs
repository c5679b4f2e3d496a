//! What a role says about its upstream issuer, and whether that cloud can do what the role promises.

use super::diagnostic::Fault;
use super::duration::{self, show};
use super::issuer::{Issuers, LOCAL};
use super::notes::{Notes, Place};
use super::section::Section;
use super::tenant::TenantEntry;
use super::tree::Value;
use daypass_core::limits::LONGEST_LIFE;
use daypass_core::policy::Language;
use daypass_core::role::Role;
use daypass_core::triple::TripleKind;
use daypass_core::upstream::{Brokering, Capabilities, Cloud, Upstream};

/// The keys of the table `upstream` of a role.
pub(super) const KEYS: &[&str] = &["assume", "scope", "shared", "min_remaining"];
/// Keys of a role that say what Daypass puts into tokens that it signs itself.
const OF_OUR_TOKENS: &[&str] = &["algorithm", "version", "profile", "claims"];

/// Reads `upstream = { … }`.
pub(super) fn read(role: Section<'_>, upstream: Option<&Upstream>) -> Option<Brokering> {
    let Some(node) = role.node("upstream") else { return Some(Brokering::default()) };
    let notes = role.notes();
    let section = Section::of(notes, node, "upstream", KEYS)?;
    if upstream.is_none() && role.glance("issuer").is_none_or(|name| name.value == LOCAL) {
        let message =
            "`upstream` belongs to a role whose `issuer` is a cloud; this one is made by Daypass itself";
        notes.error(role.key("upstream").unwrap_or(node.place), Fault::new(message));
        return None;
    }
    let assume = optional(section, "assume", arn);
    let scope = optional(section, "scope", scope);
    let shared = match section.node("shared").map(|node| (&node.value, node.place)) {
        None => Some(false),
        Some((Value::Flag(value), _)) => Some(*value),
        Some((other, place)) => {
            notes
                .error(place, Fault::new(format!("`shared` must be true or false, and is {}", other.kind())));
            None
        }
    };
    let min_remaining = match section.node("min_remaining") {
        None => Some(None),
        Some(_) => duration::seconds(section, "min_remaining", 0, 0..=LONGEST_LIFE).map(Some),
    };
    Some(Brokering {
        assume: assume.ok()?,
        scope: scope.ok()?,
        shared: shared?,
        min_remaining: min_remaining?,
    })
}

/// What is wrong has been noted already.
struct Noted;

/// A key that need not be there.
fn optional(
    section: Section<'_>,
    key: &str,
    read: fn(&str) -> Result<String, Fault>,
) -> Result<Option<String>, Noted> {
    match section.node(key) {
        None => Ok(None),
        Some(_) => section.need_parsed(key, read).map(|given| Some(given.value)).ok_or(Noted),
    }
}

fn arn(text: &str) -> Result<String, Fault> {
    let known = text.starts_with("qcs::cam::") || text.starts_with("acs:ram::");
    if known && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not the ARN of a role")).hint(
        "qcs::cam::uin/UIN:roleName/NAME at Tencent Cloud, acs:ram::ACCOUNT:role/NAME at Alibaba Cloud",
    ))
}

fn scope(text: &str) -> Result<String, Fault> {
    if (1..=1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Ok(text.to_owned());
    }
    Err(Fault::new("a scope is 1 to 1024 printable characters"))
}

/// Whether the cloud can make what the role promises.
pub(super) fn check(section: Section<'_>, role: &Role, upstream: &Upstream) {
    let can = upstream.cloud.capabilities(&role.brokering);
    let at = |key: &str| section.key(key).unwrap_or(section.place());
    match (&role.policy, can.triple) {
        (Some(policy), Some(triple)) if triple.language() != policy.language() => {
            let message = format!(
                "the issuer `{}` takes policies in the language `{}`, and this is the other one",
                upstream.name,
                key_of(triple.language())
            );
            section.notes().error(at("policy"), Fault::new(message));
        }
        (Some(_), None) => {
            let message =
                format!("the issuer `{}` gives access tokens and no signing credentials", upstream.name);
            section.notes().error(at("policy"), Fault::new(message));
        }
        (None, Some(_)) => {
            let message =
                format!("the issuer `{}` gives signing credentials and no access tokens", upstream.name);
            section.notes().error(at("audience"), Fault::new(message));
        }
        _ => {}
    }
    check_assume(section, role, upstream, at("upstream"));
    check_life(section, role, upstream, can);
    if role.audience.is_some() {
        for key in OF_OUR_TOKENS {
            if let Some(place) = section.key(key) {
                let message =
                    format!("`{key}` is of tokens that Daypass signs; `{}` makes these", upstream.name);
                section.notes().error(place, Fault::new(message));
            }
        }
    }
}

fn key_of(language: Language) -> &'static str {
    match language {
        Language::Cam => "cam",
        Language::Ram => "ram",
    }
}

fn check_assume(section: Section<'_>, role: &Role, upstream: &Upstream, place: Place) {
    let prefix = match upstream.cloud {
        Cloud::Tencent { .. } => Some("qcs::cam::"),
        Cloud::Alibaba => Some("acs:ram::"),
        Cloud::Top | Cloud::Entra { .. } | Cloud::OAuth(_) => None,
    };
    let notes = section.notes();
    match (&role.brokering.assume, prefix) {
        (Some(arn), Some(prefix)) if !arn.starts_with(prefix) => {
            notes.error(
                place,
                Fault::new(format!("`assume` is a role of another cloud than `{}`", upstream.name)),
            );
        }
        (Some(_), None) => {
            let message = format!("an issuer of kind `{}` takes no role", upstream.cloud.name());
            notes.error(place, Fault::new(message));
        }
        (None, _) if upstream.cloud == Cloud::Alibaba => {
            let fault = Fault::new(
                "Alibaba Cloud gives temporary credentials of a RAM role only, and the role names none",
            );
            notes.error(place, fault.hint("upstream = { assume = \"acs:ram::ACCOUNT:role/NAME\" }"));
        }
        _ => {}
    }
}

fn check_life(section: Section<'_>, role: &Role, upstream: &Upstream, can: Capabilities) {
    let notes = section.notes();
    let place = section.key("lifetime").unwrap_or(section.place());
    let life = role.lifetime;
    if can.asks_lifetime && life.max > can.max_lifetime {
        let message = format!(
            "the role gives up to {}, and `{}` at most {}",
            show(life.max),
            upstream.name,
            show(can.max_lifetime)
        );
        let longest = format!("max = \"{}\"", show(can.max_lifetime));
        let hint = match (can.triple, &role.brokering.assume) {
            (Some(TripleKind::Tencent), None) => {
                format!("{longest}, or take a role by `assume`, which lives longer")
            }
            _ => longest,
        };
        notes.error(place, Fault::new(message).hint(hint));
    }
    if can.asks_lifetime && life.default < can.min_lifetime {
        let (given, least) = (show(life.default), show(can.min_lifetime));
        let message = format!("the role gives {given}, and `{}` no less than {least}", upstream.name);
        notes.error(place, Fault::new(message).hint(format!("default = \"{least}\"")));
    }
    let spare = role.brokering.min_remaining(life.default);
    if spare >= life.default {
        let message = format!(
            "with `min_remaining` of {}, no credential of {} could ever be handed out twice",
            show(spare),
            show(life.default)
        );
        notes.error(section.key("upstream").unwrap_or(place), Fault::new(message));
    }
}

/// Visitors whom nobody knows cannot be told apart, so that a cloud's credential for one of them is one for all.
pub(super) fn point_out_shared(notes: &Notes<'_>, place: Place, role: &Role) {
    if role.issuer != LOCAL && !role.brokering.shared {
        let message = format!(
            "visitors whom nobody knows get one credential of `{}` between them, and `{}` does not say that it is shared",
            role.issuer, role.name
        );
        let fault = Fault::new(message);
        notes
            .warning(place, fault.hint("upstream = { shared = true } in the role, or a caller who is known"));
    }
}

/// Where each new token kills the one before, there is one for everyone who asks the issuer: two scopes of it cannot be.
pub(super) fn agree(notes: &Notes<'_>, tenants: &[TenantEntry<'_>], issuers: &Issuers<'_>) {
    let roles = || tenants.iter().flat_map(|tenant| &tenant.roles);
    for (n, entry) in roles().enumerate() {
        let Some(role) = entry.role.as_ref().filter(|role| issuers.has_one_live(&role.issuer)) else {
            continue;
        };
        let other = |one: &Role| one.issuer == role.issuer && one.brokering.scope != role.brokering.scope;
        let earlier = roles().take(n).filter_map(|entry| entry.role.as_ref()).find(|one| other(one));
        if let Some(earlier) = earlier {
            let message = format!(
                "`{}` has one live token for everyone, and `{}` asks for another scope of it than `{}`",
                role.issuer, role.name, earlier.name
            );
            notes.error(entry.name.place, Fault::new(message));
        }
    }
}
