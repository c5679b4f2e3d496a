//! Every endpoint's answer is read and verified once, before it is only counted.

use crate::asker::Asker;
use crate::clock;
use crate::cloud;
use crate::requests::{Requests, request};
use crate::response::{Response, Shape};
use crate::work::{Whose, Work};
use crate::yardstick;
use anyhow::{Context as _, bail, ensure};
use daypass_core::clock::unix;
use daypass_core::role::Algorithm;
use daypass_dialects::alibaba::sign::ClientKey as AlibabaKey;
use daypass_dialects::alibaba::wire::ROOT as TOP_ROOT;
use daypass_dialects::tencent::sign::ClientKey;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How many answers the shape of an endpoint's answers is learned from.
const SAMPLES: usize = 8;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends one request over a connection of its own; gives status and body.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the server closed the connection without a whole answer");
        seen.extend_from_slice(buffer.get(..read).unwrap_or_default());
        match Response::read(&seen) {
            Ok(Some(response)) => return Ok((response.status, response.body.to_vec())),
            Ok(None) => {}
            Err(malformed) => bail!("not an HTTP/1.1 response with a length ({malformed:?})"),
        }
    }
}

/// Asks an endpoint a few times, verifies each answer in full, and learns what they have in common.
pub(crate) fn learn(address: SocketAddr, asker: &mut Asker, work: Work) -> anyhow::Result<Shape> {
    let mut requests = asker.requests(work, SAMPLES);
    let bodies =
        (0..SAMPLES).map(|_| one(address, asker, work, &mut requests)).collect::<anyhow::Result<Vec<_>>>();
    bodies
        .and_then(|bodies| {
            is_fresh(work, &bodies)?;
            let shape = Shape::of(&bodies).context("no sample")?;
            // What is left of a life counts down; the id of a request begins with the time.
            let moving = matches!(work, Work::BrokeredToken | Work::Acs3);
            Ok(if moving { shape.before_digits() } else { shape })
        })
        .with_context(|| format!("{work} answers wrongly"))
}

/// A token that the server can be asked about.
pub(crate) fn a_token(address: SocketAddr, asker: &Asker, work: Work) -> anyhow::Result<String> {
    let (status, body) = exchange(address, &asker.for_a_token(work))?;
    let value: Value = serde_json::from_slice(&body)?;
    let token = value.get("access_token").and_then(Value::as_str);
    token.map(str::to_owned).with_context(|| format!("{work}: no token, status {status}"))
}

/// The token counts, and is the asker's own.
fn about(asker: &Asker, value: &Value) -> anyhow::Result<()> {
    ensure!(value.get("active") == Some(&Value::Bool(true)), "it does not count");
    let client = value.get("client_id").and_then(Value::as_str);
    ensure!(client == Some(&asker.credentials().entra.client_id), "it is another client's");
    Ok(())
}

/// Where a new credential is asked for, all answers differ; where one user asks again, all are the same credential.
fn is_fresh(work: Work, bodies: &[Vec<u8>]) -> anyhow::Result<()> {
    let wanted = match work {
        Work::GetAuthorization | Work::Sample(..) | Work::Brokered(Whose::New, _) => bodies.len(),
        Work::Cached | Work::Brokered(..) | Work::Crowd(_) => 1,
        _ => return Ok(()),
    };
    let id = |body: &Vec<u8>| Ok(serde_json::from_slice::<Triple>(body)?.credentials.tmp_secret_id);
    let ids = bodies.iter().map(id).collect::<anyhow::Result<HashSet<_>>>()?;
    ensure!(ids.len() == wanted, "{} different credentials in {} answers", ids.len(), bodies.len());
    Ok(())
}

