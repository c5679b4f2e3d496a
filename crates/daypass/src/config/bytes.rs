//! Amounts of bytes: `16MiB`, `1GiB`, `512KiB`, or `0`.

use super::diagnostic::Fault;

/// What may stand behind a number, and how many bytes it is.
const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads an amount of bytes.
pub(super) fn parse(text: &str) -> Result<u64, Fault> {
    if text == "0" {
        return Ok(0);
    }
    let bad = || {
        Fault::new(format!("`{text}` is no amount of bytes"))
            .hint("a whole number with KiB, MiB or GiB, such as \"16MiB\"")
    };
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), *bytes)))
        .ok_or_else(bad)?;
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = if plain { number.parse().map_err(|_| bad())? } else { return Err(bad()) };
    number.checked_mul(unit).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_a_number_and_a_unit() {
        assert_eq!(parse("16MiB").ok(), Some(16 << 20));
        assert_eq!(parse("512 KiB").ok(), Some(512 << 10));
        assert_eq!(parse("2GiB").ok(), Some(2 << 30));
        assert_eq!(parse("0").ok(), Some(0));
        for bad in ["", "16", "16MB", "MiB", "-1MiB", "1.5GiB", "+1MiB", "99999999999999GiB", "16mib"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
