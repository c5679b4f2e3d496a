//! The STS API 2018-08-13 at `POST /` and `GET /`, signed with TC3-HMAC-SHA256 or the older way in the parameters.
//!
//! | action | here |
//! |---|---|
//! | `GetFederationToken` | a part of the client's default role: `federation` |
//! | `AssumeRole` | the role of an ARN, whole or narrowed: `assume` |
//! | `AssumeRoleWithWebIdentity` | the role of an ARN, for an outside JWT and without a signature: `web_identity` |
//! | `GetCallerIdentity` | who asks: [`identity`] |
//! | `GetSessionToken`, `AssumeRoleWithSAML`, `QueryApiKey` | `UnsupportedOperation` with the reason why |
//!
//! Every answer has status 200 and the vendor's envelope, because the official SDKs lose code and message of
//! anything else.

mod assume;
mod federation;
mod session;
mod web_identity;

use super::legacy::{self, Legacy};
use super::parameters::Parameters;
use super::proof::{Proof, one, required};
use super::wire::{self, Action, Enveloped, Failed, Fault, Issued, VERSION, header, parameter, shown};
use super::{fault, identity};
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Facts, Outcome};
use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::secret::{SigningKey, Witness};
use http::Method;
use std::sync::Arc;
use web_identity::WebIdentityCall;

/// What stands in `Authorization` where the call carries no signature by its nature.
const SKIP: &str = "SKIP";

/// The STS API.
pub struct Sts;

/// How an answer is given.
pub struct Manner {
    request_id: String,
    action: Option<Action>,
    /// What was read, for the message about a wrong signature.
    way: Option<Arc<Way>>,
}

/// A request whose proof has the right form.
pub struct StsCall {
    action: Action,
    way: Arc<Way>,
}

/// How a call is proved.
enum Way {
    /// In the `Authorization` header.
    Tc3 { request: Request, proof: Proof },
    /// In the parameters.
    Legacy(Legacy),
    /// By a JWT among them, and by no signature.
    WebIdentity(WebIdentityCall),
}

impl Way {
    /// What was signed, in the words of a message about a wrong signature.
    fn seen(&self) -> Option<String> {
        match self {
            Self::Tc3 { request, proof } => proof.seen(request),
            Self::Legacy(legacy) => Some(legacy.seen()),
            Self::WebIdentity(_) => None,
        }
    }
}

impl Call for StsCall {
    fn claim(&self) -> Claim<'_> {
        match &*self.way {
            Way::Tc3 { proof, .. } => Claim::Signed(proof.claim()),
            Way::Legacy(legacy) => legacy.claim(),
            Way::WebIdentity(call) => Claim::WebIdentity(call.claim()),
        }
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        match &*self.way {
            Way::Tc3 { request, proof } => proof.verify(request, key),
            Way::Legacy(legacy) => legacy.verify(key),
            Way::WebIdentity(_) => None,
        }
    }
}

impl Dialect for Sts {
    type Manner = Manner;
    type Call = StsCall;

    fn name(&self) -> DialectName {
        DialectName::TencentSts
    }

    fn manner(&self, head: &Head) -> Manner {
        Manner {
            request_id: head.request_id.to_string(),
            action: head.header(header::ACTION).and_then(Action::named),
            way: None,
        }
    }

    fn read(&self, context: Context<'_>, request: Request, manner: &mut Manner) -> Result<StsCall, Refusal> {
        let head = &request.head;
        if head.method != Method::POST && head.method != Method::GET {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this API answers to POST and GET alone"));
        }
        let (action, way) = match (one(head, header::AUTHORIZATION)?, legacy::is_meant(&request)) {
            (Some(_), true) => Err(Refusal::new(
                Reason::SeveralProofs,
                "there is a signature in the parameters beside the Authorization header; send one of the two",
            )),
            (Some(SKIP), false) => read_unsigned(context, &request),
            (Some(_), false) => read_tc3(context, request),
            (None, true) => read_legacy(context, &request, manner),
            (None, false) => Err(Refusal::new(
                Reason::MissingProof,
                "there is no Authorization header; sign the request with TC3-HMAC-SHA256, and see that no proxy removes it",
            )),
        }?;
        let way = Arc::new(way);
        manner.way = Some(Arc::clone(&way));
        Ok(StsCall { action, way })
    }

    fn ask(&self, context: Context<'_>, verified: &Verified<StsCall>) -> Result<Ask, Refusal> {
        let (call, caller) = (verified.call(), verified.caller());
        let parameters = match &*call.way {
            Way::WebIdentity(call) => return Ok(Ask::Issue(Box::new(call.ask(context)))),
            // Read now, so that a stranger makes nobody parse anything.
            Way::Tc3 { request, .. } => Parameters::read(request),
            Way::Legacy(legacy) => Ok(legacy.parameters()),
        };
        match call.action {
            Action::GetFederationToken => federation::ask(context, caller, parameters?),
            Action::AssumeRole => assume::ask(context, caller, parameters?),
            Action::GetCallerIdentity => parameters?.done().map(|()| Ask::WhoAmI),
            Action::AssumeRoleWithSaml => Err(not_offered(call.action, NO_SAML)),
            Action::GetSessionToken => Err(not_offered(call.action, NO_DEVICES)),
            Action::QueryApiKey => Err(not_offered(call.action, NO_LIST)),
            Action::AssumeRoleWithWebIdentity => Err(Refusal::internal("a signature was taken for a JWT")),
        }
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        let id = &manner.request_id;
        match outcome {
            Outcome::Granted(delivery) => match Issued::of(delivery.get(), id) {
                Some(response) => wire::answer(&Enveloped { response }),
                None => refused(manner, &Refusal::internal("an access token was issued for a triple")),
            },
            Outcome::Facts(facts) => known(&facts, id),
            Outcome::Ticket(_)
            | Outcome::Inspected(_)
            | Outcome::Revoked
            | Outcome::Verified(_)
            | Outcome::Explained(_) => refused(manner, &Refusal::internal("nothing here asks for that")),
            Outcome::Refused(refusal) => refused(manner, &refusal),
        }
    }
}

