//! The comparisons themselves; what each language makes of them is tested beside its operators.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

/// The same question by trying everything.
fn brute(pattern: &[char], text: &[char], question_mark: bool) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        (['*', after @ ..], _) => (0..=text.len()).any(|n| brute(after, &text[n..], question_mark)),
        (['?', after @ ..], [_, rest @ ..]) if question_mark => brute(after, rest, question_mark),
        ([c, after @ ..], [d, rest @ ..]) => c == d && brute(after, rest, question_mark),
        (_, []) => false,
    }
}

fn order(a: &str, b: &str) -> Option<Ordering> {
    Some(Decimal::read(a)?.cmp(&Decimal::read(b)?))
}

#[test]
fn numbers_are_compared_exactly() {
    for (a, b, expected) in [
        ("1", "1.0", Ordering::Equal),
        ("-0", "0.00", Ordering::Equal),
        ("007", "7", Ordering::Equal),
        ("9007199254740993", "9007199254740992", Ordering::Greater),
        ("0.1", "0.10000000000000000000000001", Ordering::Less),
        ("-2", "-10", Ordering::Greater),
        ("-1", "1", Ordering::Less),
        ("10", "9", Ordering::Greater),
        ("-0.5", "-0.49", Ordering::Less),
        ("100000000000000000000000000000000000000000", "99999999999999999999", Ordering::Greater),
    ] {
        assert_eq!(order(a, b), Some(expected), "{a} {b}");
        assert_eq!(order(b, a), Some(expected.reverse()), "{b} {a}");
    }
    for wrong in ["", "-", ".", "1.", ".1", "+1", "1e3", "0x1", "1_000", " 1", "--1", "inf", "\u{661}"] {
        assert_eq!(Decimal::read(wrong), None, "{wrong}");
    }
}

#[test]
fn a_network_is_taken_with_host_bits_and_not_in_the_other_familys_clothes() {
    for (text, inside, outside) in [
        ("10.217.182.3/24", "10.217.182.200", "10.217.183.1"),
        ("10.217.182.3/24", "::ffff:10.217.182.1", "::ffff:10.217.181.1"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("2001:db8::1/32", "2001:db8:ffff::", "2001:db9::"),
        ("::1", "::1", "127.0.0.1"),
    ] {
        assert_eq!(Compare::Address.holds(text, inside), Truth::True, "{text} {inside}");
        assert_eq!(Compare::Address.holds(text, outside), Truth::False, "{text} {outside}");
    }
    for wrong in [
        "",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0.0/",
        "10.0.0",
        "010.0.0.1",
        "::ffff:10.0.0.0/104",
        "::/129",
    ] {
        assert!(network(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn letters_beyond_ascii_may_or_may_not_have_cases() {
    for (a, b, expected) in [
        ("Straße", "straße", Truth::True),
        ("STRASSE", "Straße", Truth::Unknown),
        ("É", "é", Truth::Unknown),
        // The Kelvin sign, which is a small k in lower case.
        ("\u{212a}", "k", Truth::Unknown),
        // The dotted capital I of Turkish is no i.
        ("\u{130}", "i", Truth::False),
        ("课", "课", Truth::True),
        ("a", "b", Truth::False),
    ] {
        assert_eq!(ignore_case(a, b), expected, "{a} {b}");
        assert_eq!(ignore_case(b, a), expected, "{b} {a}");
    }
}

#[test]
fn the_time_of_a_pattern_is_bounded_where_backtracking_explodes() {
    let pattern = "*a".repeat(200) + "*b";
    assert!(!like(&pattern, &"a".repeat(20_000), true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn patterns_match_what_trying_everything_says(
        pattern in "[ab*?课]{0,8}",
        text in "[ab?课]{0,9}",
        question_mark in any::<bool>(),
    ) {
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(like(&pattern, &text, question_mark), brute(&p, &t, question_mark));
    }

    #[test]
    fn numbers_are_ordered_as_integers_of_the_same_scale_are(a in any::<i32>(), b in any::<i32>(), zeros in "0{0,3}") {
        // Both with three digits behind the point, as a person would write them.
        let write = |n: i64| {
            let sign = if n < 0 { "-" } else { "" };
            format!("{sign}{zeros}{}.{:03}{zeros}", n.abs() / 1000, n.abs() % 1000)
        };
        prop_assert_eq!(order(&write(a.into()), &write(b.into())), Some(a.cmp(&b)));
    }

    #[test]
    fn a_value_that_nobody_can_read_makes_nothing_certain(
        compare in select(vec![
            Compare::Number(Order::Less), Compare::Date(Order::Equal), Compare::Bool, Compare::Binary, Compare::Address,
        ]),
        negated in any::<bool>(),
        quantifier in select(vec![Quantifier::One, Quantifier::Any, Quantifier::All]),
    ) {
        let rule = Rule::Compare { compare, negated, quantifier, absent: Truth::False };
        let wanted = ["1", "2026-01-01T00:00:00Z", "true", "QQ==", "10.0.0.1"].map(str::to_owned);
        prop_assert_eq!(rule.holds(&wanted, &["\u{0}?".to_owned()]), Truth::Unknown);
    }
}
