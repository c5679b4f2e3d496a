//! What a question to the fake cloud is, seen from outside: whose protocol, which action, which key. Nothing of it is believed
//! but for counting, for limits and for the words of a fault.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use http::{HeaderMap, header};
use serde_json::Value;

/// A cloud that is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cloud {
    /// Tencent Cloud STS.
    Tencent,
    /// Alibaba Cloud STS.
    Alibaba,
    /// The TOP gateway.
    Top,
    /// Microsoft Entra.
    Entra,
    /// A service whose new token kills the one before, as `WeChat` is.
    OAuth,
}

impl Cloud {
    /// Every one.
    pub(super) const ALL: [Self; 5] = [Self::Tencent, Self::Alibaba, Self::Top, Self::Entra, Self::OAuth];

    /// Its name in faults, rates and counts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tencent => "tencent",
            Self::Alibaba => "alibaba",
            Self::Top => "top",
            Self::Entra => "entra",
            Self::OAuth => "oauth",
        }
    }

    /// What makes the faults of one independent of those of another.
    pub(super) fn salt(self) -> u64 {
        self.name().bytes().fold(0, |salt, byte| salt.wrapping_mul(257).wrapping_add(byte.into()))
    }
}

/// A question.
pub(super) struct Sight {
    /// Who is asked; none for what is no cloud's: probes and Daypass's own questions.
    pub(super) cloud: Option<Cloud>,
    /// What is asked: the vendor's name of the action, or the path.
    pub(super) action: String,
    /// The id of the key that asks.
    pub(super) key: Option<String>,
    /// Whether the answer is to be XML.
    pub(super) xml: bool,
    parameters: Vec<(String, String)>,
}

/// The longest action or key id that is kept, in characters: whoever asks can write anything.
const KEPT: usize = 128;

impl Sight {
    /// Looks at a request.
    pub(super) fn of(parts: &Parts, body: &[u8]) -> Self {
        let parameters = parameters(parts, body);
        let get = |name: &str| found(&parameters, name);
        let (headers, path) = (&parts.headers, parts.uri.path());
        let acs = text(headers, "x-acs-action");
        let (cloud, action, key, xml) =
            if path == "/" && (acs.is_some() || get("Version") == Some("2015-04-01")) {
                let xml = match get("Format") {
                    Some(format) => !format.eq_ignore_ascii_case("json"),
                    // RPC answers in XML where nothing is said, and ACS3's clients say what they accept.
                    None => acs.is_none(),
                };
                (Some(Cloud::Alibaba), acs.or(get("Action")), credential(headers).or(get("AccessKeyId")), xml)
            } else if path == "/" {
                let action = text(headers, "x-tc-action").or(get("Action"));
                (Some(Cloud::Tencent), action, credential(headers).or(get("SecretId")), false)
            } else if path.starts_with("/router/") {
                (Some(Cloud::Top), get("method"), get("app_key"), get("format") != Some("json"))
            } else if path.ends_with("/oauth2/v2.0/token") {
                (Some(Cloud::Entra), Some("token"), get("client_id"), false)
            } else if path.starts_with(super::one_live::PATH) {
                (Some(Cloud::OAuth), path.strip_prefix(super::one_live::PATH), get("appid"), false)
            } else {
                (None, Some(path), None, false)
            };
        let kept = |text: &str| text.chars().filter(|c| !c.is_control()).take(KEPT).collect::<String>();
        let key = key
            .map(kept)
            .or_else(|| if cloud == Some(Cloud::Entra) { basic(headers).map(|id| kept(&id)) } else { None });
        let action = action.map(kept).unwrap_or_default();
        Self { cloud, action, key, xml, parameters }
    }

    /// A parameter, wherever the protocol carries it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        found(&self.parameters, name)
    }
}

fn found<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Query, form and the members of a JSON document, in this order.
fn parameters(parts: &Parts, body: &[u8]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let kind = text(&parts.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        all.extend(form_urlencoded::parse(body).into_owned());
    } else if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
        all.extend(members.into_iter().map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        }));
    }
    all
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The key id of a signature in the header: `Credential=ID/…` of Tencent Cloud, `Credential=ID,` of Alibaba Cloud.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let (_, rest) = text(headers, header::AUTHORIZATION.as_str())?.split_once("Credential=")?;
    rest.split(['/', ',']).next()
}

