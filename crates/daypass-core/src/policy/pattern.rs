//! Text with wildcards: what actions and resources are written in.

use serde::{Deserialize, Serialize};

/// A pattern that matches whole strings: literal text with any number of `*`.
///
/// It is kept as it is written, in normal form: no two `*` beside each other. That is not ambiguous, because a
/// literal text never holds a `*`: the vendors' documents cannot write a literal one, so a pattern that held one
/// would come back as a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Pattern(String);

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Exactly this text.
    Text(String),
    /// Any text, the empty one included.
    Any,
}

/// A literal `*` was to be put into a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a literal `*` cannot be written in a policy")]
pub struct LiteralStar;

impl Pattern {
    /// Reads `*` as the wildcard and everything else as itself.
    pub fn parse(text: &str) -> Self {
        let mut spelling = String::with_capacity(text.len());
        for c in text.chars() {
            if c != '*' || !spelling.ends_with('*') {
                spelling.push(c);
            }
        }
        Self(spelling)
    }

    /// A pattern of these pieces. A text with a `*` in it is refused: it would be written like a wildcard, and
    /// whoever reads the document would take it for one.
    pub fn from_pieces(pieces: impl IntoIterator<Item = Piece>) -> Result<Self, LiteralStar> {
        let mut spelling = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) if text.contains('*') => return Err(LiteralStar),
                Piece::Text(text) => spelling.push_str(&text),
                Piece::Any if spelling.ends_with('*') => {}
                Piece::Any => spelling.push('*'),
            }
        }
        Ok(Self(spelling))
    }

    /// The pieces, in order. No text is empty, and no two texts and no two wildcards stand beside each other.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (n, text) in self.0.split('*').enumerate() {
            if n > 0 {
                pieces.push(Piece::Any);
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
        }
        pieces
    }

    /// How it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches every text.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether it matches one text only.
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether it matches this whole text, upper and lower case told apart, in linear time.
    pub fn matches(&self, text: &str) -> bool {
        glob(&self.0, text)
    }

    /// Whether it matches every text that the other matches. Exact.
    ///
    /// The spelling of `inner`, with its stars, is itself one of the texts that `inner` matches; and since no
    /// literal text holds a star, only a wildcard of `self` can take one. So if `self` matches the spelling, then
    /// whatever stands in a star's place is taken by the same wildcard; and if it does not, the spelling is a
    /// text that proves the difference.
    pub fn covers(&self, inner: &Self) -> bool {
        glob(&self.0, &inner.0)
    }
}

/// Whether a spelling matches the whole of a text. What stands between two wildcards is taken where it is first
/// found, which is never wrong for `*`; nothing is tried twice, so that the time is linear.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(last)
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::brute;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).matches(text)
    }

    fn covers(outer: &str, inner: &str) -> bool {
        Pattern::parse(outer).covers(&Pattern::parse(inner))
    }

    #[test]
    fn user_1_is_not_user_10() {
        assert!(matches("user/1", "user/1"));
        assert!(!matches("user/1", "user/10"));
        assert!(!matches("user/10", "user/1"));
        assert!(!matches("user/1/*", "user/10/x"));
        assert!(matches("user/1*", "user/10"));
        assert!(!covers("user/1", "user/10"));
        assert!(!covers("user/1/*", "user/10/*"));
        assert!(covers("user/1*", "user/10"));
    }

    #[test]
    fn a_text_is_matched_whole() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "line\nbreak \u{0} 世界", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*.example.com", "x.example.com.evil", false),
            ("cos:Put*", "cos:putObject", false),
            ("界*", "世界", false),
            ("世*", "世界", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_time_is_linear_where_backtracking_explodes() {
        let pattern = Pattern::parse(&("*a".repeat(2000) + "*b"));
        assert!(!pattern.matches(&"a".repeat(200_000)));
    }

    #[test]
    fn runs_of_stars_are_one() {
        assert_eq!(Pattern::parse("a***b"), Pattern::parse("a*b"));
        assert!(Pattern::parse("**").is_any());
    }

    #[test]
    fn a_literal_star_cannot_be_made() {
        assert_eq!(Pattern::from_pieces([Piece::Text("a*".into())]), Err(LiteralStar));
        assert_eq!(Pattern::from_pieces([Piece::Text("a".into()), Piece::Any]), Ok(Pattern::parse("a*")));
    }

    #[test]
    fn it_is_stored_as_it_is_written() {
        let pattern = Pattern::parse("cos:*Bucket*");
        assert_eq!(serde_json::to_string(&pattern).unwrap(), "\"cos:*Bucket*\"");
        assert_eq!(serde_json::from_str::<Pattern>("\"cos:**Bucket*\"").unwrap(), pattern);
        let bytes = postcard::to_allocvec(&pattern).unwrap();
        assert_eq!(postcard::from_bytes::<Pattern>(&bytes).unwrap(), pattern);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn spelling_and_reading_are_inverse(text in "[ab*]{0,8}") {
            let pattern = Pattern::parse(&text);
            prop_assert!(!pattern.as_str().contains("**"));
            prop_assert_eq!(Pattern::parse(pattern.as_str()), pattern.clone());
            prop_assert_eq!(Pattern::from_pieces(pattern.pieces()).unwrap(), pattern);
        }

        #[test]
        fn matching_is_what_backtracking_says(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            prop_assert_eq!(matches(&pattern, &text), brute::glob(&pattern, &text));
        }

        // The third letter stands in no pattern: it is what shows that a wildcard must be covered by a wildcard.
        #[test]
        fn covering_is_inclusion_of_all_texts(outer in "[ab*]{0,5}", inner in "[ab*]{0,5}") {
            let included = brute::texts("abc", 5)
                .iter()
                .all(|text| !brute::glob(&inner, text) || brute::glob(&outer, text));
            prop_assert_eq!(covers(&outer, &inner), included);
        }
    }
}
