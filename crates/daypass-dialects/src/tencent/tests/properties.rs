//! What holds for every request.

use super::super::parameters::Parameters;
use super::super::sign::{ClientKey, Outgoing, sign_request};
use super::super::sts::Tc3Call;
use super::Sts;
use daypass_core::dialect::{Call, Context, Dialect};
use daypass_core::directory::Directory;
use daypass_core::refusal::Refusal;
use daypass_core::request::{Head, Request};
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::{START, World, request};
use http::{HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use std::sync::LazyLock;

static DIRECTORY: LazyLock<Directory> = LazyLock::new(|| World::new().directory());

fn read(request: Request) -> Result<Tc3Call, Refusal> {
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
