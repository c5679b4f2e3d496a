//! What is checked before a cloud is asked, and of what it gives, whichever cloud it is.

use crate::cloud::{BadUpstream, Wanted};
use crate::fault::{Fault, FaultKind};
use crate::http::Address;
use aws_lc_rs::digest;
use daypass_core::clock::{Timestamp, after, before};
use daypass_core::dialect::Form;
use daypass_core::policy::Authorized;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::upstream::{Capabilities, RootKey, RootProof, Upstream};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// What a cloud takes for a name.
pub(crate) struct Names {
    /// How many characters it may have.
    pub(crate) length: RangeInclusive<usize>,
    /// The characters beside ASCII letters and digits.
    pub(crate) marks: &'static str,
}

/// How many characters tell a name that was changed from others that would become the same.
const TOLD_APART: usize = 8;

impl Names {
    /// Whether the cloud takes this as it is.
    pub(crate) fn take(&self, name: &str) -> bool {
        self.length.contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || self.marks.contains(c))
    }

    /// This name where the cloud takes it, or one like it. Attack: were characters only left out, two subjects would have
    /// one name in the cloud's own records; so a name that is changed ends with a part of the hash of what it was.
    pub(crate) fn fit(&self, name: &str) -> String {
        if self.take(name) {
            return name.to_owned();
        }
        let hash = digest::digest(&digest::SHA256, name.as_bytes());
        let mut end = String::from("-");
        for byte in hash.as_ref().iter().take(TOLD_APART / 2) {
            // Writing to a string cannot fail.
            let _ = write!(end, "{byte:02x}");
        }
        let fine = |c: &char| c.is_ascii_alphanumeric() || self.marks.contains(*c);
        let room = self.length.end().saturating_sub(end.len());
        name.chars().map(|c| if fine(&c) { c } else { '-' }).take(room).chain(end.chars()).collect()
    }

    /// The name of the session that was authorized: what the caller has called it, or whom it is for, or whose it is.
    pub(crate) fn session(&self, authorized: &Authorized) -> String {
        let name = authorized.session().or(authorized.subject()).or(authorized.client_name());
        self.fit(name.unwrap_or_else(|| authorized.role()))
    }
}

/// The beginning of what is wanted: everything that does not depend on the cloud's own words.
pub(crate) fn wanted(
    upstream: &Upstream,
    authorized: &Authorized,
    session: String,
) -> Result<Wanted, Refusal> {
    let capabilities = upstream.cloud.capabilities(authorized.brokering());
    let expected = capabilities.triple.map_or(Form::Bearer, Form::Triple);
    if authorized.form() != expected {
        let cause = format!(
            "the issuer {} gives {expected:?}, and the role {} is asked for {:?}",
            upstream.name,
            authorized.role(),
            authorized.form()
        );
        return Err(Refusal::internal(cause));
    }
    Ok(Wanted {
        form: authorized.form(),
        assume: authorized.brokering().assume.clone(),
        session,
        policy: authorized.shared_policy(),
        document: None,
        lifetime: lifetime(authorized, &capabilities)?,
        variables: authorized.variables().clone(),
        tags: authorized.tags().clone(),
        source_identity: authorized.source_identity().map(str::to_owned),
        product: authorized.product().cloned(),
        scope: None,
        capabilities,
    })
}

/// The lifetime, where the cloud can give it. A shorter one than it can give is not made longer: what was authorized
/// would be exceeded.
fn lifetime(authorized: &Authorized, capabilities: &Capabilities) -> Result<u32, Refusal> {
    let seconds = authorized.lifetime();
    let Capabilities { asks_lifetime, min_lifetime, max_lifetime, .. } = *capabilities;
    if asks_lifetime && seconds > max_lifetime {
        return Err(Refusal::new(
            Reason::LifetimeTooLong,
            format!(
                "the cloud behind this role gives at most {max_lifetime} seconds, and {seconds} were asked for"
            ),
        ));
    }
    if asks_lifetime && seconds < min_lifetime {
        return Err(Refusal::new(
            Reason::InvalidParameter,
            format!(
                "the cloud behind this role gives at least {min_lifetime} seconds, and {seconds} were asked for"
            ),
        ));
    }
    Ok(seconds)
}

