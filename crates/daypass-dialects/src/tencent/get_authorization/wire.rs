//! Shapes of answers that no action of the STS API has.

use daypass_core::clock::{rfc3339, unix};
use daypass_core::credential::{Credential, Granted};
use serde::Serialize;

/// A credential as the vendor's COS helpers (`qcloud-cos-sts` for Node, `qcloud-python-sts`) give it to pages, which
/// rename its members for `cos-js-sdk-v5`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CosIssued<'a> {
    credentials: CosCredentials<'a>,
    /// When it was issued, in Unix seconds: the SDK corrects the page's clock by it.
    start_time: i64,
    /// When it runs out, in Unix seconds: a number of ten digits, the SDK insists on them.
    expired_time: i64,
    expiration: String,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CosCredentials<'a> {
    tmp_secret_id: &'a str,
    tmp_secret_key: &'a str,
    session_token: &'a str,
}

impl<'a> CosIssued<'a> {
    /// What was granted, in this shape; nothing where it is not a triple.
    pub(super) fn of(granted: &'a Granted, request_id: &'a str) -> Option<Self> {
        let Credential::Triple(triple) = &granted.credential else { return None };
        Some(Self {
            credentials: CosCredentials {
                tmp_secret_id: &triple.id,
                tmp_secret_key: triple.secret.expose_str(),
                session_token: &triple.token,
            },
            start_time: unix(granted.issued),
            expired_time: unix(granted.expires),
            expiration: rfc3339(granted.expires),
            request_id,
        })
    }
}
