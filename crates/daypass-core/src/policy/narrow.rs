//! Intersection of documents, and whether one is no wider than another.

use super::conditions::{follow_from, together};
use super::intersect::{Work, insert_maximal, maximal};
use super::segments::Shape;
use super::{Effect, Language, Pattern, Policy, Statement};

/// The most patterns that the intersection of two lists may have. A token holds 4096 bytes, so that a longer list
/// could not be handed out anyway.
const PATTERNS: usize = 256;

/// The intersection exists but cannot be written as a document of our model. The request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecided(pub String);

/// What a policy asks for that another does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// Index of the statement that asks for it.
    pub statement: usize,
    /// The action pattern that is not covered.
    pub action: String,
    /// The resource pattern that is not covered.
    pub resource: String,
}

/// The intersection of two documents: it allows exactly what both allow.
///
/// Every allowing statement of one is intersected with every one of the other; the denies of both are kept as they
/// are. Where nothing is allowed at all, the result has no statements. It is a valid policy, but a credential with
/// it is useless, and a vendor may take an empty document for none and give everything, so a caller must look
/// ([`Policy::allows_nothing`]).
pub fn narrow(a: &Policy, b: &Policy) -> Result<Policy, Undecided> {
    let language = a.language;
    if language != b.language {
        return Err(Undecided("one policy is written in CAM's language and the other in RAM's".to_owned()));
    }
    let inside = |inner: &Statement, outer: &Statement| covers_statement(language, outer, inner);
    let of = |policy: &Policy, effect: Effect| -> Vec<Statement> {
        policy.statements.iter().filter(|statement| statement.effect == effect).cloned().collect()
    };
    // A statement that lies inside one of the other side is its own intersection with all of them. The rest meets
    // pair by pair.
    let (allows_a, allows_b) = (of(a, Effect::Allow), of(b, Effect::Allow));
    let (mut allows, rest_a): (Vec<_>, Vec<_>) =
        allows_a.iter().cloned().partition(|one| allows_b.iter().any(|other| inside(one, other)));
    let (whole_b, rest_b): (Vec<_>, Vec<_>) =
        allows_b.into_iter().partition(|one| allows_a.iter().any(|other| inside(one, other)));
    allows.extend(whole_b);
    let mut work = Work::new();
    for one in &rest_a {
        for other in &rest_b {
            allows.extend(meet(language, one, other, &mut work)?);
        }
    }
    let mut statements = maximal(allows, |outer, inner| inside(inner, outer));
    if !statements.is_empty() {
        for deny in of(a, Effect::Deny).into_iter().chain(of(b, Effect::Deny)) {
            if !statements.contains(&deny) {
                statements.push(deny);
            }
        }
    }
    Ok(Policy { language, statements })
}

/// Whether all that the allowing statements of `inner` allow is allowed by those of `outer`. When this cannot be
/// told, the answer is that it is not.
///
/// It is judged by pairs: every action pattern with every resource pattern of a statement of `inner` must lie in
/// one statement of `outer`, whose conditions follow from those of the inner one. A pair that lies wholly inside a
/// deny of `outer` is refused, because it would give nothing. A deny that takes a part of a pair is not looked at
/// here: [`narrow`] keeps it in the result.
pub fn covers(outer: &Policy, inner: &Policy) -> Result<(), Uncovered> {
    let language = inner.language;
    for (index, statement) in inner.statements.iter().enumerate() {
        if statement.effect == Effect::Deny {
            continue;
        }
        let candidates = || {
            let comparable = if outer.language == language { outer.statements.as_slice() } else { &[] };
            comparable.iter().filter(|other| follow_from(&other.conditions, &statement.conditions))
        };
        for action in &statement.actions {
            for resource in &statement.resources {
                let has = |other: &Statement| covers_pair(language, other, action, resource);
                let given = candidates().any(|other| other.effect == Effect::Allow && has(other));
                if !given || candidates().any(|other| other.effect == Effect::Deny && has(other)) {
                    return Err(Uncovered {
                        statement: index,
                        action: action.to_string(),
                        resource: resource.to_string(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// Whether a statement applies to all that an allowing pair of patterns matches. A deny is read the wide way.
pub(super) fn covers_pair(
    language: Language,
    statement: &Statement,
    action: &Pattern,
    resource: &Pattern,
) -> bool {
    let Statement { actions, resources, .. } = statement;
    match statement.effect {
        Effect::Allow => {
            actions.iter().any(|outer| Shape::ACTION.covers(outer, action))
                && resources.iter().any(|outer| Shape::resource(language).covers(outer, resource))
        }
        Effect::Deny => {
            actions.iter().any(|outer| outer.covers(action))
                && resources.iter().any(|outer| outer.covers(resource))
        }
    }
}

/// Whether one allowing statement allows all that another one does.
fn covers_statement(language: Language, outer: &Statement, inner: &Statement) -> bool {
    let every = |shape: Shape, outer: &[Pattern], inner: &[Pattern]| {
        inner.iter().all(|i| outer.iter().any(|o| shape.covers(o, i)))
    };
    every(Shape::ACTION, &outer.actions, &inner.actions)
        && every(Shape::resource(language), &outer.resources, &inner.resources)
        && follow_from(&outer.conditions, &inner.conditions)
}

/// The intersection of two allowing statements; none where there is nothing in it.
fn meet(
    language: Language,
    a: &Statement,
    b: &Statement,
    work: &mut Work,
) -> Result<Option<Statement>, Undecided> {
    let actions = meet_lists(Shape::ACTION, &a.actions, &b.actions, work);
    let resources = meet_lists(Shape::resource(language), &a.resources, &b.resources, work);
    let conditions = together(&a.conditions, &b.conditions);
    // One empty part makes the whole empty, whether or not the others can be told.
    let nothing = |list: &Result<Vec<Pattern>, Undecided>| list.as_ref().is_ok_and(Vec::is_empty);
    if nothing(&actions) || nothing(&resources) || conditions.as_ref().is_ok_and(Option::is_none) {
        return Ok(None);
    }
    let Some(conditions) = conditions? else { return Ok(None) };
    Ok(Some(Statement { effect: Effect::Allow, actions: actions?, resources: resources?, conditions }))
}

fn meet_lists(
    shape: Shape,
    a: &[Pattern],
    b: &[Pattern],
    work: &mut Work,
) -> Result<Vec<Pattern>, Undecided> {
    let mut met: Vec<Pattern> = Vec::new();
    for one in a {
        for other in b {
            let both = shape.intersect(one, other, work).ok_or_else(|| {
                Undecided(format!(
                    "what `{one}` and `{other}` have in common cannot be written as a few patterns"
                ))
            })?;
            for pattern in both {
                insert_maximal(&mut met, pattern, &|outer, inner| shape.covers(outer, inner));
            }
            if met.len() > PATTERNS {
                return Err(Undecided(format!(
                    "an intersection has more than {PATTERNS} actions or resources"
                )));
            }
        }
    }
    Ok(met)
}

#[cfg(test)]
mod tests;
