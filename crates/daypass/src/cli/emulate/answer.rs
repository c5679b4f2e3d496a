//! Refusals in each cloud's own wire, written out by hand: a mistake in Daypass's rendering must not hide here as well.
//!
//! Sources: Tencent Cloud, "Common errors" of the STS API (every error has status 200 and the type `application/json` without
//! a charset); Alibaba Cloud, "Common error codes" of the STS API (real statuses); the TOP gateway's list of error codes (status
//! 200, XML unless JSON was asked for); Microsoft, "AADSTS error codes"; `WeChat`, "Global return codes" (status 200).

use super::sight::{Cloud, Sight};
use bytes::Bytes;
use daypass_core::clock::{Timestamp, rfc3339};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// Why a cloud refuses something that Daypass would not, or that a fault was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Too many requests.
    Busy,
    /// The cloud is broken.
    Down,
    /// `GetFederationToken` by the key of a root account for more than two hours.
    RootLifetime,
    /// A grant that Entra's token endpoint does not have.
    Grant,
    /// A scope that is not all of one resource.
    Scope,
}

/// An answer that is sent whole.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    /// The status.
    pub(super) status: StatusCode,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The document.
    pub(super) body: Bytes,
}

impl Plain {
    /// An answer of this type.
    pub(super) fn new(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self { status: StatusCode::from_u16(status).unwrap_or_default(), headers, body: body.into() }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.insert(name, value);
        }
        self
    }
}

/// What JSON answers of each cloud are typed as.
pub(super) fn json_type(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Tencent => "application/json",
        Cloud::Alibaba | Cloud::Entra | Cloud::OAuth => "application/json; charset=utf-8",
        Cloud::Top => "text/javascript;charset=UTF-8",
    }
}

/// What belongs to one answer and not to the next.
#[derive(Clone, Copy)]
pub(super) struct Once {
    /// The id of the request.
    pub(super) id: Uuid,
    /// The time.
    pub(super) now: Timestamp,
    /// Seconds after which one may ask again, where the protocol has a place for it.
    pub(super) again: u32,
}

/// The refusal as this cloud writes it.
pub(super) fn complaint(cloud: Cloud, sight: &Sight, what: Complaint, once: Once) -> Plain {
    match cloud {
        Cloud::Tencent => tencent(what, once),
        Cloud::Alibaba => alibaba(what, sight.xml, once),
        Cloud::Top => top(what, sight.xml, once),
        Cloud::Entra => entra(what, once),
        Cloud::OAuth => one_live(what),
    }
}

fn tencent(what: Complaint, once: Once) -> Plain {
    let (code, message) = match what {
        Complaint::Busy => {
            ("RequestLimitExceeded", "Too many requests: the frequency limit of this API is reached.")
        }
        Complaint::RootLifetime => (
            "InvalidParameter.OverTimeError",
            "The key of a root account gives at most 7200 seconds by GetFederationToken.",
        ),
        _ => ("InternalError", "An internal error has occurred."),
    };
    let document =
        json!({ "Response": { "Error": { "Code": code, "Message": message }, "RequestId": once.id } });
    Plain::new(200, json_type(Cloud::Tencent), document.to_string())
}

fn alibaba(what: Complaint, xml: bool, once: Once) -> Plain {
    let (status, code, message) = match what {
        Complaint::Busy => (429, "Throttling.User", "Request was denied due to user flow control."),
        _ => (500, "InternalError", "The request processing has failed due to some unknown error."),
    };
    let id = once.id.to_string().to_uppercase();
    if xml {
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>{id}</RequestId><HostId>sts.aliyuncs.com</HostId>\
             <Code>{code}</Code><Message>{message}</Message></Error>"
        );
        return Plain::new(status, "text/xml;charset=utf-8", body);
    }
    let document = json!({ "RequestId": id, "HostId": "sts.aliyuncs.com", "Code": code, "Message": message });
    Plain::new(status, json_type(Cloud::Alibaba), document.to_string())
}

