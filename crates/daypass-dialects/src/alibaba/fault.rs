//! What each refusal becomes at the gateway.
//!
//! Source: Taobao Open Platform, "Error codes" (docId 101618 and its captured answers).

use super::document::{Document, Writer};
use super::parameters::Names;
use super::sign::SignMethod;
use super::wire::{ERROR_ROOT, POI_ID, TENANT_CODE};
use daypass_core::refusal::{Reason, Refusal};
use std::borrow::Cow;

/// An error of the gateway. `isv.` in a sub code means the caller's fault, `isp.` means that asking again may
/// help; SDKs retry on it.
pub(super) struct TopFault {
    code: u16,
    msg: Cow<'static, str>,
    sub_code: Option<Cow<'static, str>>,
    sub_msg: Option<Cow<'static, str>>,
}

/// What the gateway says of a refusal. `signed` is what the signature of the call was over, for whoever gets code
/// 25: names only, never a value, the signature or what it should have been.
pub(super) fn top(refusal: &Refusal, signed: Names, method: SignMethod) -> TopFault {
    let at = refusal.parameter.as_deref().map(wire_name);
    let fault = |code, msg: &'static str| TopFault {
        code,
        msg: msg.into(),
        sub_code: None,
        sub_msg: Some(said(refusal, at)),
    };
    match refusal.reason {
        Reason::TooSlow => fault(3, "Upload fail"),
        Reason::RateLimited => fault(7, "App Call Limited")
            .sub_code("accesscontrol.limited-by-app-api-access-count")
            .sub_msg(format!("This ban will last for {} more seconds", refusal.retry_after.unwrap_or(1))),
        // The same limit, of the whole interface and not of this app.
        Reason::Overloaded => fault(7, "App Call Limited")
            .sub_code("accesscontrol.limited-by-api-access-count")
            .sub_msg(format!("This ban will last for {} more seconds", refusal.retry_after.unwrap_or(1))),
        Reason::MethodNotAllowed => fault(9, "Http action not allowed"),
        Reason::Frozen
        | Reason::Unavailable
        | Reason::IdentityUnavailable
        | Reason::UpstreamUnavailable
        | Reason::UpstreamRefused
        | Reason::Internal => {
            fault(10, "Service currently unavailable").sub_code("isp.service-unavailable")
        }
        // One text for a product that nobody gets and for one that others get.
        Reason::RoleNotGranted
        | Reason::NoRole
        | Reason::NoTrust | Reason::NotYours | Reason::InvalidTarget
        | Reason::ExternalIdMismatch
        | Reason::UnknownResource => {
            fault(11, "Insufficient isv permissions").sub_code("isv.permission-api-package-limit").sub_msg(
                "nothing is handed out to this app for this product_code, scene_code and usage_scene",
            )
        }
        Reason::ClientDisabled | Reason::OriginNotAllowed | Reason::NotFetched => {
            fault(11, "Insufficient isv permissions").sub_code("isv.permission-api-package-limit")
        }
        Reason::UnknownAction => fault(22, "Invalid method"),
        Reason::UnknownFormat => fault(23, "Invalid format"),
        Reason::MissingProof => fault(24, "Missing signature"),
        Reason::WrongSignature | Reason::WrongSecret => {
            fault(25, "Invalid signature").sub_msg(format!(
                "{}; signed by {} are the names and values, in UTF-8 and as they are before URL encoding, of: {signed}",
                refusal.detail,
                method.name()
            ))
        }
        Reason::MalformedProof | Reason::SeveralProofs | Reason::Replayed => fault(25, "Invalid signature"),
        Reason::TokenInvalid
        | Reason::TokenRevoked
        | Reason::UnknownSession | Reason::WrongAudience | Reason::DpopInvalid | Reason::SubjectTokenInvalid
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent => fault(27, "Invalid session"),
        Reason::TokenExpired => fault(27, "Invalid session:session-expired").sub_code("session-expired"),
        Reason::UnknownKey | Reason::UnknownClient | Reason::UnknownTenant | Reason::ExpiredSecret => {
            fault(29, "Invalid app Key").sub_code("isv.appkey-not-exists")
        }
        Reason::ClockSkew => fault(31, "Invalid timestamp"),
        Reason::UnknownVersion => fault(34, "Unsupported version"),
        Reason::MissingParameter => missing(refusal, at),
        Reason::InvalidParameter if at == Some("v") => fault(33, "Invalid version"),
        Reason::InvalidParameter | Reason::UnknownParameter | Reason::DuplicateParameter => match at {
            Some(name) => TopFault { msg: format!("Invalid arguments:{name}").into(), ..fault(41, "") },
            None => fault(43, "Parameter error"),
        },
        Reason::TemporaryNotAllowed => fault(42, "Insufficient session permissions"),
        Reason::TooLarge
        | Reason::UnsupportedMediaType
        | Reason::UnsupportedGrant
        | Reason::MfaUnsupported
        | Reason::InvalidScope => fault(43, "Parameter error"),
        Reason::Malformed => fault(47, "Invalid encoding"),
        Reason::VariableRefused
        | Reason::LifetimeTooLong
        | Reason::PolicyMalformed
        | Reason::PolicyInvalid
        | Reason::PolicyResource
        | Reason::PolicyTooLong
        | Reason::PolicyTooWide
        | Reason::CredentialTooLarge => fault(50, "Remote service error")
            .sub_code("isv.invalid-parameter")
            .sub_msg(format!("非法参数: {}", said(refusal, at))),
        Reason::WeakProofRefused => fault(53, "Insufficient security level"),
    }
}

