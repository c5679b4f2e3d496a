//! What a server's answer says: a credential and how long it lives, a refusal, or that it has too much to do.

use bytes::Bytes;
use daypass_core::secret::Secret;
use http::header::DATE;
use http::{Response, StatusCode};
use serde_json::Value;

/// Whose credential, and so what the answer looks like and which programs read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Vendor {
    /// A temporary key of Tencent Cloud.
    Tencent,
    /// A temporary key of Alibaba Cloud, from the TOP gateway or from STS.
    Alibaba,
    /// An access token in the shape of Microsoft Entra's.
    Entra,
}

/// A temporary key.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) token: Secret,
}

/// What a program uses.
pub(super) enum Credential {
    Tencent(Key),
    Alibaba(Key),
    Entra(Secret),
}

/// How an answer is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What was asked for.
    Given,
    /// No, and asking again does not help.
    Refused,
    /// Not now: what was given before stays in use.
    Busy,
}

impl Vendor {
    /// The name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tencent => "tencent",
            Self::Alibaba => "alibaba",
            Self::Entra => "entra",
        }
    }

    /// How the answer is to be taken. Tencent's STS and the TOP gateway refuse with status 200.
    pub(super) fn verdict(self, answer: &Response<Bytes>) -> Verdict {
        let status = answer.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Verdict::Busy;
        }
        let text = String::from_utf8_lossy(answer.body());
        let document = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
        let busy = match self {
            Self::Tencent => match document.pointer("/Response/Error/Code").and_then(Value::as_str) {
                Some(code) => code.starts_with("RequestLimitExceeded") || code.starts_with("InternalError"),
                None if document.get("Response").is_none() => return Verdict::Refused,
                None => return Verdict::Given,
            },
            // 7: called too often; 10: the service is not available.
            Self::Alibaba if text.contains("error_response") => {
                let code = document.pointer("/error_response/code").and_then(Value::as_u64);
                matches!(code, Some(7 | 10))
                    || ["<code>7</code>", "<code>10</code>"].iter().any(|c| text.contains(c))
            }
            Self::Alibaba | Self::Entra if status.is_success() => return Verdict::Given,
            Self::Alibaba | Self::Entra => false,
        };
        if busy { Verdict::Busy } else { Verdict::Refused }
    }

    /// Seconds from now until the credential of this answer ends; nothing where it has none in it. An instant of the
    /// answer is measured from the server's own `Date`, so that a clock that is wrong here changes nothing.
    pub(super) fn life(self, answer: &Response<Bytes>, now: i64) -> Option<u32> {
        let now = date(answer).unwrap_or(now);
        let document = serde_json::from_slice::<Value>(answer.body()).ok();
        let ends = match (self, document) {
            (Self::Tencent, Some(document)) => document.pointer("/Response/ExpiredTime")?.as_i64()?,
            (Self::Alibaba, Some(document)) => {
                let alibaba = alibaba(&document)?;
                instant(member(alibaba, "expiration", "Expiration")?)?
            }
            (Self::Alibaba, None) => instant(in_xml(&String::from_utf8_lossy(answer.body()))?)?,
            (Self::Entra, Some(document)) => {
                document.get("access_token")?;
                return u32::try_from(document.get("expires_in")?.as_u64()?).ok();
            }
            (_, None) => return None,
        };
        u32::try_from(ends.saturating_sub(now)).ok()
    }

    /// The credential of an answer in JSON.
    pub(super) fn credential(self, body: &[u8]) -> Option<Credential> {
        let document: Value = serde_json::from_slice(body).ok()?;
        Some(match self {
            Self::Tencent => {
                let found = document.pointer("/Response/Credentials")?;
                Credential::Tencent(key(found, ["TmpSecretId"; 2], ["TmpSecretKey"; 2], ["Token"; 2])?)
            }
            Self::Alibaba => Credential::Alibaba(key(
                alibaba(&document)?,
                ["access_key_id", "AccessKeyId"],
                ["access_key_secret", "AccessKeySecret"],
                ["token", "SecurityToken"],
            )?),
            Self::Entra => Credential::Entra(Secret::new(clean(document.get("access_token")?.as_str()?)?)),
        })
    }
}

