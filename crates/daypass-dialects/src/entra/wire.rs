//! Names and shapes on the wire: the token's claims, the answers and the documents.

use daypass_core::clock::{Timestamp, unix};
use daypass_core::policy::Authorized;
use daypass_core::refusal::Refusal;
use daypass_core::role::TokenVersion;
use serde::Serialize;
use uuid::Uuid;

/// Seconds by which `nbf` lies before `iat`. Verifiers whose clock is behind ours would refuse a fresh token
/// otherwise; Entra back-dates by the same five minutes. `iat` stays honest.
pub const BACKDATE: i64 = 300;

/// Seconds for which the discovery documents may be kept. The public keys have a time of their own, which ends when
/// they change.
pub const DOCUMENT_MAX_AGE: u32 = 3600;

/// How the application proved itself: `1` is a client secret (Entra's `azpacr`).
const BY_SECRET: &str = "1";

/// The issuer of a tenant's tokens: `iss`, and where discovery begins. `public_url` has no trailing slash.
pub fn issuer(public_url: &str, tenant: Uuid, version: TokenVersion) -> String {
    match version {
        // Entra's older issuer, `https://sts.windows.net/{tid}/`, ends with a slash as well.
        TokenVersion::V1 => format!("{public_url}/{tenant}/"),
        TokenVersion::V2 => format!("{public_url}/{tenant}/v2.0"),
    }
}

/// The path of a tenant's token endpoint.
pub(super) fn token_path(tenant: Uuid) -> String {
    format!("/{tenant}/oauth2/v2.0/token")
}

/// The claims of an access token, version 2.0, of an application that acts for itself.
///
/// Source: Microsoft's "Access token claims reference". What only Microsoft can read (`aio`, `rh`) is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessToken {
    /// The resource, as its role names it.
    pub aud: String,
    /// Who issued it: [`issuer`].
    pub iss: String,
    /// When it was issued, in seconds since the Unix epoch.
    pub iat: i64,
    /// From when it is good: [`BACKDATE`] before `iat`.
    pub nbf: i64,
    /// When it runs out.
    pub exp: i64,
    /// The client.
    pub azp: Uuid,
    /// How the client proved itself.
    pub azpacr: &'static str,
    /// `app`: nobody is signed in.
    pub idtyp: &'static str,
    /// The client's object id; equal to `sub`, which marks a token of an application.
    pub oid: Uuid,
    /// The app roles, which are the whole authorization; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The client's object id.
    pub sub: Uuid,
    /// The tenant.
    pub tid: Uuid,
    /// Unique to this token: 128 random bits. Entra writes 22 characters of base64url; this is the text that the
    /// record of the grant carries, so that one can be found by the other.
    pub uti: Uuid,
    /// The version of this set of claims.
    pub ver: &'static str,
}

/// The names in [`AccessToken`], for `claims_supported`.
pub(super) const CLAIMS: [&str; 14] =
    ["aud", "iss", "iat", "nbf", "exp", "azp", "azpacr", "idtyp", "oid", "roles", "sub", "tid", "uti", "ver"];

impl AccessToken {
    /// The claims for what was authorized, issued at this time under this id.
    pub fn new(
        public_url: &str,
        authorized: &Authorized,
        issued: Timestamp,
        id: Uuid,
    ) -> Result<Self, Refusal> {
        let lacks = |what| Refusal::internal(format!("an access token needs {what}"));
        let object = authorized.object().ok_or_else(|| lacks("a client"))?;
        let iat = unix(issued);
        Ok(Self {
            aud: authorized.audience().ok_or_else(|| lacks("a role with an audience"))?.to_owned(),
            iss: issuer(public_url, authorized.tenant().guid, TokenVersion::V2),
            iat,
            nbf: iat.saturating_sub(BACKDATE),
            exp: iat.saturating_add(i64::from(authorized.lifetime())),
            azp: authorized.client().ok_or_else(|| lacks("a client"))?,
            azpacr: BY_SECRET,
            idtyp: "app",
            oid: object,
            roles: authorized.app_roles().to_vec(),
            sub: object,
            tid: authorized.tenant().guid,
            uti: id,
            ver: "2.0",
        })
    }
}

/// The answer with a token. Numbers are integers: clients in typed languages refuse strings here.
#[derive(Serialize)]
pub(super) struct TokenAnswer<'a> {
    pub(super) token_type: &'static str,
    pub(super) expires_in: i64,
    /// How long the token works while the issuer is down; equal to `expires_in` means no longer than that.
    pub(super) ext_expires_in: i64,
    pub(super) access_token: &'a str,
}

