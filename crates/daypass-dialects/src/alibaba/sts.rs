//! Alibaba Cloud STS 2015-04-01 at `/`: recognised and refused in its own envelope.
//!
//! No action is served yet, so every call is answered like one for an API that does not exist.

use super::document::{Document, Style, Writer, write};
use super::fault;
use super::wire::Format;
use bytes::Bytes;
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Outcome};
use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Kind, Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

/// The version that marks a call as one of this API.
const VERSION: &str = "2015-04-01";
/// What stands in `HostId`. The vendor puts the host there; ours is a fixed name, because the only one a request
/// brings is in its Host header, and that is the sender's to choose.
const HOST_ID: &str = "sts.daypass";

/// The dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sts;

/// How to answer.
#[derive(Clone, Debug)]
pub struct StsManner {
    format: Format,
    request_id: Uuid,
}

/// A call that was read: there is none.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

/// Whether a request is one for this API by its head: Tencent's calls come to the same path, and have neither
/// mark. One whose parameters are all in a form is told by [`is_sts_form`].
pub fn is_sts(head: &Head) -> bool {
    head.headers.contains_key("x-acs-action") || has_version(head.query.as_bytes())
}

/// Whether a request is one for this API by the form in its body.
pub fn is_sts_form(head: &Head, body: &[u8]) -> bool {
    let form = b"application/x-www-form-urlencoded";
    let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..form.len()));
    media.is_some_and(|media| media.eq_ignore_ascii_case(form)) && has_version(body)
}

fn has_version(form: &[u8]) -> bool {
    form_urlencoded::parse(form).any(|(name, value)| name == "Version" && value == VERSION)
}

impl Dialect for Sts {
    type Manner = StsManner;
    type Call = Never;

    fn name(&self) -> DialectName {
        DialectName::AlibabaSts
    }

    fn manner(&self, head: &Head) -> StsManner {
        // The signature of version 3 has no `Format`; its clients say what they read in `Accept`.
        let accepts = head.header("accept").is_some_and(|accept| accept.contains("application/json"));
        let otherwise = if accepts { Format::Json } else { Format::Xml };
        StsManner {
            format: format_in(head.query.as_bytes()).unwrap_or(otherwise),
            request_id: head.request_id,
        }
    }

    fn read(&self, _: Context<'_>, request: Request, manner: &mut StsManner) -> Result<Never, Refusal> {
        if let Some(format) = format_in(&request.body) {
            manner.format = format;
        }
        Err(Refusal::new(
            Reason::UnknownAction,
            "Specified api is not found, please check your url and method. Alibaba Cloud STS is not served here",
        ))
    }

    fn ask(&self, _: Context<'_>, verified: &Verified<Never>) -> Result<Ask, Refusal> {
        match *verified.call() {}
    }

