//! Patterns of an operator's own for the values of variables.

use super::variable::{BadType, in_name};
use regex_automata::nfa::thompson::{self, pikevm::PikeVM};
use regex_automata::{Anchored, Input};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The longest value that a pattern may match, in bytes: that of a path.
const VALUE: usize = 256;
/// The longest pattern, in bytes.
const SOURCE: usize = 512;
/// How deep a pattern may be nested.
const DEPTH: u32 = 20;
/// How much memory a pattern may be compiled to, in bytes. Attack: counted repetitions inside each other multiply.
const COMPILED: usize = 1 << 20;

/// A regular expression that a value must match as a whole: classes, alternatives, groups and counted repetitions.
///
/// Which characters its values can have is read off the parsed expression, and not tried out: in one without anchors and
/// without empty classes every part takes part in some match, so that the letters of its parts are exactly those of its
/// values. One whose values could hold anything but letters, digits, `_`, `-` and `.` is refused, and so is one that
/// has no longest value. Of what it matches, a value is what begins with a letter or digit, behind each dot too. Matching is by simulation of all states at once: there is no backtracking.
#[derive(Clone)]
pub struct ValuePattern {
    source: String,
    letters: u128,
    longest: usize,
    matcher: PikeVM,
}

impl std::fmt::Debug for ValuePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ValuePattern").field(&self.source).finish()
    }
}

impl PartialEq for ValuePattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for ValuePattern {}

impl ValuePattern {
    pub(super) fn new(source: &str) -> Result<Self, BadType> {
        let bad = |why: &str| Err(BadType(format!("the pattern `{}` {why}", source.escape_debug())));
        if source.len() > SOURCE {
            return Err(BadType(format!("a pattern has at most {SOURCE} bytes")));
        }
        // Without Unicode: `\d` is ten digits and not those of every script, and case has no look-alikes.
        let mut parser = ParserBuilder::new().unicode(false).utf8(true).nest_limit(DEPTH).build();
        let Ok(expression) = parser.parse(source) else {
            return bad(
                "is no regular expression of ASCII classes, alternatives, groups and counted repetitions",
            );
        };
        let letters = match letters(&expression) {
            Ok(letters) => letters,
            Err(why) => return bad(&why),
        };
        if expression.properties().minimum_len().is_none_or(|least| least == 0) {
            return bad("matches the empty text; a value has at least one character");
        }
        let Some(longest) = expression.properties().maximum_len().filter(|most| *most <= VALUE) else {
            return bad(&format!(
                "has no bound, or one beyond {VALUE} characters; write how many, as in `[a-z]{{1,64}}`"
            ));
        };
        let whole = Hir::concat(vec![expression, Hir::look(Look::End)]);
        let config = thompson::Config::new().nfa_size_limit(Some(COMPILED));
        let compiled = thompson::Compiler::new().configure(config).build_from_hir(&whole);
        match compiled.map(PikeVM::new_from_nfa) {
            Ok(Ok(matcher)) => Ok(Self { source: source.to_owned(), letters, longest, matcher }),
            _ => bad("is too large"),
        }
    }

    /// As it is written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Bytes of its longest value.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether some value has this character.
    pub(super) fn uses(&self, c: char) -> bool {
        u8::try_from(c).is_ok_and(|byte| self.letters & bit(byte) > 0)
    }

    /// Whether it matches the whole of this text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
        text.len() <= self.longest && self.matcher.is_match(&mut self.matcher.create_cache(), input)
    }
}

/// The bit of an ASCII character; none of any other.
fn bit(byte: u8) -> u128 {
    1_u128.checked_shl(byte.into()).unwrap_or(0)
}

