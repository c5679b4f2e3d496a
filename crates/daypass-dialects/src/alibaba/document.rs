//! What an answer says, apart from the language it is written in.
//!
//! A [`Document`] names its members once, and the two writers make JSON or XML of them. So the two always carry
//! the same facts, and nothing is built in between.

use super::json::JsonWriter;
use super::wire::Format;
use super::xml::XmlWriter;
use std::fmt::Display;

/// A tree of named members.
pub(super) trait Document {
    /// The name of the outermost member.
    const ROOT: &'static str;

    /// Writes the members of the root, in order.
    fn members<W: Writer>(&self, writer: &mut W);
}

/// Writes members. Characters that XML 1.0 cannot carry are dropped in either language.
pub(super) trait Writer {
    /// A text.
    fn text(&mut self, name: &str, value: impl Display);
    /// A number or a truth value.
    fn literal(&mut self, name: &str, value: impl Display);
    /// A member with members.
    fn object(&mut self, name: &str, members: impl FnOnce(&mut Self));
    /// A list of texts. Their item name is `string`.
    fn texts(&mut self, name: &str, values: impl IntoIterator<Item = impl Display>);
    /// A list of objects. Their item name is the name of their type.
    fn objects<T>(
        &mut self,
        name: &str,
        item: &str,
        values: impl IntoIterator<Item = T>,
        members: impl Fn(&mut Self, T),
    );
}

/// How JSON shows the root and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// With the root, and a list as an object with one member that has the item's name. SDKs that expect this
    /// read a plain list as nothing, without an error.
    Wrapped,
    /// `simplify=true`: without the root, and a list as a plain array.
    Simple,
}

/// Writes a whole document. XML knows one style only.
pub(super) fn write<D: Document>(document: &D, format: Format, style: Style) -> String {
    match format {
        Format::Json => JsonWriter::document(document, style),
        Format::Xml => XmlWriter::document(document),
    }
}

/// About as much as a whole answer has.
pub(super) const CAPACITY: usize = 2048;

/// Whether XML 1.0 can carry a character (its production `Char`, section 2.2).
///
/// Attack: one character that it cannot carry, in a text that a caller chose, makes the whole answer unreadable.
pub(super) fn legal(c: char) -> bool {
    !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

/// Appends a text, with what `special` has another spelling for (or none) exchanged.
pub(super) fn escape_into(out: &mut String, text: &str, special: impl Fn(char) -> Option<&'static str>) {
    // Nearly every text is copied as it is. 0xef begins what UTF-8 has of U+FFFE and U+FFFF.
    let plain = |b: u8| b >= b' ' && !matches!(b, b'"' | b'\\' | b'&' | b'<' | b'>' | 0xef);
    if text.bytes().fold(true, |all, b| all & plain(b)) {
        out.push_str(text);
        return;
    }
    let mut from = 0;
    for (at, c) in text.char_indices() {
        if let Some(other) = special(c) {
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push_str(other);
            from = at + c.len_utf8();
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_of_xml_are_legal() {
        for c in [
            '\t',
            '\n',
            '\r',
            ' ',
            '\x7f',
            '\u{85}',
            '门',
            '\u{d7ff}',
            '\u{e000}',
            '\u{fffd}',
            '\u{10000}',
            '\u{10ffff}',
        ] {
            assert!(legal(c), "{c:?}");
        }
        for c in ['\0', '\x08', '\x0b', '\x0c', '\x0e', '\x1f', '\u{fffe}', '\u{ffff}'] {
            assert!(!legal(c), "{c:?}");
        }
    }
}
