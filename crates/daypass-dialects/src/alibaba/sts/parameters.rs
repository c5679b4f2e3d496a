//! The parameters of a call, from its query and from a form in its body.
//!
//! Clients put them in either place or in both: the newer ones all in the query, `ali-oss` all in a form, the
//! credentials library common ones in the query and the rest in a form. The two count as one set.

use super::shown;
use crate::alibaba::parameters::{BodyKind, decode, halves};
use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use std::collections::BTreeMap;

/// Parameters that every action has, by their names on the wire.
pub(super) mod name {
    /// The key id.
    pub(in super::super) const ACCESS_KEY_ID: &str = "AccessKeyId";
    /// What is asked for.
    pub(in super::super) const ACTION: &str = "Action";
    /// `JSON` or `XML`, in any case.
    pub(in super::super) const FORMAT: &str = "Format";
    /// The token of a temporary key.
    pub(in super::super) const SECURITY_TOKEN: &str = "SecurityToken";
    /// The signature of version 1.
    pub(in super::super) const SIGNATURE: &str = "Signature";
    /// How it was made.
    pub(in super::super) const SIGNATURE_METHOD: &str = "SignatureMethod";
    /// A text that no two calls have in common.
    pub(in super::super) const SIGNATURE_NONCE: &str = "SignatureNonce";
    /// Empty, for a signature with an access key; other values are ways of proof that are not offered.
    pub(in super::super) const SIGNATURE_TYPE: &str = "SignatureType";
    /// The version of the signature.
    pub(in super::super) const SIGNATURE_VERSION: &str = "SignatureVersion";
    /// When the call was made.
    pub(in super::super) const TIMESTAMP: &str = "Timestamp";
    /// The version of the API.
    pub(in super::super) const VERSION: &str = "Version";

    /// All of them, and the region, which this API has no use for.
    pub(in super::super) const COMMON: [&str; 12] = [
        ACCESS_KEY_ID,
        ACTION,
        FORMAT,
        "RegionId",
        SECURITY_TOKEN,
        SIGNATURE,
        SIGNATURE_METHOD,
        SIGNATURE_NONCE,
        SIGNATURE_TYPE,
        SIGNATURE_VERSION,
        TIMESTAMP,
        VERSION,
    ];
}

/// The parameters of a call, decoded. In each place they are sorted by the bytes of their names.
pub(super) struct Parameters {
    query: BTreeMap<String, String>,
    body: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads query and body.
    ///
    /// Attack: of a name that stands twice, one reader believes the first value and another the last, so that twice in
    /// one place is refused, and so is one value in the query and another in the body.
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        let query = form(request.head.query.as_bytes())?;
        let body = if request.body.is_empty() {
            BTreeMap::new()
        } else if matches!(BodyKind::of(&request.head)?, BodyKind::Form) {
            form(&request.body)?
        } else {
            return Err(Refusal::new(
                Reason::UnsupportedMediaType,
                "the body must be application/x-www-form-urlencoded",
            ));
        };
        if query.len() + body.len() > limits::PARAMETERS {
            return Err(too_many());
        }
        let differs =
            |(name, value): &(&String, &String)| query.get(*name).is_some_and(|other| other != *value);
        if let Some((name, _)) = body.iter().find(differs) {
            return Err(duplicate(name, "has one value in the query and another in the body"));
        }
        Ok(Self { query, body })
    }

    /// Reads the query alone, for a request whose body is another API's.
    pub(super) fn of_query(query: &str) -> Result<Self, Refusal> {
        Ok(Self { query: form(query.as_bytes())?, body: BTreeMap::new() })
    }

    /// The value of a parameter; an empty one is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.query.get(name).or_else(|| self.body.get(name));
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    /// Every parameter but the signature, empty ones too, sorted by name.
    pub(super) fn all(&self) -> BTreeMap<&str, &str> {
        let both = self.query.iter().chain(&self.body);
        both.map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| *name != name::SIGNATURE)
            .collect()
    }

    /// Every parameter of the query, sorted by name.
    pub(super) fn query(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Refuses a parameter that is neither common nor one of the action's: it is a mistake that its sender should hear
    /// of, or an attempt to be understood differently by someone else.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let unknown = |name: &&str| !known.contains(name) && !name::COMMON.contains(name);
        match self.all().into_keys().find(unknown) {
            None => Ok(()),
            Some(name) => {
                let detail = format!("this action has no parameter {}", shown(name));
                Err(Refusal::new(Reason::UnknownParameter, detail).parameter(shown(name).to_owned()))
            }
        }
    }
}

