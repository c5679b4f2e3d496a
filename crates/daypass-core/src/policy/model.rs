//! The shape of a policy.

use super::Pattern;
use serde::{Deserialize, Serialize};

/// Whose grammar a policy came from and goes back to. Policies of two languages are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Tencent Cloud CAM, version `2.0`.
    Cam,
    /// Alibaba Cloud RAM, version `1`.
    Ram,
}

/// A policy document: denied by default, an explicit deny always wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whose grammar it is written in.
    pub language: Language,
    /// Its statements, in the order of the document.
    pub statements: Vec<Statement>,
}

impl Policy {
    /// Whether no statement allows anything. Such a policy must not be handed out: a vendor may take an empty
    /// document for none, and none for everything that the role has.
    pub fn allows_nothing(&self) -> bool {
        self.statements.iter().all(|statement| statement.effect == Effect::Deny)
    }
}

/// One statement: it applies where an action, a resource and every condition match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Whether it allows or denies.
    pub effect: Effect,
    /// It applies to any of these actions. Never empty.
    pub actions: Vec<Pattern>,
    /// It applies to any of these resources. Never empty.
    pub resources: Vec<Pattern>,
    /// All of these must hold. An operator that we cannot evaluate makes a document invalid when it is parsed.
    // Never skipped when it is empty: the sealed claims are a format without member names.
    pub conditions: Vec<Condition>,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Permits what matches.
    Allow,
    /// Forbids what matches, whatever else allows it.
    Deny,
}

/// One condition: the operator holds between the request's value of the key and at least one of the values.
///
/// The core carries conditions; each language's dialect knows its operators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// The operator as the language writes it, such as `ip_equal` or `StringLike`.
    pub operator: String,
    /// The key as the language writes it, such as `qcs:ip` or `oss:Prefix`.
    pub key: String,
    /// Any of these may match. Sorted, without repeats.
    pub values: Vec<String>,
}