fn one(address: SocketAddr, asker: &Asker, work: Work, requests: &mut Requests) -> anyhow::Result<Vec<u8>> {
    let (status, body) = exchange(address, requests.next().context("no request")?)?;
    let shown = || format!("status {status}: {}", String::from_utf8_lossy(&body).escape_debug());
    ensure!(status == 200, shown());
    if work == Work::Forward {
        passes(address, asker, &body).with_context(shown)?;
        return Ok(body);
    }
    let value: Value = serde_json::from_slice(&body).with_context(shown)?;
    match work {
        Work::Hello => ensure!(body.len() == yardstick::HELLO_LENGTH, "{} bytes", body.len()),
        Work::Form => {
            ensure!(value.get("grant_type").and_then(Value::as_str) == Some("client_credentials"), shown());
        }
        Work::GetAuthorization | Work::Cached => triple(address, asker, &value).with_context(shown)?,
        Work::Tc3 => {
            triple(address, asker, value.get("Response").with_context(shown)?).with_context(shown)?;
        }
        Work::Top | Work::TopMd5 => top(asker, &value).with_context(shown)?,
        Work::Acs3 => assumed(address, asker, &value).with_context(shown)?,
        Work::Token(algorithm) => token(address, asker, algorithm, &value).with_context(shown)?,
        Work::ProviderToken(algorithm) => {
            provider_token(address, asker, algorithm, &value).with_context(shown)?;
        }
        Work::Introspect | Work::ProviderIntrospect => about(asker, &value).with_context(shown)?,
        Work::Keys | Work::ProviderKeys => {
            let keys: JwkSet = serde_json::from_value(value.clone()).with_context(shown)?;
            ensure!(keys.keys.len() >= Algorithm::ALL.len(), "{} keys", keys.keys.len());
        }
        Work::Sample(..) | Work::Brokered(..) | Work::Crowd(_) => stand_in(&value).with_context(shown)?,
        Work::BrokeredTop => {
            top(asker, &value).with_context(shown)?;
            is_the_clouds(&value, &format!("/{TOP_ROOT}/result/access_key_id")).with_context(shown)?;
        }
        Work::BrokeredToken => is_the_clouds(&value, "/access_token").with_context(shown)?,
        Work::Verify(_) | Work::Revoked(_) => known(&value).with_context(shown)?,
        Work::Narrow(_) => narrowed(address, asker, &value).with_context(shown)?,
        Work::Forward => {}
    }
    Ok(body)
}

/// Tencent's temporary credential, as much of it as must be there.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Triple {
    credentials: TripleKeys,
    expiration: String,
    expired_time: i64,
    request_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TripleKeys {
    token: String,
    tmp_secret_id: String,
    tmp_secret_key: String,
}

/// The credential is complete, has a future, and signs a request that the server itself believes.
fn triple(address: SocketAddr, asker: &Asker, value: &Value) -> anyhow::Result<()> {
    let triple = Triple::deserialize(value)?;
    ensure!(triple.expired_time > unix(clock::wall()), "it has expired already");
    ensure!(!triple.expiration.is_empty() && !triple.request_id.is_empty(), "a member is empty");
    let keys = &triple.credentials;
    let key = ClientKey {
        id: &keys.tmp_secret_id,
        secret: keys.tmp_secret_key.as_bytes(),
        token: Some(&keys.token),
    };
    let (status, body) = exchange(address, &asker.who_am_i(&key))?;
    let answer: Value = serde_json::from_slice(&body)?;
    let arn = answer.pointer("/Response/Arn").and_then(Value::as_str);
    ensure!(
        status == 200 && arn.is_some_and(|arn| arn.starts_with("qcs::")),
        "the credential does not work: {}",
        String::from_utf8_lossy(&body).escape_debug()
    );
    Ok(())
}

/// The sender is known, and may do what was asked about.
fn known(value: &Value) -> anyhow::Result<()> {
    let is = |pointer: &str| value.pointer(pointer) == Some(&Value::Bool(true));
    ensure!(is("/valid"), "it is nobody's");
    ensure!(is("/decision/allowed"), "it is not allowed");
    Ok(())
}

/// The request may pass, and one that shows nothing may not.
fn passes(address: SocketAddr, asker: &Asker, body: &[u8]) -> anyhow::Result<()> {
    ensure!(body.is_empty(), "a proxy reads no body");
    let questions = asker.questions().context("nobody asks")?;
    let (status, _) = exchange(address, &questions.forward(None))?;
    ensure!(status == 401, "a request without a token is answered with {status}");
    Ok(())
}

/// A temporary key that works.
fn narrowed(address: SocketAddr, asker: &Asker, value: &Value) -> anyhow::Result<()> {
    triple(address, asker, value.get("Response").context("no response")?)
}

