//! Resources: `*`, or six segments `qcs:project:service:region:account:resource`.

use super::{Author, BadPolicy};
use crate::tencent::wire::shown;
use daypass_core::policy::Pattern;
use daypass_core::refusal::Reason;
use std::borrow::Cow;

/// A resource with all six segments; the last one may hold colons.
pub(super) struct Segments<'a> {
    /// Such as `cos`. Never empty.
    pub(super) service: &'a str,
    /// Such as `ap-guangzhou`. In a document empty for all regions; in the model that is `*`.
    pub(super) region: &'a str,
    /// `uin/<root account>`, `uid/<APPID>`, or empty for the owner of the policy.
    pub(super) account: &'a str,
    /// What it is, in the service's own notation. Never empty.
    pub(super) name: &'a str,
}

impl<'a> Segments<'a> {
    /// Takes a resource apart that was read before; nothing for `*`.
    pub(super) fn of(resource: &'a str) -> Option<Self> {
        let rest = resource.strip_prefix("qcs::")?;
        let mut segments = rest.splitn(4, ':');
        let mut next = || segments.next();
        Some(Self { service: next()?, region: next()?, account: next()?, name: next()? })
    }
}

impl std::fmt::Display for Segments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, region, account, name } = self;
        write!(f, "qcs::{service}:{region}:{account}:{name}")
    }
}

/// Reads a resource into its normal form.
pub(super) fn read(text: &str, author: Author) -> Result<Pattern, BadPolicy> {
    let bad = |what: &str| BadPolicy {
        reason: Reason::PolicyResource,
        detail: format!("the resource `{}` {what}", shown(text)),
    };
    if text.chars().any(char::is_control) {
        return Err(bad("has a control character in it"));
    }
    let whole = Pattern::parse(text);
    if whole.is_any() {
        return Ok(whole);
    }
    if text.splitn(6, ':').count() < 6 {
        return Err(bad(
            "has not the six segments qcs:project:service:region:account:resource, such as `qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/*`",
        ));
    }
    let segments = Segments::of(text).ok_or_else(|| {
        bad("does not begin with `qcs::`; the project, between the first two colons, is always empty")
    })?;
    if segments.service.is_empty() || segments.name.is_empty() {
        return Err(bad("has an empty service or resource segment (the third and the last)"));
    }
    let plain = |part: &str| part.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-*".contains(&c));
    for (part, which) in [(segments.service, "service"), (segments.region, "region")] {
        if !plain(part) && !author.leaves_open(part) {
            return Err(bad(&format!(
                "has the {which} `{}`, which is no name; is a segment missing, or one too many?",
                shown(part)
            )));
        }
    }
    if !is_account(segments.account, author) {
        return Err(bad(&format!(
            "has the account `{}`; an account is uin/ and the number of the root account, uid/ and an APPID, or empty",
            shown(segments.account)
        )));
    }
    let region = if segments.region.is_empty() { "*" } else { segments.region };
    let name = match older_name(&segments) {
        Some(older) if author.leaves_open(older.bucket) => {
            return Err(bad(&format!(
                "has a variable for a bucket in the older notation; write `{}-{}/…`",
                shown(older.bucket),
                older.appid
            )));
        }
        Some(older) => older.newer(&segments),
        None => None,
    };
    let name = name.as_deref().unwrap_or(segments.name);
    Ok(Pattern::parse(&Segments { region, name, ..segments }.to_string()))
}

fn is_account(account: &str, author: Author) -> bool {
    let number = account.strip_prefix("uin/").or_else(|| account.strip_prefix("uid/"));
    match number {
        None => account.bytes().all(|c| c == b'*') || author.leaves_open(account),
        Some("") => false,
        Some(number) => number.bytes().all(|c| c.is_ascii_digit() || c == b'*') || author.leaves_open(number),
    }
}

/// The older name of a COS resource, `prefix//<APPID>/<bucket>/<object>`, which the vendor's Node helper still writes.
struct OlderName<'a> {
    appid: &'a str,
    bucket: &'a str,
    object: Option<&'a str>,
}

fn older_name<'a>(segments: &Segments<'a>) -> Option<OlderName<'a>> {
    let name = Some(segments.name).filter(|_| segments.service == "cos")?;
    let (appid, rest) = name.strip_prefix("prefix//")?.split_once('/')?;
    let (bucket, object) =
        rest.split_once('/').map_or((rest, None), |(bucket, object)| (bucket, Some(object)));
    let number = !appid.is_empty() && appid.bytes().all(|c| c.is_ascii_digit());
    number.then_some(OlderName { appid, bucket, object })
}

