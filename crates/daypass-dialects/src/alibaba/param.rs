//! `param`: a JSON object, sent as the text of one parameter, that says what is asked for.
//!
//! Source: the page of the method, `SecurityTokenQueryParam`. Members that it does not name are passed over.

use daypass_core::endpoint::Product;
use daypass_core::json;
use daypass_core::refusal::{Reason, Refusal};
use serde_json::{Map, Value};

/// The longest value of a member, in characters.
const LONGEST: usize = 128;
/// The longest `token`, in characters.
const LONGEST_TOKEN: usize = 4096;

/// What `param` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    /// Product, scene and usage.
    pub product: Product,
    /// Whose store.
    pub tenant_code: String,
    /// Which store.
    pub poi_id: String,
    /// The caller's own id of the request, echoed in `resp_request_id`.
    pub request_id: Option<String>,
}

impl Param {
    /// Reads the decoded text of the parameter.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Refusal> {
        let text = text.ok_or_else(|| Refusal::missing("param"))?;
        let invalid = |detail: String| Refusal::new(Reason::InvalidParameter, detail).parameter("param");
        let mut object = match json::parse(text.as_bytes()) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(invalid("param must be a JSON object".into())),
            Err(fault) => return Err(invalid(format!("param is {fault}; send a JSON object as text"))),
        };
        // A nonce that sibling methods document as a random value: it is signed, and nothing else.
        member(&mut object, "token", LONGEST_TOKEN)?;
        Ok(Self {
            product: Product {
                product_code: required(&mut object, "product_code")?,
                scene_code: required(&mut object, "scene_code")?,
                usage_scene: required(&mut object, "usage_scene")?,
            },
            tenant_code: required(&mut object, "op_tenant_code")?,
            poi_id: required(&mut object, "op_poi_id")?,
            request_id: member(&mut object, "request_id", LONGEST)?,
        })
    }
}

fn required(object: &mut Map<String, Value>, name: &str) -> Result<String, Refusal> {
    member(object, name, LONGEST)?.ok_or_else(|| Refusal::missing(format!("param.{name}")))
}

/// A member as text. Clients whose language has no types send numbers where text is documented; only integers
/// are taken, since `1.0`, `1e0` and `1` are one number but not one name. Null and empty are absent.
fn member(object: &mut Map<String, Value>, name: &str, longest: usize) -> Result<Option<String>, Refusal> {
    let invalid = |what: String| {
        Err(Refusal::new(Reason::InvalidParameter, format!("param.{name} must be {what}"))
            .parameter(format!("param.{name}")))
    };
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.chars().count() > longest => {
            invalid(format!("at most {longest} characters long"))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
        Some(_) => invalid("a string".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"product_code":"oss","scene_code":"app-upload","usage_scene":"upload","op_poi_id":"8005","op_tenant_code":"hema"}"#;

    fn good() -> Param {
        Param::parse(Some(GOOD)).unwrap()
    }

    /// `GOOD` with one member changed or added, or removed by `null`.
    fn with(name: &str, value: Value) -> Result<Param, Refusal> {
        let mut object: Map<String, Value> = serde_json::from_str(GOOD).unwrap();
        object.insert(name.to_owned(), value);
        Param::parse(Some(&Value::Object(object).to_string()))
    }

    #[test]
    fn the_documented_members_are_read() {
        let param = good();
        assert_eq!(param.product.scene_code, "app-upload");
        assert_eq!((param.tenant_code.as_str(), param.poi_id.as_str()), ("hema", "8005"));
        assert_eq!(param.request_id, None);
        assert_eq!(with("request_id", "r-1".into()).unwrap().request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn numbers_unknown_members_and_a_token_are_taken() {
        assert_eq!(with("op_poi_id", 8005.into()).unwrap(), good());
        assert_eq!(with("token", "nonce".into()).unwrap(), good());
        assert_eq!(with("token", 7.into()).unwrap(), good());
        assert_eq!(with("some_day", serde_json::json!({"a": [1]})).unwrap(), good());
    }

    #[test]
    fn a_missing_member_is_named() {
        for name in ["product_code", "scene_code", "usage_scene", "op_poi_id", "op_tenant_code"] {
            for absent in [Value::Null, "".into()] {
                let refusal = with(name, absent).unwrap_err();
                assert_eq!(refusal.reason, Reason::MissingParameter);
                assert_eq!(refusal.parameter.unwrap(), format!("param.{name}"));
            }
        }
        assert_eq!(Param::parse(None).unwrap_err().parameter.unwrap(), "param");
    }

    #[test]
    fn what_is_not_an_object_of_texts_is_refused() {
        for bad in ["", "x", "[]", "\"a\"", "{", "{}{}", "{'a':1}", r#"{"a":1,"a":2}"#, &"[".repeat(99)] {
            let refusal = Param::parse(Some(bad)).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidParameter, "{bad}");
            assert_eq!(refusal.parameter.unwrap(), "param", "{bad}");
        }
        for bad in [
            true.into(),
            serde_json::json!(["8005"]),
            serde_json::json!({}),
            8005.5.into(),
            "x".repeat(129).into(),
        ] {
            let refusal = with("op_poi_id", bad).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidParameter);
            assert_eq!(refusal.parameter.unwrap(), "param.op_poi_id");
        }
        assert!(with("token", "x".repeat(4097).into()).is_err());
        assert!(with("request_id", "x".repeat(129).into()).is_err());
    }
}
