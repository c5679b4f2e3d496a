//! Names and shapes on the wire.
//!
//! Source: the vendor's API reference for STS 2018-08-13, its SDKs, and the SOE page that describes
//! `getAuthorization`.

use daypass_core::clock::{rfc3339, unix};
use daypass_core::credential::{Credential, Granted};
use serde::Serialize;

pub use super::policy::render as render_policy;

pub(super) use crate::answer::json as answer;
pub(super) use crate::text::{form_decode, shown};

/// The one version of STS.
pub const VERSION: &str = "2018-08-13";

/// The content type of every answer. Exactly so: the Python SDK compares with `==`, and given a charset it takes
/// every refusal for a success whose fields are all null.
pub const JSON: &str = "application/json";

/// The content type of a body whose parameters are signed the older way.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Header names of API 3.0, lower-case.
pub mod header {
    /// The host as the client wrote it.
    pub const HOST: &str = "host";
    /// The type of the body; signed, so present on a GET as well.
    pub const CONTENT_TYPE: &str = "content-type";
    /// The proof.
    pub const AUTHORIZATION: &str = "authorization";
    /// The action; not signed by any official SDK.
    pub const ACTION: &str = "x-tc-action";
    /// The API version.
    pub const VERSION: &str = "x-tc-version";
    /// Unix seconds; part of the string to sign.
    pub const TIMESTAMP: &str = "x-tc-timestamp";
    /// The region.
    pub const REGION: &str = "x-tc-region";
    /// The token of a temporary key; not signed.
    pub const TOKEN: &str = "x-tc-token";
    /// [`crate::tencent::sign::UNSIGNED_PAYLOAD`], or a hash that means nothing.
    pub const CONTENT_SHA256: &str = "x-tc-content-sha256";
    /// An id of the request that its sender has made up; every SDK sends one.
    pub const TRACE_ID: &str = "x-tc-traceid";
}

/// Names of the common parameters, which the older signature sends beside the action's own.
pub mod parameter {
    /// The action.
    pub const ACTION: &str = "Action";
    /// The API version.
    pub const VERSION: &str = "Version";
    /// The region; STS ignores it.
    pub const REGION: &str = "Region";
    /// Unix seconds.
    pub const TIMESTAMP: &str = "Timestamp";
    /// A number that makes two requests of one second differ.
    pub const NONCE: &str = "Nonce";
    /// The id of the key.
    pub const SECRET_ID: &str = "SecretId";
    /// One of [`crate::tencent::sign::v1::Algorithm`]; `HmacSHA1` where it is left out.
    pub const SIGNATURE_METHOD: &str = "SignatureMethod";
    /// The proof.
    pub const SIGNATURE: &str = "Signature";
    /// The token of a temporary key.
    pub const TOKEN: &str = "Token";
    /// The language of messages; ours are English.
    pub const LANGUAGE: &str = "Language";
    /// The name and version of the SDK.
    pub const REQUEST_CLIENT: &str = "RequestClient";

    /// All of them.
    pub const ALL: [&str; 11] = [
        ACTION,
        VERSION,
        REGION,
        TIMESTAMP,
        NONCE,
        SECRET_ID,
        SIGNATURE_METHOD,
        SIGNATURE,
        TOKEN,
        LANGUAGE,
        REQUEST_CLIENT,
    ];
}

/// What a request asks for: the seven actions of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A part of the caller's own rights for someone else.
    GetFederationToken,
    /// A role.
    AssumeRole,
    /// A role, for the subject of an outside OpenID provider.
    AssumeRoleWithWebIdentity,
    /// A role, for the subject of a SAML provider. Not offered.
    AssumeRoleWithSaml,
    /// A key of one's own for a while, for a code of an MFA device. Not offered.
    GetSessionToken,
    /// Who am I?
    GetCallerIdentity,
    /// The keys of an account. Not offered.
    QueryApiKey,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::GetFederationToken,
        Self::AssumeRole,
        Self::AssumeRoleWithWebIdentity,
        Self::AssumeRoleWithSaml,
        Self::GetSessionToken,
        Self::GetCallerIdentity,
        Self::QueryApiKey,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetFederationToken => "GetFederationToken",
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::AssumeRoleWithSaml => "AssumeRoleWithSAML",
            Self::GetSessionToken => "GetSessionToken",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::QueryApiKey => "QueryApiKey",
        }
    }

    /// The action of this name, spelt exactly so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// `{"Response": …}` of the STS API.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Enveloped<T> {
    /// What the SDKs index without a guard.
    pub response: T,
}

/// An answer with a credential: the same members in both dialects, inside and outside the envelope.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Issued<'a> {
    /// The credential itself.
    pub credentials: Credentials<'a>,
    /// UTC to the second with `Z`; the Go SDK's provider parses nothing else.
    pub expiration: String,
    /// The same instant in Unix seconds, a number of ten digits; the COS browser SDK insists on them.
    pub expired_time: i64,
    /// Our id of the request.
    pub request_id: &'a str,
}

/// A temporary key.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credentials<'a> {
    /// At most 4096 bytes.
    pub token: &'a str,
    /// Holds neither `/` nor `,`, because it is cut out of `Credential=`.
    pub tmp_secret_id: &'a str,
    /// What the holder signs with.
    pub tmp_secret_key: &'a str,
}

impl<'a> Issued<'a> {
    /// What was granted, in this shape; nothing where it is not a triple.
    pub fn of(granted: &'a Granted, request_id: &'a str) -> Option<Self> {
        let Credential::Triple(triple) = &granted.credential else { return None };
        Some(Self {
            credentials: Credentials {
                token: &triple.token,
                tmp_secret_id: &triple.id,
                tmp_secret_key: triple.secret.expose_str(),
            },
            expiration: rfc3339(granted.expires),
            expired_time: unix(granted.expires),
            request_id,
        })
    }
}

/// Who the caller is. Every member is text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallerIdentity<'a> {
    /// The caller in the vendor's notation.
    pub arn: String,
    /// The uin of the root account.
    pub account_id: &'a str,
    /// A uin, or a uin and a name.
    pub user_id: String,
    /// The uin of the account that the key belongs to.
    pub principal_id: String,
    /// What kind of identity.
    pub r#type: &'static str,
    /// Our id of the request.
    pub request_id: &'a str,
}

/// An answer without what was asked for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Failed<'a> {
    /// Why.
    pub error: Fault<'a>,
    /// Our id of the request.
    pub request_id: &'a str,
}

/// The vendor's error object.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Fault<'a> {
    /// One of the vendor's codes.
    pub code: &'a str,
    /// A sentence for people.
    pub message: &'a str,
}

/// A content type without its parameters.
pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_vendors_document() {
        let failed = Failed { error: Fault { code: "a\"", message: "b\n" }, request_id: "r" };
        assert_eq!(
            answer(&failed).body().as_ref(),
            br#"{"Error":{"Code":"a\"","Message":"b\n"},"RequestId":"r"}"#
        );
    }
}
