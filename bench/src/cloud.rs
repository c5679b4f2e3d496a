//! A stand-in for the clouds that credentials are fetched from, for the samples and for Daypass to ask: Tencent's STS, a
//! TOP gateway and Entra's token endpoint.
//!
//! What is measured in front of it is then the asker's own work. It looks at signatures and secrets as the real ones do, so
//! that nobody saves anything by signing wrongly, and takes as long as it is told to. It counts the credentials that it
//! gives.

mod tc3;

use crate::check::exchange;
use crate::clock;
use crate::process::{Core, Cores, Cpu, Server};
use crate::requests::request;
use crate::work::Delay;
use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use daypass_core::clock::{Timestamp, unix};
use daypass_dialects::alibaba::sign::{SignMethod, sign};
use daypass_dialects::alibaba::wire::{ERROR_ROOT, ROOT};
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The one key that it knows, id and secret: whoever asks it has this one.
pub(crate) const KEY: (&str, &str) = ("AKIDbench", "bench");
/// How the id of each of its credentials begins. A number follows, so that no two are the same.
pub(crate) const MARK: &str = "AKIDstandInForTheVendorsServiceStandInForTheVendorsService";
/// How long its credentials are said to last where the question does not say: the vendor's default for this action.
const LIFETIME: i64 = 1_800;
/// How long its access tokens last, as Entra's do.
const TOKEN_LIFETIME: i64 = 3_599;
/// As tokens of this kind have, which hold their policy: some hundreds of characters.
const TOKEN_LENGTH: usize = 332;
/// Where it says how many credentials it has given.
const CALLS: &str = "/calls";
/// Every answer's, as it means nothing here.
const REQUEST_ID: &str = "0b8d2f6e-93c1-4a57-8e40-6f1d7c25ba39";
/// The secret of every temporary key, as it means nothing here.
const SECRET: &str = "c3RhbmQtaW4gZm9yIHRoZSB2ZW5kb3IncyBzZXJ2aWM=";

/// What the server remembers.
struct Cloud {
    delay: Duration,
    given: AtomicU64,
}

impl Cloud {
    /// Counts a credential that is given, and gives it an id.
    fn next(&self) -> String {
        format!("{MARK}{:010}", self.given.fetch_add(1, Ordering::Relaxed))
    }

    /// As long after it was asked as it is away.
    async fn answer(&self, asked: Instant, kind: &'static str, body: &Value) -> Response {
        if !self.delay.is_zero() {
            tokio::time::sleep_until((asked + self.delay).into()).await;
        }
        ([(CONTENT_TYPE, kind)], body.to_string()).into_response()
    }
}

/// What of a question to STS decides the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wish {
    duration_seconds: Option<i64>,
}

/// STS: `GetFederationToken` and `AssumeRole`, and who the key is.
async fn sts(State(cloud): State<Arc<Cloud>>, headers: HeaderMap, body: Bytes) -> Response {
    const JSON: &str = "application/json";
    let asked = clock::now();
    let answer = match tc3::check(&headers, &body, KEY, clock::wall()) {
        Err(code) => json!({"Error": {"Code": code, "Message": "refused"}, "RequestId": REQUEST_ID}),
        Ok("GetCallerIdentity") => json!({
            "AccountId": "100000000001", "Arn": "qcs::cam::uin/100000000001:uin/100000000001",
            "UserId": "100000000001", "PrincipalId": "100000000001", "Type": "CAMUser",
            "RequestId": REQUEST_ID,
        }),
        Ok("GetFederationToken" | "AssumeRole") => credential(&cloud.next(), &body, clock::wall()),
        Ok(_) => json!({"Error": {"Code": "InvalidAction", "Message": "no"}, "RequestId": REQUEST_ID}),
    };
    cloud.answer(asked, JSON, &json!({"Response": answer})).await
}

/// What is answered to a question at this time.
fn credential(id: &str, body: &[u8], now: Timestamp) -> Value {
    let wish = serde_json::from_slice::<Wish>(body).ok().and_then(|wish| wish.duration_seconds);
    let expired = unix(now) + wish.unwrap_or(LIFETIME);
    let expiration = Timestamp::from_second(expired).map(|end| end.to_string()).unwrap_or_default();
    json!({
        "Credentials": {"Token": "t".repeat(TOKEN_LENGTH), "TmpSecretId": id, "TmpSecretKey": SECRET},
        "ExpiredTime": expired, "Expiration": expiration, "RequestId": REQUEST_ID,
    })
}

/// The gateway. It gives a credential for the store that is asked for, and shows its policy.
async fn top(State(cloud): State<Arc<Cloud>>, Form(form): Form<Vec<(String, String)>>) -> Response {
    const JSON: &str = "text/javascript;charset=UTF-8";
    let asked = clock::now();
    let value = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let signed = form.iter().filter(|(name, _)| name != "sign").map(|(name, value)| (&**name, &**value));
    let right = value("app_key") == Some(KEY.0)
        && value("sign") == Some(&sign(SignMethod::HmacSha256, KEY.1.as_bytes(), signed));
    let param = value("param").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let answer = match param {
        _ if !right => refused(25, "Invalid signature"),
        None => refused(40, "Missing required arguments:param"),
        Some(param) => json!({ROOT: store(&cloud.next(), &param, clock::wall())}),
    };
    cloud.answer(asked, JSON, &answer).await
}

