//! What RAM's conditions mean, and the answer of a document to one request.
//!
//! Source: Alibaba Cloud, "Conditional operators" and "Policy elements" (RAM).

use crate::condition::{Compare, Context, Order, Quantifier, QuestionMark, Rule};
use daypass_core::policy::{Access, Condition, Decision, Language, Policy, Truth, decide};

/// Whether a RAM policy allows an action on a resource.
///
/// `context` has what is known of the request: the values of each condition key, such as `acs:SourceIp`,
/// `acs:CurrentTime` and `acs:SecureTransport`. On a key that is absent a condition is false; of a negated one the
/// documents do not say, so that it cannot be told. Nor can it for a key that is there in another case alone.
///
/// A policy of another language allows nothing. Whatever cannot be told keeps an allow from matching, and a deny
/// matches.
pub fn allows(policy: &Policy, action: &str, resource: &str, context: &Context) -> Decision {
    if policy.language != Language::Ram {
        return Decision::NoMatch;
    }
    decide(policy, Access { action, resource }, &|condition| holds(condition, context))
}

/// Whether a condition holds, as far as can be told.
pub(crate) fn holds(condition: &Condition, context: &Context) -> Truth {
    let Some(rule) = rule_of(&condition.operator) else { return Truth::Unknown };
    let found = context.get(&condition.key).map_or(&[][..], Vec::as_slice);
    if found.is_empty() && context.keys().any(|key| is_meant(key, &condition.key)) {
        return Truth::Unknown;
    }
    rule.holds(&condition.values, found)
}

/// Whether a key is another one's spelling in another case. The documents do not say whether that matters.
fn is_meant(key: &str, wanted: &str) -> bool {
    key != wanted && key.eq_ignore_ascii_case(wanted)
}

/// What an operator means; nothing where there is no such operator.
pub(super) fn rule_of(operator: &str) -> Option<Rule> {
    const LIKE: Compare = Compare::Like(QuestionMark::OneCharacter);
    let (compare, negated) = match operator {
        "StringEquals" => (Compare::Text, false),
        "StringNotEquals" => (Compare::Text, true),
        "StringEqualsIgnoreCase" => (Compare::IgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (Compare::IgnoreCase, true),
        "StringLike" => (LIKE, false),
        "StringNotLike" => (LIKE, true),
        "Bool" => (Compare::Bool, false),
        "IpAddress" => (Compare::Address, false),
        "NotIpAddress" => (Compare::Address, true),
        _ => {
            if let Some((order, negated)) = operator.strip_prefix("Numeric").and_then(order_of) {
                (Compare::Number(order), negated)
            } else {
                let (order, negated) = operator.strip_prefix("Date").and_then(order_of)?;
                (Compare::Date(order), negated)
            }
        }
    };
    let absent = if negated { Truth::Unknown } else { Truth::False };
    Some(Rule::Compare { compare, negated, quantifier: Quantifier::One, absent })
}

/// The comparisons that numbers and dates have.
fn order_of(comparison: &str) -> Option<(Order, bool)> {
    Some(match comparison {
        "Equals" => (Order::Equal, false),
        "NotEquals" => (Order::Equal, true),
        "LessThan" => (Order::Less, false),
        "LessThanEquals" => (Order::LessEqual, false),
        "GreaterThan" => (Order::Greater, false),
        "GreaterThanEquals" => (Order::GreaterEqual, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
