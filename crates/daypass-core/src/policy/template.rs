//! A role's policy with its typed variables.

use super::{Condition, Effect, Language, Pattern, Piece, Policy, Statement, VariableType};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{BTreeMap, BTreeSet};

/// A template that does not hold together: an unknown variable, or a brace that closes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTemplate(pub String);

/// A variable that is missing or whose value is not of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadVariable {
    /// The variable's name.
    pub name: String,
    /// What its values must look like.
    pub expected: std::borrow::Cow<'static, str>,
}

/// A policy whose texts hold variables, written `{name}`.
///
/// Variables stand in resources and in the values of conditions. They may not stand in actions, operators or keys:
/// a caller's value says *on what* something may be done, never *what*. The only way out is [`Template::bind`],
/// which puts values into the parsed tree: a value is always literal text, whatever it contains.
#[derive(Clone, Debug)]
pub struct Template {
    language: Language,
    statements: Vec<Frame>,
}

/// A statement of a template.
#[derive(Clone, Debug)]
struct Frame {
    effect: Effect,
    actions: Vec<Pattern>,
    resources: Vec<Vec<Slot>>,
    conditions: Vec<(Condition, Vec<Vec<Slot>>)>,
}

/// A part of a text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    Text(String),
    Any,
    Variable(String, VariableType),
}

impl Template {
    /// Finds the variables in a parsed policy and makes sure that they hold together:
    ///
    /// - every variable is declared, and every declared one is used: one that is not would suggest a narrowing that
    ///   does not happen;
    /// - there is no brace that is not part of a variable;
    /// - a value can end nowhere but where the operator meant it to. In `user/{id}*` the value `1` would also reach
    ///   what belongs to `10`, so that between a variable and a wildcard or another variable there must be a
    ///   character that its values cannot have. Below a path, `/` is enough: its values are meant to hold what is
    ///   below them; for the same reason a text has at most one path.
    pub fn new(policy: Policy, variables: &BTreeMap<String, VariableType>) -> Result<Self, BadTemplate> {
        let mut scan = Scan { declared: variables, used: BTreeSet::new() };
        let language = policy.language;
        let statements =
            policy.statements.into_iter().map(|one| scan.statement(one)).collect::<Result<Vec<_>, _>>()?;
        match variables.keys().find(|name| !scan.used.contains(*name)) {
            Some(name) => Err(BadTemplate(format!(
                "the variable `{name}` is declared, but the policy does not use it; write {{{name}}} where its value belongs, or take the declaration out"
            ))),
            None => Ok(Self { language, statements }),
        }
    }

    /// The language that its vendor's services understand.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The policy as it is written, with `{name}` where a variable stands.
    pub fn written(&self) -> Policy {
        self.spelled(&|name, _| format!("{{{name}}}"))
    }

    /// The policy with a value for each variable that is as long as one can be, and that compresses as badly as one of
    /// such letters can.
    ///
    /// To judge sizes by, and for nothing else: the values are of the longest length, and need not be of the type.
    pub fn longest(&self) -> Policy {
        self.spelled(&|name, kind| filler(name, kind.longest()))
    }

    fn spelled(&self, variable: &dyn Fn(&str, &VariableType) -> String) -> Policy {
        let text = |slots: &Vec<Slot>| -> String {
            let spell = |slot: &Slot| match slot {
                Slot::Text(own) => own.clone(),
                Slot::Any => "*".to_owned(),
                Slot::Variable(name, kind) => variable(name, kind),
            };
            slots.iter().map(spell).collect()
        };
        let condition = |(condition, texts): &(Condition, Vec<Vec<Slot>>)| Condition {
            values: texts.iter().map(text).collect(),
            ..condition.clone()
        };
        let statement = |frame: &Frame| Statement {
            effect: frame.effect,
            actions: frame.actions.clone(),
            resources: frame.resources.iter().map(|slots| Pattern::parse(&text(slots))).collect(),
            conditions: frame.conditions.iter().map(condition).collect(),
        };
        Policy { language: self.language, statements: self.statements.iter().map(statement).collect() }
    }