/// Every common parameter has its own code; the others share one that names them.
fn missing(refusal: &Refusal, at: Option<&str>) -> TopFault {
    let name = at.unwrap_or("param");
    let own = match name {
        "method" => Some((21, "Missing method")),
        "sign" => Some((24, "Missing signature")),
        "session" => Some((26, "Missing session")),
        "app_key" => Some((28, "Missing app key")),
        "timestamp" => Some((30, "Missing timestamp")),
        "v" => Some((32, "Missing version")),
        _ => None,
    };
    let sub_msg = match name {
        // The gateway's own words.
        "method" => "http传入的参数加入method字段".into(),
        _ => refusal.detail.clone(),
    };
    match own {
        Some((code, msg)) => TopFault { code, msg: msg.into(), sub_code: None, sub_msg: Some(sub_msg) },
        None => TopFault {
            code: 40,
            msg: format!("Missing required arguments:{name}").into(),
            sub_code: Some(format!("isv.missing-parameter:{}", name.trim_start_matches("param.")).into()),
            sub_msg: Some(sub_msg),
        },
    }
}

/// The name on the wire of what the core knows as a variable of a role.
fn wire_name(name: &str) -> &str {
    match name {
        TENANT_CODE => "param.op_tenant_code",
        POI_ID => "param.op_poi_id",
        other => other,
    }
}

/// The refusal's sentence, with the parameter it is about.
fn said(refusal: &Refusal, at: Option<&str>) -> Cow<'static, str> {
    match at {
        Some(name) if !refusal.detail.contains(name) => format!("{name}: {}", refusal.detail).into(),
        _ => refusal.detail.clone(),
    }
}

impl TopFault {
    fn sub_code(self, sub_code: &'static str) -> Self {
        Self { sub_code: Some(sub_code.into()), ..self }
    }

    fn sub_msg(self, sub_msg: impl Into<Cow<'static, str>>) -> Self {
        Self { sub_msg: Some(sub_msg.into()), ..self }
    }
}

/// A gateway error with our id of the request.
pub(super) struct TopError<'a> {
    /// The error.
    pub fault: TopFault,
    /// Our id of the request, in the gateway's form.
    pub request_id: &'a str,
}

impl Document for TopError<'_> {
    const ROOT: &'static str = ERROR_ROOT;

    fn members<W: Writer>(&self, writer: &mut W) {
        let TopFault { code, msg, sub_code, sub_msg } = &self.fault;
        writer.literal("code", code);
        writer.text("msg", msg);
        if let Some(sub_code) = sub_code {
            writer.text("sub_code", sub_code);
        }
        if let Some(sub_msg) = sub_msg {
            writer.text("sub_msg", sub_msg);
        }
        writer.text("request_id", self.request_id);
    }
}
