//! Whose resources a policy names.
//!
//! An account has two numbers: the root account's uin, which is a tenant's `account`, and the APPID, which only
//! its owner knows. `uin/…` can therefore be judged here. `uid/…` is compared with what the role says, where it
//! must be the same.

use super::resource::Segments;
use super::{BadPolicy, parse_sent};
use crate::tencent::wire::shown;
use daypass_core::policy::{Effect, Pattern, Policy};
use daypass_core::refusal::Reason;

/// Reads the `Policy` parameter of a request by a client of this root account (a uin): every encoding that clients
/// send, no resources of another account, and the account put in where it is left out.
pub fn asked(text: &str, account: &str) -> Result<Policy, BadPolicy> {
    let policy = parse_sent(text)?;
    refuse_foreign(&policy, account)?;
    Ok(with_account(policy, account))
}

/// The policy with its owner's root account (a uin) in every resource that names none, which is what the vendor
/// takes such a resource to mean. What a role gives and what is asked for can then be compared.
///
/// For role templates and boundaries as well, with the account of their tenant: before the template looks for its
/// variables, because a segment that holds one is not empty and stays as it is.
///
/// A denial gets `*` in place of the number. Attack: the resource that it means may be named by the account's
/// APPID, which nobody here knows, and would slip through a denial that knows the account by its uin alone.
#[must_use]
pub fn with_account(mut policy: Policy, account: &str) -> Policy {
    let own = format!("uin/{account}");
    for statement in &mut policy.statements {
        let account = match statement.effect {
            Effect::Allow => own.as_str(),
            Effect::Deny => "*",
        };
        for resource in &mut statement.resources {
            let empty = Segments::of(resource.as_str()).filter(|segments| segments.account.is_empty());
            if let Some(segments) = empty {
                *resource = Pattern::parse(&Segments { account, ..segments }.to_string());
            }
        }
    }
    policy
}

/// Refuses a policy that allows something on a resource of another root account, as the vendor does. It is the
/// error that its users meet most, so the message says which resource, whose, and what was expected.
pub fn refuse_foreign(policy: &Policy, account: &str) -> Result<(), BadPolicy> {
    for (n, statement) in policy.statements.iter().enumerate() {
        // Who forbids too much takes nothing.
        if statement.effect == Effect::Deny {
            continue;
        }
        for resource in &statement.resources {
            if let Some(why) =
                Segments::of(resource.as_str()).and_then(|segments| foreign(&segments, account))
            {
                let detail = format!("the resource `{}` {why}", shown(resource.as_str()));
                return Err(BadPolicy { reason: Reason::PolicyTooWide, detail }.at(n));
            }
        }
    }
    Ok(())
}

/// What is wrong with the account that a resource names, if it cannot be the caller's.
fn foreign(segments: &Segments<'_>, account: &str) -> Option<String> {
    if let Some(uin) = segments.account.strip_prefix("uin/") {
        if Pattern::parse(uin).matches(account) {
            return None;
        }
        let mut why =
            format!("belongs to uin {}, and this key can grant resources of uin {account} alone", shown(uin));
        if is_appid(uin) {
            why.push_str("; if that is an APPID, write uid/ before it");
        }
        return Some(why);
    }
    let appid = segments.account.strip_prefix("uid/")?;
    if appid == account {
        return Some(format!(
            "has the uin {account} where an APPID belongs; write uin/{account}, or uid/ and the APPID"
        ));
    }
    let bucket = segments.name.split('/').next().filter(|_| segments.service == "cos")?;
    let (_, suffix) = bucket.rsplit_once('-')?;
    (is_appid(suffix) && is_appid(appid) && suffix != appid).then(|| {
        format!("has a bucket of APPID {suffix} in the account of APPID {appid}; the two must be the same")
    })
}

