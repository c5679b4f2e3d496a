//! Whether the sender of a request may do what it wants.

use super::{Facts, Wanted};
use crate::policy::{Access, Condition, Decision, Effect, Language, Policy, Truth, decide, statements_on};
use std::collections::BTreeSet;

/// Whether something is allowed, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The number, from 0, of the statement of the credential's policy that decided.
    pub statement: Option<usize>,
    /// Why.
    pub why: Why,
    /// The keys of conditions that were judged: something is known of them.
    pub judged: BTreeSet<String>,
    /// The keys of conditions that were not, because nothing is.
    pub unjudged: BTreeSet<String>,
}

/// Why something is allowed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A statement allows it, and none denies it.
    Allowed,
    /// The access token has the app role.
    AppRole,
    /// A statement denies it.
    Denied,
    /// No statement is about it.
    NoMatch,
    /// It would be allowed under a condition of which it cannot be told whether it holds.
    Condition,
    /// It would be allowed under a condition that does not hold.
    ConditionFalse,
    /// The boundary of the client, of the endpoint that made it, or of the tenant does not allow it now.
    Boundary,
    /// A client's own key has no policy: it is for asking Daypass, and for nothing else.
    PermanentKey,
    /// The access token does not have the app role.
    NoAppRole,
}

impl Why {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Allowed,
        Self::AppRole,
        Self::Denied,
        Self::NoMatch,
        Self::Condition,
        Self::ConditionFalse,
        Self::Boundary,
        Self::PermanentKey,
        Self::NoAppRole,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "statement_allows",
            Self::AppRole => "app_role",
            Self::Denied => "statement_denies",
            Self::NoMatch => "no_statement",
            Self::Condition => "condition_not_judged",
            Self::ConditionFalse => "condition_not_met",
            Self::Boundary => "boundary",
            Self::PermanentKey => "permanent_key",
            Self::NoAppRole => "no_app_role",
        }
    }

    /// Whether it is a yes.
    pub fn allows(self) -> bool {
        matches!(self, Self::Allowed | Self::AppRole)
    }
}

impl From<Why> for Judgement {
    /// One that no policy has to do with.
    fn from(why: Why) -> Self {
        Self { statement: None, why, judged: BTreeSet::new(), unjudged: BTreeSet::new() }
    }
}

impl Judgement {
    /// Whether it is allowed.
    pub fn allowed(&self) -> bool {
        self.why.allows()
    }