/// Every character that some match has, as bits; or why it cannot be taken.
fn letters(expression: &Hir) -> Result<u128, String> {
    let all = |parts: &[Hir]| parts.iter().try_fold(0, |so_far, part| Ok(so_far | letters(part)?));
    match expression.kind() {
        HirKind::Empty => Ok(0),
        HirKind::Literal(literal) => literal.0.iter().try_fold(0, |so_far, byte| Ok(so_far | one(*byte)?)),
        HirKind::Class(class) => in_class(class),
        HirKind::Look(_) => {
            Err("has an anchor; it is matched as a whole anyway, leave out `^`, `$` and `\\b`".to_owned())
        }
        HirKind::Repetition(repetition) => letters(&repetition.sub),
        HirKind::Capture(capture) => letters(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}

fn one(byte: u8) -> Result<u128, String> {
    let c = char::from(byte);
    if byte.is_ascii() && in_name(c) {
        return Ok(bit(byte));
    }
    Err(format!(
        "could admit `{}`; values have letters, digits, `_`, `-` and `.` (written `\\.`) alone",
        c.escape_debug()
    ))
}

fn in_class(class: &Class) -> Result<u128, String> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => {
            class.iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        Class::Bytes(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
    };
    if ranges.is_empty() {
        return Err("has a class that no character is in".to_owned());
    }
    let mut letters = 0;
    for (start, end) in ranges {
        // The first that is not ASCII is enough to name.
        for c in start..=end.min(0x80) {
            letters |= one(u8::try_from(c).unwrap_or(u8::MAX))?;
        }
        if start > 0x7f {
            one(u8::MAX)?;
        }
    }
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(source: &str) -> String {
        ValuePattern::new(source).map(|_| ()).expect_err(source).0
    }

    #[test]
    fn a_value_is_matched_whole() {
        let pattern = ValuePattern::new("[a-z]{2}-[0-9]{4}").unwrap();
        assert!(pattern.matches("cn-0001"));
        for value in ["cn-00010", "xcn-0001", "cn-0001\n", "cn-001", "CN-0001", "", "cn-\u{ff10}001"] {
            assert!(!pattern.matches(value), "{value:?}");
        }
        // The longer alternative is found although the shorter one comes first.
        let pattern = ValuePattern::new("a|ab|(abc)").unwrap();
        for (value, expected) in [("a", true), ("ab", true), ("abc", true), ("abcd", false), ("b", false)] {
            assert_eq!(pattern.matches(value), expected, "{value}");
        }
    }

    #[test]
    fn what_could_widen_a_policy_is_refused_wherever_it_stands() {
        for c in [
            "\\*", "\\?", "\\{", "\\}", "\\$", "\"", "'", "`", ":", "/", "%", " ", "\\x00", "\\n", "\\\\",
            "~", "@", "+",
        ] {
            let c = if c == "+" { "\\+" } else { c };
            for pattern in
                [format!("a{c}"), format!("[a{c}]"), format!("a|(b{c}){{1,2}}"), format!("(a|({c})?b)")]
            {
                assert!(refused(&pattern).contains("could admit"), "{pattern}");
            }
        }
        for pattern in [
            "[ -~]{1,3}",
            "[^a]",
            "\\D",
            "\\W",
            "\\s",
            "[[:punct:]]",
            "[!-/]",
            "(?s-u:.)",
            ".",
            "é",
            "[а-я]{1,2}",
            "\\x{2217}",
        ] {
            refused(pattern);
        }
    }

    #[test]
    fn what_cannot_be_matched_is_no_danger() {
        let pattern = ValuePattern::new("a\\*{0}b").unwrap();
        assert!(pattern.matches("ab") && !pattern.uses('*') && !pattern.matches("a*b"));
        let pattern = ValuePattern::new("[a-z*&&[a-z]]{1,3}").unwrap();
        assert!(pattern.matches("abc") && !pattern.uses('*') && !pattern.matches("*"));
    }

    #[test]
    fn a_pattern_has_bounds_and_no_anchors() {
        for (pattern, fault) in [
            ("", "empty text"),
            ("a?", "empty text"),
            ("[a-z]{0,3}", "empty text"),
            ("[a-z]+", "no bound"),
            ("a(bc)*", "no bound"),
            ("[a-z]{257}", "no bound"),
            ("([a-z]{16}){17}", "no bound"),
            ("^a$", "anchor"),
            ("a\\b", "anchor"),
            ("(?m:a$)", "anchor"),
            ("[a&&b]", "class that no character is in"),
            ("a|[b&&c]", "class that no character is in"),
            ("(", "no regular expression"),
            ("a)|(b", "no regular expression"),
            ("(a)\\1", "no regular expression"),
            ("(?=a)b", "no regular expression"),
            ("\\p{L}", "no regular expression"),
        ] {
            assert!(refused(pattern).contains(fault), "{pattern}: {}", refused(pattern));
        }
        refused(&"a".repeat(SOURCE + 1));
        refused(&("(".repeat(30) + "a" + &")".repeat(30)));
        assert!(ValuePattern::new("[a-z]{256}").is_ok());
    }

    #[test]
    fn a_pattern_that_backtracking_would_never_finish_is_quick() {
        let pattern = ValuePattern::new("((a{1,4}){1,4}){1,15}b").unwrap();
        assert!(!pattern.matches(&"a".repeat(256)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        // Whatever is taken: it matches nothing that has another character than it says.
        #[test]
        fn the_letters_of_a_pattern_are_those_of_its_values(
            pattern in "[a-c*?:.|()\\[\\]^\\\\{}0-2,&$-]{1,12}",
            texts in prop::collection::vec("[a-c*?:./$0-2-]{0,6}", 16),
        ) {
            let Ok(pattern) = ValuePattern::new(&pattern) else { return Ok(()) };
            for text in texts.iter().filter(|text| pattern.matches(text)) {
                prop_assert!(text.chars().all(|c| pattern.uses(c) && in_name(c)), "{text}");
                prop_assert!(!text.is_empty() && text.len() <= pattern.longest());
            }
        }
    }
}