impl OlderName<'_> {
    /// The same in the newer notation, `<bucket>-<APPID>/<object>`, or `*` for all buckets of the account.
    ///
    /// None where a wildcard stands in a bucket's name. Attack: in the newer notation its end could not be told
    /// from an object's name, so that `a*-1250000000/x` would also match the object `y-1250000000/x` of the
    /// bucket `a`.
    fn newer(&self, segments: &Segments<'_>) -> Option<String> {
        let Self { appid, bucket, object } = self;
        match object {
            None if Pattern::parse(bucket).is_any()
                && segments.account.strip_prefix("uid/") == Some(appid) =>
            {
                Some("*".to_owned())
            }
            Some(object) if !bucket.is_empty() && !bucket.contains('*') => {
                Some(format!("{bucket}-{appid}/{object}"))
            }
            _ => None,
        }
    }
}

/// How a resource of the model stands in a document: all regions are an empty segment, as the vendor documents it.
pub(super) fn written(resource: &Pattern) -> Cow<'_, str> {
    match Segments::of(resource.as_str()) {
        Some(segments) if segments.region == "*" => Segments { region: "", ..segments }.to_string().into(),
        _ => resource.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::policy::tests::{one, refused};
    use crate::tencent::policy::{parse, parse_sent, render};
    use daypass_core::policy::{Access, Decision, Policy, Truth, covers, decide, narrow};

    fn normal(text: &str) -> String {
        read(text, Author::Caller).unwrap_or_else(|bad| panic!("{text}: {bad}")).to_string()
    }

    fn on(resource: &str) -> Policy {
        one(&format!(r#""action":"cos:GetObject","resource":["{resource}"]"#)).unwrap()
    }

    #[test]
    fn resources_have_six_segments() {
        for fine in [
            "*",
            "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/dir/*",
            "qcs::cvm:*:uin/100000000001:instance/ins-1",
            "qcs::cvm:*:*:instance/*",
            "qcs::*:*:*:*",
            "qcs::cvm:ap-*:uin/1*:*-test",
            "qcs::soe:*:uin/100000000001:课程/一",
            "qcs::cos:*:uid/1:b/a:b:c",
            "qcs::cos:*:uid/1:b/{not a variable}",
            "qcs::cos:*:uid/1:b/ends in a blank ",
        ] {
            assert_eq!(normal(fine), fine);
        }
        for (bad, what) in [
            ("", "six segments"),
            ("bucket/*", "six segments"),
            ("qcs::cos:ap-guangzhou:uid/1", "six segments"),
            ("qcs::*", "six segments"),
            ("qcs:*", "six segments"),
            (" *", "six segments"),
            ("acs:oss:*:*:bucket/*:x", "does not begin with `qcs::`"),
            ("QCS::cos:::x", "does not begin with `qcs::`"),
            (" qcs::cos:::x", "does not begin with `qcs::`"),
            ("qcs:project:cos:::x", "the project"),
            ("qcs:*:cos:::x", "the project"),
            ("qcs:::::x", "empty service"),
            ("qcs::cos:::", "empty service or resource"),
            ("qcs::cos:uid/1250000000:pics-1250000000/a:b:c", "the region `uid/1250000000`"),
            ("qcs::cos: ap:uid/1:x", "the region ` ap`"),
            ("qcs::c/s::uid/1:x", "the service `c/s`"),
            ("qcs::cos::100000000001:x", "the account `100000000001`"),
            ("qcs::cos::uin/:x", "the account `uin/`"),
            ("qcs::cos::uin/me:x", "the account `uin/me`"),
            ("qcs::cos::uid/{app}:x", "the account `uid/{app}`"),
            ("qcs::cos::{account}:x", "the account `{account}`"),
            ("qcs::cos::appid/1:x", "the account `appid/1`"),
            ("qcs::cos:::a\u{0}b", "control"),
        ] {
            refused(read(bad, Author::Caller), Reason::PolicyResource, what);
        }
    }

    #[test]
    fn an_operator_may_leave_a_segment_to_a_variable() {
        for fine in ["qcs::cos:{region}:uid/{app}:{bucket}-1/{dir}/*", "qcs::{service}:*:{account}:x"] {
            assert_eq!(read(fine, Author::Operator).unwrap().as_str(), fine);
            assert!(read(fine, Author::Caller).is_err());
        }
        refused(
            read("qcs::cos::uid/1:prefix//1/{bucket}/x", Author::Operator),
            Reason::PolicyResource,
            "write `{bucket}-1/…`",
        );
    }

    #[test]
    fn without_a_region_all_regions_are_meant() {
        let (all, one) = (on("qcs::cos::uid/1:b-1/*"), on("qcs::cos:ap-guangzhou:uid/1:b-1/*"));
        assert_eq!(all, on("qcs::cos:*:uid/1:b-1/*"));
        assert_eq!(covers(&all, &one), Ok(()));
        assert!(covers(&one, &all).is_err(), "one region is not all of them");
        assert_eq!(narrow(&all, &one), Ok(one.clone()));
        assert_eq!(narrow(&one, &all), Ok(one));
        assert!(render(&all).unwrap().contains(r#""qcs::cos::uid/1:b-1/*""#), "as the vendor documents it");

        let deny = parse(
            r#"{"version":"2.0","statement":[{"effect":"allow","action":"*","resource":"*"},
                {"effect":"deny","action":"*","resource":"qcs::cos::uid/1:b-1/secret/*"}]}"#,
        );
        let ask = Access { action: "cos:GetObject", resource: "qcs::cos:ap-guangzhou:uid/1:b-1/secret/a" };
        assert_eq!(decide(&deny.unwrap(), ask, &|_| Truth::True), Decision::Denied(1));
    }

    #[test]
    fn a_question_mark_is_no_wildcard() {
        let role = on("qcs::cos::uid/1:b-1/a?c");
        assert!(covers(&role, &on("qcs::cos::uid/1:b-1/abc")).is_err());
        assert_eq!(covers(&role, &on("qcs::cos::uid/1:b-1/a?c")), Ok(()));
        assert_eq!(covers(&on("qcs::cos::uid/1:b-1/a*"), &role), Ok(()));
        assert!(render(&role).unwrap().contains("b-1/a?c"));
    }

    #[test]
    fn another_account_of_cos_is_another_resource() {
        let role = on("qcs::cos::uid/1250000000:pics-1250000000/users/*");
        assert_eq!(
            covers(&role, &on("qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/users/1/*")),
            Ok(())
        );
        for other in [
            "qcs::cos::uid/1259999999:pics-1250000000/users/1/*",
            "qcs::cos::uid/*:pics-1250000000/users/1/*",
            "qcs::cos::*:pics-1250000000/users/1/*",
            "qcs::cos::uid/1250000000:pics/users/1/*",
            "*",
        ] {
            assert!(covers(&role, &on(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn the_older_name_of_a_bucket_is_the_newer_one() {
        for (older, newer) in [
            ("uid/1:prefix//1/pics/users/1/*", "uid/1:pics-1/users/1/*"),
            ("uid/1:prefix//1/pics/*", "uid/1:pics-1/*"),
            ("uid/1:prefix//1/pics/", "uid/1:pics-1/"),
            ("uin/100:prefix//1/my-pics/a", "uin/100:my-pics-1/a"),
            ("uid/1:prefix//1/*", "uid/1:*"),
        ] {
            assert_eq!(normal(&format!("qcs::cos:gz:{older}")), format!("qcs::cos:gz:{newer}"));
        }
        for kept in [
            "qcs::cos:gz:uid/1:prefix//1/pi*/a",
            "qcs::cos:gz:uid/1:prefix//1/pics*",
            "qcs::cos:gz:uid/1:prefix//1/pics",
            "qcs::cos:gz:uid/1:prefix//1//a",
            "qcs::cos:gz:uid/2:prefix//1/*",
            "qcs::cos:gz:uin/100:prefix//1/*",
            "qcs::cos:gz:uid/1:prefix//*/pics/a",
            "qcs::cos:gz:uid/1:prefix/1/pics/a",
            "qcs::vod:gz:uid/1:prefix//1/pics/a",
        ] {
            assert_eq!(normal(kept), kept);
        }
    }

    #[test]
    fn the_newer_name_never_matches_more() {
        let policy = on("qcs::cos:gz:uid/1:prefix//1/a*/x");
        let resource = "qcs::cos:gz:uid/1:a-1/y-1/x";
        let ask = Access { action: "cos:GetObject", resource };
        assert_eq!(decide(&policy, ask, &|_| Truth::True), Decision::NoMatch);
        let sent = render(&policy).unwrap();
        assert_eq!(parse_sent(&sent), Ok(policy));
    }
}
