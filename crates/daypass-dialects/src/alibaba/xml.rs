//! XML as the gateway writes it. Nothing in this dialect ever parses XML.

use super::document::{CAPACITY, Document, Writer, escape_into, legal};
use std::fmt::{self, Display, Write};

/// Writes XML, straight into the answer. Element names are ours; texts may be anyone's.
pub(super) struct XmlWriter {
    out: String,
}

impl XmlWriter {
    /// A whole document.
    pub(super) fn document<D: Document>(document: &D) -> String {
        let mut writer = Self { out: String::with_capacity(CAPACITY) };
        writer.out.push_str(r#"<?xml version="1.0" encoding="utf-8" ?>"#);
        writer.object(D::ROOT, |root| document.members(root));
        writer.out
    }

    fn tag(&mut self, open: &str, name: &str) {
        self.out.push_str(open);
        self.out.push_str(name);
        self.out.push('>');
    }
}

impl Writer for XmlWriter {
    fn text(&mut self, name: &str, value: impl Display) {
        self.tag("<", name);
        // Writing to a string cannot fail.
        let _ = write!(Escaped(&mut self.out), "{value}");
        self.tag("</", name);
    }

    fn literal(&mut self, name: &str, value: impl Display) {
        self.text(name, value);
    }

    fn object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.tag("<", name);
        members(self);
        self.tag("</", name);
    }

    fn texts(&mut self, name: &str, values: impl IntoIterator<Item = impl Display>) {
        self.object(name, |writer| values.into_iter().for_each(|value| writer.text("string", value)));
    }

    fn objects<T>(
        &mut self,
        name: &str,
        item: &str,
        values: impl IntoIterator<Item = T>,
        members: impl Fn(&mut Self, T),
    ) {
        self.object(name, |writer| {
            values.into_iter().for_each(|value| writer.object(item, |writer| members(writer, value)));
        });
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape_into(self.0, text, |c| match c {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            // A bare one would be read as a line feed.
            '\r' => Some("&#13;"),
            c if !legal(c) => Some(""),
            _ => None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::xml_leaves;
    use super::*;
    use proptest::prelude::*;

    struct Sample(String);

    impl Document for Sample {
        const ROOT: &'static str = "root";

        fn members<W: Writer>(&self, writer: &mut W) {
            writer.text("text", &self.0);
            writer.texts("list", [&self.0]);
            writer.texts("none", [""; 0]);
            writer.objects("things", "thing", [1, 2], |writer, value| writer.literal("n", value));
        }
    }

    #[test]
    fn lists_have_an_element_for_each_item() {
        insta::assert_snapshot!(XmlWriter::document(&Sample("a<b".into())), @r#"<?xml version="1.0" encoding="utf-8" ?><root><text>a&lt;b</text><list><string>a&lt;b</string></list><none></none><things><thing><n>1</n></thing><thing><n>2</n></thing></things></root>"#);
    }

    proptest! {
        #[test]
        fn any_text_is_well_formed_and_read_back(
            text in any::<String>(), nasty in "[&<>\r\n\\]\u{0}\u{1}\u{fffe}\u{85}-]{0,20}",
        ) {
            for text in [text, nasty] {
                let document = XmlWriter::document(&Sample(text.clone()));
                let read = xml_leaves(&document);
                let kept = text.chars().filter(|c| legal(*c)).collect::<String>();
                prop_assert_eq!(&read[0], &("root/text".to_owned(), kept.clone()));
                prop_assert_eq!(&read[1], &("root/list/string".to_owned(), kept));
                let stray = |c: char| !legal(c);
                prop_assert!(!document.contains(stray));
            }
        }
    }
}