    fn render(&self, manner: &StsManner, outcome: Outcome) -> Response {
        let refusal = match outcome {
            Outcome::Refused(refusal) => refusal,
            Outcome::Granted(_) | Outcome::Facts(_) | Outcome::Ticket(_) => {
                Refusal::internal("this API has no answers")
            }
        };
        let (status, code) = fault::sts(&refusal);
        let error = Error { code: &code, refusal: &refusal, request_id: manner.request_id };
        let mut response = Response::new(Bytes::from(write(&error, manner.format, Style::Simple)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(match manner.format {
                Format::Xml => "text/xml;charset=utf-8",
                Format::Json => "application/json;charset=utf-8",
            }),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = refusal.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl Call for Never {
    fn claim(&self) -> Claim<'_> {
        match *self {}
    }
}

/// `Format`, whose values compare without case.
fn format_in(form: &[u8]) -> Option<Format> {
    let (_, value) = form_urlencoded::parse(form).find(|(name, _)| name == "Format")?;
    Format::named(&value.to_ascii_lowercase())
}

/// The vendor's error. In JSON it has no root.
struct Error<'a> {
    code: &'a str,
    refusal: &'a Refusal,
    request_id: Uuid,
}

impl Document for Error<'_> {
    const ROOT: &'static str = "Error";

    fn members<W: Writer>(&self, writer: &mut W) {
        writer.text("RequestId", format_args!("{:X}", self.request_id.hyphenated()));
        writer.text("HostId", HOST_ID);
        writer.text("Code", self.code);
        writer.text("Message", &self.refusal.detail);
        writer.text(
            "Recommend",
            match self.refusal.reason.kind() {
                Kind::Caller => "Change the request as the message says.",
                Kind::Policy => "Ask the operator of this service.",
                Kind::Us => "Send a new request in a moment.",
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{START, World, request};

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

    fn answer(target: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let request = request("POST", target, headers, body.as_bytes());
        let mut manner = Sts.manner(&request.head);
        let directory = World::new().directory();
        let refusal =
            Sts.read(Context { directory: &directory, now: START }, request, &mut manner).unwrap_err();
        let response = Sts.render(&manner, Outcome::Refused(refusal));
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[test]
    fn a_call_is_told_by_its_marks() {
        let head = |target: &str, headers: &[(&str, &str)]| request("GET", target, headers, b"").head;
        assert!(is_sts(&head("/", &[("x-acs-action", "AssumeRole")])));
        assert!(is_sts(&head("/?Action=AssumeRole&Version=2015-04-01", &[])));
        assert!(is_sts(&head("/?Version=2015%2D04%2D01", &[])));
        for tencent in ["/", "/?Action=GetFederationToken&Version=2018-08-13", "/?version=2015-04-01"] {
            assert!(!is_sts(&head(tencent, &[("x-tc-action", "GetFederationToken")])), "{tencent}");
        }
        let form = head("/", &[FORM]);
        assert!(is_sts_form(&form, b"Action=AssumeRole&Version=2015-04-01"));
        assert!(!is_sts_form(&form, b"Action=AssumeRole&Version=2018-08-13"));
        assert!(!is_sts_form(&head("/", &[]), b"Version=2015-04-01"));
        assert!(!is_sts_form(&head("/", &[("content-type", "application/json")]), b"Version=2015-04-01"));
    }

    #[test]
    fn every_call_is_of_an_api_that_does_not_exist() {
        let (status, kind, body) = answer("/?Action=AssumeRole&Version=2015-04-01&Format=JSON", &[], "");
        assert_eq!((status, kind.as_str()), (404, "application/json;charset=utf-8"));
        insta::assert_snapshot!(body, @r#"{"RequestId":"59A5E07E-4147-4D2E-A808-DCA76AC5B3FD","HostId":"sts.daypass","Code":"InvalidApi.NotFound","Message":"Specified api is not found, please check your url and method. Alibaba Cloud STS is not served here","Recommend":"Change the request as the message says."}"#);
        let (status, kind, body) = answer("/?Action=AssumeRole&Version=2015-04-01", &[], "");
        assert_eq!((status, kind.as_str()), (404, "text/xml;charset=utf-8"));
        insta::assert_snapshot!(body, @r#"<?xml version="1.0" encoding="utf-8" ?><Error><RequestId>59A5E07E-4147-4D2E-A808-DCA76AC5B3FD</RequestId><HostId>sts.daypass</HostId><Code>InvalidApi.NotFound</Code><Message>Specified api is not found, please check your url and method. Alibaba Cloud STS is not served here</Message><Recommend>Change the request as the message says.</Recommend></Error>"#);
    }

    #[test]
    fn the_format_is_found_where_clients_put_it() {
        let json = |target: &str, headers: &[(&str, &str)], body: &str| {
            answer(target, headers, body).1.contains("json")
        };
        assert!(json("/?Format=json", &[], ""));
        assert!(json("/", &[FORM], "Format=JSON&Version=2015-04-01"));
        assert!(json("/", &[("accept", "application/json"), ("x-acs-action", "AssumeRole")], ""));
        assert!(!json("/?Format=XML", &[("accept", "application/json")], ""));
        assert!(!json("/", &[("host", "evil.example")], ""));
    }

    #[test]
    fn the_host_header_is_never_echoed() {
        let (_, _, body) = answer("/?Version=2015-04-01", &[("host", "evil.example")], "");
        assert!(!body.contains("evil"));
    }
}
