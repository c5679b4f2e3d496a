//! What a fault does: in place of an answer, or to one.

use super::answer::{self, Complaint, Once, Plain, between};
use super::body::{Body, bomb};
use super::fault::Harm;
use super::sight::{Cloud, Sight};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use daypass_core::clock::{Timestamp, after, before, rfc3339};
use http::header::{CONTENT_ENCODING, LOCATION};
use serde_json::{Value, json};

/// What a credential that is too short lives, and how long before one that is over has ended, in seconds.
const SHORT: u32 = 10;
const OVER: u32 = 60;
/// Whom an answer is of that is somebody else's: an account, and a tenant of Entra.
const OTHER_ACCOUNT: &str = "199999999999";
const OTHER_TENANT: &str = "00000000-0000-4000-8000-000000000000";
/// A host that no resolver knows (RFC 2606): a client that follows there fails, and tells nobody anything.
const ELSEWHERE: &str = "https://elsewhere.invalid/";

/// What takes the place of an answer.
pub(super) enum Instead {
    /// Another answer.
    Answer(Plain, Option<Body>),
    /// None, and the connection stays.
    Hang,
    /// None, and the connection is reset.
    Reset,
}

/// What this harm puts in the place of an answer; none where it changes the true one.
pub(super) fn instead(harm: Harm, cloud: Cloud, sight: &Sight, once: Once) -> Option<Instead> {
    let json = |body: &'static str| Plain::new(200, answer::json_type(cloud), body);
    let whole = |plain| Some(Instead::Answer(plain, None));
    match harm {
        Harm::Busy => whole(answer::complaint(cloud, sight, Complaint::Busy, once)),
        Harm::Down => whole(answer::complaint(cloud, sight, Complaint::Down, once)),
        Harm::Hang => Some(Instead::Hang),
        Harm::Reset => Some(Instead::Reset),
        Harm::Garbage => whole(json("{\"Response\":{\"Credentials\":{\"Token\":\"\u{fffd}")),
        Harm::Html => {
            let page = "<!doctype html><title>Sign in</title><p>Sign in to the network to go on.</p>";
            whole(Plain::new(200, "text/html; charset=utf-8", page))
        }
        Harm::Redirect => whole(Plain::new(302, "text/html", "").with(LOCATION, ELSEWHERE)),
        Harm::Gzip => whole(Plain { body: bomb(), ..json("") }.with(CONTENT_ENCODING, "gzip")),
        Harm::Huge => Some(Instead::Answer(json(""), Some(Body::flood()))),
        Harm::Slow | Harm::Expired | Harm::Short | Harm::WrongAccount => None,
    }
}

/// What this harm makes of the true answer.
pub(super) fn changed(harm: Harm, cloud: Cloud, answer: Plain, now: Timestamp, account: &str) -> Plain {
    let ends = match harm {
        Harm::Expired => before(now, OVER),
        Harm::Short => after(now, SHORT),
        Harm::WrongAccount => return Plain { body: of_another(cloud, &answer.body, account), ..answer },
        _ => return answer,
    };
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut document) => {
            end(&mut document, ends, now);
            document.to_string().into()
        }
        Err(_) => end_xml(&answer.body, ends),
    };
    Plain { body, ..answer }
}

/// Sets every end that an answer tells, wherever the vendor puts it.
fn end(document: &mut Value, ends: Timestamp, now: Timestamp) {
    match document {
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "ExpiredTime" => *value = json!(ends.as_second()),
                    "Expiration" | "expiration" => *value = json!(rfc3339(ends)),
                    "expires_in" | "ext_expires_in" => {
                        *value = json!((ends.as_second() - now.as_second()).max(0));
                    }
                    _ => end(value, ends, now),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| end(item, ends, now)),
        _ => {}
    }
}

fn end_xml(body: &Bytes, ends: Timestamp) -> Bytes {
    let text = String::from_utf8_lossy(body).into_owned();
    let names = [("<Expiration>", "</Expiration>"), ("<expiration>", "</expiration>")];
    let found = names.into_iter().find_map(|(open, close)| Some((open, close, between(&text, open, close)?)));
    let Some((open, close, old)) = found else { return body.clone() };
    text.replace(&format!("{open}{old}{close}"), &format!("{open}{}{close}", rfc3339(ends))).into()
}

