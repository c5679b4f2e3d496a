//! The gateway's time: a stamp without a zone, which is always GMT+8.
//!
//! Source: Taobao Open Platform, "API call protocol": `yyyy-MM-dd HH:mm:ss` in GMT+8, at most ten minutes away.
//! The older official Python SDKs send milliseconds since the Unix epoch instead, and the gateway takes both.

use daypass_core::clock::{SignedDuration, Timestamp, rfc3339};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::replay::WINDOW;

/// How far a stamp may be from our clock, either way, in seconds.
///
/// Attack: whoever captures a signed call can send it for as long as its stamp is good. The marks of the replay
/// rule are kept for twice this time, which covers a stamp from one end of the window to the other.
pub const TOLERANCE: i64 = 600;
const _: () = assert!(2 * TOLERANCE <= WINDOW as i64, "a call must not outlive its mark");

/// GMT+8, which has no summer time.
const ZONE: SignedDuration = SignedDuration::from_hours(8);

/// The stamp of this instant, as a client sends it.
pub fn stamp(at: Timestamp) -> String {
    let local = rfc3339(at.checked_add(ZONE).unwrap_or(at));
    local.trim_end_matches('Z').replace('T', " ")
}

/// Reads a stamp in either form; none if it has neither.
pub fn read(text: &str) -> Option<Timestamp> {
    match text.as_bytes() {
        all if all.len() == 13 && all.iter().all(u8::is_ascii_digit) => {
            Timestamp::from_millisecond(text.parse().ok()?).ok()
        }
        [_, _, _, _, b'-', _, _, b'-', _, _, b' ', _, _, b':', _, _, b':', _, _] => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let (day, time) = text.split_once(' ')?;
            (digits == 14).then(|| format!("{day}T{time}+08:00").parse().ok())?
        }
        _ => None,
    }
}

/// The time of a stamp. Refuses one that cannot be read or is more than [`TOLERANCE`] away. The answer names our time and the
/// zone: most clients stamp their machine's local time, which in a container is UTC and eight hours off, and the
/// bare code tells nobody.
pub fn check(text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let Some(at) = read(text) else {
        let detail = format!(
            "timestamp is neither yyyy-MM-dd HH:mm:ss, read as GMT+8, nor 13 digits of milliseconds; server time \
             is {} GMT+8",
            stamp(now)
        );
        return Err(Refusal::new(Reason::ClockSkew, detail).parameter("timestamp"));
    };
    let off = at.duration_since(now);
    if off.abs() <= SignedDuration::from_secs(TOLERANCE) {
        return Ok(at);
    }
    let direction = if off.is_negative() { "behind" } else { "ahead" };
    let hint = if whole_hours(off) { "; it looks like the local time of another zone" } else { "" };
    let detail = format!(
        "server time is {} GMT+8, and timestamp is read as GMT+8: it is {} seconds {direction}, and {TOLERANCE} \
         are allowed{hint}",
        stamp(now),
        off.abs().as_secs()
    );
    Err(Refusal::new(Reason::ClockSkew, detail).parameter("timestamp"))
}

/// Whether a difference is, give or take two minutes, one or more whole hours.
fn whole_hours(off: SignedDuration) -> bool {
    let seconds = off.abs().as_secs();
    let beyond = seconds % 3600;
    seconds > 3000 && seconds < 15 * 3600 && !(120..=3480).contains(&beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::after;
    use daypass_core::testing::before;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let then = at("2026-11-21T22:04:25Z");
        assert_eq!(read("2026-11-22 06:04:25"), Some(then));
        assert_eq!(read("1795298665000"), Some(then));
        for bad in [
            "",
            "2026-11-22T06:04:25",
            "2026-11-22 6:04:25",
            "2026-11-22 06:04:25 ",
            " 2026-11-22 06:04:25",
            "2026-13-22 06:04:25",
            "2026-02-30 06:04:25",
            "2026-11-22 24:04:25",
            "2026-11-22 06:04:+5",
            "+026-11-22 06:04:25",
            "1795298665",
            "17952986650000",
            "+795298665000",
            "١795298665000",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ten_minutes_are_allowed_either_way() {
        let now = at("2026-11-21T22:04:25Z");
        assert_eq!(check(&stamp(after(now, 600)), now), Ok(after(now, 600)));
        assert_eq!(check(&stamp(before(now, 600)), now), Ok(before(now, 600)));
        assert!(check(&stamp(after(now, 601)), now).is_err());
        assert!(check(&stamp(before(now, 601)), now).is_err());
    }

    #[test]
    fn a_refusal_says_what_time_it_is_and_how_a_stamp_is_read() {
        let now = at("2026-11-21T22:04:25Z");
        let refusal = check("2026-11-21 22:04:25", now).unwrap_err();
        assert_eq!(refusal.reason, Reason::ClockSkew);
        insta::assert_snapshot!(refusal.detail, @"server time is 2026-11-22 06:04:25 GMT+8, and timestamp is read as GMT+8: it is 28800 seconds behind, and 600 are allowed; it looks like the local time of another zone");
        let refusal = check("soon", now).unwrap_err();
        insta::assert_snapshot!(refusal.detail, @"timestamp is neither yyyy-MM-dd HH:mm:ss, read as GMT+8, nor 13 digits of milliseconds; server time is 2026-11-22 06:04:25 GMT+8");
        let refusal = check("2026-11-22 06:30:00", now).unwrap_err();
        insta::assert_snapshot!(refusal.detail, @"server time is 2026-11-22 06:04:25 GMT+8, and timestamp is read as GMT+8: it is 1535 seconds ahead, and 600 are allowed");
    }

    proptest! {
        #[test]
        fn a_stamp_is_read_back(second in 0_i64..253_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(read(&stamp(at)), Some(at));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,30}", digits in "[0-9:+ -]{0,25}") {
            let now = at("2026-11-21T22:04:25Z");
            let _ = (check(&text, now), check(&digits, now));
        }
    }
}
