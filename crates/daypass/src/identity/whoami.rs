//! What an application answers about a session: `{"subject": "…", "variables": {"name": "value"}}`.

use daypass_core::identity::Subject;
use daypass_core::json::{self, JsonFault};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The longest subject, in characters. It stands in records and in every credential.
const SUBJECT: usize = 128;
/// The most variables.
const VARIABLES: usize = 32;
/// The longest name of a variable, in characters.
const NAME: usize = 64;
/// The longest value of a variable, in characters.
const VALUE: usize = 256;

/// Why an answer is not understood. It never repeats what the answer says, which is about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misread {
    /// No JSON, or JSON that two readers may understand differently.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// JSON, but no object.
    #[error("not a JSON object")]
    NoObject,
    /// No subject of the right form.
    #[error("`subject` is not a text of 1 to {SUBJECT} characters without control characters")]
    Subject,
    /// The variables are not an object, or too many.
    #[error("`variables` is not an object of at most {VARIABLES} members")]
    Variables,
    /// A variable of the wrong form.
    #[error(
        "a variable has a name of more than {NAME} characters, or a value that is neither a whole number nor a \
         text of at most {VALUE} characters without control characters"
    )]
    Variable,
}

/// Reads an answer. Members with other names are the application's own business.
pub(super) fn read(answer: &[u8]) -> Result<Subject, Misread> {
    let Value::Object(mut members) = json::parse(answer)? else {
        return Err(Misread::NoObject);
    };
    let name = match members.remove("subject") {
        Some(Value::String(name)) if !name.is_empty() && plain(&name, SUBJECT) => name,
        _ => return Err(Misread::Subject),
    };
    let variables = match members.remove("variables") {
        None => BTreeMap::new(),
        Some(Value::Object(given)) if given.len() <= VARIABLES => variables(given)?,
        Some(_) => return Err(Misread::Variables),
    };
    Ok(Subject { name, variables })
}

fn variables(given: Map<String, Value>) -> Result<BTreeMap<String, String>, Misread> {
    given
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => text,
                // Larger or broken numbers lose digits from one JSON reader to the next.
                Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
                _ => return Err(Misread::Variable),
            };
            let fine = !name.is_empty() && plain(&name, NAME) && plain(&value, VALUE);
            fine.then_some((name, value)).ok_or(Misread::Variable)
        })
        .collect()
}

fn plain(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(value: &Value) -> Result<Subject, Misread> {
        read(value.to_string().as_bytes())
    }

    #[test]
    fn a_subject_comes_with_its_variables() {
        let answer =
            json!({"subject": "u-1", "variables": {"class": "3b", "year": 2026, "low": -4}, "more": [1]});
        let subject = of(&answer).unwrap();
        assert_eq!(subject.name, "u-1");
        assert_eq!(subject.variable("class"), Some("3b"));
        assert_eq!(subject.variable("year"), Some("2026"));
        assert_eq!(subject.variable("low"), Some("-4"));
        assert_eq!(subject.variable("more"), None);
        assert_eq!(of(&json!({"subject": "u"})).unwrap().variables.len(), 0);
        assert!(of(&json!({"subject": "王小明"})).is_ok());
    }

    #[test]
    fn every_other_subject_is_refused() {
        let long = "é".repeat(SUBJECT + 1);
        for value in
            [json!(""), json!(1), json!(null), json!(["u"]), json!("a\nb"), json!("\u{7f}"), json!(long)]
        {
            assert_eq!(of(&json!({"subject": value})), Err(Misread::Subject), "{value}");
        }
        assert_eq!(of(&json!({"sub": "u"})), Err(Misread::Subject), "`sub` is no other name of it");
        assert!(of(&json!({"subject": "é".repeat(SUBJECT)})).is_ok());
    }

    #[test]
    fn every_other_variable_is_refused() {
        for value in [json!(1.5), json!(1e30), json!(true), json!(null), json!({}), json!("a\tb")] {
            let answer = json!({"subject": "u", "variables": {"v": value}});
            assert_eq!(of(&answer), Err(Misread::Variable), "{value}");
        }
        let with = |name: String, value: String| of(&json!({"subject": "u", "variables": {name: value}}));
        assert!(with("n".repeat(NAME), "v".repeat(VALUE)).is_ok());
        assert_eq!(with("n".repeat(NAME + 1), "v".to_owned()), Err(Misread::Variable));
        assert_eq!(with("n".to_owned(), "v".repeat(VALUE + 1)), Err(Misread::Variable));
        assert_eq!(with(String::new(), "v".to_owned()), Err(Misread::Variable));
        for variables in [json!(null), json!([]), json!("v")] {
            assert_eq!(of(&json!({"subject": "u", "variables": variables})), Err(Misread::Variables));
        }
        let many = |count: usize| -> Map<String, Value> {
            (0..count).map(|n| (format!("v{n}"), json!("x"))).collect()
        };
        assert!(of(&json!({"subject": "u", "variables": many(VARIABLES)})).is_ok());
        assert_eq!(of(&json!({"subject": "u", "variables": many(VARIABLES + 1)})), Err(Misread::Variables));
    }

    #[test]
    fn what_two_readers_may_understand_differently_is_refused() {
        for text in [
            &br#"{"subject":"a","subject":"b"}"#[..],
            br#"{"subject":"a","variables":{"v":"1","v":"2"}}"#,
            br#"{"subject":"a"} {"subject":"b"}"#,
            b"{\"subject\":\"\xff\"}",
            b"",
        ] {
            assert!(matches!(read(text), Err(Misread::Json(_))), "{}", String::from_utf8_lossy(text));
        }
        for text in ["[]", "\"u\"", "null", "1"] {
            assert_eq!(read(text.as_bytes()), Err(Misread::NoObject));
        }
    }

    proptest! {
        /// Whatever is read is safe to keep, and no error repeats what was there.
        #[test]
        fn what_is_read_keeps_every_limit(name in "\\PC{0,140}|.{0,20}", value in "\\PC{0,270}|.{0,20}") {
            let answer = json!({"subject": name, "variables": {"v": value}});
            match of(&answer) {
                Ok(subject) => {
                    prop_assert_eq!(&subject.name, &name);
                    prop_assert!((1..=SUBJECT).contains(&name.chars().count()));
                    prop_assert!(!name.chars().chain(value.chars()).any(char::is_control));
                    prop_assert!(value.chars().count() <= VALUE);
                }
                Err(fault) => prop_assert!(name.chars().count() < 24 || !fault.to_string().contains(&name)),
            }
        }
    }
}