/// The answer without one. All members are always there.
#[derive(Serialize)]
pub(super) struct ErrorAnswer<'a> {
    pub(super) error: &'a str,
    pub(super) error_description: &'a str,
    pub(super) error_codes: [u32; 1],
    /// `YYYY-MM-DD HH:MM:SSZ`.
    pub(super) timestamp: &'a str,
    pub(super) trace_id: Uuid,
    pub(super) correlation_id: Uuid,
    pub(super) error_uri: &'a str,
}

/// The discovery document (OpenID Connect Discovery 1.0 §3, RFC 8414 §2). Every value is true: what does not
/// work is not listed.
#[derive(Serialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    /// There is no such page. MSAL for Python reads this member without a default and fails without it.
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) token_endpoint_auth_methods_supported: [&'static str; 2],
    pub(super) grant_types_supported: [&'static str; 1],
    /// Required by both standards; empty, because nobody can be sent to sign in.
    pub(super) response_types_supported: [&'static str; 0],
    /// `sub` is the same for every resource.
    pub(super) subject_types_supported: [&'static str; 1],
    /// Resource servers take the algorithms of access tokens from here.
    pub(super) id_token_signing_alg_values_supported: Vec<&'static str>,
    pub(super) claims_supported: [&'static str; 14],
    pub(super) cloud_instance_name: String,
}

/// A set of public keys (RFC 7517 §5).
#[derive(Serialize)]
pub(super) struct Keys<'a> {
    pub(super) keys: Vec<&'a serde_json::Value>,
}

/// What MSAL wants to know of a host before it trusts it.
#[derive(Serialize)]
pub(super) struct Instance<'a> {
    pub(super) tenant_discovery_endpoint: String,
    #[serde(rename = "api-version")]
    pub(super) api_version: &'static str,
    pub(super) metadata: [InstanceNames<'a>; 1],
}

/// The names one instance goes by.
#[derive(Serialize)]
pub(super) struct InstanceNames<'a> {
    pub(super) preferred_network: &'a str,
    pub(super) preferred_cache: &'a str,
    pub(super) aliases: [&'a str; 1],
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::dialect::{Form, Issue, RoleChoice};
    use daypass_core::policy::authorize;
    use daypass_core::testing::{RESOURCE, START, World};

    fn authorized(world: &World, role: RoleChoice) -> Authorized {
        let issue = Issue::new(role, Form::Bearer);
        authorize(&world.directory(), &world.caller("key"), "/", &issue).unwrap_or_else(|r| panic!("{r:?}"))
    }

    fn claims(world: &World) -> AccessToken {
        let authorized = authorized(world, RoleChoice::Resource(RESOURCE.to_uppercase()));
        AccessToken::new("https://pass.example", &authorized, START, Uuid::from_u128(0x71)).unwrap()
    }

    #[test]
    fn the_claims_are_those_of_a_v2_application_token() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&claims(&World::new())).unwrap(), @r#"
        {
          "aud": "d6b7c858-55fa-4d04-85a6-131af690abd4",
          "iss": "https://pass.example/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0",
          "iat": 1700000000,
          "nbf": 1699999700,
          "exp": 1700003600,
          "azp": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
          "azpacr": "1",
          "idtyp": "app",
          "oid": "00000000-0000-0000-0000-000000000b0b",
          "roles": [
            "orders.read"
          ],
          "sub": "00000000-0000-0000-0000-000000000b0b",
          "tid": "387c56a8-cf86-45de-b9f5-b4de88cac054",
          "uti": "00000000-0000-0000-0000-000000000071",
          "ver": "2.0"
        }
        "#);
    }

    #[test]
    fn all_claims_and_no_others_are_announced() {
        let claims = serde_json::to_value(claims(&World::new())).unwrap();
        let mut announced = CLAIMS;
        announced.sort_unstable();
        assert!(claims.as_object().unwrap().keys().eq(announced.iter()));
    }

    #[test]
    fn a_client_without_app_roles_has_no_roles_claim() {
        let mut claims = claims(&World::new());
        claims.roles.clear();
        assert!(serde_json::to_value(claims).unwrap().get("roles").is_none());
    }

    #[test]
    fn a_role_without_an_audience_gives_no_token() {
        let soe = authorized(&World::new(), RoleChoice::Default);
        let refusal = AccessToken::new("https://pass.example", &soe, START, Uuid::nil()).unwrap_err();
        assert_eq!(refusal.cause.as_deref(), Some("an access token needs a role with an audience"));
    }
}
