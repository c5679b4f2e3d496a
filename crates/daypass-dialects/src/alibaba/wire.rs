//! Names on the wire of the TOP gateway.
//!
//! Sources: Taobao Open Platform, "API call protocol" (docId 101617), for the common parameters; the page of
//! `alibaba.security.deepvision.proxy.security.common.token.get` (apiId 72489) for the method's own.

pub use super::policy::{parse_top, render as render_policy};
pub use super::time::stamp;

use bytes::Bytes;
use daypass_core::request::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

/// The one method that Daypass answers.
pub const METHOD: &str = "alibaba.security.deepvision.proxy.security.common.token.get";
/// The root of its answer: the method with underscores, and `_response`. A leading `taobao.` would be dropped;
/// `alibaba.` stays.
pub const ROOT: &str = "alibaba_security_deepvision_proxy_security_common_token_get_response";
/// The root of every error.
pub const ERROR_ROOT: &str = "error_response";
/// The only version of the protocol that was ever in use.
pub const VERSION: &str = "2.0";
/// The path that TOP clients are configured with.
pub const PATH: &str = "/router/rest";

/// The variable of a role that takes `op_tenant_code`, and the member of the answer that echoes it.
pub const TENANT_CODE: &str = "tenant_code";
/// The variable of a role that takes `op_poi_id`. The answer echoes it as [`FIELD_ID`].
pub const POI_ID: &str = "poi_id";
/// The name under which the answer gives the store back.
pub const FIELD_ID: &str = "field_id";

/// A parameter that a call may have. Everything else is refused, see [`Name::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Name {
    /// The key id.
    AppKey,
    /// `xml` (the default) or `json`.
    Format,
    /// What is called.
    Method,
    /// The method's own argument: a JSON object as text.
    Param,
    /// The name of the client's SDK; signed, and otherwise without meaning here.
    PartnerId,
    /// A user's authorization; the method needs none. Signed, and otherwise without meaning here.
    Session,
    /// The signature.
    Sign,
    /// How it was signed; `md5` where absent.
    SignMethod,
    /// Whether a JSON answer has neither root nor list wrappers.
    Simplify,
    /// A third party on whose behalf the call is made; signed, and otherwise without meaning here.
    TargetAppKey,
    /// When it was signed.
    Timestamp,
    /// The protocol's version.
    V,
}

impl Name {
    /// Every name, sorted by its bytes: the order in which they are signed.
    pub const ALL: [Self; 12] = [
        Self::AppKey,
        Self::Format,
        Self::Method,
        Self::Param,
        Self::PartnerId,
        Self::Session,
        Self::Sign,
        Self::SignMethod,
        Self::Simplify,
        Self::TargetAppKey,
        Self::Timestamp,
        Self::V,
    ];

    /// The name on the wire.
    pub fn text(self) -> &'static str {
        match self {
            Self::AppKey => "app_key",
            Self::Format => "format",
            Self::Method => "method",
            Self::Param => "param",
            Self::PartnerId => "partner_id",
            Self::Session => "session",
            Self::Sign => "sign",
            Self::SignMethod => "sign_method",
            Self::Simplify => "simplify",
            Self::TargetAppKey => "target_app_key",
            Self::Timestamp => "timestamp",
            Self::V => "v",
        }
    }

    /// The parameter of this name.
    ///
    /// Only these twelve exist. Attack: the signed text is names and values with nothing between, so `ab`=`c` and
    /// `a`=`bc` have one signature; whoever holds a signed request could move the border into a parameter of his
    /// own choice if any name were accepted.
    pub fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"app_key" => Self::AppKey,
            b"format" => Self::Format,
            b"method" => Self::Method,
            b"param" => Self::Param,
            b"partner_id" => Self::PartnerId,
            b"session" => Self::Session,
            b"sign" => Self::Sign,
            b"sign_method" => Self::SignMethod,
            b"simplify" => Self::Simplify,
            b"target_app_key" => Self::TargetAppKey,
            b"timestamp" => Self::Timestamp,
            b"v" => Self::V,
            _ => return None,
        })
    }

    /// Its place in [`Name::ALL`].
    pub fn index(self) -> usize {
        usize::from(self as u8)
    }
}

/// The language of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The default of the protocol, and what is used where the format itself is unknown or cannot be read.
    #[default]
    Xml,
    /// Asked for with `format=json`.
    Json,
}

impl Format {
    /// The format of this name; exactly as documented, in lower case.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "xml" => Some(Self::Xml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The media type. TOP calls JSON `text/javascript`, which is what its SDKs name in `Accept`.
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Xml => "text/xml;charset=UTF-8",
            Self::Json => "text/javascript;charset=UTF-8",
        })
    }
}

/// A whole answer. The status is always 200: the gateway's own is, and its SDKs lose the body of anything else.
pub(crate) fn response(format: Format, body: String) -> Response {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Our id of a request in the gateway's form: 12 or 13 lower-case base-36 characters.
///
/// They are the lower 64 bits of the UUID that logs and records use, so an operator finds the one from the other:
/// written in base 16 it is the last 16 digits of the UUID.
pub fn request_id(id: Uuid) -> String {
    let (_, mut rest) = id.as_u64_pair();
    let mut digits = Vec::with_capacity(13);
    while rest > 0 || digits.len() < 12 {
        digits
            .push(BASE36.get(usize::try_from(rest % 36).unwrap_or_default()).map_or('0', |c| char::from(*c)));
        rest /= 36;
    }
    digits.iter().rev().collect()
}

/// The lower half of the id that the gateway has written as this text.
pub fn lower_half(text: &str) -> Option<u64> {
    let lower = u64::from_str_radix(text, 36).ok()?;
    // Only as it was written: one id has one spelling.
    (request_id(Uuid::from_u64_pair(0, lower)) == text).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_know_their_place() {
        assert!(Name::ALL.is_sorted_by(|a, b| a.text().as_bytes() < b.text().as_bytes()));
        for (place, name) in Name::ALL.into_iter().enumerate() {
            assert_eq!(name.index(), place);
            assert_eq!(Name::of(name.text().as_bytes()), Some(name));
        }
        for other in ["", "App_key", "params", "signs", "ab"] {
            assert_eq!(Name::of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_root_is_the_method_with_underscores() {
        assert_eq!(format!("{}_response", METHOD.replace('.', "_")), ROOT);
    }

    #[test]
    fn a_request_id_has_the_gateways_form_and_finds_the_uuid() {
        for (id, text) in [(0, "000000000000"), (35, "00000000000z"), (u128::from(u64::MAX), "3w5e11264sgsf")]
        {
            assert_eq!(request_id(Uuid::from_u128(id)), text);
        }
        let id = Uuid::from_u128(0x59a5_e07e_4147_4d2e_a808_dca7_6ac5_b3fd);
        let back = u64::from_str_radix(&request_id(id), 36).unwrap();
        assert_eq!(format!("{back:016x}"), id.simple().to_string()[16..]);
    }
}
