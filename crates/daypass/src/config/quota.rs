//! `quota`: how many credentials an endpoint makes in a minute, or are made for the subjects of a provider.

use super::Mode;
use super::diagnostic::Fault;
use super::notes::Given;
use super::section::Section;
use daypass_core::endpoint::Quota;
use daypass_core::provider;
use daypass_core::quota::Bounds;

/// The keys of the table.
pub(super) const KEYS: &[&str] = &["subject", "address", "endpoint"];
/// The keys of the table of a provider.
pub(super) const OF_PROVIDER: &[&str] = &["subject", "address", "provider"];
/// The largest bound: more than this is no bound any more.
const LARGEST: u32 = 1_000_000;
/// Where nothing is said: a page asks once for a whole lifetime, so that a user who needs one a second is in trouble
/// or makes some, and behind one network there may be an office or a school.
const STANDARD: Quota = Quota { subject: Some(60), address: Some(600), endpoint: None };

/// The same for a provider: a subject may be all jobs of a repository, which begin at once, and a network a whole cluster.
const STANDARD_OF_PROVIDER: provider::Quota =
    provider::Quota { subject: Some(600), address: Some(6000), provider: None };

/// What `dev` and production have in place of what the table does not say.
fn standard(mode: Mode) -> Quota {
    if mode == Mode::Dev { Quota::default() } else { STANDARD }
}

/// Reads the bounds.
///
/// What `limits` says of a rate takes the place of the standard; both together would leave open which counts.
pub(super) fn read(endpoint: Section<'_>, mode: Mode, limits: Option<&Bounds>) -> Option<Quota> {
    let mut quota = standard(mode);
    if let Some(limits) = limits {
        quota.subject = quota.subject.filter(|_| limits.subject.rate.is_none());
        quota.address = quota.address.filter(|_| limits.network.rate.is_none());
        refuse_both(endpoint, limits);
    }
    let Some(node) = endpoint.node("quota") else { return Some(quota) };
    let section = Section::of(endpoint.notes(), node, "quota", KEYS)?;
    let bounds =
        [("subject", &mut quota.subject), ("address", &mut quota.address), ("endpoint", &mut quota.endpoint)];
    // Each is read, so that every fault is told.
    let whole = bounds.into_iter().fold(true, |whole, (key, bound)| set(section, key, bound) && whole);
    whole.then_some(quota)
}

/// A rate of one thing is said once.
fn refuse_both(endpoint: Section<'_>, limits: &Bounds) {
    let Some(quota) = endpoint.table("quota") else { return };
    let pairs = [
        ("subject", "subject", limits.subject),
        ("address", "network", limits.network),
        ("endpoint", "endpoint", limits.endpoint),
    ];
    for (key, word, _) in pairs.into_iter().filter(|(.., limit)| limit.rate.is_some()) {
        if let Some(place) = quota.key(key) {
            let message = format!("`limits` says at what rate already, in `{word}`");
            endpoint
                .notes()
                .error(place, Fault::new(message).hint(format!("leave out `{key}` of the quota")));
        }
    }
}

/// Reads the bounds of a provider. They hold in `dev` as well, whose own configuration has none.
pub(super) fn of_provider(section: Section<'_>) -> Option<provider::Quota> {
    let mut quota = STANDARD_OF_PROVIDER;
    let Some(node) = section.node("quota") else { return Some(quota) };
    let section = Section::of(section.notes(), node, "quota", OF_PROVIDER)?;
    let bounds =
        [("subject", &mut quota.subject), ("address", &mut quota.address), ("provider", &mut quota.provider)];
    let whole = bounds.into_iter().fold(true, |whole, (key, bound)| set(section, key, bound) && whole);
    whole.then_some(quota)
}

/// Whether a bound was written down, and not only left to the standard.
pub(super) fn says(endpoint: Section<'_>, key: &str) -> bool {
    endpoint.table("quota").is_some_and(|table| table.key(key).is_some())
}

/// Sets a bound, if it is there; says whether nothing is wrong with it.
fn set(section: Section<'_>, key: &str, bound: &mut Option<u32>) -> bool {
    if section.key(key).is_none() {
        return true;
    }
    let Some(Given { value, place }) = section.whole(key) else { return false };
    *bound = u32::try_from(value).ok().filter(|bound| (1..=LARGEST).contains(bound));
    if bound.is_none() {
        let fault = Fault::new(format!("a quota is 1 to {LARGEST} credentials a minute"));
        section.notes().error(place, fault);
    }
    bound.is_some()
}
