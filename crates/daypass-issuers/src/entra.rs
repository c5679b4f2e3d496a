//! Microsoft Entra's client credentials, of any authority: China's, the global one, or one of Daypass's.
//!
//! A question is the POST of a form, proved by the client secret or by an assertion (`private_key_jwt`). Source: Microsoft,
//! "OAuth 2.0 client credentials flow", "Microsoft identity platform application authentication certificate
//! credentials", and its list of AADSTS codes.

mod assertion;
mod refused;
#[cfg(test)]
mod tests;
mod token;

use crate::check;
use crate::cloud::{BadUpstream, Cloud, Fetched, Parts, Wanted};
use crate::fault::Fault;
use crate::http::{Address, Answer, Ask, Http, JSON};
use crate::oauth::{self, FORM, NAMES};
use crate::reading::{self, MOST, Object};
use async_trait::async_trait;
use daypass_core::clock::Timestamp;
use daypass_core::policy::Authorized;
use daypass_core::refusal::Refusal;
use daypass_core::upstream::{self, RootKey, RootProof, Upstream};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The value of `client_assertion_type`.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Authorities of Microsoft's, each with the resource that every application can get a token for.
const GRAPH: [(&str, &str); 4] = [
    ("login.microsoftonline.com", "https://graph.microsoft.com"),
    ("login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ("login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ("login.microsoftonline.us", "https://graph.microsoft.us"),
];

/// An authority and a tenant of it.
pub struct Entra {
    upstream: Arc<Upstream>,
    /// The token endpoint.
    address: Address,
    tenant: String,
    http: Http,
}

impl Entra {
    /// Prepares questions to what the configuration names: the authority's address, without a path. The tenant goes into
    /// the path.
    pub fn new(upstream: Arc<Upstream>, http: Http) -> Result<Self, BadUpstream> {
        let upstream::Cloud::Entra { tenant } = upstream.cloud.clone() else {
            return Err(BadUpstream::new(&upstream, "it is not of kind entra"));
        };
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if tenant.is_empty() || tenant.starts_with('.') || !tenant.chars().all(fine) {
            return Err(BadUpstream::new(&upstream, "the tenant must be a GUID or a domain"));
        }
        let authority = check::address(&upstream, Some("/"))?;
        let address = authority.at(&format!("/{tenant}/oauth2/v2.0/token"));
        Ok(Self { upstream, address, tenant, http })
    }

    /// Asks for a token with this scope.
    async fn call(&self, scope: &str, key: &RootKey, at: Timestamp, once: [u8; 16]) -> Result<Answer, Fault> {
        let assertion;
        let mut form =
            vec![("grant_type", "client_credentials"), ("client_id", key.id.as_str()), ("scope", scope)];
        match &key.proof {
            RootProof::Secret(secret) => form.push(("client_secret", secret.expose_str())),
            RootProof::PrivateKey { pem, thumbprint } => {
                let claims = assertion::Claims { client: &key.id, audience: self.address.text(), at, once };
                assertion = assertion::sign(pem, thumbprint.as_deref(), &claims)?;
                form.extend([("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)]);
            }
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let body = Zeroizing::new(body.into_bytes());
        self.http
            .ask(Ask {
                address: &self.address,
                body: Some((FORM, &body)),
                headers: vec![],
                accept: JSON,
                limit: Duration::from_millis(self.upstream.timeout_ms.into()),
                most: MOST,
            })
            .await
    }
}

/// The resource that every application can get a token for, where the authority is one of Microsoft's.
fn graph(host: &str) -> Option<&'static str> {
    GRAPH.iter().find(|(authority, _)| *authority == host).map(|(_, resource)| *resource)
}

/// What an answer says: a document, or why there is none.
fn read(answer: &Answer, at: Timestamp) -> Result<(Object, Option<String>), Fault> {
    let mut document = Object::of(answer);
    let request =
        answer.headers.get("x-ms-request-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = document.as_mut().and_then(|document| document.text("trace_id")).or(request);
    let request = reading::request_id(request);
    let coded = document.as_mut().and_then(refused::coded);
    if let Some(fault) = reading::fault(answer, coded, request.clone(), at) {
        return Err(fault);
    }
    let document = document.ok_or_else(|| reading::garbage("is no document", request.clone()))?;
    Ok((document, request))
}

#[async_trait]
impl Cloud for Entra {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        let wanted = check::wanted(&self.upstream, authorized, NAMES.session(authorized))?;
        let own = authorized.brokering().scope.clone();
        let scope = own.or_else(|| authorized.audience().map(|audience| format!("{audience}/.default")));
        let nothing =
            || Refusal::internal(format!("the role {} has neither scope nor audience", authorized.role()));
        Ok(Wanted { scope: Some(scope.ok_or_else(nothing)?), ..wanted })
    }

    async fn fetch(
        &self,
        wanted: &Wanted,
        key: &RootKey,
        at: Timestamp,
        once: [u8; 16],
    ) -> Result<Fetched, Fault> {
        let scope = wanted.scope.as_deref().unwrap_or_default();
        let answer = self.call(scope, key, at, once).await?;
        let (document, request) = read(&answer, at)?;
        let with_id = |fault: Fault| Fault { request: request.clone(), ..fault };
        if !document.has("token_type") {
            return Err(with_id(reading::garbage("does not say of which type the token is", None)));
        }
        let fetched = oauth::token(document, wanted, at, answer.date).map_err(with_id)?;
        let Parts::Bearer(bearer) = &fetched.parts else { return Ok(fetched) };
        let expected = token::Expected { tenant: &self.tenant, client: &key.id, scope };
        let end = token::check(bearer, &expected, &self.upstream).map_err(with_id)?;
        let expires = match end {
            Some(end) => check::expires(wanted, end, at, answer.date).map_err(with_id)?.min(fetched.expires),
            None => fetched.expires,
        };
        Ok(Fetched { expires, request, ..fetched })
    }

    /// Gets a token and throws it away: at Microsoft's one for the resource that every application may name. Elsewhere none
    /// is known, and a refusal of the scope alone is the answer to a client that has proved itself: Daypass looks at it last.
    async fn canary(&self, key: &RootKey, at: Timestamp, once: [u8; 16]) -> Result<Option<String>, Fault> {
        let graph = graph(self.address.host_name());
        let resource = graph.unwrap_or(&key.id);
        let answer = self.call(&format!("{resource}/.default"), key, at, once).await?;
        match read(&answer, at) {
            Ok((mut document, _)) => {
                let bearer =
                    document.secret("access_token").ok_or_else(|| reading::garbage("has no token", None))?;
                token::tenant(&bearer)
                    .map(|tenant| check::account(&self.upstream, &tenant).map(|()| tenant))
                    .transpose()
            }
            Err(fault) if graph.is_none() && refused::is_of_scope(&fault) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
