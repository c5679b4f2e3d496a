//! The parameters of an action, from the JSON body of a POST, the query of a GET or the form of an older request.
//!
//! Each is taken by name; what is left over at the end is refused, because an unknown parameter is either a mistake
//! that the sender should hear of or an attempt to be understood differently by someone else.

use super::form::Form;
use super::wire::{header, shown};
use daypass_core::json;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use http::Method;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A parameter as it was given: text in a query or form, a JSON value in a body.
enum Given {
    Text(String),
    Json(Value),
}

/// The parameters that were not taken yet.
pub(super) struct Parameters(BTreeMap<String, Given>);

impl Parameters {
    /// Reads those of a request whose proof stands in its headers, in the place that the method has for them.
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        if request.head.method == Method::GET {
            // The signature covers no body of a GET and no query of a POST.
            if !request.body.is_empty() {
                return Err(Refusal::new(Reason::Malformed, "a GET must not have a body"));
            }
            return Form::parse(&request.head.query).map(Self::of_form);
        }
        if !request.head.query.is_empty() {
            let detail = "the parameters of a POST belong in its body, where the signature covers them";
            return Err(Refusal::new(Reason::Malformed, detail));
        }
        check_json_type(request.head.header(header::CONTENT_TYPE).unwrap_or_default())?;
        Self::of_json(&request.body)
    }

    /// Takes those of a query or form.
    pub(super) fn of_form(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, Given::Text(value))).collect())
    }

    fn of_json(body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let value = json::parse(body).map_err(|fault| {
            let reason = match fault {
                json::JsonFault::Duplicate { .. } => Reason::DuplicateParameter,
                json::JsonFault::TooDeep | json::JsonFault::Syntax { .. } => Reason::Malformed,
            };
            Refusal::new(reason, format!("the body was not understood: {fault}"))
        })?;
        match value {
            Value::Object(members) => Ok(Self::of_members(members)),
            _ => Err(Refusal::new(Reason::Malformed, "the body must be one JSON object")),
        }
    }

    /// A null is what some SDKs make of a parameter that was not set.
    fn of_members(members: Map<String, Value>) -> Self {
        let set = members.into_iter().filter(|(_, value)| !value.is_null());
        Self(set.map(|(name, value)| (name, Given::Json(value))).collect())
    }

    /// Takes a text; an empty one counts as missing.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Given::Text(text) | Given::Json(Value::String(text))) => {
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
            Some(Given::Json(_)) => Err(invalid(name, "must be a string")),
        }
    }

    /// Takes a text that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::missing(name))
    }

    /// Takes a whole number from 1 up: a JSON number in a body, digits in a query or form. One that does not fit is
    /// the largest, which is over every limit.
    pub(super) fn positive(&mut self, name: &'static str) -> Result<Option<u32>, Refusal> {
        let number = match self.0.remove(name) {
            None => return Ok(None),
            Some(Given::Json(Value::Number(number))) => number.as_u64(),
            Some(Given::Text(text)) => digits(&text),
            Some(Given::Json(_)) => None,
        };
        match number {
            None | Some(0) => Err(invalid(name, "must be a whole number of at least 1")),
            Some(number) => Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))),
        }
    }

    /// Takes a list of objects, at most so many: an array in a body; in a query or form `Name.0.Member`,
    /// `Name.1.Member` and so on, without a gap.
    pub(super) fn objects(&mut self, name: &'static str, most: usize) -> Result<Vec<Self>, Refusal> {
        let objects = match self.0.remove(name) {
            Some(Given::Json(Value::Array(items))) => items
                .into_iter()
                .map(|item| match item {
                    Value::Object(members) => Ok(Self::of_members(members)),
                    _ => Err(invalid(name, "must be a list of objects")),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(invalid(name, "must be a list of objects")),
            None => self.numbered(name)?,
        };
        if objects.len() > most {
            return Err(invalid(name, &format!("must have at most {most} members")));
        }
        Ok(objects)
    }

    fn numbered(&mut self, name: &'static str) -> Result<Vec<Self>, Refusal> {
        let gap =
            || invalid(name, "must be numbered 0, 1, 2 and so on, each with the name of a member behind it");
        let prefix = format!("{name}.");
        let mine =
            |key: &String, given: &mut Given| key.starts_with(&prefix) && matches!(given, Given::Text(_));
        let mut objects: BTreeMap<u64, Self> = BTreeMap::new();
        for (key, given) in self.0.extract_if(.., mine) {
            let (number, member) =
                key.get(prefix.len()..).and_then(|rest| rest.split_once('.')).ok_or_else(gap)?;
            // One number has one spelling: `00` is not the first.
            let number = digits(number).filter(|n| n.to_string() == number).ok_or_else(gap)?;
            objects.entry(number).or_insert_with(|| Self(BTreeMap::new())).0.insert(member.to_owned(), given);
        }
        if objects.keys().zip(0..).any(|(number, place)| *number != place) {
            return Err(gap());
        }
        Ok(objects.into_values().collect())
    }

    /// Refuses what was not taken.
    pub(super) fn done(self) -> Result<(), Refusal> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let detail = format!("this action has no parameter {}", shown(&name));
                Err(Refusal::new(Reason::UnknownParameter, detail).parameter(name))
            }
        }
    }
}