/// The credential that the stand-in for the vendor's STS gives, complete.
fn stand_in(value: &Value) -> anyhow::Result<()> {
    let triple = Triple::deserialize(value)?;
    ensure!(triple.expired_time > unix(clock::wall()), "it has expired already");
    ensure!(triple.credentials.tmp_secret_id.starts_with(cloud::MARK), "not the stand-in's credential");
    Ok(())
}

/// What stands there was made by the stand-in.
fn is_the_clouds(value: &Value, pointer: &str) -> anyhow::Result<()> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    ensure!(text.is_some_and(|text| text.starts_with(cloud::MARK)), "not the stand-in's credential");
    Ok(())
}

/// The temporary key of an assumed role is complete, and signs a request that the server itself believes.
fn assumed(address: SocketAddr, asker: &Asker, value: &Value) -> anyhow::Result<()> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (id, secret) = (text("/Credentials/AccessKeyId"), text("/Credentials/AccessKeySecret"));
    let token = text("/Credentials/SecurityToken");
    ensure!(id.starts_with("STS.") && !secret.is_empty() && !token.is_empty(), "not a whole key");
    ensure!(
        !text("/Credentials/Expiration").is_empty() && !text("/RequestId").is_empty(),
        "a member is empty"
    );
    let role = &asker.credentials().alibaba.role_arn;
    ensure!(text("/AssumedRoleUser/Arn").starts_with(role.as_str()), "another role");
    let key = AlibabaKey { id, secret: secret.as_bytes(), token: Some(token) };
    // An id is no one else's, so it is a nonce of its own.
    let (status, body) = exchange(address, &asker.who_am_i_there(&key, id))?;
    let answer: Value = serde_json::from_slice(&body)?;
    ensure!(
        status == 200 && answer.get("IdentityType").and_then(Value::as_str) == Some("AssumedRoleUser"),
        "the key does not work: {}",
        String::from_utf8_lossy(&body).escape_debug()
    );
    Ok(())
}

/// The TOP call's result: complete, for what was asked, with a policy that names tenant and store.
fn top(asker: &Asker, value: &Value) -> anyhow::Result<()> {
    let alibaba = &asker.credentials().alibaba;
    let response = value.get(TOP_ROOT).context("not a success")?;
    let result = response.get("result").context("no result")?;
    let text = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or_default();
    for name in ["access_key_id", "access_key_secret", "token", "expiration"] {
        ensure!(!text(name).is_empty(), "no {name}");
    }
    ensure!(text("product_code") == alibaba.product_code, "another product");
    ensure!(text("tenant_code") == alibaba.tenant_code, "another tenant");
    let policy = result.get("policy").context("no policy")?.to_string();
    let place = format!("/{}/{}/", alibaba.tenant_code, alibaba.poi_ids.first().context("no store")?);
    ensure!(policy.contains(&place), "the policy does not name {place}");
    ensure!(response.get("resp_success") == Some(&Value::Bool(true)), "resp_success is not true");
    Ok(())
}

/// The token is signed by a published key of the right algorithm, and is for the resource that was asked for.
fn token(address: SocketAddr, asker: &Asker, algorithm: Algorithm, value: &Value) -> anyhow::Result<()> {
    let entra = &asker.credentials().entra;
    let keys = format!("/{}/discovery/v2.0/keys", entra.tenant);
    let audience = &asker.resource(algorithm).context("no resource")?.audience;
    let claims = signed(address, &keys, algorithm, audience, value)?;
    let is = |name: &str, expected: &str| claims.get(name).and_then(Value::as_str) == Some(expected);
    ensure!(is("tid", &entra.tenant) && is("azp", &entra.client_id), "for another tenant or client");
    Ok(())
}

/// The same of oidc-provider's.
fn provider_token(
    address: SocketAddr,
    asker: &Asker,
    algorithm: Algorithm,
    value: &Value,
) -> anyhow::Result<()> {
    let audience = format!("https://api.example/{}", algorithm.name());
    let claims = signed(address, "/jwks", algorithm, &audience, value)?;
    let client = claims.get("client_id").and_then(Value::as_str);
    ensure!(client == Some(&asker.credentials().entra.client_id), "for another client");
    Ok(())
}

