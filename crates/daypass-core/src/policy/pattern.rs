//! Text with wildcards: what actions and resources are written in.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A pattern that matches whole strings: literal text with any number of `*`.
///
/// Normal form: no empty text, no two texts and no two `*` beside each other, so equal languages of simple
/// patterns have equal values. A text never holds a `*` itself: the vendors' documents cannot write a literal one,
/// so a pattern that held one would come back as a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Piece>")]
pub struct Pattern(Vec<Piece>);

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
        let mut pieces = Vec::new();
        for (n, part) in text.split('*').enumerate() {
            if n > 0 && pieces.last() != Some(&Piece::Any) {
                pieces.push(Piece::Any);
            }
            if !part.is_empty() {
                pieces.push(Piece::Text(part.to_owned()));
            }
        }
        Self(pieces)
    }

    /// A pattern of these pieces, brought to normal form. A text with a `*` in it is refused: it would be written
    /// like a wildcard, and whoever reads the document would take it for one.
    pub fn from_pieces(pieces: impl IntoIterator<Item = Piece>) -> Result<Self, LiteralStar> {
        let mut out: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (out.last_mut(), piece) {
                (_, Piece::Text(t)) if t.contains('*') => return Err(LiteralStar),
                (_, Piece::Text(t)) if t.is_empty() => {}
                (Some(Piece::Any), Piece::Any) => {}
                (Some(Piece::Text(last)), Piece::Text(t)) => last.push_str(&t),
                (_, piece) => out.push(piece),
            }
        }
        Ok(Self(out))
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether it matches every text.
    pub fn is_any(&self) -> bool {
        self.0 == [Piece::Any]
    }

    /// Whether it matches one text only.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(&Piece::Any)
    }

    /// Whether it matches this whole text, upper and lower case told apart. Each text after a wildcard is taken
    /// where it is first found, which is never wrong for `*`; nothing is tried twice, so that the time is linear.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text;
        let mut floating = false;
        let mut pieces = self.0.iter().peekable();
        while let Some(piece) = pieces.next() {
            let after = match piece {
                Piece::Any => {
                    floating = true;
                    continue;
                }
                Piece::Text(text) if !floating => rest.strip_prefix(text.as_str()),
                Piece::Text(text) if pieces.peek().is_none() => return rest.ends_with(text.as_str()),
                Piece::Text(text) => rest.split_once(text.as_str()).map(|(_, after)| after),
            };
            let Some(after) = after else { return false };
            rest = after;
        }
        floating || rest.is_empty()
    }

    /// How it is written.
    pub(super) fn spelling(&self) -> Cow<'_, str> {
        match self.0.as_slice() {
            [Piece::Text(text)] => Cow::Borrowed(text),
            [Piece::Any] => Cow::Borrowed("*"),
            _ => Cow::Owned(self.to_string()),
        }
    }

    /// Whether it matches every text that the other matches. Exact.
    ///
    /// The spelling of `inner`, with its stars, is itself one of the texts that `inner` matches; and since no
    /// literal text holds a star, only a wildcard of `self` can take one. So if `self` matches the spelling, then
    /// whatever stands in a star's place is taken by the same wildcard; and if it does not, the spelling is a
    /// text that proves the difference.
    pub fn covers(&self, inner: &Self) -> bool {
        self.matches(&inner.spelling())
    }
}

impl TryFrom<Vec<Piece>> for Pattern {
    type Error = LiteralStar;

    fn try_from(pieces: Vec<Piece>) -> Result<Self, LiteralStar> {
        Self::from_pieces(pieces)
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Any => f.write_str("*"),
        })
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
        let stored = r#"[{"Text":"a*"}]"#;
        assert!(serde_json::from_str::<Pattern>(stored).is_err());
    }

    #[test]
    fn what_was_stored_comes_back_in_normal_form() {
        let stored = r#"[{"Text":"a"},{"Text":""},{"Text":"b"},"Any","Any"]"#;
        assert_eq!(serde_json::from_str::<Pattern>(stored).unwrap(), Pattern::parse("ab*"));
        let pattern = Pattern::parse("cos:*Bucket*");
        let bytes = postcard::to_allocvec(&pattern).unwrap();
        assert_eq!(postcard::from_bytes::<Pattern>(&bytes).unwrap(), pattern);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn spelling_and_reading_are_inverse(text in "[ab*]{0,8}") {
            let pattern = Pattern::parse(&text);
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), pattern.clone());
            prop_assert_eq!(Pattern::from_pieces(pattern.pieces().to_vec()).unwrap(), pattern);
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
