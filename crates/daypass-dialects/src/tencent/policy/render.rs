//! A policy of the core as a CAM document.

use daypass_core::policy::{Condition, Language, Pattern, Policy, Statement};
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::collections::BTreeSet;
use std::fmt::Display;

/// A policy that CAM cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// It is written in another language.
    OtherLanguage,
    /// A statement has two conditions of one operator and key that must both hold; a JSON object has room for one.
    RepeatedCondition,
}

impl Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OtherLanguage => "the policy is not a CAM policy",
            Self::RepeatedCondition => {
                "two conditions of one operator and key do not fit into a CAM statement"
            }
        })
    }
}

impl std::error::Error for Unwritable {}

/// Writes a document that [`super::parse`] and [`super::parse_sent`] read back to the same policy.
pub fn render(policy: &Policy) -> Result<String, Unwritable> {
    if policy.language != Language::Cam {
        return Err(Unwritable::OtherLanguage);
    }
    for statement in &policy.statements {
        let mut seen = BTreeSet::new();
        if !statement.conditions.iter().all(|c| seen.insert((&c.operator, &c.key))) {
            return Err(Unwritable::RepeatedCondition);
        }
    }
    // Writing maps with text keys into memory cannot fail.
    Ok(serde_json::to_string(&Document(policy)).unwrap_or_default())
}

struct Document<'a>(&'a Policy);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("policy", 2)?;
        out.serialize_field("version", super::VERSION)?;
        out.serialize_field("statement", &self.0.statements.iter().map(Written).collect::<Vec<_>>())?;
        out.end()
    }
}

struct Written<'a>(&'a Statement);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Statement { effect, actions, resources, conditions } = self.0;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("effect", effect)?;
        out.serialize_entry("action", actions)?;
        out.serialize_entry("resource", &Resources(resources))?;
        if !conditions.is_empty() {
            out.serialize_entry("condition", &Operators(conditions))?;
        }
        out.end()
    }
}

struct Resources<'a>(&'a [Pattern]);

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(super::resource::written))
    }
}

/// Conditions by operator, in the order of each operator's first appearance.
struct Operators<'a>(&'a [Condition]);

impl Serialize for Operators<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        let mut written = BTreeSet::new();
        for Condition { operator, .. } in self.0 {
            if written.insert(operator) {
                out.serialize_entry(operator, &Keys { operator, all: self.0 })?;
            }
        }
        out.end()
    }
}

struct Keys<'a> {
    operator: &'a str,
    all: &'a [Condition],
}

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mine = self.all.iter().filter(|condition| condition.operator == self.operator);
        serializer.collect_map(mine.map(|condition| (&condition.key, &condition.values)))
    }
}
