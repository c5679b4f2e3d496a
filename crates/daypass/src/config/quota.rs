//! `quota`: how many credentials an endpoint makes in a minute.

use super::Mode;
use super::diagnostic::Fault;
use super::notes::Given;
use super::section::Section;
use daypass_core::endpoint::Quota;

/// The keys of the table.
pub(super) const KEYS: &[&str] = &["subject", "address", "endpoint"];
/// The largest bound: more than this is no bound any more.
const LARGEST: u32 = 1_000_000;
/// Where nothing is said: a page asks once for a whole lifetime, so that a user who needs one a second is in trouble
/// or makes some, and behind one network there may be an office or a school.
const STANDARD: Quota = Quota { subject: Some(60), address: Some(600), endpoint: None };

/// What `dev` and production have in place of what the table does not say.
fn standard(mode: Mode) -> Quota {
    if mode == Mode::Dev { Quota::default() } else { STANDARD }
}

/// Reads the bounds.
pub(super) fn read(endpoint: Section<'_>, mode: Mode) -> Option<Quota> {
    let mut quota = standard(mode);
    let Some(node) = endpoint.node("quota") else { return Some(quota) };
    let section = Section::of(endpoint.notes(), node, "quota", KEYS)?;
    let bounds =
        [("subject", &mut quota.subject), ("address", &mut quota.address), ("endpoint", &mut quota.endpoint)];
    // Each is read, so that every fault is told.
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
