//! Texts of forms, queries and error messages.

use std::borrow::Cow;

/// Decodes one name or value of a query or form: `+` is a blank, `%` begins two hexadecimal digits, and the
/// result is UTF-8. Anything else is nothing, rather than the replacement characters of a lenient decoder.
pub(crate) fn form_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(Cow::Borrowed(text));
    }
    let nibble = |c: Option<u8>| char::from(c?).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => nibble(bytes.next())? << 4 | nibble(bytes.next())?,
            other => other,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// At most `limit` characters of a caller's text, for an error message.
pub(crate) fn shown(text: &str) -> &str {
    const LIMIT: usize = 96;
    text.char_indices().nth(LIMIT).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_once_and_strictly() {
        assert_eq!(form_decode("a+b%2A%252A").as_deref(), Some("a b*%2A"));
        assert_eq!(form_decode("%E8%AF%BE").as_deref(), Some("课"));
        assert_eq!(form_decode("课").as_deref(), Some("课"));
        for bad in ["%", "%2", "%2g", "%+1", "%ff", "%c0%af"] {
            assert_eq!(form_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        assert_eq!(shown(&"课".repeat(200)).chars().count(), 96);
    }
}
