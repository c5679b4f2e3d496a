//! What a caller is told of a decision about it.
//!
//! Everything is named here that is told, so that what a record holds later is not told by accident. It is what the
//! caller said itself, what it got, and what it was told. Never the documents of boundaries, the address it came from as
//! this service sees it, what operators wrote, or what rules do that are only tried.

use daypass_core::asked::{Asked, AskedPolicy, AskedRole};
use daypass_core::clock::rfc3339;
use daypass_core::policy::{Cut, Effect, Policy, Statement};
use daypass_core::record::{Event, Record};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What stands before the id of an answer.
pub const PATH: &str = "/v1/explain/";

/// A decision.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
    /// What an operator finds it by.
    record: Uuid,
    at: String,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Wanted<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<Given<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused<'a>>,
    /// What was done, where it was something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<Did<'a>>,
}

/// What the caller asked for.
#[derive(Serialize)]
struct Wanted<'a> {
    role: &'a AskedRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_roles: Option<&'a [String]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: &'a BTreeMap<String, String>,
    /// Its own policy: `none`, `issued` where that is what it got, `left-out` where the record has no room for it, or the
    /// document.
    policy: &'a AskedPolicy,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    exchange: bool,
}

/// What it got.
#[derive(Serialize)]
struct Given<'a> {
    credential: &'a str,
    expires: String,
    /// Seconds.
    lifetime: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: &'a BTreeMap<String, String>,
    /// The statements of its policy that allow something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allows: Vec<&'a Statement>,
    /// How many statements of it deny something. They come from boundaries too, whose words are the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    denies: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    app_roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut_by: Vec<&'static str>,
}

/// What it was told.
#[derive(Serialize)]
struct Refused<'a> {
    reason: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
}

/// What else it did.
#[derive(Serialize)]
struct Did<'a> {
    action: &'a str,
    object: &'a str,
}

impl<'a> Told<'a> {
    /// What there is to tell of a record of whoever asks.
    pub(super) fn of(record: &'a Record) -> Self {
        let mut told = Self {
            request_id: record.request,
            record: record.id,
            at: rfc3339(record.at),
            decision: "changed",
            dialect: record.dialect.as_deref(),
            client: record.client,
            key: record.key.as_deref(),
            proof: record.proof.as_deref(),
            weak: record.weak.as_deref(),
            via: record.via.as_deref(),
            subject: record.subject.as_deref(),
            session: record.session.as_deref(),
            role: record.role.as_deref(),
            asked: None,
            granted: None,
            refused: None,
            did: None,
        };
        match &record.event {
            Event::Grant { asked, repeat, .. } => {
                told.decision = if *repeat { "granted_again" } else { "granted" };
                told.asked = asked.as_deref().map(Wanted::of);
                told.granted = Given::of(record);
            }
            Event::Refusal { reason, detail, parameter, asked } => {
                told.decision = "refused";
                told.asked = asked.as_deref().map(Wanted::of);
                told.refused = Some(Refused { reason, detail, parameter: parameter.as_deref() });
            }
            Event::Alarm { reason, detail } => {
                told.decision = "refused";
                told.refused = Some(Refused { reason, detail, parameter: None });
            }
            Event::Ticket { ticket, .. } => {
                told.decision = "made_ticket";
                told.did = Some(Did { action: "ticket.make", object: ticket });
            }
            Event::Change { action, object } => told.did = Some(Did { action, object }),
            // These are of no request.
            Event::Warning { .. } | Event::Strangers { .. } => {}
        }
        told
    }
}

impl<'a> Wanted<'a> {
    fn of(asked: &'a Asked) -> Self {
        Self {
            role: &asked.role,
            lifetime: asked.lifetime,
            app_roles: asked.app_roles.as_deref(),
            variables: &asked.variables,
            policy: &asked.policy,
            exchange: asked.exchange,
        }
    }
}

impl<'a> Given<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let Event::Grant {
            credential, expires, policy, app_roles, audience, bound, variables, asked, ..
        } = &record.event
        else {
            return None;
        };
        let statements = |policy: &'a Policy, effect: Effect| {
            policy.statements.iter().filter(move |statement| statement.effect == effect)
        };
        let policy = policy.as_deref();
        Some(Self {
            credential,
            expires: rfc3339(*expires),
            lifetime: expires.as_second().saturating_sub(record.at.as_second()),
            variables,
            allows: policy.map(|policy| statements(policy, Effect::Allow).collect()).unwrap_or_default(),
            denies: policy.map(|policy| statements(policy, Effect::Deny).count()).filter(|count| *count > 0),
            audience: audience.as_deref(),
            app_roles,
            bound_to: bound.as_deref(),
            cut_by: asked.iter().flat_map(|asked| &asked.cut).copied().map(Cut::name).collect(),
        })
    }
}

/// A question that has no such answer.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    pub(super) error: &'static str,
    pub(super) error_description: &'a str,
    pub(super) request_id: Uuid,
}
