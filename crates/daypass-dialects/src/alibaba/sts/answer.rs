//! The answers, apart from the language that they are written in.
//!
//! Source: the vendor's pages of the actions, each with samples in JSON and XML. In JSON they have no root.

use super::arn::role_id;
use super::fault;
use crate::alibaba::document::{Document, Writer};
use daypass_core::clock::rfc3339;
use daypass_core::credential::Granted;
use daypass_core::refusal::{Kind, Refusal};
use daypass_core::triple::Triple;
use std::fmt::Display;
use uuid::Uuid;

/// What stands in `HostId`. The vendor puts the host there; ours is a fixed name, because the only one a request
/// brings is in its Host header, and that is the sender's to choose.
const HOST_ID: &str = "sts.daypass";

/// Our id of a request as the vendor writes its own: a UUID in upper case.
pub(super) fn request_id(id: Uuid) -> impl Display {
    format!("{:X}", id.hyphenated())
}

/// A role was assumed.
pub(super) struct Assumed<'a> {
    /// What was granted.
    pub(super) granted: &'a Granted,
    /// Its id, secret and token.
    pub(super) triple: &'a Triple,
    /// Our id of the request.
    pub(super) request_id: Uuid,
}

impl Document for Assumed<'_> {
    const ROOT: &'static str = "AssumeRoleResponse";

    fn members<W: Writer>(&self, writer: &mut W) {
        let Self { granted, triple, .. } = self;
        let Granted { account, role, .. } = granted;
        let session = granted.session.as_deref().unwrap_or_default();
        writer.text("RequestId", request_id(self.request_id));
        writer.object("AssumedRoleUser", |writer| {
            writer.text("Arn", format_args!("acs:ram::{account}:role/{role}/{session}"));
            writer.text("AssumedRoleId", format_args!("{}:{session}", role_id(granted.tenant, role)));
        });
        writer.object("Credentials", |writer| {
            writer.text("SecurityToken", &triple.token);
            // Whole seconds: the vendor's credentials library and its mobile SDKs read nothing else.
            writer.text("Expiration", rfc3339(granted.expires));
            writer.text("AccessKeySecret", triple.secret.expose_str());
            writer.text("AccessKeyId", &triple.id);
        });
        if let Some(source_identity) = &granted.source_identity {
            writer.text("SourceIdentity", source_identity);
        }
    }
}

/// A role was assumed by an outside provider's subject.
pub(super) struct AssumedWithOidc<'a> {
    /// The rest of the answer.
    pub(super) assumed: Assumed<'a>,
    /// The provider's issuer.
    pub(super) issuer: Option<&'a str>,
}

impl Document for AssumedWithOidc<'_> {
    const ROOT: &'static str = "AssumeRoleWithOIDCResponse";

    // Of the vendor's `OIDCTokenInfo` only what the check of the token has shown; its audiences are not kept.
    fn members<W: Writer>(&self, writer: &mut W) {
        self.assumed.members(writer);
        writer.object("OIDCTokenInfo", |writer| {
            if let Some(subject) = &self.assumed.granted.subject {
                writer.text("Subject", subject);
            }
            if let Some(issuer) = self.issuer {
                writer.text("Issuer", issuer);
            }
        });
    }
}

/// The vendor's error.
pub(super) struct Error<'a> {
    /// Its code.
    pub(super) code: &'a str,
    /// What was refused.
    pub(super) refusal: &'a Refusal,
    /// What the sender of a wrong signature can compare with its own steps.
    pub(super) seen: Option<String>,
    /// Our id of the request.
    pub(super) request_id: Uuid,
}

impl Document for Error<'_> {
    const ROOT: &'static str = "Error";

    fn members<W: Writer>(&self, writer: &mut W) {
        let mut message = fault::message(self.refusal);
        if let Some(seen) = &self.seen {
            message.push_str("; ");
            message.push_str(seen);
        }
        writer.text("RequestId", request_id(self.request_id));
        writer.text("HostId", HOST_ID);
        writer.text("Code", self.code);
        writer.text("Message", message);
        writer.text(
            "Recommend",
            match self.refusal.reason.kind() {
                Kind::Caller => "Change the request as the message says.",
                Kind::Policy => "Ask the operator of this service.",
                Kind::Us => "Send a new request in a moment.",
            },
        );
    }
}
