//! Token exchange (RFC 8693): what is asked for. Only our own access tokens are taken.
//!
//! | `requested_token_type` | target | what is given |
//! |---|---|---|
//! | none, `…:access_token`, `…:jwt` | `scope={resource}/.default` or `scope={resource}/{role} …`; or `resource` or `audience`, with or without roles in `scope` | an access token |
//! | `urn:daypass:params:oauth:token-type:tencent`, `…:alibaba` | `audience=role:{name}`, or `audience=role:{name}?{variable}={value}&…` | a temporary key of that vendor's form |

mod answer;
mod target;

pub(super) use answer::Answer;

use super::form::Form;
use super::missing;
use daypass_core::dialect::{Issue, Shown};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::triple::TripleKind;

/// The grant type of an exchange (RFC 8693 §2.1).
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const TENCENT: &str = "urn:daypass:params:oauth:token-type:tencent";
const ALIBABA: &str = "urn:daypass:params:oauth:token-type:alibaba";

/// What kind of credential is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An access token.
    AccessToken,
    /// An access token, called by its format. All of ours are JWTs.
    Jwt,
    /// A temporary key in a vendor's form.
    Triple(TripleKind),
}

impl Wanted {
    const ALL: [Self; 4] =
        [Self::AccessToken, Self::Jwt, Self::Triple(TripleKind::Tencent), Self::Triple(TripleKind::Alibaba)];

    /// Its identifier (RFC 8693 §3).
    fn identifier(self) -> &'static str {
        match self {
            Self::AccessToken => ACCESS_TOKEN,
            Self::Jwt => JWT,
            Self::Triple(TripleKind::Tencent) => TENCENT,
            Self::Triple(TripleKind::Alibaba) => ALIBABA,
        }
    }

    fn read(identifier: Option<&str>) -> Result<Self, Refusal> {
        let Some(identifier) = identifier else { return Ok(Self::AccessToken) };
        Self::ALL.into_iter().find(|wanted| wanted.identifier() == identifier).ok_or_else(|| {
            let known = Self::ALL.map(Self::identifier).join(", ");
            let detail = format!("the requested_token_type is none that is given here; there are {known}");
            Refusal::new(Reason::InvalidParameter, detail).parameter("requested_token_type")
        })
    }
}

/// What an exchange is about.
pub(super) struct Parameters {
    /// The token that is shown.
    pub(super) subject: Shown,
    /// What kind of credential is wanted.
    pub(super) wanted: Wanted,
    scope: Option<String>,
    audience: Option<String>,
    resource: Option<String>,
}

impl Parameters {
    /// Takes them out of a form.
    pub(super) fn read(form: &mut Form) -> Result<Self, Refusal> {
        let subject = form.subject_token.take().map(Shown::new).ok_or_else(|| missing("subject_token"))?;
        match form.subject_token_type.as_deref() {
            Some(ACCESS_TOKEN | JWT) => {}
            Some(_) => {
                let detail = format!(
                    "the subject_token_type is {ACCESS_TOKEN} or {JWT}; only access tokens of this service are exchanged"
                );
                return Err(Refusal::new(Reason::InvalidParameter, detail).parameter("subject_token_type"));
            }
            None => return Err(missing("subject_token_type")),
        }
        if form.actor_token {
            let detail =
                "an actor_token is not taken; who acts is the client that this request authenticates";
            return Err(Refusal::new(Reason::InvalidParameter, detail).parameter("actor_token"));
        }
        Ok(Self {
            subject,
            wanted: Wanted::read(form.requested_token_type.as_deref())?,
            scope: form.scope.take(),
            audience: form.audience.take(),
            resource: form.resource.take(),
        })
    }

    /// What is asked for.
    pub(super) fn issue(&self) -> Result<Issue, Refusal> {
        match self.wanted {
            Wanted::AccessToken | Wanted::Jwt => {
                let (scope, audience) = (self.scope.as_deref(), self.audience.as_deref());
                target::access_token(scope, audience, self.resource.as_deref())
            }
            Wanted::Triple(kind) => {
                if self.scope.is_some() || self.resource.is_some() {
                    return Err(target::not_a_role());
                }
                target::temporary_key(kind, self.audience.as_deref().ok_or_else(|| missing("audience"))?)
            }
        }
    }
}
