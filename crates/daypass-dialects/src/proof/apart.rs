//! The definition of both languages, the slow and obvious way, sharing nothing with the code under test.
//!
//! Where the vendors' documents leave two readings open, each is evaluated by itself, with plain truth values.

use super::documents::Request;
use daypass_core::policy::{Condition, Effect, Language, Policy, Statement};
use std::net::Ipv4Addr;

/// In how many readings a statement must apply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Certain {
    Always,
    Sometimes,
}

/// One way to understand what is not documented: a set of choices, one bit each.
#[derive(Clone, Copy)]
struct Reading(u8);

impl Reading {
    const ALL: std::ops::Range<u8> = 0..32;

    /// Several values under a negation: none of them may match, or any of them may not.
    fn none_may_match(self) -> bool {
        self.0 & 1 > 0
    }
    /// Several values of the request: each must do, or one will.
    fn each_must_do(self) -> bool {
        self.0 & 2 > 0
    }
    /// `?` is any one character in CAM.
    fn question_mark(self) -> bool {
        self.0 & 4 > 0
    }
    /// An absent key satisfies `for_all_value`, or a negated operator of RAM.
    fn absent_satisfies(self) -> bool {
        self.0 & 8 > 0
    }
    /// A value that is not of the operator's type satisfies it.
    fn unreadable_satisfies(self) -> bool {
        self.0 & 16 > 0
    }
}

/// Whether a statement applies to a request.
pub(super) fn applies(statement: &Statement, policy: &Policy, request: &Request, certain: Certain) -> bool {
    let segments = if policy.language == Language::Ram { 5 } else { 6 };
    let matches = |pattern: &str, text: &str, segments: usize| match statement.effect {
        Effect::Allow => in_segments(pattern, text, segments),
        Effect::Deny => glob(pattern.as_bytes(), text.as_bytes(), false),
    };
    let action = statement.actions.iter().any(|p| matches(p.as_str(), &request.action, 2));
    let resource = statement.resources.iter().any(|p| matches(p.as_str(), &request.resource, segments));
    let every = |condition: &Condition| {
        let holds = |reading| holds(condition, policy.language, request, Reading(reading));
        match certain {
            Certain::Always => Reading::ALL.clone().all(holds),
            Certain::Sometimes => Reading::ALL.clone().any(holds),
        }
    };
    action && resource && statement.conditions.iter().all(every)
}

/// Segment by segment, the last of which may hold colons; a pattern with fewer is compared as a whole.
fn in_segments(pattern: &str, text: &str, segments: usize) -> bool {
    let patterns: Vec<_> = pattern.splitn(segments, ':').collect();
    if patterns.len() < segments {
        return glob(pattern.as_bytes(), text.as_bytes(), false);
    }
    let texts: Vec<_> = text.splitn(segments, ':').collect();
    let pairs = patterns.iter().zip(&texts);
    texts.len() == segments && pairs.into_iter().all(|(p, t)| glob(p.as_bytes(), t.as_bytes(), false))
}

fn glob(pattern: &[u8], text: &[u8], question_mark: bool) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        ([b'*', after @ ..], [_, rest @ ..]) => {
            glob(after, text, question_mark) || glob(pattern, rest, question_mark)
        }
        ([b'*', after @ ..], []) => glob(after, text, question_mark),
        ([b'?', after @ ..], [_, rest @ ..]) if question_mark => glob(after, rest, question_mark),
        ([c, after @ ..], [d, rest @ ..]) => c == d && glob(after, rest, question_mark),
        (_, []) => false,
    }
}

fn holds(condition: &Condition, language: Language, request: &Request, reading: Reading) -> bool {
    let found = request.context.get(&condition.key).filter(|values| !values.is_empty());
    let operator = condition.operator.as_str();
    if operator == "null_equal" {
        return condition.values.iter().any(|value| (value == "true") == found.is_none());
    }
    let negated = operator.to_ascii_lowercase().contains("not");
    let Some(found) = found else {
        return operator.ends_with("_if_exist")
            || reading.absent_satisfies()
                && (operator.starts_with("for_all_value:") || language == Language::Ram && negated);
    };
    let one = |found: &String| {
        let matches = |wanted: &String| pair(operator, language, wanted, found, reading);
        let unreadable = condition.values.iter().map(matches).any(|answer| answer.is_none());
        if unreadable {
            // Another value may still match, whatever becomes of this one.
            let certain = condition.values.iter().any(|wanted| matches(wanted) == Some(true));
            return if certain && !negated { true } else { reading.unreadable_satisfies() };
        }
        let matching = condition.values.iter().filter(|wanted| matches(wanted) == Some(true)).count();
        match (negated, reading.none_may_match()) {
            (false, _) => matching > 0,
            (true, true) => matching == 0,
            (true, false) => matching < condition.values.len(),
        }
    };
    let each = operator.starts_with("for_all_value:")
        || !operator.starts_with("for_any_value:") && reading.each_must_do();
    if each { found.iter().all(one) } else { found.iter().any(one) }
}

/// Whether one value of the request is what one of the policy asks for, were the operator not negated; none where
/// either cannot be read.
fn pair(operator: &str, language: Language, wanted: &str, found: &str, reading: Reading) -> Option<bool> {
    let name = operator.to_ascii_lowercase();
    if name.contains("like") {
        let question_mark = language == Language::Ram || reading.question_mark();
        Some(glob(wanted.as_bytes(), found.as_bytes(), question_mark))
    } else if name.contains("string") {
        Some(wanted == found)
    } else if name.contains("numeric") {
        let (wanted, found) = (wanted.parse::<i64>().ok()?, found.parse::<i64>().ok()?);
        Some(if name.contains("less") { found < wanted } else { found == wanted })
    } else if name.contains("date") {
        // All dates here are of one form, in which the order of the letters is that of time.
        let is_date = |text: &str| text.len() == 20 && text.ends_with('Z');
        (is_date(wanted) && is_date(found)).then(|| found >= wanted)
    } else if name.contains("bool") {
        let is_flag = |text: &str| ["true", "false"].contains(&text);
        (is_flag(wanted) && is_flag(found)).then(|| found == wanted)
    } else if name.contains("ip") {
        let (net, length) = wanted.split_once('/').unwrap_or((wanted, "32"));
        let octets = length.parse::<usize>().ok()? / 8;
        let (net, found) = (net.parse::<Ipv4Addr>().ok()?.octets(), found.parse::<Ipv4Addr>().ok()?.octets());
        Some(net.iter().zip(&found).take(octets).all(|(a, b)| a == b))
    } else {
        None
    }
}
