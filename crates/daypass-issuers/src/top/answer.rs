//! What the gateway's answers say.

use crate::check;
use crate::cloud::{Fetched, Parts, Wanted};
use crate::fault::{Fault, FaultKind};
use crate::reading::{self, Coded, Object};
use daypass_core::clock::Timestamp;
use daypass_core::policy::{Policy, within};
use daypass_dialects::alibaba::wire::{FIELD_ID, POI_ID, TENANT_CODE, parse_top};
use std::collections::BTreeMap;

/// The members of an answer that take the places of a role's fixed ones.
const GIVEN: [&str; 2] = ["end_point_public", "end_point_internal"];

/// The longest of them, in bytes: a name of a host, with a scheme.
const LONGEST: usize = 300;

/// Reads a success.
pub(super) fn read(
    mut document: Object,
    wanted: &Wanted,
    at: Timestamp,
    date: Option<Timestamp>,
) -> Result<Fetched, Fault> {
    let request = reading::request_id(document.text("request_id"));
    let with_id = |fault: Fault| Fault { request: request.clone(), ..fault };
    if document.flag("resp_success") == Some(false) {
        let code = document.integer("resp_code").map(|code| code.to_string());
        return Err(with_id(Fault {
            code,
            ..Fault::new(FaultKind::Refused, "it says that it was no success")
        }));
    }
    let mut result =
        document.object("result").ok_or_else(|| reading::garbage("has no result", request.clone()))?;
    echoes(&mut result, wanted).map_err(with_id)?;
    let parts = parts(&mut result).ok_or_else(|| reading::garbage("has no credential", request.clone()))?;
    let says = result.time("expiration");
    let says = says.ok_or_else(|| reading::garbage("has no time at which it ends", request.clone()))?;
    let policy = policy(&mut result, wanted).map_err(with_id)?;
    let expires = check::expires(wanted, says, at, date).map_err(with_id)?;
    let mut answer = BTreeMap::new();
    for name in GIVEN {
        let value = result.part(name).filter(|value| value.len() <= LONGEST);
        answer.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(Fetched { parts, expires, request, policy: Some(policy), answer })
}

fn parts(result: &mut Object) -> Option<Parts> {
    let id = result.part("access_key_id")?;
    let secret = result.secret("access_key_secret")?;
    Some(Parts::Triple { id, secret, token: result.secret("token")? })
}

/// What was asked for comes back. Attack: a credential for another store, which would be filled with this one's pictures.
fn echoes(result: &mut Object, wanted: &Wanted) -> Result<(), Fault> {
    let product = wanted.product.as_ref();
    let variable = |name: &str| wanted.variables.get(name).map(String::as_str);
    for (name, asked) in [
        ("product_code", product.map(|product| product.product_code.as_str())),
        ("scene_code", product.map(|product| product.scene_code.as_str())),
        (TENANT_CODE, variable(TENANT_CODE)),
        (FIELD_ID, variable(POI_ID)),
    ] {
        // Some gateways write what is all digits as a number.
        let said = result.take(name).filter(|said| !said.is_null());
        let said = said.map(|said| said.as_str().map_or_else(|| said.to_string(), str::to_owned));
        if said.is_some_and(|said| !said.is_empty() && Some(said.as_str()) != asked) {
            return Err(Fault::new(
                FaultKind::Wrong,
                format!("it gave a credential of another {name} than was asked for"),
            ));
        }
    }
    Ok(())
}

/// The policy that the gateway shows. The credential has that one and no other: where it is wider than what was authorized,
/// or cannot be understood, nothing is handed out.
fn policy(result: &mut Object, wanted: &Wanted) -> Result<Policy, Fault> {
    let wrong = |why: &str| Fault::new(FaultKind::Wrong, why.to_owned());
    let shown =
        result.take("policy").ok_or_else(|| wrong("it does not say what the credential may be used for"))?;
    let policy = parse_top(&shown.to_string());
    let policy = policy.map_err(|_| wrong("the policy that it shows cannot be understood"))?;
    match &wanted.policy {
        Some(authorized) if within(&policy, authorized) => Ok(policy),
        _ => Err(wrong("the policy that it shows gives more than was authorized")),
    }
}

/// A refusal.
pub(super) struct Refused {
    number: i64,
    sub_code: String,
    sub_msg: String,
    /// The gateway's id of the request.
    pub(super) request: Option<String>,
}

impl Refused {
    pub(super) fn read(mut error: Object) -> Self {
        Self {
            number: error.integer("code").unwrap_or_default(),
            sub_code: error.text("sub_code").unwrap_or_default(),
            sub_msg: error.text("sub_msg").unwrap_or_default(),
            request: reading::request_id(error.text("request_id")),
        }
    }

    /// What it means. `isv.` is the caller's fault and `isp.` the provider's.
    pub(super) fn coded(&self) -> Coded {
        let kind = match self.number {
            7 => FaultKind::Busy,
            10 => FaultKind::Down,
            24..=29 => FaultKind::KeyRefused,
            30 | 31 => FaultKind::Clock,
            0 => FaultKind::Garbage,
            _ if self.sub_code.starts_with("isp.call-limited") => FaultKind::Busy,
            _ if self.sub_code.starts_with("isp.") => FaultKind::Down,
            _ => FaultKind::Refused,
        };
        let code = match self.sub_code.as_str() {
            "" => self.number.to_string(),
            sub_code => format!("{}/{sub_code}", self.number),
        };
        Coded { kind, code }
    }

    /// For how many seconds nothing more is answered: `This ban will last for 2 more seconds`.
    pub(super) fn ban(&self) -> Option<u32> {
        let (_, rest) = self.sub_msg.split_once("ban will last for ")?;
        rest.split(' ').next()?.parse().ok()
    }
}

/// Whether a refusal with this code is about what was asked, and so about nothing that proves the key.
pub(super) fn is_about_parameters(code: &str) -> bool {
    let number = code.split('/').next().unwrap_or_default();
    matches!(number, "40" | "41" | "43") || (matches!(number, "15" | "50") && code.contains("/isv."))
}
