//! How long credentials of a role may live.

use super::diagnostic::Fault;
use super::duration::{self, show};
use super::lint::Lint;
use super::section::Section;
use daypass_core::limits::LONGEST_LIFE;
use daypass_core::role::Lifetime;

/// The keys of the table.
pub(super) const KEYS: &[&str] = &["default", "max"];

/// What the role hands out; each has its vendor's bounds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tencent's temporary credentials.
    Cam,
    /// Alibaba's temporary credentials.
    Ram,
    /// Access tokens.
    Token,
    /// A policy that was not understood.
    Unknown,
}

const MINUTE: u32 = 60;
const HOUR: u32 = 3600;

/// Where a role says nothing: `GetFederationToken` gives 30 minutes, and a root key's at most two hours.
const STANDARD_CAM: Lifetime = Lifetime { default: 30 * MINUTE, max: 2 * HOUR };
/// Where a role says nothing: `AssumeRole` gives one hour.
const STANDARD_RAM: Lifetime = Lifetime { default: HOUR, max: HOUR };
/// Where a role says nothing: Entra's tokens live an hour.
pub(super) const STANDARD_TOKEN: Lifetime = Lifetime { default: HOUR, max: HOUR };

/// The longest a credential in a browser should live by default: whoever reads the page's memory has it as well.
pub(super) const BROWSER: u32 = 30 * MINUTE;

/// The longest a credential may live that anyone can have: what leaks with it is over soon.
pub(super) const ANONYMOUS: u32 = 15 * MINUTE;

/// The longest a credential may live that anyone in an operator's own network can have.
pub(super) const NEARBY: u32 = HOUR;

/// How much life alibabacloud-credentials leaves to a credential before it asks for the next one.
pub(super) const STALE: u32 = 15 * MINUTE;

struct Bounds {
    standard: Lifetime,
    /// No SDK of the vendor expects more.
    cap: u32,
    /// Longer than this is unusual enough to be pointed out.
    usual: u32,
    /// Whose bounds these are, for messages.
    whose: &'static str,
    /// Where the usual bound comes from.
    why: &'static str,
}

fn bounds(kind: Kind) -> Bounds {
    match kind {
        Kind::Cam => Bounds {
            standard: STANDARD_CAM,
            // The longest of all: what was taken back is remembered for as long as this.
            cap: LONGEST_LIFE,
            usual: 12 * HOUR,
            whose: "Tencent Cloud's temporary credentials",
            why: "the vendor's AssumeRole gives twelve hours at most, and GetFederationToken two with a root key",
        },
        Kind::Ram => Bounds {
            standard: STANDARD_RAM,
            cap: 12 * HOUR,
            usual: 12 * HOUR,
            whose: "Alibaba Cloud's temporary credentials",
            why: "the vendor's AssumeRole gives no more",
        },
        // A resource server checks a token by itself and hears of no revocation, so a long one cannot be taken back.
        Kind::Token => Bounds {
            standard: STANDARD_TOKEN,
            cap: 24 * HOUR,
            usual: 90 * MINUTE,
            whose: "Entra's access tokens",
            why: "an API that verifies a token by itself does not hear that it was taken back",
        },
        Kind::Unknown => {
            Bounds { standard: STANDARD_RAM, cap: u32::MAX, usual: u32::MAX, whose: "", why: "" }
        }
    }
}

/// Reads `lifetime = { default = "30m", max = "2h" }`.
pub(super) fn read(role: Section<'_>, kind: Kind) -> Option<Lifetime> {
    let Bounds { standard, cap, usual, whose, why } = bounds(kind);
    let Some(node) = role.node("lifetime") else { return Some(standard) };
    let notes = role.notes();
    let section = Section::of(notes, node, "lifetime", KEYS)?;
    let (default, max) = (duration::need(section, "default"), duration::need(section, "max"));
    let (default, max) = (default?, max?);
    if default.value > max.value {
        let message =
            format!("the default of {} is longer than the longest, {}", show(default.value), show(max.value));
        notes.error(default.place, Fault::new(message));
        return None;
    }
    if max.value > cap {
        notes
            .error(max.place, Fault::new(format!("{whose} live at most {}", show(cap))).lint(Lint::Lifetime));
        return None;
    }
    if max.value > usual {
        let fault = Fault::new(format!("{whose} seldom live longer than {}", show(usual)));
        let hint =
            format!("max = \"{}\", unless whoever gets them is known to need more: {why}", show(usual));
        notes.warning(max.place, fault.hint(hint).lint(Lint::Lifetime));
    }
    Some(Lifetime { default: default.value, max: max.value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lives_longer_than_what_was_taken_back_is_remembered() {
        for kind in [Kind::Cam, Kind::Ram, Kind::Token] {
            let Bounds { cap, standard, .. } = bounds(kind);
            assert!(standard.default <= standard.max && standard.max <= cap && cap <= LONGEST_LIFE);
        }
        assert_eq!(bounds(Kind::Cam).cap, 36 * HOUR, "what Tencent documents");
    }
}
