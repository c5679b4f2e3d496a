//! CAM 2.0, Tencent Cloud's policy language, to and from the core's [`Policy`].
//!
//! What the model cannot hold is refused, never dropped: a member, an operator or a principal that is skipped
//! would give away more, or less, than its author wrote. What can be written in several ways is kept in one, so
//! that what a role gives and what a request asks for are compared as they are meant:
//!
//! | written | kept as | why they are the same |
//! |---|---|---|
//! | `name/cos:PutObject` | `cos:PutObject` | the prefix means nothing |
//! | `*:*`, `name/*` | `*` | every action has a service and a name |
//! | `qcs::cos::uid/1:…` | `qcs::cos:*:uid/1:…` | without a region, all regions are meant |
//! | `…:prefix//1250000000/pics/a/*` | `…:pics-1250000000/a/*` | the older and the newer name of a bucket |
//! | `qcs::cvm:*::…` | `qcs::cvm:*:uin/<own>:…` | without an account, the policy's owner ([`with_account`]) |
//!
//! `*` is the one wildcard of the language, and of the core's patterns; `?` stands for itself in both.
//!
//! Role templates and boundaries of the configuration are read by [`parse`], where a text may hold `{variable}`;
//! the policies of requests by [`asked`], where a brace is a brace.
//!
//! Source: the vendor's pages on the syntax of CAM policies and on condition operators, with what its own
//! samples and helpers really write.

mod account;
mod condition;
mod evaluate;
mod render;
mod resource;

pub use account::{asked, refuse_foreign, with_account};
pub use evaluate::allows;
pub(crate) use evaluate::holds;
pub use render::{Unwritable, render};

use super::wire::{form_decode, shown};
use daypass_core::json;
use daypass_core::limits;
use daypass_core::policy::{Effect, Language, Pattern, Policy, Statement};
use daypass_core::refusal::{Reason, Refusal};
use serde_json::{Map, Value};

/// The only version of the language.
const VERSION: &str = "2.0";

/// Why a document is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPolicy {
    /// One of the policy reasons of the closed list.
    pub reason: Reason,
    /// Which statement (from 1), what in it, and what was expected; safe to show to the author of the document,
    /// of whose text it holds a bounded part.
    pub detail: String,
}

impl BadPolicy {
    fn invalid(detail: impl Into<String>) -> Self {
        Self { reason: Reason::PolicyInvalid, detail: detail.into() }
    }

    fn malformed(detail: impl Into<String>) -> Self {
        Self { reason: Reason::PolicyMalformed, detail: detail.into() }
    }

    fn at(mut self, statement: usize) -> Self {
        self.detail = format!("statement {}: {}", statement + 1, self.detail);
        self
    }
}

impl std::fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for BadPolicy {}

impl From<BadPolicy> for Refusal {
    fn from(bad: BadPolicy) -> Self {
        Self::new(bad.reason, bad.detail).parameter("Policy")
    }
}

/// Whose document it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    /// The operator: a text with a brace holds a variable, and is judged when it has its value.
    Operator,
    /// Someone who asks.
    ///
    /// Attack: were a brace a variable here as well, `{` would get a value past the check that an operator can
    /// match it, and make a denial without effect.
    Caller,
}

impl Author {
    /// Whether this text waits for the value of a variable.
    fn leaves_open(self, text: &str) -> bool {
        self == Self::Operator && text.contains('{')
    }
}

/// Reads the `Policy` parameter of a request, which clients send as it is, percent-encoded or form-encoded.
/// [`asked`] also knows whose resources it may name.
///
/// Attack: a text that is JSON already is not decoded, although the vendor always does. `%2A` inside a resource
/// would turn into `*` and widen the policy after its author, or a proxy, had looked at it.
pub fn parse_sent(text: &str) -> Result<Policy, BadPolicy> {
    let text = text.trim();
    if text.starts_with('{') {
        return read(text, Author::Caller);
    }
    let decoded = form_decode(text).ok_or_else(|| {
        BadPolicy::malformed(format!(
            "the policy is no JSON object and no encoded one; it is `{}`",
            shown(text)
        ))
    })?;
    if decoded.trim_start().starts_with("%7") {
        return Err(BadPolicy::malformed(
            "the policy is encoded twice over what the request itself needs; encode it once, or not at all",
        ));
    }
    read(&decoded, Author::Caller)
}

/// Reads a document of the operator.
pub fn parse(text: &str) -> Result<Policy, BadPolicy> {
    read(text, Author::Operator)
}

fn read(text: &str, author: Author) -> Result<Policy, BadPolicy> {
    check_length(text)?;
    let document = json::parse(text.as_bytes())
        .map_err(|fault| BadPolicy::malformed(format!("the policy is not taken: {fault}")))?;
    let Value::Object(members) = document else {
        let found = found(Some(&document));
        return Err(BadPolicy::invalid(format!("the policy must be one JSON object; {found}")));
    };
    check_members(&members, &["version", "statement"])?;
    let version = members.get("version");
    if version.and_then(Value::as_str) != Some(VERSION) {
        let found = found(version);
        return Err(BadPolicy::invalid(format!("version must be the text `{VERSION}`; {found}")));
    }
    let statements = match members.get("statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        other => {
            let found = found(other);
            return Err(BadPolicy::invalid(format!(
                "statement must be an object, or a list of at least one; {found}"
            )));
        }
    };
    let read = |(n, one)| statement(one, author).map_err(|bad| bad.at(n));
    let statements = statements.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(Policy { language: Language::Cam, statements })
}

