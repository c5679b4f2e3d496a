//! What the two ways to assume a role have in common: names, limits of life, the policy.

use super::parameters::Parameters;
use super::shown;
use crate::alibaba::policy;
use daypass_core::policy::Policy;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::role::Role;
use std::ops::RangeInclusive;

/// The shortest life that can be asked for, in seconds. A role may give less where nothing is asked for.
const SHORTEST: u32 = 900;
/// The longest that the vendor gives to the session of a role, whatever the role says.
const LONGEST: u32 = 43_200;
/// The longest `Policy`, in characters.
const POLICY: usize = 2048;

/// How long a `RoleSessionName` and a `SourceIdentity` are. The vendor gives no length for the latter in its reference;
/// the two stand beside each other in its logs.
const NAME: RangeInclusive<usize> = 2..=64;
/// Which characters they have, beside letters and digits.
const NAME_MARKS: &[u8] = b".@-_";
/// How long an `ExternalId` is.
const EXTERNAL: RangeInclusive<usize> = 2..=1224;
/// Which characters it has.
const EXTERNAL_MARKS: &[u8] = b"_+=,.@:/-";

/// `RoleSessionName`, which must be there.
pub(super) fn session_name(parameters: &Parameters) -> Result<String, Refusal> {
    let name = parameters.required("RoleSessionName")?;
    named("RoleSessionName", name, &NAME, NAME_MARKS)
}

/// `SourceIdentity`.
pub(super) fn source_identity(parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let name = "SourceIdentity";
    parameters.get(name).map(|value| named(name, value, &NAME, NAME_MARKS)).transpose()
}

/// `ExternalId`.
pub(super) fn external_id(parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let name = "ExternalId";
    parameters.get(name).map(|value| named(name, value, &EXTERNAL, EXTERNAL_MARKS)).transpose()
}

fn named(
    parameter: &'static str,
    value: &str,
    length: &RangeInclusive<usize>,
    marks: &[u8],
) -> Result<String, Refusal> {
    let fine = |c: u8| c.is_ascii_alphanumeric() || marks.contains(&c);
    if length.contains(&value.len()) && value.bytes().all(fine) {
        return Ok(value.to_owned());
    }
    let detail = format!(
        "it must be {} to {} letters, digits or characters of {}",
        length.start(),
        length.end(),
        String::from_utf8_lossy(marks)
    );
    Err(Refusal::new(Reason::InvalidParameter, detail).parameter(parameter))
}

/// `DurationSeconds`. Absent means the role's own default. `role` is one that the caller may have: the bound of another
/// one is told to nobody.
pub(super) fn duration(parameters: &Parameters, role: Option<&Role>) -> Result<Option<u32>, Refusal> {
    const NAME: &str = "DurationSeconds";
    let Some(text) = parameters.get(NAME) else { return Ok(None) };
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    // What does not fit is the largest, which is over every limit.
    let seconds = digits.then(|| text.parse().unwrap_or(u32::MAX)).ok_or_else(|| {
        let detail = "it must be a whole number of seconds";
        Refusal::new(Reason::InvalidParameter, detail).parameter(NAME)
    })?;
    let most = role.map_or(LONGEST, |role| role.lifetime.max.min(LONGEST));
    if (SHORTEST..=most).contains(&seconds) {
        return Ok(Some(seconds));
    }
    let detail = if most < SHORTEST {
        format!(
            "The Min value of DurationSeconds is {}, and this role gives {} at the most; leave DurationSeconds out",
            span(SHORTEST),
            span(most)
        )
    } else {
        format!(
            "The Min/Max value of DurationSeconds is {}/{}; {} seconds were asked for",
            span(SHORTEST),
            span(most),
            shown(text)
        )
    };
    Err(Refusal::new(Reason::LifetimeTooLong, detail).parameter(NAME))
}