fn refused(code: u32, why: &str) -> Value {
    json!({ERROR_ROOT: {"code": code, "msg": why, "request_id": REQUEST_ID}})
}

fn store(id: &str, param: &Value, now: Timestamp) -> Value {
    let text = |name: &str| param.get(name).and_then(Value::as_str).unwrap_or_default();
    let (tenant, store) = (text("op_tenant_code"), text("op_poi_id"));
    let expiration = Timestamp::from_second(unix(now) + TOKEN_LIFETIME);
    let expiration = expiration.map(|end| end.to_string()).unwrap_or_default();
    json!({
        "result": {
            "access_key_id": id, "access_key_secret": SECRET, "token": "t".repeat(TOKEN_LENGTH),
            "expiration": expiration,
            "product_code": text("product_code"), "scene_code": text("scene_code"),
            "tenant_code": tenant, "field_id": store,
            "policy": {"version": "1", "statement": {"datas": [{
                "resource": {"string": [format!("acs:oss:*:*:bucket/{tenant}/{store}/*")]},
                "effect": "Allow",
                "action": {"string": ["oss:PutObject"]},
            }]}},
        },
        "resp_code": 0, "resp_success": true, "resp_request_id": REQUEST_ID, "message": "ok",
        "request_id": REQUEST_ID,
    })
}

/// The two fields of a token request by which a client proves itself.
#[derive(Deserialize)]
struct Proof {
    client_id: String,
    client_secret: String,
}

/// Entra's token endpoint.
async fn token(State(cloud): State<Arc<Cloud>>, Form(proof): Form<Proof>) -> Response {
    const JSON: &str = "application/json; charset=utf-8";
    let asked = clock::now();
    let answer = if (proof.client_id.as_str(), proof.client_secret.as_str()) == KEY {
        let token = format!("{}{}", cloud.next(), "t".repeat(TOKEN_LENGTH));
        json!({"token_type": "Bearer", "expires_in": TOKEN_LIFETIME, "access_token": token})
    } else {
        json!({"error": "invalid_client", "error_codes": [7_000_215]})
    };
    cloud.answer(asked, JSON, &answer).await
}

