//! The TOP gateway: `/router/rest`.
//!
//! Source: Taobao Open Platform, "API call protocol" (docId 101617). Decided here, because it is silent:
//!
//! - Every refusal is an `error_response`, never a success with `resp_success` false: clients do not raise on that.
//! - A parameter that is unknown, came twice, or differs between query and body is code 41 with its name (43 where
//!   the name is none). The same value in query and body counts once.
//! - A signature in lower case is code 25: one spelling, so that one signature is one request to the replay rule.
//! - A stamp that cannot be read is code 31 like one that is off; an unknown `sign_method` is code 25.
//! - A tenant or store that is not the client's is code 50 with `isv.invalid-parameter`, like one that does not
//!   exist; a product, scene or usage that it may not have is code 11, whether or not others may.
//! - `resp_code` is 200, and `resp_request_id` the caller's `request_id`, or ours where it sent none.
//! - `token` in `param` is the caller's nonce: bounded, signed with the rest, and otherwise without meaning.

use super::answer::Success;
use super::document::{Style, write};
use super::fault::{TopError, top};
use super::param::Param;
use super::parameters::{BodyKind, Names, Parameters, format_of, format_of_query};
use super::sign::{self, SignMethod};
use super::time;
use super::wire::{Format, METHOD, Name, POI_ID, TENANT_CODE, VERSION, request_id, response};
use daypass_core::client::KeyKind;
use daypass_core::clock::Timestamp;
use daypass_core::credential::Credential;
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Form, Issue, Outcome, RoleChoice, Signed};
use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::secret::{SigningKey, Witness};
use daypass_core::triple::TripleKind;
use http::Method;
use std::sync::Arc;
use uuid::Uuid;

/// The dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Top;

/// How to answer, and what the signature of the call was over.
#[derive(Clone, Debug)]
pub struct TopManner {
    format: Format,
    simplify: bool,
    request_id: Uuid,
    signed: Names,
    sign_method: SignMethod,
}

/// A call that was read and is not believed yet.
#[derive(Debug)]
pub struct TopCall {
    head: Arc<Head>,
    parameters: Parameters,
    sign_method: SignMethod,
    made: Timestamp,
}

impl Dialect for Top {
    type Manner = TopManner;
    type Call = TopCall;

    fn name(&self) -> DialectName {
        DialectName::AlibabaTop
    }

    fn manner(&self, head: &Head) -> TopManner {
        TopManner {
            format: format_of_query(&head.query),
            simplify: false,
            request_id: head.request_id,
            signed: Names::default(),
            sign_method: SignMethod::default(),
        }
    }

    fn read(
        &self,
        context: Context<'_>,
        request: Request,
        manner: &mut TopManner,
    ) -> Result<TopCall, Refusal> {
        let parameters = Parameters::read(&request);
        manner.format = match &parameters {
            Ok(parameters) => parameters.get(Name::Format).and_then(Format::named).unwrap_or_default(),
            Err(_) => format_of(&request),
        };
        if !matches!(request.head.method, Method::GET | Method::POST) {
            return Err(Refusal::new(Reason::MethodNotAllowed, "send GET or POST"));
        }
        let parameters = parameters?;
        manner.signed = parameters.names();
        manner.simplify = parameters.get(Name::Simplify) == Some("true");
        let (sign_method, made) = check(context, &request.head.path, &parameters)?;
        manner.sign_method = sign_method;
        Ok(TopCall { head: request.head, parameters, sign_method, made })
    }

    fn ask(&self, _: Context<'_>, verified: &Verified<TopCall>) -> Result<Ask, Refusal> {
        let call = verified.call();
        let param = Param::parse(call.parameters.get(Name::Param))?;
        let role = RoleChoice::Product { path: call.head.path.clone(), product: param.product };
        Ok(Ask::Issue(Box::new(Issue {
            variables: [(TENANT_CODE.to_owned(), param.tenant_code), (POI_ID.to_owned(), param.poi_id)]
                .into(),
            correlation: param.request_id,
            ..Issue::new(role, Form::Triple(TripleKind::Alibaba))
        })))
    }

    fn render(&self, manner: &TopManner, outcome: Outcome) -> Response {
        let request_id = request_id(manner.request_id);
        let refusal = match &outcome {
            Outcome::Granted(recorded) => match &recorded.get().credential {
                Credential::Triple(triple) => {
                    let success = Success { granted: recorded.get(), triple, request_id: &request_id };
                    let style = if manner.simplify { Style::Simple } else { Style::Wrapped };
                    return response(manner.format, write(&success, manner.format, style));
                }
                Credential::Bearer(_) => &Refusal::internal("the gateway does not hand out access tokens"),
            },
            Outcome::Facts(_)
            | Outcome::Ticket(_)
            | Outcome::Inspected(_)
            | Outcome::Revoked
            | Outcome::Verified(_)
            | Outcome::Explained(_) => &Refusal::internal("the gateway hands out nothing but credentials"),
            Outcome::Refused(refusal) => refusal,
        };
        let fault = top(refusal, manner.signed, manner.sign_method);
        // Errors keep their root when the answer is simplified.
        let body = write(&TopError { fault, request_id: &request_id }, manner.format, Style::Wrapped);
        response(manner.format, body)
    }
}