fn top(what: Complaint, xml: bool, once: Once) -> Plain {
    let (code, msg, sub_code, sub_msg) = match what {
        Complaint::Busy => (
            7,
            "App Call Limited",
            "accesscontrol.limited-by-app-api-access-count",
            format!("This ban will last for {} more seconds", once.again),
        ),
        _ => {
            (10, "Service currently unavailable", "isp.service-unavailable", "the service is down".to_owned())
        }
    };
    let id = &once.id.simple().to_string();
    let id = id.get(..12).unwrap_or(id);
    if xml {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><error_response><code>{code}</code><msg>{msg}</msg>\
             <sub_code>{sub_code}</sub_code><sub_msg>{sub_msg}</sub_msg><request_id>{id}</request_id></error_response>"
        );
        return Plain::new(200, "text/xml;charset=UTF-8", body);
    }
    let error =
        json!({ "code": code, "msg": msg, "sub_code": sub_code, "sub_msg": sub_msg, "request_id": id });
    Plain::new(200, json_type(Cloud::Top), json!({ "error_response": error }).to_string())
}

fn entra(what: Complaint, once: Once) -> Plain {
    let (status, error, code, text) = match what {
        Complaint::Busy => (429, "temporarily_unavailable", 90_055, "There are too many requests."),
        Complaint::Grant => (
            400,
            "unsupported_grant_type",
            70_003,
            "The app requested an unsupported grant type; this endpoint takes client_credentials.",
        ),
        Complaint::Scope => (
            400,
            "invalid_scope",
            1_002_012,
            "Client credential flows must have a scope value that ends with /.default.",
        ),
        _ => (503, "temporarily_unavailable", 90_033, "A transient error has occurred. Please try again."),
    };
    let time = rfc3339(once.now).replace('T', " ");
    let description =
        format!("AADSTS{code}: {text} Trace ID: {id} Correlation ID: {id} Timestamp: {time}", id = once.id);
    let document = json!({
        "error": error, "error_description": description, "error_codes": [code], "timestamp": time,
        "trace_id": once.id, "correlation_id": once.id,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    let plain = Plain::new(status, json_type(Cloud::Entra), document.to_string());
    if matches!(status, 429 | 503) { plain.with(RETRY_AFTER, once.again.to_string()) } else { plain }
}

fn one_live(what: Complaint) -> Plain {
    let document = match what {
        Complaint::Busy => json!({ "errcode": 45_009, "errmsg": "reach max api daily quota limit" }),
        _ => json!({ "errcode": -1, "errmsg": "system error" }),
    };
    Plain::new(200, json_type(Cloud::OAuth), document.to_string())
}

/// How an answer ended, in one word: `ok`, or the cloud's own code.
pub(super) fn result(cloud: Cloud, status: StatusCode, body: &[u8]) -> String {
    let code = if let Ok(document) = serde_json::from_slice::<Value>(body) {
        code(cloud, &document)
    } else {
        let text = String::from_utf8_lossy(body);
        between(&text, "<Code>", "</Code>").or(between(&text, "<code>", "</code>")).map(str::to_owned)
    };
    match code {
        Some(code) => code,
        None if status.is_success() => "ok".to_owned(),
        None => status.as_u16().to_string(),
    }
}

fn code(cloud: Cloud, document: &Value) -> Option<String> {
    let code = match cloud {
        Cloud::Tencent => document.pointer("/Response/Error/Code"),
        Cloud::Alibaba => document.get("Code"),
        Cloud::Top => document.pointer("/error_response/code"),
        Cloud::Entra => document.get("error"),
        Cloud::OAuth => document.get("errcode"),
    };
    code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned))
}

