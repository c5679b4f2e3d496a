//! `[ring]`: when Daypass's own keys take turns.

use super::Mode;
use super::diagnostic::Fault;
use super::duration;
use super::notes::Place;
use super::section::Section;
use daypass_core::ring::Rotation;
use std::ops::RangeInclusive;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["rotate", "max_age", "lead", "keep"];

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;
/// A key that signs works a year at most (NIST SP 800-57 part 1 §5.3.6).
const ROTATE: RangeInclusive<u32> = HOUR..=365 * DAY;
/// Longer, and a key that has leaked is believed for too long.
const MAX_AGE: RangeInclusive<u32> = 1..=HOUR;
const LEAD: RangeInclusive<u32> = 2..=30 * DAY;
const KEEP: RangeInclusive<u32> = 1..=60 * DAY;

/// Reads the section; without it, the standard times. `dev` rotates only by hand: what it shows should not change by
/// itself.
pub(super) fn read(root: Section<'_>, mode: Mode) -> Option<Rotation> {
    let period = (mode == Mode::Production).then_some(Rotation::PERIOD);
    let standard = Rotation { period, ..Rotation::default() };
    if root.key("ring").is_none() {
        return Some(standard);
    }
    let section = root.section("ring", KEYS)?;
    let rotation = Rotation {
        period: match section.glance("rotate") {
            Some(given) if given.value == "never" => None,
            _ => match standard.period {
                None if section.key("rotate").is_none() => None,
                _ => Some(seconds(section, "rotate", Rotation::PERIOD, ROTATE)?),
            },
        },
        max_age: seconds(section, "max_age", standard.max_age, MAX_AGE)?,
        lead: seconds(section, "lead", standard.lead, LEAD)?,
        keep: seconds(section, "keep", standard.keep, KEEP)?,
    };
    check(section, &rotation)?;
    Some(rotation)
}

/// Like other durations, and in whole days as well.
pub(super) fn seconds(
    section: Section<'_>,
    key: &str,
    standard: u32,
    bounds: RangeInclusive<u32>,
) -> Option<u32> {
    let days = section.glance(key).and_then(|given| Some((given.value.strip_suffix('d')?, given.place)));
    let Some((number, place)) = days.filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit())) else {
        return duration::seconds(section, key, standard, bounds);
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(DAY));
    let within = seconds.filter(|seconds| bounds.contains(seconds));
    if within.is_none() {
        let (least, most) = (show(*bounds.start()), show(*bounds.end()));
        section.notes().error(place, Fault::new(format!("`{key}` is {least} to {most}")));
    }
    within
}

fn show(seconds: u32) -> String {
    if seconds.is_multiple_of(DAY) { format!("{}d", seconds / DAY) } else { duration::show(seconds) }
}

fn check(section: Section<'_>, rotation: &Rotation) -> Option<()> {
    let notes = section.notes();
    let place = |key: &str| section.key(key).unwrap_or(section.place());
    let least = rotation.max_age.saturating_mul(2);
    if rotation.lead < least {
        // A verifier that fetched the keys just before must have had time to fetch them once more.
        let fault = Fault::new("a key must be published for at least twice `max_age` before it signs")
            .hint(format!("lead = \"{}\"", show(least)));
        notes.error(nearest(section, &["lead", "max_age"]), fault);
        return None;
    }
    if rotation.period.is_some_and(|period| period <= rotation.lead) {
        let fault =
            Fault::new("`rotate` must be longer than `lead`: the next key is published while one works");
        notes.error(nearest(section, &["rotate", "lead"]), fault);
        return None;
    }
    if rotation.lead < DAY {
        let fault =
            Fault::new("verifiers that cache the keys longer than they are told to have less than a day")
                .hint("lead = \"48h\"");
        notes.warning(place("lead"), fault);
    }
    Some(())
}

/// The first of these keys that is there.
fn nearest(section: Section<'_>, keys: &[&str]) -> Place {
    keys.iter().find_map(|key| section.key(key)).unwrap_or(section.place())
}

#[cfg(test)]
mod tests {
    use super::super::{Loaded, parse};
    use super::*;

    const HEAD: &str = "[server]\nlisten = \"127.0.0.1:5050\"\n[store]\nurl = \"sqlite:/d.db\"\n[seal]\nkey = { \
                        file = \"/seal.key\" }\n[ring]\n";

    fn loaded(mode: Mode, keys: &str) -> Loaded {
        parse("f.toml", &format!("{HEAD}{keys}"), mode, &[])
            .unwrap_or_else(|errors| panic!("{keys}: {errors}"))
    }

    #[test]
    fn times_are_read_and_have_standards() {
        let standard = Rotation { period: Some(30 * DAY), ..Rotation::default() };
        assert_eq!(loaded(Mode::Production, "").plan("").rotation, standard);
        assert_eq!(loaded(Mode::Dev, "").plan("").rotation, Rotation::default());
        assert_eq!(loaded(Mode::Production, "rotate = \"never\"").plan("").rotation.period, None);
        let text = "rotate = \"90d\"\nmax_age = \"15m\"\nlead = \"2d\"\nkeep = \"36h\"";
        for mode in [Mode::Dev, Mode::Production] {
            let expected = Rotation { period: Some(90 * DAY), max_age: 900, lead: 2 * DAY, keep: 36 * HOUR };
            assert_eq!(loaded(mode, text).plan("").rotation, expected);
        }
        let without = HEAD.replace("[ring]\n", "");
        let plan = parse("f.toml", &without, Mode::Production, &[]).unwrap().plan("");
        assert_eq!(plan.rotation, standard);
    }

    #[test]
    fn times_that_would_fail_verifiers_are_refused() {
        for (keys, expected) in [
            ("lead = \"119m\"", "a key must be published for at least twice `max_age` before it signs"),
            ("max_age = \"30m\"\nlead = \"59m\"", "lead = \"1h\""),
            ("rotate = \"48h\"", "`rotate` must be longer than `lead`"),
            ("rotate = \"366d\"", "`rotate` is 1h to 365d"),
            ("rotate = \"99999999d\"", "`rotate` is 1h to 365d"),
            ("rotate = \"often\"", "`often` is not a duration"),
            ("rotate = 30", "`rotate` needs a unit"),
            ("max_age = \"61m\"", "`max_age` is 1s to 1h"),
            ("rotat = \"30d\"", "did you mean `rotate`?"),
        ] {
            let errors = parse("f.toml", &format!("{HEAD}{keys}"), Mode::Production, &[]).unwrap_err();
            assert!(errors.to_string().contains(expected), "{keys}: {errors}");
        }
        let short = loaded(Mode::Production, "max_age = \"5m\"\nlead = \"10m\"");
        let warnings: Vec<_> = short.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.concat().contains("less than a day"), "{warnings:?}");
    }
}