/// Serves until it is killed. One thread is many times as fast as any sample.
pub(crate) fn serve(address: SocketAddr, delay: Duration) -> anyhow::Result<()> {
    let cloud = Arc::new(Cloud { delay, given: AtomicU64::new(0) });
    let given = |State(cloud): State<Arc<Cloud>>| async move { Json(cloud.given.load(Ordering::Relaxed)) };
    let router = Router::new()
        .route("/", post(sts))
        .route("/router/rest", post(top))
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .route(CALLS, get(given))
        .with_state(cloud);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

/// Those that are running.
pub(crate) struct Clouds(Vec<(Delay, Server)>);

impl Clouds {
    /// Starts one for each distance, beside the loader: they take nothing from what is measured.
    pub(crate) fn start(cores: Cores, this: &Path, delays: &[Delay]) -> anyhow::Result<Self> {
        let one = |delay: &Delay| {
            let server = Server::start(cores, Core::Loader, |address| {
                let mut command = Command::new(this);
                command.args(["cloud", "--listen", &address.to_string()]);
                command.args(["--delay-ms", &delay.millis().to_string()]);
                command
            });
            Ok((*delay, server?))
        };
        Ok(Self(delays.iter().map(one).collect::<anyhow::Result<_>>()?))
    }

    /// The one that is so far away.
    fn at(&self, delay: Delay) -> anyhow::Result<&Server> {
        let found = self.0.iter().find(|(known, _)| *known == delay);
        found.map(|(_, server)| server).with_context(|| format!("no cloud {} ms away", delay.millis()))
    }

    /// Where that one listens.
    pub(crate) fn address(&self, delay: Delay) -> anyhow::Result<SocketAddr> {
        Ok(self.at(delay)?.address)
    }

    /// What that one has used so far.
    pub(crate) fn cpu(&self, delay: Delay) -> anyhow::Result<Cpu> {
        self.at(delay)?.cpu()
    }

    /// How many credentials that one has given.
    pub(crate) fn given(&self, delay: Delay) -> anyhow::Result<u64> {
        let address = self.address(delay)?;
        let asked = request("GET", CALLS, [("host", "127.0.0.1")], b"");
        Ok(serde_json::from_slice(&exchange(address, &asked)?.1)?)
    }

    /// How long that one takes for one question, from a client who asks nothing else.
    pub(crate) fn latency(&self, delay: Delay) -> anyhow::Result<Duration> {
        let address = self.address(delay)?;
        let asked = question(&address.to_string(), clock::wall());
        let begin = clock::now();
        let (status, body) = exchange(address, &asked)?;
        let took = begin.elapsed();
        ensure!(
            status == 200 && String::from_utf8_lossy(&body).contains(MARK),
            "the cloud gives nothing: {}",
            String::from_utf8_lossy(&body).escape_debug()
        );
        Ok(took)
    }
}

/// A question to STS, signed.
fn question(host: &str, at: Timestamp) -> Vec<u8> {
    let body = br#"{"Name":"bench","Policy":"{}"}"#;
    let key = ClientKey { id: KEY.0, secret: KEY.1.as_bytes(), token: None };
    let outgoing = Outgoing {
        method: "POST",
        host,
        query: "",
        body,
        unsigned_payload: false,
        action: "GetFederationToken",
        region: "ap-guangzhou",
        at,
    };
    let headers = sign_request(&key, &outgoing);
    request("POST", "/", headers.iter().map(|(name, value)| (*name, value.as_str())), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_dialects::alibaba::wire::{parse_top, render_policy};

    /// A running one. It ends with the tests.
    fn running(delay: Duration) -> SocketAddr {
        let address = daypass_faults::port::free_address().unwrap();
        std::thread::spawn(move || serve(address, delay).unwrap());
        while std::net::TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        address
    }

    fn ask(address: SocketAddr, request: &[u8]) -> Value {
        let (status, body) = exchange(address, request).unwrap();
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn the_answer_is_one_of_the_vendors_and_both_times_are_the_same_instant() {
        let now: Timestamp = "2026-11-22T03:00:00.9Z".parse().unwrap();
        let response = credential("AKIDx", b"{}", now);
        assert_eq!(response["Expiration"], "2026-11-22T03:30:00Z");
        assert_eq!(response["ExpiredTime"], unix(now) + 1_800);
        assert_eq!(response["Credentials"]["TmpSecretId"], "AKIDx");
        assert_eq!(response["Credentials"]["Token"].as_str().map(str::len), Some(TOKEN_LENGTH));
        let asked = credential("AKIDx", br#"{"DurationSeconds": 900}"#, now);
        assert_eq!(asked["ExpiredTime"], unix(now) + 900);
    }

    #[test]
    fn credentials_are_counted_and_all_different_and_a_wrong_signature_gets_none() {
        let address = running(Duration::ZERO);
        let host = address.to_string();
        let id = |answer: Value| answer["Response"]["Credentials"]["TmpSecretId"].as_str().map(str::to_owned);
        let first = id(ask(address, &question(&host, clock::wall()))).unwrap();
        let second = id(ask(address, &question(&host, clock::wall()))).unwrap();
        assert!(first.starts_with(MARK) && first != second && first.len() == second.len());
        let forged = String::from_utf8(question(&host, clock::wall())).unwrap().replace("\"{}\"", "\"[]\"");
        let forged = ask(address, forged.as_bytes());
        assert_eq!(forged["Response"]["Error"]["Code"], "AuthFailure.SignatureFailure");
        let calls = request("GET", CALLS, [("host", "h")], b"");
        assert_eq!(ask(address, &calls), 2);
    }

    #[test]
    fn the_gateway_gives_what_was_asked_for_to_the_right_key() {
        let address = running(Duration::ZERO);
        let param = json!({"product_code": "oss", "op_tenant_code": "hema", "op_poi_id": "8005"}).to_string();
        let asked = |secret: &str, param: Option<&str>| {
            let mut form = vec![("app_key", KEY.0), ("sign_method", "hmac-sha256")];
            form.extend(param.map(|param| ("param", param)));
            let signature = sign(SignMethod::HmacSha256, secret.as_bytes(), form.iter().copied());
            form.push(("sign", &signature));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let headers = [("host", "h"), ("content-type", "application/x-www-form-urlencoded")];
            ask(address, &request("POST", "/router/rest", headers, body.as_bytes()))
        };
        let answer = asked(KEY.1, Some(&param));
        let result = &answer[ROOT]["result"];
        assert_eq!((&result["tenant_code"], &result["field_id"]), (&json!("hema"), &json!("8005")));
        let policy = parse_top(&result["policy"].to_string()).unwrap();
        assert_eq!(
            render_policy(&policy).unwrap(),
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bucket/hema/8005/*"]}]}"#
        );
        assert_eq!(asked("wrong", Some(&param))[ERROR_ROOT]["code"], 25);
        assert_eq!(asked(KEY.1, None)[ERROR_ROOT]["code"], 40);
    }

    #[test]
    fn a_token_is_for_who_knows_the_secret_and_an_answer_comes_as_late_as_it_is_to() {
        let address = running(Duration::from_millis(30));
        let asked = |secret: &str| {
            let body = format!("grant_type=client_credentials&client_id={}&client_secret={secret}", KEY.0);
            let headers = [("host", "h"), ("content-type", "application/x-www-form-urlencoded")];
            ask(address, &request("POST", "/any/oauth2/v2.0/token", headers, body.as_bytes()))
        };
        let begin = clock::now();
        assert!(asked(KEY.1)["access_token"].as_str().unwrap().starts_with(MARK));
        assert!(begin.elapsed() >= Duration::from_millis(30), "never earlier");
        assert_eq!(asked("wrong")["error"], "invalid_client");
    }
}
