//! The STS API 2018-08-13 at `POST /` and `GET /`: `GetFederationToken` and `GetCallerIdentity`, signed with
//! TC3-HMAC-SHA256.
//!
//! Every answer has status 200 and the vendor's envelope, because the official SDKs lose code and message of
//! anything else. The other five actions of the API are known and answered `UnsupportedOperation`; one that does
//! not exist is answered `InvalidAction`. Requests with the older signature in their parameters are recognised
//! and told to use TC3.

use super::parameters::{Parameters, invalid};
use super::proof::{Proof, required};
use super::wire::{self, Action, Enveloped, Failed, Fault, Issued, VERSION, header, shown};
use super::{fault, identity, policy};
use daypass_core::client::KeyKind;
use daypass_core::dialect::{
    Ask, Call, Claim, Context, Dialect, Facts, Form, Issue, Outcome, RoleChoice, Signed, Weak,
};
use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::secret::{SigningKey, Witness};
use daypass_core::triple::TripleKind;
use http::Method;
use std::collections::BTreeMap;

/// The longest life that the vendor gives to any federation token, in seconds. A role may give less, never more.
const LONGEST: u32 = 129_600;

/// The longest `Name`. The vendor documents letters and no length; this is the limit of its role session names,
/// whose characters are accepted here because its own COS helpers send hyphens.
const NAME: usize = 128;

/// The STS API.
pub struct Sts;

/// How an answer is given.
pub struct Manner {
    request_id: String,
    action: Option<Action>,
}

/// A request whose proof has the right form.
pub struct Tc3Call {
    request: Request,
    proof: Proof,
    action: Action,
}

impl Call for Tc3Call {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(Signed {
            key_id: &self.proof.key_id,
            kind: KeyKind::Tencent,
            token: self.proof.token.as_deref(),
            signature: &self.proof.signature,
            weak: self.proof.unsigned_payload.then_some(Weak::UnsignedPayload),
        })
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        self.proof.verify(&self.request, key)
    }
}

impl Dialect for Sts {
    type Manner = Manner;
    type Call = Tc3Call;

    fn name(&self) -> DialectName {
        DialectName::TencentSts
    }

    fn manner(&self, head: &Head) -> Manner {
        Manner {
            request_id: head.request_id.to_string(),
            action: head.header(header::ACTION).and_then(Action::named),
        }
    }

    fn read(&self, context: Context<'_>, request: Request, _: &mut Manner) -> Result<Tc3Call, Refusal> {
        let head = &request.head;
        if head.method != Method::POST && head.method != Method::GET {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this API answers to POST and GET alone"));
        }
        if !head.headers.contains_key(header::AUTHORIZATION) {
            return Err(without_proof(&request));
        }
        let action = action(head)?;
        let proof = Proof::read(head, context.now)?;
        Ok(Tc3Call { request, proof, action })
    }

    fn ask(&self, _: Context<'_>, verified: &Verified<Tc3Call>) -> Result<Ask, Refusal> {
        let call = verified.call();
        let parameters = Parameters::read(&call.request)?;
        match call.action {
            Action::GetFederationToken => federation_token(parameters, &verified.caller().tenant().account),
            Action::GetCallerIdentity => parameters.done().map(|()| Ask::WhoAmI),
            Action::NotOffered => Err(not_offered()),
        }
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        let id = &manner.request_id;
        match outcome {
            Outcome::Granted(recorded) => match Issued::of(recorded.get(), id) {
                Some(response) => wire::answer(&Enveloped { response }),
                None => refused(manner, &Refusal::internal("an access token was issued for a triple")),
            },
            Outcome::Facts(facts) => known(&facts, id),
            Outcome::Refused(refusal) => refused(manner, &refusal),
        }
    }
}

/// The action and version of the request, from its headers.
fn action(head: &Head) -> Result<Action, Refusal> {
    let version = required(head, header::VERSION, "Version")?;
    if version != VERSION {
        let detail = format!("there is no version {} of STS, only {VERSION}", shown(version));
        return Err(Refusal::new(Reason::UnknownVersion, detail).parameter("Version"));
    }
    let name = required(head, header::ACTION, "Action")?;
    match Action::named(name) {
        Some(Action::NotOffered) => Err(not_offered()),
        Some(action) => Ok(action),
        None => {
            let detail = format!("STS has no action {}", shown(name));
            Err(Refusal::new(Reason::UnknownAction, detail).parameter("Action"))
        }
    }
}

fn not_offered() -> Refusal {
    Refusal::new(
        Reason::UnknownAction,
        "this action is not offered here; GetFederationToken and GetCallerIdentity are",
    )
    .parameter("Action")
}

/// A request without an `Authorization` header: of the older signature, or without any proof.
fn without_proof(request: &Request) -> Refusal {
    let has = |bytes: &[u8], name: &[u8]| bytes.split(|c| *c == b'&').any(|pair| pair.starts_with(name));
    let legacy = |bytes: &[u8]| has(bytes, b"SecretId=") || has(bytes, b"Signature=");
    if legacy(request.head.query.as_bytes()) || legacy(&request.body) {
        return Refusal::new(
            Reason::MalformedProof,
            "signatures in the parameters (HmacSHA1, HmacSHA256) are not accepted; set the client's signMethod to TC3-HMAC-SHA256",
        );
    }
    Refusal::new(
        Reason::MissingProof,
        "there is no Authorization header; sign the request with TC3-HMAC-SHA256, and see that no proxy removes it",
    )
}

fn federation_token(mut parameters: Parameters, account: &str) -> Result<Ask, Refusal> {
    let name = parameters.text("Name")?.ok_or_else(|| Refusal::missing("Name"))?;
    if name.len() > NAME || !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_+=,.@-".contains(&c)) {
        return Err(invalid("Name", "must be 1 to 128 letters, digits or characters of _+=,.@-"));
    }
    let lifetime = parameters.positive("DurationSeconds")?;
    if lifetime.is_some_and(|seconds| seconds > LONGEST) {
        let detail = format!("DurationSeconds is at most {LONGEST}, whatever the role");
        return Err(Refusal::new(Reason::LifetimeTooLong, detail).parameter("DurationSeconds"));
    }
    let document = parameters.text("Policy")?.ok_or_else(|| Refusal::missing("Policy"))?;
    parameters.done()?;
    let asked = policy::parse_sent(&document)?;
    policy::refuse_foreign(&asked, account)?;
    Ok(Ask::Issue(Box::new(Issue {
        role: RoleChoice::Default,
        form: Form::Triple(TripleKind::Tencent),
        variables: BTreeMap::new(),
        lifetime,
        policy: Some(asked),
        session: Some(name),
        correlation: None,
        permanent_only: true,
    })))
}

fn known(facts: &Facts, request_id: &str) -> Response {
    wire::answer(&Enveloped { response: identity::describe(facts, request_id) })
}

fn refused(manner: &Manner, refusal: &Refusal) -> Response {
    wire::answer(&Enveloped {
        response: Failed {
            error: Fault {
                code: fault::sts(manner.action, refusal.reason),
                message: &fault::message(refusal),
            },
            request_id: &manner.request_id,
        },
    })
}
