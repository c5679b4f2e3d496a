//! Alibaba Cloud STS 2015-04-01 at `GET /` and `POST /`, signed with ACS3-HMAC-SHA256 or in the RPC style.
//!
//! | action | here |
//! |---|---|
//! | `AssumeRole` | the role of an ARN, whole or narrowed: `assume` |
//! | `AssumeRoleWithOIDC` | the role of an ARN, for an outside token and without a signature: `oidc` |
//! | `GetCallerIdentity` | who asks: `identity` |
//! | `AssumeRoleWithSAML` | `InvalidApi.NotFound` with the reason why |
//!
//! A refusal has a real status and the vendor's `Code` and `Message`. Decided here, because the vendor is silent:
//!
//! - What a call says of itself twice (`Action` in the query and `x-acs-action` in a header) must be the same.
//! - A parameter that the action does not have is refused.
//! - A call with an OpenID token carries no signature; one beside it would be a second proof that nobody looks at.

mod acs3;
mod answer;
mod arn;
mod assume;
mod fault;
pub(crate) mod foreign;
mod identity;
mod oidc;
mod parameters;
mod rpc;
mod session;
mod time;

use super::document::{Document, Style, write};
use super::wire::Format;
use acs3::{Acs3, header, one};
use answer::{Assumed, AssumedWithOidc, Error};
use bytes::Bytes;
use daypass_core::credential::{Credential, Granted};
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Outcome};
use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::secret::{SigningKey, Witness};
use daypass_core::triple::{self, TripleKind};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use identity::Identity;
use oidc::Oidc;
use parameters::{Parameters, name};
use rpc::Rpc;
use std::sync::Arc;
use uuid::Uuid;

/// The version that marks a call as one of this API.
pub(super) const VERSION: &str = "2015-04-01";

/// The dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sts;

/// How to answer.
pub struct StsManner {
    format: Format,
    request_id: Uuid,
    action: Option<Action>,
    /// What was read, for the message about a wrong signature and for the issuer of a token.
    way: Option<Arc<Way>>,
}

/// A call whose proof has the right form.
pub struct StsCall {
    action: Action,
    way: Arc<Way>,
}

/// An action of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    AssumeRole,
    AssumeRoleWithOidc,
    AssumeRoleWithSaml,
    GetCallerIdentity,
}

impl Action {
    const ALL: [Self; 4] =
        [Self::AssumeRole, Self::AssumeRoleWithOidc, Self::AssumeRoleWithSaml, Self::GetCallerIdentity];

    fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithOidc => "AssumeRoleWithOIDC",
            Self::AssumeRoleWithSaml => "AssumeRoleWithSAML",
            Self::GetCallerIdentity => "GetCallerIdentity",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// How a call is proved.
enum Way {
    /// In the `Authorization` header.
    Acs3(Acs3),
    /// Among the parameters.
    Rpc(Rpc),
    /// By an OpenID token, and by no signature.
    Oidc(Oidc),
}

impl Way {
    fn seen(&self) -> Option<String> {
        match self {
            Self::Acs3(proof) => Some(proof.seen()),
            Self::Rpc(proof) => Some(proof.seen()),
            Self::Oidc(_) => None,
        }
    }
}

/// Whether a request is one for this API by its head: Tencent's calls come to the same path, and have neither
/// mark. One whose parameters are all in a form is told by [`is_sts_form`].
pub fn is_sts(head: &Head) -> bool {
    head.headers.contains_key(header::ACTION) || has_version(head.query.as_bytes())
}

/// Whether a request is one for this API by the form in its body.
pub fn is_sts_form(head: &Head, body: &[u8]) -> bool {
    let form = b"application/x-www-form-urlencoded";
    let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..form.len()));
    media.is_some_and(|media| media.eq_ignore_ascii_case(form)) && has_version(body)
}

fn has_version(form: &[u8]) -> bool {
    form_urlencoded::parse(form).any(|(name, value)| name == name::VERSION && value == VERSION)
}

impl Call for StsCall {
    fn claim(&self) -> Claim<'_> {
        match &*self.way {
            Way::Acs3(proof) => proof.claim(),
            Way::Rpc(proof) => proof.claim(),
            Way::Oidc(call) => Claim::WebIdentity(call.claim()),
        }
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        match &*self.way {
            Way::Acs3(proof) => proof.verify(key),
            Way::Rpc(proof) => proof.verify(key),
            Way::Oidc(_) => None,
        }
    }
}

impl Dialect for Sts {
    type Manner = StsManner;
    type Call = StsCall;

    fn name(&self) -> DialectName {
        DialectName::AlibabaSts
    }