/// What a refusal says, for people: the code and the text of the vendor's envelope.
pub(super) fn said(answer: &str) -> String {
    let document: Value = serde_json::from_str(answer).unwrap_or_default();
    let at = |pointers: [&str; 2]| {
        let parts = pointers.iter().filter_map(|pointer| document.pointer(pointer)?.as_str());
        parts.collect::<Vec<_>>().join(": ")
    };
    let shapes = [
        ["/Response/Error/Code", "/Response/Error/Message"],
        ["/error_response/sub_code", "/error_response/sub_msg"],
        ["/error_response/msg", "/error_response/sub_msg"],
        ["/error", "/error_description"],
        ["/Code", "/Message"],
    ];
    let found = shapes.into_iter().map(at).find(|text| !text.is_empty());
    // Of what is no vendor's envelope a piece is enough to see what stands there instead of the server.
    let text = found.unwrap_or_else(|| answer.chars().take(200).collect());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Alibaba's credential: STS has it at the top, the gateway in the `result` of the only member.
fn alibaba(document: &Value) -> Option<&Value> {
    document.get("Credentials").or_else(|| document.as_object()?.values().next()?.get("result"))
}

fn member<'a>(found: &'a Value, one: &str, other: &str) -> Option<&'a str> {
    found.get(one).or_else(|| found.get(other))?.as_str()
}

fn key(found: &Value, id: [&str; 2], secret: [&str; 2], token: [&str; 2]) -> Option<Key> {
    let text = |[one, other]: [&str; 2]| clean(member(found, one, other)?);
    Some(Key {
        id: text(id)?.to_owned(),
        secret: Secret::new(text(secret)?),
        token: Secret::new(text(token)?),
    })
}

/// A credential has visible ASCII characters and no others: one that has would be an answer that someone else wrote,
/// for a header or a shell to trip over.
fn clean(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())).then_some(text)
}

fn instant(text: &str) -> Option<i64> {
    text.parse::<daypass_core::clock::Timestamp>().ok().map(daypass_core::clock::unix)
}

/// The end in an answer in XML, where both of Alibaba's APIs have it in an element of this name.
fn in_xml(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<expiration>").or_else(|| text.split_once("<Expiration>"))?;
    rest.split('<').next()
}

