//! The TOP method itself: a gateway in the middle that feeds the boxes of stores.
//!
//! A question is a POST of a form, signed with hmac-sha256, and asks for JSON. Every answer has status 200: a refusal is an
//! `error_response`. The gateway decides lifetime and policy, and its policy must be no wider than what was authorized.
//! Source: the page of the method, and "API call protocol" (docId 101617).

mod answer;
#[cfg(test)]
mod tests;

use crate::check::{self, Names};
use crate::cloud::{BadUpstream, Cloud, Fetched, Wanted};
use crate::fault::Fault;
use crate::http::{Address, Ask, Http};
use crate::reading::{self, MOST, Object};
use async_trait::async_trait;
use daypass_core::clock::Timestamp;
use daypass_core::policy::Authorized;
use daypass_core::refusal::Refusal;
use daypass_core::upstream::{self, RootKey, Upstream};
use daypass_dialects::alibaba::sign::{SignMethod, sign};
use daypass_dialects::alibaba::wire::{ERROR_ROOT, METHOD, POI_ID, ROOT, TENANT_CODE, VERSION, stamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The method has no session name; this one is for our own records.
const NAMES: Names = Names { length: 1..=64, marks: ".@-_" };

/// What this gateway calls JSON.
const JSON: &[&str] = &["text/javascript"];

/// The type of the question.
const FORM: &str = "application/x-www-form-urlencoded;charset=utf-8";

/// What stands in the method's own root, and what the gateway's clock showed.
type Said = (Object, Option<Timestamp>);

/// A gateway.
pub struct Top {
    upstream: Arc<Upstream>,
    address: Address,
    http: Http,
}

impl Top {
    /// Prepares questions to what the configuration names.
    pub fn new(upstream: Arc<Upstream>, http: Http) -> Result<Self, BadUpstream> {
        if upstream.cloud != upstream::Cloud::Top {
            return Err(BadUpstream::new(&upstream, "it is not of kind top"));
        }
        let address = check::address(&upstream, None)?;
        if address.has_more() {
            return Err(BadUpstream::new(&upstream, "a gateway is asked without a query in its address"));
        }
        Ok(Self { upstream, address, http })
    }

    /// Asks, and gives the gateway's document with what it refuses, if it does.
    async fn call(&self, param: Option<&Value>, key: &RootKey, at: Timestamp) -> Result<Said, Fault> {
        let (stamp, param) = (stamp(at), param.map(Value::to_string));
        let mut form = vec![
            ("app_key", key.id.as_str()),
            ("format", "json"),
            ("method", METHOD),
            ("sign_method", SignMethod::HmacSha256.name()),
            ("timestamp", stamp.as_str()),
            ("v", VERSION),
        ];
        form.extend(param.as_deref().map(|param| ("param", param)));
        let signature = sign(SignMethod::HmacSha256, check::secret(key)?, form.iter().copied());
        form.push(("sign", signature.as_str()));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let ask = Ask {
            address: &self.address,
            body: Some((FORM, body.as_bytes())),
            headers: vec![],
            accept: JSON,
            limit: Duration::from_millis(self.upstream.timeout_ms.into()),
            most: MOST,
        };
        let answer = self.http.ask(ask).await?;
        let mut document = Object::of(&answer);
        let refused =
            document.as_mut().and_then(|document| document.object(ERROR_ROOT)).map(answer::Refused::read);
        let (coded, request, ban) = match refused {
            Some(refused) => (Some(refused.coded()), refused.request.clone(), refused.ban()),
            None => (None, None, None),
        };
        if let Some(fault) = reading::fault(&answer, coded, request, at) {
            return Err(Fault { retry_after: fault.retry_after.or(ban), ..fault });
        }
        let document = document.and_then(|mut document| document.object(ROOT));
        let document = document.ok_or_else(|| reading::garbage("is no document of this method", None))?;
        Ok((document, answer.date))
    }
}

#[async_trait]
impl Cloud for Top {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        let wanted = check::wanted(&self.upstream, authorized, NAMES.session(authorized))?;
        check::no_place_for("Tags", !wanted.tags.is_empty())?;
        check::no_place_for("SourceIdentity", wanted.source_identity.is_some())?;
        let role = authorized.role();
        if wanted.policy.is_none() {
            // Nothing could be compared with what the gateway gives.
            return Err(Refusal::internal(format!("the role {role} has no policy")));
        }
        if wanted.product.is_none()
            || [TENANT_CODE, POI_ID].iter().any(|name| !wanted.variables.contains_key(*name))
        {
            let cause = format!("the role {role} was asked for without product, {TENANT_CODE} and {POI_ID}");
            return Err(Refusal::internal(cause));
        }
        Ok(wanted)
    }

    async fn fetch(
        &self,
        wanted: &Wanted,
        key: &RootKey,
        at: Timestamp,
        once: [u8; 16],
    ) -> Result<Fetched, Fault> {
        let (document, date) = self.call(Some(&question(wanted, once)), key, at).await?;
        answer::read(document, wanted, at, date)
    }

    /// Asks without saying for what. The gateway looks at that last, so that only a right key is told what is missing.
    async fn canary(&self, key: &RootKey, at: Timestamp, _once: [u8; 16]) -> Result<Option<String>, Fault> {
        match self.call(None, key, at).await {
            Ok(_) => Ok(None),
            Err(fault) if fault.code.as_deref().is_some_and(answer::is_about_parameters) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// `param`. The id of the request is ours, so that both sides find it in their records.
fn question(wanted: &Wanted, once: [u8; 16]) -> Value {
    let variable = |name: &str| wanted.variables.get(name).map(String::as_str).unwrap_or_default();
    let product = wanted.product.as_ref();
    json!({
        "product_code": product.map(|product| &product.product_code),
        "scene_code": product.map(|product| &product.scene_code),
        "usage_scene": product.map(|product| &product.usage_scene),
        "op_tenant_code": variable(TENANT_CODE),
        "op_poi_id": variable(POI_ID),
        "request_id": Uuid::from_bytes(once).to_string(),
    })
}
