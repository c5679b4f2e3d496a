//! Names and values of a query or of a form body.
//!
//! They come before any signature was checked where the signature is among them, so that this is read from
//! strangers: bounded in number, strict in its escapes, and no name twice.

use super::wire::{form_decode, shown};
use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use std::collections::BTreeMap;

/// The most session tags of one request.
pub(super) const TAGS: usize = 50;

/// The most parameters. A form has two for each tag, beside what every other request is allowed.
const PARAMETERS: usize = limits::PARAMETERS + 2 * TAGS;

/// Decoded parameters in the byte order of their names, which is the order that they are signed in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `name=value&…`. The parts between two `&` that hold nothing are skipped.
    ///
    /// Attack: of a name that stands twice, one reader believes the first value and another the last, and a signature
    /// over both says nothing about which.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut found = BTreeMap::new();
        for (number, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if number == PARAMETERS {
                let detail = format!("there are more than {PARAMETERS} parameters");
                return Err(Refusal::new(Reason::TooLarge, detail));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (form_decode(name), form_decode(value)) else {
                return Err(Refusal::new(Reason::Malformed, "a parameter has a wrong percent escape"));
            };
            if found.contains_key(&*name) {
                let detail = format!("the parameter {} stands twice", shown(&name));
                return Err(Refusal::new(Reason::DuplicateParameter, detail).parameter(name.into_owned()));
            }
            found.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(found))
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every name and value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl IntoIterator for Form {
    type Item = (String, String);
    type IntoIter = std::collections::btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reason(text: &str) -> Reason {
        Form::parse(text).expect_err("refused").reason
    }

    #[test]
    fn parameters_are_decoded_once_and_stand_in_byte_order() {
        let form = Form::parse("b=1&&a=x+y%2B%2520&B=&Tags.10.Key=t&Tags.2.Key=t&flag&").unwrap();
        let pairs: Vec<_> = form.iter().collect();
        let expected = [
            ("B", ""),
            ("Tags.10.Key", "t"),
            ("Tags.2.Key", "t"),
            ("a", "x y+%20"),
            ("b", "1"),
            ("flag", ""),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(form.get("a"), Some("x y+%20"));
        assert_eq!(form.get("c"), None);
    }

    #[test]
    fn a_name_stands_once_however_it_is_written() {
        assert_eq!(reason("Name=a&Name=a"), Reason::DuplicateParameter);
        assert_eq!(reason("Name=a&%4eame=b"), Reason::DuplicateParameter);
        assert!(Form::parse("Name=a&name=b").is_ok(), "names have a case");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in ["Name=%zz", "%=1", "a=%ff"] {
            assert_eq!(reason(bad), Reason::Malformed, "{bad}");
        }
    }

    #[test]
    fn there_is_room_for_every_tag_and_an_end() {
        let many = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(&many(PARAMETERS)).is_ok());
        assert_eq!(reason(&many(PARAMETERS + 1)), Reason::TooLarge);
    }
}
