//! For what an exchange is made: a resource with all or some of its roles, or a role that gives temporary keys.

use daypass_core::dialect::{Form, Issue, RoleChoice};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::triple::TripleKind;

/// All roles of a resource.
const DEFAULT: &str = ".default";

/// Words of OpenID Connect that mean nothing where no user is; libraries add them.
const IGNORED: [&str; 3] = ["openid", "profile", "offline_access"];

/// What stands before the name of a role in `audience`.
const ROLE: &str = "role:";

/// The most roles of one request: more than a token has room for.
const ROLES: usize = 128;

/// The ask for an access token. `audience` and `resource` are two ways to name the same; a scope may name it as well.
pub(super) fn access_token(
    scope: Option<&str>,
    audience: Option<&str>,
    resource: Option<&str>,
) -> Result<Issue, Refusal> {
    let audience = audience.map(check_audience).transpose()?;
    let resource = resource.map(check_resource).transpose()?;
    let mut named = match (audience, resource) {
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => return Err(several()),
        (one, other) => one.or(other),
    };
    let mut roles = Vec::new();
    for word in
        scope.unwrap_or_default().split(' ').filter(|word| !word.is_empty() && !IGNORED.contains(word))
    {
        if roles.len() == ROLES || !word.bytes().all(in_scope) {
            return Err(bad_scope("the scope holds more words or other characters than a scope may have"));
        }
        // A role's name has no slash in it; what stands before the last one is the resource.
        let role = match word.rsplit_once('/') {
            None => word,
            Some((before, role)) => {
                if before.is_empty() || named.is_some_and(|named| !named.eq_ignore_ascii_case(before)) {
                    return Err(several());
                }
                named = Some(before);
                role
            }
        };
        roles.push(role);
    }
    let resource = named.ok_or_else(no_target)?;
    let issue = Issue::new(RoleChoice::Resource(resource.to_owned()), Form::Bearer);
    let default = roles.is_empty() || roles.contains(&DEFAULT);
    if roles.contains(&"") || (default && roles.len() > 1) {
        return Err(bad_scope(
            "the scope is {resource}/.default alone, or one or more {resource}/{role} of the same resource",
        ));
    }
    let app_roles = (!default).then(|| roles.into_iter().map(str::to_owned).collect());
    Ok(Issue { app_roles, ..issue })
}

/// The ask for a temporary key of a role. Its variables are filled in the form of a query; one that may have a single
/// value only need not be.
pub(super) fn temporary_key(kind: TripleKind, audience: &str) -> Result<Issue, Refusal> {
    let target = check_audience(audience)?.strip_prefix(ROLE).ok_or_else(not_a_role)?;
    let (name, query) = target.split_once('?').unwrap_or((target, ""));
    if name.is_empty() {
        return Err(not_a_role());
    }
    let mut issue = Issue::new(RoleChoice::Named(name.to_owned()), Form::Triple(kind));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if issue.variables.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(target_refused("the audience names a variable of the role more than once"));
        }
    }
    Ok(issue)
}

/// RFC 8693 lets a server choose where nothing is named; ours would have to guess.
fn no_target() -> Refusal {
    let detail = "the request names no resource; send one as scope={resource}/.default, or by the parameter resource or audience";
    Refusal::new(Reason::MissingParameter, detail).parameter("scope")
}

/// What was said is no target of a temporary key.
pub(super) fn not_a_role() -> Refusal {
    target_refused(
        "a temporary key is given for a role; name that and nothing else, as audience=role:{name} or, with variables, audience=role:{name}?{variable}={value}",
    )
}

/// RFC 8693 leaves what an audience is to the server. Ours have no blank in them, nor what would have to be escaped.
fn check_audience(audience: &str) -> Result<&str, Refusal> {
    let fine = !audience.is_empty() && audience.bytes().all(in_scope);
    if fine {
        Ok(audience)
    } else {
        Err(target_refused("the audience is the name of a resource, or role:{name}"))
    }
}

/// RFC 8707 §2: an absolute URI, without a fragment.
fn check_resource(resource: &str) -> Result<&str, Refusal> {
    let absolute = resource.split_once(':').is_some_and(|(scheme, rest)| {
        let mut bytes = scheme.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
    });
    let fine = absolute && !resource.contains('#') && resource.bytes().all(in_scope);
    let refused = || {
        target_refused(
            "the resource is an absolute URI without a fragment; a resource that has no URI is named by audience",
        )
    };
    if fine { Ok(resource) } else { Err(refused()) }
}

