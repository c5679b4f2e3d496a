//! `caller = { … }`: how those who come to an endpoint without signatures are known.

use super::Mode;
use super::diagnostic::Fault;
use super::notes::Given;
use super::section::Section;
use daypass_core::endpoint::CallerRule;

/// The ways a caller can be known.
pub(super) const KEYS: &[&str] = &["anonymous", "session", "ticket", "jwt"];
/// The keys of `anonymous`.
pub(super) const ANONYMOUS: &[&str] = &["reason", "per_minute"];
/// What a later version brings.
const LATER: &[&str] = &["session", "ticket", "jwt"];
/// The largest ration: more than this from one network is no ration any more.
const LARGEST_RATION: u32 = 100_000;

/// Reads the rule. Without one an endpoint would hand credentials to whoever finds it, so there must be one.
pub(super) fn read(endpoint: Section<'_>, mode: Mode) -> Option<CallerRule> {
    let notes = endpoint.notes();
    if endpoint.key("caller").is_none() {
        let fault = Fault::new("the endpoint does not say who may come to it: `caller` is missing")
            .hint("caller = { anonymous = { reason = \"why anyone may have these credentials\", per_minute = 60 } }");
        notes.error(endpoint.place(), fault);
        return None;
    }
    let section = endpoint.section("caller", KEYS)?;
    for key in LATER {
        if let Some(place) = section.key(key) {
            notes.error(place, Fault::new(format!("callers known by `{key}` are not in this version")));
        }
    }
    if section.key("anonymous").is_none() {
        if LATER.iter().all(|key| section.key(key).is_none()) {
            notes.error(section.place(), Fault::new("`caller` names no way of knowing a caller"));
        }
        return None;
    }
    anonymous(section.section("anonymous", ANONYMOUS)?, mode)
}

fn anonymous(section: Section<'_>, mode: Mode) -> Option<CallerRule> {
    let notes = section.notes();
    let reason = section.need_parsed("reason", |reason| match reason.trim() {
        "" => Err(Fault::new("the reason is empty")),
        reason => Ok(reason.to_owned()),
    });
    let per_minute = match section.whole("per_minute") {
        Some(Given { value, place }) => {
            let ration = u32::try_from(value).ok().filter(|n| (1..=LARGEST_RATION).contains(n));
            if ration.is_none() {
                notes.error(
                    place,
                    Fault::new(format!("a ration is 1 to {LARGEST_RATION} credentials a minute")),
                );
            }
            ration.map(Some)
        }
        None if section.key("per_minute").is_some() => None,
        None if mode == Mode::Dev => Some(None),
        None => {
            let fault = Fault::new("anonymous use must be rationed outside `daypass dev`")
                .hint("per_minute = 60, for each source network (/24 of IPv4, /48 of IPv6)");
            notes.error(section.place(), fault);
            None
        }
    };
    let (reason, per_minute) = (reason?, per_minute?);
    notes.warning(reason.place, Fault::new(format!("anyone may have these credentials: {}", reason.value)));
    Some(CallerRule::Anonymous { reason: reason.value, per_minute })
}
