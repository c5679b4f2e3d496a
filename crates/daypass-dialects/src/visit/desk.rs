//! `POST <path>/ticket`: where an operator's backend fetches a one-time ticket for one of its pages.
//!
//! It is a call between servers. A page that made it would have the client's secret in it, so that whatever looks
//! like one is refused, and no answer says that a page may read it.

use super::fetch;
use crate::basic::{self, Credentials};
use crate::text::shown;
use bytes::Bytes;
use daypass_core::caller::How;
use daypass_core::client::Tenant;
use daypass_core::dialect::{Ask, Claim, Context, Presented, TicketAsk};
use daypass_core::endpoint::Endpoint;
use daypass_core::identity::Subject;
use daypass_core::json::{self, JsonFault};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest body, in bytes.
const BODY: usize = 4096;

/// The members of the body.
const SUBJECT: &str = "subject";
const ORIGIN: &str = "origin";
const VARIABLES: &str = "variables";

/// A backend's call that is not believed yet.
pub(super) struct DeskCall {
    endpoint: Arc<Endpoint>,
    tenant: Arc<Tenant>,
    credentials: Credentials,
    body: Bytes,
}

impl DeskCall {
    /// Takes everything but the document, which nobody parses for a stranger.
    pub(super) fn read(
        endpoint: &Arc<Endpoint>,
        context: Context<'_>,
        request: Request,
    ) -> Result<Self, Refusal> {
        let head = &request.head;
        if head.method != Method::POST {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this address answers to POST alone"));
        }
        if fetch::is_from_page(head) {
            return Err(Refusal::new(
                Reason::OriginNotAllowed,
                "a client secret has no place in a page; the page's backend asks for the ticket",
            ));
        }
        if request.body.len() > BODY {
            let detail = format!("the body is larger than {BODY} bytes");
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        if !is_json(head) {
            let detail = "the body must be a JSON document with Content-Type application/json";
            return Err(Refusal::new(Reason::UnsupportedMediaType, detail));
        }
        let credentials = credentials(&head.headers)?;
        let tenant = context
            .directory
            .tenant(&endpoint.tenant)
            .ok_or_else(|| Refusal::internal(format!("no tenant `{}`", endpoint.tenant)))?;
        Ok(Self { endpoint: endpoint.clone(), tenant: tenant.clone(), credentials, body: request.body })
    }

    pub(super) fn claim(&self) -> Claim<'_> {
        let Credentials { client, secrets } = &self.credentials;
        Claim::Secret(Presented { tenant: &self.tenant, client, secrets, how: How::ClientSecretBasic })
    }

    pub(super) fn ask(&self, public_url: &str) -> Result<Ask, Refusal> {
        let mut members = document(&self.body)?;
        if let Some(name) = members.keys().find(|name| ![SUBJECT, ORIGIN, VARIABLES].contains(&name.as_str()))
        {
            let detail = format!("a ticket has no member {}", shown(name));
            return Err(Refusal::new(Reason::UnknownParameter, detail).parameter(shown(name).to_owned()));
        }
        let name = text(&mut members, SUBJECT)?;
        let origin = text(&mut members, ORIGIN)?;
        let own = || fetch::origin_of(public_url).is_some_and(|own| own == origin);
        if !self.endpoint.origins.contains(&origin) && !own() {
            let detail = "the origin is not in the endpoint's list; write it exactly as the browser sends it";
            return Err(Refusal::new(Reason::InvalidParameter, detail).parameter(ORIGIN));
        }
        let variables = members.remove(VARIABLES).map(variables).transpose()?.unwrap_or_default();
        let subject = Subject { name, variables };
        Ok(Ask::Ticket(Box::new(TicketAsk { endpoint: self.endpoint.path.clone(), subject, origin })))
    }
}

/// JSON in UTF-8, the only encoding it has.
///
/// Attack: a form of another site can send any body as `text/plain`, and without asking first.
fn is_json(head: &Head) -> bool {
    let Some(value) = head.header(CONTENT_TYPE.as_str()) else { return false };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let parameters = parameters.trim();
    essence.trim().eq_ignore_ascii_case("application/json")
        && (parameters.is_empty() || parameters.eq_ignore_ascii_case("charset=utf-8"))
}

fn credentials(headers: &HeaderMap) -> Result<Credentials, Refusal> {
    let how = "HTTP Basic with the client id and the client secret";
    let refuse = |reason, what: &str| Refusal::new(reason, format!("{what}; send {how}"));
    match headers.get_all(AUTHORIZATION).iter().count() {
        0 => return Err(refuse(Reason::MissingProof, "there is no Authorization header")),
        1 => {}
        _ => return Err(refuse(Reason::SeveralProofs, "there are two Authorization headers")),
    }
    let value = basic::values(headers).next();
    let value = value
        .ok_or_else(|| refuse(Reason::MalformedProof, "the Authorization header is of another scheme"))?;
    basic::read(value)
}

fn document(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match json::parse(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::new(Reason::Malformed, "the body is not a JSON object")),
        Err(fault @ JsonFault::Duplicate { .. }) => {
            Err(Refusal::new(Reason::DuplicateParameter, format!("the body: {fault}")))
        }
        Err(fault) => Err(Refusal::new(Reason::Malformed, format!("the body is {fault}"))),
    }
}

fn text(members: &mut Map<String, Value>, name: &'static str) -> Result<String, Refusal> {
    match members.remove(name) {
        None | Some(Value::Null) => Err(Refusal::missing(name)),
        Some(Value::String(text)) if text.is_empty() => Err(Refusal::missing(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(invalid(name, format!("{name} must be text"))),
    }
}

fn variables(value: Value) -> Result<BTreeMap<String, String>, Refusal> {
    let Value::Object(members) = value else {
        return Err(invalid(VARIABLES, "variables must be an object of texts".to_owned()));
    };
    let one = |(name, value): (String, Value)| match value {
        // The subject fills the variable of this name, so that a second value would be passed over in silence.
        _ if name == SUBJECT => Err(invalid(VARIABLES, "subject is a member of its own".to_owned())),
        Value::String(text) => Ok((name, text)),
        _ => Err(invalid(VARIABLES, format!("the variable {} must be text", shown(&name)))),
    };
    members.into_iter().map(one).collect()
}

fn invalid(name: &'static str, detail: String) -> Refusal {
    Refusal::new(Reason::InvalidParameter, detail).parameter(name)
}