/// The id of `Authorization: Basic`.
fn basic(headers: &HeaderMap) -> Option<String> {
    let encoded = text(headers, header::AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(id, _)| id.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A question by POST.
    pub(in crate::cli::emulate) fn sight(target: &str, headers: &[(&str, &str)], body: &str) -> Sight {
        let mut request = http::Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Sight::of(&parts, body.as_bytes())
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    #[test]
    fn each_protocol_is_told_by_its_marks() {
        let tc3 =
            "TC3-HMAC-SHA256 Credential=AKIDa/2026-01-01/sts/tc3_request, SignedHeaders=host, Signature=00";
        let acs3 = "ACS3-HMAC-SHA256 Credential=LTAIb,SignedHeaders=host,Signature=00";
        for (target, headers, body, cloud, action, key) in [
            (
                "/",
                vec![("authorization", tc3), ("x-tc-action", "GetFederationToken")],
                "{}",
                Some(Cloud::Tencent),
                "GetFederationToken",
                Some("AKIDa"),
            ),
            (
                "/",
                vec![FORM],
                "Action=AssumeRole&Version=2018-08-13&SecretId=AKIDc",
                Some(Cloud::Tencent),
                "AssumeRole",
                Some("AKIDc"),
            ),
            (
                "/",
                vec![("authorization", acs3), ("x-acs-action", "AssumeRole")],
                "",
                Some(Cloud::Alibaba),
                "AssumeRole",
                Some("LTAIb"),
            ),
            (
                "/?Action=GetCallerIdentity&Version=2015-04-01&AccessKeyId=LTAId",
                vec![],
                "",
                Some(Cloud::Alibaba),
                "GetCallerIdentity",
                Some("LTAId"),
            ),
            ("/router/rest?app_key=1&method=a.b", vec![], "", Some(Cloud::Top), "a.b", Some("1")),
            ("/t/oauth2/v2.0/token", vec![FORM], "client_id=c", Some(Cloud::Entra), "token", Some("c")),
            (
                "/t/oauth2/v2.0/token",
                vec![FORM, ("authorization", "Basic Yzpz")],
                "",
                Some(Cloud::Entra),
                "token",
                Some("c"),
            ),
            ("/cgi-bin/token?appid=wx1&secret=s", vec![], "", Some(Cloud::OAuth), "token", Some("wx1")),
            ("/v1/verify", vec![], "", None, "/v1/verify", None),
        ] {
            let seen = sight(target, &headers, body);
            assert_eq!((seen.cloud, &*seen.action, seen.key.as_deref()), (cloud, action, key), "{target}");
        }
    }

    #[test]
    fn parameters_are_found_wherever_they_stand() {
        let json =
            sight("/", &[("x-tc-action", "AssumeRole")], r#"{"DurationSeconds":7200,"RoleArn":"qcs::x"}"#);
        assert_eq!((json.get("DurationSeconds"), json.get("RoleArn")), (Some("7200"), Some("qcs::x")));
        let form = sight("/?a=1", &[FORM], "b=%E4%B8%AD&a=2");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), Some("中"), None));
    }

    #[test]
    fn the_form_of_an_answer_is_the_one_that_was_asked_for() {
        let xml = |target: &str, headers: &[_]| sight(target, headers, "").xml;
        assert!(xml("/?Action=AssumeRole&Version=2015-04-01", &[]));
        assert!(!xml("/?Action=AssumeRole&Version=2015-04-01&Format=JSON", &[]));
        assert!(!xml("/", &[("x-acs-action", "AssumeRole")]));
        assert!(xml("/router/rest?method=a", &[]) && !xml("/router/rest?method=a&format=json", &[]));
        assert!(!xml("/", &[]));
    }

    #[test]
    fn what_is_kept_of_a_stranger_is_short() {
        let long = "x".repeat(10_000);
        let seen = sight(&format!("/?Action={long}%0A&SecretId={long}"), &[], "");
        assert_eq!((seen.action.len(), seen.key.map(|key| key.len())), (KEPT, Some(KEPT)));
    }
}
