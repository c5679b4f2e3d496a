//! When a call says that it was made.
//!
//! Source: Alibaba Cloud, "Common parameters": ISO 8601 in UTC, `YYYY-MM-DDThh:mm:ssZ`, at most fifteen minutes away.
//! `ali-oss` sends milliseconds as well.

use super::parameters::name::TIMESTAMP;
use super::shown;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::replay;

/// How far a call's time may be from ours, in seconds, either way: the vendor's fifteen minutes.
///
/// Attack: whoever captures a signed call can send it for as long as its time is good. The marks of nonces are kept
/// for twice this time, which covers a time from one end of the window to the other.
const TOLERANCE: i64 = 900;
const _: () = assert!(2 * TOLERANCE <= replay::WINDOW as i64, "a call must not outlive its mark");

/// The longest fraction of a second, in digits.
const FRACTION: usize = 9;

/// Reads the time of a call. Refuses one that cannot be read or is more than [`TOLERANCE`] away.
pub(super) fn near(text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let at = read(text).ok_or_else(|| {
        let detail = format!("it must have the form {} and be in UTC, and is {}", rfc3339(now), shown(text));
        Refusal::new(Reason::InvalidParameter, detail).parameter(TIMESTAMP)
    })?;
    let skew = at.duration_since(now);
    if skew.abs().as_millis() <= i128::from(TOLERANCE) * 1000 {
        return Ok(at);
    }
    let side = if skew.is_negative() { "behind" } else { "ahead of" };
    Err(Refusal::new(
        Reason::ClockSkew,
        format!(
            "the request says {}, which is {} seconds {side} the server's time {}; at most {TOLERANCE} are allowed, so set the client's clock",
            shown(text),
            skew.abs().as_secs(),
            rfc3339(now)
        ),
    )
    .parameter(TIMESTAMP))
}

/// Reads a time; none if it has not the vendor's form.
fn read(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = match text.strip_suffix('Z')?.split_once('.') {
        Some((seconds, fraction)) => (seconds, Some(fraction)),
        None => (text.strip_suffix('Z')?, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if fraction.is_some_and(|f| !(1..=FRACTION).contains(&f.len()) || !digits(f)) {
        return None;
    }
    let shape = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let form = b"0000-00-00T00:00:00";
    let fits = seconds.len() == form.len() && seconds.bytes().zip(*form).all(shape);
    fits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::after;
    use daypass_core::testing::{START, before};
    use proptest::prelude::*;

    #[test]
    fn the_vendors_form_and_that_with_a_fraction_are_read() {
        let at = |text| read(text).map(Timestamp::as_millisecond);
        assert_eq!(at("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(at("2023-11-14T22:13:20.931Z"), Some(1_700_000_000_931));
        for bad in [
            "",
            "Z",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20+08:00",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:20z",
            "2023-11-14t22:13:20Z",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20.0000000000Z",
            "2023-11-14T22:13:20,931Z",
            "2023-13-14T22:13:20Z",
            "2023-02-30T22:13:20Z",
            "+023-11-14T22:13:20Z",
            " 2023-11-14T22:13:20Z",
            "1700000000",
        ] {
            assert_eq!(at(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn fifteen_minutes_are_allowed_either_way() {
        assert!(near(&rfc3339(after(START, 900)), START).is_ok());
        assert!(near(&rfc3339(before(START, 900)), START).is_ok());
        for late in
            [rfc3339(after(START, 901)), rfc3339(before(START, 901)), "2023-11-14T22:28:20.001Z".into()]
        {
            assert_eq!(near(&late, START).unwrap_err().reason, Reason::ClockSkew, "{late}");
        }
    }

    #[test]
    fn a_refusal_says_what_time_it_is() {
        let refusal = near("2023-11-14T21:13:20Z", START).unwrap_err();
        assert_eq!(
            refusal.detail,
            "the request says 2023-11-14T21:13:20Z, which is 3600 seconds behind the server's time 2023-11-14T22:13:20Z; at most 900 are allowed, so set the client's clock"
        );
        let refusal = near("1700000000", START).unwrap_err();
        assert_eq!(
            refusal.detail,
            "it must have the form 2023-11-14T22:13:20Z and be in UTC, and is 1700000000"
        );
        assert_eq!(
            (refusal.reason, refusal.parameter.as_deref()),
            (Reason::InvalidParameter, Some("Timestamp"))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}", near_one in "[0-9TZ:.-]{15,30}") {
            let _ = (near(&text, START), near(&near_one, START));
        }
    }
}
