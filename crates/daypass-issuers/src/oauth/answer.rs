//! What the answers of token endpoints say.

use crate::check;
use crate::cloud::{Fetched, Parts, Wanted};
use crate::fault::{Fault, FaultKind};
use crate::reading::{self, Coded, Object};
use daypass_core::clock::{Timestamp, after};
use daypass_core::dialect::Form;
use daypass_core::upstream::Capabilities;
use std::collections::BTreeMap;

/// A refusal: `error` of RFC 6749 section 5.2, or an `errcode` other than 0.
pub(crate) fn refusal(document: &mut Object) -> Option<Coded> {
    if let Some(code) = document.text("error") {
        let kind = match code.as_str() {
            "invalid_client" | "unauthorized_client" => FaultKind::KeyRefused,
            "temporarily_unavailable" | "slow_down" => FaultKind::Busy,
            "server_error" => FaultKind::Down,
            _ => FaultKind::Refused,
        };
        return Some(Coded { kind, code });
    }
    let number = document.integer("errcode").filter(|number| *number != 0)?;
    let kind = match number {
        // Secret wrong or not the latest; no such app; secret frozen or reset; app frozen.
        40_001 | 40_013 | 40_125 | 40_243 | 50_004 | 50_007 => FaultKind::KeyRefused,
        // The system is busy; a quota a day or a minute is used up.
        -1 | 45_009 | 45_011 => FaultKind::Busy,
        _ => FaultKind::Refused,
    };
    Some(Coded { kind, code: number.to_string() })
}

/// Reads a success. `expires_in` is a number of seconds, which some write as a text; it counts from the moment of asking,
/// so that the time that the answer took is on the safe side.
pub(crate) fn token(
    mut document: Object,
    wanted: &Wanted,
    at: Timestamp,
    date: Option<Timestamp>,
) -> Result<Fetched, Fault> {
    let garbage = |what| reading::garbage(what, None);
    // Where the type is said it must be the one that our askers are told.
    if document.text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Fault::new(FaultKind::Wrong, "it gave a token of another type than Bearer"));
    }
    let token = document.secret("access_token").ok_or_else(|| garbage("has no token"))?;
    let seconds =
        document.integer("expires_in").ok_or_else(|| garbage("does not say when the token ends"))?;
    let seconds = u32::try_from(seconds.max(0)).map_err(|_| garbage("has a lifetime that is none"))?;
    let expires = check::expires(wanted, after(at, seconds), at, date)?;
    Ok(Fetched { parts: Parts::Bearer(token), expires, request: None, policy: None, answer: BTreeMap::new() })
}

/// What a canary wants: any token, which nobody gets.
pub(crate) fn any_token() -> Wanted {
    let capabilities = Capabilities {
        triple: None,
        narrows: false,
        revokes: false,
        renews: false,
        asks_lifetime: false,
        min_lifetime: 1,
        max_lifetime: u32::MAX,
        policy_bytes: None,
    };
    Wanted {
        form: Form::Bearer,
        assume: None,
        session: String::new(),
        policy: None,
        document: None,
        lifetime: u32::MAX,
        variables: BTreeMap::new(),
        tags: BTreeMap::new(),
        source_identity: None,
        product: None,
        scope: None,
        capabilities,
    }
}
