//! What holds for every request.

use super::super::parameters::Parameters;
use super::super::sign::v1::{self, Algorithm, StringToSign};
use super::super::sign::{ClientKey, Outgoing, sign_request};
use super::super::sts::StsCall;
use super::super::wire::parameter;
use super::Sts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::dialect::{Call, Context, Dialect};
use daypass_core::directory::Directory;
use daypass_core::refusal::Refusal;
use daypass_core::request::{Head, Request};
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::{START, World, request};
use http::{HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static DIRECTORY: LazyLock<Directory> = LazyLock::new(|| World::new().directory());

fn read(request: Request) -> Result<StsCall, Refusal> {
    let context = Context { directory: &DIRECTORY, now: START };
    let mut manner = Sts.manner(&request.head);
    Sts.read(context, request, &mut manner)
}

fn verifies(request: Request, secret: &str) -> bool {
    let secret = Secret::new(secret);
    read(request).is_ok_and(|call| call.verify(&SigningKey::for_test(&secret)).is_some())
}

/// What is signed.
#[derive(Clone, Debug)]
struct Parts {
    post: bool,
    host: String,
    query: String,
    body: Vec<u8>,
    secret: String,
    unsigned: bool,
}

prop_compose! {
    fn parts()(
        post: bool,
        host in "[a-z0-9]{1,8}(\\.[a-z0-9]{1,4}){0,2}(:[0-9]{1,5})?",
        query in "[a-zA-Z0-9=&%+*'~]{1,40}",
        body in prop::collection::vec(any::<u8>(), 1..200),
        secret in "[!-~]{1,40}",
        unsigned: bool,
    ) -> Parts {
        Parts { post, host, query, body, secret, unsigned }
    }
}

impl Parts {
    fn sign(&self) -> Request {
        let (query, body) = if self.post { ("", &self.body[..]) } else { (&self.query[..], &b""[..]) };
        let out = Outgoing {
            method: if self.post { "POST" } else { "GET" },
            host: &self.host,
            query,
            body,
            unsigned_payload: self.unsigned,
            action: "GetFederationToken",
            region: "",
            at: START,
        };
        let key = ClientKey { id: "AKID1", secret: self.secret.as_bytes(), token: None };
        let headers = sign_request(&key, &out);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request(out.method, &format!("/?{query}"), &headers, body)
    }
}

/// Parameters that an action may have.
const OWN: [&str; 8] =
    ["Name", "Policy", "RoleArn", "RoleSessionName", "ExternalId", "Language", "Tags.0.Key", "Tags.10.Value"];

/// What is signed the older way.
#[derive(Clone, Debug)]
struct Older {
    post: bool,
    host: String,
    parameters: BTreeMap<String, String>,
    secret: String,
    sha256: bool,
}

prop_compose! {
    fn older()(
        post: bool,
        host in "[a-z0-9]{1,8}(\\.[a-z0-9]{1,4}){0,2}(:[0-9]{1,5})?",
        parameters in prop::collection::btree_map(prop::sample::select(&OWN), "([ -~课]|&|=|&[a-z]{1,3}=){0,24}", 0..8),
        secret in "[!-~]{1,40}",
        sha256: bool,
    ) -> Older {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Older { post, host, parameters, secret, sha256 }
    }
}

impl Older {
    fn method(&self) -> &'static str {
        if self.post { "POST" } else { "GET" }
    }

    fn form(&self) -> String {
        let parameters: Vec<_> = self.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let out = v1::Outgoing {
            method: self.method(),
            host: &self.host,
            action: "AssumeRole",
            region: Some("ap-guangzhou"),
            parameters: &parameters,
            algorithm: if self.sha256 { Algorithm::HmacSha256 } else { Algorithm::HmacSha1 },
            nonce: 11_886,
            at: START,
        };
        v1::sign_request(&ClientKey { id: "AKID1", secret: self.secret.as_bytes(), token: None }, &out)
    }

    fn carry(&self, form: &str) -> Request {
        let host = ("host", self.host.as_str());
        if self.post {
            let content_type = ("content-type", "application/x-www-form-urlencoded");
            return request("POST", "/", &[host, content_type], form.as_bytes());
        }
        request("GET", &format!("/?{form}"), &[host], b"")
    }
}