/// The same answer with another account in it; in a token, with another tenant, under a signature that is not right any more.
fn of_another(cloud: Cloud, body: &Bytes, account: &str) -> Bytes {
    let text = String::from_utf8_lossy(body);
    if cloud != Cloud::Entra {
        return text.replace(account, OTHER_ACCOUNT).into();
    }
    let retold = || {
        let mut document: Value = serde_json::from_str(&text).ok()?;
        let token = document.get("access_token")?.as_str()?;
        let (head, rest) = token.split_once('.')?;
        let (claims, signature) = rest.split_once('.')?;
        let mut claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        claims.as_object_mut()?.insert("tid".to_owned(), json!(OTHER_TENANT));
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let token = format!("{head}.{claims}.{signature}");
        document.as_object_mut()?.insert("access_token".to_owned(), json!(token));
        Some(Bytes::from(document.to_string()))
    };
    retold().unwrap_or_else(|| body.clone())
}

#[cfg(test)]
mod tests {
    use super::super::sight::tests::sight;
    use super::*;
    use daypass_core::testing::{START, later};
    use uuid::Uuid;

    const ACCOUNT: &str = "100000000001";

    fn altered(harm: Harm, cloud: Cloud, body: &str) -> Value {
        let plain = changed(harm, cloud, Plain::new(200, "a/b", body.to_owned()), START, ACCOUNT);
        serde_json::from_slice(&plain.body).unwrap()
    }

    #[test]
    fn an_end_is_moved_wherever_it_stands() {
        let tencent = r#"{"Response":{"Credentials":{},"ExpiredTime":1,"Expiration":"x"}}"#;
        assert_eq!(
            altered(Harm::Short, Cloud::Tencent, tencent),
            json!({"Response": {"Credentials": {}, "ExpiredTime": later(10).as_second(), "Expiration": rfc3339(later(10))}})
        );
        let alibaba = altered(Harm::Expired, Cloud::Alibaba, r#"{"Credentials":{"Expiration":"x"}}"#);
        assert_eq!(alibaba["Credentials"]["Expiration"], rfc3339(before(START, 60)));
        let top = altered(Harm::Short, Cloud::Top, r#"{"a_response":{"result":{"expiration":"x"}}}"#);
        assert_eq!(top["a_response"]["result"]["expiration"], rfc3339(later(10)));
        let entra = r#"{"expires_in":3599,"ext_expires_in":3599,"access_token":"t"}"#;
        assert_eq!(altered(Harm::Expired, Cloud::Entra, entra)["expires_in"], 0);
        assert_eq!(
            altered(Harm::Short, Cloud::OAuth, entra),
            json!({"expires_in": 10, "ext_expires_in": 10, "access_token": "t"})
        );
        let xml = Plain::new(200, "text/xml", "<r><expiration>x</expiration></r>");
        let xml = changed(Harm::Short, Cloud::Top, xml, START, ACCOUNT).body;
        assert_eq!(xml, format!("<r><expiration>{}</expiration></r>", rfc3339(later(10))));
    }

    #[test]
    fn an_answer_of_another_account_is_otherwise_the_same() {
        let user = r#"{"AssumedRoleUser":{"Arn":"acs:ram::100000000001:role/uploads/s"}}"#;
        let told = altered(Harm::WrongAccount, Cloud::Alibaba, user);
        assert_eq!(told["AssumedRoleUser"]["Arn"], "acs:ram::199999999999:role/uploads/s");
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"tid":"t","aud":"a"}"#);
        let told = altered(
            Harm::WrongAccount,
            Cloud::Entra,
            &json!({"access_token": format!("h.{claims}.s")}).to_string(),
        );
        let token: Vec<_> = told["access_token"].as_str().unwrap().split('.').collect();
        let claims: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token[1]).unwrap()).unwrap();
        assert_eq!((token[0], token[2], claims), ("h", "s", json!({"aud": "a", "tid": OTHER_TENANT})));
        assert_eq!(altered(Harm::WrongAccount, Cloud::Entra, r#"{"error":"x"}"#), json!({"error": "x"}));
    }

    #[test]
    fn each_harm_either_replaces_an_answer_or_changes_one() {
        let once = Once { id: Uuid::nil(), now: START, again: 1 };
        let status = |harm| match instead(harm, Cloud::Tencent, &sight("/", &[], ""), once) {
            Some(Instead::Answer(plain, _)) => plain.status.as_u16().to_string(),
            Some(Instead::Hang) => "hangs".into(),
            Some(Instead::Reset) => "resets".into(),
            None => "changes".into(),
        };
        for (harm, expected) in [
            (Harm::Busy, "200"),
            (Harm::Down, "200"),
            (Harm::Hang, "hangs"),
            (Harm::Reset, "resets"),
            (Harm::Slow, "changes"),
            (Harm::Garbage, "200"),
            (Harm::Html, "200"),
            (Harm::Redirect, "302"),
            (Harm::Gzip, "200"),
            (Harm::Huge, "200"),
            (Harm::Expired, "changes"),
            (Harm::Short, "changes"),
            (Harm::WrongAccount, "changes"),
        ] {
            assert_eq!(status(harm), expected, "{}", harm.name());
        }
    }
}
