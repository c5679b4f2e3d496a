//! `[limits]`, and `limits` of tenants and endpoints: how much may be asked for and made.

use super::diagnostic::Fault;
use super::notes::Given;
use super::section::Section;
use super::tree::Value;
use daypass_core::quota::{BadRate, Bounds, LARGEST_DAILY, Limit, Rate};

/// The keys of the service's table.
pub(super) const OF_SERVICE: &[&str] = &["in_flight", "tenant", "client", "subject", "network", "endpoint"];
/// The keys of a tenant's.
pub(super) const OF_TENANT: &[&str] = &["tenant", "client", "subject", "network", "endpoint"];
/// The keys of an endpoint's whose callers carry no signature.
pub(super) const OF_ENDPOINT: &[&str] = &["subject", "network", "endpoint"];
/// The keys of an endpoint's whose callers are clients. Their networks and subjects are those of the tenant.
const OF_TOP: &[&str] = &["endpoint"];
/// The keys of one limit.
pub(super) const LIMIT: &[&str] = &["rate", "burst", "daily"];

/// How many requests are worked on at one time, where nothing is said.
///
/// As many as one commit of the embedded store takes at the most: whoever is let in waits for the commit that is under
/// way and for the next one, and no longer.
pub(super) const IN_FLIGHT: u32 = 2048;
/// What may be said of it. Below, a few slow answers would shut the door; above, the wait is longer than a record may take.
const IN_FLIGHTS: std::ops::RangeInclusive<i64> = 16..=16_384;

/// What `[limits]` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many requests are worked on at one time.
    pub(super) in_flight: u32,
    /// How much each of a kind may have.
    pub(super) bounds: Bounds,
}

/// Reads the service's.
pub(super) fn read(root: Section<'_>) -> Option<Limits> {
    let standard = Limits { in_flight: IN_FLIGHT, bounds: Bounds::default() };
    let Some(node) = root.node("limits") else { return Some(standard) };
    let section = Section::of(root.notes(), node, "limits", OF_SERVICE)?;
    let bounds = bounds(section);
    let in_flight = match section.key("in_flight") {
        None => Some(IN_FLIGHT),
        Some(_) => section.whole("in_flight").and_then(|given| in_flight(section, given)),
    };
    Some(Limits { in_flight: in_flight?, bounds: bounds? })
}

fn in_flight(section: Section<'_>, given: Given<i64>) -> Option<u32> {
    let fits = u32::try_from(given.value).ok().filter(|_| IN_FLIGHTS.contains(&given.value));
    if fits.is_none() {
        let message = format!("`in_flight` is {} to {}", IN_FLIGHTS.start(), IN_FLIGHTS.end());
        section.notes().error(given.place, Fault::new(message));
    }
    fits
}

/// Reads a tenant's.
pub(super) fn of_tenant(tenant: Section<'_>) -> Option<Bounds> {
    inside(tenant, OF_TENANT)
}

/// Reads those of an endpoint whose callers carry no signature.
pub(super) fn of_endpoint(endpoint: Section<'_>) -> Option<Bounds> {
    inside(endpoint, OF_ENDPOINT)
}

/// Whether an endpoint's say at what rate, of this word.
pub(super) fn says_rate(endpoint: Section<'_>, word: &str) -> bool {
    let limits = endpoint.table("limits");
    limits.and_then(|limits| limits.table(word)).is_some_and(|limit| limit.key("rate").is_some())
}

/// Reads those of an endpoint of TOP.
pub(super) fn of_top(endpoint: Section<'_>) -> Option<Bounds> {
    inside(endpoint, OF_TOP)
}

fn inside(outer: Section<'_>, keys: &[&str]) -> Option<Bounds> {
    let Some(node) = outer.node("limits") else { return Some(Bounds::default()) };
    bounds(Section::of(outer.notes(), node, "limits", keys)?)
}

fn bounds(section: Section<'_>) -> Option<Bounds> {
    // Each is read, so that every fault is told.
    let [tenant, client, subject, network, endpoint] =
        ["tenant", "client", "subject", "network", "endpoint"].map(|key| limit(section, key));
    let bounds = Bounds {
        tenant: tenant?,
        client: client?,
        subject: subject?,
        network: network?,
        endpoint: endpoint?,
    };
    point_out_unreached(section, &bounds);
    Some(bounds)
}

/// A part that may have more than the whole never gets to its own bound.
fn point_out_unreached(section: Section<'_>, bounds: &Bounds) {
    let parts = [
        ("client", bounds.client),
        ("subject", bounds.subject),
        ("network", bounds.network),
        ("endpoint", bounds.endpoint),
    ];
    for (key, part) in parts {
        let more =
            |part: Option<f64>, whole: Option<f64>| part.zip(whole).is_some_and(|(part, whole)| part > whole);
        let rate = |limit: Limit| limit.rate.map(Rate::per_second);
        let said = if more(rate(part), rate(bounds.tenant)) {
            "rate"
        } else if part.daily.zip(bounds.tenant.daily).is_some_and(|(part, whole)| part > whole) {
            "daily"
        } else {
            continue;
        };
        if let Some(place) = section.key(key) {
            let message =
                format!("the `{said}` of one {key} is more than that of the whole tenant, which comes first");
            section.notes().warning(place, Fault::new(message));
        }
    }
}

fn limit(outer: Section<'_>, key: &str) -> Option<Limit> {
    let Some(node) = outer.node(key) else { return Some(Limit::default()) };
    let section = Section::of(outer.notes(), node, key, LIMIT)?;
    let (rate, daily) = (rate(section), daily(section));
    let limit = Limit { rate: rate.ok()?, daily: daily.ok()? };
    if limit.is_none() {
        let fault =
            Fault::new(format!("`{key}` bounds nothing")).hint("such as { rate = 50, daily = 100000 }");
        section.notes().error(section.place(), fault);
        return None;
    }
    Some(limit)
}

/// Why something is not understood has been noted.
struct Noted;

fn rate(section: Section<'_>) -> Result<Option<Rate>, Noted> {
    let notes = section.notes();
    let burst = match section.key("burst") {
        None => None,
        // Past what it can be is past what a burst can be.
        Some(_) => Some(u32::try_from(section.whole("burst").ok_or(Noted)?.value).unwrap_or(0)),
    };
    let Some(node) = section.node("rate") else {
        if let Some(place) = section.key("burst") {
            notes.error(
                place,
                Fault::new("`burst` is how many of a `rate` go at once, and there is no `rate`"),
            );
            return Err(Noted);
        }
        return Ok(None);
    };
    let read = match &node.value {
        Value::Whole(count) => Rate::parse(&count.to_string(), burst),
        Value::Text(text) => Rate::parse(text, burst),
        _ => Err(BadRate::Form),
    };
    match read {
        Ok(rate) => Ok(Some(rate)),
        Err(fault) => {
            let place = match (&fault, section.node("burst")) {
                (BadRate::Burst, Some(burst)) => burst.place,
                _ => node.place,
            };
            notes.error(place, Fault::new(fault.to_string()));
            Err(Noted)
        }
    }
}

fn daily(section: Section<'_>) -> Result<Option<u64>, Noted> {
    if section.key("daily").is_none() {
        return Ok(None);
    }
    let Given { value, place } = section.whole("daily").ok_or(Noted)?;
    let fits = u64::try_from(value).ok().filter(|daily| (1..=LARGEST_DAILY).contains(daily));
    if fits.is_none() {
        let message = format!("a daily quota is 1 to {LARGEST_DAILY} credentials");
        section.notes().error(place, Fault::new(message));
    }
    fits.map(Some).ok_or(Noted)
}
