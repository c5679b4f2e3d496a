//! What an API is told.

use super::scheme::Scheme;
use daypass_core::caller::Confirmation;
use daypass_core::clock::Timestamp;
use daypass_core::refusal::Refusal;
use daypass_core::verification::{Judgement, Recognized};
use serde::Serialize;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The path of the question.
pub const PATH: &str = "/v1/verify";

/// Who sent the request.
#[derive(Serialize)]
pub(super) struct Sender<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    covers: &'static [&'static str],
    kind: &'static str,
    tenant: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Uuid>,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    /// Seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decided<'a>>,
}

#[derive(Serialize)]
struct Decided<'a> {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<usize>,
    why: &'static str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    judged: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    not_judged: &'a BTreeSet<String>,
}

impl<'a> From<&'a Judgement> for Decided<'a> {
    fn from(judgement: &'a Judgement) -> Self {
        let Judgement { statement, why, judged, unjudged } = judgement;
        Self {
            allowed: judgement.allowed(),
            statement: *statement,
            why: why.name(),
            judged,
            not_judged: unjudged,
        }
    }
}

/// What a token is bound to, in words for those who know neither RFC.
fn bound(confirmation: &Confirmation) -> &'static str {
    match confirmation {
        Confirmation::Certificate(_) => "certificate",
        Confirmation::Key(_) => "key",
    }
}

impl<'a> Sender<'a> {
    pub(super) fn new(found: &'a Recognized, scheme: Option<Scheme>) -> Self {
        Self {
            valid: true,
            scheme: scheme.map(Scheme::name),
            covers: scheme.map(|scheme| scheme.covers(found.weak, found.bound.as_ref())).unwrap_or_default(),
            kind: found.kind.name(),
            tenant: &found.tenant,
            account: &found.account,
            client: found.client,
            key: &found.key,
            role: found.role.as_deref(),
            session: found.session.as_deref(),
            subject: found.subject.as_deref(),
            roles: &found.app_roles,
            expires: found.expires.map(Timestamp::as_second),
            weak: found.weak,
            bound: found.bound.as_ref().map(bound),
            decision: found.decision.as_ref().map(Decided::from),
        }
    }
}

/// Why nobody can be said to have sent it.
#[derive(Serialize)]
pub(super) struct Nobody<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    reason: &'static str,
    detail: &'a str,
}

impl<'a> Nobody<'a> {
    pub(super) fn new(refusal: &'a Refusal, scheme: Option<Scheme>) -> Self {
        Self {
            valid: false,
            scheme: scheme.map(Scheme::name),
            reason: refusal.reason.label(),
            detail: &refusal.detail,
        }
    }
}

/// A question that is not answered.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    pub(super) error: &'static str,
    pub(super) error_description: &'a str,
    pub(super) request_id: Uuid,
}