/// A value that the vendor's protocol does not allow.
pub(super) fn invalid(name: &'static str, rule: &str) -> Refusal {
    Refusal::new(Reason::InvalidParameter, format!("the parameter {name} {rule}")).parameter(name)
}

/// A number of digits alone: no sign, no blank. Beyond 64 bits it is the largest.
fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
}

/// `application/json`, with or without a charset (the Java SDK sends one). Multipart and octet-stream belong to
/// actions with binary parameters, of which STS has none.
fn check_json_type(content_type: &str) -> Result<(), Refusal> {
    if super::wire::essence(content_type).eq_ignore_ascii_case(super::wire::JSON) {
        return Ok(());
    }
    let detail = format!("the body must be application/json, and is {}", shown(content_type));
    Err(Refusal::new(Reason::UnsupportedMediaType, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    fn post(body: &str) -> Result<Parameters, Refusal> {
        let headers = [("content-type", "application/json; charset=utf-8")];
        Parameters::read(&request("POST", "/", &headers, body.as_bytes()))
    }

    fn get(query: &str) -> Result<Parameters, Refusal> {
        Parameters::read(&request("GET", &format!("/?{query}"), &[], b""))
    }

    #[track_caller]
    fn reason<T>(result: Result<T, Refusal>) -> Reason {
        result.err().expect("a refusal").reason
    }

    #[test]
    fn each_parameter_is_taken_once_and_nothing_is_left() {
        let mut body = post(r#"{"Name": "soe", "DurationSeconds": 1800, "Region": null}"#).unwrap();
        assert_eq!(body.text("Name").unwrap().as_deref(), Some("soe"));
        assert_eq!(body.positive("DurationSeconds").unwrap(), Some(1800));
        assert!(body.done().is_ok());

        let mut query = get("Name=a%2Db&DurationSeconds=1").unwrap();
        assert_eq!(query.text("Name").unwrap().as_deref(), Some("a-b"));
        assert_eq!(query.positive("DurationSeconds").unwrap(), Some(1));
        assert!(query.done().is_ok());

        let left = post(r#"{"Extra": 1}"#).unwrap().done().unwrap_err();
        assert_eq!((left.reason, left.parameter.as_deref()), (Reason::UnknownParameter, Some("Extra")));
        assert!(get("").unwrap().done().is_ok());
        assert!(post("").unwrap().done().is_ok());
    }

    #[test]
    fn a_number_is_a_number_in_json_and_digits_in_a_query() {
        let json = |value: &str| post(&format!(r#"{{"N":{value}}}"#)).unwrap().positive("N");
        for bad in ["\"1800\"", "0", "-1", "1.5", "1800.0", "1e3", "true", "[1]", "99999999999999999999"] {
            assert_eq!(reason(json(bad)), Reason::InvalidParameter, "{bad}");
        }
        assert_eq!(json("4294967296").unwrap(), Some(u32::MAX), "it never wraps");
        let query = |value: &str| get(&format!("N={value}")).unwrap().positive("N");
        for bad in ["", "0", "-1", "%2B1", "+1", "1.5", "0x10"] {
            assert_eq!(reason(query(bad)), Reason::InvalidParameter, "{bad}");
        }
        assert_eq!(query("99999999999999999999").unwrap(), Some(u32::MAX));
    }

    #[test]
    fn an_empty_text_is_missing_and_another_type_is_wrong() {
        assert_eq!(post(r#"{"Name":""}"#).unwrap().text("Name").unwrap(), None);
        assert_eq!(get("Name=").unwrap().text("Name").unwrap(), None);
        assert_eq!(reason(post(r#"{"Policy":{}}"#).unwrap().text("Policy")), Reason::InvalidParameter);
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        assert_eq!(reason(post("{")), Reason::Malformed);
        assert_eq!(reason(post("[]")), Reason::Malformed);
        assert_eq!(reason(post(&"[".repeat(100))), Reason::Malformed);
        assert_eq!(reason(post(r#"{"Name":"a","Name":"b"}"#)), Reason::DuplicateParameter);
        assert_eq!(reason(get("Name=a&Name=a")), Reason::DuplicateParameter);
        assert_eq!(reason(get("Name=%zz")), Reason::Malformed);
    }

    #[test]
    fn a_list_of_objects_is_the_same_in_json_and_in_a_query() {
        for mut given in [
            post(r#"{"Tags":[{"Key":"a","Value":"1"},{"Value":"2","Key":"b"}]}"#).unwrap(),
            get("Tags.1.Key=b&Tags.0.Key=a&Tags.0.Value=1&Tags.1.Value=2").unwrap(),
        ] {
            let read: Vec<_> = given
                .objects("Tags", 2)
                .unwrap()
                .into_iter()
                .map(|mut tag| (tag.required("Key").unwrap(), tag.required("Value").unwrap()))
                .collect();
            assert_eq!(read, [("a".into(), "1".into()), ("b".into(), "2".into())]);
            assert!(given.done().is_ok(), "nothing of it is left");
        }
        let eleven: Vec<_> = (0..11).map(|n| format!("Tags.{n}.Key=k{n}")).collect();
        let eleventh = get(&eleven.join("&"))
            .unwrap()
            .objects("Tags", 50)
            .unwrap()
            .pop()
            .unwrap()
            .required("Key")
            .unwrap();
        assert_eq!(eleventh, "k10", "numbers sort as numbers");
        assert!(post(r#"{"Tags":[]}"#).unwrap().objects("Tags", 2).unwrap().is_empty());
        assert!(get("").unwrap().objects("Tags", 2).unwrap().is_empty());
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        for body in [r#"{"Tags":"a"}"#, r#"{"Tags":{}}"#, r#"{"Tags":["a"]}"#, r#"{"Tags":[{},{},{}]}"#] {
            assert_eq!(reason(post(body).unwrap().objects("Tags", 2)), Reason::InvalidParameter, "{body}");
        }
        for query in [
            "Tags=a",
            "Tags.0=a",
            "Tags.1.Key=a",
            "Tags.0.Key=a&Tags.2.Key=b",
            "Tags.00.Key=a",
            "Tags.-1.Key=a",
            "Tags..Key=a",
            "Tags.0.Key=a&Tags.1.Key=b&Tags.2.Key=c",
            "Tags.99999999999999999999.Key=a",
        ] {
            assert_eq!(reason(get(query).unwrap().objects("Tags", 2)), Reason::InvalidParameter, "{query}");
        }
        let flat = post(r#"{"Tags.0.Key":"a"}"#).unwrap();
        assert_eq!(reason(flat.done()), Reason::UnknownParameter, "a body has no flattened names");
        let mut flat = post(r#"{"Tags.0.Key":"a"}"#).unwrap();
        assert!(flat.objects("Tags", 2).unwrap().is_empty());
    }

    #[test]
    fn parameters_have_one_place() {
        let json = [("content-type", "application/json")];
        let read = |method, target, headers: &[_], body| {
            reason(Parameters::read(&request(method, target, headers, body)))
        };
        assert_eq!(read("GET", "/", &json, b"{}"), Reason::Malformed);
        assert_eq!(read("POST", "/?Name=x", &json, b"{}"), Reason::Malformed);
        for other in ["multipart/form-data; boundary=x", "application/octet-stream", "text/plain", ""] {
            assert_eq!(read("POST", "/", &[("content-type", other)], b"{}"), Reason::UnsupportedMediaType);
        }
    }
}
