use super::*;
use daypass_core::policy::{Condition, Language, Pattern, VariableType};
use daypass_core::testing::allow;
use serde_json::json;

fn asked(policy: &str) -> Asked {
    serde_json::from_value(json!({ "role": { "named": "r" }, "form": "alibaba", "policy": policy })).unwrap()
}

/// A role that reads and writes what is one tenant's, and may delete nothing.
fn template() -> Template {
    let mut policy = allow(Language::Ram, "oss:GetObject", "acs:oss:*:*:b/{t}/*");
    policy.statements.extend(allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:b/{t}/*").statements);
    policy.statements.extend(allow(Language::Ram, "oss:Delete*", "*").statements);
    policy.statements[2].effect = Effect::Deny;
    Template::new(policy, &[("t".to_owned(), VariableType::Slug)].into()).unwrap()
}

fn values(t: &str) -> BTreeMap<String, String> {
    [("t".to_owned(), t.to_owned())].into()
}

fn get(t: &str) -> Policy {
    allow(Language::Ram, "oss:GetObject", &format!("acs:oss:*:*:b/{t}/a"))
}

#[test]
fn a_statement_that_no_narrower_policy_touches_was_not_needed() {
    let mut found = Statements::default();
    for t in ["hema", "other"] {
        found.take(&template(), &values(t), &get(t), Some(&asked("issued")));
    }
    assert_eq!((found.grants, found.whole, found.strange), (2, 0, 0));
    assert_eq!(found.never_needed(), [(2, "allow oss:PutObject on acs:oss:*:*:b/hema/*")]);
    let put = allow(Language::Ram, "oss:*", "acs:oss:*:*:b/hema/*");
    found.take(&template(), &values("hema"), &put, Some(&asked("issued")));
    assert_eq!(found.never_needed(), []);
}

#[test]
fn whoever_asks_for_everything_needs_everything() {
    let mut found = Statements::default();
    let whole = template().bind(&values("hema")).unwrap();
    found.take(&template(), &values("hema"), &whole, Some(&asked("none")));
    assert_eq!((found.whole, found.never_needed().len()), (1, 0));
    let mut older = Statements::default();
    older.take(&template(), &values("hema"), &get("hema"), None);
    assert_eq!(older.whole, 1, "the record does not say what was asked for");
}

#[test]
fn what_a_boundary_cuts_off_for_everybody_is_needed_by_nobody() {
    let mut found = Statements::default();
    found.take(&template(), &values("hema"), &get("hema"), Some(&asked("none")));
    assert_eq!(found.never_needed().len(), 1, "nobody ever got it");
}

#[test]
fn what_cannot_be_told_counts_as_needed() {
    let condition = |value: &str| Condition {
        operator: "StringLike".into(),
        key: "oss:Prefix".into(),
        values: vec![value.into()],
    };
    let mut policy = allow(Language::Ram, "oss:ListObjects", "*");
    policy.statements[0].conditions = vec![condition("a*")];
    let template = Template::new(policy.clone(), &BTreeMap::new()).unwrap();
    policy.statements[0].conditions = vec![condition("*b")];
    let mut found = Statements::default();
    found.take(&template, &BTreeMap::new(), &policy, Some(&asked("issued")));
    assert_eq!(found.never_needed(), []);
}

#[test]
fn a_role_with_other_variables_now_is_not_judged() {
    let mut found = Statements::default();
    found.take(&template(), &BTreeMap::new(), &get("hema"), Some(&asked("issued")));
    found.take(&template(), &values("hema"), &get("hema"), Some(&asked("issued")));
    assert_eq!((found.strange, found.never_needed()), (1, vec![]));
}

#[test]
fn all_that_were_not_needed_can_go_together() {
    // Two statements that say the same, and one that says something else.
    let mut policy = allow(Language::Ram, "oss:GetObject", "*");
    policy.statements.push(policy.statements[0].clone());
    policy.statements.extend(allow(Language::Ram, "oss:PutObject", "*").statements);
    let template = Template::new(policy, &BTreeMap::new()).unwrap();
    let mut found = Statements::default();
    let mut issued = allow(Language::Ram, "oss:GetObject", "acs:oss:*:*:b/1");
    issued.statements[0].actions.push(Pattern::parse("oss:GetObject"));
    found.take(&template, &BTreeMap::new(), &issued, Some(&asked("issued")));
    let never: Vec<_> = found.never_needed().into_iter().map(|(n, _)| n).collect();
    assert_eq!(never, [3], "without both of the first two the asks would be refused");
}
