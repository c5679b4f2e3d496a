//! What the API, its proxy and its clients ask.

use super::{APP_ROLE, Apis, FORWARD, HOST, Pair, RESOURCE, TENANT, action};
use crate::check::exchange;
use crate::clock;
use crate::requests::{Requests, request};
use crate::work::{Shown, Statements, Work};
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_dialects::tencent::sign::{
    CanonicalRequest, ClientKey, Outgoing, Scope, StringToSign, date, derive, hash, hex, sign_request,
};
use serde_json::{Value, json};
use std::net::SocketAddr;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A temporary key of Tencent Cloud's kind.
#[derive(Clone)]
pub(super) struct Triple {
    pub(super) id: String,
    secret: String,
    token: String,
}

/// Asks one server.
pub(crate) struct Questions {
    address: SocketAddr,
    /// The API's proof, as HTTP Basic has it.
    basic: String,
    callers: Vec<(Statements, Pair)>,
    /// What the API is shown: signed requests with this key, and this access token.
    shown: Triple,
    bearer: String,
    /// How many requests were made. The number is part of each, so that no two are the same.
    made: u64,
}

impl Questions {
    /// Fetches a temporary key and a token that the API can be shown.
    pub(super) fn prepare(apis: &Apis, address: SocketAddr) -> anyhow::Result<Self> {
        let Apis { api, shop, callers, .. } = apis;
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", api.id, api.secret)));
        let nothing = Triple { id: String::new(), secret: String::new(), token: String::new() };
        let (callers, bearer) = (callers.clone(), String::new());
        let mut questions = Self { address, basic, callers, shown: nothing, bearer, made: 0 };
        questions.shown = questions.triple()?;
        questions.bearer = questions.access_token(shop)?;
        Ok(questions)
    }

    /// A new temporary key of the client with one statement.
    pub(super) fn triple(&mut self) -> anyhow::Result<Triple> {
        let (status, body) = exchange(self.address, &self.federation(Statements::One, clock::wall()))?;
        let answer: Value = serde_json::from_slice(&body)?;
        let member = |name: &str| {
            let found = answer.pointer(&format!("/Response/Credentials/{name}")).and_then(Value::as_str);
            found.map(str::to_owned).with_context(|| format!("no temporary key, status {status}: {answer}"))
        };
        Ok(Triple { id: member("TmpSecretId")?, secret: member("TmpSecretKey")?, token: member("Token")? })
    }

    fn access_token(&self, shop: &Pair) -> anyhow::Result<String> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &shop.id)
            .append_pair("client_secret", &shop.secret)
            .append_pair("scope", &format!("{RESOURCE}/.default"))
            .finish();
        let host = self.address.to_string();
        let path = format!("/{TENANT}/oauth2/v2.0/token");
        let asked = request("POST", &path, [("host", host.as_str()), FORM], form.as_bytes());
        let (status, body) = exchange(self.address, &asked)?;
        let answer: Value = serde_json::from_slice(&body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).with_context(|| format!("no access token, status {status}: {answer}"))
    }

    /// Requests for a slice that sends at most `count`, signed now. All that carry a signature are different.
    pub(crate) fn requests(&mut self, work: Work, at: Timestamp, count: usize) -> Requests {
        match work {
            Work::Narrow(statements) => Requests::once((0..count).map(|_| self.federation(statements, at))),
            Work::Verify(Shown::Jwt) => Requests::Same(self.ask(&self.bearer_shown())),
            Work::Forward => Requests::Same(self.forward(Some(&self.bearer))),
            // With or without cut-offs, the question is the same.
            _ => Requests::once((0..count).map(|_| self.signed_shown(at))),
        }
    }

    /// The question of the proxy, about a request with this token.
    pub(crate) fn forward(&self, bearer: Option<&str>) -> Vec<u8> {
        let host = self.address.to_string();
        let bearer = bearer.map(|token| format!("Bearer {token}"));
        let headers = [
            ("host", host.as_str()),
            ("x-daypass-api", self.basic.as_str()),
            ("x-original-method", "GET"),
            ("x-original-host", HOST),
            ("x-original-uri", "/scores/8005"),
        ];
        let proof = bearer.as_ref().map(|value| ("authorization", value.as_str()));
        request("GET", FORWARD, headers.into_iter().chain(proof), b"")
    }

    fn signed_shown(&mut self, at: Timestamp) -> Vec<u8> {
        self.made += 1;
        let shown = essence(&self.shown, self.made, at);
        self.ask(&shown)
    }

    /// Whether the API is told that this key counts.
    pub(super) fn counts(&self, key: &Triple) -> anyhow::Result<bool> {
        let asked = self.ask(&essence(key, 0, clock::wall()));
        let (status, body) = exchange(self.address, &asked)?;
        ensure!(status == 200, "status {status}: {}", String::from_utf8_lossy(&body).escape_debug());
        let answer: Value = serde_json::from_slice(&body)?;
        answer.get("valid").and_then(Value::as_bool).context("an answer without `valid`")
    }

    /// A request with an access token.
    fn bearer_shown(&self) -> Value {
        json!({
            "method": "GET", "path": "/scores/8005", "host": HOST,
            "headers": {"authorization": format!("Bearer {}", self.bearer)},
            "action": APP_ROLE, "resource": "*",
        })
    }

    fn ask(&self, question: &Value) -> Vec<u8> {
        let host = self.address.to_string();
        let headers = [("host", host.as_str()), JSON, ("authorization", self.basic.as_str())];
        request("POST", "/v1/verify", headers, question.to_string().as_bytes())
    }

    /// A client asks for a part of a role of so many statements: for what the last one allows.
    fn federation(&mut self, statements: Statements, at: Timestamp) -> Vec<u8> {
        self.made += 1;
        let last = action(statements.count().saturating_sub(1));
        let policy = json!({
            "version": "2.0", "statement": {"effect": "allow", "action": last, "resource": "*"},
        });
        let body = json!({
            "Name": format!("bench-{:08}", self.made),
            "Policy": policy.to_string(),
            "DurationSeconds": 7200,
        });
        let body = body.to_string();
        let host = self.address.to_string();
        let outgoing = Outgoing {
            method: "POST",
            host: &host,
            query: "",
            body: body.as_bytes(),
            unsigned_payload: false,
            action: "GetFederationToken",
            region: "ap-guangzhou",
            at,
        };
        let caller = self.callers.iter().find(|(of, _)| *of == statements);
        let (id, secret) = caller.map_or(("", ""), |(_, pair)| (&pair.id, &pair.secret));
        let key = ClientKey { id, secret: secret.as_bytes(), token: None };
        let headers = sign_request(&key, &outgoing);
        request("POST", "/", headers.iter().map(|(name, value)| (*name, value.as_str())), body.as_bytes())
    }
}

