//! Lengths of time: `45s`, `30m`, `2h`, `1h30m`.

use super::diagnostic::Fault;
use super::notes::Given;
use super::section::{Section, text};
use super::tree::Value;

/// Reads a duration that must be there, in seconds.
pub(super) fn need(section: Section<'_>, key: &str) -> Option<Given<u32>> {
    let node = section.need(key)?;
    if let Value::Whole(number) = node.value {
        // A bare number is what other services take for minutes, hours or milliseconds.
        let fault =
            Fault::new(format!("`{key}` needs a unit")).hint(format!("for seconds write \"{number}s\""));
        section.notes().error(node.place, fault);
        return None;
    }
    section.parsed(text(section.notes(), key, node)?, parse)
}

fn parse(given: &str) -> Result<u32, Fault> {
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
    if total == 0 {
        return Err(Fault::new("a lifetime is at least one second"));
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
    text
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

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(seconds in 1_u32..) {
            prop_assert_eq!(parse(&show(seconds)), Ok(seconds));
        }
    }
}