/// Whether a number has the form of an APPID: ten digits, of which the first is 1.
fn is_appid(number: &str) -> bool {
    number.len() == 10 && number.starts_with('1') && number.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::policy::tests::{one, refused};
    use crate::tencent::policy::{parse, render};
    use daypass_core::policy::{Access, Decision, Template, Truth, VariableType, covers, decide};
    use std::collections::BTreeMap;

    const UIN: &str = "100000000001";

    fn document(effect: &str, resource: &str) -> String {
        format!(
            r#"{{"version":"2.0","statement":[{{"effect":"{effect}","action":"*","resource":"{resource}"}}]}}"#
        )
    }

    fn ask(resource: &str) -> Result<Policy, BadPolicy> {
        asked(&document("allow", resource), UIN)
    }

    #[test]
    fn without_an_account_the_own_one_is_meant() {
        let own = ask("qcs::cvm:::instance/ins-1").unwrap();
        assert_eq!(own.statements[0].resources[0].as_str(), "qcs::cvm:*:uin/100000000001:instance/ins-1");
        for resource in ["qcs::cvm::uin/100000000001:instance/ins-1", "qcs::cvm:*::instance/ins-1"] {
            assert_eq!(ask(resource).as_ref(), Ok(&own));
        }
        assert!(render(&own).unwrap().contains(r#""qcs::cvm::uin/100000000001:instance/ins-1""#));
        for kept in
            ["*", "qcs::cvm:gz:*:x", "qcs::cvm:gz:uin/*:x", "qcs::cos:gz:uid/1250000000:b-1250000000/*"]
        {
            assert_eq!(ask(kept).unwrap().statements[0].resources[0].as_str(), kept);
        }
    }

    #[test]
    fn a_template_gets_the_account_of_its_tenant_and_keeps_its_variables() {
        let text = document("allow", "qcs::cos:::{bucket}/a/*");
        let variables = BTreeMap::from([("bucket".to_owned(), VariableType::Slug)]);
        let template = Template::new(with_account(parse(&text).unwrap(), UIN), &variables).unwrap();
        let role = template.bind(&BTreeMap::from([("bucket".to_owned(), "pics-1".to_owned())])).unwrap();
        for same in ["qcs::cos:::pics-1/a/b", "qcs::cos:gz:uin/100000000001:pics-1/a/*"] {
            assert_eq!(covers(&role, &ask(same).unwrap()), Ok(()));
        }
        let open = with_account(parse(&document("allow", "qcs::cos::uid/{app}:b/*")).unwrap(), UIN);
        assert_eq!(open.statements[0].resources[0].as_str(), "qcs::cos:*:uid/{app}:b/*");
    }

    #[test]
    fn a_denial_without_an_account_holds_under_either_number() {
        let deny = r#"{"version":"2.0","statement":[{"effect":"allow","action":"*","resource":"*"},
            {"effect":"deny","action":"*","resource":"qcs::cos:::pics-1250000000/*"}]}"#;
        let policy = asked(deny, UIN).unwrap();
        for account in ["uin/100000000001", "uid/1250000000", ""] {
            let resource = format!("qcs::cos:gz:{account}:pics-1250000000/a");
            let access = Access { action: "cos:GetObject", resource: &resource };
            assert_eq!(decide(&policy, access, &|_| Truth::True), Decision::Denied(1), "{account}");
        }
    }

    #[test]
    fn a_resource_of_another_account_is_named() {
        for (resource, said) in [
            (
                "qcs::cvm::uin/200000000002:instance/*",
                "statement 1: the resource `qcs::cvm:*:uin/200000000002:instance/*` belongs to uin 200000000002, and this key can grant resources of uin 100000000001 alone",
            ),
            ("qcs::cvm::uin/2*:instance/*", "belongs to uin 2*,"),
            (
                "qcs::cos::uin/1250000000:pics-1250000000/*",
                "alone; if that is an APPID, write uid/ before it",
            ),
            (
                "qcs::cos::uid/100000000001:pics-1250000000/*",
                "has the uin 100000000001 where an APPID belongs; write uin/100000000001, or uid/ and the APPID",
            ),
            (
                "qcs::cos:gz:uid/1250000000:pics-1259999999/*",
                "has a bucket of APPID 1259999999 in the account of APPID 1250000000",
            ),
            (
                "qcs::cos:gz:uid/1250000000:prefix//1259999999/pics/*",
                "has a bucket of APPID 1259999999 in the account of APPID 1250000000",
            ),
        ] {
            refused(ask(resource), Reason::PolicyTooWide, said);
        }
    }

    #[test]
    fn what_may_be_its_own_is_left_to_the_role() {
        for own in [
            "*",
            "qcs::cvm:::instance/*",
            "qcs::cvm::uin/100000000001:instance/*",
            "qcs::cvm::uin/*:instance/*",
            "qcs::cvm::uin/1000*:instance/*",
            "qcs::cos::uid/1250000000:pics-1250000000/*",
            "qcs::cos::uid/1250000000:pics/*",
            "qcs::cos::uid/1250000000:backup-20261122/*",
            "qcs::cos::uid/1250000000:*",
            "qcs::vod::uid/1250000000:media-1259999999/*",
        ] {
            assert!(ask(own).is_ok(), "{own}");
        }
    }

    #[test]
    fn who_forbids_too_much_takes_nothing() {
        assert!(asked(&document("deny", "qcs::cvm::uin/200:instance/*"), UIN).is_ok());
    }

    #[test]
    fn the_statement_is_counted_from_one() {
        let policy = one(
            r#""action":"*","resource":"*"},{"effect":"allow","action":"*","resource":["*","qcs::a::uin/2:x"]"#,
        );
        refused(
            refuse_foreign(&policy.unwrap(), UIN),
            Reason::PolicyTooWide,
            "statement 2: the resource `qcs::a:",
        );
    }
}
