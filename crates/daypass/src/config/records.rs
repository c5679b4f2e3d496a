//! `[records]`: how often what was written down is signed, who gets the checkpoints, and how long records are kept.

use super::diagnostic::Fault;
use super::duration;
use super::ring;
use super::section::Section;
use super::url;
use crate::records::{Place, Settings, Way};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["checkpoint_every", "checkpoints_to", "keep"];
/// The keys of a second place, of which it has one.
const PLACE: &[&str] = &["file", "syslog", "http"];

const DAY: u32 = 86_400;
/// More often, and there are more checkpoints than records; less often, and what was written last is unsigned for long.
const EVERY: RangeInclusive<u32> = 1..=DAY;
/// Where nothing is said.
const STANDARD: u32 = 60;
/// Less would take marks of requests away that could still be replayed, and records of credentials that are still alive.
const KEEP: RangeInclusive<u32> = 2 * DAY..=36_500 * DAY;

/// Reads the section; without it checkpoints stay in the store, and records for ever.
pub(super) fn read(root: Section<'_>, base: &Path) -> Option<Settings> {
    if root.key("records").is_none() {
        return Some(Settings::default());
    }
    let section = root.section("records", KEYS)?;
    let every = duration::seconds(section, "checkpoint_every", STANDARD, EVERY);
    let keep = match section.key("keep") {
        None => Some(None),
        Some(_) => ring::seconds(section, "keep", DAY, KEEP).map(Some),
    };
    let places = places(section, base);
    Some(Settings { every: Duration::from_secs(every?.into()), keep: keep?, places: places? })
}

fn places(section: Section<'_>, base: &Path) -> Option<Vec<Arc<Place>>> {
    let (all, notes) = (section.sections("records.checkpoints_to", PLACE), section.notes());
    let mut places: Vec<Arc<Place>> = Vec::new();
    let (mut whole, count) = (true, all.len());
    for one in all {
        let Some(place) = place(one, base) else {
            whole = false;
            continue;
        };
        if places.iter().any(|other| other.name() == place.name()) {
            notes.error(one.place(), Fault::new(format!("`{}` is there twice", place.name())));
            whole = false;
        }
        places.push(Arc::new(place));
    }
    // A list that is no list, or an entry that is no table, was told.
    let written = matches!(section.node("checkpoints_to").map(|node| &node.value), Some(super::tree::Value::List(list)) if list.len() == count);
    (whole && (written || section.key("checkpoints_to").is_none())).then_some(places)
}

fn place(section: Section<'_>, base: &Path) -> Option<Place> {
    let there: Vec<_> = PLACE.iter().filter(|key| section.key(key).is_some()).collect();
    let [key] = there[..] else {
        let fault = Fault::new("a second place is one of `file`, `syslog` and `http`");
        section.notes().error(section.place(), fault.hint("{ file = \"/mnt/witness/checkpoints\" }"));
        return None;
    };
    match *key {
        "file" => {
            let read = |path: &str| match path {
                "" => Err(Fault::new("the path is empty")),
                path if path.ends_with('/') => Err(Fault::new(format!("`{path}` is a folder, and no file"))),
                // Whole, because it is the name under which the store remembers how far the place is.
                path => {
                    Ok(Place::File(std::path::absolute(base.join(path)).unwrap_or_else(|_| base.join(path))))
                }
            };
            section.need_parsed("file", read).map(|given| given.value)
        }
        "syslog" => {
            let read = |text: &str| {
                Way::parse(text).map(Place::Syslog).ok_or_else(|| {
                    Fault::new(format!("`{text}` is no syslog server"))
                        .hint("udp://log.example.com:514, tcp://log.example.com:601 or unix:/dev/log")
                })
            };
            section.need_parsed("syslog", read).map(|given| given.value)
        }
        _ => url::address(section, section.need_text("http")?).map(|given| Place::Http(given.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loaded, Mode, parse};
    use super::*;

    const HEAD: &str = "[server]\nlisten = \"127.0.0.1:5050\"\n[store]\nurl = \"sqlite:/d.db\"\n[seal]\nkey = { file = \"/seal.key\" }\n";

    fn loaded_with(tail: &str) -> Result<Loaded, String> {
        parse("/etc/daypass/daypass.toml", &format!("{HEAD}{tail}"), Mode::Production, &[])
            .map_err(|errors| errors.to_string())
    }

    fn read(text: &str) -> Result<Settings, String> {
        loaded_with(&format!("[records]\n{text}\n")).map(|loaded| loaded.records)
    }

    #[test]
    fn without_a_section_records_stay_and_are_signed_every_minute() {
        let settings = loaded_with("").unwrap().records;
        assert_eq!(settings, Settings::default());
        assert_eq!((settings.every, settings.keep, settings.places.len()), (Duration::from_mins(1), None, 0));
    }

    #[test]
    fn places_and_times_are_read() {
        let settings = read(
            "checkpoint_every = \"10s\"\nkeep = \"400d\"\ncheckpoints_to = [{ file = \"copies\" }, { file = \"/mnt/a\" }, \
             { syslog = \"udp://log.example.com:514\" }, { http = \"https://witness.example.com/daypass\" }]",
        )
        .unwrap();
        assert_eq!((settings.every, settings.keep), (Duration::from_secs(10), Some(400 * DAY)));
        let names: Vec<_> = settings.places.iter().map(|place| place.name()).collect();
        assert_eq!(
            names,
            [
                "file:/etc/daypass/copies",
                "file:/mnt/a",
                "syslog:udp://log.example.com:514",
                "https://witness.example.com/daypass"
            ]
        );
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, told) in [
            ("checkpoint_every = \"0s\"", "checkpoint_every"),
            ("keep = \"1d\"", "`keep` is 2d to"),
            ("keep = 400", "needs a unit"),
            ("kep = \"400d\"", "did you mean `keep`"),
            ("checkpoints_to = \"/mnt\"", "must be a list"),
            ("checkpoints_to = [\"/mnt\"]", "must be a table"),
            ("checkpoints_to = [{}]", "one of `file`, `syslog` and `http`"),
            ("checkpoints_to = [{ file = \"a\", http = \"https://b.example\" }]", "one of `file`"),
            ("checkpoints_to = [{ file = \"\" }]", "empty"),
            ("checkpoints_to = [{ file = \"/mnt/\" }]", "folder"),
            ("checkpoints_to = [{ syslog = \"log.example.com\" }]", "no syslog server"),
            ("checkpoints_to = [{ http = \"http://witness.example.com/\" }]", "over `http`"),
            ("checkpoints_to = [{ file = \"/a\" }, { file = \"/a\" }]", "twice"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(told), "{text}: {fault}");
        }
    }
}