    /// What a temporary credential may do: its own policy, under the boundaries as they are now.
    pub(crate) fn of_policy<'a>(
        policy: &Policy,
        boundaries: impl IntoIterator<Item = &'a Policy>,
        wanted: &Wanted,
        facts: &Facts,
    ) -> Self {
        let mut found = Self::from(Why::NoMatch);
        (found.statement, found.why) = found.cautious(policy, wanted, facts);
        for boundary in boundaries {
            // A boundary that does not matter any more says nothing about its conditions.
            let outside = found.allowed()
                && (boundary.language != policy.language
                    || !found.cautious(boundary, wanted, facts).1.allows());
            if outside {
                (found.statement, found.why) = (None, Why::Boundary);
            }
        }
        found
    }

    /// What a client may do by its own key: nothing. It asks Daypass with it, and shows others what it gets.
    pub(crate) fn of_permanent_key() -> Self {
        Why::PermanentKey.into()
    }

    /// What an access token may do.
    pub(crate) fn of_app_roles(app_roles: &[String], wanted: &Wanted) -> Self {
        let has = app_roles.contains(&wanted.action);
        if has { Why::AppRole.into() } else { Why::NoAppRole.into() }
    }

    /// Decides by what is known, and notes of which conditions something is. Where nothing is, what denies is taken to
    /// hold and what allows is not.
    ///
    /// Attack: an API that does not say where a request came from must not thereby get around a condition on it.
    fn cautious(&mut self, policy: &Policy, wanted: &Wanted, facts: &Facts) -> (Option<usize>, Why) {
        let action = match policy.language {
            // The prefix means nothing, and policies are read without it.
            Language::Cam => wanted.action.strip_prefix("name/").unwrap_or(&wanted.action),
            Language::Ram => &wanted.action,
        };
        let access = Access { action, resource: &wanted.resource };
        let known = |condition: &Condition| facts.holds(policy.language, condition);
        for condition in statements_on(policy, access).flat_map(|(_, statement)| &statement.conditions) {
            let keys = if known(condition).is_some() { &mut self.judged } else { &mut self.unjudged };
            keys.insert(condition.key.clone());
        }
        let certain = |condition: &Condition| known(condition).unwrap_or(Truth::Unknown);
        let hopeful = |condition: &Condition| match certain(condition) {
            Truth::Unknown => Truth::True,
            told => told,
        };
        match decide(policy, access, &certain) {
            Decision::Denied(deny) => (Some(deny), Why::Denied),
            Decision::Allowed(allow) => (Some(allow), Why::Allowed),
            Decision::NoMatch => {
                if let Decision::Allowed(perhaps) = decide(policy, access, &hopeful) {
                    return (Some(perhaps), Why::Condition);
                }
                let mut about = statements_on(policy, access);
                let unmet = about.find(|(_, statement)| statement.effect == Effect::Allow).map(|(n, _)| n);
                (unmet, if unmet.is_some() { Why::ConditionFalse } else { Why::NoMatch })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Effect, Statement};
    use crate::testing::allow;
    use crate::verification::Known;

    fn wanted(action: &str) -> Wanted {
        Wanted { action: action.into(), resource: "*".into() }
    }

    /// Knows what the key of a condition says that it is.
    struct Told;

    impl Known for Told {
        fn holds(&self, _: Language, condition: &Condition) -> Option<Truth> {
            match condition.key.as_str() {
                "true" => Some(Truth::True),
                "false" => Some(Truth::False),
                "unreadable" => Some(Truth::Unknown),
                _ => None,
            }
        }
    }

    fn conditional(effect: Effect, keys: &[&str]) -> Statement {
        let mut statement = allow(Language::Cam, "soe:Init", "*").statements.remove(0);
        let condition = |key: &&str| Condition {
            operator: "ip_equal".into(),
            key: (*key).into(),
            values: vec!["10.0.0.0/8".into()],
        };
        (statement.effect, statement.conditions) = (effect, keys.iter().map(condition).collect());
        statement
    }

    fn judge(statements: Vec<Statement>, boundary: Option<&Policy>, facts: &Facts) -> Judgement {
        let policy = Policy { language: Language::Cam, statements };
        Judgement::of_policy(&policy, boundary, &wanted("soe:Init"), facts)
    }

    fn keys(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    use Effect::{Allow, Deny};

    #[test]
    fn what_nobody_knows_never_opens_and_always_closes() {
        let open = || conditional(Allow, &[]);
        for facts in [Facts::default(), Facts::new(Told)] {
            let judged = |statements| judge(statements, None, &facts);
            let of = |found: &Judgement| (found.statement, found.why);
            assert_eq!(of(&judged(vec![open()])), (Some(0), Why::Allowed));
            let perhaps = judged(vec![conditional(Allow, &["other"])]);
            assert_eq!(of(&perhaps), (Some(0), Why::Condition));
            assert_eq!((keys(&perhaps.judged), keys(&perhaps.unjudged)), (vec![], vec!["other"]));
            let denied = judged(vec![open(), conditional(Deny, &["other"])]);
            assert_eq!(of(&denied), (Some(1), Why::Denied));
            assert_eq!(keys(&denied.unjudged), ["other"]);
        }
        let other = Judgement::of_policy(
            &allow(Language::Cam, "soe:Init", "*"),
            None,
            &wanted("soe:Other"),
            &Facts::default(),
        );
        assert_eq!(other, Why::NoMatch.into());
        let named = allow(Language::Cam, "soe:Init", "*");
        assert!(Judgement::of_policy(&named, None, &wanted("name/soe:Init"), &Facts::default()).allowed());
    }

    #[test]
    fn what_is_known_decides() {
        let open = || conditional(Allow, &[]);
        for (statements, statement, why) in [
            (vec![conditional(Allow, &["true"])], Some(0), Why::Allowed),
            (vec![conditional(Allow, &["false"])], Some(0), Why::ConditionFalse),
            (vec![conditional(Allow, &["unreadable"])], Some(0), Why::Condition),
            (vec![conditional(Allow, &["true", "other"])], Some(0), Why::Condition),
            (vec![conditional(Allow, &["false", "other"])], Some(0), Why::ConditionFalse),
            (vec![conditional(Allow, &["false"]), conditional(Allow, &["other"])], Some(1), Why::Condition),
            (vec![open(), conditional(Deny, &["true"])], Some(1), Why::Denied),
            (vec![open(), conditional(Deny, &["false"])], Some(0), Why::Allowed),
            (vec![open(), conditional(Deny, &["unreadable"])], Some(1), Why::Denied),
            (vec![open(), conditional(Deny, &["false", "other"])], Some(0), Why::Allowed),
            (
                vec![conditional(Allow, &["false"]), conditional(Deny, &["false"])],
                Some(0),
                Why::ConditionFalse,
            ),
        ] {
            let found = judge(statements.clone(), None, &Facts::new(Told));
            assert_eq!((found.statement, found.why), (statement, why), "{statements:?}");
        }
        let found = judge(vec![conditional(Allow, &["true", "other"])], None, &Facts::new(Told));
        assert_eq!((keys(&found.judged), keys(&found.unjudged)), (vec!["true"], vec!["other"]));
    }

    #[test]
    fn todays_boundary_bounds_what_was_issued_yesterday() {
        let policy = allow(Language::Cam, "soe:*", "*");
        let judged = |boundary: &Policy| {
            Judgement::of_policy(&policy, [boundary], &wanted("soe:Init"), &Facts::default()).why
        };
        assert_eq!(judged(&allow(Language::Cam, "soe:Init", "*")), Why::Allowed);
        assert_eq!(judged(&allow(Language::Cam, "cos:*", "*")), Why::Boundary);
        assert_eq!(judged(&allow(Language::Ram, "soe:*", "*")), Why::Boundary, "never compared");
    }

    #[test]
    fn a_boundary_is_judged_by_the_same_facts() {
        let boundary =
            |key: &str| Policy { language: Language::Cam, statements: vec![conditional(Allow, &[key])] };
        for (key, why) in [("true", Why::Allowed), ("false", Why::Boundary), ("other", Why::Boundary)] {
            let boundary = boundary(key);
            let found = judge(vec![conditional(Allow, &[])], Some(&boundary), &Facts::new(Told));
            assert_eq!(found.why, why, "{key}");
            assert!(found.judged.contains(key) != found.unjudged.contains(key));
        }
        let denied = judge(vec![conditional(Deny, &[])], Some(&boundary("true")), &Facts::new(Told));
        assert_eq!((denied.why, denied.judged.len()), (Why::Denied, 0), "the boundary does not matter then");
    }

    #[test]
    fn an_app_role_is_the_one_of_this_very_name() {
        let has = |action: &str| Judgement::of_app_roles(&["orders.read".to_owned()], &wanted(action)).why;
        assert_eq!(has("orders.read"), Why::AppRole);
        for other in ["Orders.Read", "orders.rea", "orders.read ", "orders.*", "*", ""] {
            assert_eq!(has(other), Why::NoAppRole, "{other}");
        }
    }

    #[test]
    fn names_on_the_wire_are_distinct() {
        let names: BTreeSet<_> = Why::ALL.iter().map(|why| why.name()).collect();
        assert_eq!(names.len(), Why::ALL.len());
        assert_eq!(Why::ALL.iter().filter(|why| why.allows()).count(), 2);
    }
}