/// What stands between two marks.
pub(super) fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::super::sight::tests::sight;
    use super::*;
    use daypass_core::testing::START;
    use insta::assert_snapshot;

    const ONCE: Once =
        Once { id: Uuid::from_u128(0x59a5_e07e_4147_4d2e_a808_dca7_6ac5_b3fd), now: START, again: 2 };

    fn shown(cloud: Cloud, target: &str, what: Complaint) -> String {
        let plain = complaint(cloud, &sight(target, &[], ""), what, ONCE);
        let kind = plain.headers[CONTENT_TYPE].to_str().unwrap();
        let again = plain.headers.get(RETRY_AFTER).map_or("", |again| again.to_str().unwrap());
        let found = result(cloud, plain.status, &plain.body);
        format!(
            "{} {kind} [{again}] {found}\n{}",
            plain.status.as_u16(),
            String::from_utf8_lossy(&plain.body)
        )
    }

    #[test]
    fn a_busy_cloud_says_so_in_its_own_words() {
        assert_snapshot!(shown(Cloud::Tencent, "/", Complaint::Busy), @r#"
        200 application/json [] RequestLimitExceeded
        {"Response":{"Error":{"Code":"RequestLimitExceeded","Message":"Too many requests: the frequency limit of this API is reached."},"RequestId":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd"}}
        "#);
        let json = "/?Action=AssumeRole&Version=2015-04-01&Format=JSON";
        assert_snapshot!(shown(Cloud::Alibaba, json, Complaint::Busy), @r#"
        429 application/json; charset=utf-8 [] Throttling.User
        {"Code":"Throttling.User","HostId":"sts.aliyuncs.com","Message":"Request was denied due to user flow control.","RequestId":"59A5E07E-4147-4D2E-A808-DCA76AC5B3FD"}
        "#);
        assert_snapshot!(shown(Cloud::Top, "/router/rest", Complaint::Busy), @r#"
        200 text/xml;charset=UTF-8 [] 7
        <?xml version="1.0" encoding="utf-8" ?><error_response><code>7</code><msg>App Call Limited</msg><sub_code>accesscontrol.limited-by-app-api-access-count</sub_code><sub_msg>This ban will last for 2 more seconds</sub_msg><request_id>59a5e07e4147</request_id></error_response>
        "#);
        assert_snapshot!(shown(Cloud::Entra, "/t/oauth2/v2.0/token", Complaint::Busy), @r#"
        429 application/json; charset=utf-8 [2] temporarily_unavailable
        {"correlation_id":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd","error":"temporarily_unavailable","error_codes":[90055],"error_description":"AADSTS90055: There are too many requests. Trace ID: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd Correlation ID: 59a5e07e-4147-4d2e-a808-dca76ac5b3fd Timestamp: 2023-11-14 22:13:20Z","error_uri":"https://login.microsoftonline.com/error?code=90055","timestamp":"2023-11-14 22:13:20Z","trace_id":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd"}
        "#);
        assert_snapshot!(shown(Cloud::OAuth, "/cgi-bin/token", Complaint::Busy), @r#"
        200 application/json; charset=utf-8 [] 45009
        {"errcode":45009,"errmsg":"reach max api daily quota limit"}
        "#);
    }

    #[test]
    fn a_broken_cloud_has_its_own_code_too() {
        let all = Cloud::ALL.map(|cloud| shown(cloud, "/router/rest?format=json", Complaint::Down));
        let heads = all.each_ref().map(|text| text.lines().next().unwrap());
        assert_eq!(
            heads,
            [
                "200 application/json [] InternalError",
                "500 application/json; charset=utf-8 [] InternalError",
                "200 text/javascript;charset=UTF-8 [] 10",
                "503 application/json; charset=utf-8 [2] temporarily_unavailable",
                "200 application/json; charset=utf-8 [] -1",
            ]
        );
    }

    #[test]
    fn a_result_is_found_in_either_form() {
        let found = |cloud, status: u16, body: &str| {
            result(cloud, StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert_eq!(found(Cloud::Tencent, 200, r#"{"Response":{"Credentials":{}}}"#), "ok");
        assert_eq!(
            found(Cloud::Alibaba, 404, "<Error><Code>EntityNotExist.Role</Code></Error>"),
            "EntityNotExist.Role"
        );
        assert_eq!(found(Cloud::Top, 200, "<error_response><code>25</code></error_response>"), "25");
        assert_eq!(found(Cloud::Top, 200, "<a_response><result/></a_response>"), "ok");
        assert_eq!(found(Cloud::Entra, 404, "not json"), "404");
    }
}
