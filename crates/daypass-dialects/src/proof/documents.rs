//! Small documents and requests, over so few letters that each pattern matches some of the others.

use super::draw::Draw;
use crate::condition::Context;
use daypass_core::policy::{Condition, Effect, Language, Pattern, Policy, Statement};

/// A request with its facts.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) context: Context,
}

const ACTIONS: [&str; 8] = ["*", "s:*", "s:a", "s:a*", "s:*b", "s:ab", "t:a", "*:a"];
const NAMES: [&str; 12] = ["a", "b", "*", "a*", "*b", "a/*", "a/b", "a/1", "a/10", "a/1/*", "a:b", ""];
const CAM: [&str; 10] = [
    "string_equal",
    "string_not_equal",
    "string_like",
    "string_not_like",
    "numeric_less_than",
    "numeric_not_equal",
    "date_greater_than_equal",
    "bool_equal",
    "ip_equal",
    "ip_not_equal",
];
const RAM: [&str; 10] = [
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "NumericLessThan",
    "NumericNotEquals",
    "DateGreaterThanEquals",
    "Bool",
    "IpAddress",
    "NotIpAddress",
];
/// Values that an operator may have, by its place in the lists above.
const VALUES: [&[&str]; 5] = [
    &["a", "b", "ab", "a*", "a?"],
    &["1", "2", "10"],
    &["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"],
    &["true", "false"],
    &["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1"],
];
/// Values that a request may have.
const FOUND: [&str; 14] = [
    "a",
    "b",
    "ab",
    "a?",
    "",
    "1",
    "2",
    "10",
    "2026-03-01T00:00:00Z",
    "true",
    "false",
    "10.1.1.1",
    "10.2.0.1",
    "11.0.0.1",
];
const KEYS: [&str; 3] = ["x:k", "x:n", "x:m"];

pub(super) fn policy(language: Language, draw: &mut Draw<'_>) -> Policy {
    let statements = (0..=draw.below(3)).map(|_| statement(language, draw)).collect();
    Policy { language, statements }
}

fn statement(language: Language, draw: &mut Draw<'_>) -> Statement {
    let effect = if draw.below(5) == 4 { Effect::Deny } else { Effect::Allow };
    let actions = (0..=draw.below(2)).map(|_| Pattern::parse(draw.word(&ACTIONS))).collect();
    let resources = (0..=draw.below(2)).map(|_| Pattern::parse(&resource(language, draw))).collect();
    let mut conditions: Vec<Condition> = Vec::new();
    for _ in 0..draw.below(4).saturating_sub(1) {
        let condition = condition(language, draw);
        // A document has one place for each operator and key.
        if !conditions.iter().any(|c| c.operator == condition.operator && c.key == condition.key) {
            conditions.push(condition);
        }
    }
    Statement { effect, actions, resources, conditions }
}

fn resource(language: Language, draw: &mut Draw<'_>) -> String {
    let before = match (draw.below(6), language) {
        (0, _) => return "*".to_owned(),
        (_, Language::Cam) => format!(
            "qcs::cos:{}:{}",
            draw.word(&["*", "r", ""]),
            draw.word(&["uin/1", "uin/10", "*", "uin/1*"])
        ),
        (_, Language::Ram) => {
            format!("acs:oss:{}:{}", draw.word(&["*", "r", ""]), draw.word(&["1", "10", "*", "1*"]))
        }
    };
    format!("{before}:{}{}", draw.word(&NAMES), draw.word(&["", "", "a", "/b", "*"]))
}

fn condition(language: Language, draw: &mut Draw<'_>) -> Condition {
    let at = draw.below(CAM.len());
    let operator = match language {
        Language::Ram => RAM.get(at).copied().unwrap_or_default().to_owned(),
        Language::Cam => {
            let prefix = draw.word(&["", "", "for_any_value:", "for_all_value:"]);
            let suffix = draw.word(&["", "", "_if_exist"]);
            match draw.below(12) {
                11 => "null_equal".to_owned(),
                _ => format!("{prefix}{}{suffix}", CAM.get(at).copied().unwrap_or_default()),
            }
        }
    };
    let kind = if operator == "null_equal" {
        3
    } else {
        [0, 0, 0, 0, 1, 1, 2, 3, 4, 4].get(at).copied().unwrap_or(0)
    };
    let values = VALUES.get(kind).copied().unwrap_or_default();
    let mut values: Vec<String> = (0..=draw.below(2)).map(|_| draw.word(values).to_owned()).collect();
    values.sort_unstable();
    values.dedup();
    Condition { operator, key: draw.word(&KEYS).to_owned(), values }
}

/// A request near the documents: one of their patterns with something in place of each wildcard.
pub(super) fn request(links: &[Policy], draw: &mut Draw<'_>) -> Request {
    let statements: Vec<&Statement> = links.iter().flat_map(|link| &link.statements).collect();
    let near = draw.one(&statements);
    let pick = |patterns: &[Pattern], draw: &mut Draw<'_>| {
        draw.one(patterns).map(|p| p.to_string()).unwrap_or_default()
    };
    let action = near.map(|s| pick(&s.actions, draw)).unwrap_or_default();
    let resource = near.map(|s| pick(&s.resources, draw)).unwrap_or_default();
    let language = links.first().map_or(Language::Ram, |link| link.language);
    // A bare star would otherwise stand for no resource of the language at all.
    let resource = match (resource.as_str(), language) {
        ("*", Language::Cam) => "qcs::cos:*:uin/1:*".to_owned(),
        ("*", Language::Ram) => "acs:oss:*:1:*".to_owned(),
        _ => resource,
    };
    let mut context = Context::new();
    for key in KEYS {
        let many = draw.below(4);
        if many > 0 {
            let values = (0..many.min(2)).map(|_| draw.word(&FOUND).to_owned()).collect();
            context.insert(key.to_owned(), values);
        }
    }
    Request {
        action: filled(if action == "*" { "s:*" } else { &action }, draw),
        resource: filled(&resource, draw),
        context,
    }
}

fn filled(pattern: &str, draw: &mut Draw<'_>) -> String {
    let mut parts = pattern.split('*');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(draw.word(&["a", "", "b", "1", "a/b", "10", "a/1/b", "a:b"]));
        text.push_str(part);
    }
    text
}