/// The vendor's limit, which counts characters and no blanks.
fn check_length(text: &str) -> Result<(), BadPolicy> {
    // Never fewer bytes than characters: a common policy need not be counted.
    if text.len() <= limits::POLICY {
        return Ok(());
    }
    let length = text.chars().filter(|c| !c.is_whitespace()).count();
    if length <= limits::POLICY {
        return Ok(());
    }
    let detail = format!(
        "the policy has {length} characters without blanks, and at most {} are allowed",
        limits::POLICY
    );
    Err(BadPolicy { reason: Reason::PolicyTooLong, detail })
}

fn statement(value: &Value, author: Author) -> Result<Statement, BadPolicy> {
    let Value::Object(members) = value else {
        return Err(BadPolicy::invalid(format!("it must be an object; {}", found(Some(value)))));
    };
    check_members(members, &["effect", "action", "resource", "condition", "principal"])?;
    check_principal(members.get("principal"))?;
    let effect = match members.get("effect") {
        Some(Value::String(text)) if text == "allow" => Effect::Allow,
        Some(Value::String(text)) if text == "deny" => Effect::Deny,
        other => {
            let found = found(other);
            return Err(BadPolicy::invalid(format!(
                "effect must be `allow` or `deny`, in lower case; {found}"
            )));
        }
    };
    Ok(Statement {
        effect,
        actions: each(members.get("action"), "action", action)?,
        resources: each(members.get("resource"), "resource", |text| resource::read(text, author))?,
        conditions: condition::read(members.get("condition"), author)?,
    })
}

/// What a member is instead of what it must be.
fn found(value: Option<&Value>) -> String {
    match value {
        None => "it is missing".to_owned(),
        Some(Value::String(text)) => format!("it is `{}`", shown(text)),
        Some(Value::Number(number)) => format!("it is the number `{}`", shown(&number.to_string())),
        Some(other) => format!("it is `{}`", shown(&other.to_string())),
    }
}

fn check_members(members: &Map<String, Value>, known: &[&str]) -> Result<(), BadPolicy> {
    let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let lower = name.trim().to_ascii_lowercase();
    Err(BadPolicy::invalid(match known.iter().find(|known| **known == lower) {
        Some(meant) => format!("there is no member `{}` here; write `{meant}`, in lower case", shown(name)),
        None => format!("there is no member `{}` here; there are {}", shown(name), known.join(", ")),
    }))
}

/// The reference forbids a principal, and the vendor's own COS helper writes one that means anyone. That form says
/// nothing and is taken so; a named principal would be ignored, hence is refused.
fn check_principal(principal: Option<&Value>) -> Result<(), BadPolicy> {
    let anyone = |value: &Value| match value {
        Value::String(text) => text == "*",
        Value::Array(list) => matches!(list.as_slice(), [Value::String(text)] if text == "*"),
        _ => false,
    };
    match principal {
        None => Ok(()),
        Some(Value::Object(members)) if members.len() == 1 && members.get("qcs").is_some_and(anyone) => {
            Ok(())
        }
        Some(other) => Err(BadPolicy::invalid(format!(
            "principal cannot name anyone here, because the policy is for the credential that carries it; leave it out (it is `{}`)",
            shown(&other.to_string())
        ))),
    }
}

/// A text or a list of them, each read by `read`.
fn each(
    value: Option<&Value>,
    member: &str,
    read: impl Fn(&str) -> Result<Pattern, BadPolicy>,
) -> Result<Vec<Pattern>, BadPolicy> {
    let wrong = |value: Option<&Value>| {
        let found = found(value);
        BadPolicy::invalid(format!("{member} must be a text, or a list of at least one; {found}"))
    };
    match value {
        Some(Value::String(text)) => Ok(vec![read(text)?]),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.iter().map(|one| read(one.as_str().ok_or_else(|| wrong(Some(one)))?)).collect()
        }
        other => Err(wrong(other)),
    }
}

/// `*`, or `service:operation` with wildcards anywhere, and perhaps the prefix `name/`, which changes nothing.
fn action(text: &str) -> Result<Pattern, BadPolicy> {
    if text.starts_with("permid/") {
        return Err(BadPolicy::invalid(format!(
            "the function set `{}` is not known here; list its actions, such as `cos:PutObject`",
            shown(text)
        )));
    }
    let name = text.strip_prefix("name/").unwrap_or(text);
    if Pattern::parse(name).is_any() {
        return Ok(Pattern::parse(name));
    }
    let fine = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.*".contains(&c))
    };
    match name.split_once(':') {
        // Every action has a colon, so this one matches all of them, and equal patterns are easier to compare.
        Some((service, operation))
            if Pattern::parse(service).is_any() && Pattern::parse(operation).is_any() =>
        {
            Ok(Pattern::parse("*"))
        }
        Some((service, operation)) if fine(service) && fine(operation) => Ok(Pattern::parse(name)),
        _ => Err(BadPolicy::invalid(format!(
            "the action `{}` is not `*` and not service:Operation, such as `cos:PutObject` or `cos:*`",
            shown(text)
        ))),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
