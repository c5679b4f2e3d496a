//! What the actions that hand out credentials have in common: names, limits of life, the policy.

use crate::tencent::parameters::{Parameters, invalid};
use crate::tencent::policy;
use daypass_core::caller::Caller;
use daypass_core::dialect::Context;
use daypass_core::policy::Policy;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::role::Role;
use std::ops::RangeInclusive;

/// The life that the vendor gives to a credential at most, whatever the role says.
#[derive(Clone, Copy)]
pub(super) struct Cap {
    /// In seconds.
    seconds: u32,
    /// Of what.
    of: &'static str,
}

/// Of a federation token. It is 7200 for the key of a root account and this for the key of a sub-account; the keys of
/// clients are the latter, for no client owns its tenant.
pub(super) const FEDERATION: Cap = Cap { seconds: 129_600, of: "GetFederationToken" };

/// Of an assumed role.
pub(super) const ROLE: Cap = Cap { seconds: 43_200, of: "an assumed role" };

/// How long a `RoleSessionName`, a `SourceIdentity` and an `ExternalId` are.
pub(super) const NAME: RangeInclusive<usize> = 2..=128;
/// Which characters a session name has, beside letters, digits and the underscore.
pub(super) const NAME_MARKS: &[u8] = b"+=,.@-";
/// Which an `ExternalId` has.
pub(super) const EXTERNAL_MARKS: &[u8] = b"+=,.@:/-";

/// Checks a name. Source: the vendor's pages give length and expression of each.
pub(super) fn check_name(
    parameter: &'static str,
    value: &str,
    length: RangeInclusive<usize>,
    marks: &[u8],
) -> Result<(), Refusal> {
    let fine = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || marks.contains(&c);
    if length.contains(&value.len()) && value.bytes().all(fine) {
        return Ok(());
    }
    let rule = format!(
        "must be {} to {} letters, digits or characters of _{}",
        length.start(),
        length.end(),
        String::from_utf8_lossy(marks)
    );
    Err(invalid(parameter, &rule))
}

/// The life where none is asked for, if the role's own default is more than the vendor gives.
pub(super) fn standard(role: &Role, cap: Cap) -> Option<u32> {
    (role.lifetime.default > cap.seconds).then_some(cap.seconds)
}

/// Takes `DurationSeconds`. Absent means the role's own default, as far as the vendor goes; there is no least but one
/// second.
///
/// A role's own bound is named only to a caller who may have the role.
pub(super) fn duration(
    parameters: &mut Parameters,
    cap: Cap,
    context: Context<'_>,
    caller: Option<&Caller>,
    role: Option<&str>,
) -> Result<Option<u32>, Refusal> {
    let asked = parameters.positive("DurationSeconds")?;
    let role = role.zip(caller).and_then(|(role, caller)| {
        let granted = caller.client()?.grants.iter().any(|grant| grant.role == role);
        granted.then_some(context.directory.role(&caller.tenant().name, role)).flatten()
    });
    let Some(seconds) = asked else { return Ok(role.and_then(|role| standard(role, cap))) };
    let most = role.map_or(cap.seconds, |role| role.lifetime.max.min(cap.seconds));
    if seconds <= most {
        return Ok(asked);
    }
    let Cap { seconds: api, of } = cap;
    let detail = match role {
        Some(role) => format!(
            "DurationSeconds is {seconds}; {of} allows {api} and the role {} {}, so at most {most} can be asked for",
            role.name, role.lifetime.max
        ),
        None => format!("DurationSeconds is {seconds}; {of} allows at most {api}, and a role may allow less"),
    };
    Err(Refusal::new(Reason::LifetimeTooLong, detail).parameter("DurationSeconds"))
}

/// Reads a policy of the caller's and makes sure that it speaks of nobody else's resources.
pub(super) fn narrower(document: &str, account: &str) -> Result<Policy, Refusal> {
    Ok(policy::asked(document, account)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_length_and_its_characters() {
        let name = |value: &str| check_name("RoleSessionName", value, NAME, NAME_MARKS);
        for good in ["ab", "lesson_A+=,.@-9", &"n".repeat(128)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "a", &"n".repeat(129), "a b", "a/b", "a:b", "课程", "a\nb"] {
            assert_eq!(name(bad).unwrap_err().parameter.as_deref(), Some("RoleSessionName"), "{bad}");
        }
        assert!(check_name("ExternalId", "a:b/c", NAME, EXTERNAL_MARKS).is_ok());
        let refusal = check_name("ExternalId", "a b", NAME, EXTERNAL_MARKS).unwrap_err();
        assert_eq!(
            refusal.detail,
            "the parameter ExternalId must be 2 to 128 letters, digits or characters of _+=,.@:/-"
        );
    }
}
