//! A record's document, which a bit that has turned on the disk may have made unreadable.

use super::Blob;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of a record's document: in JSON the text that it is, or where it is no text any more, the bytes in base64url as
/// `{"bytes": …}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Vec<u8>);

impl Document {
    /// As they were written.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Document {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// What is no text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bytes {
    bytes: Blob,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Bytes { bytes: Blob(self.0.clone()) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Bytes(Bytes),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Text(text) => Self(text.into_bytes()),
            Either::Bytes(Bytes { bytes }) => Self(bytes.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_the_text_that_it_is_and_otherwise_its_bytes() {
        for (bytes, json) in [
            (&b"{\"at\":1}"[..], r#""{\"at\":1}""#),
            (b"", r#""""#),
            ("été\0".as_bytes(), r#""été\u0000""#),
            (b"{\"a\xf4\":1}", r#"{"bytes":"eyJh9CI6MX0"}"#),
        ] {
            let document = Document::from(bytes);
            assert_eq!(serde_json::to_string(&document).unwrap(), json);
            assert_eq!(serde_json::from_str::<Document>(json).unwrap(), document);
        }
        for bad in [r#"{"bytes":"eyJ","by":1}"#, r#"{"bytes":"a+b/"}"#, "1", "{}"] {
            assert!(serde_json::from_str::<Document>(bad).is_err(), "{bad}");
        }
    }
}
