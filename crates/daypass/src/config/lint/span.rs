//! Where a statement stands inside the text of a policy.

use std::ops::Range;

/// The bytes of a statement (from 0) in a TOML string that holds a policy document.
///
/// None for a string in double quotes, whose escapes are not the document's own text, and where there is no such
/// statement. It looks at nothing but braces and strings: the document was understood before.
pub(super) fn statement(literal: &str, index: usize) -> Option<Range<usize>> {
    literal.starts_with('\'').then_some(())?;
    let (mut depth, mut begun, mut found) = (0_usize, 0, 0);
    let mut text = Text::default();
    for (at, c) in literal.char_indices() {
        if text.holds(c) {
            continue;
        }
        match c {
            '{' => {
                // The document is the first one; what opens inside it is a statement, alone or in a list.
                if depth == 1 {
                    begun = at;
                }
                depth += 1;
            }
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 1 && found == index {
                    return Some(begun..at + 1);
                }
                found += usize::from(depth == 1);
            }
            _ => {}
        }
    }
    None
}

/// Whether we are inside a JSON string.
#[derive(Default)]
struct Text {
    open: bool,
    escaped: bool,
}

impl Text {
    /// Whether this character is a part of a string.
    fn holds(&mut self, c: char) -> bool {
        match (self.open, c) {
            (false, '"') => self.open = true,
            (false, _) => return false,
            (true, _) if self.escaped => self.escaped = false,
            (true, '\\') => self.escaped = true,
            (true, '"') => self.open = false,
            (true, _) => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(literal: &str, index: usize) -> Option<&str> {
        statement(literal, index).and_then(|span| literal.get(span))
    }

    #[test]
    fn a_statement_is_found_alone_and_in_a_list() {
        let one = r#"'{"version":"2.0","statement":{"effect":"allow"}}'"#;
        assert_eq!((of(one, 0), of(one, 1)), (Some(r#"{"effect":"allow"}"#), None));
        let three = "'''\n{\"Statement\": [\n  {\"a\": {\"b\": {}}},\n  {\"}\": \"\\\"{\"}, {}]}'''";
        assert_eq!(of(three, 0), Some("{\"a\": {\"b\": {}}}"));
        assert_eq!(of(three, 1), Some("{\"}\": \"\\\"{\"}"));
        assert_eq!((of(three, 2), of(three, 3)), (Some("{}"), None));
    }

    #[test]
    fn a_string_with_escapes_is_not_looked_into() {
        assert_eq!(of(r#""{\"statement\":{}}""#, 0), None);
        assert_eq!(of("", 0), None);
    }

    proptest! {
        #[test]
        fn any_text_gives_a_piece_of_it_or_nothing(text: String, index in 0..4_usize) {
            let literal = format!("'{text}'");
            if let Some(span) = statement(&literal, index) {
                let piece = literal.get(span);
                let whole = piece.is_some_and(|piece| piece.starts_with('{') && piece.ends_with('}'));
                prop_assert!(whole, "{:?}", piece);
            }
        }
    }
}
