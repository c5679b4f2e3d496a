//! `GET /getAuthorization`: where a page of the SOE or COS browser SDK fetches its temporary key.
//!
//! The page's own code calls it (the vendor's sample uses axios) and hands some members of the answer to the SDK. An HTTP
//! library in a page rejects on the status alone, so refusals have real statuses here, unlike in the STS API.

#[cfg(test)]
mod tests;
mod wire;

use super::fault;
use super::wire::{Failed, Fault, Issued, answer};
use crate::visit::{Failure, Vendor, Visited};
use daypass_core::credential::Granted;
use daypass_core::endpoint::{DialectName, Shape};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Response;
use daypass_core::triple::TripleKind;
use http::StatusCode;
use std::borrow::Cow;
use wire::CosIssued;

/// The endpoint at one configured path.
pub type GetAuthorization = Visited<Tencent>;

/// What Tencent Cloud's browser SDKs read.
pub struct Tencent;

impl Vendor for Tencent {
    const DIALECT: DialectName = DialectName::TencentGetAuthorization;
    const TRIPLE: TripleKind = TripleKind::Tencent;

    fn issued(shape: Shape, granted: &Granted, request_id: &str) -> Option<Response> {
        match shape {
            Shape::Tencent => Some(answer(&Issued::of(granted, request_id)?)),
            Shape::Cos => Some(answer(&CosIssued::of(granted, request_id)?)),
            Shape::CredentialsUri | Shape::OssMobile => None,
        }
    }

    fn fault(reason: Reason) -> (StatusCode, &'static str) {
        fault::get_authorization(reason)
    }

    fn message(refusal: &Refusal) -> Cow<'static, str> {
        fault::message(refusal).into()
    }

    fn failed(_: Shape, failure: &Failure<'_>) -> Response {
        Self::failed_at_desk(failure)
    }

    fn failed_at_desk(failure: &Failure<'_>) -> Response {
        let Failure { status, code, message, request_id } = *failure;
        let mut response = answer(&Failed { error: Fault { code, message }, request_id });
        *response.status_mut() = status;
        response
    }
}
