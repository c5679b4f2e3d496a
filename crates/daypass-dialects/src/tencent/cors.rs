//! Which page may read an answer of `getAuthorization`.
//!
//! The list is exact: an origin is served if the endpoint's list holds the very text that the browser sent.

use daypass_core::request::{Head, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue,
    ORIGIN, VARY,
};

/// Headers of a page's request that a preflight admits, where the page asks for them. HTTP libraries add these of
/// themselves; none of them means anything to us.
const HEADERS: [&str; 6] =
    ["accept", "accept-language", "cache-control", "content-type", "pragma", "x-requested-with"];

/// How long a browser may remember a preflight, in seconds. A withdrawn origin loses nothing by it: each answer
/// is checked again.
const MAX_AGE: &str = "600";

/// What a page may read besides the body: our time, because phones have wrong clocks, and when to ask again.
const EXPOSED: &str = "date, retry-after";

/// Where a request says it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nowhere: it is no browser's request for another site, and the endpoint's caller rule decides alone.
    None,
    /// A listed page.
    Listed(HeaderValue),
    /// A page that is not listed, or more than one.
    Refused,
}

impl Origin {
    /// Compares the `Origin` header with the list.
    ///
    /// Attack: a match by prefix, suffix, case or without the port lets `https://good.example.evil.example` read
    /// a credential; of two headers, a proxy and we might each believe another one.
    pub(super) fn of(head: &Head, listed: &[String]) -> Self {
        let mut values = head.headers.get_all(ORIGIN).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(origin), None) if listed.iter().any(|one| one.as_bytes() == origin.as_bytes()) => {
                Self::Listed(origin.clone())
            }
            _ => Self::Refused,
        }
    }

    /// Tells the browser who may read this answer. `Vary` stands on every answer, or a shared cache could hand
    /// one page's permission to another.
    pub(super) fn mark(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Self::Listed(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// Adds what only the answer to a preflight says. Credentials, other methods and private networks are never
/// granted.
pub(super) fn grant(head: &Head, response: &mut Response) {
    let asked = head.header(ACCESS_CONTROL_REQUEST_HEADERS.as_str()).unwrap_or_default();
    let mut granted: Vec<&str> = Vec::new();
    for name in asked.split(',').map(str::trim) {
        let known = HEADERS.iter().find(|known| known.eq_ignore_ascii_case(name));
        granted.extend(known.filter(|known| !granted.contains(known)));
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if let Ok(value) = HeaderValue::try_from(granted.join(", "))
        && !granted.is_empty()
    {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    fn origin(headers: &[(&str, &str)]) -> Origin {
        let listed = ["https://lesson.example.com".to_owned(), "http://127.0.0.1:88".to_owned()];
        Origin::of(&request("GET", "/getAuthorization", headers, b"").head, &listed)
    }

    #[test]
    fn only_the_very_text_of_the_list_is_served() {
        for listed in ["https://lesson.example.com", "http://127.0.0.1:88"] {
            assert_eq!(origin(&[("origin", listed)]), Origin::Listed(HeaderValue::from_static(listed)));
        }
        for other in [
            "https://lesson.example.com.evil.example",
            "https://lesson.example.co",
            "https://evil-lesson.example.com",
            "http://lesson.example.com",
            "https://lesson.example.com:443",
            "https://lesson.example.com/",
            "HTTPS://lesson.example.com",
            "http://127.0.0.1",
            "http://127.0.0.1:8888",
            "null",
            "*",
            "",
        ] {
            assert_eq!(origin(&[("origin", other)]), Origin::Refused, "{other}");
        }
        let two = [("origin", "https://lesson.example.com"), ("origin", "https://lesson.example.com")];
        assert_eq!(origin(&two), Origin::Refused);
        assert_eq!(origin(&[]), Origin::None);
    }

    #[test]
    fn a_preflight_grants_known_headers_only() {
        let granted = |asked: &str| {
            let head = request("OPTIONS", "/", &[("access-control-request-headers", asked)], b"").head;
            let mut response = Response::default();
            grant(&head, &mut response);
            assert_eq!(response.headers()["access-control-allow-methods"], "GET");
            response.headers().get("access-control-allow-headers").map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(
            granted("X-Requested-With,content-type, Content-Type"),
            Some("x-requested-with, content-type".into())
        );
        assert_eq!(granted("authorization, x-evil"), None);
        assert_eq!(granted("*"), None);
        assert_eq!(granted(""), None);
    }
}
