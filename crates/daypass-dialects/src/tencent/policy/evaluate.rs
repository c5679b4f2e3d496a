//! What CAM's conditions mean, and the answer of a document to one request.
//!
//! Source: the vendor's pages on conditions (operators, evaluation) and on the condition keys of COS.

use crate::condition::{Compare, Context, Order, Quantifier, QuestionMark, Rule};
use daypass_core::policy::{Access, Condition, Decision, Language, Policy, Truth, decide};

/// Whether a CAM policy allows an action on a resource.
///
/// `context` has what is known of the request: the values of each condition key, such as `qcs:ip` and
/// `qcs:current_time`. Keys are told apart by case, as the vendor documents. A key that is not there is absent: a
/// condition on it is false, the negated ones included, but for the operators that end in `_if_exist` and for
/// `null_equal`.
///
/// A policy of another language allows nothing. Whatever cannot be told (an operator that nobody knows, a value
/// that is not of its operator's type) keeps an allow from matching, and a deny matches.
pub fn allows(policy: &Policy, action: &str, resource: &str, context: &Context) -> Decision {
    if policy.language != Language::Cam {
        return Decision::NoMatch;
    }
    decide(policy, Access { action, resource }, &|condition| holds(condition, context))
}

/// Whether a condition holds, as far as can be told.
pub(crate) fn holds(condition: &Condition, context: &Context) -> Truth {
    let found = context.get(&condition.key).map_or(&[][..], Vec::as_slice);
    rule_of(&condition.operator).map_or(Truth::Unknown, |rule| rule.holds(&condition.values, found))
}

/// What an operator means, with its prefix and suffix; nothing where there is no such operator.
pub(super) fn rule_of(operator: &str) -> Option<Rule> {
    let (quantifier, name) = if let Some(name) = operator.strip_prefix("for_any_value:") {
        (Quantifier::Any, name)
    } else if let Some(name) = operator.strip_prefix("for_all_value:") {
        (Quantifier::All, name)
    } else {
        (Quantifier::One, operator)
    };
    let (if_exist, name) = match name.strip_suffix("_if_exist") {
        Some(name) => (true, name),
        None => (false, name),
    };
    if name == "null_equal" {
        return Some(match (quantifier, if_exist) {
            (Quantifier::One, false) => Rule::Absent,
            // The documents take this operator out of those that have a suffix, and no value is left to quantify.
            _ => Rule::Undocumented,
        });
    }
    let (compare, negated) = compare_of(name)?;
    let absent = match (if_exist, quantifier) {
        (true, _) => Truth::True,
        // Each of no values satisfies everything, and an absent key satisfies nothing: the documents say both.
        (false, Quantifier::All) => Truth::Unknown,
        (false, Quantifier::One | Quantifier::Any) => Truth::False,
    };
    Some(Rule::Compare { compare, negated, quantifier, absent })
}

/// What an operator compares, and whether it is negated.
fn compare_of(name: &str) -> Option<(Compare, bool)> {
    const LIKE: Compare = Compare::Like(QuestionMark::Undocumented);
    Some(match name {
        "string_equal" => (Compare::Text, false),
        "string_not_equal" => (Compare::Text, true),
        "string_equal_ignore_case" => (Compare::IgnoreCase, false),
        "string_not_equal_ignore_case" => (Compare::IgnoreCase, true),
        "string_like" => (LIKE, false),
        "string_not_like" => (LIKE, true),
        "binary_equal" => (Compare::Binary, false),
        "bool_equal" => (Compare::Bool, false),
        "ip_equal" => (Compare::Address, false),
        "ip_not_equal" => (Compare::Address, true),
        _ => {
            let (kind, comparison) = name.split_once('_')?;
            let (order, negated) = order_of(comparison)?;
            match kind {
                "numeric" => (Compare::Number(order), negated),
                "date" => (Compare::Date(order), negated),
                _ => return None,
            }
        }
    })
}

/// The comparisons that numbers and dates have.
fn order_of(comparison: &str) -> Option<(Order, bool)> {
    Some(match comparison {
        "equal" => (Order::Equal, false),
        "not_equal" => (Order::Equal, true),
        "less_than" => (Order::Less, false),
        "less_than_equal" => (Order::LessEqual, false),
        "greater_than" => (Order::Greater, false),
        "greater_than_equal" => (Order::GreaterEqual, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
