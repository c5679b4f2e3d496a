//! Points in time as an operator writes them.

use daypass_core::clock::{Timestamp, after};

/// A point in time, or how far it is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum When {
    /// So many seconds from now.
    In(u32),
    /// Then.
    At(Timestamp),
}

impl When {
    /// The time that is meant, to the second.
    pub(in crate::cli) fn at(self, now: Timestamp) -> Timestamp {
        let at = match self {
            Self::In(seconds) => after(now, seconds),
            Self::At(at) => at,
        };
        Timestamp::from_second(at.as_second()).unwrap_or(at)
    }
}

/// `180d`, `12h`, `2027-01-31` (when it begins, UTC) or `2027-01-31T12:00:00Z`.
pub(in crate::cli) fn parse_when(text: &str) -> Result<When, String> {
    let units = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
    for (unit, seconds) in units {
        if let Some(number) = text.strip_suffix(unit)
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            let total = number.parse::<u32>().ok().and_then(|number| number.checked_mul(seconds));
            return total.map(When::In).ok_or_else(|| "that is more than a hundred years".to_owned());
        }
    }
    let whole = if text.len() == "2027-01-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let bad = |_| "write 180d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z".to_owned();
    whole.parse().map(When::At).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_by_its_distance_or_by_itself() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-22T06:00:00.750Z");
        for (text, expected) in [
            ("180d", "2027-05-21T06:00:00Z"),
            ("12h", "2026-11-22T18:00:00Z"),
            ("0s", "2026-11-22T06:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:00:00+08:00", "2027-01-31T04:00:00Z"),
        ] {
            assert_eq!(parse_when(text).unwrap().at(now), at(expected), "{text}");
        }
        for bad in
            ["", "d", "-1d", "1.5d", "180", "2027-13-01", "2027-01-31T12:00:00", "tomorrow", "9999999d"]
        {
            assert!(parse_when(bad).is_err(), "{bad}");
        }
    }
}
