//! JSON of which every reader reads the same.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// Parses one object. None for anything else, and where a member stands twice at any level.
///
/// Attack: with `{"sub":"alice","sub":"bob"}` one parser believes the first and another the second, so that what a
/// gateway has let through is not what the service behind it reads (RFC 7519, section 4 lets parsers differ).
pub(crate) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    let Unique = serde_json::from_slice(text).ok()?;
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// A document in which no member stands twice. Its values are read by `serde_json` itself in a second pass, so that a
/// feature of that crate which the application has switched on (`arbitrary_precision` is one) changes nothing here.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_unit<E: Error>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while let Some(Unique) = seq.next_element()? {}
        Ok(Unique)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some((name, Unique)) = map.next_entry::<String, Unique>()? {
            if !seen.insert(name) {
                return Err(A::Error::custom("a member stands twice in one object"));
            }
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_taken_whole_or_not_at_all() {
        let members = object(br#" {"a":[1,-2,2.5,"x",null,true,{}],"b":{"a":1}} "#).unwrap();
        assert_eq!((&members["a"][3], &members["b"]["a"]), (&Value::from("x"), &Value::from(1)));
        for text in ["", "{", "[]", "1", "null", "{} {}", "{}x", "{\"a\":1,}", "{'a':1}", "\u{feff}{}"] {
            assert_eq!(object(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn a_doubled_member_is_refused_at_any_level_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":{"c":1,"c":2}}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert!(object(br#"{"a":{"a":1},"b":{"a":1}}"#).is_some());
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(deep(50).as_bytes()).is_some());
        assert_eq!(object(deep(100_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "[{}\\[\\]\":,a0-9\\\\u]*") {
            let _ = object(&bytes);
            let _ = object(text.as_bytes());
        }
    }
}
