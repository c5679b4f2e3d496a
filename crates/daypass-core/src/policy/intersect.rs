//! The intersection of two patterns, written as a union of patterns.
//!
//! Two patterns with wildcards meet in several ways: `*ab` and `ab*` in `ab*ab` and in `ab`, where the two texts
//! fall on each other. All of them together are the exact intersection, so all of them are found, or none.

use super::Pattern;
use super::pattern::glob;

/// The most patterns that an intersection may fall into. Documents that people write need one to four; each
/// further one makes the credential's token longer.
pub(super) const MEMBERS: usize = 16;
/// The most that may be held on the way, before what is covered by something else falls out.
const HELD: usize = 4 * MEMBERS;
/// The longest pattern that is taken apart, in characters. Object names end at about this length.
const LENGTH: usize = 1024;
/// The most wildcards of both patterns together: it bounds the depth of the recursion.
const WILDCARDS: usize = 32;

/// How much work may still be spent. Without this bound one request's policy of a few thousand stars would keep a
/// thread busy for minutes, because the number of ways to meet grows like a binomial coefficient.
pub(super) struct Work(usize);

impl Work {
    /// Enough for any pair of real documents; in the worst case some ten milliseconds.
    pub(super) fn new() -> Self {
        Self(50_000)
    }

    fn spend(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

impl Pattern {
    /// The texts that both match, as patterns of which none covers another. Empty: no text is matched by both.
    /// None: it would take more than 16 patterns or too much work, so it cannot be told.
    pub fn intersect(&self, other: &Self) -> Option<Vec<Self>> {
        self.intersect_within(other, &mut Work::new())
    }

    pub(super) fn intersect_within(&self, other: &Self, work: &mut Work) -> Option<Vec<Self>> {
        if self.covers(other) {
            return Some(vec![other.clone()]);
        }
        if other.covers(self) {
            return Some(vec![self.clone()]);
        }
        if self.is_literal() || other.is_literal() {
            return Some(Vec::new());
        }
        let (a, b): (Vec<char>, Vec<char>) = (letters(self), letters(other));
        // What ends differently has nothing in common, however many wildcards come before.
        let tail = a.iter().rev().zip(b.iter().rev()).find(|(x, y)| x != y || **x == '*');
        if tail.is_some_and(|(x, y)| *x != '*' && *y != '*') {
            return Some(Vec::new());
        }
        let wildcards = a.iter().chain(&b).filter(|c| **c == '*').count();
        if a.len().max(b.len()) > LENGTH || wildcards > WILDCARDS {
            return None;
        }
        let met = meet(&a, &b, work)?;
        (met.len() <= MEMBERS).then(|| met.into_iter().map(Self::from).collect())
    }
}

/// The spelling, letter by letter. In it `*` is always the wildcard.
fn letters(pattern: &Pattern) -> Vec<char> {
    pattern.as_str().chars().collect()
}

/// The intersection of what is left of two patterns.
fn meet(a: &[char], b: &[char], work: &mut Work) -> Option<Vec<String>> {
    work.spend()?;
    let same = a.iter().zip(b).take_while(|(x, y)| x == y && **x != '*').count();
    let ((head, a), (_, b)) = (a.split_at(same), b.split_at(same));
    let met = match (a, b) {
        ([] | ['*'], []) | ([], ['*']) => vec![String::new()],
        // One of the wildcards begins no later than the other; from there on, that one is spent.
        (['*', after_a @ ..], ['*', after_b @ ..]) => {
            let mut met = meet(after_a, b, work)?;
            met.extend(meet(a, after_b, work)?);
            prefixed(&['*'], met)
        }
        (['*', after @ ..], [_, ..]) => slide(a, after, b, work)?,
        ([_, ..], ['*', after @ ..]) => slide(b, after, a, work)?,
        _ => Vec::new(),
    };
    let met = maximal(prefixed(head, met), |outer, inner| glob(outer, inner));
    (met.len() <= HELD).then_some(met)
}

/// A wildcard meets literal text: it may take any number of its letters. Past the last one it meets the other
/// side's own wildcard, or the end.
fn slide(wild: &[char], after: &[char], literal: &[char], work: &mut Work) -> Option<Vec<String>> {
    let run = literal.iter().take_while(|c| **c != '*').count();
    let mut met = Vec::new();
    for taken in 0..=run {
        let (head, rest) = literal.split_at(taken);
        let rest = if rest.first() == Some(&'*') { meet(wild, rest, work) } else { meet(after, rest, work) };
        met.extend(prefixed(head, rest?));
    }
    Some(met)
}

fn prefixed(head: &[char], mut tails: Vec<String>) -> Vec<String> {
    if !head.is_empty() {
        let head: String = head.iter().collect();
        for tail in &mut tails {
            tail.insert_str(0, &head);
        }
    }
    tails
}

/// Leaves out what another one covers; of several that cover each other the first stays.
pub(super) fn maximal<T>(items: Vec<T>, covers: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        insert_maximal(&mut kept, item, &covers);
    }
    kept
}

/// Adds one to those of which none covers another.
pub(super) fn insert_maximal<T>(kept: &mut Vec<T>, item: T, covers: &impl Fn(&T, &T) -> bool) {
    if !kept.iter().any(|other| covers(other, &item)) {
        kept.retain(|other| !covers(&item, other));
        kept.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::brute;
    use proptest::prelude::*;

    fn intersect(a: &str, b: &str) -> Option<Vec<String>> {
        let met = Pattern::parse(a).intersect(&Pattern::parse(b))?;
        let mut met: Vec<_> = met.iter().map(Pattern::to_string).collect();
        met.sort();
        Some(met)
    }

    #[test]
    fn texts_may_fall_on_each_other() {
        for (a, b, expected) in [
            ("*", "a", vec!["a"]),
            ("a*", "*b", vec!["a*b"]),
            ("ab*", "*ab", vec!["ab", "ab*ab"]),
            ("ab*", "*bc", vec!["ab*bc", "abc"]),
            ("*ab*", "*ba*", vec!["*ab*ba*", "*aba*", "*ba*ab*", "*bab*"]),
            ("oss:Put*", "oss:*Object", vec!["oss:Put*Object"]),
            ("a*c", "a*b*c", vec!["a*b*c"]),
        ] {
            assert_eq!(intersect(a, b).unwrap(), expected, "{a} {b}");
            assert_eq!(intersect(b, a).unwrap(), expected, "{b} {a}");
        }
    }

    #[test]
    fn what_has_nothing_in_common_meets_nowhere() {
        for (a, b) in [
            ("user/1", "user/10"),
            ("user/1/*", "user/10/*"),
            ("a*", "b*"),
            ("*a", "*b"),
            ("a*a", "a"),
            ("x*/1", "x*/10"),
            ("", "a"),
        ] {
            assert_eq!(intersect(a, b).unwrap(), Vec::<String>::new(), "{a} {b}");
        }
    }

    #[test]
    fn a_union_of_too_many_cannot_be_told() {
        assert_eq!(intersect("*a*b*c*", "*d*e*f*"), None);
        assert_eq!(intersect(&"*a".repeat(40), &"*b*a".repeat(20)), None);
    }

    #[test]
    fn a_pair_made_to_be_slow_is_given_up() {
        let (a, b) = ("*aaaaaaab".repeat(12) + "*", "*aaaaaaac".repeat(12) + "*");
        assert_eq!(intersect(&a, &b), None);
        let long = "a".repeat(LENGTH);
        assert_eq!(intersect(&format!("{long}*"), &format!("*{long}")), None);
    }

    #[test]
    fn work_is_shared_by_all_pairs_of_a_document() {
        let mut work = Work(3);
        let (a, b) = (Pattern::parse("ab*"), Pattern::parse("*ba"));
        assert!(a.intersect_within(&b, &mut work).is_none());
        assert!(a.intersect_within(&b, &mut Work::new()).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_union_is_exactly_what_both_match(a in "[ab*]{0,6}", b in "[ab*]{0,6}") {
            let Some(met) = intersect(&a, &b) else { return Ok(()) };
            for text in brute::texts("ab", 8) {
                let both = brute::glob(&a, &text) && brute::glob(&b, &text);
                prop_assert_eq!(met.iter().any(|m| brute::glob(m, &text)), both, "{} in {:?}", text, met);
            }
        }

        // Short patterns always have an answer: giving up must not be a way to pass the property above.
        #[test]
        fn short_patterns_are_always_told(a in "[abc]{0,2}[*][abc]{0,2}", b in "[abc*]{0,5}") {
            prop_assert!(intersect(&a, &b).is_some());
        }

        #[test]
        fn no_member_covers_another(a in "[ab*]{0,6}", b in "[ab*]{0,6}") {
            let met = Pattern::parse(&a).intersect(&Pattern::parse(&b)).unwrap_or_default();
            for (n, one) in met.iter().enumerate() {
                prop_assert!(met.iter().enumerate().all(|(m, other)| n == m || !one.covers(other)));
            }
        }
    }
}