    fn manner(&self, head: &Head) -> StsManner {
        StsManner {
            format: format_in(head.query.as_bytes()).unwrap_or_else(|| format_of(head)),
            request_id: head.request_id,
            action: head.header(header::ACTION).and_then(Action::named),
            way: None,
        }
    }

    fn read(
        &self,
        context: Context<'_>,
        request: Request,
        manner: &mut StsManner,
    ) -> Result<StsCall, Refusal> {
        if let Some(format) = format_in(&request.body) {
            manner.format = format;
        }
        let head = &request.head;
        if !matches!(head.method, Method::GET | Method::POST) {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this API answers to POST and GET alone"));
        }
        let parameters = Parameters::read(&request)?;
        check_format(&parameters)?;
        let version = said(head, header::VERSION, &parameters, name::VERSION)?;
        if version != VERSION {
            let detail = format!("there is no version {} of STS, only {VERSION}", shown(version));
            return Err(Refusal::new(Reason::UnknownVersion, detail).parameter(name::VERSION));
        }
        let action = known_action(said(head, header::ACTION, &parameters, name::ACTION)?)?;
        manner.action = Some(action);
        let way = Arc::new(read_proof(context, action, &request, parameters)?);
        manner.way = Some(Arc::clone(&way));
        Ok(StsCall { action, way })
    }

    fn ask(&self, context: Context<'_>, verified: &Verified<StsCall>) -> Result<Ask, Refusal> {
        let call = verified.call();
        let parameters = match &*call.way {
            Way::Oidc(call) => return Ok(Ask::Issue(Box::new(call.ask()))),
            Way::Acs3(proof) => proof.parameters(),
            Way::Rpc(proof) => proof.parameters(),
        };
        match call.action {
            Action::AssumeRole => assume::ask(context, verified.caller(), parameters),
            Action::GetCallerIdentity => parameters.only(&[]).map(|()| Ask::WhoAmI),
            Action::AssumeRoleWithOidc | Action::AssumeRoleWithSaml => {
                Err(Refusal::internal("an action without a signature was taken for one with it"))
            }
        }
    }

    fn render(&self, manner: &StsManner, outcome: Outcome) -> Response {
        let request_id = manner.request_id;
        match outcome {
            Outcome::Granted(delivery) => granted(manner, delivery.get()),
            Outcome::Facts(facts) => respond(manner, StatusCode::OK, &Identity { facts: &facts, request_id }),
            Outcome::Ticket(_)
            | Outcome::Inspected(_)
            | Outcome::Revoked
            | Outcome::Verified(_)
            | Outcome::Explained(_) => refused(manner, &Refusal::internal("nothing here asks for that")),
            Outcome::Refused(refusal) => refused(manner, &refusal),
        }
    }
}

/// Finds out how a call is proved.
///
/// Attack: with two proofs in one call, whoever checks the one may be talking to whoever used the other.
fn read_proof(
    context: Context<'_>,
    action: Action,
    request: &Request,
    parameters: Parameters,
) -> Result<Way, Refusal> {
    let head = &request.head;
    let in_header = one(head, header::AUTHORIZATION)?.is_some();
    let in_parameters = parameters.get(name::SIGNATURE).is_some();
    match action {
        Action::AssumeRoleWithSaml => Err(Refusal::new(
            Reason::UnknownAction,
            "AssumeRoleWithSAML is not offered: there are no SAML providers here; AssumeRoleWithOIDC takes the token of an OpenID provider",
        )
        .parameter(name::ACTION)),
        Action::AssumeRoleWithOidc => {
            let token = head.headers.contains_key(header::TOKEN);
            if in_header || in_parameters || token || parameters.get(name::SECURITY_TOKEN).is_some() {
                return Err(Refusal::new(
                    Reason::SeveralProofs,
                    "AssumeRoleWithOIDC is proved by its OIDCToken alone: send no signature and no SecurityToken",
                ));
            }
            Oidc::read(context, &parameters).map(Way::Oidc)
        }
        Action::AssumeRole | Action::GetCallerIdentity => match (in_header, in_parameters) {
            (true, true) => Err(Refusal::new(
                Reason::SeveralProofs,
                "there is a Signature among the parameters beside the Authorization header; send one of the two",
            )),
            (true, false) => Acs3::read(context, request, parameters).map(Way::Acs3),
            (false, true) => Rpc::read(head, parameters, context.now).map(Way::Rpc),
            (false, false) => Err(Refusal::new(
                Reason::MissingProof,
                "there is neither an Authorization header nor a parameter Signature; sign the request, and see that no proxy removes the header",
            )),
        },
    }
}