/// A request with TC3-HMAC-SHA256 in its `Authorization` header. Action and version are headers too.
fn read_tc3(context: Context<'_>, request: Request) -> Result<(Action, Way), Refusal> {
    let action = action_of_headers(&request.head)?;
    signed(action)?;
    let proof = Proof::read(&request.head, context.now)?;
    Ok((action, Way::Tc3 { request, proof }))
}

/// A request with its signature in the parameters, where action and version are as well.
fn read_legacy(
    context: Context<'_>,
    request: &Request,
    manner: &mut Manner,
) -> Result<(Action, Way), Refusal> {
    let form = legacy::form(request)?;
    manner.action = form.get(parameter::ACTION).and_then(Action::named);
    known_version(legacy::required(&form, parameter::VERSION)?)?;
    let action = known_action(legacy::required(&form, parameter::ACTION)?)?;
    signed(action)?;
    let legacy = Legacy::read(Arc::clone(&request.head), form, context.now)?;
    Ok((action, Way::Legacy(legacy)))
}

/// A request with `Authorization: SKIP`.
///
/// Attack: what opens without a signature opens to everyone, so that the word does so for the two actions alone that
/// bring another proof, and never beside a token that only means something with a signature.
fn read_unsigned(context: Context<'_>, request: &Request) -> Result<(Action, Way), Refusal> {
    let head = &request.head;
    let action = action_of_headers(head)?;
    if !matches!(action, Action::AssumeRoleWithSaml | Action::AssumeRoleWithWebIdentity) {
        let detail =
            format!("Authorization: SKIP is for calls without a signature, and {} needs one", action.name());
        return Err(Refusal::new(Reason::MalformedProof, detail));
    }
    if one(head, header::TOKEN)?.is_some_and(|token| !token.is_empty()) {
        let detail = "a call without a signature must not carry the X-TC-Token of a temporary key";
        return Err(Refusal::new(Reason::SeveralProofs, detail));
    }
    if action == Action::AssumeRoleWithSaml {
        return Err(not_offered(action, NO_SAML));
    }
    let call = WebIdentityCall::read(context, Parameters::read(request)?)?;
    Ok((action, Way::WebIdentity(call)))
}

/// Makes sure that the action is one that is signed. The vendor's page of the other one demands `SKIP`; a signature
/// beside the JWT would be a second proof that nobody looks at.
fn signed(action: Action) -> Result<(), Refusal> {
    if action != Action::AssumeRoleWithWebIdentity {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::MalformedProof,
        "AssumeRoleWithWebIdentity is proved by its token alone: send Authorization: SKIP and no X-TC-Token (where an SDK's own method signs, its generic call with the option SkipSign does not)",
    ))
}

/// The action of a request whose common parameters are headers.
fn action_of_headers(head: &Head) -> Result<Action, Refusal> {
    known_version(required(head, header::VERSION, parameter::VERSION)?)?;
    known_action(required(head, header::ACTION, parameter::ACTION)?)
}

fn known_version(version: &str) -> Result<(), Refusal> {
    if version == VERSION {
        return Ok(());
    }
    let detail = format!("there is no version {} of STS, only {VERSION}", shown(version));
    Err(Refusal::new(Reason::UnknownVersion, detail).parameter(parameter::VERSION))
}

fn known_action(name: &str) -> Result<Action, Refusal> {
    Action::named(name).ok_or_else(|| {
        let detail = format!("STS has no action {}", shown(name));
        Refusal::new(Reason::UnknownAction, detail).parameter(parameter::ACTION)
    })
}

/// Why three actions of the API are not offered.
const NO_SAML: &str =
    "there are no SAML providers here; AssumeRoleWithWebIdentity takes the token of an OpenID provider";
const NO_DEVICES: &str = "it exchanges a code of an MFA device, and keys have no such devices here; GetFederationToken and AssumeRole need none";
const NO_LIST: &str = "the keys of an account are never listed to its clients; its operator can list them";

fn not_offered(action: Action, why: &str) -> Refusal {
    let detail = format!("{} is not offered: {why}", action.name());
    Refusal::new(Reason::UnknownAction, detail).parameter(parameter::ACTION)
}

fn known(facts: &Facts, request_id: &str) -> Response {
    wire::answer(&Enveloped { response: identity::describe(facts, request_id) })
}

fn refused(manner: &Manner, refusal: &Refusal) -> Response {
    let mut message = fault::message(refusal);
    let wrong = manner.way.as_deref().filter(|_| refusal.reason == Reason::WrongSignature);
    if let Some(seen) = wrong.and_then(Way::seen) {
        message.push_str("; ");
        message.push_str(&seen);
    }
    wire::answer(&Enveloped {
        response: Failed {
            error: Fault { code: fault::code(manner.action, refusal), message: &message },
            request_id: &manner.request_id,
        },
    })
}