impl Call for TopCall {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(Signed {
            key_id: self.parameters.get(Name::AppKey).unwrap_or_default(),
            kind: KeyKind::Top,
            token: None,
            signature: self.presented().as_bytes(),
            once: None,
            made: self.made,
            weak: self.sign_method.weak(),
        })
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        key.matches(self.presented().as_bytes(), |secret, test| {
            let base = sign::base_string(self.parameters.signed());
            test(sign::digest(self.sign_method, secret, &base).as_bytes());
        })
    }
}

impl TopCall {
    /// Reads a call that was made to another gateway, of whatever method.
    ///
    /// Attack: the signed text is names and values with nothing between them, so that only where all names are known is
    /// there one way to take it apart: here too a call has the common parameters and `param`. Files in a multipart body
    /// are not signed at all.
    pub(crate) fn foreign(request: Request, now: Timestamp) -> Result<Self, Refusal> {
        if !request.body.is_empty() && !matches!(BodyKind::of(&request.head)?, BodyKind::Form) {
            let detail = "the body must be application/x-www-form-urlencoded, which is signed whole";
            return Err(Refusal::new(Reason::UnsupportedMediaType, detail));
        }
        let parameters = Parameters::read(&request)?;
        required(&parameters, Name::Method)?;
        let (sign_method, made) = check_form(now, &parameters)?;
        Ok(Self { head: request.head, parameters, sign_method, made })
    }

    fn presented(&self) -> &str {
        self.parameters.get(Name::Sign).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// Whether these parameters hold what tells a TOP call.
pub(crate) fn is_top(names: &[&str]) -> bool {
    names.contains(&Name::AppKey.text())
}

/// The gateway's checks of presence and form, in its order as far as that is known: method, format, app key,
/// timestamp, version, signature, and then what else came. Which key it is and what it signed follows.
fn check(
    context: Context<'_>,
    path: &str,
    parameters: &Parameters,
) -> Result<(SignMethod, Timestamp), Refusal> {
    check_method(context, path, required(parameters, Name::Method)?)?;
    check_form(context.now, parameters)
}

/// The same checks but for which method it is.
fn check_form(now: Timestamp, parameters: &Parameters) -> Result<(SignMethod, Timestamp), Refusal> {
    if parameters.get(Name::Format).is_some_and(|format| Format::named(format).is_none()) {
        return Err(Refusal::new(Reason::UnknownFormat, "format is xml or json").parameter("format"));
    }
    check_app_key(required(parameters, Name::AppKey)?)?;
    let made = time::check(required(parameters, Name::Timestamp)?, now)?;
    check_version(required(parameters, Name::V)?)?;
    let sign_method = check_sign(parameters)?;
    if !matches!(parameters.get(Name::Simplify), None | Some("true" | "false")) {
        return Err(Refusal::new(Reason::InvalidParameter, "simplify is true or false").parameter("simplify"));
    }
    parameters.refuse_unknown()?;
    Ok((sign_method, made))
}

fn required(parameters: &Parameters, name: Name) -> Result<&str, Refusal> {
    parameters.get(name).ok_or_else(|| Refusal::missing(name.text()))
}

fn check_method(context: Context<'_>, path: &str, method: &str) -> Result<(), Refusal> {
    let unknown = |detail: &'static str| Err(Refusal::new(Reason::UnknownAction, detail).parameter("method"));
    if context.directory.endpoints(DialectName::AlibabaTop, path).next().is_none() {
        return unknown("no gateway is configured at this path");
    }
    match method {
        METHOD => Ok(()),
        _ => {
            unknown("this gateway answers alibaba.security.deepvision.proxy.security.common.token.get alone")
        }
    }
}

/// An app key is a number. Attack: what follows it in the signed text is `format` or `method`, and a key id that
/// could hold letters could swallow them: a call signed for one key would then be one of another.
fn check_app_key(app_key: &str) -> Result<(), Refusal> {
    let number = app_key.bytes().all(|b| b.is_ascii_digit());
    let refusal = || Refusal::new(Reason::UnknownKey, "an app_key is a number").parameter("app_key");
    if number { Ok(()) } else { Err(refusal()) }
}

fn check_version(version: &str) -> Result<(), Refusal> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match version.split_once('.') {
        _ if version == VERSION => Ok(()),
        Some((major, minor)) if number(major) && number(minor) => {
            Err(Refusal::new(Reason::UnknownVersion, "v is 2.0").parameter("v"))
        }
        _ => Err(Refusal::new(Reason::InvalidParameter, "v is 2.0").parameter("v")),
    }
}

fn check_sign(parameters: &Parameters) -> Result<SignMethod, Refusal> {
    let sign = parameters.get(Name::Sign).ok_or_else(|| {
        Refusal::new(Reason::MissingProof, "the parameter sign is required").parameter("sign")
    })?;
    let malformed = |detail: String| Refusal::new(Reason::MalformedProof, detail).parameter("sign");
    let method = match parameters.get(Name::SignMethod) {
        None => SignMethod::default(),
        Some(name) => SignMethod::named(name)
            .ok_or_else(|| malformed("sign_method is md5, hmac or hmac-sha256".into()))?,
    };
    if method.admits(sign) {
        return Ok(method);
    }
    Err(malformed(format!(
        "a signature by {} has {} hexadecimal digits, in upper case",
        method.name(),
        method.length()
    )))
}
