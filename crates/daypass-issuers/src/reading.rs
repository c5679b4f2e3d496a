//! What an answer says, whichever cloud has given it.

use crate::fault::{Fault, FaultKind};
use crate::http::Answer;
use daypass_core::clock::Timestamp;
use daypass_core::json;
use daypass_core::secret::Secret;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// The most bytes of an answer. Tokens have at most some 16 KiB.
pub(crate) const MOST: usize = 64 * 1024;

/// The longest code or request id that is repeated, in characters.
const SHOWN: usize = 80;

/// The longest part of a credential that is believed, in bytes: it goes into headers of at most so many.
const LONGEST: usize = 16 * 1024;

/// An object of an answer, out of which things are taken.
pub(crate) struct Object(Map<String, Value>);

impl Object {
    /// The document, where it is one: an object, and no member of it twice.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        match json::parse(&answer.document) {
            Ok(Value::Object(members)) => Some(Self(members)),
            _ => None,
        }
    }

    /// The claims of a JWT, unverified; none where it is none, or an encrypted one.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        match json::parse(text) {
            Ok(Value::Object(members)) => Some(Self(members)),
            _ => None,
        }
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str) -> Option<Self> {
        match self.0.remove(name) {
            Some(Value::Object(members)) => Some(Self(members)),
            _ => None,
        }
    }

    /// A member that is a text and not empty.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A member that is a whole number, or a text that is one.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A member that is a whole number, and not a text that looks like one.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// A member that is true or false.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// A member that is a time.
    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.text(name)?.parse().ok()
    }

    /// A member, whatever it is.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Whether there is a member of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A part of a credential: visible ASCII, because it goes into headers and signatures.
    pub(crate) fn part(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        (text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic())).then_some(text)
    }

    /// A secret part of a credential.
    pub(crate) fn secret(&mut self, name: &str) -> Option<Secret> {
        self.part(name).map(Secret::new)
    }
}

/// A cloud's refusal: its code and what that means.
pub(crate) struct Coded {
    /// What it means.
    pub(crate) kind: FaultKind,
    /// As it came.
    pub(crate) code: String,
}

/// Why this is no answer with a credential; none where it has status 200 and no code.
///
/// A redirect says nothing else, whatever stands in its document. Otherwise the cloud's own code says more than the
/// status, but where the status says that the cloud has too much to do or is broken.
pub(crate) fn fault(
    answer: &Answer,
    coded: Option<Coded>,
    request: Option<String>,
    at: Timestamp,
) -> Option<Fault> {
    let status = by_status(answer.status.as_u16());
    let outranks = matches!(status, Some(FaultKind::Redirect | FaultKind::Busy | FaultKind::Down));
    let kind = match &coded {
        Some(coded) if !outranks => coded.kind,
        _ => status?,
    };
    let mut why = format!("it answers {}", answer.status.as_u16());
    if let (FaultKind::Clock, Some(date)) = (kind, answer.date) {
        let off = date.as_second() - at.as_second();
        why = format!("{why}, and its clock is {off} s ahead of ours");
    }
    let code = coded.map(|coded| shown(&coded.code));
    Some(Fault { code, request, retry_after: answer.retry_after, ..Fault::new(kind, why) })
}

fn by_status(status: u16) -> Option<FaultKind> {
    Some(match status {
        200 => return None,
        300..=399 => FaultKind::Redirect,
        401 => FaultKind::KeyRefused,
        408 | 500..=599 => FaultKind::Down,
        429 => FaultKind::Busy,
        400..=499 => FaultKind::Refused,
        _ => FaultKind::Garbage,
    })
}

/// The answer has the right status and cannot be understood.
pub(crate) fn garbage(what: &str, request: Option<String>) -> Fault {
    Fault { request, ..Fault::new(FaultKind::Garbage, format!("the answer {what}")) }
}