/// The characters of a scope's words (RFC 6749 §3.3). None of them has to be escaped in JSON or in a log.
fn in_scope(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

fn several() -> Refusal {
    target_refused("an exchange is for one resource; scope, audience and resource name several")
}

fn target_refused(detail: &'static str) -> Refusal {
    Refusal::new(Reason::InvalidTarget, detail)
}

fn bad_scope(detail: &'static str) -> Refusal {
    Refusal::new(Reason::InvalidScope, detail).parameter("scope")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Three<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

    fn asked(three: Three<'_>) -> Result<(String, Option<Vec<String>>), Reason> {
        let (scope, audience, resource) = three;
        let issue = access_token(scope, audience, resource).map_err(|refusal| refusal.reason)?;
        let RoleChoice::Resource(name) = issue.role else { panic!("no resource") };
        Ok((name, issue.app_roles))
    }

    #[test]
    fn a_resource_is_named_in_one_of_three_ways() {
        let roles = |roles: &[&str]| Some(roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>());
        let api = "api://orders";
        for (three, expected) in [
            ((Some("api://orders/.default"), None, None), None),
            ((Some("openid api://orders/.default offline_access"), None, None), None),
            ((None, Some(api), None), None),
            ((None, None, Some(api)), None),
            ((None, Some("API://Orders"), Some(api)), None),
            ((Some(".default"), Some(api), None), None),
            ((Some("API://ORDERS/.default"), Some(api), None), None),
            ((Some("api://orders/a api://orders/b.c"), None, None), roles(&["a", "b.c"])),
            ((Some("a b.c"), None, Some(api)), roles(&["a", "b.c"])),
            ((Some("api://orders/a b"), None, None), roles(&["a", "b"])),
        ] {
            let (name, app_roles) = asked(three).unwrap_or_else(|reason| panic!("{three:?}: {reason:?}"));
            assert!(name.eq_ignore_ascii_case(api), "{three:?}: {name}");
            assert_eq!(app_roles, expected, "{three:?}");
        }
        assert_eq!(asked((Some("https://a//.default"), None, None)), Ok(("https://a/".into(), None)));
    }

    #[test]
    fn what_names_no_one_resource_is_refused() {
        for (three, reason) in [
            ((None, None, None), Reason::MissingParameter),
            ((Some("orders.read"), None, None), Reason::MissingParameter),
            ((Some("openid"), None, None), Reason::MissingParameter),
            ((Some("a/.default b/.default"), None, None), Reason::InvalidTarget),
            ((Some("a/.default"), Some("b"), None), Reason::InvalidTarget),
            ((None, Some("a"), Some("x:b")), Reason::InvalidTarget),
            ((Some("/.default"), None, None), Reason::InvalidTarget),
            ((None, None, Some("orders")), Reason::InvalidTarget),
            ((None, None, Some("x:a#part")), Reason::InvalidTarget),
            ((None, None, Some("x:")), Reason::InvalidTarget),
            ((None, None, Some("1x:a")), Reason::InvalidTarget),
            ((None, None, Some("/path")), Reason::InvalidTarget),
            ((None, Some("a b"), None), Reason::InvalidTarget),
            ((Some("a/.default a/read"), None, None), Reason::InvalidScope),
            ((Some("a/.default a/.default"), None, None), Reason::InvalidScope),
            ((Some("a/"), None, None), Reason::InvalidScope),
            ((Some("a/\"b"), None, None), Reason::InvalidScope),
        ] {
            assert_eq!(asked(three), Err(reason), "{three:?}");
        }
        let many = vec!["a/b"; ROLES + 1].join(" ");
        assert!(asked((Some(&many[4..]), None, None)).is_ok());
        assert_eq!(asked((Some(&many), None, None)), Err(Reason::InvalidScope));
    }

    #[test]
    fn a_role_is_named_with_its_variables() {
        let key = |audience: &str| {
            let issue = temporary_key(TripleKind::Alibaba, audience).map_err(|refusal| refusal.reason)?;
            let RoleChoice::Named(name) = issue.role else { panic!("no name") };
            let variables = issue.variables.into_iter().map(|(name, value)| format!("{name}={value}"));
            Ok((name, variables.collect::<Vec<_>>().join(" ")))
        };
        let right = |name: &str, variables: &str| Ok((name.to_owned(), variables.to_owned()));
        assert_eq!(key("role:soe"), right("soe", ""));
        assert_eq!(key("role:soe?"), right("soe", ""));
        assert_eq!(
            key("role:up?poi_id=8005&tenant_code=he%6da"),
            right("up", "poi_id=8005 tenant_code=hema")
        );
        for bad in ["soe", "role:", "role:?a=b", "", "role:a b", "role:a?b=1&b=1", "acs:ram::1:role/soe"] {
            assert_eq!(key(bad), Err(Reason::InvalidTarget), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_target_or_a_refusal_that_needs_no_escape(a in "\\PC{0,20}", b in "\\PC{0,20}", c: String) {
            for result in [
                access_token(Some(&a), Some(&b), None),
                access_token(Some(&a), None, Some(&c)),
                temporary_key(TripleKind::Tencent, &format!("role:{a}")),
            ] {
                if let Err(refusal) = result {
                    let plain = |b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
                    prop_assert!(refusal.detail.bytes().all(plain));
                }
            }
        }
    }
}
