//! `[endpoint.caller]`: the ways in which those who come to an endpoint without signatures are known.

use super::Mode;
use super::diagnostic::Fault;
use super::duration;
use super::notes::{Given, Place};
use super::section::{Section, find, list};
use super::tenant::TenantEntry;
use super::{server, url};
use daypass_core::endpoint::{CallerRule, Carrier, DialectName, JwtRule, SessionRule, TicketRule, Whence};
use daypass_core::net::IpNet;

/// The ways in which a caller can be known.
pub(super) const KEYS: &[&str] = &["session", "ticket", "jwt", "anonymous"];
/// The keys of `session`.
pub(super) const SESSION: &[&str] = &["cookie", "header", "whoami", "timeout", "cache"];
/// The keys of `ticket`.
pub(super) const TICKET: &[&str] = &["refreshes", "refresh_for"];
/// The keys of `jwt`.
pub(super) const JWT: &[&str] = &["provider"];
/// The keys of `anonymous`.
pub(super) const ANONYMOUS: &[&str] = &["reason", "networks"];

/// How long an application may take to say whose a session is, in milliseconds: the standard and the bounds. Who asks
/// waits for it, with everyone who shows the same session.
const TIMEOUT: u32 = 2_000;
const TIMEOUTS: std::ops::RangeInclusive<u32> = 50..=10_000;
/// How long its answer is believed, in seconds. A session that the application ends lives on here for as long.
const CACHE: u32 = 5;
const CACHES: std::ops::RangeInclusive<u32> = 0..=60;
/// The most further credentials of one ticket.
const REFRESHES: i64 = 1000;
/// The longest that one ticket carries, in seconds: a day. Past it someone has to sign in again.
const REFRESH_FOR: std::ops::RangeInclusive<u32> = 0..=24 * 3600;

/// Headers that mean something else, or that browsers and proxies set themselves, so that a session in one would be
/// taken from requests that never meant to show it.
const TAKEN_HEADERS: &[&str] = &[
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
/// How names of headers begin that are taken as a whole.
const TAKEN_PREFIXES: &[&str] = &["access-control-", "proxy-", "sec-", "x-forwarded-"];

/// Reads the ways. Without one an endpoint would hand credentials to whoever finds it, so there must be one.
pub(super) fn read(
    endpoint: Section<'_>,
    dialect: DialectName,
    tenant: Option<&TenantEntry<'_>>,
    mode: Mode,
) -> Option<Vec<CallerRule>> {
    let notes = endpoint.notes();
    if endpoint.key("caller").is_none() {
        let fault = Fault::new("the endpoint does not say who may come to it: `caller` is missing")
            .hint("caller = { session = { cookie = \"sid\", whoami = \"http://127.0.0.1:8000/whoami\" } }");
        notes.error(endpoint.place(), fault);
        return None;
    }
    let section = endpoint.section("caller", KEYS)?;
    let given = KEYS.iter().filter(|key| section.key(key).is_some()).count();
    if given == 0 {
        let fault = Fault::new("`caller` names no way of knowing a caller");
        notes.error(section.place(), fault.hint(format!("the ways are {}", list(KEYS))));
    }
    let rules: Vec<_> = [
        section.section("session", SESSION).and_then(session),
        section.section("ticket", TICKET).and_then(ticket),
        section.section("jwt", JWT).and_then(|section| jwt(section, tenant)),
        section.section("anonymous", ANONYMOUS).and_then(|section| anonymous(section, dialect, mode)),
    ]
    .into_iter()
    .flatten()
    .collect();
    (given > 0 && rules.len() == given).then_some(rules)
}

fn session(section: Section<'_>) -> Option<CallerRule> {
    let carrier = match (section.text("cookie"), section.text("header")) {
        (Some(cookie), None) if section.key("header").is_none() => {
            section.parsed(cookie, token).map(|name| Carrier::Cookie(name.value))
        }
        (None, Some(name)) if section.key("cookie").is_none() => {
            section.parsed(name, header).map(|name| Carrier::Header(name.value))
        }
        (None, None) if section.key("cookie").is_some() != section.key("header").is_some() => None,
        _ => {
            let fault = Fault::new("`session` needs exactly one of `cookie` and `header`");
            section.notes().error(section.place(), fault.hint("where the application's own session stands"));
            None
        }
    };
    let whoami = section.need_text("whoami").and_then(|given| url::address(section, given));
    let timeout_ms = duration::milliseconds(section, "timeout", TIMEOUT, TIMEOUTS);
    let cache = duration::seconds(section, "cache", CACHE, CACHES);
    Some(CallerRule::Session(SessionRule {
        carrier: carrier?,
        whoami: whoami?.value,
        timeout_ms: timeout_ms?,
        cache: cache?,
    }))
}

/// A name of a cookie or header (RFC 9110, `token`).
fn token(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=128).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not a name of letters, digits, hyphens and underscores")))
}