    /// The policy for these values. Each must be of its variable's type; further values are not looked at.
    pub fn bind(&self, values: &BTreeMap<String, String>) -> Result<Policy, BadVariable> {
        let statements = self.statements.iter().map(|frame| frame.bind(values)).collect::<Result<_, _>>()?;
        Ok(Policy { language: self.language, statements })
    }
}

impl Frame {
    fn bind(&self, values: &BTreeMap<String, String>) -> Result<Statement, BadVariable> {
        let resources = self.resources.iter().map(|slots| bind_pattern(slots, values));
        let conditions = self.conditions.iter().map(|(condition, texts)| {
            let mut bound =
                texts.iter().map(|slots| bind_text(slots, values)).collect::<Result<Vec<_>, _>>()?;
            bound.sort_unstable();
            bound.dedup();
            let Condition { operator, key, .. } = condition.clone();
            Ok(Condition { operator, key, values: bound })
        });
        Ok(Statement {
            effect: self.effect,
            actions: self.actions.clone(),
            resources: resources.collect::<Result<_, _>>()?,
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}

/// The value of a variable, checked where it is put in and nowhere else, so that no way in goes around the check:
/// what stands here ends up in a vendor's document, where a `*` or `?` is a wildcard whatever we meant by it.
fn value<'a>(
    name: &str,
    kind: &VariableType,
    values: &'a BTreeMap<String, String>,
) -> Result<&'a str, BadVariable> {
    let value = values.get(name).filter(|value| kind.admits(value));
    value.map(String::as_str).ok_or_else(|| BadVariable { name: name.to_owned(), expected: kind.expected() })
}

fn bind_pattern(slots: &[Slot], values: &BTreeMap<String, String>) -> Result<Pattern, BadVariable> {
    let mut pieces = Vec::with_capacity(slots.len());
    for slot in slots {
        pieces.push(match slot {
            Slot::Text(text) => Piece::Text(text.clone()),
            Slot::Any => Piece::Any,
            Slot::Variable(name, kind) => Piece::Text(value(name, kind, values)?.to_owned()),
        });
    }
    Pattern::from_pieces(pieces).map_err(|_| {
        let name = slots.iter().find_map(|slot| match slot {
            Slot::Variable(name, _) => Some(name.clone()),
            _ => None,
        });
        BadVariable { name: name.unwrap_or_default(), expected: "free of wildcards".into() }
    })
}

fn bind_text(slots: &[Slot], values: &BTreeMap<String, String>) -> Result<String, BadVariable> {
    let mut text = String::new();
    for slot in slots {
        text.push_str(match slot {
            Slot::Text(text) => text,
            Slot::Any => "*",
            Slot::Variable(name, kind) => value(name, kind, values)?,
        });
    }
    Ok(text)
}

/// So many letters that have no order in them: a token is compressed, and a row of zeros would vanish in it. The same
/// for the same name, as a variable has one value wherever it stands.
fn filler(name: &str, length: usize) -> String {
    let mut text = String::new();
    for block in 0_u64.. {
        if text.len() >= length {
            break;
        }
        let mut context = Context::new(&SHA256);
        context.update(&block.to_be_bytes());
        context.update(name.as_bytes());
        URL_SAFE_NO_PAD.encode_string(context.finish(), &mut text);
    }
    text.truncate(length);
    text
}

/// The search for variables, with what it has seen so far.
struct Scan<'a> {
    declared: &'a BTreeMap<String, VariableType>,
    used: BTreeSet<String>,
}

