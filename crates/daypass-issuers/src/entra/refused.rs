//! What Entra's refusals mean.

use crate::fault::{Fault, FaultKind};
use crate::reading::{Coded, Object};

/// A refusal: `error`, and the first of the `error_codes` where there is one, which says more.
pub(super) fn coded(document: &mut Object) -> Option<Coded> {
    let error = document.text("error")?;
    let number = document.take("error_codes").and_then(|codes| codes.get(0)?.as_u64());
    let kind = match (number, error.as_str()) {
        // The assertion's times are not within the authority's.
        (Some(700_024), _) => FaultKind::Clock,
        // Requests are throttled; the application asks in a loop.
        (Some(50_196 | 90_055), _) | (_, "temporarily_unavailable" | "slow_down") => FaultKind::Busy,
        (_, "invalid_client" | "unauthorized_client") => FaultKind::KeyRefused,
        (_, "server_error") => FaultKind::Down,
        _ => FaultKind::Refused,
    };
    let code = number.map_or_else(|| error.clone(), |number| format!("AADSTS{number}/{error}"));
    Some(Coded { kind, code })
}

/// Whether a refusal is about the scope, and so about nothing that proves the client.
pub(super) fn is_of_scope(fault: &Fault) -> bool {
    let error = fault.code.as_deref().and_then(|code| code.rsplit('/').next());
    fault.kind == FaultKind::Refused
        && matches!(error, Some("invalid_scope" | "invalid_resource" | "invalid_target"))
}
