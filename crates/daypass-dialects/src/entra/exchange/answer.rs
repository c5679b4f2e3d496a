//! What an exchange is answered with (RFC 8693 §2.2.1).

use super::Wanted;
use daypass_core::clock::rfc3339;
use daypass_core::credential::{Credential, Exchanged, Granted};
use daypass_core::triple::{Triple, TripleKind};
use serde::Serialize;

/// The answer with a credential.
#[derive(Serialize)]
pub(in crate::entra) struct Answer<'a> {
    access_token: &'a str,
    issued_token_type: &'static str,
    token_type: &'static str,
    expires_in: i64,
    /// What was given. The standard wants it where that is not what was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    /// A temporary key in its vendor's words, because its token alone is good for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Credentials<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Credentials<'a> {
    #[serde(rename_all = "PascalCase")]
    Tencent { tmp_secret_id: &'a str, tmp_secret_key: &'a str, token: &'a str },
    #[serde(rename_all = "PascalCase")]
    Alibaba { access_key_id: &'a str, access_key_secret: &'a str, security_token: &'a str },
}

impl<'a> Answer<'a> {
    /// The answer to who wanted this; `token_type` and `expires_in` are those of an access token.
    pub(in crate::entra) fn of(
        wanted: Wanted,
        granted: &'a Granted,
        token_type: &'static str,
        expires_in: i64,
    ) -> Self {
        let scope = granted.exchanged.as_ref().map(scope).unwrap_or_default();
        let issued_token_type = wanted.identifier();
        match &granted.credential {
            Credential::Bearer(bearer) => Self {
                access_token: bearer.token.expose_str(),
                issued_token_type,
                token_type,
                expires_in,
                scope,
                credentials: None,
                expiration: None,
            },
            Credential::Triple(triple) => Self {
                access_token: &triple.token,
                issued_token_type,
                // Not an access token, and of no use as one (RFC 8693 §2.2.1).
                token_type: "N_A",
                expires_in,
                scope: String::new(),
                credentials: Some(Credentials::of(triple)),
                expiration: Some(rfc3339(granted.expires)),
            },
        }
    }
}

impl<'a> Credentials<'a> {
    fn of(triple: &'a Triple) -> Self {
        let (id, secret, token) = (triple.id.as_str(), triple.secret.expose_str(), triple.token.as_str());
        match triple.kind {
            TripleKind::Tencent => Self::Tencent { tmp_secret_id: id, tmp_secret_key: secret, token },
            TripleKind::Alibaba => {
                Self::Alibaba { access_key_id: id, access_key_secret: secret, security_token: token }
            }
        }
    }
}

/// The roles as they are asked for. A resource whose tokens carry none is asked for by `.default`.
fn scope(exchanged: &Exchanged) -> String {
    let Some(resource) = &exchanged.resource else { return String::new() };
    if exchanged.app_roles.is_empty() {
        return format!("{resource}/.default");
    }
    let words: Vec<_> = exchanged.app_roles.iter().map(|role| format!("{resource}/{role}")).collect();
    words.join(" ")
}
