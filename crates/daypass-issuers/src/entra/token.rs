//! What an access token says of itself, where it can be read.
//!
//! Its signature is not looked at: it came over TLS from the host that the configuration names, and it is for others to
//! verify. What it says is compared, because an answer that was mixed up, by a cache or a proxy in between, says so there.

use crate::check;
use crate::fault::{Fault, FaultKind};
use crate::reading::Object;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::Timestamp;
use daypass_core::secret::Secret;
use daypass_core::upstream::Upstream;
use uuid::Uuid;

/// What a token must say, where it says anything of it.
pub(super) struct Expected<'a> {
    /// The tenant of the configuration: a GUID or a domain.
    pub(super) tenant: &'a str,
    /// The client id.
    pub(super) client: &'a str,
    /// The scope that was asked for.
    pub(super) scope: &'a str,
}

/// Compares, and gives the end that the token has.
pub(super) fn check(
    token: &Secret,
    expected: &Expected<'_>,
    upstream: &Upstream,
) -> Result<Option<Timestamp>, Fault> {
    let Some(mut claims) = claims(token) else { return Ok(None) };
    let wrong = |what: &str| {
        Err(Fault::new(FaultKind::Wrong, format!("it gave a token of another {what} than was asked for")))
    };
    if let Some(tenant) = claims.text("tid") {
        check::account(upstream, &tenant)?;
        // A domain names a tenant whose GUID we do not know.
        if is_guid(expected.tenant) && !expected.tenant.eq_ignore_ascii_case(&tenant) {
            return wrong("tenant");
        }
    }
    for name in ["appid", "azp"] {
        if claims.text(name).is_some_and(|client| !client.eq_ignore_ascii_case(expected.client)) {
            return wrong("client");
        }
    }
    if claims.text("aud").is_some_and(|audience| is_other(&audience, expected.scope)) {
        return wrong("resource");
    }
    Ok(claims.number("exp").and_then(|seconds| Timestamp::from_second(seconds).ok()))
}

/// The tenant that a token is of.
pub(super) fn tenant(token: &Secret) -> Option<String> {
    claims(token)?.text("tid")
}

fn claims(token: &Secret) -> Option<Object> {
    let mut parts = token.expose_str().split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Object::parse(&URL_SAFE_NO_PAD.decode(payload).ok()?)
}

/// Whether the audience is surely not that of the scope. A resource has a GUID and names, and a token shows one of them; a
/// GUID cannot be compared with a name, but with a GUID.
fn is_other(audience: &str, scope: &str) -> bool {
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    let (audience, resource) = (bare(audience), bare(resource));
    is_guid(audience) == is_guid(resource) && !audience.eq_ignore_ascii_case(resource)
}

/// Without what stands around a GUID or name.
fn bare(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.strip_prefix("api://").or_else(|| name.strip_prefix("spn:")).unwrap_or(name)
}

fn is_guid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_several_names() {
        const ID: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
        for (audience, scope, other) in [
            (ID, "d6b7c858-55fa-4d04-85a6-131af690abd4/.default", false),
            ("D6B7C858-55FA-4D04-85A6-131AF690ABD4", "d6b7c858-55fa-4d04-85a6-131af690abd4/.default", false),
            (
                "api://d6b7c858-55fa-4d04-85a6-131af690abd4",
                "d6b7c858-55fa-4d04-85a6-131af690abd4/.default",
                false,
            ),
            (ID, "api://d6b7c858-55fa-4d04-85a6-131af690abd4/.default", false),
            (ID, "https://orders.example.com/.default", false),
            ("https://orders.example.com/", "https://orders.example.com//.default", false),
            ("https://orders.example.com", "https://other.example.com/.default", true),
            ("00000003-0000-0000-c000-000000000000", "d6b7c858-55fa-4d04-85a6-131af690abd4/.default", true),
        ] {
            assert_eq!(is_other(audience, scope), other, "{audience} {scope}");
        }
    }

    /// Each of the two catches what the other does not know: a domain names no GUID, and no account may be configured.
    #[test]
    fn another_tenants_token_is_found_by_the_tenant_or_by_the_account() {
        const OURS: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
        const THEIRS: &str = "00000003-0000-0000-c000-000000000000";
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"tid":"{THEIRS}"}}"#));
        let token = Secret::new(format!("e30.{claims}.x"));
        for (tenant, account, passes) in [
            (OURS, None, false),
            ("contoso.example.com", Some(OURS), false),
            (THEIRS, Some(OURS), false),
            (THEIRS, None, true),
            ("contoso.example.com", Some(THEIRS), true),
        ] {
            let cloud = daypass_core::upstream::Cloud::Entra { tenant: tenant.into() };
            let upstream = crate::cloud::tests::upstream(cloud, "https://login.example.com/", None, 1_000);
            let upstream = Upstream { account: account.map(str::to_owned), ..(*upstream).clone() };
            let expected = Expected { tenant, client: "app", scope: "api/.default" };
            assert_eq!(check(&token, &expected, &upstream).is_ok(), passes, "{tenant} {account:?}");
        }
    }
}
