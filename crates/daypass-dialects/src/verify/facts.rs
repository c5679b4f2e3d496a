//! What an API states of a request for the conditions of policies: `context`.
//!
//! It may state what it alone knows: how the request reached it (the address that it came from, whether by TLS), and
//! whatever the condition keys of its own service are about. It may state nothing about *who* the sender is (tags, MFA, the
//! account): that is sealed in the credential, or nobody knows it here. The time is ours.
//!
//! A key that is not stated is not absent: nothing is known of it, so that a condition on it opens nothing. A key of the
//! service that the request does not have is stated as such, by an empty list.

use super::essence::invalid;
use crate::condition::Context;
use crate::{alibaba, tencent};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::policy::{Condition, Language, Truth};
use daypass_core::refusal::Refusal;
use daypass_core::verification::Known;
use std::net::IpAddr;

/// The most keys, and the most values of each. A document that needs more is none of a human's.
const MOST: usize = 64;

/// The longest value, in bytes: that of a header.
const LONGEST: usize = 8 * 1024;

/// The keys of the address that a request came from.
const ADDRESS: [&str; 2] = ["qcs:ip", "acs:SourceIp"];

/// The key of whether it came by TLS.
const SECURE: &str = "acs:SecureTransport";

/// The keys of the present, which is ours.
///
/// Attack: an API whose clock is wrong, or is set by somebody else, would keep alive what has a date in its policy.
const NOW: [&str; 2] = ["qcs:current_time", "acs:CurrentTime"];

/// What stands before the colon of keys that belong to no one service, and that no service is therefore called by.
///
/// Attack: an API that is registered as that of a service `acs` states `acs:MFAPresent`, and as that of `oidc` whom a
/// provider has vouched for.
const COMMON: [&str; 5] = ["qcs", "acs", "sts", "saml", "oidc"];

/// What an API has stated, with the present.
#[derive(Debug)]
pub(super) struct Facts(Context);

impl Facts {
    /// Takes what an API of these services states. It is refused as a whole where it is not its business, or cannot be a
    /// fact: the API's author finds out at once, and not when a key of his opens nothing.
    pub(super) fn of(
        stated: &Context,
        services: &[(Language, &str)],
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if stated.len() > MOST || stated.values().any(|values| values.len() > MOST) {
            return Err(invalid(
                "context",
                &format!("has at most {MOST} keys with at most {MOST} values each"),
            ));
        }
        if stated.values().flatten().any(|value| value.len() > LONGEST) {
            return Err(invalid("context", &format!("has values of at most {LONGEST} bytes")));
        }
        let mut facts = Context::new();
        for (key, values) in stated {
            check(key, values, services)?;
            // Whether the case of a key matters is not the same in all languages.
            if stated.keys().any(|other| other != key && other.eq_ignore_ascii_case(key)) {
                return Err(invalid("context", &format!("says `{key}` twice, in upper and lower case")));
            }
            facts.insert(key.clone(), values.clone());
        }
        facts.extend(NOW.map(|key| (key.to_owned(), vec![rfc3339(now)])));
        Ok(Self(facts))
    }
}

impl Known for Facts {
    fn holds(&self, language: Language, condition: &Condition) -> Option<Truth> {
        self.0.contains_key(&condition.key).then(|| match language {
            Language::Cam => tencent::policy::holds(condition, &self.0),
            Language::Ram => alibaba::policy::holds(condition, &self.0),
        })
    }
}