fn form(form: &[u8]) -> Result<BTreeMap<String, String>, Refusal> {
    let mut found = BTreeMap::new();
    for (number, pair) in form.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).enumerate() {
        if number == limits::PARAMETERS {
            return Err(too_many());
        }
        let (name, value) = halves(pair);
        let name = decode(name)?;
        let value = decode(value).map_err(|fault| Refusal::from(fault).parameter(shown(&name).to_owned()))?;
        if found.contains_key(&name) {
            return Err(duplicate(&name, "came twice"));
        }
        found.insert(name, value);
    }
    Ok(found)
}

fn duplicate(name: &str, how: &str) -> Refusal {
    let name = shown(name);
    Refusal::new(Reason::DuplicateParameter, format!("the parameter {name} {how}")).parameter(name.to_owned())
}

fn too_many() -> Refusal {
    Refusal::new(Reason::TooLarge, format!("there are more than {} parameters", limits::PARAMETERS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

    fn read(query: &str, kind: (&str, &str), body: &str) -> Result<Parameters, Refusal> {
        Parameters::read(&request("POST", &format!("/?{query}"), &[kind], body.as_bytes()))
    }

    #[track_caller]
    fn refused(read: Result<Parameters, Refusal>) -> (Reason, Option<String>) {
        let refusal = read.err().expect("a refusal");
        (refusal.reason, refusal.parameter.map(String::from))
    }

    #[test]
    fn query_and_body_are_one_set() {
        let read = read("b=2&a=%E9%97%A8+x&Signature=s&same=1", FORM, "c=&same=1").unwrap();
        let all: Vec<_> = read.all().into_iter().collect();
        assert_eq!(all, [("a", "门 x"), ("b", "2"), ("c", ""), ("same", "1")], "an empty value counts");
        assert_eq!(read.query()[0], ("Signature", "s"));
        assert_eq!((read.get("c"), read.get("b"), read.get("Signature")), (None, Some("2"), Some("s")));
        assert_eq!(read.required("c").unwrap_err().reason, Reason::MissingParameter);
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        let twice = (Reason::DuplicateParameter, Some("a".to_owned()));
        assert_eq!(refused(read("a=1&a=1", FORM, "")), twice);
        assert_eq!(refused(read("a=1&%61=2", FORM, "")), twice);
        assert_eq!(refused(read("a=1", FORM, "a=2")), twice);
        assert_eq!(refused(read("", FORM, "a=1&a=1")), twice);
        for bad in ["a=%zz", "a=%ff", "a=%00", "a=%"] {
            assert_eq!(refused(read(bad, FORM, "")).0, Reason::Malformed, "{bad}");
            assert_eq!(refused(read("", FORM, bad)).0, Reason::Malformed, "{bad}");
        }
        assert_eq!(refused(read("%ff=a", FORM, "")).0, Reason::Malformed);
    }

    #[test]
    fn a_body_is_a_form() {
        for other in ["application/json", "multipart/form-data; boundary=x", "text/plain", ""] {
            assert_eq!(refused(read("", ("content-type", other), "a=1")).0, Reason::UnsupportedMediaType);
        }
        assert!(read("a=1", ("content-type", "application/json"), "").is_ok(), "nothing is of any type");
    }

    #[test]
    fn parameters_are_counted() {
        let many = |n: usize| (0..n).map(|n| format!("n{n}=")).collect::<Vec<_>>().join("&");
        assert!(read(&many(limits::PARAMETERS), FORM, "").is_ok());
        assert_eq!(refused(read(&many(limits::PARAMETERS + 1), FORM, "")).0, Reason::TooLarge);
        assert_eq!(refused(read(&many(limits::PARAMETERS), FORM, "x=")).0, Reason::TooLarge);
    }

    #[test]
    fn an_action_has_its_own_parameters_and_the_common_ones() {
        let read = read("Action=x&RegionId=r&SignatureType=&RoleArn=a", FORM, "").unwrap();
        assert!(read.only(&["RoleArn"]).is_ok());
        let refusal = read.only(&[]).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.parameter.as_deref()),
            (Reason::UnknownParameter, Some("RoleArn"))
        );
    }
}