/// A span of time as the vendor's message writes it.
fn span(seconds: u32) -> String {
    match (seconds % 3600, seconds % 60) {
        (0, _) => format!("{}hr", seconds / 3600),
        (_, 0) => format!("{}min", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// `Policy`: what the session may do of what the role may.
pub(super) fn policy(parameters: &Parameters) -> Result<Option<Policy>, Refusal> {
    const NAME: &str = "Policy";
    let Some(text) = parameters.get(NAME) else { return Ok(None) };
    let length = text.chars().count();
    if length > POLICY {
        let detail = format!("The size of Policy must be at most {POLICY} characters, and it has {length}");
        return Err(Refusal::new(Reason::PolicyTooLong, detail).parameter(NAME));
    }
    policy::parse(text).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::role::Lifetime;
    use daypass_core::testing::{World, request};
    use std::fmt::Write as _;

    fn given(name: &str, value: &str) -> Parameters {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        Parameters::read(&request("GET", &format!("/?{query}"), &[], b"")).unwrap()
    }

    #[test]
    fn names_have_their_length_and_their_characters() {
        let session = |value: &str| session_name(&given("RoleSessionName", value));
        for good in ["ab", "app-1_B.x@y", &"n".repeat(64)] {
            assert_eq!(session(good).unwrap(), good);
        }
        for bad in ["a", &"n".repeat(65), "a b", "a/b", "a:b", "a+b", "课程", "a\nb"] {
            let refusal = session(bad).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.parameter.as_deref()),
                (Reason::InvalidParameter, Some("RoleSessionName"))
            );
        }
        assert_eq!(session("").unwrap_err().reason, Reason::MissingParameter);
        assert!(source_identity(&given("SourceIdentity", "alice@x")).unwrap().is_some());
        assert!(source_identity(&given("SourceIdentity", "a lice")).is_err());
        assert!(external_id(&given("ExternalId", "a:b/c=d+e,f.g@h-i_j")).unwrap().is_some());
        assert!(external_id(&given("ExternalId", &"x".repeat(1225))).is_err());
        assert!(external_id(&given("ExternalId", "a*")).is_err());
        assert_eq!(external_id(&given("ExternalId", "")).unwrap(), None);
    }

    #[test]
    fn a_life_is_within_the_vendors_and_the_roles_bounds() {
        let mut role = (*World::new().plan.roles[0]).clone();
        let mut asked = |seconds: &str, max: u32| {
            role.lifetime = Lifetime { default: max, max };
            duration(&given("DurationSeconds", seconds), Some(&role))
        };
        assert_eq!(asked("900", 3600), Ok(Some(900)));
        assert_eq!(asked("3600", 3600), Ok(Some(3600)));
        assert_eq!(asked("", 3600), Ok(None));
        let mut said = String::new();
        for (seconds, max) in [
            ("899", 3600),
            ("3601", 3600),
            ("43201", 86_400),
            ("5401", 5400),
            ("1000", 999),
            ("900", 600),
            ("99999999999999999999", 3600),
            ("0", 3600),
            ("-1", 3600),
            ("1e3", 3600),
            ("900.0", 3600),
        ] {
            let refusal = asked(seconds, max).unwrap_err();
            writeln!(said, "{seconds} of {max}: {} {}", refusal.reason.label(), refusal.detail).unwrap();
        }
        insta::assert_snapshot!(said, @r"
        899 of 3600: lifetime_too_long The Min/Max value of DurationSeconds is 15min/1hr; 899 seconds were asked for
        3601 of 3600: lifetime_too_long The Min/Max value of DurationSeconds is 15min/1hr; 3601 seconds were asked for
        43201 of 86400: lifetime_too_long The Min/Max value of DurationSeconds is 15min/12hr; 43201 seconds were asked for
        5401 of 5400: lifetime_too_long The Min/Max value of DurationSeconds is 15min/90min; 5401 seconds were asked for
        1000 of 999: lifetime_too_long The Min/Max value of DurationSeconds is 15min/999s; 1000 seconds were asked for
        900 of 600: lifetime_too_long The Min value of DurationSeconds is 15min, and this role gives 10min at the most; leave DurationSeconds out
        99999999999999999999 of 3600: lifetime_too_long The Min/Max value of DurationSeconds is 15min/1hr; 99999999999999999999 seconds were asked for
        0 of 3600: lifetime_too_long The Min/Max value of DurationSeconds is 15min/1hr; 0 seconds were asked for
        -1 of 3600: invalid_parameter it must be a whole number of seconds
        1e3 of 3600: invalid_parameter it must be a whole number of seconds
        900.0 of 3600: invalid_parameter it must be a whole number of seconds
        ");
        let nobody = duration(&given("DurationSeconds", "43201"), None).unwrap_err();
        assert!(nobody.detail.contains("15min/12hr"), "{}", nobody.detail);
    }

    #[test]
    fn a_policy_has_at_most_so_many_characters() {
        let text = |name: &str| {
            format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:{name}"}}]}}"#
            )
        };
        let fixed = text("").chars().count();
        assert!(policy(&given("Policy", &text(&"门".repeat(POLICY - fixed)))).unwrap().is_some());
        let refusal = policy(&given("Policy", &text(&"门".repeat(POLICY - fixed + 1)))).unwrap_err();
        assert_eq!(refusal.reason, Reason::PolicyTooLong);
        assert_eq!(policy(&given("Policy", "")).unwrap(), None);
        assert_eq!(policy(&given("Policy", "{}")).unwrap_err().reason, Reason::PolicyInvalid);
    }
}