/// What a call says in a header or in a parameter; where it says it in both, it must be the same.
fn said<'a>(
    head: &'a Head,
    header: &'static str,
    parameters: &'a Parameters,
    name: &'static str,
) -> Result<&'a str, Refusal> {
    let in_header = one(head, header)?.filter(|value| !value.is_empty());
    match (in_header, parameters.get(name)) {
        (Some(one), Some(other)) if one != other => {
            let detail = format!("{name} says one thing and the header {header} another");
            Err(Refusal::new(Reason::DuplicateParameter, detail).parameter(name))
        }
        (one, other) => one.or(other).ok_or_else(|| Refusal::missing(name)),
    }
}

fn known_action(name: &str) -> Result<Action, Refusal> {
    Action::named(name).ok_or_else(|| {
        let detail = format!("STS has no action {}", shown(name));
        Refusal::new(Reason::UnknownAction, detail).parameter(name::ACTION)
    })
}

fn check_format(parameters: &Parameters) -> Result<(), Refusal> {
    match parameters.get(name::FORMAT) {
        Some(format) if Format::named(&format.to_ascii_lowercase()).is_none() => {
            Err(Refusal::new(Reason::UnknownFormat, "Format must be JSON or XML").parameter(name::FORMAT))
        }
        _ => Ok(()),
    }
}

/// The longest nonce, in characters; those of the vendor's clients have at most 64.
const NONCE: usize = 256;

fn check_nonce(nonce: &str) -> Result<(), Refusal> {
    if nonce.chars().count() <= NONCE {
        return Ok(());
    }
    let detail = format!("it must have at most {NONCE} characters");
    Err(Refusal::new(Reason::InvalidParameter, detail).parameter(name::SIGNATURE_NONCE))
}

/// Without its token, a temporary key is no key at all.
fn check_token(key_id: &str, token: Option<&str>) -> Result<(), Refusal> {
    if token.is_none() && triple::kind_of(key_id) == Some(TripleKind::Alibaba) {
        let detail = "the access key is a temporary one; its SecurityToken goes with it, in the header x-acs-security-token where the signature is in a header";
        return Err(Refusal::new(Reason::MissingParameter, detail).parameter(name::SECURITY_TOKEN));
    }
    Ok(())
}

/// The beginning of a text of the sender's: messages and records must not grow with what was sent.
fn shown(text: &str) -> &str {
    const LIMIT: usize = 96;
    text.char_indices().nth(LIMIT).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// When to ask again, in milliseconds: what the vendor's newer SDKs keep to, where their user has them retry. They read no
/// `Retry-After`, and would ask again after a tenth of a second.
const ACS_RETRY_AFTER: &str = "x-acs-retry-after";

/// `Format`, whose values compare without case.
fn format_in(form: &[u8]) -> Option<Format> {
    let (_, value) = form_urlencoded::parse(form).find(|(name, _)| name == name::FORMAT)?;
    Format::named(&value.to_ascii_lowercase())
}

/// The format of a call without `Format`. Clients of the newer signature have none and read JSON; for the older one
/// the vendor documents XML.
fn format_of(head: &Head) -> Format {
    let begins =
        |name: &'static str, with: &str| head.header(name).is_some_and(|value| value.starts_with(with));
    let json = head.header(ACCEPT.as_str()).is_some_and(|accept| accept.contains("application/json"));
    if json || begins(header::AUTHORIZATION, super::sign::acs3::ALGORITHM) {
        Format::Json
    } else {
        Format::Xml
    }
}

fn granted(manner: &StsManner, granted: &Granted) -> Response {
    let Credential::Triple(triple) = &granted.credential else {
        return refused(manner, &Refusal::internal("an access token was issued for a triple"));
    };
    let assumed = Assumed { granted, triple, request_id: manner.request_id };
    match manner.way.as_deref() {
        Some(Way::Oidc(call)) => {
            let document = AssumedWithOidc { assumed, issuer: call.issuer() };
            respond(manner, StatusCode::OK, &document)
        }
        _ => respond(manner, StatusCode::OK, &assumed),
    }
}

fn refused(manner: &StsManner, refusal: &Refusal) -> Response {
    let (status, code) = fault::code(manner.action, refusal);
    let wrong = manner.way.as_deref().filter(|_| refusal.reason == Reason::WrongSignature);
    let seen = wrong.and_then(Way::seen);
    let error = Error { code: &code, refusal, seen, request_id: manner.request_id };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(manner, status, &error);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        response.headers_mut().insert(ACS_RETRY_AFTER, HeaderValue::from(u64::from(seconds) * 1000));
    }
    response
}

fn respond<D: Document>(manner: &StsManner, status: StatusCode, document: &D) -> Response {
    let mut response = Response::new(Bytes::from(write(document, manner.format, Style::Simple)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(match manner.format {
            Format::Xml => "text/xml;charset=utf-8",
            Format::Json => "application/json;charset=utf-8",
        }),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
