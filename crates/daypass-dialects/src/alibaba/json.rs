//! JSON as the gateway writes it.

use super::document::{CAPACITY, Document, Style, Writer, escape_into, legal};
use std::fmt::{self, Display, Write};

/// Writes JSON, straight into the answer.
pub(super) struct JsonWriter {
    out: String,
    style: Style,
    /// Whether a member stands before the next one.
    comma: bool,
}

impl JsonWriter {
    /// A whole document.
    pub(super) fn document<D: Document>(document: &D, style: Style) -> String {
        let mut writer = Self { out: String::with_capacity(CAPACITY), style, comma: false };
        writer.braces(|writer| match style {
            Style::Wrapped => writer.object(D::ROOT, |root| document.members(root)),
            Style::Simple => document.members(writer),
        });
        writer.out
    }

    fn name(&mut self, name: &str) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
        // Names are ours and need no escapes.
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    fn braces(&mut self, members: impl FnOnce(&mut Self)) {
        self.out.push('{');
        self.comma = false;
        members(self);
        self.out.push('}');
        self.comma = true;
    }

    /// A list of what `write` makes of each value. An empty one has no items and hence no item name.
    fn list<T>(
        &mut self,
        name: &str,
        item: &str,
        values: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.name(name);
        let mut values = values.into_iter().peekable();
        let wrapped = self.style == Style::Wrapped;
        if wrapped {
            self.out.push('{');
            if values.peek().is_none() {
                self.out.push('}');
                return;
            }
            self.comma = false;
            self.name(item);
        }
        self.out.push('[');
        let mut comma = false;
        for value in values {
            if comma {
                self.out.push(',');
            }
            comma = true;
            write(self, value);
        }
        self.out.push_str(if wrapped { "]}" } else { "]" });
        self.comma = true;
    }
}

impl Writer for JsonWriter {
    fn text(&mut self, name: &str, value: impl Display) {
        self.name(name);
        quote(&mut self.out, value);
    }

    fn literal(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _ = write!(self.out, "{value}");
    }

    fn object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.name(name);
        self.braces(members);
    }

    fn texts(&mut self, name: &str, values: impl IntoIterator<Item = impl Display>) {
        self.list(name, "string", values, |writer, value| quote(&mut writer.out, value));
    }

    fn objects<T>(
        &mut self,
        name: &str,
        item: &str,
        values: impl IntoIterator<Item = T>,
        members: impl Fn(&mut Self, T),
    ) {
        self.list(name, item, values, |writer, value| writer.braces(|writer| members(writer, value)));
    }
}

/// Appends a text as a JSON string.
pub(super) fn quote(out: &mut String, value: impl Display) {
    out.push('"');
    // Writing to a string cannot fail.
    let _ = write!(Escaped(out), "{value}");
    out.push('"');
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape_into(self.0, text, |c| match c {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            c if !legal(c) => Some(""),
            _ => None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Sample(Vec<&'static str>);

    impl Document for Sample {
        const ROOT: &'static str = "root";

        fn members<W: Writer>(&self, writer: &mut W) {
            writer.texts("list", &self.0);
            writer.objects("things", "thing", &self.0, |writer, value| writer.text("name", value));
            writer.object("inner", |writer| writer.literal("ok", true));
            writer.literal("code", 200);
        }
    }

    #[test]
    fn lists_are_wrapped_unless_simple() {
        let write = |list: &[&'static str], style| JsonWriter::document(&Sample(list.to_vec()), style);
        insta::assert_snapshot!(write(&["a", "b"], Style::Wrapped), @r#"{"root":{"list":{"string":["a","b"]},"things":{"thing":[{"name":"a"},{"name":"b"}]},"inner":{"ok":true},"code":200}}"#);
        insta::assert_snapshot!(write(&["a", "b"], Style::Simple), @r#"{"list":["a","b"],"things":[{"name":"a"},{"name":"b"}],"inner":{"ok":true},"code":200}"#);
        insta::assert_snapshot!(write(&[], Style::Wrapped), @r#"{"root":{"list":{},"things":{},"inner":{"ok":true},"code":200}}"#);
        insta::assert_snapshot!(write(&[], Style::Simple), @r#"{"list":[],"things":[],"inner":{"ok":true},"code":200}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_a_json_string(text in any::<String>()) {
            let mut out = String::new();
            quote(&mut out, &text);
            let read: String = serde_json::from_str(&out).unwrap();
            prop_assert_eq!(read, text.chars().filter(|c| legal(*c)).collect::<String>());
        }
    }
}
