//! Which answer is meant, and who says so.

use super::Proof;
use super::wire::PATH;
use crate::alibaba::wire::lower_half;
use crate::entra::elsewhere::{ClientProof, Members};
use crate::verify::essence::Essence;
use crate::{alibaba, tencent};
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Context;
use daypass_core::explained::{AnswerId, Lookup, When};
use daypass_core::json;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use daypass_core::secret::Secret;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use uuid::Uuid;

/// The service that a question signed with TC3 is meant for: the one that the key signs for anyway.
const SERVICE: &str = "sts";

/// The answer that the path names, and when it was: the id says so itself, or the query.
pub(super) fn wanted(head: &Head) -> Result<Lookup, Refusal> {
    let text = head.path.strip_prefix(PATH).unwrap_or_default();
    let id =
        Uuid::try_parse(text).map(AnswerId::Whole).ok().or_else(|| lower_half(text).map(AnswerId::Lower));
    let id = id.ok_or_else(|| {
        let detail = "the path ends in the id of an answer, as its protocol writes it";
        Refusal::new(Reason::InvalidParameter, detail).parameter("request_id")
    })?;
    let about = at(&head.query)?.map(When::About);
    let of_id = match id {
        AnswerId::Whole(id) => When::of_id(id),
        AnswerId::Lower(_) => None,
    };
    let when = about.or(of_id).ok_or_else(|| {
        let detail =
            "this id does not say when it was; add at, the seconds of the Date of that answer since 1970";
        Refusal::new(Reason::MissingParameter, detail).parameter("at")
    })?;
    Ok(Lookup { id, when })
}

/// The one parameter that there is.
fn at(query: &str) -> Result<Option<Timestamp>, Refusal> {
    let mut found = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "at" {
            return Err(Refusal::new(Reason::UnknownParameter, "a question has no parameter but at"));
        }
        let seconds = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten();
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or_else(|| {
            Refusal::new(Reason::InvalidParameter, "at is a number of seconds since 1970").parameter("at")
        })?;
        if found.replace(time).is_some() {
            return Err(Refusal::new(Reason::DuplicateParameter, "at stands there twice").parameter("at"));
        }
    }
    Ok(found)
}

/// What proves who asks. Signatures that leave out the path are not taken.
///
/// Attack: whoever has any request of a client that is signed so could put it before this one, and learn what that
/// client did.
pub(super) fn proof(context: Context<'_>, request: &Request) -> Result<Proof, Refusal> {
    let head = &request.head;
    if head.headers.get_all(AUTHORIZATION).iter().count() > 1 {
        // Attack: of two proofs the one is checked, and a proxy has let the request through for the other.
        return Err(Refusal::new(Reason::SeveralProofs, "there must be one Authorization header"));
    }
    let client = |members| ClientProof::read(context, head, members).map(Box::new).map(Proof::Client);
    match head.method {
        Method::GET if !request.body.is_empty() => {
            Err(Refusal::new(Reason::Malformed, "a question by GET has no body"))
        }
        Method::GET => match algorithm(head) {
            "TC3-HMAC-SHA256" => {
                tencent::foreign::tc3(&Essence::own(request), &[SERVICE], context.now).map(Proof::Signed)
            }
            "ACS3-HMAC-SHA256" => alibaba::foreign::acs3(context, &Essence::own(request)).map(Proof::Signed),
            basic if basic.eq_ignore_ascii_case("basic") => client(Members::default()),
            _ => Err(Refusal::new(
                Reason::MissingProof,
                "sign the question with TC3 or ACS3, show the client's secret by HTTP Basic, or send its proof by POST",
            )),
        },
        Method::POST => client(members(request)?),
        _ => Err(Refusal::new(
            Reason::MethodNotAllowed,
            "a question is asked with GET, or with POST where the proof of the client is a document",
        )),
    }
}

/// The first word of the one `Authorization` header.
fn algorithm(head: &Head) -> &str {
    let value = head.header(AUTHORIZATION.as_str()).unwrap_or_default();
    value.split(' ').next().unwrap_or_default()
}

/// What proves the client, where it is a document: an assertion fits into no header.
fn members(request: &Request) -> Result<Members, Refusal> {
    let media = request.head.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let detail = "the body must be a JSON object, and its type application/json";
        return Err(Refusal::new(Reason::UnsupportedMediaType, detail));
    }
    let Ok(Value::Object(document)) = json::parse(&request.body) else {
        return Err(Refusal::new(Reason::Malformed, "the body must be one JSON object, each member once"));
    };
    let mut members = Members::default();
    for (name, value) in document {
        let Value::String(value) = value else {
            return Err(Refusal::new(Reason::InvalidParameter, "each member must be a string"));
        };
        match name.as_str() {
            "client_id" => members.id = Some(value),
            "client_secret" => members.secret = Some(Secret::new(value)),
            "client_assertion_type" => members.assertion_type = Some(value),
            "client_assertion" => members.assertion = Some(Secret::new(value)),
            _ => {
                let detail = "the body has what proves the client, and no other member";
                return Err(Refusal::new(Reason::UnknownParameter, detail));
            }
        }
    }
    Ok(members)
}
