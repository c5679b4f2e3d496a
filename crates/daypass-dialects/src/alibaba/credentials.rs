//! A URL that Alibaba Cloud's own SDKs fetch a temporary key from, with no code in the application.
//!
//! | shape | who reads it | what it is configured with |
//! |---|---|---|
//! | [`Shape::CredentialsUri`] | alibabacloud-credentials in every language (`type=credentials_uri`, or the environment variable `ALIBABA_CLOUD_CREDENTIALS_URI`), `EcsRamRoleCredentialsProvider` of oss2 | the URL |
//! | [`Shape::OssMobile`] | `OSSAuthCredentialsProvider` of the OSS SDKs for Android and iOS | the URL |
//!
//! They send a plain `GET`: no header, no body, and no query but the URL's own. So a server's SDK can be known by
//! nothing but the network it stands in, and an app's by the cookies of its HTTP library. Apps and pages with a client
//! of their own may show whatever their endpoint takes.
//!
//! Sources: alibabacloud-credentials 1.0.12 for Python (`provider/uri.py`), its Go, Java and Node editions (`uri.go`,
//! `URLCredentialProvider.java`, `uri_credential.ts`), oss2 2.19 (`credentials.py`), aliyun-oss-android-sdk
//! (`OSSAuthCredentialsProvider.java`), aliyun-oss-ios-sdk (`OSSModel.m`).

mod fault;
#[cfg(test)]
mod tests;
mod wire;

use crate::answer;
use crate::visit::{Failure, Vendor, Visited};
use daypass_core::credential::{Credential, Granted};
use daypass_core::endpoint::{DialectName, Shape};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Response;
use daypass_core::triple::TripleKind;
use http::StatusCode;
use std::borrow::Cow;
use wire::{CredentialsUri, Failed, FailedOnMobile, OssMobile};

/// The endpoint at one configured path.
pub type Credentials = Visited<Alibaba>;

/// What Alibaba Cloud's credential providers read.
pub struct Alibaba;

impl Vendor for Alibaba {
    const DIALECT: DialectName = DialectName::AlibabaCredentials;
    const TRIPLE: TripleKind = TripleKind::Alibaba;

    fn issued(shape: Shape, granted: &Granted, _: &str) -> Option<Response> {
        let Credential::Triple(triple) = &granted.credential else { return None };
        match shape {
            Shape::CredentialsUri => Some(answer::json(&CredentialsUri::of(granted, triple))),
            Shape::OssMobile => Some(answer::json(&OssMobile::of(granted, triple))),
            Shape::Tencent | Shape::Cos => None,
        }
    }

    fn fault(reason: Reason) -> (StatusCode, &'static str) {
        fault::credentials(reason)
    }

    fn message(refusal: &Refusal) -> Cow<'static, str> {
        refusal.detail.clone()
    }

    /// Android's `HttpURLConnection` gives no body away that comes with a status of 400 or more: the app's log would
    /// have a `FileNotFoundException` and no reason. iOS looks at `StatusCode` alone. So a refusal is a 200 there.
    ///
    /// The readers of a `credentials_uri` all refuse another status than 200, and most then show the body.
    fn failed(shape: Shape, failure: &Failure<'_>) -> Response {
        match shape {
            Shape::OssMobile => answer::json(&FailedOnMobile::of(failure)),
            Shape::CredentialsUri | Shape::Tencent | Shape::Cos => Self::failed_at_desk(failure),
        }
    }

    fn failed_at_desk(failure: &Failure<'_>) -> Response {
        let mut response = answer::json(&Failed::of(failure));
        *response.status_mut() = failure.status;
        response
    }
}
