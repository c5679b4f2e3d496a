//! Strict JSON for documents that decide something.

use crate::limits;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a document was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Nested deeper than [`limits::JSON_DEPTH`].
    #[error("nested more than {} levels deep", limits::JSON_DEPTH)]
    TooDeep,
    /// Not JSON, or followed by something else.
    #[error("not a JSON document (line {line}, column {column})")]
    Syntax {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// A member stands twice in one object. Two parsers may each believe another one, so nothing is believed.
    #[error("a member stands twice in one object (line {line}, column {column})")]
    Duplicate {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
}

/// Parses one document: bounded depth, no member twice, nothing behind it.
pub fn parse(text: &[u8]) -> Result<Value, JsonFault> {
    if depth(text) > limits::JSON_DEPTH {
        return Err(JsonFault::TooDeep);
    }
    let Strict(value) = serde_json::from_slice(text).map_err(|fault| {
        let (line, column) = (fault.line(), fault.column());
        if fault.is_data() {
            JsonFault::Duplicate { line, column }
        } else {
            JsonFault::Syntax { line, column }
        }
    })?;
    Ok(value)
}

/// The deepest nesting of brackets outside strings; cheap, and right for every valid document.
fn depth(text: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }
    fn visit_string<E: Error>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            if out.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice in one object"));
            }
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_taken_whole_or_not_at_all() {
        assert_eq!(parse(br#"{"a":[1,-2,2.5,"x",null,true]}"#).unwrap()["a"][3], "x");
        assert!(matches!(parse(b"{} {}"), Err(JsonFault::Syntax { .. })));
        assert!(matches!(parse(b""), Err(JsonFault::Syntax { .. })));
        assert!(matches!(parse(b"\xff"), Err(JsonFault::Syntax { .. })));
    }

    #[test]
    fn a_doubled_member_is_refused_at_any_level() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"a":2}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonFault::Duplicate { .. })), "{text}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        assert_eq!(depth(br#"{"[[[[":"\"[[","a":[{}]}"#), 3);
        let deep = "[".repeat(limits::JSON_DEPTH + 1);
        assert_eq!(parse(deep.as_bytes()), Err(JsonFault::TooDeep));
        let allowed = format!("{}{}", "[".repeat(limits::JSON_DEPTH), "]".repeat(limits::JSON_DEPTH));
        assert!(parse(allowed.as_bytes()).is_ok());
    }
}