/// The policy that a triple must have.
pub(crate) fn document(
    authorized: &Authorized,
    most: Option<usize>,
    render: impl FnOnce(&daypass_core::policy::Policy) -> Result<String, String>,
) -> Result<String, Refusal> {
    let role = authorized.role();
    let policy = authorized.policy();
    let policy = policy.ok_or_else(|| Refusal::internal(format!("the role {role} has no policy to send")))?;
    let text = render(policy).map_err(|why| Refusal::new(Reason::PolicyInvalid, why).parameter("Policy"))?;
    match most {
        Some(most) if text.len() > most => Err(Refusal::new(
            Reason::PolicyTooLong,
            format!(
                "the cloud behind this role takes policies of at most {most} bytes, and this one has {} as it is sent",
                text.len()
            ),
        )
        .parameter("Policy")),
        _ => Ok(text),
    }
}

/// Refuses what a cloud has no place for: a credential without it would look like one with it.
pub(crate) fn no_place_for(what: &'static str, is_there: bool) -> Result<(), Refusal> {
    if is_there {
        let detail = format!("the cloud behind this role takes no {what}; ask without it");
        return Err(Refusal::new(Reason::InvalidParameter, detail).parameter(what));
    }
    Ok(())
}

/// Seconds within which a lifetime is as asked: the clouds' clocks and ours differ, and a question takes time.
const SLACK: RangeInclusive<u32> = 30..=300;

/// Checks when a credential runs out, and gives the earlier of that and of what was asked for, by our own clock.
///
/// Where the lifetime was asked for it must be the one that came. Attack: a credential that lives on after the end that
/// our records and answers give.
pub(crate) fn expires(
    wanted: &Wanted,
    says: Timestamp,
    at: Timestamp,
    their_clock: Option<Timestamp>,
) -> Result<Timestamp, Fault> {
    let end = after(at, wanted.lifetime);
    let slack = (wanted.lifetime / 10).clamp(*SLACK.start(), *SLACK.end());
    let life = says.as_second() - at.as_second();
    let lifetime = wanted.lifetime;
    let why = if says <= at {
        format!("it gave a credential that had run out {} s before", -life)
    } else if wanted.capabilities.asks_lifetime && says < before(end, slack) {
        format!("it gave {life} s of life, and {lifetime} were asked for")
    } else if wanted.capabilities.asks_lifetime && says > after(end, slack) {
        format!("it gave {life} s of life, which is longer than the {lifetime} that were asked for")
    } else if !wanted.capabilities.asks_lifetime && life > i64::from(wanted.capabilities.max_lifetime) {
        format!(
            "it gave {life} s of life, and the longest that is believed is {}",
            wanted.capabilities.max_lifetime
        )
    } else {
        return Ok(says.min(end));
    };
    // A wrong clock, theirs or ours, explains a wrong end.
    let off = their_clock.map_or(0, |theirs| theirs.as_second() - at.as_second());
    if off.unsigned_abs() > u64::from(*SLACK.start()) {
        return Err(Fault::new(FaultKind::Clock, format!("{why}; its clock is {off} s ahead of ours")));
    }
    Err(Fault::new(FaultKind::Wrong, why))
}

/// The secret of a key that signs with one.
pub(crate) fn secret(key: &RootKey) -> Result<&[u8], Fault> {
    match &key.proof {
        RootProof::Secret(secret) => Ok(secret.expose()),
        RootProof::PrivateKey { .. } => {
            Err(Fault::new(FaultKind::NoKey, "the root key is a private key, and this cloud wants a secret"))
        }
    }
}

