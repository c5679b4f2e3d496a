//! The document in which an API asks.

use super::bearing::Held;
use super::essence::{Body, Essence, Told, hash, invalid};
use super::scheme::Scheme;
use crate::condition::Context;
use crate::entra::elsewhere::Members;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use daypass_core::json::{self, JsonFault};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use daypass_core::secret::Secret;
use daypass_core::verification::Wanted;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

/// What an API asks, and what proves that it may.
pub(super) struct Asked {
    /// Who it says it is.
    pub(super) members: Members,
    /// The request that it got.
    pub(super) essence: Essence,
    /// How the request proves its sender, where the API expects one way.
    pub(super) scheme: Option<Scheme>,
    /// What its sender wants to do.
    pub(super) access: Option<Wanted>,
    /// What its sender holds, by the API's word.
    pub(super) held: Held,
    /// What the API states for conditions.
    pub(super) stated: Context,
}

impl Asked {
    /// Reads a document strictly: a member that is not known is a mistake, and one that stands twice is two questions.
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        check_type(&request.head)?;
        let parsed = json::parse(&request.body).map_err(|fault| {
            let reason = match fault {
                JsonFault::Duplicate { .. } => Reason::DuplicateParameter,
                JsonFault::TooDeep | JsonFault::Syntax { .. } => Reason::Malformed,
            };
            Refusal::new(reason, format!("the body was not understood: {fault}"))
        })?;
        let Value::Object(members) = parsed else {
            return Err(Refusal::new(Reason::Malformed, "the body must be one JSON object"));
        };
        let mut members = Document(members);
        let asked = Self {
            members: Members {
                id: members.text("client_id")?,
                secret: members.text("client_secret")?.map(Secret::new),
                assertion_type: members.text("client_assertion_type")?,
                assertion: members.text("client_assertion")?.map(Secret::new),
            },
            scheme: scheme(members.text("scheme")?.as_deref())?,
            access: access(members.text("action")?, members.text("resource")?)?,
            held: Held::read(members.text("url")?, members.text("certificate_sha256")?)?,
            stated: members.lists("context")?.into_iter().collect(),
            essence: essence(&request.head, &mut members)?,
        };
        members.done()?;
        Ok(asked)
    }
}

/// `application/json`, as a browser's page cannot send it to another origin without being allowed to.
fn check_type(head: &Head) -> Result<(), Refusal> {
    let value = head.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::UnsupportedMediaType,
        "the body must be a JSON object, and its type application/json",
    ))
}

/// The members that were not read yet. An absent one and null are the same.
struct Document(Map<String, Value>);

impl Document {
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    fn required(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| {
            Refusal::new(Reason::MissingParameter, format!("the question must have the member {name}"))
                .parameter(name)
        })
    }

    /// Names with values: each one string, or a list of them.
    fn lists(&mut self, name: &'static str) -> Result<Vec<(String, Vec<String>)>, Refusal> {
        let wrong = || invalid(name, "must be an object of strings or lists of strings");
        let members = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(wrong()),
        };
        let text = |value| match value {
            Value::String(value) => Ok(value),
            _ => Err(wrong()),
        };
        let list = |(name, value)| {
            let values = match value {
                Value::Array(values) => values,
                one => vec![one],
            };
            Ok((name, values.into_iter().map(text).collect::<Result<_, _>>()?))
        };
        members.into_iter().map(list).collect()
    }

    fn done(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::UnknownParameter,
            "the question has a member that means nothing here; a question has scheme, method, host, path, query, headers, \
             body, body_sha256, url, certificate_sha256, action, resource and context, and what proves the client",
        ))
    }
}

fn scheme(name: Option<&str>) -> Result<Option<Scheme>, Refusal> {
    match name {
        None | Some("auto") => Ok(None),
        Some(name) => Scheme::named(name).map(Some).ok_or_else(|| {
            let names: Vec<_> = Scheme::ALL.iter().map(|scheme| scheme.name()).collect();
            invalid("scheme", &format!("is auto or one of {}", names.join(", ")))
        }),
    }
}

/// An action without a resource would be decided for some resource that nobody named.
fn access(action: Option<String>, resource: Option<String>) -> Result<Option<Wanted>, Refusal> {
    match (action, resource) {
        (None, None) => Ok(None),
        (Some(action), Some(resource)) if !action.is_empty() && !resource.is_empty() => {
            Ok(Some(Wanted { action, resource }))
        }
        (Some(_), Some(_)) => Err(invalid("action", "and resource must not be empty")),
        (Some(_), None) => Err(Refusal::new(
            Reason::MissingParameter,
            "an action is on a resource; send resource as well, * where the action has none",
        )
        .parameter("resource")),
        (None, Some(_)) => {
            let detail = "a resource is for an action; send action as well";
            Err(Refusal::new(Reason::MissingParameter, detail).parameter("action"))
        }
    }
}

fn essence(asked: &Head, members: &mut Document) -> Result<Essence, Refusal> {
    let (method, path) = (members.required("method")?, members.required("path")?);
    let (host, query) = (members.text("host")?, members.text("query")?.unwrap_or_default());
    // A list where a header came several times.
    let headers = members.lists("headers")?;
    let headers = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.as_str(), value.as_str())))
        .collect();
    let body = body(members.text("body")?, members.text("body_sha256")?)?;
    let told = Told { method: &method, host: host.as_deref(), path: &path, query: &query, headers };
    Essence::new(asked, &told, body)
}

/// The body or its hash; both must agree. Neither means that there was none.
fn body(whole: Option<String>, sha256: Option<String>) -> Result<Body, Refusal> {
    let sha256 = sha256.map(|text| {
        let wrong = || invalid("body_sha256", "is 64 lower-case hexadecimal digits");
        crate::tencent::sign::unhex(&text).ok_or_else(wrong)
    });
    let sha256 = sha256.transpose()?;
    let whole = whole.map(|text| STANDARD.decode(text).map_err(|_| invalid("body", "is the body in Base64")));
    match (whole.transpose()?, sha256) {
        (None, None) => Ok(Body::Whole(Bytes::new())),
        (None, Some(sha256)) => Ok(Body::Hash(sha256)),
        (Some(whole), Some(sha256)) if hash(&whole) != sha256 => {
            Err(invalid("body_sha256", "is not the SHA-256 of body"))
        }
        (Some(whole), _) => Ok(Body::Whole(whole.into())),
    }
}