/// The cloud's own id of a request, cut to what a log and a record can take; none where nothing of it can be shown.
///
/// Attack: an id with a line break would write a line of its own into a log.
pub(crate) fn request_id(text: Option<String>) -> Option<String> {
    text.map(|text| shown(&text)).filter(|id| !id.is_empty())
}

/// A text of the other side, cut to what a log can take.
pub(crate) fn shown(text: &str) -> String {
    let fine = |c: &char| c.is_ascii_alphanumeric() || "._-:/".contains(*c);
    text.chars().filter(fine).take(SHOWN).collect()
}

/// Headers of a request, but those that the way out sets itself.
pub(crate) fn headers(pairs: Vec<(&'static str, String)>) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let ours = |name: &str| matches!(name, "host" | "content-type");
    let pairs = pairs.into_iter().filter(|(name, _)| !ours(name));
    let pairs =
        pairs.map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)));
    let unfit = || Fault::new(FaultKind::NoKey, "the root key's id does not fit into a header");
    pairs.collect::<Option<Vec<_>>>().ok_or_else(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{START, later};
    use http::{HeaderMap, StatusCode};
    use zeroize::Zeroizing;

    fn answer(status: u16, document: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            document: Zeroizing::new(document.as_bytes().to_vec()),
            max_age: None,
            date: Some(later(90)),
            retry_after: Some(7),
            headers: HeaderMap::new(),
        }
    }

    #[test]
    fn a_status_and_a_code_together_say_what_it_is() {
        let coded = |kind| Some(Coded { kind, code: "Some.Code".into() });
        for (status, code, expected) in [
            (200, None, None),
            (200, coded(FaultKind::Refused), Some(FaultKind::Refused)),
            (204, None, Some(FaultKind::Garbage)),
            (302, coded(FaultKind::Refused), Some(FaultKind::Redirect)),
            (400, None, Some(FaultKind::Refused)),
            (400, coded(FaultKind::KeyRefused), Some(FaultKind::KeyRefused)),
            (401, None, Some(FaultKind::KeyRefused)),
            (429, coded(FaultKind::Refused), Some(FaultKind::Busy)),
            (503, coded(FaultKind::Refused), Some(FaultKind::Down)),
        ] {
            let found = fault(&answer(status, ""), code, None, START);
            assert_eq!(
                found.map(|fault| (fault.kind, fault.retry_after)),
                expected.map(|kind| (kind, Some(7)))
            );
        }
    }

    #[test]
    fn of_what_came_only_a_code_and_an_id_are_told() {
        let coded = Coded { kind: FaultKind::Clock, code: format!("A.b<script>\n{}", "x".repeat(200)) };
        let fault =
            fault(&answer(200, "{\"secret\":1}"), Some(coded), request_id(Some("id 1\u{7}".into())), START)
                .unwrap();
        assert_eq!(fault.why, "it answers 200, and its clock is 90 s ahead of ours");
        assert_eq!(fault.request.as_deref(), Some("id1"));
        let code = fault.code.unwrap();
        assert!(code.starts_with("A.bscriptxxx") && code.len() == SHOWN, "{code}");
    }

    #[test]
    fn a_document_with_one_member_twice_is_none() {
        for document in ["", "[]", "null", "{\"a\":1,\"a\":2}", "{} {}", "{\"a\":"] {
            assert!(Object::of(&answer(200, document)).is_none(), "{document}");
        }
        let mut object =
            Object::of(&answer(200, r#"{"n":"12","m":12,"f":1.5,"t":"a b","e":"","p":"a-b"}"#)).unwrap();
        assert_eq!(
            (object.integer("n"), object.integer("m"), object.integer("f")),
            (Some(12), Some(12), None)
        );
        assert_eq!((object.number("n"), object.number("m")), (None, Some(12)));
        assert_eq!((object.part("t"), object.text("e"), object.part("p")), (None, None, Some("a-b".into())));
    }
}
