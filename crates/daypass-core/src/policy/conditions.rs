//! Conditions of two statements taken together.

use super::{Condition, Undecided};
use std::collections::BTreeMap;

/// Operators that compare whole texts, where "one of A, and one of B" is "one of what A and B share". For every
/// other operator two lists under one key cannot be written as one list. The `_if_exist` forms are not here: they
/// hold where the key is absent, and an empty list could not say so.
const EXACT: [&str; 2] = ["string_equal", "StringEquals"];

/// Whether this condition holds wherever the other does, as far as can be told.
fn follows_from(condition: &Condition, other: &Condition) -> bool {
    let same = condition.operator == other.operator && condition.key == other.key;
    let fewer = || other.values.iter().all(|value| condition.values.contains(value));
    condition == other || same && EXACT.contains(&condition.operator.as_str()) && fewer()
}

/// Whether all of `looser` hold wherever all of `stricter` do, as far as can be told.
pub(super) fn follow_from(looser: &[Condition], stricter: &[Condition]) -> bool {
    looser.iter().all(|condition| stricter.iter().any(|other| follows_from(condition, other)))
}

/// The conditions that hold where all of both hold, sorted. None: they can never hold together.
pub(super) fn together(a: &[Condition], b: &[Condition]) -> Result<Option<Vec<Condition>>, Undecided> {
    // A vendor's document is a map from operator to key to values. It has one place for each of these, and a
    // vendor may well look them up without regard to case.
    let mut places: BTreeMap<(String, String), Condition> = BTreeMap::new();
    for condition in a.iter().chain(b) {
        let place = (condition.operator.to_ascii_lowercase(), condition.key.to_ascii_lowercase());
        let Some(held) = places.get_mut(&place) else {
            places.insert(place, condition.clone());
            continue;
        };
        if held == condition {
            continue;
        }
        let same = held.operator == condition.operator && held.key == condition.key;
        if !same || !EXACT.contains(&held.operator.as_str()) {
            return Err(Undecided(format!(
                "two different conditions `{}` on `{}` cannot be written as one",
                condition.operator, condition.key
            )));
        }
        held.values.retain(|value| condition.values.contains(value));
        if held.values.is_empty() {
            return Ok(None);
        }
    }
    let mut all: Vec<_> = places.into_values().collect();
    all.sort_unstable();
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(operator: &str, key: &str, values: &[&str]) -> Condition {
        let values = values.iter().map(ToString::to_string).collect();
        Condition { operator: operator.into(), key: key.into(), values }
    }

    #[test]
    fn different_keys_stand_side_by_side() {
        let ip = condition("ip_equal", "qcs:ip", &["10.0.0.0/8"]);
        let prefix = condition("string_like", "cos:prefix", &["a/*"]);
        let both = together(std::slice::from_ref(&prefix), std::slice::from_ref(&ip)).unwrap().unwrap();
        assert_eq!(both, [ip, prefix]);
    }

    #[test]
    fn the_same_condition_is_written_once() {
        let ip = [condition("ip_equal", "qcs:ip", &["10.0.0.0/8"])];
        assert_eq!(together(&ip, &ip).unwrap().unwrap(), ip);
    }

    #[test]
    fn exact_equality_keeps_what_both_lists_have() {
        for operator in EXACT {
            let a = [condition(operator, "k", &["a", "b"])];
            let b = [condition(operator, "k", &["b", "c"])];
            assert_eq!(together(&a, &b).unwrap().unwrap(), [condition(operator, "k", &["b"])]);
            assert_eq!(together(&a, &[condition(operator, "k", &["c"])]).unwrap(), None);
        }
    }

    #[test]
    fn other_operators_are_not_put_into_one_list() {
        for operator in [
            "string_like",
            "StringLike",
            "string_not_equal",
            "ip_equal",
            "numeric_less_than",
            "string_equal_if_exist",
            "for_any_value:string_equal",
        ] {
            let a = [condition(operator, "k", &["1", "2"])];
            let b = [condition(operator, "k", &["2"])];
            assert!(together(&a, &b).is_err(), "{operator}");
        }
    }

    #[test]
    fn a_key_in_another_case_is_neither_the_same_nor_another() {
        let a = [condition("StringEquals", "acs:SourceVpc", &["x"])];
        let b = [condition("StringEquals", "acs:sourcevpc", &["x"])];
        assert!(together(&a, &b).is_err());
        assert!(!follow_from(&a, &b));
    }

    #[test]
    fn fewer_conditions_follow_from_more() {
        let ip = condition("ip_equal", "qcs:ip", &["10.0.0.0/8"]);
        let name = condition("string_equal", "k", &["a", "b"]);
        let both = [ip.clone(), name.clone()];
        assert!(follow_from(&[], &both));
        assert!(follow_from(std::slice::from_ref(&ip), &both));
        assert!(!follow_from(&both, &[ip]));
        assert!(follow_from(std::slice::from_ref(&name), &[condition("string_equal", "k", &["a"])]));
        assert!(!follow_from(&[name], &[condition("string_equal", "k", &["a", "c"])]));
        let like = |values: &[&str]| [condition("string_like", "k", values)];
        assert!(!follow_from(&like(&["a", "b"]), &like(&["a"])));
    }
}