/// Decoded pairs of a form, and a form of pairs.
fn pairs(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

fn form(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Changes the lowest bit of one byte: never only the case of a letter.
fn flip(bytes: &mut [u8], at: prop::sample::Index) {
    let at = at.index(bytes.len());
    bytes[at] ^= 1;
}

fn flip_header(head: &mut Head, name: &'static str, at: prop::sample::Index, from: usize) {
    let mut value = head.headers[name].as_bytes().to_vec();
    flip(&mut value[from..], at);
    head.headers.insert(name, HeaderValue::from_bytes(&value).unwrap());
}

proptest! {
    #[test]
    fn what_was_signed_verifies(parts in parts()) {
        prop_assert!(verifies(parts.sign(), &parts.secret));
        let another = parts.secret.clone() + "x";
        prop_assert!(!verifies(parts.sign(), &another));
    }

    #[test]
    fn the_host_may_be_signed_without_its_port(parts in parts(), port in 1_u16..) {
        prop_assume!(!parts.host.contains(':'));
        let mut request = parts.sign();
        request.head_mut().headers.insert("host", format!("{}:{port}", parts.host).parse().unwrap());
        prop_assert!(verifies(request, &parts.secret));
    }

    #[test]
    fn a_changed_payload_is_noticed(parts in parts(), at: prop::sample::Index) {
        let mut request = parts.sign();
        let mut body = parts.body.clone();
        flip(&mut body, at);
        if parts.post {
            request.body = body.into();
        } else {
            let mut query = parts.query.clone().into_bytes();
            flip(&mut query, at);
            request.head_mut().query = String::from_utf8(query).unwrap();
        }
        // Without the payload's hash, the body alone is open; the query is still signed.
        prop_assert_eq!(verifies(request, &parts.secret), parts.post && parts.unsigned);
    }

    #[test]
    fn a_changed_header_is_noticed(parts in parts(), at: prop::sample::Index, which in 0..4_usize) {
        let mut request = parts.sign();
        let signature_at = request.head.headers["authorization"].len() - 64;
        let (name, from) =
            [("host", 0), ("content-type", 0), ("x-tc-timestamp", 0), ("authorization", signature_at)][which];
        flip_header(request.head_mut(), name, at, from);
        prop_assert!(!verifies(request, &parts.secret), "{name}");
    }

    #[test]
    fn what_was_signed_the_older_way_verifies(older in older()) {
        prop_assert!(verifies(older.carry(&older.form()), &older.secret));
        let another = older.secret.clone() + "x";
        prop_assert!(!verifies(older.carry(&older.form()), &another));
        let mut shuffled = pairs(&older.form());
        shuffled.reverse();
        prop_assert!(verifies(older.carry(&form(&shuffled)), &older.secret), "the order says nothing");
    }

    #[test]
    fn a_changed_parameter_is_noticed(older in older(), which: prop::sample::Index, at: prop::sample::Index, in_name: bool) {
        let mut changed = pairs(&older.form());
        let which = which.index(changed.len());
        let part = if in_name { &mut changed[which].0 } else { &mut changed[which].1 };
        prop_assume!(!part.is_empty());
        let mut bytes = part.clone().into_bytes();
        flip(&mut bytes, at);
        prop_assume!(std::str::from_utf8(&bytes).is_ok());
        *part = String::from_utf8(bytes).unwrap();
        prop_assert!(!verifies(older.carry(&form(&changed)), &older.secret), "{changed:?}");
    }

    #[test]
    fn a_changed_method_or_host_is_noticed(older in older(), at: prop::sample::Index) {
        let other = Older { post: !older.post, ..older.clone() };
        prop_assert!(!verifies(other.carry(&older.form()), &older.secret));
        let mut host = older.host.clone().into_bytes();
        flip(&mut host, at);
        let other = Older { host: String::from_utf8(host).unwrap(), ..older.clone() };
        prop_assume!(other.host.split(':').next() != Some(&older.host));
        prop_assert!(!verifies(other.carry(&older.form()), &older.secret));
    }

    /// The text that was signed, put together to other parameters, is believed by nobody; or it has a name that the
    /// API does not know, which is refused before anything is asked for.
    #[test]
    fn one_text_is_one_request(older in older(), joints in prop::collection::vec(any::<bool>(), 256)) {
        let honest: BTreeMap<String, String> = pairs(&older.form()).into_iter().collect();
        let signature = honest[parameter::SIGNATURE].clone();
        let sorted: Vec<_> = honest
            .iter()
            .filter(|(name, _)| *name != parameter::SIGNATURE)
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), value.as_str()))
            .collect();
        let text = StringToSign { method: "", host: "", parameters: &sorted }.text();
        // Joins neighbours wherever the dice say so, which is every way in which the text can be cut at its `&`.
        let mut cut: Vec<String> = Vec::new();
        for (piece, join) in text.strip_prefix("/?").unwrap().split('&').zip(joints) {
            match cut.last_mut() {
                Some(last) if join => *last = format!("{last}&{piece}"),
                _ => cut.push(piece.to_owned()),
            }
        }
        let mut regrouped: Vec<(String, String)> = cut
            .iter()
            .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        regrouped.push((parameter::SIGNATURE.to_owned(), signature));
        let again: BTreeMap<_, _> = regrouped.iter().cloned().collect();
        let known = |name: &String| OWN.contains(&name.as_str()) || parameter::ALL.contains(&name.as_str());
        let believed = verifies(older.carry(&form(&regrouped)), &older.secret) && again.keys().all(known);
        prop_assert_eq!(believed, again == honest, "{:?}", regrouped);
    }

    #[test]
    fn any_form_may_be_sent(
        post: bool,
        wild in prop::collection::vec(("[A-Za-z0-9._%+]{0,12}", "[ -~]{0,40}"), 0..6),
        raw in "[A-Za-z0-9%&=+.课]{0,60}",
        signature: [u8; 20],
        timestamp in "(1700000000|[0-9]{0,12}|[ -~]{0,8})",
        method in "(HmacSHA1|[A-Za-z0-9]{0,12})",
    ) {
        let mut parameters: Vec<(String, String)> = [
            (parameter::ACTION, "AssumeRole"),
            (parameter::VERSION, "2018-08-13"),
            (parameter::SECRET_ID, "AKID1"),
            (parameter::NONCE, "1"),
            (parameter::TIMESTAMP, &timestamp),
            (parameter::SIGNATURE_METHOD, &method),
            (parameter::SIGNATURE, &STANDARD.encode(signature)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        parameters.extend(wild);
        let older = Older {
            post,
            host: "127.0.0.1:5050".to_owned(),
            parameters: BTreeMap::new(),
            secret: String::new(),
            sha256: false,
        };
        for text in [raw.clone(), form(&parameters), format!("{}&{raw}", form(&parameters))] {
            if let Ok(call) = read(older.carry(&text)) {
                let secret = Secret::new("k");
                prop_assert!(call.verify(&SigningKey::for_test(&secret)).is_none());
                let _ = call.claim();
            }
        }
    }

    #[test]
    fn anything_may_be_sent(
        method in "(GET|POST|PUT|[A-Z]{1,8})",
        query: String,
        body: Vec<u8>,
        headers in prop::collection::vec((0..10_usize, prop::collection::vec(any::<u8>(), 0..80)), 0..12),
        authorization in "(TC3-HMAC-SHA256 )?(Credential=[!-~]{0,30}/2023-11-14/sts/tc3_request)?,? ?(SignedHeaders=[a-z;-]{0,30})?,? ?(Signature=[0-9a-f]{60,66})?",
        well_formed: bool,
    ) {
        const NAMES: [&str; 10] = [
            "host", "content-type", "authorization", "x-tc-action", "x-tc-version", "x-tc-timestamp",
            "x-tc-token", "x-tc-content-sha256", "x-tc-region", "origin",
        ];
        let mut sent = request("GET", "/", &[], &body);
        sent.head_mut().method = Method::from_bytes(method.as_bytes()).unwrap();
        sent.head_mut().query = query;
        let mut add = |name: &'static str, value: &[u8]| {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                sent.head_mut().headers.append(HeaderName::from_static(name), value);
            }
        };
        for (name, value) in &headers {
            add(NAMES[*name], value);
        }
        add("authorization", authorization.as_bytes());
        if well_formed {
            add("x-tc-timestamp", b"1700000000");
            add("x-tc-version", b"2018-08-13");
            add("x-tc-action", b"GetFederationToken");
        }
        let _ = Parameters::read(&sent);
        if let Ok(call) = read(sent) {
            let secret = Secret::new("k");
            prop_assert!(call.verify(&SigningKey::for_test(&secret)).is_none());
            let _ = call.claim();
        }
    }
}
