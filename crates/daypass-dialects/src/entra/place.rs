//! Which path means what.

use daypass_core::client::Tenant;
use daypass_core::directory::Directory;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::role::TokenVersion;
use std::sync::Arc;
use uuid::Uuid;

/// What a path stands for. A tenant is still the text of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Where tokens are handed out.
    Token(&'a str),
    /// Where it is asked what a token is (RFC 7662).
    Introspect(&'a str),
    /// Where a token is taken back (RFC 7009).
    Revoke(&'a str),
    /// Where people would sign in. Discovery must name it, because MSAL for Python reads it without a default.
    Authorize(&'a str),
    /// The discovery document, of the issuer of tokens of this version.
    Metadata(&'a str, TokenVersion),
    /// The public keys: of a tenant, or the same ones under `common`.
    Keys(Option<&'a str>),
    /// What has been taken back, for verifiers that do not ask.
    Revocations(&'a str),
    /// Where MSAL asks whether it knows this host.
    Instance,
    /// Where `error_uri` leads.
    Explanation,
    /// Nothing is here.
    Nowhere,
}

/// The two names of the discovery document: OpenID Connect Discovery 1.0, and RFC 8414.
const DOCUMENTS: [&str; 2] = ["openid-configuration", "oauth-authorization-server"];

impl<'a> Place<'a> {
    /// The place of this path. RFC 8414 puts the well-known part before the issuer's path, OpenID Connect behind
    /// it, and clients of either ask for both names.
    pub(super) fn of(path: &'a str) -> Self {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match segments.as_slice() {
            ["error"] => Self::Explanation,
            ["common", "discovery", "instance"] => Self::Instance,
            ["common", "discovery", "keys"] | ["common", "discovery", "v2.0", "keys"] => Self::Keys(None),
            [tenant, "discovery", "keys"] | [tenant, "discovery", "v2.0", "keys"] => Self::Keys(Some(tenant)),
            [tenant, "oauth2", "v2.0", "token"] => Self::Token(tenant),
            [tenant, "v2.0", "revocations"] => Self::Revocations(tenant),
            [tenant, "oauth2", "v2.0", "introspect"] => Self::Introspect(tenant),
            [tenant, "oauth2", "v2.0", "revoke"] => Self::Revoke(tenant),
            [tenant, "oauth2", "v2.0", "authorize"] => Self::Authorize(tenant),
            [tenant, "v2.0", ".well-known", name] | [".well-known", name, tenant, "v2.0"]
                if DOCUMENTS.contains(name) =>
            {
                Self::Metadata(tenant, TokenVersion::V2)
            }
            // With or without the slash at the end of that issuer.
            [tenant, ".well-known", name]
            | [".well-known", name, tenant]
            | [".well-known", name, tenant, ""]
                if DOCUMENTS.contains(name) =>
            {
                Self::Metadata(tenant, TokenVersion::V1)
            }
            _ => Self::Nowhere,
        }
    }

    /// Whether this is a public document, which is read with GET and whose errors have names of their own.
    pub(super) fn is_document(self) -> bool {
        matches!(self, Self::Metadata(..) | Self::Keys(_) | Self::Instance | Self::Revocations(_))
    }
}

/// The tenant that a path names by its GUID.
///
/// Entra tells two mistakes apart: a name that may be a tenant's and is none (a GUID or a domain), and one that
/// cannot be. The second is [`Reason::InvalidParameter`] of `tenant`.
pub(super) fn tenant<'a>(directory: &'a Directory, name: &str) -> Result<&'a Arc<Tenant>, Refusal> {
    match guid(name) {
        // The GUID is shown in our spelling, not in the caller's: nothing raw is echoed.
        Some(guid) => directory.tenant_by_guid(guid).ok_or_else(|| {
            Refusal::new(
                Reason::UnknownTenant,
                format!(
                    "the tenant {guid} was not found; check the tenant in the URL, and that this is the right service"
                ),
            )
        }),
        None if is_domain(name) => Err(Refusal::new(
            Reason::UnknownTenant,
            "the tenant was not found; tenants are named by their GUID here, not by a domain",
        )),
        None => Err(Refusal::new(
            Reason::InvalidParameter,
            "the tenant in the URL is neither a GUID nor a domain name; tenants are named by their GUID here",
        )
        .parameter("tenant")),
    }
}

/// A GUID in its hyphenated form, in either case. The `uuid` crate also reads braces, `urn:uuid:` and bare hex;
/// one thing should have one spelling.
pub(super) fn guid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.contains('.') && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{ACME, World};

    #[test]
    fn every_documented_path_has_its_place() {
        let table = [
            ("/t/oauth2/v2.0/token", Place::Token("t")),
            ("/t/oauth2/v2.0/authorize", Place::Authorize("t")),
            ("/t/v2.0/.well-known/openid-configuration", Place::Metadata("t", TokenVersion::V2)),
            ("/t/.well-known/openid-configuration", Place::Metadata("t", TokenVersion::V1)),
            ("/.well-known/oauth-authorization-server/t/v2.0", Place::Metadata("t", TokenVersion::V2)),
            ("/.well-known/oauth-authorization-server/t", Place::Metadata("t", TokenVersion::V1)),
            ("/.well-known/oauth-authorization-server/t/", Place::Metadata("t", TokenVersion::V1)),
            ("/t/v2.0/.well-known/oauth-authorization-server", Place::Metadata("t", TokenVersion::V2)),
            ("/.well-known/openid-configuration/t/v2.0", Place::Metadata("t", TokenVersion::V2)),
            ("/t/oauth2/v2.0/introspect", Place::Introspect("t")),
            ("/t/oauth2/v2.0/revoke", Place::Revoke("t")),
            ("/t/discovery/v2.0/keys", Place::Keys(Some("t"))),
            ("/t/discovery/keys", Place::Keys(Some("t"))),
            ("/common/discovery/v2.0/keys", Place::Keys(None)),
            ("/t/v2.0/revocations", Place::Revocations("t")),
            ("/t/v2.0/revocations/", Place::Nowhere),
            ("/t/revocations", Place::Nowhere),
            ("/common/discovery/instance", Place::Instance),
            ("/common/oauth2/v2.0/token", Place::Token("common")),
            ("/t/oauth2/token", Place::Nowhere),
            ("/t/oauth2/v2.0/token/", Place::Nowhere),
            ("/t/v2.0/.well-known/security.txt", Place::Nowhere),
            ("/t/v2.0", Place::Nowhere),
            ("/", Place::Nowhere),
            ("", Place::Nowhere),
        ];
        for (path, place) in table {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }

    #[test]
    fn a_tenant_is_named_by_its_guid_in_either_case() {
        let directory = World::new().directory();
        for name in [ACME.to_string(), ACME.to_string().to_uppercase()] {
            assert_eq!(tenant(&directory, &name).map(|t| t.guid), Ok(ACME), "{name}");
        }
        let reason = |name: &str| tenant(&directory, name).err().map(|refusal| refusal.reason);
        assert_eq!(reason("11111111-2222-3333-4444-555555555555"), Some(Reason::UnknownTenant));
        assert_eq!(reason("contoso.onmicrosoft.com"), Some(Reason::UnknownTenant));
        for name in ["common", "acme", "", "..", "a..b", "387c56a8cf8645deb9f5b4de88cac054"] {
            assert_eq!(reason(name), Some(Reason::InvalidParameter), "{name}");
        }
    }
}