/// Whether an API of these services may state these values of a key.
fn check(key: &str, values: &[String], services: &[(Language, &str)]) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(invalid("context", &format!("has `{key}`, {what}")));
    if ADDRESS.contains(&key) {
        // Exactly one. Attack: of a request without an address, a denial of addresses would not hold.
        return match values {
            [one] if one.parse::<IpAddr>().is_ok() => Ok(()),
            _ => wrong("which is one IP address, without a port"),
        };
    }
    if key == SECURE {
        return match values {
            [one] if ["true", "false"].contains(&one.as_str()) => Ok(()),
            _ => wrong("which is true or false"),
        };
    }
    if NOW.contains(&key) {
        return wrong("and the time is taken from the clock here");
    }
    let of_service = key.split_once(':').is_some_and(|(service, name)| {
        !name.is_empty() && !COMMON.contains(&service) && services.iter().any(|(_, own)| *own == service)
    });
    if of_service {
        return Ok(());
    }
    let own: Vec<_> = services.iter().map(|(_, service)| format!("{service}:…")).collect();
    let own = if own.is_empty() {
        String::new()
    } else {
        format!(" and the keys of its own service, {}", own.join(", "))
    };
    wrong(&format!("and an API states {}, {SECURE}{own}", ADDRESS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;

    const SERVICES: [(Language, &str); 2] = [(Language::Cam, "cos"), (Language::Ram, "oss")];

    fn facts(stated: &[(&str, &[&str])]) -> Result<Facts, Refusal> {
        let owned = |(key, values): &(&str, &[&str])| {
            ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        };
        Facts::of(&stated.iter().map(owned).collect(), &SERVICES, START)
    }

    fn holds(
        stated: &[(&str, &[&str])],
        language: Language,
        operator: &str,
        key: &str,
        value: &str,
    ) -> Option<Truth> {
        let condition = Condition { operator: operator.into(), key: key.into(), values: vec![value.into()] };
        facts(stated).unwrap().holds(language, &condition)
    }

    #[test]
    fn an_api_states_how_a_request_came_and_what_its_service_knows() {
        for good in [
            ("qcs:ip", &["10.1.2.3"][..]),
            ("acs:SourceIp", &["2001:db8::1"]),
            ("acs:SecureTransport", &["true"]),
            ("cos:prefix", &["a/"]),
            ("cos:prefix", &[]),
            ("oss:Prefix", &["a", "b"]),
        ] {
            assert!(facts(&[good]).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn and_nothing_else() {
        for wrong in [
            ("qcs:ip", &[][..]),
            ("qcs:ip", &["10.1.2.3", "10.1.2.4"]),
            ("qcs:ip", &["10.1.2.3:80"]),
            ("qcs:ip", &["10.0.0.0/8"]),
            ("qcs:ip", &[" 10.1.2.3"]),
            ("QCS:IP", &["10.1.2.3"]),
            ("acs:SourceIp", &["localhost"]),
            ("acs:SecureTransport", &["yes"]),
            ("acs:SecureTransport", &[]),
            ("acs:MFAPresent", &["true"]),
            ("acs:PrincipalTag/team", &["a"]),
            ("qcs:resource_tag", &["a&b"]),
            ("qcs:uin", &["1"]),
            ("qcs:current_time", &["2020-01-01T00:00:00Z"]),
            ("acs:CurrentTime", &["2020-01-01T00:00:00Z"]),
            ("sts:ExternalId", &["1"]),
            ("soe:x", &["1"]),
            ("cos:", &["1"]),
            ("cos", &["1"]),
            ("", &["1"]),
        ] {
            let refusal = facts(&[wrong]).map(|_| ()).unwrap_err();
            assert!(refusal.detail.starts_with("context has `"), "{wrong:?}: {}", refusal.detail);
        }
        assert!(
            facts(&[("oss:Prefix", &["a"]), ("oss:prefix", &["b"])]).is_err(),
            "two spellings of one key"
        );
        let many: Vec<_> = (0..=MOST).map(|n| format!("cos:{n}")).collect();
        let many: Vec<_> = many.iter().map(|key| (key.as_str(), &["x"][..])).collect();
        assert!(facts(&many).is_err() && facts(&many[1..]).is_ok());
        assert!(facts(&[("cos:x", &["a"; MOST + 1])]).is_err());
        assert!(facts(&[("cos:x", &[&*"a".repeat(LONGEST + 1)])]).is_err());
    }

    #[test]
    fn a_service_with_the_name_of_what_all_share_gives_no_keys() {
        for key in ["acs:MFAPresent", "qcs:uin", "sts:RoleSessionName", "saml:sub", "oidc:sub"] {
            let stated = Context::from([(key.to_owned(), vec!["true".to_owned()])]);
            let service = key.split(':').next().unwrap();
            for language in [Language::Ram, Language::Cam] {
                assert!(Facts::of(&stated, &[(language, service)], START).is_err(), "{key}");
            }
        }
    }

    #[test]
    fn what_is_stated_is_judged_in_the_words_of_its_language() {
        let ip: &[(&str, &[&str])] = &[("qcs:ip", &["10.1.2.3"])];
        let cam = |operator, value| holds(ip, Language::Cam, operator, "qcs:ip", value);
        assert_eq!(cam("ip_equal", "10.0.0.0/8"), Some(Truth::True));
        assert_eq!(cam("ip_equal", "10.2.0.0/16"), Some(Truth::False));
        assert_eq!(cam("ip_not_equal", "10.0.0.0/8"), Some(Truth::False));
        assert_eq!(cam("surprise", "10.0.0.0/8"), Some(Truth::Unknown), "an operator that nobody knows");
        let secure: &[(&str, &[&str])] = &[("acs:SecureTransport", &["true"])];
        assert_eq!(holds(secure, Language::Ram, "Bool", "acs:SecureTransport", "true"), Some(Truth::True));
        let none: &[(&str, &[&str])] = &[("cos:prefix", &[])];
        assert_eq!(holds(none, Language::Cam, "null_equal", "cos:prefix", "true"), Some(Truth::True));
        assert_eq!(holds(none, Language::Cam, "string_equal", "cos:prefix", "a"), Some(Truth::False));
    }

    #[test]
    fn of_what_is_not_stated_nothing_is_known() {
        for operator in ["ip_equal", "ip_not_equal", "ip_equal_if_exist", "null_equal"] {
            assert_eq!(holds(&[], Language::Cam, operator, "qcs:ip", "10.0.0.0/8"), None, "{operator}");
        }
        let stated: &[(&str, &[&str])] = &[("oss:Prefix", &["a"])];
        assert_eq!(holds(stated, Language::Ram, "StringEquals", "oss:prefix", "a"), None, "in another case");
    }

    #[test]
    fn the_time_is_that_of_this_clock() {
        let before = |value| holds(&[], Language::Cam, "date_less_than", "qcs:current_time", value);
        assert_eq!(before("2100-01-01T00:00:00Z"), Some(Truth::True));
        assert_eq!(before("2020-01-01T00:00:00Z"), Some(Truth::False));
        let after = holds(&[], Language::Ram, "DateGreaterThan", "acs:CurrentTime", "2020-01-01T00:00:00Z");
        assert_eq!(after, Some(Truth::True));
    }
}
