//! Tests of the whole dialect, and what they share with those of its parts.

mod captures;
mod errors;
mod layouts;
mod pipeline;
mod policy;
mod properties;
mod vectors;

use super::sign::{self, SignMethod};
use super::{Top, TopCall, TopManner};
use crate::alibaba::time::stamp;
use crate::alibaba::wire::{METHOD, PATH};
use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Context, Dialect};
use daypass_core::directory::Directory;
use daypass_core::refusal::Refusal;
use daypass_core::request::Request;
use daypass_core::testing::{START, request};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use std::collections::BTreeMap;

/// The vectors: signatures that several independent SDKs agree on, and whole requests of real clients.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../vectors/alibaba-top.json")).unwrap()
}

/// A value that asks for what the client of the test world may have.
const PARAM: &str = r#"{"product_code":"oss","scene_code":"app-upload","usage_scene":"upload","op_poi_id":"8005","op_tenant_code":"hema","request_id":"r-1"}"#;

/// A client's call before it is signed.
#[derive(Clone, Debug)]
struct Draft {
    method: SignMethod,
    secret: Vec<u8>,
    params: BTreeMap<String, String>,
}

impl Draft {
    /// A good call of the world's client at [`START`].
    fn new(method: SignMethod) -> Self {
        let params = [
            ("method", METHOD),
            ("app_key", "12345678"),
            ("v", "2.0"),
            ("format", "json"),
            ("sign_method", method.name()),
            ("timestamp", &stamp(START)),
            ("param", PARAM),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { method, secret: b"secret of 12345678".to_vec(), params }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    fn unset(mut self, name: &str) -> Self {
        self.params.remove(name);
        self
    }

    /// With one member of `param` changed.
    fn asks(self, member: &str, value: impl Into<Value>) -> Self {
        let mut param: Value = serde_json::from_str(&self.params["param"]).unwrap();
        param[member] = value.into();
        self.set("param", &param.to_string())
    }

    fn signature(&self) -> String {
        sign::sign(self.method, &self.secret, self.params.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }

    fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.params);
        if !self.params.contains_key("sign") {
            form.append_pair("sign", &self.signature());
        }
        form.finish()
    }

    fn post(&self) -> Request {
        post(&self.form())
    }
}

fn post(form: &str) -> Request {
    request("POST", PATH, &[("content-type", "application/x-www-form-urlencoded")], form.as_bytes())
}

/// A good call, for tests of what its credential is good for elsewhere.
pub(super) fn call_of_the_gateway() -> Request {
    Draft::new(SignMethod::HmacSha256).post()
}

/// Reads a call as the pipeline would.
fn read(directory: &Directory, now: Timestamp, request: Request) -> (TopManner, Result<TopCall, Refusal>) {
    let mut manner = Top.manner(&request.head);
    let call = Top.read(Context { directory, now }, request, &mut manner);
    (manner, call)
}

/// The leaves of a tree: path and text.
pub(super) type Leaves = Vec<(String, String)>;

/// The leaves of an XML document, which must be well-formed.
pub(super) fn xml_leaves(document: &str) -> Leaves {
    let mut reader = Reader::from_str(document);
    let (mut path, mut text, mut leaves) = (Vec::new(), String::new(), Leaves::new());
    let mut leaf = false;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) => {
                path.push(tag.name().into_inner().to_owned());
                text.clear();
                leaf = true;
            }
            Event::End(_) => {
                if leaf {
                    leaves.push((path.join("/"), std::mem::take(&mut text)));
                }
                path.pop();
                leaf = false;
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().unwrap() {
                Some(c) => text.push(c),
                None => text.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap()),
            },
            Event::Decl(_) => {}
            other => panic!("{other:?} has no place here"),
        }
    }
    assert!(path.is_empty(), "{path:?} was not closed");
    leaves
}

/// The leaves of a JSON document: a list gives one for each item, at one path; an empty one gives an empty leaf.
pub(super) fn json_leaves(document: &str) -> Leaves {
    fn walk(path: &str, value: &Value, leaves: &mut Leaves) {
        match value {
            Value::Object(members) if members.is_empty() => leaves.push((path.into(), String::new())),
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                walk(&below, value, leaves);
            }),
            Value::Array(items) if items.is_empty() => leaves.push((path.into(), String::new())),
            Value::Array(items) => items.iter().for_each(|item| walk(path, item, leaves)),
            Value::String(text) => leaves.push((path.into(), text.clone())),
            other => leaves.push((path.into(), other.to_string())),
        }
    }
    let mut leaves = Leaves::new();
    walk("", &serde_json::from_str(document).unwrap(), &mut leaves);
    leaves
}
