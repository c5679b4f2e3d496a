//! CAM 2.0, Tencent Cloud's policy language, to and from the core's [`Policy`].
//!
//! What the model cannot hold is refused, never dropped: a member, an operator or a principal that is skipped
//! would give away more, or less, than its author wrote. Role templates of the configuration and the policies of
//! requests go through the same [`parse`]; in a template a text may hold `{variable}`, which is text like any
//! other here.
//!
//! Source: the vendor's pages on the syntax of CAM policies and on condition operators, with what its own
//! samples and helpers really write.

mod condition;
mod render;

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
    /// What is wrong and where, safe to show to the author of the document.
    pub detail: String,
}

impl BadPolicy {
    fn invalid(detail: impl Into<String>) -> Self {
        Self { reason: Reason::PolicyInvalid, detail: detail.into() }
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

/// Reads the `Policy` parameter of a request, which clients send as it is, percent-encoded or form-encoded.
///
/// Attack: a text that is JSON already is not decoded, although the vendor always does. `%2A` inside a resource
/// would turn into `*` and widen the policy after its author, or a proxy, had looked at it.
pub fn parse_sent(text: &str) -> Result<Policy, BadPolicy> {
    let text = text.trim();
    if text.starts_with('{') {
        return parse(text);
    }
    let decoded = form_decode(text).ok_or_else(|| BadPolicy {
        reason: Reason::PolicyMalformed,
        detail: "the policy is neither a JSON object nor one in percent encoding".to_owned(),
    })?;
    parse(&decoded)
}

/// Reads a document.
pub fn parse(text: &str) -> Result<Policy, BadPolicy> {
    check_length(text)?;
    let document = json::parse(text.as_bytes()).map_err(|fault| BadPolicy {
        reason: Reason::PolicyMalformed,
        detail: format!("the policy is {fault}"),
    })?;
    let Value::Object(members) = document else {
        return Err(BadPolicy::invalid("the policy must be one JSON object"));
    };
    check_members(&members, &["version", "statement"])?;
    if members.get("version").and_then(Value::as_str) != Some(VERSION) {
        return Err(BadPolicy::invalid("version must be there and be 2.0, as text"));
    }
    let statements = match members.get("statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => return Err(BadPolicy::invalid("statement must be an object, or a list with at least one")),
    };
    let statements = statements.iter().enumerate().map(|(n, one)| statement(one).map_err(|bad| bad.at(n)));
    Ok(Policy { language: Language::Cam, statements: statements.collect::<Result<_, _>>()? })
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

/// Refuses a policy that allows something on a resource of another root account, as the vendor does. It is the
/// error that its users meet most, so the message says which resource, whose, and what was expected.
pub fn refuse_foreign(policy: &Policy, account: &str) -> Result<(), BadPolicy> {
    for (n, statement) in policy.statements.iter().enumerate() {
        if statement.effect == Effect::Deny {
            continue;
        }
        for resource in &statement.resources {
            let text = resource.to_string();
            let owner = text.split(':').nth(4).and_then(|segment| segment.strip_prefix("uin/"));
            if let Some(owner) = owner.filter(|owner| *owner != account && !owner.contains('*')) {
                let detail = format!(
                    "the resource {} belongs to uin {}, and this key can grant resources of uin {account}",
                    shown(&text),
                    shown(owner)
                );
                return Err(BadPolicy { reason: Reason::PolicyTooWide, detail }.at(n));
            }
        }
    }
    Ok(())
}

fn statement(value: &Value) -> Result<Statement, BadPolicy> {
    let Value::Object(members) = value else {
        return Err(BadPolicy::invalid("it must be an object"));
    };
    check_members(members, &["effect", "action", "resource", "condition", "principal"])?;
    check_principal(members.get("principal"))?;
    let effect = match members.get("effect").and_then(Value::as_str) {
        Some("allow") => Effect::Allow,
        Some("deny") => Effect::Deny,
        _ => return Err(BadPolicy::invalid("effect must be allow or deny, in lower case")),
    };
    Ok(Statement {
        effect,
        actions: each(members.get("action"), "action", action)?,
        resources: each(members.get("resource"), "resource", resource)?,
        conditions: condition::parse(members.get("condition"))?,
    })
}

fn check_members(members: &Map<String, Value>, known: &[&str]) -> Result<(), BadPolicy> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let name = shown(name);
            Err(BadPolicy::invalid(format!(
                "there is no member {name} here; the names are {}",
                known.join(", ")
            )))
        }
    }
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
        Some(_) => Err(BadPolicy::invalid("principal cannot be named in this policy; leave it out")),
    }
}

/// A text or a list of them, each read by `read`.
fn each(
    value: Option<&Value>,
    member: &str,
    read: fn(&str) -> Result<Pattern, BadPolicy>,
) -> Result<Vec<Pattern>, BadPolicy> {
    let wrong = || BadPolicy::invalid(format!("{member} must be a string, or a list with at least one"));
    match value {
        Some(Value::String(text)) => Ok(vec![read(text)?]),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.iter().map(|one| read(one.as_str().ok_or_else(wrong)?)).collect()
        }
        _ => Err(wrong()),
    }
}

/// `*`, or `service:operation` with wildcards anywhere, and perhaps the prefix `name/`, which changes nothing.
fn action(text: &str) -> Result<Pattern, BadPolicy> {
    if text.starts_with("permid/") {
        return Err(BadPolicy::invalid("function sets (permid/…) are not known here; list the actions"));
    }
    let name = text.strip_prefix("name/").unwrap_or(text);
    if name == "*" {
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
        _ => {
            Err(BadPolicy::invalid(format!("the action {} is not * and not service:Operation", shown(text))))
        }
    }
}

/// `*`, or `qcs:project:service:region:account:resource` with an always empty project.
fn resource(text: &str) -> Result<Pattern, BadPolicy> {
    let bad = |what: &str| BadPolicy {
        reason: Reason::PolicyResource,
        detail: format!("the resource {} {what}", shown(text)),
    };
    if text.chars().any(char::is_control) {
        return Err(bad("has a control character"));
    }
    if text == "*" {
        return Ok(Pattern::parse(text));
    }
    let mut segments = text.splitn(6, ':');
    let mut next = || segments.next();
    let (Some(qcs), Some(project), Some(service), Some(_region), Some(account), Some(rest)) =
        (next(), next(), next(), next(), next(), next())
    else {
        return Err(bad("has not the six segments qcs:project:service:region:account:resource"));
    };
    if qcs != "qcs" || !project.is_empty() {
        return Err(bad("must begin with qcs:: (the project is always empty)"));
    }
    if service.is_empty() || rest.is_empty() {
        return Err(bad("has an empty service or resource segment"));
    }
    let owner = account.strip_prefix("uin/").or_else(|| account.strip_prefix("uid/"));
    if !account.is_empty() && account != "*" && owner.is_none_or(str::is_empty) {
        return Err(bad("has an account that is neither empty nor uin/… nor uid/…"));
    }
    Ok(Pattern::parse(text))
}

#[cfg(test)]
mod tests;
