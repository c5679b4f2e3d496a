//! Names and shapes on the wire: the token's claims, the answers and the documents.

mod token;

pub use token::{AccessToken, BACKDATE, longest};

use daypass_core::role::TokenVersion;
use serde::Serialize;
use uuid::Uuid;

/// Seconds for which the discovery documents may be kept. The public keys have a time of their own, which ends when
/// they change.
pub const DOCUMENT_MAX_AGE: u32 = 3600;

/// The issuer of a tenant's tokens: `iss`, and where discovery begins. `public_url` has no trailing slash.
pub fn issuer(public_url: &str, tenant: Uuid, version: TokenVersion) -> String {
    match version {
        // Entra's older issuer, `https://sts.windows.net/{tid}/`, ends with a slash as well.
        TokenVersion::V1 => format!("{public_url}/{tenant}/"),
        TokenVersion::V2 => format!("{public_url}/{tenant}/v2.0"),
    }
}

/// The names that the claims of an issuer's tokens can have.
pub(super) fn claims_supported(version: TokenVersion) -> &'static [&'static str] {
    token::names(version)
}

/// The path of a tenant's token endpoint.
pub(super) fn token_path(tenant: Uuid) -> String {
    format!("/{tenant}/oauth2/v2.0/token")
}

/// A tenant's endpoints under this address.
pub(super) fn endpoints(base: &str, tenant: Uuid) -> Endpoints {
    Endpoints {
        token: format!("{base}{}", token_path(tenant)),
        introspection: format!("{base}/{tenant}/oauth2/v2.0/introspect"),
        revocation: format!("{base}/{tenant}/oauth2/v2.0/revoke"),
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
    #[serde(flatten)]
    pub(super) endpoints: Endpoints,
    pub(super) jwks_uri: String,
    pub(super) token_endpoint_auth_methods_supported: Vec<&'static str>,
    pub(super) token_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    pub(super) introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    pub(super) introspection_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    pub(super) revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    pub(super) revocation_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    pub(super) grant_types_supported: [&'static str; 2],
    /// Required by both standards; empty, because nobody can be sent to sign in.
    pub(super) response_types_supported: [&'static str; 0],
    /// `sub` is the same for every resource.
    pub(super) subject_types_supported: [&'static str; 1],
    /// Resource servers take the algorithms of access tokens from here.
    pub(super) id_token_signing_alg_values_supported: Vec<&'static str>,
    pub(super) dpop_signing_alg_values_supported: &'static [&'static str],
    /// RFC 8705 §3.3.
    pub(super) tls_client_certificate_bound_access_tokens: bool,
    /// The same endpoints where certificates are asked for (RFC 8705 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mtls_endpoint_aliases: Option<Endpoints>,
    pub(super) claims_supported: &'static [&'static str],
    /// Entra's word for a tenant that is served everywhere.
    pub(super) tenant_region_scope: &'static str,
    pub(super) cloud_instance_name: String,
}

/// Where clients send what they are authenticated for.
#[derive(Serialize)]
pub(super) struct Endpoints {
    #[serde(rename = "token_endpoint")]
    pub(super) token: String,
    #[serde(rename = "introspection_endpoint")]
    pub(super) introspection: String,
    #[serde(rename = "revocation_endpoint")]
    pub(super) revocation: String,
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
