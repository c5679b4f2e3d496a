//! The answer to the question what a token is (RFC 7662 §2.2).

use daypass_core::caller::Confirmation;
use daypass_core::clock::unix;
use daypass_core::inspect::Inspection;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// The whole of what is said of a token that does not count, or that is none of the asker's business: nothing tells the
/// two apart, nor either from a text that never was a token.
#[derive(Serialize)]
pub(super) struct Inactive {
    active: bool,
}

impl Inactive {
    /// The only one.
    pub(super) const ANSWER: Self = Self { active: false };
}

/// What is said of a token that counts, in the RFC's names whatever set of claims the token has. There is no `username`:
/// nobody is signed in.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    active: bool,
    /// The app roles as RFC 7662 has them: one text, in the form of RFC 6749 §3.3.
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    /// The app roles as the token has them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    client_id: Uuid,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    #[serde(flatten)]
    signed: Signed<'a>,
    jti: Uuid,
}

/// What is repeated as it was signed, where it was.
#[derive(Serialize)]
struct Signed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idtyp: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Value>,
}

impl<'a> Told<'a> {
    /// What a token says.
    pub(super) fn of(inspection: &'a Inspection) -> Self {
        let Inspection { token, claims } = inspection;
        let claim = |name| claims.get(name);
        Self {
            active: true,
            scope: token.app_roles.join(" "),
            roles: &token.app_roles,
            client_id: token.client,
            token_type: match token.confirmation {
                // RFC 9449 §6.2: a resource server must ask for a proof with it.
                Some(Confirmation::Key(_)) => "DPoP",
                Some(Confirmation::Certificate(_)) | None => "Bearer",
            },
            exp: unix(token.expires),
            iat: unix(token.issued),
            signed: Signed {
                nbf: claim("nbf"),
                sub: claim("sub"),
                aud: claim("aud"),
                iss: claim("iss"),
                tid: claim("tid"),
                idtyp: claim("idtyp"),
                cnf: claim("cnf"),
                act: claim("act"),
            },
            jti: token.id,
        }
    }
}