/// A request that the API got, signed TC3 with a temporary key, and what it wants to know.
fn essence(key: &Triple, number: u64, at: Timestamp) -> Value {
    let body = json!({"SeqId": number, "UserVoiceData": "c29tZSB2b2ljZQ=="}).to_string();
    let (second, day) = (at.as_second().to_string(), date(at));
    let headers = [("content-type", JSON.1.as_bytes().into()), ("host", HOST.as_bytes().into())];
    let signed_headers = "content-type;host";
    let asked = CanonicalRequest {
        method: "POST",
        uri: "/",
        query: "",
        headers: &headers,
        signed_headers,
        payload: hash(body.as_bytes()),
    };
    let scope = Scope { date: &day, service: "soe" };
    let signature = StringToSign { timestamp: &second, scope, request: asked.digest() }
        .sign(&derive(key.secret.as_bytes(), scope));
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential={}/{day}/soe/tc3_request, SignedHeaders={signed_headers}, Signature={}",
        key.id,
        String::from_utf8_lossy(&hex(&signature))
    );
    json!({
        "method": "POST", "path": "/", "host": HOST, "body": STANDARD.encode(&body),
        "headers": {
            "content-type": JSON.1, "authorization": authorization,
            "x-tc-timestamp": second, "x-tc-token": key.token,
        },
        "action": action(0), "resource": "*",
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Questions with invented proofs.
    pub(crate) fn sample() -> Questions {
        let pair = |name: &str| Pair { id: format!("{name}-id"), secret: format!("{name}-secret") };
        Questions {
            address: "127.0.0.1:5050".parse().unwrap(),
            basic: "Basic YTpi".into(),
            callers: Statements::ALL.into_iter().map(|one| (one, pair(&one.role()))).collect(),
            shown: Triple { id: "AKIDx".into(), secret: "s".into(), token: "t".into() },
            bearer: "a.b.c".into(),
            made: 0,
        }
    }

    fn texts(work: Work, count: usize) -> Vec<String> {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let mut requests = sample().requests(work, at, count);
        (0..count).map(|_| String::from_utf8(requests.next().unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn no_two_requests_that_are_shown_are_the_same() {
        for work in [Work::Verify(Shown::Tc3), Work::Narrow(Statements::Ten)] {
            let all: HashSet<_> = texts(work, 50).into_iter().collect();
            assert_eq!(all.len(), 50, "{work}");
        }
    }

    #[test]
    fn what_is_asked_lies_in_the_last_statement_and_is_asked_by_its_own_client() {
        for statements in Statements::ALL {
            let text = texts(Work::Narrow(statements), 1).remove(0);
            assert!(text.contains(&action(statements.count() - 1)), "{text}");
            assert!(text.contains(&format!("Credential={}-id/", statements.role())), "{text}");
        }
    }

    #[test]
    fn a_proxy_shows_the_request_and_the_api_behind_it() {
        let text = String::from_utf8(sample().forward(None)).unwrap();
        assert!(text.starts_with("GET /bench/forward HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("x-daypass-api: Basic YTpi\r\n") && !text.contains("authorization"), "{text}");
        assert!(texts(Work::Forward, 1)[0].contains("authorization: Bearer a.b.c\r\n"));
        let jwt = texts(Work::Verify(Shown::Jwt), 1).remove(0);
        let question: Value = serde_json::from_str(jwt.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&question["action"], &question["host"]), (&json!(APP_ROLE), &json!(HOST)));
    }
}
