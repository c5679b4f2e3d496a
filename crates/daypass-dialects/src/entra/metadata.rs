//! The public documents: discovery, keys, and MSAL's question about the instance.

use super::exchange;
use super::place::{self, Place};
use super::revocations;
use super::wire;
use daypass_core::caller::How;
use daypass_core::client::Tenant;
use daypass_core::directory::{Certificates, Directory};
use daypass_core::jose::algorithm_names;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::role::{Algorithm, TokenVersion};
use http::Method;
use serde::Serialize;

/// A public document.
pub(super) struct Document {
    /// As JSON.
    pub(super) body: Vec<u8>,
    /// For how many seconds it may be kept.
    pub(super) max_age: u32,
    /// Of a feed, which is asked for often: what tells it from the one before, and its media type. Others are JSON.
    pub(super) feed: Option<(String, &'static str)>,
}

/// The document that a request asks for. HEAD is answered like GET.
pub(super) fn document(directory: &Directory, place: Place<'_>, head: &Head) -> Result<Document, Refusal> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(Refusal::new(Reason::MethodNotAllowed, "this document is read with GET"));
    }
    let base = directory.plan().public_url.as_str();
    match place {
        Place::Metadata(tenant, version) => {
            json(&metadata(directory, base, place::tenant(directory, tenant)?, version))
        }
        Place::Keys(tenant) => {
            if let Some(tenant) = tenant {
                place::tenant(directory, tenant)?;
            }
            Ok(Document { max_age: keys_max_age(directory, head), ..json(&keys(directory))? })
        }
        Place::Revocations(tenant) => {
            let feed = revocations::feed(directory, tenant, head)?;
            let body = feed.body.clone().into_bytes();
            Ok(Document { body, max_age: revocations::MAX_AGE, feed: Some((feed.tag.clone(), feed.media)) })
        }
        Place::Instance => json(&instance(directory, base, &head.query)?),
        Place::Token(_)
        | Place::Introspect(_)
        | Place::Revoke(_)
        | Place::Authorize(_)
        | Place::Explanation
        | Place::Nowhere => Err(super::nothing_here()),
    }
}

fn json(document: &impl Serialize) -> Result<Document, Refusal> {
    let body = serde_json::to_vec(document).map_err(Refusal::internal)?;
    Ok(Document { body, max_age: wire::DOCUMENT_MAX_AGE, feed: None })
}

/// For how long the keys may be kept: never past the moment at which they change, and not equally long for all.
fn keys_max_age(directory: &Directory, head: &Head) -> u32 {
    // Nobody chooses the request's id, and its last half is random.
    let [.., a, b, c, d] = *head.request_id.as_bytes();
    let random = u32::from_be_bytes([a, b, c, d]);
    directory.rules().max_age(directory.ring().stages(), head.received, random)
}

fn metadata(directory: &Directory, base: &str, tenant: &Tenant, version: TokenVersion) -> wire::Metadata {
    let (plan, guid) = (directory.plan(), tenant.guid);
    let methods = methods(plan.certificates);
    let algorithms = algorithm_names();
    wire::Metadata {
        issuer: wire::issuer(base, guid, version),
        authorization_endpoint: format!("{base}/{guid}/oauth2/v2.0/authorize"),
        endpoints: wire::endpoints(base, guid),
        jwks_uri: format!("{base}/{guid}/discovery/v2.0/keys"),
        token_endpoint_auth_methods_supported: methods.clone(),
        token_endpoint_auth_signing_alg_values_supported: algorithms,
        introspection_endpoint_auth_methods_supported: methods.clone(),
        introspection_endpoint_auth_signing_alg_values_supported: algorithms,
        revocation_endpoint_auth_methods_supported: methods,
        revocation_endpoint_auth_signing_alg_values_supported: algorithms,
        grant_types_supported: ["client_credentials", exchange::GRANT],
        response_types_supported: [],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: Algorithm::ALL
            .iter()
            .filter(|algorithm| directory.ring().signer(**algorithm).is_some())
            .map(|algorithm| algorithm.name())
            .collect(),
        dpop_signing_alg_values_supported: algorithms,
        tls_client_certificate_bound_access_tokens: plan.certificates != Certificates::Unseen,
        mtls_endpoint_aliases: plan.mutual_tls_url.as_deref().map(|base| wire::endpoints(base, guid)),
        claims_supported: wire::claims_supported(version),
        tenant_region_scope: "WW",
        cloud_instance_name: host(base).to_owned(),
    }
}

/// How clients may prove themselves. An outside provider's JWT is sent in the way of `private_key_jwt`, and has no name of
/// its own.
fn methods(certificates: Certificates) -> Vec<&'static str> {
    let named = |how: How| how.name();
    let mut methods = [How::ClientSecretPost, How::ClientSecretBasic, How::PrivateKeyJwt].map(named).to_vec();
    match certificates {
        Certificates::Unseen => {}
        Certificates::Registered => methods.push(How::SelfSignedTlsClientAuth.name()),
        Certificates::Vouched => {
            methods.extend([How::TlsClientAuth, How::SelfSignedTlsClientAuth].map(named));
        }
    }
    methods
}

/// Every key that a verifier may meet: prepared ones too, so that it knows them before they sign.
fn keys(directory: &Directory) -> wire::Keys<'_> {
    wire::Keys { keys: directory.ring().published().map(|(key, _)| key.jwk()).collect() }
}

/// MSAL asks with the address of a sign-in page; of that, only the tenant counts. The names in the answer are
/// ours, whatever host was asked for.
fn instance<'a>(directory: &Directory, base: &'a str, query: &str) -> Result<wire::Instance<'a>, Refusal> {
    const NAME: &str = "authorization_endpoint";
    let page = form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == NAME).then_some(value))
        .ok_or_else(|| {
            Refusal::new(Reason::MissingParameter, format!("the query must contain the parameter '{NAME}'"))
                .parameter(NAME)
        })?;
    let path = page.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let tenant = place::tenant(directory, path.split('/').next().unwrap_or_default())?;
    let host = host(base);
    Ok(wire::Instance {
        tenant_discovery_endpoint: format!(
            "{}/.well-known/openid-configuration",
            wire::issuer(base, tenant.guid, TokenVersion::V2)
        ),
        api_version: "1.1",
        metadata: [wire::InstanceNames { preferred_network: host, preferred_cache: host, aliases: [host] }],
    })
}

/// Host and port of a URL of ours.
fn host(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