/// The claims of a JWT for this audience, whose signature is by a published key of this algorithm.
fn signed(
    address: SocketAddr,
    keys: &str,
    algorithm: Algorithm,
    audience: &str,
    value: &Value,
) -> anyhow::Result<Value> {
    let keys = request("GET", keys, [("host", "127.0.0.1")], b"");
    let keys: JwkSet =
        serde_json::from_slice(&exchange(address, &keys)?.1).context("the key set is not one")?;
    let token = value.get("access_token").and_then(Value::as_str).context("no access_token")?;
    let header = decode_header(token)?;
    ensure!(format!("{:?}", header.alg) == algorithm.name(), "signed with {:?}", header.alg);
    let jwk = keys.find(&header.kid.context("no kid")?).context("the key is not published")?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    Ok(decode::<Value>(token, &DecodingKey::from_jwk(jwk)?, &validation)?.claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::tests::sample;
    use crate::work::{Delay, Peer};
    use serde_json::json;
    use std::net::TcpListener;
    use std::thread;

    fn asker() -> Asker {
        Asker::new("127.0.0.1:1".parse().unwrap(), sample(), Vec::new())
    }

    /// A server that gives every connection the same answer.
    fn serve(body: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 8192]).unwrap();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_top_answer_must_be_the_one_that_was_asked_for() {
        let root = "alibaba_security_deepvision_proxy_security_common_token_get_response";
        let good = json!({root: {
            "result": {
                "access_key_id": "STS.x", "access_key_secret": "y", "token": "z", "expiration": "2026-11-22T00:00:00Z",
                "product_code": "oss", "tenant_code": "hema",
                "policy": {"statement": {"datas": [{"resource": {"string": ["acs:oss:*:*:b/hema/8005/*"]}}]}},
            },
            "resp_success": true,
        }});
        top(&asker(), &good).unwrap();
        for (pointer, bad) in [
            ("/result/token", json!("")),
            ("/result/tenant_code", json!("other")),
            ("/result/product_code", json!("other")),
            ("/result/policy", json!({"resource": "acs:oss:*:*:b/hema/9999/*"})),
            ("/resp_success", json!(false)),
        ] {
            let mut value = good.clone();
            *value.get_mut(root).unwrap().pointer_mut(pointer).unwrap() = bad;
            assert!(top(&asker(), &value).is_err(), "{pointer}");
        }
        assert!(top(&asker(), &json!({"error_response": {"code": 25}})).is_err());
    }

    #[test]
    fn the_key_of_an_assumed_role_must_work() {
        let good = json!({
            "RequestId": "r",
            "AssumedRoleUser": {"Arn": "acs:ram::1:role/z/bench-1"},
            "Credentials": {
                "AccessKeyId": "STS.x", "AccessKeySecret": "y", "SecurityToken": "t",
                "Expiration": "2026-11-22T00:00:00Z",
            },
        });
        let known = serve(r#"{"IdentityType":"AssumedRoleUser"}"#.to_owned());
        assumed(known, &asker(), &good).unwrap();
        let refused = serve(r#"{"Code":"SignatureDoesNotMatch"}"#.to_owned());
        assert!(assumed(refused, &asker(), &good).is_err(), "refused");
        let user = serve(r#"{"IdentityType":"RAMUser"}"#.to_owned());
        assert!(assumed(user, &asker(), &good).is_err(), "the client's own key");
        for (pointer, bad) in [
            ("/RequestId", ""),
            ("/AssumedRoleUser/Arn", "acs:ram::1:role/other/bench-1"),
            ("/Credentials/AccessKeyId", "LTAIx"),
            ("/Credentials/AccessKeySecret", ""),
            ("/Credentials/SecurityToken", ""),
            ("/Credentials/Expiration", ""),
        ] {
            let mut value = good.clone();
            *value.pointer_mut(pointer).unwrap() = json!(bad);
            assert!(assumed(known, &asker(), &value).is_err(), "{pointer}");
        }
    }

    #[test]
    fn what_is_said_of_a_token_must_be_of_the_askers_own() {
        about(&asker(), &json!({"active": true, "client_id": "c"})).unwrap();
        for bad in
            [json!({"active": false}), json!({"active": true, "client_id": "other"}), json!({"active": true})]
        {
            assert!(about(&asker(), &bad).is_err(), "{bad}");
        }
        let token = serve(json!({"access_token": "e.y.J"}).to_string());
        assert_eq!(a_token(token, &asker(), Work::Introspect).unwrap(), "e.y.J");
        let refused = serve(json!({"error": "invalid_client"}).to_string());
        assert!(a_token(refused, &asker(), Work::ProviderIntrospect).is_err());
    }

    #[test]
    fn a_temporary_credential_must_work() {
        let credential = |expires: i64| {
            json!({"Credentials": {"Token": "t", "TmpSecretId": "AKID", "TmpSecretKey": "k"},
                   "Expiration": "x", "ExpiredTime": expires, "RequestId": "r"})
        };
        let (later, refused) =
            (4_000_000_000, r#"{"Response":{"Error":{"Code":"AuthFailure.TokenFailure"}}}"#);
        let known = serve(r#"{"Response":{"Arn":"qcs::sts:1:federated-user/2"}}"#.to_owned());
        triple(known, &asker(), &credential(later)).unwrap();
        assert!(triple(known, &asker(), &credential(1)).is_err(), "expired");
        assert!(triple(known, &asker(), &json!({"Credentials": {}})).is_err(), "incomplete");
        assert!(triple(serve(refused.to_owned()), &asker(), &credential(later)).is_err(), "refused");
    }

    #[test]
    fn a_new_credential_is_new_and_a_cached_one_is_not() {
        let body = |id: &str| {
            json!({"Credentials": {"Token": "t", "TmpSecretId": id, "TmpSecretKey": "k"},
                   "Expiration": "x", "ExpiredTime": 1, "RequestId": "r"})
            .to_string()
            .into_bytes()
        };
        let (same, different) = ([body("a"), body("a")], [body("a"), body("b")]);
        is_fresh(Work::GetAuthorization, &different).unwrap();
        is_fresh(Work::Cached, &same).unwrap();
        assert!(is_fresh(Work::GetAuthorization, &same).is_err());
        assert!(is_fresh(Work::Cached, &different).is_err());
        assert!(is_fresh(Work::Cached, &[b"{}".to_vec()]).is_err());
        for delay in Delay::ALL {
            for (work, new) in [
                (Work::Brokered(Whose::New, delay), true),
                (Work::Brokered(Whose::Anyones, delay), false),
                (Work::Brokered(Whose::Own, delay), false),
                (Work::Crowd(delay), false),
                (Work::Sample(Peer::Flask, delay), true),
            ] {
                assert_eq!(is_fresh(work, &different).is_ok(), new, "{work}");
                assert_eq!(is_fresh(work, &same).is_ok(), !new, "{work}");
            }
        }
    }

    #[test]
    fn a_sample_must_hand_on_what_the_stand_in_answered() {
        let answer = |id: &str, expires: i64| {
            json!({"Credentials": {"Token": "t", "TmpSecretId": id, "TmpSecretKey": "k"},
                   "Expiration": "x", "ExpiredTime": expires, "RequestId": "r"})
        };
        let id = format!("{}0000000001", cloud::MARK);
        stand_in(&answer(&id, 4_000_000_000)).unwrap();
        assert!(stand_in(&answer("AKIDother", 4_000_000_000)).is_err());
        assert!(stand_in(&answer(&id, 1)).is_err());
        // What the Express sample gives with status 200 when STS cannot be reached.
        assert!(stand_in(&json!({"code": "ECONNREFUSED"})).is_err());
    }

    #[test]
    fn an_answer_that_is_not_right_is_shown() {
        let address = serve(r#"{"Error":"no"}"#.to_owned());
        let error = format!("{:#}", learn(address, &mut asker(), Work::GetAuthorization).err().unwrap());
        assert!(error.contains("getAuthorization answers wrongly") && error.contains("Error"), "{error}");
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || drop(listener.accept().unwrap()));
        assert!(exchange(address, b"GET / HTTP/1.1\r\n\r\n").is_err());
    }
}
