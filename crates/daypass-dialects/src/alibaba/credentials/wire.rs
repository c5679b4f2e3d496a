//! Shapes of answers.

use crate::visit::Failure;
use daypass_core::clock::rfc3339;
use daypass_core::credential::Granted;
use daypass_core::triple::Triple;
use serde::Serialize;

/// A credential as the ECS metadata service gives it. All members are texts.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CredentialsUri<'a> {
    /// `Success`, or it is none.
    code: &'static str,
    access_key_id: &'a str,
    access_key_secret: &'a str,
    security_token: &'a str,
    /// UTC to the second with `Z`: Python's and Go's readers parse nothing else.
    expiration: String,
    /// When it was made, in the same form. From the two, oss2 computes when to ask again; without this one it takes
    /// every life for six hours, and asks before each of its requests in the last 54 minutes, which may be all.
    last_updated: String,
}

impl<'a> CredentialsUri<'a> {
    pub(super) fn of(granted: &Granted, triple: &'a Triple) -> Self {
        Self {
            code: "Success",
            access_key_id: &triple.id,
            access_key_secret: triple.secret.expose_str(),
            security_token: &triple.token,
            expiration: rfc3339(granted.expires),
            last_updated: rfc3339(granted.issued),
        }
    }
}

/// A credential as the vendor's sample of an app server gives it to the OSS SDKs for Android and iOS.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OssMobile<'a> {
    /// 200, or it is none.
    status_code: u16,
    access_key_id: &'a str,
    access_key_secret: &'a str,
    security_token: &'a str,
    /// UTC to the second with `Z`: with a fraction, iOS finds no date in it and asks before every request.
    expiration: String,
}

impl<'a> OssMobile<'a> {
    pub(super) fn of(granted: &Granted, triple: &'a Triple) -> Self {
        Self {
            status_code: 200,
            access_key_id: &triple.id,
            access_key_secret: triple.secret.expose_str(),
            security_token: &triple.token,
            expiration: rfc3339(granted.expires),
        }
    }
}

/// A refusal for the readers of [`CredentialsUri`].
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failed<'a> {
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
}

impl<'a> Failed<'a> {
    pub(super) fn of(failure: &Failure<'a>) -> Self {
        Self { code: failure.code, message: failure.message, request_id: failure.request_id }
    }
}

/// A refusal for the readers of [`OssMobile`].
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FailedOnMobile<'a> {
    /// What HTTP would have called it.
    status_code: u16,
    error_code: &'a str,
    error_message: &'a str,
    request_id: &'a str,
}

impl<'a> FailedOnMobile<'a> {
    pub(super) fn of(failure: &Failure<'a>) -> Self {
        Self {
            status_code: failure.status.as_u16(),
            error_code: failure.code,
            error_message: failure.message,
            request_id: failure.request_id,
        }
    }
}
