//! Lengths of time: `45s`, `30m`, `2h`, `1h30m`, and `500ms` where that is not too fine.

use super::diagnostic::Fault;
use super::notes::Given;
use super::section::{Section, text};
use super::tree::{Node, Value};
use std::ops::RangeInclusive;

/// Reads a duration that must be there, in seconds.
pub(super) fn need(section: Section<'_>, key: &str) -> Option<Given<u32>> {
    given(section, key, section.need(key)?, parse)
}

/// Reads a duration within bounds, in seconds; without the key, the standard one.
pub(super) fn seconds(
    section: Section<'_>,
    key: &str,
    standard: u32,
    bounds: RangeInclusive<u32>,
) -> Option<u32> {
    let Some(node) = section.node(key) else { return Some(standard) };
    let read = |text: &str| within(key, total(text)?, bounds, show);
    Some(given(section, key, node, read)?.value)
}

/// Reads a duration within bounds, in milliseconds; without the key, the standard one.
pub(super) fn milliseconds(
    section: Section<'_>,
    key: &str,
    standard: u32,
    bounds: RangeInclusive<u32>,
) -> Option<u32> {
    let Some(node) = section.node(key) else { return Some(standard) };
    let read = |text: &str| within(key, fine(text)?, bounds, show_fine);
    Some(given(section, key, node, read)?.value)
}

fn given(
    section: Section<'_>,
    key: &str,
    node: &Node,
    read: impl FnOnce(&str) -> Result<u32, Fault>,
) -> Option<Given<u32>> {
    if let Value::Whole(number) = node.value {
        // A bare number is what other services take for minutes, hours or milliseconds.
        let fault =
            Fault::new(format!("`{key}` needs a unit")).hint(format!("for seconds write \"{number}s\""));
        section.notes().error(node.place, fault);
        return None;
    }
    section.parsed(text(section.notes(), key, node)?, read)
}

fn within(
    key: &str,
    value: u32,
    bounds: RangeInclusive<u32>,
    show: impl Fn(u32) -> String,
) -> Result<u32, Fault> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(Fault::new(format!("`{key}` is {} to {}", show(*bounds.start()), show(*bounds.end()))))
}

fn parse(given: &str) -> Result<u32, Fault> {
    match total(given)? {
        0 => Err(Fault::new("a lifetime is at least one second")),
        seconds => Ok(seconds),
    }
}

/// Seconds of a length of time that stands on the command line: at least one.
pub(crate) fn seconds_of(text: &str) -> Result<u32, String> {
    parse(text).map_err(|fault| fault.message)
}

/// Milliseconds, of a text that may say so.
fn fine(given: &str) -> Result<u32, Fault> {
    let hint = "such as \"500ms\" or \"2s\"";
    let bad = || Fault::new(format!("`{given}` is not a duration")).hint(hint);
    match given.strip_suffix("ms") {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().map_err(|_| bad()),
        Some(_) => Err(bad()),
        None => total(given).ok().and_then(|seconds| seconds.checked_mul(1000)).ok_or_else(bad),
    }
}

/// Seconds.
fn total(given: &str) -> Result<u32, Fault> {
    let bad = || {
        let hint = "hours, minutes and seconds in this order, such as \"30m\", \"2h\" or \"1h30m\"";
        Fault::new(format!("`{given}` is not a duration")).hint(hint)
    };
    let mut rest = given;
    let mut total = 0_u32;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let part = number.parse::<u32>().ok().and_then(|n| n.checked_mul(seconds));
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        rest = after;
    }
    if !rest.is_empty() || given.is_empty() {
        return Err(bad());
    }
    Ok(total)
}

/// Seconds as people write them, for messages.
pub(super) fn show(seconds: u32) -> String {
    let mut text = String::new();
    for (number, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
        if number > 0 {
            text.push_str(&number.to_string());
            text.push(unit);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn show_fine(milliseconds: u32) -> String {
    if milliseconds.is_multiple_of(1000) { show(milliseconds / 1000) } else { format!("{milliseconds}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("45s", 45), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1h1s", 3601)] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for bad in
            ["", "30", "m", "30 m", "-1s", "+1s", "1m1h", "1h1h", "1.5h", "2d", "99999999h", "٣s", "1s "]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("0h0s").map_err(|f| f.message), Err("a lifetime is at least one second".to_owned()));
    }

    #[test]
    fn short_ones_may_be_in_milliseconds() {
        for (text, milliseconds) in [("50ms", 50), ("2s", 2000), ("1m", 60_000), ("0ms", 0)] {
            assert_eq!(fine(text), Ok(milliseconds), "{text}");
        }
        for bad in ["", "ms", "50", "1s50ms", "+5ms", "99999999999ms", "2000h"] {
            assert!(fine(bad).is_err(), "{bad}");
        }
        assert_eq!((show_fine(50), show_fine(2000), show(0)), ("50ms".into(), "2s".into(), "0s".into()));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(seconds: u32) {
            prop_assert_eq!(total(&show(seconds)), Ok(seconds));
        }
    }
}