/// The server's own clock, in RFC 9110 §5.6.7's only form that may be sent: `Sun, 22 Nov 2026 09:22:47 GMT`.
fn date(answer: &Response<Bytes>) -> Option<i64> {
    let text = answer.headers().get(DATE)?.to_str().ok()?;
    let rest = text.split_once(", ")?.1.strip_suffix(" GMT")?;
    let [day, month, year, time] = rest.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? + 1;
    instant(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 2026-11-22T09:22:47Z.
    const NOW: i64 = 1_795_339_367;
    pub(in crate::cli::held) const TENCENT: &str = r#"{"Response":{"Credentials":{"Token":"tok","TmpSecretId":"AKIDx","TmpSecretKey":"key"},"Expiration":"2026-11-22T09:52:47Z","ExpiredTime":1795341167,"RequestId":"r"}}"#;
    const TOP: &str = r#"{"alibaba_security_deepvision_proxy_security_common_token_get_response":{"result":{"access_key_id":"STS.x","access_key_secret":"key","expiration":"2026-11-22T10:22:47Z","token":"tok"}}}"#;
    pub(in crate::cli::held) const STS: &str = r#"{"RequestId":"R","Credentials":{"SecurityToken":"tok","Expiration":"2026-11-22T10:22:47Z","AccessKeySecret":"key","AccessKeyId":"STS.x"}}"#;
    pub(in crate::cli::held) const TOKEN: &str =
        r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"a.b.c"}"#;

    pub(in crate::cli::held) fn answer(status: u16, body: &str) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn the_credential_and_its_life_are_found_in_every_shape() {
        for (vendor, body, life) in [
            (Vendor::Tencent, TENCENT, 1800),
            (Vendor::Alibaba, TOP, 3600),
            (Vendor::Alibaba, STS, 3600),
            (Vendor::Entra, TOKEN, 3599),
        ] {
            let answer = answer(200, body);
            assert_eq!(vendor.verdict(&answer), Verdict::Given, "{body}");
            assert_eq!(vendor.life(&answer, NOW), Some(life), "{body}");
            match vendor.credential(body.as_bytes()).unwrap() {
                Credential::Tencent(key) | Credential::Alibaba(key) => {
                    assert_eq!((key.secret.expose_str(), key.token.expose_str()), ("key", "tok"));
                    assert!(["AKIDx", "STS.x"].contains(&key.id.as_str()));
                }
                Credential::Entra(token) => assert_eq!(token.expose_str(), "a.b.c"),
            }
        }
        let xml =
            "<?xml version=\"1.0\"?><r><result><expiration>2026-11-22T10:22:47Z</expiration></result></r>";
        assert_eq!(Vendor::Alibaba.life(&answer(200, xml), NOW), Some(3600));
        let xml = "<R><Credentials><Expiration>2026-11-22T10:22:47Z</Expiration></Credentials></R>";
        assert_eq!(Vendor::Alibaba.life(&answer(200, xml), NOW), Some(3600));
    }

    /// A machine whose clock is wrong by a day must neither throw away what is good nor keep what is over.
    #[test]
    fn the_life_is_counted_from_the_servers_clock() {
        let mut answer = answer(200, TENCENT);
        answer.headers_mut().insert(DATE, "Sun, 22 Nov 2026 09:22:47 GMT".parse().unwrap());
        for wrong in [NOW - 86_400, NOW, NOW + 86_400] {
            assert_eq!(Vendor::Tencent.life(&answer, wrong), Some(1800));
        }
        for bad in ["", "Sunday, 22-Nov-26 09:22:47 GMT", "Sun, 22 Foo 2026 09:22:47 GMT", "x"] {
            answer.headers_mut().insert(DATE, bad.parse().unwrap());
            assert_eq!(Vendor::Tencent.life(&answer, NOW), Some(1800), "{bad}");
        }
    }

    #[test]
    fn an_answer_without_a_credential_has_no_life() {
        let whoami = r#"{"Response":{"Arn":"qcs::cam::uin/1:uin/1","RequestId":"r"}}"#;
        for (vendor, body) in [
            (Vendor::Tencent, whoami),
            (Vendor::Tencent, "garbage"),
            (Vendor::Alibaba, r#"{"RequestId":"R","Arn":"x"}"#),
            (Vendor::Alibaba, "<html></html>"),
            (Vendor::Entra, r#"{"expires_in":3599}"#),
            (Vendor::Entra, r#"{"access_token":"x","expires_in":-1}"#),
            (Vendor::Entra, "[]"),
        ] {
            assert_eq!(vendor.life(&answer(200, body), NOW), None, "{body}");
        }
        assert_eq!(Vendor::Tencent.life(&answer(200, TENCENT), NOW + 4000), None, "it is over");
        assert_eq!(Vendor::Tencent.verdict(&answer(200, whoami)), Verdict::Given);
    }

    /// A newline in a value would be a line of its own in a file of variables.
    #[test]
    fn a_value_that_no_credential_has_is_not_taken() {
        for bad in ["", "a b", "a\\nb", "a\\u0000b", "ü"] {
            let body = TOKEN.replace("a.b.c", bad);
            assert!(Vendor::Entra.credential(body.as_bytes()).is_none(), "{bad}");
            let body = STS.replace("tok", bad);
            assert!(Vendor::Alibaba.credential(body.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_told_from_a_server_that_has_too_much_to_do() {
        use Vendor::{Alibaba, Entra, Tencent};
        let tencent = |code: &str| format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"m"}}}}}}"#);
        let top = |code: u32| format!(r#"{{"error_response":{{"code":{code},"msg":"m"}}}}"#);
        for (vendor, status, body, verdict) in [
            (Tencent, 200, tencent("AuthFailure.SignatureFailure"), Verdict::Refused),
            (Tencent, 200, tencent("RequestLimitExceeded"), Verdict::Busy),
            (Tencent, 200, tencent("InternalError"), Verdict::Busy),
            (Tencent, 200, "<html>a portal</html>".to_owned(), Verdict::Refused),
            (Alibaba, 200, top(7), Verdict::Busy),
            (Alibaba, 200, top(10), Verdict::Busy),
            (Alibaba, 200, top(25), Verdict::Refused),
            (Alibaba, 200, "<error_response><code>7</code></error_response>".to_owned(), Verdict::Busy),
            (Alibaba, 403, r#"{"Code":"NoPermission"}"#.to_owned(), Verdict::Refused),
            (Alibaba, 503, String::new(), Verdict::Busy),
            (Entra, 400, r#"{"error":"invalid_scope"}"#.to_owned(), Verdict::Refused),
            (Entra, 429, r#"{"error":"temporarily_unavailable"}"#.to_owned(), Verdict::Busy),
            (Entra, 502, "<html>".to_owned(), Verdict::Busy),
        ] {
            assert_eq!(vendor.verdict(&answer(status, &body)), verdict, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_is_shown_by_its_code_and_text() {
        for (body, said) in [
            (r#"{"Response":{"Error":{"Code":"A.B","Message":"no"}}}"#, "A.B: no"),
            (
                r#"{"error_response":{"code":50,"msg":"Remote service error","sub_code":"isv.x","sub_msg":"no"}}"#,
                "isv.x: no",
            ),
            (r#"{"error_response":{"code":25,"msg":"Invalid signature"}}"#, "Invalid signature"),
            (r#"{"error":"invalid_scope","error_description":"AADSTS1:\nno"}"#, "invalid_scope: AADSTS1: no"),
            (r#"{"Code":"NoPermission","Message":"no"}"#, "NoPermission: no"),
            ("<html>\u{1b}[2Ja portal", "<html> [2Ja portal"),
        ] {
            assert_eq!(super::said(body), said);
        }
    }
}
