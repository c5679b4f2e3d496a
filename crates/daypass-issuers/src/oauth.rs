//! Any other token endpoint for client credentials, `WeChat`'s among them.
//!
//! RFC 6749 says what an answer has; endpoints that are older, or that never read it, answer a refusal with status 200 and
//! an `errcode`. Source: RFC 6749 sections 4.4 and 5; `WeChat`, "Get access token" and its list of return codes.

mod answer;
#[cfg(test)]
mod tests;

pub(crate) use answer::{any_token, refusal, token};

use crate::check::{self, Names};
use crate::cloud::{BadUpstream, Cloud, Fetched, Wanted};
use crate::fault::{Fault, FaultKind};
use crate::http::{Address, Ask, Http, JSON};
use crate::reading::{self, MOST, Object};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_core::policy::Authorized;
use daypass_core::refusal::Refusal;
use daypass_core::upstream::{self, RootKey, TokenCall, TokenCarrier, Upstream};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The grant has no session name; this one is for our own records.
pub(crate) const NAMES: Names = Names { length: 1..=64, marks: ".@-_" };

/// The type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A token endpoint.
pub struct OAuth {
    upstream: Arc<Upstream>,
    address: Address,
    call: TokenCall,
    http: Http,
}

/// A question, before it is sent. Its address and its body may hold the secret.
struct Question {
    address: Address,
    body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl OAuth {
    /// Prepares questions to what the configuration names.
    pub fn new(upstream: Arc<Upstream>, http: Http) -> Result<Self, BadUpstream> {
        let upstream::Cloud::OAuth(call) = upstream.cloud.clone() else {
            return Err(BadUpstream::new(&upstream, "it is not of kind oauth"));
        };
        if call.carrier != TokenCarrier::Basic
            && (call.id.is_empty() || call.secret.is_empty() || call.id == call.secret)
        {
            return Err(BadUpstream::new(
                &upstream,
                "the parameters for id and secret must have names, and two of them",
            ));
        }
        if call.parameters.contains_key(&call.id) || call.parameters.contains_key(&call.secret) {
            return Err(BadUpstream::new(
                &upstream,
                "a parameter has the name of the one for the id or the secret",
            ));
        }
        Ok(Self { address: check::address(&upstream, None)?, call, http, upstream })
    }

    fn question(&self, scope: Option<&str>, key: &RootKey) -> Result<Question, Fault> {
        let secret = std::str::from_utf8(check::secret(key)?)
            .map_err(|_| Fault::new(FaultKind::NoKey, "the secret of the root key is no text"))?;
        let TokenCall { carrier, id, secret: name, parameters, .. } = &self.call;
        let mut all: BTreeMap<&str, &str> =
            parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.extend(scope.map(|scope| ("scope", scope)));
        let mut headers = vec![];
        if *carrier == TokenCarrier::Basic {
            headers.push((AUTHORIZATION, basic(&key.id, secret)?));
        } else {
            all.extend([(id.as_str(), key.id.as_str()), (name.as_str(), secret)]);
        }
        let form =
            || form_urlencoded::Serializer::new(String::new()).extend_pairs(&all).finish().into_bytes();
        Ok(match carrier {
            TokenCarrier::Query => Question { address: self.address.with(all), body: None, headers },
            TokenCarrier::Form | TokenCarrier::Basic => {
                Question { address: self.address.clone(), body: Some((FORM, form().into())), headers }
            }
            TokenCarrier::Json => {
                let document: Map<String, Value> =
                    all.iter().map(|(n, v)| ((*n).to_owned(), (*v).into())).collect();
                let document = Value::Object(document).to_string().into_bytes();
                Question {
                    address: self.address.clone(),
                    body: Some(("application/json", document.into())),
                    headers,
                }
            }
        })
    }

    async fn ask(&self, wanted: &Wanted, key: &RootKey, at: Timestamp) -> Result<Fetched, Fault> {
        let question = self.question(wanted.scope.as_deref(), key)?;
        let ask = Ask {
            address: &question.address,
            body: question.body.as_ref().map(|(kind, body)| (*kind, body.as_slice())),
            headers: question.headers,
            accept: JSON,
            limit: Duration::from_millis(self.upstream.timeout_ms.into()),
            most: MOST,
        };
        let answer = self.http.ask(ask).await?;
        let mut document = Object::of(&answer);
        let coded = document.as_mut().and_then(refusal);
        if let Some(fault) = reading::fault(&answer, coded, None, at) {
            return Err(fault);
        }
        let document = document.ok_or_else(|| reading::garbage("is no document", None))?;
        token(document, wanted, at, answer.date)
    }
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, Fault> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
    HeaderValue::try_from(value.as_str())
        .map_err(|_| Fault::new(FaultKind::NoKey, "the root key fits into no header"))
}

#[async_trait]
impl Cloud for OAuth {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        let wanted = check::wanted(&self.upstream, authorized, NAMES.session(authorized))?;
        // The one that everybody has is not cut to the life that the first role to ask for it gives: it would be renewed, and
        // everybody's with it, as often as that.
        let lifetime = if self.call.one_live { wanted.capabilities.max_lifetime } else { wanted.lifetime };
        Ok(Wanted { scope: authorized.brokering().scope.clone(), lifetime, ..wanted })
    }

    async fn fetch(
        &self,
        wanted: &Wanted,
        key: &RootKey,
        at: Timestamp,
        _once: [u8; 16],
    ) -> Result<Fetched, Fault> {
        self.ask(wanted, key, at).await
    }

    /// Gets a token and throws it away. Where that would end the one that everybody has, nothing is asked: then the first
    /// use of a key proves it.
    async fn canary(&self, key: &RootKey, at: Timestamp, _once: [u8; 16]) -> Result<Option<String>, Fault> {
        if self.call.one_live {
            let why =
                "this cloud has one live token, which a canary would end; the first use of a key proves it";
            return Err(Fault::new(FaultKind::Refused, why));
        }
        self.ask(&any_token(), key, at).await.map(|_| None)
    }
}