impl Scan<'_> {
    fn statement(&mut self, statement: Statement) -> Result<Frame, BadTemplate> {
        for action in &statement.actions {
            without_braces(action.as_str(), "an action")?;
        }
        let resources = statement.resources.iter().map(|resource| self.text(resource.as_str()));
        let resources = resources.collect::<Result<_, _>>()?;
        let mut conditions = Vec::with_capacity(statement.conditions.len());
        for condition in statement.conditions {
            without_braces(&condition.operator, "a condition's operator")?;
            without_braces(&condition.key, "a condition's key")?;
            let values = condition.values.iter().map(|value| self.text(value)).collect::<Result<_, _>>()?;
            conditions.push((condition, values));
        }
        Ok(Frame { effect: statement.effect, actions: statement.actions, resources, conditions })
    }

    /// Takes one text apart, from left to right.
    fn text(&mut self, text: &str) -> Result<Vec<Slot>, BadTemplate> {
        let bad = |why: String| BadTemplate(format!("in `{text}`: {why}"));
        let (mut slots, mut neighbours) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find(['*', '{', '}']) {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                slots.push(Slot::Text(before.to_owned()));
            }
            if let Some(after) = from.strip_prefix('*') {
                slots.push(Slot::Any);
                rest = after;
                continue;
            }
            let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
                return Err(bad(stray(from)));
            };
            let left = text.strip_suffix(from).unwrap_or_default();
            let kind = self.kind(name, left).map_err(bad)?;
            neighbours.push((name, kind.clone(), left, after));
            slots.push(Slot::Variable(name.to_owned(), kind));
            rest = after;
        }
        if !rest.is_empty() {
            slots.push(Slot::Text(rest.to_owned()));
        }
        for (name, kind, left, right) in &neighbours {
            if !(ends(kind, right.chars(), Side::Right) && ends(kind, left.chars().rev(), Side::Left)) {
                return Err(bad(format!(
                    "nothing keeps {{{name}}} apart from the wildcard or variable next to it, so that the value `1` could reach what belongs to `10`; put a `/` between them"
                )));
            }
        }
        if neighbours.iter().filter(|(_, kind, ..)| *kind == VariableType::Path).count() > 1 {
            return Err(bad(
                "two paths in one text can be divided in several ways; make one a slug".to_owned()
            ));
        }
        Ok(slots)
    }

    /// The type of one variable, of which `left` is what stands before it.
    fn kind(&mut self, name: &str, left: &str) -> Result<VariableType, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fine) {
            return Err(format!("`{{{name}}}` is no variable; write {{name}} with letters, digits and `_`"));
        }
        if left.ends_with('$') {
            return Err(format!(
                "write {{{name}}} without the `$`; policy variables of a vendor are not supported"
            ));
        }
        let kind = self.declared.get(name).ok_or_else(|| {
            format!(
                "the variable `{name}` is not declared; declare it with its type, such as {name} = \"slug\""
            )
        })?;
        self.used.insert(name.to_owned());
        Ok(kind.clone())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Whether a value ends for certain before the next wildcard or variable, going outward from it. `?` counts as a
/// wildcard, since it is one in some vendors' condition operators.
fn ends(kind: &VariableType, outward: impl Iterator<Item = char>, side: Side) -> bool {
    let mut slash = false;
    for c in outward {
        match c {
            '*' | '?' => return false,
            // Another variable, which is no path, so that it ends at the slash.
            '{' | '}' => return slash,
            '/' if *kind == VariableType::Path && side == Side::Right => return true,
            '/' if *kind == VariableType::Path => slash = true,
            c if !kind.uses(c) => return true,
            _ => {}
        }
    }
    true
}

fn without_braces(text: &str, what: &str) -> Result<(), BadTemplate> {
    if text.contains(['{', '}']) {
        return Err(BadTemplate(format!(
            "in `{text}`: {what} cannot hold a variable, only resources and condition values can"
        )));
    }
    Ok(())
}

fn stray(from: &str) -> String {
    let (brace, missing) = if from.starts_with('{') { ('{', '}') } else { ('}', '{') };
    format!("`{brace}` without `{missing}`; a variable is written {{name}}, and braces mean nothing else")
}

#[cfg(test)]
mod tests;