/// The name of a header that means nothing to anyone but those who agreed on it, in lower case.
pub(super) fn header(text: &str) -> Result<String, Fault> {
    let name = token(text)?.to_ascii_lowercase();
    if TAKEN_HEADERS.contains(&name.as_str()) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    {
        let fault = Fault::new(format!("the header `{name}` has a meaning of its own"));
        return Err(fault.hint("a header of the application's, such as \"x-session\""));
    }
    Ok(name)
}

fn ticket(section: Section<'_>) -> Option<CallerRule> {
    let notes = section.notes();
    let refreshes = match section.whole("refreshes") {
        Some(Given { value, .. }) if (0..=REFRESHES).contains(&value) => u32::try_from(value).ok(),
        Some(Given { place, .. }) => {
            notes.error(place, Fault::new(format!("a ticket can be refreshed 0 to {REFRESHES} times")));
            None
        }
        None if section.key("refreshes").is_some() => None,
        None => Some(0),
    };
    let refresh_for = duration::seconds(section, "refresh_for", 0, REFRESH_FOR);
    let (refreshes, refresh_for) = (refreshes?, refresh_for?);
    if (refreshes == 0) != (refresh_for == 0) {
        let fault = Fault::new("a ticket that can be refreshed needs both `refreshes` and `refresh_for`")
            .hint(
                "refreshes = 24, refresh_for = \"8h\"; or neither, and a ticket is good for one credential",
            );
        notes.error(section.place(), fault);
        return None;
    }
    Some(CallerRule::Ticket(TicketRule { refreshes, refresh_for }))
}

fn jwt(section: Section<'_>, tenant: Option<&TenantEntry<'_>>) -> Option<CallerRule> {
    let name = section.need_text("provider")?;
    let providers = &tenant?.providers;
    find(section.notes(), "provider", name, providers, |entry| entry.name.value)?;
    Some(CallerRule::Jwt(JwtRule { provider: name.value.to_owned() }))
}

fn anonymous(section: Section<'_>, dialect: DialectName, mode: Mode) -> Option<CallerRule> {
    let reason = section.need_parsed("reason", |reason| match reason.trim() {
        "" => Err(Fault::new("the reason is empty")),
        reason => Ok(reason.to_owned()),
    });
    let whence = match section.key("networks") {
        Some(place) => Whence::Networks(networks(section, place, dialect)?),
        // Outside `dev` a request that comes from no page is someone's script, and has no business here.
        None if mode == Mode::Dev => Whence::Anywhere,
        None => Whence::Pages,
    };
    let reason = reason?;
    let whose = match &whence {
        Whence::Networks(_) => "whoever is in one of these networks",
        Whence::Anywhere | Whence::Pages => "anyone",
    };
    let warning = Fault::new(format!("{whose} may have these credentials: {}", reason.value));
    section.notes().warning(reason.place, warning);
    Some(CallerRule::Anonymous { reason: reason.value, whence })
}

/// The networks of the SDKs that can show nothing. On the Internet an address says where someone is, and not who.
fn networks(section: Section<'_>, place: Place, dialect: DialectName) -> Option<Vec<IpNet>> {
    let notes = section.notes();
    if dialect != DialectName::AlibabaCredentials {
        let fault = Fault::new("`networks` belongs to an endpoint of `alibaba.credentials`");
        notes.error(
            place,
            fault.hint("a server that can sign has a key of its own: daypass client add --help"),
        );
        return None;
    }
    if section.is_empty_list("networks") {
        let fault = Fault::new("`networks` lists nowhere to come from").hint("[\"127.0.0.1\", \"::1\"]");
        notes.error(place, fault);
        return None;
    }
    let private = |text: &str| match server::network(text)? {
        net if net.is_private() => Ok(net),
        net => Err(Fault::new(format!("`{net}` holds addresses of the Internet, where anyone may be"))
            .hint("loopback, private or link-local: [\"127.0.0.1\", \"10.1.0.0/16\"]")),
    };
    let listed = section.texts("networks");
    let networks: Vec<_> = listed.iter().filter_map(|&net| section.parsed(net, private)).collect();
    (!networks.is_empty() && networks.len() == listed.len())
        .then(|| networks.into_iter().map(|given| given.value).collect())
}