/// Whether this is the account that the configuration names, where it names one.
pub(crate) fn account(upstream: &Upstream, account: &str) -> Result<(), Fault> {
    match upstream.account.as_deref() {
        // Neither is a secret, and the operator needs both to mend it.
        Some(ours) if !ours.eq_ignore_ascii_case(account) => {
            let theirs = crate::reading::shown(account);
            Err(Fault::new(
                FaultKind::Wrong,
                format!("it answers for the account {theirs}, and {ours} is configured"),
            ))
        }
        _ => Ok(()),
    }
}

/// Where a cloud is asked. Its APIs stand at one path, which is what their signatures say.
pub(crate) fn address(upstream: &Upstream, path: Option<&str>) -> Result<Address, BadUpstream> {
    let bad = |why: String| BadUpstream::new(upstream, why);
    let address = Address::parse(&upstream.url).map_err(|fault| bad(fault.why))?;
    match path {
        Some(path) if address.path() != path || address.has_more() => {
            Err(bad(format!("this cloud is asked at the path {path} and without a query")))
        }
        _ => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::tests::bearer;
    use daypass_core::testing::{START, later};
    use proptest::prelude::*;

    const NAMES: Names = Names { length: 2..=20, marks: "._-" };

    #[test]
    fn a_name_that_fits_stays_and_another_keeps_what_tells_it_apart() {
        for (given, fit) in [
            ("alice", "alice"),
            ("a.b_c-d", "a.b_c-d"),
            ("a", "a-ca978112"),
            ("", "-e3b0c442"),
            ("Zoë Müller", "Zo--M-ller-d6e575a6"),
            ("alice@example.com", "alice-examp-ff8d9819"),
        ] {
            assert_eq!(NAMES.fit(given), fit, "{given}");
        }
        assert_ne!(NAMES.fit("a@example.com and more"), NAMES.fit("a@example.com and less"));
    }

    #[test]
    fn an_end_is_believed_within_what_was_asked() {
        let wanted = |asks_lifetime, lifetime| {
            let mut wanted = bearer();
            wanted.capabilities = Capabilities { asks_lifetime, max_lifetime: 86_400, ..wanted.capabilities };
            Wanted { lifetime, ..wanted }
        };
        let asked = wanted(true, 1_800);
        for (says, expected) in [
            (1_800, Ok(1_800)),
            (1_850, Ok(1_800)),
            (1_620, Ok(1_620)),
            (1_980, Ok(1_800)),
            (1_619, Err(FaultKind::Wrong)),
            (1_981, Err(FaultKind::Wrong)),
            (0, Err(FaultKind::Wrong)),
        ] {
            let expected = expected.map(later);
            assert_eq!(
                expires(&asked, later(says), START, Some(START)).map_err(|f| f.kind),
                expected,
                "{says}"
            );
        }
        // A question that asks for the most there is takes its time too: the end is a little after that by our clock.
        let most = wanted(true, 86_400);
        for (says, expected) in [(86_401, Ok(86_400)), (86_701, Err(FaultKind::Wrong))] {
            let seen = expires(&most, later(says), START, Some(START)).map_err(|fault| fault.kind);
            assert_eq!(seen, expected.map(later), "{says}");
        }
        let skewed = expires(&asked, later(1_000), START, Some(later(31))).unwrap_err();
        assert_eq!(skewed.kind, FaultKind::Clock);
        assert_eq!(
            skewed.why,
            "it gave 1000 s of life, and 1800 were asked for; its clock is 31 s ahead of ours"
        );
        let told = wanted(false, 3_600);
        for (says, expected) in [
            (60, Ok(60)),
            (7_200, Ok(3_600)),
            (86_400, Ok(3_600)),
            (86_401, Err(FaultKind::Wrong)),
            (0, Err(FaultKind::Wrong)),
        ] {
            let expected = expected.map(later);
            assert_eq!(expires(&told, later(says), START, None).map_err(|f| f.kind), expected, "{says}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_name_was_it_fits(name: String, other: String) {
            let fit = NAMES.fit(&name);
            prop_assert!(NAMES.take(&fit), "{}", fit);
            prop_assert!(name == other || fit != NAMES.fit(&other));
        }
    }
}
